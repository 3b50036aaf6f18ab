"""What a role may not write it may not change in another way either: by undo, or by a decision."""

import pytest
from pyoxigraph import NamedNode

from kg4p1000.curation import mappings
from kg4p1000.curation.access import Tokens
from kg4p1000.curation.build import load_shapes
from kg4p1000.kernel.settings import Settings
from kg4p1000.kernel.terms import iri
from kg4p1000.overlaps import detection
from kg4p1000.store import Readers
from kg4p1000.web import create_app

UPDATE = {"Content-Type": "application/sparql-update"}
NOTE = 'INSERT DATA { GRAPH graph:%s { activity:A4.2 skos:editorialNote "%s"@en } }'


@pytest.fixture
def graph(toy_store, tmp_path):
    return toy_store(tmp_path / "store")


@pytest.fixture
def client(graph, toy_settings, toy_library):
    readers = Readers(graph, size=2, timeout=600, memory=300)
    app = create_app(
        Settings(store=graph.path, files=toy_settings.files), graph, readers, toy_library
    )
    yield app.test_client()
    app.extensions["kg4p1000"].writer.close()
    readers.close()


@pytest.fixture
def tokens(graph):
    kept = Tokens(graph.path / "tokens.json")
    return {
        role: {"Authorization": f"Bearer {kept.create(role.title(), role)}"}
        for role in ("contributor", "steward", "admin")
    }


@pytest.fixture
def update(client, tokens):
    def send(text, role):
        done = client.post("/update", data=text, headers=UPDATE | tokens[role])
        assert done.status_code == 200, done.text
        return done.json["version"]

    return send


@pytest.fixture
def undo(client, tokens):
    return lambda version, role="steward", **given: client.post(
        f"/versions/{version}/undo", headers=tokens[role], data=given
    )


def status_of(built, thing, name):
    return {
        q.object
        for q in built.quads()
        if q.subject == thing and q.predicate == iri("k4p:status") and q.graph_name == name
    }


def test_a_steward_undoes_no_change_of_a_graph_that_she_may_not_write(update, undo, graph):
    version = update(NOTE % ("plan-2020", "An admin's"), "admin")
    before = set(graph.quads())
    for number in (1, version):
        for dry in ("true", "false"):
            refused = undo(number, **{"dry-run": dry})
            assert (refused.status_code, refused.json["type"][-9:]) == (403, "forbidden")
            assert "is not marked editable" in refused.json["detail"]
    assert graph.current == version
    assert set(graph.quads()) == before
    assert undo(version, "admin").status_code == 200


def test_a_steward_undoes_what_she_could_have_changed_back(update, undo, graph):
    before = set(graph.quads())
    version = update(NOTE % ("notes", "A steward's"), "admin")
    assert undo(version, "contributor").status_code == 403
    assert undo(version).status_code == 200
    assert set(graph.quads()) == before


def test_a_change_of_graphs_that_she_may_write_and_others_is_undone_by_an_admin_alone(update, undo):
    both = f"{NOTE % ('notes', 'Both')} ; {NOTE % ('plan-2020', 'Both')}"
    version = update(both, "admin")
    assert undo(version).status_code == 403
    assert undo(version, "admin").status_code == 200


def test_what_software_found_is_not_undone_by_a_steward(update, undo, graph, toy_settings):
    version = update("CLEAR GRAPH graph:overlaps", "admin")
    assert undo(version).status_code == 403
    shapes = load_shapes(toy_settings.files)
    found = detection.refresh(graph, shapes)
    assert undo(found.entry.version).status_code == 403


def test_a_steward_undoes_a_decision_on_an_overlap_and_its_effect_goes_too(
    client, tokens, undo, graph
):
    overlap, name = iri("overlap:A4.2-D2.3"), iri("graph:overlaps")
    assert status_of(graph, overlap, name) == {iri("status:proposed")}
    decided = client.post(
        "/overlaps/A4.2-D2.3/decisions",
        json={"status": "accepted", "why": "The same."},
        headers=tokens["steward"],
    )
    assert decided.status_code == 200, decided.text
    assert status_of(graph, overlap, name) == {iri("status:accepted")}
    assert undo(decided.json["version"]).status_code == 200
    assert status_of(graph, overlap, name) == {iri("status:proposed")}


