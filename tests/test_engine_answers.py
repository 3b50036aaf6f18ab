"""What the engine answers wrongly: answered rightly here, or refused with what to write instead.

Each entry of the table in docs/endpoint.md has its test of the engine itself: when one fails, a new engine answers as
SPARQL says, and the entry, its rewriting and the test can go.
"""

import csv
import io
import xml.etree.ElementTree as ET
from collections import Counter

import pyoxigraph as ox
import pytest

from kg4p1000.kernel.errors import KgError
from kg4p1000.sparql import guard
from kg4p1000.sparql.engine import for_engine
from kg4p1000.sparql.syntax import Parser

PREFIX = "PREFIX : <http://e.x/> "
DATA = """
PREFIX : <http://e.x/>
INSERT DATA {
  :a :p 1, 2 ; :q 1 ; :r :b, :c . :b :r :d . :c :r :d . :h :i :j ; :k :j . :s :v "x"@en, "y"@en .
  GRAPH :g1 { :a :p 1, 2 ; :q 1 } GRAPH :g2 { :a :p 1 . :y :p 5 } GRAPH :g3 { :z :zz :z3 }
}
"""


@pytest.fixture(scope="module")
def small():
    store = ox.Store()
    store.update(DATA)
    return store


def rows(store, text):
    found = store.query(text)
    if isinstance(found, ox.QueryBoolean):
        return Counter({bool(found): 1})
    names = sorted(v.value for v in found.variables)
    return Counter(tuple(short(row[name]) for name in names) for row in found)


def short(term):
    return "" if term is None else term.value.removeprefix("http://e.x/")


def counted(*found):
    return Counter(tuple(str(value) for value in row) for row in found)


