"""The server: waitress, with a short way for requests that need no thread.

Waitress reads requests in one thread and answers them in others. To hand a request over and back costs more than a
small answer does; so what `shortcut` can answer is answered where it was read, and a small query is followed there, by
its reader's pipe, beside the connections. Everything else goes the way of waitress, with its promises: a slow client
holds nothing but its own spool, a client that has gone is noticed, an answer that breaks off ends broken.
"""

from __future__ import annotations

import fcntl
import json
import logging
import termios
import threading
import time
from collections import deque
from typing import Any, cast

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask

from ..errors import ClientGone, KgError
from .problems import by_status, fields
from .shortcut import Passage, Short
from .visits import LINE, Visits

_log = logging.getLogger(__name__)

#: Seconds for which a query is followed in the loop; longer ones get a thread, and long results at once.
_BRIEF = 0.1
#: Seconds after which the loop looks who waits.
_TURN = 0.02
#: Seconds for which a query waits in the loop for a reader; then it waits in the queue.
_PATIENCE = 0.25
#: What waitress says of a request is not always for people.
_TOLD = {
    413: "The body is larger than any request may be.",
    431: "The headers, or the address, are too long; send a long query by POST.",
}
#: So many times the time for silence may pass until a client takes some of what waits for it.
_PATIENT = 2
#: Seconds after which the loop looks after itself when nothing happens.
_IDLE = 1.0


def _is_news(record: logging.LogRecord) -> bool:
    """Whether the log is to say it; that a result broke off stands in the access log."""
    return not (record.exc_info and isinstance(record.exc_info[1], KgError))


logging.getLogger("waitress").addFilter(_is_news)


class _Task(WSGITask):  # type: ignore[misc]
    """A request on the long way; what was begun on the short one goes with it."""

    def get_environment(self) -> dict[str, Any]:
        environ = cast(dict[str, Any], super().get_environment())
        environ[LINE] = self.channel
        if passage := getattr(self.request, "passage", None):
            environ.update(passage.carried())
        return environ


