"""Whether the published version holds what the change log says, however large both are."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyoxigraph as ox
from pyoxigraph import DefaultGraph

from ..errors import StoreUnusable
from . import changes
from .bulk import Graph, difference, extend, sorted_lines
from .graphs import merged_graphs

if TYPE_CHECKING:
    from .versions import Store

#: Is told how far something is: what is done, and what there is to do.
Tell = Callable[[int, int], None]


def quiet(done: int, total: int) -> None:
    """Tell nobody."""


class Comparison:
    """The log of a store beside its published version.

    What the log says is made once more, on the disk, and compared graph by graph.
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

    def of_the_log(self) -> list[str]:
        """What is wrong with the log alone."""
        return self._chain()[0]

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
        said = ox.Store(str(folder / "database"))
        for path in self._paths:
            for part in changes.parts(path):
                for quad in part.removed:
                    said.remove(quad)
                extend(said, part.added)
            self._step(path.stat().st_size)
        with self._store.lease(self._current) as published:
            held = ox.Store.read_only(str(published))
            findings = []
            if not self._same(said, held, folder):
                findings.append(f"Version {self._current} does not hold what the change log says.")
            if not self._in_step(held, folder):
                findings.append(
                    f"The default graph of version {self._current} is not the merge of the published"
                    " graphs."
                )
        return findings

    def _same(self, said: ox.Store, held: ox.Store, folder: Path) -> bool:
        """Whether two databases hold the same in their named graphs."""
        graphs = set(said.named_graphs()) | set(held.named_graphs())
        return all(self._equal(folder, (said, [g]), (held, [g])) for g in graphs)

    def _in_step(self, held: ox.Store, folder: Path) -> bool:
        """Whether the default graph is the merge of the registered graphs."""
        return self._equal(folder, (held, merged_graphs(held)), (held, [DefaultGraph()]))

    def _equal(self, folder: Path, *sides: tuple[ox.Store, Iterable[Graph]]) -> bool:
        """Whether the merges of some graphs on two sides have the same triples."""
        files = [folder / "one", folder / "other"]
        for path, (database, graphs) in zip(files, sides, strict=True):
            with open(path, "wb") as file:
                for graph in graphs:
                    database.dump(file, format=ox.RdfFormat.N_TRIPLES, from_graph=graph)
        self._step(files[0].stat().st_size)
        return not any(True for _ in difference(*map(sorted_lines, files)))

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
                yield folder
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
