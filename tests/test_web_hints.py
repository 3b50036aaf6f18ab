"""What a query without rows may have meant is told, and so is a mistyped parameter or code."""

import http.client
import json
from urllib.parse import quote, urlsplit

import pytest

HTML = {"Accept": "text/html"}
SLIPS = [
    ("SELECT * { ?s a k4p:Activty }", "There is no k4p:Activty in the graph; did you mean k4p:Activity?"),
    ("SELECT * { ?s a k4p:tool }", "did you mean k4p:Tool?"),
    ("SELECT * { ?s k4p:mesures ?o }", "There is no k4p:mesures in the graph; did you mean k4p:"),
    ("SELECT * { ?s skos:preflabel ?o }", "did you mean skos:prefLabel?"),
    ("SELECT * { activity:a4.2 ?p ?o }", "did you mean activity:A4.2?"),
    ("SELECT * { ?t k4p:access access:Free }", "did you mean access:free?"),
    ("PREFIX my: <https://w3id.org/kg4p1000/ontology/> SELECT * { ?s a my:Goals }", "did you mean k4p:Goal?"),
    ("SELECT * { ?s a <https://w3id.org/kg4p1000/ontology/Objectiv> }", "did you mean k4p:Objective?"),
    ("SELECT * { ?s <http://example.org/none> ?o }", "There is no http://example.org/none in the graph."),
    ('SELECT * { ?s skos:prefLabel "COMET-Farm" }', 'Labels have a language: the graph has "COMET-Farm"@en.'),
    ('SELECT * { ?s skos:notation "a4" }', 'did you mean "A4"?'),
    ("SELECT * { ?s skos:notation 'd2.3' ; a k4p:Activity }", 'did you mean "D2.3"?'),
    ("SELECT * { VALUES ?l { 'COMET-Farm' } ?s skos:prefLabel ?l }", 'the graph has "COMET-Farm"@en'),
]  # fmt: skip


def services_of(client):
    return client.application.extensions["kg4p1000"]


def ask(client, query, form="json", **headers):
    return client.get("/sparql", query_string={"query": query, "format": form}, headers=headers)


@pytest.fixture(scope="module", autouse=True)
def counted(app):
    app.extensions["kg4p1000"].census.results(1, patience=30)


@pytest.mark.parametrize(("query", "told"), SLIPS)
def test_a_query_without_rows_tells_what_may_have_been_meant(client, query, told):
    for form in ("json", "csv", "tsv", "xml"):
        for _ in range(2):  # the second time from the cache
            answer = ask(client, query, form)
            assert answer.status_code == 200
            assert told in answer.headers["KG-Hint"]
    page = ask(client, query, "html").text.replace("&#34;", '"').replace("&quot;", '"')
    assert told in page


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * { ?s a k4p:Goal }", "SELECT * { ?s a k4p:Project }", "ASK { ?s a k4p:Goal }",
        "SELECT (COUNT(*) AS ?n) { ?s a k4p:Goal }", 'SELECT * { ?s skos:prefLabel "COMET-Farm"@en ; a k4p:Goal }',
        'SELECT * { ?s skos:notation "no such" }', "CONSTRUCT WHERE { ?s a k4p:Goal }",
        "SELECT * { ?s a k4p:Goal FILTER(?s = 1) }", "SELECT * FROM graph:actors { ?s a k4p:Goal }",
    ],
)  # fmt: skip
def test_there_is_no_hint_where_there_is_nothing_to_say(client, query):
    form = "turtle" if "CONSTRUCT" in query else "json"
    assert "KG-Hint" not in ask(client, query, form).headers


def test_the_names_of_a_space_are_asked_once_for_all_that_are_not_there(client, monkeypatch):
    asked = []
    readers = services_of(client).readers
    ask_reader = readers.query
    monkeypatch.setattr(
        readers, "query", lambda text, **how: asked.append(text) or ask_reader(text, **how)
    )
    names = " ".join(f"k4p:nix{n}" for n in range(20))
    answer = ask(client, f"SELECT * {{ VALUES ?c {{ {names} }} ?s a ?c }}")
    assert "There is no k4p:nix19 in the graph" in answer.headers["KG-Hint"]
    assert len(asked) <= 3


def test_a_hint_can_stand_in_a_header_whatever_the_query_has(client):
    answer = ask(client, 'SELECT * { ?s <http://example.org/\u00e9\U0001f600> "a\\nb" }')
    assert answer.status_code == 200
    assert answer.headers["KG-Hint"].isascii()


@pytest.mark.parametrize(("query", "told"), SLIPS[:2] + SLIPS[-2:])
def test_a_real_client_gets_the_hint_on_either_way(address, query, told):
    place = urlsplit(address)
    line = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    for _ in range(3):
        line.request("GET", f"/sparql?format=json&query={quote(query)}")
        answer = line.getresponse()
        assert json.loads(answer.read())["results"]["bindings"] == []
        assert told in answer.headers["KG-Hint"]
    line.close()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("qurey", "query"),
        ("Query", "query"),
        ("fromat", "format"),
        ("defualt-graph-uri", "default-graph-uri"),
    ],
)
@pytest.mark.parametrize("accept", ["application/sparql-results+json", "text/html", "text/turtle"])
def test_a_mistyped_parameter_is_told_where_nothing_was_asked(client, name, meant, accept):
    answer = client.get(f"/sparql?{name}=SELECT*%7B%7D", headers={"Accept": accept})
    assert answer.status_code == 400
    assert f"did you mean {meant}?" in answer.text.replace("&#39;", "").replace("'", "")


def test_parameters_of_clients_are_no_slips(client):
    assert client.get("/sparql?output=json&query=ASK%7B%7D&infer=true").status_code == 200
    assert client.get("/sparql?infer=true", headers={"Accept": "text/turtle"}).status_code == 200


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("/query/activity-overlaps?objective=a4&other=D2", "A4"), ("/query/target-figures?objective=c2", "C2"),
        ("/query/tools-for-place-and-scale?property=SOC&scale=farm&region=002", "soc"),
        ("/page/objective/a4", "A4"), ("/id/activity/a4.2", "A4.2"), ("/data/objective/a4.ttl", "A4"),
    ],
)  # fmt: skip
def test_a_code_in_other_capitals_gets_the_right_one_as_a_hint(client, address, meant):
    answer = client.get(address, headers={"Accept": "application/json, text/turtle;q=0.5"})
    assert answer.status_code in (400, 404)
    assert f"Did you mean {meant}?" in answer.get_json(force=True)["detail"]


@pytest.mark.parametrize(
    "path",
    [
        "/graph-store?graph=graph:actors",
        "/sparql?query=ASK%7B?s%20a%20k4p:Organisation%7D&default-graph-uri=graph:actors",
    ],
)
def test_a_graph_may_be_named_with_a_prefix(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert "KG-Unknown-Graphs" not in answer.headers
