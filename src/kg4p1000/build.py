"""Files to graphs: what stands in ``ontology/``, ``shapes/`` and ``data/`` becomes the next version.

A build is a change set: the difference between what the files said at the last build and what they say
now, applied to the published version. Where a steward has changed the same statements since, the
steward's stay and the conflict is listed.
"""

from __future__ import annotations

import gzip
import io
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import BlankNode, Literal, NamedNode, Quad, Triple

from .curation import DECISIONS, INFERRED, ONTOLOGY, Commit, commit
from .errors import BadParameter, BrokenFile, Forbidden, TooLarge
from .mappings import judgements
from .overlaps.decisions import OVERLAPS
from .sources import sssom
from .store import Delta, Draft, Store, Tell, statements
from .store.changes import canonical, parse_lines, sorted_lines, write_durably
from .terms import GRAPH, iri, turtle
from .validation import Shapes

#: Folders of the knowledge, and the graph into which their files go; None: one graph a file.
_FOLDERS = {"ontology": "ontology", "shapes": "shapes", "data": None}
#: Code lists stand beside the ontology, in a graph of their own.
_CODES = "ontology/codes*.ttl"
#: Files that are not Turtle, and the graph into which all of a kind go.
_TABLES = {
    "data/mappings/verified/*.tsv": "linked-terms",
    "data/mappings/*.sssom.tsv": "alignments",
}

#: What git writes into a file where two changes meet.
_CONFLICT = re.compile(rb"^(?:<{7}|>{7}) ", re.M)
#: Names of files that graphs are named after.
_STEM = re.compile(r"[\w.-]+")
#: Properties that name a term or thing of ours.
_NAMES = (iri("rdfs:label"), iri("skos:prefLabel"))
#: What `load` takes, by suffix.
_FORMATS = {
    ".nt": ox.RdfFormat.N_TRIPLES,
    ".ttl": ox.RdfFormat.TURTLE,
    ".rdf": ox.RdfFormat.RDF_XML,
    ".owl": ox.RdfFormat.RDF_XML,
    ".jsonld": ox.RdfFormat.JSON_LD,
}
#: A file of more bytes is loaded without its statements being kept in memory, and judged as a whole.
_LARGE = 5_000_000
#: Graphs that say how all others are taken, and the one that only grows; a change of them is looked at
#: statement by statement.
_WHOLE = (NamedNode(GRAPH + "graphs"), ONTOLOGY, DECISIONS)
#: Bytes between two reports of how far a file was read.
_TELL = 1 << 20

Key = tuple[object, object, object]


@dataclass(frozen=True)
class Source:
    """A file of the knowledge and the graph that it goes into."""

    path: Path
    graph: NamedNode


@dataclass(frozen=True)
class Conflict:
    """Statements of one subject and property that both the files and a steward changed."""

    graph: NamedNode
    subject: NamedNode
    predicate: NamedNode
    steward: frozenset[Quad]
    files: frozenset[Quad]


@dataclass(frozen=True)
class Build:
    """What a build did."""

    commit: Commit
    files: int
    conflicts: tuple[Conflict, ...] = ()


def sources(folder: Path) -> list[Source]:
    """The files of the knowledge below a folder, in a fixed order.

    Raises:
        BrokenFile: a folder that must be there is not.
    """
    found: list[Source] = []
    for name, graph in _FOLDERS.items():
        if not (folder / name).is_dir():
            raise BrokenFile(
                f"{folder / name} is not there. Say where the files are: --files FOLDER.",
                file=str(folder / name),
            )
        for path in sorted((folder / name).glob("*.ttl")):
            if not _STEM.fullmatch(path.stem):
                raise BrokenFile(
                    f"{path} cannot name a graph. Rename the file: letters, digits, '-', '_' and '.' alone.",
                    file=str(path),
                )
            own = "codes" if path.match(_CODES) else graph
            found.append(Source(path, NamedNode(GRAPH + (own or path.stem))))
    for pattern, graph in _TABLES.items():
        found += [Source(path, NamedNode(GRAPH + graph)) for path in sorted(folder.glob(pattern))]
    return found


def merged_sources(folder: Path) -> list[Source]:
    """The files whose graphs make up the default graph; another edition must not be mixed in."""
    merged = {
        t.subject
        for t in parse_file(folder / "data" / "graphs.ttl")
        if t.predicate == iri("k4p:inDefaultGraph") and t.object == Literal(True)
    }
    return [source for source in sources(folder) if source.graph in merged]


