"""Long queries read in a process that can be ended: under the query's limit.

A text that is read here would keep every other request of the service waiting, for Python runs one thread at a
time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from ..kernel.errors import ReaderLost
from ..kernel.processes import Limits, Worker, serve
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
        self._idle: list[Worker] = []

    def read(self, text: str, *, timeout: float) -> Query:
        """Read a query; see `guard`.

        Args:
            timeout: seconds that it may take.

        Raises:
            MalformedQuery, Refused: as `guard` does.
            Busy: too many long ones wait already.
            TimeLimit, MemoryLimit, ReaderLost: it was stopped.
        """
        if len(text) <= SHORT:
            return guard(text)
        limits = Limits(
            timeout,
            _MEMORY,
            "The text of the query could not be read within {} s. Send a shorter one.",
            "To read the text of the query takes more than {} MB. Send a shorter one.",
            lambda _: ReaderLost("The process that read the query ended; please try again."),
        )
        self._lanes.enter()
        worker = self._take()
        try:
            answer = worker.ask({"query": text}, limits)
        finally:
            self._keep(worker)
            self._lanes.leave()
        if columns := answer["columns"]:
            answer["columns"] = (columns[0], tuple(columns[1]))
        return Query(text, **{**answer, "terms": frozenset(answer["terms"])})

    def warm(self) -> None:
        """Start a process, so that the first long query need not wait for it."""
        self._keep(self._take())

    def close(self) -> None:
        """End the processes."""
        while self._idle:
            self._take().end()

    def _take(self) -> Worker:
        with suppress(IndexError):  # none is left
            while not (worker := self._idle.pop()).alive:
                worker.end()
            return worker
        return Worker(__name__)

    def _keep(self, worker: Worker) -> None:
        if worker.alive:
            self._idle.append(worker)


def _read(request: dict[str, Any], _: object) -> dict[str, Any]:
    found = asdict(guard(request["query"]))
    del found["text"], found["bound"]  # which none has that is sent
    return {**found, "terms": sorted(found["terms"])}


def main() -> None:
    """Read queries that are sent."""
    os.nice(5)  # who sends short ones goes first
    serve(_read)
