"""What people decide about mappings and facet annotations, and what the graph says after it."""

import pytest
from click.testing import CliRunner
from pyoxigraph import Literal, Quad

from kg4p1000.cli import main
from kg4p1000.curation import build, decisions, mappings
from kg4p1000.curation.commits import INFERRED, commit, undo
from kg4p1000.curation.decisions import person
from kg4p1000.kernel.errors import BadParameter, NotFound, ShapesViolated
from kg4p1000.kernel.terms import iri
from kg4p1000.overlaps.corpus import read as read_activities
from kg4p1000.store import Delta, Store

FACETS = iri("graph:facets")


@pytest.fixture
def files(toy_files):
    return toy_files


@pytest.fixture
def store(toy_store):
    return toy_store()


@pytest.fixture
def shapes(toy_shapes):
    return toy_shapes


def links(store):
    with store.draft() as draft:
        return mappings.links(draft.select)


def held(store):
    return {(q.subject, q.predicate, q.object) for q in store.quads()}


def decide(store, shapes, link, status, why="It was compared with its source."):
    return mappings.decide(store, shapes, link.iri, status=status, author="Ada Example", why=why)


def test_a_rejected_mapping_is_told_and_no_longer_stated(store, shapes):
    link = next(x for x in links(store) if x.predicate == iri("dcterms:subject"))
    statement = (link.subject, link.predicate, link.object)
    assert statement in held(store)
    decide(store, shapes, link, "rejected", why="The concept is a homonym.")
    said = held(store)
    assert statement not in said
    assert (link.iri, iri("k4p:status"), iri("status:rejected")) in said
    assert not any(p == iri("k4p:reviewedBy") for s, p, _ in said if s == link.iri)
    (decision,) = [s for s, p, o in said if (p, o) == (iri("k4p:decidesMapping"), link.iri)]
    assert (
        decision,
        iri("k4p:reason"),
        Literal("The concept is a homonym.", language="en"),
    ) in said
    assert (decision, iri("prov:wasAttributedTo"), person("Ada Example")) in said
    assert any((s, p) == (decision, iri("prov:generatedAtTime")) for s, p, _ in said)
    undo(store, shapes, store.current, "tests")
    assert statement in held(store)


def test_a_rejected_class_mapping_can_be_taken_up_again(store, shapes):
    wanted = (iri("rdfs:subClassOf"), iri("owl:equivalentClass"))
    link = next(x for x in links(store) if x.predicate in wanted)
    decide(store, shapes, link, "rejected")
    after = held(store)
    assert (link.subject, link.predicate, link.object) not in after
    decide(store, shapes, link, "proposed", why="Judged too soon.")
    assert (link.subject, link.predicate, link.object) in held(store)


def test_an_accepted_mapping_keeps_its_confidence_and_gets_its_reviewer(store, shapes):
    link = links(store)[0]
    decide(store, shapes, link, "accepted")
    (now,) = [x for x in links(store) if x.iri == link.iri]
    assert (now.status, now.confidence) == ("accepted", link.confidence)
    said = held(store)
    assert (link.iri, iri("k4p:reviewedBy"), person("Ada Example")) in said
    assert (link.subject, link.predicate, link.object) in said


def test_the_last_decision_holds_and_the_earlier_one_stays(store, shapes, monkeypatch):
    link = links(store)[1]
    times = iter(["2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z"])
    monkeypatch.setattr(
        decisions, "instant", lambda: Literal(next(times), datatype=iri("xsd:dateTime"))
    )
    decide(store, shapes, link, "accepted")
    decide(store, shapes, link, "rejected")
    (now,) = [x for x in links(store) if x.iri == link.iri]
    assert now.status == "rejected"
    with store.draft() as draft:
        about = [d for d in mappings.read(draft.select) if d.about == link.iri]
    assert [d.status for d in about] == ["accepted", "rejected"]
    assert len({d.iri for d in about}) == 2


def test_decisions_written_back_to_files_build_the_same_graph(store, shapes, files, tmp_path):
    accepted, rejected = links(store)[2:4]
    decide(store, shapes, accepted, "accepted")
    decide(store, shapes, rejected, "rejected")
    written = build.write_files(store, files)
    assert [path.name for path in written.changed] == ["decisions.ttl"]
    assert build.is_current(store, files)
    fresh = Store(tmp_path / "fresh")
    build.build(fresh, files, author="tests")
    assert held(fresh) == held(store)


