"""Generated statements of our vocabulary, in any number, the same for the same number.

An activity has 9 statements, and each of its four mentions as many. The statements fit the shapes; the
texts are put together from a few words and say nothing about the plan.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from kg4p1000.kernel.terms import PREFIXES

#: Statements of one activity with what belongs to it.
BLOCK = 45
MENTIONS = 4
_OBJECTIVES = [
    f"{goal}{n}"
    for goal, count in (("A", 6), ("B", 4), ("C", 4), ("D", 4), ("E", 3), ("F", 3))
    for n in range(1, count + 1)
]
_WORDS = [
    "regional",
    "platform",
    "meeting",
    "poll",
    "farmers",
    "soil",
    "carbon",
    "monitoring",
    "finance",
    "certification",
    "training",
    "database",
    "protocol",
    "network",
    "policy",
    "review",
    "pilot",
    "demonstration",
    "research",
    "funding",
    "communication",
]
_DECIMAL = f"^^<{PREFIXES['xsd']}decimal>"
_INTEGER = f"^^<{PREFIXES['xsd']}integer>"
_RDF_TYPE = f"<{PREFIXES['rdf']}type>"


def _iri(curie: str) -> str:
    prefix, _, local = curie.partition(":")
    return f"<{PREFIXES[prefix]}{local}>"


_P = {
    name: _iri(name)
    for name in [
        "dcterms:description",
        "dcterms:source",
        "p-plan:isStepOfPlan",
        "skos:notation",
        "skos:prefLabel",
        "rdfs:label",
        "k4p:activityOf",
        "k4p:number",
        "k4p:mentionIn",
        "k4p:mentionOf",
        "k4p:method",
        "k4p:quote",
        "k4p:confidence",
        "k4p:status",
        "prov:wasAttributedTo",
        "k4p:Activity",
        "k4p:Mention",
    ]
}


def key(number: int) -> str:
    """Return the notation of an activity.

    >>> key(0), key(25)
    ('A1.1000', 'A2.1001')
    """
    return f"{_OBJECTIVES[number % 24]}.{1000 + number // 24}"


def lines(count: int) -> Iterator[str]:
    """Statements as lines of N-Triples: as many whole activities as fit into a number of them."""
    for number in range(count // BLOCK):
        yield from _block(number)


def _block(number: int) -> Iterator[str]:
    chance = random.Random(number)
    name = key(number)
    me = _iri(f"activity:{name}")
    words = chance.choices(_WORDS, k=14)

    def say(subject: str, predicate: str, value: str) -> str:
        return f"{subject} {_P.get(predicate, predicate)} {value} .\n"

    yield say(me, _RDF_TYPE, _P["k4p:Activity"])
    yield say(me, "dcterms:description", f'"Generated: {" ".join(words)}."@en')
    yield say(me, "dcterms:source", _iri("section:2021-10-14-4.4"))
    yield say(me, "p-plan:isStepOfPlan", _iri("plan:4p1000"))
    yield say(me, "skos:notation", f'"{name}"')
    yield say(me, "skos:prefLabel", f'"Generated activity {name}"@en')
    yield say(me, "rdfs:label", f'"{name}"@en')
    yield say(me, "k4p:activityOf", _iri(f"objective:{name.split('.')[0]}"))
    yield say(me, "k4p:number", f'"{1000 + number // 24}"{_INTEGER}')
    for k in range(MENTIONS):
        mention = _iri(f"mention:{name}-m{k}")
        yield say(mention, _RDF_TYPE, _P["k4p:Mention"])
        yield say(mention, "rdfs:label", f'"{name} names thing {k}"@en')
        yield say(mention, "prov:wasAttributedTo", _iri("agent:curation-0.1.0"))
        yield say(mention, "k4p:confidence", f'"0.{chance.randint(1, 9)}"{_DECIMAL}')
        yield say(mention, "k4p:mentionIn", me)
        yield say(mention, "k4p:mentionOf", chance.choice(_things()))
        yield say(mention, "k4p:method", '"Generated."')
        yield say(mention, "k4p:quote", f'"{chance.choice(words)}"')
        yield say(mention, "k4p:status", _iri("status:proposed"))


@cache
def _things() -> list[str]:
    """Return what the plan names: the generated mentions name the same."""
    text = (Path(__file__).parents[1] / "data" / "actors.ttl").read_text(encoding="utf-8")
    return [_iri(thing) for thing in re.findall(r"^([a-z]+:[\w.-]+) a k4p:", text, re.M)]


def write(path: Path, count: int) -> Path:
    """Write a file of N-Triples unless it is there."""
    if not path.exists():
        part = path.with_suffix(".part")
        with open(part, "w", encoding="utf-8") as out:
            out.writelines(lines(count))
        part.rename(path)
    return path
