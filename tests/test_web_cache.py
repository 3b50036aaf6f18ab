"""An answer that is kept is sent as a fresh one is, byte by byte; and clients of all kinds at once."""

import gzip
import http.client
import json
import re
import socket
import threading
import time
from contextlib import ExitStack
from urllib.parse import quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kg4p1000.kernel.settings import Settings
from kg4p1000.store import Readers
from kg4p1000.web import create_app

#: Headers that differ from one answer to the next.
OWN = ("x-request-id", "date")
QUERIES = [
    "ASK {}",
    "SELECT ?code WHERE { ?goal a k4p:Goal ; skos:notation ?code } ORDER BY ?code",
    "SELECT * WHERE { goal:A skos:prefLabel ?title }",
    "CONSTRUCT WHERE { goal:A ?p ?o }",
    "DESCRIBE goal:B",
    "SELECT (NOW() AS ?x) WHERE {}",
    "SELECT ?s ?o WHERE { ?s ?p ?o } LIMIT 2000",
    "SELECT (COUNT(*) AS ?n) FROM graph:plan-2020 WHERE { ?s ?p ?o }",
    "SELECT nonsense",
    "INSERT DATA { <x:s> <x:p> 1 }",
    "SELECT * WHERE { SERVICE <http://example.org/> { ?s ?p ?o } }",
    "",
    "   ",
    "SELECT ?é WHERE { BIND('ü€' AS ?é) }",
    "ASK {} #" + "x" * 3000,
    "ASK {} #" + "x" * 5000,
]
ACCEPTS = [
    None, "*/*", "application/sparql-results+json", "text/csv", "text/turtle;q=0.5, text/csv;q=0.4",
    "text/html", "application/json", "image/png", "application/n-triples, */*;q=0.1", "nonsense",
]  # fmt: skip
MORE = [
    "", "&format=csv", "&format=xml", "&format=html", "&format=nonsense", "&version=1", "&version=99", "&version=",
    "&version=2026-11-22", "&version=x", "&timeout=5", "&timeout=-1", "&other=1", "&query=ASK{}", "&update=x",
    "&default-graph-uri=https://w3id.org/kg4p1000/graph/plan-2020", "&named-graph-uri=urn:x", "&%ff", "&default-graph-uri=http://e.org/",
]  # fmt: skip


