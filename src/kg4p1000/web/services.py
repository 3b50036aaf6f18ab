"""What the routes work with, and what all of them need to know of a request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pyoxigraph as ox
from flask import current_app, g, request
from werkzeug.datastructures import MultiDict

from ..access import Clients, Network, Tokens
from ..errors import BadParameter, StoreUnusable
from ..queries import Library
from ..settings import Settings
from ..store import Readers, Store

Term = ox.NamedNode | ox.BlankNode | ox.Literal
Row = dict[str, Term | None]

if TYPE_CHECKING:
    from ..writer import Writer
    from .citation import Cache
    from .questions import Examiner

_NAME = "kg4p1000"
#: Set by waitress.
_DISCONNECTED = "waitress.client_disconnected"


@dataclass
class Services:
    """The collaborators of the routes, as `create_app` got them."""

    settings: Settings
    store: Store
    readers: Readers
    library: Library
    writer: Writer
    tokens: Tokens
    clients: Clients
    cache: Cache
    examiner: Examiner
    proxies: tuple[Network, ...] = ()
    #: Filled by `vocabulary`, by version.
    vocabularies: dict[int, Any] = field(default_factory=dict, compare=False)
    #: Set by `create_app`; gathers its figures from the other collaborators.
    metrics: Any = None

    def select(
        self,
        text: str,
        version: int | None = None,
        *,
        default_graphs: list[str] | None = None,
        **bindings: Term,
    ) -> list[Row]:
        """Run one of our own SELECT queries.

        Args:
            bindings: terms for variables; each must be projected by the query.
        """
        result = self.readers.query(
            text,
            bindings=bindings,
            default_graphs=default_graphs,
            version=version,
            gone=client_gone(),
        )
        solutions = ox.parse_query_results(result.read(), format=ox.QueryResultsFormat.JSON)
        return list(_rows(cast(ox.QuerySolutions, solutions)))


def _rows(solutions: ox.QuerySolutions) -> Iterator[Row]:
    names = [variable.value for variable in solutions.variables]
    for solution in solutions:
        yield {name: cast(Term | None, solution[name]) for name in names}


def attach(services: Services) -> None:
    """Give the collaborators to the application that is being made (in its context)."""
    current_app.extensions[_NAME] = services


def services() -> Services:
    """The collaborators of the application that answers the request."""
    return cast(Services, current_app.extensions[_NAME])


def client_gone() -> Callable[[], bool]:
    """What tells whether the client of this request has closed its connection."""
    return cast(Callable[[], bool], request.environ.get(_DISCONNECTED, lambda: False))


def asked_version(values: MultiDict[str, str]) -> int | None:
    """The version of the graph that a request names, by number or by a date; None when by neither.

    A date means the version that was published at the end of that day, a date with a time the one
    at that time.

    Raises:
        BadParameter: it is neither a whole number above zero nor a date.
    """
    text = values.get("version", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdecimal() and int(text[:18]):
        return int(text[:18])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadParameter(
            f"version is {text!r} and must be the number of a version, such as 1, or a date, such as"
            " 2026-11-22.",
            parameter="version",
        ) from None
    if len(text) == len("2026-11-22"):
        moment += timedelta(days=1, seconds=-1)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return version_at(moment)


def version_at(moment: datetime) -> int:
    """The version that was published at a time; the first one for times before it."""
    store = services().store
    for entry in store.entries():
        if entry.time <= moment:
            return entry.version
    return min(1, store.current)


def page_version() -> int:
    """The version that a page is made from, the same for all queries of the page.

    Raises:
        NotFound: the request names a version that is not there.
        StoreUnusable: nothing was published yet.
    """
    store = services().store
    version = asked_version(request.args) or store.current
    if not version:
        raise StoreUnusable("The store is empty; run 'kg4p1000 build' first.")
    store.entry(version)
    g.version = version
    return version
