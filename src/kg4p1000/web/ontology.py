"""The ontology under its own IRI: a reference for people in three languages, and data for programs."""

from __future__ import annotations

from flask import Blueprint, Response, g, render_template, request

from ..errors import BadParameter, NotFound
from ..terms import BASE, GRAPH
from .diagram import draw, in_words, svg
from .negotiation import TRIPLES, Choice, chosen
from .reference import LANGUAGES, MODULES, Entry, Module, Reference, reference
from .rendering import href
from .services import asked_version, client_gone, page_version, services
from .streaming import respond
from .things import answer, downloads, node

blueprint = Blueprint("ontology", __name__)

_IRI = BASE + "ontology"
_NUMBER = "SELECT ?number WHERE { GRAPH graph:ontology { ?ontology owl:versionInfo ?number } }"
#: The words of the pages themselves.
_WORDS = {
    "en": "Search|Search the terms and codes|terms and codes found|Nothing has all these words.|Modules|"
    "Classes|Properties|Annotations|Code lists|starts at|leads to|is a kind of|inverse|asked in|"
    "Diagram|The diagram in words|Labels and definitions in this language are the developers' and nobody"
    " has reviewed them.|Language|is deprecated|replaced by|version|All modules",
    "fr": "Chercher|Chercher dans les termes et les codes|termes et codes trouvés|Rien ne contient tous ces"
    " mots.|Modules|Classes|Propriétés|Annotations|Listes de codes|part de|mène à|est une sorte de|inverse|"
    "demandé dans|Schéma|Le schéma en mots|Les libellés et définitions dans cette langue sont des"
    " développeurs et n'ont été relus par personne.|Langue|est obsolète|remplacé par|version|Tous les modules",
    "es": "Buscar|Buscar en los términos y códigos|términos y códigos encontrados|Nada contiene todas estas"
    " palabras.|Módulos|Clases|Propiedades|Anotaciones|Listas de códigos|parte de|lleva a|es un tipo de|"
    "inversa|se pregunta en|Diagrama|El diagrama en palabras|Las etiquetas y definiciones en esta lengua son"
    " de los desarrolladores y nadie las ha revisado.|Lengua|está obsoleto|sustituido por|versión|"
    "Todos los módulos",
}  # fmt: skip
_KEYS = (
    "search", "search_hint", "found", "nothing", "modules", "classes", "properties", "annotations", "lists",
    "domain", "range", "above", "inverse", "queries", "diagram", "in_words", "unreviewed", "language",
    "deprecated", "replaced", "version", "all_modules",
)  # fmt: skip
_NAMES = {"en": "English", "fr": "français", "es": "español"}


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
        return _graph(choice, asked_version(request.args))
    return _index(page_version())


@blueprint.route("/ontology/module/<module>")
def module(module: str) -> Response | str:
    """A module with all its terms and its diagram, or what the graph says of it as data."""
    choice = chosen(TRIPLES)
    if choice.key != "html":
        return answer(node(f"ontology/module/{module}"), choice)
    return _module(page_version(), module)


@blueprint.route("/ontology/<term>")
def term(term: str) -> Response | str:
    """A class or property, or the ontology in a version such as 0.2.0, as a page or as data."""
    if term[:1].isdigit():
        return release(term)
    return answer(node(f"ontology/{term}"), chosen(TRIPLES))


@blueprint.route("/releases/ontology/<number>")
@blueprint.route("/releases/ontology/<number>/<module>")
def release(number: str, module: str = "") -> Response:
    """A version of the ontology, or of one of its modules, from the last version of the graph with it."""
    choice = chosen(TRIPLES)
    version = _holding(number)
    if choice.key != "html":
        return _graph(choice, version)
    g.version = version
    return _module(version, module) if module else _index(version)


def _holding(number: str) -> int:
    """The last version of the graph that holds a version of the ontology.

    Raises:
        NotFound: none does; says which there are.
    """
    seen: list[str] = []
    for entry in services().store.entries():
        for row in services().select(_NUMBER, entry.version):
            value = getattr(row["number"], "value", "")
            if value == number:
                return entry.version
            if value and value not in seen:
                seen.append(value)
    raise NotFound(
        f"This service does not hold version {number} of the ontology; it holds {', '.join(seen)}."
    )


def _graph(choice: Choice, version: int | None) -> Response:
    result = services().readers.query(
        "CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o }",
        default_graphs=[GRAPH + "ontology"],
        rdf_format=choice.key,
        version=version,
        gone=client_gone(),
    )
    return _varied(respond(result, choice.media_type))


def _index(version: int) -> Response:
    book, tongue = reference(services(), version), language()
    words = request.args.get("q", "").strip()
    return _varied(
        Response(
            render_template(
                "ontology.html",
                found=book.search(words, tongue) if words else [],
                words=words,
                schemes=sorted(
                    (e for e in book.entries.values() if e.kind == "code list"),
                    key=lambda e: e.order(tongue),
                ),
                downloads=downloads(_IRI),
                **_shared(book, tongue, version),
            )
        )
    )


def _module(version: int, name: str) -> Response:
    book, tongue = reference(services(), version), language()
    found = book.module(name)
    if found is None:
        known = ", ".join(m.local for m in book.modules)
        raise NotFound(f"The ontology has no module {name!r}; it has {known}.")
    drawing = draw(found, book, tongue)
    said = _said(tongue)
    title = f"{said['diagram']}: {found.title(tongue)[0]}"
    return _varied(
        Response(
            render_template(
                "module.html",
                module=found,
                drawing=svg(drawing, found, tongue, href, title),
                in_words=in_words(drawing) if drawing.boxes else "",
                downloads=downloads(MODULES + name),
                **_shared(book, tongue, version),
            )
        )
    )


def _shared(book: Reference, tongue: str, version: int) -> dict[str, object]:
    """What both pages are made with."""

    def terms(of: Module, *kinds: str) -> list[Entry]:
        return sorted(of.of_kind(*kinds), key=lambda entry: entry.order(tongue))

    def named(term: str) -> tuple[str, str]:
        entry = book.entries.get(term)
        return entry.label(tongue) if entry else ("", "")

    def place(entry: Entry) -> str | None:
        """Where a term stands in full: on the page of its module; a code on its own."""
        if entry.module.startswith(MODULES):
            return f"{href(entry.module)}?{_query(tongue, version)}#{entry.local}"
        return href(entry.iri)

    return {
        "book": book,
        "tongue": tongue,
        "said": _said(tongue),
        "languages": [(key, _NAMES[key]) for key in LANGUAGES],
        "kept": {"version": request.args["version"]} if "version" in request.args else {},
        "terms": terms,
        "named": named,
        "place": place,
        "module_href": lambda m: f"{href(m.iri)}?{_query(tongue, version)}",
    }


def _query(tongue: str, version: int) -> str:
    parts = [f"lang={tongue}"] if "lang" in request.args else []
    if "version" in request.args or version != services().store.current:
        parts.append(f"version={version}")
    return "&".join(parts)


def _said(tongue: str) -> dict[str, str]:
    return dict(zip(_KEYS, _WORDS[tongue].split("|"), strict=True))


def _varied(response: Response) -> Response:
    """Say on what the choice rests."""
    response.vary.update(["Accept", "Accept-Language"])
    return response
