"""Overlaps at size: 10,000 activities with each other, and a new one against them.

Run ``python bench/overlaps.py [ACTIVITIES]``. Activities are made from those of the plan: each takes the codes of one and
the words of another, in an order drawn by a fixed seed. Printed are seconds and the most memory that the process took.
"""

import random
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from kg4p1000.curation.build import parse_file, sources
from kg4p1000.overlaps import corpus
from kg4p1000.overlaps.scoring import Model, candidates
from kg4p1000.overlaps.similarity import Space
from kg4p1000.store import MemoryGraph

ROOT = Path(__file__).parent.parent


def many(plan: corpus.Corpus, size: int) -> corpus.Corpus:
    """Return a corpus of so many activities, in groups of seven."""
    draw = random.Random(4)
    made = []
    for number in range(size):
        codes, text = draw.sample(plan.activities, 2)
        words = text.description.split()
        draw.shuffle(words)
        made.append(
            replace(
                text,
                id=f"X{number // 7}.{number}",
                group=f"X{number // 7}",
                description=" ".join(words),
                facets=tuple(f for f in codes.facets if draw.random() < 0.8),
            )
        )
    return replace(plan, activities=tuple(made), relations=())


def main(size: int) -> None:
    """Measure and print."""
    paths = [s.path for s in sources(ROOT) if s.path.parent.name != "shapes"]
    graph = MemoryGraph(t for path in paths for t in parse_file(path))
    plan = corpus.read(graph.select)
    some = many(plan, size)
    model = Model.load()
    begun = time.perf_counter()
    space = Space(some)
    ready = time.perf_counter()
    _, scores = candidates(space, model, some.activities, 50)
    kept = int(np.isfinite(scores).sum())
    done = time.perf_counter()
    new = [replace(a, id=f"N{i}", group=f"N{i}") for i, a in enumerate(plan.activities[:20])]
    times = []
    for activity in new:
        start = time.perf_counter()
        candidates(space, model, [activity], 50)
        times.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{size:,} activities, {size * (size - 1) // 2:,} pairs, {kept:,} kept")
    print(
        f"features {ready - begun:.1f} s, comparison {done - ready:.1f} s, in all {done - begun:.1f} s"
    )
    print(
        f"one new activity: median {np.median(times) * 1000:.0f} ms, most {max(times) * 1000:.0f} ms"
    )
    print(f"most memory: {peak:.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