def parse_file(path: Path) -> list[Triple]:
    """Parse a file of the knowledge: Turtle, mappings or verified terms, by its ending and folder.

    Raises:
        BrokenFile: with ``file``, ``line`` and ``column``.
    """
    try:
        data = path.read_bytes().removeprefix(BOM_UTF8)
        if mark := _CONFLICT.search(data):
            line = data.count(b"\n", 0, mark.start()) + 1
            raise BrokenFile(
                f"{path}, line {line}: a conflict of git is not settled. Keep one side, and remove the lines that begin"
                " with <<<<<<<, ======= and >>>>>>>.",
                file=str(path),
                line=line,
            )
        if path.suffix == ".tsv":
            return _parse_table(path, data.decode())
        return [
            Triple(q.subject, q.predicate, q.object)
            for q in ox.parse(data, format=ox.RdfFormat.TURTLE, base_iri=GRAPH)
        ]
    except OSError as e:
        raise BrokenFile(f"{path} cannot be read: {e.strerror}.", file=str(path)) from e
    except UnicodeDecodeError as e:
        raise BrokenFile(f"{path} is not UTF-8; save it as UTF-8.", file=str(path)) from e
    except SyntaxError as e:
        raise BrokenFile(
            f"{path}, line {e.lineno}, column {e.offset}{_whose(data, e.lineno)}: {e.msg}.",
            file=str(path),
            line=e.lineno,
            column=e.offset,
        ) from e


def _whose(data: bytes, line: int | None) -> str:
    """Of which term a line of Turtle speaks, and what stands there, for a message."""
    lines = data.decode(errors="replace").splitlines()[: line or 0]
    starts = (s.split()[0] for s in reversed(lines) if s[:1].strip() and s[0] not in "#@")
    term, text = next(starts, ""), lines[-1].strip() if lines else ""
    about = f", in what is said of {term}" if term else ""
    return (
        f"{about} (correct “{text[:60]}” or the end of the statement before it)" if text else about
    )


def _parse_table(path: Path, data: str) -> list[Triple]:
    if path.parent.name == "verified":
        return list(sssom.term_triples(sssom.read_terms(data, str(path))))
    verified: dict[str, sssom.LinkedTerm] = {}
    for listed in sorted((path.parent / "verified").glob("*.tsv")):
        verified |= _terms(listed, listed.stat().st_mtime_ns)
    decided = path.parents[1] / "decisions.ttl"
    judged = _judged(decided, decided.stat().st_mtime_ns) if decided.exists() else {}
    ours = sorted(
        f for name in ("ontology", "data") for f in (path.parents[2] / name).glob("*.ttl")
    )
    names = _names(tuple((f, f.stat().st_mtime_ns) for f in ours))
    mappings = sssom.read_mappings(data, str(path), verified, names)
    return list(sssom.mapping_triples(mappings, judged))


@lru_cache(maxsize=2)
def _names(files: tuple[tuple[Path, int], ...]) -> Mapping[str, set[str]]:
    """English names of what the files describe, by IRI, read once until a file changes."""
    found: dict[str, set[str]] = {}
    for path, _changed in files:
        # A file that is broken is told where it is read for itself.
        with suppress(BrokenFile):
            for t in parse_file(path):
                if t.predicate in _NAMES and t.object.language == "en":
                    found.setdefault(t.subject.value, set()).add(t.object.value)
    return found


@lru_cache(maxsize=64)
def _terms(path: Path, _changed: int) -> Mapping[str, sssom.LinkedTerm]:
    """The terms of a list, read once for all mapping files until it changes."""
    return sssom.read_terms(path.read_text(encoding="utf-8"), str(path)).terms


@lru_cache(maxsize=4)
def _judged(path: Path, _changed: int) -> Mapping[str, sssom.Judgement]:
    """What people decided about mappings, read once for all mapping files until it changes."""
    return judgements(parse_file(path))


def read(source: Source) -> list[Quad]:
    """The quads of a file; blank nodes named after file and place, the same in every build."""
    dataset = ox.Dataset(Quad(t.subject, t.predicate, t.object) for t in parse_file(source.path))
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    stem = f"{source.path.parent.name}-{source.path.stem}-"

    def named(term):
        return BlankNode(stem + term.value) if isinstance(term, BlankNode) else term

    return [Quad(named(q.subject), q.predicate, named(q.object), source.graph) for q in dataset]


def load_shapes(folder: Path) -> Shapes:
    """The shapes of a folder of the knowledge, read again when a file has changed."""
    found = ((path, path.stat()) for path in sorted((folder / "shapes").glob("*.ttl")))
    return _shapes(tuple((path, now.st_ino, now.st_size, now.st_mtime_ns) for path, now in found))


