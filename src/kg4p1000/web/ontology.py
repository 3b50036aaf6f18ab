"""The ontology: its terms by module, and each term and module under its own IRI."""

from __future__ import annotations

from dataclasses import dataclass, field

from flask import Blueprint, Response, render_template, request
from pyoxigraph import NamedNode

from ..terms import BASE, GRAPH, PREFIXES, TERMS, natural_key
from .names import NAMING, Name, from_rows, unnamed
from .negotiation import TRIPLES, chosen
from .services import asked_version, client_gone, page_version, services
from .streaming import respond
from .things import answer, downloads, node

blueprint = Blueprint("ontology", __name__)

_IRI = BASE + "ontology"
_NAMES = f"""SELECT ?other ?property ?name WHERE {{
  VALUES ?property {{ {NAMING} }}
  {{ GRAPH graph:ontology {{ ?other ?property ?name }} }}
  UNION {{ GRAPH graph:codes {{ ?other a skos:ConceptScheme ; ?property ?name }} }}
}}"""
_KINDS = """SELECT ?other ?kind ?module WHERE {
  { GRAPH graph:ontology { ?other a ?kind OPTIONAL { ?other rdfs:isDefinedBy ?module } } }
  UNION { GRAPH graph:codes { ?other a skos:ConceptScheme , ?kind } }
}"""
_CLASS = PREFIXES["owl"] + "Class"
_ONTOLOGY = PREFIXES["owl"] + "Ontology"
_SCHEME = PREFIXES["skos"] + "ConceptScheme"


@dataclass
class Module:
    """A module of the ontology with the terms that it defines."""

    name: Name
    classes: list[Name] = field(default_factory=list)
    properties: list[Name] = field(default_factory=list)


@blueprint.route("/ontology", strict_slashes=False)
def index() -> Response | str:
    """The whole ontology: a list of its terms, or its graph as RDF."""
    choice = chosen(TRIPLES)
    if choice.key != "html":
        result = services().readers.query(
            "CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o }",
            default_graphs=[GRAPH + "ontology"],
            rdf_format=choice.key,
            version=asked_version(request.args),
            gone=client_gone(),
        )
        return respond(result, choice.media_type)
    version = page_version()
    names = from_rows(services().select(_NAMES, version))
    modules, schemes = _sorted(version, names)
    return render_template(
        "ontology.html",
        name=names.get(_IRI) or unnamed(_IRI),
        modules=modules,
        schemes=schemes,
        downloads=downloads(_IRI),
    )


def _sorted(version: int, names: dict[str, Name]) -> tuple[list[Module], list[Name]]:
    """Our terms by module, and the code lists."""
    kinds: dict[str, set[str]] = {}
    homes: dict[str, str] = {}
    for row in services().select(_KINDS, version):
        term, kind, module = row["other"], row["kind"], row["module"]
        if isinstance(term, NamedNode) and isinstance(kind, NamedNode):
            kinds.setdefault(term.value, set()).add(kind.value)
            if isinstance(module, NamedNode):
                homes[term.value] = module.value
    modules: dict[str, Module] = {}
    schemes: list[Name] = []
    for term in sorted(kinds, key=natural_key):
        name = names.get(term) or unnamed(term)
        if _SCHEME in kinds[term]:
            schemes.append(name)
        elif term.startswith(TERMS) and term in homes and _ONTOLOGY not in kinds[term]:
            home = homes[term]
            module = modules.setdefault(home, Module(names.get(home) or unnamed(home)))
            (module.classes if _CLASS in kinds[term] else module.properties).append(name)
    return sorted(modules.values(), key=lambda m: m.name.text), schemes


@blueprint.route("/ontology/<term>")
def term(term: str) -> Response | str:
    """A class or property, as a page or as data."""
    return answer(node(f"ontology/{term}"), chosen(TRIPLES))


@blueprint.route("/ontology/module/<module>")
def module(module: str) -> Response | str:
    """A module, as a page or as data."""
    return answer(node(f"ontology/module/{module}"), chosen(TRIPLES))
