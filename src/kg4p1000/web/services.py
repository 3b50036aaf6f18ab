"""What the routes work with, and what all of them need to know of a request."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pyoxigraph as ox
from flask import current_app, g, request
from werkzeug.datastructures import MultiDict

from ..access import Clients, Tokens
from ..errors import KgError, StoreUnusable
from ..queries import Library
from ..questions import Outcome
from ..settings import Settings
from ..sparql import Reading
from ..store import Readers, Row, Store, Term, rows
from .background import Background
from .citation import Cache, named_version
from .requests import named_host
from .transfers import Transfers

if TYPE_CHECKING:
    from ..writer import Writer

_NAME = "kg4p1000"


@dataclass
class Services:
    """The collaborators of the routes, as `create_app` got them."""

    settings: Settings
    store: Store
    readers: Readers
    library: Library
    reading: Reading
    writer: Writer
    tokens: Tokens
    clients: Clients
    cache: Cache
    transfers: Transfers
    examiner: Background[Outcome]
    census: Background[dict[str, int]]
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
        )
        solutions = ox.parse_query_results(result.read(), format=ox.QueryResultsFormat.JSON)
        return list(rows(cast(ox.QuerySolutions, solutions)))


def attach(services: Services) -> None:
    """Give the collaborators to the application that is being made (in its context)."""
    current_app.extensions[_NAME] = services


def services() -> Services:
    """Return the collaborators of the application that answers the request."""
    return cast(Services, current_app.extensions[_NAME])


def asked_version(values: MultiDict[str, str]) -> int | None:
    """Return the version of the graph that a request names; see `citation.named_version`."""
    moment = request.headers.get("Accept-Datetime", "")
    return named_version(values.get("version", "").strip(), moment, services().store)


def kept_version() -> str:
    """Return the version that the links of a page lead to: the one that was asked for; empty where none was, or none can be."""
    if "kept_version" not in g:
        g.kept_version = ""
        with suppress(KgError):
            if version := asked_version(request.args):
                services().store.entry(version)
                g.kept_version = request.args.get("version", "").strip() or str(version)
    return cast(str, g.kept_version)


def base() -> str:
    """Return the address of the service, for links that lead here from outside."""
    return services().settings.public_url.rstrip("/") or f"{request.scheme}://{named_host()}"


def resolved_version(text: str) -> int:
    """Return the version that a request means: the one that it names, or the published one.

    Raises:
        BadParameter: what it names is no version.
        StoreUnusable: nothing was published yet.
    """
    store = services().store
    moment = request.headers.get("Accept-Datetime", "")
    version = named_version(text.strip(), moment, store) or store.current
    if not version:
        raise StoreUnusable("The store is empty; run 'kg4p1000 build' first.")
    return version


def page_version() -> int:
    """Return the version that a page is made from, the same for all queries of the page.

    Raises:
        NotFound: the request names a version that is not there.
        StoreUnusable: nothing was published yet.
    """
    version = resolved_version(request.args.get("version", ""))
    services().store.entry(version)
    g.version = version
    return version
