"""What a request says: what routes declare to take, the format it wants, parameters, bodies and graph names.

By the letter of the SPARQL 1.1 Protocol, and of RFC 9110. `operations` makes the description of the service from
what is declared.
"""

from __future__ import annotations

import re
import threading
import tomllib
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from flask import current_app, request
from pyoxigraph import NamedNode
from werkzeug.datastructures import MIMEAccept, MultiDict
from werkzeug.exceptions import LengthRequired
from werkzeug.http import parse_etags

from ..kernel import errors
from ..kernel.terms import PREFIXES
from ..kernel.texts import meant
from ..sparql import RDF_FORMATS, RESULT_FORMATS, refuse_foreign

Offers = Mapping[str, tuple[str, ...]]

PAGE: Offers = {"html": ("text/html",)}
JSON: Offers = {"json": ("application/json",)}
#: What an address offers, the format for those who have no preference first. HTML stands last: who
#: wants a page says so, as every browser does, and a program that says nothing gets data.
RESULTS: Offers = {**RESULT_FORMATS, **PAGE}
TRIPLES: Offers = {**RDF_FORMATS, **PAGE}
TRIPLES_ONLY: Offers = RDF_FORMATS

#: Other words for formats, as clients send them; SPARQLWrapper, for one, sends "n3" and "rdf+xml".
_SHORTCUTS: dict[str, tuple[str, ...]] = {
    "json": ("json", "jsonld"),
    "srj": ("json",),
    "xml": ("xml", "rdfxml"),
    "srx": ("xml",),
    "ttl": ("turtle",),
    "n3": ("turtle",),
    "nt": ("ntriples",),
    "n-triples": ("ntriples",),
    "json-ld": ("jsonld",),
    "rdf": ("rdfxml",),
    "rdf+xml": ("rdfxml",),
}

View = TypeVar("View", bound=Callable[..., Any])
#: What is always so in the description of the service, and parameters by name.
DESCRIPTION = tomllib.loads(Path(__file__).with_name("openapi.toml").read_text(encoding="utf-8"))
PARAMETERS: dict[str, dict[str, Any]] = {
    name: {"name": name, "in": "query"} | said for name, said in DESCRIPTION["parameters"].items()
}

FORM = "application/x-www-form-urlencoded"
QUERY = "application/sparql-query"
UPDATE = "application/sparql-update"
#: Characters of a header at most; to read some takes time that grows faster than their length.
LONGEST_HEADER = 8192
#: Bodies that may be received at once, each of which holds a thread.
UPLOADS = 32
_uploads = threading.BoundedSemaphore(UPLOADS)
#: Parameters of a request at most.
_FIELDS = 10_000
#: Parameters that clients of their own accord send.
_FOREIGN = ("queryid", "inference", "infer", "results", "output", "formats")
#: zlib's sign for a stream with the head and the tail of gzip.
_GZIP = 31
_HOST = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]+)?")


# the format of the answer


class Choice(NamedTuple):
    """A format (a key of the offers) and the media type under which it goes out."""

    key: str
    media_type: str


def choose(offers: Offers, accept: MIMEAccept, *shortcuts: str) -> Choice:
    """Pick the format that the client likes best.

    Args:
        offers: format to its media types; the first offer wins where the client has no preference,
            and the first media type of a format before the others.
        accept: the Accept header; empty or absent means anything.
        shortcuts: the values of ``format``, which beat the header; the first that is known counts.

    Raises:
        NotAcceptable: none of the offers will do; names them.
    """
    keys: dict[str, str] = {}  # media types to formats: all first ones, then the others
    for rank in zip_longest(*([(type_, key) for type_ in types] for key, types in offers.items())):
        for type_, key in filter(None, rank):
            keys.setdefault(type_, key)
    if any(shortcuts):
        for shortcut in shortcuts:
            # A '+' in a query string that was not escaped arrives as a space.
            word = shortcut.strip().lower().replace(" ", "+")
            for key in (word, *_SHORTCUTS.get(word, ())):
                if key in offers:
                    return Choice(key, offers[key][0])
            if word in keys:
                return Choice(keys[word], word)
        told = "&".join(f"format={shortcut}" for shortcut in shortcuts)
        reason = f"{told} is not a format of this address."
    elif not accept:
        return next(Choice(key, types[0]) for key, types in offers.items())
    elif best := _without_parameters(accept).best_match(keys):
        return Choice(keys[best], best)
    else:
        reason = "The Accept header takes none of the formats of this address."
    first = [types[0] for types in offers.values()]
    raise errors.NotAcceptable(
        f"{reason} Offered are {', '.join(first)}; or say format= with one of {', '.join(offers)}.",
        offered=first,
    )


