"""A ranking against pairs that people judged.

The gold standard is two files: ``a,b,label,votes`` with the pairs that readers saw as ``duplicate``,
``overlap`` or ``unsure`` (neither right nor wrong), and the pairs of objectives that it covers, in
which every other pair is unrelated.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .detection import pairs
from .learning import refit
from .model import fit, order, platt, sigmoid, value
from .similarity import Space

#: Of the squared weights, in fitting.
PENALTY = 0.3
Pair = tuple[str, str]


@dataclass(frozen=True)
class Gold:
    """Judged pairs.

    Attributes:
        labels: pair to duplicate, overlap or unsure.
        votes: pair to the sum over three readers, a duplicate counting 2 and an overlap 1.
        covered: the pairs of objectives that were judged, such as ``A4-D2``.
    """

    labels: Mapping[Pair, str]
    votes: Mapping[Pair, int]
    covered: frozenset[str]

    @classmethod
    def load(cls, pairs: Path, covered: Path) -> Gold:
        """Read both files."""
        with pairs.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        return cls(
            {(r["a"], r["b"]): r["label"] for r in rows},
            {(r["a"], r["b"]): int(r["votes"]) for r in rows},
            frozenset(covered.read_text(encoding="utf-8").split()),
        )

    def judged(self, pair: Pair) -> bool:
        """Whether the pair counts, as right or as wrong."""
        return objectives(pair) in self.covered and self.labels.get(pair) != "unsure"

    def related(self, pair: Pair) -> bool:
        """Whether two readers or more saw at least an overlap."""
        return self.labels.get(pair) in ("duplicate", "overlap")


def objectives(pair: Pair) -> str:
    """The pair of objectives that a pair of activities is of, such as ``A4-D2``."""
    return "-".join(sorted(code.split(".")[0] for code in pair))


def figures(ranked: Sequence[Pair], gold: Gold, first: int = 40) -> dict[str, float]:
    """How good a ranking is, best first.

    Returns:
        ``ap_related``, ``ap_duplicates`` (average precision), ``duplicates_first`` (how many among
        the first), ``duplicates`` (of how many) and ``ndcg`` (at the first, gains the votes).
    """
    kept = [pair for pair in ranked if gold.judged(pair)]
    labels = [gold.labels.get(pair, "") for pair in kept]
    total = [label for pair, label in gold.labels.items() if objectives(pair) in gold.covered]
    gains = [gold.votes.get(pair, 0) for pair in kept[:first]]
    votes = [v for pair, v in gold.votes.items() if objectives(pair) in gold.covered]
    ideal = sorted(votes, reverse=True)[:first]
    related = np.array([bool(label) for label in labels])
    duplicate = np.array([label == "duplicate" for label in labels])
    return {
        "ap_related": average_precision(related, sum(label != "unsure" for label in total)),
        "ap_duplicates": average_precision(duplicate, total.count("duplicate")),
        "duplicates_first": float(duplicate[:first].sum()),
        "duplicates": float(total.count("duplicate")),
        "ndcg": _dcg(gains) / _dcg(ideal) if ideal else float("nan"),
    }


def average_precision(right: np.ndarray, relevant: int) -> float:
    """Mean of the precision at each right one, over all that there are."""
    ranks = np.flatnonzero(right) + 1
    return (
        float((np.arange(1, len(ranks) + 1) / ranks).sum() / relevant) if relevant else float("nan")
    )


def _dcg(gains: Sequence[int]) -> float:
    return float(sum(gain / np.log2(i + 2) for i, gain in enumerate(gains)))


def folds(pairs: Sequence[Pair], parts: int, seed: int) -> np.ndarray:
    """The number of the part of each pair; all pairs of two objectives go into the same part."""
    names = sorted({objectives(pair) for pair in pairs})
    shuffled = np.random.default_rng(seed).permutation(len(names))
    part = {name: int(place) % parts for name, place in zip(names, shuffled, strict=True)}
    return np.array([part[objectives(pair)] for pair in pairs])


def reliability(
    confidences: np.ndarray, right: np.ndarray, edges: Sequence[float]
) -> list[dict[str, float]]:
    """How often pairs of a confidence are right, a row a bin: ``from``, ``to``, ``pairs``, ``said``, ``true``."""
    rows = []
    for low, high in itertools.pairwise(edges):
        inside = (confidences >= low) & (confidences < high)
        if inside.any():
            rows.append(
                {
                    "from": low,
                    "to": high,
                    "pairs": float(inside.sum()),
                    "said": float(confidences[inside].mean()),
                    "true": float(right[inside].mean()),
                }
            )
    return rows


def surest(scores: np.ndarray, right: np.ndarray) -> float:
    """The highest precision that a ranking bears out: of all its beginnings, the best by Laplace's rule.

    Of n pairs of which r are right it is (r + 1) / (n + 2), so that it comes near 1 with many pairs only.
    """
    best_first = right[np.argsort(-scores, kind="stable")]
    counts = np.arange(1, len(right) + 1)
    return float(((np.cumsum(best_first) + 1) / (counts + 2)).max())


@dataclass(frozen=True)
class Judged:
    """The judged pairs of a plan with their features, ready to fit and to score.

    Attributes:
        pairs: (n) ids.
        features: (n, features), in the order of `names`.
        right: (n) whether related, 0 or 1.
        duplicate: (n) whether a duplicate, bool.
        worth: (n) share of the votes that the pair got, from 0 to 1; what the model is fitted to.
    """

    pairs: list[Pair]
    names: tuple[str, ...]
    features: np.ndarray
    right: np.ndarray
    duplicate: np.ndarray
    worth: np.ndarray
    gold: Gold

    @classmethod
    def of(cls, space: Space, gold: Gold, names: Sequence[str]) -> Judged:
        """The judged ones among all pairs of a space."""
        ids = [activity.id for activity in space.corpus.activities]
        places, columns = pairs(space)
        keys = [(ids[i], ids[j]) for i, j in places]
        kept = [k for k, key in enumerate(keys) if gold.judged(key)]
        chosen = [keys[k] for k in kept]
        return cls(
            chosen,
            tuple(names),
            np.stack([value(columns, name)[kept] for name in names], axis=1),
            np.array([float(gold.related(pair)) for pair in chosen]),
            np.array([gold.labels.get(pair) == "duplicate" for pair in chosen]),
            np.array([gold.votes.get(pair, 0) / 6 for pair in chosen]),
            gold,
        )

    def fitted(self, some: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Weights, and the intercept as the last one, from some of the pairs."""
        return fit(self.features[some], self.worth[some], penalty=PENALTY)

    def hold(self, weights: np.ndarray, some: np.ndarray | slice = slice(None)) -> np.ndarray:
        """How much the pairs tell of each weight and of the intercept: the diagonal of the Fisher information."""
        seen = sigmoid(self.scores(weights)[some])
        return (np.c_[self.features[some], np.ones(len(seen))] ** 2).T @ (seen * (1 - seen))

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """Scores of all pairs."""
        return self.features @ weights[:-1] + weights[-1]

    def figures(self, scores: np.ndarray) -> dict[str, float]:
        """How good the ranking by some scores is."""
        return figures([self.pairs[i] for i in order(self.pairs, scores)], self.gold)

    def cross_validated(self, seed: int, parts: int = 5) -> np.ndarray:
        """Scores of all pairs, each by weights from the pairs of other objectives."""
        part = folds(self.pairs, parts, seed)
        scores = np.zeros(len(self.pairs))
        for number in range(parts):
            held = part == number
            scores[held] = self.scores(self.fitted(~held))[held]
        return scores

    def bootstrap(self, rounds: int, seed: int = 0) -> np.ndarray:
        """Weights (rounds, features + 1) from as many samples of pairs of objectives, with repetition."""
        names = sorted({objectives(pair) for pair in self.pairs})
        rows: dict[str, list[int]] = {name: [] for name in names}
        for i, pair in enumerate(self.pairs):
            rows[objectives(pair)].append(i)
        random = np.random.default_rng(seed)
        samples = (random.choice(names, len(names)) for _ in range(rounds))
        return np.array([self.fitted(np.concatenate([rows[n] for n in s])) for s in samples])


