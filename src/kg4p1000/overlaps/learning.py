"""What the ranking learns from decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from .decisions import Decision
from .detection import Scored
from .model import Model, fit, value

Pair = tuple[str, str]
#: How strongly the weights are held to what they were before any decision.
HOLD = 2.0
#: What a decision says of a pair, in the terms that the weights were fitted to: a duplicate is worth
#: 1, another overlap a half.
_WORTH = {"duplicates": 1.0, "overlaps": 0.5, "complements": 0.5}


def learn(model: Model, ranked: Sequence[Scored], decided: Mapping[Pair, Decision]) -> Model:
    """The model after some pairs were accepted, merged or rejected.

    The most probable weights given the decisions, the weights so far being the prior; still zero or
    more. An accepted pair is of the kind that the person said, or else of the kind that was proposed.
    Without decisions the model stays as it is.
    """
    judged = []
    for pair in ranked:
        decision = decided.get(pair.key)
        if decision and decision.status != "proposed":
            kind = decision.kind or model.kind(pair.score, pair.features)
            said = "duplicates" if decision.status == "merged" else kind
            judged.append((pair, 0.0 if decision.status == "rejected" else _WORTH[said]))
    if not judged:
        return model
    names = list(model.weights)
    features = np.array(
        [[float(value(pair.features, name)) for name in names] for pair, _ in judged]  # type: ignore[arg-type]
    )
    prior = np.array([*model.weights.values(), model.intercept])
    weights = fit(features, np.array([worth for _, worth in judged]), penalty=HOLD, prior=prior)
    learnt = dict(zip(names, (float(w) for w in weights[:-1]), strict=True))
    return replace(model, weights=learnt, intercept=float(weights[-1]))
