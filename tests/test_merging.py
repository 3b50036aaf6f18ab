"""Files and service: what a steward took back stays, and conflicts are told until they are settled."""

from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyoxigraph import Literal, Quad

from kg4p1000.cli import main
from kg4p1000.curation import commits
from kg4p1000.curation.build import build, load_shapes, write_files
from kg4p1000.kernel.errors import BrokenFile, ShapesViolated, StoreUnusable
from kg4p1000.kernel.terms import iri
from kg4p1000.overlaps import decisions, detection
from kg4p1000.store import Delta

TOY = Path(__file__).parent / "toy"
FAO, MALI = iri("organisation:fao"), iri("place:MLI")


def said(subject, predicate, text, graph="graph:actors", language="en"):
    return Quad(subject, iri(predicate), Literal(text, language=language), iri(graph))


ONUAA = said(FAO, "skos:altLabel", "ONUAA", language="fr")
LABELS = [said(MALI, "skos:prefLabel", name) for name in ("Mali", "Ben's Mali", "Mali of the file")]


@pytest.fixture
def files(toy_files):
    return toy_files


@pytest.fixture
def store(toy_store, tmp_path):
    return toy_store(tmp_path / "store")


@cache
def toy_shapes():
    return load_shapes(TOY)


def steward(store, added=(), removed=()):
    return commits.commit(
        store, toy_shapes(), Delta.of(added, removed), author="steward", message="a change"
    )


def edit(files, name, old, new):
    path = files / "data" / name
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def run(store, files, *words):
    return CliRunner().invoke(main, [*words, "--store", str(store.path), "--files", str(files)])


@pytest.mark.parametrize("built", [True, False], ids=["a build between", "no build between"])
def test_what_a_steward_takes_back_after_a_dump_does_not_come_back(store, files, built):
    steward(store, [ONUAA])
    write_files(store, files)
    if built:
        assert build(store, files, author="t").commit.entry is None
    steward(store, removed=[ONUAA])
    done = build(store, files, author="t")
    assert done.commit.entry is None
    assert done.differ == 1
    assert ONUAA not in set(store.quads())
    told = run(store, files, "build")
    assert "1 statement was changed in the service" in told.stdout
    assert "already says" not in told.stdout


def test_what_a_person_wrote_into_the_file_and_a_steward_deleted_does_not_come_back(store, files):
    steward(store, [ONUAA])
    edit(files, "actors.ttl", '"FAO"@en', '"FAO"@en , "ONUAA"@fr')  # by hand, as the steward had it
    build(store, files, author="t")
    steward(store, removed=[q for q in store.quads() if q.triple == ONUAA.triple])
    build(store, files, author="t")
    assert ONUAA not in set(store.quads())


def test_an_undone_decision_does_not_come_back(store, files):
    shapes = toy_shapes()
    detection.decide(store, shapes, ("A4.2", "D2.3"), status="rejected", author="Jo", why="No.")
    write_files(store, files)
    build(store, files, author="t")
    commits.undo(store, shapes, 2, "t")
    build(store, files, author="t")
    assert not [q for q in store.quads() if q.graph_name == decisions.GRAPH]
    status = Quad(
        iri("overlap:A4.2-D2.3"), iri("k4p:status"), iri("status:proposed"), decisions.OVERLAPS
    )
    assert status in set(store.quads())


def test_a_conflict_is_told_until_file_and_graph_say_the_same(store, files):
    was, bens, of_file = LABELS
    steward(store, [bens], [was])
    edit(files, "actors.ttl", '"Mali"@en', '"Mali of the file"@en')
    for words in (["build", "--dry-run"], ["build"], ["build"]):
        told = run(store, files, *words)
        assert told.exit_code == 1
        assert "Conflict in graph:actors" in told.stderr
        assert "Mali of the file" in told.stderr
    path = files / "data" / "actors.ttl"
    before = path.read_bytes()
    told = run(store, files, "dump", "--to-files")
    assert told.exit_code == 1
    assert "actors.ttl was not written" in told.stderr
    assert path.read_bytes() == before
    steward(store, [of_file], [bens])
    assert run(store, files, "build").exit_code == 0
    assert run(store, files, "dump", "--to-files").exit_code == 0


def test_a_conflict_is_settled_by_taking_what_the_graph_says(store, files):
    was, bens, _ = LABELS
    steward(store, [bens], [was])
    edit(files, "actors.ttl", '"Mali"@en', '"Mali of the file"@en')
    assert build(store, files, author="t").conflicts
    assert run(store, files, "dump", "--to-files", "--overwrite").exit_code == 0
    done = build(store, files, author="t")
    assert (done.conflicts, done.differ) == ((), 0)
    assert "Ben's Mali" in (files / "data" / "actors.ttl").read_text("utf-8")


