"""The pool of readers: queries go in, streams of bytes come out, runaways are stopped.

Each query has a reader process of its own while it runs. Its bytes are spooled as they come, so that a
slow client neither holds the reader nor is cut by the time limit, which counts evaluation alone.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ..errors import (
    Busy,
    ClientGone,
    DiskFull,
    EngineFault,
    KgError,
    Killed,
    MemoryLimit,
    NotFound,
    ReaderLost,
    StoreUnusable,
    TimeLimit,
    TooDeep,
)
from .faults import problem
from .frames import FAULT
from .handle import Handle
from .lanes import GLANCE, Lanes
from .rebuild import Rebuilds
from .result import Result
from .room import room
from .versions import Store

_log = logging.getLogger(__name__)

_CHUNK = 64 * 1024
#: Seconds of evaluation after which a query goes to the slow lane: always, or where others may have to wait.
FAST, TURN = 1.0, 0.05
#: Seconds for which the thread that asked reads the result itself; most results end within.
_BRIEF = 0.02


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
        self.store = store
        self._rebuilds = rebuilds
        self.timeout = timeout
        self.memory = memory
        self.lanes = Lanes(size, slow, queue, patience=timeout)
        self.outcomes: Counter[str] = Counter()
        #: Why no reader of the published version could be started, the last time; empty when one could.
        self.unusable = ""
        self._idle: list[Handle] = []
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
        result_format: str = "json",
        rdf_format: str = "ntriples",
        columns: tuple[int, tuple[str, ...]] | None = None,
        version: int | None = None,
        timeout: float | None = None,
        gone: Callable[[], bool] = lambda: False,
    ) -> Result:
        """Run a query that passed the guard (`sparql`), and return when its result begins.

        Args:
            bindings: terms for variables, by name; bound as terms, never pasted into the text.
            default_graphs: the request's dataset; None leaves the query's own.
            result_format: ``json``, ``xml``, ``csv`` or ``tsv``, for solutions and booleans.
            rdf_format: ``turtle``, ``ntriples``, ``jsonld`` or ``rdfxml``, for triples.
            columns: of ``SELECT *``: where the star stands, and the variables in the order of the columns.
            version: another version than the published one.
            timeout: another time limit than the pool's, in seconds.
            gone: tells whether the client has gone; then the query is stopped.

        Raises:
            MalformedQuery: with ``line`` and ``column`` where the engine tells.
            Busy: too many queries run and wait.
            BeingRebuilt: the version was pruned and is made again in the background.
            TimeLimit, MemoryLimit, ReaderLost, Killed: stopped before the result began.
        """
        result, request = self._asked(
            text,
            timeout,
            bindings,
            default_graphs,
            named_graphs,
            result_format,
            rdf_format,
            columns,
        )
        if not self.lanes.enter(gone):
            raise ClientGone
        try:
            self._start(result, request, version)
        except BaseException:
            self.lanes.leave(slow=False)
            raise
        return self.follow(result, gone)

    def attempt(
        self,
        text: str,
        version: int,
        *,
        timeout: float | None = None,
        **asked: Any,
    ) -> Result | None:
        """Begin a query as `query` does, but wait for nothing: for an event loop.

        Args:
            asked: as the arguments of `query`.

        Returns:
            The query, to be brought on by `step` and `follow`; None when there is no free place, or no
            reader that is ready.
        """
        if not self.lanes.enter_now():
            return None
        with self._lock:
            reader = self._ready(version)
            if reader:
                self._idle.remove(reader)
        if reader is None:
            self.lanes.leave(slow=False)
            return None
        result, request = self._asked(text, timeout, **asked)
        try:
            reader.send(request)
        except (BrokenPipeError, ConnectionResetError):
            self.lanes.leave(slow=False)
            reader.close()
            return None
        self._begun(result, reader)
        return result

    def step(self, result: Result, wait: float = 0) -> bool:
        """Take what a query has to say within some seconds, and tell whether it has ended."""
        if not result._ended:
            self._follow(result, wait)
        return result._ended

    def follow(self, result: Result, gone: Callable[[], bool] = lambda: False) -> Result:
        """Wait until the result of a query begins; whoever reads the result then need not see to it.

        Raises:
            KgError: as `query` does.
        """
        self._begin(result, gone)
        if result._head is None:
            assert result._fault
            raise result._fault
        if "error" in result._head:
            raise problem(result._head)
        if not result._ended:
            threading.Thread(target=self._pump, args=(result,), daemon=True).start()
        return result

    def _asked(
        self,
        text: str,
        timeout: float | None,
        bindings: Mapping[str, Any] | None = None,
        default_graphs: list[str] | None = None,
        named_graphs: list[str] | None = None,
        result_format: str = "json",
        rdf_format: str = "ntriples",
        columns: tuple[int, tuple[str, ...]] | None = None,
    ) -> tuple[Result, dict[str, Any]]:
        """A query that is to begin, and what its reader is told."""
        if default_graphs is None and named_graphs is not None:
            default_graphs = []
        result = Result(text, timeout or self.timeout)
        return result, {
            "query": text,
            "bindings": {name: str(term) for name, term in (bindings or {}).items()},
            "default_graphs": default_graphs,
            "named_graphs": named_graphs or [],
            "result_format": result_format,
            "rdf_format": rdf_format,
            "columns": columns,
            "timeout": result.limit,
            "memory": self.memory << 20,
        }

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
        """The queries that run now, the oldest first."""
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
            reader.close()
        if self._rebuilds is not None:
            self._rebuilds.close()

    # the life of a query

    def _start(self, result: Result, request: dict[str, Any], version: int | None) -> None:
        """Give a query a reader; one that had died while idle is replaced."""
        while True:
            reader, fresh = self._take(version)
            # Starting is not evaluation: it counts neither for the lane nor for the limit.
            if fresh and not self._opened(reader):
                raise ReaderLost(f"A reader could not be started (exit code {reader.close()}).")
            try:
                reader.send(request)
                break
            except (BrokenPipeError, ConnectionResetError):
                reader.close()
                if fresh:
                    raise ReaderLost("A reader could not be started.") from None
        self._begun(result, reader)

    def _begun(self, result: Result, reader: Handle) -> None:
        result.version, result._reader, result.began = reader.version, reader, time.monotonic()
        with self._lock:
            self._running[result.id] = result

    def _begin(self, result: Result, gone: Callable[[], bool]) -> None:
        """Follow a query until its result has begun, and a little longer: most end within."""
        until = result.began + _BRIEF
        while not result._ended and (result._head is None or time.monotonic() < until):
            if gone():
                result.stop(ClientGone())
            self._follow(result, _BRIEF if result._head else GLANCE)

    def _pump(self, result: Result) -> None:
        try:
            while not result._ended:
                self._follow(result, GLANCE)
        except Exception as e:
            _log.exception("a result could not be read from its reader")
            if reader := result._reader:
                self._finish(result, reader, ReaderLost(str(e)))

    def _follow(self, result: Result, wait: float) -> None:
        """Take what the reader of a query has written, waiting for it up to some seconds."""
        reader = result._reader
        assert reader
        if not result.slow:
            self._judge_lane(result, reader)
            wait = min(wait, TURN / 2)
        if not _readable(reader.stdout.fileno(), wait):
            return
        data = os.read(reader.stdout.fileno(), _CHUNK)
        if not data:
            fault = self._exit_fault(reader.close(), reader.last_words, result)
            self._finish(result, reader, fault, lost=True)
            return
        reader.waiting += data
        if result._head is None and b"\n" in reader.waiting:
            line, _, rest = bytes(reader.waiting).partition(b"\n")
            reader.waiting = bytearray(rest)
            head = json.loads(line)
            result.kind, result.variables = head.get("kind", ""), head.get("variables", [])
            result._head = head
            if "error" in head:
                self._finish(result, reader)
                return
        if result._head is not None:
            self._frames(result, reader)

    def _frames(self, result: Result, reader: Handle) -> None:
        """Move whole frames to the spool."""
        buffer = reader.waiting
        while len(buffer) >= 4:
            (length,) = struct.unpack_from(">I", buffer)
            if length == 0:
                del buffer[:4]
                self._finish(result, reader)
                return
            start = 4
            if length == FAULT:
                if len(buffer) < 8:
                    return
                (length,) = struct.unpack_from(">I", buffer, 4)
                start = 8
            if len(buffer) < start + length:
                return
            data = bytes(buffer[start : start + length])
            del buffer[: start + length]
            if start == 8:
                self._finish(result, reader, problem(json.loads(data)))
                return
            try:
                with room("the result of this query; ask for less"):
                    result._add(data)
            except DiskFull as e:
                reader.process.kill()
                reader.close()
                self._finish(result, reader, e, lost=True)
                return

    def _judge_lane(self, result: Result, reader: Handle) -> None:
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

    def _warm(self, version: int) -> None:
        with suppress(KgError, OSError):
            reader = Handle(self.store, version)
            if self._opened(reader):
                self._keep(reader)

    def _opened(self, reader: Handle) -> bool:
        """Wait until a reader has opened its version; one that could not is ended, and that is told."""
        if opened := reader.wait():
            fault = ""
        else:
            reader.close()
            _log.error(
                "no reader of version %d: %s", reader.version, reader.last_words.strip()[-500:]
            )
            fault = f"The database of version {reader.version} cannot be opened."
        if reader.version == self.store.current:
            self.unusable = fault
        return opened

    def _finish(
        self,
        result: Result,
        reader: Handle,
        fault: KgError | None = None,
        lost: bool = False,
    ) -> None:
        """End a query: give back reader and place, count the outcome, tell whoever reads."""
        with self._lock:
            self._running.pop(result.id, None)
        if not lost and not result.slow and result._fault is None:
            self._keep(reader)
        elif not lost:
            reader.process.kill()  # a reader that was slowed down cannot be sped up again
            reader.close()
        result._end(fault)
        self.lanes.leave(result.slow)
        told = result._fault.slug if result._fault else "ok"
        if result._head and "error" in result._head:
            told = "malformed-query"
        self.outcomes[told] += 1

    def _take(self, version: int | None) -> tuple[Handle, bool]:
        """A reader of a version, and whether it was started for this."""
        number = self.store.current if version is None else version
        if not number:
            raise StoreUnusable("The store is empty; run 'kg4p1000 build' first.")
        with self._lock:
            wanted = (number, self.store.current)
            stale = [r for r in self._idle if not r.alive or r.version not in wanted]
            for reader in stale:
                self._idle.remove(reader)
            found = self._ready(number)
            if found:
                self._idle.remove(found)
        for reader in stale:
            reader.close()
        if found:
            return found, False
        self.need(number)
        return Handle(self.store, number), True

    def _ready(self, version: int) -> Handle | None:
        # The one that was at work last, for it has the most of the database in its memory.
        return next((r for r in reversed(self._idle) if r.version == version), None)

    def _keep(self, reader: Handle) -> None:
        with self._lock:
            keep = (
                not self._closed
                and len(self._idle) < self.lanes.fast
                and reader.version == self.store.current
            )
            if keep:
                self._idle.append(reader)
        if not keep:
            reader.close()

    def _exit_fault(self, code: int, last_words: str, result: Result) -> KgError:
        if "panicked at" in last_words:
            # An abort too, but the engine's own fault; to call it a limit would be a lie.
            _log.error("the engine failed on a query: %s", last_words.strip()[:500])
            return EngineFault()
        match -code:
            case signal.SIGALRM:
                return TimeLimit(
                    f"The query was stopped after {result.limit:g} s of evaluation. Ask for less:"
                    " fewer unconnected patterns, a narrower property path, a LIMIT.",
                    limit_seconds=result.limit,
                )
            case signal.SIGABRT:
                return MemoryLimit(
                    f"The query was stopped because it needed more than {self.memory} MB. Ask for"
                    " less: sorting, grouping and DISTINCT keep their whole input in memory.",
                    limit_megabytes=self.memory,
                )
            case signal.SIGSEGV | signal.SIGBUS:
                return TooDeep()  # the stack has ended
        return ReaderLost("The process that answered the query ended; please try again.")


def _readable(fd: int, wait: float) -> bool:
    """Whether there is something to read within some seconds; select knows no more than 1,024 files."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(wait * 1000))