def test_a_steward_undoes_a_decision_on_a_mapping_and_its_effect_goes_too(
    undo, graph, toy_settings
):
    name = iri("graph:alignments")
    before = {q for q in graph.quads() if q.graph_name == name}
    mapping = next(
        q.subject
        for q in sorted(before, key=str)
        if q.predicate == iri("k4p:status") and q.object == iri("status:proposed")
    )
    assert isinstance(mapping, NamedNode)
    decided = mappings.decide(
        graph, load_shapes(toy_settings.files), mapping, status="rejected", author="Ada", why="No."
    )
    assert {q for q in graph.quads() if q.graph_name == name} != before
    assert undo(decided.entry.version).status_code == 200
    assert {q for q in graph.quads() if q.graph_name == name} == before


def test_what_an_admin_wrote_beside_a_decision_is_not_taken_back_with_it(update, undo, graph):
    """Only what follows from decisions comes and goes with them, in graphs that are for software."""
    decision = """decision:A4.2-D2.3-1 a k4p:OverlapDecision ; k4p:decides overlap:A4.2-D2.3 ;
      k4p:status status:accepted ; k4p:reason "Yes."@en ; prov:wasAttributedTo agent:person-x ;
      prov:generatedAtTime "2026-01-01T00:00:00Z"^^xsd:dateTime .
      agent:person-x a prov:Person ; rdfs:label "X" ."""
    version = update(
        f"""INSERT DATA {{ GRAPH graph:decisions {{ {decision} }}
        GRAPH graph:overlaps {{ overlap:A4.2-D2.3 skos:editorialNote "An admin's"@en }} }}""",
        "admin",
    )
    assert undo(version).status_code == 200
    assert any(q.object.value == "An admin's" for q in graph.quads() if hasattr(q.object, "value"))
    assert status_of(graph, iri("overlap:A4.2-D2.3"), iri("graph:overlaps")) == {
        iri("status:proposed")
    }


def test_nobody_decides_where_decisions_are_not_for_the_role(client, tokens, update, graph):
    update(
        "DELETE DATA { GRAPH graph:graphs { graph:decisions k4p:editable true } } ;"
        "INSERT DATA { GRAPH graph:graphs { graph:decisions k4p:editable false } }",
        "admin",
    )
    before = graph.current
    for role, status in (("steward", 403), ("admin", 200)):
        decided = client.post(
            "/overlaps/A4.2-D2.3/decisions",
            json={"status": "accepted", "why": "The same."},
            headers=tokens[role],
        )
        assert decided.status_code == status, decided.text
        assert (graph.current > before) == (status == 200)


MAPPING = """mapping:evil a k4p:Mapping ; rdfs:label "Evil"@en ; k4p:inMappingSet mapping-set:agrovoc-plan ;
  k4p:mappingSubject activity:A4.2 ; k4p:mappingPredicate skos:exactMatch ; k4p:mappingObject <http://evil.example/x> ;
  k4p:confidence 0.9 ; k4p:status status:%s """
PERSON = 'agent:person-x a prov:Person ; rdfs:label "Steward" .'


@pytest.mark.parametrize("status", ["proposed", "accepted", "rejected"])
def test_what_follows_from_decisions_follows_from_no_other_graph(client, tokens, graph, status):
    """Neither a mapping nor an overlap that stands in a graph of hers makes statements in one that is not."""
    guarded = [iri(f"graph:{name}") for name in ("alignments", "overlaps")]
    before = {q for q in graph.quads() if q.graph_name in guarded}
    victim = next(q for q in before if q.predicate == iri("k4p:mappingObject"))
    copied = " ; ".join(
        f"<{q.predicate.value}> {q.object}"
        for q in before
        if q.subject == victim.subject and q.predicate != iri("k4p:status")
    )
    for mapping in (MAPPING % status, f"mapping:copy {copied} ; k4p:status status:{status}"):
        for text in (
            f"INSERT DATA {{ GRAPH graph:notes {{ {mapping} }} }}",
            f"INSERT DATA {{ GRAPH graph:notes {{ overlap:A4.1-D2.6 a k4p:Overlap ; k4p:status status:{status} }} }}",
            f"INSERT DATA {{ GRAPH graph:decisions {{ {PERSON} }} }}",
        ):
            client.post("/update", data=text, headers=UPDATE | tokens["steward"])
        assert {q for q in graph.quads() if q.graph_name in guarded} == before


@pytest.mark.parametrize("kind", ["OverlapDecision", "MappingDecision"])
def test_a_decision_stands_in_no_other_graph_under_whatever_name(client, tokens, graph, kind):
    before = graph.current
    text = f"INSERT DATA {{ GRAPH graph:notes {{ <http://e.x/d> a k4p:{kind} ; k4p:decides overlap:A4.2-D2.3 }} }}"
    refused = client.post("/update", data=text, headers=UPDATE | tokens["steward"])
    assert refused.status_code in (409, 422)
    assert graph.current == before
