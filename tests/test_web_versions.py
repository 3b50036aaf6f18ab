"""Answers that can be cited: versions, times, ETags, the cache."""

import re
from datetime import UTC, datetime, timedelta

import pyoxigraph as ox
import pytest
from pyoxigraph import Literal, Quad
from werkzeug.http import http_date

from kg4p1000.kernel.settings import Settings
from kg4p1000.kernel.terms import iri
from kg4p1000.store import Delta, Readers, Store
from kg4p1000.web import create_app, home

GRAPH = iri("graph:a")
ASK = "SELECT (COUNT(*) AS ?n) WHERE { ?s k4p:number ?o }"


@pytest.fixture(scope="module")
def versioned(tmp_path_factory, library):
    """Three versions, with one, two and three numbers in them."""
    store = Store(tmp_path_factory.mktemp("versioned") / "store")
    for n in (1, 2, 3):
        quads = [Quad(iri("activity:A1.1"), iri("k4p:number"), Literal(n), GRAPH)]
        quads.append(Quad(GRAPH, iri("k4p:inDefaultGraph"), Literal(True), iri("graph:graphs")))
        with store.draft() as draft:
            draft.apply(Delta.of(quads))
            store.publish(draft, "Ada", f"number {n}", "update")
    return store


@pytest.fixture
def web(versioned, library):
    readers = Readers(versioned, size=2, timeout=600, memory=300)
    app = create_app(Settings(store=versioned.path), versioned, readers, library)
    yield app.test_client()
    readers.close()


def ask(web, query=ASK, headers=None, **more):
    given = {"Accept": "application/sparql-results+json", **(headers or {})}
    return web.get("/sparql", query_string={"query": query, **more}, headers=given)


def number(response):
    return int(response.json["results"]["bindings"][0]["n"]["value"])


def test_a_version_asked_for_by_number_is_asked_again(web):
    assert [number(ask(web, version=n)) for n in (1, 2, 3)] == [1, 2, 3]


def test_a_version_can_be_asked_for_by_its_day(web, versioned):
    day = versioned.entry(3).time.date().isoformat()
    assert number(ask(web, version=day)) == 3


def test_a_date_before_the_first_version_gives_the_first(web):
    assert number(ask(web, version="1999-12-31")) == 1


@pytest.mark.parametrize("wrong", ["0", "-1", "soon", "2026-13-01", "1e3"])
def test_a_version_that_is_neither_number_nor_date_is_refused(web, wrong):
    response = ask(web, version=wrong)
    assert (response.status_code, response.json["parameter"]) == (400, "version")


def test_an_answer_names_version_time_and_a_lasting_address(web, versioned):
    response = ask(web)
    assert response.headers["KG-Version"] == "3"
    assert response.headers["Memento-Datetime"] == http_date(versioned.entry(3).time)
    address = response.headers["Content-Location"]
    assert "version=3" in address
    again = web.get(address.removeprefix("http://localhost"), headers={"Accept": "text/csv"})
    assert again.data == b"n\r\n3\r\n"


def test_a_long_query_is_told_where_to_send_it_again(web):
    query = ASK + "#" + "x" * 3000
    response = ask(web, query)
    assert "Content-Location" not in response.headers
    assert 'rel="timemap"' in response.headers["Link"]
    place = re.search(r'<([^>]*)>; rel="memento"', response.headers["Link"])[1]
    sent = web.post(place.removeprefix("http://localhost"), data={"query": query})
    assert (sent.headers["KG-Version"], sent.data) == (
        response.headers["KG-Version"],
        response.data,
    )


def test_accept_datetime_chooses_the_version_of_that_time(web):
    early = datetime(2001, 1, 1, tzinfo=UTC)
    late = datetime.now(UTC) + timedelta(days=1)
    assert number(ask(web, headers={"Accept-Datetime": http_date(early)})) == 1
    assert number(ask(web, headers={"Accept-Datetime": http_date(late)})) == 3
    assert ask(web, headers={"Accept-Datetime": "tomorrow"}).status_code == 400


