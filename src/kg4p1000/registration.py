"""The register of named graphs: what goes into a graph that it does not have would be judged by nobody."""

from __future__ import annotations

from collections.abc import Iterable, Set
from pathlib import Path

from pyoxigraph import Literal, NamedNode, Quad

from .errors import BadParameter, BrokenFile
from .store import Delta, Draft
from .terms import GRAPH, curie, iri
from .texts import meant

_REGISTER = NamedNode(GRAPH + "graphs")
_MERGED = iri("k4p:inDefaultGraph")
#: Of a graph that is registered without more words, as of all that is ours.
_LICENCE = NamedNode("https://creativecommons.org/licenses/by/4.0/")


def refuse_unregistered(files: Iterable[tuple[Path, NamedNode]], registered: Set[object]) -> None:
    """See that each file goes into a registered graph; without any register, all may.

    Raises:
        BrokenFile: one does not.
    """
    for path, graph in files if registered else ():
        if graph not in registered:
            name = curie(graph.value)
            raise BrokenFile(
                f"{path}: its graph {name} is not registered, so nobody would judge it. Register it in"
                f" data/graphs.ttl ({name} a k4p:NamedGraph, with title, description, licence,"
                " k4p:editable, k4p:inDefaultGraph and k4p:inDumps), or move what the file says to"
                " one that is.",
                file=str(path),
            )


def register_graph(draft: Draft, graph: NamedNode, title: str, description: str) -> None:
    """Register a graph under a title, if it is new; without any register, nothing is done.

    Raises:
        BadParameter: it is new, and has no title.
    """
    entries = {quad.subject for quad in draft.match(None, _MERGED, None, _REGISTER)}
    if graph in entries or not entries:
        return
    if not title:
        name = curie(graph.value) or graph.value
        close = meant(name, [curie(g.value) or "" for g in entries])
        hint = f" Did you mean {close[0]}?" if close else ""
        raise BadParameter(
            f"{name} is not registered, so nobody would judge it.{hint} Register it with its title"
            " (--register, or the parameter register over HTTP), or in data/graphs.ttl."
        )
    said = [
        ("rdf:type", iri("k4p:NamedGraph")),
        ("dcterms:title", Literal(title, language="en")),
        ("dcterms:description", Literal(description, language="en")),
        ("dcterms:license", _LICENCE),
        *((f"k4p:{flag}", Literal(True)) for flag in ("editable", "inDefaultGraph", "inDumps")),
    ]
    draft.apply(Delta.of(Quad(graph, iri(name), value, _REGISTER) for name, value in said))