#: A query, and its solutions as SPARQL 1.1 has them (by the names of the variables); the engine gives others.
REWRITTEN = {
    "select in graph": (
        "SELECT * { GRAPH ?g { SELECT DISTINCT ?s { ?s :p ?o } } }",
        counted(("g1", "a"), ("g2", "a"), ("g2", "y")),
    ),
    "select * in graph": (
        "SELECT ?g ?s { GRAPH ?g { { SELECT * { ?s :zz ?o } } } }",
        counted(("g3", "z")),
    ),
    "group in graph": (
        "SELECT * { GRAPH ?g { SELECT ?s (COUNT(*) AS ?n) { ?s :p ?o } GROUP BY ?s } }",
        counted(("g1", 2, "a"), ("g2", 1, "a"), ("g2", 1, "y")),
    ),
    "nested selects in graph": (
        "SELECT * { GRAPH ?g { SELECT ?s { { SELECT DISTINCT ?s { ?s :q ?o } } } } }",
        counted(("g1", "a")),
    ),
    "select in exists in graph": (
        "SELECT * { GRAPH ?g { ?a :p ?x FILTER EXISTS { SELECT ?a { ?a :q ?z } } } }",
        counted(("a", "g1", 1), ("a", "g1", 2)),
    ),
    "values in graph": (
        "SELECT * { GRAPH ?g { VALUES ?x { 7 } } }",
        counted(("g1", 7), ("g2", 7), ("g3", 7)),
    ),
    "values before optional in graph": (
        "SELECT * { GRAPH ?g { VALUES ?x { 5 } OPTIONAL { ?s :p ?x } } }",
        counted(("g1", "", 5), ("g2", "y", 5), ("g3", "", 5)),
    ),
    "graph in graph": (
        "SELECT * { GRAPH ?g { GRAPH :g3 { ?s ?p ?o } } }",
        counted(*((g, "z3", "zz", "z") for g in ("g1", "g2", "g3"))),
    ),
    "minus in graph": (
        "SELECT * { GRAPH ?g { ?a :q ?x MINUS { ?b :p ?y } } }",
        counted(("a", "g1", 1)),
    ),
    "ask minus in graph": ("ASK { GRAPH ?g { ?a :q ?x MINUS { ?b :q ?y } } }", Counter({True: 1})),
    "equal alternatives": ("SELECT * { :a (:p|:p) ?o }", counted((1,), (1,), (2,), (2,))),
    "alternatives": ("SELECT * { :a :p|:q ?o }", counted((1,), (1,), (2,))),
    "alternatives in a sequence": ("SELECT * { :h (:i|:k)/^:i ?o }", counted(("h",), ("h",))),
    "alternatives backwards": ("SELECT * { :j ^(:i|:k) ?o }", counted(("h",), ("h",))),
    "alternatives within brackets": (
        "SELECT * { ?s :r [ :r|:r ?o ] . FILTER(?o = :d) }",
        counted(*[("d", "a")] * 4),
    ),
    "alternatives among others": (
        "SELECT * { ?s :i ?o ; :i|:k ?x ; :k ?y }",
        counted(*[("j", "h", "j", "j")] * 2),
    ),
    "alternatives with several objects": (
        "SELECT (COUNT(*) AS ?n) { :a :p|:q ?x, ?y }",
        counted((9,)),
    ),
    "a sequence as an alternative": ("SELECT * { :a (:r/:r)|:none ?o }", counted(("d",), ("d",))),
    "negated both ways": ("SELECT * { :h !(:z|^:z) ?o }", counted(("j",), ("j",))),
    "no step from a new term": ("SELECT * { :new :r* ?y }", counted(("new",))),
    "no step to a new term": ("SELECT * { ?y :r? :new }", counted(("new",))),
    "no step between new terms": ("ASK { :new (:r|:p)* :new }", Counter({True: 1})),
    "no step backwards": ("SELECT * { 77 ^:r* ?y }", counted((77,))),
    "no step in a graph": (
        "SELECT * { GRAPH ?g { :y :zz* ?y } }",
        counted(("g1", "y"), ("g2", "y"), ("g3", "y")),
    ),
    "no step, optional": (
        "SELECT * { :s :v 'x'@en OPTIONAL { :new :r*|:q ?z } }",
        counted(("new",)),
    ),
    "values in a graph that is not there": ("SELECT * { GRAPH :none { VALUES ?x { 1 } } }", counted()),
    "count in a graph that is not there": (
        "SELECT * { GRAPH :none { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }",
        counted(),
    ),
    "graph in a graph that is not there": (
        "SELECT * { GRAPH :none { GRAPH :g1 { ?s :q ?o } } }",
        counted(),
    ),
    "minus in an optional in a group": (
        "SELECT * { ?x :q ?v { ?x :p ?y OPTIONAL { ?s :i ?t MINUS { ?b :r ?c } } } }",
        counted(("h", "j", 1, "a", 1), ("h", "j", 1, "a", 2)),
    ),
    "limit in an optional in a group": (
        "SELECT * { ?x :r ?y { ?y :r ?d OPTIONAL { SELECT ?y ?z { ?y :r ?z } ORDER BY ?y LIMIT 1 } } }",
        counted(("d", "a", "b", ""), ("d", "a", "c", "")),
    ),
    "limit in an optional in another": (
        "SELECT * { ?x :r ?y OPTIONAL { ?y :r ?d OPTIONAL { SELECT ?y ?z { ?y :r ?z } ORDER BY ?y LIMIT 1 } } }",
        counted(*(("d", "a", y, "") for y in "bc"), *(("", x, "d", "") for x in "bc")),
    ),
    "optionals in each other": (
        "SELECT * { ?x :r ?y OPTIONAL { ?y :r ?d OPTIONAL { ?h :q ?j OPTIONAL { ?y :p ?j } } } }",
        counted(*(("d", "", "", "a", y) for y in "bc"), *(("", "", "", x, "d") for x in "bc")),
    ),
    "group_concat": (
        "SELECT (LANG(GROUP_CONCAT(?v)) AS ?l) { VALUES ?v { 'x'@en 'y'@en } }",
        counted(("",)),
    ),
    "group_concat in having": (
        "SELECT ?s { ?s :v ?v } GROUP BY ?s HAVING(DATATYPE(GROUP_CONCAT(?v ; SEPARATOR = ')')) ="
        " <http://www.w3.org/2001/XMLSchema#string>)",
        counted(("s",)),
    ),
}  # fmt: skip

