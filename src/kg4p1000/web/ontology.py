"""The ontology under its own IRI: a reference for people in three languages, and data for programs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyoxigraph as ox
from flask import Blueprint, Response, render_template, request, url_for
from pyoxigraph import BlankNode, NamedNode, Triple

from .. import release as records
from ..errors import BadParameter, NotFound
from ..terms import BASE, GRAPH, ID_TYPES, PREFIXES, iri
from ..texts import isolated, number
from .describe import describe
from .diagram import draw, in_words, svg
from .graphs import whole_graph
from .names import from_rows
from .negotiation import TRIPLES, Choice, chosen
from .reference import MODULES, Entry, Module, Reference, reference, released
from .rendering import href, short, text
from .services import kept_version, page_version, services
from .things import answer, downloads, node
from .vocabulary import vocabulary
from .wording import LANGUAGES, NAMES, said

blueprint = Blueprint("ontology", __name__)

_IRI = BASE + "ontology"
_RDF = {
    "turtle": ox.RdfFormat.TURTLE,
    "ntriples": ox.RdfFormat.N_TRIPLES,
    "jsonld": ox.RdfFormat.JSON_LD,
    "rdfxml": ox.RdfFormat.RDF_XML,
}
_MAPPINGS = """SELECT ?term ?mapping ?predicate ?other ?confidence ?status ?label WHERE {
  ?mapping k4p:mappingSubject ?term ; k4p:mappingPredicate ?predicate ; k4p:mappingObject ?other ;
    k4p:confidence ?confidence ; k4p:status ?status .
  FILTER(isIRI(?mapping))
  OPTIONAL { ?other skos:prefLabel|rdfs:label ?label FILTER(LANG(?label) = "en") }
}"""
_NAMES_OF = """SELECT ?term ?other ?property ?name WHERE {
  ?term dcterms:source ?other . VALUES ?property { skos:prefLabel rdfs:label dcterms:title }
  ?other ?property ?name
}"""
_BEFORE_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True)
class Edition:
    """A state of the ontology that pages are made from.

    Attributes:
        version: of the graph.
        number: of the release, where the pages are of one; else empty.
    """

    book: Reference
    version: int
    number: str = ""


@dataclass(frozen=True)
class Match:
    """A mapping of a term, as its page tells it."""

    iri: str
    predicate: str
    other: str
    label: str
    confidence: str
    status: str


def language() -> str:
    """The language of the page: ``lang``, else what the browser likes best of ours, else English.

    Raises:
        BadParameter: ``lang`` is not one of ours.
    """
    asked = request.args.get("lang", "")
    if asked and asked not in LANGUAGES:
        raise BadParameter(
            f"lang is {asked!r} and must be one of {', '.join(LANGUAGES)}.", parameter="lang"
        )
    return asked or request.accept_languages.best_match(LANGUAGES, "en") or "en"


@blueprint.route("/ontology", strict_slashes=False)
def index() -> Response:
    """The whole ontology: its modules and terms, or its graph as RDF."""
    choice = chosen(TRIPLES)
    if choice.key != "html":
        return _varied(whole_graph(GRAPH + "ontology", choice.key, choice.media_type))
    return _index(_now())


@blueprint.route("/ontology/module/<module>")
def module(module: str) -> Response | str:
    """A module with all its terms and its diagram, or what the graph says of it as data."""
    choice = chosen(TRIPLES)
    if choice.key != "html":
        return answer(node(f"ontology/module/{module}"), choice)
    return _module(_now(), module)


@blueprint.route("/ontology/<term>")
def term(term: str) -> Response | str:
    """A class or property, or the ontology in a version such as 0.2.0, as a page or as data."""
    if term[:1].isdigit():
        return release(term)
    subject, choice = node(f"ontology/{term}"), chosen(TRIPLES)
    if choice.key == "html":
        edition = _now()
        if subject.value in edition.book.entries:
            return _term(edition, edition.book.entries[subject.value])
    return answer(subject, choice)


@blueprint.route("/releases/ontology/<number>")
@blueprint.route("/releases/ontology/<number>/<module>")
def release(number: str, module: str = "") -> Response:
    """A released version of the ontology, or of one of its modules, from the record of the release.

    Raises:
        NotFound: there is no such release or module; says which there are.
    """
    choice = chosen(TRIPLES)
    triples = _record(services().settings.files, number)
    edition = Edition(released(services(), number, triples), page_version(), number)
    if choice.key != "html":
        return _recorded(_of_module(triples, edition.book, module) if module else triples, choice)
    return _module(edition, module) if module else _index(edition)


@lru_cache(maxsize=8)
def _record(folder: Path, number: str) -> tuple[Triple, ...]:
    """The record of a release, which never changes."""
    return tuple(records.load(folder, number))


def _now() -> Edition:
    version = page_version()
    return Edition(reference(services(), version), version)


def _recorded(triples: Iterable[Triple], choice: Choice) -> Response:
    body = ox.serialize(triples, format=_RDF[choice.key], prefixes=PREFIXES)
    assert body is not None
    return _varied(Response(body, content_type=f"{choice.media_type}; charset=utf-8"))


def _of_module(triples: Iterable[Triple], book: Reference, name: str) -> list[Triple]:
    """What a release says of a module and of its terms, with their nodes without names."""
    home = _found(book, name).iri
    about: dict[object, list[Triple]] = {}
    for triple in triples:
        about.setdefault(triple.subject, []).append(triple)
    defined = (iri("rdfs:isDefinedBy"), NamedNode(home))
    waiting: list[object] = [NamedNode(home)]
    waiting += [
        s
        for s, said_of in about.items()
        if any((t.predicate, t.object) == defined for t in said_of)
    ]
    kept: list[Triple] = []
    while waiting:
        kept += (of := about.pop(waiting.pop(), []))
        waiting += [t.object for t in of if isinstance(t.object, BlankNode)]
    return kept


def _found(book: Reference, name: str) -> Module:
    """A module by its short name.

    Raises:
        NotFound: says which there are.
    """
    found = book.module(name)
    if found is None:
        known = ", ".join(m.local for m in book.modules)
        raise NotFound(f"The ontology has no module {name!r}; it has {known}.")
    return found


def _index(edition: Edition) -> Response:
    book, tongue = edition.book, language()
    words = request.args.get("q", "").strip()
    return _page(
        "ontology.html",
        edition,
        found=book.search(words, tongue) if words else [],
        words=words,
        schemes=sorted(
            (e for e in book.entries.values() if e.kind == "code list"),
            key=lambda e: e.order(tongue),
        ),
        downloads=downloads(_address(edition)),
        numbers=records.releases(services().settings.files),
    )


def _module(edition: Edition, name: str) -> Response:
    book, tongue = edition.book, language()
    found = _found(book, name)
    drawing = draw(found, book, tongue)
    title = f"{said(tongue)['diagram']}: {isolated(found.title(tongue)[0])}"
    return _page(
        "module.html",
        edition,
        module=found,
        drawing=svg(drawing, found, tongue, href, title),
        in_words=in_words(drawing) if drawing.boxes else "",
        downloads=downloads(_address(edition, name)),
    )


def _term(edition: Edition, entry: Entry) -> Response:
    subject, version = NamedNode(entry.iri), edition.version
    kind = _BEFORE_CAPITAL.sub("-", entry.local).lower()
    return _page(
        "term.html",
        edition,
        e=entry,
        home=edition.book.module(entry.module.removeprefix(MODULES)),
        matches=_matches(subject, version),
        sources=from_rows(services().select(_NAMES_OF, version, term=subject)),
        things_kind=kind if entry.kind == "class" and kind in ID_TYPES else "",
        thing=describe(services(), subject, version),
        words=vocabulary(services(), version),
        downloads=downloads(entry.iri),
        query=f"SELECT ?property ?value\nWHERE {{\n  {short(entry.iri)} ?property ?value .\n}}",
    )


def _address(edition: Edition, module: str = "") -> str:
    """The IRI of the ontology or of a module, of a release its version IRI."""
    if edition.number:
        return f"{BASE}releases/ontology/{edition.number}/{module}".rstrip("/")
    return MODULES + module if module else _IRI


def _matches(subject: NamedNode, version: int) -> list[Match]:
    """The mappings of a term, the surest first."""
    found = {}
    for row in services().select(_MAPPINGS, version, term=subject):
        value = {name: text(term) for name, term in row.items()}
        found[value["mapping"]] = Match(
            value["mapping"],
            short(value["predicate"]),
            value["other"],
            value["label"] or short(value["other"]),
            value["confidence"],
            value["status"],
        )
    return sorted(found.values(), key=lambda m: (-(number(m.confidence) or 0), m.label))


def _page(template: str, edition: Edition, **values: object) -> Response:
    """A page of the reference, with what all of them are made with."""
    book, tongue = edition.book, language()

    def terms(of: Module, *kinds: str) -> list[Entry]:
        return sorted(of.of_kind(*kinds), key=lambda entry: entry.order(tongue))

    return _varied(
        Response(
            render_template(
                template,
                book=book,
                release=edition.number,
                tongue=tongue,
                said=said(tongue),
                languages=list(NAMES.items()),
                kept={"version": version} if (version := kept_version()) else {},
                terms=terms,
                named=lambda term: book.label(term, tongue),
                **_links(edition, tongue),
                **values,
            )
        )
    )


def _links(edition: Edition, tongue: str) -> dict[str, object]:
    """Where pages lead: within a release to that release."""
    number = edition.number
    asked = {"lang": tongue} if "lang" in request.args else {}

    def with_language(address: str) -> str:
        return f"{address}{'&' if '?' in address else '?'}lang={tongue}" if asked else address

    def module_href(of: Module) -> str:
        if number:
            return url_for(".release", number=number, module=of.local, **asked)
        return with_language(href(of.iri) or "")

    def place(entry: Entry) -> str:
        """Where a term stands in full: on the page of its module; a code on its own."""
        home = edition.book.module(entry.module.removeprefix(MODULES))
        return f"{module_href(home)}#{entry.local}" if home else f"{href(entry.iri)}"

    def own(entry: Entry) -> str:
        """The page of a term itself; of a release its place."""
        return place(entry) if number else with_language(href(entry.iri) or "")

    index = url_for(".release", number=number, **asked) if number else url_for(".index", **asked)
    return {"module_href": module_href, "place": place, "own": own, "index": index}


def _varied(response: Response) -> Response:
    """Say on what the choice rests."""
    response.vary.update(["Accept", "Accept-Language"])
    return response
