import gzip
import json
import socket
import threading
import xml.etree.ElementTree as ET
import zlib
from contextlib import contextmanager
from urllib.parse import quote

import pyoxigraph as ox
import pytest

from kg4p1000.kernel.errors import TimeLimit
from kg4p1000.store import Readers, Store
from kg4p1000.web import create_app

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
GOALS = "SELECT ?code WHERE { ?goal a k4p:Goal ; skos:notation ?code } ORDER BY ?code"
FORM = "application/x-www-form-urlencoded"
BASE = "https://w3id.org/kg4p1000/"


def ask(client, query, **more):
    return client.get("/sparql", query_string={"query": query, **more})


def codes(response):
    assert response.status_code == 200, response.text
    return [row["code"]["value"] for row in response.get_json(force=True)["results"]["bindings"]]


def problem(response, status, slug):
    assert response.status_code == status, response.text
    assert response.mimetype == "application/problem+json"
    document = json.loads(response.text)
    assert document["type"] == f"{BASE}problem/{slug}"
    return document


# the three forms of a request


def test_query_by_get(client):
    assert codes(ask(client, GOALS)) == list("ABCDEF")


def test_query_by_form(client):
    assert codes(client.post("/sparql", data={"query": GOALS})) == list("ABCDEF")


def test_query_as_body(client):
    response = client.post("/sparql", data=GOALS, content_type="application/sparql-query")
    assert codes(response) == list("ABCDEF")


def test_body_with_charset_utf8_is_taken(client):
    kind = "application/sparql-query; charset=UTF-8"
    assert codes(client.post("/sparql", data=GOALS, content_type=kind)) == list("ABCDEF")


@pytest.mark.parametrize(
    "path", ["/sparql?query=ASK%7B%7D&format=json", "/", "/graph/plan-2020", "/versions"]
)
def test_a_token_that_is_not_known_is_never_taken_for_none(client, path):
    first = client.get(path)
    tag = {"If-None-Match": first.headers.get("ETag", '"x"')}
    for headers in ({}, tag):
        wrong = client.get(path, headers={**headers, "Authorization": "Bearer wrong"})
        assert wrong.status_code == 401
        assert wrong.headers["WWW-Authenticate"].startswith("Bearer")
    # It may be meant for a proxy.
    assert client.get(path, headers={"Authorization": "Basic eDp5"}).status_code == 200


@pytest.mark.parametrize("host", ["/", "a b", "x/y", "u@x", "x:y", "[::1", "x\\y", "<x>"])
def test_a_host_that_is_none_is_malformed(client, host):
    response = client.get("/sparql?query=ASK%7B%7D", headers={"Host": host})
    assert response.status_code == 400
    assert "Content-Location" not in response.headers


@pytest.mark.parametrize(
    "host", ["example.org", "EXAMPLE.org:8000", "127.0.0.1:1", "[::1]:8000", "my_host:1"]
)
def test_links_lead_to_the_host_that_was_asked(client, host):
    response = client.get("/sparql?query=ASK%7B%7D&format=json", headers={"Host": host})
    assert response.status_code == 200
    assert response.headers["Content-Location"].lower().startswith(f"http://{host.lower()}/sparql?")


def test_percent_encoding_is_decoded_once(client):
    query = 'SELECT ("%41+%2B é" AS ?code) WHERE {}'
    for response in (
        client.get("/sparql?query=" + quote(query, safe="")),
        client.post("/sparql", data="query=" + quote(query, safe=""), content_type=FORM),
    ):
        assert codes(response) == ["%41+%2B é"]


def test_head_has_the_headers_without_the_body(client):
    response = client.head("/sparql", query_string={"query": GOALS})
    assert response.status_code == 200
    assert response.mimetype == "application/sparql-results+json"
    assert response.data == b""


def test_preflight_is_answered_for_any_origin(client):
    response = client.options(
        "/sparql",
        headers={"Origin": "https://example.org", "Access-Control-Request-Method": "POST"},
    )
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    assert "Content-Type" in response.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize("path", ["/sparql", "/update", "/query/target-distance", "/graph-store"])
@pytest.mark.parametrize(
    "asked", ["traceparent, x-requested-with, queryid", "X-Mine", "content-type,AUTHORIZATION"]
)
def test_a_preflight_lets_every_header_pass_that_is_asked_for(client, path, asked):
    answer = client.options(path, headers={"Access-Control-Request-Headers": asked})
    allowed = {
        name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")
    }
    assert {name.strip().lower() for name in asked.split(",")} | {
        "authorization",
        "content-type",
    } <= allowed
    assert "Access-Control-Request-Headers" in answer.headers["Vary"]


