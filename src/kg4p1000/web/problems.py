"""Errors as answers: ``application/problem+json`` for programs (RFC 9457), a page for people.

Also the pages under ``/problem/`` to which the types of the problems point.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Flask, Response, g, render_template, request
from werkzeug.exceptions import HTTPException

from .. import errors
from ..errors import KgError, NotFound
from ..terms import PROBLEM
from .negotiation import prefers_page
from .services import services

_log = logging.getLogger(__name__)
blueprint = Blueprint("problems", __name__)

#: Seconds after which it makes sense to try again; a limit would only be met again.
_RETRY_AFTER = {"reader-lost": 1, "store-unusable": 30}
#: What a busy day brings; the access log tells of it, and nobody need act.
_EXPECTED = {"time-limit", "memory-limit", "busy", "killed", "client-gone"}
_NAMES = (
    "malformed-request",
    "not-found",
    "not-allowed",
    "not-acceptable",
    "too-large",
    "wrong-media-type",
)
_BY_STATUS = {cls.status: cls for cls in errors.all_errors() if cls.slug in _NAMES}


def register(app: Flask) -> None:
    """Let the application answer every error as a problem."""
    app.register_error_handler(KgError, _kg_error)
    app.register_error_handler(HTTPException, _http_exception)
    app.register_error_handler(Exception, _unexpected)
    app.register_blueprint(blueprint)


def document(error: KgError) -> dict[str, Any]:
    """Return the problem document of an error in the request at hand."""
    return {
        "type": PROBLEM + error.slug if error.slug else "about:blank",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": f"urn:uuid:{g.visit.id}",
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


def answer(error: KgError) -> Response:
    """Answer with the problem of an error."""
    g.visit.outcome = error.slug or f"http-{error.status}"
    problem = document(error)
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
        _log.error("%s %s: %s", g.visit.id, error.slug, error.detail)
    if error.status == 500:
        # Raised where nobody meant it for a client, so its text may tell of the inside.
        return answer(type(error)())
    return answer(error)


def _http_exception(error: HTTPException) -> Response:
    """Errors that Flask raises: no route, wrong method, body too large and the like."""
    given = error.get_response()
    if error.code is None or error.code < 400:
        return Response(given.get_data(), given.status_code, list(given.headers))
    response = answer(_translated(error))
    for name in ("Allow", "Content-Range"):
        if name in given.headers:
            response.headers[name] = given.headers[name]
    return response


def _translated(error: HTTPException) -> KgError:
    code = error.code or 500
    detail = {
        404: f"There is nothing at {request.path}.",
        416: "None of the file is in the range that was asked for; the header Content-Range says how many bytes it has.",
        405: f"{request.path} does not take {request.method}; the Allow header says what it takes.",
    }.get(code, error.description or "")
    return by_status(code, detail)


def _unexpected(error: Exception) -> Response:
    _log.error("%s failed", g.visit.id, exc_info=error)
    return answer(KgError())


def _plain(value: Any) -> Any:
    """Members that JSON does not know, such as a validation report."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)


# pages


@blueprint.route("/problem/")
def index() -> str:
    """List what can go wrong."""
    return render_template("problems.html", problems=errors.all_errors())


@blueprint.route("/problem/<slug>")
def page(slug: str) -> str:
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
