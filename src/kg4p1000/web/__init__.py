"""The service on the web: `create_app` joins the parts, `serve` runs them.

Every page works without scripts and asks nobody else for anything; a strict content security
policy holds on all of them.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import time
import uuid
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol, cast

import waitress
from flask import Flask, Response, g, request

from ..access import Clients, Tokens, networks
from ..errors import KgError, MalformedRequest
from ..queries import Library
from ..settings import Settings
from ..store import Entry, Readers, Store
from ..writer import Writer
from . import (
    description,
    graphs,
    home,
    ontology,
    operations,
    problems,
    queries,
    questions,
    sparql,
    things,
    versions,
    write,
)
from .authorization import client
from .citation import Cache
from .rendering import graph_name, href, short
from .services import Services, attach, services

_log = logging.getLogger(__name__)

_SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    # Queries stand in addresses; no other site is to learn them.
    "Referrer-Policy": "same-origin",
}
#: Addresses that cost nothing, or that must answer when nothing else does.
_UNCOUNTED = {"static", "home.favicon", "home.robots", "operations.health", "operations.metrics"}
#: Room beyond the largest query for a request to be read before we refuse it in our own words.
_SLACK = 1 << 20


class Server(Protocol):
    """A server that listens, and runs until it is closed."""

    effective_host: str
    effective_port: int

    def run(self) -> None:
        """Answer requests until the server is closed."""

    def close(self) -> None:
        """Stop listening."""


def create_app(settings: Settings, store: Store, readers: Readers, library: Library) -> Flask:
    """The web application over a store."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = max(settings.query_size, settings.upload_size) + _SLACK
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(href=href, short=short, graph_name=graph_name, count=_count)
    with app.app_context():
        joined = Services(
            settings,
            store,
            readers,
            library,
            writer=Writer(
                store.path, settings.files, settings.change_timeout, settings.change_memory
            ),
            tokens=Tokens(store.path / "tokens.json"),
            clients=Clients(
                settings.client_rate, settings.client_burst, settings.client_concurrency
            ),
            cache=Cache(settings.cache_size << 20),
            examiner=questions.Examiner(library, readers, settings.files / "queries"),
            proxies=networks(settings.trusted_proxies),
        )
        joined.metrics = operations.Metrics(joined)
        attach(joined)
    for area in (
        home,
        sparql,
        queries,
        questions,
        things,
        ontology,
        graphs,
        versions,
        write,
        description,
        operations,
    ):
        app.register_blueprint(area.blueprint)
    problems.register(app)
    app.before_request(_begin)
    app.after_request(_finish)
    app.context_processor(_footer(store))
    return app


def make_server(app: Flask, host: str, port: int, threads: int) -> Server:
    """A server for the application, listening but not yet running; port 0 takes a free one."""
    return cast(
        Server,
        waitress.create_server(
            app,
            host=host,
            port=port,
            threads=threads,
            ident="kg4p1000",
            max_request_body_size=app.config["MAX_CONTENT_LENGTH"] + _SLACK,
            # Whose X-Forwarded-For counts is decided by `access.client_address`.
            clear_untrusted_proxy_headers=False,
            # Results are spooled to disk rather than holding a thread for a slow line.
            outbuf_high_watermark=1 << 40,
            connection_limit=1000,
            channel_timeout=60,
            # Reading on while a request is answered is how waitress notices that a client has gone.
            channel_request_lookahead=1,
        ),
    )


def serve(app: Flask, host: str, port: int, threads: int) -> None:
    """Run the application until the process is told to stop."""
    server = make_server(app, host, port, threads)

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    try:
        server.run()
    finally:
        server.close()
        app.extensions["kg4p1000"].writer.close()
        app.extensions["kg4p1000"].examiner.close()


def _begin() -> None:
    g.request_id = str(uuid.uuid4())
    g.begun = time.monotonic()
    if request.endpoint in _UNCOUNTED or request.method == "OPTIONS":
        return
    address = client()
    services().clients.enter(address)
    g.client = address
    try:
        _ = request.args
    except UnicodeDecodeError:
        raise MalformedRequest("The parameters of the request are not UTF-8.") from None


def _finish(response: Response) -> Response:
    for name, value in _SECURITY.items():
        response.headers[name] = value
    if request.endpoint not in ("static", "home.favicon"):
        response.vary.add("Accept")
    if address := g.pop("client", None):
        clients = services().clients
        response.call_on_close(lambda: clients.leave(address))
    # Everything here is public and takes no account.
    response.headers["Access-Control-Allow-Origin"] = "*"
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "GET")
        response.headers["Access-Control-Allow-Headers"] = (
            "Accept, Accept-Datetime, Authorization, Content-Type, If-None-Match"
        )
        response.headers["Access-Control-Max-Age"] = "86400"
    else:
        response.headers["Access-Control-Expose-Headers"] = (
            "Content-Location, ETag, KG-Awaits, KG-Version, Link, Memento-Datetime, Retry-After"
        )
    if version := g.get("version"):
        response.headers["KG-Version"] = str(version)
    seconds = time.monotonic() - g.begun
    services().metrics.latency.labels(
        request.endpoint or "none", request.method, str(response.status_code)
    ).observe(seconds)
    _log.info(
        "%s %s %s %d %.0f ms",
        g.request_id,
        request.method,
        request.path,
        response.status_code,
        seconds * 1000,
    )
    response.headers["X-Request-Id"] = g.request_id
    return response


def _footer(store: Store) -> Callable[[], dict[str, Any]]:
    def values() -> dict[str, Any]:
        """What every page says of the version that it shows."""
        current = store.current
        shown = g.get("version") or current
        entry: Entry | None = None
        with contextlib.suppress(KgError):  # a page that tells of an error must not fail itself
            entry = store.entry(shown)
        return {"shown_version": shown, "current_version": current, "entry": entry}

    return values


def _count(number: int) -> str:
    """A number with separators of thousands."""
    return f"{number:,}"
