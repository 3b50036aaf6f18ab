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

from ..kernel.terms import CODE
from .corpus import SCHEMES, Activity, Corpus, Facet, scheme_of

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


class Codes:
    """The codes of activities as weights, so that the product of two rows is the sum over shared codes of
    their inverse frequency (1 for a code that one activity has, 0 for one that all have), times rank
    and confidence in both. A generic deliverable counts less.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._codes = corpus.codes
        values = [self._values(activity) for activity in corpus.activities]
        total = 1 + len(values)
        self.idf = {
            code: float(np.log(total / count) / np.log(total))
            for code, count in Counter(code for of_one in values for code in of_one).items()
        }
        self._table = DictVectorizer(sparse=False).fit(values)
        self._scale = np.sqrt([self.idf[code] for code in self._table.feature_names_])
        schemes = np.array([scheme_of(code) for code in self._table.feature_names_])
        self._columns = {scheme: np.flatnonzero(schemes == scheme) for scheme in SCHEMES}

    def rows(self, activities: Iterable[Activity]) -> dict[str, np.ndarray]:
        """Return activities as rows of weights, by code list; codes that the corpus lacks are left out."""
        table = self._table.transform([self._values(a) for a in activities]) * self._scale
        return {scheme: table[:, columns] for scheme, columns in self._columns.items()}

    def _values(self, activity: Activity) -> dict[str, float]:
        values: dict[str, float] = {}
        for facet in activity.facets:
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
        if not corpus.activities:  # a table has a row or more
            corpus = replace(corpus, activities=(Activity("", ""),))
        self.corpus = corpus
        self.codes = Codes(corpus)
        self.words, self._grams = Terms(corpus.activities, _WORDS), Terms(corpus.activities, _GRAMS)
        names = sorted({a.group for a in corpus.activities})
        self._number = {name: i for i, name in enumerate(names)}
        self._groups = self._numbers(corpus.activities)
        self._stated, self._topics = self._related_groups(), self._topics_of_groups()
        self._own = self._rows(corpus.activities)

    def features(self, activities: Sequence[Activity]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the base features of all pairs of some activities with those of the corpus.

        Yields:
            The name, and an array (activities, activities of the corpus) of numbers from 0 up.
        """
        for name, rows in self._rows(activities).items():
            product = rows @ self._own[name].T
            yield name, product.toarray() if sparse.issparse(product) else product
        yield "stated", self._stated[self._numbers(activities)][:, self._groups].toarray()

    def _rows(self, activities: Sequence[Activity]) -> dict[str, np.ndarray | sparse.csr_array]:
        return {
            **self.codes.rows(activities),
            "words": self.words.rows(activities),
            "grams": self._grams.rows(activities),
            "subject": self._topics[self._numbers(activities)],
        }

    def same_group(self, activities: Sequence[Activity]) -> np.ndarray:
        """Return which pairs are not to be compared: (activities, activities of the corpus), bool."""
        named = np.array([bool(a.group) for a in activities])
        return (self._numbers(activities)[:, None] == self._groups[None, :]) & named[:, None]

    def _numbers(self, activities: Sequence[Activity]) -> np.ndarray:
        """Return the number of each activity's group; one more for groups that are not here."""
        return np.array([self._number.get(a.group, len(self._number)) for a in activities], int)

    def _related_groups(self) -> sparse.csr_array:
        """Return which groups a remark relates."""
        stated = sparse.lil_array((len(self._number) + 1,) * 2)
        for ends in self.corpus.relations:
            if len(ends) == 2 and ends <= self._number.keys():
                one, other = (self._number[end] for end in ends)
                stated[one, other] = stated[other, one] = 1
        return stated.tocsr()

    def _topics_of_groups(self) -> np.ndarray:
        """Return the topics of each group as the mean of its activities; none for no group."""
        topics = self.codes.rows(self.corpus.activities)["topic"]
        total = np.zeros((len(self._number) + 1, topics.shape[1]))
        np.add.at(total, self._groups, topics)
        if "" in self._number:
            total[self._number[""]] = 0
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
            if not codes:
                return ()
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
