"""What two activities share, as numbers from 0 up, for blocks of pairs.

Each feature is an inner product of two rows, so that a block of pairs is a product of matrices.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ..terms import CODE
from .corpus import SCHEMES, Activity, Corpus

#: Base features, in the order of the columns.
BASE = (*SCHEMES, "words", "grams", "mentions", "stated", "subject")
#: How much a value of a facet counts by its rank; from the fourth one on, the last of these.
RANKS = (1.0, 1.0, 0.6, 0.4)
#: Deliverables that, by their scope notes, any plan may have for any system, and how much they count in
#: each of two activities.
GENERIC = frozenset(
    f"{CODE}deliverable/{key}"
    for key in ("concept-architecture", "iterative-release", "mobilised-resources")
)
GENERIC_WEIGHT = 0.7
#: How much a match on the broader code counts beside one on the code itself.
BROADER = 0.8
_WORD = re.compile(r"[a-z0-9]{3,}")
#: English words that carry no subject; rare words count by their rarity, these not at all.
STOP = frozenset(
    [
        "the",
        "and",
        "for",
        "with",
        "from",
        "that",
        "this",
        "these",
        "those",
        "are",
        "was",
        "were",
        "has",
        "have",
        "had",
        "not",
        "but",
        "its",
        "their",
        "them",
        "they",
        "our",
        "your",
        "who",
        "whom",
        "which",
        "what",
        "when",
        "where",
        "how",
        "why",
        "can",
        "could",
        "should",
        "would",
        "will",
        "shall",
        "may",
        "might",
        "must",
        "into",
        "onto",
        "than",
        "then",
        "also",
        "such",
        "other",
        "others",
        "each",
        "any",
        "all",
        "more",
        "most",
        "some",
        "able",
        "about",
        "through",
        "per",
        "via",
        "one",
        "two",
        "use",
        "using",
        "used",
        "based",
        "well",
        "including",
        "include",
        "within",
        "between",
        "among",
        "etc",
        "being",
        "been",
        "make",
        "making",
        "take",
        "different",
        "various",
        "new",
        "both",
    ]
)


def words(text: str) -> list[str]:
    """The words of a text in small letters without accents, those without subject left out.

    >>> words("Élaborer the plate-forme of 2030")
    ['elaborer', 'plate', 'forme', '2030']
    """
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    return [word for word in _WORD.findall(plain) if word not in STOP]


def stem(word: str) -> str:
    """A word without its plural ending; nothing else is guessed.

    >>> [stem(w) for w in ("policies", "meetings", "analysis", "process")]
    ['policy', 'meeting', 'analysis', 'process']
    """
    if word.endswith("ies") and len(word) > 5:
        return word[:-3] + "y"
    if word.endswith("s") and not word.endswith(("ss", "is", "us")) and len(word) > 3:
        return word[:-1]
    return word


def word_counts(activity: Activity) -> Counter[str]:
    """The words of an activity; those of the title twice."""
    return Counter(stem(w) for w in words(f"{activity.title} {activity.text}"))


def gram_counts(activity: Activity) -> Counter[str]:
    """Runs of four letters within the words, which related languages share."""
    found: Counter[str] = Counter()
    for word, count in Counter(words(f"{activity.title} {activity.text}")).items():
        padded = f" {word} "
        for i in range(max(1, len(padded) - 3)):
            found[padded[i : i + 4]] += count
    return found


class Terms:
    """Weighted terms of texts: ``(1 + log tf) * idf``, rows of length 1."""

    def __init__(
        self, count: Callable[[Activity], Counter[str]], activities: Sequence[Activity]
    ) -> None:
        self._count = count
        counted = [count(activity) for activity in activities]
        seen = Counter(term for counts in counted for term in counts)
        # What stands in one text alone joins no pair.
        self.index = {term: i for i, term in enumerate(sorted(t for t in seen if seen[t] > 1))}
        total = len(activities)
        self._idf = np.array(
            [np.log((1 + total) / (1 + seen[term])) + 1 for term in self.index], dtype=np.float32
        )
        self.matrix = self._rows(counted)

    @property
    def telling(self) -> float:
        """The weight of a term that one text in ten has."""
        return float(np.log(10) + 1)

    def rarity(self, term: str) -> float:
        """The weight of a term; 0 where fewer than two texts have it."""
        return float(self._idf[self.index[term]]) if term in self.index else 0.0

    def rows(self, activities: Iterable[Activity]) -> sparse.csr_array:
        """Rows of other texts, by the terms and weights of these."""
        return self._rows([self._count(activity) for activity in activities])

    def _rows(self, counted: Sequence[Counter[str]]) -> sparse.csr_array:
        data: list[float] = []
        columns: list[int] = []
        starts = [0]
        for counts in counted:
            kept = [(self.index[t], n) for t, n in counts.items() if t in self.index]
            row = np.array([1 + np.log(n) for _, n in kept], dtype=np.float32)
            row *= self._idf[[c for c, _ in kept]]
            length = float(np.sqrt(row @ row)) or 1.0
            data.extend(row / length)
            columns.extend(c for c, _ in kept)
            starts.append(len(data))
        shape = (len(counted), len(self.index))
        parts = (np.array(data, np.float32), np.array(columns, np.int32), np.array(starts))
        return sparse.csr_array(parts, shape=shape)


class FacetRows:
    """The codes of one list as rows, so that the product of two is the sum over shared codes of
    their inverse frequency (1 for a code that one activity has, 0 for one that all have), times rank
    and confidence in both. A generic deliverable counts less.
    """

    def __init__(self, corpus: Corpus, scheme: str) -> None:
        self._scheme = scheme
        self._broader = {iri: code.broader for iri, code in corpus.codes.items()}
        values = [self._values(activity) for activity in corpus.activities]
        used = Counter(code for of_one in values for code in of_one)
        total = len(values)
        self.index = {code: i for i, code in enumerate(sorted(used))}
        self.idf = {
            code: float(np.log((1 + total) / used[code]) / np.log(1 + total)) for code in used
        }
        self.matrix = self._rows(values)

    def rows(self, activities: Iterable[Activity]) -> np.ndarray:
        """Rows of other activities; codes that nobody here has are left out."""
        return self._rows([self._values(activity) for activity in activities])

    def _values(self, activity: Activity) -> dict[str, float]:
        values: dict[str, float] = {}
        for facet in activity.facets:
            if facet.scheme != self._scheme:
                continue
            weight = facet.confidence * RANKS[min(facet.rank, len(RANKS)) - 1]
            if facet.code in GENERIC:
                weight *= GENERIC_WEIGHT
            values[facet.code] = max(weight, values.get(facet.code, 0))
            if above := self._broader.get(facet.code):
                values[above] = max(weight * BROADER, values.get(above, 0))
        return values

    def _rows(self, values: Sequence[dict[str, float]]) -> np.ndarray:
        made = np.zeros((len(values), len(self.index)))
        for row, of_one in zip(made, values, strict=True):
            for code, weight in of_one.items():
                if code in self.index:
                    row[self.index[code]] = weight * np.sqrt(self.idf[code])
        return made


@dataclass(frozen=True)
class Rows:
    """Activities as rows of numbers, feature by feature."""

    activities: tuple[Activity, ...]
    matrices: Mapping[str, np.ndarray | sparse.csr_array]
    #: Number of each activity's group; -1 for a group that the corpus does not have.
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.activities)

    def part(self, start: int, stop: int) -> Rows:
        """The rows from `start` up to `stop`."""
        return Rows(
            self.activities[start:stop],
            {name: matrix[start:stop] for name, matrix in self.matrices.items()},
            self.groups[start:stop],
        )


class Space:
    """The features of pairs with the activities of a corpus."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.facets = {scheme: FacetRows(corpus, scheme) for scheme in SCHEMES}
        self.terms = {
            "words": Terms(word_counts, corpus.activities),
            "grams": Terms(gram_counts, corpus.activities),
            "mentions": Terms(lambda a: Counter(a.mentions), corpus.activities),
        }
        self._group = {g: i for i, g in enumerate(sorted({a.group for a in corpus.activities}))}
        self._stated = self._relations()
        self.own = Rows(
            corpus.activities,
            {name: part.matrix for name, part in (*self.facets.items(), *self.terms.items())},
            self._groups(corpus.activities),
        )
        self._subject = self._subjects()

    def rows(self, activities: Sequence[Activity]) -> Rows:
        """Rows of other activities, to be compared with those of the corpus."""
        parts = (*self.facets.items(), *self.terms.items())
        return Rows(
            tuple(activities),
            {name: part.rows(activities) for name, part in parts},
            self._groups(activities),
        )

    def features(self, rows: Rows) -> Iterator[tuple[str, np.ndarray]]:
        """The base features of all pairs of some rows with the corpus.

        Yields:
            The name, and an array (rows, activities of the corpus) of numbers from 0 up.
        """
        for name, matrix in rows.matrices.items():
            product = matrix @ self.own.matrices[name].T
            yield name, product.toarray() if sparse.issparse(product) else product
        yield "stated", self._stated[np.ix_(rows.groups, self.own.groups)]
        yield "subject", self._subject[np.ix_(rows.groups, self.own.groups)]

    def same_group(self, rows: Rows) -> np.ndarray:
        """Which pairs are not to be compared: (rows, activities of the corpus), bool."""
        named = np.array([bool(a.group) for a in rows.activities])
        return (rows.groups[:, None] == self.own.groups[None, :]) & named[:, None]

    def _groups(self, activities: Sequence[Activity]) -> np.ndarray:
        return np.array([self._group.get(a.group, -1) for a in activities], np.int32)

    def _relations(self) -> np.ndarray:
        """Which groups a remark relates; one row and column more, for groups that are not here."""
        size = len(self._group) + 1
        made = np.zeros((size, size), np.float32)
        for relation in self.corpus.relations:
            ends = sorted(self._group.get(end, -1) for end in relation.ends)
            if len(ends) == 2 and ends[0] >= 0:
                made[ends[0], ends[1]] = made[ends[1], ends[0]] = 1
        return made

    def _subjects(self) -> np.ndarray:
        """How much the topics of two groups have in common, each the mean of its activities; one row
        and column more, of zeros, for groups that are not here.
        """
        topics = self.own.matrices["topic"]
        total = np.zeros((len(self._group) + 1, topics.shape[1]), np.float32)
        np.add.at(total, self.own.groups, topics)
        if "" in self._group:
            total[self._group[""]] = 0
        counts = np.bincount(self.own.groups, minlength=len(total))
        mean = total / np.maximum(counts, 1)[:, None]
        return mean @ mean.T
