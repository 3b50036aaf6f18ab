"""Small things that both writers and readers of a database need: the register, rows, a graph in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyoxigraph as ox
from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad, Triple

from ..kernel.terms import GRAPH, TERMS

REGISTER = NamedNode(GRAPH + "graphs")
_IN_DEFAULT = NamedNode(TERMS + "inDefaultGraph")
_TRUE = Literal(True)

Graph = NamedNode | DefaultGraph
Term = ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple
#: A solution of a query: variable to term, None where unbound.
Row = dict[str, Term | None]


def merged_graphs(database: ox.Store) -> set[NamedNode]:
    """Return the graphs whose merge is the default graph, as the register says."""
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

    def match(
        self, subject: Term | None, predicate: NamedNode | None, object_: Term | None
    ) -> Iterator[Quad]:
        """Return the triples that fit a pattern."""
        if isinstance(subject, Literal | Triple):
            return iter(())
        return self._database.quads_for_pattern(subject, predicate, object_, DefaultGraph())

    def select(self, query: str, predicates: object = None) -> list[Row]:
        """Run a SELECT query; all that is here was stated, so that predicates do not matter."""
        return list(rows(self._database.query(query)))

    def n_triples(self) -> bytes:
        """Return all triples as N-Triples."""
        return self._database.dump(format=ox.RdfFormat.N_TRIPLES, from_graph=DefaultGraph())

    def __len__(self) -> int:
        return len(self._database)


#: All triples of a dataset; its result is written by the engine, twice as quick as quad by quad.
_ALL = "CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o }"

#: What a merge was made of, and the merge.
Merges = dict[tuple[frozenset[str], frozenset[str]], ox.Store]


def dataset(
    database: ox.Store, default: list[str], named: list[str], last: Merges | None = None
) -> tuple[ox.Store, dict[str, Any]]:
    """Return the dataset of a request: several default graphs are merged, so that no triple counts twice.

    Args:
        last: keeps the merge that was made last, for a database that does not change.

    Returns:
        The database to ask, and the arguments that choose the dataset in it; both arguments always,
        for the engine leaves open what is not given.
    """
    graphs = [NamedNode(name) for name in named]
    if len(default) < 2:
        only = NamedNode(default[0] if default else "urn:x-kg4p1000:empty")
        return database, {"default_graph": [only], "named_graphs": graphs}
    options = {"default_graph": [DefaultGraph()], "named_graphs": graphs}
    if set(default) == {graph.value for graph in merged_graphs(database)}:
        return database, options
    last = {} if last is None else last
    key = frozenset(default), frozenset(named)
    if key not in last:
        last.clear()  # its memory is needed
        merge = ox.Store()
        _copy(database, map(NamedNode, default), merge, DefaultGraph())
        for graph in graphs:
            _copy(database, [graph], merge, graph)
        last[key] = merge
    return last[key], options


def _copy(database: ox.Store, graphs: Iterable[NamedNode], merge: ox.Store, to: Graph) -> None:
    found = database.query(_ALL, default_graph=list(graphs), named_graphs=[])
    lines = found.serialize(format=ox.RdfFormat.N_TRIPLES)
    load(merge, to, blank=b"_:" in lines, input=lines)


def load(database: ox.Store, graph: Graph, *, blank: bool, **source: Any) -> None:
    """Load N-Triples into a graph.

    Args:
        blank: whether there may be blank nodes in them, to which the engine's loader would give new labels.
        source: ``input``, or the ``path`` of a file.
    """
    form = ox.RdfFormat.N_TRIPLES
    if blank:
        database.bulk_extend(Quad(*q.triple, graph) for q in ox.parse(**source, format=form))
    else:
        database.bulk_load(**source, format=form, to_graph=graph, lenient=True)
