"""What people decided about mappings to other vocabularies, and what follows from it.

A decision is never changed: a later one on the same mapping replaces it and leaves it standing. A
mapping has the status of the decision that holds; the statement that it makes stands in the graph
unless it is rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyoxigraph import Literal, NamedNode, Quad, Triple

from .curation import Commit, commit
from .errors import BadParameter, NotFound
from .overlaps.decisions import GRAPH, about_person, instant, numbered, person
from .sources.sssom import Judgement
from .store import Delta, Draft, MemoryGraph, Store
from .terms import ID, iri, prefix_declarations
from .validation import Shapes

ALIGNMENTS = iri("graph:alignments")
STATUSES = ("accepted", "rejected", "proposed")

_DECISIONS = """SELECT ?decision ?mapping ?status ?time ?reason ?person ?who WHERE {
  ?decision a k4p:MappingDecision ; k4p:decidesMapping ?mapping ; k4p:status ?status ;
    prov:generatedAtTime ?time ; k4p:reason ?reason ; prov:wasAttributedTo ?person .
  ?person rdfs:label ?who
}"""
_MAPPINGS = """SELECT ?mapping ?set ?subject ?predicate ?object ?label ?confidence ?status WHERE {
  ?mapping a k4p:Mapping ; k4p:inMappingSet ?set ; k4p:mappingSubject ?subject ;
    k4p:mappingPredicate ?predicate ; k4p:mappingObject ?object ; rdfs:label ?label ;
    k4p:confidence ?confidence ; k4p:status ?status
}"""

Select = Callable[[str], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes:
        status: one of `STATUSES`.
        time: ISO 8601.
    """

    iri: str
    mapping: NamedNode
    status: str
    time: str
    reason: str
    person: NamedNode
    who: str


@dataclass(frozen=True)
class Link:
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
    """All decisions on mappings, oldest first."""
    found = []
    for row in select(prefix_declarations() + _DECISIONS):
        mapping, who = row["mapping"], row["person"]
        value = {name: getattr(term, "value", "") for name, term in row.items()}
        found.append(
            Decision(
                value["decision"],
                mapping,
                value["status"].rpartition("/")[2],
                value["time"],
                value["reason"],
                who,
                value["who"],
            )
        )
    return sorted(found, key=lambda d: (d.time, d.iri))


def standing(decisions: Sequence[Decision]) -> dict[NamedNode, Decision]:
    """The decision that holds for each mapping: the last one."""
    return {decision.mapping: decision for decision in decisions}


def judgements(triples: Iterable[Triple]) -> Mapping[str, Judgement]:
    """What the decisions of a file say of mappings, by their IRI."""
    held = standing(read(MemoryGraph(triples).select))
    return {m.value: Judgement(d.status, d.person) for m, d in held.items()}


def links(select: Select) -> list[Link]:
    """All mappings of a graph, by set and label."""
    found = []
    for row in select(prefix_declarations() + _MAPPINGS):
        nodes = [row[name] for name in ("mapping", "set", "subject", "predicate", "object")]
        texts = [getattr(row[name], "value", "") for name in ("label", "confidence", "status")]
        texts[2] = texts[2].rpartition("/")[2]
        found.append(Link(*nodes, *texts))
    return sorted(found, key=lambda link: (link.set.value, link.label, link.iri.value))


def decide(
    store: Store,
    shapes: Shapes,
    mapping: NamedNode,
    *,
    status: str,
    author: str,
    why: str,
    dry_run: bool = False,
) -> Commit:
    """Record a decision about a mapping; what the graph says follows in the same change.

    Args:
        author: name of the person.
        why: the reason, in English.

    Raises:
        BadParameter: the status is not one of `STATUSES`, or author or reason is empty.
        NotFound: the graph has no such mapping.
    """
    if status not in STATUSES:
        raise BadParameter(
            f"status is {status!r} and must be one of {', '.join(STATUSES)}.", parameter="status"
        )
    for value, what in ((author.strip(), "author"), (why.strip(), "why")):
        if not value:
            raise BadParameter(f"A decision needs {what}.", parameter=what)

    def change(draft: Draft) -> None:
        if next(draft.match(mapping, iri("rdf:type"), iri("k4p:Mapping"), None), None) is None:
            raise NotFound(
                f"The graph has no mapping {mapping.value}; 'kg4p1000 mappings' lists them."
            )
        draft.apply(Delta.of(_quads(mapping, status, author, why, read(draft.select))))
        settle(draft)

    return commit(
        store,
        shapes,
        change,
        author=author,
        message=f"{mapping.value.removeprefix(ID)} {status}: {why}",
        source="decision",
        dry_run=dry_run,
    )


def _quads(
    mapping: NamedNode, status: str, author: str, why: str, known: Sequence[Decision]
) -> list[Quad]:
    made = numbered(mapping.value.rpartition("/")[2], (decision.iri for decision in known))
    facts = [
        (made, "rdf:type", iri("k4p:MappingDecision")),
        (made, "k4p:decidesMapping", mapping),
        (made, "k4p:status", iri(f"status:{status}")),
        (made, "k4p:reason", Literal(why.strip(), language="en")),
        (made, "prov:wasAttributedTo", person(author)),
        (made, "prov:generatedAtTime", instant()),
    ]
    return [Quad(s, iri(p), o, GRAPH) for s, p, o in facts] + about_person(author)


def settle(draft: Draft) -> None:
    """Bring status, reviewer and statement of each mapping to the decision that holds for it."""
    # Whatever stands in other graphs is no mapping of this one, nor a decision.
    held = standing(read(lambda query: draft.select(query, [GRAPH])))
    added: set[Quad] = set()
    removed: set[Quad] = set()
    for link in links(lambda query: draft.select(query, [ALIGNMENTS])):
        decision = held.get(link.iri)
        status = decision.status if decision else "proposed"
        wanted = {Quad(link.iri, iri("k4p:status"), iri(f"status:{status}"), ALIGNMENTS)}
        if decision and status == "accepted":
            wanted.add(Quad(link.iri, iri("k4p:reviewedBy"), decision.person, ALIGNMENTS))
        statement = Quad(link.subject, link.predicate, link.object, ALIGNMENTS)
        if status != "rejected":
            wanted.add(statement)
        present = {
            quad
            for prop in ("k4p:status", "k4p:reviewedBy")
            for quad in draft.match(link.iri, iri(prop), None, ALIGNMENTS)
        } | set(draft.match(link.subject, link.predicate, link.object, ALIGNMENTS))
        added |= wanted - present
        removed |= present - wanted
    draft.apply(Delta.of(added, removed))
