"""What people decide about things that software proposes: recorded for good, the last one holds.

A topic (overlaps, mappings) registers what is decided about; see `Topic`. A decision is never changed: a later
one about the same thing replaces it and leaves it standing. All stand in ``graph:decisions``; a thing has the
status of the decision that holds for it, brought in step with every change.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pyoxigraph import Literal, NamedNode, Quad

from ..kernel.errors import BadParameter, DecisionStands
from ..kernel.terms import ID, curie, iri, mint, natural_key, prefix_declarations
from ..reasoning import Shapes
from ..store import Delta, Draft, Entry, Store
from . import commits
from .commits import INFERRED, Commit, Follower

GRAPH = iri("graph:decisions")
_TYPE, _STATUS, _BY = iri("rdf:type"), iri("k4p:status"), iri("prov:wasAttributedTo")

_DECISIONS = """SELECT ?iri ?about ?status ?kind ?time ?reason ?who ?person WHERE {
  ?iri a %s ; %s ?about ; k4p:status ?status ; prov:generatedAtTime ?time ; k4p:reason ?reason ;
    prov:wasAttributedTo ?person .
  ?person rdfs:label ?who
  OPTIONAL { ?iri k4p:decidedKind ?kind }
}"""

Select = Callable[[str], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes:
        about: the thing that it is about.
        kind: what kind of thing it is; empty where the person did not say.
        time: ISO 8601.
        who: name of the person.
    """

    iri: str
    about: NamedNode
    status: str
    kind: str
    time: str
    reason: str
    who: str
    person: NamedNode | None = None


#: Given a thing and the decision that holds for it, gives the statements beside its status that there are to be, and
#: those that there are.
Effects = Callable[[Draft, NamedNode, Decision | None], tuple[set[Quad], set[Quad]]]


@dataclass(frozen=True)
class Topic:
    """A kind of things that people decide about.

    Attributes:
        thing, decision, about: class of the things, class of the decisions, property from one to the other.
        graph: where the things stand; what stands elsewhere has no status to be given.
        base: what the log leaves out of the IRI of a thing.
        kinds: of which a person may say one, by what they are called.
        effects: what else than the status follows from a decision.
        find: sees that a thing is there, or brings it into the draft, or raises NotFound.
    """

    thing: NamedNode
    decision: NamedNode
    about: NamedNode
    graph: NamedNode
    statuses: tuple[str, ...]
    base: str = ID
    kinds: Mapping[str, NamedNode] = field(default_factory=dict)
    effects: Effects = lambda draft, thing, decision: (set(), set())
    find: Callable[[Draft, NamedNode], None] = lambda draft, thing: None


topics: list[Topic] = []


def read(select: Select, topic: Topic) -> list[Decision]:
    """Return all decisions of a topic, oldest first."""
    found = {}
    for row in select(prefix_declarations() + _DECISIONS % (topic.decision, topic.about)):
        value = {name: getattr(term, "value", "") for name, term in row.items()}
        value |= {name: value[name].rpartition("/")[2] for name in ("status", "kind")}
        made = Decision(**value | {"about": row["about"], "person": row["person"]})
        found[made.iri] = made
    return sorted(found.values(), key=lambda d: (d.time, natural_key(d.iri)))


def standing(decisions: Iterable[Decision]) -> dict[NamedNode, Decision]:
    """Return the decision that holds for each thing: the last one."""
    return {decision.about: decision for decision in decisions}


def decide(
    store: Store,
    shapes: Shapes,
    topic: Topic,
    thing: NamedNode,
    permit: Callable[[Draft], None] = lambda draft: None,
    *,
    status: str,
    author: str,
    why: str,
    kind: str = "",
    dry_run: bool = False,
) -> Commit:
    """Record a decision about a thing; what follows from it is part of the same change.

    Args:
        permit: raises where the author may not decide.
        author: name of the person.
        why: the reason, in English.

    Raises:
        BadParameter: status or kind is not one of those that there are, or the reason or author is empty.
        NotFound: there is no such thing.
    """
    for value, allowed, what in (
        (status, topic.statuses, "status"),
        (kind, ("", *topic.kinds), "kind"),
    ):
        if value not in allowed:
            known = ", ".join(filter(None, allowed))
            raise BadParameter(f"{what} is {value!r} and must be one of {known}.", parameter=what)
    for value, what in ((author.strip(), "author"), (why.strip(), "why")):
        if not value:
            raise BadParameter(f"A decision needs {what}.", parameter=what)

    def change(draft: Draft) -> None:
        permit(draft)
        topic.find(draft, thing)
        # Its key is that of the thing, and a number above those that are taken.
        start = mint("decision", thing.value.rpartition("/")[2]).value + "-"
        ends = (made.iri.removeprefix(start) for made in read(draft.select, topic))
        taken = (int(end) for end in ends if end.isdecimal() and len(end) < 10)
        made = NamedNode(f"{start}{1 + max(taken, default=0)}")
        facts = {
            _TYPE: topic.decision,
            topic.about: thing,
            _STATUS: iri(f"status:{status}"),
            iri("k4p:reason"): Literal(why.strip(), language="en"),
            _BY: person(author),
            iri("prov:generatedAtTime"): instant(),
        } | ({iri("k4p:decidedKind"): topic.kinds[kind]} if kind else {})
        quads = [Quad(made, prop, value, GRAPH) for prop, value in facts.items()]
        draft.apply(Delta.of(quads + about_person(author)))

    message = f"{thing.value.removeprefix(topic.base)} {status}: {why}"
    return commits.commit(
        store, shapes, change, author=author, message=message, source="decision", dry_run=dry_run
    )


