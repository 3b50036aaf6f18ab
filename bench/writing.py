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

from kg4p1000 import validation
from kg4p1000.access import Tokens
from kg4p1000.build import load_shapes
from kg4p1000.curation import StatedGraph
from kg4p1000.store import Delta, Store
from kg4p1000.terms import iri, prefix_declarations

from . import data, servers
from .report import Report

_NOTE = 'activity:A4.2 skos:editorialNote "{}"@en . '


def texts(number: int, count: int = 2) -> list[str]:
    """The texts of one change; all of them are there after it, or none."""
    return [f"bench note {number} {k}" for k in range(count)]


def notes(number: int, count: int = 2) -> str:
    """An update that adds some notes to an activity."""
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
        with urllib.request.urlopen(request, timeout=90) as response:
            response.read()
            return int(response.status)
    except urllib.error.HTTPError as e:
        e.close()
        return e.code
    except (OSError, HTTPException):
        return 0


def commits(report: Report, work: Path, size: int, rounds: int = 15) -> None:
    """Changes of 20 statements by HTTP, validated and inferred; and the store's part of one."""
    base, _ = data.store(work, size)
    folder = work / f"store-{size}-changed"
    shutil.rmtree(folder, ignore_errors=True)
    base.backup(work / "backup")
    store = Store.restore(work / "backup", folder)
    shutil.rmtree(work / "backup")
    token = Tokens(folder / "tokens.json").create("bench", "admin")
    seconds: list[float] = []
    statuses: list[int] = []
    with servers.ours(folder) as server:
        for number in range(rounds + 3):
            began = time.perf_counter()
            statuses.append(post(server, token, notes(number, 20)))
            seconds.append(time.perf_counter() - began)
    alone: list[float] = []
    for number in range(rounds):
        delta = Delta(
            frozenset(
                ox.Quad(iri("activity:A4.3"), iri("skos:editorialNote"), ox.Literal(text, language="en"), iri("graph:notes"))
                for text in texts(1000 + number, 20)
            ),
            frozenset(),
        )  # fmt: skip
        began = time.perf_counter()
        with store.draft() as draft:
            draft.apply(delta)
            draft.publish("bench", "", "update")
        alone.append(time.perf_counter() - began)
    steady = seconds[3:]
    report.table(
        f"Changes of 20 statements, {size:,} statements",
        (
            "from POST to visible, median ms",
            "slowest ms",
            "first ms",
            "store's part, median ms",
            "statuses",
        ),
        [
            (
                f"{statistics.median(steady) * 1000:.0f}",
                f"{max(steady) * 1000:.0f}",
                f"{seconds[0] * 1000:.0f}",
                f"{statistics.median(alone) * 1000:.0f}",
                " ".join(map(str, sorted(set(statuses)))),
            )
        ],
        "The answer to the POST comes when the new version is visible. The store's part is draft, log"
        " and publication, without validation and inference.",
    )
    shutil.rmtree(folder, ignore_errors=True)


def bulk(report: Report, work: Path, size: int) -> None:
    """A large amount through the logged path, and the whole graph validated."""
    folder = work / f"store-{size}"
    shutil.rmtree(folder, ignore_errors=True)
    store, seconds = data.store(work, size)
    assert seconds is not None
    began = time.perf_counter()
    shapes = load_shapes(data.ROOT)
    with store.draft() as draft:
        found = validation.validate_graph(StatedGraph(draft), shapes)
    validated = time.perf_counter() - began
    report.table(
        f"Loading {size:,} statements through the change log",
        ("seconds", "statements/s", "validation of the whole graph s", "conforms"),
        [(f"{seconds:.0f}", f"{size / seconds:,.0f}", f"{validated:.0f}", found.conforms)],
    )
