"""Overlaps seen from above: objectives against each other, and activities that make one work package."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..terms import natural_key
from .corpus import Activity, Corpus, scheme_of

Pair = tuple[str, str]
#: The most activities of a cluster; a larger one is no work package.
LARGEST = 8


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


def clusters(corpus: Corpus, confidences: Mapping[Pair, float], least: float) -> list[Cluster]:
    """Groups of three activities or more, joined while their mean confidence stays at `least`.

    Average linkage: the two groups with the highest mean confidence are joined first. Pairs that are
    not in `confidences` count as 0, pairs of one objective are left out of the mean.
    """
    by_id = {activity.id: activity for activity in corpus.activities}
    groups: list[tuple[str, ...]] = [
        (i,) for i in sorted({i for p in confidences for i in p}, key=natural_key)
    ]

    def mean(one: Sequence[str], other: Sequence[str]) -> float:
        across = [(a, b) for a in one for b in other if by_id[a].group != by_id[b].group]
        if not across:
            return 0.0
        return sum(confidences.get((a, b), confidences.get((b, a), 0.0)) for a, b in across) / len(
            across
        )

    linked = {
        (i, j): mean(groups[i], groups[j])
        for i in range(len(groups))
        for j in range(i + 1, len(groups))
    }
    linked = {pair: value for pair, value in linked.items() if value >= least}
    alive = dict(enumerate(groups))
    while linked:
        i, j = min(linked, key=lambda p: (-round(linked[p], 9), p))
        made = tuple(sorted(alive[i] + alive[j], key=natural_key))
        linked = (
            {p: v for p, v in linked.items() if i not in p and j not in p}
            if len(made) <= LARGEST
            else {p: v for p, v in linked.items() if p != (i, j)}
        )
        if len(made) > LARGEST:
            continue
        del alive[i], alive[j]
        new = max([*alive, i, j]) + 1
        for k, members in alive.items():
            if (value := mean(members, made)) >= least:
                linked[k, new] = value
        alive[new] = made
    found = [members for members in alive.values() if len(members) > 2]
    return [
        _cluster(corpus, by_id, members, mean)
        for members in sorted(found, key=lambda m: natural_key(m[0]))
    ]


def _cluster(
    corpus: Corpus, by_id: Mapping[str, Activity], members: tuple[str, ...], mean
) -> Cluster:
    counts: Counter[str] = Counter()
    for member in members:
        counts.update({facet.code for facet in by_id[member].facets})
    everywhere = Counter(
        f.code for a in corpus.activities for f in {f.code: f for f in a.facets}.values()
    )
    order = {
        scheme: i
        for i, scheme in enumerate(("deliverable", "topic", "action-kind", "target-group"))
    }

    def telling(code: str) -> tuple[float, int, str]:
        return -counts[code] / (1 + everywhere[code]) ** 0.5, order[scheme_of(code)], code

    shared = [code for code, n in counts.items() if 2 * n >= len(members)]
    pairs = [
        (a, b)
        for i, a in enumerate(members)
        for b in members[i + 1 :]
        if by_id[a].group != by_id[b].group
    ]
    value = sum(mean((a,), (b,)) for a, b in pairs) / len(pairs)
    return Cluster(members, tuple(sorted(shared, key=telling)[:3]), value)


def theme(cluster: Cluster, corpus: Corpus, language: str) -> str:
    """What a cluster is about, as a label."""
    labels = [corpus.codes[code].labels for code in cluster.themes if code in corpus.codes]
    named = [found.get(language) or found.get("en", "") for found in labels]
    return " · ".join(named) if named else " – ".join(cluster.members)
