"""The SPARQL endpoint: requests of the SPARQL 1.1 Protocol, the form for people, the description.

Source: SPARQL 1.1 Protocol, section 2.1; SPARQL 1.1 Service Description.
"""

from __future__ import annotations

from collections.abc import Iterable

from flask import Blueprint, Response, g, render_template, request
from werkzeug.datastructures import MultiDict

from .. import sparql
from ..access import ANYONE
from ..errors import BadParameter, KgError, MalformedRequest, Refused, Unauthorized, WrongMediaType
from ..store import Result
from ..terms import prefix_declarations
from . import description, problems, results
from .advice import advice, advise
from .answers import TAKEN, UPDATES_ELSEWHERE, Asked, Plan, plan, read
from .authorization import account
from .citation import Answer
from .datasets import naming
from .hints import HEADER, header, hints, told_nothing
from .negotiation import TRIPLES, choose, prefers_page
from .requests import FORM, QUERY, UPDATE, decoded, mistyped, parameters, text_body, whole_body
from .services import base, client_gone, services
from .streaming import respond

blueprint = Blueprint("sparql", __name__)

_KEPT = ("default-graph-uri", "named-graph-uri", "version", "timeout")


@blueprint.route("/sparql", methods=["GET", "POST"])
def endpoint() -> Response | str:
    """Answer a query, or say what this endpoint is."""
    shortcuts = tuple(request.args.getlist("format"))
    text = ""
    try:
        asked = read_request(services().settings.query_size)
        shortcuts, text = asked.shortcuts, asked.query or ""
        if asked.query is None or (not text.strip() and _for_people(shortcuts)):
            return _introduction(shortcuts)
        return _answer(asked, asked.query)
    except KgError as problem:
        if not _for_people(shortcuts):
            raise
        page = Response(_page(text, problem=problems.document(problem)), problem.status)
        page.content_type = "text/html; charset=utf-8"
        problems.say_when(page, problem)
        return page


def _answer(asked: Asked, text: str) -> Response | str:
    _check_limit(asked.timeout or 0)
    of = services()
    limit = asked.timeout or of.settings.query_timeout
    query = of.reading.read(text, timeout=limit, gone=client_gone())
    decided = plan(
        asked,
        query,
        services().store,
        base=base(),
        accept=request.headers.get("Accept", ""),
        moment=request.headers.get("Accept-Datetime", ""),
    )
    g.version, g.visit.asked = decided.version, decided.key[:12]
    if decided.choice.key == "html":
        result = _run(decided)
        shown = results.shown(result, number=results.page_number(request.values))
        empty = shown.get("boolean") is False or (
            shown["table"].says_nothing
            if "table" in shown
            else "turtle" in shown and not shown["turtle"].text
        )
        said = [*asked.slips, *(hints(query.text, result.version) if empty else ())]
        return _page(text, advice=advice(query, result.version), hints=said, **shown)
    key = decided.key
    if key and request.if_none_match.contains_weak(key):
        response = Response(status=304)
    elif key and (kept := services().cache.get(key)):
        response = Response(kept.body, content_type=decided.content_type)
    else:

        def keep(body: bytes) -> None:
            if key:
                services().cache.put(key, Answer(body, decided.version))

        response = respond(_run(decided), decided.choice.media_type, keep)
    response.headers.extend(decided.headers)
    unknown = services().known_graphs.look_up(decided.query, decided.version, client_gone())
    response.headers.extend(naming(unknown))
    advise(response, query, decided.version)
    is_whole = response.status_code == 200 and response.is_sequence
    is_bare = is_whole and told_nothing(response.get_data(), query.form, decided.form)
    said = [*asked.slips, *(hints(query.text, decided.version) if is_bare else ())]
    if said:
        response.headers[HEADER] = header(said)
    return response


def _check_limit(seconds: float) -> None:
    """A longer limit than anyone has needs a token, and has a limit too."""
    settings = services().settings
    if seconds <= settings.query_timeout:
        return
    if account() is ANYONE:
        raise Unauthorized(
            f"timeout={seconds:g} is above the limit of {settings.query_timeout:g} s, and a longer one"
            " needs a token.",
            limit_seconds=settings.query_timeout,
        )
    if seconds > max(settings.token_timeout, settings.query_timeout):
        raise BadParameter(
            f"timeout={seconds:g} is above {settings.token_timeout:g} s, the longest limit that there is.",
            parameter="timeout",
            limit_seconds=settings.token_timeout,
        )


def _run(decided: Plan) -> Result:
    return sparql.run(
        services().readers,
        decided.query,
        decided.form,
        version=decided.version,
        timeout=decided.timeout,
        gone=client_gone(),
    )


def _introduction(shortcuts: Iterable[str]) -> Response | str:
    choice = choose(TRIPLES, request.accept_mimetypes, *shortcuts)
    if choice.key == "html":
        return _page("")
    content_type = f"{choice.media_type}; charset=utf-8"
    return Response(description.of_service(choice.key), content_type=content_type)


def _page(text: str, **shown: object) -> str:
    examples = [query for query in services().library if not query.parameters]
    return render_template(
        "sparql.html",
        text=text,
        args=_kept(text),
        examples=examples,
        prefixes=prefix_declarations(),
        limits=services().settings,
        **shown,
    )


def _kept(text: str) -> dict[str, str | list[str]]:
    """The parameters with which the same can be asked again; whatever else was sent is dropped."""
    try:
        given = parameters()
    except MalformedRequest:
        return {"query": text}
    kept = {name: given.getlist(name) for name in _KEPT if given.getlist(name)}
    return {**kept, "query": text}


def _for_people(shortcuts: Iterable[str]) -> bool:
    return "html" in shortcuts or prefers_page(request.accept_mimetypes)


# reading the request


def read_request(limit: int) -> Asked:
    """Read a request of any of the three forms that the protocol has.

    Args:
        limit: largest query that is taken, in bytes.

    Raises:
        MalformedRequest: the text is not UTF-8, or a POST has no query; and see `answers.read`.
        Refused, TooLarge, WrongMediaType, BadParameter: what their names say.
    """
    given = parameters()
    if request.method == "POST":
        _add_body(given, limit)
    asked = read(given, limit)
    if asked.query is None:
        _see_that_no_name_is_mistyped(given)
    if asked.query is None and request.method == "POST":
        raise MalformedRequest(
            "The request has no query: send it as the parameter 'query' of a form, or as a body of"
            f" type {QUERY}.",
            parameter="query",
        )
    return asked


def _see_that_no_name_is_mistyped(given: MultiDict[str, str]) -> None:
    """Other parameters are taken, as clients send their own; but not where nothing was asked."""
    for name, close in mistyped(given, TAKEN).items():
        raise MalformedRequest(
            f"The request has no query, and a parameter {name!r}; did you mean {close!r}?",
            parameter=name,
        )


def _add_body(given: MultiDict[str, str], limit: int) -> None:
    if request.mimetype == UPDATE:
        raise Refused(UPDATES_ELSEWHERE)
    if request.mimetype == FORM:
        given.update(decoded(whole_body(limit)))
    elif request.mimetype == QUERY:
        given.add("query", text_body(limit))
    elif request.mimetype or "query" not in given or whole_body(limit):
        said = request.mimetype or "no media type"
        raise WrongMediaType(f"The body has {said}; this address takes {FORM} and {QUERY}.")