def effort(
    judged: Judged, seed: int, *, learning: bool, batch: int = 5, share: float = 0.9
) -> list[int]:
    """How many pairs a steward looks at to find most duplicates, simulated with the judgements.

    Half of the pairs of objectives give the weights, the other half is what the steward goes through,
    best first; and the same with the halves exchanged. With learning, the weights are refitted after
    each batch, as decisions do it; the calibration comes from the first half, too.

    Returns:
        Two numbers of pairs.
    """
    half = folds(judged.pairs, 2, seed)
    needed = []
    for number in (0, 1):
        mine = np.flatnonzero(half == number)
        first = half != number
        prior = judged.fitted(first)
        hold, confidence = (
            judged.hold(prior, first),
            platt(judged.scores(prior)[first], judged.right[first]),
        )
        weights, seen = prior, np.zeros(len(mine), bool)
        wanted = int(np.ceil(share * judged.duplicate[mine].sum()))
        while judged.duplicate[mine][seen].sum() < wanted:
            scores = judged.scores(weights)[mine]
            scores[seen] = -np.inf
            for place in np.lexsort((np.arange(len(mine)), -scores))[:batch]:
                seen[place] = True
                if judged.duplicate[mine][seen].sum() >= wanted:
                    break
            if learning:
                some = mine[seen]
                weights = refit(prior, hold, confidence, judged.features[some], judged.right[some])
        needed.append(int(seen.sum()))
    return needed
