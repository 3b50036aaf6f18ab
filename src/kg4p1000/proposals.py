"""Overlaps in the store: detected anew when what they rest on has changed, and decided on."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from pyoxigraph import NamedNode, Quad

from . import logs
from .build import load_shapes, merged_sources, parse_file
from .curation import Commit, commit
from .errors import NotFound
from .overlaps import decisions
from .processes import serve
from .store import Delta, Draft, MemoryGraph, Store
from .store.changes import write_durably
from .terms import iri, mint, turtle
from .validation import Shapes

#: A plan with more activities than this is compared when somebody asks for it, not after each change.
MOST = 2_000
Pair = tuple[str, str]


def concerns(quads: Iterable[Quad]) -> bool:
    """Whether a change of these quads is one of overlaps or of decisions about them."""
    return any(q.graph_name in (decisions.GRAPH, decisions.OVERLAPS) for q in quads)


def refresh(
    store: Store,
    shapes: Shapes,
    *,
    author: str = "overlaps",
    dry_run: bool = False,
    also: Collection[Pair] = (),
    most: int | None = None,
) -> Commit | None:
    """Compare the activities of the published graph and bring ``graph:overlaps`` to the result.

    On an unchanged graph nothing changes. Decisions stay as they are.

    Args:
        also: pairs to store whatever their confidence.
        most: do nothing (None) when there are more activities.
    """
    if most is not None and _activities(store) > most:
        return None

    return commit(
        store,
        shapes,
        lambda draft: detect(draft, also),
        author=author,
        message="Overlaps detected anew",
        source="overlaps",
        dry_run=dry_run,
    )


def detect(draft: Draft, also: Collection[Pair] = ()) -> None:
    """Bring ``graph:overlaps`` of a draft to what is found in it; see `refresh`."""
    from .overlaps.findings import Detection  # noqa: PLC0415 - numpy and scipy are needed here only

    wanted = Detection.of(draft.select).triples(draft.select, also=also)
    quads = {Quad(*t, decisions.OVERLAPS) for t in wanted}
    present = set(draft.quads(decisions.OVERLAPS))
    draft.apply(Delta.of(quads - present, present - quads))


def write_file(folder: Path) -> Path | None:
    """Compare the activities of the files and write ``data/overlaps.ttl``.

    Returns:
        The file, if it changed.
    """
    from .overlaps.findings import Detection  # noqa: PLC0415 - numpy and scipy are needed here only

    path = folder / "data" / "overlaps.ttl"
    given = [source.path for source in merged_sources(folder)]
    graph = MemoryGraph(t for file in given for t in parse_file(file))
    data = turtle(Detection.of(graph.select).triples(graph.select))
    if data == path.read_bytes():
        return None
    write_durably(path, data)
    return path


def decide(
    store: Store,
    shapes: Shapes,
    pair: Pair,
    *,
    status: str,
    author: str,
    why: str,
    overlap_kind: str = "",
    dry_run: bool = False,
    permit: Callable[[Draft], None] = lambda draft: None,
) -> Commit:
    """Record a decision about a pair; the overlap takes its status in the same change.

    A pair whose confidence is below that of stored ones is stored in that change, too.

    Args:
        permit: raises where the author may not decide.

    Raises:
        NotFound: one of them is no activity of the graph.
        BadParameter: status, kind, author or reason is not one that can be.
    """
    decisions.check(status, author, why, overlap_kind)
    record = decision(pair, status=status, author=author, why=why, kind=overlap_kind)

    def change(draft: Draft) -> None:
        permit(draft)
        record(draft)

    return commit(
        store,
        shapes,
        change,
        author=author,
        message=f"{'-'.join(pair)} {status}: {why}",
        source="decision",
        dry_run=dry_run,
    )


def decision(
    pair: Pair, *, status: str, author: str, why: str, kind: str = ""
) -> Callable[[Draft], None]:
    """The change of a draft that a decision is."""

    def change(draft: Draft) -> None:
        for notation in pair:
            if not _is(draft, mint("activity", notation), "k4p:Activity"):
                raise NotFound(
                    f"The graph has no activity {notation}; the stored query activities-of-objective"
                    " lists those that it has."
                )
        if not _is(draft, decisions.overlap_iri(pair), "k4p:Overlap"):
            draft.apply(Delta.of(_found(draft, pair)))
        known = decisions.read(draft.select)
        draft.apply(Delta.of(decisions.decide(pair, status, author, why, kind=kind, known=known)))
        settle(draft)

    return change


def settle(draft: Draft) -> None:
    """Give every overlap of a draft the status of the decision that holds for it."""
    draft.apply(decisions.settle(draft))


def _is(draft: Draft, thing: NamedNode, kind: str) -> bool:
    return next(draft.match(thing, iri("rdf:type"), iri(kind), None), None) is not None


def _found(draft: Draft, pair: Pair) -> set[Quad]:
    """What the detection says of one pair; everything, where nothing has been detected yet."""
    from .overlaps.findings import Detection  # noqa: PLC0415 - numpy and scipy are needed here only

    whole = next(draft.quads(decisions.OVERLAPS), None) is None
    made = Detection.of(draft.select).triples(draft.select, also=[pair])
    wanted = decisions.overlap_iri(pair)
    return {Quad(*t, decisions.OVERLAPS) for t in made if whole or t.subject == wanted}


def _activities(store: Store) -> int:
    kind, activity = iri("rdf:type"), iri("k4p:Activity")
    return len({q.subject for q in store.quads() if q.predicate == kind and q.object == activity})


def main(store: str, files: str, keep: str) -> None:
    """Bring ``graph:overlaps`` up to date when asked, which the service does after a change."""

    def answer(*_: object) -> dict[str, Any]:
        refresh(Store(Path(store), keep=int(keep)), load_shapes(Path(files)), most=MOST)
        return {}

    logs.begin_child()
    os.nice(10)  # answers go first
    serve(answer)
