"""Overlaps in the store: detected anew when what they rest on has changed, and decided on."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyoxigraph import NamedNode, Quad, Triple

from ..curation import commits, decisions
from ..curation.build import load_shapes, merged_sources, parse_file
from ..curation.commits import Commit, Follower, commit
from ..kernel import logs
from ..kernel.errors import NotFound
from ..kernel.processes import serve
from ..kernel.terms import ID, iri, mint, turtle
from ..reasoning import Shapes
from ..store import Delta, Draft, MemoryGraph, Store
from ..store.changes import write_durably
from .decisions import OVERLAPS, TOPIC, Pair, overlap_iri, pair_of

#: Kinds of things of which a change can change the overlaps.
_MATTERS = tuple(
    f"{ID}{kind}/"
    for kind in ("activity", "annotation", "decision", "mention", "objective", "relation")
)
#: What is said of a thing and not in it.
_NOTES = tuple(map(iri, ("skos:editorialNote", "skos:changeNote", "skos:historyNote")))
#: A plan with more activities than this is compared when somebody asks for it, not after each change.
MOST = 2_000


def refresh(
    store: Store, shapes: Shapes, *, author: str = "overlaps", most: int | None = None
) -> Commit | None:
    """Compare the activities of the published graph and bring ``graph:overlaps`` to the result.

    On an unchanged graph nothing changes. Decisions stay as they are.

    Args:
        most: do nothing (None) when there are more activities.
    """
    if most is not None and _activities(store) > most:
        return None
    return commit(
        store, shapes, detect, author=author, message="Overlaps detected anew", source="overlaps"
    )


def _found(draft: Draft | MemoryGraph, also: Collection[Pair] = ()) -> set[Triple]:
    """Return what the detection finds, and says of some pairs however sure it is."""
    from .findings import Detection  # noqa: PLC0415 - numpy and scipy are needed here only

    return Detection.of(draft.select).triples(draft.select, also=also)


def detect(draft: Draft) -> None:
    """Bring ``graph:overlaps`` of a draft to what is found in it."""
    quads, present = {Quad(*t, OVERLAPS) for t in _found(draft)}, set(draft.quads(OVERLAPS))
    draft.apply(Delta.of(quads - present, present - quads))


def write_file(folder: Path) -> Path | None:
    """Compare the activities of the files and write ``data/overlaps.ttl``.

    Returns:
        The file, if it changed.
    """
    path = folder / "data" / "overlaps.ttl"
    given = [source.path for source in merged_sources(folder)]
    graph = MemoryGraph(t for file in given for t in parse_file(file))
    data = turtle(_found(graph))
    if data == path.read_bytes():
        return None
    write_durably(path, data)
    return path


def decide(store: Store, shapes: Shapes, pair: Pair, **said: Any) -> Commit:
    """Record a decision about a pair; see `decisions.decide` for what is said in one."""
    return decisions.decide(store, shapes, _TOPIC, overlap_iri(pair), **said)


def _find(draft: Draft, thing: NamedNode) -> None:
    """See that the pair is one of the graph; store it where its confidence is below that of stored ones.

    Raises:
        NotFound: one of them is no activity of the graph.
    """
    pair = pair_of(thing) or ()
    for notation in pair:
        if not _is(draft, mint("activity", notation), "k4p:Activity"):
            raise NotFound(
                f"The graph has no activity {notation}; the stored query activities-of-objective"
                " lists those that it has."
            )
    if not _is(draft, thing, "k4p:Overlap"):
        none = next(draft.quads(OVERLAPS), None) is None  # then all that is found is stored
        found = (t for t in _found(draft, [pair]) if none or t.subject == thing)
        draft.apply(Delta.of(Quad(*t, OVERLAPS) for t in found))


def concerns(quads: Iterable[Quad]) -> bool:
    """Return whether a change of these quads can change the overlaps."""
    return any(
        q.subject.value.startswith(_MATTERS) and q.predicate not in _NOTES
        for q in quads
        if isinstance(q.subject, NamedNode) and q.graph_name != OVERLAPS
    )


def _is(draft: Draft, thing: NamedNode, kind: str) -> bool:
    return next(draft.match(thing, iri("rdf:type"), iri(kind), None), None) is not None


def _activities(store: Store) -> int:
    kind, activity = iri("rdf:type"), iri("k4p:Activity")
    return len({q.subject for q in store.quads() if q.predicate == kind and q.object == activity})


_TOPIC = replace(TOPIC, find=_find)
decisions.topics.append(_TOPIC)
commits.followers.append(Follower(concerns, detect, slow=True, graph=OVERLAPS))


def main(store: str, files: str, keep: str) -> None:
    """Bring ``graph:overlaps`` up to date when asked, which the service does after a change."""

    def answer(*_: object) -> dict[str, Any]:
        refresh(Store(Path(store), keep=int(keep)), load_shapes(Path(files)), most=MOST)
        return {}

    logs.begin_child()
    os.nice(10)  # answers go first
    serve(answer)
