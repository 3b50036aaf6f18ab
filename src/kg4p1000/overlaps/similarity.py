"""What two activities share, as numbers from 0 up, for blocks of pairs.

Activities are rows of numbers, so that a feature of a block of pairs is a product of matrices.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction import DictVectorizer
from sklearn.feature_extraction.text import TfidfVectorizer, strip_accents_unicode

from ..terms import CODE
from .corpus import SCHEMES, Activity, Corpus, Facet

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
#: The weight of a term that one text in ten has; what is more frequent tells nothing.
TELLING = float(np.log(10) + 1)
#: Of codes that are guessed from a text: confidence, least cosine of letter runs, and how many a list.
GUESSED, NEAR, GUESSES = 0.5, 0.15, 2
_WORD = re.compile(r"[a-z0-9]{3,}")
#: Words that carry no subject. The English list of scikit-learn has "fire", "system" and "interest".
_STOP = {
    "en": frozenset((
        "the", "and", "for", "with", "from", "that", "this", "these", "those", "are", "was", "were", "has",
        "have", "had", "not", "but", "its", "their", "them", "they", "our", "your", "who", "whom", "which",
        "what", "when", "where", "how", "why", "can", "could", "should", "would", "will", "shall", "may",
        "might", "must", "into", "onto", "than", "then", "also", "such", "other", "others", "each", "any",
        "all", "more", "most", "some", "able", "about", "through", "per", "via", "one", "two", "use", "using",
        "used", "based", "well", "including", "include", "within", "between", "among", "etc", "being", "been",
        "make", "making", "take", "different", "various", "new", "both",
    )),
    "fr": frozenset((
        "les", "des", "une", "que", "qui", "dans", "pour", "par", "sur", "avec", "aux", "est", "sont", "ont",
        "ete", "etre", "ses", "son", "leur", "leurs", "cette", "ces", "plus", "ainsi", "comme", "entre",
        "afin", "dont", "elle", "elles", "ils", "nous", "vous", "pas", "lors", "sous", "sans", "chez", "mais",
    )),
    "es": frozenset((
        "del", "las", "los", "una", "con", "para", "por", "que", "sus", "como", "entre", "sobre", "desde",
        "esta", "este", "estas", "estos", "son", "han", "ser", "sea", "mas", "donde", "cuando", "tambien",
        "cada",
    )),
}  # fmt: skip


def words(text: str, language: str = "en") -> list[str]:
    """Return the words of a text in small letters without accents, those without subject left out.

    >>> words("Élaborer the plate-forme of 2030")
    ['elaborer', 'plate', 'forme', '2030']
    """
    plain = strip_accents_unicode(text.casefold())
    return [word for word in _WORD.findall(plain) if word not in _STOP[language]]


def stem(word: str) -> str:
    """Return a word without its plural ending; nothing else is guessed.

    >>> [stem(w) for w in ("policies", "meetings", "analysis", "process")]
    ['policy', 'meeting', 'analysis', 'process']
    """
    if word.endswith("ies") and len(word) > 5:
        return word[:-3] + "y"
    if word.endswith("s") and not word.endswith(("ss", "is", "us")) and len(word) > 3:
        return word[:-1]
    return word


def _title_twice(activity: Activity) -> list[str]:
    return words(f"{activity.title} {activity.text}")


#: Terms of an activity, as options of the vectorizer; related languages share runs of letters.
_WORDS = {"analyzer": lambda activity: [stem(word) for word in _title_twice(activity)]}
_GRAMS = {
    "analyzer": "char_wb",
    "ngram_range": (4, 4),
    "preprocessor": lambda activity: " ".join(_title_twice(activity)),
}
_MENTIONS = {"analyzer": lambda activity: activity.mentions}


class Terms:
    """Terms of activities, weighted by TF-IDF: ``(1 + log tf) * idf``, rows of length 1."""

    def __init__(self, activities: Sequence[Activity], options: Mapping[str, Any]) -> None:
        split = TfidfVectorizer(**options).build_analyzer()
        seen = Counter(term for activity in activities for term in set(split(activity)))
        # What stands in one text alone joins no pair. No text has the empty term; one there must be.
        shared = sorted(term for term, count in seen.items() if count > 1) or [""]
        self._table = TfidfVectorizer(
            **options, vocabulary=shared, sublinear_tf=True, dtype=np.float32
        ).fit(activities)

    def rarity(self, term: str) -> float:
        """Return the weight of a term; 0 where fewer than two texts have it."""
        place = self._table.vocabulary_.get(term)
        return 0.0 if place is None else float(self._table.idf_[place])

    def rows(self, activities: Iterable[Activity]) -> sparse.csr_array:
        """Return activities as rows of weights."""
        return sparse.csr_array(self._table.transform(activities))


class FacetRows:
    """The codes of one list as rows, so that the product of two is the sum over shared codes of
    their inverse frequency (1 for a code that one activity has, 0 for one that all have), times rank
    and confidence in both. A generic deliverable counts less.
    """

    def __init__(self, corpus: Corpus, scheme: str) -> None:
        self._scheme, self._codes = scheme, corpus.codes
        values = [self._values(activity) for activity in corpus.activities]
        used = Counter(code for of_one in values for code in of_one)
        total = 1 + len(values)
        self.idf = {code: float(np.log(total / n) / np.log(total)) for code, n in used.items()}
        self._table = DictVectorizer(sparse=False).fit(values)
        self.names: list[str] = self._table.feature_names_
        self._scale = np.sqrt([self.idf[code] for code in self.names])

    def rows(self, activities: Iterable[Activity]) -> np.ndarray:
        """Return activities as rows of weights; codes that nobody in the corpus has are left out."""
        return self._table.transform([self._values(a) for a in activities]) * self._scale

    def _values(self, activity: Activity) -> dict[str, float]:
        values: dict[str, float] = {}
        for facet in activity.facets:
            if facet.scheme != self._scheme:
                continue
            weight = facet.confidence * RANKS[min(facet.rank, len(RANKS)) - 1]
            if facet.code in GENERIC:
                weight *= GENERIC_WEIGHT
            values[facet.code] = max(weight, values.get(facet.code, 0))
            code = self._codes.get(facet.code)
            if code and code.broader:
                values[code.broader] = max(weight * BROADER, values.get(code.broader, 0))
        return values


class Space:
    """The features of pairs with the activities of a corpus."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.facets = {scheme: FacetRows(corpus, scheme) for scheme in SCHEMES}
        self.terms = {
            "words": Terms(corpus.activities, _WORDS),
            "grams": Terms(corpus.activities, _GRAMS),
            "mentions": Terms(corpus.activities, _MENTIONS),
        }
        self._parts = {**self.facets, **self.terms}
        self._own = {name: part.rows(corpus.activities) for name, part in self._parts.items()}
        names = sorted({a.group for a in corpus.activities})
        self._number = {name: i for i, name in enumerate(names)}
        self._groups = self._numbers(corpus.activities)
        self._stated, self._subjects = self._relations(), self._topics()

    def features(self, activities: Sequence[Activity]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the base features of all pairs of some activities with those of the corpus.

        Yields:
            The name, and an array (activities, activities of the corpus) of numbers from 0 up.
        """
        for name, part in self._parts.items():
            product = part.rows(activities) @ self._own[name].T
            yield name, product.toarray() if sparse.issparse(product) else product
        groups = self._numbers(activities)
        yield "stated", self._stated[groups][:, self._groups].toarray()
        yield "subject", self._subjects[groups] @ self._subjects[self._groups].T

    def same_group(self, activities: Sequence[Activity]) -> np.ndarray:
        """Return which pairs are not to be compared: (activities, activities of the corpus), bool."""
        named = np.array([bool(a.group) for a in activities])
        return (self._numbers(activities)[:, None] == self._groups[None, :]) & named[:, None]

    def _numbers(self, activities: Sequence[Activity]) -> np.ndarray:
        """Return the number of each activity's group; one more for groups that are not here."""
        return np.array([self._number.get(a.group, len(self._number)) for a in activities], int)

    def _relations(self) -> sparse.csr_array:
        """Return which groups a remark relates: (groups + 1, groups + 1)."""
        ends = [tuple(pair) for pair in self.corpus.relations if len(pair) == 2]
        places = [[self._number[e] for e in pair] for pair in ends if {*pair} <= {*self._number}]
        first, second = np.array(places, int).reshape(-1, 2).T
        size = len(self._number) + 1
        stated = sparse.coo_array((np.ones(len(places)), (first, second)), shape=(size, size))
        return (stated + stated.T).tocsr()

    def _topics(self) -> np.ndarray:
        """Return the topics of each group, as the mean of its activities; none for no group: (groups + 1, topics)."""
        topics = self._own["topic"] * [[bool(a.group)] for a in self.corpus.activities]
        total = np.zeros((len(self._number) + 1, topics.shape[1]))
        np.add.at(total, self._groups, topics)
        return total / np.maximum(np.bincount(self._groups, minlength=len(total)), 1)[:, None]


class Guesser:
    """Guesses the codes of activities without annotations from their texts, in any of the languages."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._known: dict[str, tuple[list[Activity], list[set[str]], Terms]] = {}

    def completed(self, activities: Iterable[Activity]) -> tuple[Activity, ...]:
        """Return activities, those without codes with the ones that are guessed."""
        return tuple(replace(a, facets=a.facets or self.codes(a)) for a in activities)

    def codes(self, given: Activity) -> tuple[Facet, ...]:
        """Return the codes whose label and definition are nearest to a text, a few of each list.

        A code shares a whole word with the text: by letter runs alone, a poll would be near to polluters.
        """
        language = given.language
        if language not in self._known:
            codes = [
                Activity(code.iri, code.labels[language], code.notes.get(language, ""), language)
                for code in self._corpus.codes.values()
                if language in code.labels
            ]
            self._known[language] = codes, [_stems(c) for c in codes], Terms(codes, _GRAMS)
        codes, stems, terms = self._known[language]
        near = (terms.rows([given]) @ terms.rows(codes).T).toarray()[0]
        own = _stems(given)
        guessed: list[Facet] = []
        ranks = Counter(dict.fromkeys(SCHEMES, 0))
        for place in np.lexsort(([c.id for c in codes], -near)):
            facet = Facet(codes[place].id, 1, GUESSED, guessed=True)
            fits = near[place] >= NEAR and own & stems[place] and facet.code not in given.refused
            if fits and ranks[facet.scheme] < GUESSES:
                ranks[facet.scheme] += 1
                guessed.append(replace(facet, rank=ranks[facet.scheme]))
        return tuple(guessed)


def _stems(activity: Activity) -> set[str]:
    return {stem(word) for word in words(activity.text, activity.language)}
