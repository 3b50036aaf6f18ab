"""/openapi.json: valid, whole, and true of the routes."""

import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from kg4p1000.web.rendering import LANGUAGES


@pytest.fixture
def document(client):
    response = client.get("/openapi.json")
    assert response.content_type == "application/json"
    return response.json


def test_the_description_is_valid(document):
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_every_route_is_described_and_nothing_else(app, document, library):
    routes = {
        (re.sub(r"<(?:[^:>]*:)?([^>]+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    } | {(f"/query/{query.name}", "get") for query in library}
    assert routes == {(path, method) for path, of in document["paths"].items() for method in of}
    assert all(of["summary"] for path in document["paths"].values() for of in path.values())


def operations(document):
    for path, of in document["paths"].items():
        for method, operation in of.items():
            yield path, method, operation


def test_what_needs_a_token_is_what_the_description_says(client, document):
    """Each address is asked without a token: 401 for those that are guarded, and for no others."""
    guarded = 0
    for path, method, operation in operations(document):
        filled = re.sub(r"\{\w+\}", "1", path)
        response = client.open(
            filled, method=method.upper(), headers={"Accept": "application/json"}
        )
        assert (response.status_code == 401) == ("security" in operation), (path, method)
        response.close()
        guarded += "security" in operation
    assert guarded == 8


def test_a_stored_query_has_its_parameters_and_its_examples_work(client, document, library):
    query = next(query for query in library if query.parameters)
    described = document["paths"][f"/query/{query.name}"]["get"]["parameters"]
    needed = {p["name"]: p["example"] for p in described if p.get("required")}
    assert needed.keys() == {p.name for p in query.parameters}
    response = client.get(f"/query/{query.name}", query_string={**needed, "format": "json"})
    assert response.status_code == 200


def test_an_answer_has_one_of_the_media_types_that_are_described(client, document):
    """Asked are all addresses without parameters that anyone may ask."""
    seen = 0
    for path, method, operation in operations(document):
        if method != "get" or "{" in path or "security" in operation:
            continue
        response = client.get(path)
        if response.status_code == 200:
            described = operation["responses"]["2XX"]["content"]
            assert response.mimetype in described, path
            seen += 1
        response.close()
    assert seen > 15


def test_the_front_page_leads_to_it(client):
    assert 'href="/openapi.json"' in client.get("/", headers={"Accept": "text/html"}).text


def test_changes_say_that_they_may_be_conditional(client):
    paths = client.get("/openapi.json").json["paths"]
    for path, method in (
        ("/update", "post"),
        ("/graph-store", "put"),
        ("/graph-store", "post"),
        ("/graph-store", "delete"),
        ("/versions/{version}/undo", "post"),
    ):
        operation = paths[path][method]
        headers = {p["name"] for p in operation["parameters"] if p["in"] == "header"}
        assert headers == {"If-Match", "If-None-Match"}
        assert "412" in operation["responses"]
    assert {p["name"] for p in paths["/overlaps/"]["get"]["parameters"]} >= {
        "objective",
        "confidence",
        "page",
    }


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/ontology", {"lang", "q"}),
        ("/ontology/module/{module}", {"lang"}),
        ("/ontology/{term}", {"lang", "q"}),
        ("/releases/ontology/{number}", {"lang", "q"}),
        ("/releases/ontology/{number}/{module}", {"lang", "q"}),
    ],
)
def test_the_pages_of_the_ontology_say_that_they_take_a_language_and_words(document, path, names):
    described = {p["name"]: p for p in document["paths"][path]["get"]["parameters"]}
    assert {"lang", "q"} & described.keys() == names
    assert described["lang"]["schema"]["enum"] == list(LANGUAGES)
