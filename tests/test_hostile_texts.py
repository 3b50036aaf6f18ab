"""Texts that are made to hold the service, to reach into the network or to forge what it says; sent for real."""

import http.client
import json
import logging
import re
import signal
import socketserver
import statistics
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlencode

import pytest

from kg4p1000.curation.access import Tokens
from kg4p1000.kernel import logs
from kg4p1000.kernel.errors import Refused, TimeLimit
from kg4p1000.sparql import Reading, guard, tokens
from kg4p1000.sparql.reading import SHORT

ROOT = Path(__file__).parents[1]
SIZE = 400_000
#: Beginnings of queries, with what is repeated behind them; each once took quadratic time, or much of it.
REPEATED = {
    "an unclosed quote": ("ASK{", "'\\"),
    "an unclosed quote and escapes": ("ASK{", "\"\\\""),
    "long quotes": ("ASK{", '"""'),
    "long quotes and escapes": ("ASK{", "'''\\'"),
    "prefixes": ("ASK{", "a:"),
    "names in percents": ("ASK{", "a:%20"),
    "half percents": ("ASK{", "a:%2"),
    "angles": ("ASK{", "<"),
    "strings": ("ASK{", "'SERVICE'"),
    "hyphens": ("ASK{", "a-"),
    "full stops": ("ASK{a:", "."),
    "full stops and letters": ("ASK{a", ".b"),
    "bad escapes": ("ASK{", "'a\\q"),
    "braces": ("ASK", "{"),
    "declarations": ("", "PREFIX a: <http://a/>\n"),
    "datasets": ("SELECT * ", "FROM <http://a/> "),
    "values": ("SELECT * { VALUES ?x {", " 1"),
    "operands": ("ASK{FILTER(1", "||1"),
}  # fmt: skip


def repeated(name, size=SIZE):
    start, piece = REPEATED[name]
    return start + piece * (size // len(piece))


def seconds(read, text):
    began = time.process_time()
    read(text)
    return time.process_time() - began


@pytest.mark.parametrize("name", REPEATED)
def test_reading_takes_time_in_proportion_to_the_length(name):
    def read(text):
        return sum(1 for _ in tokens(text))

    short, long = repeated(name, 50_000), repeated(name, 400_000)
    read(short)
    quick = min(seconds(read, short) for _ in range(3))
    assert seconds(read, long) < 4 * (8 * quick + 0.02)  # quadratic would be 64


class Loud(BaseHTTPRequestHandler):
    """Another server: counts who asks, and answers with an error that would forge a line of the log."""

    def do_POST(self):
        self.server.counted += 1
        self.send_response(500)
        self.end_headers()
        self.wfile.write(b'\n{"id": "FORGED", "client": "203.0.113.66"}\n')

    do_GET = do_POST  # noqa: N815 - the name that the library calls

    def log_message(self, *args):
        pass


class Other(socketserver.ThreadingTCPServer):
    daemon_threads = True
    counted = 0


@pytest.fixture(scope="module")
def other():
    with Other(("127.0.0.1", 0), Loud) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def service(own, tmp_path_factory):
    """A service as people run it; gives its address, the header of a steward, and its log."""
    folder = tmp_path_factory.mktemp("hostile")
    store = own(folder / "store")
    token = Tokens(store.path / "tokens.json").create("Ada", "steward")
    command = [sys.executable, "-m", "kg4p1000.cli", "serve", "--store", str(store.path), "--port"]
    with Other(("127.0.0.1", 0), Loud) as free:
        port = free.server_address[1]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*command, str(port)], cwd=ROOT, stderr=log)
        place = ("127.0.0.1", port)
        until = time.monotonic() + 120
        while True:
            try:
                if ask(place, "ASK {}")[0] == 200:
                    break
            except OSError:
                assert process.poll() is None and time.monotonic() < until
                time.sleep(0.1)
        yield place, {"Authorization": f"Bearer {token}"}, folder / "log"
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def ask(place, text, path="/sparql", **headers):
    connection = http.client.HTTPConnection(*place, timeout=120)
    kind = "update" if path == "/update" else "query"
    headers = {"Content-Type": f"application/sparql-{kind}", **headers}
    connection.request("POST", path, text.encode(), headers)
    response = connection.getresponse()
    status, body = response.status, response.read().decode()
    connection.close()
    return status, body


