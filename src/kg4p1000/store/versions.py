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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import DefaultGraph, Quad

from ..kernel.errors import DiskFull, NotFound, StoreUnusable
from . import chain, changes, disk
from .chain import Tell, quiet
from .changes import Delta, Entry
from .disk import room, whole_database
from .draft import Draft

_log = logging.getLogger(__name__)


class Pointer:
    """The file `current` of a store, which says which version is published."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._path, self._stamp = str(path), (0, 0)
        #: The number that was read last; 0 when none was.
        self.known = 0

    def seen(self) -> int:
        """Return the number in the file, or when that is lost or damaged what it said before; 0 before there is one.

        Raises:
            StoreUnusable: it is damaged, and said nothing before.
        """
        with suppress(FileNotFoundError):
            # At every request: the file is replaced, never changed, so its inode tells.
            stat = os.stat(self._path)  # noqa: PTH116 - three times as fast as by Path
            stamp = (stat.st_ino, stat.st_mtime_ns)
            if stamp != self._stamp:
                try:
                    self.known, self._stamp = self.read(), stamp
                except StoreUnusable:
                    if not self.known:
                        raise
        return self.known

    def read(self) -> int:
        """Return the number that the file holds now; 0 before there is one.

        Raises:
            StoreUnusable: it holds none, or is lost.
        """
        text = ""
        try:
            with open(self._path, encoding="ascii") as file:
                text = file.read(20).removesuffix("\n")
        except FileNotFoundError:
            if not self.known:
                return 0
        except (OSError, ValueError):
            pass
        if not (text.isdecimal() and len(text) <= 8):
            raise StoreUnusable(
                "The file 'current' of the store is lost, or does not hold the number of a version. If the change log is"
                " whole, the next change, or the next start, writes it again."
            )
        return int(text)

    def write(self, number: int) -> None:
        """Let the file say another number, durably."""
        changes.write_durably(self.path, f"{number}\n".encode())


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
        self._versions, self._log = path / "versions", path / "log"
        self.pointer = Pointer(path / "current")
        self._entries: dict[int, Entry] = {}  # an entry never changes
        if path.exists() and any(path.iterdir()) and not self._log.is_dir():
            raise StoreUnusable(
                f"{path} has files in it and is not a store; choose another folder."
            )
        with room("a store"):
            for folder in (self._versions, self._log, path / "builds"):
                folder.mkdir(parents=True, exist_ok=True)
        try:
            with room("what a crash left unfinished"), self.lock(wait=False):
                self._recover(tell)
        except BlockingIOError:
            pass  # whoever holds the lock is at work, and has recovered already
        except (DiskFull, StoreUnusable) as e:
            # What is published can be read all the same, and for a store to be read-only is no fault.
            if not self._is_readable():
                raise
            if self.writable:
                _log.error("%s", e.detail)

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
        """Return whether changes can be made: neither the file system nor the permissions forbid it."""
        try:
            forbidden = os.statvfs(self.path).f_flag & os.ST_RDONLY
        except OSError:
            return False
        return not forbidden and os.access(self.path, os.W_OK)

    def entry(self, version: int | None = None) -> Entry:
        """Return the log entry of a version (default: the published one).

        Raises:
            NotFound: there is no such version.
            StoreUnusable: its entry is missing or damaged.
        """
        number = self.current if version is None else version
        if number not in self._entries:
            if not 0 < number <= self.current:
                raise NotFound(
                    f"There is no version {number}; versions run from 1 to {self.current}."
                )
            path = changes.entry_path(self._log, number)
            self._entries[number] = changes.read_entry(path, whole=False)
        return self._entries[number]

    def entries(self) -> list[Entry]:
        """Return the log, newest first."""
        return [self.entry(number) for number in range(self.current, 0, -1)]

    def log_path(self, version: int) -> Path:
        """Return where the log entry of a version stands."""
        self.entry(version)
        return changes.entry_path(self._log, version)

    def delta(self, version: int) -> Delta:
        """Return what a version changed."""
        return changes.read_delta(self.log_path(version))

    def between(self, before: int, after: int) -> Delta:
        """Return what is different in one version from another; what came and went again is not.

        Raises:
            NotFound: one of them is not there.
        """
        self.entry(before), self.entry(after)
        if before > after:
            return self.between(after, before).inverse()
        whole = Delta()
        for number in range(before + 1, after + 1):
            whole = whole.then(self.delta(number))
        return whole

    @contextmanager
    def lease(self, version: int) -> Iterator[Path]:
        """Give the database folder of a version, kept from pruning while the context lasts.

        A version that was pruned is made again from the log first.

        Raises:
            NotFound: there is no such version.
        """
        while (fd := self._hold(version)) is None:
            self.ensure(version)
        try:
            with suppress(OSError):  # where nothing may be written, nothing is pruned
                os.utime(self._folder(version))  # what is in use is pruned last
            yield self._folder(version)
        finally:
            os.close(fd)

    def _hold(self, version: int) -> int | None:
        """Return a descriptor that keeps the database of a version from pruning while it is open; None where there is none."""
        with suppress(FileNotFoundError):
            while True:
                fd = os.open(self._folder(version), os.O_RDONLY)
                fcntl.flock(fd, fcntl.LOCK_SH)
                if os.fstat(fd).st_nlink:  # not pruned between the opening and the lock
                    return fd
                os.close(fd)
        return None

    def has(self, version: int) -> bool:
        """Return whether the database of a version is there, so that it need not be rebuilt first."""
        return self._folder(version).exists()

    def quads(self, version: int | None = None) -> Iterator[Quad]:
        """Yield the quads of the named graphs of a version, without the default graph made from them.

        Raises:
            StoreUnusable: the database of the version is damaged.
        """
        number = self.current if version is None else version
        if number == 0:
            return
        with self.lease(number) as folder, whole_database(number):
            for quad in ox.Store.read_only(str(folder)):
                if not isinstance(quad.graph_name, DefaultGraph):
                    yield quad

    def size(self) -> int:
        """Return the bytes on disk; what versions share is counted once."""
        files = {}
        for folder, _, names in os.walk(self.path):
            for name in names:
                with suppress(FileNotFoundError):  # pruned meanwhile
                    stat = (Path(folder) / name).stat()
                    files[stat.st_ino] = stat.st_blocks * 512
        return sum(files.values())

    # pruning

    def prune(self, keep: int, spare: int = 0) -> list[int]:
        """Delete the databases of old versions, and return their numbers; the log keeps what they said.

        Versions that are read now stay, and so does the published one.

        Args:
            keep: how many databases may stay.
            spare: a version that stays in any case.
        """
        used: list[tuple[int, int]] = []
        for number in self._made():
            with suppress(FileNotFoundError):  # somebody else prunes too
                used.append((self._folder(number).stat().st_mtime_ns, number))
        gone: list[int] = []
        for _, number in sorted(used):
            if len(used) - len(gone) <= keep:
                break
            if number not in (self.current, spare) and self._delete(self._folder(number)):
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

    # writing

    @contextmanager
    def draft(self) -> Iterator[Draft]:
        """Give the next version, aside; thrown away unless the context publishes it.

        Only one draft is open at a time, in whichever process: others wait.
        """
        with room("this change, nothing of which was kept"), self.lock():
            self._recover(quiet)
            base = self.current
            with whole_database(base), self._aside(".draft-") as aside:
                self._copy(base, aside)
                draft = Draft(aside, base)
                try:
                    yield draft
                finally:
                    draft.drop()

    def publish(
        self,
        draft: Draft,
        author: str,
        message: str,
        source: str,
        before: Callable[[int], None] | None = None,
    ) -> Entry:
        """Accept a draft as the next version; when this returns it is on disk and visible.

        Databases of older versions that are more than may be kept go.

        Args:
            author: who made the change, an IRI or a name.
            source: what kind of change it is: ``build``, ``update``, ``undo`` and so on.
            before: called with the number just before the log is written.
        """
        base, number = draft.base, draft.base + 1
        draft.close()
        if before:
            before(number)
        previous = changes.GENESIS
        if base:
            previous = changes.digest(changes.entry_path(self._log, base))
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
        if self._keep:
            self.prune(self._keep)
        return entry

    @contextmanager
    def _aside(self, prefix: str) -> Iterator[Path]:
        """Give a name beside the versions for a folder; what begins with it goes at the end."""
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
            if (fd := self._hold(base)) is None:
                raise FileNotFoundError(errno.ENOENT, "pruned meanwhile")
            try:
                ox.Store.read_only(str(self._folder(base))).backup(str(aside))
            finally:
                os.close(fd)

    def _folder(self, version: int) -> Path:
        return self._versions / f"{version:08}"

    def _made(self) -> set[int]:
        """Return the versions whose databases are there."""
        names = (path.name for path in self._versions.glob("[0-9]*"))
        return {int(name) for name in names if len(name) == 8 and name.isdecimal()}

    @contextmanager
    def lock(self, name: str = "lock", wait: bool = True) -> Iterator[None]:
        """Let nobody else write to the store while the context lasts.

        Raises:
            BlockingIOError: somebody writes, and `wait` is not set.
            StoreUnusable: the store cannot be written.
        """
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

    def _is_readable(self) -> bool:
        """Return whether the database of the published version is there."""
        with suppress(StoreUnusable):
            return self.current > 0 and self.has(self.current)
        return False

    def _recover(self, tell: Tell) -> None:
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

    def way_to(self, version: int) -> tuple[int, list[Path]]:
        """Return how a version is made again at the least cost: the version to start from, and the entries to go through.

        Raises:
            StoreUnusable: entries are missing, so that there is no way.
        """
        there = chain.numbers(self._log)
        ways = {base: chain.steps(base, version) for base in {*self._made(), 0}}
        whole = {base: way for base, way in ways.items() if there.issuperset(way)}
        if not whole:
            raise StoreUnusable(" ".join(chain.missing(self._log, version)))
        entries = {n: changes.entry_path(self._log, n) for n in set().union(*whole.values())}
        sizes = {number: path.stat().st_size for number, path in entries.items()}
        base = min(whole, key=lambda number: sum(sizes[n] for n in whole[number]))
        return base, [entries[n] for n in whole[base]]

    def _rebuild(self, version: int, tell: Tell) -> None:
        """Make a version again from the log and a version that is there."""
        with self.lock("rebuilding"), whole_database(version):
            self._versions.mkdir(exist_ok=True)
            for leftover in self._versions.glob(".rebuild-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            while not self.has(version):
                base, entries = self.way_to(version)
                try:
                    self._rebuild_from(base, entries, version, tell)
                except (RuntimeError, OSError) as e:
                    if base and disk.damaged(e):
                        _log.warning("the database of version %d is damaged: %s", base, e)
                        steps = chain.steps(0, version)
                        entries = [changes.entry_path(self._log, n) for n in steps]
                        self._rebuild_from(0, entries, version, tell)
                    elif not base or self.has(base):
                        raise
                    # Otherwise what it starts from was pruned meanwhile.

    def _rebuild_from(self, base: int, entries: list[Path], version: int, tell: Tell) -> None:
        done, total = 0, sum(path.stat().st_size for path in entries)
        with room(f"version {version} of the graph"), self._aside(".rebuild-") as aside:
            self._copy(base, aside)
            draft = Draft(aside, base, remember=False)
            for path in entries:
                changes.digest(path)  # is as its hash says
                for part in changes.parts(path):
                    draft.apply(part.inverse() if base > version else part, tidy=False)
                done += path.stat().st_size
                tell(done, total)
            draft.close()
            os.rename(draft.folder, self._folder(version))
            changes.sync_folder(self._versions)
