"""The guard: what is a keyword and what only looks like one."""

import re
import socket
import sys
import threading
from contextlib import suppress

import pyoxigraph as ox
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg4p1000.kernel.errors import MalformedQuery, Refused
from kg4p1000.sparql import guard, place, tokens

HARMLESS = [
    "SELECT * WHERE { ?s ?p 'SERVICE' }",
    'SELECT * WHERE { ?s ?p """a " SERVICE <http://x> {}""" }',
    "SELECT * WHERE { ?s ?p ?o } # SERVICE <http://x> {}",
    "SELECT ?service WHERE { ?service <http://x/SERVICE> ?o }",
    "PREFIX service: <http://x/> SELECT * WHERE { ?s service:SERVICE ?o }",
    "SELECT * WHERE { ?s ?p '\\'SERVICE' }",
    "SELECT * WHERE { ?s ?p 'x'@service }",
    "SELECT * WHERE { _:service ?p ?o }",
    "SELECT * FROM <https://w3id.org/kg4p1000/graph/plan-2020> WHERE { ?s ?p ?o }",
    "PREFIX service: <http://x/> SELECT * FROM service:g { GRAPH service:g { ?s service:p ?o } }",
    "SELECT * WHERE { ?s a <http://x/y#EcosystemService>, k4p:Service ; ?service 'x'@service }",
    "SELECT * WHERE { ?s ?p <http://x/y#it's>, 'a service' FILTER(?o < 'b' && ?o > 'a') }",
    "SELECT * WHERE { ?s ?p <#local>, <it's> FILTER(?a<?b) }",
]
CALLS_OUT = [
    "SELECT * WHERE { SERVICE <http://127.0.0.1:9/> { ?s ?p ?o } }",
    "SELECT * WHERE { service silent ?s { ?s ?p ?o } }",
    "SELECT * WHERE { ?s ?p ?o } # x\n VALUES ?x {1} SERVICE <http://x> {}",
    "SELECT * WHERE { ?s ?p 'a' SERVICE <http://x> { ?s ?p 'b' } }",
    "SELECT * WHERE { \\u0053ERVICE <http://x> { ?s ?p ?o } }",
    "SELECT * WHERE { ?s ?p '\\u0027 . SERVICE <http://x> { ?s ?p ?o } # '}",
    # Oxigraph reads '<' as an operator here, and what follows as a string and a SERVICE clause.
    "SELECT * { ?s ?p ?o FILTER(?o<'>')SERVICE <http://x>{?a ?b ?c} FILTER(?o = 'x') }",
    "SELECT * WHERE { {SELECT * WHERE { SERVICE<http://x>{?s ?p ?o} }} }",
    # What follows was measured to call out; the engine wants no space around keywords,
    "SELECT * WHERE { SERVICESILENT<http://x> { ?s ?p ?o } }",
    "PREFIX x: <http://x/> SELECT * WHERE { SERVICEx:y { ?s ?p ?o } }",
    "PREFIX : <http://x/> SELECT * WHERE { service:y # a comment\n { ?s ?p ?o } }",
    "SELECT * WHERE { ?s ?p trueSERVICE <http://x> { ?a ?b ?c } }",
    "SELECT * WHERE { ?s ?p 1SERVICE <http://x> { ?a ?b ?c } }",
    # takes '<' for an operator and what follows for a comment,
    "SELECT * { ?s ?p ?o FILTER(?s<?o#>'''\n) SERVICE <http://x> { ?a ?b ?c } } #'''",
    "PREFIX : <http://x/> SELECT * { ?s ?p ?o FILTER(?s<?o)SERVICE:y#>\n { ?a ?b ?c } }",
    # has escaped quotes in names with letters beyond those of Python,
    "SELECT * { OPTIONAL { ?s k4p:\u3001\\' ?o } SERVICE <http://x> { ?a ?b ?c } } #'",
    # and resolves escapes after it has found the end of an IRI.
    "SELECT * { ?s <http://x/\\u0041#> '\\u0027' . SERVICE <http://x> { ?a ?b ?c } } #'''",
]
FOREIGN = ["file:///etc/passwd", "ftp://x/y", "urn:x", "jar:http://x!/y", "FILE:///etc/passwd"]


@pytest.mark.parametrize("text", HARMLESS)
def test_the_word_service_where_it_is_no_keyword_passes(text):
    assert guard(text).text == text


