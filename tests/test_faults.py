"""Killed at random points under load: what was acknowledged is there, and nothing is half done."""

import random
import threading
import time

import pytest

from kg4p1000.curation.access import Role
from kg4p1000.curation.writer import Writer
from kg4p1000.kernel.errors import KgError
from kg4p1000.store import Readers, Store, check

pytestmark = pytest.mark.slow
KILLS = 12
INSERT = 'INSERT DATA { GRAPH graph:notes { activity:A4.2 skos:editorialNote "note %d a"@en , "note %d b"@en } }'


@pytest.fixture(scope="module")
def graph(toy_store):
    return toy_store()


def killer(victim, stop, seed):
    """Kill a process every now and then; `victim` gives the one that is alive."""
    chance = random.Random(seed)
    for _ in range(KILLS):
        if stop.wait(chance.uniform(0.05, 0.6)):
            return
        process = victim()
        if process is not None:
            process.kill()


def test_every_acknowledged_change_survives_kills_of_the_writer(graph, toy_settings):
    writer = Writer(graph.path, toy_settings.files, 30, 4096)
    stop = threading.Event()
    thread = threading.Thread(
        target=killer, args=(lambda: writer._worker and writer._worker.process, stop, 1)
    )
    thread.start()
    acknowledged, refused, number = [], 0, 0
    until = time.monotonic() + 60
    while thread.is_alive() and time.monotonic() < until:
        number += 1
        try:
            writer.change(
                kind="update", text=INSERT % (number, number), author="t", role=Role.ADMIN
            )
            acknowledged.append(number)
        except KgError:
            refused += 1
    stop.set()
    thread.join()
    writer.change(kind="update", text=INSERT % (0, 0), author="t", role=Role.ADMIN)
    writer.close()
    assert refused, "nothing was killed while it was at work"
    again = Store(graph.path)
    notes = {q.object.value for q in again.quads() if "editorialNote" in q.predicate.value}
    for n in (0, *acknowledged):
        assert {f"note {n} a", f"note {n} b"} <= notes
    halves = [n for n in range(number + 1) if len({f"note {n} a", f"note {n} b"} & notes) == 1]
    assert halves == []
    assert check(again) == []
    # What detects overlaps anew after a change may still be at work.
    until = time.monotonic() + 300
    while list((graph.path / "versions").glob(".draft-*")):
        assert time.monotonic() < until, "a draft was left behind"
        time.sleep(0.1)
        Store(graph.path)


def test_queries_go_on_while_readers_are_killed(graph):
    readers = Readers(graph, size=2, timeout=600, memory=300)
    stop = threading.Event()

    def victim():
        running = readers.running()
        reader = running[0].worker if running else None
        return reader.process if reader else None

    query = "SELECT ?s ?p ?o WHERE { ?s ?p ?o } LIMIT 3000"
    whole = len(readers.query(query).read())
    thread = threading.Thread(target=killer, args=(victim, stop, 2))
    thread.start()
    told = {"whole": 0, "failed": 0}
    while thread.is_alive():
        try:
            assert len(readers.query(query).read()) == whole
            told["whole"] += 1
        except KgError:
            told["failed"] += 1
    thread.join()
    assert told["whole"]
    assert told["failed"]
    assert len(readers.query(query).read()) == whole
    assert readers.lanes.occupancy.fast == 0
    readers.close()
