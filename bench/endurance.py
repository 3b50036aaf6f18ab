"""What it stands: runaway queries, a crowd of clients, silent connections, kills under load."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from kg4p1000.curation.access import Tokens
from kg4p1000.store import Store, check

from . import client, data, servers, speed, writing
from .report import Report, Row

LIMIT = 3.0


def runaways() -> dict[str, str]:
    """Measure queries that have no end in sight, the same that the tests use."""
    folder = data.ROOT / "tests" / "fixtures" / "runaways"
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.rq"))}


def runaway_queries(report: Report, work: Path, size: int) -> None:
    """Each shape alone and eight at once: when and how it ends, and point queries beside it."""
    ours, _ = data.store(work, size)
    with servers.ours(ours.path, timeout=LIMIT) as server:
        rows = [
            (name, *_beside(server, [text], size), *_beside(server, [text] * 8, size))
            for name, text in runaways().items()
        ]
        idle = client.until(lambda: _busy(server.pid) < 0.1, 15)
    report.table(
        f"Runaway queries, limit {LIMIT:.0f} s, {size:,} statements",
        ("shape", *(f"{n}: {what}" for n in ("alone", "eight") for what in _BESIDE)),
        rows,
        "An end is honest when it is a 503 that names the limit, or a transfer that ends broken."
        f" Processor idle afterwards: {'yes' if idle else 'NO'}.",
    )


def oxigraph_runaways(report: Report, work: Path, size: int) -> None:
    """Measure the same shapes, one after another, at the server of Oxigraph with the same limit."""
    folder = work / f"oxigraph-{size}"
    if "oxigraph" not in servers.versions():
        return
    if not folder.exists():
        servers.load_oxigraph(folder, data.file(work, size))
    rows: list[Row] = []
    for name, text in runaways().items():
        # A server for each: one that does not stop would slow the next.
        with servers.oxigraph(folder, timeout=LIMIT) as server:
            answer = client.ask(server.endpoint, text, accept=client.ANY, timeout=4 * LIMIT)
            still = _busy(server.pid) > 0.5
        rows.append((name, f"{answer.seconds:.1f}", answer.status, "yes" if still else "no"))
    report.table(
        f"The same at the Oxigraph server with --timeout-s {LIMIT:.0f}, alone",
        ("shape", "ended after s", "status", "still busy afterwards"),
        rows,
        f"We waited at most {4 * LIMIT:.0f} s; status 0 is a broken transfer or no answer by then.",
    )


_BESIDE = ("ended by s", "how", "slowest point query s")


def _beside(server: servers.Server, queries: list[str], size: int) -> Row:
    stop = threading.Event()
    slowest = 0.0
    bad = 0

    def probe() -> None:
        nonlocal slowest, bad
        for query in speed.new_queries(size, random.randrange(1 << 30)):
            if stop.wait(0.05):
                return
            answer = client.ask(server.endpoint, query)
            slowest = max(slowest, answer.seconds)
            bad += answer.status != 200

    prober = threading.Thread(target=probe)
    prober.start()
    with ThreadPoolExecutor(len(queries)) as pool:
        answers = list(
            pool.map(
                lambda q: client.ask(server.endpoint, q, accept=client.ANY, timeout=60), queries
            )
        )
    stop.set()
    prober.join()
    ends = Counter(
        {0: "broken", 503: "503", 200: "**200**"}.get(a.status, str(a.status)) for a in answers
    )
    how = ", ".join(f"{n} × {end}" if len(answers) > 1 else end for end, n in ends.items())
    return (
        f"{max(a.seconds for a in answers):.1f}",
        how,
        f"{slowest:.2f}" + (f" ({bad} failed)" if bad else ""),
    )


def _busy(pid: int) -> float:
    """Cores that a process and its children keep busy, over half a second."""
    before = client.cpu(pid)
    time.sleep(0.5)
    return (client.cpu(pid) - before) / 0.5


def crowd(report: Report, work: Path, size: int, seconds: float = 60) -> None:
    """Two hundred clients, and forty connections that never say a word."""
    ours, _ = data.store(work, size)
    with servers.ours(ours.path) as server:
        web = client.web_process(server.pid)
        at = urlsplit(server.endpoint)
        client.load(server.endpoint, speed.new_queries(size), connections=200, seconds=5)
        before = (client.memory(web), len(client.processes(server.pid)))
        silent = [socket.create_connection((at.hostname, at.port)) for _ in range(40)]
        mixed = _mixed(size)
        done = client.load(server.endpoint, mixed, connections=200, seconds=seconds)
        for each in silent:
            each.close()
        time.sleep(5)
        after = (client.memory(web), len(client.processes(server.pid)))
    report.table(
        f"200 clients for {seconds:.0f} s, 40 silent connections beside them, {size:,} statements",
        ("answers/s", "median ms", "99 % ms", "by status", "web process MB", "processes"),
        [
            (
                f"{done.rate:,.0f}",
                f"{done.quantile(0.5) * 1000:.0f}",
                f"{done.quantile(0.99) * 1000:.0f}",
                ", ".join(f"{status}: {n:,}" for status, n in sorted(done.statuses.items())),
                f"{before[0]:.0f} → {after[0]:.0f}",
                f"{before[1]} → {after[1]}",
            )
        ],
        "One query in fifty is an aggregate over all statements. 503 and 429 are honest refusals with Retry-After.",
    )


def rude(report: Report, work: Path, size: int, seconds: float = 10) -> None:
    """Fresh clients beside a thousand that send the head of a request byte by byte, and a hundred that do not read."""
    ours, _ = data.store(work, size)
    rows: list[tuple[object, ...]] = []
    with servers.ours(ours.path) as server, contextlib.ExitStack() as stack:
        at = urlsplit(server.endpoint)

        def connect(sent: bytes) -> socket.socket:
            connection = stack.enter_context(socket.create_connection((at.hostname, at.port)))
            connection.sendall(sent)
            return connection

        def fresh() -> tuple[float, Counter[int]]:
            slowest, statuses, until = 0.0, Counter[int](), time.monotonic() + seconds
            while time.monotonic() < until:
                answer = client.ask(server.endpoint, f"ASK {{ ?s ?p ?o{time.time_ns()} }}")
                slowest, statuses[answer.status] = (
                    max(slowest, answer.seconds),
                    statuses[answer.status] + 1,
                )
            return slowest, statuses

        rows.append(("nobody", *fresh()))
        head = client.address_of(
            at.path, "SELECT * WHERE { ?a ?b ?c . ?d ?e ?f } LIMIT 20000"
        ).encode()
        for number in range(100):
            client_ = f"198.51.100.{number}".encode()
            connect(
                b"GET "
                + head
                + b" HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: "
                + client_
                + b"\r\n\r\n"
            )
        client.until(lambda: _busy(server.pid) < 0.1, 60)
        rows.append(("100 unread answers", *fresh()))
        slow = [connect(b"GET /spar") for _ in range(1000)]
        dripping = threading.Event()

        def drip() -> None:
            while not dripping.wait(1):
                for connection in slow:
                    with contextlib.suppress(OSError):
                        connection.sendall(b"q")

        thread = threading.Thread(target=drip)
        thread.start()
        rows.append(("1,000 dripping connections and 100 unread answers", *fresh()))
        dripping.set()
        thread.join()
    report.table(
        f"A fresh client beside rude ones, {size:,} statements",
        ("beside", "slowest answer s", "by status"),
        [
            (beside, f"{slowest:.2f}", ", ".join(f"{k}: {n:,}" for k, n in statuses.items()))
            for beside, slowest, statuses in rows
        ],
        "Of the unread answers, 64 are sent at once; the others were refused with 503.",
    )


def _mixed(size: int) -> Iterator[str]:
    for number, query in enumerate(speed.new_queries(size, 3)):
        heavy = f"SELECT (COUNT(*) AS ?n{number}) WHERE {{ ?s ?p ?o }}"
        yield heavy if number % 50 == 0 else query


def kills(report: Report, work: Path, count: int = 100) -> None:
    """Kill processes of the service at random points while changes are written by HTTP."""
    folder = work / "store-kills"
    store = Store(folder)
    if not store.current:
        data.build.build(store, data.ROOT, author="bench")
    token = Tokens(folder / "tokens.json").create("bench", "admin")
    stop = threading.Event()
    acknowledged: list[int] = []
    failed = 0
    with servers.ours(folder) as server:

        def write() -> None:
            nonlocal failed
            number = 0
            while not stop.is_set():
                number += 1
                if writing.post(server, token, writing.notes(number)) == 200:
                    acknowledged.append(number)
                else:
                    failed += 1
                    time.sleep(0.02)

        writer = threading.Thread(target=write)
        writer.start()
        killed = _kill(server, count)
        stop.set()
        writer.join()
        answers = client.until(
            lambda: (
                client.ask(server.endpoint, f"ASK {{ ?s ?p ?o{time.time_ns()} }}").status == 200
            ),
            60,
        )
        last = writing.post(server, token, writing.notes(0))
    found = {q.object.value for q in Store(folder).quads() if "editorialNote" in q.predicate.value}
    lost = [n for n in acknowledged if not set(writing.texts(n)) <= found]
    half = [
        n
        for n in range(len(acknowledged) + failed + 1)
        if len(found.intersection(writing.texts(n))) == 1
    ]
    report.table(
        f"{count} random kills under a writing load, the plan's graph",
        (
            "killed",
            "acknowledged changes",
            "refused or broken",
            "lost",
            "half applied",
            "afterwards",
        ),
        [
            (
                ", ".join(f"{n} × {what}" for what, n in sorted(killed.items())),
                len(acknowledged),
                failed,
                len(lost),
                len(half),
                f"queries {'answered' if answers else 'NOT ANSWERED'}, change {last}",
            )
        ],
        f"`check` afterwards finds {len(check(Store(folder)))} faults.",
    )


def _kill(server: servers.Server, count: int) -> Counter[str]:
    chance = random.Random(4)
    killed: Counter[str] = Counter()
    spared = 0.0
    while killed.total() < count:
        time.sleep(chance.uniform(0.05, 4))
        web = client.web_process(server.pid)
        children = client.processes(web)[1:] if web else []
        # Mostly the processes that come and go; now and then the web process itself, but not so often that the
        # service takes its end for a fault that comes again, and ends.
        often = time.monotonic() < spared or chance.random() > 0.15
        victim = chance.choice(children) if children and often else 0 if often else web
        try:
            if not victim:
                continue
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            continue
        killed["web process" if victim == web else "reader or writer"] += 1
        if victim == web:
            spared = time.monotonic() + 8
            client.until(lambda: client.ask(server.endpoint, "ASK {}").status == 200, 30)
    return killed
