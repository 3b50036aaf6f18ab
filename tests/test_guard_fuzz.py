"""The guard beside the engine: what would make the engine call another endpoint is refused, or is given to it otherwise.

The engine runs in this process, which has a network, and a real listener counts who connects. The number of texts is
20,000 unless the environment variable FUZZ_TEXTS names another one.
"""

import os
import random
import socketserver
import sys
import threading
from collections import Counter
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

import pyoxigraph as ox
import pytest

from kg4p1000.kernel.errors import KgError
from kg4p1000.kernel.terms import BASE, PREFIXES
from kg4p1000.sparql import guard

TEXTS = int(os.environ.get("FUZZ_TEXTS", "20000"))
#: What readers of SPARQL differ in: dots, escapes, comments, numbers, tags, glued names.
PIECES = [
    ".", "..", ".x", "a.b", "k4p:a", "k4p:a.b", "k4p:a.b.c", "k4p:a..b", "k4p:%2e.", "k4p:a\\.b.c.", "k4p:\\'",
    "x:y", ":y", ":", "_:a.b", "_:a.b.c", "_:a..", "é:y", "k4p:\u3001\\'", "k4p:a\u00b7.\u203f",
    "'", '"', "'''", '"""', "''", '""', "'a'", '"a"', "'a\\'b'", "'\\q'", "'\\u0027'", "'\\uD800'", "'\\uD83D\\uDE00'",
    "'\\U0010FFFF'", "'\\U00110000'", "'''a' '''", '"""a" """', "'''\\q'''", '"""\\uD800"""', "'a\n'", "\\", "\\'",
    "#", "#\n", "# ' \n", "\n", "\r", "\t", " ", "\u00a0", "\ufeff",
    "1", "1.", "1.5", ".5", "1.5.", "1e5", "1.e5", "1e", "1.5.5", "+1", "-.5", "true", "false",
    "@en", "'a'@en", "'a'@en-US", "'a'@en--ltr", "'a'@en-", "'a'@e1", "'a'^^x:y", "'a'^^<x:y>", "'a'^^",
    "?x", "$x", "?x.y", "?1", "a", "(1 2)", "[]", "{", "}", "{}", "(", ")", ";", ",", "|", "/", "^", "*", "!",
    "OPTIONAL {", "} UNION {", "FILTER(true)", "VALUES ?v { 1 }", "BIND(1 AS ?w)", "MINUS {", "GRAPH ?g {",
    "?s ?p 1", "?s ?p k4p:a.b", "?s ?p true", "?s a ?o ; ?p 'x' .", "?s ?p ?o .",
]  # fmt: skip
#: What the lexer leaves to the kernel: where '<' begins an IRI or is an operator, the grammar alone can say.
OPERATORS = [
    "<",
    ">",
    "FILTER(?s<?o",
    "FILTER(?o<'>')",
    "<#",
    "#>",
    "<a",
    "FILTER(1<2)",
    "<?x",
    "&&",
]


