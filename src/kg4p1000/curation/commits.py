"""Changes to the graph: inferred, validated, logged and published, or refused and without trace.

Every write goes through `commit`, or through `undo`, which takes one back. Topics register what they ask of
changes in `guards`, and what they work out from them in `followers`. What a change costs depends on what it
touches, not on the size of the graph: inferences and findings are brought from the published version to the next
one. That needs a published version that was made by the same rules and conforms to the same shapes, which the
file ``checked`` beside the log tells; where it does not, everything is inferred and judged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pyoxigraph import DefaultGraph, NamedNode, Quad, Triple

from .. import __version__, reasoning
from ..kernel.errors import ShapesViolated, UndoConflict
from ..kernel.terms import curie, iri
from ..kernel.texts import counted
from ..reasoning import Report, Shapes, inference
from ..store import Delta, Draft, Entry, Store
from ..store.changes import refuse_long, write_whole

INFERRED, ONTOLOGY = inference.INFERRED, inference.ONTOLOGY


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


@dataclass(frozen=True)
class Follower:
    """Statements that follow from others, and are brought in step with them.

    Attributes:
        concerns: whether a change of some quads may change what follows.
        follow: brings a draft to what follows.
        slow: whether that takes so long that it is a change of its own, after the one that it follows.
        graph: where what follows slowly stands, and nothing else.
        taken_back: what of a version an undo takes back; the rest follows from what is left.
    """

    concerns: Callable[[Collection[Quad]], bool]
    follow: Callable[[Draft], None]
    slow: bool = False
    graph: NamedNode | None = None
    taken_back: Callable[[Draft, Entry, Delta], Delta] = lambda draft, entry, delta: delta


#: Each is given a changed draft, and whether graphs that only grow may be emptied; it raises to refuse the change.
guards: list[Callable[[Draft, bool], None]] = []
followers: list[Follower] = []


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
    guarded: bool = True,
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
        wipe: graphs that only grow may be emptied.
        guarded: the guards are asked; an undo may take back what they keep.

    Raises:
        ShapesViolated: the new state has violations; nothing was changed. Has the report.
        KgError: a guard refuses the change; nothing was changed.
    """
    with store.draft() as draft:
        was = draft.merged - {INFERRED}, inference.rules(inference.axioms(draft))
        if isinstance(change, Delta):
            draft.apply(change)
        else:
            change(draft)
        for guard in guards if guarded else ():
            guard(draft, wipe)
        return _publish(store, draft, shapes, was, author, message, source, dry_run, before)


def undo(
    store: Store,
    shapes: Shapes,
    version: int,
    author: str,
    *,
    message: str = "",
    dry_run: bool = False,
    choose: Callable[[Draft, Delta], Delta] = lambda draft, made: made,
) -> Commit:
    """Take back what a version changed, as a new version; an undo can be taken back in the same way.

    Args:
        choose: gives, of what the version stated, what is taken back; raises where it must not be.

    Raises:
        NotFound: there is no such version.
        UndoConflict: later versions changed the same statements (graph, subject and property), and
            not back again; nothing was changed. Has ``conflicts``.
        ShapesViolated: without the change the shapes would be violated; nothing was changed.
    """
    entry = store.entry(version)

    def change(draft: Draft) -> None:
        # What the rules say is made again from what is stated.
        made = store.delta(version).only(is_stated)
        for follower in followers:
            made = follower.taken_back(draft, entry, made)
        made = choose(draft, made)
        if conflicts := _conflicts(store, draft, version, made):
            raise UndoConflict(
                f"Version {version} cannot be undone: {len(conflicts)} of its statements were changed"
                " again since. Undo the later changes first, or correct the statements by hand.",
                conflicts=conflicts,
            )
        draft.apply(made.inverse())

    text = message or f"Undo of version {version}: {entry.message}"
    said = {"author": author, "message": text, "source": "undo", "dry_run": dry_run}
    return commit(store, shapes, change, guarded=False, **said)


def computed() -> set[NamedNode | None]:
    """Return the graphs of what follows slowly."""
    return {follower.graph for follower in followers if follower.slow}


def is_followed(changed: Collection[Quad]) -> bool:
    """Return whether a change of some quads is followed by a change of its own."""
    return any(follower.slow and follower.concerns(changed) for follower in followers)


def follow(draft: Draft, *, slow: bool = False) -> None:
    """Bring a draft to what follows from its changes; with `slow`, to what else is left for later changes."""
    changed = frozenset(draft.delta)
    for follower in followers:
        if follower.slow == slow and follower.concerns(changed):
            follower.follow(draft)


#: The graphs that are merged, what the rules say aside, and the rules.
_State = tuple[set[NamedNode], inference.Rules]


