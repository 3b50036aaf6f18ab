"""Files to graphs: what stands in ``ontology/``, ``shapes/`` and ``data/`` becomes the next version.

A build is a change set: the difference between what the files said at the last build and what they say
now, applied to the published version. Where a steward has changed the same statements since, the
steward's stay and the conflict is listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import BlankNode, Literal, NamedNode, Quad, Triple

from ..kernel import files
from ..kernel.errors import BrokenFile
from ..kernel.files import State
from ..kernel.terms import GRAPH, curie, iri, turtle
from ..kernel.texts import counted
from ..reasoning import Shapes
from ..sources import readings, sssom
from ..store import Delta, Draft, Store
from ..store.changes import canonical, write_durably
from ..store.parsing import sentence
from . import commits, decisions, mappings, merging
from .commits import INFERRED, Commit
from .merging import Conflict, Merge, read_base, unknown, write_base

#: Folders of the knowledge, and the graph into which their files go; None: one graph a file.
_FOLDERS = {"ontology": "ontology", "shapes": "shapes", "data": None}
#: Code lists stand beside the ontology, in a graph of their own.
_CODES = "ontology/codes*.ttl"
#: Files that are not Turtle, and the graph into which all of a kind go.
_TABLES = {
    ("data/mappings/verified", ".tsv"): "linked-terms",
    ("data/mappings", ".sssom.tsv"): "alignments",
    ("data", "actions.csv"): "actions",
    ("data", "readings.csv"): "readings",
}
#: Tables of readings, and what reads them; the plan has the texts that they are readings of.
_READINGS = {"actions.csv": readings.read_actions, "readings.csv": readings.read_pairs}
_PLAN = "plan-2021-10-14.ttl"
#: Properties that name a term or thing of ours.
_NAMES = (iri("rdfs:label"), iri("skos:prefLabel"))
_MERGED = iri("k4p:inDefaultGraph")


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


# reading


def sources(folder: Path, only: str = "") -> list[Source]:
    """Return the files of the knowledge below a folder, or the Turtle in one of its folders, in a fixed order.

    Raises:
        BrokenFile: its folders are not there.
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
    if not only:
        return found
    turtle = (source for source in found if source.path.suffix.lower() == ".ttl")
    return [source for source in turtle if source.path.parent.name == only]


def merged_sources(folder: Path) -> list[Source]:
    """Return the files whose graphs make up the default graph; another edition must not be mixed in."""
    found = sources(folder)
    entries = [t for t in parse_file(folder / "data" / "graphs.ttl") if t.predicate == _MERGED]
    _refuse_unregistered(found, {t.subject for t in entries})
    merged = {t.subject for t in entries if t.object == Literal(True)}
    return [source for source in found if source.graph in merged]


def _refuse_unregistered(found: Iterable[Source], registered: Set[object]) -> None:
    """See that each file goes into a registered graph; without any register, all may."""
    for source in found if registered else ():
        if source.graph not in registered:
            name = curie(source.graph.value)
            raise files.broken(
                source.path,
                f"its graph {name} is not registered, so nobody would judge it. Register it in"
                f" data/graphs.ttl ({name} a k4p:NamedGraph, with title, description, licence,"
                " k4p:editable, k4p:inDefaultGraph and k4p:inDumps), or move what the file says to"
                " one that is.",
            )