#: A query that is refused, and what is said of what to write instead.
REFUSED = {
    "SELECT * { GRAPH ?g { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } } }": "GROUP BY ?g",
    "SELECT * { GRAPH ?g { SELECT ?s { ?s ?p ?o } LIMIT 1 } }": "put the SELECT around",
    "SELECT * { GRAPH ?g { { SELECT ?s { ?s ?p ?g } } } }": "another name",
    "SELECT * { GRAPH ?g { ?s :p ?o MINUS { ?t :p ?z OPTIONAL { ?s :q ?y } } } }": "FILTER NOT EXISTS",
    "SELECT * { GRAPH ?g { ?s :p ?o FILTER(?g = :g1) } }": "behind the braces",
    "SELECT * { GRAPH ?g { ?s :p ?o OPTIONAL { ?s :q ?g } } }": "name the variable otherwise",
    "SELECT * { GRAPH ?g { ?s :p ?o FILTER NOT EXISTS { ?s :in ?g } } }": "behind the braces",
    "SELECT * { GRAPH ?g { ?s :p ?o MINUS { ?s :in ?g } } }": "behind the braces",
    "SELECT (SUM(COUNT(*)) AS ?n) { ?s ?p ?o }": "a SELECT of its own",
    "SELECT (BNODE('a b') AS ?b) { }": "BNODE()",
    "SELECT * { ?s ?p ?o BIND(BNODE(STR(?o)) AS ?b) }": "BNODE()",
    "SELECT * { _:x :p|:q ?o }": "a variable",
    "SELECT * { ?s " + "/".join(["(:a|:b)"] * 9) + " ?o }": "several statements",
}  # fmt: skip

#: Queries that the engine answers rightly, and is given as they are.
UNTOUCHED = [
    "SELECT * { ?s :p|:q ?o }".replace("|", "/"),
    "SELECT * { ?s :r* ?o }",
    "SELECT * { ?s (:p|:q)+ ?o }",
    "SELECT * { ?s ^:p/:q? ?o }",
    "SELECT (COUNT(*) AS ?n) (BNODE() AS ?b) { ?s ?p ?o FILTER(?o = 1 || ?o = 2) }",
    "SELECT * { GRAPH ?g { ?s :p ?o OPTIONAL { ?s :q ?x } MINUS { ?s :r ?y } } }",
    "SELECT * { GRAPH ?g { SELECT ?g ?s { ?s :p ?o } } }",
    "SELECT * { GRAPH :g1 { SELECT (COUNT(*) AS ?n) { ?s ?p ?o } GROUP BY ?s } }",
    "SELECT * { GRAPH :g1 { VALUES ?x { 1 } ?s ?p ?x } OPTIONAL { ?s :q ?y OPTIONAL { ?s :r ?z } } }",
    "SELECT ('GRAPH ?g { SELECT | * BNODE(' AS ?x) { }",
    "SELECT (?a * ?b AS ?c) { VALUES (?a ?b) { (1 2) } }",
    "SELECT * { GRAPH ?g { } }",
    "SELECT * { GRAPH ?g { ?s :in ?g FILTER(?g = :g1) } FILTER(?g != :g2) }",
    "ASK { FILTER(true || 'TRUE' = ?true) }",
]


@pytest.mark.parametrize("name", REWRITTEN)
def test_what_the_engine_answers_wrongly_is_asked_so_that_it_is_right(small, name):
    text, right = REWRITTEN[name]
    assert rows(small, guard(PREFIX + text).for_engine) == right


@pytest.mark.parametrize("name", REWRITTEN)
def test_the_engine_still_answers_this_wrongly(small, name):
    text, right = REWRITTEN[name]
    assert rows(small, PREFIX + text) != right, (
        f"{name}: the engine is right now; the rewriting can go"
    )


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_asked_otherwise_is_refused_with_what_to_write(client, text):
    response = client.get("/sparql", query_string={"query": PREFIX + text})
    document = response.get_json(force=True)
    assert response.status_code == 400
    assert document["type"].endswith("/answered-wrongly")
    assert REFUSED[text] in document["detail"]
    assert document["line"] == 1
    assert document["column"] > len(PREFIX)


@pytest.mark.parametrize("text", UNTOUCHED)
def test_what_the_engine_answers_rightly_is_given_as_it_is(text):
    assert guard(PREFIX + text).for_engine == PREFIX + text


