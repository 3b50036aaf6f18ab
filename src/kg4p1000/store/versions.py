"""Versions on disk: made aside, published by a rename, rebuilt from the log.

What this does not do: validate, infer or decide who may write (`curation` does).
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import DefaultGraph, Quad

from ..errors import DiskFull, NotFound, StoreUnusable
from . import changes
from .changes import Delta, Entry
from .comparison import Comparison, Tell, quiet
from .draft import Draft, Working
from .room import room

_log = logging.getLogger(__name__)


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
        self._current = path / "current"
        self._pointer = str(self._current)
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

    def between(self, before: int, after: int) -> Delta:
        """What is different in one version from another; what came and went again is not.

        Raises:
            NotFound: one of them is not there.
        """
        self.entry(before), self.entry(after)
        if before > after:
            return self.between(after, before).inverse()
        added: set[Quad] = set()
        removed: set[Quad] = set()
        for number in range(before + 1, after + 1):
            step = self.delta(number)
            added, removed = (
                (added - step.removed) | (step.added - removed),
                (removed - step.added) | (step.removed - added),
            )
        return Delta(frozenset(added), frozenset(removed))

    @contextmanager
    def lease(self, version: int) -> Iterator[Path]:
        """The database folder of a version, kept from pruning while the context lasts.

        A version that was pruned is made again from the log first.

        Raises:
            NotFound: there is no such version.
        """
        while True:
            with suppress(FileNotFoundError):
                fd = self._hold(version)
                break
            self.ensure(version)
        folder = self._folder(version)
        try:
            os.utime(folder)  # what is in use is pruned last
            yield folder
        finally:
            os.close(fd)

    def _hold(self, version: int) -> int:
        """A descriptor that keeps the database of a version from pruning while it is open.

        Raises:
            FileNotFoundError: it is not there.
        """
        while True:
            fd = os.open(self._folder(version), os.O_RDONLY)
            fcntl.flock(fd, fcntl.LOCK_SH)
            if os.fstat(fd).st_nlink:  # not pruned between the opening and the lock
                return fd
            os.close(fd)

    def has(self, version: int) -> bool:
        """Whether the database of a version is there, so that it need not be rebuilt first."""
        return self._folder(version).exists()

    def prune(self, keep: int, spare: int = 0) -> list[int]:
        """Delete the databases of old versions; the log keeps what they said.

        Versions that are read now stay, and so does the published one.

        Args:
            keep: how many databases may stay.
            spare: a version that stays in any case.

        Returns:
            The numbers of the versions whose databases went.
        """
        used: list[tuple[int, Path]] = []
        for folder in self._versions.glob("[0-9]*"):
            with suppress(FileNotFoundError):  # somebody else prunes too
                used.append((folder.stat().st_mtime_ns, folder))
        gone: list[int] = []
        for _, folder in sorted(used):
            if len(used) - len(gone) <= keep:
                break
            number = int(folder.name)
            if number not in (self.current, spare) and self._delete(folder):
                gone.append(number)
        return gone

    def _delete(self, folder: Path) -> bool:
        """Delete the database of a version unless it is read."""
        try:
            fd = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
        return True

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
        with room("the backup, so there is none"), _whole_or_none(target):
            with self._lock():
                number = self.current
                self._copy_kept(self.path, target)
            changes.write_durably(target / "current", f"{number}\n".encode())
        return number

    @staticmethod
    def _copy_kept(source: Path, target: Path) -> None:
        """Copy the files that versions cannot be made again without."""
        for part in ("log", "builds"):
            shutil.copytree(source / part, target / part)
        with suppress(FileNotFoundError):  # not needed, but the next change is slow without it
            shutil.copy(source / "checked", target / "checked")

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
        with room("the restored store, so there is none"), _whole_or_none(path):
            cls._copy_kept(backup, path)
            store = cls(path)
            if findings := Comparison(store, quiet).of_the_log():
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

    def check(self, tell: Tell = quiet) -> list[str]:
        """Compare log and published version; the findings, one sentence each, none when all is well.

        Takes room on the disk for one more version, and little memory.

        Args:
            tell: is told how far it is, as bytes of the log done and in all.
        """
        return Comparison(self, tell).findings()

    # writing

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """The next version, aside; thrown away unless the context publishes it.

        Only one draft is open at a time, in whichever process: others wait.
        """
        with room("this change, nothing of which was kept"), self._lock():
            self._recover_locked()
            base = self.current
            with self._aside(".draft-") as aside:
                self._copy(base, aside)
                draft = Draft(self, base, aside)
                try:
                    yield draft
                finally:
                    draft.drop()

    def _publish(self, draft: Draft, author: str, message: str, source: str) -> Entry:
        number = draft.base + 1
        draft.close()
        previous = changes.digest(changes.entry_path(self._log, draft.base))
        entry = Entry(number, previous, author, changes.now(), message, source, 0, 0)
        # Before the log has the change, so that what comes after it needs no room.
        pointer = changes.write_aside(self._current, [f"{number}\n".encode()])
        try:
            entry = changes.write_entry(self._log, entry, *draft.rows())
            try:
                os.rename(draft.folder, self._folder(number))
                changes.sync_folder(self._versions)
                changes.put(pointer, self._current)
            except OSError as e:
                raise StoreUnusable(
                    f"The change is made and in the log as version {number}, but that cannot be shown"
                    f" yet ({e.strerror}); the next change, or the next start, brings it up."
                ) from e
        finally:
            pointer.unlink(missing_ok=True)
        return entry

    @contextmanager
    def _aside(self, prefix: str) -> Iterator[Path]:
        """A name beside the versions for a folder; what begins with it goes at the end."""
        aside = Path(tempfile.mkdtemp(prefix=prefix, dir=self._versions))
        aside.rmdir()  # the engine makes the folder itself
        try:
            yield aside
        finally:
            for left in self._versions.glob(f"{aside.name}*"):
                shutil.rmtree(left, ignore_errors=True)

    def _copy(self, base: int, aside: Path) -> None:
        """Copy a version's database; nothing when there is no version to copy."""
        if base:
            fd = self._hold(base)
            try:
                ox.Store.read_only(str(self._folder(base))).backup(str(aside))
            finally:
                os.close(fd)

    def _folder(self, version: int) -> Path:
        return self._versions / f"{version:08}"

    def _point_to(self, number: int) -> None:
        changes.write_durably(self._current, f"{number}\n".encode())

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
            with room("what a crash left unfinished"), self._lock(wait=False):
                self._recover_locked()
        except BlockingIOError:
            pass  # whoever holds the lock is at work, and has recovered already
        except DiskFull as e:
            _log.error("%s", e.detail)  # what is published can be read all the same

    def _recover_locked(self) -> None:
        """Finish a change that was logged, drop one that was not."""
        for leftover in self._versions.glob(".draft-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        logged = max((int(path.stem) for path in self._log.glob("[0-9]*.rdfp")), default=0)
        if logged and not self._folder(logged).exists():
            self._rebuild(logged, quiet)
        if logged != self.current:
            self._point_to(logged)

    # versions made again

    def ensure(self, version: int, tell: Tell = quiet) -> None:
        """Make the database of a version again from the log, if it was pruned.

        Args:
            tell: is told how far it is, as bytes of the log done and in all.

        Raises:
            NotFound: there is no such version.
        """
        self.entry(version)
        if not self.has(version):
            self._rebuild(version, tell)

    def way_to(self, version: int) -> tuple[int, list[Path]]:
        """How a version is made again at the least cost.

        Returns:
            The version to start from, 0 for nothing, and the log entries to go through.
        """
        there = [int(folder.name) for folder in self._versions.glob("[0-9]*")]
        ways = {base: self._entries_between(base, version) for base in {*there, 0}}
        base = min(ways, key=lambda number: sum(path.stat().st_size for path in ways[number]))
        return base, ways[base]

    def _entries_between(self, base: int, version: int) -> list[Path]:
        back = range(base, version, -1)
        return [changes.entry_path(self._log, n) for n in back or range(base + 1, version + 1)]

    def _rebuild(self, version: int, tell: Tell) -> None:
        """Make a version again from the log and a version that is there."""
        with self._lock("rebuilding"):
            for leftover in self._versions.glob(".rebuild-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            while not self.has(version):
                with suppress(FileNotFoundError):  # what it starts from was pruned meanwhile
                    self._rebuild_locked(version, tell)

    def _rebuild_locked(self, version: int, tell: Tell) -> None:
        base, entries = self.way_to(version)
        done, total = 0, sum(path.stat().st_size for path in entries)
        with room(f"version {version} of the graph"), self._aside(".rebuild-") as aside:
            self._copy(base, aside)
            working = Working(aside)
            for path in entries:
                for part in changes.parts(path):
                    working.apply(part.inverse() if base > version else part, tidy=False)
                done += path.stat().st_size
                tell(done, total)
            working.tidy()
            working.close()
            os.rename(aside, self._folder(version))
            changes.sync_folder(self._versions)


@contextmanager
def _whole_or_none(folder: Path) -> Iterator[None]:
    """What was copied into a folder goes again when the copying fails."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