def parse_file(path: Path) -> list[Triple]:
    """Parse a file of the knowledge: Turtle, readings, mappings or verified terms, by its name and folder.

    Raises:
        BrokenFile: with ``file``, ``line`` and ``column``.
    """
    state = files.state(path)
    if path.name.lower() in _READINGS:
        plan = path.parent / _PLAN
        return list(_readings(state, files.state(plan) if plan.exists() else None))
    if path.suffix.lower() != ".tsv":
        return list(_turtle(state))
    if path.parent.name == "verified":
        return list(_terms(state))
    verified = {
        term.subject.value: term.object.value
        for listed in files.ending(path.parent / "verified", ".tsv")
        for term in _terms(files.state(listed))
        if term.predicate == _NAMES[1] and term.object.language == "en"
    }
    decided = path.parents[1] / "decisions.ttl"
    held = mappings.standing(parse_file(decided) if decided.exists() else ())
    judged = {mapping: (made.status, made.person) for mapping, made in held.items()}
    folders = (path.parents[2] / name for name in ("ontology", "data"))
    ours = tuple(files.state(f) for folder in folders for f in files.ending(folder, ".ttl"))
    data = files.read(path).decode()
    return sssom.read_mappings(data, str(path), verified, _names(ours), judged)


@lru_cache(maxsize=512)
def _turtle(state: State) -> tuple[Triple, ...]:
    """Read a Turtle file, once until it changes."""
    data = files.read(state.path)
    try:
        quads = ox.parse(data, format=ox.RdfFormat.TURTLE, base_iri=GRAPH)
        return tuple(quad.triple for quad in quads)
    except SyntaxError as e:
        raise broken(state.path, e, _whose(data, e.lineno)) from e


def broken(path: Path, error: SyntaxError, about: str = "") -> BrokenFile:
    """Return the error for a file that does not parse, with its place where the parser says it."""
    if mark := files.unsettled(path, error.lineno):
        return files.conflict(path, mark)
    if not error.lineno:
        return files.broken(path, f"{sentence(error.msg)}.")
    place = f", line {error.lineno}, column {error.offset}{about}"
    members = {"file": str(path), "line": error.lineno, "column": error.offset}
    return BrokenFile(f"{path}{place}: {sentence(error.msg)}.", **members)


def _whose(data: bytes, line: int | None) -> str:
    """Return of which term a line of Turtle speaks, and what stands there, for a message."""
    lines = data.decode(errors="replace").splitlines()[: line or 0]
    starts = (s.split()[0] for s in reversed(lines) if s[:1].strip() and s[0] not in "#@")
    term, text = next(starts, ""), lines[-1].strip() if lines else ""
    about = f", in what is said of {term}" if term else ""
    return (
        f"{about} (correct “{text[:60]}” or the end of the statement before it)" if text else about
    )


@lru_cache(maxsize=2)
def _names(stated: tuple[State, ...]) -> Mapping[str, set[str]]:
    """Return the English names of what files describe, by IRI, worked out once until one changes."""
    found: dict[str, set[str]] = {}
    for state in stated:
        # A file that is broken is told where it is read for itself.
        with suppress(BrokenFile):
            for t in _turtle(state):
                if t.predicate in _NAMES and t.object.language == "en":
                    found.setdefault(t.subject.value, set()).add(t.object.value)
    return found


@lru_cache(maxsize=64)
def _terms(state: State) -> tuple[Triple, ...]:
    """Read a list of verified terms, once until it changes."""
    return tuple(sssom.read_terms(files.read(state.path).decode(), str(state.path)))


@lru_cache(maxsize=4)
def _readings(state: State, plan: State | None) -> tuple[Triple, ...]:
    """Read a table of readings of a plan, once until one of the two changes."""
    fields = {iri(name): part for part, name in readings.FIELDS.items()}
    texts: dict[str, dict[str, str]] = {}
    for t in _turtle(plan) if plan else ():
        prefix, _, code = (curie(t.subject.value) or "").partition(":")
        if prefix == "activity" and t.predicate in fields and t.object.language == "en":
            texts.setdefault(code, {})[fields[t.predicate]] = t.object.value
    read = _READINGS[state.path.name.lower()]
    return tuple(read(files.read(state.path).decode(), str(state.path), texts))


def read(source: Source) -> list[Quad]:
    """Return the quads of a file; blank nodes named after file and place, the same in every build."""
    dataset = ox.Dataset(Quad(t.subject, t.predicate, t.object) for t in parse_file(source.path))
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    stem = f"{source.path.parent.name}-{source.path.stem}-"

    def named(term):
        return BlankNode(stem + term.value) if isinstance(term, BlankNode) else term

    return [Quad(named(q.subject), q.predicate, named(q.object), source.graph) for q in dataset]


