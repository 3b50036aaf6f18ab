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

from ..terms import natural_key
from .corpus import Activity
from .decisions import Decision
from .similarity import Rows, Space

WEIGHTS = Path(__file__).parent / "weights.toml"
#: Rows that are compared with the whole corpus at once; bounds the memory.
BLOCK = 200
#: How many times as much a judged pair, which three readers saw, counts as a decision of one person.
HOLD = 8.0
Pair = tuple[str, str]


@dataclass(frozen=True)
class Model:
    """Weights and what turns a score into a confidence, as the file of the weights has them.

    Attributes:
        version: of the weights; stands with every finding.
        weights: base feature to its weight; no weight is zero.
        intercept: the score of a pair that shares nothing.
        hold: how much the judged pairs tell of each weight and of the intercept; what decisions are
            weighed against.
        confidence: slope and intercept (Platt) from a score to the probability of a relation.
        duplicate: the same for the probability of a duplicate.
        surest: the highest confidence that the judged pairs bear out.
        stored_from: least confidence of a pair that is stored.
        duplicates_from: least probability of a pair that is called a duplicate.
        complements_from: least similarity of deliverables and of topics of a pair that is called a complement.
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

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Model:
        """Read the weights."""
        return cls(**tomllib.loads(path.read_text(encoding="utf-8")))

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

        The same work (``duplicates``) is what the score and its calibration tell. One work that needs
        the other (``complements``) is told where both are about the same topic and deliverable, but do
        different things to it. Everything else is ``overlaps``.
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
    features: np.ndarray,
    labels: np.ndarray,
    *,
    penalty: float | np.ndarray,
    prior: np.ndarray | None = None,
) -> np.ndarray:
    """Return logistic weights of zero or more, and the intercept as the last one.

    scikit-learn has no bounds and no prior for its logistic regression.

    Args:
        features: (pairs, features).
        labels: (pairs), from 0 to 1.
        penalty: of the squared distance from the prior; one number, or one a weight.
        prior: weights and intercept that hold where nothing speaks against them; default zero, with
            the intercept free.
    """
    width = features.shape[1]
    centre = np.zeros(width + 1) if prior is None else prior
    free = np.r_[np.ones(width), 0.0 if prior is None else 1.0]

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = features @ w[:-1] + w[-1]
        error = sigmoid(z) - labels
        away = free * (w - centre)
        cost = (np.logaddexp(0, z) - labels * z).sum() + (penalty * away) @ away / 2
        return float(cost), np.r_[features.T @ error, error.sum()] + penalty * away

    start = np.r_[np.full(width, 0.5), -4.0] if prior is None else prior
    bounds = [(0, None)] * width + [(None, None)]
    return optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x


@dataclass(frozen=True)
class Scored:
    """A pair of activities, `a` before `b` in the order of notations."""

    a: Activity
    b: Activity
    score: float
    features: dict[str, float]

    @property
    def key(self) -> Pair:
        """Return the ids."""
        return self.a.id, self.b.id


def pairs(space: Space) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return all pairs of activities of different groups, with their base features.

    Returns:
        Positions (i < j), one row a pair, and by name of the feature one number a pair.
    """
    keep = np.triu(~space.same_group(space.own), k=1)
    return np.argwhere(keep), {name: values[keep] for name, values in space.features(space.own)}


def ranking(space: Space, model: Model) -> list[Scored]:
    """Return all pairs, best first; equal scores in the order of notations."""
    places, columns = pairs(space)
    scores = model.scores(columns.items()).tolist()
    features = zip(*(column.tolist() for column in columns.values()), strict=True)
    activities = space.corpus.activities
    scored = [
        Scored(activities[i], activities[j], score, dict(zip(columns, values, strict=True)))
        for (i, j), score, values in zip(places, scores, features, strict=True)
    ]
    natural = {activity.id: natural_key(activity.id) for activity in activities}
    return sorted(scored, key=lambda p: (-round(p.score, 4), natural[p.a.id], natural[p.b.id]))


def candidates(
    space: Space, model: Model, rows: Rows, keep: int, *, own: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the best partners of some activities in the corpus.

    Args:
        keep: how many of each.
        own: whether the rows are all those of the corpus, so that each stands opposite itself.

    Returns:
        Positions and scores, both (rows, keep), best first; -inf where there is no partner.
    """
    positions, values = [], []
    for start in range(0, len(rows), BLOCK):
        part = rows.part(start, start + BLOCK)
        scores = model.scores(space.features(part))
        scores[space.same_group(part)] = -np.inf
        if own:
            np.fill_diagonal(scores[:, start:], -np.inf)
        # A copy, for a view would hold the whole block in memory.
        best = np.argsort(-scores, axis=1, kind="stable")[:, :keep].copy()
        positions.append(best)
        values.append(np.take_along_axis(scores, best, axis=1))
    return np.concatenate(positions), np.concatenate(values)


def learn(model: Model, ranked: Sequence[Scored], decided: Mapping[Pair, Decision]) -> Model:
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
    fitted = fit(slope * features, related, penalty=penalty, prior=prior)
    return np.r_[fitted[:-1], (fitted[-1] - shift) / slope]
