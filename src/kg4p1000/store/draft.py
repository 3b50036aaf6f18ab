"""The next version while it is made, with its default graph kept in step."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from heapq import merge
from pathlib import Path
from typing import IO

import pyoxigraph as ox
from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad, Triple

from ..kernel.errors import StoreUnusable
from . import bulk, changes
from .bulk import MANY, Rows
from .changes import Delta
from .graphs import Graph, Row, Term, merged_graphs, rows
from .keeping import Normalised

_DEFAULT = (DefaultGraph(),)


class Draft:
    """A private copy of a version: change it, look at it, and have `Store.publish` accept it.

    Args:
        folder: of the database, which nobody else has open; None for one in memory.
        base: the version that it is a copy of.
        remember: keep account of what is changed.

    Attributes:
        delta: what was changed, but for what `load` did.
        loaded: the graph into which a file was loaded.
        normalised: literals that are kept otherwise than they were sent.
    """

    def __init__(self, folder: Path | None = None, base: int = 0, *, remember: bool = True) -> None:
        self.folder, self.base = folder or Path(), base
        self._database: ox.Store | None = ox.Store(str(folder)) if folder else ox.Store()
        self._remembers, self._is_untidy = remember, False
        self.delta = Delta()
        self.loaded: NamedNode | None = None
        self._went: bulk.Triples | None = None
        self._came: bulk.Triples | None = None
        self.normalised = Normalised()

    @property
    def database(self) -> ox.Store:
        """The database while it is open."""
        if self._database is None:
            raise StoreUnusable("This draft is closed.")
        return self._database

    def tidy(self) -> None:
        """Bring the database in order after very many quads, so that queries are quick."""
        if self._is_untidy:
            self.database.optimize()
            self._is_untidy = False

    def close(self) -> None:
        """Bring the database to the disk, in order, and let go of it; the folder stays."""
        self.tidy()
        self.database.flush()
        self._database = None

    def drop(self) -> None:
        """Let go of the database as it is, for nobody will open it again."""
        self._database = None

    # changes

    def apply(self, delta: Delta, *, tidy: bool = True) -> Delta:
        """Remove and add quads, and bring the default graph to the merge of the graphs that are merged then.

        Args:
            tidy: after very many quads, bring the database in order at once, so that queries are quick.

        Returns:
            What really changed: quads that were there and went, or were not there and came.
        """
        database, before = self.database, self.merged
        real = Delta(
            frozenset(q for q in delta.added if q not in database),
            frozenset(q for q in delta.removed - delta.added if q in database),
        )
        for quad in real.removed:
            database.remove(quad)
        self._extend(real.added)
        after = self.merged
        left = [q for graph in before - after for q in self.quads(graph)]
        for quad in (*left, *(q for q in real.removed if q.graph_name in before)):
            homes = database.quads_for_pattern(quad.subject, quad.predicate, quad.object, None)
            if not any(home.graph_name in after for home in homes):
                database.remove(Quad(quad.subject, quad.predicate, quad.object))
        entered = [q for graph in after - before for q in self.quads(graph)]
        entered += [q for q in real.added if q.graph_name in after & before]
        self._extend([Quad(q.subject, q.predicate, q.object) for q in entered])
        if self._remembers:
            self.delta = self.delta.then(real)
        if tidy:
            self.tidy()
        return real

    def _extend(self, quads: Collection[Quad]) -> None:
        self._is_untidy = bulk.extend(self.database, quads) or self._is_untidy

    def load(
        self, file: IO[bytes], form: ox.RdfFormat, graph: NamedNode, *, replace: bool = False
    ) -> bool:
        """Load a file of any size into a named graph, and return whether it says anything; keeps little of it in memory.

        What it changes is not in `delta`, but goes into the change log with it, and is counted in
        `counts`. Blank nodes of the file get names that nothing else has.

        Args:
            graph: must not have been changed in this draft, nor be changed later.
            replace: what the graph held goes, unless the file says it too.

        Raises:
            SyntaxError: the file does not parse; has ``lineno`` and ``offset``.
        """
        if self.loaded or self.delta:
            raise StoreUnusable("A file is loaded first, and alone, in a draft.")
        self.loaded = graph
        place = self.folder.with_name(self.folder.name + "-files")  # goes with the draft
        place.mkdir()
        said = bulk.write_canonical(file, form, graph.value, place / "said", self.normalised)
        held = bulk.dump(self.database, graph, place / "held")
        ordered = (bulk.sorted_lines(path) for path in (held, said))
        went, self._came = bulk.write_difference(*ordered, place / "went", place / "came")
        if replace:
            self._went, self._remembers = went, False
            lines = b"".join(b"%b .\n" % row for row in bulk.rows_of(went, graph))
            self.apply(
                Delta(removed=frozenset(ox.parse(lines, format=ox.RdfFormat.N_QUADS))), tidy=False
            )
            self._remembers = True
        merged = [DefaultGraph()] if graph in self.merged else []
        bulk.load_triples(self.database, self._came, [graph, *merged])
        self._is_untidy = self._is_untidy or self._came.count >= MANY
        self.tidy()
        return said.stat().st_size > 0

    # for the change log

    @property
    def counts(self) -> tuple[int, int]:
        """How many quads the draft adds and removes, what was loaded among them."""
        came, went = (loaded.count if loaded else 0 for loaded in (self._came, self._went))
        return len(self.delta.added) + came, len(self.delta.removed) + went

    def rows(self) -> tuple[Rows, Rows]:
        """Return what the draft removes and adds, for the change log."""
        come, go = self.counts
        both = ((go, self.delta.removed, self._went), (come, self.delta.added, self._came))
        removed, added = (
            Rows(count, merge(changes.rows(quads), bulk.rows_of(loaded, self.loaded)))
            for count, quads, loaded in both
        )
        return removed, added

    # reading

    def __contains__(self, quad: Quad) -> bool:
        """Return whether a quad is there; one without a graph is looked for in the default graph."""
        return quad in self.database

    def match(
        self,
        subject: Term | None,
        predicate: NamedNode | None,
        object_: Term | None,
        graph: Graph | None,
    ) -> Iterator[Quad]:
        """Return the quads that fit a pattern; no graph means any, the default graph among them."""
        if isinstance(subject, Literal | Triple):
            return iter(())
        return self.database.quads_for_pattern(subject, predicate, object_, graph)

    def quads(self, graph: NamedNode | None = None) -> Iterator[Quad]:
        """Yield the quads of one named graph, or of all (not of the default graph)."""
        for quad in self.database.quads_for_pattern(None, None, None, graph):
            if not isinstance(quad.graph_name, DefaultGraph):
                yield quad

    @property
    def merged(self) -> set[NamedNode]:
        """The graphs that the default graph is the merge of."""
        return merged_graphs(self.database)

    def triples(self) -> Iterator[Triple]:
        """Return the triples of the default graph."""
        return (q.triple for q in self.match(None, None, None, DefaultGraph()))

    def select(self, query: str, graphs: Iterable[Graph] = _DEFAULT) -> Iterator[Row]:
        """Run a trusted SELECT query over a merge of graphs, in which a triple may count twice."""
        return rows(self.database.query(query, default_graph=list(graphs), named_graphs=[]))

    def construct(self, query: str, graphs: Iterable[Graph] = _DEFAULT) -> Iterable[Triple]:
        """Run a trusted CONSTRUCT query over a merge of graphs."""
        return self.database.query(query, default_graph=list(graphs), named_graphs=[])

    def n_triples(self, graph: Graph) -> bytes:
        """Return the triples of a graph, written as N-Triples."""
        return self.database.dump(format=ox.RdfFormat.N_TRIPLES, from_graph=graph)
