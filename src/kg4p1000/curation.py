"""Changes to the graph: inferred, validated, logged and published, or refused and without trace.

Every write goes through `commit`, or through `undo`, which takes one back. What a change costs
depends on what it touches, not on the size of the graph: inferences and findings are brought from
the published version to the next one. That needs a published version that was made by the same
rules and conforms to the same shapes, which the file ``checked`` beside the log tells; where it
does not, everything is inferred and judged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pyoxigraph import DefaultGraph, NamedNode, Quad, Triple

from . import __version__, ontology, validation
from .errors import DecisionStands, ShapesViolated, UndoConflict
from .overlaps import decisions
from .store import Delta, Draft, Entry, Store
from .store.changes import refuse_long, write_whole
from .terms import ID, curie, iri
from .texts import counted
from .validation import Report, Shapes

INFERRED, ONTOLOGY = ontology.INFERRED, ontology.ONTOLOGY
DECISIONS = decisions.GRAPH


@dataclass(frozen=True)
class Commit:
    """What a commit did, or would do.

    Attributes:
        entry: the log entry of the new version; None for a dry run, or when nothing changed.
        delta: what really changed, inferences included, without what the draft loaded.
        counts: how many quads came and went, with what the draft loaded.
        report: what the shapes say of the new state, as far as it was judged.
        whole: whether everything was judged, and not only what the change touches.
        normalised: literals that are kept otherwise than they were sent, by datatype; see `Normalised`.
    """

    entry: Entry | None
    delta: Delta
    report: Report
    whole: bool
    counts: tuple[int, int]
    normalised: list[dict[str, Any]] = field(default_factory=list)


def commit(
    store: Store,
    shapes: Shapes,
    change: Delta | Callable[[Draft], None],
    *,
    author: str,
    message: str,
    source: str = "update",
    dry_run: bool = False,
    before: Callable[[int], None] | None = None,
    wipe: bool = False,
) -> Commit:
    """Apply a change to the published graph as one step.

    Args:
        change: what to add and remove; or a function that does it to the draft, and so decides on
            what is there at that moment. What it says of ``graph:inferred`` is left out: that is for
            the rules to say.
        author: who makes the change, an IRI or a name.
        source: the kind of change, for the log.
        dry_run: say what would happen, and change nothing.
        before: called with the number of the version just before it is accepted; with that of the published one
            where nothing changes. Nobody else can change the store meanwhile.
        wipe: all decisions may go, together.

    Raises:
        DecisionStands: a decision would be changed or lost; nothing was changed.
        ShapesViolated: the new state has violations; nothing was changed. Has the report.
    """
    with store.draft() as draft:
        made = _Change(store, draft, shapes, change)
        _see_that_decisions_stand(draft, wipe)
        return made.settle(author, message, source, dry_run, before)


def undo(
    store: Store,
    shapes: Shapes,
    version: int,
    author: str,
    *,
    message: str = "",
    dry_run: bool = False,
    choose: Callable[[Draft, Delta], Delta] = lambda draft, made: made,
    follow: Callable[[Draft], None] | None = None,
) -> Commit:
    """Take back what a version changed, as a new version; an undo can be taken back in the same way.

    With a decision, its effect on the overlap goes too; the overlap itself stays, for the detection to
    bring up to date.

    Args:
        choose: gives, of what the version stated, what is taken back; raises where it must not be.
        follow: brings what follows from decisions to those that are left, after decisions went or came; without it,
            that is done for overlaps.

    Raises:
        NotFound: there is no such version.
        UndoConflict: later versions changed the same statements (graph, subject and property), and
            not back again; nothing was changed. Has ``conflicts``.
        ShapesViolated: without the change the shapes would be violated; nothing was changed.
    """
    with store.draft() as draft:
        entry = store.entry(version)
        whole = store.delta(version)
        inferences = _about(INFERRED, whole)  # are made again from what is stated
        made = Delta(whole.added - inferences.added, whole.removed - inferences.removed)
        decided = entry.source == "decision"
        if decided:
            made = _decision_alone(draft, made)
        made = choose(draft, made)
        if conflicts := _conflicts(store, draft, version, made):
            raise UndoConflict(
                f"Version {version} cannot be undone: {len(conflicts)} of its statements were changed"
                " again since. Undo the later changes first, or correct the statements by hand.",
                conflicts=conflicts,
            )

        def back(draft: Draft) -> None:
            draft.apply(made.inverse())
            if any(quad.graph_name == DECISIONS for quad in made.added | made.removed):
                (follow or _settle_overlaps)(draft)

        change = _Change(store, draft, shapes, back)
        text = message or f"Undo of version {version}: {entry.message}"
        return change.settle(author, text, "undo", dry_run)


class _Change:
    """A draft to which a change has been applied."""

    def __init__(
        self, store: Store, draft: Draft, shapes: Shapes, change: Delta | Callable[[Draft], None]
    ) -> None:
        self._store, self._draft = store, draft
        self._shapes = shapes
        before = draft.merged - {INFERRED}
        self._rules_before = ontology.rules(ontology.axioms(draft))
        if isinstance(change, Delta):
            draft.apply(change)
        else:
            change(draft)
        draft.apply(_about(INFERRED, draft.delta).inverse())
        real = draft.delta
        self._rules = self._rules_before
        if any(quad.graph_name == ONTOLOGY for quad in real.added | real.removed):
            self._rules = ontology.rules(ontology.axioms(draft))
        self._graph = StatedGraph(draft)
        # What is not merged is neither judged nor inferred from.
        self._loaded = draft.loaded if draft.loaded in draft.merged else None
        self._added, self._removed = self._graph.difference(before, real)

    def settle(
        self,
        author: str,
        message: str,
        source: str,
        dry_run: bool,
        before: Callable[[int], None] | None = None,
    ) -> Commit:
        """Infer, judge, and publish what conforms."""
        draft, store = self._draft, self._store
        known = _read_checked(store)
        report, whole = self._judge(known)
        if report.conforms:
            self._infer(known)
            report = self._shapes.with_kinds(report, self._contradictions(whole))
        if not report.conforms:
            raise ShapesViolated(
                f"{counted(report.count('violation'), 'statement does', 'statements do')} not fit the shapes; nothing was changed.",
                report.hinted(self._graph.names),
            )
        if whole or any(q.graph_name == ONTOLOGY for q in draft.delta.added | draft.delta.removed):
            self._shapes.see_that_ontology_allows(self._graph)
        delta, counts, entry = draft.delta, draft.counts, None
        if any(counts) and not dry_run:
            entry = store.publish(draft, author, message, source, before)
        elif dry_run:
            refuse_long(draft.rows()[1])
        elif before:
            before(draft.base)
        if report.conforms and not dry_run:
            _write_checked(store, shapes=self._shapes.digest, rules=_named(self._rules))
        return Commit(entry, delta, report, whole, counts, draft.normalised.to_list())

    def _infer(self, known: dict[str, Any]) -> None:
        if known.get("rules") == _named(self._rules_before) and self._loaded:
            ontology.infer_loaded(self._draft, self._rules, self._loaded)
        elif known.get("rules") == _named(self._rules_before):
            ontology.infer_change(
                self._draft, self._rules, self._added, self._removed, self._rules_before
            )
        else:
            ontology.infer(self._draft, self._rules)

    def _contradictions(self, whole: bool) -> set[tuple[Any, Any]]:
        """What contradicts the ontology once its rules have been followed."""
        nodes = None
        if not whole and self._rules == self._rules_before:
            nodes = {q.subject for q in self._draft.delta.added if q.predicate == iri("rdf:type")}
        return ontology.contradictions(ontology.closure(self._draft), nodes)

    def _judge(self, known: dict[str, Any]) -> tuple[Report, bool]:
        report = None
        if known.get("shapes") == self._shapes.digest and not self._loaded:
            report = validation.validate_change(
                self._graph, self._shapes, self._added, self._removed
            )
        if report is not None:
            return report, False
        return validation.validate_graph(self._graph, self._shapes), True


class StatedGraph:
    """The merge of the published graphs without what only the rules say (decision 0003).

    Holds for a draft whether or not its inferences have been brought up to date.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._graphs = draft.merged - {INFERRED}

    def match(self, subject: Any, predicate: Any, object_: Any) -> Iterator[Quad]:
        """The quads that fit a pattern; one triple may come several times."""
        quads = self._draft.match(subject, predicate, object_, None)
        return (quad for quad in quads if quad.graph_name in self._graphs)

    def n_triples(self) -> bytes:
        """All triples, some perhaps twice."""
        return b"".join(self._draft.n_triples(graph) for graph in self._graphs)

    def select(
        self, query: str, predicates: Set[NamedNode | None] | None
    ) -> Iterable[dict[str, Any]]:
        """Run a query, on the default graph if no inference has one of the predicates."""
        # A dataset of many graphs is several times slower, and counts a triple once for each.
        if predicates is not None and None not in predicates:
            inferred = (self._draft.match(None, p, None, INFERRED) for p in predicates)
            if all(next(quads, None) is None for quads in inferred):
                return self._draft.select(query, [DefaultGraph()])
        return self._draft.select(query, self._graphs)

    def names(self, space: str) -> Iterator[str]:
        """The IRIs below a namespace of which the graph says something."""
        query = f'SELECT DISTINCT ?s WHERE {{ ?s ?p ?o FILTER(STRSTARTS(STR(?s), "{space}")) }}'
        rows = self._draft.select(query, [DefaultGraph()])
        return (row["s"].value for row in rows if isinstance(row["s"], NamedNode))

    def difference(self, before: Set[NamedNode], real: Delta) -> tuple[set[Triple], set[Triple]]:
        """The triples that came into this graph by a change of quads, and those that left it.

        Args:
            before: the graphs that were merged before the change.
        """
        come, gone = self._graphs - before, before - self._graphs
        added = {q.triple for q in real.added if q.graph_name in self._graphs}
        added |= {q.triple for graph in come for q in self._draft.quads(graph)}
        left = {q.triple for q in real.removed if q.graph_name in before}
        left |= {q.triple for graph in gone for q in self._draft.quads(graph)}
        return added, {t for t in left if next(self.match(*t), None) is None}


