import csv
import html
import io
import json
import re
from pathlib import Path

import pytest

from everything import for_each
from kg4p1000.knowledge.queries import Library
from kg4p1000.knowledge.questions import cases
from kg4p1000.web import create_app

ROOT = Path(__file__).parents[1]

HTML = {"Accept": "text/html"}
QUERY = """#+ summary: Activities of an objective
#+ question: What is to be done for <this> objective?
#+ tags: [objective-A4, plan]
#+ parameters:
#+   objective: {type: objective, example: "A4", help: "code of an objective"}
#+ returns: {objective: as given, code: its code}
#+ status: stable
#+ empty: No activity is planned for it.
PREFIX k4p: <https://w3id.org/kg4p1000/ontology/>
PREFIX skos: <http://www.w3.org/2004/02/skos/core#>
SELECT ?objective ?code
WHERE { ?activity k4p:activityOf ?objective ; skos:notation ?code }
ORDER BY ?code
"""
GRAPH = """#+ summary: All goals as triples
CONSTRUCT { ?s a k4p:Goal } WHERE { ?s a k4p:Goal }
"""
TRUTH = """#+ summary: Whether there are goals
ASK { ?s a k4p:Goal }
"""


@pytest.fixture
def stored(tmp_path, settings, store, readers):
    none = QUERY.replace("k4p:activityOf", "k4p:noSuchThing")
    for name, text in {"activities": QUERY, "goals": GRAPH, "any": TRUTH, "nothing": none}.items():
        (tmp_path / f"{name}.rq").write_text(text, encoding="utf-8")
    return create_app(settings, store, readers, Library(tmp_path)).test_client()


def test_the_list_shows_question_name_and_parameters(stored):
    text = stored.get("/query/").text
    assert "What is to be done for &lt;this&gt; objective?" in text
    assert 'href="/query/activities"' in text
    assert "<code>objective</code> such as A4" in text


def test_an_empty_library_is_told(tmp_path, settings, store, readers):
    app = create_app(settings, store, readers, Library(tmp_path))
    assert "no stored queries" in app.test_client().get("/query/").text


def test_a_query_answers_programs_in_json(stored):
    document = stored.get("/query/activities?objective=A4").get_json(force=True)
    codes = [row["code"]["value"] for row in document["results"]["bindings"]]
    assert codes == ["A4.1", "A4.2", "A4.3", "A4.4"]


@pytest.mark.parametrize(
    ("query", "headers"),
    [("objective=A4&format=csv", {}), ("objective=A4", {"Accept": "text/csv"})],
)
def test_a_query_answers_in_csv(stored, query, headers):
    response = stored.get(f"/query/activities?{query}", headers=headers)
    assert response.content_type == "text/csv; charset=utf-8"
    assert next(csv.DictReader(io.StringIO(response.text)))["code"] == "A4.1"


def test_a_query_for_triples_answers_in_turtle(stored):
    response = stored.get("/query/goals")
    assert response.mimetype == "text/turtle"
    assert "goal:A a k4p:Goal" in response.text


def test_the_page_shows_form_result_and_query(stored):
    text = stored.get("/query/activities?objective=A4", headers=HTML).text
    assert 'name="objective" value="A4"' in text
    assert "4 rows, complete" in text
    assert "ORDER BY ?code" in text
    assert "#+" not in text
    assert 'href="/query/activities?objective=A4&amp;format=csv"' in text


def test_the_page_without_parameters_shows_the_examples_and_runs_nothing(stored):
    response = stored.get("/query/activities", headers=HTML)
    assert response.status_code == 200
    assert 'value="A4"' in response.text
    assert 'id="result"' not in response.text


def test_a_query_without_parameters_runs_at_once(stored):
    assert "Yes" in stored.get("/query/any", headers=HTML).text
    assert "goal:A a k4p:Goal" in stored.get("/query/goals", headers=HTML).text


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("", "objective"), ("?objective=", "objective"), ("?objectve=A4", "objectve"),
     ("?objective=A4&x=1", "x"), ("?objective=%3E%20.", "objective")],
)  # fmt: skip
def test_programs_are_told_which_parameter_is_wrong(stored, query, parameter):
    response = stored.get(f"/query/activities{query}")
    assert response.status_code == 400
    assert json.loads(response.text)["parameter"] == parameter


def test_people_are_told_which_parameter_is_wrong(stored):
    response = stored.get("/query/activities?objectve=A4", headers=HTML)
    assert response.status_code == 400
    assert "Did you mean &#39;objective&#39;?" in response.text


def test_an_empty_result_says_what_it_means(stored):
    text = stored.get("/query/nothing?objective=A4", headers=HTML).text
    assert "No activity is planned for it." in text