def test_a_preflight_gives_back_nothing_that_is_no_name(client):
    asked = 'a b, "x", <script>, ' + ",".join(f"h{i}" for i in range(300))
    answer = client.options("/sparql", headers={"Access-Control-Request-Headers": asked})
    allowed = answer.headers["Access-Control-Allow-Headers"]
    assert "script" not in allowed and '"' not in allowed and len(allowed) < 2000


@pytest.mark.parametrize("kind", ["application/sparql-query", FORM])
def test_a_body_by_gzip_is_taken(client, kind):
    text = "query=ASK%7B%7D" if kind == FORM else "ASK{}"
    answer = client.post("/sparql", data=gzip.compress(text.encode()), content_type=kind,
                         headers={"Content-Encoding": "gzip"})  # fmt: skip
    assert answer.get_json(force=True)["boolean"] is True


@pytest.mark.parametrize(
    ("coding", "data", "status"),
    [
        ("br", b"ASK{}", 415), ("deflate", zlib.compress(b"ASK{}")[:-3], 400), ("gzip", b"ASK{}", 400), ("gzip", b"", 400),
        ("gzip", gzip.compress(b"ASK{}")[:-3], 400), ("gzip", gzip.compress(b"ASK{}") * 2, 400),
        ("gzip", gzip.compress(b"ASK{}" + b" " * 50_000_000), 413), ("gzip, gzip", gzip.compress(b"ASK{}"), 415),
    ],
    ids=range(8),
)  # fmt: skip
def test_a_coded_body_that_cannot_be_taken_is_refused(client, coding, data, status):
    answer = client.post("/sparql", data=data, content_type="application/sparql-query",
                         headers={"Content-Encoding": coding})  # fmt: skip
    assert answer.status_code == status
    if status == 415:
        assert answer.headers["Accept-Encoding"] == "gzip, deflate"


def test_a_byte_order_mark_before_a_query_is_no_part_of_it(client):
    mark = "\ufeff"
    for send in (
        lambda: client.get("/sparql", query_string={"query": f"{mark}ASK {{}}"}),
        lambda: client.post("/sparql", data={"query": f"{mark}ASK {{}}"}),
        lambda: client.post(
            "/sparql", data=f"{mark}ASK {{}}".encode(), content_type="application/sparql-query"
        ),
    ):
        assert send().get_json(force=True)["boolean"] is True


def test_a_post_without_a_body_may_have_its_query_in_the_address(client):
    answer = client.post("/sparql?query=ASK%7B%7D")
    assert answer.get_json(force=True)["boolean"] is True
    assert client.post("/sparql?query=ASK%7B%7D", data=b"x").status_code == 415
    assert client.post("/sparql").status_code == 415


# what is wrong with a request


@pytest.mark.parametrize(
    "send",
    [
        lambda c: c.get("/sparql?query=ASK%7B%7D&query=ASK%7B%7D"),
        lambda c: c.post("/sparql", data="query=ASK%7B%7D&query=ASK%7B%7D", content_type=FORM),
        lambda c: c.post("/sparql?query=ASK%7B%7D", data={"query": "ASK{}"}),
        lambda c: c.post("/sparql?query=ASK%7B%7D", data="ASK{}",
                         content_type="application/sparql-query"),
    ],
)  # fmt: skip
def test_a_repeated_query_is_malformed(client, send):
    assert problem(send(client), 400, "malformed-request")["parameter"] == "query"


def test_a_post_without_query_is_malformed(client):
    problem(client.post("/sparql", data={"other": "x"}), 400, "malformed-request")


@pytest.mark.parametrize("data", [b"query=%ff", b"query=\xff"])
def test_parameters_that_are_not_utf8_are_malformed(client, data):
    problem(client.post("/sparql", data=data, content_type=FORM), 400, "malformed-request")


def test_an_address_that_is_not_utf8_is_malformed(client):
    problem(client.get("/sparql?query=%ff"), 400, "malformed-request")


