"""How fast: point queries, heavy queries, a large export."""

from __future__ import annotations

import contextlib
import itertools
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from kg4p1000.kernel.terms import prefix_declarations

from . import client, data, generate, servers
from .report import Report, Row

#: Statements that rdflib is given at most.
_RDFLIB_SIZE = 1_000_000
_HEAD = prefix_declarations()
HEAVY = {
    "count by class": "SELECT ?c (COUNT(*) AS ?n) WHERE { ?s a ?c } GROUP BY ?c",
    "join of four": (
        "SELECT ?o (COUNT(*) AS ?n) WHERE { ?m k4p:mentionIn ?a ; k4p:confidence 0.9 ."
        " ?a k4p:activityOf ?o . ?other k4p:mentionIn ?a ; k4p:mentionOf convention:unfccc }"
        " GROUP BY ?o"
    ),
    "average and sort": (
        "SELECT ?t (AVG(?c) AS ?mean) WHERE { ?m k4p:mentionOf ?t ; k4p:confidence ?c }"
        " GROUP BY ?t ORDER BY DESC(?mean) LIMIT 10"
    ),
    "filter on text": (
        "SELECT (COUNT(*) AS ?n) WHERE { ?a dcterms:description ?t"
        ' FILTER(CONTAINS(?t, "carbon") && CONTAINS(?t, "farmers")) }'
    ),
    "distinct things by confidence": (
        "SELECT (COUNT(DISTINCT ?t) AS ?n) WHERE { ?m k4p:mentionOf ?t ; k4p:confidence ?c"
        " FILTER(?c > 0.5) }"
    ),
}


def new_queries(size: int, seed: int = 1) -> Iterator[str]:
    """Return queries for one subject each; no two are the same text."""
    chance = random.Random(seed)
    blocks = max(1, size // generate.BLOCK)
    for number in itertools.count():
        name = generate.key(chance.randrange(blocks))
        subject = f"<https://w3id.org/kg4p1000/id/activity/{name}>"
        yield f"SELECT ?p ?o{number} WHERE {{ {subject} ?p ?o{number} }}"


def repeated(size: int) -> Iterator[str]:
    """Return a hundred such queries, again and again."""
    return itertools.cycle(list(itertools.islice(new_queries(size, 2), 100)))


@contextlib.contextmanager
def everyone(work: Path, size: int) -> Iterator[list[servers.Server]]:
    """All servers that are installed, over the same statements; rdflib only where it fits."""
    here = servers.versions()
    file = data.file(work, size)
    ours, _ = data.store(work, size)
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(servers.ours(ours.path))]
        if "oxigraph" in here:
            folder = work / f"oxigraph-{size}"
            if not folder.exists():
                servers.load_oxigraph(folder, file)
            running.append(stack.enter_context(servers.oxigraph(folder)))
        if "rdflib-endpoint" in here and size <= _RDFLIB_SIZE:
            running.append(stack.enter_context(servers.rdflib_endpoint(file)))
        if "virtuoso" in here:
            running.append(stack.enter_context(servers.virtuoso(work / f"virtuoso-{size}", file)))
        yield running


def point_queries(report: Report, work: Path, size: int, seconds: float) -> None:
    """Point queries at 8 connections: every one new, and repeated ones."""
    rows: list[Row] = []
    rates: dict[tuple[str, str], float] = {}
    with everyone(work, size) as running:
        for server in running:
            for kind, queries in (("new", new_queries(size)), ("repeated", repeated(size))):
                client.load(server.endpoint, queries, connections=8, seconds=min(2, seconds))
                done = client.load(server.endpoint, queries, connections=8, seconds=seconds)
                rates[server.name, kind] = done.rate
                bad = sum(n for status, n in done.statuses.items() if status != 200)
                rows.append(
                    (
                        server.name,
                        kind,
                        f"{done.rate:,.0f}",
                        f"{done.quantile(0.5) * 1000:.1f}",
                        f"{done.quantile(0.95) * 1000:.1f}",
                        bad,
                    )
                )
        ours = rates["kg4p1000", "new"]
        ratios = [
            f"{ours / rates[s.name, 'new']:.2f} × {s.name}"
            for s in running[1:]
            if rates[s.name, "new"]
        ]
    report.table(
        f"Point queries, 8 connections, {size:,} statements",
        ("server", "queries", "answers/s", "median ms", "95 % ms", "not 200"),
        rows,
        f"New queries: {', '.join(ratios)}. Repeated to new, ours:"
        f" {rates['kg4p1000', 'repeated'] / ours:.1f} ×.",
    )


