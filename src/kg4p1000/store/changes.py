"""The change log: what a change is, and how it is written down.

An entry is an RDF Patch file: header rows (``H``), then one row for each quad removed (``D``) and
added (``A``) in sorted order, so that the same change always gives the same bytes. Its SHA-256 stands
in the header of the next entry, and in a file beside it; a log that was tampered with does not add up.

Source: RDF Patch, https://afs.github.io/rdf-delta/rdf-patch.html
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import pyoxigraph as ox
from pyoxigraph import Quad

from ..kernel.errors import StoreUnusable, TooLarge
from .bulk import Rows
from .keeping import Normalised

GENESIS = "0" * 64
#: With these the header ends, and the entry.
_BEGIN = b"TX .\n"
_END = b"TC .\n"
#: The rows of a header, in their order, and what makes a value of each.
_HEADER: dict[str, Callable[[str], Any]] = {
    "version": int, "previous": str, "author": str, "time": datetime.fromisoformat, "message": str, "source": str,
    "removed": int, "added": int,
}  # fmt: skip
#: Bytes of a statement at most: the engine's parser reads up to 16 MiB, and the log must be read again.
STATEMENT = 1 << 22
#: So many rows of an entry are read at once.
_ROWS = 50_000


@dataclass(frozen=True)
class Delta:
    """Quads to add and quads to remove; a quad in both is added."""

    added: frozenset[Quad] = frozenset()
    removed: frozenset[Quad] = frozenset()

    @classmethod
    def of(
        cls,
        added: Iterable[Quad] = (),
        removed: Iterable[Quad] = (),
        normalised: Normalised | None = None,
    ) -> Delta:
        """Return a delta in the literal forms that the store keeps ("0042"^^xsd:integer is 42 there).

        Args:
            normalised: takes count of those that are added and kept otherwise.
        """
        kept = canonical(normalised.see(added) if normalised else added)
        return cls(kept, canonical(removed) - kept)

    def inverse(self) -> Delta:
        """Return the delta that undoes this one."""
        return Delta(self.removed, self.added)

    def then(self, later: Delta) -> Delta:
        """Return what this one and a later one, of what it left, change together."""
        return Delta(
            (self.added - later.removed) | (later.added - self.removed),
            (self.removed - later.added) | (later.removed - self.added),
        )

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)

    def __len__(self) -> int:
        return len(self.added) + len(self.removed)

    def __iter__(self) -> Iterator[Quad]:
        return chain(self.added, self.removed)

    def only(self, fits: Callable[[Quad], bool]) -> Delta:
        """Return the part of this delta whose quads fit."""
        return Delta(frozenset(filter(fits, self.added)), frozenset(filter(fits, self.removed)))


@dataclass(frozen=True)
class Entry:
    """The header of one log entry: who changed what when, and the entry before."""

    version: int
    previous: str
    author: str
    time: datetime
    message: str
    source: str
    added: int
    removed: int
    digest: str = ""


def canonical(quads: Iterable[Quad]) -> frozenset[Quad]:
    """Return the quads in the literal forms in which Oxigraph keeps them."""
    store = ox.Store()
    store.bulk_extend(quads)
    return frozenset(store)


def sorted_lines(quads: Iterable[Quad]) -> list[str]:
    """Return the quads as sorted N-Quads statements without the final full stop."""
    return sorted(str(quad) for quad in quads)


def rows(quads: Iterable[Quad]) -> list[bytes]:
    """Return the quads as sorted rows of an entry; see `Rows`."""
    return sorted(str(quad).encode() for quad in quads)


def write_entry(folder: Path, entry: Entry, removed: Rows, added: Rows) -> Entry:
    """Write an entry and force it to disk; from then on the change counts as accepted.

    Raises:
        TooLarge: a statement that is added has more than `STATEMENT` bytes; nothing is written.
    """

    entry = replace(entry, added=added.count, removed=removed.count)
    told = {name: getattr(entry, name) for name in _HEADER} | {"time": entry.time.isoformat()}
    header = [f"H {name} {ox.Literal(str(value))} .\n".encode() for name, value in told.items()]
    went = (b"D %b .\n" % row for row in removed.lines)
    came = (b"A %b .\n" % _short(row) for row in added.lines)
    path = entry_path(folder, entry.version)
    aside = write_aside(path, chain(header, [_BEGIN], went, came, [_END]))
    beside = path.with_suffix(".sha256")
    try:
        sha = sha256(aside)
        write_whole(beside, f"{sha}\n".encode())  # before the entry counts
        put(aside, path)
    except BaseException:
        if not path.exists():
            aside.unlink(missing_ok=True), beside.unlink(missing_ok=True)
        raise
    return replace(entry, digest=sha)


def refuse_long(added: Rows) -> None:
    """See that the log could take what is added, as `write_entry` does.

    Raises:
        TooLarge: a statement has more than `STATEMENT` bytes.
    """
    for row in added.lines:
        _short(row)


def _short(row: bytes) -> bytes:
    if len(row) > STATEMENT:
        raise TooLarge(
            f"The statement {row[:80].decode(errors='ignore')}… has {len(row):,} bytes; at most"
            f" {STATEMENT:,} are taken. Keep so long a text in a file and link to it.",
            limit_bytes=STATEMENT,
        )
    return row


def digest(path: Path) -> str:
    """Return the SHA-256 of an entry.

    Raises:
        StoreUnusable: the entry is missing, or is not the one whose hash stands beside it.
    """
    with _reading(path):
        found = sha256(path)
    if told_digest(path) not in ("", found):
        raise StoreUnusable(changed(path))
    return found


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def told_digest(path: Path) -> str:
    """Return the SHA-256 that stands beside an entry; after a power failure there may be none."""
    with suppress(FileNotFoundError), _reading(path.with_suffix(".sha256")):
        return path.with_suffix(".sha256").read_text(encoding="ascii").strip()
    return ""


def changed(path: Path) -> str:
    """Return a sentence on an entry that is not what its hash says."""
    return f"{path.name} in the change log was changed: the hash beside it is of something else."


def write_durably(path: Path, data: bytes) -> None:
    """Replace a file in one step, and return only when the disk has it."""
    put(write_aside(path, [data]), path)


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file in one step, without waiting for the disk: for what can be made again."""
    os.rename(write_aside(path, [data], durably=False), path)


