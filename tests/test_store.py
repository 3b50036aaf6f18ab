"""The store: versions, log, default graph, readers."""

import shutil
import subprocess
import sys
import threading
import time

import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import BlankNode, Literal, NamedNode, Quad

from kg4p1000.kernel.errors import NotFound, StoreUnusable
from kg4p1000.kernel.terms import iri
from kg4p1000.store import Delta, Readers, Store, backup, check, restore

REGISTER = iri("graph:graphs")
A, B, HIDDEN = iri("graph:a"), iri("graph:b"), iri("graph:hidden")
S, P = NamedNode("http://example.org/s"), NamedNode("http://example.org/p")


def registered(*graphs):
    return [Quad(g, iri("k4p:inDefaultGraph"), Literal(True), REGISTER) for g in graphs]


def publish(store, added=(), removed=(), message="a change"):
    with store.draft() as draft:
        draft.apply(Delta.of(added, removed))
        return store.publish(draft, "tester", message, "test")


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    publish(
        store, [*registered(A, B), Quad(S, P, Literal("one"), A), Quad(S, P, Literal("one"), B)]
    )
    return store


@pytest.fixture
def readers(store):
    readers = Readers(store, size=2, timeout=600, memory=300)
    yield readers
    readers.close()


def count(readers, pattern="?s <http://example.org/p> ?o", **options):
    result = readers.query(f"SELECT (COUNT(*) AS ?n) WHERE {{ {pattern} }}", **options)
    return int(result.json()["results"]["bindings"][0]["n"]["value"])


def test_a_published_version_is_the_current_one(store):
    assert store.current == 1
    assert publish(store, [Quad(S, P, Literal("two"), A)]).version == 2
    assert store.current == 2


def test_a_draft_that_is_not_published_leaves_no_trace(store):
    before = sorted(p.name for p in store.path.rglob("*"))
    with store.draft() as draft:
        draft.apply(Delta.of([Quad(S, P, Literal("two"), A)]))
    assert store.current == 1
    assert sorted(p.name for p in store.path.rglob("*")) == before


def test_a_draft_that_fails_leaves_no_trace(store):
    with pytest.raises(ZeroDivisionError), store.draft() as draft:
        draft.apply(Delta.of([Quad(S, P, Literal("two"), A)]))
        _ = 1 / 0
    assert store.current == 1
    assert not list((store.path / "versions").glob(".draft-*"))


def test_an_older_version_can_be_queried_again(store, readers):
    publish(store, [Quad(S, P, Literal("two"), A)])
    assert count(readers) == 2
    assert count(readers, version=1) == 1


def test_an_unknown_version_is_not_found(store, readers):
    with pytest.raises(NotFound):
        readers.query("ASK {}", version=7)


def test_a_triple_in_two_graphs_counts_once_in_the_default_graph(readers):
    assert count(readers) == 1


def test_a_triple_in_two_graphs_counts_once_in_a_dataset_of_both(readers):
    assert count(readers, default_graphs=[A.value, B.value], named_graphs=[]) == 1


def test_a_dataset_of_several_graphs_is_their_merge_each_time(store, readers):
    publish(
        store,
        [
            Quad(BlankNode("b1"), P, Literal("says _:b2"), A),
            Quad(BlankNode("b1"), P, Literal("two"), HIDDEN),
            Quad(S, P, Literal("one"), HIDDEN),
        ],
    )
    two, others = [A.value, HIDDEN.value], [B.value, HIDDEN.value]
    for _ in range(2):  # once made, and once kept
        assert count(readers, default_graphs=two, named_graphs=[]) == 3
        assert count(readers, default_graphs=others, named_graphs=[]) == 2
        assert count(readers, default_graphs=[A.value, B.value], named_graphs=[]) == 2
    joined = "?s <http://example.org/p> 'two' GRAPH ?g { ?s <http://example.org/p> ?o }"
    assert count(readers, joined, default_graphs=two, named_graphs=[A.value]) == 1
    assert count(readers, joined, default_graphs=two, named_graphs=[B.value]) == 0


def test_a_dataset_of_named_graphs_alone_has_an_empty_default_graph(readers):
    assert count(readers, named_graphs=[A.value]) == 0
    assert count(readers, "GRAPH ?g { ?s ?p ?o }", named_graphs=[A.value]) == 1


def test_a_triple_leaves_the_default_graph_with_its_last_home(store, readers):
    publish(store, removed=[Quad(S, P, Literal("one"), A)])
    assert count(readers) == 1
    publish(store, removed=[Quad(S, P, Literal("one"), B)])
    assert count(readers) == 0


def test_a_graph_that_is_not_registered_is_seen_by_name_only(store, readers):
    publish(store, [Quad(S, P, Literal("hidden"), HIDDEN)])
    assert count(readers) == 1
    assert count(readers, f"GRAPH <{HIDDEN.value}> {{ ?s ?p ?o }}") == 1


def test_registering_a_graph_brings_its_triples_into_the_default_graph(store, readers):
    publish(store, [Quad(S, P, Literal("hidden"), HIDDEN)])
    publish(store, registered(HIDDEN))
    assert count(readers) == 2
    publish(store, removed=registered(HIDDEN))
    assert count(readers) == 1


