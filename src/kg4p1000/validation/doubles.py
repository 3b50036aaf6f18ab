"""Whether two entries of one kind are about one thing: their names and home pages, as people write them.

A node shape whose ``void:uriSpace`` begins with `NAMES` or `PAGES` says what is to be said of that, and its targets which
things are compared. No query could do it: every name would be compared with every other one.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pyoxigraph import Literal, NamedNode, Triple

from ..terms import ID, iri
from .facts import TYPE, Graph, Kinds, Targets
from .report import Term

NAMES, PAGES = "urn:kg4p1000:double:name", "urn:kg4p1000:double:page"
_PROPERTIES = {
    NAMES: tuple(map(iri, ("skos:prefLabel", "skos:altLabel", "k4p:abbreviation"))),
    PAGES: (iri("foaf:homepage"),),
}
_WATCHED = {TYPE, *_PROPERTIES[NAMES], *_PROPERTIES[PAGES]}
_COMPONENT = "DisjointConstraintComponent"
#: What is written differently in one language, in this order.
_SPELLINGS = (
    (re.compile(r"\bunited nations\b"), "un"),
    (re.compile(r" (of the )?un$"), ""),
    (re.compile(r"^(the|le|la|les|el|los|las|l) (?=\w)"), ""),
    (re.compile(r"is(?=(e|es|ed|ing|ation|ations|ational)\b)"), "iz"),
    (re.compile(r"\bprogram(me?s?|s)\b"), "program"),
    (re.compile(r"\bcentre(?=s?\b)"), "center"),
    (re.compile(r"\b(lab|behavi|harb|neighb|col)our"), r"\1or"),
    (re.compile(r" (inc|ltd|llc|gmbh|plc|ev)$"), ""),
)
#: A name that begins with the number of a register, as VM0042 does.
_NUMBER = re.compile(r"([a-z]{2,5}) ?(0\d{3})\b")

#: The letters of a name in brackets at its end.
_BRACKET = re.compile(r" *[(（][A-Z0-9.&-]{2,}s?[)）] *$")


def renamed(added: Iterable[Triple], removed: Iterable[Triple]) -> set[Any]:
    """The things that a change gives a name, a home page or a class, or takes one from."""
    return {t.subject for t in (*added, *removed) if t.predicate in _WATCHED}


def doubles(
    graph: Graph, spaces: Iterable[tuple[str, str]], targets: Callable[[Any], Targets],
    only: set[Any] | None = None,
) -> Iterator[tuple[Term, str, Term, str]]:  # fmt: skip
    """Each thing with another of its kind that has its name or page: thing, shape, the other and constraint component.

    Args:
        spaces: what shapes are about, and their IRIs.
        targets: gives what a shape is about.
        only: things of which one is in each pair; without it, all pairs.
    """
    kinds = Kinds(graph)
    for space, shape in spaces:
        if space in _PROPERTIES and only != set():
            target = targets(NamedNode(shape))
            for pair in _pairs(graph, space, only):
                if all(target.hold(graph, node, kinds) for node in pair):
                    yield pair[0], shape, pair[1], _COMPONENT


def _pairs(graph: Graph, space: str, only: set[Any] | None) -> Iterator[tuple[Any, Any]]:
    """The pairs of things of one kind that share a name or page, in both orders."""
    watched = only and {_kind(node) for node in only}
    by_key: dict[tuple[str, ...], set[Any]] = defaultdict(set)
    for quad in (q for p in _PROPERTIES[space] for q in graph.match(None, p, None)):
        kind = _kind(quad.subject)
        if kind and (watched is None or kind in watched):
            for key in _keys(quad.object, kind):
                by_key[(kind, *key)].add(quad.subject)
    found = {
        (one, other)
        for key, nodes in by_key.items()
        if key[-1] and len(nodes) > 1
        for one in nodes
        for other in nodes
        if one != other and (only is None or one in only or other in only)
    }
    yield from found


def _kind(node: Any) -> str:
    """What our address says of the kind of a thing."""
    value = node.value if isinstance(node, NamedNode) else ""
    return value.removeprefix(ID).split("/", 1)[0] if value.startswith(ID) else ""


def _keys(term: Any, kind: str) -> Iterator[tuple[str, ...]]:
    """What is the same of names, and of addresses, that people write differently."""
    if not isinstance(term, Literal):
        address = getattr(term, "value", "").lower()
        yield (re.sub(r"^https?://(www[.])?", "", address).rstrip("/"),)
        return
    language, words = (term.language or "").split("-")[0], _plain(term.value)
    for name in {words, _plain(_BRACKET.sub("", term.value))}:
        key = name.removesuffix(f" {kind}").replace(" ", "")
        yield language, key.removesuffix("s") if len(key) > 3 else key
    if number := _NUMBER.match(words):
        yield "number", "".join(number.groups())


def _plain(name: str) -> str:
    """The words of a name in small letters, without signs, accents and articles, in one spelling.

    >>> _plain("The F.A.O."), _plain("COMET-Farm tool"), _plain("Centre for Organisation")
    ('fao', 'comet farm tool', 'center for organization')
    """
    letters = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(c for c in letters if not unicodedata.combining(c) and c not in ".'’")
    words = " ".join(re.findall(r"\w+", letters.replace("&", " and ")))
    for pattern, written in _SPELLINGS:
        words = pattern.sub(written, words)
    return words
