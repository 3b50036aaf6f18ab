"""A disk that is really full: a small file system in memory, filled to the last byte."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from pyoxigraph import Literal, NamedNode, Quad

from kg4p1000.curation.access import Role, Tokens
from kg4p1000.curation.build import build
from kg4p1000.curation.writer import Writer
from kg4p1000.kernel.errors import BeingRebuilt, DiskFull, StoreUnusable
from kg4p1000.kernel.settings import Settings
from kg4p1000.kernel.terms import iri
from kg4p1000.store import Delta, Readers, Rebuilds, Store, backup, check, restore
from kg4p1000.web import create_app

pytestmark = pytest.mark.slow
NOTES = iri("graph:notes")
NOTE = 'INSERT DATA { GRAPH graph:notes { activity:A4.2 skos:editorialNote "%s"@en } }'
ALL = "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }"


@pytest.fixture
def small(tmp_path):
    """A file system of 400 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=400m", "none", folder],
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small file system can be mounted by root alone")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def graph(small, store):
    """The real graph in that file system."""
    shutil.copytree(store.path, small / "store")
    return Store(small / "store")


def fill(folder: Path, leave: int = 0) -> Path:
    """Fill the file system, but for some bytes."""
    filler = folder / "filler"
    with open(filler, "ab", buffering=0) as file:
        while True:
            left = os.statvfs(folder)
            free = left.f_bavail * left.f_frsize - leave
            if free <= 0:
                break
            os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), free)
    return filler


def many(count):
    """More statements than fit into what is left."""
    return [
        Quad(NamedNode(f"http://example.org/s{i}"), iri("skos:note"), Literal("x" * 200), NOTES)
        for i in range(count)
    ]


def publish(graph, quads):
    with graph.draft() as draft:
        draft.apply(Delta.of(quads))
        return graph.publish(draft, "t", "", "test")


def count(readers):
    return readers.query(ALL).json()["results"]["bindings"][0]["n"]["value"]


def aside(graph):
    """What is there of changes that were not finished."""
    return [p.name for p in graph.path.rglob(".*")]


@pytest.mark.parametrize("left", [0, 100_000, 2_000_000])
def test_a_change_without_room_is_refused_and_leaves_nothing(graph, small, left):
    readers = Readers(graph, size=1, timeout=600, memory=512)
    before, log = count(readers), sorted((graph.path / "log").iterdir())
    filler = fill(small, left)
    with pytest.raises(DiskFull, match="no room left"):
        publish(graph, many(25_000))
    readers.close()
    readers = Readers(graph, size=1, timeout=600, memory=512)  # a new process, on the full disk
    assert (graph.current, count(readers)) == (1, before)
    assert sorted((graph.path / "log").iterdir()) == log
    assert aside(graph) == []
    filler.unlink()
    assert publish(graph, many(25_000)).version == graph.current == 2
    assert int(count(readers)) == int(before) + 25_000
    readers.close()
    assert check(graph) == []


def test_a_build_without_room_is_refused(small, settings):
    empty = Store(small / "store")
    filler = fill(small, 3_000_000)
    with pytest.raises(DiskFull):
        build(empty, settings.files, author="t")
    assert empty.current == 0
    filler.unlink()
    assert build(empty, settings.files, author="t").commit.entry.version == 1
    assert check(empty) == []


def test_acceptance_needs_no_more_room_than_was_taken_before(graph, small):
    """However much is left, a change is made whole or not at all, and what is said of it is true."""
    told = set()
    for left in range(0, 16_000_000, 1_000_000):
        before = graph.current
        filler = fill(small, left)
        note = Quad(iri("activity:A4.2"), iri("skos:note"), Literal(f"left {left}"), NOTES)
        try:
            entry = publish(graph, [note])
            assert entry.version == graph.current == before + 1
            told.add("made")
        except DiskFull:
            assert Store(graph.path).current == before
            told.add("refused")
        filler.unlink()
        assert aside(graph) == []
    assert told == {"made", "refused"}
    assert check(graph) == []