terms_ = st.sampled_from([Literal("x"), Literal("y"), S])
quads_ = st.builds(Quad, st.just(S), st.just(P), terms_, st.sampled_from([A, B, HIDDEN]))
changes_ = st.one_of(quads_, st.sampled_from(registered(A, B, HIDDEN)))


@given(st.lists(st.tuples(st.sets(changes_), st.sets(changes_)), max_size=6))
@settings(max_examples=settings().max_examples // 6)
def test_the_default_graph_is_always_the_merge_of_the_registered_graphs(tmp_path_factory, steps):
    store = Store(tmp_path_factory.mktemp("merge") / "store")
    with store.draft() as draft:
        for added, removed in steps:
            draft.apply(Delta.of(added, removed))
            quads = set(draft.quads())
            merged = {q.triple for q in quads if q.graph_name in draft.merged}
            assert set(draft.triples()) == merged
        assert draft.delta.added == set(draft.quads())
        assert not draft.delta.removed


literals = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(Literal),
    st.tuples(st.text("ab\"\\\n\t'", max_size=5), st.sampled_from(["en", "fr", "de-at"])).map(
        lambda t: Literal(t[0], language=t[1])
    ),
    st.integers().map(Literal),
)
odd_quads = st.builds(
    Quad,
    st.sampled_from([S, BlankNode("b1"), BlankNode("file-c14n0")]),
    st.just(P),
    literals,
    st.just(A),
)


