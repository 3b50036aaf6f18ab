"""The SPARQL endpoint: read, guard, negotiate, run, respond; and the form for people, and the description.

Source: SPARQL 1.1 Protocol, section 2.1; SPARQL 1.1 Service Description.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import quote

from flask import Blueprint, Response, g, render_template, request
from pyoxigraph import NamedNode
from werkzeug.datastructures import MIMEAccept, MultiDict
from werkzeug.http import parse_accept_header

from .. import sparql
from ..curation.access import ANYONE
from ..kernel import errors
from ..kernel.terms import prefix_declarations
from ..kernel.texts import number
from ..store import Result
from . import results
from .home import of_service
from .requests import (
    FORM,
    QUERY,
    RESULTS,
    TRIPLES,
    UPDATE,
    Choice,
    choose,
    decoded,
    graphs,
    mistyped,
    parameters,
    prefers_page,
    takes,
    text_body,
    whole_body,
)
from .responses import citation, key_of, problem_of, respond, say_when
from .results import HEADER, advice, found_nothing, header, hints
from .services import account, resolved_version, services

blueprint = Blueprint("sparql", __name__)

#: The parameters of the endpoint, and those that are kept when the same is asked again.
_TAKEN = ("query", "default-graph-uri", "named-graph-uri", "version", "timeout", "format", "page")
_KEPT = ("default-graph-uri", "named-graph-uri", "version", "timeout")
_UPDATES_ELSEWHERE = (
    "This address takes queries; send updates to /update, with a token. Queries go into the"
    " parameter 'query'."
)
_SAFE = "%/:=&?~#+!$,;'@()*[]"
#: Longest list of graphs that goes into a header; proxies refuse longer ones.
_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """The parameters of a request, checked.

    Attributes:
        query: None when the request has no query.
        default_graphs, named_graphs: the dataset of the request.
        version: as it was given: a number or a date, or empty.
        timeout: seconds; None for the limit of the service.
        formats: the values of ``format``; clients such as SPARQLWrapper send several names of one.
        slips: a sentence for each other parameter that may have been meant for one of these.
    """

    query: str | None
    default_graphs: list[str]
    named_graphs: list[str]
    version: str
    timeout: float | None
    formats: tuple[str, ...]
    slips: tuple[str, ...] = ()


@blueprint.route("/sparql", methods=["GET", "POST"])
@takes(*_TAKEN, answers={**RESULTS, **TRIPLES}, body={QUERY: (), FORM: _TAKEN})
def endpoint() -> Response | str:
    """Answer a query, or say what this endpoint is."""
    formats = tuple(request.args.getlist("format"))
    text = ""
    try:
        asked = read_request(services().settings.query_size)
        formats, text = asked.formats, asked.query or ""
        if asked.query is not None and (text.strip() or not _for_people(formats)):
            return _answer(asked, text)
        choice = choose(TRIPLES, request.accept_mimetypes, *formats)
        if choice.key == "html":
            return _page("")
        content_type = f"{choice.media_type}; charset=utf-8"
        return Response(of_service(choice.key), content_type=content_type)
    except errors.KgError as problem:
        if not _for_people(formats):
            raise
        page = Response(_page(text, problem=problem_of(problem)), problem.status)
        page.content_type = "text/html; charset=utf-8"
        say_when(page, problem)
        return page


def _answer(asked: QueryRequest, text: str) -> Response | str:
    of, record = services(), g.record
    limit = _time_limit(asked.timeout)
    query = of.reading.read(text, timeout=limit)
    if asked.default_graphs or asked.named_graphs:  # they beat its own (section 2.1.4)
        query = replace(query, default_graphs=asked.default_graphs, named_graphs=asked.named_graphs)
    choice = _choice(query.gives_triples, request.headers.get("Accept", "")[:4096], asked.formats)
    version = g.version = resolved_version(asked.version)
    form, key = choice.key, ""
    if form == "html":
        form = "turtle" if query.gives_triples else "json" if query.form == "ASK" else "tsv"
    if query.repeatable:
        dataset = query.default_graphs, query.named_graphs
        key = key_of(version, text, *dataset, choice.media_type)
    record.asked = key[:12]
    if choice.key != "html" and key and request.if_none_match.contains_weak(key):
        response = Response(status=304)
    else:
        result = sparql.run(of.readers, query, form, version=version, timeout=limit)
        if choice.key == "html":
            return _result_page(asked, query, result)
        response = respond(result, choice.media_type)
    graphs = {"default-graph-uri": asked.default_graphs, "named-graph-uri": asked.named_graphs}
    again = {"query": text, **{name: iris for name, iris in graphs.items() if iris}}
    lasting = asked.version.isdecimal()
    response.headers.extend(citation("/sparql", again, version, key, lasting=lasting))
    said = [*asked.slips]
    if response.status_code == 200 and response.is_sequence:
        if found_nothing(response.get_data(), query.form, form):
            said += hints(text, version)
        else:
            record.repeatable = bool(key)
    for name, value in (
        ("KG-Unknown-Graphs", _unknown_graphs(query, version)),
        ("KG-Deprecated", " ".join(advice(query, version))),
        (HEADER, header(said)),
    ):
        if value:
            response.headers[name] = value
    return response


@lru_cache(maxsize=256)
def _choice(triples: bool, accept: str, formats: tuple[str, ...]) -> Choice:
    """Return the format of an answer; clients ask for the same one each time."""
    offers = TRIPLES if triples else RESULTS
    return choose(offers, parse_accept_header(accept, MIMEAccept), *formats)


def _time_limit(asked: float | None) -> float:
    """Return the seconds that a query gets: a longer limit than anyone has needs a token, and has a limit too."""
    settings = services().settings
    seconds = asked or settings.query_timeout
    if seconds <= settings.query_timeout:
        return seconds
    if account() is ANYONE:
        raise errors.Unauthorized(
            f"timeout={seconds:g} is above the limit of {settings.query_timeout:g} s, and a longer one"
            " needs a token.",
            limit_seconds=settings.query_timeout,
        )
    if seconds > max(settings.token_timeout, settings.query_timeout):
        raise errors.BadParameter(
            f"timeout={seconds:g} is above {settings.token_timeout:g} s, the longest limit that there is.",
            parameter="timeout",
            limit_seconds=settings.token_timeout,
        )
    return seconds


def _unknown_graphs(query: sparql.Query, version: int) -> str:
    """Return the graphs of a query's dataset that are not there, for a header: the first of them when they are many."""
    named = dict.fromkeys([*(query.default_graphs or ()), *(query.named_graphs or ())])
    if not named:
        return ""
    # A NamedNode is a valid IRI, which cannot end before its '>'.
    values = " ".join(str(NamedNode(graph)) for graph in named)
    there = "FILTER EXISTS { GRAPH ?g { ?s ?p ?o } }"
    rows = services().select(f"SELECT ?g WHERE {{ VALUES ?g {{ {values} }} {there} }}", version)
    known, text = {row["g"].value for row in rows}, ""
    for graph in (graph for graph in named if graph not in known):
        # A header takes no other letters than ASCII's.
        iri = f"<{quote(graph, safe=_SAFE)}>"
        if len(text) + len(iri) > _LONGEST:
            return f"{text}, ..." if text else "..."
        text += f", {iri}" if text else iri
    return text


