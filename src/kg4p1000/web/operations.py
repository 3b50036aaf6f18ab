"""The service for programs and for those who run it: its description (OpenAPI 3.1), health, metrics, running queries."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, current_app, jsonify
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from werkzeug.routing import Rule

from .. import __version__, sparql
from ..curation.access import Role
from ..kernel import errors
from ..kernel.errors import KgError, StoreUnusable
from ..knowledge.queries import StoredQuery
from ..store import Readers, Store
from ..store.chain import newest_faults
from .requests import (
    DESCRIPTION,
    JSON,
    PARAMETERS,
    RESULTS,
    TRIPLES,
    Declared,
    Offers,
    declared,
    takes,
)
from .services import Services, base, require, services

blueprint = Blueprint("operations", __name__)
api = Blueprint("api", __name__)

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TEXT = {"type": "string"}
#: Headers that make a change conditional.
_CONDITIONS = ("If-Match", "If-None-Match")
DESCRIPTION["components"]["schemas"]["Problem"]["properties"]["status"]["examples"] = sorted(
    {error.status for error in errors.all_errors()}
)


class Metrics(Collector):
    """The figures of a service, gathered when they are asked for."""

    def __init__(self, of: Services) -> None:
        self._of = of
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self.latency = Histogram(
            "kg4p1000_request_seconds",
            "Seconds until the response began, by endpoint, method and status.",
            ["endpoint", "method", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )

    def collect(self) -> Iterator[Metric]:
        """Figures that other parts keep."""
        readers, store, cache = self._of.readers, self._of.store, self._of.cache
        counter, gauge, unread = CounterMetricFamily, GaugeMetricFamily, self._of.transfers.size
        looked = {"yes": cache.hits, "no": cache.misses}
        for family, name, what, label, figures in (
            (counter, "queries", "Queries that have ended, by outcome.", "outcome", dict(sorted(readers.outcomes.items()))),
            (gauge, "queries_under_way", "Queries that run or wait, by lane.", "lane", _lanes(readers)),
            (counter, "cache_lookups", "Look-ups in the cache of answers.", "found", looked),
            (gauge, "cache_bytes", "Bytes of answers that are kept.", "", {"": cache.used}),
            (gauge, "version", "Number of the published version.", "", {"": store.current}),
            (gauge, "store_bytes", "Bytes of the store on disk.", "", {"": store.size()}),
            (gauge, "unread_bytes", "Bytes of answers that wait to be read.", "", {"": unread}),
        ):  # fmt: skip
            metric = family(f"kg4p1000_{name}", what, labels=[label] if label else [])
            for value, figure in figures.items():
                metric.add_metric([value] if label else [], figure)
            yield metric


def _lanes(readers: Readers) -> dict[str, int]:
    """Return how many queries run or wait."""
    occupancy = readers.lanes.occupancy
    return {lane: getattr(occupancy, lane) for lane in ("fast", "slow", "waiting")}


@blueprint.route("/health")
@takes(answers=JSON)
def health() -> tuple[Response, int]:
    """Return whether queries are answered (200, else 503), whether changes can be made, and what is wrong."""
    store, readers = services().store, services().readers
    version, faults = _readable(store, readers)
    problems = list(faults)
    for look in (store.pointer.read, services().tokens.all):
        try:
            look()
        except StoreUnusable as e:
            problems += {e.detail} - {*faults}
    if version:
        problems += newest_faults(store.path / "log", version)
    if not store.writable:
        problems.append("The store cannot be written, so changes are refused; queries go on.")
    answer = jsonify(
        status="ok" if not faults else "unusable" if version else "empty",
        live=True,
        ready=not faults,
        version=version,
        writable=store.writable,
        problems=problems,
        queries=_lanes(readers),
    )
    return answer, 503 if faults else 200


#: Held while somebody who asks for the health waits for a reader to be started.
_starting = threading.Lock()


def _readable(store: Store, readers: Readers) -> tuple[int, list[str]]:
    """Return the version that is published, and why queries of it cannot be answered, if so."""
    try:
        version = store.current
        if not version:
            return 0, ["The store is empty; run 'kg4p1000 build' first."]
        readers.need(version)
    except KgError as e:
        return store.pointer.known, [e.detail]
    if readers.unusable and _starting.acquire(blocking=False):
        try:
            readers.warm()  # it may have been mended meanwhile
        finally:
            _starting.release()
    told = f"{readers.unusable} 'kg4p1000 check' says what is wrong and what to do."
    return version, [told] if readers.unusable else []


@blueprint.route("/metrics")
@takes(answers={"txt": ("text/plain",)})
def metrics() -> Response:
    """Figures in the text format of Prometheus."""
    data = generate_latest(services().metrics.registry)
    return Response(data, content_type=CONTENT_TYPE_LATEST)


@blueprint.route("/admin/queries")
@takes(answers=JSON, token=True)
def running() -> Response:
    """Return the queries that run now; for admins."""
    require(Role.ADMIN)
    now = time.monotonic()
    return jsonify(
        [
            {
                "id": result.id,
                "seconds": round(now - result.began, 3),
                "lane": "slow" if result.slow else "fast",
                "limit_seconds": result.limit,
                "version": result.version,
                "query": result.text,
            }
            for result in services().readers.running()
        ]
    )


@blueprint.route("/admin/queries/<identifier>", methods=["DELETE"])
@takes(answers=JSON, token=True)
def kill(identifier: str) -> tuple[str, int]:
    """Stop a running query; for admins."""
    require(Role.ADMIN)
    services().readers.kill(identifier)
    return "", 204


# the description, made from the routes and the stored queries


@api.route("/openapi.json")
@takes(answers=JSON)
def document() -> Response:
    """Return this description: all addresses, their parameters and answers, as OpenAPI."""
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(current_app.url_map.iter_rules(), key=lambda rule: rule.rule):
        path = re.sub(r"<(?:[^:>]*:)?([^>]+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            paths.setdefault(path, {})[method.lower()] = _operation(rule, method)
    for query in services().library:
        paths[f"/query/{query.name}"] = {"get": _stored(query)}
    return jsonify(
        openapi=DESCRIPTION["openapi"],
        info=DESCRIPTION["info"] | {"version": __version__},
        servers=[{"url": base()}],
        paths=paths,
        components=DESCRIPTION["components"],
    )


def _operation(rule: Rule, method: str) -> dict[str, Any]:
    view = current_app.view_functions[rule.endpoint]
    summary = (view.__doc__ or "").strip().split("\n")[0].replace("``", "`")
    said = declared(view)
    if rule.endpoint == "static":
        summary, said = "A file that pages use.", Declared(answers={"any": ("*/*",)})
    named = (*said.parameters, *(_CONDITIONS if said.conditional else ()))
    operation: dict[str, Any] = {
        "operationId": ".".join((rule.endpoint, *sorted(rule.arguments), method.lower())),
        "summary": summary,
        "parameters": [
            *(_in_path(name, rule) for name in sorted(rule.arguments)),
            *(PARAMETERS[name] for name in named),
        ],
        "responses": _responses(said.answers),
    }
    if said.conditional:
        failed = "If-Match or If-None-Match does not hold, and nothing was changed."
        default = operation["responses"]["default"]
        operation["responses"]["412"] = default | {"description": failed}
    if said.body and method in ("POST", "PUT"):
        # What stands in a form may stand in the address instead.
        in_address = any(set(fields) & {*said.parameters} for fields in said.body.values())
        content = {kind: {"schema": _form(fields)} for kind, fields in said.body.items()}
        operation["requestBody"] = {"required": not in_address, "content": content}
    if said.token:
        operation["security"] = [{"token": []}]
    return operation


def _stored(query: StoredQuery) -> dict[str, Any]:
    """Return a stored query as an address of its own, with its parameters."""
    triples = sparql.guard(query.text).gives_triples
    own = [
        {
            "name": p.name,
            "in": "query",
            "description": p.help or p.type,
            "schema": _TEXT,
            "required": True,
            "example": p.example,
        }
        for p in query.parameters
    ]
    view = current_app.view_functions["queries.run"]
    common = [PARAMETERS[name] for name in declared(view).parameters]
    return {
        "operationId": f"query.{query.name}",
        "summary": query.summary,
        "tags": list(query.tags),
        "parameters": [*own, *common],
        "responses": _responses(TRIPLES if triples else RESULTS),
    }


def _in_path(name: str, rule: Rule) -> dict[str, Any]:
    whole = rule._converters[name].__class__.__name__ == "IntegerConverter"
    schema = {"type": "integer", "minimum": 0} if whole else _TEXT
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _form(names: tuple[str, ...]) -> dict[str, Any]:
    properties = {name: PARAMETERS[name]["schema"] for name in names}
    if not names:
        return _TEXT
    return {"type": "object", "required": [names[0]], "properties": properties}


def _responses(offers: Offers) -> dict[str, Any]:
    types = dict.fromkeys(media_type for group in offers.values() for media_type in group)
    problem = {"$ref": "#/components/schemas/Problem"}
    return {
        "2XX": {"description": "The answer.", "content": {media_type: {} for media_type in types}},
        "default": {
            "description": "A problem (RFC 9457).",
            "content": {"application/problem+json": {"schema": problem}, "text/html": {}},
        },
    }
