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
from ..kernel.terms import BASE, GRAPH, ID, PREFIXES, iri
from ..kernel.texts import number
from .background import once_per_version
from .describe import describe
from .reference import MODULES, ONTOLOGY, Drawing, Reference, reference
from .rendering import href, names_of, register, short, text
from .requests import TRIPLES, chosen, takes
from .services import kept_version, page_version, services
from .things import answer, downloads, node, whole_graph

blueprint = Blueprint("ontology", __name__)

LANGUAGES = ("en", "fr", "es")
_NAMES = {"en": "English", "fr": "français", "es": "español"}

#: Key to what it says in English, French and Spanish.
_WORDS = {
    "search": ("Search", "Chercher", "Buscar"),
    "search_hint": (
        "Search the terms and codes", "Chercher dans les termes et les codes", "Buscar en los términos y códigos"),
    "found": ("terms and codes found", "termes et codes trouvés", "términos y códigos encontrados"),
    "nothing": (
        "Nothing has all these words.", "Rien ne contient tous ces mots.", "Nada contiene todas estas palabras."),
    "modules": ("Modules", "Modules", "Módulos"),
    "module": ("module", "module", "módulo"),
    "classes": ("Classes", "Classes", "Clases"),
    "properties": ("Properties", "Propriétés", "Propiedades"),
    "annotations": ("Annotations", "Annotations", "Anotaciones"),
    "lists": ("Code lists", "Listes de codes", "Listas de códigos"),
    "domain": ("starts at", "part de", "parte de"),
    "range": ("leads to", "mène à", "lleva a"),
    "above": ("is a kind of", "est une sorte de", "es un tipo de"),
    "below": ("kinds of it", "ses sortes", "sus tipos"),
    "inverse": ("inverse", "inverse", "inversa"),
    "disjoint": ("shares nothing with", "n'a rien en commun avec", "no tiene nada en común con"),
    "chain": ("follows from", "découle de", "se sigue de"),
    "starts": ("properties that start here", "propriétés qui en partent", "propiedades que parten de aquí"),
    "leads": ("properties that lead here", "propriétés qui y mènent", "propiedades que llevan aquí"),
    "queries": ("asked in", "demandé dans", "se pregunta en"),
    "source": ("source", "source", "fuente"),
    "in_module": ("Defined in the module", "Défini dans le module", "Definido en el módulo"),
    "place": ("Place in the ontology", "Place dans l'ontologie", "Lugar en la ontología"),
    "tongues": ("Labels and definitions", "Libellés et définitions", "Etiquetas y definiciones"),
    "mappings": (
        "In other vocabularies", "Dans d'autres vocabulaires", "En otros vocabularios"),
    "confidence": ("confidence", "confiance", "confianza"),
    "no_mappings": (
        "No mapping to another vocabulary is recorded.",
        "Aucune correspondance avec un autre vocabulaire n'est enregistrée.",
        "No consta ninguna correspondencia con otro vocabulario."),
    "questions": (
        "Stored questions that use it", "Questions enregistrées qui l'emploient",
        "Preguntas guardadas que lo usan"),
    "no_questions": (
        "No stored question names it.", "Aucune question enregistrée ne le nomme.",
        "Ninguna pregunta guardada lo nombra."),
    "contents": ("On this page", "Sur cette page", "En esta página"),
    "things": ("Things of this kind in the graph", "Objets de ce type dans le graphe", "Cosas de este tipo en el grafo"),
    "everything": (
        "What else the graph says of it", "Ce que le graphe en dit d'autre", "Qué más dice el grafo de él"),
    "list_them": ("list them", "les énumérer", "enumerarlas"),
    "ask": ("Ask about it in SPARQL", "Interroger en SPARQL", "Preguntar en SPARQL"),
    "diagram": ("Diagram", "Schéma", "Diagrama"),
    "in_words": ("The diagram in words", "Le schéma en mots", "El diagrama en palabras"),
    "unreviewed": (
        "Labels and definitions in this language are the developers' and nobody has reviewed them.",
        "Les libellés et définitions dans cette langue sont des développeurs et n'ont été relus par personne.",
        "Las etiquetas y definiciones en esta lengua son de los desarrolladores y nadie las ha revisado."),
    "language": ("Language", "Langue", "Lengua"),
    "deprecated": ("is deprecated", "est obsolète", "está obsoleto"),
    "replaced": ("replaced by", "remplacé par", "sustituido por"),
    "version": ("version", "version", "versión"),
    "versions": ("Released versions", "Versions publiées", "Versiones publicadas"),
    "as_released": (
        "This is the ontology as it was released in version", "Voici l'ontologie telle que publiée dans la version",
        "Esta es la ontología tal como se publicó en la versión"),
    "current": ("The ontology now", "L'ontologie actuelle", "La ontología actual"),
    "all_modules": ("All modules", "Tous les modules", "Todos los módulos"),
    "skip": ("Skip to the content", "Aller au contenu", "Ir al contenido"),
    "main": ("Main", "Principale", "Principal"),
    "nav_home": ("Home", "Accueil", "Inicio"),
    "nav_query": ("Query", "Requête", "Consulta"),
    "nav_questions": ("Questions", "Questions", "Preguntas"),
    "nav_stored": ("Stored queries", "Requêtes enregistrées", "Consultas guardadas"),
    "nav_overlaps": ("Overlaps", "Recoupements", "Solapamientos"),
    "nav_ontology": ("Ontology", "Ontologie", "Ontología"),
    "nav_graphs": ("Graphs", "Graphes", "Grafos"),
    "nav_downloads": ("Downloads", "Téléchargements", "Descargas"),
}  # fmt: skip

