"""Versions on disk: made aside, published by a rename, rebuilt from the log.

What this does not do: validate, infer or decide who may write (`curation` does).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import DefaultGraph, NamedNode, Quad, Triple

from ..errors import NotFound, StoreUnusable
from . import changes
from .changes import Delta, Entry
from .graphs import Row, merged_graphs, rows

#: From this many quads on, the loader that writes sorted files pays off.
_BULK = 20_000


class Store:
    """A folder of versions.

    Args:
        path: the folder; made when it is not there.

    Raises:
        StoreUnusable: the folder is something else, or its log does not add up.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._versions = path / "versions"
        self._log = path / "log"
        if path.exists() and any(path.iterdir()) and not self._log.is_dir():
            raise StoreUnusable(
                f"{path} has files in it and is not a store; choose another folder."
            )
        for folder in (self._versions, self._log, path / "builds"):
            folder.mkdir(parents=True, exist_ok=True)
        self._recover()

    # reading

    @property
    def current(self) -> int:
        """The number of the published version; 0 before the first."""
        try:
            return int((self.path / "current").read_text())
        except FileNotFoundError:
            return 0

    def entry(self, version: int | None = None) -> Entry:
        """The log entry of a version (default: the published one).

        Raises:
            NotFound: there is no such version.
        """
        number = self.current if version is None else version
        path = changes.entry_path(self._log, number)
        if not 0 < number <= self.current or not path.exists():
            raise NotFound(f"There is no version {number}; versions run from 1 to {self.current}.")
        return changes.read_entry(path, whole=False)

    def entries(self) -> list[Entry]:
        """The log, newest first."""
        return [self.entry(number) for number in range(self.current, 0, -1)]

    def delta(self, version: int) -> Delta:
        """What a version changed."""
        self.entry(version)
        return changes.read_delta(changes.entry_path(self._log, version))

    @contextmanager
    def lease(self, version: int) -> Iterator[Path]:
        """The database folder of a version, kept from pruning while the context lasts."""
        folder = self._folder(version)
        try:
            fd = os.open(folder, os.O_RDONLY)
        except FileNotFoundError as e:
            raise NotFound(f"There is no version {version}.") from e
        try:
            fcntl.flock(fd, fcntl.LOCK_SH)
            yield folder
        finally:
            os.close(fd)

    def quads(self, version: int | None = None) -> Iterator[Quad]:
        """The quads of the named graphs of a version, without the default graph made from them."""
        number = self.current if version is None else version
        if number == 0:
            return
        with self.lease(number) as folder:
            database = ox.Store.read_only(str(folder))
            for quad in database:
                if not isinstance(quad.graph_name, DefaultGraph):
                    yield quad

    def check(self) -> list[str]:
        """Compare log and versions; the findings, one sentence each, none when all is well."""
        findings: list[str] = []
        previous = changes.GENESIS
        state: set[Quad] = set()
        for number in range(1, self.current + 1):
            path = changes.entry_path(self._log, number)
            if not path.exists():
                return [*findings, f"Entry {number} is missing from the change log."]
            try:
                entry = changes.read_entry(path)
            except StoreUnusable as e:
                return [*findings, e.detail]
            if entry.previous != previous:
                findings.append(
                    f"Entry {number} does not follow entry {number - 1}: its hash differs."
                )
            previous = entry.digest
            delta = changes.read_delta(path)
            state = (state - delta.removed) | delta.added
        if self.current and set(self.quads()) != state:
            findings.append(f"Version {self.current} does not hold what the change log says.")
        return findings

    # writing

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """The next version, aside; thrown away unless the context publishes it.

        Only one draft is open at a time, in whichever process: others wait.
        """
        with self._lock():
            self._recover_locked()
            base = self.current
            aside = Path(tempfile.mkdtemp(prefix=".draft-", dir=self._versions))
            shutil.rmtree(aside)
            if base:
                with self.lease(base) as folder:
                    ox.Store.read_only(str(folder)).backup(str(aside))
            draft = Draft(self, base, aside, ox.Store(str(aside)))
            try:
                yield draft
            finally:
                draft.close()
                shutil.rmtree(aside, ignore_errors=True)

    def _publish(self, draft: Draft, author: str, message: str, source: str) -> Entry:
        number = draft.base + 1
        draft.close()
        previous = changes.GENESIS
        if draft.base:
            previous = changes.read_entry(changes.entry_path(self._log, draft.base)).digest
        entry = Entry(number, previous, author, changes.now(), message, source, 0, 0)
        entry = changes.write_entry(self._log, entry, draft.delta)
        os.rename(draft.folder, self._folder(number))
        changes.sync_folder(self._versions)
        self._point_to(number)
        return entry

    def _folder(self, version: int) -> Path:
        return self._versions / f"{version:08}"

    def _point_to(self, number: int) -> None:
        changes.write_durably(self.path / "current", f"{number}\n".encode())

    @contextmanager
    def _lock(self, wait: bool = True) -> Iterator[None]:
        fd = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield
        finally:
            os.close(fd)

    def _recover(self) -> None:
        try:
            with self._lock(wait=False):
                self._recover_locked()
        except BlockingIOError:
            pass  # whoever holds the lock is at work, and has recovered already

    def _recover_locked(self) -> None:
        """Finish a change that was logged, drop one that was not."""
        for leftover in self._versions.glob(".draft-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        logged = max((int(path.stem) for path in self._log.glob("[0-9]*.rdfp")), default=0)
        if logged and not self._folder(logged).exists():
            self._rebuild(logged)
        if logged != self.current:
            self._point_to(logged)

    def _rebuild(self, version: int) -> None:
        """Make a version again from the nearest one before it and the log."""
        base = version - 1
        while base and not self._folder(base).exists():
            base -= 1
        aside = Path(tempfile.mkdtemp(prefix=".draft-", dir=self._versions))
        shutil.rmtree(aside)
        if base:
            with self.lease(base) as folder:
                ox.Store.read_only(str(folder)).backup(str(aside))
        draft = Draft(self, base, aside, ox.Store(str(aside)))
        for number in range(base + 1, version + 1):
            draft.apply(changes.read_delta(changes.entry_path(self._log, number)))
        draft.close()
        os.rename(aside, self._folder(version))
        changes.sync_folder(self._versions)


@dataclass
class Draft:
    """The next version while it is made: change it, look at it, publish it."""

    store: Store
    base: int
    folder: Path
    _database: ox.Store | None
    delta: Delta = field(default_factory=Delta)

    @property
    def database(self) -> ox.Store:
        """The database of the draft while it is open."""
        if self._database is None:
            raise StoreUnusable("This draft is closed.")
        return self._database

    def apply(self, delta: Delta) -> Delta:
        """Remove and add quads, and keep the default graph in step.

        Returns:
            What really changed: quads that were there and went, or were not there and came.
        """
        database = self.database
        real = Delta(
            frozenset(q for q in delta.added if q not in database),
            frozenset(q for q in delta.removed - delta.added if q in database),
        )
        merged_before = merged_graphs(database)
        for quad in real.removed:
            database.remove(quad)
        _extend(database, real.added)
        self._merge(real, merged_before, merged_graphs(database))
        self.delta = Delta(
            (self.delta.added - real.removed) | (real.added - self.delta.removed),
            (self.delta.removed - real.added) | (real.removed - self.delta.added),
        )
        return real

    def _merge(self, real: Delta, before: set[NamedNode], after: set[NamedNode]) -> None:
        """Bring the default graph to the merge of the graphs in `after`."""
        database = self.database
        left = [q for g in before - after for q in database.quads_for_pattern(None, None, None, g)]
        left += [q for q in real.removed if q.graph_name in before]
        for quad in left:
            homes = database.quads_for_pattern(quad.subject, quad.predicate, quad.object, None)
            if not any(home.graph_name in after for home in homes):
                database.remove(Quad(quad.subject, quad.predicate, quad.object))
        entered = [
            q for g in after - before for q in database.quads_for_pattern(None, None, None, g)
        ]
        entered += [q for q in real.added if q.graph_name in after & before]
        _extend(database, (Quad(q.subject, q.predicate, q.object) for q in entered))

    def quads(self, graph: NamedNode | None = None) -> Iterator[Quad]:
        """The quads of one named graph, or of all (not of the default graph)."""
        for quad in self.database.quads_for_pattern(None, None, None, graph):
            if not isinstance(quad.graph_name, DefaultGraph):
                yield quad

    @property
    def merged(self) -> set[NamedNode]:
        """The graphs that the default graph is the merge of."""
        return merged_graphs(self.database)

    def triples(self) -> Iterator[Triple]:
        """The triples of the default graph."""
        default = DefaultGraph()
        return (q.triple for q in self.database.quads_for_pattern(None, None, None, default))

    def select(self, query: str) -> list[Row]:
        """Run a trusted SELECT query over the draft."""
        return list(rows(self.database.query(query)))

    def construct(self, query: str) -> Iterable[Triple]:
        """Run a trusted CONSTRUCT query over the draft."""
        return self.database.query(query)

    def publish(
        self, author: str, message: str, source: str, before: Callable[[int], None] | None = None
    ) -> Entry:
        """Accept the draft as the next version; when this returns it is on disk and visible.

        Args:
            author: who made the change, an IRI or a name.
            source: what kind of change it is: ``build``, ``update``, ``undo`` and so on.
            before: called with the number just before the log is written.
        """
        if before:
            before(self.base + 1)
        return self.store._publish(self, author, message, source)

    def close(self) -> None:
        """Let go of the database; the folder stays until the draft's context ends."""
        if self._database is not None:
            self._database.flush()
            self._database = None


def _extend(database: ox.Store, quads: Iterable[Quad]) -> None:
    batch = list(quads)
    if len(batch) >= _BULK:
        database.bulk_extend(batch)
        database.optimize()
    else:
        database.extend(batch)
