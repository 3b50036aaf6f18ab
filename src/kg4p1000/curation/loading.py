"""A file of RDF into one named graph, or a graph emptied: as one change, however large it is."""

from __future__ import annotations

import gzip
import io
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import IO, Any

import pyoxigraph as ox
from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Triple

from ..kernel import errors, files
from ..kernel.terms import GRAPH, curie, iri, short
from ..kernel.texts import counted, did_you_mean
from ..store import SEVERAL, Delta, Draft, Store, Tell, statements
from ..store.changes import canonical
from .build import Source, broken, load_shapes, read, sources
from .commits import INFERRED, ONTOLOGY, Commit, commit
from .decisions import GRAPH as DECISIONS

#: What `load` takes, by ending.
_FORMATS = {
    f".{ending}": ox.RdfFormat.from_extension(ending) or ox.RdfFormat.RDF_XML
    for ending in ("nt", "ttl", "rdf", "owl", "jsonld", "nq", "trig")
}
_REGISTER = NamedNode(GRAPH + "graphs")
#: Of a graph that is registered without more words, as of all that is ours.
_LICENCE = NamedNode("https://creativecommons.org/licenses/by/4.0/")
_NOTHING = (
    "0 statements were understood, so nothing is loaded or replaced. It is empty, was cut, or is something else than"
    " its ending says (JSON-LD needs a context). To empty a graph, run 'kg4p1000 clear GRAPH'."
)
#: A file of more bytes is loaded without its statements being kept in memory, and judged as a whole.
_LARGE = 5_000_000
#: Statements of a file of several graphs at most; they are kept in memory.
_MOST = 2_000_000
#: Graphs that say how all others are taken, and the one that only grows; a change of them is looked at
#: statement by statement.
_WHOLE = (_REGISTER, ONTOLOGY, DECISIONS)
#: Bytes between two reports of how far a file was read.
_TELL = 1 << 20


def load(
    store: Store,
    folder: Path,
    path: Path,
    graph: NamedNode | None,
    *,
    limit: int,
    tell: Tell,
    replace: bool = False,
    register: str = "",
    message: str = "",
    **by: Any,
) -> Commit:
    """Add what a file of RDF says to a named graph, or to its own: validated, inferred from, logged, published.

    Args:
        folder: of the knowledge, for the shapes.
        path: N-Triples, Turtle, RDF/XML, JSON-LD, N-Quads or TriG by its suffix, or one of them packed (``.gz``).
        graph: None only for N-Quads and TriG, whose statements then go into the graphs that they name; see `_chosen`.
        replace: what the graph, or each that the file names, held before goes.
        limit: bytes, unpacked, that are taken.
        tell: is told how many bytes of the file were read.
        by: author, and whether it is a dry run; see `commit`.
        register: the title under which a graph that is not registered yet comes into the register.

    Raises:
        KgError: why it is not loaded; nothing was changed.
    """
    form = _form(path)
    if graph == INFERRED:
        raise errors.Forbidden("graph:inferred is for the rules alone; load what they follow from.")
    if graph is None and form not in SEVERAL:
        raise errors.BadParameter(
            f"{path.name} is of a format for one graph: name it with --graph, such as --graph graph:notes.",
            parameter="graph",
        )

    def change(draft: Draft) -> None:
        with _opened(path, limit, tell) as file:
            is_large = path.stat().st_size > _LARGE
            if is_large and graph and form not in SEVERAL and graph not in _WHOLE:
                understood = [graph] if draft.load(file, form, graph, replace=replace) else []
            else:
                found = statements(file, form, graph.value if graph else GRAPH)
                by_graph = _chosen(draft.normalised.see(found), graph, form in SEVERAL)
                for name, quads in by_graph.items():
                    wanted = canonical(quads)
                    gone = frozenset(draft.quads(name)) - wanted if replace else frozenset()
                    draft.apply(Delta(wanted, gone))
                understood = [name for name, quads in by_graph.items() if quads]
        if not understood:
            raise files.broken(path, _NOTHING)
        for name in understood:
            register_graph(draft, name, register, f"Statements loaded from {path.name}.")
        if any(source.graph in understood for source in _sources(folder)):
            rows = (b"%b .\n" % row for row in draft.rows()[1].lines if b"_:" in row)
            refuse_blank(folder, (q for row in rows for q in ox.parse(row, ox.RdfFormat.N_QUADS)))

    return _publish(store, folder, change, "load", message or f"Loaded from {path.name}", **by)


def clear(store: Store, folder: Path, graph: NamedNode, *, message: str, **by: Any) -> Commit:
    """Remove all statements of a named graph, however many they are; see `load`."""
    if graph == INFERRED:
        raise errors.Forbidden(
            "graph:inferred is for the rules alone; remove what they follow from."
        )

    def change(draft: Draft) -> None:
        if next(draft.quads(graph), None) is None:
            raise errors.NotFound(
                f"There is no graph {graph.value}, so there is nothing to remove."
            )
        if graph in _WHOLE:
            draft.apply(Delta(removed=frozenset(draft.quads(graph))))
        else:
            draft.load(io.BytesIO(), ox.RdfFormat.N_TRIPLES, graph, replace=True)

    return _publish(store, folder, change, "clear", message or f"Cleared {graph.value}", **by)


def _publish(
    store: Store,
    folder: Path,
    change: Callable[[Draft], None],
    source: str,
    message: str,
    **by: Any,
) -> Commit:
    """Publish a change, to which whoever has the store's folder may bring anything."""
    shapes = load_shapes(folder)
    return commit(store, shapes, change, message=message, source=source, wipe=True, **by)


