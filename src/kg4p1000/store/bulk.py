"""Large amounts at once: statements as lines, which the engine loads and Python sorts quickly."""

from __future__ import annotations

import heapq
import re
import tempfile
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import IO, Any, NamedTuple
from uuid import uuid4

import pyoxigraph as ox
from pyoxigraph import BlankNode, DefaultGraph, NamedNode, Quad, Triple

from .keeping import Normalised
from .nesting import Shallow
from .rdfxml import Screened

#: Formats that are for several graphs.
SEVERAL = (ox.RdfFormat.N_QUADS, ox.RdfFormat.TRIG)
#: From this many quads on, the loader that writes sorted files pays off.
MANY = 20_000
#: So many lines are sorted in memory, or parsed, at once.
_LINES = 1_000_000
#: So many quads, or bytes of lines, are brought to their canonical form at once.
_PARSED, _BLOCK = 200_000, 1 << 24
#: So many blocks are brought there in parallel.
_AT_ONCE = 2
#: Labels that a build gives to blank nodes of files, always the same; a dump has them.
_OURS = re.compile(r"(ontology|shapes|data)-.*-c14n\d+")
#: Ends a line of N-Triples.
_STOP = b" .\n"

Graph = NamedNode | DefaultGraph


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


def extend(database: ox.Store, quads: Collection[Quad]) -> bool:
    """Add quads; whether they were so many that the database should be brought in order."""
    many = len(quads) >= MANY
    (database.bulk_extend if many else database.extend)(quads)
    return many


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


def load_triples(database: ox.Store, triples: Triples, graphs: Iterable[Graph]) -> None:
    """Load a file into several graphs at once."""

    def load(graph: Graph) -> None:
        if triples.blank:
            with open(triples.path, "rb") as lines:
                load_lines(database, lines, graph)
        else:  # the engine reads by itself, which is twice as quick
            form = ox.RdfFormat.N_TRIPLES
            database.bulk_load(path=triples.path, format=form, to_graph=graph, lenient=True)

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(load, graph) for graph in graphs]:
            done.result()


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
        return (Quad(*_relabelled(q.triple, prefix, _OURS), q.graph_name) for q in found)
    return ox.parse(
        given,
        format=form,
        base_iri=base,
        without_named_graphs=True,
        rename_blank_nodes=True,
    )


def write_canonical(
    file: IO[bytes],
    form: ox.RdfFormat,
    base: str,
    path: Path,
    normalised: Normalised | None = None,
) -> Path:
    """Write what a file says as N-Triples, in the literal forms in which the engine keeps them.

    Blank nodes get labels that nothing else has.

    Args:
        normalised: takes count of literals that are kept otherwise.

    Raises:
        SyntaxError: the file does not parse; has ``lineno`` and ``offset``.
        TooDeep: it is nested too deeply.
    """
    normalised = normalised or Normalised()
    with open(path, "wb") as out:
        if form == ox.RdfFormat.N_TRIPLES:
            out.writelines(_canonical_lines(Shallow(file, form), normalised))
        else:
            for memory in _stores(file, form, base, normalised):
                memory.dump(out, format=ox.RdfFormat.N_TRIPLES, from_graph=DefaultGraph())
    return path


def _stores(
    file: IO[bytes], form: ox.RdfFormat, base: str, normalised: Normalised
) -> Iterator[ox.Store]:
    found = normalised.see(statements(file, form, base))
    while block := list(islice(found, _PARSED)):
        memory = ox.Store()
        memory.bulk_extend(block)
        yield memory


def _canonical_lines(file: Shallow, normalised: Normalised) -> Iterator[bytes]:
    """The same for N-Triples, which the engine reads by itself, several blocks at once."""
    prefix, before = uuid4().hex, 0
    waiting: deque[Future[bytes]] = deque()
    blocks: deque[bytes] = deque()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for block in _blocks(file):
            waiting.append(pool.submit(_canonical, block, prefix, before))
            before += block.count(b"\n")
            blocks.append(block)
            if len(waiting) > _AT_ONCE:
                yield waiting.popleft().result()
                normalised.see_lines(blocks.popleft())
        for last in waiting:
            yield last.result()
            normalised.see_lines(blocks.popleft())


def _canonical(block: bytes, prefix: str, before: int) -> bytes:
    """Lines of N-Triples, in canonical form.

    Args:
        prefix: of the labels that blank nodes get.
        before: how many lines of the file stand before the block.
    """
    form, memory = ox.RdfFormat.N_TRIPLES, ox.Store()
    try:
        if b"_:" in block:
            lines = block.splitlines(keepends=True)
            memory.bulk_load(input=b"".join(ln for ln in lines if b"_:" not in ln), format=form)
            # A blank node may come in many blocks.
            odd = ox.parse(b"".join(ln for ln in lines if b"_:" in ln), format=form)
            memory.bulk_extend(Quad(*_relabelled(q.triple, prefix)) for q in odd)
        else:
            memory.bulk_load(input=block, format=form)
    except SyntaxError:
        _say_where(block, before)
        raise
    said = memory.dump(format=form, from_graph=DefaultGraph())
    assert said is not None
    return said


def _blocks(file: Shallow) -> Iterator[bytes]:
    """A file in blocks of whole lines."""
    parts: list[bytes] = []
    while part := file.read(_BLOCK):
        head, stop, rest = part.rpartition(b"\n")
        if stop:
            yield b"".join((*parts, head, stop))
            parts = [rest]
        else:
            parts.append(rest)
    if last := b"".join(parts):
        yield last


def _say_where(block: bytes, before: int) -> None:
    """Raise what is wrong in a block, with the line in the file.

    Raises:
        SyntaxError: always, as long as something is wrong in the block.
    """
    try:
        deque(ox.parse(block, format=ox.RdfFormat.N_TRIPLES), maxlen=0)
    except SyntaxError as e:
        e.lineno = (e.lineno or 1) + before
        raise


def _relabelled(
    triple: Triple, prefix: str, kept: re.Pattern[str] | None = None
) -> tuple[Any, Any, Any]:
    """The terms of a triple, with a prefix to the labels of blank nodes, but to those that are kept."""

    def renamed(term: Any) -> Any:
        if isinstance(term, BlankNode):
            is_kept = kept and kept.fullmatch(term.value)
            return term if is_kept else BlankNode(prefix + term.value)
        return Triple(*_relabelled(term, prefix, kept)) if isinstance(term, Triple) else term

    return renamed(triple.subject), triple.predicate, renamed(triple.object)


def dump(database: ox.Store, graph: Graph, path: Path) -> Path:
    """Write a graph to a file of N-Triples."""
    database.dump(str(path), format=ox.RdfFormat.N_TRIPLES, from_graph=graph)
    return path


def sorted_lines(dumped: Path) -> Iterator[bytes]:
    """The lines of a file in order, each once; what memory does not hold waits beside it."""
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
    """The triples of a file as rows of a graph, or none."""
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
