"""The data that is measured on: generated statements, in our store and in the others' forms."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyoxigraph as ox

import kg4p1000.build
from kg4p1000.store import Delta, Store
from kg4p1000.terms import iri

from . import generate

ROOT = Path(__file__).parents[1]
GRAPH = iri("graph:bench")
#: Statements of one entry of the change log while a store is filled.
CHUNK = 500_000


def file(work: Path, size: int) -> Path:
    """The file of N-Triples with so many statements."""
    return generate.write(work / f"{size}.nt", size)


def store(work: Path, size: int) -> tuple[Store, float | None]:
    """Our store with the plan's graph and so many generated statements, all in the default graph.

    Returns:
        The store and the seconds for the generated part; None when the store was there already.
    """
    folder = work / f"store-{size}"
    made = Store(folder)
    if made.current and made.entry().source == "load":
        return made, None
    if not made.current:
        kg4p1000.build.build(made, ROOT, author="bench")
    with made.draft() as draft:
        draft.apply(Delta(frozenset(_registered()), frozenset()))
        draft.publish("bench", "A graph for generated statements", "update")
    began = time.perf_counter()
    triples = ox.parse(path=str(file(work, size)), format=ox.RdfFormat.N_TRIPLES)
    while chunk := frozenset(
        ox.Quad(t.subject, t.predicate, t.object, GRAPH) for t in islice(triples, CHUNK)
    ):
        with made.draft() as draft:
            draft.apply(Delta(chunk, frozenset()))
            draft.publish("bench", "Generated statements", "load")
        made.prune(1)
    return made, time.perf_counter() - began


def _registered() -> Iterator[ox.Quad]:
    about = {
        "rdf:type": iri("k4p:NamedGraph"),
        "dcterms:title": ox.Literal("Generated statements", language="en"),
        "dcterms:description": ox.Literal("Generated to measure with.", language="en"),
        "dcterms:license": ox.NamedNode("https://creativecommons.org/licenses/by/4.0/"),
        "k4p:editable": ox.Literal(True),
        "k4p:inDefaultGraph": ox.Literal(True),
        "k4p:inDumps": ox.Literal(False),
    }
    for name, value in about.items():
        yield ox.Quad(GRAPH, iri(name), value, iri("graph:graphs"))
