import json
import re

import pyoxigraph as ox
import pytest
from pyoxigraph import Literal, NamedNode, Quad

from kg4p1000.kernel.terms import GRAPH, ID, iri, natural_key
from kg4p1000.store import Delta, Readers, Store
from kg4p1000.web import create_app

HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
TURTLE = {"Accept": "text/turtle"}
A42 = iri("activity:A4.2")
FORMATS = {
    "ttl": ("text/turtle", ox.RdfFormat.TURTLE),
    "nt": ("application/n-triples", ox.RdfFormat.N_TRIPLES),
    "jsonld": ("application/ld+json", ox.RdfFormat.JSON_LD),
    "rdf": ("application/rdf+xml", ox.RdfFormat.RDF_XML),
}


def page(client, path):
    response = client.get(path, headers=HTML)
    assert response.status_code == 200, response.text
    assert response.mimetype == "text/html"
    return response.text


def triples(data, form=ox.RdfFormat.TURTLE):
    return {(q.subject, q.predicate, q.object) for q in ox.parse(data, format=form)}


def words(text):
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


# addresses


@pytest.mark.parametrize(
    ("headers", "target"),
    [
        (HTML, "/page/activity/A4.2"),
        (TURTLE, "/data/activity/A4.2.ttl"),
        ({"Accept": "application/ld+json"}, "/data/activity/A4.2.jsonld"),
        ({"Accept": "*/*"}, "/data/activity/A4.2.ttl"),
        ({}, "/data/activity/A4.2.ttl"),
    ],
)
def test_an_identifier_redirects_by_accept(client, headers, target):
    response = client.get("/id/activity/A4.2", headers=headers)
    assert (response.status_code, response.location) == (303, target)
    assert "Accept" in response.vary
    assert client.get(target, headers=headers).status_code == 200


def test_an_identifier_keeps_the_version_when_it_redirects(client):
    response = client.get("/id/activity/A4.2?version=1", headers=HTML)
    assert response.location == "/page/activity/A4.2?version=1"


@pytest.mark.parametrize("path", ["/id/activity/A99.1", "/page/activity/A99.1",
                                  "/data/activity/A99.1.ttl", "/data/activity/A99.1",
                                  "/id/nonsense/x", "/id/activity/a%20b", "/id/activity/%3Cx%3E",
                                  "/code/none", "/code/status/none", "/ontology/None",
                                  "/ontology/module/none", "/graph/none", "/shapes/None"])  # fmt: skip
@pytest.mark.parametrize("headers", [HTML, TURTLE])
def test_what_the_graph_says_nothing_of_is_not_found(client, path, headers):
    assert client.get(path, headers=headers).status_code == 404


def test_an_identifier_in_an_unknown_format_is_not_acceptable(client):
    response = client.get("/id/activity/A4.2", headers={"Accept": "image/png"})
    assert response.status_code == 406
    assert "text/turtle" in json.loads(response.text)["offered"]


# data


@pytest.mark.parametrize("suffix", FORMATS)
def test_data_are_given_in_the_format_of_the_ending(client, suffix):
    media_type, form = FORMATS[suffix]
    response = client.get(f"/data/activity/A4.2.{suffix}", headers={"Accept": "text/html"})
    assert response.content_type == f"{media_type}; charset=utf-8"
    assert (A42, iri("k4p:activityOf"), iri("objective:A4")) in triples(response.data, form)


@pytest.mark.parametrize("suffix", FORMATS)
def test_data_without_ending_are_given_by_accept(client, suffix):
    media_type, _ = FORMATS[suffix]
    response = client.get("/data/activity/A4.2", headers={"Accept": media_type})
    assert response.mimetype == media_type


def test_data_hold_what_points_at_the_thing_and_the_names_around_it(client):
    found = triples(client.get("/data/objective/A4", headers=TURTLE).data)
    assert (A42, iri("k4p:activityOf"), iri("objective:A4")) in found
    assert (A42, iri("skos:notation"), Literal("A4.2")) in found


def test_data_hold_what_nodes_without_names_say(client):
    found = triples(client.get("/ontology/Activity", headers=TURTLE).data)
    assert iri("owl:onProperty") in {predicate for _, predicate, _ in found}


@pytest.mark.parametrize("path", ["/code/status", "/code/status/proposed", "/ontology/Activity",
                                  "/ontology/module/plan", "/ontology", "/ontology/",
                                  "/graph/agents", "/graph/", "/shapes/ActivityShape"])  # fmt: skip
