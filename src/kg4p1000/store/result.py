"""A query that runs or has run: its result is spooled as it comes, and read at whatever pace."""

from __future__ import annotations

import json
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ..errors import ClientGone, KgError
from .handle import Handle
from .lanes import GLANCE

_SPOOL = 1 << 20
_CHUNK = 64 * 1024


@dataclass
class Result:
    """A query that runs or has run, and its result as it comes.

    Attributes:
        id: names the query while it runs.
        text: the query.
        version: the version of the graph that is asked.
        kind: ``solutions``, ``boolean`` or ``triples``.
        variables: names of the columns, for solutions.
        began: time of the monotonic clock at which evaluation began.
    """

    text: str
    limit: float
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    version: int = 0
    kind: str = ""
    variables: list[str] = field(default_factory=list)
    began: float = 0
    slow: bool = False
    _head: dict[str, Any] | None = None
    _reader: Handle | None = None
    _spool: Any = field(
        default_factory=lambda: tempfile.SpooledTemporaryFile(_SPOOL)  # noqa: SIM115 - see close
    )
    _written: int = 0
    #: So many bytes were read, and are kept no longer.
    _let_go: int = 0
    _ended: bool = False
    _fault: KgError | None = None
    _news: threading.Condition = field(default_factory=threading.Condition)

    def chunks(self, gone: Callable[[], bool] = lambda: False) -> Iterator[bytes]:
        """The serialised result in pieces, once.

        Args:
            gone: tells whether the client has gone; then the query is stopped.

        Raises:
            ClientGone: it has; what came so far is not the whole.
            KgError: the query was stopped after bytes had gone out.
        """
        position = 0
        try:
            while True:
                with self._news:
                    while self._written == position and not self._ended:
                        self._news.wait(GLANCE)
                        if gone():
                            raise ClientGone
                    if self._written == position:
                        if self._fault:
                            raise self._fault
                        return
                    self._spool.seek(position - self._let_go)
                    data = self._spool.read(min(_CHUNK, self._written - position))
                    position += len(data)
                    if position == self._written:
                        self._let_go = position
                        self._spool.seek(0)
                        self._spool.truncate()
                yield data
        finally:
            self.close()

    def wait(self, gone: Callable[[], bool] = lambda: False) -> bool:
        """Wait a moment for more of the result, and tell whether it is there to its end.

        Raises:
            ClientGone, KgError: as `chunks` does.
        """
        with self._news:
            if not self._ended:
                self._news.wait(GLANCE)
            ended, fault = self._ended, self._fault
        if fault:
            self.close()
            raise fault
        if not ended and gone():
            self.close()
            raise ClientGone
        return ended

    @property
    def held(self) -> int:
        """Bytes of the result that are kept now."""
        return 0 if self._spool.closed else self._written - self._let_go

    @property
    def whole(self) -> bool:
        """Whether the result is there to its end, and no fault with it."""
        ended = self._ended and self._fault is None and self._head is not None
        return ended and "error" not in (self._head or {})

    @property
    def size(self) -> int:
        """Bytes of the serialised result so far."""
        return self._written

    def fileno(self) -> int:
        """The pipe on which the reader answers; -1 when the query has ended."""
        reader = self._reader
        return reader.stdout.fileno() if reader else -1

    def read(self) -> bytes:
        """The whole serialised result."""
        return b"".join(self.chunks())

    def json(self) -> Any:
        """The whole result, when it was asked for as JSON."""
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
            if not self._ended and self._reader and not self._fault:
                self._fault = why
                self._reader.process.kill()

    def __del__(self) -> None:
        self.close()

    def _add(self, data: bytes) -> None:
        with self._news:
            if not self._spool.closed:
                self._spool.seek(self._written - self._let_go)
                self._spool.write(data)
                self._written += len(data)
                self._news.notify_all()

    def _end(self, fault: KgError | None = None) -> None:
        with self._news:
            self._fault = self._fault or fault
            self._reader = None
            self._ended = True
            self._news.notify_all()
