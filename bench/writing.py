"""How fast changes are published, and large amounts loaded."""

from __future__ import annotations

import shutil
import statistics
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path

import pyoxigraph as ox

from kg4p1000 import reasoning
from kg4p1000.curation.access import Tokens
from kg4p1000.curation.build import load_shapes
from kg4p1000.curation.commits import StatedGraph
from kg4p1000.kernel.terms import iri, prefix_declarations
from kg4p1000.store import Delta

from . import data, servers
from .report import Report

#: Seconds that a change may take, far more than the service allows by default.
_PATIENCE = 600
_NOTE = 'activity:A4.2 skos:editorialNote "{}"@en . '


def texts(number: int, count: int = 2) -> list[str]:
    """Return the texts of one change; all of them are there after it, or none."""
    return [f"bench note {number} {k}" for k in range(count)]


def notes(number: int, count: int = 2) -> str:
    """Return an update that adds some notes to an activity."""
    body = "".join(map(_NOTE.format, texts(number, count)))
    return f"{prefix_declarations()}INSERT DATA {{ GRAPH graph:notes {{ {body} }} }}"


def post(server: servers.Server, token: str, update: str) -> int:
    """Send an update; its status, 0 when there was no answer."""
    request = urllib.request.Request(
        server.endpoint.replace("/sparql", "/update"),
        data=update.encode(),
        headers={
            "Content-Type": "application/sparql-update",
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as response:
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as e:
        e.close()
        return e.code
    except (OSError, HTTPException):
        return 0


def changes(report: Report, work: Path, size: int) -> None:
    """Measure changes of 20 statements by HTTP, validated and inferred from, and a graph cleared."""
    if size > data.JUDGED:
        return
    store, loaded = data.judged(work, size)
    token = Tokens(store.path / "tokens.json").create("bench", "admin")
    with servers.ours(store.path, change_timeout=_PATIENCE) as server:

        def sent(update: str) -> float:
            began = time.perf_counter()
            statuses.append(post(server, token, update))
            return time.perf_counter() - began

        statuses: list[int] = []
        first, *others = [sent(notes(number, 20)) for number in range(18)]
        cleared = sent(f"CLEAR GRAPH <{data.GRAPH.value}>")
    steady = others[2:]
    report.table(
        f"Changes by HTTP, {size:,} statements",
        (
            "20 statements, from POST to visible, median ms",
            "slowest ms",
            "first ms",
            "CLEAR of the generated graph s",
            "statuses",
            "load with validation and inference s",
        ),
        [
            (
                f"{statistics.median(steady) * 1000:.0f}",
                f"{max(steady) * 1000:.0f}",
                f"{first * 1000:.0f}",
                f"{cleared:.1f}",
                " ".join(map(str, sorted(set(statuses)))),
                f"{loaded:.0f}",
            )
        ],
        "The answer to the POST comes when the new version is visible.",
    )
    shutil.rmtree(store.path, ignore_errors=True)


def store_part(report: Report, work: Path, size: int, rounds: int = 15) -> None:
    """Measure the store's part of a change of 20 statements: draft, log and publication."""
    store, _ = data.store(work, size)
    seconds: list[float] = []
    for number in range(rounds):
        delta = Delta(
            frozenset(
                ox.Quad(iri("activity:A4.3"), iri("skos:editorialNote"), ox.Literal(text, language="en"), iri("graph:notes"))
                for text in texts(1000 * store.current + number, 20)
            ),
            frozenset(),
        )  # fmt: skip
        began = time.perf_counter()
        with store.draft() as draft:
            draft.apply(delta)
            store.publish(draft, "bench", "", "update")
        seconds.append(time.perf_counter() - began)
        store.prune(2)
    report.table(
        f"The store's part of a change of 20 statements, {size:,} statements",
        ("median ms", "slowest ms", "first ms"),
        [[f"{s * 1000:.0f}" for s in (statistics.median(seconds), max(seconds), seconds[0])]],
        "Draft, log and publication, without validation and inference.",
    )


def bulk(report: Report, work: Path, size: int) -> None:
    """Measure a large amount through the logged path, and a validation of the whole graph."""
    shutil.rmtree(work / f"store-{size}", ignore_errors=True)
    store, seconds = data.store(work, size)
    assert seconds is not None
    row = [f"{seconds:.1f}", f"{size / seconds:,.0f}"]
    if size <= data.JUDGED:
        began = time.perf_counter()
        with store.draft() as draft:
            found = reasoning.validate(StatedGraph(draft), load_shapes(data.ROOT))
        row += [f"{time.perf_counter() - began:.0f}", "yes" if found.conforms else "NO"]
    else:
        row += ["not run", ""]
    report.table(
        f"Loading {size:,} statements through the change log",
        ("seconds", "statements/s", "validation of the whole graph s", "conforms"),
        [row],
    )
