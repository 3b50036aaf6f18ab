"""Whether the terms and codes of ours that data use are declared: a slip of the pen is neither.

A node shape with ``void:uriSpace`` says what is to be said of names in that namespace that are used,
as a property or as a value, and have no class in the graph. It has no targets, since it is about all
triples; engines pass it over. A graph without our ontology has nothing to compare with.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from pyoxigraph import NamedNode, Triple

from ..terms import TERMS
from .facts import TYPE, Graph
from .report import Term

#: What says that the ontology is there.
HEADER = NamedNode(TERMS.removesuffix("/"))
_COMPONENT = "ClassConstraintComponent"


def named_in(data: bytes, spaces: Mapping[str, str]) -> set[NamedNode]:
    """All names of some namespaces in N-Triples, those in a text included."""
    found: set[bytes] = set()
    for space in spaces:
        pattern = re.compile(rb"<(" + re.escape(space.encode()) + rb"[^<>\s]*)>")
        found.update(match[1] for match in pattern.finditer(data))
    return {NamedNode(name.decode()) for name in found}


def named_by(added: Iterable[Triple], removed: Iterable[Triple]) -> set[NamedNode]:
    """The names that a change uses anew, or takes a class from."""
    names: set[object] = {name for t in added for name in (t.predicate, t.object)}
    names |= {t.subject for t in removed if t.predicate == TYPE}
    return {name for name in names if isinstance(name, NamedNode)}


def undeclared(
    graph: Graph, names: Iterable[NamedNode], spaces: Mapping[str, str]
) -> Iterator[tuple[Term, str, NamedNode, str]]:
    """Each use of a name that has no class: subject, shape, name and constraint component.

    Args:
        spaces: namespace to the IRI of its shape.
    """
    if next(graph.match(HEADER, TYPE, None), None) is None:
        return
    for name in names:
        shape = next((spaces[space] for space in spaces if name.value.startswith(space)), None)
        if shape is None or next(graph.match(name, TYPE, None), None) is not None:
            continue
        for quad in chain(graph.match(None, name, None), graph.match(None, None, name)):
            yield quad.subject, shape, name, _COMPONENT
