"""Graphs that a request names and that are not here: they are empty, and a header says which."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import quote

import pyoxigraph as ox
from pyoxigraph import NamedNode

from .. import sparql
from ..store import Readers
from .visits import Headers

UNKNOWN = "KG-Unknown-Graphs"
_REMEMBERED = 4096
#: Longest list that goes into a header; proxies refuse longer ones.
_LONGEST = 4000


class KnownGraphs:
    """Which graphs a version has, as far as somebody asked."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._found: OrderedDict[tuple[int, str], bool] = OrderedDict()

    def unknown(self, query: sparql.Query, version: int) -> list[str] | None:
        """The graphs of a query's dataset that are not there; None when that is to be looked up first."""
        named = [*(query.default_graphs or ()), *(query.named_graphs or ())]
        found = [self._found.get((version, graph)) for graph in named]
        if None in found:
            return None
        return [graph for graph, there in zip(named, found, strict=True) if not there]

    def look_up(self, query: sparql.Query, version: int, gone: Callable[[], bool]) -> list[str]:
        """The same, looked up where it is not known yet."""
        if (known := self.unknown(query, version)) is not None:
            return known
        named = list(dict.fromkeys([*(query.default_graphs or ()), *(query.named_graphs or ())]))
        # A NamedNode is a valid IRI, which cannot end before its '>'.
        values = " ".join(str(NamedNode(graph)) for graph in named)
        result = self._readers.query(
            f"SELECT ?g WHERE {{ VALUES ?g {{ {values} }} FILTER EXISTS {{ GRAPH ?g {{ ?s ?p ?o }} }} }}",
            version=version,
            gone=gone,
        )
        rows = ox.parse_query_results(result.read(), format=ox.QueryResultsFormat.JSON)
        assert isinstance(rows, ox.QuerySolutions)
        there = {row["g"].value for row in rows}
        for graph in named:
            self._found[version, graph] = graph in there
        while len(self._found) > max(_REMEMBERED, len(named)):
            self._found.popitem(last=False)
        return [graph for graph in named if graph not in there]


def naming(unknown: list[str]) -> Headers:
    """The header that names graphs which are not here, the first of them when they are many."""
    text = ""
    for graph in dict.fromkeys(unknown):
        iri = quote(
            graph, safe="%/:=&?~#+!$,;'@()*[]"
        )  # a header takes no other letters than ASCII's
        if len(text) + len(iri) > _LONGEST:
            text = f"{text}, ..." if text else "..."
            break
        text += f", <{iri}>" if text else f"<{iri}>"
    return [(UNKNOWN, text)] if text else []