def _about(graph: NamedNode, delta: Delta) -> Delta:
    """The part of a delta that is about one graph."""

    def kept(quads: Iterable[Quad]) -> frozenset[Quad]:
        return frozenset(quad for quad in quads if quad.graph_name == graph)

    return Delta(kept(delta.added), kept(delta.removed))


def _see_that_decisions_stand(draft: Draft, wipe: bool) -> None:
    """See that a draft changes no decision that there was, nor who made it, and says none elsewhere."""
    change = draft.delta
    gone = {q.subject for q in change.removed if q.graph_name == DECISIONS}
    if gone and wipe and next(draft.quads(DECISIONS), None) is None:
        return
    judged = (draft.merged | {DECISIONS}) - {INFERRED}
    kinds = {iri("k4p:OverlapDecision"), iri("k4p:MappingDecision")}
    gone |= {
        q.subject
        for q in change.added
        if q.object in kinds and q.predicate == iri("rdf:type")
        if q.graph_name in judged - {DECISIONS}
    }
    for subject, graph in {(q.subject, q.graph_name) for q in change.added}:
        if graph in judged:
            held = draft.match(subject, None, None, DECISIONS)
            misplaced = graph != DECISIONS and str(subject).startswith(f"<{ID}decision/")
            if misplaced or any(quad not in change.added for quad in held):
                gone.add(subject)
    if gone:
        named = ", ".join(sorted(curie(getattr(s, "value", "")) or str(s) for s in gone)[:5])
        raise DecisionStands(
            f"This would change {named}. graph:decisions only grows: what a person decided is never"
            " changed or removed, and stands nowhere else. Decide anew, by 'kg4p1000 overlaps decide',"
            " 'kg4p1000 mappings decide' or POST /overlaps/A4.2-D2.3/decisions: the last decision holds."
            " A decision made by mistake is taken back by undoing its version."
        )


