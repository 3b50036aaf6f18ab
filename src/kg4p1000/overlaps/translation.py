"""Activities in French or Spanish, brought to the words and codes of the English ones.

The graph has labels, definitions and notes in three languages. From these sentence pairs a table of word
translations is learnt; and a text that has no annotation gets the codes whose own texts, in its
language, are nearest to it. Nothing is asked of any other service.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np

from .corpus import SCHEMES, Activity, Corpus, Facet
from .similarity import Terms, gram_counts, stem, words

#: Rounds of the expectation maximisation; more change little.
_ROUNDS = 6
#: A translation counts from this probability on, and at most so many of a word.
_LEAST, _MOST = 0.12, 3
_EMPTY = ""
#: Words without subject in the other languages.
_STOP = frozenset(
    [
        "les",
        "des",
        "une",
        "que",
        "qui",
        "dans",
        "pour",
        "par",
        "sur",
        "avec",
        "aux",
        "est",
        "sont",
        "ont",
        "ete",
        "etre",
        "ses",
        "son",
        "leur",
        "leurs",
        "cette",
        "ces",
        "plus",
        "ainsi",
        "comme",
        "entre",
        "afin",
        "dont",
        "elle",
        "elles",
        "ils",
        "nous",
        "vous",
        "pas",
        "lors",
        "sous",
        "sans",
        "chez",
        "mais",
        "ou",
        "del",
        "las",
        "los",
        "una",
        "con",
        "para",
        "por",
        "que",
        "sus",
        "como",
        "entre",
        "sobre",
        "desde",
        "esta",
        "este",
        "estas",
        "estos",
        "son",
        "han",
        "ser",
        "sea",
        "mas",
        "donde",
        "cuando",
        "tambien",
        "al",
        "cada",
    ]
)
#: How sure a code is that was guessed from the text.
_GUESSED = 0.5
#: Least similarity (cosine of letter runs) of a text and the label and definition of a code that is guessed.
_NEAR = 0.15


def foreign_words(text: str) -> list[str]:
    """The words of a French or Spanish text, by their stems."""
    return [_root(word) for word in words(text) if word not in _STOP]


def _root(word: str) -> str:
    """A word without what its gender, number and person add: its first letters."""
    return word[:6] if len(word) > 7 else stem(word)


class Translation:
    """Which English words stand for the words of another language.

    Source: P. Brown et al., The mathematics of statistical machine translation, 1993 (model 1).
    """

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        corpus = [
            (foreign_words(text), [stem(w) for w in words(english)] + [_EMPTY])
            for text, english in pairs
        ]
        table: dict[str, dict[str, float]] = defaultdict(dict)
        for foreign, english in corpus:
            for word in foreign:
                table[word].update(dict.fromkeys(english, 1.0))
        for _ in range(_ROUNDS):
            table = self._round(corpus, table)
        self._table = {word: self._best(found) for word, found in table.items()}

    @staticmethod
    def _round(corpus, table):
        counts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        totals: dict[str, float] = defaultdict(float)
        for foreign, english in corpus:
            for word in foreign:
                known = table[word]
                total = sum(known[other] for other in english)
                for other in english:
                    share = known[other] / total
                    counts[word][other] += share
                    totals[other] += share
        # p(foreign word | English word), so that frequent English words do not explain everything.
        return {
            word: {other: n / totals[other] for other, n in found.items()}
            for word, found in counts.items()
        }

    @staticmethod
    def _best(found: dict[str, float]) -> list[str]:
        """English words, most probable first."""
        total = sum(found.values())
        ranked = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:_MOST]
        return [other for other, n in ranked if other != _EMPTY and n / total >= _LEAST]

    def english(self, text: str) -> str:
        """The English words that a text may mean, in its order; words that are not known stay out."""
        return " ".join(
            other for word in foreign_words(text) for other in self._table.get(word, ())
        )


class Pivot:
    """Brings activities of any of the languages, annotated or not, to those of a corpus."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._translations: dict[str, Translation] = {}
        self._codes: dict[str, tuple[list[str], list[set[str]], Terms]] = {}

    def activity(self, given: Activity) -> Activity:
        """The activity with English words beside its own, and with codes where it has none."""
        facets = given.facets or self.codes(given)
        if given.language == "en":
            return replace(given, facets=facets)
        if given.language not in self._translations:
            pairs = [
                (t, e) for language, t, e in self._corpus.parallel if language == given.language
            ]
            self._translations[given.language] = Translation(pairs)
        table = self._translations[given.language]
        return replace(
            given,
            title=f"{given.title} {table.english(given.title)}",
            description=f"{given.description} {table.english(given.description)}",
            facets=facets,
        )

    def codes(self, given: Activity) -> tuple[Facet, ...]:
        """Codes guessed from the text: the two nearest of each list, the nearest one first.

        A code shares a whole word with the text: by letter runs alone, a poll would be near to polluters.
        """
        if given.language not in self._codes:
            told = [
                Activity(
                    code.iri,
                    code.labels[given.language],
                    code.notes.get(given.language, ""),
                    given.language,
                )
                for code in self._corpus.codes.values()
                if given.language in code.labels
            ]
            named = [_stems(a) for a in told]
            self._codes[given.language] = [a.id for a in told], named, Terms(gram_counts, told)
        codes, named, terms = self._codes[given.language]
        near = np.asarray((terms.rows([given]) @ terms.matrix.T).todense())[0]
        own = _stems(given)
        found: list[Facet] = []
        left = Counter(dict.fromkeys(SCHEMES, 2))
        for place in np.lexsort((codes, -near)):
            made = Facet(codes[place], 1, _GUESSED, guessed=True)
            fits = near[place] >= _NEAR and own & named[place] and made.code not in given.refused
            if fits and left[made.scheme]:
                rank = 3 - left[made.scheme]
                left[made.scheme] -= 1
                found.append(replace(made, rank=rank))
        return tuple(found)


def _stems(activity: Activity) -> set[str]:
    """The stems of an activity's words, in its language."""
    if activity.language == "en":
        return {stem(word) for word in words(activity.text)}
    return set(foreign_words(activity.text))


def completed(corpus: Corpus) -> Corpus:
    """The corpus with guessed codes for the activities that have no annotation."""
    if all(activity.facets for activity in corpus.activities):
        return corpus
    pivot = Pivot(corpus)
    return replace(
        corpus,
        activities=tuple(replace(a, facets=a.facets or pivot.codes(a)) for a in corpus.activities),
    )