def test_the_engine_still_makes_one_node_of_bnode_with_a_string(small):
    text = "SELECT (COUNT(DISTINCT ?b) AS ?n) { VALUES ?x { 'a' 'a' } BIND(BNODE(?x) AS ?b) }"
    assert rows(small, text) == counted((1,))


def test_truth_in_capitals_is_truth(small):
    text = "SELECT (FALSE AS ?x) { FILTER(TRUE) FILTER(True || FALSE) }"
    assert rows(small, guard(text).for_engine) == counted(("false",))


def test_a_function_that_is_not_here_is_told(client):
    answer = ask(client, "SELECT (<http://e.x/f>(1) AS ?x) {}", "json")
    assert answer.status_code == 400
    assert "There is no function <http://e.x/f> here." in answer.get_json(force=True)["detail"]


def test_each_stored_query_is_read_to_its_end(library):
    for query in library:
        assert Parser(query.text).query().parts


def test_an_error_behind_what_was_rewritten_is_told_where_it_was_written(client):
    text = "SELECT * { ?s skos:prefLabel|rdfs:label ?o ;\n  k4p:partOf ec:1.2.3.4 . ?s ?p }"
    document = client.get("/sparql", query_string={"query": text}).get_json(force=True)
    assert document["line"] == 2


def test_a_where_clause_of_an_update_is_rewritten_and_refused_too(small):
    text = "INSERT { GRAPH :g { :a :n ?o } } WHERE { :new :r* ?o . ?s ec:1.2.3 :x }"
    group = str(for_engine(text, text.index("WHERE") + 6, len(text)))
    assert "UNION" in group
    assert r"ec:1\.2\.3" in group
    with pytest.raises(KgError, match="BNODE"):
        for_engine("{ BIND(BNODE('a') AS ?b) }", 0, 26)


# columns


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("SELECT * { ?z skos:notation ?a ; a ?m }", ["z", "a", "m"]),
        ("SELECT DISTINCT * { ?z a ?c FILTER(?b != ?z) BIND(1 AS ?b) }", ["z", "c", "b"]),
        ("SELECT * { { SELECT ?z ?y { ?y a ?hidden ; ?z ?x } } ?b ?a ?y }", ["z", "y", "b", "a"]),
        ("SELECT\n*\nWHERE { VALUES (?z ?a) { (1 2) } } ORDER BY ?a", ["z", "a"]),
        ("SELECT * { }", []),
    ],
)
def test_columns_of_select_star_come_as_they_appear(client, text, columns):
    found = client.get("/sparql", query_string={"query": text + " LIMIT 2", "format": "json"})
    assert found.get_json(force=True)["head"]["vars"] == columns
    found = client.get("/sparql", query_string={"query": text + " LIMIT 2", "format": "csv"})
    assert found.text.split("\r\n")[0] == ",".join(columns)


# formats


def ask(client, query, form):
    return client.get("/sparql", query_string={"query": query, "format": form})


VALUES = [
    "http://dbpedia.org/resource/Paris,_Texas", 'say "hello", twice', "two\nlines", "cr\rhere", "tab\there",
    r"back\slash \n", " blanks ", "<http://e.x/,>", "", "é,☃", "'", "a\u0007b",
]  # fmt: skip


def test_csv_gives_back_each_value_whatever_is_in_it(client):
    data = " ".join(
        f"(<{value}> {ox.Literal(value)} {ox.Literal(value, language='en')})"
        if value.startswith("http")
        else f"(UNDEF {ox.Literal(value)} {ox.Literal(value, datatype=ox.NamedNode('http://e.x/d,t'))})"
        for value in VALUES
    )
    answer = ask(client, f"SELECT ?iri ?a ?b {{ VALUES (?iri ?a ?b) {{ {data} }} }}", "csv")
    read = list(csv.reader(io.StringIO(answer.data.decode(), newline="")))
    assert read[0] == ["iri", "a", "b"]
    assert [row[1:] for row in read[1:]] == [[value, value] for value in VALUES]
    assert read[1][0] == VALUES[0]


def test_the_engine_still_leaves_commas_of_iris_in_csv_as_they_are(small):
    found = small.query("SELECT (<http://e.x/a,b> AS ?x) (1 AS ?y) {}")
    assert b'"http' not in found.serialize(format=ox.QueryResultsFormat.CSV)