#: Programs that answer one query a line and say how long it took.
_IN_PROCESS = {
    "engine in process": """
import sys, time, pyoxigraph as ox
store = ox.Store.read_only(sys.argv[1])
def answer(query):
    found = store.query(query, default_graph=[ox.DefaultGraph()], named_graphs=[])
    found.serialize(format=ox.QueryResultsFormat.JSON)
""",
    "rdflib in memory": """
import sys, time, rdflib
graph = rdflib.Graph().parse(sys.argv[1], format="nt")
def answer(query):
    graph.query(query).serialize(format="json")
""",
}
_LOOP = """
import signal
def late(*_):
    raise TimeoutError
signal.signal(signal.SIGALRM, late)
for line in sys.stdin:
    began = time.perf_counter()
    signal.alarm(int(sys.argv[2]))
    try:
        answer(eval(line))
        signal.alarm(0)
        print(time.perf_counter() - began, flush=True)
    except TimeoutError:
        print("inf", flush=True)
"""
#: Seconds after which a query is given up, or not asked again.
_PATIENCE, _LONG = 30.0, 10.0


@contextlib.contextmanager
def _in_process(name: str, argument: Path) -> Iterator[Callable[[str], float]]:
    """Return what answers a query in a process without a server, and says how long it took (inf: too long)."""
    command = [sys.executable, "-c", _IN_PROCESS[name] + _LOOP, str(argument), str(int(_PATIENCE))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout

        def ask(query: str) -> float:
            assert process.stdin and process.stdout
            process.stdin.write(repr(query) + "\n")
            process.stdin.flush()
            return float(process.stdout.readline() or "inf")

        yield ask
        process.stdin.close()


def heavy_queries(report: Report, work: Path, size: int, rounds: int = 3) -> None:
    """Measure aggregates and joins: ours by HTTP, the engine called in process, and the others."""
    ours, _ = data.store(work, size)
    with contextlib.ExitStack() as stack:
        running = stack.enter_context(everyone(work, size))
        folder = stack.enter_context(ours.lease(ours.current))
        askers = {
            "engine in process": stack.enter_context(_in_process("engine in process", folder))
        }
        if size <= _RDFLIB_SIZE:
            file = data.file(work, size)
            askers["rdflib in memory"] = stack.enter_context(_in_process("rdflib in memory", file))
        askers |= {server.name: partial(_seconds, server) for server in running}
        rows: list[Row] = []
        shares: list[float] = []
        for title, body in HEAVY.items():
            medians: dict[str, float] = {}
            for name, asker in askers.items():
                times: list[float] = []
                while len(times) < rounds and max(times, default=0) < _LONG:
                    # A name that is new each time, so that no cache answers.
                    new = f"{_HEAD}{body}".replace("?n", f"?n{len(times)}x")
                    times.append(asker(new.replace("?mean", f"?mean{len(times)}")))
                medians[name] = statistics.median(times)
            shares.append(medians["engine in process"] / medians["kg4p1000"])
            rows.append(
                (
                    title,
                    *(f"{m:.3f}" if m < float("inf") else "no answer" for m in medians.values()),
                )
            )
    report.table(
        f"Heavy queries, seconds (median of {rounds}), {size:,} statements",
        ("query", *askers),
        rows,
        "Speed of ours by HTTP as a share of the engine called in process:"
        f" {', '.join(f'{s:.2f}' for s in shares)}. Given up after {_PATIENCE:.0f} s;"
        f" what took over {_LONG:.0f} s was asked once.",
    )


def _seconds(server: servers.Server, query: str) -> float:
    answer = client.ask(server.endpoint, query, timeout=_PATIENCE)
    return answer.seconds if answer.status == 200 else float("inf")


def export(report: Report, work: Path, size: int) -> None:
    """Measure a result of a million rows: first byte, whole, and what the web process takes for it."""
    ours, _ = data.store(work, size)
    rows_asked = min(1_000_000, size)
    with servers.ours(ours.path, timeout=120) as server:
        web = client.web_process(server.pid)
        client.ask(server.endpoint, "SELECT * WHERE { ?s ?p ?o } LIMIT 1000")
        before = client.memory(web)
        answers = [
            client.ask(
                server.endpoint, f"SELECT ?s ?p ?o{n} WHERE {{ ?s ?p ?o{n} }} LIMIT {rows_asked}"
            )
            for n in range(3)
        ]
        grown = client.memory(web) - before
    first = statistics.median(a.first for a in answers)
    whole = statistics.median(a.seconds for a in answers)
    report.table(
        f"Export of {rows_asked:,} rows as JSON, {size:,} statements",
        ("first byte s", "whole s", "MB", "web process grew by MB", "statuses"),
        [
            (
                f"{first:.3f}",
                f"{whole:.1f}",
                f"{answers[0].size / 1e6:.0f}",
                f"{grown:.0f}",
                " ".join(str(a.status) for a in answers),
            )
        ],
    )
