"""Answers as responses: results whole or in pieces, what it takes to cite them, and errors as problems.

A result that breaks off after bytes went out ends as a broken transfer, so that nobody takes it for
whole: the exception leaves the iterator, and the server closes the connection without the final
chunk. HTTP/1.0 has no such mark, so there the whole result is awaited.

An answer names its version, when that was published, and its own lasting address; it is exact for a version, so
that a client that has it need not be sent it again. Sources: RFC 7089 (Memento), RFC 9110 (ETag, If-None-Match,
Content-Location), RFC 9457 (problems).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Flask, Response, g, render_template, request
from werkzeug.exceptions import HTTPException
from werkzeug.http import http_date

from ..kernel import errors
from ..kernel.errors import KgError, NotFound, SlowReader
from ..kernel.terms import PROBLEM
from ..store import Result
from .requests import prefers_page
from .services import base, services
from .transfers import Headers, Record

_log = logging.getLogger(__name__)
problems = Blueprint("problems", __name__)

#: Results up to this size are awaited: they get a length, and a limit that is met gets its 503.
SHORT = 256 * 1024
#: Longest address that names an answer; proxies refuse long headers.
_SHORT_ADDRESS = 2048
_YEAR = "public, max-age=31536000"
#: Seconds after which it makes sense to try again; a limit would only be met again.
_RETRY_AFTER = {"reader-lost": 1, "store-unusable": 30}
#: What a busy day brings; the access log tells of it, and nobody need act.
_EXPECTED = {"time-limit", "memory-limit", "busy", "killed", "client-gone"}
_BY_STATUS = {
    cls.status: cls
    for cls in (errors.MalformedRequest, errors.NotFound, errors.NotAllowed, errors.NotAcceptable,
                errors.TooLarge, errors.WrongMediaType)
}  # fmt: skip


def respond(result: Result, media_type: str) -> Response:
    """Return the response for a result.

    Raises:
        TimeLimit, MemoryLimit, ReaderLost: the query was stopped before anything had to go out.
        Busy: the result is long, and too many such are being sent.
    """
    record: Record = g.record
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
    response.headers.extend(citation(request.path, again, g.version, key, lasting=lasting))
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


def key_of(version: int, *asked: object) -> str:
    """Return a key for what was asked: dataset, query text, parameters, media type.

    It begins with the version, so that the writer can tell of which state an ETag is.
    """
    return f"{version}-{hashlib.sha256(repr(asked).encode()).hexdigest()[:32]}"


def citation(
    path: str, again: Mapping[str, str | list[str]], version: int, key: str, *, lasting: bool
) -> Headers:
    """Return the headers that it takes to cite an answer.

    Args:
        again: the parameters with which the same can be asked, without the version.
        key: of what was asked; empty when the answer would differ the next time.
        lasting: whether the request named the version by its number, so that the answer never changes.
    """
    address = base() + path
    permanent = f"{address}?{urlencode({**again, 'version': version}, doseq=True)}"
    links = f'<{base()}/versions>; rel="timemap"; type="application/link-format"'
    moment = _date(services().store.entry(version).time)
    headers: Headers = [("Memento-Datetime", moment)]
    if len(permanent) <= _SHORT_ADDRESS:
        headers.append(("Content-Location", permanent))
        links += f', <{permanent}>; rel="permalink"'
    else:  # what is asked has to be sent there again
        links += f', <{address}?version={version}>; rel="memento"; datetime="{moment}"'
    headers.append(("Link", links))
    if key:
        headers.append(("ETag", f'W/"{key}"'))
    headers.append(("Cache-Control", (_YEAR if lasting else "no-cache") if key else "no-store"))
    return headers


@lru_cache(maxsize=64)
def _date(moment: datetime) -> str:
    return http_date(moment)


# problems


def register_problems(app: Flask) -> None:
    """Let the application answer every error as a problem."""
    app.register_error_handler(KgError, _kg_error)
    app.register_error_handler(HTTPException, _http_exception)
    app.register_error_handler(Exception, _unexpected)
    app.register_blueprint(problems)


def problem_of(error: KgError) -> dict[str, Any]:
    """Return the problem document of an error in the request at hand."""
    return {
        "type": PROBLEM + error.slug if error.slug else "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": f"urn:uuid:{g.record.id}",
        **error.members,
    }


def by_status(code: int, detail: str) -> KgError:
    """Return an error that only its status tells."""
    if code in _BY_STATUS:
        return _BY_STATUS[code](detail)
    if code == 500:
        return KgError()
    other = KgError(detail)
    # No page of ours tells more than the status itself (RFC 9457, section 4.2.1).
    other.slug, other.status, other.title = "", code, HTTPStatus(code).phrase
    return other


def problem_response(error: KgError) -> Response:
    """Answer with the problem of an error."""
    g.record.outcome = error.slug or f"http-{error.status}"
    problem = problem_of(error)
    if prefers_page(request.accept_mimetypes):
        response = Response(render_template("problem.html", problem=problem, slug=error.slug))
        schemes = ("Bearer",)  # for Basic, a browser would ask for a name and a password
    else:
        schemes = ("Bearer", "Basic")
        text = json.dumps(problem, ensure_ascii=False, default=_plain, indent=2)
        response = Response(text + "\n", content_type="application/problem+json")
    response.status_code = error.status
    response.headers["Cache-Control"] = "no-store"
    if error.status == 401:
        response.headers["WWW-Authenticate"] = ", ".join(f'{s} realm="kg4p1000"' for s in schemes)
    if error.status == 415:
        response.headers["Accept-Encoding"] = "gzip, deflate"
    say_when(response, error)
    return response


def say_when(response: Response, error: KgError) -> None:
    """Say in an answer when it makes sense to ask again, if it ever does."""
    if again := error.members.get("retry_after", _RETRY_AFTER.get(error.slug)):
        response.headers["Retry-After"] = str(again)
        if error.slug == "being-rebuilt":
            response.headers["Refresh"] = str(again)  # for people: the page comes by itself


def _kg_error(error: KgError) -> Response:
    if error.status >= 500 and error.slug not in _EXPECTED:
        _log.error("%s %s: %s", g.record.id, error.slug, error.detail)
    if error.status == 500:
        # Raised where nobody meant it for a client, so its text may tell of the inside.
        return problem_response(type(error)())
    return problem_response(error)


def _http_exception(error: HTTPException) -> Response:
    """Errors that Flask raises: no route, wrong method, body too large and the like."""
    given = error.get_response()
    if error.code is None or error.code < 400:
        return Response(given.get_data(), given.status_code, list(given.headers))
    detail = {
        404: f"There is nothing at {request.path}.",
        416: "None of the file is in the range that was asked for; the header Content-Range says how many bytes it has.",
        405: f"{request.path} does not take {request.method}; the Allow header says what it takes.",
    }.get(error.code, error.description or "")
    response = problem_response(by_status(error.code, detail))
    for name in ("Allow", "Content-Range"):
        if name in given.headers:
            response.headers[name] = given.headers[name]
    return response


def _unexpected(error: Exception) -> Response:
    _log.error("%s failed", g.record.id, exc_info=error)
    return problem_response(KgError())


def _plain(value: Any) -> Any:
    """Members that JSON does not know, such as a validation report."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)


