"""Whether the published version holds what the change log says, however large both are."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyoxigraph as ox
from pyoxigraph import DefaultGraph, Quad

from ..errors import StoreUnusable
from . import changes
from .graphs import merged_graphs

if TYPE_CHECKING:
    from .versions import Store

#: Is told how far something is: what is done, and what there is to do.
Tell = Callable[[int, int], None]


def quiet(done: int, total: int) -> None:
    """Tell nobody."""


class Comparison:
    """The log of a store beside its published version.

    What the log says is made once more, on the disk, and compared quad by quad.
    """

    def __init__(self, store: Store, tell: Tell) -> None:
        self._store = store
        self._current = store.current
        self._paths = [changes.entry_path(store.path / "log", n + 1) for n in range(self._current)]
        there = sum(path.stat().st_size for path in self._paths if path.exists())
        # Each byte of the log is hashed and applied; to compare takes about twice as long.
        self._done, self._total = 0, 4 * there
        self._tell = tell

    def findings(self) -> list[str]:
        """What is wrong, one sentence each; nothing when all is well."""
        findings, whole = self._chain()
        if whole and self._current:
            with self._aside() as folder:
                findings += self._differences(folder)
        self._tell(self._total, self._total)
        return findings

    def _chain(self) -> tuple[list[str], bool]:
        """What is wrong with the entries themselves, and whether all can be read."""
        findings: list[str] = []
        previous = changes.GENESIS
        for number, path in enumerate(self._paths, 1):
            if not path.exists():
                return [*findings, f"Entry {number} is missing from the change log."], False
            try:
                entry = changes.read_entry(path)
            except StoreUnusable as e:
                return [*findings, e.detail], False
            if entry.previous != previous:
                findings.append(
                    f"Entry {number} does not follow entry {number - 1}: its hash differs."
                )
            previous = entry.digest
            self._step(path.stat().st_size)
        return findings, True

    def _differences(self, folder: Path) -> list[str]:
        said = ox.Store(str(folder))
        for path in self._paths:
            for part in changes.parts(path):
                for quad in part.removed:
                    said.remove(quad)
                said.extend(part.added)
            self._step(path.stat().st_size)
        with self._store.lease(self._current) as published:
            held = ox.Store.read_only(str(published))
            findings = []
            if not self._same(said, held):
                findings.append(f"Version {self._current} does not hold what the change log says.")
            if not _in_step(held):
                findings.append(
                    f"The default graph of version {self._current} is not the merge of the published"
                    " graphs."
                )
        return findings

    def _same(self, said: ox.Store, held: ox.Store) -> bool:
        expected = len(said)
        if expected != sum(1 for _ in _named(held)):
            return False
        step = self._total // 4 // max(1, expected)
        for quad in _named(held):
            if quad not in said:
                return False
            self._step(step)
        return True

    def _step(self, size: int) -> None:
        self._done = min(self._done + size, self._total)
        self._tell(self._done, self._total)

    @contextmanager
    def _aside(self) -> Iterator[Path]:
        """A new folder beside the versions; those that a crash left there go."""
        versions = self._store.path / "versions"
        for leftover in versions.glob(".check-*"):
            with _locked(leftover) as ours:
                if ours:
                    shutil.rmtree(leftover, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=".check-", dir=versions))
        with _locked(folder):
            try:
                yield folder / "database"
            finally:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Whether we could lock a folder, which then lasts as long as the context."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        ours = True
    except BlockingIOError:
        ours = False
    try:
        yield ours
    finally:
        os.close(fd)


def _named(database: ox.Store) -> Iterator[Quad]:
    """The quads of the named graphs."""
    return (quad for quad in database if not isinstance(quad.graph_name, DefaultGraph))


def _in_step(database: ox.Store) -> bool:
    """Whether the default graph is the merge of the registered graphs."""
    merged = merged_graphs(database)
    for graph in merged:
        for quad in database.quads_for_pattern(None, None, None, graph):
            if Quad(*quad.triple) not in database:
                return False
    for quad in database.quads_for_pattern(None, None, None, DefaultGraph()):
        homes = database.quads_for_pattern(*quad.triple, None)
        if not any(home.graph_name in merged for home in homes):
            return False
    return True
