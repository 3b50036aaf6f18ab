"""Long queries read in a process that can be ended: under the query's limit, and no longer than its client waits.

A text that is read here would keep every other request of the service waiting, for Python runs one thread at a
time. The process takes one line of JSON and answers with one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict

from .. import errors, processes
from ..errors import ClientGone, KgError, MemoryLimit, ReaderLost, TimeLimit
from ..store.lanes import Lanes
from .guard import Query, guard

#: Characters of a query that is read where it is received.
SHORT = 8192
_PLACES, _QUEUE = 2, 16
#: Megabytes beyond those of the process when it begins.
_MEMORY = 1024


class Reading:
    """Reads queries: short ones here, long ones in processes of their own, a few at a time.

    Args:
        patience: seconds that a long one may wait for its turn.
    """

    def __init__(self, patience: float) -> None:
        self._lanes = Lanes(_PLACES, 0, _QUEUE, patience)
        self._idle: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def read(self, text: str, *, timeout: float, gone: Callable[[], bool] = lambda: False) -> Query:
        """Read a query; see `guard`.

        Args:
            timeout: seconds that it may take.
            gone: tells whether the client has gone; then the reading is stopped.

        Raises:
            MalformedQuery, Refused: as `guard` does.
            Busy: too many long ones wait already.
            TimeLimit, MemoryLimit, ReaderLost: it was stopped.
        """
        if len(text) <= SHORT:
            return guard(text)
        if not self._lanes.enter(gone):
            raise ClientGone
        try:
            return self._read(text, timeout, gone)
        finally:
            self._lanes.leave(slow=False)

    def _read(self, text: str, timeout: float, gone: Callable[[], bool]) -> Query:
        process = self._take()
        try:
            answer = processes.exchange(process, {"query": text, "timeout": timeout}, gone)
        except BaseException as e:
            lost = isinstance(e, (BrokenPipeError, EOFError))
            if not lost:
                process.kill()
            code = processes.end(process)
            if lost:
                raise _fault(code, timeout) from None
            raise
        with self._lock:
            self._idle.append(process)
        if problem := answer.get("problem"):
            raise errors.from_plain(problem)
        if columns := answer["columns"]:
            answer["columns"] = (columns[0], tuple(columns[1]))
        return Query(text, **{**answer, "terms": frozenset(answer["terms"])})

    def warm(self) -> None:
        """Start a process, so that the first long query need not wait for it."""
        process = self._take()
        with self._lock:
            self._idle.append(process)

    def _take(self) -> subprocess.Popen[bytes]:
        with self._lock:
            while self._idle:
                process = self._idle.pop()
                if process.poll() is None:
                    return process
                processes.end(process)
        command = [sys.executable, "-c", f"from {__name__} import main; main()"]
        return processes.start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            processes.end(process)


def _fault(code: int, timeout: float) -> KgError:
    match -code:
        case signal.SIGALRM:
            return TimeLimit(
                f"The text of the query could not be read within {timeout:g} s. Send a shorter one.",
                limit_seconds=timeout,
            )
        case signal.SIGABRT:
            return MemoryLimit(
                f"To read the text of the query takes more than {_MEMORY} MB. Send a shorter one.",
                limit_megabytes=_MEMORY,
            )
    return ReaderLost("The process that read the query ended; please try again.")


def main() -> None:
    """Serve until standard input ends."""
    processes.confine()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service decides when the process stops
    os.nice(5)  # who sends short ones goes first
    for line in sys.stdin.buffer:
        request = json.loads(line)
        processes.limit(request["timeout"], _MEMORY << 20)
        try:
            found = asdict(guard(request["query"]))
            del found["text"], found["bound"]  # which none has that is sent
            answer = {**found, "terms": sorted(found["terms"])}
        except MemoryError:
            os.abort()
        except KgError as e:
            answer = errors.to_plain(e)
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
        sys.stdout.buffer.flush()