# pages


@problems.route("/problem/", endpoint="index")
def all_problems() -> str:
    """List what can go wrong."""
    return render_template("problems.html", problems=errors.all_errors())


@problems.route("/problem/<slug>", endpoint="page")
def problem_page(slug: str) -> str:
    """Show what a problem means and what to do about it."""
    found = next((cls for cls in errors.all_errors() if cls.slug == slug), None)
    if found is None:
        raise NotFound(f"There is no problem {slug!r}; /problem/ lists them.")
    path = services().settings.files / "docs" / "problems" / f"{slug}.md"
    text = path.read_text(encoding="utf-8") if path.is_file() else f"# {found.title}\n"
    return render_template("problem_page.html", error=found, blocks=list(blocks(text)))


def blocks(text: str) -> list[tuple[str, list[tuple[str, str]] | str]]:
    """Read the little Markdown of our own pages: pairs of a kind, such as ``h1``, and its text or its parts."""
    found: list[tuple[str, list[tuple[str, str]] | str]] = []
    for part in re.split(r"\n{2,}", text.strip()):
        if part.startswith("```"):
            found.append(("pre", "\n".join(part.splitlines()[1:-1])))
        elif part.startswith("- "):
            found += [("li", _inline(item)) for item in re.split(r"\n- ", part[2:])]
        else:
            marks = re.match(r"(#{1,2}) ", part)
            kind = f"h{len(marks[1])}" if marks else "p"
            found.append((kind, _inline(part[marks.end() :] if marks else part)))
    return found


def _inline(text: str) -> list[tuple[str, str]]:
    parts = " ".join(text.split()).split("`")
    return [("code" if i % 2 else "text", part) for i, part in enumerate(parts) if part]
