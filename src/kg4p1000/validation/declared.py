"""Whether the names that data use are there: a slip of the pen leads nowhere.

A node shape with ``void:uriSpace`` says what is to be said of names in that namespace that are used,
as a subject, a property or a value, and have no class in the graph. ``sh:in`` lists the names of a
vocabulary that is not ours. Such a shape has no targets, since it is about all triples; engines pass
it over. A graph without our ontology has nothing to compare with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

from pyoxigraph import NamedNode, Triple

from ..terms import BASE, GRAPH, ID, TERMS
from .facts import TYPE, Graph
from .report import Term

#: What says that the ontology is there.
HEADER = NamedNode(TERMS.removesuffix("/"))
_COMPONENT = "ClassConstraintComponent"
#: Who may name what is not there: the register tells of graphs that are not merged, and a decision
#: stays when what it was about has gone.
_FREE = (GRAPH, f"{ID}decision/")
_OURS = BASE.removeprefix("https://").rstrip("/")


def _plain(name: str) -> str:
    """A name without what people write differently: scheme, ``www.``, capitals, slashes, our host."""
    plain = re.sub(r"/+", "/", re.sub(r"^https?:/+(www[.])?", "", name.lower()))
    return re.sub(r"^[^/]*w3id[^/]*/kg4p1000(?=/|$)", _OURS, plain)


@dataclass(frozen=True)
class Spaces:
    """The namespaces that are watched.

    Attributes:
        shapes: each namespace, to the shape that says what is wrong with a name that is not there.
        known: names of other vocabularies that are there.
    """

    shapes: Mapping[str, str]
    known: frozenset[str] = frozenset()

    @cached_property
    def _stems(self) -> dict[str, str]:
        return {_plain(space).rstrip("/#"): space for space in self.shapes}

    def space(self, name: str) -> str | None:
        """The namespace that a name is in, or is meant to be in."""
        for space in self.shapes:
            if name.startswith(space):
                return space if name != space else None
        plain = _plain(name)
        for stem, space in self._stems.items():
            rest = plain.removeprefix(stem)
            glued = rest[:1].isalnum() and (space.startswith(BASE) or self._glued(name, space))
            if rest != plain and rest.rstrip("/#") and (glued or rest[0] in "/#"):
                return space
        return None

    def _glued(self, name: str, space: str) -> bool:
        """Whether a name is a term of a vocabulary without the sign between them."""
        return space + name[len(space) - 1 :] in self.known

    def named_in(self, data: bytes) -> set[NamedNode]:
        """All names in N-Triples that may be in these namespaces, those in a text included."""
        stems = b"|".join(re.escape(stem.encode()) for stem in self._stems)
        ours = rb"[^<>\s/]*w3id[^<>\s/]*/+kg4p1000"
        pattern = re.compile(
            rb"<(https?://(?:www[.])?(?:" + stems + b"|" + ours + rb")[^<>\s]*)>", re.IGNORECASE
        )
        names = {match[1] for match in pattern.finditer(data)} if stems else ()
        return {NamedNode(name.decode()) for name in names}


def named_by(added: Iterable[Triple], removed: Iterable[Triple]) -> set[NamedNode]:
    """The names that a change uses anew, or takes a class from."""
    names: set[object] = {name for t in added for name in (t.subject, t.predicate, t.object)}
    names |= {t.subject for t in removed if t.predicate == TYPE}
    return {name for name in names if isinstance(name, NamedNode)}


def undeclared(
    graph: Graph, names: Iterable[NamedNode], spaces: Spaces
) -> Iterator[tuple[Term, str, NamedNode, str]]:
    """Each use of a name that is not there: subject, shape, name and constraint component."""
    if next(graph.match(HEADER, TYPE, None), None) is None:
        return
    for name in names:
        space = spaces.space(name.value)
        if space is None or name.value in spaces.known:
            continue
        there = name.value.startswith(space)
        kinds = {str(q.object) for q in graph.match(name, TYPE, None)} if there else set()
        for quad in chain.from_iterable(graph.match(*p) for p in _wrong_uses(name, space, kinds)):
            if not str(quad.subject)[1:].startswith(_FREE):
                yield quad.subject, spaces.shapes[space], name, _COMPONENT


def _wrong_uses(name: NamedNode, space: str, kinds: set[str]) -> Iterator[tuple[Any, Any, Any]]:
    """The patterns of uses that are wrong: all of a name that is nowhere, of a term those of another kind."""
    if not kinds:
        yield from ((None, name, None), (None, None, name), (name, None, None))
    elif space == TERMS:
        if not any(kind.endswith("Property>") for kind in kinds):
            yield None, name, None
        if not any(kind.endswith("Class>") for kind in kinds):
            yield None, TYPE, name
