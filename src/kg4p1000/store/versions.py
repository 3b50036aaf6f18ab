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
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Triple

from ..errors import NotFound, StoreUnusable
from . import changes
from .changes import Delta, Entry
from .graphs import Row, merged_graphs, rows

#: From this many quads on, the loader that writes sorted files pays off.
_BULK = 20_000
_DEFAULT = (DefaultGraph(),)

Term = NamedNode | BlankNode | Literal | Triple
Graph = NamedNode | DefaultGraph


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
        self._pointer = str(path / "current")
        self._seen = (0, 0, 0)
        self._entries: dict[int, Entry] = {}  # an entry never changes
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
            # Asked for at every request: the file is replaced, never changed, so its inode tells.
            stat = os.stat(self._pointer)  # noqa: PTH116 - three times as fast as by Path
        except FileNotFoundError:
            return 0
        seen = (stat.st_ino, stat.st_mtime_ns)
        if seen != self._seen[:2]:
            with open(self._pointer, encoding="ascii") as file:
                self._seen = (*seen, int(file.read()))
        return self._seen[2]

    def entry(self, version: int | None = None) -> Entry:
        """The log entry of a version (default: the published one).

        Raises:
            NotFound: there is no such version.
        """
        number = self.current if version is None else version
        if number not in self._entries:
            path = changes.entry_path(self._log, number)
            if not 0 < number <= self.current or not path.exists():
                raise NotFound(
                    f"There is no version {number}; versions run from 1 to {self.current}."
                )
            self._entries[number] = changes.read_entry(path, whole=False)
        return self._entries[number]

    def entries(self) -> list[Entry]:
        """The log, newest first."""
        return [self.entry(number) for number in range(self.current, 0, -1)]

    def log_path(self, version: int) -> Path:
        """Where the log entry of a version stands."""
        self.entry(version)
        return changes.entry_path(self._log, version)

    def delta(self, version: int) -> Delta:
        """What a version changed."""
        return changes.read_delta(self.log_path(version))

    @contextmanager
    def lease(self, version: int) -> Iterator[Path]:
        """The database folder of a version, kept from pruning while the context lasts.

        A version that was pruned is made again from the log first.

        Raises:
            NotFound: there is no such version.
        """
        folder = self._folder(version)
        while True:
            fd = self._open(version)
            fcntl.flock(fd, fcntl.LOCK_SH)
            if os.fstat(fd).st_nlink:  # not pruned between the opening and the lock
                break
            os.close(fd)
        try:
            os.utime(folder)  # what is in use is pruned last
            yield folder
        finally:
            os.close(fd)

    def _open(self, version: int) -> int:
        folder = self._folder(version)
        try:
            return os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            self.entry(version)
        self._rebuild(version)
        return os.open(folder, os.O_RDONLY)

    def has(self, version: int) -> bool:
        """Whether the database of a version is there, so that it need not be rebuilt first."""
        return self._folder(version).exists()

    def prune(self, keep: int) -> list[int]:
        """Delete the databases of old versions; the log keeps what they said.

        Versions that are read now stay, and so does the published one.

        Args:
            keep: how many databases may stay.

        Returns:
            The numbers of the versions whose databases went.
        """
        folders = sorted(self._versions.glob("[0-9]*"), key=lambda path: path.stat().st_mtime)
        gone: list[int] = []
        for folder in folders:
            if len(folders) - len(gone) <= keep:
                break
            fd = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if int(folder.name) != self.current:
                    shutil.rmtree(folder)
                    gone.append(int(folder.name))
            except BlockingIOError:
                pass  # somebody reads it
            finally:
                os.close(fd)
        return gone

    def size(self) -> int:
        """Bytes on disk; what versions share is counted once."""
        files = {}
        for folder, _, names in os.walk(self.path):
            for name in names:
                try:
                    stat = (Path(folder) / name).stat()
                except FileNotFoundError:
                    continue  # pruned meanwhile
                files[stat.st_ino] = stat.st_blocks * 512
        return sum(files.values())

    def backup(self, target: Path) -> int:
        """Copy what the store cannot make again into a new folder, while it is in use.

        Returns:
            The number of the version that the copy can be restored to.

        Raises:
            StoreUnusable: the folder is not empty.
        """
        if target.exists() and any(target.iterdir()):
            raise StoreUnusable(f"{target} is not empty; name a new folder for the backup.")
        with self._lock():
            number = self.current
            for part in ("log", "builds"):
                shutil.copytree(self.path / part, target / part, dirs_exist_ok=True)
        changes.write_durably(target / "current", f"{number}\n".encode())
        return number

    @classmethod
    def restore(cls, backup: Path, path: Path) -> Store:
        """Make a store from a backup, in a new folder.

        Raises:
            StoreUnusable: the folder is not empty, or the backup is not one or not whole.
        """
        if not (backup / "log").is_dir():
            raise StoreUnusable(f"{backup} is not a backup of a store.")
        if path.exists() and any(path.iterdir()):
            raise StoreUnusable(f"{path} is not empty; restore into a new folder.")
        for part in ("log", "builds"):
            shutil.copytree(backup / part, path / part)
        store = cls(path)
        if findings := store.check():
            raise StoreUnusable(f"The backup is not whole: {findings[0]}")
        return store

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
            aside = self._copy(base, ".draft-")
            draft = Draft(self, base, aside, ox.Store(str(aside)))
            try:
                yield draft
            finally:
                draft.close()
                shutil.rmtree(aside, ignore_errors=True)

    def _publish(self, draft: Draft, author: str, message: str, source: str) -> Entry:
        number = draft.base + 1
        draft.close()
        previous = changes.digest(changes.entry_path(self._log, draft.base))
        entry = Entry(number, previous, author, changes.now(), message, source, 0, 0)
        entry = changes.write_entry(self._log, entry, draft.delta)
        os.rename(draft.folder, self._folder(number))
        changes.sync_folder(self._versions)
        self._point_to(number)
        return entry

    def _copy(self, base: int, prefix: str) -> Path:
        """A copy of a version's database, aside; nothing yet when there is no version to copy."""
        aside = Path(tempfile.mkdtemp(prefix=prefix, dir=self._versions))
        aside.rmdir()  # the engine makes the folder itself
        if base:
            with self.lease(base) as folder:
                ox.Store.read_only(str(folder)).backup(str(aside))
        return aside

    def _folder(self, version: int) -> Path:
        return self._versions / f"{version:08}"

    def _point_to(self, number: int) -> None:
        changes.write_durably(self.path / "current", f"{number}\n".encode())

    @contextmanager
    def _lock(self, name: str = "lock", wait: bool = True) -> Iterator[None]:
        fd = os.open(self.path / name, os.O_RDWR | os.O_CREAT, 0o600)
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
        """Make a version again from the log and the nearest version that is there."""
        with self._lock("rebuilding"):
            for leftover in self._versions.glob(".rebuild-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            if not self._folder(version).exists():
                self._rebuild_locked(version)

    def _rebuild_locked(self, version: int) -> None:
        there = [int(folder.name) for folder in self._versions.glob("[0-9]*")]
        base = min([*there, 0], key=lambda number: abs(number - version))
        aside = self._copy(base, ".rebuild-")
        draft = Draft(self, base, aside, ox.Store(str(aside)))
        for number in range(base + 1, version + 1):
            draft.apply(changes.read_delta(changes.entry_path(self._log, number)))
        for number in range(base, version, -1):
            draft.apply(changes.read_delta(changes.entry_path(self._log, number)).inverse())
        draft.close()
        os.rename(aside, self._folder(version))
        changes.sync_folder(self._versions)


class Draft:
    """The next version while it is made: change it, look at it, publish it."""

    def __init__(self, store: Store, base: int, folder: Path, database: ox.Store) -> None:
        self.store = store
        self.base = base
        self.folder = folder
        self._database: ox.Store | None = database
        self._added: set[Quad] = set()
        self._removed: set[Quad] = set()
        self._untidy = False

    @property
    def database(self) -> ox.Store:
        """The database of the draft while it is open."""
        if self._database is None:
            raise StoreUnusable("This draft is closed.")
        return self._database

    @property
    def delta(self) -> Delta:
        """What the draft changes of the version that it was made from."""
        return Delta(frozenset(self._added), frozenset(self._removed))

    def apply(self, delta: Delta, *, tidy: bool = True) -> Delta:
        """Remove and add quads, and keep the default graph in step.

        Args:
            tidy: after very many quads, bring the database in order at once, so that queries are
                quick; otherwise that waits for `publish`.

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
        self._extend(real.added)
        self._merge(real, merged_before, merged_graphs(database))
        self._added |= real.added - self._removed
        self._removed -= real.added
        self._removed |= real.removed - self._added
        self._added -= real.removed
        if tidy:
            self._tidy()
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
        self._extend(Quad(q.subject, q.predicate, q.object) for q in entered)

    def _extend(self, quads: Iterable[Quad]) -> None:
        batch = list(quads)
        if len(batch) >= _BULK:
            self.database.bulk_extend(batch)
            self._untidy = True
        else:
            self.database.extend(batch)

    def _tidy(self) -> None:
        if self._untidy:
            self.database.optimize()
            self._untidy = False

    def __contains__(self, quad: Quad) -> bool:
        """Whether a quad is there; one without a graph is looked for in the default graph."""
        return quad in self.database

    def match(
        self,
        subject: Term | None,
        predicate: NamedNode | None,
        object_: Term | None,
        graph: Graph | None,
    ) -> Iterator[Quad]:
        """The quads that fit a pattern; no graph means any, the default graph among them."""
        if isinstance(subject, Literal | Triple):
            return iter(())
        return self.database.quads_for_pattern(subject, predicate, object_, graph)

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
        return (q.triple for q in self.match(None, None, None, DefaultGraph()))

    def select(self, query: str, graphs: Iterable[Graph] = _DEFAULT) -> Iterator[Row]:
        """Run a trusted SELECT query over a merge of graphs, in which a triple may count twice."""
        return rows(self.database.query(query, default_graph=list(graphs), named_graphs=[]))

    def construct(self, query: str, graphs: Iterable[Graph] = _DEFAULT) -> Iterable[Triple]:
        """Run a trusted CONSTRUCT query over a merge of graphs."""
        return self.database.query(query, default_graph=list(graphs), named_graphs=[])

    def n_triples(self, graph: NamedNode) -> bytes:
        """The triples of a graph, written as N-Triples."""
        return self.database.dump(format=ox.RdfFormat.N_TRIPLES, from_graph=graph)

    def publish(
        self, author: str, message: str, source: str, before: Callable[[int], None] | None = None
    ) -> Entry:
        """Accept the draft as the next version; when this returns it is on disk and visible.

        Args:
            author: who made the change, an IRI or a name.
            source: what kind of change it is: ``build``, ``update``, ``undo`` and so on.
            before: called with the number just before the log is written.
        """
        self._tidy()
        if before:
            before(self.base + 1)
        return self.store._publish(self, author, message, source)

    def close(self) -> None:
        """Let go of the database; the folder stays until the draft's context ends."""
        if self._database is not None:
            self._database.flush()
            self._database = None
