"""A shapes graph, looked at by subject, and what its targets are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pyoxigraph as ox
from pyoxigraph import NamedNode, Quad

from ..terms import PREFIXES

SH = PREFIXES["sh"]
TYPE = NamedNode(PREFIXES["rdf"] + "type")
SUBCLASS = NamedNode(PREFIXES["rdfs"] + "subClassOf")
_SPACE = "http://rdfs.org/ns/void#uriSpace"
_FIRST, _REST = PREFIXES["rdf"] + "first", PREFIXES["rdf"] + "rest"


class Graph(Protocol):
    """What can be asked for triples by a pattern."""

    def match(self, subject: Any, predicate: Any, object_: Any, /) -> Iterator[Quad]:
        """The quads that fit; one triple may come several times."""


class Facts:
    """The triples of a shapes graph by subject and property."""

    def __init__(self, triples: Iterable[ox.Triple]) -> None:
        self._facts: dict[Any, dict[str, list[Any]]] = {}
        for t in triples:
            self._facts.setdefault(t.subject, {}).setdefault(t.predicate.value, []).append(t.object)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._facts)

    def __contains__(self, subject: Any) -> bool:
        return subject in self._facts

    def values(self, subject: Any, word: str) -> list[Any]:
        """The values of a property, named by its IRI."""
        return self._facts.get(subject, {}).get(word, [])

    def words(self, subject: Any) -> Iterable[str]:
        """The properties of a subject, as IRIs."""
        return self._facts.get(subject, {})

    def get(self, subject: Any, name: str) -> list[Any]:
        """The values of a property of SHACL, named without its prefix."""
        return self._facts.get(subject, {}).get(SH + name, [])

    def has(self, subject: Any, name: str) -> bool:
        """Whether a property of SHACL is there and is not false."""
        return any(value.value not in ("false", "0") for value in self.get(subject, name))

    def types(self, subject: Any) -> list[Any]:
        """The classes of a subject."""
        return self._facts.get(subject, {}).get(TYPE.value, [])

    def spaces(self, subject: Any) -> list[str]:
        """The namespaces that a subject is about (``void:uriSpace``)."""
        return [o.value for o in self._facts.get(subject, {}).get(_SPACE, [])]

    def items(self, head: Any) -> Iterator[Any]:
        """The members of a list."""
        seen = set()
        while head in self._facts and head not in seen:
            seen.add(head)
            yield from self._facts[head].get(_FIRST, [])
            head = next(iter(self._facts[head].get(_REST, [])), None)

    def targets(self, shape: Any) -> Targets:
        """What a shape judges; nothing for one that is switched off."""
        if self.has(shape, "deactivated"):
            return Targets()
        return Targets(*(tuple(self.get(shape, name)) for name in _TARGETS))


#: How a target declaration reads as a pattern for ``?this``, in the order of `Targets`.
_TARGETS = {
    "targetClass": f"?this {TYPE}/{SUBCLASS}* {{}}",
    "targetNode": "FILTER(?this = {})",
    "targetSubjectsOf": "?this {} ?targeted",
    "targetObjectsOf": "?targeted {} ?this",
}


@dataclass(frozen=True)
class Targets:
    """The target declarations of a shape."""

    classes: tuple[Any, ...] = ()
    nodes: tuple[Any, ...] = ()
    subjects_of: tuple[Any, ...] = ()
    objects_of: tuple[Any, ...] = ()

    def __bool__(self) -> bool:
        return any((self.classes, self.nodes, self.subjects_of, self.objects_of))

    def pattern(self) -> str:
        """The group patterns that ``?this`` fits if it is a focus node."""
        kinds = (self.classes, self.nodes, self.subjects_of, self.objects_of)
        return " UNION ".join(
            f"{{ {text.format(value)} }}"
            for text, values in zip(_TARGETS.values(), kinds, strict=True)
            for value in values
        )

    def hold(self, graph: Graph, node: Any, kinds: Kinds) -> bool:
        """Whether a node is a focus node in a graph.

        Args:
            kinds: the classes of that graph.
        """
        if node in self.nodes:
            return True
        if self.classes and not kinds.of(node).isdisjoint(self.classes):
            return True
        found = [graph.match(node, p, None) for p in self.subjects_of]
        found += [graph.match(None, p, node) for p in self.objects_of]
        return any(next(quads, None) is not None for quads in found)


class Kinds:
    """The classes of the nodes of a graph, and all classes above them."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._above: dict[Any, set[Any]] = {}
        self._of: dict[Any, set[Any]] = {}

    def of(self, node: Any) -> set[Any]:
        """The classes that a node is a SHACL instance of."""
        if node not in self._of:
            own = {quad.object for quad in self._graph.match(node, TYPE, None)}
            self._of[node] = own.union(*(self._superclasses(cls) for cls in own))
        return self._of[node]

    def _superclasses(self, cls: Any) -> set[Any]:
        if cls not in self._above:
            found, waiting = {cls}, [cls]
            while waiting:
                above = {q.object for q in self._graph.match(waiting.pop(), SUBCLASS, None)}
                waiting += above - found
                found |= above
            self._above[cls] = found
        return self._above[cls]
