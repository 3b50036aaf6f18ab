"""What BASE and PREFIX declare, and terms as they are written turned into terms.

The engine does both: the declarations stand before whatever text it is given to parse.

Source: SPARQL 1.1 Query Language, sections 4.1 and 19.5; RDF 1.1 Turtle, section 6.4, whose terms are
written as those of SPARQL are, but for TRUE and FALSE in capitals.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import pyoxigraph as ox
from pyoxigraph import Literal, NamedNode

from ..errors import MalformedQuery
from ..store.faults import problem
from ..store.parsing import sentence
from ..terms import BASE, prefix_declarations
from .lexer import Cursor, malformed

_OURS = f"BASE <{BASE}>\n{prefix_declarations()}"
#: An IRI or literal as it is written, and its place in the request.
Written = tuple[str, int]


class Assembled:
    """A text made of pieces of a request, that knows where each piece stood."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._starts: list[int] = []
        self._sources: list[int] = []
        self._length = 0

    def add(self, piece: str, source: int | None = None) -> None:
        """Append a piece; without a place of its own it belongs to the piece before it."""
        if source is not None:
            self._starts.append(self._length)
            self._sources.append(source)
        self._pieces.append(piece)
        self._length += len(piece)

    @property
    def text(self) -> str:
        """The pieces together."""
        return "".join(self._pieces)

    def __str__(self) -> str:
        return self.text

    def extend(self, other: Assembled) -> None:
        """Append another text with the places of its pieces."""
        self._starts += (self._length + start for start in other._starts)
        self._sources += other._sources
        self._pieces += other._pieces
        self._length += other._length

    def source(self, line: int, column: int) -> int:
        """The place in the request of a line and column of this text."""
        lines = self.text.split("\n")
        offset = sum(len(before) + 1 for before in lines[: line - 1]) + column - 1
        at = max(bisect_right(self._starts, offset) - 1, 0)
        return self._sources[at] + max(offset - self._starts[at], 0) if self._sources else 0


@dataclass(frozen=True)
class Prologue:
    """The declarations in force at some place of a request, ours among them."""

    declared: tuple[Written, ...] = ()

    @classmethod
    def read(cls, cursor: Cursor, before: Prologue | None = None) -> Prologue:
        """Read declarations until something else comes.

        Args:
            before: what is declared already.
        """
        declared = list(before.declared) if before else []
        while word := cursor.keyword("BASE", "PREFIX", "VERSION"):
            if word == "PREFIX":
                name = cursor.next
                if name.kind != "name" or not name.text.endswith(":") or name.text.count(":") > 1:
                    raise cursor.unexpected("a prefix that ends with ':'")
                cursor.take()
            wanted = "string" if word == "VERSION" else "iri"
            value = cursor.next
            if value.kind != wanted:
                raise cursor.unexpected(
                    "a string" if word == "VERSION" else "an IRI in '<' and '>'"
                )
            cursor.take()
            if word == "BASE":
                declared.append((f"BASE {value.text}\n", value.start))
            elif word == "PREFIX":
                declared.append((f"PREFIX {name.text} {value.text}\n", name.start))
        return cls(tuple(declared))

    def before(self) -> Assembled:
        """A text that begins with the declarations."""
        text = Assembled()
        text.add(_OURS)
        for declaration, source in self.declared:
            text.add(declaration, source)
        return text

    def terms(self, request: str, written: Sequence[Written]) -> list[NamedNode | Literal]:
        """The terms that are written in a request.

        Raises:
            MalformedQuery: one of them is not valid, or its prefix is not declared.
        """
        if not written:
            return []
        text = self.before()
        text.add("<x:s> <x:p>\n", written[0][1])
        for number, (term, source) in enumerate(written):
            text.add(",\n" if number else "")
            text.add(term.lower() if term.upper() in ("TRUE", "FALSE") else term, source)
        text.add("\n.")
        try:
            return [quad.object for quad in ox.parse(text.text, format=ox.RdfFormat.TURTLE)]
        except SyntaxError as e:
            place = text.source(e.lineno or 1, e.offset or 1)
            raise malformed(
                request, place, sentence(e.msg).replace("@prefix", "PREFIX") + "."
            ) from e


def located(error: Exception, text: Assembled, request: str, otherwise: int) -> MalformedQuery:
    """The engine's complaint about a text made of a request, as one about the request.

    Args:
        otherwise: the place in the request for a complaint that names none.
    """
    told = problem(error)
    line, column = told.members.get("line"), told.members.get("column")
    if line and column:
        offset = min(text.source(line, column), len(request))
        return malformed(
            request, offset, told.detail.removeprefix(f"Line {line}, column {column}: ")
        )
    return malformed(request, otherwise, told.detail)
