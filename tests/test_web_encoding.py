"""Compressed answers."""

import gzip
import http.client
import io
import json
import zlib
from urllib.parse import quote, urlsplit

import pytest

from kg4p1000.web.middleware import compressed, stream, takes_gzip

LONG = "SELECT ?s ?p ?o WHERE { ?s ?p ?o } LIMIT 9000"
GOALS = "SELECT ?code WHERE { ?goal a k4p:Goal ; skos:notation ?code } ORDER BY ?code"
MIDDLE = "SELECT ?s ?p ?o WHERE { ?s ?p ?o } LIMIT 100"
HUGE = "SELECT * WHERE { ?a ?b ?c . ?d ?e ?f }"


def ask(client, query, coding="gzip", **more):
    headers = {"Accept-Encoding": coding, "Accept": "application/sparql-results+json", **more}
    return client.get("/sparql", query_string={"query": query}, headers=headers)


@pytest.mark.parametrize("query", [MIDDLE, LONG], ids=["whole", "stream"])
def test_a_compressed_answer_is_the_plain_one(client, query):
    plain = ask(client, query, "identity")
    found = ask(client, query)
    assert "Content-Encoding" not in plain.headers
    assert found.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(found.data) == plain.data
    assert len(found.data) < len(plain.data) / 3
    assert ("Content-Length" in found.headers) == (query == MIDDLE)


def test_a_tiny_answer_is_not_compressed(client):
    response = ask(client, GOALS)
    assert "Content-Encoding" not in response.headers
    assert response.json["results"]["bindings"]


@pytest.mark.parametrize(
    ("coding", "wanted"),
    [
        ("gzip", True), ("x-gzip", True), ("GZIP", True), ("br, gzip;q=0.1", True), ("*", True), ("*;q=0", False),
        ("gzip;q=0, *", False), ("identity", False), ("identity;q=0.5, gzip;q=0.1", False),
        ("identity;q=0.5, gzip;q=0.5", True), ("", False), ("deflate", False), ("gzip;q=x", False),
    ],
)  # fmt: skip
def test_the_coding_is_the_one_that_the_client_likes_best(client, coding, wanted):
    assert takes_gzip(coding) == wanted
    assert ("Content-Encoding" in ask(client, MIDDLE, coding).headers) == wanted


def test_caches_are_told_that_the_answer_depends_on_the_coding(client):
    for coding in ("gzip", "identity"):
        varies = {word.strip() for word in ask(client, MIDDLE, coding).headers["Vary"].split(",")}
        assert {"Accept-Encoding", "Accept"} <= varies


def test_the_etag_of_a_compressed_answer_is_weak_and_is_known_again(client):
    plain, found = ask(client, MIDDLE, "identity"), ask(client, MIDDLE)
    assert found.headers["ETag"].startswith("W/")
    again = ask(client, MIDDLE, **{"If-None-Match": found.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert "Content-Encoding" not in again.headers
    assert plain.headers["ETag"].startswith("W/")


def test_a_file_of_ours_is_compressed_and_its_etag_weak(client):
    plain = client.get("/static/style.css")
    found = client.get("/static/style.css", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(found.data) == plain.data
    assert found.headers["ETag"] == f"W/{plain.headers['ETag']}"
    again = client.get(
        "/static/style.css",
        headers={"Accept-Encoding": "gzip", "If-None-Match": found.headers["ETag"]},
    )
    assert again.status_code == 304
    for response in (plain, found, again):
        response.close()


def test_pages_and_problems_are_compressed_too(client):
    page = client.get("/", headers={"Accept-Encoding": "gzip", "Accept": "text/html"})
    assert b"<!doctype html>" in gzip.decompress(page.data)[:100]
    problem = ask(client, "SELECT " + "?x " * 500)
    assert problem.status_code == 400
    text = problem.data
    if problem.headers.get("Content-Encoding") == "gzip":
        text = gzip.decompress(text)
    assert json.loads(text)["status"] == 400


def test_what_is_compressed_already_is_left_alone(client):
    response = client.get("/dumps/1.nq.gz", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in response.headers
    assert gzip.decompress(response.data).count(b"\n") > 1000


def test_head_tells_the_same_coding(client):
    headers = {"Accept-Encoding": "gzip", "Accept": "text/csv"}
    response = client.head("/sparql", query_string={"query": MIDDLE}, headers=headers)
    assert (response.headers["Content-Encoding"], response.data) == ("gzip", b"")


def served(address, query, version="HTTP/1.1", **more):
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    extra = "".join(f"&{name}={value}" for name, value in more.items())
    if version == "HTTP/1.0":
        connection._http_vsn, connection._http_vsn_str = 10, version
    connection.request(
        "GET", f"/sparql?query={quote(query)}{extra}", headers={"Accept-Encoding": "gzip"}
    )
    return connection, connection.getresponse()


def test_a_stream_is_compressed_as_it_comes_and_ends_well(address):
    connection, response = served(address, LONG)
    assert response.getheader("Transfer-Encoding") == "chunked"
    rows = json.loads(gzip.decompress(response.read()))["results"]["bindings"]
    assert len(rows) == 9000
    connection.close()


def test_an_http_1_0_client_gets_the_length_of_the_compressed_answer(address):
    connection, response = served(address, LONG.replace("9000", "900"), "HTTP/1.0")
    data = response.read()
    assert int(response.getheader("Content-Length")) == len(data)
    assert len(json.loads(gzip.decompress(data))["results"]["bindings"]) == 900
    connection.close()


def test_a_very_long_answer_to_an_http_1_0_client_has_a_length_and_is_held_in_no_memory(address):
    connection, response = served(address, LONG, "HTTP/1.0")
    data = response.read()
    assert response.getheader("Content-Encoding") is None
    assert int(response.getheader("Content-Length")) == len(data) > 1 << 20
    assert len(json.loads(data)["results"]["bindings"]) == 9000
    connection.close()


def test_a_compressed_answer_that_breaks_off_is_broken_twice(address):
    """The transfer has no end, and neither has the gzip in it."""
    connection, response = served(address, HUGE, timeout="0.5")
    assert response.getheader("Content-Encoding") == "gzip"
    with pytest.raises(http.client.IncompleteRead) as cut:
        response.read()
    connection.close()
    with pytest.raises(EOFError):
        gzip.GzipFile(fileobj=io.BytesIO(cut.value.partial)).read()


def test_the_first_piece_of_a_stream_goes_out_before_the_second_is_there():
    taken = []

    def pieces():
        for n in range(3):
            taken.append(n)
            yield b"%d" % n * 100

    sent = stream(pieces())
    first = next(sent)
    assert taken == [0]
    assert zlib.decompressobj(31).decompress(first) == b"0" * 100
    assert gzip.decompress(first + b"".join(sent)) == b"0" * 100 + b"1" * 100 + b"2" * 100


def test_the_same_body_is_compressed_to_the_same_bytes():
    assert compressed(b"x" * 5000) == compressed(b"x" * 5000)
