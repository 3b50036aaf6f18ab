"""Why two activities overlap: what they share, and one sentence from it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..texts import isolated
from .corpus import SCHEMES, Activity, Code, Relation
from .similarity import Space, stem, words

#: How many of each a sentence names.
_NAMED = 2
_TOKEN = re.compile(r"[^\W_]+(?:-[^\W_]+)*")


@dataclass(frozen=True)
class Evidence:
    """What two activities share, the most telling first.

    Attributes:
        facets: code list to the codes that both have.
        near: code list to the broader codes that both only come under.
        mentions: IRIs of things that both name.
        phrases: words that stand in both texts, as the first has them.
        relations: what remarks say about their objectives.
        guessed: ids of the activities whose codes were guessed from their texts.
    """

    facets: Mapping[str, tuple[str, ...]]
    near: Mapping[str, tuple[str, ...]]
    mentions: tuple[str, ...]
    phrases: tuple[str, ...]
    relations: tuple[Relation, ...]
    guessed: tuple[str, ...] = ()


class Explainer:
    """Explains pairs of the activities of a space."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._corpus = space.corpus
        self._relations: dict[frozenset[str], list[Relation]] = {}
        for relation in space.corpus.relations:
            self._relations.setdefault(relation.ends, []).append(relation)
        self._rarity = space.terms["words"].rarity

    def evidence(self, a: Activity, b: Activity) -> Evidence:
        """What two activities share."""
        facets, near = {}, {}
        for scheme in SCHEMES:
            ranks = [{f.code: f.rank for f in x.facets if f.scheme == scheme} for x in (a, b)]
            idf = self._space.facets[scheme].idf
            both = sorted(
                ranks[0].keys() & ranks[1].keys(),
                key=lambda c, r=ranks, i=idf: (r[0][c] + r[1][c], -i.get(c, 0), c),
            )
            above = [{*r, *(self._above(c) for c in r)} - {""} for r in ranks]
            broad = sorted((above[0] & above[1]) - {self._above(c) for c in both} - set(both))
            facets[scheme], near[scheme] = tuple(both), tuple(broad)
        return Evidence(
            facets,
            near,
            self._mentions(a, b),
            self._phrases(a, b),
            tuple(self._relations.get(frozenset((a.group, b.group)), ())),
            tuple(x.id for x in (a, b) if any(f.guessed for f in x.facets)),
        )

    def _above(self, code: str) -> str:
        known = self._corpus.codes.get(code)
        return known.broader if known else ""

    def _mentions(self, a: Activity, b: Activity) -> tuple[str, ...]:
        """Things that both name, the rarest first; what one activity in ten names tells nothing."""
        terms = self._space.terms["mentions"]
        telling = (m for m in a.mentions & b.mentions if terms.rarity(m) >= terms.telling)
        return tuple(sorted(telling, key=lambda m: (-terms.rarity(m), m)))

    def _phrases(self, a: Activity, b: Activity, most: int = 3) -> tuple[str, ...]:
        """Runs of up to three words that stand in both texts, the rarest first, none within another."""
        first, second = _runs(a.text), _runs(b.text)
        found = sorted(
            ((sum(self._rarity(s) for s in run), run) for run in first.keys() & second.keys()),
            key=lambda x: (-x[0], x[1]),
        )
        kept: list[tuple[str, ...]] = []
        for weight, run in found:
            if len(kept) == most:
                break
            if weight >= self._space.terms["words"].telling and all(
                (set(run) & set(k)) <= {""} for k in kept
            ):
                kept.append(run)
        return tuple(first[run] for run in kept)

    def reason(self, found: Evidence, language: str) -> str:
        """One sentence for a person, in English, French or Spanish."""
        say = _WORDS[language]

        def label(code: Code | None) -> str:
            return isolated((code and (code.labels.get(language) or code.labels.get("en"))) or "")

        def listed(iris: Sequence[str], names: Mapping[str, Code], joint: str = "and") -> str:
            named = [text for text in (label(names.get(i)) for i in iris[:_NAMED]) if text]
            return say[joint].join(named)

        codes = self._corpus.codes
        action = listed(found.facets["action-kind"], codes, "and to")
        deliverable, topic, group = (listed(found.facets[s], codes) for s in SCHEMES[1:])
        near = "" if deliverable else listed(found.near["deliverable"], codes)
        work = [
            say["action"].format(action) if action else "",
            say["deliverable"].format(deliverable) if deliverable else "",
            say["near"].format(near) if near else "",
        ]
        about = [
            say["topic"].format(topic) if topic else "",
            say["group"].format(group) if group else "",
        ]
        quoted = _series([f"“{isolated(phrase)}”" for phrase in found.phrases], say["and"])
        clauses = [
            say["then"].join(filter(None, work)) or (say["about"] if any(about) else ""),
            say["mentions"].format(listed(found.mentions, self._corpus.names))
            if found.mentions
            else "",
            say["phrases"].format(quoted) if quoted else "",
            say["relations"] if found.relations else "",
        ]
        clauses[0] = ", ".join(filter(None, (clauses[0], *about)))
        if any(work) or any(about):
            both = say["seemingly"] if found.guessed else say["both"]
            clauses[0] = f"{both} {clauses[0]}"
            if found.guessed:
                clauses.append(say["guessed"].format(say["and"].join(found.guessed)))
        sentence = "; ".join(filter(None, clauses)) or say["nothing"]
        return f"{sentence[0].upper()}{sentence[1:]}."


