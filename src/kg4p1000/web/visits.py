"""What happens around every request: its number, its client's place in the limits, its headers, its line in
the access log, its share in the figures.

All requests pass here, those that Flask answers and those that are answered before it (`shortcut`).
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..access import Network, address_outside, client_address, trusted
from . import encoding
from .unread import Line, Unread

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from ..store import Result
    from .services import Services

_log = logging.getLogger(__name__)

Headers = list[tuple[str, str]]
#: Where the visit stands in the environment of WSGI.
VISIT = "kg4p1000.visit"
#: Where the connection stands there.
LINE = "kg4p1000.line"
#: Bodies up to so many bytes are compressed as a whole, and have a length.
_AT_ONCE = 1 << 20
#: Up to so many bytes an answer takes no room worth counting.
_SMALL = 1 << 16

_ALWAYS: Headers = [
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    # Queries stand in addresses; no other site is to learn them.
    ("Referrer-Policy", "same-origin"),
    # Everything here is public and takes no account.
    ("Access-Control-Allow-Origin", "*"),
]
_EXPOSED = (
    "Access-Control-Expose-Headers",
    "Content-Location, ETag, KG-Awaits, KG-Deprecated, KG-Empty, KG-Hint, KG-Unknown-Graphs, KG-Version, Link, Location,"
    " Memento-Datetime, Retry-After, X-Request-Id",
)
_PREFLIGHT: Headers = [("Access-Control-Max-Age", "86400")]
#: Headers that pages of other sites may send whether they asked or not.
_KNOWN_NAMES = {
    name.lower(): name
    for name in (
        "Accept", "Accept-Datetime", "Authorization", "Content-Type", "If-Match", "If-None-Match", "Range",
    )
}  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
#: Headers that a preflight may ask for.
_MOST_NAMES = 100


class Visit:
    """A request on its way.

    Attributes:
        id: a UUID; stands in the header X-Request-Id, in problem documents and in the log.
        client: the address of the client, behind the proxies that we trust.
        endpoint: the name of the route.
        version: the version of the graph that is shown; 0 for none.
        asked: names the question, so that lines of the log about the same can be found; or empty.
        outcome: ``ok``, or the slug of a problem; ``client-gone`` when the client left before the end.
        counted: whether the request has a place in the limits of its client.
        broken: whether the transfer was cut after bytes had gone out.
        line: the connection.
        result: the query whose result is sent, if there is one.
    """

    __slots__ = (
        "asked", "begun", "broken", "client", "counted", "ended", "endpoint", "first", "id", "line", "method",
        "outcome", "path", "result", "size", "status", "version",
    )  # fmt: skip

    def __init__(self, number: str, client: str, method: str, path: str, line: Line) -> None:
        self.id, self.client, self.method, self.path = number, client, method, path
        self.begun = self.first = time.monotonic()
        self.endpoint, self.asked, self.outcome = "none", "", "ok"
        self.version = self.status = self.size = 0
        self.counted = self.broken = self.ended = False
        self.line = line
        self.result: Result | None = None

    @property
    def held(self) -> int:
        """Bytes of the answer that are kept for the client now."""
        return (self.line.unsent() or 0) + (self.result.held if self.result else 0)


class _NoLine:
    """No connection: whatever is sent has been taken."""

    def unsent(self) -> int | None:
        """Return nothing that waits."""
        return 0

    def drop(self) -> None:
        """Do nothing."""


NO_LINE = _NoLine()


class Visits:
    """Begins and ends visits.

    Args:
        of: whose limits and figures count.
        proxies: whose X-Forwarded-For, -Proto and -Host count, beside those of this machine.
        log: gets a line a visit.
    """

    def __init__(self, of: Services, proxies: tuple[Network, ...], log: AccessLog) -> None:
        self._of, self._proxies, self.log = of, proxies, log
        # The form of a random UUID; of its digits, the first come from chance and the others from a counter.
        chance = secrets.token_hex(10)
        self._prefix = f"{chance[:8]}-{chance[8:12]}-4{chance[12:15]}-a{chance[15:18]}-"
        self._count, self._strangers = count(1), count()
        self._latencies: dict[tuple[str, str, int], Any] = {}
        settings = of.settings
        self.unread = Unread(settings.client_spool << 20, settings.spool << 20, self._end)

    def begin(
        self, method: str, path: str, remote: str, forwarded: str = "", line: Line = NO_LINE
    ) -> Visit:
        """A visit that begins now."""
        client = remote
        if forwarded:
            client = client_address(remote, forwarded, self._proxies)
            if not trusted(remote, self._proxies) and next(self._strangers) == 0:
                _log.warning(
                    "a request from %s came with X-Forwarded-For, which does not count; if a proxy of yours is there,"
                    ' set trusted_proxies = "%s", else all its clients are limited as one (told once)',
                    remote,
                    remote,
                )
        return Visit(f"{self._prefix}{next(self._count):012x}", client, method, path, line)

    def outside(self, remote: str, scheme: str, host: str) -> tuple[str, str]:
        """The scheme and host that a proxy says in X-Forwarded-Proto and -Host; see `access.address_outside`."""
        return address_outside(remote, scheme, host, self._proxies) if scheme or host else ("", "")

    def head(self, visit: Visit) -> Headers:
        """The headers that every response has."""
        headers = [*_ALWAYS, ("X-Request-Id", visit.id)]
        if visit.method == "OPTIONS":
            headers += _PREFLIGHT
        else:
            headers.append(_EXPOSED)
        if visit.version:
            headers.append(("KG-Version", str(visit.version)))
        return headers

    def answered(self, visit: Visit, status: int) -> None:
        """Note that the response begins."""
        visit.status, visit.first = status, time.monotonic()
        labels = (visit.endpoint, visit.method, status)
        latency = self._latencies.get(labels)
        if latency is None:
            known = visit.method if visit.method in _METHODS else "other"
            latency = self._of.metrics.latency.labels(visit.endpoint, known, str(status))
            if known == visit.method:
                self._latencies[labels] = latency
        latency.observe(visit.first - visit.begun)

    def end(self, visit: Visit) -> None:
        """Note that the response was made to its end, or was given up; the first time counts.

        Until the client has read it, it counts as under way.
        """
        if not visit.ended:
            visit.ended = True
            self.unread.sent(visit)

    def _end(self, visit: Visit) -> None:
        if visit.counted:
            visit.counted = False
            self._of.clients.leave(visit.client)
        self.log.add(visit)


_METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH")


class Edge:
    """An application of WSGI whose requests are visits."""

    def __init__(self, app: WSGIApplication, visits: Visits) -> None:
        self._app, self._visits = app, visits

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        visits, remote = self._visits, environ.get("REMOTE_ADDR", "")
        visit: Visit | None = environ.get(VISIT)
        if visit is None:
            visit = environ[VISIT] = visits.begin(
                environ["REQUEST_METHOD"],
                environ.get("PATH_INFO", ""),
                remote,
                environ.get("HTTP_X_FORWARDED_FOR", ""),
                environ.get(LINE, NO_LINE),
            )
        scheme, host = visits.outside(
            remote,
            environ.get("HTTP_X_FORWARDED_PROTO", ""),
            environ.get("HTTP_X_FORWARDED_HOST", ""),
        )
        if scheme:
            environ["wsgi.url_scheme"] = scheme
        if host:
            environ["HTTP_HOST"] = host

        begun: list[Any] = []

        def start(*response: Any) -> Callable[[bytes], object]:
            begun[:] = response
            return _no_writing

        try:
            pieces = self._app(environ, start)
            status, headers, *failed = begun
            visits.answered(visit, int(status[:3]))
            headers = [*headers, *visits.head(visit)]
            if visit.method == "OPTIONS":
                allowed = next((value for name, value in headers if name == "Allow"), "GET")
                headers.append(("Access-Control-Allow-Methods", allowed))
                headers.extend(_allowed(environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")))
            body = _Body(pieces, visit, visits)
            headers = body.code(int(status[:3]), headers, environ)
            start_response(status, headers, *failed)
            return body
        except BaseException:
            visits.end(visit)
            raise


def _allowed(asked: str) -> Headers:
    """The header that lets a page of another site send what it asked for: no header of a request can do harm here."""
    names = dict.fromkeys(name.strip() for name in asked.split(",", _MOST_NAMES)[:_MOST_NAMES])
    more = [name for name in names if _NAME.fullmatch(name) and name.lower() not in _KNOWN_NAMES]
    return [
        ("Access-Control-Allow-Headers", ", ".join([*_KNOWN_NAMES.values(), *more])),
        ("Vary", "Access-Control-Request-Headers"),
    ]


def _no_writing(data: bytes) -> object:
    raise NotImplementedError("a response is an iterable; nothing here writes in the old way")


class _Body:
    """The body of a response, counted while it is sent, and compressed for who takes it."""

    def __init__(self, pieces: Iterable[bytes], visit: Visit, visits: Visits) -> None:
        self._pieces, self._visit, self._visits = pieces, visit, visits
        self._sent: Iterable[bytes] = self._counted()
        self._whole = False

    def code(self, status: int, headers: Headers, environ: WSGIEnvironment) -> Headers:
        """Choose the content coding, and give the headers that say so."""
        known = {name.lower(): value for name, value in headers}
        # A 304 has no type, and says of the answer that it stands for what that would have said.
        if status != 304 and not encoding.compressible(known.get("content-type", "")):
            return headers
        headers = [pair for pair in headers if pair[0].lower() != "vary"]
        headers.append(("Vary", ", ".join(filter(None, (known.get("vary"), "Accept-Encoding")))))
        length = int(known["content-length"]) if "content-length" in known else None
        old = environ.get("SERVER_PROTOCOL") == "HTTP/1.0"
        if (
            status in (204, 206, 304)
            or (old and (length or 0) > _AT_ONCE)
            or "content-encoding" in known
            or (length or 0 if length is not None or old else encoding.LEAST) < encoding.LEAST
            or not encoding.takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
        ):
            return headers
        headers = [pair for pair in headers if pair[0].lower() not in ("content-length", "etag")]
        headers.append(("Content-Encoding", "gzip"))
        if tag := known.get("etag"):
            # The same answer in other bytes: a strong validator would be a lie.
            headers.append(("ETag", tag if tag.startswith("W/") else f"W/{tag}"))
        if self._visit.method == "HEAD":
            return headers
        if length is not None and (old or length <= _AT_ONCE):
            body = encoding.compressed(b"".join(self._sent))
            headers.append(("Content-Length", str(len(body))))
            self._sent = (body,)
        else:
            self._sent = encoding.stream(self._sent)
        return headers

    def _counted(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._visit.size += len(piece)
            if self._visit.size > _SMALL:
                self._visits.unread.grow(self._visit)
            yield piece

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._sent
        except Exception:
            self._visit.broken = True
            raise
        self._whole = True

    def close(self) -> None:
        try:
            if close := getattr(self._pieces, "close", None):
                close()
        finally:
            visit = self._visit
            visit.broken = visit.broken or not self._whole
            if not self._whole and visit.outcome == "ok":
                visit.outcome = "client-gone"
            self._visits.end(visit)


class AccessLog:
    """A JSON object a line for every request, written a few lines at a time.

    Args:
        target: a file, to which lines are added; ``stderr``; or ``none``.
    """

    _MANY, _LONG = 50, 0.5

    def __init__(self, target: str) -> None:
        self._target = target
        self._lines: list[str] = []
        self._lock = threading.Lock()
        self._since = time.monotonic()

    def add(self, visit: Visit) -> None:
        """Take the line of a visit that has ended."""
        if self._target == "none":
            return
        now = time.monotonic()
        line: dict[str, object] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "id": visit.id,
            "client": visit.client,
            "method": visit.method[:20],
            "path": visit.path[:1000],
            "status": visit.status,
            "ms": round((now - visit.begun) * 1000, 1),
            "first_ms": round((visit.first - visit.begun) * 1000, 1),
            "bytes": visit.size,
            "outcome": visit.outcome,
        }
        if visit.version:
            line["version"] = visit.version
        if visit.asked:
            line["asked"] = visit.asked
        if visit.broken:
            line["broken"] = True
        self._lines.append(json.dumps(line))
        if len(self._lines) >= self._MANY or now - self._since > self._LONG:
            self.flush()

    def tick(self) -> None:
        """Write the lines that have waited long."""
        if self._lines and time.monotonic() - self._since > self._LONG:
            self.flush()

    def flush(self) -> None:
        """Write the lines that wait."""
        if not self._lines:
            return
        with self._lock:
            lines, self._lines = self._lines, []
            self._since = time.monotonic()
            text = "".join(f"{line}\n" for line in lines)
            try:
                if self._target == "stderr":
                    sys.stderr.write(text)
                    sys.stderr.flush()
                else:
                    # Opened each time, so that a file that was moved away is begun anew.
                    with open(Path(self._target), "a", encoding="utf-8") as file:
                        file.write(text)
            except OSError as e:
                # Answering goes on; the reason why nothing is logged must not fill the log.
                _log.warning("the access log cannot be written: %s", os.strerror(e.errno or 0))
