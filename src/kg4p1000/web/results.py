"""Results on a page: the first rows of a table, or the first lines of Turtle, and how much there is.

The whole result passes through, so that the count is exact, but only what is shown is kept.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyoxigraph as ox

from ..errors import BadParameter
from ..store import Result
from ..terms import PREFIXES
from ..texts import counted
from .rendering import Cell, Sheet, cell

#: Rows of a page, and bytes of Turtle.
SHOWN_ROWS = 50
SHOWN_BYTES = 20_000


@dataclass(frozen=True)
class Table(Sheet):
    """Some rows of a result, the items of a page."""

    items: Sequence[list[Cell | None]]
    variables: list[str]

    @property
    def says_nothing(self) -> bool:
        """Return whether it has no row, or a single one in which all that was counted is 0."""
        cells = [c.text for c in self.items[0] if c] if self.total == 1 else []
        return not self.total or (bool(cells) and all(text == "0" for text in cells))

    def without(self, hidden: Container[str]) -> Table:
        """Return the table without some columns."""
        kept = [i for i, name in enumerate(self.variables) if name not in hidden]
        rows = [[row[i] for i in kept] for row in self.items]
        return replace(self, items=rows, variables=[self.variables[i] for i in kept])


@dataclass(frozen=True)
class Text:
    """The first lines of Turtle, and how many bytes there are in all."""

    text: str
    shown: int
    total: int


def page_number(args: Mapping[str, str]) -> int:
    """Return the page of a result that a request asks for.

    Raises:
        BadParameter: it is no number from 1 on.
    """
    asked = args.get("page", "").strip() or "1"
    if not (asked.isascii() and asked.isdecimal() and len(asked) < 10 and int(asked)):
        raise BadParameter(
            f"page is {asked[:100]!r} and must be a number from 1 on.", parameter="page"
        )
    return int(asked)


def table(result: Result, number: int = 1) -> Table:
    """Read a page of a result that was asked for as TSV, where each line is a row.

    Raises:
        BadParameter: there is no such page.
    """
    first, lines, waiting = (number - 1) * SHOWN_ROWS + 1, 0, b""  # the head is line 0
    kept: list[bytes] = []
    for chunk in result.chunks():
        *whole, waiting = (waiting + chunk).split(b"\n")
        kept += whole[max(0, first - lines) : max(0, first + SHOWN_ROWS - lines)]
        lines += len(whole)
    rows = [row.decode().split("\t")[: len(result.variables)] for row in kept]
    cells = [[_parse(c) for c in row] for row in rows]
    found = Table(cells, lines - 1, number, SHOWN_ROWS, result.variables)
    if number > found.last:
        raise BadParameter(
            f"page is {number} and must be a number from 1 to {found.last}: the result has"
            f" {counted(found.total, 'row')}, {SHOWN_ROWS} a page.",
            parameter="page",
        )
    return found


def _parse(text: str) -> Cell | None:
    """Return a term in the Turtle form that TSV results have (SPARQL 1.1 CSV and TSV, section 4.1)."""
    if not text:
        return None
    try:
        quads = ox.parse(f"<x:s> <x:p> {text} .", format=ox.RdfFormat.TURTLE)
        return cell(next(iter(quads)).object)
    except (SyntaxError, StopIteration):
        return Cell(text)


def turtle(result: Result, limit: int = SHOWN_BYTES) -> Text:
    """Read a result that was asked for as Turtle; unused prefixes are left out."""
    kept = bytearray()
    total = 0
    for chunk in result.chunks():
        if total < limit:
            kept += chunk
        total += len(chunk)
    whole = total <= limit
    data = bytes(kept) if whole else bytes(kept[: kept.rfind(b"\n", 0, limit) + 1])
    text = data.decode()
    body = re.sub(r"^@prefix .*\n", "", text, flags=re.M)
    used = set(re.findall(r"(?<![\w<\"])([a-z0-9-]+):(?=[A-Za-z0-9_])", body))
    head = "".join(f"@prefix {p}: <{ns}> .\n" for p, ns in sorted(PREFIXES.items()) if p in used)
    return Text(f"{head}\n{body}".strip(), len(data), total)


def shown(result: Result, hidden: Container[str] = (), number: int = 1) -> dict[str, Any]:
    """Return a result for a page, asked for as TSV, JSON (booleans) or Turtle (triples).

    Args:
        hidden: columns that the page need not show, such as parameters that stand in its form.
        number: of the page, where it is a table.

    Returns:
        One of ``table``, ``boolean`` and ``turtle``, and ``version``.
    """
    content: dict[str, Any]
    match result.kind:
        case "boolean":
            content = {"boolean": result.json()["boolean"]}
        case "triples":
            content = {"turtle": turtle(result)}
        case _:
            content = {"table": table(result, number).without(hidden)}
    return {"version": result.version, **content}