def test_other_names_give_page_or_data_at_the_same_address(client, path):
    assert len(triples(client.get(path, headers=TURTLE).data)) > 3
    assert page(client, path)


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/graph/actor", HTML), ("/graph/actor", TURTLE), ("/graph-store?graph=graph:actor", TURTLE)],
)
def test_a_mistyped_graph_leads_to_the_one_that_was_meant(client, path, headers):
    response = client.get(path, headers=headers)
    assert response.status_code == 404
    assert "Did you mean graph:actors?" in response.text


def test_a_graph_like_no_other_leads_to_none(client):
    assert "Did you mean" not in client.get("/graph/quite-another", headers=TURTLE).text


def test_a_graph_is_given_whole(client, store):
    graph = NamedNode(GRAPH + "plan-2020")
    wanted = {(q.subject, q.predicate, q.object) for q in store.quads() if q.graph_name == graph}
    assert triples(client.get("/graph/plan-2020", headers=TURTLE).data) == wanted


def test_the_ontology_is_given_whole(client, store):
    graph = NamedNode(GRAPH + "ontology")
    wanted = sum(q.graph_name == graph for q in store.quads())
    assert len(triples(client.get("/ontology", headers=TURTLE).data)) == wanted


# pages


def test_the_page_of_an_activity_tells_what_the_plan_says(client):
    text = words(page(client, "/page/activity/A4.2"))
    assert "A4.2 Conception of regional platform" in text
    assert "Develop a concept for regional platforms" in text
    assert "is activity of" in text
    assert "A4 Regional Stakeholder Interfaces" in text
    assert "4.4 Activities" in text  # the section that it is cited from


def test_paragraphs_of_a_text_are_kept(client):
    text = page(client, "/page/activity/A4.2")
    assert "operation plan.</p>" in text
    assert "<p>Elaborate a convincing business model" in text


def test_the_page_shows_labels_and_not_addresses(client):
    text = re.sub(r"<aside.*?</aside>", "", page(client, "/page/activity/A4.2"), flags=re.S)
    assert "https://w3id.org" not in words(text)
    assert "http://" not in words(text)


def test_identifiers_of_registers_are_shown_by_register_and_number(client):
    shown = page(client, "/page/place/BEN")
    for name in ("AGROVOC c_875", "Wikidata Q962", "UN SDG area 204", "GeoNames 2395170"):
        assert f">{name}</a>" in shown
    assert "Western Africa" in shown


def test_the_page_of_an_objective_leads_to_its_topics_and_goals_by_name(client):
    shown = words(page(client, "/page/objective/A1"))
    assert "soil organic carbon" in shown
    assert "13.2 Integrate climate change measures into national policies" in shown


def test_the_page_of_a_tool_shows_codes_by_name_and_the_words_of_the_source(client):
    shown = words(page(client, "/page/tool/cool-farm-tool"))
    for part in ("greenhouse gas balance", "free of charge", "Cool Farm Alliance"):
        assert part in shown


def test_the_page_says_which_graph_a_statement_stands_in(client):
    text = page(client, "/page/objective/A4")
    assert 'href="/graph/plan-2020"' in text
    assert 'href="/graph/plan-2021-10-14"' in text
    assert '<a class="source inferred" href="/graph/inferred"' in text


def test_properties_explain_themselves(client):
    text = page(client, "/page/activity/A4.2")
    assert 'title="Relates an activity to the objective for which the plan lists it."' in text


def test_what_points_here_stands_under_the_inverse_property_once(client):
    text = page(client, "/page/objective/A4")
    shown = text.split('id="findings"')[0]
    assert "has activity" in shown
    assert "← is activity of" not in shown
    assert shown.count('<span class="code">A4.2</span>') == 1


def test_things_stand_in_the_order_of_the_plan(client):
    codes = re.findall(r'<span class="code">([^<]+)</span>', page(client, "/page/activity/"))
    assert len(codes) == 100
    codes += re.findall(
        r'<span class="code">([^<]+)</span>', page(client, "/page/activity/?page=2")
    )
    assert len(codes) == 163
    assert "D3.10" in codes
    assert codes == sorted(codes, key=natural_key)


def test_the_page_tells_overlaps_with_reason_status_and_confidence(client):
    text = words(page(client, "/page/activity/A4.2"))
    assert "D2.3" in text
    assert "overlaps" in text
    assert re.search(r"proposed confidence (1|0\.9\d?)\b", text)
    assert "polled twice" in text


