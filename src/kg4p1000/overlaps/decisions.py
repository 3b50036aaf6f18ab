"""Decisions about overlaps: what a pair is, and which to ask people about next."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from pyoxigraph import NamedNode

from ..curation import decisions
from ..curation.decisions import GRAPH, Decision, Select, Topic
from ..kernel.errors import BadParameter
from ..kernel.terms import ID, iri, mint, natural_key

__all__ = ["GRAPH", "Decision"]

OVERLAPS = iri("graph:overlaps")
STATUSES = ("proposed", "accepted", "rejected", "merged")
KINDS = ("duplicates", "overlaps", "complements", "depends")
TOPIC = Topic(
    iri("k4p:Overlap"),
    iri("k4p:OverlapDecision"),
    iri("k4p:decides"),
    OVERLAPS,
    STATUSES,
    f"{ID}overlap/",
    {kind: iri(f"overlap-kind:{kind}") for kind in KINDS},
)

Pair = tuple[str, str]
_NOTATION = re.compile(r"[A-Z][0-9]+[.][0-9]+")


def read(select: Select) -> list[Decision]:
    """Return all decisions about overlaps of a graph, oldest first."""
    return decisions.read(select, TOPIC)


def latest(made: Iterable[Decision]) -> dict[Pair, Decision]:
    """Return the decision that holds for each pair: the last one."""
    held = decisions.standing(made)
    return {pair: decision for node, decision in held.items() if (pair := pair_of(node))}


def pair_of(overlap: NamedNode) -> Pair | None:
    """Return the notations of the activities that an overlap is about; None if its IRI names no pair."""
    try:
        a, b = overlap.value.removeprefix(f"{ID}overlap/").split("-")
        return (a, b) if ordered(a, b) == (a, b) else None
    except (ValueError, BadParameter):
        return None


def ordered(a: str, b: str) -> Pair:
    """Return two notations in the order in which pairs are named.

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
    """Return the IRI of the finding about a pair."""
    return mint("overlap", "-".join(pair))


def teaching(confidence: float) -> float:
    """Return how much a judgement of a pair teaches: its uncertainty times its confidence.

    Uncertainty alone would ask about pairs that are most likely unrelated; the confidence keeps the
    steward at work that matters. Highest at two thirds.
    """
    return 4 * confidence * (1 - confidence) * confidence


def queue(confidences: Mapping[Pair, float], statuses: Mapping[Pair, str]) -> list[Pair]:
    """Return the pairs that nobody has judged, those first that teach most."""
    waiting = [pair for pair in confidences if statuses.get(pair, "proposed") == "proposed"]
    return sorted(waiting, key=lambda p: (-teaching(confidences[p]), p))
