"""The readers of a store: queries go in, streams of bytes come out, runaways are stopped.

Each query has a reader process of its own while it runs. Its bytes are spooled as they come, so that a
slow client neither holds the reader nor is cut by the time limit, which counts evaluation alone.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import Any

from ..kernel import errors
from ..kernel.errors import (
    Busy,
    DiskFull,
    EngineFault,
    KgError,
    Killed,
    NotFound,
    ReaderLost,
    StoreUnusable,
)
from ..kernel.processes import DATA, GLANCE, Limits, Worker
from .disk import room
from .lanes import Lanes
from .rebuild import Rebuilds
from .result import Result
from .versions import Store

_log = logging.getLogger(__name__)

#: Seconds of evaluation after which a query goes to the slow lane: always, or where others may have to wait.
FAST, TURN = 1.0, 0.05
#: Seconds for which the thread that asked reads the result itself; most results end within.
_BRIEF = 0.02
#: One arena: others are reserved for each thread and would count against the memory limit.
_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1", "RUST_BACKTRACE": "0"}


class Reader(Worker):
    """A process that reads one version, which is kept from pruning until it ends."""

    def __init__(self, store: Store, version: int) -> None:
        self.version, self._leases = version, ExitStack()
        folder = self._leases.enter_context(store.lease(version))
        super().__init__("kg4p1000.store.reader", str(folder), keep_words=True, env=_ENVIRONMENT)

    def end(self, grace: float = 0) -> int:
        """End the process, and let go of the version."""
        code = super().end(grace)
        self._leases.close()
        return code


class Readers:
    """The readers of a store.

    Args:
        store: whose published version is asked, unless a query names another.
        size: places in the fast lane.
        timeout: seconds of evaluation after which a query is stopped.
        memory: megabytes that a query may take beyond the opened database.
        slow: places in the slow lane.
        queue: how many queries may wait.
        rebuilds: makes pruned versions in the background; without it, who asks for one waits.
    """

    def __init__(
        self,
        store: Store,
        size: int = 4,
        timeout: float = 30,
        memory: int = 1024,
        slow: int = 8,
        queue: int = 32,
        rebuilds: Rebuilds | None = None,
    ) -> None:
        self.store, self.timeout, self.memory = store, timeout, memory
        self._rebuilds = rebuilds
        self.lanes = Lanes(size, slow, queue, patience=timeout)
        self.outcomes: Counter[str] = Counter()
        #: Why no reader of the published version could be started, the last time; empty when one could.
        self.unusable = ""
        self._idle: list[Reader] = []
        self._running: dict[str, Result] = {}
        self._lock = threading.Lock()
        self._closed = False

    def query(
        self,
        text: str,
        *,
        bindings: Mapping[str, Any] | None = None,
        default_graphs: list[str] | None = None,
        named_graphs: list[str] | None = None,
        form: str = "",
        columns: tuple[int, tuple[str, ...]] | None = None,
        version: int | None = None,
        timeout: float | None = None,
    ) -> Result:
        """Run a query that passed the guard (`sparql`), and return when its result begins.

        Args:
            bindings: terms for variables, by name; bound as terms, never pasted into the text.
            default_graphs: the request's dataset; None leaves the query's own.
            form: ``json``, ``xml``, ``csv`` or ``tsv``, the first by default; for triples ``ntriples``, ``turtle``,
                ``jsonld`` or ``rdfxml``.
            columns: of ``SELECT *``: where the star stands, and the variables in the order of the columns.
            version: another version than the published one.
            timeout: another time limit than the pool's, in seconds.

        Raises:
            MalformedQuery: with ``line`` and ``column`` where the engine tells.
            Busy: too many queries run and wait.
            BeingRebuilt: the version was pruned and is made again in the background.
            TimeLimit, MemoryLimit, ReaderLost, Killed: stopped before the result began.
        """
        if default_graphs is None and named_graphs is not None:
            default_graphs = []
        result = Result(text, self._limits(timeout or self.timeout))
        request = {
            "query": text,
            "bindings": {name: str(term) for name, term in (bindings or {}).items()},
            "default_graphs": default_graphs,
            "named_graphs": named_graphs or [],
            "form": form,
            "columns": columns,
        }
        self.lanes.enter()
        try:
            self._start(result, request, version)
        except BaseException:
            self.lanes.leave()
            raise
        self._follow(result, _BRIEF)
        if not result.kind:
            assert result.fault
            raise result.fault
        if not result.ended:
            threading.Thread(target=self._follow, args=(result,), daemon=True).start()
        return result

    def warm(self) -> None:
        """Start the readers of the published version, so that the first queries need not."""
        for _ in range(self.lanes.fast - len(self._idle)):
            if version := self.store.current:
                self._warm(version)
            if self.unusable:
                break

    def need(self, version: int) -> None:
        """See that the database of a version is there, before it is read otherwise.

        Raises:
            NotFound: there is no such version.
            BeingRebuilt: it was pruned and is made again in the background.
        """
        if self._rebuilds is not None:
            self._rebuilds.need(version)
        else:
            self.store.ensure(version)

    def running(self) -> list[Result]:
        """Return the queries that run now, the oldest first."""
        with self._lock:
            return sorted(self._running.values(), key=lambda result: result.began)

    def kill(self, identifier: str) -> None:
        """Stop a running query.

        Raises:
            NotFound: no query with this id runs.
        """
        with self._lock:
            result = self._running.get(identifier)
        if result is None:
            raise NotFound(f"No query {identifier!r} is running.")
        result.stop(Killed())

    def close(self) -> None:
        """Stop the running queries and end the readers."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
            running = list(self._running.values())
        for result in running:
            result.stop(Killed("The service is stopping."))
        for reader in idle:
            reader.end()
        if self._rebuilds is not None:
            self._rebuilds.close()

    def _limits(self, seconds: float) -> Limits:
        return Limits(
            seconds,
            self.memory,
            "The query was stopped after {} s of evaluation. Ask for less: fewer unconnected patterns, a narrower"
            " property path, a LIMIT.",
            "The query was stopped because it needed more than {} MB. Ask for less: sorting, grouping and DISTINCT"
            " keep their whole input in memory.",
            _lost,
        )

    # the life of a query

    def _start(self, result: Result, request: dict[str, Any], version: int | None) -> None:
        """Give a query a reader; one that had died while idle is replaced."""
        is_fresh = False
        while not is_fresh:
            reader, is_fresh = self._take(version)
            # Starting is not evaluation: it counts neither for the lane nor for the limit.
            if is_fresh and not self._opened(reader):
                raise ReaderLost(f"A reader could not be started (exit code {reader.end()}).")
            try:
                reader.send(request, result.limits)
            except (BrokenPipeError, ConnectionResetError):
                reader.end()
                continue
            result.version, result.worker, result.began = reader.version, reader, time.monotonic()
            with self._lock:
                self._running[result.id] = result
            return
        raise ReaderLost("A reader could not be started.")

    def _follow(self, result: Result, brief: float = 0) -> None:
        """Take what the reader of a query writes.

        Args:
            brief: return when the result has begun, and so many seconds have passed; 0 to follow to the end.
        """
        reader = result.worker
        assert isinstance(reader, Reader)
        until = result.began + brief
        while not result.ended and (not brief or not result.kind or time.monotonic() < until):
            if not result.slow:
                self._judge_lane(result, reader)
            wait = brief if result.kind and brief else GLANCE if result.slow else TURN / 2
            try:
                for kind, data in reader.frames(min(wait, GLANCE)):
                    self._take_frame(result, reader, kind, data)
            except EOFError:
                fault = result.limits.error(reader.end(grace=5), reader.last_words)
                self._finish(result, reader, fault)
            except DiskFull as e:
                reader.end()
                self._finish(result, reader, e)
            except Exception as e:
                _log.exception("a result could not be read from its reader")
                reader.end()
                self._finish(result, reader, ReaderLost(str(e)))

    def _take_frame(self, result: Result, reader: Reader, kind: bytes, data: bytes) -> None:
        if kind == DATA:
            with room("the result of this query; ask for less"):
                result.add(data)
            return
        message = json.loads(data)
        if "kind" in message:
            result.kind, result.variables = message["kind"], message.get("variables", [])
        else:
            problem = message.get("problem")
            self._finish(result, reader, errors.from_plain(problem) if problem else None)

    def _judge_lane(self, result: Result, reader: Reader) -> None:
        """Move a query to the slow lane when it is time; one that has to go and cannot is stopped."""
        age = time.monotonic() - result.began
        if age < TURN or (age < FAST and not self.lanes.crowded):
            return
        if not self.lanes.slow_down():
            if age >= FAST:
                result.stop(
                    Busy(
                        f"{self.lanes.slow} long queries are running already; please try again"
                        " later, or ask for less.",
                        retry_after=30,
                    )
                )
            return
        result.slow = True
        with suppress(ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, reader.process.pid, 19)
        # A fresh reader takes the place, so that the next query need not wait for one to start.
        threading.Thread(target=self._warm, args=(reader.version,), daemon=True).start()

    def _finish(self, result: Result, reader: Reader, fault: KgError | None) -> None:
        """End a query: give back reader and place, count the outcome, tell whoever reads."""
        with self._lock:
            self._running.pop(result.id, None)
        # A reader that was slowed down cannot be sped up again, and one that was stopped ends in a moment.
        if result.slow or result.fault:
            reader.end()
        else:
            self._keep(reader)
        result.end(fault)
        self.lanes.leave(result.slow)
        self.outcomes[result.fault.slug if result.fault else "ok"] += 1

    # readers that wait

    def _take(self, version: int | None) -> tuple[Reader, bool]:
        """Return a reader of a version, and whether it was started for this."""
        number = self.store.current if version is None else version
        if not number:
            raise StoreUnusable("The store is empty; run 'kg4p1000 build' first.")
        with self._lock:
            # Without a look at the disk or at the processes: one that died is found when it is sent a query.
            wanted = (number, self.store.pointer.known)
            stale = [r for r in self._idle if r.version not in wanted]
            self._idle = [r for r in self._idle if r not in stale]
            # The one that was at work last, for it has the most of the database in its memory.
            found = next((r for r in reversed(self._idle) if r.version == number), None)
            if found:
                self._idle.remove(found)
        for reader in stale:
            reader.end()
        if found:
            return found, False
        self.need(number)
        return Reader(self.store, number), True

    def _warm(self, version: int) -> None:
        with suppress(KgError, OSError):
            reader = Reader(self.store, version)
            if self._opened(reader):
                self._keep(reader)

    def _opened(self, reader: Reader) -> bool:
        """Wait until a reader has opened its version; one that could not is ended, and that is told."""
        fault = ""
        if not reader.ready():
            reader.end()
            why = reader.last_words.strip()[-500:]
            _log.error("no reader of version %d: %s", reader.version, why)
            fault = f"The database of version {reader.version} cannot be opened."
        if reader.version == self.store.current:
            self.unusable = fault
        return not fault

    def _keep(self, reader: Reader) -> None:
        with self._lock:
            keep = (
                not self._closed
                and len(self._idle) < self.lanes.fast
                and reader.version == self.store.pointer.known
                and reader.process.returncode is None  # it was not ended
            )
            if keep:
                self._idle.append(reader)
        if not keep:
            reader.end()


def _lost(last_words: str) -> KgError:
    if "panicked at" in last_words:
        # An abort too, but the engine's own fault; to call it a limit would be a lie.
        _log.error("the engine failed on a query: %s", last_words.strip()[:500])
        return EngineFault()
    return ReaderLost("The process that answered the query ended; please try again.")
