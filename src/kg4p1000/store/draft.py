"""The next version while it is made, with its default graph kept in step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyoxigraph as ox
from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Triple

from ..errors import StoreUnusable
from .changes import Delta, Entry
from .graphs import Row, merged_graphs, rows

if TYPE_CHECKING:
    from .versions import Store

#: From this many quads on, the loader that writes sorted files pays off.
_BULK = 20_000
_DEFAULT = (DefaultGraph(),)

Term = NamedNode | BlankNode | Literal | Triple
Graph = NamedNode | DefaultGraph


class Working:
    """A database aside that can be changed, its default graph kept in step.

    Args:
        folder: of the database, which nobody else has open.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._database: ox.Store | None = ox.Store(str(folder))
        self._untidy = False

    @property
    def database(self) -> ox.Store:
        """The database while it is open."""
        if self._database is None:
            raise StoreUnusable("This draft is closed.")
        return self._database

    def apply(self, delta: Delta, *, tidy: bool = True) -> Delta:
        """Remove and add quads, and keep the default graph in step.

        Args:
            tidy: after very many quads, bring the database in order at once, so that queries are
                quick; otherwise that waits for `publish`.

        Returns:
            What really changed: quads that were there and went, or were not there and came.
        """
        database = self.database
        real = Delta(
            frozenset(q for q in delta.added if q not in database),
            frozenset(q for q in delta.removed - delta.added if q in database),
        )
        merged_before = merged_graphs(database)
        for quad in real.removed:
            database.remove(quad)
        self._extend(real.added)
        self._merge(real, merged_before, merged_graphs(database))
        if tidy:
            self.tidy()
        return real

    def _merge(self, real: Delta, before: set[NamedNode], after: set[NamedNode]) -> None:
        """Bring the default graph to the merge of the graphs in `after`."""
        database = self.database
        left = [q for g in before - after for q in database.quads_for_pattern(None, None, None, g)]
        left += [q for q in real.removed if q.graph_name in before]
        for quad in left:
            homes = database.quads_for_pattern(quad.subject, quad.predicate, quad.object, None)
            if not any(home.graph_name in after for home in homes):
                database.remove(Quad(quad.subject, quad.predicate, quad.object))
        entered = [
            q for g in after - before for q in database.quads_for_pattern(None, None, None, g)
        ]
        entered += [q for q in real.added if q.graph_name in after & before]
        self._extend(Quad(q.subject, q.predicate, q.object) for q in entered)

    def _extend(self, quads: Iterable[Quad]) -> None:
        batch = list(quads)
        if len(batch) >= _BULK:
            self.database.bulk_extend(batch)
            self._untidy = True
        else:
            self.database.extend(batch)

    def tidy(self) -> None:
        """Bring the database in order after very many quads, so that queries are quick."""
        if self._untidy:
            self.database.optimize()
            self._untidy = False

    def close(self) -> None:
        """Let go of the database; the folder stays."""
        if self._database is not None:
            self._database.flush()
            self._database = None

    def drop(self) -> None:
        """Let go of the database as it is, for nobody will open it again."""
        self._database = None


class Draft(Working):
    """The next version while it is made: change it, look at it, publish it."""

    def __init__(self, store: Store, base: int, folder: Path) -> None:
        super().__init__(folder)
        self.store = store
        self.base = base
        self._added: set[Quad] = set()
        self._removed: set[Quad] = set()

    @property
    def delta(self) -> Delta:
        """What the draft changes of the version that it was made from."""
        return Delta(frozenset(self._added), frozenset(self._removed))

    def apply(self, delta: Delta, *, tidy: bool = True) -> Delta:
        """Remove and add quads, and remember what that changed; see `Working.apply`."""
        real = super().apply(delta, tidy=tidy)
        self._added |= real.added - self._removed
        self._removed -= real.added
        self._removed |= real.removed - self._added
        self._added -= real.removed
        return real

    def __contains__(self, quad: Quad) -> bool:
        """Whether a quad is there; one without a graph is looked for in the default graph."""
        return quad in self.database

    def match(
        self,
        subject: Term | None,
        predicate: NamedNode | None,
        object_: Term | None,
        graph: Graph | None,
    ) -> Iterator[Quad]:
        """The quads that fit a pattern; no graph means any, the default graph among them."""
        if isinstance(subject, Literal | Triple):
            return iter(())
        return self.database.quads_for_pattern(subject, predicate, object_, graph)

    def quads(self, graph: NamedNode | None = None) -> Iterator[Quad]:
        """The quads of one named graph, or of all (not of the default graph)."""
        for quad in self.database.quads_for_pattern(None, None, None, graph):
            if not isinstance(quad.graph_name, DefaultGraph):
                yield quad

    @property
    def merged(self) -> set[NamedNode]:
        """The graphs that the default graph is the merge of."""
        return merged_graphs(self.database)

    def triples(self) -> Iterator[Triple]:
        """The triples of the default graph."""
        return (q.triple for q in self.match(None, None, None, DefaultGraph()))

    def select(self, query: str, graphs: Iterable[Graph] = _DEFAULT) -> Iterator[Row]:
        """Run a trusted SELECT query over a merge of graphs, in which a triple may count twice."""
        return rows(self.database.query(query, default_graph=list(graphs), named_graphs=[]))

    def construct(self, query: str, graphs: Iterable[Graph] = _DEFAULT) -> Iterable[Triple]:
        """Run a trusted CONSTRUCT query over a merge of graphs."""
        return self.database.query(query, default_graph=list(graphs), named_graphs=[])

    def n_triples(self, graph: NamedNode) -> bytes:
        """The triples of a graph, written as N-Triples."""
        return self.database.dump(format=ox.RdfFormat.N_TRIPLES, from_graph=graph)

    def publish(
        self, author: str, message: str, source: str, before: Callable[[int], None] | None = None
    ) -> Entry:
        """Accept the draft as the next version; when this returns it is on disk and visible.

        Args:
            author: who made the change, an IRI or a name.
            source: what kind of change it is: ``build``, ``update``, ``undo`` and so on.
            before: called with the number just before the log is written.
        """
        self.tidy()
        if before:
            before(self.base + 1)
        return self.store._publish(self, author, message, source)