def test_who_has_the_answer_is_not_sent_it_again_and_no_query_runs(web):
    first = ask(web)
    before = sum(web.application.extensions["kg4p1000"].readers.outcomes.values())
    again = ask(web, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert sum(web.application.extensions["kg4p1000"].readers.outcomes.values()) == before


def test_another_format_version_or_query_has_another_etag(web):
    tags = {
        ask(web).headers["ETag"],
        ask(web, headers={"Accept": "text/csv"}).headers["ETag"],
        ask(web, version=1).headers["ETag"],
        ask(web, ASK + " ").headers["ETag"],
        ask(web, **{"default-graph-uri": GRAPH.value}).headers["ETag"],
    }
    assert len(tags) == 5


def test_the_same_answer_comes_from_the_cache(web):
    joined = web.application.extensions["kg4p1000"]
    first = ask(web)
    ran = sum(joined.readers.outcomes.values())
    second = ask(web)
    assert second.data == first.data
    assert second.headers["Content-Type"] == first.headers["Content-Type"]
    assert sum(joined.readers.outcomes.values()) == ran


@pytest.mark.parametrize("changing", ["RAND()", "NOW()", "UUID()", "STRUUID()", "BNODE()"])
def test_what_differs_each_time_is_neither_kept_nor_tagged(web, changing):
    query = f"SELECT ({changing} AS ?x) WHERE {{}}"
    first, second = ask(web, query), ask(web, query)
    assert "ETag" not in first.headers
    assert first.headers["Cache-Control"] == "no-store"
    assert changing in {"NOW()", "BNODE()"} or first.data != second.data


def test_a_new_version_is_never_answered_from_the_cache(web, versioned, tmp_path):
    assert number(ask(web)) == 3
    with versioned.draft() as draft:
        draft.apply(Delta.of([Quad(iri("activity:A1.1"), iri("k4p:number"), Literal(4), GRAPH)]))
        versioned.publish(draft, "Ada", "number 4", "update")
    assert number(ask(web)) == 4
    with versioned.draft() as draft:
        draft.apply(
            Delta.of([], [Quad(iri("activity:A1.1"), iri("k4p:number"), Literal(4), GRAPH)])
        )
        versioned.publish(draft, "Ada", "number 3 again", "update")


def test_the_cache_keeps_within_its_bounds():
    from kg4p1000.web.transfers import Answer, Cache

    cache = Cache(1000)
    for i in range(50):
        cache.put(str(i), Answer(b"x" * 100, "200 OK", [], 1, ""))
        assert cache.used <= 1000
    cache.put("huge", Answer(b"x" * 900, "200 OK", [], 1, ""))
    assert cache.get("huge") is None
    assert cache.get("49") is not None
    assert cache.get("0") is None


def test_versions_are_listed_with_author_message_and_counts(web):
    found = web.get("/versions", headers={"Accept": "application/json"}).json
    assert found[-1]["author"] == "Ada"
    assert found[-1]["message"] == "number 1"
    assert found[-1]["added"] == 2
    page = web.get("/versions", headers={"Accept": "text/html"}).text
    assert "number 2" in page


def test_the_time_map_names_every_version(web):
    response = web.get("/versions", headers={"Accept": "application/link-format"})
    assert response.text.count('rel="memento"') == len(web.get("/versions?format=json").json)


def test_the_changes_of_a_version_are_its_log_entry(web, versioned):
    response = web.get("/versions/2/changes")
    assert response.data == versioned.log_path(2).read_bytes()
    assert b"A <https://w3id.org/kg4p1000/id/activity/A1.1>" in response.data
    response.close()


@pytest.mark.parametrize("size", [1, 1 << 16])
def test_what_came_and_what_went_are_n_quads(web, versioned, monkeypatch, size):
    monkeypatch.setattr(home, "_PIECE", size)
    going = Quad(iri("activity:A1.1"), iri("k4p:number"), Literal(1), GRAPH)
    coming = Quad(iri("activity:A1.1"), iri("skos:editorialNote"), Literal("A\nD \u00e9"), GRAPH)
    with versioned.draft() as draft:
        draft.apply(Delta(frozenset({coming}), frozenset({going})))
        number = versioned.publish(draft, "Ada", "", "update").version
    for part, quad in (("added", coming), ("removed", going)):
        said = web.get(f"/versions/{number}/changes?part={part}")
        assert said.mimetype == "application/n-quads"
        assert list(ox.parse(said.data, format=ox.RdfFormat.N_QUADS)) == [quad]
    with versioned.draft() as draft:
        draft.apply(Delta(frozenset({going}), frozenset({coming})))
        versioned.publish(draft, "Ada", "", "update")


@pytest.mark.parametrize(("asked", "accept"), [("?part=both", "*/*"), ("", "application/n-quads")])
def test_n_quads_of_a_change_need_to_know_which_part(web, asked, accept):
    said = web.get(f"/versions/2/changes{asked}", headers={"Accept": accept})
    assert (said.status_code, said.json["parameter"]) == (400, "part")


@pytest.mark.parametrize("path", ["/versions/99", "/versions/99/changes", "/versions/0"])
def test_a_version_that_is_not_there_is_not_found(web, path):
    assert web.get(path).status_code == 404
