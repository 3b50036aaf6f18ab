"""Choose the weights of the overlaps on judged pairs, and say how good they are.

Run ``python bench/fit_overlaps.py`` to print the figures of docs/overlaps.md, and with ``--write VERSION`` to write
``src/kg4p1000/overlaps/weights.toml`` too. The result depends on the files of the repository alone.
"""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from kg4p1000.build import parse_file, sources
from kg4p1000.overlaps import corpus
from kg4p1000.overlaps.evaluation import Gold, Judged, effort, reliability, surest
from kg4p1000.overlaps.model import WEIGHTS, Model, platt, sigmoid
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


def judged() -> Judged:
    """The judged pairs with their features, from the files of the repository."""
    paths = [s.path for s in sources(ROOT) if s.path.parent.name != "shapes"]
    graph = MemoryGraph(t for path in paths for t in parse_file(path))
    folder = ROOT / "tests" / "fixtures" / "overlaps"
    gold = Gold.load(folder / "gold.csv", folder / "objective_pairs.txt")
    return Judged.of(Space(corpus.read(graph.select)), gold, NAMES)


def told(name: str, figures: dict[str, float]) -> str:
    """A line of the table of figures."""
    f = figures
    return (
        f"| {name} | {f['ap_related']:.2f} | {f['ap_duplicates']:.2f} |"
        f" {f['duplicates_first']:.1f} of {f['duplicates']:.0f} | {f['ndcg']:.2f} |"
    )


def kinds(given: Judged, validated: list[np.ndarray], model: Model) -> None:
    """Print what readers saw in the pairs of each kind, in the mean of the divisions."""
    seen: Counter[tuple[str, str]] = Counter()
    features = [dict(zip(NAMES, row, strict=True)) for row in given.features]
    for scores in validated:
        sure = model.confidences(scores)
        for number in np.flatnonzero(sure >= model.stored):
            kind = model.kind(float(scores[number]), features[number])
            seen[kind, given.gold.labels.get(given.pairs[number], "unrelated")] += 1
    columns = ("duplicate", "overlap", "unrelated")
    print(f"\n| called | {' | '.join(columns)} | related |\n|---|---|---|---|---|")
    for kind in ("duplicates", "overlaps", "complements"):
        counts = np.array([seen[kind, column] for column in columns]) / len(validated)
        share = counts[:2].sum() / max(counts.sum(), 1e-9)
        print(f"| {kind} | {' | '.join(f'{n:.1f}' for n in counts)} | {100 * share:.0f} % |")


def main() -> None:
    """Print the figures; write the weights when asked to."""
    given = judged()
    weights = given.fitted()
    print("| ranking | AP related | AP duplicates | duplicates in the first 40 | nDCG at 40 |")
    print("|---|---|---|---|---|")
    for number, name in enumerate(NAMES):
        print(told(name, given.figures(given.features[:, number])))
    validated = [given.cross_validated(seed) for seed in SEEDS]
    all_figures = [given.figures(scores) for scores in validated]
    mean = {name: float(np.mean([f[name] for f in all_figures])) for name in all_figures[0]}
    print(told("all, cross-validated", mean))
    print(told("all, fitted", given.figures(given.scores(weights))))

    print("\n| | weight | bootstrap, 5 % to 95 % |\n|---|---|---|")
    low, high = np.percentile(given.bootstrap(100), [5, 95], axis=0)
    for name, w, a, b in zip((*NAMES, "intercept"), weights, low, high, strict=True):
        print(f"| {name} | {w:.2f} | {a:.2f} to {b:.2f} |")

    scores = np.concatenate(validated)
    right, duplicate = np.tile(given.right, len(SEEDS)), np.tile(given.duplicate, len(SEEDS))
    calibrated, doubled = platt(scores, right), platt(scores, duplicate.astype(float))
    most = float(np.mean([surest(one, given.right) for one in validated]))
    print(f"\nhighest precision borne out: {most:.2f}")
    confidences = np.minimum(sigmoid(calibrated[0] * scores + calibrated[1]), most)
    print("\n| confidence | pairs | said | true |\n|---|---|---|---|")
    for row in reliability(confidences, right, (0, 0.05, 0.1, 0.25, 0.5, 0.75, 1.01)):
        print(
            f"| {row['from']:.2f} to {min(row['to'], 1):.2f} | {row['pairs'] / len(SEEDS):.0f} |"
            f" {row['said']:.2f} | {row['true']:.2f} |"
        )
    model = replace(Model.load(), confidence=calibrated, duplicate=doubled, surest=most)
    kinds(given, validated, model)
    for learning in (False, True):
        needed = [n for seed in SEEDS for n in effort(given, seed, learning=learning)]
        print(
            f"pairs to look at, {'with' if learning else 'without'} learning: {np.mean(needed):.1f}"
        )
    if "--write" in sys.argv:
        version = sys.argv[sys.argv.index("--write") + 1]
        text = HEADER.format(
            version=version, intercept=weights[-1], c=calibrated, d=doubled, surest=most
        )
        lines = [f"{name} = {w:.4f}\n" for name, w in zip(NAMES, weights[:-1], strict=True)]
        lines += [
            "\n",
            "# What the judged pairs tell of each (Fisher information); decisions are weighed against it.\n",
        ]
        held = zip((*NAMES, "intercept"), given.hold(weights), strict=True)
        lines += ["[hold]\n", *(f"{name} = {h:.4f}\n" for name, h in held)]
        WEIGHTS.write_text(text + "".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