def chosen(offers: Offers | None = None) -> Choice:
    """Return what the request at hand gets, of some offers or of the answers that its route declares; see `choose`."""
    view = current_app.view_functions[request.endpoint or ""]
    wanted = request.args.get("format", "")
    return choose(offers or declared(view).answers, request.accept_mimetypes, wanted)


def prefers_page(accept: MIMEAccept) -> bool:
    """Return whether a person is to read the answer: HTML is liked better than anything for programs."""
    machine = ("application/problem+json", "application/json", "text/turtle", "text/html")
    return _without_parameters(accept).best_match(machine) == "text/html"


def _without_parameters(accept: MIMEAccept) -> MIMEAccept:
    """Return the header without parameters such as charset and profile, which do not change what we write."""
    return MIMEAccept([(value.partition(";")[0].strip(), quality) for value, quality in accept])


# what a route takes


@dataclass(frozen=True)
class Declared:
    """What a route takes and answers.

    Attributes:
        parameters: names of parameters in the address, which `PARAMETERS` has.
        answers: the formats that it answers in.
        body: media types of its body, each with the names of its fields where it is a form.
        token: whether it needs one.
        conditional: whether If-Match and If-None-Match count.
    """

    parameters: tuple[str, ...] = ()
    answers: Offers = field(default_factory=lambda: PAGE)
    body: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    token: bool = False
    conditional: bool = False


def takes(*parameters: str, **more: Any) -> Callable[[View], View]:
    """Declare what a route takes and answers.

    Args:
        parameters, more: see `Declared`.
    """
    assert set(parameters) <= PARAMETERS.keys(), parameters

    def declare(view: View) -> View:
        view.declared = Declared(parameters, **more)  # type: ignore[attr-defined]
        return view

    return declare


def declared(view: Callable[..., Any]) -> Declared:
    """Return what was declared at a route; by default it takes nothing and answers with a page."""
    return getattr(view, "declared", Declared())


# parameters and bodies


def named_host() -> str:
    """Return the host that a request names, which links lead back to; refuse what is none (RFC 9110, section 7.2)."""
    said = request.headers.get("Host", "")
    # Werkzeug takes no name with an underscore, as services in containers have.
    host = request.host or (said if _HOST.fullmatch(said) else "")
    if not host:
        raise errors.MalformedRequest(
            f"The header Host is {said[:100]!r} and must be a name or an address, with or without a port."
        )
    return host


def conditions() -> dict[str, list[str] | None]:
    """Return what the headers If-Match and If-None-Match of a change demand, for the writer (RFC 9110, section 13.1).

    Weak tags count, too: ours stand for a state of the graph, whatever the format.
    """

    def tags(header: str) -> list[str] | None:
        said = request.headers.get(header)
        found = parse_etags(said)
        return None if said is None else ["*"] if found.star_tag else sorted(found.as_set(True))

    return {"if_match": tags("If-Match"), "if_none_match": tags("If-None-Match")}


