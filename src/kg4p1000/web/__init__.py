"""The service on the web: `create_app` joins the parts, `serve` runs them.

Every page works without scripts and asks nobody else for anything; a strict content security
policy holds on all of them.
"""

from __future__ import annotations

import contextlib
import logging
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any

from flask import Flask, Response, g, request
from jinja2 import Environment

from .. import processes
from ..access import Clients, Tokens, networks
from ..errors import KgError, MalformedRequest
from ..queries import Library
from ..settings import Settings
from ..sparql import Reading
from ..store import Entry, Readers, Store
from ..texts import balanced, isolated
from ..writer import Writer
from . import (
    api,
    background,
    graphs,
    home,
    ontology,
    operations,
    overlaps,
    problems,
    queries,
    sparql,
    things,
    write,
)
from .authorization import account
from .citation import Cache
from .datasets import KnownGraphs
from .ontology import said
from .problems import by_status
from .rendering import bdi, graph_name, href, local, short, source
from .requests import LONGEST_HEADER, named_host, see_names
from .server import Server
from .services import Services, attach, kept_version, services
from .shortcut import Short
from .visits import VISIT, AccessLog, Edge, Visits

_log = logging.getLogger(__name__)

#: Addresses that cost nothing, or that must answer when nothing else does.
_UNCOUNTED = {"static", "home.favicon", "home.robots", "operations.health", "operations.metrics"}
#: Addresses that no version of the graph has an own answer of, beside those that name one in their path.
_TIMELESS = {"static", "home.favicon", "home.robots", "home.latest_dump", "overlaps.decide"}
#: Parameters of pages; areas that look themselves which ones they have.
_PARAMETERS = (
    "version", "format", "page", "part", "lang", "objective", "other", "kind", "status", "confidence", "graph", "default",
)  # fmt: skip
_OWN_PARAMETERS = ("sparql", "queries", "static")
#: Room beyond the largest query for a request to be read before we refuse it in our own words.
_SLACK = 1 << 20
_IDENT = "kg4p1000"