def test_a_file_with_changes_that_no_build_has_read_is_not_overwritten(store, files):
    steward(store, [ONUAA])
    edit(files, "actors.ttl", '"Benin"@en', '"Republic of Benin"@en')
    done = write_files(store, files)
    assert done.changed == []
    assert {path.name: count for path, count in done.left.items()} == {"actors.ttl": 2}
    build(store, files, author="t")
    done = write_files(store, files)
    assert ([path.name for path in done.changed], done.left) == (["actors.ttl"], {})
    assert "Republic of Benin" in done.changed[0].read_text("utf-8")


def whole(store, thing):
    return [q for q in store.quads() if q.subject == thing and q.graph_name != commits.INFERRED]


def test_a_file_that_adds_to_a_thing_that_a_steward_deleted_is_a_conflict(store, files):
    thing = iri("place:atlantis")
    facts = [
        Quad(thing, iri("rdf:type"), iri("k4p:Place"), iri("graph:actors")),
        said(thing, "skos:prefLabel", "Atlantis"),
    ]
    steward(store, facts)
    write_files(store, files)
    steward(store, removed=whole(store, thing))
    edit(files, "actors.ttl", '"Atlantis"@en', '"Atlantis"@en ;\n  skos:editorialNote "seen"@en')
    with (files / "data" / "notes.ttl").open("a", encoding="utf-8") as other:
        other.write(f'\n<{thing.value}> <{iri("skos:note").value}> "also here"@en .\n')
    for _ in range(2):
        done = build(store, files, author="t")
        assert {c.predicate for c in done.conflicts} == {
            iri("skos:editorialNote"),
            iri("skos:note"),
        }
        assert whole(store, thing) == []


def test_a_file_that_deletes_a_thing_to_which_a_steward_added_is_a_conflict(store, files):
    thing = iri("place:atlantis")
    facts = [
        Quad(thing, iri("rdf:type"), iri("k4p:Place"), iri("graph:actors")),
        said(thing, "skos:prefLabel", "Atlantis"),
    ]
    before = (files / "data" / "actors.ttl").read_bytes()
    steward(store, facts)
    write_files(store, files)
    note = said(thing, "skos:editorialNote", "seen")
    steward(store, [note])
    (files / "data" / "actors.ttl").write_bytes(before)
    done = build(store, files, author="t")
    assert {c.predicate for c in done.conflicts} == {iri("rdf:type"), iri("skos:prefLabel")}
    assert set(whole(store, thing)) >= {*facts, note}


@pytest.mark.parametrize("text", [b"", b"\n", b"# nothing\n"])
def test_a_file_that_was_emptied_is_refused(store, files, text):
    path = files / "data" / "notes.ttl"
    path.write_bytes(text)
    with pytest.raises(BrokenFile, match=r"notes\.ttl says nothing any more.*delete the file"):
        build(store, files, author="t")
    path.unlink()
    assert build(store, files, author="t").commit.delta.removed


def test_a_build_that_was_not_accepted_is_no_base(store, files):
    (store.path / "builds" / "00000002.nq").write_text("")  # as a crash before the log may leave it
    steward(store, [ONUAA])
    assert build(store, files, author="t").commit.entry is None
    edit(files, "actors.ttl", '"Mali"@en', '""@en')
    with pytest.raises(ShapesViolated):
        build(store, files, author="t")
    assert not (store.path / "builds" / "00000003.nq").exists()


def test_a_damaged_record_of_a_build_is_told(store, files):
    (store.path / "builds" / "00000001.nq").write_text("<no")
    with pytest.raises(StoreUnusable, match=r"00000001\.nq is damaged"):
        build(store, files, author="t")


def changed_lines(files, name):
    """Lines that are in one of the file here and the file that nobody changed alone."""
    old, new = (
        Counter((folder / "data" / name).read_text("utf-8").splitlines()) for folder in (TOY, files)
    )
    return (old - new).total() + (new - old).total()


def test_after_one_decision_a_dump_changes_what_was_decided_alone(store, files):
    shapes = toy_shapes()
    detection.decide(store, shapes, ("A4.2", "D2.3"), status="rejected", author="Jo", why="No.")
    detection.refresh(store, shapes)  # the ranking learns, and other pairs shift
    done = write_files(store, files)
    assert sorted(path.name for path in done.changed) == ["decisions.ttl", "overlaps.ttl"]
    assert done.computed > 10
    assert 0 < changed_lines(files, "overlaps.ttl") < 10
    text = (files / "data" / "overlaps.ttl").read_text("utf-8")
    assert "status:rejected" in text
    assert build(store, files, author="t").commit.entry is None
    commits.undo(store, shapes, 2, "t")
    detection.refresh(store, shapes)
    write_files(store, files)
    assert changed_lines(files, "overlaps.ttl") < 10
    assert "status:rejected" not in (files / "data" / "overlaps.ttl").read_text("utf-8")


def test_what_changes_the_overlaps_is_dumped_with_them(store, files):
    shapes = toy_shapes()
    note = said(iri("activity:A4.2"), "skos:note", "changed", "graph:plan-2021-10-14")
    detection.decide(store, shapes, ("A4.2", "D2.3"), status="rejected", author="Jo", why="No.")
    detection.refresh(store, shapes)
    steward(store, [note])
    assert write_files(store, files).computed == 0
