"""What those who run the service look at: health, metrics, and the queries that run."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

from flask import Blueprint, Response, jsonify
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from ..access import Role
from ..errors import KgError, StoreUnusable
from ..store import Readers, Store
from ..store.chain import newest_faults
from .authorization import require
from .declared import JSON, takes
from .services import Services, services

blueprint = Blueprint("operations", __name__)

_SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


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
        outcomes = CounterMetricFamily(
            "kg4p1000_queries", "Queries that have ended, by outcome.", labels=["outcome"]
        )
        for outcome, count in sorted(readers.outcomes.items()):
            outcomes.add_metric([outcome], count)
        yield outcomes
        lanes = GaugeMetricFamily(
            "kg4p1000_queries_under_way", "Queries that run or wait, by lane.", labels=["lane"]
        )
        occupancy = readers.lanes.occupancy
        for lane in ("fast", "slow", "waiting"):
            lanes.add_metric([lane], getattr(occupancy, lane))
        yield lanes
        cached = CounterMetricFamily(
            "kg4p1000_cache_lookups", "Look-ups in the cache of answers.", labels=["found"]
        )
        cached.add_metric(["yes"], cache.hits)
        cached.add_metric(["no"], cache.misses)
        yield cached
        for name, what, value in (
            ("kg4p1000_cache_bytes", "Bytes of answers that are kept.", cache.used),
            ("kg4p1000_version", "Number of the published version.", store.current),
            ("kg4p1000_store_bytes", "Bytes of the store on disk.", store.size()),
            (
                "kg4p1000_unread_bytes",
                "Bytes of answers that wait to be read.",
                self._of.transfers.size,
            ),
        ):
            yield GaugeMetricFamily(name, what, value=value)


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
    occupancy = readers.lanes.occupancy
    answer = jsonify(
        status="ok" if not faults else "unusable" if version else "empty",
        live=True,
        ready=not faults,
        version=version,
        writable=store.writable,
        problems=problems,
        queries={"fast": occupancy.fast, "slow": occupancy.slow, "waiting": occupancy.waiting},
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
