"""The reference of the ontology: languages, search, anchors, versions, and drawings that say the axioms."""

import gzip
import re
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

import pyoxigraph as ox
import pytest

from everything import some
from kg4p1000 import release
from kg4p1000.curation.build import parse_file
from kg4p1000.kernel.terms import BASE, TERMS, iri
from kg4p1000.web.ontology import LANGUAGES, said
from kg4p1000.web.reference import MODULES, Drawing, reference

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
        return reference(store.current)


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
@pytest.mark.parametrize("lang", some(LANGUAGES, 3))
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


@pytest.mark.parametrize("tongue", ["en", "fr", "es"])
def test_a_search_finds_words_of_any_language_on_every_page(client, tongue):
    found = page(client, f"/ontology?q=secuestro&lang={tongue}")
    assert 'href="/code/topic/compensation-schemes"' in found


@pytest.mark.parametrize("tongue", ["en", "fr", "es"])
@pytest.mark.parametrize("path", ["/ontology", "/ontology/module/plan", "/ontology/Activity"])
def test_a_page_says_its_language_at_its_root(client, path, tongue):
    text = page(client, f"{path}?lang={tongue}")
    assert f'<html lang="{tongue}">' in text
    assert '<footer class="site" lang="en">' in text


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


def recorded(number):
    return set(release.load(ROOT, number))


@pytest.mark.parametrize("path", ["/ontology/{}", "/releases/ontology/{}"])
@pytest.mark.parametrize("version", release.releases(ROOT))
def test_each_release_has_an_address_also_in_a_new_store(client, store, version, path):
    assert store.current == 1
    path = path.format(version)
    text = page(client, path)
    assert "4 per 1000 Implementation Plan Ontology" in text
    assert f"released in version {version}" in text
    for form, media_type in (
        (ox.RdfFormat.N_TRIPLES, "application/n-triples"),
        (ox.RdfFormat.TURTLE, "text/turtle"),
        (ox.RdfFormat.RDF_XML, "application/rdf+xml"),
        (ox.RdfFormat.JSON_LD, "application/ld+json"),
    ):
        response = client.get(path, headers={"Accept": media_type})
        assert response.mimetype == media_type
        assert len(list(ox.parse(response.data, format=form))) == len(recorded(version))


@pytest.mark.parametrize("version", release.releases(ROOT))
def test_each_module_of_a_release_has_its_terms_of_then(client, version):
    then = recorded(version)
    homes = {
        t.subject.value
        for t in then
        if t.object == iri("owl:Ontology") and t.subject.value.startswith(MODULES)
    }
    assert homes
    for home in homes:
        path = f"/releases/ontology/{version}/{home.removeprefix(MODULES)}"
        ours = {
            t.subject
            for t in then
            if t.predicate == iri("rdfs:isDefinedBy") and t.object == ox.NamedNode(home)
        }
        data = client.get(path, headers={"Accept": "application/n-triples"}).data
        found = [q.triple for q in ox.parse(data, format=ox.RdfFormat.N_TRIPLES)]
        subjects_found = {t.subject for t in found if isinstance(t.subject, ox.NamedNode)}
        assert subjects_found == ours | {ox.NamedNode(home)}
        assert len(found) >= sum(t.subject in subjects_found for t in then)
        text = page(client, path)
        for term in ours:
            if any(t.subject == term and t.object in KINDS for t in then):
                assert f'id="{term.value.removeprefix(TERMS)}"' in text


def test_the_pages_of_a_release_lead_to_that_release(client):
    text = page(client, "/releases/ontology/0.1.0?lang=fr")
    assert 'href="/releases/ontology/0.1.0/plan?lang=fr"' in text
    assert 'href="/releases/ontology/0.1.0/plan?lang=fr#Activity"' in text


def test_each_version_iri_of_a_module_opens(client):
    iris = [t.object.value for t in schema() if t.predicate == iri("owl:versionIRI")]
    released = gzip.decompress((ROOT / f"ontology/releases/{number()}.nt.gz").read_bytes()).decode()
    for address in iris:  # a module that is not released yet opens with the next release
        there = f"<{address}>" in released
        status = client.get("/" + address.removeprefix(BASE), headers=HTML).status_code
        assert status == (200 if there else 404), address


def test_a_version_that_is_not_there_says_which_are(client):
    response = client.get("/releases/ontology/9.9.9", headers=HTML)
    assert response.status_code == 404
    for version in release.releases(ROOT):
        assert version in response.text
    response = client.get(f"/releases/ontology/{number()}/nowhere", headers=HTML)
    assert response.status_code == 404
    assert "it has about, actors" in response.text


