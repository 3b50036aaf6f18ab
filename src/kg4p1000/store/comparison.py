"""Whether the published version holds what the change log says, however large both are."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pyoxigraph as ox
from pyoxigraph import DefaultGraph

from ..errors import StoreUnusable
from . import chain, changes, damage
from .bulk import Graph, difference, extend, sorted_lines
from .chain import Steps, Tell
from .graphs import merged_graphs

if TYPE_CHECKING:
    from .versions import Store


class Comparison:
    """The log of a store beside its published version.

    What the log says is made once more, on the disk, and compared graph by graph.
    """

    def __init__(self, store: Store, tell: Tell) -> None:
        self._store = store
        self._current = store.current
        self._log = store.path / "log"
        # Each byte of the log is verified and applied; to compare takes about twice as long.
        self._step = Steps(tell, 4 * chain.size(self._log))

    def findings(self) -> list[str]:
        """What is wrong, one sentence each; nothing when all is well.

        Only a log that is whole is compared with the version.
        """
        last = self._store.last
        findings = chain.foreign(self._log)
        faults = list(chain.faults(self._log, last, step=self._step))
        if self._current and not faults:
            try:
                with self._aside() as folder, damage.told(self._current):
                    findings += self._differences(folder)
            except StoreUnusable as e:
                findings.append(e.detail)
        self._step.end()
        return findings + faults

    def _differences(self, folder: Path) -> list[str]:
        said = ox.Store(str(folder / "database"))
        for number in range(1, self._current + 1):
            path = changes.entry_path(self._log, number)
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

    @contextmanager
    def _aside(self) -> Iterator[Path]:
        """A new folder beside the versions; those that a crash left there go.

        Where nothing may be written, it is one for temporary files.
        """
        versions = self._store.path / "versions"
        for leftover in versions.glob(".check-*"):
            with _locked(leftover) as ours:
                if ours:
                    shutil.rmtree(leftover, ignore_errors=True)
        beside = versions if self._store.writable else None
        folder = Path(tempfile.mkdtemp(prefix=".check-", dir=beside))
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
