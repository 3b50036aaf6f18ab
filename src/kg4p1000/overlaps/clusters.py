"""Activities of several objectives that could make one work package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..kernel.terms import natural_key
from .corpus import Activity, Corpus, scheme_of

#: The most activities of a cluster; a larger one is no work package.
LARGEST = 8
#: The most codes of a theme, and the order of the lists where codes are as telling.
_THEMES = 3
_ORDER = ("deliverable", "topic", "action-kind", "target-group")


@dataclass(frozen=True)
class Cluster:
    """Activities of several objectives that overlap with each other.

    Attributes:
        members: ids, in order.
        themes: codes that at least half of the members have, the most telling first.
        confidence: mean confidence of the overlaps between the members, over all pairs of different
            objectives.
    """

    members: tuple[str, ...]
    themes: tuple[str, ...]
    confidence: float


def clusters(
    corpus: Corpus, confidences: Mapping[tuple[str, str], float], least: float
) -> list[Cluster]:
    """Return groups of three activities or more, joined while their mean confidence stays at `least`.

    Average linkage: the two groups with the highest mean confidence are joined first. Pairs that are
    not in `confidences` count as 0. Pairs of one objective are left out of the mean, and no group
    grows beyond `LARGEST`, for which scipy's and scikit-learn's linkage have no means.
    """
    by_id = {activity.id: activity for activity in corpus.activities}
    ids = sorted({key for pair in confidences for key in pair}, key=natural_key)
    place = {key: i for i, key in enumerate(ids)}
    groups = np.array([by_id[key].group for key in ids])
    # How many pairs of different objectives two groups make, and the sum of their confidences.
    counts = (groups[:, None] != groups[None, :]).astype(float)
    sums = np.zeros_like(counts)
    for (a, b), confidence in confidences.items():
        sums[place[a], place[b]] = sums[place[b], place[a]] = confidence
    sums *= counts
    members = [[key] for key in ids]
    while len(members) > 1:
        sizes = np.array([len(group) for group in members])
        joinable = np.triu(sizes[:, None] + sizes[None, :] <= LARGEST, k=1)
        means = np.where(joinable, np.round(sums / np.maximum(counts, 1), 9), -1)
        i, j = np.unravel_index(means.argmax(), means.shape)
        if means[i, j] < least:
            break
        for table in (sums, counts):
            table[i] += table[j]
            table[:, i] += table[:, j]
        members[i] += members[j]
        order = [k for k in range(len(members)) if k not in (i, j)] + [i]
        members = [members[k] for k in order]
        sums, counts = sums[np.ix_(order, order)], counts[np.ix_(order, order)]
    return sorted(
        (
            _cluster(corpus, [by_id[key] for key in sorted(group, key=natural_key)], total / count)
            for group, total, count in zip(members, sums.diagonal(), counts.diagonal(), strict=True)
            if len(group) > 2
        ),
        key=lambda cluster: natural_key(cluster.members[0]),
    )


def _cluster(corpus: Corpus, members: list[Activity], confidence: float) -> Cluster:
    counts = Counter(code for activity in members for code in _codes(activity))
    everywhere = Counter(code for activity in corpus.activities for code in _codes(activity))

    def telling(code: str) -> tuple[float, int, str]:
        rarity = counts[code] / (1 + everywhere[code]) ** 0.5
        return -rarity, _ORDER.index(scheme_of(code)), code

    shared = [code for code, n in counts.items() if 2 * n >= len(members)]
    themes = sorted(shared, key=telling)[:_THEMES]
    return Cluster(tuple(a.id for a in members), tuple(themes), confidence)


def _codes(activity: Activity) -> set[str]:
    return {facet.code for facet in activity.facets}


def theme(cluster: Cluster, corpus: Corpus, language: str) -> str:
    """Return what a cluster is about, as a label."""
    labels = [corpus.codes[code].labels for code in cluster.themes if code in corpus.codes]
    named = [names.get(language) or names.get("en", "") for names in labels]
    return " · ".join(named) if named else " – ".join(cluster.members)