def mistyped(given: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return the names of parameters that are not known but nearly so, with what they may have been meant for."""
    names = [*known]
    # Those of clients, such as queryid, are not taken for ours, nor ours of several letters in common, such as graphs.
    strange = [n for n in given if n not in names and len(n) > 2 and n.lower() not in _FOREIGN]
    near = {name: meant(name.replace("_", "-"), names, cutoff=0.75) for name in strange}
    return {name: close[0] for name, close in near.items() if close}


def see_names(known: Iterable[str], given: Iterable[str] | None = None) -> None:
    """See that no parameter, of the address where none are given, is a slip of one that is known.

    Raises:
        BadParameter: one is.
    """
    for name, close in mistyped(request.args if given is None else given, known).items():
        raise errors.BadParameter(
            f"There is no parameter {name[:100]!r} here; did you mean {close!r}?",
            parameter=name[:100],
        )


def is_dry_run(given: MultiDict[str, str], known: Iterable[str]) -> bool:
    """Return whether a change is only to be judged, by the parameters of the request; refuses slips of the known names."""
    see_names(known, given)
    said = {word.lower() for word in given.getlist("dry-run")} or {"false"}
    if said not in ({"true"}, {"false"}):
        raise errors.BadParameter("dry-run must be true or false.", parameter="dry-run")
    return said == {"true"}


def parameters() -> MultiDict[str, str]:
    """Return the parameters in the address."""
    return decoded(request.query_string)


def decoded(data: bytes) -> MultiDict[str, str]:
    """Read percent-encoded parameters; unlike Flask's own, what is not UTF-8 is an error."""
    if data.count(b"&") > _FIELDS:
        raise errors.MalformedRequest(f"The request has more than {_FIELDS:,} parameters.")
    try:
        pairs = parse_qsl(data.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise errors.MalformedRequest("The parameters of the request are not UTF-8.") from None
    return MultiDict(pairs)


def whole_body(limit: int) -> bytes:
    """Return the body of the request, unpacked, without the mark that some editors put before a text in UTF-8.

    Raises:
        TooLarge: it has more bytes than the limit, packed or not, or says so.
        WrongMediaType: it says that it is not in UTF-8, or is compressed in another way than by gzip or deflate.
        MalformedRequest: it is cut, or not compressed as it says.
    """
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise errors.WrongMediaType(f"The body is in {charset} and must be in UTF-8.")
    data = _received(limit)
    coding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if coding in ("gzip", "x-gzip", "deflate"):
        data = _unpacked(data, limit, coding.removeprefix("x-"))
    elif coding not in ("identity", ""):
        raise errors.WrongMediaType(
            f"The body is coded as {coding[:100]}; send it by gzip, by deflate or as it is."
        )
    return data.removeprefix(BOM_UTF8)


def _received(limit: int) -> bytes:
    """Read the body, which its client may send slowly, or not to its end."""
    length, is_chunked = request.content_length, "Transfer-Encoding" in request.headers
    if (length or 0) > limit:
        raise errors.TooLarge(f"The body is longer than {limit:,} bytes.", limit_bytes=limit)
    if length == 0:
        return b""
    if is_chunked and request.path != "/sparql":
        # The server does not say whether the end of such a body was its end; a part would pass for a whole.
        raise LengthRequired("Send the body of a change with its Content-Length.")
    if not _uploads.acquire(blocking=False):
        raise errors.Busy(
            "Many bodies are being received; please try again in a few seconds.", retry_after=5
        )
    try:
        data: bytes = request.environ["wsgi.input"].read(length or limit + 1)
    finally:
        _uploads.release()
    if len(data) > limit:
        raise errors.TooLarge(f"The body is longer than {limit:,} bytes.", limit_bytes=limit)
    if length and len(data) < length:
        raise errors.MalformedRequest(
            f"The body has ended after {len(data):,} of {length:,} bytes."
        )
    return data


def _unpacked(data: bytes, limit: int, coding: str) -> bytes:
    """Return a body without its coding; no more of it is unpacked than is taken."""
    # Some send deflate without the head that it has in HTTP (RFC 9110, section 8.4.1.2).
    headed = len(data) > 1 and data[0] & 15 == 8 and int.from_bytes(data[:2]) % 31 == 0
    member = zlib.decompressobj(_GZIP if coding == "gzip" else 15 if headed else -15)
    try:
        found = member.decompress(data, limit + 1)
        if len(found) <= limit and (not member.eof or member.unused_data):
            raise zlib.error
    except zlib.error:
        raise errors.MalformedRequest(
            f"The body is not one whole piece of {coding}, though its Content-Encoding says so."
        ) from None
    if len(found) > limit:
        raise errors.TooLarge(
            f"The body is longer than {limit:,} bytes when it is unpacked.", limit_bytes=limit
        )
    return found


def text_body(limit: int) -> str:
    """Return the body of the request as text; see `whole_body`."""
    try:
        return whole_body(limit).decode()
    except UnicodeDecodeError:
        raise errors.MalformedRequest("The body is not UTF-8.") from None


def graphs(given: MultiDict[str, str], name: str) -> list[str]:
    """Return the graphs that a parameter names, each by an http or https IRI, or with a prefix of ours (graph:actors)."""
    found = []
    for graph in given.getlist(name):
        prefix, colon, local = graph.partition(":")
        known = colon and prefix in PREFIXES and not local.startswith("//")
        found.append(PREFIXES[prefix] + local if known else graph)
    refuse_foreign(name, found, parameter=name)
    for graph in found:
        try:
            NamedNode(graph)
        except ValueError:
            raise errors.BadParameter(f"{name}={graph} is not an IRI.", parameter=name) from None
    return found