@lru_cache(maxsize=1)
def _shapes(files: tuple[tuple[Path, int, int, int], ...]) -> Shapes:
    """The shapes of files with their state: what is worked out from them is kept as long as that holds."""
    for path, *_ in files:
        parse_file(path)  # tells what is broken with file, line and repair
    return Shapes.from_files(path for path, *_ in files)


def build(
    store: Store,
    folder: Path,
    *,
    author: str,
    message: str = "",
    dry_run: bool = False,
    detect: Callable[[Draft], None] | None = None,
) -> Build:
    """Bring the store to what the files say.

    Args:
        detect: brings ``graph:overlaps`` to the rest of the graph. It is asked where the store's
            overlaps are not those of the files of the last build: they follow from what people decided
            and changed since, so the files' are not taken.

    Raises:
        BrokenFile: a file does not parse; nothing was changed.
        ShapesViolated: the files do not fit the shapes; nothing was changed. Has the report.
    """
    files = sources(folder)
    now = canonical(quad for source in files for quad in read(source))
    last = _last_build(store)
    theirs = Delta(now - last, last - now)
    held = frozenset(store.quads()) if last else last
    followed = bool(last) and _of(OVERLAPS, held) != _of(OVERLAPS, last)
    if followed:
        theirs = Delta(*(quads - _of(OVERLAPS, quads) for quads in (theirs.added, theirs.removed)))
    conflicts, settled = _conflicts(held, last, theirs)

    def change(draft: Draft) -> None:
        draft.apply(settled)
        if followed and detect and settled:
            detect(draft)

    def remember(version: int) -> None:
        lines = "".join(f"{line} .\n" for line in sorted_lines(now))
        write_durably(store.path / "builds" / f"{version:08}.nq", lines.encode())

    done = commit(
        store,
        load_shapes(folder),
        change,
        author=author,
        message=message or f"Build from {len(files)} files",
        source="build",
        dry_run=dry_run,
        before=remember,
    )
    return Build(done, len(files), conflicts)


def is_current(store: Store, folder: Path) -> bool:
    """Whether the store holds what the files say, no more and no less, inferences aside."""
    said = canonical(quad for source in sources(folder) for quad in read(source))
    return said == frozenset(q for q in store.quads() if q.graph_name != INFERRED)


def load(
    store: Store,
    folder: Path,
    path: Path,
    graph: NamedNode,
    *,
    author: str,
    message: str = "",
    replace: bool = False,
    dry_run: bool = False,
    limit: int,
    tell: Tell,
) -> Commit:
    """Add what a file of RDF says to a named graph: validated, inferred from, logged, published.

    Args:
        folder: of the knowledge, for the shapes.
        path: N-Triples, Turtle, RDF/XML or JSON-LD by its suffix, or one of them packed (``.gz``).
        replace: what the graph held before goes.
        limit: bytes, unpacked, that are taken.
        tell: is told how many bytes of the file were read.

    Raises:
        BadParameter: the suffix is not known.
        BrokenFile: the file cannot be read or does not parse; nothing was changed.
        Forbidden: the graph is the one of the inferences.
        ShapesViolated: with the file the graph would not fit the shapes; nothing was changed.
        TooLarge: the file has more bytes than are taken.
    """
    form = _form(path)
    if graph == INFERRED:
        raise Forbidden("graph:inferred is for the rules alone; load what they follow from.")

    def change(draft: Draft) -> None:
        with _explained(path), _Read(path, limit, tell) as file:
            if path.stat().st_size > _LARGE and graph not in _WHOLE:
                draft.load(file, form, graph, replace=replace)
                return
            found = statements(file, form, graph.value)
            wanted = canonical(Quad(q.subject, q.predicate, q.object, graph) for q in found)
            gone = frozenset(draft.quads(graph)) - wanted if replace else frozenset()
            draft.apply(Delta(wanted, gone))

    return commit(
        store,
        load_shapes(folder),
        change,
        author=author,
        message=message or f"Loaded from {path.name}",
        source="load",
        dry_run=dry_run,
        wipe=True,  # whoever has the store's folder may
    )


