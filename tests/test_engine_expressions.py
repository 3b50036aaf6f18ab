"""Expressions and aggregates that the engine evaluates otherwise than SPARQL says: right here, or refused."""

import pyoxigraph as ox
import pytest

from kg4p1000.sparql import guard
from kg4p1000.sparql.engine import for_engine

PREFIXES = "PREFIX : <http://e.x/> PREFIX xsd: <http://www.w3.org/2001/XMLSchema#> "
XSD = "http://www.w3.org/2001/XMLSchema#"
BOUND = '(?d ?t ?i) { ("2006-08-23Z"^^xsd:date "2020-01-01T00:00:00"^^xsd:dateTime :i) }'

#: An expression, and its value as SPARQL has it; the engine has another.
REWRITTEN = {
    r'REPLACE("abcd", "(.)", "$1x")': "axbxcxdx",
    r'REPLACE("abcd", "(b)", "$12")': "ab2cd",
    r'REPLACE("abcd", "(b)", "$1_")': "ab_cd",
    r'REPLACE("abcd", "b", "\\$")': "a$cd",
    r'REPLACE("abcd", "b", "\\\\")': "a\\cd",
    r'REPLACE("abcd", "(b)", CONCAT("$", "1", "z"))': "abzcd",
    r'REPLACE("abcd", "b", CONCAT("\\", "$"))': "a$cd",
    r'REPLACE("a.b", ".", "$0", "q")': "a$0b",
    r'REGEX("abc", "a b # c", "x")': "false",
    r'REGEX("b", "[a-z-[aeioub]]")': "false",
    r'REGEX("&", "[a&&b]")': "true",
    r'DATATYPE("12"^^xsd:byte)': XSD + "byte",
    r'STR("01"^^xsd:integer)': "01",
    r'CONCAT(STR(1.50), "x", STR("1e400"^^xsd:double))': "1.50x1e400",
    r'sameTerm(1, "01"^^xsd:integer)': "false",
    r"STR(1.50)": "1.50",
    r"STR( 007 )": "007",
    r"STR(-2.0)": "-2.0",
    r"STR(+5)": "+5",
    r'CONCAT("v", STR(1e3))': "v1e3",
    r"sameTerm(1.0, 1.00)": "false",
    r'COALESCE(?d != "2006-08-23"^^xsd:date, "?")': "?",
    r'COALESCE("2006-08-23"^^xsd:date = ?d, "?")': "?",
    r'COALESCE(?t = "2020-01-01T00:00:00Z"^^xsd:dateTime, "?")': "?",
}

#: Of these the engine has the right value, and it stays so.
KEPT = {
    r'?d != "2007-08-23"^^xsd:date': "true",
    r'?d = "2007-08-23"^^xsd:date || false': "false",
    r'"2006-08-23Z"^^xsd:date = ?d': "true",
    r'?i != "2007-08-23"^^xsd:date': "true",
    r'"12"^^xsd:byte + 1': "13",
    r'12 IN (1, "12"^^xsd:byte)': "true",
    r'"1e400"^^xsd:double > 1': "true",
    r'REGEX("a b", "^\\w+ b$")': "true",
    r"""REPLACE('abc'@en, '(b)', '''$1"x''')""": 'ab"xc',
    r'REGEX("ab#c", "a b # C", "xi")': "true",
    r'REPLACE("abc", "b", "")': "ac",
    r"STR(- 2.0)": "-2",
    r"STR(1.5 + 1)": "2.5",
    r"sameTerm(1.5, 1.5)": "true",
    r'REPLACE("abc", "b|c", "x")': "axx",
}

AGGREGATES = {
    "SELECT (COUNT(1/?x) AS ?n) { VALUES ?x { 0 1 } }": "1",
    "SELECT (COUNT(DISTINCT 1/?x) AS ?n) { VALUES ?x { 0 1 1 0.5 } }": "2",
    "SELECT (COUNT(DISTINCT IF(?x > 0, ?x, 1/0)) + 1 AS ?n) { VALUES ?x { 0 1 1 0.5 } }": "3",
    "SELECT (MAX(?x) AS ?n) { VALUES ?x { UNDEF 1 2 } }": "2",
    "SELECT (GROUP_CONCAT(?x) AS ?n) { VALUES ?x { 1 :a 'b' 'c'@en } }": "1 http://e.x/a b c",
    "SELECT (GROUP_CONCAT(DISTINCT ?x; SEPARATOR = ';') AS ?n) { VALUES ?x { 1 :a 'c'@en 'c'@fr 1 1.0 'a' } }":
        "1;http://e.x/a;c;c;1;a",
    "SELECT (COUNT(*) AS ?n) { VALUES ?x { 0 1 } } HAVING (COUNT(1/?x) = 1)": "2",
}  # fmt: skip

