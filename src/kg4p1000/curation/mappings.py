"""Decisions about mappings to other vocabularies.

The statement that a mapping makes stands in the graph unless it is rejected.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from pyoxigraph import NamedNode, Quad, Triple

from ..kernel.errors import NotFound
from ..kernel.terms import iri, prefix_declarations
from ..reasoning import Shapes
from ..store import Draft, MemoryGraph, Store
from . import decisions
from .commits import Commit
from .decisions import Decision, Select, Topic

ALIGNMENTS = iri("graph:alignments")
STATUSES = ("accepted", "rejected", "proposed")

_MAPPINGS = """SELECT ?mapping ?set ?subject ?predicate ?object ?label ?confidence ?status WHERE {
  ?mapping a k4p:Mapping ; k4p:inMappingSet ?set ; k4p:mappingSubject ?subject ;
    k4p:mappingPredicate ?predicate ; k4p:mappingObject ?object ; rdfs:label ?label ;
    k4p:confidence ?confidence ; k4p:status ?status
}"""


class Link(NamedTuple):
    """A mapping as the graph has it."""

    iri: NamedNode
    set: NamedNode
    subject: NamedNode
    predicate: NamedNode
    object: NamedNode
    label: str
    confidence: str
    status: str


def read(select: Select) -> list[Decision]:
    """Return all decisions about mappings, oldest first."""
    return decisions.read(select, TOPIC)


def standing(triples: Iterable[Triple]) -> dict[NamedNode, Decision]:
    """Return the decisions of a file that hold, by mapping."""
    return decisions.standing(read(MemoryGraph(triples).select))


def links(select: Select) -> list[Link]:
    """Return all mappings of a graph, by set and label."""
    found = []
    for row in select(prefix_declarations() + _MAPPINGS):
        *nodes, label, confidence, status = row.values()
        found.append(Link(*nodes, label.value, confidence.value, status.value.rpartition("/")[2]))
    return sorted(found, key=lambda link: (link.set.value, link.label, link.iri.value))


def decide(store: Store, shapes: Shapes, mapping: NamedNode, **said: Any) -> Commit:
    """Record a decision about a mapping; see `decisions.decide` for what is said in one."""
    return decisions.decide(store, shapes, TOPIC, mapping, **said)


def _find(draft: Draft, mapping: NamedNode) -> None:
    if next(draft.match(mapping, iri("rdf:type"), TOPIC.thing, None), None) is None:
        raise NotFound(f"The graph has no mapping {mapping.value}; 'kg4p1000 mappings' lists them.")


def _effects(
    draft: Draft, mapping: NamedNode, decision: Decision | None
) -> tuple[set[Quad], set[Quad]]:
    """Return reviewer and statement of a mapping as a decision demands them, and as they are."""
    said = {q.predicate: q.object for q in draft.match(mapping, None, None, ALIGNMENTS)}
    parts = [said.get(iri(f"k4p:mapping{part}")) for part in ("Subject", "Predicate", "Object")]
    wanted: set[Quad] = set()
    present = set(draft.match(mapping, iri("k4p:reviewedBy"), None, ALIGNMENTS))
    if decision and decision.status == "accepted":
        wanted.add(Quad(mapping, iri("k4p:reviewedBy"), decision.person, ALIGNMENTS))
    if isinstance(parts[0], NamedNode) and isinstance(parts[1], NamedNode) and parts[2]:
        present |= set(draft.match(*parts, ALIGNMENTS))
        if not decision or decision.status != "rejected":
            wanted.add(Quad(*parts, ALIGNMENTS))
    return wanted, present


TOPIC = Topic(
    iri("k4p:Mapping"),
    iri("k4p:MappingDecision"),
    iri("k4p:decidesMapping"),
    ALIGNMENTS,
    STATUSES,
    effects=_effects,
    find=_find,
)
decisions.topics.append(TOPIC)
