"""Readers: limits that hold for every query shape, lanes, queue, and what a client is told."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest
from pyoxigraph import Literal, NamedNode, Quad

from kg4p1000.kernel.errors import (
    BadParameter,
    Busy,
    EngineFault,
    Killed,
    MalformedQuery,
    MemoryLimit,
    NotFound,
    TimeLimit,
    TooDeep,
)
from kg4p1000.kernel.terms import iri
from kg4p1000.store import Delta, Readers, Store
from kg4p1000.store import readers as pool

ROOT = Path(__file__).parent.parent
A = iri("graph:a")
S, P = NamedNode("http://example.org/s"), NamedNode("http://example.org/p")
ROWS = 200


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A chain of nodes, so that every kind of runaway has something to run over."""
    store = Store(tmp_path_factory.mktemp("readers") / "store")
    nodes = [NamedNode(f"http://example.org/n{i}") for i in range(ROWS)]
    quads = [Quad(a, P, b, A) for a in nodes for b in nodes[:20]]
    quads += [
        Quad(n, NamedNode("http://example.org/label"), Literal("a" * 30 + str(i)), A)
        for i, n in enumerate(nodes)
    ]
    quads.append(Quad(A, iri("k4p:inDefaultGraph"), Literal(True), iri("graph:graphs")))
    with store.draft() as draft:
        draft.apply(Delta.of(quads))
        store.publish(draft, "tester", "a chain", "test")
    return store


@pytest.fixture
def readers(store):
    readers = Readers(store, size=2, timeout=120, memory=300)
    yield readers
    readers.close()


@pytest.fixture
def impatient(store):
    """Readers whose limit of time is short."""
    readers = Readers(store, size=2, timeout=1, memory=300)
    yield readers
    readers.close()


def point(readers, **options):
    """Ask for one label, which is given all the time that a busy machine may take."""
    found = readers.query(
        "SELECT ?o WHERE { <http://example.org/n7> <http://example.org/label> ?o }",
        **{"timeout": 120, **options},
    )
    return found.json()["results"]["bindings"][0]["o"]["value"]


LABEL = "a" * 30 + "7"


#: Shapes of queries that have no end in sight; a new file is a new test.
RUNAWAYS = {
    path.stem: path.read_text(encoding="utf-8").strip()
    for path in sorted((Path(__file__).parent / "fixtures" / "runaways").glob("*.rq"))
}


#: Those that every run of the tests tries.
USUAL = {"cross-product", "string-blow-up"}


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(query, id=name, marks=[] if name in USUAL else pytest.mark.slow)
        for name, query in RUNAWAYS.items()
    ],
)
def test_a_runaway_query_is_stopped_and_the_next_one_answered(impatient, query):
    with pytest.raises((TimeLimit, MemoryLimit)):
        impatient.query(query).read()
    assert point(impatient) == LABEL


def test_a_query_that_takes_too_much_memory_is_stopped(store):
    readers = Readers(store, size=1, timeout=600, memory=100)
    with pytest.raises(MemoryLimit) as caught:
        readers.query(RUNAWAYS["string-blow-up"]).read()
    assert caught.value.members == {"limit_megabytes": 100}
    readers.close()


def test_a_reader_that_died_while_idle_is_replaced(readers):
    assert point(readers) == LABEL
    (idle,) = readers._idle
    os.kill(idle.process.pid, signal.SIGKILL)
    idle.process.wait()
    assert point(readers) == LABEL


def test_a_syntax_error_has_line_and_column(readers):
    with pytest.raises(MalformedQuery) as caught:
        readers.query("SELECT *\nWHERE { ?s ?p }")
    assert (caught.value.members["line"], caught.value.members["column"]) == (2, 16)


def test_a_binding_for_a_variable_that_is_not_there_is_refused(readers):
    with pytest.raises(BadParameter):
        readers.query("SELECT ?s WHERE { ?s ?p ?o }", bindings={"missing": S})


def test_a_binding_is_a_term_and_never_query_text(readers):
    hostile = Literal('x" } UNION { ?s ?p ?o } #')
    found = readers.query("SELECT ?s ?o WHERE { ?s ?p ?o }", bindings={"o": hostile}).json()
    assert found["results"]["bindings"] == []


def in_background(readers, query, outcomes):
    def ask():
        try:
            outcomes.append(len(readers.query(query).read()))
        except Exception as e:  # the outcome is what is looked at
            outcomes.append(type(e))

    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def wait_until(condition, seconds=120):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


@pytest.mark.slow
def test_eight_runaways_at_once_are_all_stopped_and_short_queries_pass_them(store):
    readers = Readers(store, size=4, timeout=8, memory=300)
    outcomes = []
    threads = [in_background(readers, RUNAWAYS["cross-product"], outcomes) for _ in range(8)]
    wait_until(lambda: readers.lanes.occupancy.slow >= 2)
    assert point(readers) == LABEL
    assert len(readers.running()) >= 2
    for thread in threads:
        thread.join()
    assert outcomes == [TimeLimit] * 8
    assert readers.lanes.occupancy == type(readers.lanes.occupancy)(0, 0, 0)
    assert readers.running() == []
    readers.close()


def test_no_reader_process_outlives_its_runaway(store):
    readers = Readers(store, size=1, timeout=6, memory=300)
    result = readers.query(RUNAWAYS["streamed-cross-product"])
    process = result.worker.process
    with pytest.raises(TimeLimit):
        result.read()
    assert process.poll() == -signal.SIGALRM
    readers.close()


