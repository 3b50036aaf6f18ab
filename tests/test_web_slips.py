"""Slips in addresses, forms and updates are told with what was meant; long lists have pages; bodies and ranges as HTTP has them."""

import zlib

import pytest

from kg4p1000.curation.access import Tokens
from kg4p1000.kernel.settings import Settings
from kg4p1000.store import Readers
from kg4p1000.web import create_app

HTML = {"Accept": "text/html"}
NOTE = 'INSERT DATA { GRAPH graph:notes { activity:A1.1 skos:editorialNote "slip"@en } }'
DIRECT = "application/sparql-update"


@pytest.fixture(scope="module")
def built(own):
    return own()


@pytest.fixture(scope="module")
def app(built, settings, library):
    readers = Readers(built, size=2, timeout=600, memory=300)
    made = Settings(store=built.path, files=settings.files, upload_size=200_000)
    app = create_app(made, built, readers, library)
    app.extensions["kg4p1000"].census.results(1, patience=60)
    yield app
    app.extensions["kg4p1000"].writer.close()
    readers.close()


@pytest.fixture(scope="module")
def steward(built):
    token = Tokens(built.path / "tokens.json").create("Slips", "admin")
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.mark.parametrize(
    ("query", "form", "told"),
    [
        ("ASK { ?s a k4p:Activty }", "json", "did you mean k4p:Activity?"),
        ("ASK { ?s a k4p:Activty }", "xml", "did you mean k4p:Activity?"),
        ("SELECT (COUNT(*) AS ?n) { ?s a k4p:Activty }", "csv", "did you mean k4p:Activity?"),
        ("SELECT (COUNT(*) AS ?n) { ?s a k4p:Activty }", "tsv", "did you mean k4p:Activity?"),
        (
            "SELECT (COUNT(?s) AS ?n) (COUNT(?t) AS ?m) { ?s a k4p:Goals ; k4p:x ?t }",
            "xml",
            "did you mean k4p:Goal?",
        ),
        ("CONSTRUCT WHERE { ?s a k4p:Activty }", "turtle", "did you mean k4p:Activity?"),
        ("CONSTRUCT WHERE { ?s a k4p:Activty }", "jsonld", "did you mean k4p:Activity?"),
        ("DESCRIBE objective:a4", "ntriples", "did you mean objective:A4?"),
    ],
)
def test_whatever_finds_nothing_tells_what_may_have_been_meant(client, query, form, told):
    answer = client.get("/sparql", query_string={"query": query, "format": form})
    assert told in answer.headers["KG-Hint"]
    page = client.get("/sparql", query_string={"query": query}, headers=HTML)
    assert told.replace("?", "") in page.text


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("verson", "version"),
        ("fromat", "format"),
        ("Version", "version"),
        ("timout", "timeout"),
        ("default_graph_uri", "default-graph-uri"),
    ],
)
def test_a_mistyped_parameter_beside_a_valid_query_is_told(client, name, meant):
    asked = {"query": "SELECT ?s { ?s a k4p:Goal }", name: "1"}
    for headers in ({}, HTML):
        answer = client.get("/sparql", query_string=asked, headers=headers)
        assert answer.status_code == 200
        told = f"did you mean {meant!r}?"
        assert (
            told in answer.headers.get("KG-Hint", "") or told.replace("'", "&#39;") in answer.text
        )


@pytest.mark.parametrize(
    "name", ["queryid", "apikey", "infer", "output", "results", "_", "nocache"]
)
def test_parameters_of_clients_are_their_own(client, name):
    answer = client.get("/sparql", query_string={"query": "SELECT ?s { ?s a k4p:Goal }", name: "1"})
    assert answer.status_code == 200
    assert "KG-Hint" not in answer.headers


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("/?verson=1", "version"), ("/page/activity/?pge=2", "page"), ("/overlaps/?objctive=A4", "objective"),
        ("/questions?fromat=json", "format"), ("/versions?Format=json", "format"), ("/query/growth-needed?fromat=csv", "format"),
        ("/query/activities-of-objective?objectve=A4", "objective"), ("/graph-store?grph=graph:notes", "graph"),
        ("/data/activity/A4.2?vrsion=1", "version"),
    ],
)  # fmt: skip
def test_a_mistyped_parameter_of_a_page_is_told_everywhere(client, address, meant):
    answer = client.get(address)
    assert answer.status_code == 400
    assert f"id you mean {meant!r}?" in answer.json["detail"]