def _publish(
    store: Store,
    draft: Draft,
    shapes: Shapes,
    was: _State,
    author: str,
    message: str,
    source: str,
    dry_run: bool,
    before: Callable[[int], None] | None,
) -> Commit:
    """Work out what follows from what a draft changed, judge, and publish what conforms."""
    follow(draft)
    draft.apply(draft.delta.only(lambda quad: not is_stated(quad)).inverse())
    graph, rules = StatedGraph(draft), was[1]
    of_ontology = any(quad.graph_name == ONTOLOGY for quad in draft.delta)
    if of_ontology:
        rules = inference.rules(inference.axioms(draft))
    report, whole = _judge(store, draft, shapes, graph, was, rules)
    if not report.conforms:
        raise ShapesViolated(
            f"{counted(report.count('violation'), 'statement does', 'statements do')} not fit the shapes; nothing was changed.",
            report.hinted(graph.names),
        )
    if whole or of_ontology:
        shapes.see_that_ontology_allows(graph)
    delta, counts, entry = draft.delta, draft.counts, None
    if any(counts) and not dry_run:
        entry = store.publish(draft, author, message, source, before)
    elif dry_run:
        refuse_long(draft.rows()[1])
    elif before:
        before(draft.base)
    if not dry_run:
        _write_checked(store, shapes=shapes.digest, rules=_digest(rules))
    return Commit(entry, delta, report, whole, counts, draft.normalised.to_list())


def _judge(
    store: Store,
    draft: Draft,
    shapes: Shapes,
    graph: StatedGraph,
    was: _State,
    rules: inference.Rules,
) -> tuple[Report, bool]:
    """Judge a draft and, where it conforms, infer from it; return also whether everything was judged."""
    (merged, rules_before), known, report = was, _read_checked(store), None
    added, removed = graph.difference(merged, draft.delta)
    # What is loaded is not in the difference; what is not merged is neither judged nor inferred from.
    in_part = draft.loaded not in draft.merged
    if known.get("shapes") == shapes.digest and in_part:
        report = reasoning.validate_change(graph, shapes, added, removed)
    whole = report is None
    if report is None:
        report = reasoning.validate(graph, shapes)
    if not report.conforms:
        return report, whole
    if known.get("rules") == _digest(rules_before) and in_part:
        inference.infer_change(draft, rules, added, removed, rules_before)
    else:
        inference.infer(draft, rules)
    nodes = None
    if not whole and rules == rules_before:
        nodes = {q.subject for q in draft.delta.added if q.predicate == iri("rdf:type")}
    # What contradicts the ontology once its rules have been followed.
    found = inference.contradictions(inference.closure(draft), nodes)
    return shapes.with_kinds(report, found), whole


class StatedGraph:
    """The merge of the published graphs without what only the rules say (decision 0003).

    Holds for a draft whether or not its inferences have been brought up to date.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._graphs = draft.merged - {INFERRED}

    def match(self, subject: Any, predicate: Any, object_: Any) -> Iterator[Quad]:
        """Return the quads that fit a pattern; one triple may come several times."""
        quads = self._draft.match(subject, predicate, object_, None)
        return (quad for quad in quads if quad.graph_name in self._graphs)

    def n_triples(self) -> bytes:
        """Return all triples, some perhaps twice."""
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
        """Return the IRIs below a namespace of which the graph says something."""
        query = f'SELECT DISTINCT ?s WHERE {{ ?s ?p ?o FILTER(STRSTARTS(STR(?s), "{space}")) }}'
        rows = self._draft.select(query, [DefaultGraph()])
        return (row["s"].value for row in rows if isinstance(row["s"], NamedNode))

    def difference(self, before: Set[NamedNode], real: Delta) -> tuple[set[Triple], set[Triple]]:
        """Return the triples that came into this graph by a change of quads, and those that left it.

        Args:
            before: the graphs that were merged before the change.
        """
        come, gone = self._graphs - before, before - self._graphs
        added = {q.triple for q in real.added if q.graph_name in self._graphs}
        added |= {q.triple for graph in come for q in self._draft.quads(graph)}
        left = {q.triple for q in real.removed if q.graph_name in before}
        left |= {q.triple for graph in gone for q in self._draft.quads(graph)}
        return added, {t for t in left if next(self.match(*t), None) is None}


def is_stated(quad: Quad) -> bool:
    """Return whether a quad is no inference."""
    return quad.graph_name != INFERRED


def _conflicts(store: Store, draft: Draft, version: int, made: Delta) -> list[str]:
    """Return why a version cannot be undone, a sentence a statement."""

    def key(quad: Quad) -> tuple[Any, ...]:
        return quad.graph_name, quad.subject, quad.predicate

    def written(quad: Quad) -> str:
        terms = (quad.subject, quad.predicate, quad.object, quad.graph_name)
        short = [(isinstance(t, NamedNode) and curie(t.value)) or str(t) for t in terms]
        return f"{' '.join(short[:3])} (in {short[3]})"

    # What was changed and changed back is as it was.
    keys, later = set(map(key, made)), Delta()
    for number in range(version + 1, draft.base + 1):
        later = later.then(store.delta(number).only(lambda quad: key(quad) in keys))
    found = dict.fromkeys(later.removed, "was removed later")
    found |= dict.fromkeys(later.added, "was added later")
    found |= dict.fromkeys((q for q in made.removed if q in draft), "is there again")
    found |= dict.fromkeys((q for q in made.added if q not in draft), "is no longer there")
    return sorted(f"{written(quad)} {what}" for quad, what in found.items())


# what is known of the published version


def _read_checked(store: Store) -> dict[str, Any]:
    """Return by which rules and shapes the published version was made and checked, if that is known."""
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


def _digest(rules: inference.Rules) -> str:
    return f"{__version__} {rules.fingerprint}"


def _identity(store: Store) -> str:
    """Return what tells the published version from any other, of this history or another one."""
    header = store.entry() if store.current else None
    return hashlib.sha256(repr(header).encode()).hexdigest()