def write_aside(path: Path, parts: Iterable[bytes], durably: bool = True) -> Path:
    """Bring what a file is to hold to the disk, beside it; so nothing but a rename is left to do."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(aside, "wb") as file:
            file.writelines(parts)
            if durably:
                file.flush()
                os.fsync(file.fileno())
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return aside


def put(aside: Path, path: Path) -> None:
    """Replace a file by what was written beside it."""
    os.rename(aside, path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Force a folder's entries (a rename, say) to disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def entry_path(folder: Path, version: int) -> Path:
    """Return where the entry of a version stands."""
    return folder / f"{version:08}.rdfp"


def read_entry(path: Path, whole: bool = True) -> Entry:
    """Read the header of an entry.

    Args:
        whole: also hash the file, and see that it is complete and has the rows that its header counts; a
            header alone is quicker.

    Raises:
        StoreUnusable: the file is missing, or is not a whole entry of the number that its name says.
    """
    with _reading(path), open(path, "rb") as file:
        entry = _header(path, file)
        if not whole:
            return entry
        for _ in _rows(path, file, entry):
            pass
        return replace(entry, digest=sha256(path))


def read_delta(path: Path) -> Delta:
    """Read what an entry adds and removes.

    Raises:
        StoreUnusable: as `read_entry`.
    """
    with _reading(path), open(path, "rb") as file:
        return _delta(_rows(path, file, _header(path, file)))


def parts(path: Path) -> Iterator[Delta]:
    """Yield what an entry adds and removes, in parts of bounded size, for those that keep nothing of it.

    Raises:
        StoreUnusable: as `read_entry`, but that may be known at the end alone.
    """
    with _reading(path), open(path, "rb") as file:
        rows = _rows(path, file, _header(path, file))
        while part := list(islice(rows, _ROWS)):
            yield _delta(part)


def _delta(rows: Iterable[bytes]) -> Delta:
    sides: dict[bytes, list[bytes]] = {b"A ": [], b"D ": []}
    for row in rows:
        sides[row[:2]].append(row[2:])
    parsed = (ox.parse(b"".join(side), format=ox.RdfFormat.N_QUADS) for side in sides.values())
    return Delta(*map(frozenset, parsed))


def touches(path: Path, graph: ox.NamedNode) -> bool:
    """Return whether an entry adds or removes a statement of a graph.

    Raises:
        StoreUnusable: the entry is missing or cannot be read.
    """
    end = f" {graph} .\n".encode()
    with _reading(path), open(path, "rb") as rows:
        return any(row.startswith((b"A ", b"D ")) and row.endswith(end) for row in rows)


def parse_lines(lines: Iterable[str]) -> Iterator[Quad]:
    """Parse N-Quads statements, blank node labels kept."""
    return ox.parse("".join(lines), format=ox.RdfFormat.N_QUADS)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tell in words what is wrong with a file of the log."""
    if path.exists() and not path.is_file():  # a pipe or a device might have no end
        raise StoreUnusable(f"{path.name} in the change log is no file.")
    try:
        yield
    except FileNotFoundError:
        if path.suffix != ".rdfp":
            raise
        raise StoreUnusable(f"Entry {int(path.stem)} is missing from the change log.") from None
    except OSError as e:
        raise StoreUnusable(
            f"{path.name} in the change log cannot be read: {e.strerror or e}."
        ) from e
    except (SyntaxError, ValueError) as e:
        raise StoreUnusable(f"{path.name} in the change log has a row that is not one: {e}") from e


