"""Versions whose databases were deleted: made again from the log, in the background for the service."""

import re
import subprocess
import sys
import threading
import time

import pytest
from pyoxigraph import Literal, Quad

from kg4p1000.kernel.errors import BeingRebuilt, NotFound, StoreUnusable
from kg4p1000.kernel.settings import Settings
from kg4p1000.kernel.terms import iri
from kg4p1000.store import Delta, Readers, Rebuilds, Store
from kg4p1000.web import create_app

GRAPH = iri("graph:a")
COUNT = "SELECT (COUNT(*) AS ?n) WHERE { ?s k4p:number ?o }"
REGISTERED = Quad(GRAPH, iri("k4p:inDefaultGraph"), Literal(True), iri("graph:graphs"))


@pytest.fixture
def store(tmp_path):
    """Four versions with one to four numbers in them, of which only the last has a database."""
    store = Store(tmp_path / "store")
    for n in range(1, 5):
        with store.draft() as draft:
            number = Quad(iri("activity:A1.1"), iri("k4p:number"), Literal(n), GRAPH)
            draft.apply(Delta.of([REGISTERED, number]))
            store.publish(draft, "Ada", f"number {n}", "update")
    assert store.prune(1) == [1, 2, 3]
    return store


@pytest.fixture
def web(store, library):
    readers = Readers(store, size=2, timeout=600, memory=300, rebuilds=Rebuilds(store, 2))
    yield create_app(Settings(store=store.path), store, readers, library).test_client()
    readers.close()


def ask(web, version, accept="application/sparql-results+json"):
    return web.get(
        "/sparql", query_string={"query": COUNT, "version": version}, headers={"Accept": accept}
    )


def answer(web, version, seconds=300):
    """The answer when it is there; each answer before it is a 503 that says when to come back."""
    until = time.monotonic() + seconds
    while (response := ask(web, version)).status_code == 503:
        assert response.json["type"].endswith("/being-rebuilt")
        assert int(response.headers["Retry-After"]) >= 1
        assert time.monotonic() < until
        time.sleep(0.05)
    return int(response.json["results"]["bindings"][0]["n"]["value"])


def test_a_pruned_version_is_a_503_until_it_is_there(web, store):
    began = time.monotonic()
    first = ask(web, 2)
    assert time.monotonic() - began < 10
    assert first.status_code == 503
    assert first.json["version"] == 2
    assert answer(web, 2) == 2
    assert store.has(2)
    assert ask(web, 4).status_code == 200


def test_a_page_of_a_pruned_version_comes_by_itself(web):
    response = ask(web, 3, "text/html")
    assert response.status_code == 503
    assert response.headers["Refresh"] == response.headers["Retry-After"]


def test_versions_are_made_one_after_another(web, store):
    rebuilds = web.application.extensions["kg4p1000"].readers._rebuilds
    with store.lock("rebuilding"):  # so that the first is still being made
        assert ask(web, 1).status_code == 503
        process = rebuilds._worker
        assert ask(web, 1).status_code == 503
        assert "version 1, which is first" in ask(web, 2).json["detail"]
        assert rebuilds._worker is process
    assert [answer(web, n) for n in (1, 2)] == [1, 2]


def test_a_dump_of_a_pruned_version_waits_its_turn_too(web):
    assert web.get("/dumps/1.nq.gz").status_code == 503
    assert answer(web, 1) == 1
    assert web.get("/dumps/1.nq.gz").data[:2] == b"\x1f\x8b"


def test_what_is_made_again_counts_among_those_that_are_kept(web, store):
    for version in (1, 2, 3):
        assert answer(web, version) == version
    assert eventually(lambda: sum(store.has(n) for n in range(1, 5)) <= 2)
    assert store.has(4)


def eventually(true, seconds=120):
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return true()


def test_a_version_that_never_was_is_not_made(store):
    with pytest.raises(NotFound):
        Rebuilds(store, 2).need(9)


def test_a_version_that_cannot_be_made_says_why(store):
    entry = store.log_path(4)
    text = entry.read_text()
    entry.write_text(re.sub(r"^A .*", "A nonsense .", text, flags=re.M))
    rebuilds = Rebuilds(store, 2)
    with pytest.raises(BeingRebuilt):
        rebuilds.need(3)
    assert eventually(lambda: rebuilds._worker is None)
    with pytest.raises(StoreUnusable, match="could not be made again"):
        rebuilds.need(3)
    entry.write_text(text)
    rebuilds._failed.clear()
    with pytest.raises(BeingRebuilt):
        rebuilds.need(3)
    assert eventually(lambda: store.has(3))
    rebuilds.need(3)


def test_who_asks_on_the_command_line_waits(store):
    done = subprocess.run(
        [sys.executable, "-m", "kg4p1000.cli", "query", "--version", "1", "--format", "csv",
         "--sparql", COUNT, "--store", str(store.path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["n", "1"]


def test_two_who_wait_for_the_same_version_make_it_once(store):
    told = []
    threads = [
        threading.Thread(target=store.ensure, args=(1, lambda *how: told.append(how)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.has(1)
    assert [done for done, total in told if done == total] == [told[-1][0]]


def test_what_it_starts_from_may_go_while_it_is_made(store, monkeypatch):
    store.ensure(2)
    way, calls = store.way_to, []

    def meanwhile(version):
        found = way(version)
        if not calls:
            calls.append(found)
            assert store._delete(store._folder(found[0]))
        return found

    monkeypatch.setattr(store, "way_to", meanwhile)
    store.ensure(1)
    assert calls[0][0] == 2
    assert {q.object.value for q in store.quads(1)} == {"1", "true"}
