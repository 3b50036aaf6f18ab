"""Answers compressed by gzip for who takes it (RFC 9110, sections 8.4 and 12.5.3).

Only short answers are compressed as a whole; a stream is compressed as it comes, piece by piece, so that its first
byte is as early and a part of it is never taken for the whole: what breaks off has no end of gzip either.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from werkzeug.http import parse_accept_header

from .citation import Headers

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

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
