"""What was found, as triples: the same triples for the same graph.

They are the whole content of ``graph:overlaps``: overlaps with their evidence, clusters, and the
detection that made them. Decisions stand in a graph of their own; an overlap has the status of the
decision that holds for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from itertools import chain

import numpy as np
from pyoxigraph import Literal, NamedNode, Triple

from ..curation.decisions import instant
from ..kernel.terms import iri, mint, prefix_declarations
from . import decisions as deciding
from .clusters import Cluster, clusters, theme
from .corpus import LANGUAGES, Activity, Corpus, Select, read
from .explanation import Evidence, Explainer
from .readings import Judgement
from .scoring import Finding, Model, Pair, candidates, learn, ranking
from .similarity import Guesser, Space

AGENT = iri("agent:overlaps-0.1.0")
DETECTION = mint("detection", "overlaps")
METHOD = (
    "Compared by facets (kind of action, deliverable, topic, target group; guessed from the text where an"
    " activity has no annotation), words, runs of letters, what remarks say of the two objectives and the"
    " topics of their activities; weights chosen on pairs that three readers had judged. Of a pair that was read, how"
    " much the readings say is shared counts most, and they say kind, reason and passages."
)
#: Mean confidence that the members of a cluster must have with each other.
COHERENT = 0.35
_RUN = "SELECT ?parameters ?time WHERE { ?run k4p:parameters ?parameters ; prov:endedAtTime ?time }"


class Detection:
    """The overlaps of a graph: detected, and brought together with what people decided."""

    def __init__(
        self, corpus: Corpus, model: Model, decided: Mapping[Pair, deciding.Decision]
    ) -> None:
        self.corpus = corpus
        self.decided = decided
        self.space = Space(corpus)
        ranked = ranking(self.space, model)
        self.model = learn(model, ranked, decided)
        if self.model is not model:
            ranked = ranking(self.space, self.model)
        self.findings = [self._with_decision(finding) for finding in ranked]
        self.explainer = Explainer(self.space)

    @classmethod
    def of(cls, select: Select, model: Model | None = None) -> Detection:
        """Detect the overlaps of a graph."""
        decided = deciding.latest(deciding.read(select))
        return cls(_completed(read(select)), model or Model.load(), decided)

    def _with_decision(self, finding: Finding) -> Finding:
        if decision := self.decided.get(finding.key):
            kind = decision.kind or finding.kind
            return replace(finding, kind=kind, status=decision.status)
        return finding

    def stored(self, also: Collection[Pair] = ()) -> list[Finding]:
        """Return the findings that go into the graph: sure enough, or decided, or asked for."""
        wanted = {*self.decided, *also}
        return [
            f for f in self.findings if f.confidence >= self.model.stored_from or f.key in wanted
        ]

    @cached_property
    def clusters(self) -> list[Cluster]:
        """Activities that could make one work package; rejected pairs do not join them."""
        sure = {f.key: f.confidence for f in self.stored() if f.status != "rejected"}
        return clusters(self.corpus, sure, COHERENT)

    def reason(self, finding: Finding, language: str = "en") -> str:
        """Return why a pair is a finding, in one sentence."""
        chosen = finding.judgement and finding.judgement.chosen
        if chosen and language in chosen.reasons:
            return chosen.reasons[language]
        return self.explainer.reason(self.explainer.evidence(finding.a, finding.b), language)

    def row(self, finding: Finding) -> dict[str, str]:
        """Return a pair as text: a, b, score, kind, confidence, status, reason, the passages, and which needs the other."""
        passages = zip(("passage_a", "passage_b"), self.passages(finding), strict=True)
        chosen = finding.judgement and finding.judgement.chosen
        needs = {"needs": chosen.needs if chosen else ""}
        return _row(finding, self.reason(finding)) | dict(passages) | needs

    def passages(self, finding: Finding) -> tuple[str, str]:
        """Return what of the two texts shows it, as a reader quoted it; empty where nobody read the pair."""
        chosen = finding.judgement and finding.judgement.chosen
        quotes = chosen.passages if chosen else {}
        return quotes.get(finding.a.id, ("", ""))[1], quotes.get(finding.b.id, ("", ""))[1]

    def queue(self) -> list[Finding]:
        """Return the pairs that wait for a decision, those first from which the ranking learns most."""
        by_key = {f.key: f for f in self.findings}
        order = deciding.queue(
            {key: f.confidence for key, f in by_key.items()},
            {key: f.status for key, f in by_key.items()},
        )
        return [by_key[key] for key in order]

    def triples(
        self, select: Select, now: datetime | None = None, also: Collection[Pair] = ()
    ) -> set[Triple]:
        """Return the whole content of ``graph:overlaps``.

        Args:
            select: asks the graph when the same was found before, for the time of the detection.
            also: pairs to store whatever their confidence.
        """
        triples = {t for finding in self.stored(also) for t in self._overlap(finding)}
        triples |= {t for cluster in self.clusters for t in self._cluster(cluster)}
        digest = hashlib.sha256("\n".join(sorted(map(str, triples))).encode()).hexdigest()[:16]
        parameters = f"weights {self.model.version}, result {digest}"
        times = [
            row["time"]
            for row in select(prefix_declarations() + _RUN)
            if row["parameters"] == Literal(parameters)
        ]
        ended = min(times, key=str) if times else instant(now)
        return triples | _facts(
            DETECTION,
            ("rdf:type", iri("k4p:Detection")),
            ("rdfs:label", Literal("Detection of overlaps", language="en")),
            ("k4p:parameters", Literal(parameters)),
            ("prov:endedAtTime", ended),
            ("prov:wasAssociatedWith", AGENT),
        )

    def _overlap(self, finding: Finding) -> set[Triple]:
        a, b = finding.a, finding.b
        shared = self.explainer.evidence(a, b)
        return _facts(
            deciding.overlap_iri(finding.key),
            ("rdf:type", iri("k4p:Overlap")),
            ("rdfs:label", Literal(f"{a.id} – {b.id}", language="en")),
            ("k4p:between", mint("activity", a.id)),
            ("k4p:between", mint("activity", b.id)),
            ("k4p:overlapKind", iri(f"overlap-kind:{finding.kind}")),
            ("k4p:confidence", decimal(finding.confidence, 2)),
            ("k4p:score", decimal(finding.score, 3)),
            ("k4p:status", iri(f"status:{finding.status}")),
            ("k4p:method", Literal(METHOD)),
            ("prov:wasAttributedTo", AGENT),
            ("prov:wasGeneratedBy", DETECTION),
            *(("k4p:reason", Literal(self.reason(finding, x), language=x)) for x in LANGUAGES),
            *_evidence(shared),
            *_readings(finding.judgement),
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


def _evidence(shared: Evidence) -> Iterable[tuple[str, NamedNode | Literal]]:
    yield from (("k4p:sharesFacet", NamedNode(c)) for c in chain(*shared.facets.values()))
    yield from (("k4p:sharesBroaderFacet", NamedNode(c)) for c in chain(*shared.near.values()))
    yield from (("k4p:guessesCodesOf", mint("activity", key)) for key in shared.guessed)
    yield from (("k4p:sharesMention", NamedNode(thing)) for thing in shared.mentions)
    yield from (("k4p:similarPhrase", Literal(phrase)) for phrase in shared.phrases)
    yield from (("k4p:supportedBy", NamedNode(relation)) for relation in shared.relations)


def _readings(judgement: Judgement | None) -> Iterable[tuple[str, NamedNode | Literal]]:
    """Yield on which readings a finding rests, and what the one that speaks for it quotes and says needs the other."""
    if judgement is None or judgement.chosen is None:
        return
    chosen = judgement.chosen
    yield from (("k4p:basedOnReading", NamedNode(reading.iri)) for reading in judgement.readings)
    yield from (("k4p:passage", NamedNode(iri)) for iri, _ in chosen.passages.values())
    if chosen.kind == "depends" and chosen.needs:
        yield "k4p:needingActivity", mint("activity", chosen.needs)


def _facts(subject: NamedNode, *facts: tuple[str, NamedNode | Literal]) -> set[Triple]:
    return {Triple(subject, iri(name), value) for name, value in facts}


def decimal(number: float, places: int) -> Literal:
    """Return a decimal as the store keeps it: no zeros at its end.

    >>> decimal(0.8, 2).value, decimal(2, 3).value
    ('0.8', '2')
    """
    text = f"{number:.{places}f}".rstrip("0").rstrip(".")
    return Literal("0" if text == "-0" else text, datatype=iri("xsd:decimal"))


def _row(finding: Finding, reason: str) -> dict[str, str]:
    return {
        "a": finding.a.id,
        "b": finding.b.id,
        "score": f"{finding.score:.4f}",
        "kind": finding.kind,
        "confidence": f"{finding.confidence:.2f}",
        "status": finding.status,
        "reason": reason,
    }


def _completed(corpus: Corpus) -> Corpus:
    """Return the corpus with guessed codes for the activities that have no annotation."""
    return replace(corpus, activities=Guesser(corpus).completed(corpus.activities))


def compare(
    corpus: Corpus, given: Sequence[Activity], keep: int, *, alone: bool = False
) -> list[dict[str, str]]:
    """Compare activities that stand in no graph, in any of the languages, with those of one.

    Args:
        corpus: the activities to compare with; its codes are used in any case.
        keep: how many partners of each.
        alone: compare the activities with each other instead.

    Returns:
        Rows as those of `Detection.row`; `a` is of the given activities. Best first for each of them.
    """
    if not (corpus.activities or alone):
        return []
    model, given = Model.load(), Guesser(corpus).completed(given)
    space = Space(replace(corpus, activities=given) if alone else _completed(corpus))
    explainer = Explainer(space)
    rows = []
    for activity, *best in zip(given, *candidates(space, model, given, keep), strict=True):
        for place, score in zip(*best, strict=True):
            if np.isfinite(score):
                other = space.corpus.activities[place]
                confidence = float(model.confidences(score))
                finding = Finding(activity, other, float(score), {}, confidence, "overlaps")
                rows.append(
                    _row(finding, explainer.reason(explainer.evidence(activity, other), "en"))
                )
    return rows