# pages and descriptions


def _result_page(asked: QueryRequest, query: sparql.Query, result: Result) -> str:
    shown = results.shown(result, number=results.page_number(request.values))
    said = [*asked.slips, *(hints(query.text, result.version) if shown["is_empty"] else ())]
    return _page(query.text, advice=advice(query, result.version), hints=said, **shown)


def _page(text: str, **shown: object) -> str:
    try:
        given = parameters()
    except errors.MalformedRequest:
        given = MultiDict()
    # The parameters with which the same can be asked again; whatever else was sent is dropped.
    kept = {name: given.getlist(name) for name in _KEPT if given.getlist(name)}
    return render_template(
        "sparql.html",
        text=text,
        args={**kept, "query": text},
        examples=[query for query in services().library if not query.parameters],
        prefixes=prefix_declarations(),
        limits=services().settings,
        **shown,
    )


def _for_people(formats: Iterable[str]) -> bool:
    return "html" in formats or prefers_page(request.accept_mimetypes)


# reading the request


def read_request(limit: int) -> QueryRequest:
    """Read a request of any of the three forms that the protocol has.

    Args:
        limit: largest query that is taken, in bytes.

    Raises:
        MalformedRequest: the text is not UTF-8, a parameter stands twice, or a POST has no query.
        Refused: it is an update, or its dataset has an IRI that is neither http nor https.
        TooLarge, WrongMediaType, BadParameter: what their names say.
    """
    given = parameters()
    if request.method == "POST":
        _add_body(given, limit)
    if "update" in given:
        raise errors.Refused(_UPDATES_ELSEWHERE)
    for name in ("query", "version", "timeout"):
        if len(given.getlist(name)) > 1:
            raise errors.MalformedRequest(
                f"The parameter {name!r} stands more than once in the request; give it once.",
                parameter=name,
            )
    query, close = given.get("query"), mistyped(given, _TAKEN)
    if query is None:
        # Other parameters are taken, as clients send their own; but not where nothing was asked.
        for name, meant in close.items():
            raise errors.MalformedRequest(
                f"The request has no query, and a parameter {name!r}; did you mean {meant!r}?",
                parameter=name,
            )
        if request.method == "POST":
            raise errors.MalformedRequest(
                "The request has no query: send it as the parameter 'query' of a form, or as a body of"
                f" type {QUERY}.",
                parameter="query",
            )
    elif len(query.encode()) > limit:
        raise errors.TooLarge(f"The query is longer than {limit:,} bytes.", limit_bytes=limit)
    return QueryRequest(
        query=query and query.removeprefix("\ufeff"),
        default_graphs=graphs(given, "default-graph-uri"),
        named_graphs=graphs(given, "named-graph-uri"),
        version=given.get("version", "").strip(),
        timeout=_seconds(given.get("timeout", "")),
        formats=tuple(given.getlist("format")),
        slips=tuple(
            f"There is no parameter {name[:100]!r}, so it did nothing; did you mean {meant!r}?"
            for name, meant in close.items()
        ),
    )


def _add_body(given: MultiDict[str, str], limit: int) -> None:
    if request.mimetype == UPDATE:
        raise errors.Refused(_UPDATES_ELSEWHERE)
    if request.mimetype == FORM:
        given.update(decoded(whole_body(limit)))
    elif request.mimetype == QUERY:
        given.add("query", text_body(limit))
    elif request.mimetype or "query" not in given or whole_body(limit):
        said = request.mimetype or "no media type"
        raise errors.WrongMediaType(f"The body has {said}; this address takes {FORM} and {QUERY}.")


def _seconds(text: str) -> float | None:
    seconds = number(text)
    if text.strip() and not (seconds and seconds > 0):
        raise errors.BadParameter(
            f"timeout is {text!r} and must be a number of seconds above zero, such as 10.",
            parameter="timeout",
        )
    return seconds
