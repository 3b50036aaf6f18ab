"""Whatever the graph says, of whichever thing: every page and every list of it answers."""

import os
import re
import shutil
from html.parser import HTMLParser
from urllib.parse import quote

import pyoxigraph as ox
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyoxigraph import BlankNode, Literal, NamedNode, Quad, Triple

from kg4p1000.curation.access import Tokens
from kg4p1000.kernel.terms import (
    BASE,
    CODE,
    GRAPH,
    ID,
    SHAPES,
    TERMS,
    iri,
    prefix_declarations,
)
from kg4p1000.kernel.texts import balanced, turns
from kg4p1000.store import Delta, Readers
from kg4p1000.web import create_app

HTML = {"Accept": "text/html"}
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
#: In a browser: the Latin texts of the page of which one letter stands to the right of the next.
BACKWARDS = """() => {
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode()); ) {
    const text = node.data, range = document.createRange();
    if (/[\\u0590-\\u05ff\\u2028-\\u202e\\u2066-\\u2069]/.test(text) || !node.parentElement.checkVisibility()) continue;
    const at = (i) => { range.setStart(node, i); range.setEnd(node, i + 1); return range.getBoundingClientRect(); };
    for (let i = 0; i + 1 < Math.min(text.length, 60); i++) {
      if (!/[a-zA-Z]{2}/.test(text.slice(i, i + 2))) continue;
      const one = at(i), next = at(i + 1);
      if (one.width && one.top === next.top && one.left > next.left) { found.push(text.slice(0, 60)); break; }
    }
  }
  return found;
}"""
MODULE = TERMS + "module/overlaps"
PROPERTIES = [iri(name) for name in (
    "rdf:type", "rdfs:label", "rdfs:comment", "rdfs:subClassOf", "rdfs:subPropertyOf", "rdfs:domain", "rdfs:range", "rdfs:isDefinedBy",
    "rdfs:seeAlso", "owl:inverseOf", "owl:versionInfo", "owl:versionIRI", "owl:propertyChainAxiom", "owl:members", "owl:unionOf", "owl:deprecated",
    "skos:prefLabel", "skos:altLabel", "skos:notation", "skos:definition", "skos:scopeNote", "skos:changeNote", "skos:editorialNote",
    "skos:broader", "skos:inScheme", "skos:exactMatch", "dcterms:title", "dcterms:description", "dcterms:license", "dcterms:source",
    "dcterms:isPartOf", "dcterms:isReplacedBy", "dcterms:issued", "sh:name", "sh:description", "foaf:name", "prov:wasAttributedTo",
    "prov:wasGeneratedBy", "prov:generatedAtTime", "prov:endedAtTime", "k4p:between", "k4p:confidence", "k4p:score", "k4p:status",
    "k4p:overlapKind", "k4p:relationKind", "k4p:reason", "k4p:quote", "k4p:sharesFacet", "k4p:sharesBroaderFacet", "k4p:guessesCodesOf",
    "k4p:sharesMention", "k4p:similarPhrase", "k4p:supportedBy", "k4p:hasClusterMember", "k4p:activityOf", "k4p:objectiveOf", "k4p:targetOf",
    "k4p:measureOf", "k4p:remarkOn", "k4p:relatesFrom", "k4p:relatesTo", "k4p:indicator", "k4p:value", "k4p:minValue", "k4p:dueYear", "k4p:number",
    "k4p:decides", "k4p:decidedKind", "k4p:mappingSubject", "k4p:mappingPredicate", "k4p:mappingObject", "k4p:mentionIn", "k4p:mentionOf",
    "k4p:annotationOf", "k4p:givesTopic", "k4p:rank", "k4p:editable", "k4p:inDefaultGraph", "k4p:inDumps", "k4p:unreviewedLanguage",
    "k4p:domainOmitted",
)]  # fmt: skip
#: Properties that by themselves decide whether a statement is read at all.
ALWAYS_KEPT = {iri("k4p:inDefaultGraph"), iri("rdf:type")}
TEXTS = [
    "1" * 5000, "9" * 400 + ".5", "", " ", "abc", "A4.2", "007", "NaN", "INF", "1e400", "-1", "true", "2020-13-45", "x" * 20_000, "a\x00b\x01\x7f\x85c",
    "\u0301\u0327", "\u202eevil", "\u2069\u202eevil", "a\u2029b\u2028c\x0b\x0c\x1d", "שלום", "<script>alert(1)</script>", "\"'><x-odd onx=1>",
    "{{ 7 * 7 }}", "%s %d {}", "a/b?c#d", "../..", "\\", "\r\n\t", "http://[x", "http://ex℀mple.com/", "javascript:alert(1)", "٣", "²", "\U0010ffff",
]  # fmt: skip
KINDS = ["string", "integer", "decimal", "double", "boolean", "date", "dateTime", "gYear", "anyURI", "duration"]  # fmt: skip
TAGS = ["en", "EN", "en-GB", "fr", "es", "he", "x-y-z", "zh-Hant-TW"]
FOREIGN = [
    "http://e/f", "http://ex℀mple.com/", "http://e/\u202ea", "urn:x:", "x:", "mailto:a", "javascript:alert(1)", "http://e.org", "http://e/1",
    ID, ID + "activity/", ID + "activity/A%20b", ID + "overlap/é", ID + "x/y/z", BASE, CODE, CODE + "topic/", TERMS, GRAPH + "é/ü b".replace(" ", "_"),
    GRAPH + "d", GRAPH + "default", SHAPES, "http://example.org/" + "long/" * 400,
]  # fmt: skip