# undo


def _settle_overlaps(draft: Draft) -> None:
    draft.apply(decisions.settle(draft))


def _decision_alone(draft: Draft, made: Delta) -> Delta:
    """A decision without what follows from it, and without a person whom other decisions name."""
    about = {quad.subject for quad in made.added}

    def kept(quad: Quad) -> bool:
        named = draft.match(None, iri("prov:wasAttributedTo"), quad.subject, DECISIONS)
        return quad.graph_name != decisions.OVERLAPS and all(q.subject in about for q in named)

    return Delta(frozenset(filter(kept, made.added)), frozenset(filter(kept, made.removed)))


def _conflicts(store: Store, draft: Draft, version: int, made: Delta) -> list[str]:
    """Why a version cannot be undone, a sentence a statement."""

    def key(quad: Quad) -> tuple[Any, ...]:
        return quad.graph_name, quad.subject, quad.predicate

    keys = {key(quad) for quad in made.added | made.removed}
    added: set[Quad] = set()
    removed: set[Quad] = set()
    for number in range(version + 1, draft.base + 1):
        later = store.delta(number)
        come, gone = (
            {q for q in quads if key(q) in keys} for quads in (later.added, later.removed)
        )
        # What was changed and changed back is as it was.
        added, removed = (added - gone) | (come - removed), (removed - come) | (gone - added)
    found = {quad: "is no longer there" for quad in made.added if quad not in draft}
    found |= {quad: "is there again" for quad in made.removed if quad in draft}
    for quads, what in ((added, "was added later"), (removed, "was removed later")):
        found |= {quad: what for quad in quads if quad not in found}
    return sorted(f"{_written(quad)} {what}" for quad, what in found.items())


def _written(quad: Quad) -> str:
    terms = (quad.subject, quad.predicate, quad.object, quad.graph_name)
    short = [(isinstance(t, NamedNode) and curie(t.value)) or str(t) for t in terms]
    return f"{' '.join(short[:3])} (in {short[3]})"


# what is known of the published version


def _read_checked(store: Store) -> dict[str, Any]:
    """By which rules and shapes the published version was made and checked, if that is known."""
    try:
        known = json.loads((store.path / "checked").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return known if known.get("entry") == _identity(store) else {}


def _write_checked(store: Store, **by: str) -> None:
    """Remember it; a crash before or within costs a full run next time, and nothing else."""
    data = json.dumps({"entry": _identity(store), **by}) + "\n"
    with suppress(OSError):  # the change is made, whatever the disk says now
        write_whole(store.path / "checked", data.encode())


def _named(rules: list[ontology.Rule]) -> str:
    return f"{__version__} {ontology.fingerprint(rules)}"


def _identity(store: Store) -> str:
    """What tells the published version from any other, of this history or another one."""
    header = store.entry() if store.current else None
    return hashlib.sha256(repr(header).encode()).hexdigest()
