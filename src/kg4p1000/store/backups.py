"""Backups: what a store cannot make again, copied with its hashes, and verified before it is used."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import StoreUnusable
from . import chain, changes
from .chain import Steps, Tell
from .pointer import Pointer

_log = logging.getLogger(__name__)

#: The hashes of all other files of a backup, as the tool `sha256sum` writes and checks them.
SUMS = "SHA256SUMS"
_SUM = re.compile(r"([0-9a-f]{64}) [ *](.+)")
#: So many findings are told.
_TOLD = 10


def require_new(folder: Path, what: str) -> None:
    """See that a folder is not there yet, or is empty.

    Raises:
        StoreUnusable: it has something in it, or is a file.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreUnusable(f"{folder} is not empty; {what}.")


def copy_kept(source: Path, target: Path) -> None:
    """Copy the files that versions cannot be made again without."""
    for part in ("log", "builds"):
        if (source / part).is_dir():  # other tools do not copy an empty folder
            shutil.copytree(source / part, target / part, ignore=shutil.ignore_patterns(".*"))
    with suppress(FileNotFoundError):  # not needed, but the next change is slow without it
        shutil.copy(source / "checked", target / "checked")


def seal(backup: Path, published: int, tell: Tell) -> int:
    """Make a backup of what was copied: verify the change log, and write down the hashes of all files.

    Returns:
        The number of the last version in it.

    Raises:
        StoreUnusable: the change log that was copied is not whole.
    """
    log = backup / "log"
    last = max({published} | chain.numbers(log))
    files = _files(backup)
    step = Steps(tell, chain.size(log) + sum(path.stat().st_size for path in files.values()))
    if findings := [*chain.foreign(log), *chain.faults(log, last, step=step)]:
        raise StoreUnusable(
            f"A backup could not be restored, so none was made: {_sentences(findings)}"
        )
    newest = changes.entry_path(log, last)
    if last and not changes.told_digest(newest):
        changes.write_whole(newest.with_suffix(".sha256"), f"{changes.digest(newest)}\n".encode())
    Pointer(backup / "current").write(last)
    rows = [f"{_hash(path, step)}  {name}\n" for name, path in _files(backup).items()]
    changes.write_durably(backup / SUMS, "".join(rows).encode())
    step.end()
    return last


def verify(backup: Path, tell: Tell) -> int:
    """See that a backup is whole: its files by their hashes, then its change log entry by entry.

    A backup of an earlier release has no hashes of its files; its change log is verified alone.

    Returns:
        The number of the last version in it.

    Raises:
        StoreUnusable: it is no backup, or is not whole.
    """
    log = backup / "log"
    if not log.is_dir():
        raise StoreUnusable(f"{backup} is not a backup of a store.")
    files = _files(backup)
    summed = SUMS in files
    total = sum(path.stat().st_size for path in files.values()) if summed else 0
    step = Steps(tell, total + chain.size(log))
    if summed:
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


def _require_whole(findings: list[str]) -> None:
    if findings:
        raise StoreUnusable(f"The backup is not whole: {_sentences(findings)}")


def _files(backup: Path) -> dict[str, Path]:
    """The files of a backup by their names in it, in order."""
    found = sorted(path for path in backup.rglob("*") if not path.is_dir())
    return {path.relative_to(backup).as_posix(): path for path in found}


def _hash(path: Path, step: Steps) -> str:
    """The SHA-256 of a file; none when it cannot be read."""
    if not path.is_file():
        return ""  # a pipe or a device has no end
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        step(path.stat().st_size)
    except OSError:
        return ""
    return found


def _sums(files: dict[str, Path], step: Steps) -> list[str]:
    """What the list of hashes says against the files, one sentence each."""
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


def _sentences(findings: list[str]) -> str:
    more = len(findings) - _TOLD
    return " ".join(findings[:_TOLD]) + (f" And {more} more." if more > 0 else "")


@contextmanager
def whole_or_none(folder: Path) -> Iterator[None]:
    """What was copied into a folder goes again when the copying fails."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
