"""What happens around every request, whoever answers it: its id, limits of its client, headers, compression, access log.

A WSGI middleware, not hooks of Flask, for two reasons: answers that are kept whole are sent from here without
Flask, and what a transfer comes to is known when the server closes it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from werkzeug.http import parse_accept_header

from ..kernel.errors import KgError
from .services import Services
from .transfers import Answer, Headers, Network, Record, address_outside, client_address, trusted

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger(__name__)

#: Where the record of a request stands in its environment, and why it is refused, if it is.
RECORD, REFUSED = "kg4p1000.record", "kg4p1000.refused"
#: Bodies up to so many bytes are sent at once, and hold no thread while their client reads.
AT_ONCE = 1 << 20
#: Addresses that cost nothing, or that must answer when nothing else does.
_UNCOUNTED = ("/static/", "/favicon.svg", "/robots.txt", "/health", "/metrics")
#: Longest query string of an answer that is kept.
_LONGEST = 8192
_METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH")

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
#: Shorter bodies fit one packet anyway, and cost more to compress than they save.
_LEAST = 1000
_LEVEL = 5
#: zlib's sign for a stream with the head and the tail of gzip.
_GZIP = 31
#: Bytes of compressed data that are sent together.
_PIECE = 16 * 1024
_TYPES = (
    "text/", "application/sparql-results+", "application/json", "application/ld+json", "application/n-triples",
    "application/n-quads", "application/rdf+xml", "application/xml", "application/rdf-patch",
    "application/problem+json", "application/link-format", "image/svg+xml", "application/yaml",
)  # fmt: skip


class Middleware:
    """A WSGI application around the one of Flask.

    Args:
        of: whose limits, cache and figures count.
        proxies: whose X-Forwarded-For, -Proto and -Host count, beside those of this machine.
    """

    def __init__(
        self, app: WSGIApplication, of: Services, proxies: tuple[Network, ...], log: AccessLog
    ) -> None:
        self._app, self._of, self._proxies, self._log = app, of, proxies, log
        self._warned = False

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        record = environ[RECORD] = self._begin(environ)
        try:
            if not record.path.startswith(_UNCOUNTED) and record.method != "OPTIONS":
                try:
                    self._of.clients.enter(record.client)
                    record.counted = True
                except KgError as refused:
                    environ[REFUSED] = refused  # Flask says so
            key = self._key(record, environ)
            if key and (kept := self._of.cache.get(key)):
                record.version, record.asked = kept.version, kept.asked
                record.endpoint = "sparql.endpoint"
                status, headers, body = kept.status, kept.headers, [kept.body]
            else:
                status, headers, body = self._ask(record, environ)
                if key and record.repeatable and type(body) is list:
                    answer = Answer(body[0], status, headers, record.version, record.asked)
                    self._of.cache.put(key, answer)
            record.status, record.first = int(status[:3]), time.monotonic()
            method = record.method if record.method in _METHODS else "other"
            latency = self._of.metrics.latency.labels(record.endpoint, method, status[:3])
            latency.observe(record.first - record.began)
            start_response(status, [*headers, *_always(record)])
        except BaseException:
            _log.exception("%s failed", record.id)
            self.end(record)
            raise
        if type(body) is list:
            record.size = len(body[0])
            self.end(record)
        return body

    def _begin(self, environ: WSGIEnvironment) -> Record:
        remote = environ.get("REMOTE_ADDR", "")
        if not environ.get("HTTP_HOST", "x"):
            del environ["HTTP_HOST"]  # the server's own address is taken then
        scheme, host = (environ.get(f"HTTP_X_FORWARDED_{name}", "") for name in ("PROTO", "HOST"))
        if scheme or host:
            scheme, host = address_outside(remote, scheme, host, self._proxies)
            given = {"wsgi.url_scheme": scheme, "HTTP_HOST": host}
            environ.update({name: value for name, value in given.items() if value})
        client = remote
        if forwarded := environ.get("HTTP_X_FORWARDED_FOR", ""):
            client = client_address(remote, forwarded, self._proxies)
            if not self._warned and not trusted(remote, self._proxies):
                self._warned = True
                _log.warning(
                    "a request from %s came with X-Forwarded-For, which does not count; if a proxy of yours is there,"
                    ' set trusted_proxies = "%s", else all its clients are limited as one (told once)',
                    remote,
                    remote,
                )
        now = time.monotonic()
        path = environ.get("PATH_INFO", "")
        return Record(client, environ["REQUEST_METHOD"], path, str(uuid.uuid4()), now, now)

    def _key(self, record: Record, environ: WSGIEnvironment) -> tuple[str, ...] | None:
        """All that the answer to a query depends on; None where it is not to be kept."""
        if (
            record.path != "/sparql"
            or record.method != "GET"
            or len(environ["QUERY_STRING"]) > _LONGEST
            or not environ.keys().isdisjoint((REFUSED, "HTTP_AUTHORIZATION", "HTTP_IF_NONE_MATCH"))
        ):
            return None
        names = ("ACCEPT", "ACCEPT_ENCODING", "ACCEPT_DATETIME", "HOST")
        with suppress(KgError):
            return (
                str(self._of.store.current),
                environ["QUERY_STRING"],
                environ["wsgi.url_scheme"],
                *(environ.get(f"HTTP_{name}", "") for name in names),
            )
        return None

    def _ask(
        self, record: Record, environ: WSGIEnvironment
    ) -> tuple[str, Headers, Iterable[bytes]]:
        """Let Flask answer; the body is a list where it is there as a whole."""
        begun: list[Any] = []

        def start(status: str, headers: Headers, failed: Any = None) -> Any:
            begun[:] = status, headers

        pieces = self._app(environ, start)
        status, headers = begun
        length = next((int(v) for k, v in headers if k.lower() == "content-length"), AT_ONCE + 1)
        if status[:3] in ("204", "304") or (length <= AT_ONCE and record.method != "HEAD"):
            try:
                pieces, body = [b"".join(pieces)], pieces
            finally:
                body.close()  # type: ignore[attr-defined]
        headers, body = coded(environ, status, headers, pieces)
        if type(body) is not list:
            body = _Transfer(body, pieces, record, self)
        return status, headers, body

    def end(self, record: Record) -> None:
        """Note that an answer has been sent, or was given up."""
        if record.counted:
            record.counted = False
            self._of.clients.leave(record.client)
        self._of.transfers.leave(record)
        self._log.write(record)


def _always(record: Record) -> Headers:
    """Return the headers that every response has."""
    headers = [*_ALWAYS, ("X-Request-Id", record.id)]
    if record.method != "OPTIONS":
        headers.append(_EXPOSED)
    if record.version:
        headers.append(("KG-Version", str(record.version)))
    return headers


class _Transfer:
    """An answer that is sent piece by piece."""

    def __init__(
        self, body: Iterable[bytes], source: Any, record: Record, middleware: Middleware
    ) -> None:
        self._body, self._source, self._record, self._middleware = body, source, record, middleware
        self._whole = record.method == "HEAD"

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self._body:
                self._record.size += len(piece)
                yield piece
            self._whole = True
        except KgError:
            raise  # a limit was met, as the access log says
        except Exception:
            _log.exception("%s failed", self._record.id)
            raise

    def close(self) -> None:
        """End the request; called by the server, however far it got."""
        record = self._record
        try:
            self._source.close()
        finally:
            record.broken = not self._whole
            if record.broken and record.outcome == "ok":
                record.outcome = "client-gone"
            self._middleware.end(record)


# compression (RFC 9110, sections 8.4 and 12.5.3). Only short answers are compressed as a whole; a stream is compressed
# as it comes, so that its first byte is as early and what breaks off has no end of gzip either.


def coded(
    environ: WSGIEnvironment, status: str, headers: Headers, body: Iterable[bytes]
) -> tuple[Headers, Iterable[bytes]]:
    """Compress an answer where its client takes that, and return its headers and body.

    Args:
        body: a list of one where it is there as a whole.
    """
    known = {name.lower(): value for name, value in headers}
    # A 304 has no type, and says of the answer that it stands for what that would have said.
    if not status.startswith("304") and not known.get("content-type", "").startswith(_TYPES):
        return headers, body
    headers = [pair for pair in headers if pair[0].lower() != "vary"]
    headers.append(("Vary", ", ".join(filter(None, (known.get("vary"), "Accept-Encoding")))))
    is_whole = isinstance(body, list)
    if (
        status[:3] in ("204", "206", "304")
        or "content-encoding" in known
        or int(known.get("content-length", _LEAST)) < _LEAST
        # A client of HTTP/1.0 cannot tell the end of what has no length.
        or not (is_whole or environ["SERVER_PROTOCOL"] == "HTTP/1.1")
        or not takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
    ):
        return headers, body
    headers = [pair for pair in headers if pair[0].lower() not in ("content-length", "etag")]
    headers.append(("Content-Encoding", "gzip"))
    if tag := known.get("etag"):
        # The same answer in other bytes: a strong validator would be a lie.
        headers.append(("ETag", tag if tag.startswith("W/") else f"W/{tag}"))
    if environ["REQUEST_METHOD"] == "HEAD":
        return headers, body
    if is_whole:
        body = [compressed(*body)]
        return [*headers, ("Content-Length", str(len(body[0])))], body
    return headers, stream(body)


@lru_cache(maxsize=256)
def takes_gzip(accept_encoding: str) -> bool:
    """Return whether a client wants gzip more than the plain answer.

    >>> [takes_gzip(header) for header in ("gzip, br", "gzip;q=0", "*", "identity, gzip;q=0.5", "", "br")]
    [True, False, True, False, False, False]
    """
    if not accept_encoding:
        return False
    wanted = dict(parse_accept_header(accept_encoding[:1000].lower()))
    gzip = wanted.get("gzip", wanted.get("x-gzip", wanted.get("*", 0)))
    # What is not named is taken too, but what is named is wanted.
    return gzip > 0 and gzip >= wanted.get("identity", 0)


def compressed(body: bytes) -> bytes:
    """Return a whole body, compressed; the same bytes for the same body."""
    coder = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return coder.compress(body) + coder.flush()


def stream(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Return a body in pieces, compressed as it comes. The first piece goes out at once.

    When the pieces break off, so does the result.
    """
    coder = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    waiting = b""
    first = True
    for piece in pieces:
        waiting += coder.compress(piece)
        if first:
            waiting += coder.flush(zlib.Z_SYNC_FLUSH)
        if first or len(waiting) >= _PIECE:
            yield waiting
            waiting, first = b"", False
    yield waiting + coder.flush()


# the access log


class AccessLog:
    """A JSON object a line for every request that has ended.

    Args:
        target: a file, to which lines are added; ``stderr``; or ``none``.
    """

    def __init__(self, target: str) -> None:
        self._target = target

    def write(self, record: Record) -> None:
        """Write the line of a request."""
        if self._target == "none":
            return
        line: dict[str, object] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "id": record.id,
            "client": record.client,
            "method": record.method[:20],
            "path": record.path[:1000],
            "status": record.status,
            "ms": round((time.monotonic() - record.began) * 1000, 1),
            "first_ms": round((record.first - record.began) * 1000, 1),
            "bytes": record.size,
            "outcome": record.outcome,
        }
        if record.version:
            line["version"] = record.version
        if record.asked:
            line["asked"] = record.asked
        if record.broken:
            line["broken"] = True
        try:
            if self._target == "stderr":
                sys.stderr.write(json.dumps(line) + "\n")
            else:
                # Opened each time, so that a file that was moved away is begun anew.
                with open(self._target, "a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
        except OSError as e:
            # Answering goes on; the reason why nothing is logged must not fill the log.
            _log.warning("the access log cannot be written: %s", os.strerror(e.errno or 0))
