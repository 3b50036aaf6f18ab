"""What this service is and holds, for machines: service description, VoID and DCAT, from the live store.

Counts are made once a version. Sources: SPARQL 1.1 Service Description; VoID; DCAT 3.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyoxigraph as ox
from flask import Blueprint, Response, request
from pyoxigraph import BlankNode, Literal, NamedNode, Triple

from ..terms import BASE, PREFIXES
from .negotiation import TRIPLES_ONLY, chosen
from .services import services
from .vocabulary import vocabulary

blueprint = Blueprint("description", __name__)

_NS = {
    "sd": "http://www.w3.org/ns/sparql-service-description#",
    "formats": "http://www.w3.org/ns/formats/",
    "void": "http://rdfs.org/ns/void#",
    "dcat": "http://www.w3.org/ns/dcat#",
    **{p: PREFIXES[p] for p in ("dcterms", "foaf", "k4p", "rdf", "rdfs", "xsd")},
}
_FORMATS = {
    "turtle": ox.RdfFormat.TURTLE,
    "ntriples": ox.RdfFormat.N_TRIPLES,
    "jsonld": ox.RdfFormat.JSON_LD,
    "rdfxml": ox.RdfFormat.RDF_XML,
}
_RESULTS = (
    "SPARQL_Results_JSON", "SPARQL_Results_XML", "SPARQL_Results_CSV", "SPARQL_Results_TSV",
    "Turtle", "N-Triples", "JSON-LD", "RDF_XML",
)  # fmt: skip
_GRAPHS = """SELECT ?graph (COUNT(*) AS ?count)
WHERE { GRAPH ?graph { ?s ?p ?o } } GROUP BY ?graph"""
_CLASSES = "SELECT ?class (COUNT(*) AS ?count) WHERE { ?s a ?class } GROUP BY ?class"
_PROPERTIES = "SELECT ?property (COUNT(*) AS ?count) WHERE { ?s ?property ?o } GROUP BY ?property"
_SUBJECTS = "SELECT (COUNT(DISTINCT ?s) AS ?count) WHERE { ?s ?p ?o }"


@dataclass
class Counts:
    """How much of what a version holds."""

    graphs: dict[str, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    properties: dict[str, int] = field(default_factory=dict)
    subjects: int = 0


_counted: dict[tuple[str, int], Counts] = {}
_counting = threading.Lock()


def counts(version: int) -> Counts:
    """Count a version; who asks while it is counted waits."""
    key = (str(services().store.path), version)
    with _counting:
        if key not in _counted:
            found = Counts(
                _by(_GRAPHS, "graph", version),
                _by(_CLASSES, "class", version),
                _by(_PROPERTIES, "property", version),
                sum(_by(_SUBJECTS, "", version).values()),
            )
            for old in [k for k in _counted if k[0] == key[0]]:
                del _counted[old]
            _counted[key] = found
    return _counted[key]


def _by(query: str, name: str, version: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in services().select(query, version):
        count, group = row["count"], row[name] if name else None
        if isinstance(count, Literal) and (not name or isinstance(group, NamedNode)):
            found[group.value if isinstance(group, NamedNode) else ""] = int(count.value)
    return found


@blueprint.route("/.well-known/void")
def void() -> Response:
    """The dataset: VoID and DCAT."""
    choice = chosen(TRIPLES_ONLY)
    data = _write(_dataset(), choice.key)
    return Response(data, content_type=f"{choice.media_type}; charset=utf-8")


def of_service(form: str) -> bytes:
    """What the endpoint is and takes, in a format of RDF."""
    return _write(_service(), form)


def _write(triples: Iterator[Triple], form: str) -> bytes:
    data: bytes = ox.serialize(triples, format=_FORMATS[form], prefixes=_NS)
    return data


def _n(curie: str) -> NamedNode:
    prefix, _, local = curie.partition(":")
    return NamedNode(_NS[prefix] + local)


def _en(text: str) -> Literal:
    return Literal(text, language="en")


def _base() -> str:
    return services().settings.public_url.rstrip("/") or request.url_root.rstrip("/")


def _service() -> Iterator[Triple]:
    base, settings = _base(), services().settings
    service, dataset, default = NamedNode(base + "/sparql"), BlankNode("d"), BlankNode("default")
    a = _n("rdf:type")
    yield Triple(service, a, _n("sd:Service"))
    yield Triple(service, _n("sd:endpoint"), service)
    for name in ("SPARQL11Query", "SPARQL11Update"):
        yield Triple(service, _n("sd:supportedLanguage"), _n("sd:" + name))
    for name in _RESULTS:
        yield Triple(service, _n("sd:resultFormat"), _n("formats:" + name))
    # SPARQL 1.2 and beyond, as far as the engine has it.
    limits = (
        f"A query is stopped after {settings.query_timeout:g} s or {settings.query_memory} MB. A client"
        f" may send {settings.client_rate:g} queries a second, {settings.client_burst:g} at once, and"
        f" have {settings.client_concurrency} under way. SERVICE and LOAD are refused. Of SPARQL 1.2,"
        " LATERAL is taken."
    )
    yield Triple(service, _n("rdfs:comment"), _en(limits))
    yield Triple(service, _n("sd:defaultDataset"), dataset)
    yield Triple(dataset, a, _n("sd:Dataset"))
    yield Triple(dataset, _n("sd:defaultGraph"), default)
    yield Triple(default, a, _n("sd:Graph"))
    version = services().store.current
    if not version:
        return
    graphs = vocabulary(services(), version).graphs
    sizes = counts(version).graphs
    for graph in graphs.values():
        entry, name = BlankNode(graph.topic.replace(".", "-")), NamedNode(graph.iri)
        yield Triple(dataset, _n("sd:namedGraph"), entry)
        yield Triple(entry, a, _n("sd:NamedGraph"))
        yield Triple(entry, _n("sd:name"), name)
        about = BlankNode(graph.topic.replace(".", "-") + "-graph")
        yield Triple(entry, _n("sd:graph"), about)
        yield Triple(about, a, _n("sd:Graph"))
        yield Triple(about, _n("void:triples"), Literal(sizes.get(graph.iri, 0)))
        yield Triple(name, _n("dcterms:title"), _en(graph.title))


def _dataset() -> Iterator[Triple]:
    version = services().store.current
    base, found = _base(), counts(version)
    entry = services().store.entry(version)
    dataset, a = NamedNode(BASE + "dataset"), _n("rdf:type")
    for kind in ("void:Dataset", "dcat:Dataset"):
        yield Triple(dataset, a, _n(kind))
    licence = NamedNode("https://creativecommons.org/licenses/by/4.0/")
    endpoint, dump = NamedNode(base + "/sparql"), NamedNode(f"{base}/dumps/{version}.nq.gz")
    for name, value in (
        ("dcterms:title", _en("Knowledge graph of the “4 per 1000” Implementation Plan")),
        ("dcterms:license", licence),
        ("dcterms:modified", Literal(entry.time.isoformat(), datatype=_n("xsd:dateTime"))),
        ("dcat:version", Literal(str(version))),
        ("foaf:homepage", NamedNode(base + "/")),
        ("void:sparqlEndpoint", endpoint),
        ("void:dataDump", dump),
        ("void:uriSpace", Literal(BASE)),
        ("void:exampleResource", NamedNode(BASE + "id/activity/A4.2")),
        ("void:triples", Literal(sum(found.properties.values()))),
        ("void:distinctSubjects", Literal(found.subjects)),
        ("void:classes", Literal(len(found.classes))),
        ("void:properties", Literal(len(found.properties))),
    ):
        yield Triple(dataset, _n(name), value)
    yield from _partitions(dataset, "class", found.classes, "entities")
    yield from _partitions(dataset, "property", found.properties, "triples")
    for vocabulary_of in ("k4p", "dcterms", "rdfs"):
        yield Triple(dataset, _n("void:vocabulary"), NamedNode(_NS[vocabulary_of]))
    distribution, service = BlankNode("dump"), BlankNode("service")
    yield Triple(dataset, _n("dcat:distribution"), distribution)
    yield Triple(distribution, a, _n("dcat:Distribution"))
    yield Triple(distribution, _n("dcat:downloadURL"), dump)
    yield Triple(distribution, _n("dcterms:license"), licence)
    yield Triple(service, a, _n("dcat:DataService"))
    yield Triple(service, _n("dcat:endpointURL"), endpoint)
    yield Triple(service, _n("dcat:servesDataset"), dataset)


def _partitions(
    dataset: NamedNode, kind: str, sizes: dict[str, int], unit: str
) -> Iterator[Triple]:
    for i, (name, size) in enumerate(sorted(sizes.items())):
        part = BlankNode(f"{kind}{i}")
        yield Triple(dataset, _n(f"void:{kind}Partition"), part)
        yield Triple(part, _n(f"void:{kind}"), NamedNode(name))
        yield Triple(part, _n(f"void:{unit}"), Literal(size))