def _series(items: Sequence[str], conjunction: str) -> str:
    """Items with commas, and a word before the last."""
    return conjunction.join(filter(None, (", ".join(items[:-1]), *items[-1:])))


def _runs(text: str) -> dict[tuple[str, ...], str]:
    """Runs of one to three words, by their stems, as they first stand in a text."""
    found: dict[tuple[str, ...], str] = {}
    for sentence in re.split(r"[.,;:?!()\[\]\n•]", text):
        tokens = _TOKEN.findall(sentence)
        plain = [" ".join(words(t)) for t in tokens]
        for size in (3, 2, 1):
            for i in range(len(tokens) - size + 1):
                run = plain[i : i + size]
                if run[0] and run[-1] and not any(word.isdigit() for word in run):
                    key = tuple(stem(word) for word in run)
                    found.setdefault(key, " ".join(tokens[i : i + size]))
    return found


_WORDS = {
    "en": {
        "both": "both",
        "seemingly": "both seem to",
        "and": " and ",
        "and to": " and to ",
        "then": ", and ",
        "action": "plan to {}",
        "deliverable": "have as their product: {}",
        "near": "have products of one kind: {}",
        "about": "plan work",
        "topic": "on {}",
        "group": "for {}",
        "mentions": "both name {}",
        "phrases": "both texts speak of {}",
        "relations": "a remark relates their objectives",
        "guessed": "codes guessed from the text: {}",
        "nothing": "neither annotations nor texts show anything in common",
    },
    "fr": {
        "both": "toutes deux",
        "seemingly": "toutes deux, semble-t-il,",
        "and": " et ",
        "and to": " et ",
        "then": " et ",
        "action": "prévoient de : {}",
        "deliverable": "ont pour produit : {}",
        "near": "ont des produits du même genre : {}",
        "about": "prévoient un travail",
        "topic": "sujet : {}",
        "group": "pour : {}",
        "mentions": "toutes deux nomment : {}",
        "phrases": "les deux textes parlent de {}",
        "relations": "une remarque relie leurs objectifs",
        "guessed": "codes devinés d'après le texte : {}",
        "nothing": "ni les annotations ni les textes ne montrent rien de commun",
    },
    "es": {
        "both": "ambas",
        "seemingly": "ambas, al parecer,",
        "and": " y ",
        "and to": " y ",
        "then": " y ",
        "action": "prevén: {}",
        "deliverable": "tienen como producto: {}",
        "near": "tienen productos del mismo tipo: {}",
        "about": "prevén un trabajo",
        "topic": "tema: {}",
        "group": "para: {}",
        "mentions": "ambas nombran: {}",
        "phrases": "los dos textos hablan de {}",
        "relations": "una observación relaciona sus objetivos",
        "guessed": "códigos supuestos a partir del texto: {}",
        "nothing": "ni las anotaciones ni los textos muestran nada en común",
    },
}