def test_a_body_that_is_not_utf8_is_malformed(client):
    response = client.post("/sparql", data=b"ASK{} #\xff", content_type="application/sparql-query")
    problem(response, 400, "malformed-request")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json", "multipart/form-data; boundary=x", None,
             "application/sparql-query; charset=iso-8859-1"],
)  # fmt: skip
def test_another_media_type_is_refused(client, kind):
    problem(client.post("/sparql", data="ASK{}", content_type=kind), 415, "wrong-media-type")


def test_a_body_over_the_limit_is_too_large(client, settings):
    data = "ASK{} #" + "x" * settings.query_size
    response = client.post("/sparql", data=data, content_type="application/sparql-query")
    assert problem(response, 413, "too-large")["limit_bytes"] == settings.query_size


def test_a_body_without_length_is_cut_off_at_the_limit(client, settings):
    class Endless:
        def read(self, size=-1):
            return b"x" * (1 << 16 if size < 0 else size)

    response = client.open(
        "/sparql",
        method="POST",
        content_type="application/sparql-query",
        environ_overrides={"wsgi.input": Endless(), "wsgi.input_terminated": True},
    )
    problem(response, 413, "too-large")


@pytest.mark.parametrize("name", ["timeout", "version"])
@pytest.mark.parametrize("value", ["x", "-1", "0", "nan", "inf", "1e999"])
def test_a_limit_or_version_must_be_a_number_above_zero(client, name, value):
    assert problem(ask(client, GOALS, **{name: value}), 400, "bad-parameter")["parameter"] == name


def test_an_unknown_version_is_not_found(client):
    problem(ask(client, GOALS, version=999), 404, "not-found")


def test_a_broken_query_tells_line_and_column(client):
    document = problem(ask(client, "SELECT *\nWHERE { ?s ?p }"), 400, "malformed-query")
    assert document["line"] == 2
    assert document["column"] > 1
    assert document["instance"].startswith("urn:uuid:")


def test_a_broken_query_in_a_browser_stands_in_the_form_with_its_place(client):
    response = client.get("/sparql", query_string={"query": "SELECT *\nWHERE { ?s }"}, headers=HTML)
    assert response.status_code == 400
    assert "The query is not valid SPARQL" in response.text
    assert "WHERE { ?s }" in response.text
    assert "▲" in response.text


def test_a_broken_query_for_a_download_leads_people_back_to_the_form(client):
    query = {"query": "SELECT", "format": "csv"}
    response = client.get("/sparql", query_string=query, headers=HTML)
    assert (response.status_code, response.mimetype) == (400, "text/html")
    assert '<textarea id="query"' in response.text


@contextmanager
def listener():
    """A loopback socket, and what connected to it."""
    connected = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)

        def accept():
            try:
                connected.append(server.accept()[1])
            except (TimeoutError, OSError):
                return

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1], connected
        thread.join()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * WHERE {{ SERVICE <http://127.0.0.1:{port}/> {{ ?s ?p ?o }} }}",
        "SELECT * WHERE {{ SERVICE SILENT <http://127.0.0.1:{port}/> {{ ?s ?p ?o }} }}",
        "SELECT * WHERE {{ sErViCe ?x {{ ?s ?p ?o }} VALUES ?x {{ <http://127.0.0.1:{port}/> }} }}",
        "SELECT * FROM <file:///etc/passwd> WHERE {{ ?s ?p ?o }}",
        "SELECT * FROM NAMED <file:///etc/passwd> WHERE {{ GRAPH ?g {{ ?s ?p ?o }} }}",
    ],
)
def test_a_query_that_would_call_out_is_refused_without_a_connection(client, query):
    with listener() as (port, connected):
        problem(ask(client, query.format(port=port)), 403, "refused")
    assert not connected


def test_from_with_an_http_iri_names_a_graph_and_fetches_nothing(client):
    with listener() as (port, connected):
        query = f"SELECT ?code FROM <http://127.0.0.1:{port}/> WHERE {{ ?s ?p ?code }}"
        assert codes(ask(client, query)) == []
    assert not connected


