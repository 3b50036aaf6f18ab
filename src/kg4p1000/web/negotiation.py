"""Which format an answer is written in: by ``?format=`` where it is given, else by Accept.

Knows nothing of what is written; see `kg4p1000.sparql` for the formats of results and of RDF.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from flask import request
from werkzeug.datastructures import MIMEAccept

from ..errors import NotAcceptable
from ..sparql import RDF_FORMATS, RESULT_FORMATS

Offers = Mapping[str, tuple[str, ...]]

_HTML = {"html": ("text/html",)}
#: What an address offers, the format for those who have no preference first. HTML stands last: who
#: wants a page says so, as every browser does, and a program that says nothing gets data.
RESULTS: Offers = {**RESULT_FORMATS, **_HTML}
TRIPLES: Offers = {**RDF_FORMATS, **_HTML}
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
    if any(shortcuts):
        return _by_shortcut(offers, shortcuts)
    if not accept:
        return next(Choice(key, types[0]) for key, types in offers.items())
    keys = dict(_ranked(offers))
    best = _without_parameters(accept).best_match(keys)
    if best is None:
        raise _refusal(offers, "The Accept header takes none of the formats of this address.")
    return Choice(keys[best], best)


def chosen(offers: Offers) -> Choice:
    """Return what the request at hand gets; see `choose`."""
    return choose(offers, request.accept_mimetypes, request.args.get("format", ""))


def prefers_page(accept: MIMEAccept) -> bool:
    """Return whether a person is to read the answer: HTML is liked better than anything for programs."""
    machine = ("application/problem+json", "application/json", "text/turtle", "text/html")
    return _without_parameters(accept).best_match(machine) == "text/html"


def _by_shortcut(offers: Offers, shortcuts: Iterable[str]) -> Choice:
    for shortcut in shortcuts:
        # A '+' in a query string that was not escaped arrives as a space.
        word = shortcut.strip().lower().replace(" ", "+")
        for key in (word, *_SHORTCUTS.get(word, ())):
            if key in offers:
                return Choice(key, offers[key][0])
        for media_type, key in _ranked(offers):
            if media_type == word:
                return Choice(key, media_type)
    told = "&".join(f"format={shortcut}" for shortcut in shortcuts)
    raise _refusal(offers, f"{told} is not a format of this address.")


def _ranked(offers: Offers) -> Iterator[tuple[str, str]]:
    """Media types with their format: all first ones, then the others; a type counts once."""
    seen: set[str] = set()
    for rank in range(max(len(types) for types in offers.values())):
        for key, types in offers.items():
            if rank < len(types) and types[rank] not in seen:
                seen.add(types[rank])
                yield types[rank], key


def _without_parameters(accept: MIMEAccept) -> MIMEAccept:
    """Return the header without parameters such as charset and profile, which do not change what we write."""
    return MIMEAccept([(value.partition(";")[0].strip(), quality) for value, quality in accept])


def _refusal(offers: Offers, reason: str) -> NotAcceptable:
    types = [types[0] for types in offers.values()]
    return NotAcceptable(
        f"{reason} Offered are {', '.join(types)}; or say format= with one of {', '.join(offers)}.",
        offered=types,
    )