@pytest.fixture
def without_filter(monkeypatch):
    """A machine whose kernel cannot take the network from a process."""
    # The package has a function of the same name.
    module = sys.modules["kg4p1000.sparql.guard"]
    monkeypatch.setattr(module, "can_deny_network", lambda: False)


@pytest.mark.parametrize("text", HARMLESS)
def test_without_the_filter_any_text_with_the_word_is_refused(text, without_filter):
    if re.search("service", text, re.IGNORECASE):
        with pytest.raises(Refused, match="SERVICE is refused"):
            guard(text)
    else:
        assert guard(text).text == text


@pytest.mark.parametrize("text", CALLS_OUT)
def test_without_the_filter_a_service_clause_is_refused_however_it_is_hidden(text, without_filter):
    with pytest.raises(Refused, match="SERVICE"):
        guard(text)


@pytest.mark.parametrize(
    "text", ["LOAD <http://x>", "SELECT * { ?s ?p ?o } ; load silent <http://x>"]
)
def test_without_the_filter_load_is_refused_too(text, without_filter):
    with pytest.raises(Refused):
        guard(text)


@pytest.fixture(scope="module")
def listener():
    """Listens on this machine, and counts who connects; gives its address and the count."""
    counted = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                counted.append(1)
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/", counted
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("text", CALLS_OUT)
def test_no_text_makes_a_reader_connect(text, listener, readers):
    address, counted = listener
    for calling in (text, text.replace("trueSERVICE", "true . SERVICE")):
        # Past the guard, as a text that it reads otherwise than the engine would be. Some never come to their
        # clause, or say that it may fail.
        with suppress(Refused, MalformedQuery):
            readers.query(calling.replace("http://x", address)).read()
    assert not counted


def test_a_reader_that_would_have_to_connect_refuses(listener, readers):
    address, _ = listener
    for text in (
        f"ASK {{ SERVICE <{address}> {{ ?s ?p ?o }} }}",
        f"SELECT * {{ SERVICE <{address}> {{ ?s ?p ?o }} }}",
    ):
        with pytest.raises(Refused, match="calls no other"):
            readers.query(text).read()


def test_a_client_of_the_engine_without_the_filter_does_connect(listener):
    address, counted = listener
    with pytest.raises(OSError):
        list(ox.Store().query(f"SELECT * {{ SERVICE <{address}> {{ ?s ?p ?o }} }}"))
    assert counted.pop()


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("overlap:A4.2-D2.3", "https://w3id.org/kg4p1000/id/overlap/A4.2-D2.3"),
        ("ec:1.1.1.353", "http://e.x/1.1.1.353"),
        ("ec:a..b...c.d", "http://e.x/a..b...c.d"),
        ("ec:a\\.b.c.d", "http://e.x/a.b.c.d"),
        ("ec:%2e.a.b", "http://e.x/%2e.a.b"),
        (":1.2.3", "http://e.x/1.2.3"),
    ],
)
def test_a_name_with_dots_is_one_name(written, named, readers):
    query = guard(
        f"PREFIX ec: <http://e.x/> PREFIX : <http://e.x/> SELECT ?x {{ VALUES ?x {{ {written} ec:y.}} }}"
    )
    with pytest.raises(MalformedQuery):  # the dot after the last one is none of its
        readers.query(query.for_engine).read()
    query = guard(query.text.replace("y.}", "y}"))
    rows = readers.query(query.for_engine).json()["results"]["bindings"]
    assert [row["x"]["value"] for row in rows] == [named, "http://e.x/y"]


@pytest.mark.parametrize("before", ["", "# a\n", "PREFIX ec: <http://e.x/>\n\n"])
def test_an_error_behind_names_with_dots_is_told_where_it_was_written(before, client):
    text = before + "SELECT ?x { VALUES ?x { activity:A4.2.x.y overlap:A4.2-D2.3 } ?x ?y }"
    told = client.get("/sparql", query_string={"query": text}).json
    assert (told["line"], told["column"]) == (before.count("\n") + 1, len(text) - len(before))
    assert told["detail"].startswith(f"Line {told['line']}, column {told['column']}: ")