@given(st.sets(odd_quads), st.sets(odd_quads))
@settings(max_examples=settings().max_examples // 8)
def test_blank_nodes_and_odd_literals_survive_log_and_rebuild(tmp_path_factory, first, second):
    path = tmp_path_factory.mktemp("odd") / "store"
    store = Store(path)
    publish(store, first)
    publish(store, second, first)
    told = set(store.quads())
    assert check(store) == []
    for folder in (path / "versions").iterdir():
        shutil.rmtree(folder)
    assert set(Store(path).quads()) == told == set(Delta.of(second).added)


def test_an_entry_names_author_message_and_counts(store):
    entry = publish(store, [Quad(S, P, Literal("two"), A)], message='says "hello"\nto all')
    assert (entry.author, entry.message, entry.added, entry.removed) == (
        "tester", 'says "hello"\nto all', 1, 0,
    )  # fmt: skip
    assert [e.version for e in store.entries()] == [2, 1]


def test_a_delta_reads_back_as_it_was_written(store):
    delta = Delta.of([Quad(S, P, Literal("two"), A)], [Quad(S, P, Literal("one"), B)])
    publish(store, delta.added, delta.removed)
    assert store.delta(2) == delta


def test_a_change_that_was_logged_is_finished_after_a_crash(store):
    publish(store, [Quad(S, P, Literal("two"), A)])
    shutil.rmtree(store.path / "versions" / "00000002")
    (store.path / "current").write_text("1\n")
    again = Store(store.path)
    assert again.current == 2
    assert Quad(S, P, Literal("two"), A) in set(again.quads())


def test_what_a_crash_left_aside_is_discarded(store):
    left = store.path / "versions" / ".draft-left"
    left.mkdir()
    Store(store.path)
    assert not left.exists()


def test_check_finds_a_log_that_was_tampered_with(store):
    publish(store, [Quad(S, P, Literal("two"), A)])
    entry = store.path / "log" / "00000001.rdfp"
    entry.write_text(entry.read_text().replace('"one"', '"uno"'))
    assert any("does not follow" in finding for finding in check(store))


def test_check_finds_a_version_that_differs_from_the_log(store):
    publish(store, [Quad(S, P, Literal("two"), A)])
    folder = store.path / "versions" / "00000002"
    database = ox.Store(str(folder))
    database.add(Quad(S, P, Literal("smuggled"), A))
    del database
    assert any("does not hold" in finding for finding in check(store))


@pytest.mark.parametrize("of", ["too much", "too little"])
def test_check_finds_a_default_graph_that_is_not_the_merge(store, of):
    publish(store, [Quad(S, P, Literal("two"), A)])
    database = ox.Store(str(store.path / "versions" / "00000002"))
    if of == "too much":
        database.add(Quad(S, P, Literal("smuggled")))
    else:
        database.remove(Quad(S, P, Literal("two")))
    del database
    (finding,) = check(store)
    assert "is not the merge" in finding


def test_check_finds_a_statement_that_stands_in_another_graph(store):
    publish(store, [Quad(S, P, Literal("two"), A)])
    database = ox.Store(str(store.path / "versions" / "00000002"))
    database.remove(Quad(S, P, Literal("two"), A))
    database.add(Quad(S, P, Literal("two"), NamedNode("http://example.org/elsewhere")))
    del database
    assert any("does not hold" in finding for finding in check(store))


def test_check_tells_how_far_it_is_and_leaves_nothing(store):
    publish(store, [Quad(S, P, Literal("two"), A)])
    left = store.path / "versions" / ".check-left"
    left.mkdir()
    told = []
    assert check(store, lambda done, total: told.append((done, total))) == []
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
    assert not list((store.path / "versions").glob(".check-*"))


def test_a_half_written_entry_is_refused(store):
    entry = store.path / "log" / "00000001.rdfp"
    entry.write_text(entry.read_text()[:-5])
    assert any("not complete" in finding for finding in check(store))


def test_a_folder_with_other_files_is_not_taken_for_a_store(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StoreUnusable, match="choose another folder"):
        Store(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def numbered(store, count):
    for i in range(count):
        publish(store, [Quad(S, P, Literal(i), A)])


def test_pruning_keeps_the_newest_versions_and_the_log_the_others(store, readers):
    numbered(store, 5)
    told = {n: set(store.quads(n)) for n in range(1, 7)}
    assert store.prune(keep=2) == [1, 2, 3, 4]
    assert [store.has(n) for n in range(1, 7)] == [False] * 4 + [True] * 2
    assert {n: set(store.quads(n)) for n in range(1, 7)} == told
    assert check(store) == []


def test_publishing_keeps_no_more_versions_than_may_be(store):
    few = Store(store.path, keep=2)
    for n in range(3):
        with few.draft() as draft:
            draft.apply(Delta.of([Quad(S, P, Literal(n), A)]))
            number = few.publish(draft, "t", "", "test").version
            assert [n for n in range(1, number + 1) if few.has(n)] == [number - 1, number]


def test_a_pruned_version_that_is_asked_for_is_made_again(store, readers):
    numbered(store, 3)
    store.prune(keep=1)
    assert [count(readers, version=n) for n in (1, 2, 3, 4)] == [1, 2, 3, 4]


def test_a_version_can_be_made_again_while_a_change_is_made(store):
    numbered(store, 3)
    told = set(store.quads(1))
    store.prune(keep=1)
    with store.draft() as draft:
        draft.apply(Delta.of([Quad(S, P, Literal("new"), A)]))
        assert set(store.quads(1)) == told
        assert store.publish(draft, "tester", "while", "test").version == 5


def test_a_version_that_is_read_is_not_pruned(store):
    numbered(store, 3)
    with store.lease(1) as folder:
        assert 1 not in store.prune(keep=1)
        assert folder.exists()
    assert 1 in store.prune(keep=1)


def test_a_backup_restores_to_the_same_store(store, tmp_path):
    numbered(store, 3)
    assert backup(store, tmp_path / "backup") == 4
    again = restore(tmp_path / "backup", tmp_path / "again")
    assert again.current == 4
    assert [set(again.quads(n)) for n in (1, 4)] == [set(store.quads(n)) for n in (1, 4)]


def test_a_backup_never_overwrites_and_a_broken_one_is_refused(store, tmp_path):
    backup(store, tmp_path / "backup")
    with pytest.raises(StoreUnusable, match="not empty"):
        backup(store, tmp_path / "backup")
    entry = tmp_path / "backup" / "log" / "00000001.rdfp"
    publish(store, [Quad(S, P, Literal("x"), A)])
    backup(store, tmp_path / "second")
    entry = tmp_path / "second" / "log" / "00000001.rdfp"
    entry.write_text(entry.read_text().replace('"one"', '"uno"'))
    with pytest.raises(StoreUnusable, match="not whole"):
        restore(tmp_path / "second", tmp_path / "again")
    with pytest.raises(StoreUnusable, match="not a backup"):
        restore(tmp_path, tmp_path / "third")


def test_the_size_counts_what_versions_share_once(store):
    before = store.size()
    (store.path / "versions" / "linked").hardlink_to(store.path / "log" / "00000001.rdfp")
    assert store.size() == before
    (store.path / "versions" / "linked").unlink()
    numbered(store, 1)
    assert store.size() > before


def test_writers_wait_for_each_other(store):
    order = []

    def write(name):
        with store.draft() as draft:
            order.append(f"{name} in")
            time.sleep(0.05)
            draft.apply(Delta.of([Quad(S, P, Literal(name), A)]))
            store.publish(draft, "tester", name, "test")
            order.append(f"{name} out")

    threads = [threading.Thread(target=write, args=(name,)) for name in "xyz"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.current == 4
    assert [order[i].split()[0] for i in (0, 2, 4)] == [order[i].split()[0] for i in (1, 3, 5)]


def test_a_killed_writer_leaves_the_store_as_it_was(store):
    script = (
        "import sys, time; from pathlib import Path\n"
        "from pyoxigraph import Literal, NamedNode, Quad\n"
        "from kg4p1000.store import Delta, Store\n"
        "with Store(Path(sys.argv[1])).draft() as d:\n"
        "    d.apply(Delta.of([Quad(NamedNode('x:s'), NamedNode('x:p'), Literal('lost'), NamedNode('x:g'))]))\n"
        "    print('ready', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(store.path)], stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "ready\n"
        child.kill()
    again = Store(store.path)
    assert again.current == 1
    assert not list((store.path / "versions").glob(".draft-*"))
    assert publish(again, [Quad(S, P, Literal("two"), A)]).version == 2