def _chosen(
    found: Iterable[Quad], graph: NamedNode | None, several: bool
) -> dict[NamedNode, list[Quad]]:
    """Return what of a file goes into which graph.

    A file of several graphs goes into those that it names, but for what follows from others. With a graph, a file of one
    graph goes into that, whatever it names; of a file of several, what names it, or no graph, goes there.
    """
    by_graph: dict[NamedNode | DefaultGraph, list[Quad]] = {}
    for number, quad in enumerate(found):
        by_graph.setdefault(quad.graph_name, []).append(quad)
        if several and number >= _MOST:
            raise errors.TooLarge(
                f"A file of several graphs may have {_MOST:,} statements; load it one graph at a time, as N-Triples."
            )
    by_graph.pop(INFERRED, None)
    bare = by_graph.pop(DefaultGraph(), [])
    named = {name: quads for name, quads in by_graph.items() if isinstance(name, NamedNode)}
    names = ", ".join(sorted(short(name.value) for name in named))
    if len(named) < len(by_graph):
        raise errors.BadParameter("The file has a graph named by a blank node; give it an IRI.")
    if graph is None:
        if bare:
            raise errors.BadParameter(
                f"{counted(len(bare), 'statement')} of the file {'names' if len(bare) == 1 else 'name'} no graph: name one"
                " with --graph, such as --graph graph:notes.",
                parameter="graph",
            )
        return named
    if bool(bare) + len(named) > 1 and graph not in named:
        raise errors.BadParameter(
            f"The file has several graphs, and {short(graph.value)} is none of them: {names}. Name one of"
            " these with --graph, or none, so that each goes where it says.",
            parameter="graph",
        )
    taken = [*bare, *(named[graph] if graph in named else chain(*named.values()))]
    return {graph: [Quad(q.subject, q.predicate, q.object, graph) for q in taken]}


def register_graph(draft: Draft, graph: NamedNode, title: str, description: str) -> None:
    """Register a graph that is new under a title, which it must have; without any register, nothing is done."""
    entries = {q.subject for q in draft.match(None, iri("k4p:inDefaultGraph"), None, _REGISTER)}
    if graph in entries or not entries:
        return
    if not title:
        name = short(graph.value)
        hint = did_you_mean(name, (short(g.value) for g in entries))
        raise errors.BadParameter(
            f"{name} is not registered, so nobody would judge it.{hint} Register it with its title"
            " (--register, or the parameter register over HTTP), or in data/graphs.ttl."
        )
    facts = {
        "rdf:type": iri("k4p:NamedGraph"),
        "dcterms:title": Literal(title, language="en"),
        "dcterms:description": Literal(description, language="en"),
        "dcterms:license": _LICENCE,
        **{f"k4p:{flag}": Literal(True) for flag in ("editable", "inDefaultGraph", "inDumps")},
    }
    draft.apply(Delta.of(Quad(graph, iri(name), o, _REGISTER) for name, o in facts.items()))


def _sources(folder: Path) -> list[Source]:
    """Return the files of a folder; none where it has no knowledge."""
    with suppress(errors.BrokenFile):
        return sources(folder)
    return []


def refuse_blank(folder: Path, added: Iterable[Quad]) -> None:
    """See that no blank node comes into a graph that stands in files, or raise MalformedRequest.

    It has no name by which a dump and the next build could know it again, but for the one that a build gave it.
    """
    nameless = [q for q in added if _has_blank(q.subject) or _has_blank(q.object)]
    graphs = {quad.graph_name for quad in nameless}
    own = [source for source in _sources(folder) if source.graph in graphs] if graphs else []
    said = canonical(quad for source in own for quad in read(source))
    homes = {source.graph for source in own}
    for graph in sorted({q.graph_name for q in nameless if q not in said} & homes, key=str):
        raise errors.MalformedRequest(
            f"{curie(graph.value)} stands in a file, and takes no blank nodes: nobody could tell later which one is"
            " meant. Give each thing an IRI; in place of a list ( … ), make a statement for each member."
        )


def _has_blank(term: object) -> bool:
    if isinstance(term, Triple):
        return _has_blank(term.subject) or _has_blank(term.object)
    return isinstance(term, BlankNode)


def _form(path: Path) -> ox.RdfFormat:
    ending = next((s for s in reversed(path.suffixes) if s.lower() != ".gz"), "").lower()
    if ending not in _FORMATS:
        raise errors.BadParameter(
            f"{path.name} must end with {', '.join(_FORMATS)}, or that and .gz."
        )
    return _FORMATS[ending]


@contextmanager
def _opened(path: Path, limit: int, tell: Tell) -> Iterator[_Limited]:
    """Open a file, unpacked, and tell its errors with their place; those of a full disk are left to whoever writes."""
    try:
        with path.open("rb") as packed:
            is_packed, size = path.suffix.lower() == ".gz", path.stat().st_size
            file = gzip.GzipFile(fileobj=packed) if is_packed else packed
            yield _Limited(file, limit, lambda: tell(packed.tell(), size))
    except SyntaxError as e:
        raise broken(path, e) from e
    except (FileNotFoundError, PermissionError, IsADirectoryError, gzip.BadGzipFile, EOFError) as e:
        raise files.unreadable(path, e) from e


class _Limited:
    """A file that is read up to a limit and tells how far."""

    def __init__(self, file: IO[bytes], limit: int, tell: Callable[[], None]) -> None:
        self._file, self._limit, self._tell = file, limit, tell
        self._read = self._told = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes; none at the end."""
        data = self._file.read(size)
        if not self._read:
            data = data.removeprefix(BOM_UTF8)
        self._read += len(data)
        if self._read > self._limit:
            raise errors.TooLarge(
                f"The file has more than {self._limit:,} bytes; the setting load_size says how many"
                " are taken.",
                limit_bytes=self._limit,
            )
        if self._read - self._told > _TELL or not data:
            self._told = self._read
            self._tell()
        return data
