"""Results as responses: with a length when they are short, in pieces when they are long.

A result that breaks off after bytes went out ends as a broken transfer, so that nobody takes it for
whole: the exception leaves the iterator, and the server closes the connection without the final
chunk. HTTP/1.0 has no such mark, so there the whole result is awaited.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from flask import Response, g, request

from ..errors import KgError, SlowReader
from ..store import Result
from .access_log import Record
from .citation import citation, key_of
from .services import base, services

_log = logging.getLogger(__name__)
#: Results up to this size are awaited: they get a length, and a limit that is met gets its 503.
SHORT = 256 * 1024


def respond(result: Result, media_type: str) -> Response:
    """Return the response for a result.

    Raises:
        TimeLimit, MemoryLimit, ReaderLost: the query was stopped before anything had to go out.
        Busy: the result is long, and too many such are being sent.
    """
    record: Record = g.visit
    content_type = f"{media_type}; charset=utf-8"
    g.version = result.version
    try:
        length = None
        if request.environ["SERVER_PROTOCOL"] != "HTTP/1.1":
            services().transfers.enter(record, result)
            while not result.wait():
                pass
            length = result.size
        chunks, head, size = _chunks(result), [], 0
        for chunk in chunks:
            head.append(chunk)
            size += len(chunk)
            if size > SHORT:
                services().transfers.enter(record, result)
                break
        else:
            return Response(b"".join(head), content_type=content_type)
    except KgError:
        result.close()
        raise
    response = Response(_rest(head, chunks, record), content_type=content_type)
    response.call_on_close(result.close)
    if length is not None:
        response.content_length = length
    return response


def cited(response: Response, query: str = "", exact: bool = True) -> Response:
    """Return a response of `respond`, with what it takes to cite it; 304 if the client has it already.

    Args:
        query: what was asked, where the address does not say it all; it may change between releases,
            so that the client is to ask again each time.
        exact: whether the same version gives the same answer each time.
    """
    again = {name: request.args.getlist(name) for name in request.args if name != "version"}
    key = key_of(g.version, request.path, again, query, response.mimetype) if exact else ""
    lasting = not query and request.args.get("version", "").strip().isdecimal()
    headers = citation(
        base() + request.path, again, g.version, services().store, key, lasting=lasting, base=base()
    )
    response.headers.extend(headers)
    return response.make_conditional(request) if key else response


def _chunks(result: Result) -> Iterator[bytes]:
    try:
        yield from result.chunks()
    except ValueError:  # the spool was closed, see `transfers`
        raise SlowReader("Too many answers waited to be read.", retry_after=60) from None


def _rest(head: list[bytes], chunks: Iterator[bytes], record: Record) -> Iterator[bytes]:
    # Runs after the context of the request has ended, so that the record is handed over.
    yield from head
    try:
        yield from chunks
    except KgError as problem:
        record.outcome = problem.slug
        _log.warning("%s broke off: %s", record.id, problem.detail)
        raise
