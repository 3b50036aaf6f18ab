"""Choose the weights of the overlaps on judged pairs, and say how good they are.

Run ``python bench/fit_overlaps.py`` to print the figures of docs/overlaps.md, and with ``--write VERSION`` to write
``src/kg4p1000/overlaps/weights.toml`` too. The result depends on the files of the repository alone.

The judged pairs are two files: ``a,b,label,votes`` with the pairs that readers saw as ``duplicate``, ``overlap`` or
``unsure`` (neither right nor wrong), and the pairs of objectives that they cover, in which every other pair is unrelated.
"""

from __future__ import annotations

import csv
import itertools
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, ndcg_score

from kg4p1000.curation.build import parse_file, sources
from kg4p1000.overlaps import corpus
from kg4p1000.overlaps.decisions import KINDS
from kg4p1000.overlaps.scoring import WEIGHTS, Model, Read, fit, pairs, refit, sigmoid
from kg4p1000.overlaps.similarity import SCHEMES, Space
from kg4p1000.store import MemoryGraph

ROOT = Path(__file__).parent.parent
NAMES = (*SCHEMES, "words", "grams", "stated", "subject")
SEEDS = range(10)
HEADER = """# Weights of the overlaps: what two activities share, to log odds. Written by bench/fit_overlaps.py,
# which fits them to the judged pairs of tests/fixtures/overlaps; docs/overlaps.md has the figures.

version = "{version}"
intercept = {intercept:.4f}
# Slope and intercept (Platt) from the score to the probability that two readers of three see a relation,
# and to the probability that they see a duplicate; from cross-validated scores.
confidence = [{c[0]:.4f}, {c[1]:.4f}]
duplicate = [{d[0]:.4f}, {d[1]:.4f}]
# No confidence is higher than the best precision that the judged pairs bear out.
surest = {surest:.2f}
# Pairs from this confidence on are stored in the graph.
stored_from = 0.2
# Pairs from this probability of a duplicate on are called duplicates.
duplicates_from = 0.5
# Pairs with no kind of action in common are called complements when deliverables and topics both share this much.
complements_from = 0.5

[weights]
"""
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
    """Return the pair of objectives that a pair of activities is of, such as ``A4-D2``."""
    return "-".join(sorted(code.split(".")[0] for code in pair))


def figures(ranked: Sequence[Pair], gold: Gold, first: int = 40) -> dict[str, float]:
    """Return how good a ranking of all pairs is, best first.

    Returns:
        ``ap_related``, ``ap_duplicates`` (average precision), ``duplicates_first`` (how many among
        the first), ``duplicates`` (of how many) and ``ndcg`` (at the first, gains the votes).
    """
    judged = [pair for pair in ranked if gold.judged(pair)]
    scores = -np.arange(len(judged))
    related = np.array([gold.related(pair) for pair in judged])
    duplicate = np.array([gold.labels.get(pair) == "duplicate" for pair in judged])
    votes = [gold.votes.get(pair, 0) for pair in judged]
    return {
        "ap_related": float(average_precision_score(related, scores)),
        "ap_duplicates": float(average_precision_score(duplicate, scores)),
        "duplicates_first": float(duplicate[:first].sum()),
        "duplicates": float(duplicate.sum()),
        "ndcg": float(ndcg_score([votes], [scores], k=first)),
    }


def folds(names: Sequence[str], parts: int, seed: int) -> np.ndarray:
    """Return the number of the part of each name; the same name always goes into the same part."""
    known = sorted(set(names))
    shuffled = np.random.default_rng(seed).permutation(len(known))
    part = {name: int(place) % parts for name, place in zip(known, shuffled, strict=True)}
    return np.array([part[name] for name in names])


