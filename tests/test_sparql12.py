"""What the service says that it has of SPARQL 1.2: each is proved, and stands in the description and in the docs."""

import re
from pathlib import Path

import pytest

from kg4p1000.web.home import BEYOND

DOCS = (Path(__file__).parents[1] / "docs" / "endpoint.md").read_text("utf-8")
TRIPLE = "TRIPLE(<http://e.org/s>, <http://e.org/p>, 1)"
TIME = '"2020-01-01T00:00:00Z"^^xsd:dateTime'
HOUR = '"PT1H"^^xsd:dayTimeDuration'
#: Feature to queries of one row with one column, and the value of it.
PROOFS = {
    "VERSION": [('VERSION "1.2" SELECT ("x" AS ?x) {}', "x")],
    "triple terms": [
        ("SELECT (OBJECT(?t) AS ?x) { BIND(<<( <http://e.org/s> <http://e.org/p> 1 )>> AS ?t) }", "1"),
    ],
    "reifiers": [
        ("SELECT (COUNT(*) AS ?x) { << ?s ?p ?o ~ ?r >> <http://e.org/q> ?v }", "0"),
        ("SELECT (COUNT(*) AS ?x) { << goal:A ?p ?o >> ?q ?v }", "0"),
    ],
    "annotations": [("SELECT (COUNT(*) AS ?x) { goal:A ?p ?o ~ ?r {| ?q ?v |} }", "0")],
    "TRIPLE": [(f"SELECT (STR(OBJECT({TRIPLE})) AS ?x) {{}}", "1")],
    "SUBJECT, PREDICATE, OBJECT": [
        (f"SELECT (STR({name}({TRIPLE})) AS ?x) {{}}", value)
        for name, value in (("SUBJECT", "http://e.org/s"), ("PREDICATE", "http://e.org/p"), ("OBJECT", "1"))
    ],
    "isTRIPLE": [(f"SELECT (isTRIPLE({TRIPLE}) AS ?x) {{}}", "true"), ("SELECT (isTRIPLE(1) AS ?x) {}", "false")],
    "base direction": [
        ('SELECT (STR(DATATYPE("x"@ar--rtl)) AS ?x) {}',
         "http://www.w3.org/1999/02/22-rdf-syntax-ns#dirLangString"),
    ],
    "LANGDIR, STRLANGDIR": [('SELECT (LANGDIR(STRLANGDIR("x", "ar", "rtl")) AS ?x) {}', "rtl")],
    "hasLANG, hasLANGDIR": [
        ('SELECT (hasLANG("x"@en) AS ?x) {}', "true"),
        ('SELECT (hasLANGDIR("x"@en) AS ?x) {}', "false"),
        ('SELECT (hasLANGDIR("x"@en--ltr) AS ?x) {}', "true"),
    ],
    "LATERAL": [
        ("SELECT (COUNT(*) AS ?x) { ?g a k4p:Goal LATERAL { SELECT ?o { ?o k4p:objectiveOf ?g } LIMIT 1 } }", "6"),
    ],
    "ADJUST": [(f"SELECT (STR(ADJUST({TIME}, {HOUR})) AS ?x) {{}}", "2020-01-01T01:00:00+01:00")],
    "difference of times": [
        (f'SELECT (STR({TIME} - "2019-01-01T00:00:00Z"^^xsd:dateTime) AS ?x) {{}}', "P365D"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("query", "value"), [proof for proofs in PROOFS.values() for proof in proofs]
)
def test_a_feature_that_is_announced_works(client, query, value):
    response = client.get("/sparql", query_string={"query": query, "format": "json"})
    assert response.status_code == 200, response.text
    (row,) = response.json["results"]["bindings"]
    assert row["x"]["value"] == value


def test_a_triple_term_is_told_in_json(client):
    query = f"SELECT ({TRIPLE} AS ?x) {{}}"
    response = client.get("/sparql", query_string={"query": query, "format": "json"})
    term = response.json["results"]["bindings"][0]["x"]
    assert (term["type"], term["value"]["object"]["value"]) == ("triple", "1")


def test_what_is_announced_is_proved_described_and_documented(client):
    assert set(BEYOND) == PROOFS.keys()
    description = client.get("/sparql", headers={"Accept": "text/turtle"}).text
    table = re.search(r"## SPARQL 1\.2\n(.*?)\n## ", DOCS, re.DOTALL).group(1)
    listed = [row.split(" | ")[0][2:] for row in table.splitlines() if row.startswith("| ")][1:]
    assert listed == list(BEYOND)
    assert all(name in description for name in BEYOND)
