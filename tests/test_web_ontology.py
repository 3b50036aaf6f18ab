"""The reference of the ontology: languages, search, anchors, versions, and drawings that say the axioms."""

import re
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

import pyoxigraph as ox
import pytest

from kg4p1000.build import parse_file
from kg4p1000.terms import BASE, GRAPH, TERMS, iri
from kg4p1000.web.diagram import draw, in_words
from kg4p1000.web.reference import LANGUAGES, MODULES, reference
from kg4p1000.web.services import services

ROOT = Path(__file__).parent.parent
HTML = {"Accept": "text/html"}
SVG = "{http://www.w3.org/2000/svg}"
KINDS = {
    iri(f"owl:{k}") for k in ("Class", "ObjectProperty", "DatatypeProperty", "AnnotationProperty")
}


@cache
def schema():
    return [t for path in sorted((ROOT / "ontology").glob("*.ttl")) for t in parse_file(path)]


def subjects(prop, value=None):
    return {t.subject for t in schema() if t.predicate == iri(prop) and value in (None, t.object)}


def modules():
    return sorted(
        t.subject.value.removeprefix(MODULES)
        for t in schema()
        if t.object == iri("owl:Ontology") and t.subject.value.startswith(MODULES)
    )


def page(client, path, **headers):
    response = client.get(path, headers=HTML | headers)
    assert response.status_code == 200, response.text[:300]
    return response.text


@pytest.fixture(scope="module")
def book(app, store):
    with app.test_request_context():
        return reference(services(), store.current)


def test_the_language_is_that_of_the_address_or_of_the_browser(client):
    french = page(client, "/ontology?lang=fr")
    assert french == page(client, "/ontology?lang=fr", **{"Accept-Language": "es"})
    asked = client.get("/ontology", headers=HTML | {"Accept-Language": "de, es;q=0.8, en;q=0.5"})
    assert '<div class="reference" lang="es">' in asked.text
    assert {"Accept", "Accept-Language"} <= set(asked.vary)
    assert '<div class="reference" lang="en">' in page(client, "/ontology")


def test_a_language_that_is_not_ours_is_refused(client):
    response = client.get("/ontology?lang=de", headers=HTML)
    assert response.status_code == 400
    assert "must be one of en, fr, es" in response.text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_nobody_reviewed_says_so_and_english_does_not(client, lang):
    said = {
        "fr": "relus par personne",
        "es": "de los desarrolladores y nadie",
        "en": "developers' and nobody",
    }
    for path in ("/ontology", "/ontology/module/plan"):
        text = page(client, f"{path}?lang={lang}").replace("&#39;", "'")
        assert (said[lang] in text) == (lang != "en")


@pytest.mark.parametrize("name", modules())
@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_term_of_a_module_has_an_anchor_and_its_words(client, name, lang):
    text = page(client, f"/ontology/module/{name}?lang={lang}")
    home = ox.NamedNode(MODULES + name)
    for term in subjects("rdfs:isDefinedBy", home):
        if not any(t.subject == term and t.object in KINDS for t in schema()):
            continue
        assert text.count(f'id="{term.value.removeprefix(TERMS)}"') == 1
        for prop in ("rdfs:label", "skos:definition"):
            (words,) = [
                t.object.value for t in schema()
                if (t.subject, t.predicate) == (term, iri(prop)) and t.object.language == lang
            ]  # fmt: skip
            assert words.replace("'", "&#39;").replace("“", "“") in text.replace("&#x27;", "&#39;")


def test_links_between_terms_lead_to_anchors(client):
    text = page(client, "/ontology/module/plan?lang=fr")
    links = re.findall(r'href="(/ontology/module/[a-z]+[^"#]*)#([A-Za-z]+)"', text)
    assert links
    for path, anchor in set(links):
        assert f'id="{anchor}"' in page(client, path.replace("&amp;", "&"))


