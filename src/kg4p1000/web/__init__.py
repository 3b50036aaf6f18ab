"""The service on the web: `create_app` joins the parts, `serve` runs them.

Every page works without scripts and asks nobody else for anything; a strict content security
policy holds on all of them.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from flask import Flask, Response, current_app, g, request
from jinja2 import Environment

from ..curation.access import Tokens
from ..curation.writer import Writer
from ..kernel.errors import KgError, MalformedRequest
from ..kernel.settings import Settings
from ..kernel.terms import short
from ..kernel.texts import balanced, isolated
from ..knowledge.queries import Library
from ..overlaps import detection
from ..sparql import Reading
from ..store import Readers, Store
from . import (
    background,
    home,
    ontology,
    operations,
    overlaps,
    queries,
    responses,
    sparql,
    things,
    write,
)
from .middleware import AT_ONCE, RECORD, REFUSED, AccessLog, Middleware
from .ontology import said
from .rendering import bdi, graph_name, href, local, source
from .requests import LONGEST_HEADER, named_host, see_names
from .responses import by_status
from .services import NAME, Services, account, kept_version, services
from .transfers import PLACES, Cache, Clients, Transfers, networks

#: Addresses that cost nothing, or that must answer when nothing else does.
_CHEAP = {"static", "home.favicon", "home.robots", "operations.health", "operations.metrics"}
#: Addresses that no version of the graph has an own answer of, beside those that name one in their path.
_TIMELESS = {"static", "home.favicon", "home.robots", "home.latest_dump", "overlaps.decide"}
#: Parameters of pages; areas that look themselves which ones they have.
_PARAMETERS = (
    "version", "format", "page", "part", "lang", "q", "objective", "other", "kind", "status", "confidence", "graph", "default",
)  # fmt: skip
_OWN_PARAMETERS = ("sparql", "queries", "static")
#: Headers that pages of other sites may send whether they ask or not.
_KNOWN_NAMES = (
    "Accept", "Accept-Datetime", "Authorization", "Content-Type", "If-Match", "If-None-Match", "Range",
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")


def create_app(settings: Settings, store: Store, readers: Readers, library: Library) -> Flask:
    """Make the web application over a store."""
    app = Flask(__name__)
    _prepare(app.jinja_env)
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
            [detection.__name__],
        ),
        tokens=Tokens(store.path / "tokens.json"),
        clients=Clients(settings.client_rate, settings.client_burst, settings.client_concurrency),
        cache=Cache(settings.cache_size << 20),
        transfers=Transfers(PLACES, settings.client_spool << 20, settings.spool << 20),
        census=background.census(readers),
        examiner=background.examiner(library, readers, settings.files / "queries"),
    )
    joined.metrics = operations.Metrics(joined)
    app.extensions[NAME] = joined
    areas = (home, sparql, queries, overlaps, things, ontology, write, operations)
    further = (home.versions, home.description, queries.questions, things.graphs, operations.api)
    for blueprint in (*(area.blueprint for area in areas), *further):
        app.register_blueprint(blueprint)
    responses.register_problems(app)
    app.before_request(_begin)
    app.after_request(_finish)
    app.context_processor(_footer)
    app.url_defaults(_keep_version)
    app.wsgi_app = Middleware(  # type: ignore[method-assign]
        app.wsgi_app, joined, networks(settings.trusted_proxies), AccessLog(settings.access_log)
    )
    return app


def _begin() -> None:
    record = g.record = request.environ[RECORD]
    record.endpoint = request.endpoint or "none"
    _refuse_long_headers()
    if refused := request.environ.get(REFUSED):
        raise refused
    if record.endpoint in _CHEAP or request.method == "OPTIONS":
        return
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
    g.record.version = g.get("version") or 0
    if request.method == "OPTIONS":
        asked = request.headers.get("Access-Control-Request-Headers", "").split(",")[:100]
        # No header of a request can do harm here.
        names = (*_KNOWN_NAMES, *filter(_NAME.fullmatch, map(str.strip, asked)))
        once = {name.lower(): name for name in names}.values()
        response.headers["Access-Control-Allow-Headers"] = ", ".join(once)
        response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "GET")
        response.headers["Access-Control-Max-Age"] = "86400"
        response.vary.add("Access-Control-Request-Headers")
    # Files, as results have a place already.
    if response.is_streamed and (response.content_length or 0) > AT_ONCE:
        try:
            services().transfers.enter(g.record)
        except KgError as busy:
            response.close()
            return responses.problem_response(busy)
    return response


def _keep_version(endpoint: str, values: dict[str, Any]) -> None:
    """Have the links of a page lead to the version that the page is of."""
    in_path = current_app.url_map.is_endpoint_expecting(endpoint, "version")
    if endpoint not in _TIMELESS and not in_path and (version := kept_version()):
        values.setdefault("version", version)


def _footer() -> dict[str, Any]:
    """Return what every page says of the version that it shows."""
    store, entry = services().store, None
    current = store.current
    shown = g.get("version") or current
    with suppress(KgError):  # a page that tells of an error must not fail itself
        entry = store.entry(shown)
    return {
        "shown_version": shown,
        "current_version": current,
        "entry": entry,
        "english": said("en"),
        "kept_version": kept_version(),
    }


def _prepare(templates: Environment) -> None:
    templates.trim_blocks = templates.lstrip_blocks = True
    filters = (href, short, graph_name, local, bdi, isolated, source)
    templates.filters.update({filter_.__name__: filter_ for filter_ in filters})
    templates.filters["count"] = "{:,}".format
    # Whatever a template forgets to set apart: no text turns what stands outside of it.
    templates.finalize = lambda value: balanced(value) if type(value) is str else value
