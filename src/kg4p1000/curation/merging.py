"""Files and service side by side: what each changed since both said the same, and where they disagree.

The base of that comparison is what the files said at the last build or dump. It stands in ``builds/`` of the store,
under the number of the version that it was compared with. Where files and graph are in conflict the base stays as it
was, so that every build tells of the conflict until both say the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import Any

from pyoxigraph import NamedNode, Quad

from ..kernel.errors import StoreUnusable
from ..kernel.terms import iri
from ..store import Delta, Store
from ..store.changes import parse_lines, sorted_lines, write_durably
from .commits import INFERRED, computed
from .decisions import GRAPH as DECISIONS

Key = tuple[Any, Any, Any]
_TYPE, _STATUS, _KIND = iri("rdf:type"), iri("k4p:status"), iri("k4p:overlapKind")
_OPEN = iri("status:proposed")


@dataclass(frozen=True)
class Conflict:
    """Statements of one subject and property on which the files and a steward disagree.

    Attributes:
        torn: whether one side took the whole thing away to which the other side adds.
    """

    graph: NamedNode
    subject: NamedNode
    predicate: NamedNode
    steward: frozenset[Quad]
    files: frozenset[Quad]
    torn: bool = False


@dataclass(frozen=True)
class Merge:
    """What comes of files and graph.

    Attributes:
        delta: what is to be done to the graph.
        base: what to compare with the next time.
        followed: whether what follows slowly (the overlaps) is not that of the files any more: it follows from what
            people decided and changed since, so that of the files is not taken.
    """

    delta: Delta
    conflicts: tuple[Conflict, ...]
    base: frozenset[Quad]
    followed: bool


def read_base(store: Store) -> frozenset[Quad]:
    """Return what the files said at the last build or dump; nothing before the first.

    Raises:
        StoreUnusable: the record of it is damaged.
    """
    path = max((store.path / "builds").glob("[0-9]*.nq"), default=None)
    if path is None:
        return frozenset()
    try:
        return frozenset(parse_lines(path.read_text(encoding="utf-8").splitlines(True)))
    except (ValueError, SyntaxError) as e:
        raise StoreUnusable(
            f"{path} is damaged, so nobody can tell what the files changed since. Take it from a backup, or delete"
            " it: then the build before it counts."
        ) from e


def write_base(store: Store, version: int, said: Iterable[Quad]) -> None:
    """Record what the files say and with which version that was compared."""
    lines = "".join(f"{line} .\n" for line in sorted_lines(said))
    write_durably(store.path / "builds" / f"{version:08}.nq", lines.encode())


def merge(held: frozenset[Quad], base: frozenset[Quad], said: frozenset[Quad]) -> Merge:
    """Sort what the files changed since the base into what is done and what meets a steward's change.

    Statements are compared by graph, subject and property: where files and steward changed the same one to different
    values, the steward's stay. Of a thing that one side took away, nothing is changed to which the other side adds
    statements. A decision that is there stays in any case.

    Args:
        held: what the graph says now.
        said: what the files say now.
    """
    held = held if base else base
    slow = computed()
    followed = bool(base) and any(of(graph, held) != of(graph, base) for graph in slow)
    added, removed = (
        frozenset(q for q in quads if not followed or q.graph_name not in slow)
        for quads in (said - base, base - said)
    )
    present = frozenset(q for q in held if q.graph_name != INFERRED)
    by_files, by_steward = _grouped(added | removed), _grouped(present ^ base)
    decided = {quad.subject for quad in of(DECISIONS, present)}
    torn = _torn(base, present, added) | _torn(base, said, present - base)
    candidates = by_files.keys() & by_steward.keys()
    candidates |= {key for key in by_files if key[0] == DECISIONS and key[1] in decided}
    candidates |= {key for key in by_files if key[1] in torn}
    wanted, there = _grouped((base - removed) | added), _grouped(present)
    conflicts = tuple(
        Conflict(*key, ours, files, key[1] in torn)
        for key in sorted(candidates, key=str)
        if (ours := there[key]) != (files := wanted[key])
    )
    kept = {(c.graph, c.subject, c.predicate) for c in conflicts}
    # Of a torn thing nothing is done, so that all of its base stays: without it the next build would not know it as one.
    whole = {c.subject for c in conflicts if c.torn}

    def free(quads: Iterable[Quad]) -> frozenset[Quad]:
        return frozenset(q for q in quads if _key(q) not in kept and q.subject not in whole)

    return Merge(
        Delta(free(added), free(removed)), conflicts, free(said) | (base - free(base)), followed
    )


def _torn(base: Set[Quad], taking: Set[Quad], added: Set[Quad]) -> set[Any]:
    """Things to which one side adds what the other side, which took them away, does not say."""
    typed = {q.subject for q in base if q.predicate == _TYPE}
    # A thing without a type is as much as its graph says of it.
    gone = typed - {q.subject for q in taking if q.predicate == _TYPE}
    places = {(q.subject, q.graph_name) for q in base if q.subject not in typed}
    places -= {(q.subject, q.graph_name) for q in taking}
    return {
        q.subject
        for q in added - taking
        if q.subject in gone or (q.subject, q.graph_name) in places
    }


def unknown(base: frozenset[Quad], said: frozenset[Quad], wanted: frozenset[Quad]) -> int:
    """Count what one file says, or no longer says, that no build knows, and that a dump would undo."""
    return len((said - base) - wanted) + len((base - said) & wanted)


def with_decisions(said: frozenset[Quad], held: frozenset[Quad]) -> frozenset[Quad]:
    """Return the overlaps of a file with what people decided in the graph since.

    A decision also teaches the ranking, and so shifts the confidence of hundreds of other pairs. That is computed, and
    nobody can review it; it is left for when all of it is computed anew.
    """
    old, new = (_grouped(quads, lambda quad: quad.subject) for quads in (said, held))
    changed = {s for s in {*old, *new} if _judged(old[s]) != _judged(new[s])}
    kept = (q for q in said if q.subject not in changed)
    return frozenset(kept).union(*(new[subject] for subject in changed))


def _judged(overlap: Iterable[Quad]) -> tuple[Any, Any] | None:
    """Return what people decided about an overlap: its status and kind; None where nobody did."""
    said = {q.predicate: q.object for q in overlap}
    status = said.get(_STATUS, _OPEN)
    return None if status == _OPEN else (status, said.get(_KIND))


def of(graph: NamedNode, quads: Iterable[Quad]) -> frozenset[Quad]:
    """Return the quads of one graph."""
    return frozenset(quad for quad in quads if quad.graph_name == graph)


def _key(quad: Quad) -> Key:
    return quad.graph_name, quad.subject, quad.predicate


def _grouped(
    quads: Iterable[Quad], key: Callable[[Quad], Any] = _key
) -> defaultdict[Any, frozenset[Quad]]:
    """Return quads by what they are about; nothing of what none is about."""
    groups: dict[Any, set[Quad]] = {}
    for quad in quads:
        groups.setdefault(key(quad), set()).add(quad)
    return defaultdict(frozenset, {name: frozenset(group) for name, group in groups.items()})
