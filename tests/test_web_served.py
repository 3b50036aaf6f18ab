"""The service as a real server on a loopback port."""

import csv
import http.client
import io
import json
import socket
import time
from urllib.parse import urlencode, urlsplit

import pytest
from SPARQLWrapper import CSV, JSON, POST, TURTLE, XML, SPARQLWrapper

GOALS = "SELECT ?code WHERE { ?goal a k4p:Goal ; skos:notation ?code } ORDER BY ?code"
HUGE = "SELECT * WHERE { ?a ?b ?c . ?d ?e ?f }"
LONG = "SELECT ?s ?p ?o WHERE { ?s ?p ?o } LIMIT 5000"


def get(address, query, **more):
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.request("GET", "/sparql?" + urlencode({"query": query, **more}))
    return connection, connection.getresponse()


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("form", [JSON, XML, CSV])
def test_sparqlwrapper_gets_its_answer(address, method, form):
    client = SPARQLWrapper(address + "/sparql", returnFormat=form)
    client.setMethod(method)
    client.setQuery(GOALS)
    found = client.query().convert()
    if form == JSON:
        codes = [row["code"]["value"] for row in found["results"]["bindings"]]
    elif form == XML:
        codes = [node.firstChild.data for node in found.getElementsByTagName("literal")]
    else:
        codes = [row["code"] for row in csv.DictReader(io.StringIO(found.decode()))]
    assert codes == list("ABCDEF")


def test_sparqlwrapper_gets_triples(address):
    client = SPARQLWrapper(address + "/sparql", returnFormat=TURTLE)
    client.setMethod(POST)
    client.setQuery("CONSTRUCT WHERE { ?s a k4p:Goal }")
    assert b"goal:A a k4p:Goal" in client.query().convert()


def test_a_long_answer_arrives_whole(address):
    connection, response = get(address, LONG)
    body = response.read()
    assert response.status == 200, body
    assert len(json.loads(body)["results"]["bindings"]) == 5000
    assert response.getheader("Transfer-Encoding") == "chunked"
    connection.close()


def test_an_answer_that_breaks_off_is_a_broken_transfer(address):
    connection, response = get(address, HUGE, timeout=0.5)
    assert response.status == 200
    with pytest.raises(http.client.IncompleteRead):
        response.read()
    connection.close()


def test_a_limit_before_the_first_byte_is_a_503(address):
    query = "SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"
    connection, response = get(address, query, timeout=0.5)
    assert response.status == 503
    assert json.loads(response.read())["limit_seconds"] == 0.5
    connection.close()


def raw(address, request):
    """What a plain socket gets for a request."""
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall(request.encode())
        data = b""
        while piece := connection.recv(65536):
            data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    return head.decode(), body


def test_an_http_1_0_client_gets_a_length_for_a_long_answer(address):
    head, body = raw(address, f"GET /sparql?{urlencode({'query': LONG})} HTTP/1.0\r\n\r\n")
    assert f"content-length: {len(body)}" in head.lower()
    assert len(json.loads(body)["results"]["bindings"]) == 5000


def test_an_http_1_0_client_gets_a_503_rather_than_a_part(address):
    query = urlencode({"query": HUGE, "timeout": 0.3})
    head, _ = raw(address, f"GET /sparql?{query} HTTP/1.0\r\n\r\n")
    assert head.startswith("HTTP/1.0 503")


def test_head_sends_no_body(address):
    query = urlencode({"query": GOALS})
    head, body = raw(
        address, f"HEAD /sparql?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert head.startswith("HTTP/1.1 200")
    assert body == b""


def test_the_query_of_a_client_that_has_gone_is_stopped(address, readers):
    place = urlsplit(address)
    query = "SELECT * WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?gone }"
    with socket.create_connection((place.hostname, place.port)) as connection:
        request = f"GET /sparql?{urlencode({'query': query})} HTTP/1.1\r\nHost: x\r\n\r\n"
        connection.sendall(request.encode())
        assert eventually(lambda: any(query == running.text for running in readers.running()))
    assert eventually(lambda: all(query != running.text for running in readers.running()))


def eventually(true, seconds=5):
    """Whether something comes true within some seconds."""
    until = time.monotonic() + seconds
    while not true() and time.monotonic() < until:
        time.sleep(0.02)
    return true()


@pytest.mark.parametrize("path", ["/sparql", "/query/x", "/id/activity/A4.2", "/"])
def test_raw_bytes_that_are_not_utf8_are_malformed(address, path):
    place = urlsplit(address)
    with socket.create_connection((place.hostname, place.port)) as connection:
        connection.sendall(f"GET {path}?query=".encode() + b"\xff HTTP/1.0\r\n\r\n")
        assert b" 400 " in connection.recv(100)


def test_a_dump_arrives_whole(address):
    place = urlsplit(address).netloc
    connection = http.client.HTTPConnection(place, timeout=30)
    connection.request("GET", "/dumps/1.nq.gz")
    assert connection.getresponse().read()[:2] == b"\x1f\x8b"
    connection.close()