REFUSED = {
    'SELECT ("12"^^xsd:byte AS ?x) {}': "Write it as xsd:integer",
    'SELECT * { VALUES ?x { "-5"^^xsd:nonNegativeInteger } }': "Write it as xsd:integer",
    'SELECT * { BIND(IF(true, "7"^^<http://www.w3.org/2001/XMLSchema#short>, 1) AS ?x) }': "xsd:short",
    'CONSTRUCT { :a :p "12"^^xsd:unsignedInt } {}': "xsd:unsignedInt",
    "SELECT (1e400 AS ?x) {}": "no xsd:double is so large",
    "SELECT * { ?s ?p ?x FILTER(?x > 9223372036854775808) }": "64 bits",
    "SELECT (0.1234567890123456789 + 1 AS ?x) {}": "18 digits",
    r'SELECT * { ?s ?p ?x FILTER REGEX(?x, "(a)\\1") }': "STRBEFORE",
    r'SELECT * { ?s ?p ?x FILTER(REGEX(?x, "a(?=b)")) }': "STRBEFORE",
    'SELECT (REPLACE("a", "a", "$") AS ?x) {}': "number of a group",
    r'SELECT (REPLACE("a", "a", "\\n") AS ?x) {}': "written twice",
}
NO_SPARQL = [
    "SELECT * { FILTER(?x<?a&&?b>?y) }",
    "SELECT * { BIND(<<( <<( :a :b :c )>> :b :c )>> AS ?x) }",
    'SELECT * { BIND(<<( "a" :b :c )>> AS ?x) }',
]


def value(text):
    """The one value of the one solution; nothing where there is none."""
    for row in ox.Store().query(text):
        return row[0].value if row[0] is not None else None
    return None


def expression(text):
    return f"{PREFIXES} SELECT ({text} AS ?found) {{ VALUES {BOUND} }}"


@pytest.mark.parametrize("text", [*REWRITTEN, *KEPT])
def test_an_expression_has_the_value_that_sparql_says(text):
    assert value(guard(expression(text)).for_engine) == (REWRITTEN | KEPT)[text]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("STR(1.50)", "1.50"), ("str ( 007)", "007"), ("STR(-2.0)", "-2.0"), ("sameTerm(1.0, 1.00)", "false"),
        ("COALESCE(sameTerm(?x, 1.00), 'none')", "none"),
    ],
)  # fmt: skip
def test_numbers_stay_as_they_are_written_in_a_query_with_nothing_else(text, found):
    assert value(guard(f"SELECT ({text} AS ?found) {{}}").for_engine) == found


@pytest.mark.parametrize("text", REWRITTEN)
def test_the_engine_still_has_another_value(text):
    assert value(expression(text)) != REWRITTEN[text], f"{text}: its rewriting can go"


@pytest.mark.parametrize("text", AGGREGATES)
def test_an_aggregate_has_the_value_that_sparql_says(text):
    assert value(guard(PREFIXES + text).for_engine) == AGGREGATES[text]


@pytest.mark.parametrize("text", AGGREGATES)
def test_the_engine_still_has_another_value_of_the_aggregate(text):
    assert value(PREFIXES + text) != AGGREGATES[text], f"{text}: its rewriting can go"


@pytest.mark.parametrize("text", REFUSED)
def test_what_the_engine_would_get_wrong_is_refused_with_what_to_write(client, text):
    answer = client.get("/sparql", query_string={"query": PREFIXES + text})
    document = answer.get_json(force=True)
    assert answer.status_code == 400
    assert document["type"].endswith("/answered-wrongly")
    assert REFUSED[text] in document["detail"]
    assert document["column"] > len(PREFIXES)


@pytest.mark.parametrize("text", NO_SPARQL)
def test_what_is_no_sparql_is_told_though_the_engine_takes_it(client, text):
    ox.Store().query(PREFIXES + text)
    answer = client.get("/sparql", query_string={"query": PREFIXES + text})
    document = answer.get_json(force=True)
    assert answer.status_code == 400
    assert document["type"].endswith("/malformed-query")


def test_the_same_holds_for_an_update():
    group = r'{ BIND(REPLACE("ab", "(b)", "$1x") AS ?x) FILTER(REGEX("abc", "a b", "x")) }'
    given = str(for_engine(group, 0, len(group)))
    assert '"${1}x"' in given
    assert 'REGEX("abc", "ab", "")' in given