def answer(address, target, headers):
    """Status line, headers and body of an answer, the server's own address put neutrally."""
    here = urlsplit(address).netloc  # links have it where the Host cannot be read
    connection = http.client.HTTPConnection(here, timeout=30)
    connection.putrequest("GET", target, skip_accept_encoding=True, skip_host=True)
    for name, value in {"Host": "example.org", **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    found = [(k, v.replace(here, "here")) for k, v in response.getheaders() if k not in OWN]
    connection.close()
    return (response.status, response.reason, response.version), found, body


def without_length(found):
    return found[0], [pair for pair in found[1] if pair[0] != "content-length"], found[2]


def neutral(body):
    """A body, not compressed, without the number of its request."""
    if body.startswith(b"\x1f\x8b"):
        body = gzip.decompress(body)
    return re.sub(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", b"", body)


@pytest.fixture(scope="module")
def both(store, library, served):
    """Two servers over two applications that are alike, but only the first keeps answers."""
    with ExitStack() as stack:
        places = []
        for cache in (64, 0):
            readers = Readers(store, size=2, timeout=600, memory=512)
            readers.warm()
            app = create_app(
                Settings(store=store.path, access_log="none", query_timeout=600, cache_size=cache),
                store, readers, library,
            )  # fmt: skip
            places.append(stack.enter_context(served(app)))
            stack.callback(readers.close)
        yield tuple(f"http://{host}:{port}" for host, port in places)


@settings(
    max_examples=settings().max_examples // 2,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    query=st.sampled_from(QUERIES), accept=st.sampled_from(ACCEPTS), more=st.sampled_from(MORE),
    moment=st.sampled_from([None, None, "Sun, 22 Nov 2099 15:20:42 GMT", "tomorrow"]),
    times=st.integers(1, 3), conditional=st.booleans(),
    host=st.sampled_from(["example.org", "EXAMPLE.org:8000", "example.org:80", "[::1]:8", "e\u00e9.org", "a b", "a_b", "a_b:80", "A_b"]),
    forwarded=st.sampled_from([None, "192.0.2.1, 10.0.0.1", "nonsense"]),
    scheme=st.sampled_from([None, "https", "http", "HTTPS", "http, https", "gopher", ""]),
    outside=st.sampled_from([None, "kg.example.org", "KG.example.org:8443", "kg.example.org:443", "kg.example.org:80", "[::1]:8", "a/b", "x, y"]),
    coding=st.sampled_from([None, None, "gzip", "gzip;q=0", "br, *;q=0.1", "identity, gzip;q=0.5", "nonsense;;"]),
)  # fmt: skip
def test_kept_and_fresh_answers_are_the_same(
    both, query, accept, more, moment, times, conditional, host, forwarded, scheme, outside, coding
):
    target = f"/sparql?query={quote(query)}{more}"
    headers = {
        "Accept": accept, "Accept-Datetime": moment, "Host": host.encode("latin-1"),
        "X-Forwarded-For": forwarded, "X-Forwarded-Proto": scheme, "X-Forwarded-Host": outside,
        "Accept-Encoding": coding,
    }  # fmt: skip
    headers = {name: value for name, value in headers.items() if value is not None}
    changing = "NOW" in query
    for _ in range(times):
        kept, fresh = (answer(address, target, headers) for address in both)
        if (
            changing or kept[0][0] >= 400
        ):  # NOW() has more digits at times; a page shows its request
            kept, fresh = (without_length(found) for found in (kept, fresh))
        assert kept[:2] == fresh[:2]
        assert changing or neutral(kept[2]) == neutral(fresh[2])
    tags = dict(kept[1]).get("etag")
    if conditional and tags:
        headers["If-None-Match"] = f'"x", {tags}'
        kept, fresh = (answer(address, target, headers) for address in both)
        assert kept == fresh
        assert kept[0][0] == 304


@pytest.mark.parametrize(
    ("headers", "start"),
    [
        ({}, "http://example.org/"),
        ({"X-Forwarded-Proto": "https"}, "https://example.org/"),
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "kg.example.org"}, "https://kg.example.org/"),
        ({"X-Forwarded-Proto": "https", "Host": "example.org:443"}, "https://example.org/"),
        ({"X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "a/b"}, "http://example.org/"),
    ],
)  # fmt: skip
def test_both_believe_a_proxy_on_this_machine(both, headers, start):
    for address in both:
        head, found, _ = answer(address, f"/sparql?query={quote(QUERIES[1])}", headers)
        assert head[0] == 200
        assert dict(found)["content-location"].startswith(start)


def test_the_same_question_asked_again_costs_no_query(store, library):
    readers = Readers(store, size=1, timeout=20, memory=512)
    app = create_app(Settings(store=store.path, access_log="none"), store, readers, library)
    client = app.test_client()
    for _ in range(3):
        assert client.get("/sparql?query=ASK%7Bgoal:A a ?c%7D&format=json").json["boolean"]
    before = sum(readers.outcomes.values())
    for _ in range(3):
        response = client.get("/sparql?query=ASK%7Bgoal:A a ?c%7D&format=json")
        assert response.json["boolean"]
        assert response.headers["KG-Version"] == "1"
    assert sum(readers.outcomes.values()) == before
    other = client.get(
        "/sparql?query=ASK%7Bgoal:A a ?c%7D&format=json", headers={"Host": "kg.example.org"}
    )
    assert other.headers["Content-Location"].startswith("http://kg.example.org/")
    readers.close()


def test_a_client_past_its_limit_gets_no_kept_answer_either(store, library, readers):
    given = Settings(store=store.path, access_log="none", client_rate=0.001, client_burst=3.0)
    client = create_app(given, store, readers, library).test_client()
    far = {"REMOTE_ADDR": "192.0.2.7"}
    asked = [client.get("/sparql?query=ASK%7B%7D", environ_overrides=far) for _ in range(5)]
    assert [response.status_code for response in asked] == [200, 200, 200, 429, 429]
    assert asked[-1].json["type"].endswith("/problem/too-many-requests")


def test_what_is_asked_of_a_busy_service_waits_its_turn(both):
    """More connections than readers, all at once, new queries each time; each gets its own answer."""
    wrong = []

    def ask(number):
        for i in range(20):
            n = number * 100 + i
            query = f"SELECT ({n} AS ?n) WHERE {{}}"
            head, _, body = answer(
                both[0], f"/sparql?query={quote(query)}&format=csv", {"Accept": "*/*"}
            )
            if (head[0], body) != (200, b"n\r\n%d\r\n" % n):
                wrong.append((head, body))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_pipelined_requests_are_answered_in_order(both):
    place = urlsplit(both[0])
    codes = ["A", "B", "C", "D", "E", "F"]
    asked = "".join(
        f"GET /sparql?format=csv&query={quote(f'SELECT ?c WHERE {{ goal:{c} skos:notation ?c }}')}"
        f" HTTP/1.1\r\nHost: x{'' if c != 'F' else chr(13) + chr(10) + 'Connection: close'}\r\n\r\n"
        for c in codes
    )
    with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
        connection.sendall(asked.encode())
        data = b""
        while piece := connection.recv(65536):
            data += piece
    assert data.count(b"HTTP/1.1 200 OK") == len(codes)
    positions = [data.index(b"c\r\n%s\r\n" % c.encode()) for c in codes]
    assert positions == sorted(positions)


def test_a_query_that_takes_long_keeps_nobody_waiting(both):
    slow = "SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f }"
    done = []
    target = f"/sparql?query={quote(slow)}&timeout=3"
    thread = threading.Thread(target=lambda: done.append(answer(both[0], target, {})))
    thread.start()
    time.sleep(0.1)
    head, _, body = answer(both[0], "/sparql?query=ASK%7B%7D&format=csv", {})
    assert (head[0], body) == (200, b"true")
    assert not done
    thread.join()
    status = done[0][0][0]
    assert status == 503
    assert json.loads(done[0][2])["limit_seconds"] == 3


def test_a_client_that_leaves_while_its_query_runs_harms_nobody(both):
    place = urlsplit(both[0])
    for i in range(30):
        with socket.create_connection((place.hostname, place.port), timeout=30) as connection:
            query = quote(f"SELECT * WHERE {{ ?s ?p ?o }} LIMIT 10 #{i}")
            connection.sendall(f"GET /sparql?query={query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    for i in range(4):
        head, _, _ = answer(both[0], f"/sparql?query=ASK%7B%7D%23after{i}", {})
        assert head[0] == 200


def test_nothing_is_left_of_clients_that_left(store, library, served):
    """Neither places in the lanes, nor in the limits of the client, nor queries that run on past their limit."""
    readers = Readers(store, size=2, timeout=2, memory=512)
    readers.warm()
    more = {"client_concurrency": 8, "client_rate": 1000.0, "client_burst": 1000.0}
    app = create_app(
        Settings(store=store.path, access_log="none", query_timeout=2.0, **more),
        store, readers, library,
    )  # fmt: skip
    query = quote("SELECT * WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }")
    asked = f"GET /sparql?query={query} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n"
    with served(app) as place:
        for pause in (0, 0, 0, 0.01, 0.02, 0.03, 0.05, 0.3, 0.6):
            with socket.create_connection(place) as connection:
                connection.sendall(asked.encode())
                time.sleep(pause)
        until = time.monotonic() + 60
        clients = app.extensions["kg4p1000"].clients
        while (readers.running() or clients._under_way) and time.monotonic() < until:
            time.sleep(0.05)
        assert readers.running() == []
        assert clients._under_way == {}
        occupancy = readers.lanes.occupancy
        assert (occupancy.fast, occupancy.slow, occupancy.waiting) == (0, 0, 0)
    readers.close()