def reliability(
    confidences: np.ndarray, right: np.ndarray, edges: Sequence[float]
) -> list[dict[str, float]]:
    """Return how often pairs of a confidence are right, a row a bin: ``from``, ``to``, ``pairs``, ``said``, ``true``."""
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
    """Return the highest precision that a ranking bears out: of all its beginnings, the best by Laplace's rule.

    Of n pairs of which r are right it is (r + 1) / (n + 2), so that it comes near 1 with many pairs only.
    """
    best_first = right[np.argsort(-scores, kind="stable")]
    counts = np.arange(1, len(right) + 1)
    return float(((np.cumsum(best_first) + 1) / (counts + 2)).max())


def platt(scores: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the slope (zero or more) and intercept that make probabilities of scores.

    Source: J. Platt, Probabilistic outputs for support vector machines, 1999, with its targets for
    few examples.
    """
    positive, negative = float(labels.sum()), float((1 - labels).sum())
    target = np.where(labels > 0.5, (positive + 1) / (positive + 2), 1 / (negative + 2))
    slope, intercept = fit(scores[:, None], target, np.zeros(2), np.array([1e-6, 0]))
    return float(slope), float(intercept)


@dataclass(frozen=True)
class Judged:
    """The judged pairs of a plan with their features, ready to fit and to score.

    Attributes:
        pairs: (n) ids.
        features: (n, features), in the order of `names`.
        right: (n) whether related, 0 or 1.
        duplicate: (n) whether a duplicate, bool.
        worth: (n) share of the votes that the pair got, from 0 to 1; what the model is fitted to.
        degree: (n) mean degree of the readings; not a number for pairs that nobody read.
        kinds: (n) what the readings call the pairs; empty where nobody read them or all call them unrelated.
    """

    pairs: list[Pair]
    names: tuple[str, ...]
    features: np.ndarray
    right: np.ndarray
    duplicate: np.ndarray
    worth: np.ndarray
    degree: np.ndarray
    kinds: list[str]
    gold: Gold

    @classmethod
    def of(cls, space: Space, gold: Gold, names: Sequence[str]) -> Judged:
        """Return the judged ones among all pairs of a space."""
        both, columns = pairs(space)
        keys = [(a.id, b.id) for a, b in both]
        kept = [k for k, key in enumerate(keys) if gold.judged(key)]
        chosen, judged = [keys[k] for k in kept], space.corpus.judgements
        return cls(
            chosen,
            tuple(names),
            np.stack([columns[name][kept] for name in names], axis=1),
            np.array([float(gold.related(pair)) for pair in chosen]),
            np.array([gold.labels.get(pair) == "duplicate" for pair in chosen]),
            np.array([gold.votes.get(pair, 0) / 6 for pair in chosen]),
            np.array([judged[p].degree if p in judged else np.nan for p in map(frozenset, chosen)]),
            [
                judged[p].chosen.kind if p in judged and judged[p].chosen else ""
                for p in map(frozenset, chosen)
            ],
            gold,
        )

    def fitted(self, some: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Weights, and the intercept as the last one, from some of the pairs."""
        penalty = np.r_[np.full(len(self.names), PENALTY), 0]
        return fit(self.features[some], self.worth[some], np.zeros(len(penalty)), penalty)

    def hold(self, weights: np.ndarray, some: np.ndarray | slice = slice(None)) -> np.ndarray:
        """How much the pairs tell of each weight and of the intercept: the diagonal of the Fisher information."""
        seen = sigmoid(self.scores(weights)[some])
        return (np.c_[self.features[some], np.ones(len(seen))] ** 2).T @ (seen * (1 - seen))

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """Scores of all pairs."""
        return self.features @ weights[:-1] + weights[-1]

    def figures(self, scores: np.ndarray) -> dict[str, float]:
        """Return how good the ranking by some scores is; equal scores in the order of the pairs."""
        ranked = sorted(range(len(self.pairs)), key=lambda i: (-scores[i], self.pairs[i]))
        return figures([self.pairs[i] for i in ranked], self.gold)

    @property
    def read(self) -> np.ndarray:
        """Which pairs were read: (n), bool."""
        return ~np.isnan(self.degree)

    def fitted_readings(self, scores: np.ndarray, some: np.ndarray) -> np.ndarray:
        """Weights of the score before and of the degree, and the intercept, from some of the pairs that were read."""
        features = np.c_[scores, self.degree][some & self.read]
        worth = self.worth[some & self.read]
        return fit(features, worth, np.zeros(3), np.array([PENALTY, PENALTY, 0]))

    def with_readings(self, scores: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Scores of all pairs, where they were read with what the readings add."""
        return np.where(
            self.read,
            np.c_[scores, np.nan_to_num(self.degree)] @ weights[:-1] + weights[-1],
            scores,
        )

    def cross_validated(self, seed: int, parts: int = 6, *, readings: bool = True) -> np.ndarray:
        """Scores of all pairs, each by weights from the pairs that have none of its two objectives' parts.

        Objectives, not pairs, go into parts: no activity of a pair has been seen by its weights in any other pair.
        """
        names = [[code.split(".")[0] for code in pair] for pair in self.pairs]
        part = folds([name for both in names for name in both], parts, seed).reshape(-1, 2)
        scores = np.zeros(len(self.pairs))
        for one, other in itertools.combinations_with_replacement(range(parts), 2):
            held = (np.sort(part, axis=1) == (one, other)).all(axis=1)
            seen = ~np.isin(part, (one, other)).any(axis=1)
            found = self.scores(self.fitted(seen))
            if readings:
                found = self.with_readings(found, self.fitted_readings(found, seen))
            scores[held] = found[held]
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
    half = folds([objectives(pair) for pair in judged.pairs], 2, seed)
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


def judged_pairs() -> Judged:
    """Return the judged pairs with their features, from the files of the repository."""
    paths = [s.path for s in sources(ROOT) if s.path.parent.name != "shapes"]
    graph = MemoryGraph(t for path in paths for t in parse_file(path))
    folder = ROOT / "tests" / "fixtures" / "overlaps"
    gold = Gold.load(folder / "gold.csv", folder / "objective_pairs.txt")
    return Judged.of(Space(corpus.read(graph.select)), gold, NAMES)


def table_row(name: str, figures: dict[str, float]) -> str:
    """Return a line of the table of figures."""
    f = figures
    return (
        f"| {name} | {f['ap_related']:.2f} | {f['ap_duplicates']:.2f} |"
        f" {f['duplicates_first']:.1f} of {f['duplicates']:.0f} | {f['ndcg']:.2f} |"
    )


def kinds(given: Judged, validated: list[np.ndarray], model: Model) -> None:
    """Print what readers saw in the pairs of each kind, in the mean of the divisions."""
    seen: Counter[tuple[str, str]] = Counter()
    for scores in validated:
        for number in np.flatnonzero(model.read_confidences(scores) >= model.stored_from):
            if given.kinds[number]:
                label = given.gold.labels.get(given.pairs[number], "unrelated")
                seen[given.kinds[number], label] += 1
    columns = ("duplicate", "overlap", "unrelated")
    print(f"\n| called | {' | '.join(columns)} | related |\n|---|---|---|---|---|")
    for kind in KINDS:
        counts = np.array([seen[kind, column] for column in columns]) / len(validated)
        share = counts[:2].sum() / max(counts.sum(), 1e-9)
        print(f"| {kind} | {' | '.join(f'{n:.1f}' for n in counts)} | {100 * share:.0f} % |")


def calibrated(
    given: Judged, validated: list[np.ndarray], some: np.ndarray
) -> tuple[tuple[float, float], tuple[float, float], float]:
    """Print what confidences say of some pairs against what is true.

    Returns:
        Slope and intercept for a relation and for a duplicate, and the highest precision borne out.
    """
    scores = np.concatenate([one[some] for one in validated])
    right, duplicate = (
        np.tile(labels[some], len(validated)).astype(float)
        for labels in (given.right, given.duplicate)
    )
    related, doubled = platt(scores, right), platt(scores, duplicate)
    most = float(np.mean([surest(one[some], given.right[some]) for one in validated]))
    print(f"\nhighest precision borne out: {most:.2f}")
    confidences = np.minimum(sigmoid(related[0] * scores + related[1]), most)
    print("\n| confidence | pairs | said | true |\n|---|---|---|---|")
    for row in reliability(confidences, right, (0, 0.05, 0.1, 0.25, 0.5, 0.75, 1.01)):
        print(
            f"| {row['from']:.2f} to {min(row['to'], 1):.2f} | {row['pairs'] / len(validated):.0f} |"
            f" {row['said']:.2f} | {row['true']:.2f} |"
        )
    return related, doubled, most


def main() -> None:
    """Print the figures; write the weights when asked to."""
    given = judged_pairs()
    weights = given.fitted()
    print("| ranking | AP related | AP duplicates | duplicates in the first 40 | nDCG at 40 |")
    print("|---|---|---|---|---|")
    for number, name in enumerate(NAMES):
        print(table_row(name, given.figures(given.features[:, number])))
    validated = {}
    for name, readings in (
        ("all, cross-validated", False),
        ("with readings, cross-validated", True),
    ):
        validated[readings] = [given.cross_validated(seed, readings=readings) for seed in SEEDS]
        all_figures = [given.figures(scores) for scores in validated[readings]]
        mean = {name: float(np.mean([f[name] for f in all_figures])) for name in all_figures[0]}
        print(table_row(name, mean))
    added = given.fitted_readings(given.scores(weights), np.ones(len(given.pairs), bool))
    print(
        table_row(
            "with readings, fitted",
            given.figures(given.with_readings(given.scores(weights), added)),
        )
    )

    print("\n| | weight | bootstrap, 5 % to 95 % |\n|---|---|---|")
    low, high = np.percentile(given.bootstrap(100), [5, 95], axis=0)
    for name, w, a, b in zip((*NAMES, "intercept"), weights, low, high, strict=True):
        print(f"| {name} | {w:.2f} | {a:.2f} to {b:.2f} |")
    related, doubled, most = calibrated(given, validated[False], np.ones(len(given.pairs), bool))
    sure, _, top = calibrated(given, validated[True], given.read)
    read = Read(*map(float, added), sure, top)
    model = replace(Model.load(), confidence=related, duplicate=doubled, surest=most, read=read)
    kinds(given, validated[True], model)
    for learning in (False, True):
        needed = [n for seed in SEEDS for n in effort(given, seed, learning=learning)]
        print(
            f"pairs to look at, {'with' if learning else 'without'} learning: {np.mean(needed):.1f}"
        )
    if "--write" in sys.argv:
        write(sys.argv[sys.argv.index("--write") + 1], given, weights, model)


def write(version: str, given: Judged, weights: np.ndarray, model: Model) -> None:
    """Write the file of the weights."""
    text = HEADER.format(
        version=version,
        intercept=weights[-1],
        c=model.confidence,
        d=model.duplicate,
        surest=model.surest,
    )
    lines = [f"{name} = {w:.4f}\n" for name, w in zip(NAMES, weights[:-1], strict=True)]
    lines += [
        "\n# What the judged pairs tell of each (Fisher information); decisions are weighed against it.\n[hold]\n"
    ]
    held = zip((*NAMES, "intercept"), given.hold(weights), strict=True)
    lines += [f"{name} = {h:.4f}\n" for name, h in held]
    read = model.read
    lines += [
        "\n# Of a pair that was read: the score above is the prior, the mean degree of the readings adds to it.\n[read]\n",
        f"prior = {read.prior:.4f}\ndegree = {read.degree:.4f}\nintercept = {read.intercept:.4f}\n",
        f"confidence = [{read.confidence[0]:.4f}, {read.confidence[1]:.4f}]\nsurest = {read.surest:.2f}\n",
    ]
    WEIGHTS.write_text(text + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