class _Refusal(ErrorTask):  # type: ignore[misc]
    """A request that is none, told so as a problem."""

    def execute(self) -> None:
        visits, request = self.channel.server.visits, self.request
        visit = visits.begin(
            getattr(request, "command", "none"),
            getattr(request, "path", ""),
            self.channel.addr[0],
            line=self.channel,
        )
        problem = by_status(request.error.code, _TOLD.get(request.error.code, request.error.body))
        visit.outcome = problem.slug or f"http-{problem.status}"
        body = (json.dumps(fields(problem, visit.id), indent=2) + "\n").encode()
        self.status = f"{problem.status} {request.error.reason}"
        self.response_headers = [("Content-Type", "application/problem+json"), *visits.head(visit)]
        self.set_close_on_finish()
        self.content_length = visit.size = len(body)
        visits.answered(visit, problem.status)
        self.write(body)
        visits.end(visit)


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection."""

    _waits, _taken = b"", 0.0
    task_class = _Task
    error_task_class = _Refusal

    def service(self) -> None:
        passage: Passage | None = getattr(self.requests[0], "passage", None)
        try:
            super().service()
        finally:
            if passage:
                self.server.settle(passage)

    def send_continue(self) -> None:
        """Ask for the body, if there is one to come (RFC 9110, 10.1.1).

        waitress would take a request that is complete, or refused, for one that is not, and wait.
        """
        if self.request.completed:
            self.request.expect_continue = False
        else:
            super().send_continue()

    def unsent(self) -> int | None:
        """Bytes that the client has not taken yet; None when the connection was lost."""
        return self.total_outbufs_len if self.connected else None

    def look(self, now: float) -> None:
        """Close the connection if it is to be; see, while something is unsent, whether the client takes any.

        The socket can be written again only after much was taken, so how much waits in it tells of a slow client.
        """
        if self.will_close:
            self.handle_close()  # waitress waits until the client takes more, and it may never
        elif self.total_outbufs_len and self.connected:
            waits = fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4))
            if waits != self._waits:
                self._waits, self._taken = waits, now
            if now - self._taken < _PATIENT * self.adj.channel_timeout:
                self.last_activity = time.time()

    def drop(self) -> None:
        """Close the connection, whatever the client has not taken yet."""
        self.will_close = True
        self.server.closes_at = 0.0
        self.server.pull_trigger()

    def write_soon(self, data: Any) -> int:
        """Send data when the client takes it; until then it is kept, on the disk if it is much."""
        with self.outbuf_lock:
            # A buffer in memory also keeps what was sent, until another one follows it.
            most = self.adj.outbuf_overflow
            if self.current_outbuf_count >= most and not self.outbufs[-1].overflowed:
                self.outbufs.append(OverflowableBuffer(most))
                self.current_outbuf_count = 0
        return int(super().write_soon(data))


class _Wait:
    """A query in the loop, or one that is to begin; looks like a connection that is only read."""

    accepting = False

    def __init__(self, server: Server, channel: _Channel, passage: Passage) -> None:
        self.channel, self.passage, self._server = channel, passage, server
        self.until = time.monotonic() + _PATIENCE

    def readable(self) -> bool:
        """Always: the reader is to be heard."""
        return True

    def writable(self) -> bool:
        """Never."""
        return False

    def handle_read_event(self) -> None:
        """The reader has said something, or has ended."""
        self._server.heard(self)

    handle_close = handle_expt_event = handle_error = handle_read_event


class Server(TcpWSGIServer):  # type: ignore[misc]
    """A server of one application, listening when it is made.

    Args:
        app: the application, whose requests are visits (`visits.Edge`).
        short: answers requests before it; None for none.
    """

    channel_class = _Channel

    def __init__(
        self, app: Any, visits: Visits, short: Short | None, *, threads: int, **settings: Any
    ) -> None:
        self.visits, self._short = visits, short
        self._arrived: list[_Channel] = []
        self._waits: dict[int, _Wait] = {}
        self._parked: deque[_Wait] = deque()
        self._thread = 0
        #: When connections that are to be closed are looked for.
        self.closes_at = 0.0
        adjustments = Adjustments(threads=threads, **settings)
        dispatcher = ThreadedTaskDispatcher()
        # A request that waits for a thread is no news, and a line about each would be a load.
        dispatcher.queue_logger.disabled = True
        dispatcher.set_thread_count(threads)
        super().__init__(app, map={}, dispatcher=dispatcher, adj=adjustments)

    def run(self) -> None:
        """Answer requests until the server is closed or the process is told to stop."""
        self._thread = threading.get_ident()
        try:
            while self._map:
                # poll, for select knows no more than 1,024 files.
                wasyncore.poll2(_TURN if self._waits or self._parked else _IDLE, self._map)
                self._attend()
        except (SystemExit, KeyboardInterrupt):
            self.task_dispatcher.shutdown()
        finally:
            self.visits.log.flush()

    def add_task(self, channel: _Channel) -> None:
        """Take the request that a connection has read first."""
        if threading.get_ident() == self._thread:
            self._arrived.append(channel)  # the connection is still at work with it
        else:
            self.task_dispatcher.add_task(channel)

    def heard(self, wait: _Wait) -> None:
        """Bring on a query whose reader has said something."""
        short, passage = self._short, wait.passage
        assert short
        if not short.ended(passage) and not (passage.long and wait.channel.connected):
            return
        self._forget(wait)
        if wait.channel.connected:
            self._pass(wait.channel, passage)
        else:
            passage.visit.outcome = "client-gone"
            self.visits.end(passage.visit)
            self._done(wait.channel, close=True)

    def settle(self, passage: Passage) -> None:
        """See to what the long way left: all of it, when the client had gone before its turn came."""
        assert self._short
        self._short.drop(passage)
        self.visits.end(passage.visit)

    def _attend(self) -> None:
        while self._arrived:
            channel = self._arrived.pop(0)
            if channel.requests:  # else it was cancelled
                self._begin(channel)
        now = time.monotonic()
        while self._parked:
            wait = self._parked[0]
            if wait.until > now and wait.channel.connected:
                assert self._short
                self._short.start(wait.passage)
                if wait.passage.waits:
                    break
            self._parked.popleft()
            self._go_on(wait)
        for wait in [w for w in self._waits.values() if w.until <= now]:
            if wait.channel.connected:
                self._forget(wait)
                self._pass(wait.channel, wait.passage)
            elif wait.passage.result:
                wait.passage.result.stop(ClientGone())  # and its reader will say that it has ended
        if self.closes_at <= now:
            self.closes_at = now + _IDLE
            for channel in list(self.active_channels.values()):
                channel.look(now)
        self.visits.unread.tick()
        self.visits.log.tick()

    def _begin(self, channel: _Channel) -> None:
        passage = self._short.begin(channel.requests[0], channel) if self._short else None
        if passage is None:
            self.task_dispatcher.add_task(channel)
        elif passage.waits:
            self._parked.append(_Wait(self, channel, passage))
        elif passage.result is None:
            self._pass(channel, passage)
        else:
            self._go_on(_Wait(self, channel, passage))

    def _go_on(self, wait: _Wait) -> None:
        """Listen to the reader of a query, or let a thread answer where there is none."""
        if wait.passage.result is None:
            self._pass(wait.channel, wait.passage)
        else:
            wait.until = time.monotonic() + _BRIEF
            self._map[wait.passage.fd] = self._waits[wait.passage.fd] = wait

    def _forget(self, wait: _Wait) -> None:
        del self._map[wait.passage.fd], self._waits[wait.passage.fd]

    def _pass(self, channel: _Channel, passage: Passage) -> None:
        """Answer a request, or let a thread do so if it came to no short answer."""
        if passage.reply is None:
            channel.requests[0].passage = passage
            self.task_dispatcher.add_task(channel)
            return
        try:
            sent = 0
            if not channel.total_outbufs_len:
                sent = channel.send(passage.reply, do_close=False)
            channel.write_soon(passage.reply[sent:])
            self._done(channel)
        except (OSError, ClientDisconnected):
            passage.visit.outcome, passage.visit.broken = "client-gone", True
            self._done(channel, close=True)
        self.visits.end(passage.visit)

    def _done(self, channel: _Channel, close: bool = False) -> None:
        """Be done with the first request of a connection."""
        with channel.requests_lock:
            request: HTTPRequestParser = channel.requests.pop(0)
            request.close()
            if close:
                channel.close_when_flushed = True
                channel.requests = []
            elif channel.requests:
                self._arrived.append(channel)
        channel.last_activity = time.time()
