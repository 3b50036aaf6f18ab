"""Versions on disk: made aside, published by a rename, rebuilt from the log.

What this does not do: validate, infer or decide who may write (`curation` does).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import DefaultGraph, Quad

from ..errors import NotFound, StoreUnusable
from . import changes
from .changes import Delta, Entry
from .draft import Draft


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