class Endpoint(BaseHTTPRequestHandler):
    """Answers each query with no rows."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.counted += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"head":{"vars":[]},"results":{"bindings":[{}]}}'
        self.send_response(200)
        self.send_header("Content-Type", "application/sparql-results+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    request_queue_size = 128
    counted = 0


@pytest.fixture
def listener():
    with Listener(("127.0.0.1", 0), Endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def texts(address, pieces, seed):
    """Queries with a SERVICE clause, with pieces before, in and behind it."""
    chance = random.Random(seed)
    clauses = [
        f"SERVICE<{address}>", f"SERVICE <{address}>", "SERVICE:y", "SERVICEx:y", "trueSERVICE:y", "1SERVICE:y",
        ".SERVICE:y", "SERVICESILENT:y", "SERVICE#\n:y", f"service silent<{address}>", "k4p:a.b.SERVICEx:y",
        f"k4p:a.b.SERVICE<{address}>", "SERVICEé:y", "k4p:a.SERVICEx:y",
    ]  # fmt: skip
    declared = f"PREFIX : <{address}> PREFIX x: <{address}> PREFIX é: <{address}> PREFIX SERVICEx: <{address}>"

    def some(most):
        return chance.choice(["", "", " "]).join(
            chance.choice(pieces) for _ in range(chance.randint(0, most))
        )

    # Where pieces can stand so that what they make is often SPARQL, and the clause is come to.
    starts = [
        lambda: "", lambda: "?s ?p ?o . ", lambda: "?s ?p 1 ", lambda: some(2),
        lambda: f"OPTIONAL {{ ?s k4p:p {some(2)} }}", lambda: f"OPTIONAL {{ ?s {some(1)} ?o }}",
        lambda: f"VALUES ?x {{ 1 {some(2)} }}", lambda: f"OPTIONAL {{ ?s k4p:p ?o {some(1)} }}",
        lambda: f"OPTIONAL {{ {some(1)} k4p:p {some(1)} }} {some(1)}", lambda: f"?s k4p:p {some(1)}",
        lambda: chance.choice(['VALUES ?x { """a" } ', "VALUES ?x { '''a' } "]),
        lambda: f"#{some(2)}\n", lambda: f"{{ BIND({some(2)} AS ?w) }} UNION {{}}",
    ]  # fmt: skip
    behinds = [
        lambda: "", lambda: some(2), lambda: f"#{some(3)}", lambda: chance.choice(['#\\q """\n', "#\\uD800'''\n", "#'''\n"]),
        lambda: f"#{some(2)}\n",
        lambda: f"OPTIONAL {{ ?s k4p:p {some(2)} }}", lambda: f"VALUES ?y {{ 1 {some(2)} }}", lambda: f"FILTER(?y = {some(1)})",
    ]  # fmt: skip
    while True:
        body = chance.choice(["", "", "", some(1)])
        text = f"{chance.choice(starts)()}{chance.choice(clauses)}{{ ?a ?b ?c {body}}}"
        end = chance.choice(["", "", f"#{some(2)}", some(1)])
        yield f"{declared} SELECT * {{ {text}{chance.choice(behinds)()}{chance.choice(['', chr(10)])} }}{end}"


@pytest.mark.slow
@pytest.mark.parametrize("filtered", [True, False], ids=["by its tokens", "without the kernel"])
def test_what_makes_the_engine_call_out_is_refused(listener, filtered, monkeypatch):
    pieces = PIECES
    if not filtered:
        pieces = PIECES + OPERATORS
        monkeypatch.setattr(sys.modules["kg4p1000.sparql.guard"], "can_deny_network", lambda: False)
    database = ox.Store()
    objects = (
        "1, 1.5, .5, 1e5, true, false, 'a', 'a'@en, 'a'@en-US, k4p:a, k4p:a.b, k4p:a..b, k4p:a\\.b"
    )
    database.load(
        f"PREFIX k4p: <{PREFIXES['k4p']}> <http://s> k4p:p {objects} .", ox.RdfFormat.TURTLE
    )
    seen, address = Counter(), f"http://127.0.0.1:{listener.server_address[1]}/"

    def calls(text):
        before = listener.counted
        with suppress(SyntaxError, ValueError, RuntimeError, OSError):
            list(database.query(text, base_iri=BASE, prefixes=PREFIXES))
        return listener.counted > before

    source = texts(address, pieces, seed=int(filtered))
    for text in (next(source) for _ in range(TEXTS // 2)):
        if calls(text):
            seen["called"] += 1
        try:
            given = guard(text).for_engine
        except KgError:
            seen["refused"] += 1
            continue
        assert not calls(given), text
    # The oracle hears enough to be one.
    assert seen["called"] > TEXTS // 100, seen
    assert seen["refused"] < TEXTS // 2 or not filtered, seen
