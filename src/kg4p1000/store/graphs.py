"""Small things that both writers and readers of a database need: the register, rows, a graph in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyoxigraph as ox
from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad, Triple

from ..terms import GRAPH, TERMS

REGISTER = NamedNode(GRAPH + "graphs")
_IN_DEFAULT = NamedNode(TERMS + "inDefaultGraph")
_TRUE = Literal(True)

Row = dict[str, ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple | None]


def merged_graphs(database: ox.Store) -> set[NamedNode]:
    """The graphs whose merge is the default graph, as the register says."""
    return {quad.subject for quad in database.quads_for_pattern(None, _IN_DEFAULT, _TRUE, REGISTER)}


def rows(solutions: ox.QuerySolutions) -> Iterator[Row]:
    """Solutions as dicts from variable name to term, None where unbound."""
    names = [variable.value for variable in solutions.variables]
    for solution in solutions:
        yield {name: solution[name] for name in names}


class MemoryGraph:
    """A graph in memory that can be queried: for files that are checked without a store."""

    def __init__(self, triples: Iterable[Triple]) -> None:
        self._database = ox.Store()
        self._database.bulk_extend(Quad(t.subject, t.predicate, t.object) for t in triples)

    def __iter__(self) -> Iterator[Triple]:
        return (
            q.triple for q in self._database.quads_for_pattern(None, None, None, DefaultGraph())
        )

    def select(self, query: str) -> list[Row]:
        """Run a SELECT query."""
        return list(rows(self._database.query(query)))

    def update(self, text: str) -> None:
        """Run an update, such as an inference rule."""
        self._database.update(text)

    def __len__(self) -> int:
        return len(self._database)