def test_a_change_by_http_without_room_is_a_507(graph, small, library):
    settings = Settings(store=graph.path)
    readers = Readers(graph, size=1, timeout=600, memory=512)
    app = create_app(settings, graph, readers, library)
    token = Tokens(graph.path / "tokens.json").create("Ada", "admin")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sparql-update"}
    web = app.test_client()
    filler = fill(small)
    refused = web.post("/update", data=NOTE % "one", headers=headers)
    assert refused.status_code == 507
    assert refused.json["type"].endswith("/disk-full")
    assert web.get("/sparql", query_string={"query": ALL}).status_code == 200
    assert web.get("/health").status_code == 200
    filler.unlink()
    assert web.post("/update", data=NOTE % "two", headers=headers).json["version"] == 2
    app.extensions["kg4p1000"].writer.close()
    readers.close()


def test_a_result_without_room_ends_as_a_fault_and_the_next_is_answered(graph, small, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(small))
    readers = Readers(graph, size=1, timeout=600, memory=512)
    filler = fill(small)
    result = readers.query("SELECT * WHERE { ?s ?p ?o . ?s ?q ?r }")
    with pytest.raises(DiskFull):
        while not result.wait():  # as for who waits for the whole of it
            pass
    assert readers.lanes.occupancy.fast == readers.lanes.occupancy.slow == 0
    assert int(count(readers)) > 1000
    filler.unlink()
    some = readers.query("SELECT * WHERE { ?s ?p ?o . ?s ?q ?r } LIMIT 100000").read()
    assert len(some) > 10_000_000
    readers.close()


def test_pruning_and_backup_on_a_full_disk(graph, small, settings, tmp_path):
    writer = Writer(graph.path, settings.files, 60, 4096)
    writer.change(kind="update", text=NOTE % "a note", author="t", role=Role.ADMIN)
    writer.close()
    fill(small)
    with pytest.raises(DiskFull):
        backup(graph, small / "backup")
    assert not (small / "backup").exists()
    assert backup(graph, tmp_path / "elsewhere") == 2
    assert graph.prune(1) == [1]
    shutil.rmtree(tmp_path / "elsewhere")


def test_a_pruned_version_without_room_is_told_so(graph, small, settings):
    writer = Writer(graph.path, settings.files, 60, 4096)
    writer.change(kind="update", text=NOTE % "a note", author="t", role=Role.ADMIN)
    writer.close()
    graph.prune(1)
    filler = fill(small)
    with pytest.raises(DiskFull, match="version 1"):
        graph.ensure(1)
    rebuilds = Rebuilds(graph, 5)
    with pytest.raises(BeingRebuilt):
        rebuilds.need(1)
    while rebuilds._worker is not None:
        time.sleep(0.05)
    with pytest.raises(StoreUnusable, match="no room left"):
        rebuilds.need(1)
    filler.unlink()
    graph.ensure(1)
    assert aside(graph) == []


def test_a_start_on_a_full_disk_serves_what_is_published(graph, small):
    with graph.draft() as draft:
        draft.apply(Delta.of(many(10)))
        graph.publish(draft, "t", "", "test")
    shutil.rmtree(graph.path / "versions" / "00000002")  # as after a crash
    (graph.path / "current").write_text("1\n")
    filler = fill(small)
    again = Store(graph.path)
    assert again.current == 1
    assert len(list(again.quads())) > 1000
    filler.unlink()
    assert Store(graph.path).current == 2


def test_a_restoration_without_room_leaves_nothing(graph, small, tmp_path):
    backup(graph, tmp_path / "backup")
    filler = fill(
        small, 3_000_000 + sum(p.stat().st_size for p in (tmp_path / "backup").rglob("*"))
    )
    with pytest.raises(DiskFull, match="no room left"):
        restore(tmp_path / "backup", small / "new")
    assert not (small / "new").exists()
    filler.unlink()
    assert check(restore(tmp_path / "backup", small / "new")) == []
