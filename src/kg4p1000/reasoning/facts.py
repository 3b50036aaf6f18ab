"""A shapes graph by subject, the words of SHACL that are known here, and what targets select."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from pyoxigraph import NamedNode, Quad, Triple

from ..kernel.terms import PREFIXES, iri

SH = PREFIXES["sh"]
TYPE, SUBCLASS = iri("rdf:type"), iri("rdfs:subClassOf")
_FIRST, _REST = PREFIXES["rdf"] + "first", PREFIXES["rdf"] + "rest"
SPACE = "http://rdfs.org/ns/void#uriSpace"

TARGETS = ("targetClass", "targetNode", "targetSubjectsOf", "targetObjectsOf")
#: Words whose values are shapes for the value nodes, and those whose values are lists of such.
SHAPES = ("property", "node", "not", "qualifiedValueShape")
LISTS = ("and", "or", "xone")
#: Words that compare the values with those of another property of the focus node.
PAIRS = ("equals", "disjoint", "lessThan", "lessThanOrEquals")
#: Words of paths, and the signs of SPARQL that stand for them.
REPEATED = {"zeroOrMorePath": "*", "oneOrMorePath": "+", "zeroOrOnePath": "?"}
#: All words that may stand in shapes.
KNOWN = {
    *TARGETS, *SHAPES, *LISTS, *PAIRS, *REPEATED, "inversePath", "alternativePath", "path", "class", "datatype",
    "nodeKind", "in", "languageIn", "hasValue", "pattern", "flags", "minCount", "maxCount", "minLength", "maxLength",
    "qualifiedMinCount", "qualifiedMaxCount", "minInclusive", "maxInclusive", "minExclusive", "maxExclusive",
    "uniqueLang", "closed", "ignoredProperties", "qualifiedValueShapesDisjoint", "deactivated", "sparql", "select",
    "prefixes", "declare", "prefix", "namespace", "name", "message", "severity", "description", "order", "group",
    "defaultValue",
}  # fmt: skip

#: The values of the words in `TARGETS` for one shape.
Targets = Mapping[str, list[Any]]


class Graph(Protocol):
    """What can be asked for triples by a pattern."""

    def match(self, subject: Any, predicate: Any, object_: Any, /) -> Iterator[Quad]:
        """Give the quads that fit; one triple may come several times."""


class Facts:
    """The triples of a shapes graph by subject and property.

    Properties of SHACL are named without prefix, others by their IRIs.
    """

    def __init__(self, triples: Iterable[Triple]) -> None:
        self.about: dict[Any, dict[str, list[Any]]] = {}
        for t in triples:
            name = t.predicate.value.removeprefix(SH)
            self.about.setdefault(t.subject, {}).setdefault(name, []).append(t.object)

    def get(self, subject: Any, *names: str) -> list[Any]:
        """Return the values of some properties."""
        about = self.about.get(subject, {})
        return [value for name in names for value in about.get(name, ())]

    def all(self, *names: str) -> Iterator[tuple[Any, str, Any]]:
        """Give each subject of some properties, with property and value."""
        for subject, about in self.about.items():
            yield from ((subject, name, v) for name in names for v in about.get(name, ()))

    def has(self, subject: Any, name: str) -> bool:
        """Return whether a property is there and is not false."""
        return any(value.value not in ("false", "0") for value in self.get(subject, name))

    def items(self, head: Any) -> Iterator[Any]:
        """Give the members of a list."""
        seen = set()
        while head in self.about and head not in seen:
            seen.add(head)
            yield from self.get(head, _FIRST)
            head = next(iter(self.get(head, _REST)), None)

    def parts(self, subject: Any) -> list[Any]:
        """Return the shapes that the values of a shape must fit, or one of which, or none."""
        listed = (part for head in self.get(subject, *LISTS) for part in self.items(head))
        return [*self.get(subject, *SHAPES), *listed]

    def targets(self, shape: Any) -> Targets:
        """Return what a shape judges; nothing for one that is switched off."""
        if self.has(shape, "deactivated"):
            return {}
        return {word: found for word in TARGETS if (found := self.get(shape, word))}

    def prefixes(self, constraint: Any) -> dict[str, str]:
        """Return the prefixes that a SPARQL constraint declares."""
        declared = (d for p in self.get(constraint, "prefixes") for d in self.get(p, "declare"))
        return {
            prefix.value: space.value
            for d in declared
            for prefix in self.get(d, "prefix")
            for space in self.get(d, "namespace")
        }


class Members:
    """The nodes of a graph that targets select."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._above: dict[Any, set[Any]] = {}

    def fit(self, node: Any, targets: Targets) -> bool:
        """Return whether a node is a focus node."""
        match = self._graph.match
        if node in targets.get("targetNode", ()):
            return True
        if classes := targets.get("targetClass"):
            own = (quad.object for quad in match(node, TYPE, None))
            if any(not self._superclasses(cls).isdisjoint(classes) for cls in own):
                return True
        found = [match(node, p, None) for p in targets.get("targetSubjectsOf", ())]
        found += [match(None, p, node) for p in targets.get("targetObjectsOf", ())]
        return any(next(quads, None) is not None for quads in found)

    def _superclasses(self, cls: Any) -> set[Any]:
        if cls not in self._above:
            self._above[cls] = above(self._graph, cls, SUBCLASS)
        return self._above[cls]


def above(graph: Graph, name: Any, word: NamedNode) -> set[Any]:
    """Return a class or property and all above it."""
    found, waiting = {name}, [name]
    while waiting:
        more = {q.object for q in graph.match(waiting.pop(), word, None)} - found
        found |= more
        waiting += more
    return found
