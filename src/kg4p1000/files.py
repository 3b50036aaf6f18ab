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
#: Names of files that graphs and queries are named after.
_STEM = re.compile(r"[\w.-]+")
#: Files of each folder that are read, by where they stand in it; what they are called, for a message.
_READ = {
    "ontology": (r"[^/]+\.ttl|checks/[^/]+\.rq|releases/.*", "Turtle (*.ttl)"),
    "shapes": (r"[^/]+\.ttl", "Turtle (*.ttl)"),
    "data": (
        r"[^/]+\.ttl|mappings/[^/]+\.sssom\.tsv|mappings/verified/[^/]+\.tsv",
        "Turtle (*.ttl), mappings/*.sssom.tsv and mappings/verified/*.tsv",
    ),
    "queries": (r"(?:.*/)?[^/]+\.rq|expected/[^/]+\.csv", "queries (*.rq)"),
}
#: Endings of files that somebody means to be read.
_MEANT = re.compile(
    r"\.(ttl|turtle|n3|nt|nq|trig|rdf|owl|xml|json|jsonld|yaml|yml|rq|ru|sparql|tsv|csv|xlsx?|ods)(\.(gz|zip|bz2))?",
    re.IGNORECASE,
)


class State(NamedTuple):
    """A file as it is now: another one when it was written anew."""

    path: Path
    node: int
    size: int
    changed: int


def state(path: Path) -> State:
    """Return the state of a file, by which what was read of it is known to hold.

    Raises:
        BrokenFile: it cannot be read.
    """
    try:
        found = path.stat()
    except OSError as e:
        raise BrokenFile(f"{path} cannot be read: {e.strerror}.", file=str(path)) from e
    return State(path, found.st_ino, found.st_size, found.st_mtime_ns)


def read(path: Path) -> bytes:
    """Return what stands in a file: UTF-8, without the mark that some editors put before it, lines ending as on Unix.

    Raises:
        BrokenFile: it cannot be read, is not UTF-8, or holds a conflict that git left.
    """
    try:
        data = path.read_bytes().removeprefix(BOM_UTF8)
        data.decode()
    except OSError as e:
        raise BrokenFile(f"{path} cannot be read: {e.strerror}.", file=str(path)) from e
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        raise BrokenFile(
            f"{path}, line {line}: the file is not UTF-8; save it as UTF-8.",
            file=str(path),
            line=line,
        ) from e
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


def conflict(path: Path, line: int) -> BrokenFile:
    """Return the error for a conflict that git left in a file."""
    return BrokenFile(
        f"{path}, line {line}: a conflict of git is not settled. Keep one side, and remove the lines that begin with"
        " <<<<<<<, |||||||, ======= and >>>>>>>.",
        file=str(path),
        line=line,
    )


def ending(folder: Path, suffix: str) -> list[Path]:
    """Return the files of a folder with an ending, in whatever capitals, in order.

    Raises:
        BrokenFile: one has a name that nothing can be named after.
    """
    found = sorted(p for p in folder.glob("*") if p.name.lower().endswith(suffix))
    for path in found:
        see_name(path)
    return found


def see_name(path: Path) -> None:
    """See that a graph or a query can be named after a file.

    Raises:
        BrokenFile: it cannot.
    """
    if not _STEM.fullmatch(path.stem):
        better = re.sub(r"[^\w.-]+", "-", path.stem).strip("-")
        raise BrokenFile(
            f"{path}: nothing can be named after this file. Rename it, such as {better}{path.suffix}: letters, digits,"
            " '-', '_' and '.' alone.",
            file=str(path),
        )


def unread(folder: Path) -> Iterator[BrokenFile]:
    """Return an error for each file below a folder of the knowledge that looks like knowledge, and is not read."""
    for name, (pattern, what) in _READ.items():
        for path in sorted((folder / name).rglob("*")):
            inside = path.relative_to(folder / name)
            if (
                not _MEANT.fullmatch("".join(path.suffixes[-2:]))
                and not _MEANT.fullmatch(path.suffix)
            ) or any(part.startswith(".") for part in inside.parts):
                continue
            if path.is_file() and not re.fullmatch(pattern, inside.as_posix(), re.IGNORECASE):
                yield BrokenFile(
                    f"{path} would not be read: {name}/ takes {what} alone. Write it so, or move it away"
                    f" ('kg4p1000 load' puts RDF of other formats into a graph).",
                    file=str(path),
                )


def see_all_read(folder: Path) -> None:
    """See that nothing below a folder of the knowledge is left out in silence.

    Raises:
        BrokenFile: a file would be.
    """
    for error in unread(folder):
        raise error
