"""Why two activities overlap: what they share, and one sentence from it."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..kernel.texts import isolated
from .corpus import LANGUAGES, SCHEMES, Activity, Code
from .similarity import Space, stem, words

#: How many of each a sentence names, and how many phrases.
_NAMED, _PHRASES = 2, 3
#: What one activity in so many has tells nothing; the weight of a word that so many have.
_FREQUENT = 10
_TELLING = math.log(_FREQUENT) + 1
_TOKEN = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
#: What sentences are made of, in the order of `LANGUAGES`.
_WORDS = {
    "both": ("both", "toutes deux", "ambas"),
    "seemingly": ("both seem to", "toutes deux, semble-t-il,", "ambas, al parecer,"),
    "and": (" and ", " et ", " y "),
    "and to": (" and to ", " et ", " y "),
    "then": (", and ", " et ", " y "),
    "action": ("plan to {}", "prévoient de : {}", "prevén: {}"),
    "deliverable": (
        "have as their product: {}",
        "ont pour produit : {}",
        "tienen como producto: {}",
    ),
    "near": (
        "have products of one kind: {}",
        "ont des produits du même genre : {}",
        "tienen productos del mismo tipo: {}",
    ),
    "about": ("plan work", "prévoient un travail", "prevén un trabajo"),
    "topic": ("on {}", "sujet : {}", "tema: {}"),
    "group": ("for {}", "pour : {}", "para: {}"),
    "mentions": ("both name {}", "toutes deux nomment : {}", "ambas nombran: {}"),
    "phrases": (
        "both texts speak of {}",
        "les deux textes parlent de {}",
        "los dos textos hablan de {}",
    ),
    "relations": (
        "a remark relates their objectives",
        "une remarque relie leurs objectifs",
        "una observación relaciona sus objetivos",
    ),
    "guessed": (
        "codes guessed from the text: {}",
        "codes devinés d'après le texte : {}",
        "códigos supuestos a partir del texto: {}",
    ),
    "nothing": (
        "neither annotations nor texts show anything in common",
        "ni les annotations ni les textes ne montrent rien de commun",
        "ni las anotaciones ni los textos muestran nada en común",
    ),
}


@dataclass(frozen=True)
class Evidence:
    """What two activities share, the most telling first.

    Attributes:
        facets: code list to the codes that both have.
        near: code list to the broader codes that both only come under.
        mentions: IRIs of things that both name.
        phrases: words that stand in both texts, as the first has them.
        relations: IRIs of what remarks say about their objectives.
        guessed: ids of the activities whose codes were guessed from their texts.
    """

    facets: Mapping[str, tuple[str, ...]]
    near: Mapping[str, tuple[str, ...]]
    mentions: tuple[str, ...]
    phrases: tuple[str, ...]
    relations: tuple[str, ...]
    guessed: tuple[str, ...] = ()


class Explainer:
    """Explains pairs of the activities of a space."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._corpus = space.corpus
        self._named = Counter(thing for a in space.corpus.activities for thing in a.mentions)

    def evidence(self, a: Activity, b: Activity) -> Evidence:
        """Return what two activities share."""
        facets, near, idf = {}, {}, self._space.codes.idf
        for scheme in SCHEMES:
            one, other = ({f.code: f.rank for f in x.facets if f.scheme == scheme} for x in (a, b))
            both = one.keys() & other.keys()
            order = {code: (one[code] + other[code], -idf.get(code, 0), code) for code in both}
            facets[scheme] = tuple(sorted(both, key=order.__getitem__))
            broad = (one.keys() | self._above(one)) & (other.keys() | self._above(other))
            near[scheme] = tuple(sorted(broad - both - self._above(both)))
        return Evidence(
            facets,
            near,
            self._mentions(a, b),
            self._phrases(a, b),
            self._corpus.relations.get(frozenset((a.group, b.group)), ()),
            tuple(x.id for x in (a, b) if any(f.guessed for f in x.facets)),
        )

    def _above(self, codes: Iterable[str]) -> set[str]:
        known = (self._corpus.codes.get(code) for code in codes)
        return {code.broader for code in known if code and code.broader}

    def _mentions(self, a: Activity, b: Activity) -> tuple[str, ...]:
        """Return the things that both name, the rarest first; what one activity in ten names tells nothing."""
        count, most = self._named, (1 + len(self._corpus.activities)) / _FREQUENT - 1
        telling = (thing for thing in a.mentions & b.mentions if count[thing] <= most)
        return tuple(sorted(telling, key=lambda thing: (count[thing], thing)))

    def _phrases(self, a: Activity, b: Activity) -> tuple[str, ...]:
        """Return runs of up to three words that stand in both texts, the rarest first, none within another."""
        first, second = _runs(a.text), _runs(b.text)
        rarity = self._space.words.rarity
        weights = {run: sum(map(rarity, run)) for run in first.keys() & second.keys()}
        kept: list[tuple[str, ...]] = []
        for run in sorted(weights, key=lambda run: (-weights[run], run)):
            if len(kept) == _PHRASES or weights[run] < _TELLING:
                break
            if all((set(run) & set(other)) <= {""} for other in kept):
                kept.append(run)
        return tuple(first[run] for run in kept)

    def reason(self, shared: Evidence, language: str) -> str:
        """Return one sentence for a person, in English, French or Spanish."""
        say = {key: texts[LANGUAGES.index(language)] for key, texts in _WORDS.items()}
        codes, facets = self._corpus.codes, shared.facets

        def clause(
            key: str, iris: Sequence[str], names: Mapping[str, Code] = codes, joint: str = "and"
        ) -> str:
            found = (names[iri].labels for iri in iris[:_NAMED] if iri in names)
            labels = (isolated(label.get(language) or label.get("en") or "") for label in found)
            text = say[joint].join(filter(None, labels))
            return say[key].format(text) if text else ""

        def joined(joint: str, parts: Iterable[str]) -> str:
            return joint.join(filter(None, parts))

        work = joined(
            say["then"],
            (
                clause("action", facets["action-kind"], joint="and to"),
                clause("deliverable", facets["deliverable"])
                or clause("near", shared.near["deliverable"]),
            ),
        )
        about = joined(
            ", ", (clause("topic", facets["topic"]), clause("group", facets["target-group"]))
        )
        both = joined(", ", (work or (about and say["about"]), about))
        quoted = [f"“{isolated(phrase)}”" for phrase in shared.phrases]
        quotes = joined(say["and"], (", ".join(quoted[:-1]), *quoted[-1:]))
        guessed = say["and"].join(shared.guessed) if both else ""
        sentence = joined(
            "; ",
            (
                both and f"{say['seemingly' if guessed else 'both']} {both}",
                clause("mentions", shared.mentions, self._corpus.names),
                quotes and say["phrases"].format(quotes),
                say["relations"] if shared.relations else "",
                guessed and say["guessed"].format(guessed),
            ),
        )
        sentence = sentence or say["nothing"]
        return f"{sentence[0].upper()}{sentence[1:]}."


def _runs(text: str) -> dict[tuple[str, ...], str]:
    """Return the runs of one to three words, by their stems, as they first stand in a text."""
    runs: dict[tuple[str, ...], str] = {}
    for sentence in re.split(r"[.,;:?!()\[\]\n•]", text):
        tokens = _TOKEN.findall(sentence)
        plain = [" ".join(words(token)) for token in tokens]
        for size in (3, 2, 1):
            for i in range(len(tokens) - size + 1):
                run = plain[i : i + size]
                if run[0] and run[-1] and not any(word.isdigit() for word in run):
                    runs.setdefault(tuple(map(stem, run)), " ".join(tokens[i : i + size]))
    return runs