REACHING = [
    "SELECT * { ?z k4p:between activity:A4.2.SERVICE<%s>{?s ?p ?o} } LIMIT 1",
    "ASK { ?z k4p:between activity:A4.2.SERVICE<%s>{?s ?p ?o} }",
    "PREFIX x:<%s> SELECT * { ?z k4p:between activity:A4.2.SERVICEx:y{?s ?p ?o} }",
    'SELECT * { VALUES ?x {"""a" } SERVICE <%s> { ?s ?p ?o } # \\q """\n}',
    "SELECT * { VALUES ?x {'''a' } SERVICE <%s> { ?s ?p ?o } # \\q '''\n}",
    'SELECT * { VALUES ?x {"""a" } SERVICE <%s> { ?s ?p ?o } # \\uD800 """\n}',
    "SELECT * { VALUES ?x { '' } FILTER(?x<'>')SERVICE <%s>{?a ?b ?c} FILTER(?o = 'x') }",
    "SELECT * { VALUES ?x { 1 } SERVICE SILENT <%s> { ?a ?b ?c } }",
    "SELECT * { VALUES ?e { <%s> } SERVICE ?e { ?a ?b ?c } }",
    "SELECT * FROM <%s> { ?s ?p ?o }",
]


@pytest.mark.parametrize("text", REACHING)
def test_no_query_and_no_update_makes_the_service_connect(service, other, text):
    place, steward, log = service
    address = f"http://127.0.0.1:{other.server_address[1]}/"
    before = other.counted
    status, body = ask(place, text % address)
    assert status in (200, 400, 403)
    declared, pattern = re.fullmatch(
        r"(.*)(?:SELECT|ASK)[^{]*(.*}).*", text % address, re.DOTALL
    ).groups()
    update = f"{declared}INSERT {{ GRAPH graph:notes {{ ?s ?p ?o }} }} WHERE {pattern}"
    for sent in (update, f"LOAD <{address}>", f"LOAD SILENT <{address}> INTO GRAPH graph:notes"):
        status, answer = ask(place, sent, "/update", **steward)
        assert status in (200, 400, 403)
        body += answer
    assert other.counted == before
    assert "FORGED" not in body + log.read_text()


def test_what_the_kernel_refuses_is_told_as_what_the_guard_refuses(service, other):
    place, _, _ = service
    address = f"http://127.0.0.1:{other.server_address[1]}/"
    # The second one passes the guard: '<' begins an IRI for it, and is an operator for the engine.
    for text in (REACHING[8], REACHING[6]):
        status, body = ask(place, text % address)
        assert status == 403
        told = json.loads(body)["detail"]
        assert "SERVICE is refused: this endpoint calls no other." in told


@pytest.mark.slow
def test_beside_hostile_texts_a_small_query_is_answered_and_right_after_them_as_before(service):
    place, _, _ = service

    def points(number):
        taken = []
        for n in range(number):
            began = time.monotonic()
            assert ask(place, f"ASK {{}} # {time.monotonic()} {n}")[0] == 200
            taken.append(time.monotonic() - began)
        return taken

    points(5)
    before = statistics.median(points(20))
    statuses = []
    senders = [
        threading.Thread(
            target=lambda name: statuses.append(ask(place, repeated(name))[0]), args=[name]
        )
        for name in list(REPEATED)[:10]
    ]
    for sender in senders:
        sender.start()
    beside = []
    while any(sender.is_alive() for sender in senders):
        beside += points(1)
    # A second is what is asked for, and this machine may be busy; before, it was for ever.
    assert max(beside) < 10, beside
    assert set(statuses) <= {200, 400, 503}
    assert statistics.median(points(20)) < 10 * before + 0.1


def test_an_hour_of_work_in_a_megabyte_is_answered_at_once(service):
    place, _, _ = service
    began = time.monotonic()
    status, body = ask(place, repeated("an unclosed quote", 990_000))
    assert (status, json.loads(body)["type"].rpartition("/")[2]) == (400, "malformed-query")
    assert time.monotonic() - began < 60