def test_a_result_that_was_cut_raises_after_its_first_bytes(impatient):
    chunks = impatient.query(RUNAWAYS["streamed-cross-product"], form="csv").chunks()
    assert next(chunks).startswith(b"a0,a1,a2")
    with pytest.raises(TimeLimit):
        for _ in chunks:
            pass


def test_a_full_queue_refuses_at_once_and_says_when_to_try_again(store):
    readers = Readers(store, size=1, timeout=2, memory=300, queue=0, slow=0)
    outcomes = []
    thread = in_background(readers, RUNAWAYS["cross-product"], outcomes)
    wait_until(lambda: readers.lanes.occupancy.fast == 1)
    with pytest.raises(Busy) as caught:
        point(readers)
    assert caught.value.members["retry_after"] > 0
    thread.join()
    assert point(readers) == LABEL
    readers.close()


@pytest.mark.slow
def test_where_no_place_is_free_a_query_makes_room_before_its_time(store, monkeypatch):
    monkeypatch.setattr(pool, "FAST", 60)
    readers = Readers(store, size=1, timeout=8, memory=300)
    outcomes = []
    thread = in_background(readers, RUNAWAYS["cross-product"], outcomes)
    wait_until(readers.running)
    assert point(readers) == LABEL
    assert [result.slow for result in readers.running()] == [True]
    thread.join()
    assert outcomes == [TimeLimit]
    readers.close()


def test_where_no_place_is_free_and_the_slow_lane_is_full_a_query_goes_on(store, monkeypatch):
    monkeypatch.setattr(pool, "FAST", 60)
    readers = Readers(store, size=1, timeout=1, memory=300, slow=0)
    with pytest.raises(TimeLimit):
        readers.query(RUNAWAYS["cross-product"]).read()
    readers.close()


def test_a_long_query_is_refused_when_the_slow_lane_is_full(store):
    readers = Readers(store, size=2, timeout=3, memory=300, slow=1)
    outcomes = []
    threads = [in_background(readers, RUNAWAYS["cross-product"], outcomes) for _ in range(2)]
    for thread in threads:
        thread.join()
    assert sorted(outcome.__name__ for outcome in outcomes) == ["Busy", "TimeLimit"]
    readers.close()


def test_a_running_query_can_be_listed_and_killed(readers):
    outcomes = []
    thread = in_background(readers, RUNAWAYS["cross-product"], outcomes)
    wait_until(readers.running)
    (running,) = readers.running()
    assert running.text == RUNAWAYS["cross-product"]
    readers.kill(running.id)
    thread.join()
    assert outcomes == [Killed]
    with pytest.raises(NotFound):
        readers.kill(running.id)


def test_a_result_that_nobody_reads_on_stops_its_query(store):
    readers = Readers(store, size=1, timeout=120, memory=300)
    chunks = readers.query(RUNAWAYS["streamed-cross-product"]).chunks()
    next(chunks)
    chunks.close()
    wait_until(lambda: readers.lanes.occupancy.fast == 0)
    assert point(readers) == LABEL
    readers.close()


def test_another_limit_can_be_asked_for(readers):
    for limit in (0.2, 1.5):
        with pytest.raises(TimeLimit) as caught:
            readers.query(RUNAWAYS["cross-product"], timeout=limit)
        assert caught.value.members == {"limit_seconds": limit}


def test_a_query_nested_too_deeply_harms_nobody(readers):
    deep = "SELECT * WHERE { ?s ?p ?o FILTER(" + "(" * 100_000 + "1" + ")" * 100_000 + ") }"
    with pytest.raises((TooDeep, MalformedQuery, TimeLimit)):
        readers.query(deep)
    assert point(readers) == LABEL


@pytest.mark.slow
def test_a_slow_reader_of_a_result_is_not_cut_by_the_time_limit(store):
    readers = Readers(store, size=1, timeout=6, memory=300)
    chunks = readers.query("SELECT * WHERE { ?a ?b ?c . ?c ?d ?e } LIMIT 20000").chunks()
    first = next(chunks)
    time.sleep(6.5)
    whole = first + b"".join(chunks)
    assert whole.endswith(b"}")
    readers.close()


@pytest.mark.slow
def test_a_fault_of_the_engine_is_not_called_a_limit(own, tmp_path):
    """Oxigraph panics when it sorts terms of some kinds together; the answer says that it failed."""
    store = own(tmp_path / "store")
    # Whether the engine sees it depends on the values and their order, so several sets are tried.
    names = sorted({q.graph_name.value for q in store.quads()})
    readers = Readers(store, size=1, timeout=200, memory=1024)
    fault = None
    try:
        for seed in range(60):
            graphs = ", ".join(f"<{name}>" for name in random.Random(seed).sample(names, 4))
            pattern = f"GRAPH ?g {{ ?s ?p ?o }} FILTER(?g IN ({graphs}))"
            try:
                readers.query(f"SELECT ?o WHERE {{ {pattern} }} ORDER BY ?o").read()
            except EngineFault as e:
                fault = e
                break
        assert fault and "ORDER BY" in fault.detail
        assert readers.query("ASK {}").json()["boolean"]
    finally:
        readers.close()
