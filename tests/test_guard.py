"""The guard: what is a keyword and what only looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg4p1000.errors import MalformedQuery, Refused
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
]
FOREIGN = ["file:///etc/passwd", "ftp://x/y", "urn:x", "jar:http://x!/y", "FILE:///etc/passwd"]


@pytest.mark.parametrize("text", HARMLESS)
def test_the_word_service_where_it_is_no_keyword_passes(text):
    assert guard(text).text == text


@pytest.mark.parametrize("text", CALLS_OUT)
def test_a_service_clause_is_refused_however_it_is_hidden(text):
    with pytest.raises(Refused, match="SERVICE"):
        guard(text)


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
