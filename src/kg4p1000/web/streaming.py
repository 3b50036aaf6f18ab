"""Results as responses: with a length when they are short, in pieces when they are long.

A result that breaks off after bytes went out ends as a broken transfer, so that nobody takes it for
whole: the exception leaves the generator, and waitress closes the connection without the final
chunk. HTTP/1.0 has no such mark, so there the whole result is awaited.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from flask import Response, g, request

from ..errors import KgError
from ..store import Result
from .citation import citation, key_of
from .services import base, client_gone, services
from .visits import Visit

_log = logging.getLogger(__name__)
#: Results up to this size are awaited: they get a length, and a limit that is met gets its 503.
SHORT = 64 * 1024


def respond(
    result: Result, media_type: str, keep: Callable[[bytes], None] = lambda body: None
) -> Response:
    """The response for a result.

    Args:
        keep: is given the body when it is a short one.

    Raises:
        TimeLimit, MemoryLimit, ReaderLost: the query was stopped before anything had to go out.
    """
    gone, visit = client_gone(), g.visit
    visit.result = result
    length = None
    if request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        try:
            while not result.wait(gone):
                services().visits.unread.grow(visit)
        except KgError:
            result.close()
            raise
        length = result.size
    chunks = result.chunks(gone)
    head: list[bytes] = []
    size = 0
    body: bytes | Iterator[bytes]
    for chunk in chunks:
        head.append(chunk)
        size += len(chunk)
        if size > SHORT:
            body = _rest(head, chunks, visit)
            break
    else:
        body = b"".join(head)
        keep(body)
    g.version = result.version
    response = Response(body, content_type=f"{media_type}; charset=utf-8")
    if length is not None:
        response.content_length = length
    return response


def cited(response: Response, query: str = "", exact: bool = True) -> Response:
    """A response of `respond`, with what it takes to cite it; 304 if the client has it already.

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


def _rest(head: list[bytes], chunks: Iterator[bytes], visit: Visit) -> Iterator[bytes]:
    # Runs after the context of the request has ended, so that the visit is handed over.
    yield from head
    try:
        yield from chunks
    except KgError as problem:
        visit.outcome = problem.slug
        _log.warning("%s broke off: %s", visit.id, problem.detail)
        raise