@pytest.mark.parametrize(
    ("change", "error", "told"),
    [
        ({"status": "merged"}, BadParameter, "must be one of accepted, rejected, proposed"),
        ({"author": " "}, BadParameter, "needs author"),
        ({"why": ""}, BadParameter, "needs why"),
        ({"mapping": iri("mapping:none")}, NotFound, "'kg4p1000 mappings' lists them"),
    ],
)
def test_a_decision_that_cannot_be_is_refused(store, shapes, change, error, told):
    given = {"mapping": links(store)[0].iri, "status": "accepted", "author": "A", "why": "b"}
    given |= change
    before = store.current
    with pytest.raises(error, match=told):
        mappings.decide(store, shapes, given.pop("mapping"), **given)
    assert store.current == before


def test_a_status_without_a_decision_is_refused(store, shapes):
    link = next(x for x in links(store) if x.status == "proposed")
    where = mappings.ALIGNMENTS
    change = Delta.of(
        [Quad(link.iri, iri("k4p:status"), iri("status:accepted"), where)],
        [Quad(link.iri, iri("k4p:status"), iri("status:proposed"), where)],
    )
    with pytest.raises(ShapesViolated) as caught:
        commit(store, shapes, change, author="tests", message="")
    fired = {f.shape.rpartition("/")[2] for f in caught.value.report.findings}
    assert {"Mapping-decided", "Mapping-confirmed"} <= fired


def test_the_command_lists_and_decides(store, files):
    def run(*arguments):
        common = ["--store", str(store.path), "--files", str(files)]
        return CliRunner().invoke(main, ["mappings", *arguments, *common])

    listed = run("--set", "prov", "--status", "proposed", "--format", "csv")
    assert listed.exit_code == 0, listed.output
    header, first, *_ = listed.stdout.splitlines()
    assert header == "mapping,set,statement,confidence,status,reviewer,when,why"
    key = first.split(",")[0]
    done = run(
        "decide", key, "--status", "rejected", "--author", "Ada Example", "--why", "Too wide."
    )
    assert done.exit_code == 0, done.output
    assert f"mapping:{key} is rejected" in done.stdout
    rejected = run("--status", "rejected", "--format", "csv").stdout
    assert any(
        line.startswith(key) and "Ada Example" in line and line.endswith("Too wide.")
        for line in rejected.splitlines()
    )
    missing = run("decide", "none", "--status", "rejected", "--author", "A", "--why", "b")
    assert missing.exit_code == 2
    assert "lists them" in missing.stderr


# --- facet annotations


def rejection(store, *, whole):
    """The change that rejects the last topic of an activity with two or more; half of it, or whole."""
    said = [q for q in store.quads() if q.graph_name == FACETS]
    of = {}
    for quad in said:
        of.setdefault(quad.subject, {})[quad.predicate] = quad.object
    last = max(
        (s for s, about in of.items() if iri("k4p:givesTopic") in about),
        key=lambda s: (int(of[s][iri("k4p:rank")].value), s.value),
    )
    activity, code = of[last][iri("k4p:annotationOf")], of[last][iri("k4p:givesTopic")]
    status = iri("k4p:status")
    removed = [Quad(last, status, of[last][status], FACETS)]
    added = [Quad(last, status, iri("status:rejected"), FACETS)]
    if whole:
        removed.append(Quad(last, iri("k4p:annotationOf"), activity, FACETS))
        added.append(Quad(last, iri("k4p:rejectedAnnotationOf"), activity, FACETS))
    return activity, code, Delta.of(added, removed)


def test_a_rejected_annotation_that_still_feeds_the_activity_is_refused(store, shapes):
    _, _, change = rejection(store, whole=False)
    with pytest.raises(ShapesViolated) as caught:
        commit(store, shapes, change, author="tests", message="")
    fired = {f.shape.rpartition("/")[2] for f in caught.value.report.findings}
    assert "FacetAnnotation-rejected" in fired
    assert "k4p:rejectedAnnotationOf" in caught.value.report.to_text()


def test_a_rejected_annotation_no_longer_feeds_the_activity(store, shapes):
    activity, code, change = rejection(store, whole=True)
    direct = Quad(activity, iri("k4p:topic"), code, INFERRED)

    def facets():
        with store.draft() as draft:
            return {a.id: a for a in read_activities(draft.select).activities}

    assert direct in set(store.quads())
    before = facets()
    commit(store, shapes, change, author="tests", message="")
    assert direct not in set(store.quads())
    after = facets()
    assert {key for key in after if after[key] != before[key]} == {
        activity.value.rpartition("/")[2]
    }