@pytest.mark.parametrize("form", ["json", "csv", "tsv", "xml"])
def test_programs_are_told_what_an_empty_result_means(stored, form):
    response = stored.get(f"/query/nothing?objective=A4&format={form}")
    assert response.headers["KG-Empty"] == "No activity is planned for it."
    assert "KG-Empty" not in stored.get(f"/query/activities?objective=A4&format={form}").headers


def test_a_code_of_nothing_is_a_bad_parameter(stored):
    response = stored.get("/query/activities?objective=Z9")
    assert response.status_code == 400
    assert json.loads(response.text)["parameter"] == "objective"


def test_an_unknown_query_is_not_found_with_a_hint(stored):
    response = stored.get("/query/activites")
    assert response.status_code == 404
    assert "Did you mean activities?" in json.loads(response.text)["detail"]


def test_a_version_can_be_named(stored):
    assert stored.get("/query/any?version=1").headers["KG-Version"] == "1"
    assert stored.get("/query/any?version=9").status_code == 404


def test_parameters_are_bound_and_never_pasted(stored):
    response = stored.get("/query/activities", query_string={"objective": "A4> } #"})
    assert response.status_code == 400


@pytest.mark.slow
def test_every_stored_query_of_the_repository_has_a_page(client, library):
    for query in library:
        values = {parameter.name: parameter.example for parameter in query.parameters}
        response = client.get(f"/query/{query.name}", query_string=values, headers=HTML)
        assert response.status_code == 200, response.text
        assert 'id="result"' in response.text


def rows_of(answer):
    return sorted(map(str, answer.get_json(force=True)["results"]["bindings"]))


@for_each(
    "case",
    lambda: [c for c in cases(Library(ROOT / "queries")) if c.values],
    ids=lambda case: case.label,
)
def test_change_it_asks_what_the_page_shows(client, case):
    page = client.get(f"/query/{case.query.name}", query_string=case.values, headers=HTML).text
    href = html.unescape(re.search(r'href="([^"]+)">Change it<', page)[1])
    asked = client.get(f"{href}&format=json")
    told = client.get(f"/query/{case.query.name}", query_string={**case.values, "format": "json"})
    assert rows_of(asked) == rows_of(told)


def test_change_it_has_the_examples_before_anyone_gave_values(client):
    page = client.get("/query/activity-overlaps", headers=HTML).text
    href = html.unescape(re.search(r'href="([^"]+)">Change it<', page)[1])
    told = client.get("/query/activity-overlaps?objective=A4&other=D2&format=json")
    assert rows_of(client.get(f"{href}&format=json")) == rows_of(told)


VALUES = {
    "xsd:string": ['say "hi"', "it's", "a\\b", "\\n", "a\nb\tc", '"""', "} # x", "é\u200b😀", "\x07", "{ ?s ?p ?o }"],
    "xsd:integer": ["5", "-5", "+7", "99999999999999999999"],
    "xsd:decimal": ["0.5", "-.5", "1.", "1.50"],
    "iri": ["https://w3id.org/kg4p1000/id/activity/A4.2", "http://example.org/a(b)'c"],
    "activity": ["A4.2"],
    "code:topic": ["regional-network"],
}  # fmt: skip
FORMS = [
    "SELECT ?v ?n WHERE {{ {} BIND(STR(?v) AS ?n) }}",
    "SELECT ?v (COUNT(*) AS ?n) {{ ?s a k4p:Goal {} }} GROUP BY ?v HAVING(COUNT(*) > 1)",
    "SELECT ?v ?s WHERE {{ # {{\n ?s a k4p:Goal {} OPTIONAL {{ ?s ?p ?o FILTER(?o = ?v) }} }} VALUES ?s {{ goal:A }}",
    "CONSTRUCT {{ <x:s> <x:p> ?v }} WHERE {{ ?s a k4p:Goal {} }}",
]


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("form", FORMS)
def test_change_it_asks_the_same_whatever_the_value(tmp_path, settings, store, readers, form, kind):
    hint = "\n  # In a tool that knows no parameters, add here: VALUES ?v { 1 }\n"
    example = VALUES[kind][0].replace("\\", "\\\\").replace('"', '\\"')
    header = f'#+ summary: S\n#+ parameters:\n#+   v: {{type: "{kind}", example: "{example}"}}\n'
    (tmp_path / "q.rq").write_text(header + form.format(hint))
    web = create_app(settings, store, readers, Library(tmp_path)).test_client()
    for value in VALUES[kind]:
        page = web.get("/query/q", query_string={"v": value}, headers=HTML).text
        asked = html.unescape(re.search(r'href="([^"]+)">Change it<', page)[1])
        suffix = "turtle" if form.startswith("CONSTRUCT") else "json"
        told = web.get("/query/q", query_string={"v": value, "format": suffix})
        assert told.status_code == 200, told.text
        assert web.get(f"{asked}&format={suffix}").text == told.text
