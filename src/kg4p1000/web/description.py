"""What this service is and holds, for machines: service description, VoID and DCAT, from the live store.

Counts are made in the background, once a version; what is not counted yet is left out. Sources: SPARQL 1.1 Service Description; VoID; DCAT 3.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pyoxigraph as ox
from flask import Blueprint, Response, g, render_template
from pyoxigraph import BlankNode, Literal, NamedNode, Triple

from ..errors import KgError
from ..store import Readers
from ..terms import BASE, PREFIXES
from .negotiation import TRIPLES, chosen
from .services import base, services
from .vocabulary import vocabulary

_log = logging.getLogger(__name__)
blueprint = Blueprint("description", __name__)

_NS = {
    "sd": "http://www.w3.org/ns/sparql-service-description#",
    "formats": "http://www.w3.org/ns/formats/",
    "void": "http://rdfs.org/ns/void#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
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
#: What the dataset is, in the words of its description.
ABOUT = {
    "title": "Knowledge graph of the “4 per 1000” Implementation Plan",
    "description": "Goals, objectives, activities, targets and remarks of the plan to the letter, and what was read from them: figures, mentions of"
    " tools, databases and partners, facets, relations and overlaps of activities, each with who found it, how and how surely.",
    "publisher": "The kg4p1000 developers",
    "licence": "https://creativecommons.org/licenses/by/4.0/",
}  # fmt: skip
#: What the engine has of SPARQL 1.2, and beyond; docs/endpoint.md has the same list, and a test proves each.
BEYOND = (
    "VERSION", "triple terms", "reifiers", "annotations", "TRIPLE", "SUBJECT, PREDICATE, OBJECT", "isTRIPLE",
    "base direction", "LANGDIR, STRLANGDIR", "hasLANG, hasLANGDIR", "LATERAL", "ADJUST",
    "difference of times",
)  # fmt: skip
_GRAPHS = """SELECT ?graph (COUNT(*) AS ?count)
WHERE { GRAPH ?graph { ?s ?p ?o } } GROUP BY ?graph"""
_CLASSES = "SELECT ?class (COUNT(*) AS ?count) WHERE { ?s a ?class } GROUP BY ?class"
_PROPERTIES = "SELECT ?property (COUNT(*) AS ?count) WHERE { ?s ?property ?o } GROUP BY ?property"
#: Seconds that a count may take, and that a request waits for all of them.
_LONG, _PATIENCE = 600.0, 1.5
_SUBJECTS = "SELECT (COUNT(DISTINCT ?s) AS ?count) WHERE { ?s ?p ?o }"


@dataclass(frozen=True)
class Counts:
    """How much of what a version holds."""

    graphs: dict[str, int]
    classes: dict[str, int]
    properties: dict[str, int]
    subjects: int


class Census:
    """Counts the published version, once and in a thread of its own; no request counts."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self._counted: tuple[int, Counts | None] = (0, None)
        self._under_way = 0
        self._change = threading.Condition()

    def of(self, version: int, patience: float = _PATIENCE) -> Counts | None:
        """What was counted of a version; None when that is not done yet.

        Args:
            patience: seconds to wait for it; most graphs are counted within.
        """
        until = time.monotonic() + patience
        with self._change:
            if self._counted[0] != version and self._under_way != version:
                self._under_way = version
                threading.Thread(target=self._count, args=(version,), daemon=True).start()
            while self._counted[0] != version and time.monotonic() < until:
                self._change.wait(0.1)
            return self._counted[1] if self._counted[0] == version else None

    def _count(self, version: int) -> None:
        counts = None
        try:
            counts = Counts(
                self._by(_GRAPHS, "graph", version),
                self._by(_CLASSES, "class", version),
                self._by(_PROPERTIES, "property", version),
                sum(self._by(_SUBJECTS, "", version).values()),
            )
        except KgError as e:
            _log.warning("version %d was not counted: %s", version, e.detail)
        with self._change:
            if self._under_way == version:
                self._under_way = 0
                if counts:
                    self._counted = (version, counts)
            self._change.notify_all()

    def _by(self, query: str, name: str, version: int) -> dict[str, int]:
        result = self._readers.query(query, version=version, timeout=_LONG)
        rows = ox.parse_query_results(result.read(), format=ox.QueryResultsFormat.JSON)
        assert isinstance(rows, ox.QuerySolutions)
        found: dict[str, int] = {}
        for row in rows:
            group = row[name] if name else NamedNode("x:all")
            if isinstance(group, NamedNode):
                found[group.value] = int(row["count"].value)
        return found


@blueprint.route("/.well-known/void")
def void() -> Response | str:
    """The dataset: VoID and DCAT; for people a page."""
    choice = chosen(TRIPLES)
    g.version = services().store.current
    if choice.key == "html":
        found = services().census.of(g.version)
        figures = dict(_sizes(found)) if found else {}
        return render_template("void.html", about=ABOUT, figures=figures, base=BASE)
    data = _write(_dataset(g.version), choice.key)
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