@pytest.fixture(scope="module")
def place(own, library, settings):
    """A store of its own, and a client of the service over it."""
    store = own()
    readers = Readers(store, size=2, timeout=600, memory=512)
    app = create_app(settings, store, readers, library)
    yield store, app.test_client()
    app.extensions["kg4p1000"].writer.close()
    readers.close()


@pytest.fixture(scope="module")
def things(place):
    """One real thing of each kind that has a page, by its path there."""
    found = {}
    for quad in place[0].quads():
        if isinstance(quad.subject, NamedNode) and quad.subject.value.startswith((ID, CODE)):
            kind = quad.subject.value.removeprefix(BASE).rpartition("/")[0]
            found[kind] = min(found.get(kind, quad.subject), quad.subject, key=str)
    wanted = [*found.values(), iri("activity:A4.2"), iri("objective:A4")]
    wanted += [
        iri("k4p:Activity"),
        iri("k4p:activityOf"),
        NamedNode(MODULE),
        NamedNode(BASE + "ontology"),
    ]
    wanted += map(iri, ("graph:notes", "graph:graphs", "shapes:ActivityShape", "code:topic"))
    return wanted


def home_of(subject):
    """The graph in which pages look for what is said of a thing."""
    name = getattr(subject, "value", "")
    for start, graph in (
        (CODE, "codes"),
        (GRAPH, "graphs"),
        (TERMS, "ontology"),
        (SHAPES, "shapes"),
    ):
        if name.startswith(start) or name == BASE + "ontology":
            return iri(f"graph:{graph}")
    return iri("graph:notes")


def paths(things, pair):
    """Addresses of every kind of page, list and data."""
    ask = quote("SELECT * WHERE { GRAPH ?g { ?s ?p ?o } FILTER(?g IN (graph:notes, graph:codes)) }")
    tell = quote("CONSTRUCT WHERE { GRAPH graph:notes { ?s ?p ?o } }")
    yield from (
        "/", "/query/", "/query/decisions-on-overlaps", "/query/activity-overlaps?activity=A4.2",
        "/overlaps/", "/overlaps/?format=csv", "/overlaps/clusters", "/overlaps/queue", f"/overlaps/{pair}", "/graph/", "/graph/?format=turtle",
        "/graph/notes", "/graph/notes?format=turtle", "/graph/ontology", "/ontology", "/ontology?lang=fr&q=a", "/ontology/module/overlaps",
        "/.well-known/void", "/sparql", "/sparql?format=turtle", f"/sparql?format=html&query={ask}", f"/sparql?format=html&query={tell}",
        f"/sparql?format=csv&query={ask}", f"/sparql?format=json&query={ask}", "/versions", "/dumps/", "/health",
        "/page/activity/A%2520b", "/page/overlap/%C3%A9", "/graph/d", "/page/activity/",
    )  # fmt: skip
    for kind in {thing.value.split("/")[-2] for thing in things if thing.value.startswith(ID)}:
        yield f"/page/{kind}/"
    for thing in things:
        path = thing.value.removeprefix(BASE)
        if path.startswith("id/"):
            yield f"/page/{path.removeprefix('id/')}"
            for suffix in ("jsonld", "rdf"):
                yield f"/data/{path.removeprefix('id/')}.{suffix}"
        else:
            yield f"/{path}"
            yield f"/{path}?format=nt"
    yield from (
        "/questions",
        "/questions?format=json",
    )  # last, for they are asked in the background