def test_a_filter_in_other_capitals_is_forgiven(client):
    right, other = (client.get(f"/overlaps/?objective={code}&format=csv") for code in ("A4", "a4"))
    assert other.data == right.data
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("asked", "field", "kept"),
    [
        ("objective=Z9&confidence=0.4", "objective", 'value="0.4"'), ("other=A44&kind=", "other", '<option value="A44" selected>'),
        ("status=acepted", "status", "Did you mean accepted"), ("confidence=much&objective=A4", "confidence", '<option value="A4" selected>'),
    ],
)  # fmt: skip
def test_a_wrong_filter_leads_to_the_form_filled_with_the_error_at_its_field(
    client, asked, field, kept
):
    answer = client.get(f"/overlaps/?{asked}", headers=HTML)
    assert answer.status_code == 400
    assert f'aria-invalid="true" aria-describedby="e-{field}"' in answer.text
    assert f'id="e-{field}"' in answer.text
    assert kept in answer.text


def test_an_update_that_matches_nothing_tells_what_may_have_been_meant(client, steward):
    for text in (
        "DELETE WHERE { GRAPH graph:notes { ?s a k4p:Activty } }",
        "DELETE DATA { GRAPH graph:notes { activity:a4.2 a k4p:Activity } }",
    ):
        answer = client.post(
            "/update?dry-run=true", data=text, content_type=DIRECT, headers=steward
        )
        assert answer.status_code == 200
        assert "did you mean" in answer.headers["KG-Hint"]
        assert answer.json["hints"]


def test_a_mistyped_parameter_of_an_update_changes_nothing(client, steward):
    answer = client.post("/update?dry_run=true", data=NOTE, content_type=DIRECT, headers=steward)
    assert answer.status_code == 400
    assert "did you mean 'dry-run'?" in answer.json["detail"]


def test_an_update_may_stand_in_the_address(client, steward):
    answer = client.post(
        "/update", query_string={"update": NOTE, "dry-run": "true"}, headers=steward
    )
    assert (answer.status_code, answer.json["counts"]["added"]) == (200, 1)


def raw(data):
    coder = zlib.compressobj(wbits=-15)
    return coder.compress(data) + coder.flush()


@pytest.mark.parametrize("packed", [zlib.compress, raw])
def test_bodies_may_be_deflated(client, steward, packed):
    headers = {**steward, "Content-Encoding": "deflate"}
    answer = client.post(
        "/update?dry-run=true", data=packed(NOTE.encode()), content_type=DIRECT, headers=headers
    )
    assert (answer.status_code, answer.json["counts"]["added"]) == (200, 1)
    cut = client.post(
        "/update?dry-run=true",
        data=packed(NOTE.encode())[:-3],
        content_type=DIRECT,
        headers=headers,
    )
    assert cut.status_code == 400
    large = client.post(
        "/update?dry-run=true", data=packed(b"#" * 300_000), content_type=DIRECT, headers=headers
    )
    assert large.status_code == 413


def test_a_range_beyond_the_end_is_told_with_the_length(client):
    answer = client.get("/dumps/1.nq.gz", headers={"Range": "bytes=999999999-"})
    assert answer.status_code == 416
    whole = client.get("/dumps/1.nq.gz").data
    assert answer.headers["Content-Range"] == f"bytes */{len(whole)}"
    for odd in ("bytes=abc", "items=1-2", "bytes=0-1,4-5"):
        assert client.get("/dumps/1.nq.gz", headers={"Range": odd}).data == whole


@pytest.mark.parametrize("kind", ["activity", "overlap", "mapping"])
def test_lists_of_things_have_pages_that_say_all(client, kind):
    first = client.get(f"/page/{kind}/", headers=HTML).text
    assert first.count("<li>") < 150
    assert 'aria-label="Page 2"' in first


def test_questions_are_folded_by_objective(client):
    text = client.get("/questions", headers=HTML).text
    assert text.count("<details>") >= 20


def test_pairs_have_pages_with_their_filters(client):
    text = client.get("/overlaps/?confidence=0.1&page=2", headers=HTML).text
    assert 'rel="prev" href="/overlaps/?' in text
    assert "confidence=0.1" in text
