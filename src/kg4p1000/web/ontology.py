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
from ..kernel.errors import BadParameter, NotFound
from ..kernel.terms import BASE, GRAPH, ID, PREFIXES, iri, short
from ..kernel.texts import number
from .background import once_per_version
from .describe import describe
from .reference import MODULES, ONTOLOGY, Drawing, Reference, reference
from .rendering import LANGUAGES, WORDS, href, names_of, register, text
from .requests import TRIPLES, chosen, takes
from .services import kept_version, page_version, services
from .things import answer, downloads, node, whole_graph

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


def said(tongue: str) -> dict[str, str]:
    """Return all words of the pages in a language, by key."""
    place = LANGUAGES.index(tongue)
    tables = WORDS["reference"] | WORDS["kinds"] | WORDS["mappings"]
    return {key: texts[place] for key, texts in tables.items()}


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

    @property
    def lang(self) -> dict[str, str]:
        """The parameter by which links keep the language that was asked for."""
        return {"lang": self.tongue} if "lang" in request.args else {}

    def page(self, term: str) -> str:
        """Return the address of the page of a module or, unless this is a release, of a term."""
        if self.number:
            return url_for(
                ".release", number=self.number, module=Reference.local(term), **self.lang
            )
        address = href(term) or ""
        return (
            f"{address}{'&' if '?' in address else '?'}lang={self.tongue}" if self.lang else address
        )

    def place(self, term: str) -> str:
        """Return where a term stands in full: on the page of its module; a code on its own."""
        home = self.book.home(term)
        return f"{self.page(home)}#{Reference.local(term)}" if home else href(term) or ""

    def own(self, term: str) -> str:
        """Return the address of the page of a term itself; of a release its place."""
        return self.place(term) if self.number else self.page(term)


def _edition(number: str = "") -> Edition:
    """Return the ontology as it is, or a release, in the language of the page: ``lang``, else as the browser likes best."""
    given, version = request.args.get("lang", ""), page_version()
    if given and given not in LANGUAGES:
        raise BadParameter(
            f"lang is {given!r} and must be one of {', '.join(LANGUAGES)}.", parameter="lang"
        )
    tongue = given or request.accept_languages.best_match(LANGUAGES, "en") or "en"
    book = _released(number)[1] if number else reference(version)
    return Edition(book, version, tongue, number)


@blueprint.route("/ontology", strict_slashes=False)
@takes("version", "format", "lang", "q", answers=TRIPLES)
def index() -> Response:
    """Show the whole ontology: its modules and terms, or its graph as RDF."""
    choice = chosen()
    if choice.key != "html":
        return _varied(whole_graph(GRAPH + "ontology", choice))
    return _index(_edition())


@blueprint.route("/ontology/module/<module>")
@takes("version", "format", "lang", answers=TRIPLES)
def module(module: str) -> Response | str:
    """Show a module with all its terms and its diagram, or what the graph says of it as data."""
    choice = chosen()
    if choice.key != "html":
        return answer(node(f"ontology/module/{module}"), choice)
    return _module(_edition(), module)


@blueprint.route("/ontology/<term>")
@takes("version", "format", "lang", "q", answers=TRIPLES)
def term(term: str) -> Response | str:
    """Show a class or property, or the ontology in a version such as 0.2.0, as a page or as data."""
    if term[:1].isdigit():
        return release(term)
    subject, choice = node(f"ontology/{term}"), chosen()
    if choice.key == "html":
        edition = _edition()
        if subject.value in edition.book.kinds:
            return _term(edition, subject.value)
    return answer(subject, choice)


@blueprint.route("/releases/ontology/<number>")
@blueprint.route("/releases/ontology/<number>/<module>")
@takes("version", "format", "lang", "q", answers=TRIPLES)
def release(number: str, module: str = "") -> Response:
    """Show a released version of the ontology, or of one of its modules, from the record of the release.

    Raises:
        NotFound: there is no such release or module; says which there are.
    """
    choice = chosen()
    if choice.key == "html":
        return _module(_edition(number), module) if module else _index(_edition(number))
    page_version()  # which the answer names
    triples, book = _released(number)
    body = ox.serialize(
        _of_module(triples, _found(book, module)) if module else triples,
        format=ox.RdfFormat.from_media_type(choice.media_type),
        prefixes=PREFIXES,
    )
    return _varied(Response(body, content_type=f"{choice.media_type}; charset=utf-8"))


@once_per_version
def _released(number: str) -> tuple[list[Triple], Reference]:
    triples = list(records.load(services().settings.files, number))
    return triples, Reference(triples)


def _of_module(triples: Iterable[Triple], module: str) -> list[Triple]:
    """Return what a release says of a module and of its terms, with their nodes without names."""
    home, about = NamedNode(module), dict[object, list[Triple]]()
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


def _found(book: Reference, name: str) -> str:
    """Return the IRI of a module by its short name.

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
    module = _found(edition.book, name)
    return _page(
        "module.html",
        edition,
        module=module,
        drawing=Drawing(module, edition.book, edition.tongue),
        downloads=downloads(_address(edition, name)),
    )


def _address(edition: Edition, module: str = "") -> str:
    """Return the IRI of the ontology or of a module, of a release its version IRI."""
    if edition.number:
        return f"{BASE}releases/ontology/{edition.number}/{module}".rstrip("/")
    return MODULES + module if module else ONTOLOGY


def _term(edition: Edition, term: str) -> Response:
    subject, version, book = NamedNode(term), edition.version, edition.book
    kind = _BEFORE_CAPITAL.sub("-", book.local(term)).lower()
    start = Literal(f"{ID}{kind}/")
    things = services().select(_ANY, version, **{"class": subject, "start": start})
    matches = _matches(subject, version)
    shown = {match[name] for match in matches for name in ("mapping", "other")}
    return _page(
        "term.html",
        edition,
        term=term,
        home=book.home(term),
        matches=matches,
        sources=names_of(book.values(term, "source"), version),
        things_kind=kind if things else "",
        thing=describe(subject, version).without(shown, _SHOWN),
        register=register(version),
        downloads=downloads(term),
        query=f"SELECT ?property ?value\nWHERE {{\n  {short(term)} ?property ?value .\n}}",
    )


def _matches(subject: NamedNode, version: int) -> list[dict[str, str]]:
    """Return the mappings of a term, the surest first."""
    found = {}
    for row in services().select(_MAPPINGS, version, term=subject):
        match = {name: text(term) for name, term in row.items()}
        match["predicate"] = short(match["predicate"])
        match["label"] = match["label"] or short(match["other"])
        found[match["mapping"]] = match
    return sorted(found.values(), key=lambda m: (-(number(m["confidence"]) or 0), m["label"]))


def _page(template: str, edition: Edition, **values: Any) -> Response:
    """Render a page of the reference, with what all of them are made with."""
    book, tongue, number = edition.book, edition.tongue, edition.number
    page = render_template(
        template,
        book=book,
        ontology=ONTOLOGY,
        release=number,
        tongue=tongue,
        messages=said(tongue),
        languages=list(WORDS["languages"].items()),
        kept={"version": version} if (version := kept_version()) else {},
        edition=edition,
        index=url_for(
            f".{'release' if number else 'index'}", number=number or None, **edition.lang
        ),
        **values,
    )
    return _varied(Response(page))


def _varied(response: Response) -> Response:
    """Say on what the choice rests."""
    response.vary.update(["Accept", "Accept-Language"])
    return response
