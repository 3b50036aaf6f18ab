"""Judge what no query could: names that are used and nowhere described, and things that are there twice.

A node shape with ``void:uriSpace`` says what is to be said of names in that namespace that are used,
as a subject, a property or a value, and have no class in the graph. ``sh:in`` lists the names of a
vocabulary that is not ours. Such a shape has no targets, since it is about all triples; engines pass
it over. A graph without our ontology has nothing to compare with.

Where ``void:uriSpace`` is `NAMES` or `PAGES`, the shape is about two entries of one kind, each among its
targets, that have the same name or home page, as people write them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from itertools import permutations
from typing import Any

from pyoxigraph import Literal, NamedNode, Triple

from ..kernel.terms import BASE, GRAPH, ID, TERMS, iri
from .facts import SPACE, TYPE, Facts, Graph, Members
from .report import Term

#: Focus node, IRI of a shape or constraint, value, constraint component.
Hit = tuple[Term, str, Term | None, str]

#: What says that the ontology is there.
HEADER = NamedNode(TERMS.removesuffix("/"))
#: Who may name what is not there: the register tells of graphs that are not merged, and a decision
#: stays when what it was about has gone.
_FREE = (GRAPH, f"{ID}decision/")
_OURS = BASE.removeprefix("https://").rstrip("/")
_OUR_HOST = r"[^/<>\s]*w3id[^/<>\s]*/+kg4p1000"


def plain_address(name: str) -> str:
    """Return an address without what people write differently: scheme, ``www.``, capitals, slashes, our host."""
    plain = re.sub(r"/+", "/", re.sub(r"^https?:/+(www[.])?", "", name.lower()))
    return re.sub(rf"^{_OUR_HOST}(?=/|$)", _OURS, plain)


class Spaces:
    """The namespaces that shapes are about.

    Attributes:
        shapes: each namespace, to the shape that says what is wrong with a name that is not there.
        known: names of other vocabularies that are there.
    """

    def __init__(self, facts: Facts) -> None:
        self.shapes = {space.value: shape.value for shape, _, space in facts.all(SPACE)}
        lists = (head for shape, _, _ in facts.all(SPACE) for head in facts.get(shape, "in"))
        self.known = {name.value for head in lists for name in facts.items(head)}
        self._stems = {plain_address(space).rstrip("/#"): space for space in self.shapes}

    def space(self, name: str) -> str | None:
        """Return the namespace that a name is in, or is meant to be in."""
        for space in self.shapes:
            if name.startswith(space):
                return space if name != space else None
        plain = plain_address(name)
        for stem, space in self._stems.items():
            rest = plain.removeprefix(stem)
            # A term of a vocabulary may lack the sign between them.
            ours = space.startswith(BASE) or space + name[len(space) - 1 :] in self.known
            if (
                rest != plain
                and rest.rstrip("/#")
                and (rest[0] in "/#" or (ours and rest[0].isalnum()))
            ):
                return space
        return None

    def named_in(self, data: bytes) -> set[NamedNode]:
        """Return all names in N-Triples that may be in these namespaces, those in a text included."""
        stems = "|".join([*map(re.escape, self._stems), _OUR_HOST])
        pattern = re.compile(
            rf"<(https?://(?:www[.])?(?:{stems})[^<>\s]*)>".encode(), re.IGNORECASE
        )
        names = {match[1] for match in pattern.finditer(data)} if self.shapes else ()
        return {NamedNode(name.decode()) for name in names}

    def undeclared(self, graph: Graph, names: Iterable[NamedNode]) -> Iterator[Hit]:
        """Give each use of a name that is not there: its subject, and the name."""
        for name in names if has_ontology(graph) else ():
            space = self.space(name.value)
            if space is None or name.value in self.known:
                continue
            there = name.value.startswith(space)
            kinds = {str(q.object) for q in graph.match(name, TYPE, None)} if there else set()
            for pattern in _wrong_uses(name, space, kinds):
                for quad in graph.match(*pattern):
                    if not str(quad.subject)[1:].startswith(_FREE):
                        yield quad.subject, self.shapes[space], name, "ClassConstraintComponent"

    def doubles(self, graph: Graph, facts: Facts, only: Set[Any] | None = None) -> Iterator[Hit]:
        """Give each thing with another of its kind that has its name or page.

        Args:
            only: things of which one is in each pair; without it, all pairs.
        """
        members = Members(graph)
        for space in self.shapes.keys() & _PROPERTIES.keys() if only != set() else ():
            targets = facts.targets(NamedNode(self.shapes[space]))
            for pair in _pairs(graph, space, only):
                if all(members.fit(node, targets) for node in pair):
                    yield pair[0], self.shapes[space], pair[1], "DisjointConstraintComponent"


def has_ontology(graph: Graph) -> bool:
    """Return whether our ontology is a part of a graph."""
    return next(graph.match(HEADER, TYPE, None), None) is not None


def named_by(added: Iterable[Triple], removed: Iterable[Triple]) -> set[NamedNode]:
    """Return the names that a change uses anew, or takes a class from."""
    names: set[Any] = {name for t in added for name in (t.subject, t.predicate, t.object)}
    names |= {t.subject for t in removed if t.predicate == TYPE}
    return {name for name in names if isinstance(name, NamedNode)}


def renamed(added: Iterable[Triple], removed: Iterable[Triple]) -> set[Any]:
    """Return the things that a change gives a name, a home page or a class, or takes one from."""
    watched = {TYPE, *_PROPERTIES[NAMES], *_PROPERTIES[PAGES]}
    return {t.subject for t in (*added, *removed) if t.predicate in watched}


def _wrong_uses(name: NamedNode, space: str, kinds: set[str]) -> Iterator[tuple[Any, Any, Any]]:
    """Give the patterns of uses that are wrong: all of a name that is nowhere, of a term those of another kind."""
    if not kinds:
        yield from ((None, name, None), (None, None, name), (name, None, None))
    elif space == TERMS:
        if not any(kind.endswith("Property>") for kind in kinds):
            yield None, name, None
        if not any(kind.endswith("Class>") for kind in kinds):
            yield None, TYPE, name


NAMES, PAGES = "urn:kg4p1000:double:name", "urn:kg4p1000:double:page"
_PROPERTIES = {
    NAMES: tuple(map(iri, ("skos:prefLabel", "skos:altLabel", "k4p:abbreviation"))),
    PAGES: (iri("foaf:homepage"),),
}
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


def _pairs(graph: Graph, space: str, only: Set[Any] | None) -> set[tuple[Any, Any]]:
    """Return the pairs of things of one kind that share a name or page, in both orders."""
    watched = only and {_kind(node) for node in only}
    by_key: dict[tuple[str, ...], set[Any]] = defaultdict(set)
    for quad in (q for p in _PROPERTIES[space] for q in graph.match(None, p, None)):
        kind = _kind(quad.subject)
        if kind and (watched is None or kind in watched):
            for key in _keys(quad.object, kind):
                by_key[(kind, *key)].add(quad.subject)
    pairs = (pair for key, nodes in by_key.items() if key[-1] for pair in permutations(nodes, 2))
    return {pair for pair in pairs if only is None or not only.isdisjoint(pair)}


def _kind(node: Any) -> str:
    """Return what our address says of the kind of a thing."""
    value = node.value if isinstance(node, NamedNode) else ""
    return value.removeprefix(ID).split("/", 1)[0] if value.startswith(ID) else ""


def _keys(term: Any, kind: str) -> Iterator[tuple[str, ...]]:
    """Give what is the same of names, and of addresses, that people write differently."""
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
    """Return the words of a name in small letters, without signs, accents and articles, in one spelling.

    >>> _plain("The F.A.O."), _plain("COMET-Farm tool"), _plain("Centre for Organisation")
    ('fao', 'comet farm tool', 'center for organization')
    """
    letters = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(c for c in letters if not unicodedata.combining(c) and c not in ".'’")
    words = " ".join(re.findall(r"\w+", letters.replace("&", " and ")))
    for pattern, written in _SPELLINGS:
        words = pattern.sub(written, words)
    return words
