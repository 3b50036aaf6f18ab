"""What the service tells machines of itself and of the dataset."""

import threading
import time

import pyoxigraph as ox
import pytest

from kg4p1000.kernel.errors import TimeLimit
from kg4p1000.store import MemoryGraph
from kg4p1000.web.background import census

PREFIX = """PREFIX sd: <http://www.w3.org/ns/sparql-service-description#>
PREFIX void: <http://rdfs.org/ns/void#>
PREFIX dcat: <http://www.w3.org/ns/dcat#>
PREFIX dcterms: <http://purl.org/dc/terms/>
PREFIX k4p: <https://w3id.org/kg4p1000/ontology/>
"""


def graph(client, path):
    response = client.get(path, headers={"Accept": "text/turtle"})
    assert response.status_code == 200
    return MemoryGraph(q.triple for q in ox.parse(response.data, format=ox.RdfFormat.TURTLE))


def value(found, query):
    (row,) = found.select(PREFIX + query)
    return row["x"].value


def test_the_description_counts_the_triples_of_each_graph(client, store):
    found = graph(client, "/sparql")
    told = value(
        found,
        "SELECT ?x { ?g sd:name <https://w3id.org/kg4p1000/graph/overlaps> ; sd:graph/void:triples ?x }",
    )
    real = [q for q in store.quads() if q.graph_name.value.endswith("/graph/overlaps")]
    assert int(told) == len(real)


def test_the_description_publishes_the_limits(client):
    assert "queries a second" in value(
        graph(client, "/sparql"),
        "SELECT ?x { ?s a sd:Service ; <http://www.w3.org/2000/01/rdf-schema#comment> ?x }",
    )


def test_void_counts_what_a_query_counts(client):
    found = graph(client, "/.well-known/void")
    query = "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }"
    answer = client.get("/sparql", query_string={"query": query, "format": "json"}).json
    real = answer["results"]["bindings"][0]["n"]["value"]
    assert value(found, "SELECT ?x { ?d a void:Dataset ; void:triples ?x }") == real
    activities = "SELECT ?x { ?p void:class k4p:Activity ; void:entities ?x }"
    assert value(found, activities) == "163"


def test_dcat_leads_to_endpoint_and_download(client):
    found = graph(client, "/.well-known/void")
    url = value(found, "SELECT ?x { ?d a dcat:Distribution ; dcat:downloadURL ?x }")
    assert client.get(url.removeprefix("http://localhost")).status_code == 200
    assert value(found, "SELECT ?x { ?s dcat:endpointURL ?x }").endswith("/sparql")


@pytest.mark.parametrize(
    "accept", ["application/ld+json", "application/rdf+xml", "application/n-triples"]
)
def test_void_comes_in_every_format_of_rdf(client, accept):
    response = client.get("/.well-known/void", headers={"Accept": accept})
    assert response.content_type.startswith(accept)
    assert list(ox.parse(response.data, format=ox.RdfFormat.from_media_type(accept)))


class Held:
    """Readers whose counts wait until they are let go."""

    def __init__(self, readers):
        self._readers, self.let_go = readers, threading.Event()

    def query(self, *args, **kwargs):
        self.let_go.wait(20)
        return self._readers.query(*args, **kwargs)


def test_no_request_waits_long_for_counts(app, client, readers, monkeypatch):
    held = Held(readers)
    monkeypatch.setattr(app.extensions["kg4p1000"], "census", census(held))
    began = time.monotonic()
    found = graph(client, "/.well-known/void")
    assert time.monotonic() - began < 10
    assert value(found, "SELECT ?x { ?d a void:Dataset ; dcterms:title ?x }")
    assert not found.select(PREFIX + "SELECT ?x { ?d void:triples ?x }")
    held.let_go.set()
    until = time.monotonic() + 20
    while not found.select(PREFIX + "SELECT ?x { ?d void:triples ?x }"):
        assert time.monotonic() < until
        found = graph(client, "/.well-known/void")


def test_a_version_is_counted_once(readers):
    counting = census(readers)
    first = counting.results(1, 20)
    assert counting.results(1, 0)["classes"] is first["classes"]
    assert first["classes"]["https://w3id.org/kg4p1000/ontology/Activity"] == 163


def test_a_count_that_fails_is_tried_again(readers, caplog):
    failing = threading.Event()

    class Failing:
        def query(self, *args, **kwargs):
            if not failing.is_set():
                failing.set()
                raise TimeLimit("too long")
            return readers.query(*args, **kwargs)

    counting = census(Failing())
    until = time.monotonic() + 20
    while "classes" not in counting.results(1, 0.2):
        assert time.monotonic() < until
    assert "version 1 has no graphs: too long" in caplog.text
    assert counting.results(1, 20).keys() == {"graphs", "classes", "properties", "subjects"}
