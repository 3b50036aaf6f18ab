"""From what two activities share to a score, a kind and a confidence, and what decisions teach of it.

The model is logistic with weights of zero or more, so that sharing more never lowers a score. The
weights stand in ``weights.toml`` beside this file, which says how they were chosen.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import optimize, special

from ..kernel.terms import natural_key
from .corpus import Activity
from .decisions import Decision
from .readings import Judgement
from .similarity import Space

WEIGHTS = Path(__file__).parent / "weights.toml"
#: Rows that are compared with the whole corpus at once; bounds the memory.
BLOCK = 200
#: How many times as much a judged pair, which three readers saw, counts as a decision of one person.
HOLD = 8.0
Pair = tuple[str, str]


@dataclass(frozen=True)
class Read:
    """What makes the score of a pair that was read: the detector's score is the prior, the reading adds its degree.

    Attributes:
        prior: weight of the score from what two activities share.
        degree: weight of the mean degree of the readings.
        confidence, surest: as those of `Model`, for pairs that were read.
    """

    prior: float
    degree: float
    intercept: float
    confidence: tuple[float, float]
    surest: float


@dataclass(frozen=True)
class Model:
    """Weights and what turns a score into a confidence, as the file of the weights has and explains them.

    Attributes:
        weights: base feature to its weight.
        intercept: the score of a pair that shares nothing.
        hold: what decisions are weighed against, by weight, and for the ``intercept``.
    """

    version: str
    weights: Mapping[str, float]
    intercept: float
    hold: Mapping[str, float]
    confidence: tuple[float, float]
    duplicate: tuple[float, float]
    surest: float
    stored_from: float
    duplicates_from: float
    complements_from: float
    read: Read

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Model:
        """Read the weights."""
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        return cls(**found | {"read": Read(**found["read"])})

    def judged(self, score: float, judgement: Judgement) -> tuple[float, float]:
        """Return score and confidence of a pair that was read, from its score before."""
        score = self.read.prior * score + self.read.degree * judgement.degree + self.read.intercept
        return score, float(self.read_confidences(np.array(score)))

    def read_confidences(self, scores: np.ndarray) -> np.ndarray:
        """Return the calibrated probability that pairs that were read are related, up to the highest borne out."""
        slope, shift = self.read.confidence
        return np.minimum(sigmoid(slope * scores + shift), self.read.surest)

    def scores(self, features: Iterable[tuple[str, np.ndarray]]) -> np.ndarray:
        """Return the scores (log odds) of a block of pairs, in the shape of the base features."""
        base = dict(features)
        total = np.full(base["words"].shape, self.intercept, np.float32)
        for name, weight in self.weights.items():
            total += weight * base[name]
        return total

    def confidences(self, scores: np.ndarray) -> np.ndarray:
        """Return the calibrated probability that a pair is related, up to the highest borne out."""
        return np.minimum(sigmoid(self.confidence[0] * scores + self.confidence[1]), self.surest)

    def duplicates(self, scores: np.ndarray) -> np.ndarray:
        """Return the calibrated probability that a pair is a duplicate."""
        return sigmoid(self.duplicate[0] * scores + self.duplicate[1])

    def kind(self, score: float, features: Mapping[str, float]) -> str:
        """Return which kind of overlap a pair is, as far as what it shares tells.

        The score and its calibration tell the same work (``duplicates``). One work needs the other
        (``complements``) where both are about the same topic and deliverable, but do different
        things to it. Everything else is ``overlaps``.
        """
        if self.duplicates(score) >= self.duplicates_from:
            return "duplicates"
        apart = features["action-kind"] == 0
        if apart and min(features["deliverable"], features["topic"]) >= self.complements_from:
            return "complements"
        return "overlaps"


def sigmoid(x: np.ndarray | float) -> np.ndarray:
    """Return the logistic function of numbers, in double precision."""
    return special.expit(np.asarray(x, np.float64))


def fit(
    features: np.ndarray, labels: np.ndarray, prior: np.ndarray, penalty: np.ndarray
) -> np.ndarray:
    """Return logistic weights of zero or more, and the intercept as the last one.

    scikit-learn has neither bounds nor a prior for its logistic regression.

    Args:
        features: (pairs, features).
        labels: (pairs), from 0 to 1.
        prior: weights and intercept that hold where nothing speaks against them.
        penalty: of the squared distance of each from the prior.
    """

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = features @ w[:-1] + w[-1]
        error, away = sigmoid(z) - labels, w - prior
        cost = (np.logaddexp(0, z) - labels * z).sum() + penalty @ away**2 / 2
        return float(cost), np.r_[features.T @ error, error.sum()] + penalty * away

    bounds = [(0, None)] * features.shape[1] + [(None, None)]
    return optimize.minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=bounds).x


@dataclass(frozen=True)
class Finding:
    """A pair of activities with what is said of it; in a plan, `a` comes before `b`."""

    a: Activity
    b: Activity
    score: float
    features: Mapping[str, float]
    confidence: float
    kind: str
    status: str = "proposed"
    judgement: Judgement | None = None

    @property
    def key(self) -> Pair:
        """Return the ids."""
        return self.a.id, self.b.id


def pairs(space: Space) -> tuple[list[tuple[Activity, Activity]], dict[str, np.ndarray]]:
    """Return all pairs of activities of different groups with their base features.

    Returns:
        Pairs of activities in the order of the corpus, and by name of the feature one number a pair.
    """
    activities = space.corpus.activities
    keep = np.triu(~space.same_group(activities), k=1)
    columns = {name: values[keep] for name, values in space.features(activities)}
    return [(activities[i], activities[j]) for i, j in np.argwhere(keep)], columns


def _read(finding: Finding, judgement: Judgement, model: Model) -> Finding:
    """Return a finding as the readings of its pair have it."""
    score, sure = model.judged(finding.score, judgement)
    kind = judgement.chosen.kind if judgement.chosen else finding.kind
    return replace(finding, score=score, confidence=round(sure, 2), kind=kind, judgement=judgement)


def ranking(space: Space, model: Model) -> list[Finding]:
    """Return all pairs, best first; equal scores in the order of notations."""
    both, columns = pairs(space)
    scores = model.scores(columns.items())
    confidences = model.confidences(scores).tolist()
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    findings = []
    for (a, b), score, sure, row in zip(both, scores.tolist(), confidences, rows, strict=True):
        shared = dict(zip(columns, row, strict=True))
        found = Finding(a, b, score, shared, round(sure, 2), model.kind(score, shared))
        judgement = space.corpus.judgements.get(frozenset(found.key))
        findings.append(_read(found, judgement, model) if judgement else found)
    natural = {activity.id: natural_key(activity.id) for activity in space.corpus.activities}
    return sorted(findings, key=lambda f: (-round(f.score, 4), natural[f.a.id], natural[f.b.id]))


def candidates(
    space: Space, model: Model, activities: Sequence[Activity], keep: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best partners of some activities in the corpus; those of the corpus are not their own.

    Args:
        keep: how many of each.

    Returns:
        Positions and scores, both (activities, keep), best first; -inf where there is no partner.
    """
    positions, values = [], []
    for start in range(0, len(activities), BLOCK):
        part = activities[start : start + BLOCK]
        scores = model.scores(space.features(part))
        scores[space.same_group(part)] = -np.inf
        if activities is space.corpus.activities:
            np.fill_diagonal(scores[:, start:], -np.inf)
        # A copy, for a view would hold the whole block in memory.
        best = np.argsort(-scores, axis=1, kind="stable")[:, :keep].copy()
        positions.append(best)
        values.append(np.take_along_axis(scores, best, axis=1))
    return np.concatenate(positions), np.concatenate(values)