@pytest.mark.parametrize("name", ["default-graph-uri", "named-graph-uri"])
@pytest.mark.parametrize("value", ["file:///etc/passwd", "", "graphs", "javascript:x"])
def test_a_dataset_that_is_not_http_is_refused(client, name, value):
    problem(ask(client, GOALS, **{name: value}), 403, "refused")


@pytest.mark.parametrize(
    "send",
    [
        lambda c: c.post("/sparql", data={"update": "CLEAR ALL"}),
        lambda c: c.post("/sparql", data="CLEAR ALL", content_type="application/sparql-update"),
        lambda c: c.get("/sparql?update=CLEAR%20ALL"),
    ],
)
def test_updates_are_refused(client, send):
    assert "send updates to" in problem(send(client), 403, "refused")["detail"]


def test_an_update_as_query_is_malformed(client):
    problem(ask(client, "DELETE WHERE { ?s ?p ?o }"), 400, "malformed-query")


# datasets


COUNT = "SELECT (COUNT(*) AS ?code) WHERE { ?s a k4p:Goal }"


def test_the_default_graph_of_the_request_is_asked(client):
    assert codes(ask(client, COUNT, **{"default-graph-uri": BASE + "graph/agents"})) == ["0"]
    both = [BASE + "graph/agents", BASE + "graph/plan-2021-10-14"]
    assert codes(ask(client, COUNT, **{"default-graph-uri": both})) == ["6"]


def test_the_dataset_of_the_request_beats_from(client):
    query = COUNT.replace("WHERE", "FROM graph:plan-2021-10-14 WHERE")
    assert codes(ask(client, query)) == ["6"]
    assert codes(ask(client, query, **{"default-graph-uri": BASE + "graph/agents"})) == ["0"]


def test_named_graphs_of_the_request_are_the_only_ones(client):
    query = "SELECT DISTINCT ?code WHERE { GRAPH ?code { ?s ?p ?o } }"
    found = codes(ask(client, query, **{"named-graph-uri": BASE + "graph/agents"}))
    assert found == [BASE + "graph/agents"]
    assert codes(ask(client, COUNT, **{"named-graph-uri": BASE + "graph/agents"})) == ["0"]


def test_a_triple_in_two_graphs_counts_once(client):
    pair = [BASE + "graph/plan-2020", BASE + "graph/plan-2021-10-14"]
    query = "SELECT (COUNT(*) AS ?code) WHERE { objective:A4 skos:notation ?n }"
    assert codes(ask(client, query, **{"default-graph-uri": pair})) == ["1"]
    assert codes(ask(client, query)) == ["1"]


# formats


@pytest.mark.parametrize(
    ("media_type", "read"),
    [
        ("application/sparql-results+json", lambda t: len(json.loads(t)["results"]["bindings"])),
        ("application/sparql-results+xml", lambda t: t.count("<result>") and
         len(list(ET.fromstring(t)[1]))),
        ("text/csv", lambda t: len(t.splitlines()) - 1),
        ("text/tab-separated-values", lambda t: len(t.splitlines()) - 1),
    ],
)  # fmt: skip
def test_select_is_written_in_each_format(client, media_type, read):
    response = client.get("/sparql", query_string={"query": GOALS}, headers={"Accept": media_type})
    assert response.content_type == f"{media_type}; charset=utf-8"
    assert read(response.text) == 6


@pytest.mark.parametrize(
    ("media_type", "form"),
    [
        ("text/turtle", ox.RdfFormat.TURTLE),
        ("application/n-triples", ox.RdfFormat.N_TRIPLES),
        ("application/ld+json", ox.RdfFormat.JSON_LD),
        ("application/rdf+xml", ox.RdfFormat.RDF_XML),
    ],
)
def test_construct_is_written_in_each_format(client, media_type, form):
    query = "CONSTRUCT WHERE { ?s a k4p:Goal }"
    response = client.get("/sparql", query_string={"query": query}, headers={"Accept": media_type})
    assert response.content_type == f"{media_type}; charset=utf-8"
    assert len(list(ox.parse(response.data, format=form))) == 6


def test_ask_is_answered(client):
    assert (
        ask(client, "ASK { objective:A4 a k4p:Objective }").get_json(force=True)["boolean"] is True
    )


def test_an_answer_names_its_version_and_may_be_read_by_anyone(client):
    response = ask(client, GOALS)
    assert response.headers["KG-Version"] == "1"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Accept" in response.vary


