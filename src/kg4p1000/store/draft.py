"""The next version while it is made, with its default graph kept in step."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from heapq import merge
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pyoxigraph as ox
from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad, Triple

from ..errors import StoreUnusable
from . import bulk, changes
from .bulk import MANY, Rows
from .changes import Delta, Entry
from .graphs import Row, Term, merged_graphs, rows
from .keeping import Normalised

if TYPE_CHECKING:
    from .versions import Store

#: A graph is copied so many times as quickly as it is removed statement by statement.
_SWEEP = 4
_DEFAULT = (DefaultGraph(),)

Graph = NamedNode | DefaultGraph


class Working:
    """A database aside that can be changed, its default graph kept in step.

    Args:
        folder: of the database, which nobody else has open.
        memory: a database in memory, instead of one in the folder.
    """

    def __init__(self, folder: Path, memory: ox.Store | None = None) -> None:
        self.folder = folder
        self._in_memory = memory is not None
        self._database: ox.Store | None = ox.Store(str(folder)) if memory is None else memory
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
        if self._sweeps(real.removed):
            self._write_anew(real.removed)
            database, merged_before = self.database, merged_graphs(self.database)
            self._extend(real.added)
            self._merge(Delta(real.added), merged_before, merged_graphs(database))
        else:
            for quad in real.removed:
                database.remove(quad)
            self._extend(real.added)
            self._merge(real, merged_before, merged_graphs(database))
        if tidy:
            self.tidy()
        return real

    def _sweeps(self, removed: Set[Quad]) -> bool:
        """Whether so much goes that the rest is copied more quickly than that is removed."""
        if len(removed) < MANY or self._in_memory:
            return False
        merged = merged_graphs(self.database)
        # Each may be in the default graph too.
        going = len(removed) + sum(quad.graph_name in merged for quad in removed)
        return len(self.database) < _SWEEP * going

    def _write_anew(self, removed: Set[Quad]) -> None:
        """Make the database again from what stays of it."""
        old, going = self.database, Counter(quad.graph_name for quad in removed)
        folder = self.folder.with_name(self.folder.name + "-anew")
        new = ox.Store(str(folder))
        for graph in old.named_graphs():
            if graph not in going:
                self._copy(old, graph, new, graph)
            elif going[graph] < _size(old, graph):
                kept = old.quads_for_pattern(None, None, None, graph)
                new.bulk_extend(quad for quad in kept if quad not in removed)
        for graph in merged_graphs(new):
            self._copy(new, graph, new, DefaultGraph())
        shutil.rmtree(self.folder)
        self.folder, self._database = folder, new
        self._untidy = True

    def _copy(self, old: ox.Store, graph: Graph, new: ox.Store, to: Graph) -> None:
        """Copy a graph from one database to another, by way of a file."""
        with open(bulk.dump(old, graph, self.scratch / "copy.nt"), "rb") as lines:
            bulk.load_lines(new, lines, to)

    @property
    def scratch(self) -> Path:
        """A folder beside the database for files that go when it is published or dropped."""
        folder = self.folder.with_name(self.folder.name + "-files")
        folder.mkdir(exist_ok=True)
        return folder

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
        self._untidy = bulk.extend(self.database, list(quads)) or self._untidy

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

    def __init__(
        self, store: Store, base: int, folder: Path, memory: ox.Store | None = None
    ) -> None:
        super().__init__(folder, memory)
        self.store = store
        self.base = base
        self._added: set[Quad] = set()
        self._removed: set[Quad] = set()
        #: The graph that was loaded, and the rows that went and came by that, as files with counts.
        self.loaded: NamedNode | None = None
        self._went: bulk.Triples | None = None
        self._came: bulk.Triples | None = None
        #: Literals that are kept otherwise than they were sent.
        self.normalised = Normalised()

    @property
    def counts(self) -> tuple[int, int]:
        """How many quads the draft adds and removes, what was loaded among them."""
        came, went = (loaded.count if loaded else 0 for loaded in (self._came, self._went))
        return len(self._added) + came, len(self._removed) + went

    def rows(self) -> tuple[Rows, Rows]:
        """What the draft removes and adds, for the change log."""
        come, go = self.counts
        both = ((go, self._removed, self._went), (come, self._added, self._came))
        removed, added = (
            Rows(count, merge(changes.rows(quads), bulk.rows_of(loaded, self.loaded)))
            for count, quads, loaded in both
        )
        return removed, added

    def load(
        self, file: IO[bytes], form: ox.RdfFormat, graph: NamedNode, *, replace: bool = False
    ) -> bool:
        """Load a file of any size into a named graph; keeps little of it in memory.

        What it changes is not in `delta`, but goes into the change log with it, and is counted in
        `counts`. Blank nodes of the file get names that nothing else has.

        Args:
            graph: must not have been changed in this draft, nor be changed later.
            replace: what the graph held goes, unless the file says it too.

        Returns:
            Whether the file says anything at all.

        Raises:
            SyntaxError: the file does not parse; has ``lineno`` and ``offset``.
        """
        if self.loaded or self._added or self._removed:
            raise StoreUnusable("A file is loaded first, and alone, in a draft.")
        self.loaded = graph
        place, database = self.scratch, self.database
        said = bulk.write_canonical(file, form, graph.value, place / "said", self.normalised)
        held = bulk.dump(database, graph, place / "held")
        ordered = (bulk.sorted_lines(path) for path in (held, said))
        gone, self._came = bulk.write_difference(*ordered, place / "went", place / "came")
        if replace:
            self._went = gone
            rows = b"".join(b"%b .\n" % row for row in bulk.rows_of(gone, graph))
            rest = ox.parse(rows, format=ox.RdfFormat.N_QUADS)
            super().apply(Delta(removed=frozenset(rest)), tidy=False)
        merged = [DefaultGraph()] if graph in self.merged else []
        bulk.load_triples(self.database, self._came, [graph, *merged])
        self._untidy = self._untidy or self._came.count >= MANY
        self.tidy()
        return said.stat().st_size > 0

    @property
    def delta(self) -> Delta:
        """What the draft changes of the version that it was made from."""
        return Delta(frozenset(self._added), frozenset(self._removed))

    def apply(self, delta: Delta, *, tidy: bool = True) -> Delta:
        """Remove and add quads, and remember what that changed; see `Working.apply`."""
        real = super().apply(delta, tidy=tidy)
        self._remember(real)
        return real

    def _remember(self, real: Delta) -> None:
        self._added |= real.added - self._removed
        self._removed -= real.added
        self._removed |= real.removed - self._added
        self._added -= real.removed

    def update(self, text: str, graphs: Iterable[NamedNode] | None = None, **options: Any) -> Delta:
        """Run an update by the engine over the named graphs, and keep the default graph in step.

        Args:
            text: must not write to the default graph.
            graphs: those that it can change; None for any.
            options: of `pyoxigraph.Store.update`.

        Returns:
            What it changed, found by comparing these graphs before and after.
        """
        database, merged = self.database, merged_graphs(self.database)
        given = None if graphs is None else set(graphs)

        def held() -> dict[Graph, set[bytes]]:
            names = set(database.named_graphs()) if given is None else given
            return {name: set(self.n_triples(name).splitlines(True)) for name in names}

        before = held()
        database.update(text, **options)
        after, none = held(), set[bytes]()
        added, removed = (
            frozenset(
                Quad(*quad.triple, name)
                for name, lines in ours.items()
                for quad in ox.parse(
                    b"".join(lines - theirs.get(name, none)), format=ox.RdfFormat.N_TRIPLES
                )
            )
            for ours, theirs in ((after, before), (before, after))
        )
        real = Delta(added, removed)
        self._merge(real, merged, merged_graphs(database))
        self._remember(real)
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


def draft_in_memory() -> Draft:
    """A draft of an empty store that is nowhere on disk and is never published."""
    return Draft(None, 0, Path(), ox.Store())


def _size(database: ox.Store, graph: Graph) -> int:
    """How many triples a graph has."""
    found = database.query(
        "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }", default_graph=[graph], named_graphs=[]
    )
    return int(next(rows(found))["n"].value)  # type: ignore[union-attr]
