"""Changes to the graph: inferred, validated, logged and published, or refused and without trace.

Every write goes through `commit`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyoxigraph import NamedNode, Quad, Triple

from . import ontology
from .errors import ShapesViolated
from .store import Delta, Draft, Entry, MemoryGraph, Store
from .terms import GRAPH
from .validation import Report, Shapes, validate

INFERRED = NamedNode(GRAPH + "inferred")
ONTOLOGY = NamedNode(GRAPH + "ontology")


@dataclass(frozen=True)
class Commit:
    """What a commit did, or would do.

    Attributes:
        entry: the log entry of the new version; None for a dry run, or when nothing changed.
        delta: what really changed, inferences included.
        report: what the shapes say of the new state.
    """

    entry: Entry | None
    delta: Delta
    report: Report


def commit(
    store: Store,
    shapes: Shapes,
    delta: Delta,
    *,
    author: str,
    message: str,
    source: str = "update",
    dry_run: bool = False,
    before: Callable[[int], None] | None = None,
) -> Commit:
    """Apply a change to the published graph as one step.

    Args:
        author: who makes the change, an IRI or a name.
        source: the kind of change, for the log.
        dry_run: say what would happen, and change nothing.
        before: called with the version's number just before it is accepted.

    Raises:
        ShapesViolated: the new state has violations; nothing was changed. Has the report.
    """
    with store.draft() as draft:
        draft.apply(delta)
        asserted = _asserted(draft)
        inferred = ontology.infer(asserted, ontology.rules(_schema(draft)))
        wanted = {Quad(t.subject, t.predicate, t.object, INFERRED) for t in inferred}
        present = set(draft.quads(INFERRED))
        draft.apply(Delta.of(wanted - present, present - wanted))
        graph = MemoryGraph(asserted)
        report = validate(graph, shapes, graph.select)
        if not report.conforms and not dry_run:
            raise ShapesViolated(
                f"{report.count('violation')} statements do not fit the shapes; nothing was changed.",
                report,
            )
        entry = None
        if draft.delta and not dry_run:
            entry = draft.publish(author, message, source, before)
        return Commit(entry, draft.delta, report)


def _asserted(draft: Draft) -> frozenset[Triple]:
    """The merge of the published graphs without what only the rules say."""
    return frozenset(
        quad.triple for graph in draft.merged - {INFERRED} for quad in draft.quads(graph)
    )


def _schema(draft: Draft) -> list[Triple]:
    return [quad.triple for quad in draft.quads(ONTOLOGY)]
