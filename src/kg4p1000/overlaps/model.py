"""From what two activities share to a score, a kind and a confidence.

The model is logistic with weights of zero or more, so that sharing more never lowers a score. The
weights stand in ``weights.toml`` beside this file, which says how they were chosen.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import optimize

WEIGHTS = Path(__file__).parent / "weights.toml"


@dataclass(frozen=True)
class Model:
    """Weights and what turns a score into a confidence.

    Attributes:
        version: of the weights; stands with every finding.
        weights: feature, or product of features such as ``deliverable*topic``, to its weight.
        intercept: the score of a pair that shares nothing.
        hold: how much the judged pairs tell of each weight and of the intercept; what decisions are
            weighed against.
        confidence: slope and intercept (Platt) from a score to the probability of a relation.
        duplicate: the same for the probability of a duplicate.
        stored: least confidence of a pair that is stored.
        certain: least probability of a pair that is called a duplicate.
        surest: the highest confidence that the judged pairs bear out.
        joint: least similarity of deliverables and of topics of a pair that is called a complement.
    """

    version: str
    weights: Mapping[str, float]
    intercept: float = 0.0
    hold: Mapping[str, float] = field(default_factory=dict)
    confidence: tuple[float, float] = (1.0, 0.0)
    duplicate: tuple[float, float] = (1.0, 0.0)
    surest: float = 1.0
    stored: float = 0.3
    certain: float = 0.5
    joint: float = 0.5
    source: str = field(default="", compare=False)

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> Model:
        """Read the weights."""
        text = path.read_text(encoding="utf-8")
        read = tomllib.loads(text)
        return cls(
            version=read["version"],
            weights=read["weights"],
            intercept=read["intercept"],
            hold=read["hold"],
            confidence=tuple(read["confidence"]),
            duplicate=tuple(read["duplicate"]),
            surest=read["surest"],
            stored=read["stored_from"],
            certain=read["duplicates_from"],
            joint=read["complements_from"],
            source=text,
        )

    def scores(self, features: Iterable[tuple[str, np.ndarray]]) -> np.ndarray:
        """Scores (log odds) of a block of pairs, in the shape of the base features."""
        base = dict(features)
        total = np.full(next(iter(base.values())).shape, self.intercept, np.float32)
        for name, weight in self.weights.items():
            if weight:
                total += weight * value(base, name)
        return total

    def confidences(self, scores: np.ndarray) -> np.ndarray:
        """Calibrated probability that a pair is related, up to the highest that was borne out."""
        return np.minimum(sigmoid(self.confidence[0] * scores + self.confidence[1]), self.surest)

    def duplicates(self, scores: np.ndarray) -> np.ndarray:
        """Calibrated probability that a pair is a duplicate."""
        return sigmoid(self.duplicate[0] * scores + self.duplicate[1])

    def kind(self, score: float, features: Mapping[str, float]) -> str:
        """Which kind of overlap a pair is, as far as what it shares tells.

        The same work (``duplicates``) is what the score and its calibration tell. One work that needs
        the other (``complements``) is told where both are about the same topic and deliverable, but do
        different things to it. Everything else is ``overlaps``.
        """
        if float(self.duplicates(np.float64(score))) >= self.certain:
            return "duplicates"
        apart = features["action-kind"] == 0
        if apart and min(features["deliverable"], features["topic"]) >= self.joint:
            return "complements"
        return "overlaps"


def value(base: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """A feature, or the product of features joined by ``*``."""
    first, *others = name.split("*")
    result = base[first]
    for other in others:
        result = result * base[other]
    return result


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function."""
    return 0.5 * (1 + np.tanh(0.5 * np.asarray(x, np.float64)))


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    *,
    penalty: float | np.ndarray,
    importance: np.ndarray | None = None,
    prior: np.ndarray | None = None,
) -> np.ndarray:
    """Logistic weights of zero or more, and the intercept as the last one.

    Args:
        features: (pairs, features).
        labels: (pairs), from 0 to 1.
        penalty: of the squared distance from the prior; one number, or one a weight.
        importance: (pairs), how much each counts.
        prior: weights and intercept that hold where nothing speaks against them; default zero, with
            the intercept free.
    """
    count = np.ones(len(labels)) if importance is None else importance
    width = features.shape[1]
    centre = np.zeros(width + 1) if prior is None else prior
    free = np.r_[np.ones(width), 0.0 if prior is None else 1.0]

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        z = features @ w[:-1] + w[-1]
        error = count * (sigmoid(z) - labels)
        away = free * (w - centre)
        cost = count @ (np.logaddexp(0, z) - labels * z) + (penalty * away) @ away / 2
        return float(cost), np.r_[features.T @ error, error.sum()] + penalty * away

    start = np.r_[np.full(width, 0.5), -4.0] if prior is None else prior
    bounds = [(0, None)] * width + [(None, None)]
    return optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x


def platt(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Slope (zero or more) and intercept that make probabilities of scores.

    Source: J. Platt, Probabilistic outputs for support vector machines, 1999, with its targets for
    few examples.
    """
    positive, negative = float(labels.sum()), float((1 - labels).sum())
    target = np.where(labels > 0.5, (positive + 1) / (positive + 2), 1 / (negative + 2))
    slope, intercept = fit(scores[:, None], target, penalty=1e-6)
    return float(slope), float(intercept)


def order(pairs: Sequence[tuple[str, str]], scores: np.ndarray) -> list[int]:
    """Positions of pairs, best first; equal scores in the order of the pairs."""
    return sorted(range(len(pairs)), key=lambda i: (-scores[i], pairs[i]))
