"""How a query of the endpoint is answered: read, guarded, given a version, a format and its headers.

Knows nothing of Flask, so that both ways to an answer decide alike: the one through the routes, and the short one
before them (`shortcut`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from werkzeug.datastructures import MIMEAccept, MultiDict
from werkzeug.http import parse_accept_header

from .. import sparql
from ..errors import BadParameter, MalformedRequest, Refused, StoreUnusable, TooLarge
from ..store import Store
from .citation import citation, key_of, named_version
from .negotiation import RESULTS, TRIPLES, Choice, choose
from .requests import graphs, mistyped
from .visits import Headers

#: The parameters of the endpoint.
TAKEN = ("query", "default-graph-uri", "named-graph-uri", "version", "timeout", "format", "page")
UPDATES_ELSEWHERE = (
    "This address takes queries; send updates to /update, with a token. Queries go into the"
    " parameter 'query'."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a request, checked.

    Attributes:
        query: None when the request has no query.
        default_graphs, named_graphs: the dataset of the request; both None when it names none.
        version: as it was given: a number or a date, or empty.
        timeout: seconds; None for the limit of the service.
        shortcuts: the values of ``format``; clients such as SPARQLWrapper send several names of one.
        slips: a sentence for each other parameter that may have been meant for one of these.
    """

    query: str | None
    default_graphs: list[str] | None
    named_graphs: list[str] | None
    version: str
    timeout: float | None
    shortcuts: tuple[str, ...]
    slips: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is decided of an answer before the query runs.

    Attributes:
        form: what the reader writes; not what goes out when that is a page.
        key: of what was asked; empty when the answer would differ the next time.
        headers: those that cite the answer, and its ETag.
    """

    query: sparql.Query
    choice: Choice
    form: str
    version: int
    timeout: float | None
    key: str
    headers: Headers

    @property
    def content_type(self) -> str:
        """The Content-Type of the answer."""
        return f"{self.choice.media_type}; charset=utf-8"


def read(given: MultiDict[str, str], limit: int) -> Asked:
    """Read the parameters of a query.

    Args:
        limit: largest query that is taken, in bytes.

    Raises:
        MalformedRequest: a parameter stands twice.
        Refused: it is an update, or its dataset has an IRI that is neither http nor https.
        TooLarge, BadParameter: what their names say.
    """
    if "update" in given:
        raise Refused(UPDATES_ELSEWHERE)
    for name in ("query", "version", "timeout"):
        if len(given.getlist(name)) > 1:
            raise MalformedRequest(
                f"The parameter {name!r} stands more than once in the request; give it once.",
                parameter=name,
            )
    query = given.get("query")
    query = query.removeprefix("\ufeff") if query else query
    if query and len(query.encode()) > limit:
        raise TooLarge(f"The query is longer than {limit:,} bytes.", limit_bytes=limit)
    default, named = (graphs(given, f"{kind}-graph-uri") for kind in ("default", "named"))
    return Asked(
        query=query,
        default_graphs=default or None,
        named_graphs=named or None,
        version=given.get("version", "").strip(),
        timeout=_timeout(given.get("timeout", "")),
        shortcuts=tuple(given.getlist("format")),
        slips=tuple(
            f"There is no parameter {name[:100]!r}, so it did nothing; did you mean {close!r}?"
            for name, close in mistyped(given, TAKEN).items()
        ),
    )


def plan(
    asked: Asked, query: sparql.Query, store: Store, *, base: str, accept: str, moment: str
) -> Plan:
    """Decide how a query is answered.

    Args:
        query: that of the request, which passed the guard.
        base: the address of the service, for links.
        accept: the header Accept.
        moment: the header Accept-Datetime.

    Raises:
        NotAcceptable, BadParameter, NotFound: what their names say.
    """
    text, query = query.text, _with_dataset(query, asked)
    choice = _choice(query.gives_triples, accept[:4096], asked.shortcuts)
    form = choice.key
    if form == "html":
        form = "turtle" if query.gives_triples else "json" if query.form == "ASK" else "tsv"
    version = _version(asked.version, moment, store)
    key = ""
    if query.repeatable:
        key = key_of(
            version, query.text, query.default_graphs, query.named_graphs, choice.media_type
        )
    again: dict[str, str | list[str]] = {"query": text}
    if asked.default_graphs:
        again["default-graph-uri"] = asked.default_graphs
    if asked.named_graphs:
        again["named-graph-uri"] = asked.named_graphs
    headers = citation(
        f"{base}/sparql", again, version, store, key, lasting=asked.version.isdecimal(), base=base
    )
    return Plan(query, choice, form, version, asked.timeout, key, headers)


@lru_cache(maxsize=256)
def _choice(triples: bool, accept: str, shortcuts: tuple[str, ...]) -> Choice:
    """The format of an answer; clients ask for the same one each time."""
    return choose(
        TRIPLES if triples else RESULTS, parse_accept_header(accept, MIMEAccept), *shortcuts
    )


def _version(named: str, moment: str, store: Store) -> int:
    """The version that a request means: the one it names, the one at its time, or the published one."""
    current = store.current
    if not current:
        raise StoreUnusable("The store is empty; run 'kg4p1000 build' first.")
    return named_version(named, moment, store) or current


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