def create_app(settings: Settings, store: Store, readers: Readers, library: Library) -> Flask:
    """The web application over a store."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = max(settings.query_size, settings.upload_size) + _SLACK
    _prepare(app.jinja_env)
    with app.app_context():
        joined = Services(
            settings,
            store,
            readers,
            library,
            reading=Reading(settings.query_timeout),
            writer=Writer(
                store.path,
                settings.files,
                settings.change_timeout,
                settings.change_memory,
                settings.keep_versions,
            ),
            tokens=Tokens(store.path / "tokens.json"),
            clients=Clients(
                settings.client_rate, settings.client_burst, settings.client_concurrency
            ),
            cache=Cache(settings.cache_size << 20),
            known_graphs=KnownGraphs(readers),
            census=background.census(readers),
            examiner=background.examiner(library, readers, settings.files / "queries"),
        )
        joined.metrics = operations.Metrics(joined)
        joined.visits = Visits(
            joined, networks(settings.trusted_proxies), AccessLog(settings.access_log)
        )
        attach(joined)
    for area in (api, home, sparql, queries, overlaps, things, ontology, graphs, write, operations):
        app.register_blueprint(area.blueprint)
    for blueprint in (home.versions, home.description, queries.questions):
        app.register_blueprint(blueprint)
    problems.register(app)
    app.before_request(_begin)
    app.after_request(_finish)
    app.context_processor(_footer(store))
    app.url_defaults(_keep_version(app))
    app.wsgi_app = Edge(app.wsgi_app, joined.visits)  # type: ignore[method-assign]
    return app


def make_server(app: Flask, host: str, port: int, threads: int, *, short: bool = True) -> Server:
    """A server for the application, listening but not yet running; port 0 takes a free one.

    Args:
        threads: more than queries may run and wait at once, for a query that was begun without one needs a
            thread to be brought to its end.
        short: whether small queries may be answered on the short way; the answers are the same.
    """
    joined: Services = app.extensions["kg4p1000"]
    return Server(
        app,
        joined.visits,
        Short(joined, _IDENT) if short else None,
        host=host,
        port=port,
        threads=threads,
        ident=_IDENT,
        server_name=host,  # for links to a client that names no host
        max_request_body_size=app.config["MAX_CONTENT_LENGTH"] + _SLACK,
        # Whose X-Forwarded-For counts is decided by `access.client_address`.
        clear_untrusted_proxy_headers=False,
        # Results are spooled to disk rather than holding a thread for a slow line.
        outbuf_high_watermark=1 << 40,
        connection_limit=1000,
        channel_timeout=60,
        # Reading on while a request is answered is how waitress notices that a client has gone.
        channel_request_lookahead=1,
    )


def serve(app: Flask, host: str, port: int, threads: int) -> None:
    """Run the application until the process is told to stop."""
    server = make_server(app, host, port, threads)

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    app.extensions["kg4p1000"].reading.warm()
    if processes.can_deny_network():
        processes.deny_network()  # it listens already, and calls nobody
    try:
        server.run()
    finally:
        server.close()
        app.extensions["kg4p1000"].reading.close()
        app.extensions["kg4p1000"].writer.close()
        app.extensions["kg4p1000"].examiner.close()


def _begin() -> None:
    visit = g.visit = request.environ[VISIT]
    visit.endpoint = request.endpoint or "none"
    _refuse_long_headers()
    if visit.endpoint in _UNCOUNTED or request.method == "OPTIONS":
        return
    if not visit.counted:
        services().clients.enter(visit.client)
        visit.counted = True
    named_host()
    account()
    try:
        _ = request.args
    except UnicodeDecodeError:
        raise MalformedRequest("The parameters of the request are not UTF-8.") from None
    if request.method in ("GET", "HEAD") and request.blueprint not in _OWN_PARAMETERS:
        see_names(_PARAMETERS)


def _refuse_long_headers() -> None:
    """See that no header takes long to read, before any is.

    Raises:
        KgError: one is too long (431).
    """
    for name, value in request.environ.items():
        if name.startswith("HTTP_") and len(value) > LONGEST_HEADER:
            request.environ[name] = ""  # nobody is to read it
            told = name.removeprefix("HTTP_").replace("_", "-").title()
            raise by_status(
                431,
                f"The header {told} has more than {LONGEST_HEADER:,} characters; send a shorter one.",
            )


def _finish(response: Response) -> Response:
    if request.endpoint not in ("static", "home.favicon"):
        response.vary.add("Accept")
    if g.get("version"):
        response.vary.add("Accept-Datetime")
    g.visit.version = g.get("version") or 0
    return response


def _keep_version(app: Flask) -> Callable[[str, dict[str, Any]], None]:
    """What lets the links of a page lead to the version that the page is of."""

    def keep(endpoint: str, values: dict[str, Any]) -> None:
        takes_it = endpoint not in _TIMELESS and not app.url_map.is_endpoint_expecting(
            endpoint, "version"
        )
        if takes_it and (version := kept_version()):
            values.setdefault("version", version)

    return keep


def _footer(store: Store) -> Callable[[], dict[str, Any]]:
    def values() -> dict[str, Any]:
        """What every page says of the version that it shows."""
        current = store.current
        shown = g.get("version") or current
        entry: Entry | None = None
        with contextlib.suppress(KgError):  # a page that tells of an error must not fail itself
            entry = store.entry(shown)
        return {
            "shown_version": shown,
            "current_version": current,
            "entry": entry,
            "english": said("en"),
            "kept_version": kept_version(),
        }

    return values


def _prepare(templates: Environment) -> None:
    templates.trim_blocks = templates.lstrip_blocks = True
    templates.filters.update(
        href=href, short=short, graph_name=graph_name, count=_count, local=local
    )
    templates.filters.update(bdi=bdi, isolated=isolated, source=source)
    # Whatever a template forgets to set apart: no text turns what stands outside of it.
    templates.finalize = _closed


def _closed(value: object) -> object:
    return balanced(value) if type(value) is str else value


def _count(number: int) -> str:
    """A number with separators of thousands."""
    return f"{number:,}"
