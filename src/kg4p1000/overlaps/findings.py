"""What was found, as triples: the same triples for the same graph.

They are the whole content of ``graph:overlaps``: overlaps with their evidence, clusters, and the
detection that made them. Decisions stand in a graph of their own; an overlap has the status of the
decision that holds for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np
import pyoxigraph as ox
from pyoxigraph import Literal, NamedNode, Triple

from ..decisions import instant
from ..terms import iri, mint, prefix_declarations
from . import corpus as reading
from . import decisions as deciding
from .corpus import LANGUAGES, Activity, Corpus, Select, thing
from .detection import Scored, candidates, ranking
from .explanation import Evidence, Explainer
from .learning import learn
from .model import Model
from .objectives import Cluster, clusters, theme
from .similarity import Space
from .translation import Pivot, completed

AGENT = iri("agent:overlaps-0.1.0")
DETECTION = mint("detection", "overlaps")
METHOD = (
    "Compared by facets (kind of action, deliverable, topic, target group; guessed from the text where an"
    " activity has no annotation), words, runs of letters, what remarks say of the two objectives and the"
    " topics of their activities; weights chosen on pairs that three readers had judged."
)
#: Mean confidence that the members of a cluster must have with each other.
COHERENT = 0.35
Pair = tuple[str, str]
_RUN = "SELECT ?parameters ?time WHERE { ?run k4p:parameters ?parameters ; prov:endedAtTime ?time }"


@dataclass(frozen=True)
class Finding:
    """A pair with what is said of it."""

    pair: Scored
    confidence: float
    kind: str
    status: str


class Detection:
    """The overlaps of a graph: detected, and brought together with what people decided."""

    def __init__(
        self, corpus: Corpus, model: Model, decided: Mapping[Pair, deciding.Decision]
    ) -> None:
        self.corpus = corpus
        self.decided = decided
        self.space = Space(corpus)
        first = ranking(self.space, model)
        self.model = learn(model, first, decided)
        ranked = first if self.model is model else ranking(self.space, self.model)
        self.findings = [self._finding(pair) for pair in ranked]
        self.explainer = Explainer(self.space)

    @classmethod
    def of(cls, select: Select, model: Model | None = None) -> Detection:
        """The detection on a graph, its decisions included."""
        decided = deciding.latest(deciding.read(select))
        return cls(completed(reading.read(select)), model or Model.load(), decided)

    def _finding(self, pair: Scored) -> Finding:
        decision = self.decided.get(pair.key)
        confidence = round(float(self.model.confidences(pair.score)), 2)
        kind = (
            decision.kind
            if decision and decision.kind
            else self.model.kind(pair.score, pair.features)
        )
        return Finding(pair, confidence, kind, decision.status if decision else "proposed")

    def stored(self, also: Collection[Pair] = ()) -> list[Finding]:
        """The findings that go into the graph: sure enough, or decided, or asked for."""
        return [
            f
            for f in self.findings
            if f.confidence >= self.model.stored or f.pair.key in self.decided or f.pair.key in also
        ]

    @cached_property
    def clusters(self) -> list[Cluster]:
        """Activities that could make one work package; rejected pairs do not join them."""
        sure = {f.pair.key: f.confidence for f in self.stored() if f.status != "rejected"}
        return clusters(self.corpus, sure, COHERENT)

    def reason(self, finding: Finding, language: str = "en") -> str:
        """Why a pair is a finding, in one sentence."""
        found = self.explainer.evidence(finding.pair.a, finding.pair.b)
        return self.explainer.reason(found, language)

    def row(self, finding: Finding) -> dict[str, str]:
        """A pair as text: a, b, score, kind, confidence, status, reason."""
        return {
            "a": finding.pair.a.id,
            "b": finding.pair.b.id,
            "score": f"{finding.pair.score:.4f}",
            "kind": finding.kind,
            "confidence": f"{finding.confidence:.2f}",
            "status": finding.status,
            "reason": self.reason(finding),
        }

    def queue(self) -> list[Finding]:
        """The pairs that wait for a decision, those first from which the ranking learns most."""
        found = {f.pair.key: f for f in self.findings}
        order = deciding.queue(
            {key: float(self.model.confidences(f.pair.score)) for key, f in found.items()},
            {key: f.status for key, f in found.items()},
        )
        return [found[key] for key in order]

    def triples(
        self, select: Select, now: datetime | None = None, also: Collection[Pair] = ()
    ) -> set[Triple]:
        """The whole content of ``graph:overlaps``.

        Args:
            select: asks the graph when the same was found before, for the time of the detection.
            also: pairs to store whatever their confidence.
        """
        made = {
            t for f in sorted(self.stored(also), key=lambda f: f.pair.key) for t in self._overlap(f)
        }
        made |= {t for cluster in self.clusters for t in self._cluster(cluster)}
        digest = hashlib.sha256("\n".join(sorted(map(str, made))).encode()).hexdigest()[:16]
        parameters = f"weights {self.model.version}, result {digest}"
        times = [
            row["time"]
            for row in select(prefix_declarations() + _RUN)
            if row["parameters"] == Literal(parameters)
        ]
        time = min(times, key=str) if times else instant(now)
        return made | _facts(
            DETECTION,
            ("rdf:type", iri("k4p:Detection")),
            ("rdfs:label", Literal("Detection of overlaps", language="en")),
            ("k4p:parameters", Literal(parameters)),
            ("prov:endedAtTime", time),
            ("prov:wasAssociatedWith", AGENT),
        )

    def _overlap(self, finding: Finding) -> set[Triple]:
        a, b = finding.pair.a, finding.pair.b
        found = self.explainer.evidence(a, b)
        return _facts(
            deciding.overlap_iri(finding.pair.key),
            ("rdf:type", iri("k4p:Overlap")),
            ("rdfs:label", Literal(f"{a.id} – {b.id}", language="en")),
            ("k4p:between", thing(a)),
            ("k4p:between", thing(b)),
            ("k4p:overlapKind", iri(f"overlap-kind:{finding.kind}")),
            ("k4p:confidence", decimal(finding.confidence, 2)),
            ("k4p:score", decimal(finding.pair.score, 3)),
            ("k4p:status", iri(f"status:{finding.status}")),
            ("k4p:method", Literal(METHOD)),
            ("prov:wasAttributedTo", AGENT),
            ("prov:wasGeneratedBy", DETECTION),
            *(
                ("k4p:reason", Literal(self.explainer.reason(found, x), language=x))
                for x in LANGUAGES
            ),
            *_evidence(found),
        )

    def _cluster(self, cluster: Cluster) -> set[Triple]:
        return _facts(
            mint("cluster", cluster.members[0]),
            ("rdf:type", iri("k4p:ActivityCluster")),
            *(
                ("rdfs:label", Literal(theme(cluster, self.corpus, x), language=x))
                for x in LANGUAGES
            ),
            *(("k4p:hasClusterMember", mint("activity", member)) for member in cluster.members),
            *(("k4p:hasTheme", NamedNode(code)) for code in cluster.themes),
            ("k4p:confidence", decimal(cluster.confidence, 2)),
            ("k4p:status", iri("status:proposed")),
            ("prov:wasAttributedTo", AGENT),
            ("prov:wasGeneratedBy", DETECTION),
        )


def _evidence(found: Evidence) -> Iterable[tuple[str, ox.NamedNode | Literal]]:
    yield from (("k4p:sharesFacet", NamedNode(c)) for codes in found.facets.values() for c in codes)
    yield from (("k4p:sharesBroaderFacet", NamedNode(c)) for c in sum(found.near.values(), ()))
    yield from (("k4p:guessesCodesOf", mint("activity", key)) for key in found.guessed)
    yield from (("k4p:sharesMention", NamedNode(named)) for named in found.mentions)
    yield from (("k4p:similarPhrase", Literal(phrase)) for phrase in found.phrases)
    yield from (("k4p:supportedBy", NamedNode(relation.iri)) for relation in found.relations)


def _facts(subject: NamedNode, *said: tuple[str, ox.NamedNode | Literal]) -> set[Triple]:
    return {Triple(subject, iri(name), value) for name, value in said}


def decimal(number: float, places: int) -> Literal:
    """A decimal as the store keeps it: no zeros at its end.

    >>> decimal(0.8, 2).value, decimal(2, 3).value
    ('0.8', '2')
    """
    text = f"{number:.{places}f}".rstrip("0").rstrip(".")
    return Literal("0" if text == "-0" else text, datatype=iri("xsd:decimal"))


def compare(
    corpus: Corpus, given: Sequence[Activity], keep: int, *, alone: bool = False
) -> list[dict[str, str]]:
    """Activities that stand in no graph, in any of the languages, with their best partners.

    Args:
        corpus: the activities to compare with; its codes and texts are used in any case.
        keep: how many partners of each.
        alone: compare the activities with each other instead.

    Returns:
        Rows as those of `Detection.row`; `a` is of the given activities. Best first for each of them.
    """
    corpus = completed(corpus)
    model, pivot = Model.load(), Pivot(corpus)
    asked = [pivot.activity(activity) for activity in given]
    space = Space(replace(corpus, activities=tuple(asked)) if alone else corpus)
    explainer = Explainer(space)
    rows = space.own if alone else space.rows(asked)
    places, scores = candidates(space, model, rows, keep, own=0 if alone else None)
    made = []
    for activity, partners, values in zip(asked, places, scores, strict=True):
        for place, score in zip(partners, values, strict=True):
            if not np.isfinite(score):
                continue
            other = space.corpus.activities[place]
            found = explainer.evidence(activity, other)
            made.append(
                {
                    "a": activity.id,
                    "b": other.id,
                    "score": f"{score:.4f}",
                    "kind": "overlaps",
                    "confidence": f"{float(model.confidences(score)):.2f}",
                    "status": "proposed",
                    "reason": explainer.reason(found, "en"),
                }
            )
    return made