def learn(model: Model, ranked: Iterable[Finding], decided: Mapping[Pair, Decision]) -> Model:
    """Return the model after some pairs were accepted, merged or rejected.

    Without such decisions the model stays as it is.
    """
    judged = [
        (pair, decision.status != "rejected")
        for pair in ranked
        if (decision := decided.get(pair.key)) and decision.status != "proposed"
    ]
    if not judged:
        return model
    *weights, intercept = refit(
        np.array([*model.weights.values(), model.intercept]),
        np.array([*(model.hold[name] for name in model.weights), model.hold["intercept"]]),
        model.confidence,
        np.array([[pair.features[name] for name in model.weights] for pair, _ in judged]),
        np.array([float(related) for _, related in judged]),
    ).tolist()
    return replace(
        model, weights=dict(zip(model.weights, weights, strict=True)), intercept=intercept
    )


def refit(
    weights: np.ndarray,
    hold: np.ndarray,
    confidence: tuple[float, float],
    features: np.ndarray,
    related: np.ndarray,
) -> np.ndarray:
    """Return the most probable weights given decisions; still zero or more.

    What is fitted is the confidence: decisions that agree with it move nothing, and it stays calibrated.
    Each weight is held for itself, so that one accepted pair lowers no weight and no score.

    Args:
        weights: those so far, and the intercept as the last one.
        hold: how much the judged pairs tell of each (Fisher information).
        confidence: slope and intercept from a score to its confidence.
        features: (decisions, weights without the intercept).
        related: (decisions) 1 for an accepted pair, 0 for a rejected one.
    """
    slope, shift = confidence
    prior = np.r_[weights[:-1], slope * weights[-1] + shift]
    penalty = HOLD * np.r_[hold[:-1], hold[-1] / slope**2]
    fitted = fit(slope * features, related, prior, penalty)
    return np.r_[fitted[:-1], (fitted[-1] - shift) / slope]
