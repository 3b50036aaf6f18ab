"""Large amounts at once: statements as lines, which the engine loads and Python sorts quickly."""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, NamedTuple
from uuid import uuid4

import pyoxigraph as ox
from pyoxigraph import BlankNode, DefaultGraph, NamedNode, Quad, Triple

from .graphs import Graph, load
from .keeping import Normalised
from .parsing import Screened, Shallow

#: Formats that are for several graphs.
SEVERAL = (ox.RdfFormat.N_QUADS, ox.RdfFormat.TRIG)
#: From this many quads on, the loader that writes sorted files pays off.
MANY = 20_000
#: So many lines are sorted in memory at once, and quads brought to their canonical form.
_LINES, _PARSED = 1_000_000, 200_000
#: Labels that a build gives to blank nodes of files, always the same; a dump has them.
_OURS = re.compile(r"(ontology|shapes|data)-.*-c14n\d+")
#: Ends a line of N-Triples.
_STOP = b" .\n"


class Triples(NamedTuple):
    """A file of N-Triples, sorted.

    Attributes:
        blank: whether there may be blank nodes in it.
    """

    path: Path
    count: int
    blank: bool


class Rows(NamedTuple):
    """Statements in sorted order, each as N-Quads in one line, without the full stop.

    Attributes:
        lines: can be gone through once.
    """

    count: int
    lines: Iterable[bytes]


def extend(database: ox.Store, quads: Collection[Quad]) -> bool:
    """Add quads; whether they were so many that the database should be brought in order."""
    many = len(quads) >= MANY
    (database.bulk_extend if many else database.extend)(quads)
    return many


def load_triples(database: ox.Store, triples: Triples, graphs: Iterable[Graph]) -> None:
    """Load a file into several graphs."""

    def load_into(graph: Graph) -> None:
        load(database, graph, blank=triples.blank, path=str(triples.path))

    with ThreadPoolExecutor() as pool:
        list(pool.map(load_into, graphs))


def statements(file: IO[bytes], form: ox.RdfFormat, base: str) -> Iterator[Quad]:
    """Read what somebody sent, triples alone but in formats that are for several graphs; blank nodes get labels that nothing else has.

    Raises:
        SyntaxError: it does not parse; has ``lineno`` and ``offset``.
        TooLarge: it would unfold to very much more than it is.
        TooDeep: it is nested too deeply.
    """
    given = Screened(file) if form == ox.RdfFormat.RDF_XML else Shallow(file, form)
    if form in SEVERAL:
        prefix = uuid4().hex
        found = ox.parse(given, format=form, base_iri=base)
        return (Quad(*_relabelled(q.triple, prefix), q.graph_name) for q in found)
    return ox.parse(
        given, format=form, base_iri=base, without_named_graphs=True, rename_blank_nodes=True
    )


def write_canonical(
    file: IO[bytes], form: ox.RdfFormat, base: str, path: Path, normalised: Normalised
) -> Path:
    """Write what a file says as N-Triples, in the literal forms in which the engine keeps them.

    Args:
        normalised: takes count of literals that are kept otherwise.

    Raises:
        SyntaxError, TooLarge, TooDeep: as `statements` does.
    """
    found = normalised.see(statements(file, form, base))
    with open(path, "wb") as out:
        while block := list(islice(found, _PARSED)):
            memory = ox.Store()
            memory.bulk_extend(block)
            memory.dump(out, format=ox.RdfFormat.N_TRIPLES, from_graph=DefaultGraph())
    return path


def _relabelled(triple: Triple, prefix: str) -> tuple[Any, Any, Any]:
    """Return the terms of a triple, with a prefix to the labels of blank nodes, but to those of a dump of ours."""

    def renamed(term: Any) -> Any:
        if isinstance(term, BlankNode):
            return term if _OURS.fullmatch(term.value) else BlankNode(prefix + term.value)
        return Triple(*_relabelled(term, prefix)) if isinstance(term, Triple) else term

    return renamed(triple.subject), triple.predicate, renamed(triple.object)


def dump(database: ox.Store, graph: Graph, path: Path) -> Path:
    """Write a graph to a file of N-Triples."""
    database.dump(str(path), format=ox.RdfFormat.N_TRIPLES, from_graph=graph)
    return path


def sorted_lines(dumped: Path) -> Iterator[bytes]:
    """Yield the lines of a file in order, each once; what memory does not hold waits beside it."""
    runs: list[Path] = []
    with open(dumped, "rb") as lines:
        while part := list(islice(lines, _LINES)):
            part = sorted(set(part))
            if not runs and not lines.peek(1):
                yield from part
                return
            runs.append(dumped.with_name(f"{dumped.name}.{len(runs)}"))
            with open(runs[-1], "wb") as run:
                run.writelines(part)
    files = [open(run, "rb") for run in runs]  # noqa: SIM115 - all at once
    try:
        yield from map(itemgetter(0), groupby(heapq.merge(*files)))
    finally:
        for file in files:
            file.close()
        for run in runs:
            run.unlink()


def rows_of(triples: Triples | None, graph: NamedNode | None) -> Iterator[bytes]:
    """Yield the triples of a file as rows of a graph, or none."""
    if triples is not None and graph is not None:
        end = b" " + str(graph).encode()
        with open(triples.path, "rb") as lines:
            for line in lines:
                yield line[: -len(_STOP)] + end


def write_difference(
    before: Iterator[bytes], after: Iterator[bytes], went: Path, came: Path
) -> tuple[Triples, Triples]:
    """Write to files which lines of two sorted sequences went and which came."""
    counts, blank = [0, 0], [False, False]
    with open(went, "wb") as gone, open(came, "wb") as new:
        for line, is_new in difference(before, after):
            (new if is_new else gone).write(line)
            counts[is_new] += 1
            blank[is_new] = blank[is_new] or b"_:" in line
    return Triples(went, counts[0], blank[0]), Triples(came, counts[1], blank[1])


def difference(before: Iterable[bytes], after: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield what is in one of two sorted sequences alone, and whether that is the second."""
    olds, news = iter(before), iter(after)
    old, new = next(olds, None), next(news, None)
    while old is not None or new is not None:
        if old == new:
            old, new = next(olds, None), next(news, None)
        elif new is None or (old is not None and old < new):
            assert old is not None
            yield old, False
            old = next(olds, None)
        else:
            yield new, True
            new = next(news, None)