def _header(path: Path, file: IO[bytes]) -> Entry:
    """Read a file up to the row that ends its header."""
    header: dict[str, str] = {}
    try:
        while (row := file.readline()) != _BEGIN:
            if not row:
                raise ValueError("the file ends before it does")
            kind, name, value = row.decode().removesuffix(" .\n").split(" ", 2)
            if kind != "H" or name in header:
                raise ValueError(f"{row[:80]!r}")
            header[name] = _literal(value)
        entry = Entry(**{name: read(header[name]) for name, read in _HEADER.items()})
        if entry.time.tzinfo is None:
            raise ValueError("a time without its offset from UTC")
    except (KeyError, ValueError, SyntaxError, StopIteration) as e:
        raise StoreUnusable(f"{path.name} in the change log has no valid header: {e}") from e
    if entry.version != int(path.stem):
        raise StoreUnusable(f"{path.name} in the change log says that it is entry {entry.version}.")
    return entry


def _rows(path: Path, file: IO[bytes], entry: Entry) -> Iterator[bytes]:
    """Yield the rows after a header that add and remove, and a look at whether the entry is whole."""
    counts, ended = {b"A ": 0, b"D ": 0}, False
    for row in file:
        if ended:
            raise StoreUnusable(f"{path.name} in the change log has rows after its end.")
        if row[:2] in counts and row.endswith(b" .\n"):
            counts[row[:2]] += 1
            yield row
        elif row == _END:
            ended = True
        elif row.endswith(b"\n"):
            raise ValueError(f"{row[:80]!r}")
    if not ended:
        raise StoreUnusable(f"{path.name} in the change log is not complete.")
    if (counts[b"A "], counts[b"D "]) != (entry.added, entry.removed):
        raise StoreUnusable(
            f"{path.name} in the change log has {counts[b'A ']} statements added and {counts[b'D ']}"
            f" removed, and its header counts {entry.added} and {entry.removed}."
        )


def _literal(text: str) -> str:
    quad = next(parse_lines([f"<s:> <p:> {text} ."]))
    if not isinstance(quad.object, ox.Literal):
        raise ValueError(f"{text[:80]!r}")
    return quad.object.value


def now() -> datetime:
    """Return the time, to the second, as log entries state it."""
    return datetime.now(UTC).replace(microsecond=0)
