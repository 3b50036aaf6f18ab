"""A query that runs or has run: its result is spooled as it comes, and read at whatever pace."""

from __future__ import annotations

import json
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pyoxigraph as ox

from ..kernel.errors import ClientGone, KgError
from ..kernel.processes import GLANCE, Limits, Worker
from .graphs import Row, rows

_SPOOL = 1 << 20
_CHUNK = 64 * 1024


class Result:
    """A query that runs or has run, and its result as it comes.

    Attributes:
        id: names the query while it runs.
        version: the version of the graph that is asked.
        kind: ``solutions``, ``boolean`` or ``triples``; empty before the result begins.
        variables: names of the columns, for solutions.
        began: time of the monotonic clock at which evaluation began.
        worker: the process that evaluates it.
        fault: why the result is not whole.
        ended: whether nothing more comes.
    """

    def __init__(self, text: str, limits: Limits) -> None:
        self.text, self.limits, self.id = text, limits, uuid.uuid4().hex
        self.version, self.kind, self.variables = 0, "", list[str]()
        self.began, self.slow = 0.0, False
        self.worker: Worker | None = None
        self.fault: KgError | None = None
        self.ended = False
        #: Bytes of the result so far, and how many of them were read and are kept no longer.
        self.size = self._let_go = 0
        self._spool = tempfile.SpooledTemporaryFile(_SPOOL)  # noqa: SIM115 - see close
        self._news = threading.Condition()

    @property
    def limit(self) -> float:
        """Seconds of evaluation after which the query is stopped."""
        return self.limits.seconds

    @property
    def held(self) -> int:
        """Bytes of the result that are kept now."""
        return 0 if self._spool.closed else self.size - self._let_go

    def chunks(self) -> Iterator[bytes]:
        """Yield the serialised result in pieces, once.

        Raises:
            KgError: the query was stopped after bytes had gone out.
        """
        position = 0
        try:
            while True:
                with self._news:
                    while self.size == position and not self.ended:
                        self._news.wait()
                    if self.size == position:
                        if self.fault:
                            raise self.fault
                        return
                    self._spool.seek(position - self._let_go)
                    data = self._spool.read(min(_CHUNK, self.size - position))
                    position += len(data)
                    if position == self.size:
                        self._let_go = position
                        self._spool.seek(0)
                        self._spool.truncate()
                yield data
        finally:
            self.close()

    def wait(self) -> bool:
        """Wait a moment for more of the result, and return whether it is there to its end.

        Raises:
            KgError: as `chunks` does.
        """
        with self._news:
            if not self.ended:
                self._news.wait(GLANCE)
        if self.fault:
            self.close()
            raise self.fault
        return self.ended

    def read(self) -> bytes:
        """Return the whole serialised result."""
        return b"".join(self.chunks())

    def rows(self) -> list[Row]:
        """Return the solutions of the whole result, when it was asked for as JSON."""
        solutions = ox.parse_query_results(self.read(), format=ox.QueryResultsFormat.JSON)
        return list(rows(solutions))

    def json(self) -> Any:
        """Return the whole result, when it was asked for as JSON."""
        return json.loads(self.read())

    def close(self) -> None:
        """Let go of the result; a query that is still running is stopped."""
        self.stop(ClientGone())
        # What did not fit on the disk cannot be written when the file is closed either.
        with self._news, suppress(OSError):
            self._spool.close()

    def stop(self, why: KgError) -> None:
        """Stop the query if it is still running; whoever reads the result is told why."""
        with self._news:
            if not self.ended and self.worker and not self.fault:
                self.fault = why
                self.worker.process.kill()

    def __del__(self) -> None:
        self.close()

    def add(self, data: bytes) -> None:
        """Add bytes to the result."""
        with self._news:
            if not self._spool.closed:
                self._spool.seek(self.size - self._let_go)
                self._spool.write(data)
                self.size += len(data)
                self._news.notify_all()

    def end(self, fault: KgError | None = None) -> None:
        """Say that nothing more comes, and why, unless that is known already."""
        with self._news:
            self.fault = self.fault or fault
            self.worker, self.ended = None, True
            self._news.notify_all()
