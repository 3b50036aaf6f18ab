"""The named graphs: what each holds, where it comes from, how it may be used, and its statements."""

from __future__ import annotations

from flask import Blueprint, Response, render_template, request
from pyoxigraph import Literal, NamedNode

from ..errors import NotFound
from ..store import Row
from ..terms import GRAPH
from .declared import takes
from .negotiation import TRIPLES, chosen
from .rendering import graph_entry, names_of, register
from .services import asked_version, page_version, services
from .streaming import cited, respond
from .things import downloads, node

blueprint = Blueprint("graphs", __name__)

_COUNTS = """SELECT ?graph (COUNT(*) AS ?count)
WHERE { GRAPH ?graph { ?s ?p ?o } } GROUP BY ?graph"""
_ANY = "SELECT ?graph WHERE { GRAPH ?graph { ?s ?p ?o } } LIMIT 1"
_CONTENT = """SELECT ?graph ?class (COUNT(DISTINCT ?thing) AS ?count)
WHERE { GRAPH ?graph { ?thing a ?class FILTER(isIRI(?class)) } } GROUP BY ?graph ?class"""
_WHOLE = "CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o }"
# JSON-LD has no words for statements about statements; they are left out of it.
_TOLD_IN_JSON_LD = "CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o FILTER(!isTRIPLE(?o)) }"


def _count(row: Row) -> int:
    count = row["count"]
    return int(count.value) if isinstance(count, Literal) else 0


def _value(row: Row, name: str) -> str:
    term = row[name]
    return term.value if isinstance(term, NamedNode) else ""


@blueprint.route("/graph/")
@takes("version", "format", answers=TRIPLES)
def index() -> Response | str:
    """List the named graphs; as RDF, the register."""
    choice = chosen(TRIPLES)
    if choice.key != "html":
        return whole_graph(GRAPH + "graphs", choice.key, choice.media_type)
    version = page_version()
    counts = {_value(row, "graph"): _count(row) for row in services().select(_COUNTS, version)}
    listed = register(version)
    unlisted = [graph_entry(iri) for iri in sorted(counts.keys() - listed.keys())]
    graphs = [*listed.values(), *unlisted]
    return render_template("graphs.html", graphs=graphs, counts=counts)


@blueprint.route("/graph/<topic>")
@takes("version", "format", answers=TRIPLES)
def graph(topic: str) -> Response | str:
    """One named graph: what it is, or all its statements as RDF."""
    subject = node(f"graph/{topic}")
    choice = chosen(TRIPLES)
    if choice.key != "html":
        return whole_graph(subject.value, choice.key, choice.media_type)
    version = page_version()
    content = services().select(_CONTENT, version, graph=subject)
    counts = services().select(_COUNTS, version, graph=subject)
    triples = sum(_count(row) for row in counts)
    entry = register(version).get(subject.value)
    if entry is None and not triples:
        raise _unknown(subject.value)
    entry = entry or graph_entry(subject.value)
    names = names_of(
        {
            entry.get("source", ""),
            entry.get("author", ""),
            *(_value(row, "class") for row in content),
        }
        - {""},
        version,
    )
    return render_template(
        "graph.html",
        graph=entry,
        triples=triples,
        content=sorted(
            ((names[_value(row, "class")], _count(row)) for row in content),
            key=lambda pair: (-pair[1], pair[0].text),
        ),
        names=names,
        downloads=downloads(subject.value),
        query=f"SELECT ?s ?p ?o\nFROM <{subject.value}>\nWHERE {{ ?s ?p ?o }}\nLIMIT 100",
    )


def whole_graph(iri: str, form: str, media_type: str) -> Response:
    """All statements of a graph, as RDF.

    Raises:
        NotFound: there is none.
    """
    version = asked_version(request.args)
    known = register(version or services().store.current)
    if iri not in known and not services().select(_ANY, version, graph=NamedNode(iri)):
        raise _unknown(iri)
    result = services().readers.query(
        _TOLD_IN_JSON_LD if form == "jsonld" else _WHOLE,
        default_graphs=[iri],
        rdf_format=form,
        version=version,
    )
    return cited(respond(result, media_type))


def _unknown(iri: str) -> NotFound:
    return NotFound(f"There is no graph {iri}; /graph/ lists those that there are.")
