"""Files to graphs: what stands in ``ontology/``, ``shapes/`` and ``data/`` becomes the next version.

A build is a change set: the difference between what the files said at the last build and what they say
now, applied to the published version. Where a steward has changed the same statements since, the
steward's stay and the conflict is listed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import BlankNode, Literal, NamedNode, Quad, Triple

from . import files, merging
from .curation import DECISIONS, INFERRED, Commit, commit
from .errors import BrokenFile
from .mappings import judgements
from .merging import Conflict, Merge, read_base, unknown, write_base
from .overlaps.decisions import OVERLAPS
from .registration import refuse_unregistered
from .sources import sssom
from .store import Delta, Draft, Store
from .store.changes import canonical, write_durably
from .store.parsing import sentence
from .terms import GRAPH, iri, turtle
from .texts import counted
from .validation import Shapes

#: Folders of the knowledge, and the graph into which their files go; None: one graph a file.
_FOLDERS = {"ontology": "ontology", "shapes": "shapes", "data": None}
#: Code lists stand beside the ontology, in a graph of their own.
_CODES = "ontology/codes*.ttl"
#: Files that are not Turtle, and the graph into which all of a kind go.
_TABLES = {
    ("data/mappings/verified", ".tsv"): "linked-terms",
    ("data/mappings", ".sssom.tsv"): "alignments",
}

#: Properties that name a term or thing of ours.
_NAMES = (iri("rdfs:label"), iri("skos:prefLabel"))


@dataclass(frozen=True)
class Source:
    """A file of the knowledge and the graph that it goes into."""

    path: Path
    graph: NamedNode


@dataclass(frozen=True)
class Build:
    """What a build did.

    Attributes:
        differ: statements in which files and graph differ after it, what follows from others aside.
    """

    commit: Commit
    files: int
    conflicts: tuple[Conflict, ...] = ()
    differ: int = 0


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
        for path in files.ending(folder / name, ".ttl"):
            own = "codes" if path.match(_CODES) else graph
            found.append(Source(path, NamedNode(GRAPH + (own or path.stem))))
    for (place, suffix), graph in _TABLES.items():
        tables = files.ending(folder / place, suffix)
        found += [Source(path, NamedNode(GRAPH + graph)) for path in tables]
    return found


def merged_sources(folder: Path) -> list[Source]:
    """The files whose graphs make up the default graph; another edition must not be mixed in.

    Raises:
        BrokenFile: a file goes into a graph that is not registered.
    """
    found, register = sources(folder), folder / "data" / "graphs.ttl"
    entries = [t for t in parse_file(register) if t.predicate == iri("k4p:inDefaultGraph")]
    refuse_unregistered(((s.path, s.graph) for s in found), {t.subject for t in entries})
    merged = {t.subject for t in entries if t.object == Literal(True)}
    return [source for source in found if source.graph in merged]


def parse_file(path: Path) -> list[Triple]:
    """Parse a file of the knowledge: Turtle, mappings or verified terms, by its ending and folder.

    Raises:
        BrokenFile: with ``file``, ``line`` and ``column``.
    """
    data = files.read(path)
    try:
        if path.suffix.lower() == ".tsv":
            return _parse_table(path, data.decode())
        return [
            Triple(q.subject, q.predicate, q.object)
            for q in ox.parse(data, format=ox.RdfFormat.TURTLE, base_iri=GRAPH)
        ]
    except SyntaxError as e:
        if mark := files.unsettled(path, e.lineno):
            raise files.conflict(path, mark) from e
        raise BrokenFile(
            f"{path}, line {e.lineno}, column {e.offset}{_whose(data, e.lineno)}: {sentence(e.msg)}.",
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
    for listed in files.ending(path.parent / "verified", ".tsv"):
        verified |= _terms(listed, listed.stat().st_mtime_ns)
    decided = path.parents[1] / "decisions.ttl"
    judged = _judged(decided, decided.stat().st_mtime_ns) if decided.exists() else {}
    ours = [
        f for name in ("ontology", "data") for f in files.ending(path.parents[2] / name, ".ttl")
    ]
    names = _names(tuple((f, f.stat().st_mtime_ns) for f in ours))
    mappings = sssom.read_mappings(data, str(path), verified, names)
    return list(sssom.mapping_triples(mappings, judged))


@lru_cache(maxsize=2)
def _names(stated: tuple[tuple[Path, int], ...]) -> Mapping[str, set[str]]:
    """English names of what the files describe, by IRI, read once until a file changes."""
    found: dict[str, set[str]] = {}
    for path, _changed in stated:
        # A file that is broken is told where it is read for itself.
        with suppress(BrokenFile):
            for t in parse_file(path):
                if t.predicate in _NAMES and t.object.language == "en":
                    found.setdefault(t.subject.value, set()).add(t.object.value)
    return found


@lru_cache(maxsize=64)
def _terms(path: Path, _changed: int) -> Mapping[str, sssom.LinkedTerm]:
    """The terms of a list, read once for all mapping files until it changes."""
    return sssom.read_terms(files.read(path).decode(), str(path)).terms


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
    found = ((path, path.stat()) for path in files.ending(folder / "shapes", ".ttl"))
    return _shapes(tuple((path, now.st_ino, now.st_size, now.st_mtime_ns) for path, now in found))


@lru_cache(maxsize=1)
def _shapes(found: tuple[tuple[Path, int, int, int], ...]) -> Shapes:
    """The shapes of files with their state: what is worked out from them is kept as long as that holds."""
    for path, *_ in found:
        parse_file(path)  # tells what is broken with file, line and repair
    return Shapes.from_files(path for path, *_ in found)


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
    files.see_all_read(folder)
    found = sources(folder)
    said = {source: read(source) for source in found}
    now = canonical(quad for quads in said.values() for quad in quads)
    merge = Merge(Delta(), (), now, followed=False)
    differ = 0
    registered = {q.subject for q in now if q.predicate == iri("k4p:inDefaultGraph")}
    refuse_unregistered(((source.path, source.graph) for source in found), registered)

    def change(draft: Draft) -> None:
        nonlocal merge, differ
        held, base = frozenset(draft.quads()), read_base(store)
        _refuse_emptied(said, base)
        merge = merging.merge(held, base, now)
        draft.apply(merge.delta)
        if merge.followed and detect and merge.delta:
            detect(draft)
        differ = sum(
            q.graph_name not in (INFERRED, OVERLAPS) for q in now ^ frozenset(draft.quads())
        )

    done = commit(
        store,
        load_shapes(folder),
        change,
        author=author,
        message=message or f"Build from {counted(len(found), 'file')}",
        source="build",
        dry_run=dry_run,
        before=lambda version: write_base(store, version, merge.base),
    )
    return Build(done, len(found), merge.conflicts, differ)


def _refuse_emptied(said: Mapping[Source, list[Quad]], base: frozenset[Quad]) -> None:
    """See that no file has lost all that it said: a file that was cut is not a wish to delete.

    Raises:
        BrokenFile: one has.
    """
    known = {quad.graph_name for quad in base}
    for source, quads in said.items():
        if source.graph in known and not quads:
            raise BrokenFile(
                f"{source.path} says nothing any more. If what it said is to go, delete the file; if not, bring back"
                " an earlier state of it.",
                file=str(source.path),
            )


def is_current(store: Store, folder: Path) -> bool:
    """Whether the store holds what the files say, no more and no less, inferences aside."""
    said = canonical(quad for source in sources(folder) for quad in read(source))
    return said == frozenset(q for q in store.quads() if q.graph_name != INFERRED)


@dataclass
class Written:
    """What a dump to the files did.

    Attributes:
        changed: the files that it wrote.
        left: files that say what no build has brought into the graph, so that they stay as they are, with the number
            of those changes.
        computed: in how many statements the overlaps of graph and file differ by what was computed.
    """

    changed: list[Path]
    left: dict[Path, int]
    computed: int = 0


def write_files(
    store: Store, folder: Path, version: int | None = None, *, overwrite: bool = False
) -> Written:
    """Write the graphs that stand in files of ``data/`` back to them, in canonical form.

    What the files then say is what the next build compares them with. Where decisions alone have changed, those overlaps
    alone are written that people decided about.

    Args:
        version: an older one than the published one; then the next build takes the files for changed.
        overwrite: also write files that say what no build has brought into the graph; so that is lost.
    """
    number = store.current if version is None else version
    graphs: dict[NamedNode, list[Quad]] = {}
    for quad in store.quads(number):
        graphs.setdefault(quad.graph_name, []).append(quad)
    base = read_base(store)
    agreed, done, anew = set(base), Written([], {}), False
    own = [source for source in sources(folder) if source.path.parent.name == "data"]
    for source in sorted(own, key=lambda source: source.graph == OVERLAPS):  # those last
        wanted = frozenset(graphs.get(source.graph, ()))
        said, known = canonical(read(source)), merging.of(source.graph, base)
        if source.graph == OVERLAPS:
            if said and not anew:
                wanted = merging.with_decisions(said, held := wanted)
                done.computed = len(wanted ^ held)
        elif (lost := unknown(known, said, wanted)) and not overwrite:
            done.left[source.path] = lost
            continue
        anew = anew or (source.graph != DECISIONS and merging.matters(wanted ^ said))
        data = turtle(quad.triple for quad in wanted)
        if data != source.path.read_bytes():
            write_durably(source.path, data)
            done.changed.append(source.path)
            said = canonical(read(source))
        agreed = (agreed - known) | said
    if number == store.current and agreed != base and store.writable:
        write_base(store, number, agreed)
    return done