def person(name: str) -> NamedNode:
    """Return the IRI of a person: another for each name as it is written, so that no two share one."""
    digest = hashlib.sha256(name.strip().encode()).hexdigest()[:8]
    return mint("agent", f"person-{slug(name)}-{digest}")


def about_person(name: str) -> list[Quad]:
    """Return what ``graph:decisions`` says of a person who decided."""
    node = person(name)
    label = Quad(node, iri("rdfs:label"), Literal(name.strip()), GRAPH)
    return [Quad(node, _TYPE, iri("prov:Person"), GRAPH), label]


def instant(moment: datetime | None = None) -> Literal:
    """Return a moment (default: this one) as the store keeps it."""
    text = (moment or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Literal(text, datatype=iri("xsd:dateTime"))


def slug(name: str) -> str:
    """Return a key from a name: letters, digits and hyphens; from other scripts, their code points."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    kept = "".join(
        c if c.isascii() and c.isalnum() else "" if unicodedata.combining(c)
        else f"u{ord(c):x}" if c.isalnum() else "-" for c in plain
    )  # fmt: skip
    return re.sub("-+", "-", kept).strip("-") or "unnamed"


# what the graph says after a change


def graphs() -> set[NamedNode]:
    """Return the graphs in which things stand that people decide about."""
    return {topic.graph for topic in topics}


def apply(draft: Draft) -> None:
    """Bring the things of a draft to the decisions that hold for them.

    Where no decision changed, what has none is left as it is: a status without one is for the shapes to refuse.
    """
    changed = {quad.graph_name for quad in draft.delta}
    for topic in topics:
        # A decision that stands in another graph is none.
        held = standing(read(lambda query: draft.select(query, [GRAPH]), topic))
        wanted: set[Quad] = set()
        present: set[Quad] = set()
        for thing in {q.subject for q in draft.match(None, _TYPE, topic.thing, topic.graph)}:
            decision = held.get(thing)
            if decision or GRAPH in changed:
                status = iri(f"status:{decision.status if decision else 'proposed'}")
                more, there = topic.effects(draft, thing, decision)
                wanted |= {Quad(thing, _STATUS, status, topic.graph), *more}
                present |= {*draft.match(thing, _STATUS, None, topic.graph), *there}
        draft.apply(Delta.of(wanted - present, present - wanted))


def _taken_back(draft: Draft, entry: Entry, made: Delta) -> Delta:
    """Return a decision without what follows from it, and without a person whom other decisions name."""
    if entry.source != "decision":
        return made
    own, follows = {quad.subject for quad in made.added}, graphs()

    def stays(quad: Quad) -> bool:
        others = draft.match(None, _BY, quad.subject, GRAPH)
        return quad.graph_name in follows or any(other.subject not in own for other in others)

    return made.only(lambda quad: not stays(quad))


def refuse_changed(draft: Draft, wipe: bool) -> None:
    """See that a draft changes no decision that there was, nor who made it, and says none elsewhere."""
    change = draft.delta
    gone = {q.subject for q in change.removed if q.graph_name == GRAPH}
    if gone and wipe and next(draft.quads(GRAPH), None) is None:
        return
    judged, classes = (draft.merged | {GRAPH}) - {INFERRED}, {topic.decision for topic in topics}
    for quad in change.added:
        if quad.graph_name not in judged:
            continue
        named = str(quad.subject).startswith(f"<{ID}decision/")
        typed = quad.predicate == _TYPE and quad.object in classes
        if quad.graph_name != GRAPH and (named or typed):
            gone.add(quad.subject)
    for subject in {q.subject for q in change.added if q.graph_name in judged}:
        if any(q not in change.added for q in draft.match(subject, None, None, GRAPH)):
            gone.add(subject)
    if gone:
        named = ", ".join(sorted(curie(getattr(s, "value", "")) or str(s) for s in gone)[:5])
        raise DecisionStands(
            f"This would change {named}. graph:decisions only grows: what a person decided is never"
            " changed or removed, and stands nowhere else. Decide anew, by 'kg4p1000 overlaps decide',"
            " 'kg4p1000 mappings decide' or POST /overlaps/A4.2-D2.3/decisions: the last decision holds."
            " A decision made by mistake is taken back by undoing its version."
        )


commits.guards.append(refuse_changed)
commits.followers.append(
    Follower(
        lambda changed: not (graphs() | {GRAPH}).isdisjoint(quad.graph_name for quad in changed),
        apply,
        taken_back=_taken_back,
    )
)
