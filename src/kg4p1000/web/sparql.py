"""The SPARQL endpoint: requests of the SPARQL 1.1 Protocol, the form for people, the description.

Source: SPARQL 1.1 Protocol, section 2.1; SPARQL 1.1 Service Description.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from flask import Blueprint, Response, g, render_template, request
from werkzeug.datastructures import MultiDict

from .. import sparql
from ..errors import (
    BadParameter,
    KgError,
    MalformedRequest,
    Refused,
    TooLarge,
    WrongMediaType,
)
from ..store import Result
from ..terms import prefix_declarations
from . import description, problems, results
from .citation import Answer, cite, exact, key_of, resolve, unchanged
from .negotiation import RESULTS, TRIPLES, choose, prefers_page
from .requests import FORM, QUERY, UPDATE, decoded, graphs, parameters, text_body, whole_body
from .services import asked_version, client_gone, services
from .streaming import respond

blueprint = Blueprint("sparql", __name__)

_KEPT = ("default-graph-uri", "named-graph-uri", "version", "timeout")
#: What makes an answer what it is, beside its version.
_CITED = ("default-graph-uri", "named-graph-uri", "query")
_UPDATES_ELSEWHERE = (
    "This address takes queries; send updates to /update, with a token. Queries go into the"
    " parameter 'query'."
)


@dataclass(frozen=True)
class Asked:
    """A request to the endpoint, read and checked.

    Attributes:
        query: None when the request has no query.
        default_graphs, named_graphs: the dataset of the request; both None when it names none.
        timeout: seconds; None for the limit of the service.
    """

    query: str | None
    default_graphs: list[str] | None
    named_graphs: list[str] | None
    version: int | None
    timeout: float | None
    shortcut: str


@blueprint.route("/sparql", methods=["GET", "POST"])
def endpoint() -> Response | str | tuple[str, int]:
    """Answer a query, or say what this endpoint is."""
    shortcut = request.args.get("format", "")
    text = ""
    try:
        asked = read_request(services().settings.query_size)
        shortcut, text = asked.shortcut, asked.query or ""
        if asked.query is None or (not text.strip() and _for_people(shortcut)):
            return _introduction(shortcut)
        return _answer(asked, asked.query)
    except KgError as problem:
        if not _for_people(shortcut):
            raise
        page = _page(text, problem=problems.document(problem))
        return page, problem.status


def _answer(asked: Asked, text: str) -> Response | str:
    query = _with_dataset(sparql.guard(text), asked)
    offers = TRIPLES if query.gives_triples else RESULTS
    choice = choose(offers, request.accept_mimetypes, asked.shortcut)
    form = choice.key
    if form == "html":
        form = "turtle" if query.gives_triples else "json" if query.form == "ASK" else "tsv"
    version = resolve(asked.version)
    if choice.key == "html":
        result = _run(query, form, asked, version)
        g.version = result.version
        return _page(text, **results.shown(result))
    key = ""
    if exact(query):
        key = key_of(
            version, query.text, query.default_graphs, query.named_graphs, choice.media_type
        )
    response = unchanged(key) or _from_cache(key)
    if response is None:
        content_type = f"{choice.media_type}; charset=utf-8"

        def keep(body: bytes) -> None:
            if key:
                services().cache.put(key, Answer(body, content_type, version))

        response = respond(_run(query, form, asked, version), choice.media_type, keep)
    again = {name: value for name, value in _kept(text).items() if name in _CITED}
    cite(response, version, again, key)
    return response


def _run(query: sparql.Query, form: str, asked: Asked, version: int) -> Result:
    return sparql.run(
        services().readers,
        query,
        form,
        version=version,
        timeout=asked.timeout,
        gone=client_gone(),
    )


def _from_cache(key: str) -> Response | None:
    answer = services().cache.get(key) if key else None
    return Response(answer.body, content_type=answer.content_type) if answer else None


def _introduction(shortcut: str) -> Response | str:
    choice = choose(TRIPLES, request.accept_mimetypes, shortcut)
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


def _for_people(shortcut: str) -> bool:
    return shortcut == "html" or prefers_page(request.accept_mimetypes)


# reading the request


def read_request(limit: int) -> Asked:
    """Read a request of any of the three forms that the protocol has.

    Args:
        limit: largest query that is taken, in bytes.

    Raises:
        MalformedRequest: a parameter stands twice, the text is not UTF-8, or a POST has no query.
        Refused: it is an update, or its dataset has an IRI that is neither http nor https.
        TooLarge, WrongMediaType, BadParameter: what their names say.
    """
    given = parameters()
    if request.method == "POST":
        _add_body(given, limit)
    if "update" in given:
        raise Refused(_UPDATES_ELSEWHERE)
    for name in ("query", "version", "timeout", "format"):
        if len(given.getlist(name)) > 1:
            raise MalformedRequest(
                f"The parameter {name!r} stands more than once in the request; give it once.",
                parameter=name,
            )
    query = given.get("query")
    if query is None and request.method == "POST":
        raise MalformedRequest(
            "The request has no query: send it as the parameter 'query' of a form, or as a body of"
            f" type {QUERY}.",
            parameter="query",
        )
    if query and len(query.encode()) > limit:
        raise TooLarge(f"The query is longer than {limit:,} bytes.", limit_bytes=limit)
    default, named = (graphs(given, f"{kind}-graph-uri") for kind in ("default", "named"))
    return Asked(
        query=query,
        default_graphs=default or None,
        named_graphs=named or None,
        version=asked_version(given),
        timeout=_timeout(given.get("timeout", "")),
        shortcut=given.get("format", ""),
    )


def _add_body(given: MultiDict[str, str], limit: int) -> None:
    if request.mimetype == UPDATE:
        raise Refused(_UPDATES_ELSEWHERE)
    if request.mimetype == FORM:
        given.update(decoded(whole_body(limit)))
    elif request.mimetype == QUERY:
        given.add("query", text_body(limit))
    else:
        said = request.mimetype or "no media type"
        raise WrongMediaType(f"The body has {said}; this address takes {FORM} and {QUERY}.")


def _timeout(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        seconds = float(text)
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError
    except ValueError:
        raise BadParameter(
            f"timeout is {text!r} and must be a number of seconds above zero, such as 10.",
            parameter="timeout",
        ) from None
    return seconds


def _with_dataset(query: sparql.Query, asked: Asked) -> sparql.Query:
    """The query with the dataset of the request, which beats its own (section 2.1.4)."""
    if asked.default_graphs is None and asked.named_graphs is None:
        return query
    return replace(
        query,
        default_graphs=asked.default_graphs or [],
        named_graphs=asked.named_graphs or [],
    )
