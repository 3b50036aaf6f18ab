"""Versions on disk: made aside, published by a rename, rebuilt from the log.

What this does not do: validate, infer or decide who may write (`curation` does).
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import DefaultGraph, Quad

from ..errors import DiskFull, NotFound, StoreUnusable
from . import backups, chain, changes, damage
from .chain import Tell, quiet
from .changes import Delta, Entry
from .comparison import Comparison
from .draft import Draft, Working
from .pointer import Pointer
from .room import room

_log = logging.getLogger(__name__)


class Store:
    """A folder of versions.

    Args:
        path: the folder; made when it is not there.
        tell: is told how far it is when the published version must be made again first.
        keep: how many databases of versions may stay when one more has been published; 0 for all.

    Raises:
        StoreUnusable: the folder is something else; or its log does not add up, or it cannot be written, and
            the published version is not there to be read all the same.
    """

    def __init__(self, path: Path, tell: Tell = quiet, keep: int = 0) -> None:
        self.path, self._keep = path, keep
        self._versions = path / "versions"
        self._log = path / "log"
        self.pointer = Pointer(path / "current")
        self._entries: dict[int, Entry] = {}  # an entry never changes
        if path.exists() and any(path.iterdir()) and not self._log.is_dir():
            raise StoreUnusable(
                f"{path} has files in it and is not a store; choose another folder."
            )
        with room("a store"):
            for folder in (self._versions, self._log, path / "builds"):
                folder.mkdir(parents=True, exist_ok=True)
        self._recover(tell)

    # reading

    @property
    def current(self) -> int:
        """The number of the published version; 0 before the first. See `Pointer.seen`."""
        return self.pointer.seen()

    @property
    def last(self) -> int:
        """The number up to which there must be entries in the log: something speaks of that version."""
        return max(self._made() | chain.numbers(self._log) | {self.current})

    @property
    def writable(self) -> bool:
        """Whether changes can be made: neither the file system nor the permissions forbid it."""
        try:
            forbidden = os.statvfs(self.path).f_flag & os.ST_RDONLY
        except OSError:
            return False
        return not forbidden and os.access(self.path, os.W_OK)

    def entry(self, version: int | None = None) -> Entry:
        """The log entry of a version (default: the published one).

        Raises:
            NotFound: there is no such version.
            StoreUnusable: its entry is missing or damaged.
        """
        number = self.current if version is None else version
        if number not in self._entries:
            path = self._entry(number)
            if not 0 < number <= self.current:
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
        return self._entry(version)

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
            with suppress(OSError):  # where nothing may be written, nothing is pruned
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
        for number in self._made():
            folder = self._folder(number)
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

    def backup(self, target: Path, tell: Tell = quiet) -> int:
        """Copy what the store cannot make again into a new folder, while it is in use.

        Args:
            tell: is told how far it is, as bytes verified and in all.

        Returns:
            The number of the version that the copy can be restored to.

        Raises:
            StoreUnusable: the folder is not empty, or the change log is not whole.
        """
        backups.require_new(target, "name a new folder for the backup")
        with room("the backup, so there is none"), backups.whole_or_none(target):
            with self._lock() if self.writable else nullcontext():
                number = self.current
                backups.copy_kept(self.path, target)
            return backups.seal(target, number, tell)

    @classmethod
    def restore(cls, backup: Path, path: Path, tell: Tell = quiet) -> Store:
        """Make a store from a backup, in a new folder; the backup is verified first.

        Args:
            tell: is told how far it is: with verifying, then with making the version.

        Raises:
            StoreUnusable: the folder is not empty, or the backup is not one or not whole.
        """
        backups.require_new(path, "restore into a new folder")
        number = backups.verify(backup, tell)
        with room("the restored store, so there is none"), backups.whole_or_none(path):
            backups.copy_kept(backup, path)
            Pointer(path / "current").write(number)
            return cls(path, tell)

    def quads(self, version: int | None = None) -> Iterator[Quad]:
        """The quads of the named graphs of a version, without the default graph made from them.

        Raises:
            StoreUnusable: the database of the version is damaged.
        """
        number = self.current if version is None else version
        if number == 0:
            return
        with self.lease(number) as folder, damage.told(number):
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

    def notes(self) -> list[str]:
        """What is odd about the log and yet may be right; see `chain.notes`."""
        return chain.notes(self._log, self.entries())

    # writing

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """The next version, aside; thrown away unless the context publishes it.

        Only one draft is open at a time, in whichever process: others wait.
        """
        with room("this change, nothing of which was kept"), self._lock():
            self._recover_locked(quiet)
            base = self.current
            with damage.told(base), self._aside(".draft-") as aside:
                self._copy(base, aside)
                draft = Draft(self, base, aside)
                try:
                    yield draft
                finally:
                    draft.drop()
        if self._keep and self.current != base:
            self.prune(self._keep)

    def _publish(self, draft: Draft, author: str, message: str, source: str) -> Entry:
        base, number = draft.base, draft.base + 1
        draft.close()
        previous = changes.digest(self._entry(base)) if base else changes.GENESIS
        entry = Entry(number, previous, author, changes.now(), message, source, 0, 0)
        # Before the log has the change, so that what comes after it needs no room.
        pointer = changes.write_aside(self.pointer.path, [f"{number}\n".encode()])
        try:
            entry = changes.write_entry(self._log, entry, *draft.rows())
            try:
                os.rename(draft.folder, self._folder(number))
                changes.sync_folder(self._versions)
                changes.put(pointer, self.pointer.path)
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

    @contextmanager
    def _lock(self, name: str = "lock", wait: bool = True) -> Iterator[None]:
        try:
            fd = os.open(self.path / name, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as e:
            if e.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise
            raise StoreUnusable(
                f"The store cannot be written ({e.strerror}), so nothing is changed; the versions that are"
                " there can be read. Whoever runs the service has to make its folder writable."
            ) from e
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield
        finally:
            os.close(fd)

    def _recover(self, tell: Tell) -> None:
        try:
            with room("what a crash left unfinished"), self._lock(wait=False):
                self._recover_locked(tell)
        except BlockingIOError:
            pass  # whoever holds the lock is at work, and has recovered already
        except (DiskFull, StoreUnusable) as e:
            if not self._shown():
                raise
            # What is published can be read all the same, and for a store to be read-only is no fault.
            if self.writable:
                _log.error("%s", e.detail)

    def _shown(self) -> bool:
        """Whether the database of the published version is there."""
        with suppress(StoreUnusable):
            return self.current > 0 and self.has(self.current)
        return False

    def _recover_locked(self, tell: Tell) -> None:
        """Finish a change that was logged, drop one that was not.

        Raises:
            StoreUnusable: the log lacks an entry, or one that is not published does not follow.
        """
        for leftover in self._versions.glob(".draft-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        try:
            published = self.pointer.read()
        except StoreUnusable:
            published = 0  # so that all of the log is verified
        last = max(self._made() | chain.numbers(self._log) | {published})
        findings = chain.foreign(self._log) or chain.missing(self._log, last)
        if last != published:
            findings = findings or list(chain.faults(self._log, last, after=published))
        if findings:
            raise StoreUnusable(" ".join(findings))
        if last and not self.has(last):
            self._rebuild(last, tell)
        if last != published:
            self.pointer.write(last)
        for record in (self.path / "builds").glob("[0-9]*.nq"):
            if int(record.stem) > last:  # of a build that was not accepted
                record.unlink()

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

    def _made(self) -> set[int]:
        """The versions whose databases are there."""
        names = (path.name for path in self._versions.glob("[0-9]*"))
        return {int(name) for name in names if len(name) == 8 and name.isdecimal()}

    def way_to(self, version: int) -> tuple[int, list[Path]]:
        """How a version is made again at the least cost.

        Returns:
            The version to start from, 0 for nothing, and the log entries to go through.

        Raises:
            StoreUnusable: entries are missing, so that there is no way.
        """
        there = chain.numbers(self._log)
        ways = {base: self._steps(base, version) for base in {*self._made(), 0}}
        whole = {base: way for base, way in ways.items() if there.issuperset(way)}
        if not whole:
            raise StoreUnusable(" ".join(chain.missing(self._log, version)))
        sizes = {n: self._entry(n).stat().st_size for n in set().union(*whole.values())}
        base = min(whole, key=lambda number: sum(sizes[n] for n in whole[number]))
        return base, [self._entry(n) for n in whole[base]]

    def _entry(self, number: int) -> Path:
        return changes.entry_path(self._log, number)

    @staticmethod
    def _steps(base: int, version: int) -> range:
        """The entries that lead from one version to another, in their order."""
        return range(base, version, -1) if base > version else range(base + 1, version + 1)

    def _rebuild(self, version: int, tell: Tell) -> None:
        """Make a version again from the log and a version that is there."""
        with self._lock("rebuilding"), damage.told(version):
            self._versions.mkdir(exist_ok=True)
            for leftover in self._versions.glob(".rebuild-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            while not self.has(version):
                base, entries = self.way_to(version)
                try:
                    self._rebuild_from(base, entries, version, tell)
                except (RuntimeError, OSError) as e:
                    if base and damage.damaged(e):
                        _log.warning("the database of version %d is damaged: %s", base, e)
                        entries = [self._entry(n) for n in self._steps(0, version)]
                        self._rebuild_from(0, entries, version, tell)
                    elif not base or self.has(base):
                        raise
                    # Otherwise what it starts from was pruned meanwhile.

    def _rebuild_from(self, base: int, entries: list[Path], version: int, tell: Tell) -> None:
        done, total = 0, sum(path.stat().st_size for path in entries)
        with room(f"version {version} of the graph"), self._aside(".rebuild-") as aside:
            self._copy(base, aside)
            working = Working(aside)
            for path in entries:
                changes.digest(path)  # is as its hash says
                for part in changes.parts(path):
                    working.apply(part.inverse() if base > version else part, tidy=False)
                done += path.stat().st_size
                tell(done, total)
            working.tidy()
            working.close()
            os.rename(aside, self._folder(version))
            changes.sync_folder(self._versions)
