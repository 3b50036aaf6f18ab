"""Results on a page: the first rows of a table, or the first lines of Turtle, and how much there is.

The whole result passes through, so that the count is exact, but only what is shown is kept.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import pyoxigraph as ox

from ..store import Result
from ..terms import PREFIXES
from .rendering import Cell, cell

SHOWN_ROWS = 1000
SHOWN_BYTES = 200_000


@dataclass(frozen=True)
class Table:
    """The first rows of a result, and how many there are in all."""

    variables: list[str]
    rows: list[list[Cell | None]]
    total: int

    def without(self, hidden: Container[str]) -> Table:
        """The table without some columns."""
        kept = [i for i, name in enumerate(self.variables) if name not in hidden]
        rows = [[row[i] for i in kept] for row in self.rows]
        return Table([self.variables[i] for i in kept], rows, self.total)


@dataclass(frozen=True)
class Text:
    """The first lines of Turtle, and how many bytes there are in all."""

    text: str
    shown: int
    total: int


def table(result: Result, limit: int = SHOWN_ROWS) -> Table:
    """Read a result that was asked for as TSV, where each line is a row."""
    kept = bytearray()
    lines = 0
    for chunk in result.chunks():
        if lines <= limit:
            kept += chunk
        lines += chunk.count(b"\n")
    text = bytes(kept[: kept.rfind(b"\n") + 1]).decode()
    rows = text.split("\n")[1 : min(limit + 1, lines)]
    return Table(
        result.variables,
        [[_parse(text) for text in row.split("\t")[: len(result.variables)]] for row in rows],
        lines - 1,
    )


def _parse(text: str) -> Cell | None:
    """A term in the Turtle form that TSV results have (SPARQL 1.1 CSV and TSV, section 4.1)."""
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


def shown(result: Result, hidden: Container[str] = ()) -> dict[str, Any]:
    """A result for a page, asked for as TSV, JSON (booleans) or Turtle (triples).

    Args:
        hidden: columns that the page need not show, such as parameters that stand in its form.

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
            content = {"table": table(result).without(hidden)}
    return {"version": result.version, **content}