def test_a_search_finds_terms_and_codes_in_the_language_asked_for(client):
    found = page(client, "/ontology?q=carbone+sol&lang=fr")
    assert "carbone organique du sol" in found
    assert 'href="/code/measured-property/soc"' in found
    assert 'value="carbone sol"' in found
    assert "Nothing has all these words." in page(client, "/ontology?q=carbone+xyzzy")


def test_a_search_cannot_put_code_into_the_page(client):
    text = page(client, "/ontology?q=%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_a_term_leads_to_the_questions_that_need_it(client):
    text = page(client, "/ontology/module/policy?lang=es")
    entry = re.search(r'id="Commitment".*?</article>', text, re.DOTALL).group()
    assert 'href="/query/soil-in-policy"' in entry
    assert "¿Qué países se refieren al suelo" in entry


def number():
    (value,) = [t.object.value for t in schema() if t.predicate == iri("owl:versionInfo")]
    return value


@pytest.mark.parametrize("path", ["/ontology/{}", "/releases/ontology/{}"])
def test_a_version_of_the_ontology_has_an_address(client, store, path):
    path = path.format(number())
    assert "4 per 1000 Implementation Plan Ontology" in page(client, path)
    data = client.get(path, headers={"Accept": "application/n-triples"})
    stored = sum(q.graph_name.value == GRAPH + "ontology" for q in store.quads())
    assert len(list(ox.parse(data.data, format=ox.RdfFormat.N_TRIPLES))) == stored


def test_each_version_iri_of_a_module_opens(client):
    iris = [t.object.value for t in schema() if t.predicate == iri("owl:versionIRI")]
    for address in iris:
        assert client.get("/" + address.removeprefix(BASE), headers=HTML).status_code == 200


def test_a_version_that_is_not_there_says_which_are(client):
    response = client.get("/releases/ontology/9.9.9", headers=HTML)
    assert response.status_code == 404
    assert f"it holds {number()}" in response.text


@pytest.mark.parametrize("name", modules())
def test_a_drawing_has_all_classes_and_no_two_boxes_in_one_place(book, name):
    module = book.module(name)
    drawing = draw(module, book, "en")
    assert {e.iri for e in module.of_kind("class")} <= drawing.boxes.keys()
    boxes = list(drawing.boxes.values())
    for i, a in enumerate(boxes):
        assert a.x >= 0
        assert a.x + a.width <= drawing.width
        assert a.y + a.height <= drawing.height
        for b in boxes[:i]:
            beside = a.x + a.width <= b.x or b.x + b.width <= a.x
            assert beside or a.y + a.height <= b.y or b.y + b.height <= a.y, (a.title, b.title)


@pytest.mark.parametrize("name", modules())
def test_a_drawing_says_the_axioms_of_its_module(book, name):
    drawing = draw(book.module(name), book, "en")
    home = ox.NamedNode(MODULES + name)
    ours = {
        t.subject for t in schema() if t.predicate == iri("rdfs:isDefinedBy") and t.object == home
    }
    wider = {
        (t.subject.value, t.object.value)
        for t in schema()
        if t.predicate == iri("rdfs:subClassOf")
        and t.subject in ours
        and isinstance(t.object, ox.NamedNode)
        and t.object.value.startswith(TERMS)
    }
    assert {(link.start, link.end) for link in drawing.links if link.wider} == wider
    for link in drawing.links:
        assert drawing.boxes[link.start].title in in_words(drawing)


def test_a_drawing_in_a_page_is_well_formed_and_told_in_words(client):
    text = page(client, "/ontology/module/targets?lang=fr")
    drawn = ET.fromstring(re.search(r"<svg .*?</svg>", text, re.DOTALL).group())
    title, desc = drawn.find(f"{SVG}title"), drawn.find(f"{SVG}desc")
    assert drawn.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
    assert title.text == "Schéma: Cibles"
    assert "mesure ⊑ chiffre." in desc.text
    assert "cible" in desc.text
    links = {a.get("href") for a in drawn.iter(f"{SVG}a")}
    assert "/ontology/Measure" in links
