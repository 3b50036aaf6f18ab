"""What the engine keeps of a literal: numbers, times and truth values by value, not as they are written.

Source: measured on pyoxigraph 0.5.13; XML Schema Definition Language 1.1, part 2.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import pyoxigraph as ox
from pyoxigraph import Literal, NamedNode, Quad, Triple

from ..terms import PREFIXES, curie

_XSD = PREFIXES["xsd"]
_ANY = NamedNode(PREFIXES["rdf"] + "value")
#: A literal of N-Triples with a datatype of XML Schema.
_TYPED = re.compile(rb'"(?:[^"\\]|\\.)*+"\^\^<http://www\.w3\.org/2001/XMLSchema#[^>]*>')


#: The texts of each datatype that surely stay as they are: most, and they need not be tried.
_STAYS = {
    _XSD + name: re.compile(pattern)
    for names, pattern in (
        ("integer", r"(?:0|-?[1-9]\d{0,17})\Z"),
        ("decimal", r"(?:0|-?(?:0|[1-9]\d{0,11})(?:\.\d{0,5}[1-9])?)\Z(?<!-0)"),
        ("double", r"(?:0|-?(?:0|[1-9]\d{0,5})(?:\.\d{0,5}[1-9])?)\Z"),
        ("boolean", r"(?:true|false)\Z"),
        ("date", r"\d{4}-\d\d-\d\dZ?\Z"),
        ("dateTime", r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\dZ?\Z"),
        ("gYear gYearMonth", r"\d{4}(?:-\d\d)?\Z"),
        ("string anyURI token normalizedString language hexBinary base64Binary", ""),
    )
    for name in names.split()
}


@lru_cache(maxsize=4096)
def kept(literal: Literal) -> Literal:
    """The literal that is kept in the place of one."""
    datatype = literal.datatype.value
    if literal.language or not datatype.startswith(_XSD):
        return literal
    if (stays := _STAYS.get(datatype)) and stays.match(literal.value):
        return literal
    store = ox.Store()
    store.add(Quad(_ANY, _ANY, literal))
    return next(iter(store)).object  # type: ignore[return-value]


class Normalised:
    """The literals of a change that are kept otherwise than they were written, by datatype."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, tuple[Literal, Literal]] = {}

    def see(self, quads: Iterable[Quad]) -> Iterator[Quad]:
        """Hand on statements, and look at each."""
        for quad in quads:
            for literal in _literals(quad.object):
                self._add(literal, 1)
            yield quad

    def see_lines(self, block: bytes) -> None:
        """Look at lines of N-Triples."""
        for written, count in Counter(_TYPED.findall(block)).items():
            line = b"<x:s> <x:p> %b .\n" % written
            for triple in ox.parse(line, ox.RdfFormat.N_TRIPLES):
                for literal in _literals(triple.object):
                    self._add(literal, count)

    def _add(self, literal: Literal, count: int) -> None:
        instead = kept(literal)
        if instead != literal:
            name = curie(literal.datatype.value) or literal.datatype.value
            self._counts[name] += count
            self._examples.setdefault(name, (literal, instead))

    def to_list(self) -> list[dict[str, Any]]:
        """For each datatype how many, and one as it was sent and as it is kept."""
        return [
            {
                "datatype": name,
                "count": count,
                "sent": str(self._examples[name][0]),
                "kept": str(self._examples[name][1]),
            }
            for name, count in sorted(self._counts.items())
        ]


def _literals(term: object) -> Iterator[Literal]:
    if isinstance(term, Literal):
        yield term
    elif isinstance(term, Triple):
        yield from _literals(term.object)
