"""Whether a store is whole: its log against its published version, and backups before they are made and used."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import DefaultGraph

from ..kernel.errors import StoreUnusable
from . import chain, changes
from .bulk import difference, extend, sorted_lines
from .chain import Steps, Tell, quiet
from .disk import room, whole_database
from .graphs import Graph, merged_graphs
from .versions import Pointer, Store

_log = logging.getLogger(__name__)

#: The hashes of all other files of a backup, as the tool `sha256sum` writes and checks them.
SUMS = "SHA256SUMS"
_SUM = re.compile(r"([0-9a-f]{64}) [ *](.+)")
#: So many findings are told.
_TOLD = 10


def check(store: Store, tell: Tell = quiet) -> list[str]:
    """Compare log and published version, and return the findings, one sentence each; none when all is well.

    What the log says is made once more, on the disk, and compared graph by graph; a log that is not whole is not compared.

    Args:
        tell: is told how far it is, as bytes of the log done and in all.
    """
    log, current = store.path / "log", store.current
    # Each byte of the log is verified and applied; to compare takes about twice as long.
    step = Steps(tell, 4 * chain.size(log))
    findings, faults = chain.foreign(log), list(chain.faults(log, store.last, step=step))
    if current and not faults:
        try:
            with _folder(store) as folder, whole_database(current), store.lease(current) as held:
                findings += _differences(log, current, ox.Store.read_only(str(held)), folder, step)
        except StoreUnusable as e:
            findings.append(e.detail)
    step.end()
    return findings + faults


def notes(store: Store) -> list[str]:
    """Return what is odd about the log and yet may be right; see `chain.notes`."""
    return chain.notes(store.path / "log", store.entries())


def _differences(
    log: Path, current: int, held: ox.Store, folder: Path, step: Steps
) -> Iterator[str]:
    """Yield what a published version does not hold as the log says it."""
    said = ox.Store(str(folder / "database"))
    for number in range(1, current + 1):
        path = changes.entry_path(log, number)
        for part in changes.parts(path):
            for quad in part.removed:
                said.remove(quad)
            extend(said, part.added)
        step(path.stat().st_size)

    def equal(*sides: tuple[ox.Store, Iterable[Graph]]) -> bool:
        """Return whether the merges of some graphs on two sides have the same triples."""
        files = [folder / "one", folder / "other"]
        for path, (database, graphs) in zip(files, sides, strict=True):
            with open(path, "wb") as file:
                for graph in graphs:
                    database.dump(file, format=ox.RdfFormat.N_TRIPLES, from_graph=graph)
        step(files[0].stat().st_size)
        return not any(True for _ in difference(*map(sorted_lines, files)))

    graphs = set(said.named_graphs()) | set(held.named_graphs())
    if not all(equal((said, [graph]), (held, [graph])) for graph in graphs):
        yield f"Version {current} does not hold what the change log says."
    if not equal((held, merged_graphs(held)), (held, [DefaultGraph()])):
        yield f"The default graph of version {current} is not the merge of the published graphs."


@contextmanager
def _folder(store: Store) -> Iterator[Path]:
    """Give a new folder beside the versions; those that a crash left there go.

    Where nothing may be written, it is one for temporary files.
    """
    versions = store.path / "versions"
    for leftover in versions.glob(".check-*"):
        with _locked(leftover) as ours:
            if ours:
                shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=".check-", dir=versions if store.writable else None))
    with _locked(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Return whether we could lock a folder, which then lasts as long as the context."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        with suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
            return
        yield False
    finally:
        os.close(fd)


# backups


def backup(store: Store, target: Path, tell: Tell = quiet) -> int:
    """Copy what a store cannot make again, with hashes, into a new folder, while it is in use.

    Args:
        tell: is told how far it is, as bytes verified and in all.

    Returns:
        The number of the version that the copy can be restored to.

    Raises:
        StoreUnusable: the folder is not empty, or the change log is not whole.
    """
    with _new(target, "name a new folder for the backup", "the backup, so there is none"):
        with store.lock() if store.writable else nullcontext():
            published = store.current
            _copy(store.path, target)
        log = target / "log"
        last = max({published} | chain.numbers(log))
        step = Steps(tell, chain.size(log) + sum(p.stat().st_size for p in _files(target).values()))
        if findings := [*chain.foreign(log), *chain.faults(log, last, step=step)]:
            raise StoreUnusable(
                f"A backup could not be restored, so none was made: {_sentences(findings)}"
            )
        newest = changes.entry_path(log, last)
        if last and not changes.told_digest(newest):
            changes.write_whole(
                newest.with_suffix(".sha256"), f"{changes.digest(newest)}\n".encode()
            )
        Pointer(target / "current").write(last)
        rows = [f"{_hash(path, step)}  {name}\n" for name, path in _files(target).items()]
        changes.write_durably(target / SUMS, "".join(rows).encode())
        step.end()
    return last


def restore(backup: Path, path: Path, tell: Tell = quiet) -> Store:
    """Make a store from a backup, in a new folder; the backup is verified first.

    Args:
        tell: is told how far it is: with verifying, then with making the version.

    Raises:
        StoreUnusable: the folder is not empty, or the backup is not one or not whole.
    """
    with _new(path, "restore into a new folder", "the restored store, so there is none"):
        number = _verify(backup, tell)
        _copy(backup, path)
        Pointer(path / "current").write(number)
        return Store(path, tell)


def _verify(backup: Path, tell: Tell) -> int:
    """See that a backup is whole: its files by their hashes, then its change log entry by entry.

    A backup of an earlier release has no hashes of its files; its change log is verified alone.

    Returns:
        The number of the last version in it.
    """
    log = backup / "log"
    if not log.is_dir():
        raise StoreUnusable(f"{backup} is not a backup of a store.")
    files = _files(backup)
    total = sum(path.stat().st_size for path in files.values()) if SUMS in files else 0
    step = Steps(tell, total + chain.size(log))
    if SUMS in files:
        _require_whole(_sums(files, step))
    else:
        _log.warning("%s has no file %s, so its change log alone is verified", backup, SUMS)
    try:
        last = max({Pointer(backup / "current").read()} | chain.numbers(log))
    except StoreUnusable:
        raise StoreUnusable("The backup is not whole: its file current holds no number.") from None
    if not last:
        raise StoreUnusable(f"{backup} is not a backup of a store: its change log is empty.")
    _require_whole(chain.foreign(log) or list(chain.faults(log, last, step=step)))
    if not changes.told_digest(changes.entry_path(log, last)):
        _require_whole([f"The hash of its newest entry, log/{last:08}.sha256, is missing."])
    step.end()
    return last


def _sums(files: dict[str, Path], step: Steps) -> list[str]:
    """Return what the list of hashes says against the files, one sentence each."""
    sums: dict[str, str] = {}
    for row in files[SUMS].read_bytes().decode(errors="replace").splitlines():
        if not (match := _SUM.fullmatch(row)):
            return [f"{SUMS} has a row that is not one: {row[:80]!r}."]
        sums[match[2]] = match[1]
    here = files.keys() - {SUMS}
    absent = [f"{name} is missing." for name in sorted(sums.keys() - here)]
    added = [f"{name} was added." for name in sorted(here - sums.keys())]
    return (absent + added) or [
        f"{name} was changed, or cannot be read."
        for name in sums
        if _hash(files[name], step) != sums[name]
    ]


def _hash(path: Path, step: Steps) -> str:
    """Return the SHA-256 of a file; none when it cannot be read."""
    if not path.is_file():
        return ""  # a pipe or a device has no end
    with suppress(OSError):
        found = changes.sha256(path)
        step(path.stat().st_size)
        return found
    return ""


def _files(backup: Path) -> dict[str, Path]:
    """Return the files of a backup by their names in it, in order."""
    found = sorted(path for path in backup.rglob("*") if not path.is_dir())
    return {path.relative_to(backup).as_posix(): path for path in found}


def _require_whole(findings: list[str]) -> None:
    if findings:
        raise StoreUnusable(f"The backup is not whole: {_sentences(findings)}")


def _sentences(findings: list[str]) -> str:
    more = len(findings) - _TOLD
    return " ".join(findings[:_TOLD]) + (f" And {more} more." if more > 0 else "")


def _copy(source: Path, target: Path) -> None:
    """Copy the files that versions cannot be made again without."""
    for part in ("log", "builds"):
        if (source / part).is_dir():  # other tools do not copy an empty folder
            shutil.copytree(source / part, target / part, ignore=shutil.ignore_patterns(".*"))
    with suppress(FileNotFoundError):  # not needed, but the next change is slow without it
        shutil.copy(source / "checked", target / "checked")


@contextmanager
def _new(folder: Path, advice: str, for_what: str) -> Iterator[None]:
    """See that a folder is not there yet, or is empty, and empty it again when the context fails."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreUnusable(f"{folder} is not empty; {advice}.")
    with room(for_what):
        try:
            yield
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
