"""What the ranking learns from decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from .decisions import Decision
from .detection import Scored
from .model import Model, fit, value

Pair = tuple[str, str]
#: How many times as much a judged pair, which three readers saw, counts as a decision of one person.
HOLD = 8.0


def learn(model: Model, ranked: Sequence[Scored], decided: Mapping[Pair, Decision]) -> Model:
    """The model after some pairs were accepted, merged or rejected.

    Without such decisions the model stays as it is.
    """
    judged = [
        (pair, decision.status != "rejected")
        for pair in ranked
        if (decision := decided.get(pair.key)) and decision.status != "proposed"
    ]
    if not judged:
        return model
    names = list(model.weights)
    features = np.array(
        [[float(value(pair.features, name)) for name in names] for pair, _ in judged]  # type: ignore[arg-type]
    )
    weights = refit(
        np.array([*model.weights.values(), model.intercept]),
        np.array([*(model.hold[name] for name in names), model.hold["intercept"]]),
        model.confidence,
        features,
        np.array([float(related) for _, related in judged]),
    )
    learnt = dict(zip(names, (float(w) for w in weights[:-1]), strict=True))
    return replace(model, weights=learnt, intercept=float(weights[-1]))


def refit(
    weights: np.ndarray,
    hold: np.ndarray,
    confidence: tuple[float, float],
    features: np.ndarray,
    related: np.ndarray,
) -> np.ndarray:
    """The most probable weights given decisions; still zero or more.

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
    found = fit(slope * features, related, penalty=penalty, prior=prior)
    return np.r_[found[:-1], (found[-1] - shift) / slope]
