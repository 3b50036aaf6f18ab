"""SPARQL 1.1 Update as changes to a draft.

The engine's own update is never used, as it knows nothing of the log, nor of the default graph that is
the merge of the published graphs. Each operation is translated to one query over the draft; from its
solutions come the quads to remove and to add, and the draft applies them, so that the operations after
it see them. An error leaves the draft half changed: whoever made it throws it away.

Source: SPARQL 1.1 Update, sections 3 and 4; SPARQL 1.1 Protocol, section 2.2.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pyoxigraph import NamedNode, Quad

from ..errors import MalformedRequest
from ..store import CALLS_NOBODY, Delta, Draft, MemoryGraph
from ..store import dataset as make_dataset
from .complaints import complaint_in_group
from .engine import for_engine
from .guard import refuse_foreign, refuse_service, refused_at
from .lexer import place
from .operations import Dataset, Manage, Modify, Operation, Transfer, Where, read_operations
from .prologue import Assembled, located


def apply_update(
    text: str,
    draft: Draft,
    *,
    using: list[str] | None = None,
    using_named: list[str] | None = None,
    derived: Container[NamedNode] = (),
) -> None:
    """Do what an update request says.

    Args:
        draft: is changed; has to be thrown away if this raises.
        using, using_named: the IRIs of the parameters ``using-graph-uri`` and
            ``using-named-graph-uri`` of the protocol.
        derived: graphs that follow from the others; ALL and NAMED leave them to the rules.

    Raises:
        MalformedQuery: the request is not valid, with line and column.
        MalformedRequest: a graph is missing or is there already, where the operation needs the
            contrary and is not SILENT; or the request and its parameters both name a dataset.
        Refused: it calls another endpoint, fetches something, or writes to the default graph.
    """
    refuse_service(text)
    protocol = Dataset(using or [], using_named or [])
    refuse_foreign("The dataset", protocol.default + protocol.named)
    operations = read_operations(text)
    for operation in operations:
        if isinstance(operation, Modify):
            _check(operation, text, protocol)
    for operation in operations:
        draft.apply(_delta(operation, text, draft, protocol, derived))


def _check(operation: Modify, text: str, protocol: Dataset) -> None:
    """What can be found wrong before anything is done."""
    if protocol and (operation.using or operation.graph):
        line, column = place(text, operation.start)
        raise MalformedRequest(
            f"Line {line}, column {column}: the request names graphs by WITH or USING, and its"
            " parameters using-graph-uri or using-named-graph-uri do too. Use one of both.",
            line=line,
            column=column,
        )
    if operation.where:
        query = _query(operation.where, text, "SELECT *", " LIMIT 0")
        with _explained(query, text, operation.where):
            MemoryGraph(()).select(query.text)


def _delta(
    operation: Operation,
    text: str,
    draft: Draft,
    protocol: Dataset,
    derived: Container[NamedNode],
) -> Delta:
    match operation:
        case Modify():
            solutions = _solutions(operation, text, draft, protocol)
            return Delta.of(
                operation.insert.fill(solutions),
                operation.delete.fill(solutions),
                draft.normalised,
            )
        case Manage():
            return _manage(operation, text, draft, derived)
        case Transfer():
            return _transfer(operation, text, draft)


def _query(where: Where, text: str, before: str, after: str = "") -> Assembled:
    query = where.prologue.before()
    query.add(f"{before} WHERE ")
    query.extend(for_engine(text, where.start, where.end))
    query.add(after)
    return query


def _solutions(
    operation: Modify, text: str, draft: Draft, protocol: Dataset
) -> list[Mapping[str, Any]]:
    """The solutions of the WHERE clause, as far as the templates need them."""
    if operation.where is None:
        return [{}]
    variables = sorted(operation.delete.variables | operation.insert.variables)
    names = " ".join(f"?{name}" for name in variables)
    if operation.insert.has_blanks:
        # Two solutions that look alike make two blank nodes.
        query = _query(operation.where, text, f"SELECT {names or '*'}")
    elif names:
        query = _query(operation.where, text, f"SELECT DISTINCT {names}")
    else:
        query = _query(operation.where, text, "SELECT *", " LIMIT 1")
    database: Any = draft.database
    options: dict[str, Any] = {}
    if using := operation.using or protocol:
        database, options = make_dataset(database, _once(using.default), _once(using.named))
    elif operation.graph:
        # All named graphs stay in sight, as the engine leaves them where only the default is given.
        options = {"default_graph": [operation.graph]}
    with _explained(query, text, operation.where):
        return list(database.query(query.text, **options))


@contextmanager
def _explained(query: Assembled, text: str, where: Where) -> Iterator[None]:
    """What the engine says of a query made of a WHERE clause, as an error about the request."""
    try:
        yield
    except (SyntaxError, ValueError, RuntimeError) as e:
        found = located(e, query, text, where.start)
        raise complaint_in_group(text, where.start, where.end, where.prologue, found) from None
    except OSError as e:
        if "service" in query.text.lower():
            raise refused_at(text, where.start, CALLS_NOBODY) from None
        raise e


def _once(graphs: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(graphs))


def _manage(operation: Manage, text: str, draft: Draft, derived: Container[NamedNode]) -> Delta:
    graph = operation.graph
    if graph is None:
        return Delta(removed=frozenset(q for q in draft.quads() if q.graph_name not in derived))
    missing = next(iter(draft.quads(graph)), None) is None
    if operation.verb == "CREATE":
        if not missing and not operation.silent:
            raise _failed(text, operation.start, f"the graph {graph} is there already.")
        return Delta()
    if missing and not operation.silent:
        raise _failed(text, operation.start, _missing(graph))
    return Delta(removed=frozenset(draft.quads(graph)))


def _transfer(operation: Transfer, text: str, draft: Draft) -> Delta:
    source, target = operation.source, operation.target
    if source == target:
        return Delta()
    triples = draft.triples() if source is None else (quad.triple for quad in draft.quads(source))
    added = {Quad(t.subject, t.predicate, t.object, target) for t in triples}
    if not added and source is not None:
        if operation.silent:
            return Delta()
        raise _failed(text, operation.start, _missing(source))
    removed: set[Quad] = set()
    if operation.verb != "ADD":
        removed |= set(draft.quads(target))
    if operation.verb == "MOVE":
        removed |= set(draft.quads(source))
    return Delta.of(added, removed)


def _missing(graph: NamedNode) -> str:
    return (
        f"there is no graph {graph}; a graph is there while it has triples. Write SILENT if that is"
        " no error to you."
    )


def _failed(text: str, offset: int, detail: str) -> MalformedRequest:
    line, column = place(text, offset)
    return MalformedRequest(f"Line {line}, column {column}: {detail}", line=line, column=column)