def load_shapes(folder: Path) -> Shapes:
    """Return the shapes of a folder of the knowledge, read again when a file has changed."""
    return _shapes(tuple(map(files.state, files.ending(folder / "shapes", ".ttl"))))


@lru_cache(maxsize=1)
def _shapes(found: tuple[State, ...]) -> Shapes:
    for state in found:
        _turtle(state)  # tells what is broken with file, line and repair
    return Shapes.from_files(state.path for state in found)


# building


def build(
    store: Store, folder: Path, *, author: str, message: str = "", dry_run: bool = False
) -> Build:
    """Bring the store to what the files say.

    Where the store's overlaps are not those of the files of the last build, they follow from what people decided and
    changed since; so the files' are not taken, and what follows is worked out anew.

    Raises:
        BrokenFile: a file does not parse; nothing was changed.
        ShapesViolated: the files do not fit the shapes; nothing was changed. Has the report.
    """
    files.see_all_read(folder)
    said = {source: read(source) for source in sources(folder)}
    now = canonical(quad for quads in said.values() for quad in quads)
    _refuse_unregistered(said, {q.subject for q in now if q.predicate == _MERGED})
    merge, differ = Merge(Delta(), (), now, followed=False), 0

    def change(draft: Draft) -> None:
        nonlocal merge, differ
        base = read_base(store)
        _refuse_emptied(said, base)
        merge = merging.merge(frozenset(draft.quads()), base, now)
        draft.apply(merge.delta)
        if merge.followed:
            commits.follow(draft, slow=True)
        derived = {INFERRED, *commits.computed()}
        differ = sum(q.graph_name not in derived for q in now ^ frozenset(draft.quads()))

    done = commits.commit(
        store,
        load_shapes(folder),
        change,
        author=author,
        message=message or f"Build from {counted(len(said), 'file')}",
        source="build",
        dry_run=dry_run,
        before=lambda version: write_base(store, version, merge.base),
    )
    return Build(done, len(said), merge.conflicts, differ)


def _refuse_emptied(said: Mapping[Source, list[Quad]], base: frozenset[Quad]) -> None:
    """See that no file has lost all that it said: a file that was cut is not a wish to delete."""
    known = {quad.graph_name for quad in base}
    for source, quads in said.items():
        if source.graph in known and not quads:
            why = "If what it said is to go, delete the file; if not, bring back an earlier state of it."
            raise BrokenFile(f"{source.path} says nothing any more. {why}", file=str(source.path))


def is_current(store: Store, folder: Path) -> bool:
    """Return whether the store holds what the files say, no more and no less, inferences aside."""
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

    changed: list[Path] = field(default_factory=list)
    left: dict[Path, int] = field(default_factory=dict)
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
    agreed, done, anew = set(base), Written(), False
    computed = commits.computed()
    for source in sorted(sources(folder, "data"), key=lambda s: s.graph in computed):  # those last
        wanted = frozenset(graphs.get(source.graph, ()))
        said, known = canonical(read(source)), merging.of(source.graph, base)
        if source.graph in computed:
            if said and not anew:
                wanted = merging.with_decisions(said, held := wanted)
                done.computed = len(wanted ^ held)
        elif (lost := unknown(known, said, wanted)) and not overwrite:
            done.left[source.path] = lost
            continue
        anew = anew or (source.graph != decisions.GRAPH and commits.is_followed(wanted ^ said))
        data = turtle(quad.triple for quad in wanted)
        if data != source.path.read_bytes():
            write_durably(source.path, data)
            done.changed.append(source.path)
            said = canonical(read(source))
        agreed = (agreed - known) | said
    if number == store.current and agreed != base and store.writable:
        write_base(store, number, agreed)
    return done