def test_labels_in_other_languages_are_marked(client):
    text = page(client, "/code/status/proposed")
    assert '<span lang="fr">' in text
    assert '<span lang="es">' in text


def test_the_page_of_a_class_shows_restrictions_in_words(client):
    text = words(page(client, "/ontology/Activity"))
    assert "on property: is activity of" in text
    assert "163" in text


def test_the_page_leads_to_the_data(client):
    text = page(client, "/page/activity/A4.2")
    for suffix, (media_type, _) in FORMATS.items():
        link = f'<link rel="alternate" type="{media_type}" href="/data/activity/A4.2.{suffix}"'
        assert link in text


def test_the_page_names_its_version(client):
    assert client.get("/page/activity/A4.2", headers=HTML).headers["KG-Version"] == "1"


def test_a_graph_page_tells_origin_licence_and_size(client):
    text = words(page(client, "/graph/plan-2020"))
    assert "Plan, edition 2020" in text
    assert "CC BY 4.0" in text
    assert "Strategic plan, version 2020" in text


@pytest.fixture
def small(tmp_path, settings, library):
    """A store with two versions of one thing, whose words are an attack."""
    store = Store(tmp_path / "small")
    graph, register = NamedNode(GRAPH + "test"), NamedNode(GRAPH + "graphs")
    thing = iri("activity:X1")
    attack = '<script>alert("x")</script>'
    event = NamedNode(ID + "event/soil-days")
    first = [
        Quad(graph, iri("k4p:inDefaultGraph"), Literal(True), register),
        Quad(event, iri("rdf:type"), iri("k4p:Event"), graph),
        Quad(event, iri("rdfs:label"), Literal("Soil days", language="en"), graph),
        Quad(thing, iri("skos:prefLabel"), Literal(attack, language="en"), graph),
        Quad(thing, iri("dcterms:description"), Literal(attack, language="fr"), graph),
        Quad(thing, iri("rdfs:seeAlso"), NamedNode("javascript:alert(1)"), graph),
        Quad(iri("activity:X2"), iri("skos:prefLabel"), Literal("later", language="en"), graph),
    ]
    for quads in (first, [Quad(thing, iri("skos:notation"), Literal("<b>"), graph)]):
        with store.draft() as draft:
            draft.apply(Delta.of(quads))
            store.publish(draft, "tests", attack, "test")
    pool = Readers(store, size=2, timeout=600)
    yield create_app(settings, store, pool, library).test_client()
    pool.close()


@pytest.mark.parametrize("path", ["/page/activity/X1", "/page/activity/", "/graph/test", "/dumps/"])
def test_labels_are_escaped(small, path):
    text = page(small, path)
    assert "<script" not in text
    assert "<b></span>" not in text
    assert 'href="javascript' not in text


def test_things_of_any_kind_that_the_graph_has_are_listed(small):
    assert '<a class="name" href="/page/event/soil-days"' in page(small, "/page/event/")
    assert small.get("/page/nothing/", headers=HTML).status_code == 404
    assert "There is none in this version" in page(small, "/page/tool/")


def test_an_older_version_can_be_seen_and_says_so(small):
    text = page(small, "/page/activity/X1?version=1")
    assert "This is version 1 of the graph" in text
    assert "&lt;b&gt;" not in text
    assert "&lt;b&gt;" in page(small, "/page/activity/X1")


def test_data_of_an_older_version_can_be_had(small):
    notation = iri("skos:notation")
    old = triples(small.get("/data/activity/X1.ttl?version=1").data)
    new = triples(small.get("/data/activity/X1.ttl").data)
    assert notation not in {p for _, p, _ in old}
    assert notation in {p for _, p, _ in new}


@pytest.mark.parametrize("path", ["/page/activity/X1?version=3", "/data/activity/X1?version=3",
                                  "/graph/test?version=3", "/ontology?version=3"])  # fmt: skip
@pytest.mark.parametrize("headers", [HTML, TURTLE])
def test_a_version_that_is_not_there_is_not_found(small, path, headers):
    assert small.get(path, headers=headers).status_code == 404


def test_the_page_of_an_activity_leaves_single_readings_to_pairs_and_actions(client):
    text = page(client, "/page/activity/A4.1")
    assert "/page/overlap/A4.1-D2.1" in text or "/overlaps/A4.1-D2.1" in text
    assert "/page/action/A4.1-1" in text
    assert "/page/reading/" not in text
    assert "/page/passage/" not in text
    assert "/page/reading/A4.1-r1-1" in page(client, "/page/action/A4.1-1")