class Markup(HTMLParser):
    """What of a page is markup, and its texts with the elements around each."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.texts, self.around = set(), [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("meta", "link", "img", "input", "br", "path", "rect"):
            self.around.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag):
        while self.around.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.append((tuple(self.around), data))


def change(store, added, removed, before):
    """Publish statements as they are, neither judged nor inferred from, in place of those before."""
    with store.draft() as draft:
        draft.apply(before.inverse())
        delta = draft.apply(Delta.of(added, removed))
        store.publish(draft, "tests", "odd", "tests")
    store.prune(2)
    return delta


literals = st.one_of(
    st.sampled_from(TEXTS).map(Literal),
    st.builds(lambda t, tag: Literal(t, language=tag), st.sampled_from(TEXTS), st.sampled_from(TAGS)),
    st.sampled_from(TEXTS).map(lambda t: Literal(t, language="en", direction=ox.BaseDirection.RTL)),
    st.builds(
        lambda t, kind: Literal(t, datatype=iri(f"xsd:{kind}")), st.sampled_from(TEXTS), st.sampled_from(KINDS)
    ),
    st.sampled_from(TEXTS).map(lambda t: Literal(t, datatype=NamedNode("http://e/\u202etype"))),
)  # fmt: skip
odd = st.one_of(
    literals,
    literals,
    st.sampled_from(FOREIGN).map(NamedNode),
    st.sampled_from(["f", "list", "b1"]).map(BlankNode),
    st.builds(Triple, st.just(iri("activity:A4.2")), st.just(iri("k4p:between")), literals),
)
#: Nodes without names: a list that never ends, and a finding between two activities.
NODES = [
    (BlankNode("list"), iri("rdf:first"), Literal("1")),
    (BlankNode("list"), iri("rdf:rest"), BlankNode("list")),
    (BlankNode("f"), iri("k4p:between"), iri("activity:A4.2")),
    (BlankNode("f"), iri("k4p:between"), iri("activity:D2.1")),
    (BlankNode("f"), iri("rdf:type"), iri("k4p:Overlap")),
    (iri("k4p:Activity"), iri("rdfs:subClassOf"), iri("k4p:Activity")),
    (iri("activity:A4.2"), iri("dcterms:isPartOf"), iri("activity:A4.2")),
    (iri("code:topic"), iri("skos:broader"), iri("code:topic")),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_every_page_answers_whatever_the_graph_says(place, things):
    store, client = place
    real = {}
    for quad in store.quads():
        real.setdefault((quad.subject, quad.predicate), set()).add(quad)
    subjects = [*things, *map(NamedNode, FOREIGN), *map(BlankNode, ("f", "b1"))]
    pair = min(t.value for t in things if "/overlap/" in t.value).rpartition("/")[2]
    said = st.tuples(
        st.sampled_from(subjects),
        st.sampled_from(PROPERTIES),
        st.one_of(odd, st.sampled_from(things)),
        st.booleans(),
    )
    before = [Delta.of(())]

    @given(st.lists(said, min_size=150, max_size=200))
    @settings(
        max_examples=max(1, settings().max_examples // 100),
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def answers(statements):
        triples = [(s, p, value) for s, p, value, _ in statements] + NODES
        added = {Quad(*t, home_of(t[0])) for t in triples}
        removed = set().union(
            *(real.get((s, p), ()) for s, p, _, instead in statements if instead and p not in ALWAYS_KEPT)
        )  # fmt: skip
        before[0] = change(store, added, removed - added, before[0])
        failed = []
        for path in paths(things, pair):
            answer = client.get(path, headers={} if "format=" in path else HTML)
            if answer.status_code >= 500:
                failed.append((path, answer.status_code, answer.text[:300]))
            elif answer.mimetype == "text/html":
                page = Markup(answer.text)
                assert not {"script", "x-odd"} & page.tags, path
                assert not [name for _, name, _ in page.attributes if name.startswith("on")], path
                assert not [v for _, name, v in page.attributes if name == "href" and re.match("javascript:|None", v)], path  # fmt: skip
            answer.close()
        assert failed == []

    try:
        answers()
    finally:
        change(store, (), (), before[0])


# what a steward sends


@pytest.fixture
def steward(place):
    """Sends a change as a steward; what was published is taken back."""
    store, client = place
    tokens, before = Tokens(store.path / "tokens.json"), store.current
    head = {"Authorization": "Bearer " + tokens.create("Steward", "steward")}

    def send(text, path="/update", kind="application/sparql-update"):
        return client.post(path, data=text, headers=head | {"Content-Type": kind})

    yield send
    admin = {"Authorization": "Bearer " + tokens.create("Undo", "admin")}
    for version in range(place[0].current, before, -1):
        client.post(f"/versions/{version}/undo", headers=admin)


@pytest.mark.parametrize("text", ["1" * 5000, "A4." + "2" * 5000, "\u2028@prefix x", "\u202ex", ""])
def test_a_note_of_any_text_is_taken_and_shown(place, steward, text):
    told = f"INSERT DATA {{ GRAPH graph:notes {{ activity:A4.2 rdfs:comment {Literal(text)} }} }}"
    assert steward(told).status_code == 200
    assert place[1].get("/page/activity/A4.2", headers=HTML).status_code == 200


@pytest.mark.parametrize(
    "statements",
    [
        'GRAPH graph:notes { <http://e/f> k4p:between activity:A4.1, activity:D2.1 ; k4p:confidence "abc" }',
        f'GRAPH graph:notes {{ objective:A4 skos:notation "{"9" * 5000}" }}',
        'GRAPH graph:notes { <http://e/c> a k4p:ActivityCluster ; k4p:confidence "NaN"^^xsd:double }',
    ],
)  # fmt: skip
def test_what_can_never_be_right_is_refused_with_the_shapes(steward, statements):
    refused = steward(f"INSERT DATA {{ {statements} }}")
    assert refused.status_code == 422, refused.text
    assert refused.json["report"]["counts"]["violation"]


def test_a_finding_without_a_name_is_refused(steward):
    text = "INSERT DATA { GRAPH graph:notes { _:f k4p:between activity:A4.5, activity:D2.1 } }"
    refused = steward(text)
    assert (refused.status_code, "blank nodes" in refused.json["detail"]) == (400, True)


@pytest.mark.parametrize(("said_by", "status"), [("rdfs:comment", 200), ("k4p:between", 422)])
def test_a_statement_about_a_statement_is_judged_like_any_other(place, steward, said_by, status):
    told = f"{prefix_declarations()} <http://e/f> {said_by} <<( activity:A4.1 rdfs:label 'x' )>> ."
    answer = steward(told, "/graph-store?graph=" + quote(GRAPH + "notes"), "text/turtle")
    assert answer.status_code == status, answer.text
    if status == 422:
        assert '"type":"triple"' in answer.text.replace(" ", "")


# text from right to left

#: Ends an isolate around it, and turns all that follows.
TURN = "\u2069\u202e\u05d0"
#: Where text stands for itself: there is nothing beside it.
ALONE = {"title", "textarea", "option", "text", "desc"}


@pytest.fixture(scope="module")
def turned(place):
    """The service over a graph in which each label and each other text tries to turn the page."""
    store, client = place
    kept = {iri("skos:notation"), iri("owl:versionInfo")}
    plain = {None, "en", "fr", "es"}
    removed, added = [], []
    for q in store.quads():
        if isinstance(q.object, Literal) and q.predicate not in kept and q.object.language in plain:
            text, language = q.object.value, q.object.language
            if language or q.object.datatype == iri("xsd:string"):
                removed.append(q)
                added.append(
                    Quad(
                        q.subject,
                        q.predicate,
                        Literal(f"{text[:80]}{TURN}", language=language),
                        q.graph_name,
                    )
                )
    delta = change(store, added, removed, Delta.of(()))
    yield client
    change(store, (), (), delta)


@pytest.mark.slow
def test_no_text_of_the_graph_turns_what_stands_beside_it(turned, things):
    seen = 0
    pair = min(t.value for t in things if "/overlap/" in t.value).rpartition("/")[2]
    for path in (*paths(things, pair), f"/ontology?q={quote(TURN)}", "/page/activity/A%202"):
        answer = turned.get(path, headers={} if "format=" in path else HTML)
        if answer.mimetype == "text/html":
            page = Markup(answer.text)
            for around, text in page.texts:
                if turns(text):
                    seen += 1
                    assert "bdi" in around or ALONE & {*around}, (path, around, text)
                    assert balanced(text) == text, (path, text)
            for tag, name, value in page.attributes:  # what a form sends is as it was given
                assert balanced(value) == value or (tag, name) == ("input", "value"), (path, tag)
        answer.close()
    assert seen > 1000


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here; install it or set CHROMIUM")
def test_text_after_a_turning_label_keeps_its_direction_in_a_browser(turned):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        for path in ("/page/activity/A4.2", "/overlaps/", "/ontology/module/overlaps"):
            text = turned.get(path, headers=HTML).text
            page.set_content(text)
            assert page.evaluate(BACKWARDS) == [], path
            page.set_content(
                re.sub("</?bdi>", "", text).replace("\u202c", "").replace(TURN[1:], TURN)
            )
            assert page.evaluate(BACKWARDS), path  # so that the measure is one
        browser.close()