def _service() -> Iterator[Triple]:
    here, settings = base(), services().settings
    service, dataset, default = NamedNode(here + "/sparql"), BlankNode("d"), BlankNode("default")
    a = _n("rdf:type")
    yield Triple(service, a, _n("sd:Service"))
    yield Triple(service, _n("sd:endpoint"), service)
    yield Triple(service, _n("sd:supportedLanguage"), _n("sd:SPARQL11Query"))
    update = NamedNode(here + "/update")
    yield Triple(update, a, _n("sd:Service"))
    yield Triple(update, _n("sd:endpoint"), update)
    yield Triple(update, _n("sd:supportedLanguage"), _n("sd:SPARQL11Update"))
    yield Triple(update, _n("sd:defaultDataset"), dataset)
    for name in _RESULTS:
        yield Triple(service, _n("sd:resultFormat"), _n("formats:" + name))
    # SPARQL 1.2 and beyond, as far as the engine has it.
    limits = (
        f"A query is stopped after {settings.query_timeout:g} s or {settings.query_memory} MB. A client"
        f" may send {settings.client_rate:g} queries a second, {settings.client_burst:g} at once, and"
        f" have {settings.client_concurrency} under way. SERVICE and LOAD are refused. A graph that is"
        " not here is empty, and the header KG-Unknown-Graphs names it. Of SPARQL 1.2 and beyond, the"
        f" engine has: {'; '.join(BEYOND)}."
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
    found = services().census.of(version)
    for i, graph in enumerate(graphs.values()):
        entry, name = BlankNode(f"named{i}"), NamedNode(graph.iri)
        yield Triple(dataset, _n("sd:namedGraph"), entry)
        yield Triple(entry, a, _n("sd:NamedGraph"))
        yield Triple(entry, _n("sd:name"), name)
        about = BlankNode(f"graph{i}")
        yield Triple(entry, _n("sd:graph"), about)
        yield Triple(about, a, _n("sd:Graph"))
        if found:
            yield Triple(about, _n("void:triples"), Literal(found.graphs.get(graph.iri, 0)))
        yield Triple(name, _n("dcterms:title"), _en(graph.title))


def _dataset(version: int) -> Iterator[Triple]:
    here, found = base(), services().census.of(version)
    entry = services().store.entry(version)
    dataset, a = NamedNode(BASE + "dataset"), _n("rdf:type")
    for kind in ("void:Dataset", "dcat:Dataset"):
        yield Triple(dataset, a, _n(kind))
    licence, publisher, contact = (
        NamedNode(ABOUT["licence"]),
        BlankNode("publisher"),
        BlankNode("contact"),
    )
    endpoint, dump = NamedNode(here + "/sparql"), NamedNode(f"{here}/dumps/{version}.nq.gz")
    for name, value in (
        ("dcterms:title", _en(ABOUT["title"])),
        ("dcterms:description", _en(ABOUT["description"])),
        ("dcterms:publisher", publisher),
        ("dcat:contactPoint", contact),
        ("dcterms:license", licence),
        ("dcterms:modified", Literal(entry.time.isoformat(), datatype=_n("xsd:dateTime"))),
        ("dcat:version", Literal(str(version))),
        ("foaf:homepage", NamedNode(here + "/")),
        ("void:sparqlEndpoint", endpoint),
        ("void:dataDump", dump),
        ("void:uriSpace", Literal(BASE)),
        ("void:exampleResource", NamedNode(BASE + "id/activity/A4.2")),
    ):
        yield Triple(dataset, _n(name), value)
    yield Triple(publisher, a, _n("foaf:Agent"))
    yield Triple(publisher, _n("foaf:name"), _en(ABOUT["publisher"]))
    # The project has no public address for letters; this page says where to turn to.
    yield Triple(contact, a, _n("vcard:Kind"))
    yield Triple(contact, _n("vcard:fn"), _en(ABOUT["publisher"]))
    yield Triple(contact, _n("vcard:hasURL"), NamedNode(here + "/.well-known/void"))
    if found:
        yield from _statistics(dataset, found)
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


def _sizes(found: Counts) -> Iterator[tuple[str, int]]:
    yield "triples", sum(found.properties.values())
    yield "distinctSubjects", found.subjects
    yield "classes", len(found.classes)
    yield "properties", len(found.properties)


def _statistics(dataset: NamedNode, found: Counts) -> Iterator[Triple]:
    for name, count in _sizes(found):
        yield Triple(dataset, _n(f"void:{name}"), Literal(count))
    yield from _partitions(dataset, "class", found.classes, "entities")
    yield from _partitions(dataset, "property", found.properties, "triples")


def _partitions(
    dataset: NamedNode, kind: str, sizes: dict[str, int], unit: str
) -> Iterator[Triple]:
    for i, (name, size) in enumerate(sorted(sizes.items())):
        part = BlankNode(f"{kind}{i}")
        yield Triple(dataset, _n(f"void:{kind}Partition"), part)
        yield Triple(part, _n(f"void:{kind}"), NamedNode(name))
        yield Triple(part, _n(f"void:{unit}"), Literal(size))
