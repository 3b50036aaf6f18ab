"""Files of the knowledge: which ones of its folders are read, and their bytes, or what is wrong with them as files."""

from __future__ import annotations

import gzip
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from .errors import BrokenFile

#: What git writes into a file where two changes meet; a line of seven '=' alone may be text, too.
_MARK = re.compile(rb"^(?:<{7}|>{7}|\|{7})(?= |\r?$)", re.M)
_MIDDLE = re.compile(rb"^={7}\r?$", re.M)
#: Files of each folder that are read, by where they stand in it; what they are called, for a message.
_READ = {
    "ontology": (r"[^/]+\.ttl|checks/[^/]+\.rq|releases/.*", "Turtle (*.ttl)"),
    "shapes": (r"[^/]+\.ttl", "Turtle (*.ttl)"),
    "data": (
        r"[^/]+\.ttl|actions\.csv|readings\.csv|mappings/[^/]+\.sssom\.tsv|mappings/verified/[^/]+\.tsv",
        "Turtle (*.ttl), actions.csv, readings.csv, mappings/*.sssom.tsv and mappings/verified/*.tsv",
    ),
    "queries": (r"(?:.*/)?[^/]+\.rq|expected/[^/]+\.csv", "queries (*.rq)"),
}
#: Names of files that somebody means to be read, by ending; nothing that is hidden, nor in a hidden folder.
_MEANT = re.compile(
    r"(?!.*(?:^|/)\.).*\.(ttl|turtle|n3|nt|nq|trig|rdf|owl|xml|json|jsonld|yaml|yml|rq|ru|sparql|tsv|csv|xlsx?|ods)"
    r"(\.(gz|zip|bz2))?",
    re.IGNORECASE | re.DOTALL,
)


class State(NamedTuple):
    """A file as it is now: another one when it was written anew."""

    path: Path
    node: int
    size: int
    changed: int


def state(path: Path) -> State:
    """Return the state of a file, by which what was read of it is known to hold."""
    try:
        found = path.stat()
    except OSError as e:
        raise unreadable(path, e) from e
    return State(path, found.st_ino, found.st_size, found.st_mtime_ns)


def broken(path: Path | str, detail: str, line: int = 0, column: int = 0) -> BrokenFile:
    """Return the error for what stands at a place of a file."""
    place = {name: at for name, at in (("line", line), ("column", column)) if at}
    where = "".join(f", {name} {at}" for name, at in place.items())
    return BrokenFile(f"{path}{where}: {detail}", file=str(path), **place)


def unreadable(path: Path, error: Exception) -> BrokenFile:
    """Return the error for a file that cannot be read."""
    why = getattr(error, "strerror", None) or str(error)
    return BrokenFile(f"{path} cannot be read: {why}.", file=str(path))


def conflict(path: Path, line: int) -> BrokenFile:
    """Return the error for a conflict that git left in a file."""
    return broken(
        path,
        "a conflict of git is not settled. Keep one side, and remove the lines that begin with <<<<<<<, |||||||, ======="
        " and >>>>>>>.",
        line,
    )


def read(path: Path) -> bytes:
    """Return what stands in a file: UTF-8, without the mark that some editors put before it, lines ending as on Unix.

    Raises:
        BrokenFile: it cannot be read, is not UTF-8, or holds a conflict that git left.
    """
    try:
        data = path.read_bytes().removeprefix(BOM_UTF8)
        data.decode()
    except OSError as e:
        raise unreadable(path, e) from e
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise broken(path, "the file is not UTF-8; save it as UTF-8.", line) from e
    # In Turtle, a line of '=' may stand in a text; see `unsettled`.
    alone = path.suffix.lower() != ".ttl"
    if mark := _MARK.search(data) or (alone and _MIDDLE.search(data)):
        raise conflict(path, data.count(b"\n", 0, mark.start()) + 1)
    return data.replace(b"\r\n", b"\n")


def unsettled(path: Path, line: int | None) -> int:
    """Return the first line with a mark of git, up to the one after which a file does not parse; 0 without any."""
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as lines:
        for number, text in enumerate(islice(lines, (line or 1) + 1), 1):
            if _MARK.match(text) or _MIDDLE.match(text):
                return number
    return 0


def ending(folder: Path, suffix: str) -> list[Path]:
    """Return the files of a folder with an ending, in whatever capitals, in order; see `see_name`."""
    found = sorted(p for p in folder.glob("*") if p.name.lower().endswith(suffix))
    for path in found:
        see_name(path)
    return found


def see_name(path: Path) -> None:
    """See that a graph or a query can be named after a file, or raise BrokenFile."""
    if not re.fullmatch(r"[\w.-]+", path.stem):
        better = re.sub(r"[^\w.-]+", "-", path.stem).strip("-")
        raise broken(
            path,
            f"nothing can be named after this file. Rename it, such as {better}{path.suffix}: letters, digits, '-', '_'"
            " and '.' alone.",
        )


def unread(folder: Path) -> Iterator[BrokenFile]:
    """Return an error for each file below a folder of the knowledge that looks like knowledge, and is not read."""
    for name, (pattern, what) in _READ.items():
        for path in sorted((folder / name).rglob("*")):
            inside = path.relative_to(folder / name).as_posix()
            is_read = re.fullmatch(pattern, inside, re.IGNORECASE)
            if path.is_file() and not is_read and _MEANT.fullmatch(inside):
                yield BrokenFile(
                    f"{path} would not be read: {name}/ takes {what} alone. Write it so, or move it away"
                    f" ('kg4p1000 load' puts RDF of other formats into a graph).",
                    file=str(path),
                )


def see_all_read(folder: Path) -> None:
    """See that nothing below a folder of the knowledge is left out in silence, or raise BrokenFile."""
    for error in unread(folder):
        raise error
