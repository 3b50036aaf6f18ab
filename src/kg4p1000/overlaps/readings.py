"""What readers said of pairs of activities, by reading their texts: a kind, how much is shared, a sentence, two passages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..kernel.terms import prefix_declarations

#: What a reader may say of a pair, the weakest claim first; the last part of the code's IRI.
UNRELATED = "unrelated"
_CLAIMS = (UNRELATED, "complements", "depends", "overlaps", "duplicates")
_READINGS = """SELECT ?reading ?id ?kind ?degree ?sure ?number ?needs WHERE {
  ?reading a k4p:PairReading ; k4p:between/skos:notation ?id ; k4p:readKind ?kind ; k4p:degree ?degree ;
    k4p:confidence ?sure ; k4p:readingNumber ?number
  OPTIONAL { ?reading k4p:needingActivity/skos:notation ?needs }
}"""
_REASONS = "SELECT ?reading ?reason WHERE { ?reading a k4p:PairReading ; k4p:reason ?reason }"
_PASSAGES = """SELECT ?reading ?passage ?id ?quote WHERE {
  ?reading k4p:passage ?passage . ?passage k4p:passageOf/skos:notation ?id ; k4p:quote ?quote
}"""
_UNRELATED = """SELECT ?a ?b WHERE {
  ?one k4p:readAsUnrelatedTo ?other . ?one skos:notation ?a . ?other skos:notation ?b
}"""


@dataclass(frozen=True)
class Reading:
    """What one reader said of a pair.

    Attributes:
        degree: how much would go wrong if the two teams never met, from 0 (nothing) to 4 (one work done twice).
        sure: how sure the reader was, from 0 to 1.
        needs: notation of the activity that needs the other; empty for other kinds than ``depends``.
        reasons: one sentence, by language.
        passages: notation to the IRI of the passage that shows it, and its words.
    """

    iri: str
    number: int
    kind: str
    degree: int
    sure: float
    needs: str = ""
    reasons: Mapping[str, str] = field(default_factory=dict)
    passages: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Judgement:
    """What all readers of a pair said; without readings, that all of them called it unrelated."""

    readings: tuple[Reading, ...] = ()

    @property
    def degree(self) -> float:
        """Return the mean degree, each as far as its reader was sure."""
        values = [reading.degree * reading.sure for reading in self.readings]
        return sum(values) / len(values) if values else 0.0

    @property
    def chosen(self) -> Reading | None:
        """Return the reading that speaks for the pair; None where all call it unrelated.

        Of readings that differ, the surer one; of equally sure ones that with the weaker claim. Where that is
        ``unrelated``, what the other one saw.
        """
        related = [reading for reading in self.readings if reading.kind != UNRELATED]
        order = sorted(self.readings, key=lambda r: (-r.sure, _CLAIMS.index(r.kind), r.number))
        kind = order[0].kind if order else UNRELATED
        same = [reading for reading in related if reading.kind == kind] or related
        return min(same, key=lambda r: (-r.sure, r.number), default=None)


def read(ask: Any) -> dict[frozenset[str], Judgement]:
    """Return the judgements of a graph, by the notations of the two activities.

    Args:
        ask: runs a SELECT query and gives rows of texts, see `corpus.read`.
    """
    prefixes = prefix_declarations()
    reasons: dict[str, dict[str, str]] = defaultdict(dict)
    for row in ask(prefixes + _REASONS):
        reasons[row["reading"]][row["reason@"]] = row["reason"]
    passages: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    for row in ask(prefixes + _PASSAGES):
        passages[row["reading"]][row["id"]] = row["passage"], row["quote"]
    ends: dict[str, set[str]] = defaultdict(set)
    made: dict[str, Reading] = {}
    for row in ask(prefixes + _READINGS):
        iri, kind = row["reading"], row["kind"].rpartition("/")[2]
        ends[iri].add(row["id"])
        number, degree, sure = int(row["number"]), int(row["degree"]), float(row["sure"])
        if kind in _CLAIMS:
            made[iri] = Reading(
                iri, number, kind, degree, sure, row["needs"], reasons[iri], passages[iri]
            )
    groups: dict[frozenset[str], list[Reading]] = defaultdict(list)
    for iri, reading in made.items():
        if len(ends[iri]) == 2:
            groups[frozenset(ends[iri])].append(reading)
    found = {pair: Judgement(tuple(_in_order(readings))) for pair, readings in groups.items()}
    for row in ask(prefixes + _UNRELATED):
        found.setdefault(frozenset((row["a"], row["b"])), Judgement())
    return found


def _in_order(readings: Iterable[Reading]) -> list[Reading]:
    return sorted(readings, key=lambda reading: (reading.number, reading.iri))