def test_a_short_answer_has_a_length(client):
    response = ask(client, GOALS)
    assert response.content_length == len(response.data)


def test_no_acceptable_format_is_told(client):
    response = client.get("/sparql", query_string={"query": GOALS}, headers={"Accept": "image/png"})
    assert "text/csv" in problem(response, 406, "not-acceptable")["offered"]


def test_turtle_is_not_a_format_for_solutions(client):
    response = client.get(
        "/sparql", query_string={"query": GOALS}, headers={"Accept": "text/turtle"}
    )
    problem(response, 406, "not-acceptable")


# limits


ENDLESS = "SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }"


def test_a_runaway_query_is_stopped_with_503(client):
    document = problem(ask(client, ENDLESS, timeout=0.5), 503, "time-limit")
    assert document["limit_seconds"] == 0.5


def test_a_result_that_breaks_off_is_not_ended_as_whole(client):
    response = ask(client, "SELECT * WHERE { ?a ?b ?c . ?d ?e ?f }", timeout=0.5)
    assert response.status_code == 200
    with pytest.raises(TimeLimit):
        response.get_data()


# the description and the page


def test_without_query_programs_get_the_description(client):
    response = client.get("/sparql", headers={"Accept": "text/turtle"})
    triples = {(q.predicate.value.split("#")[-1], str(q.object)) for q in
               ox.parse(response.data, format=ox.RdfFormat.TURTLE)}  # fmt: skip
    names = {value for predicate, value in triples if predicate == "supportedLanguage"}
    assert names == {
        "<http://www.w3.org/ns/sparql-service-description#SPARQL11Query>",
        "<http://www.w3.org/ns/sparql-service-description#SPARQL11Update>",
    }
    assert ("name", f"<{BASE}graph/overlaps>") in triples


@pytest.mark.parametrize("query", [{}, {"query": " "}])
def test_without_query_people_get_the_form(client, query):
    response = client.get("/sparql", query_string=query, headers=HTML)
    assert response.mimetype == "text/html"
    assert '<textarea id="query"' in response.text


def test_the_page_shows_the_result_below_the_query(client):
    response = client.get("/sparql", query_string={"query": GOALS}, headers=HTML)
    assert "6 rows, complete" in response.text
    assert "SELECT ?code WHERE" in response.text
    assert "format=csv" in response.text


def test_the_page_links_things_by_curie_and_shows_languages(client):
    query = "SELECT ?x ?title WHERE { ?x k4p:activityOf objective:A4 ; skos:prefLabel ?title }"
    text = client.get("/sparql", query_string={"query": query}, headers=HTML).text
    assert '<a href="/page/activity/A4.2"' in text
    assert "activity:A4.2</a>" in text
    assert "@en</span>" in text


def test_the_page_says_how_many_rows_it_leaves_out(client):
    query = "SELECT * WHERE { ?s ?p ?o } LIMIT 2345"
    text = client.get("/sparql", query_string={"query": query}, headers=HTML).text
    assert "Rows 1 to 50 of 2,345 are shown" in text
    assert text.count("<tr>") == 51


def test_the_rows_of_a_page_follow_those_of_the_one_before(client):
    query = "SELECT ?s ?p WHERE { GRAPH graph:actors { ?s ?p ?o } } ORDER BY ?s ?p LIMIT 123"
    ask = {"query": query, "format": "tsv"}
    rows = client.get("/sparql", query_string=ask).text.splitlines()[1:]
    counts = []
    for page in (1, 2, 3):
        text = client.get("/sparql", query_string={"query": query, "page": page}, headers=HTML).text
        counts.append(text.count("<tr>") - 1)
        assert f'aria-label="Page {page}" aria-current="page"' in text
    assert (counts, len(rows)) == ([50, 50, 23], 123)
    assert 'rel="prev"' in text
    assert 'rel="next"' not in text


@pytest.mark.parametrize("page", ["4", "0", "x", "-1", "9" * 20])
def test_a_page_that_there_is_not_is_told(client, page):
    query = "SELECT * WHERE { ?s ?p ?o } LIMIT 123"
    answer = client.get("/sparql", query_string={"query": query, "page": page}, headers=HTML)
    assert answer.status_code == 400
    assert "must be a number from 1" in answer.text


