"""The ontology under its own IRI: a reference for people in three languages, and data for programs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyoxigraph as ox
from flask import Blueprint, Response, render_template, request, url_for
from pyoxigraph import BlankNode, Literal, NamedNode, Triple

from .. import release as records
from ..errors import BadParameter, NotFound
from ..terms import BASE, GRAPH, ID, PREFIXES, iri
from ..texts import isolated, number
from .background import once_per_version
from .describe import describe
from .diagram import draw
from .graphs import whole_graph
from .labels import names_of, vocabulary
from .negotiation import TRIPLES, chosen
from .reference import MODULES, ONTOLOGY, Entry, Reference, read, reference
from .rendering import href, short, text
from .services import kept_version, page_version, services
from .things import answer, downloads, node
from .wording import LANGUAGES, NAMES, said

blueprint = Blueprint("ontology", __name__)

_MAPPINGS = """SELECT ?term ?mapping ?predicate ?other ?confidence ?status ?label WHERE {
  ?mapping k4p:mappingSubject ?term ; k4p:mappingPredicate ?predicate ; k4p:mappingObject ?other ;
    k4p:confidence ?confidence ; k4p:status ?status .
  FILTER(isIRI(?mapping))
  OPTIONAL { ?other skos:prefLabel|rdfs:label ?label FILTER(LANG(?label) = "en") }
}"""
_ANY = (
    "SELECT ?class ?start WHERE { ?thing a ?class FILTER(STRSTARTS(STR(?thing), ?start)) } LIMIT 1"
)
_BEFORE_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
#: What the page of a term shows in its own words, and not once more among all statements.
_SHOWN = {iri(name).value for name in (
    "rdfs:label", "rdfs:subClassOf", "rdfs:subPropertyOf", "rdfs:domain", "rdfs:range", "rdfs:isDefinedBy", "owl:inverseOf",
    "owl:propertyChainAxiom", "dcterms:source", "k4p:domainOmitted", "k4p:inverseOmitted", "skos:scopeNote", "skos:changeNote",
)}  # fmt: skip


@dataclass(frozen=True)
class Edition:
    """A state of the ontology that pages are made from.

    Attributes:
        version: of the graph.
        number: of the release, where the pages are of one; else empty.
        tongue: the language of the page.
    """

    book: Reference
    version: int
    tongue: str
    number: str = ""

    def address(self, entry: Entry, *, own: bool = False) -> str:
        """Return where a term stands in full, or a module, in the language asked for.

        Args:
            own: the page of the term itself, rather than its place on the page of its module; a release has none.
        """
        lang = {"lang": self.tongue} if "lang" in request.args else {}
        home = self.book.modules.get(entry.home.removeprefix(MODULES))
        if entry.kind == "module" and self.number:
            return url_for(".release", number=self.number, module=entry.local, **lang)
        if home and (self.number or not own):
            return f"{self.address(home)}#{entry.local}"
        place = href(entry.iri) or ""
        if lang and (entry.kind == "module" or (own and not self.number)):
            place += f"{'&' if '?' in place else '?'}lang={self.tongue}"
        return place


def _now() -> Edition:
    version = page_version()
    return Edition(reference(version), version, _language())


def _language() -> str:
    """The language of the page: ``lang``, else what the browser likes best of ours, else English."""
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
        if entry := edition.book.entries.get(subject.value):
            return _term(edition, entry)
    return answer(subject, choice)


@blueprint.route("/releases/ontology/<number>")
@blueprint.route("/releases/ontology/<number>/<module>")
def release(number: str, module: str = "") -> Response:
    """A released version of the ontology, or of one of its modules, from the record of the release.

    Raises:
        NotFound: there is no such release or module; says which there are.
    """
    choice = chosen(TRIPLES)
    triples, book = _released(number)
    if choice.key == "html":
        edition = Edition(book, page_version(), _language(), number)
        return _module(edition, module) if module else _index(edition)
    body = ox.serialize(
        _of_module(triples, _found(book, module)) if module else triples,
        format=ox.RdfFormat.from_media_type(choice.media_type),
        prefixes=PREFIXES,
    )
    return _varied(Response(body, content_type=f"{choice.media_type}; charset=utf-8"))


@once_per_version
def _released(number: str) -> tuple[list[Triple], Reference]:
    triples = list(records.load(services().settings.files, number))
    return triples, read(triples)


def _of_module(triples: Iterable[Triple], module: Entry) -> list[Triple]:
    """What a release says of a module and of its terms, with their nodes without names."""
    home, about = NamedNode(module.iri), dict[object, list[Triple]]()
    for triple in triples:
        about.setdefault(triple.subject, []).append(triple)
    defined = iri("rdfs:isDefinedBy"), home
    waiting: list[object] = [home]
    waiting += [t.subject for t in triples if (t.predicate, t.object) == defined]
    kept: list[Triple] = []
    while waiting:
        kept += (of := about.pop(waiting.pop(), []))
        waiting += [t.object for t in of if isinstance(t.object, BlankNode)]
    return kept


def _found(book: Reference, name: str) -> Entry:
    """A module by its short name.

    Raises:
        NotFound: says which there are.
    """
    if name not in book.modules:
        known = ", ".join(book.modules)
        raise NotFound(f"The ontology has no module {name!r}; it has {known}.")
    return book.modules[name]


def _index(edition: Edition) -> Response:
    words = request.args.get("q", "").strip()
    return _page(
        "ontology.html",
        edition,
        found=edition.book.search(words, edition.tongue),
        words=words,
        downloads=downloads(_address(edition)),
        numbers=records.releases(services().settings.files),
    )


def _module(edition: Edition, name: str) -> Response:
    found = _found(edition.book, name)
    title = f"{said(edition.tongue)['diagram']}: {isolated(found.label(edition.tongue)[0])}"
    return _page(
        "module.html",
        edition,
        module=found,
        drawing=draw(found, edition.book, edition.tongue),
        title=title,
        downloads=downloads(_address(edition, name)),
    )


def _address(edition: Edition, module: str = "") -> str:
    """The IRI of the ontology or of a module, of a release its version IRI."""
    if edition.number:
        return f"{BASE}releases/ontology/{edition.number}/{module}".rstrip("/")
    return MODULES + module if module else ONTOLOGY


def _term(edition: Edition, entry: Entry) -> Response:
    subject, version = NamedNode(entry.iri), edition.version
    kind = _BEFORE_CAPITAL.sub("-", entry.local).lower()
    start = Literal(f"{ID}{kind}/")
    things = services().select(_ANY, version, **{"class": subject, "start": start})
    matches = _matches(subject, version)
    return _page(
        "term.html",
        edition,
        e=entry,
        home=edition.book.modules.get(entry.home.removeprefix(MODULES)),
        matches=matches,
        sources=names_of(entry.said["source"], version),
        things_kind=kind if things else "",
        thing=describe(subject, version).without(
            {match[name] for match in matches for name in ("mapping", "other")}, _SHOWN
        ),
        words=vocabulary(version),
        downloads=downloads(entry.iri),
        query=f"SELECT ?property ?value\nWHERE {{\n  {short(entry.iri)} ?property ?value .\n}}",
    )


def _matches(subject: NamedNode, version: int) -> list[dict[str, str]]:
    """The mappings of a term, the surest first."""
    found = {}
    for row in services().select(_MAPPINGS, version, term=subject):
        match = {name: text(term) for name, term in row.items()}
        match["predicate"] = short(match["predicate"])
        match["label"] = match["label"] or short(match["other"])
        found[match["mapping"]] = match
    return sorted(found.values(), key=lambda m: (-(number(m["confidence"]) or 0), m["label"]))


def _page(template: str, edition: Edition, **values: Any) -> Response:
    """A page of the reference, with what all of them are made with."""
    book, tongue, number = edition.book, edition.tongue, edition.number
    lang = {"lang": tongue} if "lang" in request.args else {}
    page = render_template(
        template,
        book=book,
        release=number,
        tongue=tongue,
        said=said(tongue),
        languages=list(NAMES.items()),
        kept={"version": version} if (version := kept_version()) else {},
        terms=lambda home, *kinds: book.terms(home, tongue, *kinds),
        named=lambda term: book.label(term, tongue),
        place=edition.address,
        own=lambda entry: edition.address(entry, own=True),
        index=url_for(".release", number=number, **lang) if number else url_for(".index", **lang),
        **values,
    )
    return _varied(Response(page))


def _varied(response: Response) -> Response:
    """Say on what the choice rests."""
    response.vary.update(["Accept", "Accept-Language"])
    return response
