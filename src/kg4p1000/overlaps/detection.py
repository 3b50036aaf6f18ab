"""All pairs of a plan with their scores, and the best ones of very many activities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..terms import natural_key
from .corpus import Activity
from .model import Model
from .similarity import BASE, Rows, Space

#: Rows that are compared with the whole corpus at once; bounds the memory.
BLOCK = 200


@dataclass(frozen=True)
class Scored:
    """A pair of activities, `a` before `b` in the order of notations."""

    a: Activity
    b: Activity
    score: float
    features: dict[str, float]

    @property
    def key(self) -> tuple[str, str]:
        """The ids."""
        return self.a.id, self.b.id


def pairs(space: Space) -> tuple[list[tuple[int, int]], dict[str, np.ndarray]]:
    """All pairs of activities of different groups, with their base features.

    Returns:
        Positions (i < j) and, by name, one number a pair.
    """
    size = len(space.own)
    places: list[tuple[int, int]] = []
    columns: dict[str, list[np.ndarray]] = {name: [] for name in BASE}
    for start in range(0, size, BLOCK):
        part = space.own.part(start, min(start + BLOCK, size))
        keep = ~space.same_group(part) & (
            np.arange(size) > np.arange(start, start + len(part))[:, None]
        )
        rows, others = np.nonzero(keep)
        places += zip((rows + start).tolist(), others.tolist(), strict=True)
        for name, values in space.features(part):
            columns[name].append(values[keep])
    return places, {name: np.concatenate(found) for name, found in columns.items()}


def ranking(space: Space, model: Model) -> list[Scored]:
    """All pairs, best first; equal scores in the order of notations."""
    places, columns = pairs(space)
    scores = model.scores(columns.items())
    activities = space.corpus.activities
    found = [
        Scored(
            activities[i], activities[j], float(score), {n: float(c[k]) for n, c in columns.items()}
        )
        for k, ((i, j), score) in enumerate(zip(places, scores, strict=True))
    ]
    return sorted(
        found, key=lambda p: (-round(p.score, 4), natural_key(p.a.id), natural_key(p.b.id))
    )


def candidates(
    space: Space, model: Model, rows: Rows, keep: int, *, own: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The best partners of some activities in the corpus.

    Args:
        keep: how many of each.
        own: position of the first row in the corpus, where the rows are of the corpus themselves.

    Returns:
        Positions and scores, both (rows, keep), best first; -inf where there is no partner.
    """
    scores = model.scores(space.features(rows))
    scores[space.same_group(rows)] = -np.inf
    if own is not None:
        scores[np.arange(len(rows)), np.arange(own, own + len(rows))] = -np.inf
    keep = min(keep, scores.shape[1])
    best = np.argpartition(-scores, keep - 1, axis=1)[:, :keep]
    values = np.take_along_axis(scores, best, axis=1)
    sorted_ = np.lexsort((best, -values), axis=1)
    return np.take_along_axis(best, sorted_, 1), np.take_along_axis(values, sorted_, 1)


def all_candidates(
    space: Space, model: Model, keep: int = 50
) -> Iterator[tuple[Activity, np.ndarray, np.ndarray]]:
    """Each activity of the corpus with the positions and scores of its best partners."""
    size = len(space.own)
    for start in range(0, size, BLOCK):
        part = space.own.part(start, min(start + BLOCK, size))
        places, scores = candidates(space, model, part, keep, own=start)
        yield from zip(part.activities, places, scores, strict=True)