def test_the_page_shows_triples_as_turtle(client):
    query = "CONSTRUCT { ?s a k4p:Goal } WHERE { ?s a k4p:Goal }"
    text = client.get("/sparql", query_string={"query": query}, headers=HTML).text
    assert "goal:A a k4p:Goal" in text
    assert "@prefix xsd" not in text


def test_the_page_shows_a_yes_or_no(client):
    text = client.get("/sparql", query_string={"query": "ASK {}"}, headers=HTML).text
    assert '<p class="answer">Yes</p>' in text


def test_an_empty_result_is_told_in_words(client):
    query = "SELECT ?x WHERE { ?x a k4p:Nothing }"
    text = client.get("/sparql", query_string={"query": query}, headers=HTML).text
    assert "Nothing in the graph matches" in text


ATTACK = "<script>alert(1)</script>"


@pytest.mark.parametrize(
    "query",
    [
        f"SELECT ('{ATTACK}' AS ?x) WHERE {{}}",
        f"CONSTRUCT {{ <x:s> <x:p> '{ATTACK}' }} WHERE {{}}",
        f"SELECT ?x WHERE {{}} # {ATTACK}</textarea>{ATTACK}",
        f"SELECT broken {ATTACK}",
    ],
)
def test_scripts_in_queries_and_results_are_escaped(client, query):
    response = client.get("/sparql", query_string={"query": query}, headers=HTML)
    assert "<script" not in response.text
    assert "&lt;script" in response.text


def test_an_iri_that_is_a_script_gets_no_link(client):
    query = "SELECT ?x WHERE { VALUES ?x { <javascript:alert(1)> <data:text/html,x> } }"
    text = client.get("/sparql", query_string={"query": query}, headers=HTML).text
    assert "javascript:alert(1)" in text
    assert 'href="javascript' not in text
    assert 'href="data' not in text


def test_foreign_parameters_do_not_reach_the_links_of_the_page(client):
    query = {"query": GOALS, "_scheme": "javascript", "_external": "1", "endpoint": "x", "a": "b"}
    response = client.get("/sparql", query_string=query, headers=HTML)
    assert response.status_code == 200
    assert "javascript" not in response.text


def test_an_empty_store_is_told(tmp_path, settings, library):
    empty = Store(tmp_path / "empty")
    other = create_app(settings, empty, Readers(empty), library).test_client()
    document = problem(ask(other, GOALS), 503, "store-unusable")
    assert "kg4p1000 build" in document["detail"]
    assert other.get("/health").status_code == 503
    assert other.get("/", headers=HTML).status_code == 503


GRAPHS = "https://w3id.org/kg4p1000/graph/"


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(
    ("query", "parameters", "named"),
    [
        ("ASK {}", {}, None),
        ("ASK {}", {"default-graph-uri": GRAPHS + "plan-2020"}, None),
        ("ASK {}", {"default-graph-uri": ["http://e.org/a", GRAPHS + "plan-2020", "http://e.org/b"]},
         "<http://e.org/a>, <http://e.org/b>"),
        ("ASK {}", {"named-graph-uri": "http://e.org/é"}, "<http://e.org/%C3%A9>"),
        ("ASK FROM <http://e.org/a> FROM NAMED <http://e.org/c> {}", {}, "<http://e.org/a>, <http://e.org/c>"),
        ("ASK FROM <http://e.org/a> {}", {"default-graph-uri": GRAPHS + "plan-2020"}, None),
    ],
)  # fmt: skip
def test_graphs_that_are_not_here_are_named_in_a_header(client, query, parameters, named, times):
    for _ in range(times):
        response = client.get(
            "/sparql", query_string={"query": query, "format": "json", **parameters}
        )
        assert response.status_code == 200
        assert response.headers.get("KG-Unknown-Graphs") == named
    assert "KG-Unknown-Graphs" in response.headers["Access-Control-Expose-Headers"]


def test_very_many_unknown_graphs_are_named_as_far_as_a_header_goes(client):
    names = [f"http://example.org/{n}/{'x' * 50}" for n in range(200)]
    response = client.post("/sparql", data={"query": "ASK {}", "default-graph-uri": names})
    header = response.headers["KG-Unknown-Graphs"]
    assert header.endswith(", ...")
    assert 3000 < len(header) < 5000
