"""Answers out of the graph beyond /sparql: each can be cited, and is not sent to who has it."""

import pyoxigraph as ox
import pytest

PLACES = [
    ("/query/activities-of-objective?objective=A4", "text/csv"),
    ("/graph/plan-2020", "text/turtle"),
    ("/graph/", "application/n-triples"),
    ("/graph-store?graph=https://w3id.org/kg4p1000/graph/targets", "text/turtle"),
    ("/data/activity/A4.2", "text/turtle"),
    ("/ontology", "text/turtle"),
]


@pytest.mark.parametrize(("place", "kind"), PLACES)
def test_an_answer_out_of_the_graph_can_be_cited(client, store, place, kind):
    accept = {"Accept": kind}
    first = client.get(place, headers=accept)
    assert first.status_code == 200, first.text
    assert first.headers["KG-Version"] == str(store.current)
    assert first.headers["Memento-Datetime"].endswith("GMT")
    assert first.headers["Cache-Control"] == "no-cache"
    permanent = first.headers["Content-Location"]
    assert f"version={store.current}" in permanent
    assert f'<{permanent}>; rel="permalink"' in ",".join(first.headers.getlist("Link"))
    again = client.get(permanent.removeprefix("http://localhost"), headers=accept)
    assert (again.status_code, sorted(again.data)) == (200, sorted(first.data))
    # What a stored query asks, or what is told of a thing, may change with a release.
    whole = place.startswith(("/graph", "/ontology"))
    assert again.headers["Cache-Control"] == ("public, max-age=31536000" if whole else "no-cache")
    assert {"Accept", "Accept-Datetime"} <= first.vary.as_set(preserve_casing=True)
    known = client.get(place, headers={**accept, "If-None-Match": first.headers["ETag"]})
    assert (known.status_code, known.data) == (304, b"")


@pytest.mark.parametrize("place", [*(place for place, _ in PLACES), "/page/activity/A4.2", "/"])
def test_the_version_of_a_time_can_be_asked_for_everywhere(client, store, place):
    kind = dict(PLACES).get(place, "text/html")
    early, bad = (
        client.get(place, headers={"Accept": kind, "Accept-Datetime": moment})
        for moment in ("Mon, 01 Jan 1990 00:00:00 GMT", "soon")
    )
    assert (early.status_code, early.headers["KG-Version"]) == (200, "1")
    assert bad.status_code == 400


def test_another_format_has_another_etag(client):
    tags = {
        client.get("/graph/targets", headers={"Accept": kind}).headers["ETag"]
        for kind in ("text/turtle", "application/n-triples")
    }
    assert len(tags) == 2


def test_each_address_describes_the_language_that_it_takes(client):
    body = client.get("/sparql", headers={"Accept": "application/n-triples"}).data
    said = {
        (q.subject.value.rpartition("/")[2], q.object.value.rpartition("#")[2])
        for q in ox.parse(body, format=ox.RdfFormat.N_TRIPLES)
        if q.predicate.value.endswith("service-description#supportedLanguage")
    }
    assert said == {("sparql", "SPARQL11Query"), ("update", "SPARQL11Update")}
