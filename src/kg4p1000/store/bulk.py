"""Large amounts at once: statements as lines, which the engine loads and Python sorts quickly."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import IO, NamedTuple

import pyoxigraph as ox
from pyoxigraph import DefaultGraph, NamedNode, Quad

#: So many lines are sorted in memory, or parsed, at once.
_LINES = 500_000
#: So many quads are brought to their canonical form at once.
_PARSED = 200_000
#: Ends a line of N-Triples.
_STOP = b" .\n"

Graph = NamedNode | DefaultGraph


class Rows(NamedTuple):
    """Statements in sorted order, each as N-Quads in one line, without the full stop.

    Attributes:
        lines: can be gone through once.
    """

    count: int
    lines: Iterable[bytes]


class _Plain:
    """A file of the lines without blank nodes; the others are put aside."""

    def __init__(self, lines: Iterable[bytes], others: IO[bytes]) -> None:
        self._lines = iter(lines)
        self._others = others
        self._waiting, self._at = b"", 0

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end."""
        while self._at == len(self._waiting):
            block = list(islice(self._lines, 1000))
            if not block:
                return b""
            self._waiting, self._at = b"".join(ln for ln in block if b"_:" not in ln), 0
            self._others.writelines(ln for ln in block if b"_:" in ln)
        data = self._waiting[self._at : self._at + size]
        self._at += len(data)
        return data


def load_lines(database: ox.Store, lines: Iterable[bytes], graph: Graph | None = None) -> None:
    """Load lines of N-Triples into a graph, or of N-Quads; blank nodes keep the labels that they have."""
    form = ox.RdfFormat.N_QUADS if graph is None else ox.RdfFormat.N_TRIPLES
    with tempfile.TemporaryFile() as others:
        # What is loaded was parsed before.
        plain = _Plain(lines, others)
        database.bulk_load(input=plain, format=form, to_graph=graph, lenient=True)
        others.seek(0)
        # The engine's loader would give them new labels.
        while block := b"".join(islice(others, _LINES)):
            found = ox.parse(block, format=form)
            if graph is None:
                database.bulk_extend(found)
            else:
                database.bulk_extend(Quad(*q.triple, graph) for q in found)


def load_rows(database: ox.Store, path: Path, graph: NamedNode, *, merged: bool) -> None:
    """Load a file of rows, all of one graph, and, where that is merged, their triples with them."""
    end = len(_end(graph))

    def lines() -> Iterator[bytes]:
        for row in rows_of(path):
            yield row + _STOP
            if merged:
                yield row[:-end] + _STOP

    load_lines(database, lines())


def canonical_triples(triples: Iterable[Quad], path: Path) -> Path:
    """Write triples to a file of N-Triples, in the literal forms in which the engine keeps them."""
    waiting = iter(triples)
    with open(path, "wb") as file:
        while block := list(islice(waiting, _PARSED)):
            memory = ox.Store()
            memory.bulk_extend(block)
            memory.dump(file, format=ox.RdfFormat.N_TRIPLES, from_graph=DefaultGraph())
    return path


def _end(graph: NamedNode) -> bytes:
    return b" " + str(graph).encode()


def dump(database: ox.Store, graph: Graph, path: Path) -> Path:
    """Write a graph to a file of N-Triples."""
    database.dump(str(path), format=ox.RdfFormat.N_TRIPLES, from_graph=graph)
    return path


def sorted_rows(dumped: Path, graph: NamedNode) -> Iterator[bytes]:
    """The statements of a dumped graph as sorted rows, each once; what memory does not hold waits beside it."""
    end = _end(graph)
    runs: list[Path] = []
    with open(dumped, "rb") as lines:
        while part := list(islice(lines, _LINES)):
            block = sorted({line[: -len(_STOP)] + end for line in part})
            if len(part) < _LINES and not runs:
                yield from block
                return
            runs.append(dumped.with_name(f"{dumped.name}.{len(runs)}"))
            runs[-1].write_bytes(b"\n".join(block) + b"\n")
    files = [open(run, "rb") for run in runs]  # noqa: SIM115 - all at once
    try:
        yield from (row[:-1] for row, _ in groupby(heapq.merge(*files)))
    finally:
        for file in files:
            file.close()
        for run in runs:
            run.unlink()


def rows_of(path: Path | None) -> Iterator[bytes]:
    """The rows of a file, or none."""
    if path is not None:
        with open(path, "rb") as rows:
            for row in rows:
                yield row[:-1]


def write_difference(
    before: Iterable[bytes], after: Iterable[bytes], went: Path, came: Path
) -> tuple[int, int]:
    """Write to files which rows of two sorted sequences went and which came; how many of each."""
    counts = [0, 0]
    with open(went, "wb") as gone, open(came, "wb") as new:
        for row, is_new in difference(before, after):
            (new if is_new else gone).write(row + b"\n")
            counts[is_new] += 1
    return counts[0], counts[1]


def difference(before: Iterable[bytes], after: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """What is in one of two sorted sequences alone, and whether that is the second."""
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
