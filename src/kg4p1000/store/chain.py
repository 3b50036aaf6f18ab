"""The change log as a whole: whether an entry is missing, and whether each follows the one before."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from ..kernel.errors import StoreUnusable
from . import changes
from .changes import Entry

#: Is told how far something is: what is done, and what there is to do.
Tell = Callable[[int, int], None]

_NAME = re.compile(r"(?!0{8})(\d{8})\.(rdfp|sha256)")


def quiet(done: int, total: int) -> None:
    """Report no progress."""


class Steps:
    """Counts bytes that were gone through, and tells of them."""

    def __init__(self, tell: Tell, total: int) -> None:
        self._tell, self._done, self._total = tell, 0, total

    def __call__(self, size: int) -> None:
        """Count so many bytes more."""
        self._done = min(self._done + size, self._total)
        self._tell(self._done, self._total)

    def end(self) -> None:
        """Count all that is left."""
        self(self._total)


def _names(log: Path) -> list[str]:
    with os.scandir(log) as found:  # at every change, and there may be thousands
        return [entry.name for entry in found]


def foreign(log: Path) -> list[str]:
    """Return a sentence for each file in the folder that is not of the log; hidden ones are being written."""
    return [
        f"{name} in the folder of the change log is no entry of it; move it away."
        for name in sorted(_names(log))
        if not name.startswith(".") and not _NAME.fullmatch(name)
    ]


def numbers(log: Path) -> set[int]:
    """Return the numbers of the entries that are there."""
    found = map(_NAME.fullmatch, _names(log))
    return {int(match[1]) for match in found if match and match[2] == "rdfp"}


def missing(log: Path, last: int) -> list[str]:
    """Return a sentence for each gap in the entries up to the last."""
    found = []
    for before, number in pairwise(sorted(numbers(log) | {0, last + 1})):
        if number - before == 2:
            found.append(f"Entry {before + 1} is missing from the change log.")
        elif number - before > 2:
            found.append(f"Entries {before + 1} to {number - 1} are missing from the change log.")
    return found


def steps(base: int, version: int) -> range:
    """Return the entries that lead from one version to another, in their order."""
    return range(base, version, -1) if base > version else range(base + 1, version + 1)


def size(log: Path) -> int:
    """Return the bytes of the entries that are there."""
    return sum(changes.entry_path(log, number).stat().st_size for number in numbers(log))


def faults(
    log: Path, last: int, after: int = 0, step: Callable[[int], None] = lambda size: None
) -> Iterator[str]:
    """Yield what is wrong with the entries that follow one, one sentence each; where some are missing, that alone.

    Args:
        last: the number of the last.
        after: the number of the one before the first.
        step: is told the bytes of each that was read.
    """
    if gaps := missing(log, last):
        yield from gaps
        return
    previous = changes.GENESIS
    if after:
        try:
            previous = changes.digest(changes.entry_path(log, after))
        except StoreUnusable as e:
            yield e.detail
            return
    for number in range(after + 1, last + 1):
        path = changes.entry_path(log, number)
        entry, wrong = _read(path)
        if entry and previous and entry.previous != previous:
            yield f"Entry {number} does not follow entry {number - 1}: its hash differs."
        yield from wrong
        previous = entry.digest if entry else ""  # whether the next follows cannot be said
        step(path.stat().st_size if entry else 0)


def newest_faults(log: Path, number: int) -> list[str]:
    """Return what is wrong with one entry by itself, one sentence each; it is read again when its file has changed."""
    path = changes.entry_path(log, number)
    try:
        found = path.stat()
    except OSError:
        return [f"Entry {number} is missing from the change log."]
    return _read_once(path, found.st_ino, found.st_size, found.st_mtime_ns)[1]


def _read(path: Path) -> tuple[Entry | None, list[str]]:
    """Return an entry, unless it cannot be read, and what is wrong with it."""
    try:
        entry, beside = changes.read_entry(path), changes.told_digest(path)
    except StoreUnusable as e:
        return None, [e.detail]
    return entry, [changes.changed(path)] if beside and beside != entry.digest else []


@lru_cache(maxsize=4)
def _read_once(path: Path, *_: int) -> tuple[Entry | None, list[str]]:
    return _read(path)


def notes(log: Path, entries: list[Entry]) -> list[str]:
    """Return what is odd and yet may be right: a clock that was set back, a hash that was lost.

    Args:
        entries: all, the newest first.
    """
    found = [
        f"the clock was set back: version {later.version} says {later.time.isoformat()}, the one before"
        f" it {earlier.time.isoformat()}"
        for later, earlier in pairwise(entries)
        if later.time < earlier.time
    ]
    if entries and not changes.told_digest(changes.entry_path(log, entries[0].version)):
        found.append("the hash of the newest entry was lost, as after a power failure")
    return found