def test_long_csv_is_whole(client):
    text = "SELECT ?s ?p ?o { GRAPH graph:plan-2020 { ?s ?p ?o } }"
    read = list(csv.reader(io.StringIO(ask(client, text, "csv").data.decode(), newline="")))
    cells = ask(client, text, "json").get_json(force=True)["results"]["bindings"]
    assert Counter(map(tuple, read[1:])) == Counter(
        tuple(cell[name]["value"] for name in "spo") for cell in cells
    )


@pytest.mark.parametrize("sign", ["\u0007", "\u000c", "\u0000", "\uffff", "\ufffe"])
@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("SELECT ({} AS ?x) {{}}", "xml"),
        ("CONSTRUCT {{ <http://e.x/a> <http://e.x/p> {} }} {{}}", "rdfxml"),
    ],
)
def test_characters_that_xml_does_not_have_are_refused_before_the_head(client, text, form, sign):
    answer = ask(client, text.format(ox.Literal(f"a{sign}b")), form)
    assert answer.status_code == 406
    assert f"U+{ord(sign):04X}" in answer.get_json(force=True)["detail"]


def test_a_carriage_return_comes_through_xml(client):
    answer = ask(client, r"SELECT ('a\rb\nc' AS ?x) {}", "xml")
    assert ET.fromstring(answer.data).findtext(".//{*}literal") == "a\rb\nc"


@pytest.mark.parametrize(
    "triple",
    [
        "<http://e.x/2030> 1", "<http://e.x/> 1", "<http://e.x/a%20b(c)> 1", "a <http://e.x/2030>", "rdf:li 1", "rdf:Description 1",
        "<http://www.w3.org/2000/xmlns/foo> 1",
        "<http://e.x/p> <<( <http://e.x/s> <http://e.x/2030> 1 )>>",
    ],
)  # fmt: skip
def test_names_that_rdf_xml_does_not_have_are_refused_before_the_head(client, triple):
    text = f"CONSTRUCT {{ activity:A4.2 {triple} }} {{}}"
    answer = ask(client, text, "rdfxml")
    assert answer.status_code == 406
    assert "Turtle" in answer.get_json(force=True)["detail"]
    assert ask(client, text, "turtle").status_code == 200


@pytest.mark.parametrize("name", ["a.b", "2030abc", "a-b", "_", "x#é", "a;b"])
def test_names_that_rdf_xml_has_come_through(client, name):
    text = f"CONSTRUCT {{ activity:A4.2 <http://e.x/{name}> 1 ; a <http://e.x/{name}> }} {{}}"
    answer = ask(client, text, "rdfxml")
    assert answer.status_code == 200
    read = list(ox.parse(answer.data, format=ox.RdfFormat.RDF_XML))
    assert {quad.predicate.value for quad in read} >= {f"http://e.x/{name}"}
    assert {quad.object.value for quad in read} == {"1", f"http://e.x/{name}"}


def test_triple_terms_as_json_ld_are_refused_in_words(client):
    text = "CONSTRUCT { <http://e.x/a> <http://e.x/b> <<( <http://e.x/c> <http://e.x/d> 1 )>> } {}"
    answer = ask(client, text, "jsonld")
    assert answer.status_code == 406
    assert "triple terms" in answer.get_json(force=True)["detail"]


@pytest.mark.parametrize("path", ["/ontology", "/ontology/Activity", "/graph/ontology"])
@pytest.mark.parametrize(
    ("media_type", "form"),
    [
        ("text/turtle", ox.RdfFormat.TURTLE),
        ("application/rdf+xml", ox.RdfFormat.RDF_XML),
        ("application/n-triples", ox.RdfFormat.N_TRIPLES),
        ("application/ld+json", ox.RdfFormat.JSON_LD),
    ],
)
def test_cardinalities_have_the_datatype_that_owl_demands(client, path, media_type, form):
    answer = client.get(path, headers={"Accept": media_type}, follow_redirects=True)
    assert answer.status_code == 200
    found = [q for q in ox.parse(answer.data, format=form) if "ardinality" in q.predicate.value]
    assert found
    assert {q.object.datatype.value.partition("#")[2] for q in found} == {"nonNegativeInteger"}
