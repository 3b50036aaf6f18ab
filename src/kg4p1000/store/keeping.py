"""What the engine keeps of a literal: numbers, times and truth values by value, not as they are written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

import pyoxigraph as ox
from pyoxigraph import Literal, NamedNode, Quad, Triple

from ..kernel.terms import PREFIXES, curie

_XSD = PREFIXES["xsd"]
_STRING = _XSD + "string"
_ANY = NamedNode(PREFIXES["rdf"] + "value")
#: So many statements are looked at together.
_BATCH = 10_000


@lru_cache(maxsize=4096)
def kept(literal: Literal) -> Literal:
    """Return the literal that is kept in the place of one."""
    store = ox.Store()
    store.add(Quad(_ANY, _ANY, literal))
    return next(iter(store)).object  # type: ignore[return-value]


class Normalised:
    """The literals of a change that are kept otherwise than they were written, by datatype."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, Any]] = {}

    def see(self, quads: Iterable[Quad]) -> Iterator[Quad]:
        """Hand on statements, and look at each."""
        rest = iter(quads)
        while batch := list(islice(rest, _BATCH)):
            self._look(Counter(found for quad in batch for found in _typed(quad.object)))
            yield from batch

    def _look(self, found: Counter[Literal]) -> None:
        # Most stay as they are: they are the ones that a store of all of them has.
        store = ox.Store()
        store.extend(Quad(_ANY, _ANY, literal) for literal in found)
        stay = {quad.object for quad in store}
        for literal, count in found.items():
            if literal in stay or (instead := kept(literal)) == literal:
                continue
            name = curie(literal.datatype.value) or literal.datatype.value
            told = {"datatype": name, "count": 0, "sent": str(literal), "kept": str(instead)}
            self._found.setdefault(name, told)["count"] += count

    def to_list(self) -> list[dict[str, Any]]:
        """Return for each datatype how many, and one as it was sent and as it is kept."""
        return [told for _, told in sorted(self._found.items())]


def _typed(term: object) -> Iterator[Literal]:
    """Yield the literals of a term with a datatype of XML Schema other than string."""
    if isinstance(term, Literal):
        datatype = term.datatype.value
        if datatype.startswith(_XSD) and datatype != _STRING:
            yield term
    elif isinstance(term, Triple):
        yield from _typed(term.object)