#: What a term is.
_KINDS = {
    "class": ("class", "classe", "clase"),
    "object property": ("property to a thing", "propriété vers un objet", "propiedad hacia una cosa"),
    "data property": ("property to a value", "propriété vers une valeur", "propiedad hacia un valor"),
    "annotation": ("annotation", "annotation", "anotación"),
    "functional": ("at most one value", "une valeur au plus", "un valor como máximo"),
    "symmetric": ("in both directions", "dans les deux sens", "en ambos sentidos"),
    "transitive": ("carries on", "se transmet", "se transmite"),
}  # fmt: skip

#: How a mapping is told.
_PREDICATES = {
    "skos:exactMatch": ("is the same as", "est identique à", "es lo mismo que"),
    "skos:closeMatch": ("is close to", "est proche de", "es cercano a"),
    "skos:broadMatch": ("is narrower than", "est plus étroit que", "es más estrecho que"),
    "skos:narrowMatch": ("is broader than", "est plus large que", "es más amplio que"),
    "skos:relatedMatch": ("is related to", "est lié à", "se relaciona con"),
    "dcterms:subject": ("is about", "a pour sujet", "trata de"),
    "owl:equivalentClass": ("is the same class as", "est la même classe que", "es la misma clase que"),
    "rdfs:subClassOf": ("is a kind of", "est une sorte de", "es un tipo de"),
    "rdfs:subPropertyOf": ("is a kind of", "est une sorte de", "es un tipo de"),
}  # fmt: skip
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
    return {key: texts[place] for key, texts in (_WORDS | _KINDS | _PREDICATES).items()}


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


def _now() -> Edition:
    version = page_version()
    return Edition(reference(version), version, _language())


def _language() -> str:
    """Return the language of the page: ``lang``, else what the browser likes best of ours, else English."""
    given = request.args.get("lang", "")
    if given and given not in LANGUAGES:
        raise BadParameter(
            f"lang is {given!r} and must be one of {', '.join(LANGUAGES)}.", parameter="lang"
        )
    return given or request.accept_languages.best_match(LANGUAGES, "en") or "en"


@blueprint.route("/ontology", strict_slashes=False)
@takes("version", "format", answers=TRIPLES)
def index() -> Response:
    """Show the whole ontology: its modules and terms, or its graph as RDF."""
    choice = chosen(TRIPLES)
    if choice.key != "html":
        return _varied(whole_graph(GRAPH + "ontology", choice.key, choice.media_type))
    return _index(_now())


@blueprint.route("/ontology/module/<module>")
@takes("version", "format", answers=TRIPLES)
def module(module: str) -> Response | str:
    """Show a module with all its terms and its diagram, or what the graph says of it as data."""
    choice = chosen(TRIPLES)
    if choice.key != "html":
        return answer(node(f"ontology/module/{module}"), choice)
    return _module(_now(), module)


@blueprint.route("/ontology/<term>")
@takes("version", "format", answers=TRIPLES)
def term(term: str) -> Response | str:
    """Show a class or property, or the ontology in a version such as 0.2.0, as a page or as data."""
    if term[:1].isdigit():
        return release(term)
    subject, choice = node(f"ontology/{term}"), chosen(TRIPLES)
    if choice.key == "html":
        edition = _now()
        if subject.value in edition.book.kinds:
            return _term(edition, subject.value)
    return answer(subject, choice)


@blueprint.route("/releases/ontology/<number>")
@blueprint.route("/releases/ontology/<number>/<module>")
@takes("version", "format", answers=TRIPLES)
def release(number: str, module: str = "") -> Response:
    """Show a released version of the ontology, or of one of its modules, from the record of the release.

    Raises:
        NotFound: there is no such release or module; says which there are.
    """
    choice, version = chosen(TRIPLES), page_version()
    triples, book = _released(number)
    if choice.key == "html":
        edition = Edition(book, version, _language(), number)
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
        languages=list(_NAMES.items()),
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
