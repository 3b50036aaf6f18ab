"""Say how far the readings agree: ``python bench/agreement.py`` prints the table of docs/overlaps.md.

Krippendorff's alpha is 1 where all readers say the same and 0 where they agree as by chance. Values that are sets of codes
are compared by the share that they have in common (Jaccard), degrees by their difference squared, kinds by being equal.
Source: K. Krippendorff, Content Analysis, 2004, chapter 11.
"""

from __future__ import annotations

import csv
import itertools
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent.parent / "data"
FACETS = ("kind", "deliverable", "topic", "target")


def alpha(units: Iterable[list[Any]], distance: Callable[[Any, Any], float]) -> float:
    """Return Krippendorff's alpha of units, each the values that readers gave it.

    Args:
        distance: of two values, 0 where they are the same.
    """
    pairable = [values for values in units if len(values) > 1]
    count = sum(map(len, pairable))
    observed = sum(
        sum(distance(a, b) for a, b in itertools.permutations(values, 2)) / (len(values) - 1)
        for values in pairable
    )
    every = [value for values in pairable for value in values]
    known: dict[Hashable, int] = defaultdict(int)
    for value in every:
        known[value] += 1
    expected = sum(n * m * distance(a, b) for a, n in known.items() for b, m in known.items())
    return 1 - (count - 1) * observed / expected if expected else 1.0


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Return what share of two sets they do not have in common."""
    return 1 - len(a & b) / len(a | b) if a | b else 0.0


def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a file of readings."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def main() -> None:
    """Print the agreement on actions by facet, and on pairs by kind and degree."""
    sets: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows("actions.csv"):
        counts[row["activity"]][row["reading"]] += 1
        for facet in FACETS:
            sets[facet, row["activity"]][row["reading"]].update(row[facet].split())
    print("| of an activity | alpha |\n|---|---|")
    numbers = [list(found.values()) for found in counts.values()]
    print(f"| number of actions | {alpha(numbers, lambda a, b: (a - b) ** 2):.2f} |")
    for facet in FACETS:
        units = [[*map(frozenset, v.values())] for (name, _), v in sets.items() if name == facet]
        print(f"| {facet} | {alpha(units, jaccard):.2f} |")
    pairs: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for row in rows("readings.csv"):
        pairs[row["a"], row["b"]].append(row)
    kinds = [[row["kind"] for row in found] for found in pairs.values()]
    degrees = [[int(row["degree"]) for row in found] for found in pairs.values()]
    print("\n| of a pair | alpha |\n|---|---|")
    print(f"| kind | {alpha(kinds, lambda a, b: float(a != b)):.2f} |")
    print(f"| degree | {alpha(degrees, lambda a, b: (a - b) ** 2):.2f} |")


if __name__ == "__main__":
    main()
