"""What people decided about overlaps, and what to ask them next.

A decision is never changed: a later one on the same pair replaces it and leaves it standing.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyoxigraph import Literal, NamedNode, Quad

from ..errors import BadParameter
from ..store import Delta, Draft
from ..terms import curie, iri, mint, natural_key, prefix_declarations
from .corpus import Select

GRAPH = iri("graph:decisions")
OVERLAPS = iri("graph:overlaps")
STATUSES = ("proposed", "accepted", "rejected", "merged")
KINDS = ("duplicates", "overlaps", "complements")
Pair = tuple[str, str]
_NOTATION = re.compile(r"[A-Z][0-9]+[.][0-9]+")

_DECISIONS = """SELECT ?decision ?overlap ?a ?b ?status ?kind ?time ?reason ?who WHERE {
  ?decision a k4p:OverlapDecision ; k4p:decides ?overlap ; k4p:status/skos:notation ?status ;
    prov:generatedAtTime ?time ; k4p:reason ?reason ; prov:wasAttributedTo/rdfs:label ?who .
  ?overlap k4p:between ?one , ?other FILTER(STR(?one) < STR(?other))
  ?one skos:notation ?a . ?other skos:notation ?b .
  OPTIONAL { ?decision k4p:decidedKind/skos:notation ?kind }
}"""


@dataclass(frozen=True)
class Decision:
    """One decision.

    Attributes:
        pair: notations of the activities, in order.
        kind: what kind of overlap it is; empty where the person did not say.
        time: ISO 8601.
    """

    iri: str
    pair: Pair
    status: str
    kind: str
    time: str
    reason: str
    who: str


def read(select: Select) -> list[Decision]:
    """All decisions of a graph, oldest first."""
    found = {}
    for row in select(prefix_declarations() + _DECISIONS):
        values = {name: getattr(term, "value", "") for name, term in row.items()}
        a, b = sorted((values["a"], values["b"]), key=natural_key)
        if curie(values["overlap"]) != f"overlap:{a}-{b}":
            continue  # a further notation of an activity, or one that no address can have
        found[values["decision"]] = Decision(
            values["decision"],
            (a, b),
            values["status"],
            values["kind"],
            values["time"],
            values["reason"],
            values["who"],
        )
    return sorted(found.values(), key=lambda d: (d.time, natural_key(d.iri)))


def latest(decisions: Sequence[Decision]) -> dict[Pair, Decision]:
    """The decision that holds for each pair: the last one."""
    return {decision.pair: decision for decision in decisions}


def ordered(a: str, b: str) -> Pair:
    """Two notations in the order in which pairs are named.

    Raises:
        BadParameter: one is no notation, or they are of the same objective.
    """
    for notation in (a, b):
        if not _NOTATION.fullmatch(notation):
            raise BadParameter(
                f"{notation!r} is not the notation of an activity, such as A4.2; a pair is two of them,"
                " such as A4.2-D2.3."
            )
    first, second = sorted((a, b), key=natural_key)
    if first.split(".")[0] == second.split(".")[0]:
        raise BadParameter(
            f"{a} and {b} are of one objective; overlaps are between activities of different ones."
        )
    return first, second


def overlap_iri(pair: Pair) -> NamedNode:
    """The IRI of the finding about a pair."""
    return mint("overlap", "-".join(pair))


def decide(
    pair: Pair,
    status: str,
    author: str,
    why: str,
    *,
    kind: str = "",
    language: str = "en",
    known: Sequence[Decision] = (),
    now: datetime | None = None,
) -> list[Quad]:
    """The quads of a new decision, for ``graph:decisions``.

    Args:
        author: name of the person.
        known: the decisions that there are; the new one gets the next number of its pair.
        now: when it was made; default: this moment.

    Raises:
        BadParameter: see `check`.
    """
    check(status, author, why, kind)
    made = numbered("-".join(pair), (d.iri for d in known))
    facts = [
        (made, "rdf:type", iri("k4p:OverlapDecision")),
        (made, "k4p:decides", overlap_iri(pair)),
        (made, "k4p:status", iri(f"status:{status}")),
        (made, "k4p:reason", Literal(why.strip(), language=language)),
        (made, "prov:wasAttributedTo", person(author)),
        (made, "prov:generatedAtTime", instant(now)),
    ]
    if kind:
        facts.append((made, "k4p:decidedKind", iri(f"overlap-kind:{kind}")))
    return [Quad(s, iri(p), o, GRAPH) for s, p, o in facts] + about_person(author)


def check(status: str, author: str, why: str, kind: str = "") -> None:
    """See that a decision says what it needs.

    Raises:
        BadParameter: a value is not one of those that there are, or the reason or author is empty.
    """
    for value, allowed, what in ((status, STATUSES, "status"), (kind, ("", *KINDS), "kind")):
        if value not in allowed:
            raise BadParameter(
                f"{what} is {value!r} and must be one of {', '.join(filter(None, allowed))}.",
                parameter=what,
            )
    for value, what in ((author.strip(), "author"), (why.strip(), "why")):
        if not value:
            raise BadParameter(f"A decision needs {what}.", parameter=what)


def numbered(key: str, taken: Iterable[str]) -> NamedNode:
    """The IRI of the next decision about something: its key and a number above those that are taken."""
    start = mint("decision", key).value + "-"
    ends = [other.removeprefix(start) for other in taken if other.startswith(start)]
    return NamedNode(
        f"{start}{1 + max((int(end) for end in ends if end.isdecimal() and len(end) < 10), default=0)}"
    )


def person(name: str) -> NamedNode:
    """The IRI of a person: another for each name as it is written, so that no two share one."""
    digest = hashlib.sha256(name.strip().encode()).hexdigest()[:8]
    return mint("agent", f"person-{slug(name)}-{digest}")


def about_person(name: str) -> list[Quad]:
    """What ``graph:decisions`` says of a person who decided."""
    node = person(name)
    label = Quad(node, iri("rdfs:label"), Literal(name.strip()), GRAPH)
    return [Quad(node, iri("rdf:type"), iri("prov:Person"), GRAPH), label]


def instant(moment: datetime | None = None) -> Literal:
    """A moment (default: this one) as the store keeps it."""
    text = (moment or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Literal(text, datatype=iri("xsd:dateTime"))


def slug(name: str) -> str:
    """A key from a name: letters, digits and hyphens; from other scripts, their code points."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    kept = "".join(
        c if c.isascii() and c.isalnum() else "" if unicodedata.combining(c)
        else f"u{ord(c):x}" if c.isalnum() else "-" for c in plain
    )  # fmt: skip
    return re.sub("-+", "-", kept).strip("-") or "unnamed"


