"""Builds and commits: what is published, what is refused, and what a steward's change is worth."""

import shutil
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from pyoxigraph import Literal, NamedNode, Quad

from kg4p1000.curation import commits
from kg4p1000.curation.build import build, load_shapes, read, sources, write_files
from kg4p1000.kernel.errors import BrokenFile, NotFound, ShapesViolated, UndoConflict
from kg4p1000.kernel.terms import iri
from kg4p1000.reasoning import Shapes
from kg4p1000.store import Delta, Store, check

ROOT = Path(__file__).parent.parent
TOY = Path(__file__).parent / "toy"
ACTORS = iri("graph:actors")


@pytest.fixture
def files(toy_files):
    """A copy of the knowledge that a test may change."""
    return toy_files


@pytest.fixture
def empty(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def built(toy_store):
    return toy_store()


@pytest.fixture
def store(toy_store, tmp_path):
    """The small knowledge, in a store that a test may change."""
    return toy_store(tmp_path / "copy")


@cache
def toy_shapes():
    return load_shapes(TOY)


def steward(store, added=(), removed=(), **options):
    return commits.commit(
        store,
        toy_shapes(),
        Delta.of(added, removed),
        author="steward",
        message="a correction",
        **options,
    )


def replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_build_publishes_what_the_files_say(built):
    told = set().union(*(read(source) for source in sources(TOY)))
    kept = {q for q in built.quads() if q.graph_name != commits.INFERRED}
    assert len(kept) == len(Delta.of(told).added)
    assert built.current == 1


def test_the_same_files_give_the_same_graph(built, files, empty):
    build(empty, files, author="somebody else")
    assert set(empty.quads()) == set(built.quads())
    mine, theirs = ((s.path / "builds" / "00000001.nq").read_bytes() for s in (empty, built))
    assert mine == theirs


def test_building_again_from_the_same_files_changes_nothing(store):
    assert build(store, TOY, author="tester").commit.entry is None
    assert store.current == 1


def test_inferences_have_a_graph_of_their_own(built):
    inferred = {q.triple for q in built.quads() if q.graph_name == commits.INFERRED}
    asserted = {q.triple for q in built.quads() if q.graph_name != commits.INFERRED}
    assert not inferred & asserted
    chain = Quad(iri("activity:A4.2"), iri("k4p:contributesTo"), iri("goal:A"), commits.INFERRED)
    assert chain in set(built.quads())


def test_a_change_of_a_file_is_the_change_of_the_graph(store, files):
    replace(files / "data" / "actors.ttl", '"Mali"@en', '"Republic of Mali"@en')
    done = build(store, files, author="tester")
    assert {q.object.value for q in done.commit.delta.added} == {"Republic of Mali"}
    assert {q.object.value for q in done.commit.delta.removed} == {"Mali"}


def test_a_file_that_is_taken_away_takes_its_statements_and_their_inferences_away(store, files):
    (files / "data" / "overlaps.ttl").unlink()
    build(store, files, author="tester")
    assert not [q for q in store.quads() if "/id/overlap/" in str(q.subject)]


@pytest.mark.parametrize("broken", ["activity:A4.2 k4p:number ;", "<no closing bracket", '"'])
def test_broken_turtle_is_refused_with_its_place_and_changes_nothing(store, files, broken):
    path = files / "data" / "actors.ttl"
    lines = path.read_text(encoding="utf-8").count("\n")
    with path.open("a", encoding="utf-8") as file:
        file.write(broken)
    with pytest.raises(BrokenFile) as caught:
        build(store, files, author="tester")
    assert caught.value.members["file"] == str(path)
    assert caught.value.members["line"] == lines + 1
    assert caught.value.members["column"] >= 1
    assert store.current == 1


def test_data_that_do_not_fit_the_shapes_are_refused_and_change_nothing(store, files):
    replace(files / "data" / "plan-2021-10-14.ttl", 'skos:notation "A4.2" ;', "")
    before = set(store.quads())
    with pytest.raises(ShapesViolated) as caught:
        build(store, files, author="tester")
    found = caught.value.members["report"]["findings"]
    assert {f["focus"]["value"] for f in found} == {iri("activity:A4.2").value}
    assert store.current == 1
    assert set(store.quads()) == before


def test_a_first_build_that_is_refused_leaves_an_empty_store(files, empty):
    replace(files / "data" / "plan-2021-10-14.ttl", 'skos:notation "A4.2" ;', "")
    with pytest.raises(ShapesViolated):
        build(empty, files, author="tester")
    assert empty.current == 0
    assert not list((empty.path / "builds").iterdir())


def test_a_folder_without_knowledge_is_refused(tmp_path, empty):
    with pytest.raises(BrokenFile, match="--files"):
        build(empty, tmp_path, author="tester")


def test_a_dry_run_says_what_would_change_and_changes_nothing(store, files):
    replace(files / "data" / "actors.ttl", '"Mali"@en', '"Republic of Mali"@en')
    done = build(store, files, author="tester", dry_run=True)
    assert len(done.commit.delta.added) == 1
    assert (done.commit.entry, store.current) == (None, 1)


MALI = iri("place:MLI")
LABEL = iri("skos:prefLabel")


def test_what_a_steward_changed_since_the_last_build_stays(store):
    old, new = (
        Quad(MALI, LABEL, Literal(text, language="en"), ACTORS)
        for text in ("Mali", "Mali (steward)")
    )
    steward(store, [new], [old])
    done = build(store, TOY, author="tester")
    assert done.commit.entry is None
    assert new in set(store.quads())


def test_files_and_steward_that_disagree_are_a_conflict_and_the_stewards_word_stays(store, files):
    old, new = (
        Quad(MALI, LABEL, Literal(text, language="en"), ACTORS)
        for text in ("Mali", "Mali (steward)")
    )
    steward(store, [new], [old])
    replace(files / "data" / "actors.ttl", '"Mali"@en', '"Mali (files)"@en')
    replace(files / "data" / "actors.ttl", '"Benin"@en', '"Republic of Benin"@en')
    done = build(store, files, author="tester")
    assert [(c.subject, c.predicate) for c in done.conflicts] == [(MALI, LABEL)]
    labels = {q.object.value for q in store.quads() if q.predicate == LABEL}
    assert "Mali (steward)" in labels
    assert "Mali (files)" not in labels
    assert "Republic of Benin" in labels


def test_files_and_steward_that_make_the_same_change_do_not_conflict(store, files):
    old, new = (
        Quad(MALI, LABEL, Literal(text, language="en"), ACTORS)
        for text in ("Mali", "Republic of Mali")
    )
    steward(store, [new], [old])
    replace(files / "data" / "actors.ttl", '"Mali"@en', '"Republic of Mali"@en')
    done = build(store, files, author="tester")
    assert done.conflicts == ()


def test_a_commit_of_nothing_makes_no_version(store):
    assert steward(store).entry is None
    assert store.current == 1


def test_a_commit_reports_what_really_changed(store):
    known = Quad(MALI, LABEL, Literal("Mali", language="en"), ACTORS)
    assert not steward(store, [known]).delta


def test_a_commit_that_breaks_a_shape_is_refused_and_changes_nothing(store):
    old = Quad(MALI, LABEL, Literal("Mali", language="en"), ACTORS)
    with pytest.raises(ShapesViolated):
        steward(store, removed=[old])
    assert store.current == 1


def test_a_dry_run_of_a_commit_that_would_be_refused_is_refused(store):
    old = Quad(MALI, LABEL, Literal("Mali", language="en"), ACTORS)
    with pytest.raises(ShapesViolated) as caught:
        steward(store, removed=[old], dry_run=True)
    assert caught.value.report.count("violation")
    assert store.current == 1


def test_inferences_follow_a_change_in_both_directions(store):
    activity, old, new = iri("activity:A4.2"), iri("objective:A4"), iri("objective:A5")
    graph, link = iri("graph:plan-2021-10-14"), iri("k4p:activityOf")
    number = [
        q for q in store.quads() if q.subject == activity and q.predicate == iri("k4p:number")
    ]
    assert number
    done = commits.commit(
        store,
        Shapes.from_files([]),
        Delta.of([Quad(activity, link, new, graph)], [Quad(activity, link, old, graph)]),
        author="steward",
        message="a move that no shape judges",
        dry_run=True,
    )
    gone = {q for q in done.delta.removed if q.graph_name == commits.INFERRED}
    come = {q for q in done.delta.added if q.graph_name == commits.INFERRED}
    inverse = iri("k4p:hasActivity")
    assert Quad(old, inverse, activity, commits.INFERRED) in gone
    assert Quad(new, inverse, activity, commits.INFERRED) in come


def labelled(text, language="en", predicate=LABEL):
    return Quad(MALI, predicate, Literal(text, language=language), ACTORS)


def undo(store, version, **options):
    return commits.undo(store, toy_shapes(), version, "steward", **options)


def test_an_undo_takes_back_a_change_with_all_that_followed_from_it(store):
    told = set(store.quads())
    thing = [q for q in told if q.subject == iri("mention:A1.1-unfccc")]
    steward(store, [labelled("République du Mali", "fr", iri("skos:altLabel"))], thing)
    assert set(store.quads()) != told
    done = undo(store, 2)
    assert set(store.quads()) == told
    assert (done.entry.version, done.entry.source) == (3, "undo")
    assert done.entry.message == "Undo of version 2: a correction"
    assert check(store) == []


def test_an_undo_can_be_undone(store):
    steward(store, [labelled("Republic of Mali")], [labelled("Mali")])
    told = set(store.quads())
    undo(store, 2)
    undo(store, 3, message="it was right")
    assert set(store.quads()) == told
    assert store.entry().message == "it was right"


def test_an_undo_leaves_other_changes_alone(store):
    steward(store, [labelled("Republic of Mali")], [labelled("Mali")])
    other = labelled("República de Malí", "es", iri("skos:altLabel"))
    steward(store, [other])
    undo(store, 2)
    assert {labelled("Mali"), other} <= set(store.quads())


def test_an_undo_that_later_changes_stand_in_the_way_of_is_refused(store):
    names = [labelled(text) for text in ("Mali", "Republic of Mali", "Mali (Republic)")]
    for old, new in pairwise(names):
        steward(store, [new], [old])
    with pytest.raises(UndoConflict) as caught:
        undo(store, 2)
    conflicts = caught.value.members["conflicts"]
    assert len(conflicts) == 2
    assert conflicts[0].startswith(
        'place:MLI skos:prefLabel "Mali (Republic)"@en (in graph:actors)'
    )
    assert store.current == 3
    undo(store, 3)
    undo(store, 2)  # the newest first: nothing stands in the way any more
    assert names[0] in set(store.quads())


def test_another_value_that_was_added_later_stands_in_the_way(store):
    first, second = (labelled(x, "fr", iri("skos:altLabel")) for x in ("R. du Mali", "Le Mali"))
    steward(store, [first])
    steward(store, [second])
    with pytest.raises(UndoConflict, match="statements were changed"):
        undo(store, 2)


@pytest.mark.parametrize("version", [0, 2, -1])
def test_a_version_that_is_not_there_cannot_be_undone(store, version):
    with pytest.raises(NotFound):
        undo(store, version)


def test_an_undo_that_breaks_a_shape_is_refused_and_its_dry_run_too(store):
    place = Quad(iri("place:atlantis"), iri("rdf:type"), iri("k4p:Place"), ACTORS)
    name = Quad(iri("place:atlantis"), LABEL, Literal("Atlantis", language="en"), ACTORS)
    steward(store, [name, place])
    steward(store, [Quad(iri("tool:cbp"), iri("k4p:inPlace"), place.subject, iri("graph:mrv"))])
    for dry_run in (False, True):
        with pytest.raises(ShapesViolated):
            undo(store, 2, dry_run=dry_run)
    assert store.current == 3


def test_the_change_log_rebuilds_the_real_graph(store):
    told = set(store.quads())
    shutil.rmtree(store.path / "versions" / "00000001")
    again = Store(store.path)
    assert set(again.quads()) == told
    assert check(again) == []


def test_what_a_steward_changed_is_written_back_to_the_files(store, files):
    assert write_files(store, files).changed == []
    old, new = (
        Quad(MALI, LABEL, Literal(text, language="en"), ACTORS)
        for text in ("Mali", "Republic of Mali")
    )
    steward(store, [new], [old])
    (path,) = write_files(store, files).changed
    assert path.name == "actors.ttl"
    before = (TOY / "data" / "actors.ttl").read_text("utf-8").splitlines()
    after = path.read_text("utf-8").splitlines()
    assert len(set(after) - set(before)) == len(set(before) - set(after)) == 1
    assert build(store, files, author="tester").commit.entry is None


def test_nothing_relative_gets_in():
    assert all(
        q.subject.value.startswith("http")
        for s in sources(TOY)
        for q in read(s)
        if isinstance(q.subject, NamedNode)
    )


def test_shapes_are_read_again_when_a_file_changes_and_only_then(tmp_path):
    shutil.copytree(ROOT / "shapes", tmp_path / "shapes")
    first = load_shapes(tmp_path)
    assert load_shapes(tmp_path) is first
    file = next((tmp_path / "shapes").glob("*.ttl"))
    text = file.read_text("utf-8")
    file.write_text(f"{text}\n<http://example.org/s> <http://example.org/p> 1 .\n", "utf-8")
    assert load_shapes(tmp_path).digest != first.digest
    file.write_text(text, "utf-8")
    assert load_shapes(tmp_path).digest == first.digest
    (tmp_path / "shapes" / "more.ttl").write_text("<x:s> <x:p> 1 .", "utf-8")
    assert load_shapes(tmp_path).digest != first.digest