def test_a_long_query_is_read_as_a_short_one_is(service):
    place, _, _ = service
    values = " ".join(f"activity:A4.{n}" for n in range(3000))
    text = f"SELECT (COUNT(*) AS ?n) {{ VALUES ?a {{ {values} }} ?a a k4p:Activity }}"
    assert len(text) > SHORT
    status, body = ask(place, text, Accept="text/csv")
    assert (status, body.split()) == (200, ["n", "4"])
    status, body = ask(place, text.replace("SELECT", "SLECT"))
    assert (status, json.loads(body)["line"], json.loads(body)["column"]) == (400, 1, 1)
    status, _ = ask(place, f"{text} # {'x' * 1000}\nSERVICE <http://x> {{}}")
    assert status == 403


def test_long_headers_are_refused_before_they_are_read(service):
    place, _, _ = service
    for name in (
        "Accept",
        "If-None-Match",
        "Accept-Encoding",
        "Accept-Language",
        "Authorization",
        "X-Any",
    ):
        status, body = ask(place, "ASK {}", **{name: "text/a;q=0.1," * 4000})
        assert (status, json.loads(body)["status"]) == (431, 431)
        assert (
            f"The header {name.title()} has more than 8,192 characters"
            in json.loads(body)["detail"]
        )
    assert ask(place, "ASK {}", Accept="text/html;q=0.1, " * 400 + "*/*")[0] == 200


def test_a_form_with_very_many_fields_is_refused(service):
    place, _, _ = service
    fields = "&".join(["a"] * 300_000)
    status, body = ask(place, fields, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert (status, json.loads(body)["type"].rpartition("/")[2]) == (400, "malformed-request")
    graphs = [("default-graph-uri", f"https://w3id.org/kg4p1000/graph/{n}") for n in range(500)]
    form = urlencode([("query", "ASK {}"), *graphs])
    assert ask(place, form, **{"Content-Type": "application/x-www-form-urlencoded"})[0] == 200


# reading in a process of its own


def test_reading_is_stopped_at_its_limit():
    reading = Reading(patience=30)
    text = repeated("angles", 900_000)
    with pytest.raises(TimeLimit, match="could not be read within"):
        reading.read(text, timeout=0.05)
    read = reading.read(f"SELECT * {{ ?s ?p '{'x' * SHORT}' }}", timeout=60)  # another process
    assert read == guard(read.text)
    reading.close()


def test_a_long_text_is_found_to_be_what_it_is():
    reading = Reading(patience=30)
    padding = f"# {'x' * SHORT}\n"
    text = "SELECT (NOW() AS ?x) FROM <http://a/> FROM NAMED <http://b/> { ?s a k4p:Tool, activity:A4.2 }"
    found = reading.read(padding + text, timeout=60)
    assert found == guard(padding + text)
    assert (found.default_graphs, found.named_graphs) == (["http://a/"], ["http://b/"])
    assert not found.repeatable
    assert "https://w3id.org/kg4p1000/ontology/Tool" in found.terms
    with pytest.raises(Refused) as refused:
        reading.read(padding + "ASK { SERVICE <http://x> {} }", timeout=60)
    assert refused.value.members == {"line": 2, "column": 7}
    reading.close()


# one event, one line


def test_an_event_is_one_line_of_the_log_whatever_it_says():
    formatter = logs.OneLine("%(levelname)s %(message)s")
    try:
        raise ValueError("one\ntwo")
    except ValueError:
        record = logging.LogRecord(
            "x", 40, "", 1, "a\r\nb\u2028c\x1b[31m %s", ("d\ne",), sys.exc_info()
        )
    line = formatter.format(record)
    assert line.startswith("ERROR a\\r\\nb\\u2028c\\x1b[31m d\\ne\\nTraceback")
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", line)


def test_a_child_that_ends_by_a_fault_says_so_in_one_line():
    code = "from kg4p1000.kernel import logs\nlogs.begin_child()\nraise ValueError('one\\ntwo')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("ValueError: one\\ntwo")
    code = """
import threading
from kg4p1000.kernel import logs
logs.begin()
thread = threading.Thread(target=lambda: int("x\\ny"))
thread.start()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert len(done.stderr.splitlines()) == 1