def settle(draft: Draft) -> Delta:
    """Give every stored overlap the status of the decision that holds for it, as a change.

    Only ``graph:overlaps`` says what is stored: what stands elsewhere has no status to be given.
    """
    wanted = {overlap_iri(p).value: d.status for p, d in latest(read(draft.select)).items()}
    prop, is_a, kind = iri("k4p:status"), iri("rdf:type"), iri("k4p:Overlap")
    stored = {quad.subject for quad in draft.match(None, is_a, kind, OVERLAPS)}
    added: list[Quad] = []
    removed: list[Quad] = []
    for quad in draft.match(None, prop, None, OVERLAPS):
        status = iri(f"status:{wanted.get(getattr(quad.subject, 'value', ''), 'proposed')}")
        if quad.subject in stored and quad.object != status:
            removed.append(quad)
            added.append(Quad(quad.subject, prop, status, OVERLAPS))
    return Delta.of(added, removed)


def teaching(confidence: float) -> float:
    """How much a judgement of a pair teaches: its uncertainty times its confidence.

    Uncertainty alone would ask about pairs that are most likely unrelated; the confidence keeps the
    steward at work that matters. Highest at two thirds.
    """
    return 4 * confidence * (1 - confidence) * confidence


def queue(confidences: Mapping[Pair, float], statuses: Mapping[Pair, str]) -> list[Pair]:
    """The pairs that nobody has judged, those that teach most first."""
    waiting = [pair for pair in confidences if statuses.get(pair, "proposed") == "proposed"]
    return sorted(waiting, key=lambda p: (-teaching(confidences[p]), p))