def test_what_might_be_in_a_string_is_left_as_it_is():
    text = "SELECT * { ?s ?p ?x FILTER(?x<'a>b' && ?y = 'ec:1.1.1') }"
    assert guard(text).for_engine == text
    assert guard("SELECT * { ?s ?p 'ec:1.1.1', <http://x/#ec:1.1.1> }").for_engine.count("\\") == 0


@pytest.mark.parametrize("iri", FOREIGN)
def test_a_from_clause_that_is_not_http_is_refused(iri):
    with pytest.raises(Refused, match="never fetched"):
        guard(f"SELECT * FROM <{iri}> WHERE {{ ?s ?p ?o }}")
    with pytest.raises(Refused):
        guard(f"SELECT * FROM NAMED <{iri}> WHERE {{ ?s ?p ?o }}")
    with pytest.raises(Refused):
        guard(f"PREFIX f: <{iri}> SELECT * FROM f:x WHERE {{ ?s ?p ?o }}")


def test_a_relative_from_is_resolved_with_the_base_of_the_query():
    with pytest.raises(Refused):
        guard("BASE <file:///etc/> SELECT * FROM <passwd> WHERE { ?s ?p ?o }")
    query = guard("BASE <http://x/a> SELECT * FROM <b> FROM NAMED <c> WHERE { ?s ?p ?o }")
    assert (query.default_graphs, query.named_graphs) == (["http://x/b"], ["http://x/c"])


def test_a_query_without_from_leaves_the_dataset_open():
    query = guard("SELECT * WHERE { ?from ?p 'FROM <file:///x>' }")
    assert (query.default_graphs, query.named_graphs) == (None, None)


def test_the_words_of_a_from_clause_need_no_space_between_them():
    query = guard("SELECT*FROMNAMED<http://x/a>FROM<http://x/b>WHERE{?s ?p ?o}")
    assert (query.default_graphs, query.named_graphs) == (["http://x/b"], ["http://x/a"])


def test_our_prefixes_hold_in_a_from_clause():
    query = guard("CONSTRUCT { ?s ?p ?o } FROM graph:plan-2020 WHERE { ?s ?p ?o }")
    assert query.default_graphs == ["https://w3id.org/kg4p1000/graph/plan-2020"]
    assert query.gives_triples


@pytest.mark.parametrize("text", ["INSERT DATA { <x:a> <x:b> 1 }", "CLEAR ALL", "load <http://x>"])
def test_an_update_is_no_query(text):
    with pytest.raises(MalformedQuery, match="update"):
        guard(text)


@pytest.mark.parametrize("text", ["", "   # nothing", "PREFIX a: <http://a/>", "hello"])
def test_a_text_without_a_query_form_is_malformed(text):
    with pytest.raises(MalformedQuery) as caught:
        guard(text)
    assert caught.value.members["line"] == 1


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("1 1. 1.5 .5 1e3 1.e-3 .5E2", ["number", "number", "other"] + ["number"] * 5),
        ("ex:a.b. :a\\'b ex: a:b:c", ["name", "other", "name", "name", "name"]),
        ("_:a.b. ?a-b $x1", ["blank", "other", "variable", "other", "word", "variable"]),
        (
            "<a\\u0041#> <a b> 'x'@en-GB",
            ["iri", "other", "word", "word", "other", "string", "lang"],
        ),
        ("'''a'b''c''' 'a\\'b' ''", ["string"] * 3),
    ],
)
def test_tokens_are_those_of_the_grammar(text, kinds):
    assert [token.kind for token in tokens(text)] == kinds


@given(st.text())
def test_the_lexer_reads_any_text_to_its_end(text):
    assert all(text[t.start :].startswith(t.text) for t in tokens(text))


@given(st.text("SERVICE<>'\"\\#{}?ax: \nu0053@._-"))
def test_no_text_takes_the_guard_down(text):
    try:
        guard(text)
    except (Refused, MalformedQuery):
        pass


def test_a_place_counts_lines_and_columns_from_one():
    assert place("a\nbc", 3) == (2, 2)


@pytest.mark.parametrize(
    ("word", "near"), [("SELCT", "SELECT"), ("constuct", "CONSTRUCT"), ("DESCRBE", "DESCRIBE")]
)
def test_a_mistyped_beginning_is_told_with_what_was_meant(word, near):
    with pytest.raises(MalformedQuery, match=f"'{word}'; did you mean {near}[?]"):
        guard(f"{word} ?s WHERE {{ ?s ?p ?o }}")