def _form(path: Path) -> ox.RdfFormat:
    suffixes = [suffix for suffix in map(str.lower, path.suffixes) if suffix != ".gz"]
    if suffixes and suffixes[-1] in (".nq", ".trig"):
        raise BadParameter(
            f"{path.name} holds several graphs, and 'load' fills one. Send it one graph at a time, as N-Triples or Turtle:"
            " 'dump --graph' and the addresses under /graph/ give those."
        )
    if not suffixes or suffixes[-1] not in _FORMATS:
        raise BadParameter(f"{path.name} must end with {', '.join(_FORMATS)}, or that and .gz.")
    return _FORMATS[suffixes[-1]]


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Errors of a file, told with place; those of a full disk are left to whoever writes."""
    try:
        yield
    except SyntaxError as e:
        raise BrokenFile(
            f"{path}, line {e.lineno}, column {e.offset}: {e.msg}.",
            file=str(path),
            line=e.lineno,
            column=e.offset,
        ) from e
    except (FileNotFoundError, PermissionError, IsADirectoryError, gzip.BadGzipFile, EOFError) as e:
        why = getattr(e, "strerror", None) or str(e)
        raise BrokenFile(f"{path} cannot be read: {why}.", file=str(path)) from e


class _Read(io.RawIOBase):
    """A file, unpacked, that is read up to a limit and tells how far."""

    def __init__(self, path: Path, limit: int, tell: Tell) -> None:
        self._packed = path.open("rb")
        self._file = (
            gzip.GzipFile(fileobj=self._packed) if path.suffix.lower() == ".gz" else self._packed
        )
        self._size = path.stat().st_size
        self._limit, self._tell = limit, tell
        self._read = self._told = 0

    def read(self, size: int = -1) -> bytes:
        """The next bytes; none at the end."""
        data = self._file.read(size)
        self._read += len(data)
        if self._read > self._limit:
            raise TooLarge(
                f"The file has more than {self._limit:,} bytes; the setting load_size says how many"
                " are taken.",
                limit_bytes=self._limit,
            )
        if self._read - self._told > _TELL or not data:
            self._told = self._read
            self._tell(self._packed.tell(), self._size)
        return data

    def readable(self) -> bool:
        """That it can be read."""
        return True

    def close(self) -> None:
        """Close the file."""
        if not self.closed:
            self._packed.close()
        super().close()


def write_files(store: Store, folder: Path, version: int | None = None) -> list[Path]:
    """Write the graphs that stand in files of ``data/`` back to them, in canonical form.

    Returns:
        The files that changed.
    """
    graphs: dict[NamedNode, list[Triple]] = {}
    for quad in store.quads(version):
        graphs.setdefault(quad.graph_name, []).append(quad.triple)
    changed: list[Path] = []
    for source in sources(folder):
        if source.path.parent.name != "data":
            continue
        data = turtle(graphs.get(source.graph, []))
        if data != source.path.read_bytes():
            write_durably(source.path, data)
            changed.append(source.path)
    return changed


def _last_build(store: Store) -> frozenset[Quad]:
    """What the files said at the last build that was accepted."""
    for entry in store.entries():
        path = store.path / "builds" / f"{entry.version:08}.nq"
        if entry.source == "build" and path.exists():
            return frozenset(parse_lines(path.read_text(encoding="utf-8").splitlines(True)))
    return frozenset()


def _of(graph: NamedNode, quads: frozenset[Quad]) -> frozenset[Quad]:
    return frozenset(quad for quad in quads if quad.graph_name == graph)


def _conflicts(
    held_now: frozenset[Quad], last: frozenset[Quad], theirs: Delta
) -> tuple[tuple[Conflict, ...], Delta]:
    """Sort a build's changes into those to apply and those that meet a steward's.

    Statements are compared by graph, subject and property: where files and steward changed the same
    one to different values, the steward's stay. A decision that is there stays in any case.
    """
    by_files = _by_key(theirs.added | theirs.removed)
    touched = {quad.graph_name for quad in last} | {DECISIONS}
    present = frozenset(q for q in held_now if q.graph_name in touched)
    by_steward = _by_key(present ^ last)
    wanted, held = _by_key((last - theirs.removed) | theirs.added), _by_key(present)
    decided = {quad.subject for quad in _of(DECISIONS, present)}
    stand = {key for key in by_files if key[0] == DECISIONS and key[1] in decided}
    conflicts: list[Conflict] = []
    for key in sorted((by_files.keys() & by_steward.keys()) | stand, key=str):
        ours, files = held.get(key, frozenset()), wanted.get(key, frozenset())
        if ours != files:
            conflicts.append(Conflict(key[0], key[1], key[2], ours, files))  # type: ignore[arg-type]
    kept = {(c.graph, c.subject, c.predicate) for c in conflicts}

    def free(quads: Iterable[Quad]) -> frozenset[Quad]:
        return frozenset(q for q in quads if _key(q) not in kept)

    return tuple(conflicts), Delta(free(theirs.added), free(theirs.removed))


def _key(quad: Quad) -> Key:
    return quad.graph_name, quad.subject, quad.predicate


def _by_key(quads: Iterable[Quad]) -> dict[Key, frozenset[Quad]]:
    grouped: dict[Key, set[Quad]] = {}
    for quad in quads:
        grouped.setdefault(_key(quad), set()).add(quad)
    return {key: frozenset(group) for key, group in grouped.items()}
