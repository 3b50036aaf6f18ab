"""What a person decided is never changed or lost, whichever way the graph is written to."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from pyoxigraph import Literal, Quad

from kg4p1000.cli import main
from kg4p1000.curation import build, mappings, writer
from kg4p1000.curation import decisions as people
from kg4p1000.curation.access import Tokens
from kg4p1000.curation.commits import commit, undo
from kg4p1000.kernel.errors import DecisionStands, KgError
from kg4p1000.kernel.settings import Settings
from kg4p1000.kernel.terms import iri, turtle
from kg4p1000.overlaps import decisions, detection
from kg4p1000.store import Delta, Readers
from kg4p1000.web import create_app

TOY = Path(__file__).parent / "toy"
PAIR = ("A4.2", "D2.3")
MADE = iri("decision:A4.2-D2.3-1")
JANE = "Jane Doe"


@pytest.fixture
def shapes(toy_shapes):
    return toy_shapes


@pytest.fixture
def graph(toy_store, shapes):
    """A graph in which Jane Doe accepted an overlap and a mapping."""
    graph = toy_store()
    told = {"status": "accepted", "author": JANE, "why": "Both teams said so."}
    detection.decide(graph, shapes, PAIR, **told)
    with graph.draft() as draft:
        link = mappings.links(draft.select)[0]
    mappings.decide(graph, shapes, link.iri, **told)
    return graph


@pytest.fixture
def service(graph, library):
    """A client, and headers of a steward and an admin."""
    readers = Readers(graph, size=1, timeout=600, memory=512)
    app = create_app(Settings(store=graph.path, files=TOY), graph, readers, library)
    kept = Tokens(graph.path / "tokens.json")
    tokens = {
        role: {"Authorization": f"Bearer {kept.create(f'{role} Kim', role)}"}
        for role in ("steward", "admin")
    }
    yield app.test_client(), tokens
    app.extensions["kg4p1000"].writer.close()
    readers.close()


def decided(graph):
    return {q for q in graph.quads() if q.graph_name == decisions.GRAPH}


def said(graph):
    with graph.draft() as draft:
        return [(d.who, d.status) for d in decisions.read(draft.select)]


STATUS = "decision:A4.2-D2.3-1 k4p:status"
CHANGES = [
    f"DELETE DATA {{ GRAPH graph:decisions {{ {STATUS} status:accepted }} }} ;"
    f" INSERT DATA {{ GRAPH graph:decisions {{ {STATUS} status:rejected }} }}",
    "WITH graph:decisions DELETE { ?d k4p:reason ?r }"
    ' INSERT { ?d k4p:reason "No."@en } WHERE { ?d k4p:reason ?r }',
    "DELETE { GRAPH graph:decisions { ?d ?p ?o } } USING graph:decisions"
    " WHERE { ?d a k4p:MappingDecision ; ?p ?o }",
    "CLEAR GRAPH graph:decisions",
    "DROP GRAPH graph:decisions",
    "DELETE { GRAPH graph:decisions { ?p rdfs:label ?l } }"
    ' INSERT { GRAPH graph:decisions { ?p rdfs:label "Mallory" } } WHERE { ?p a prov:Person ; rdfs:label ?l }',
    'INSERT DATA { GRAPH graph:decisions { decision:A4.2-D2.3-1 k4p:reason "Also this."@en } }',
    'INSERT DATA { GRAPH graph:actors { decision:A4.2-D2.3-1 k4p:reason "Also this."@en } }',
    "INSERT DATA { GRAPH graph:actors { decision:A4.2-D2.3-9 a k4p:OverlapDecision } }",
    'INSERT { GRAPH graph:actors { ?p rdfs:label "Mallory" } } WHERE { ?p a prov:Person ; rdfs:label "Jane Doe" }',
]


@pytest.mark.parametrize("role", ["steward", "admin"])
def test_no_update_changes_a_decision(service, graph, role):
    client, tokens = service
    before, version = decided(graph), graph.current
    for text in (
        CHANGES
        if role == "steward"
        else [c for c in CHANGES if "GRAPH graph:decisions" not in c[:30]]
    ):
        told = client.post(
            "/update",
            data=text,
            headers=tokens[role] | {"Content-Type": "application/sparql-update"},
        )
        name = "forbidden" if "Mallory" in text and role == "steward" else "decision-stands"
        if "graph:actors" in text:
            name = "decision-stands"
        assert told.status_code == (403 if name == "forbidden" else 409), (text, told.text)
        assert told.json["type"].endswith(f"/problem/{name}")
        assert name == "forbidden" or "Decide anew" in told.json["detail"]
    assert graph.current == version
    assert decided(graph) == before


def test_no_request_of_the_graph_store_changes_a_decision(service, graph):
    client, tokens = service
    address = f"/graph-store?graph={decisions.GRAPH.value}"
    header = tokens["steward"] | {"Content-Type": "text/turtle"}
    more = turtle([Quad(MADE, iri("k4p:reason"), Literal("No.", language="en")).triple])
    whole = turtle(q.triple for q in decided(graph))
    version = graph.current
    assert client.delete(address, headers=header).status_code == 409
    assert client.put(address, data=more, headers=header).status_code == 409
    assert client.post(address, data=more, headers=header).status_code == 409
    assert graph.current == version
    assert client.put(address, data=whole, headers=header).status_code == 200  # says the same


def test_an_admin_may_empty_the_graph_and_the_overlap_is_proposed_again(service, graph):
    client, tokens = service
    header = tokens["admin"] | {"Content-Type": "application/sparql-update"}
    done = client.post("/update", data="CLEAR GRAPH graph:decisions", headers=header)
    assert done.status_code == 200, done.text
    assert not decided(graph)
    status = Quad(iri("overlap:A4.2-D2.3"), iri("k4p:status"), iri("status:proposed"))
    assert status.triple in {q.triple for q in graph.quads()}


NEW = """INSERT DATA {{ GRAPH graph:decisions {{ decision:A4.1-D2.1-1 a k4p:OverlapDecision ;
  k4p:decides overlap:A4.1-D2.1 ; k4p:status status:rejected ; k4p:reason "Other people."@en ;
  prov:generatedAtTime "2026-01-01T00:00:00Z"^^xsd:dateTime ; prov:wasAttributedTo {0} .
  {0} a prov:Person ; rdfs:label "{1}" }} }}"""


def test_a_decision_by_update_is_made_in_the_name_of_the_token(service, graph):
    client, tokens = service
    header = tokens["steward"] | {"Content-Type": "application/sparql-update"}

    def named(node, label):
        return client.post("/update", data=NEW.format(node, label), headers=header)

    own = f"<{people.person('steward Kim').value}>"
    assert named(f"<{people.person(JANE).value}>", JANE).status_code == 403
    assert named(own, JANE).status_code == 403
    done = named(own, "steward Kim")
    assert done.status_code == 200, done.text
    assert ("steward Kim", "rejected") in said(graph)


def test_a_file_that_is_loaded_changes_no_decision(graph, tmp_path):
    file = tmp_path / "none.nt"
    file.write_bytes(b'<http://example.org/a> <http://example.org/b> "c" .\n')
    common = ["--store", str(graph.path), "--files", str(TOY)]
    told = CliRunner().invoke(
        main, ["load", str(file), "--graph", "graph:decisions", "--replace", *common]
    )
    assert told.exit_code == 1
    assert "Decide anew" in told.stderr
    assert (JANE, "accepted") in said(graph)


def test_a_build_brings_decisions_and_changes_none(toy_store, graph, toy_files):
    files = toy_files
    build.write_files(graph, files)
    path = files / "data" / "decisions.ttl"
    fresh = toy_store()
    build.build(fresh, files, author="tests")
    assert decided(fresh) == decided(graph)
    path.write_bytes(path.read_bytes().replace(b"Both teams said so.", b"They refused."))
    done = build.build(fresh, files, author="tests")
    assert {str(c.predicate) for c in done.conflicts} == {str(iri("k4p:reason"))}
    assert decided(fresh) == decided(graph)
    path.unlink()
    done = build.build(fresh, files, author="tests")
    assert {c.graph for c in done.conflicts} == {decisions.GRAPH}
    assert decided(fresh) == decided(graph)


def test_undo_takes_one_decision_back_and_leaves_others_of_the_person(toy_store, shapes):
    graph, told = toy_store(), {"author": JANE, "why": "Seen."}
    detection.decide(graph, shapes, PAIR, status="accepted", **told)
    first = graph.current
    detection.decide(graph, shapes, ("A4.1", "D2.1"), status="rejected", **told)
    detection.refresh(graph, shapes)
    undo(graph, shapes, first, "tests")
    assert said(graph) == [(JANE, "rejected")]
    status = Quad(iri("overlap:A4.2-D2.3"), iri("k4p:status"), iri("status:proposed"))
    assert status.triple in {q.triple for q in graph.quads()}
    assert graph.delta(first).added  # the log has it


def test_an_undone_number_does_not_lead_to_another_decision(graph, shapes):
    with graph.draft() as draft:
        (link,) = {d.about for d in mappings.read(draft.select)}
    told = {"author": "Kim", "why": "Seen."}
    first = graph.current
    mappings.decide(graph, shapes, link, status="proposed", **told)
    mappings.decide(graph, shapes, link, status="accepted", **told)
    second, third = graph.current - 1, graph.current
    for version in (third, second):
        undo(graph, shapes, version, "tests")
    mappings.decide(graph, shapes, link, status="proposed", **told)
    made = {
        q.subject.value[-2:] for q in decided(graph) if q.predicate == iri("k4p:decidesMapping")
    }
    assert made == {"-1", "-2"}
    assert first < second


def test_two_names_of_one_key_stay_two_persons(graph, shapes):
    told = {"status": "rejected", "why": "Other regions."}
    for name in ("jane doe", "Jane Doé"):
        detection.decide(graph, shapes, PAIR, author=name, **told)
    assert sorted(said(graph)) == sorted(
        [(JANE, "accepted"), ("jane doe", "rejected"), ("Jane Doé", "rejected")]
    )


def test_a_commit_of_any_kind_is_held_to_it(graph, shapes):
    quads = frozenset(q for q in decided(graph) if q.subject == MADE)
    with pytest.raises(DecisionStands, match=r"decision:A4\.2-D2\.3-1"):
        commit(graph, shapes, Delta(removed=quads), author="tests", message="")


# the process that makes changes


def test_a_fault_in_a_change_is_told_and_the_next_change_is_made(graph, tmp_path):
    made = writer.Writer(graph.path, TOY, 60, 4096)
    common = {"author": "Kim", "role": 2}
    try:
        with pytest.raises(KgError, match="Nothing was changed") as caught:
            made.change(kind="unheard-of", **common)
        assert (caught.value.slug, caught.value.status) == ("internal", 500)
        worker = made._worker
        text = 'INSERT DATA { GRAPH graph:actors { place:MLI skos:note "Seen."@en } }'
        assert made.change(kind="update", text=text, **common)["version"] == graph.current
        assert made._worker is worker
    finally:
        made.close()
