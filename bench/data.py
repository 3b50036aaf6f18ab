"""The data that is measured on: generated statements, in our store and in the others' forms."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pyoxigraph as ox

from kg4p1000.curation import build, commits, loading
from kg4p1000.kernel.terms import iri
from kg4p1000.store import Delta, Store

from . import generate

ROOT = Path(__file__).parents[1]
GRAPH = iri("graph:bench")
#: Statements that are judged and inferred from at most.
JUDGED = 1_000_000


def file(work: Path, size: int) -> Path:
    """Return the file of N-Triples with so many statements; made before, so that it is not timed."""
    return generate.write(work / f"{size}.nt", size)


def store(work: Path, size: int) -> tuple[Store, float | None]:
    """Our store with the plan's graph and so many generated statements, all in the default graph.

    The statements are logged and published, but neither judged nor inferred from.

    Returns:
        The store and the seconds for the generated part; None when the store was there already.
    """
    made = Store(work / f"store-{size}")
    if any(entry.source == "load" for entry in made.entries()):
        return made, None
    _prepare(made)
    statements = file(work, size)
    began = time.perf_counter()
    with made.draft() as draft, open(statements, "rb") as lines:
        draft.load(lines, ox.RdfFormat.N_TRIPLES, GRAPH)
        made.publish(draft, "bench", "Generated statements", "load")
    return made, time.perf_counter() - began


def judged(work: Path, size: int) -> tuple[Store, float]:
    """Return the same in a new store, loaded as `kg4p1000 load` does it, with validation and inference.

    Returns:
        The store and the seconds for the generated part.
    """
    folder = work / f"store-{size}-judged"
    shutil.rmtree(folder, ignore_errors=True)
    made = Store(folder)
    _prepare(made)
    began = time.perf_counter()
    loading.load(
        made, ROOT, file(work, size), GRAPH, author="bench", limit=1 << 40, tell=lambda *_: None
    )
    return made, time.perf_counter() - began


def _prepare(made: Store) -> None:
    """Build the plan's graph, and register the one for what is generated."""
    build.build(made, ROOT, author="bench")
    commits.commit(
        made,
        build.load_shapes(ROOT),
        Delta(frozenset(_registered())),
        author="bench",
        message="A graph for generated statements",
    )


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