@pytest.mark.parametrize("name", modules())
def test_a_drawing_has_all_classes_and_no_two_boxes_in_one_place(book, name):
    module = book.modules[name]
    drawing = Drawing(module, book, "en")
    assert {*book.terms(module, "en", "class")} <= drawing.boxes.keys()
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
    drawing = Drawing(book.modules[name], book, "en")
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
    assert {(link.start, link.end) for link in drawing.links if not link.label} == wider
    for link in drawing.links:
        assert drawing.boxes[link.start].title in drawing.words


@pytest.mark.parametrize("name", modules())
def test_a_wider_class_is_drawn_above_a_narrower_one(book, name):
    drawing = Drawing(book.modules[name], book, "en")
    for narrower, wider, label in drawing.links:
        if not label:
            assert drawing.boxes[wider].y < drawing.boxes[narrower].y, (narrower, wider)


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


# --- the page of a term


def terms_of_ours():
    return sorted(
        {
            t.subject.value
            for t in schema()
            if t.object in KINDS and t.subject.value.startswith(TERMS)
        }
    )


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_of_a_term_is_in_the_language_asked_for(client, lang):
    words = said(lang)
    text = page(client, f"/ontology/Activity?lang={lang}").replace("&#39;", "'")
    for key in ("place", "tongues", "mappings", "questions", "everything", "nav_downloads"):
        assert words[key] in text
    label = {"en": "activity", "fr": "activité", "es": "actividad"}[lang]
    assert f"<h1><span>{label}</span></h1>" in text
    for name in ("activity", "activité", "actividad"):  # all labels stand on each page
        assert f"<b>{name}</b>" in text
    assert (words["unreviewed"] in text) == (lang != "en")
    with_anchor = re.findall(r'href="#(\w+)"', text)
    assert len(with_anchor) > 4
    for anchor in with_anchor:
        assert text.count(f'id="{anchor}"') == 1


@pytest.mark.slow
def test_the_page_of_each_term_says_all_that_its_axioms_say(client):
    """Superclasses, domains, ranges and inverses of each term lead to pages that lead back."""
    ways = {
        "rdfs:subClassOf", "rdfs:subPropertyOf", "rdfs:domain", "rdfs:range", "owl:inverseOf",
    }  # fmt: skip
    pages = {
        term: page(client, "/ontology/" + term.removeprefix(TERMS)) for term in terms_of_ours()
    }
    place = {
        t: re.search(r'id="place".*?</section>', text, re.DOTALL).group()
        for t, text in pages.items()
    }
    checked = 0
    for t in schema():
        if t.predicate in {iri(w) for w in ways} and isinstance(t.object, ox.NamedNode):
            one, other = t.subject, t.object
            if isinstance(one, ox.NamedNode) and {one.value, other.value} <= pages.keys():
                assert f'href="/ontology/{other.value.removeprefix(TERMS)}"' in place[one.value]
                assert f'href="/ontology/{one.value.removeprefix(TERMS)}"' in place[other.value]
                checked += 1
    assert checked > 300
    for t in schema():
        if (
            t.predicate == iri("skos:definition")
            and t.object.language == "fr"
            and t.subject.value in pages
        ):
            words = t.object.value.replace("'", "&#39;")
            assert words in pages[t.subject.value].replace("&#x27;", "&#39;")


def test_the_page_of_a_term_tells_mappings_questions_source_and_chain(client):
    text = page(client, "/ontology/Activity")
    mappings = re.search(r'id="mappings".*?</section>', text, re.DOTALL).group()
    assert "is a kind of" in mappings or "is close to" in mappings
    assert re.search(r"confidence [01][.]\d", mappings)
    assert 'href="/query/activities-of-objective"' in text
    assert 'href="/page/activity/"' in text
    place = re.search(r'id="place".*?</section>', text, re.DOTALL).group()
    assert "/page/edition/2021-10-14" in place
    chain = page(client, "/ontology/contributesTo")
    assert re.search(r"follows from</dt><dd><a [^>]*><span>is activity of</span></a> → ", chain)


def test_a_term_is_told_once_on_its_page(client):
    text = page(client, "/ontology/Activity")
    rest = re.search(r'id="everything".*?</section>', text, re.DOTALL).group()
    assert "instances" in rest and "on property" in rest  # which the page says nowhere else
    for told in (
        "preferred label",
        "narrower classes",
        "properties that start here",
        "close match",
    ):
        assert told not in rest


def test_a_term_that_is_not_there_is_not_found(client):
    assert client.get("/ontology/Nothing", headers=HTML).status_code == 404
