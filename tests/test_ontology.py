"""The ontology: consistent, satisfiable, documented; its rules against independent reasoners."""

import gzip
from pathlib import Path

import owlready2
import owlrl
import pyhornedowl
import pyoxigraph as ox
import pytest
import rdflib
from pyoxigraph import Literal, NamedNode, Triple

from everything import for_each
from kg4p1000.curation import commits
from kg4p1000.curation.build import parse_file
from kg4p1000.kernel.terms import BASE, PREFIXES, TERMS, iri
from kg4p1000.reasoning import inference
from kg4p1000.reasoning.consistency import consistency
from kg4p1000.reasoning.inference import INFERRED, rules
from kg4p1000.store import Delta, Draft, MemoryGraph

ROOT = Path(__file__).parent.parent
EX = "http://example.org/"


def schema():
    found = []
    for path in sorted((ROOT / "ontology").glob("*.ttl")):
        for q in ox.parse(path=str(path), rename_blank_nodes=True):
            found.append(Triple(q.subject, q.predicate, q.object))
    return found


def sample():
    """One objective with all that hangs on it, from every data file."""
    keep = ("/A4", "/D2", "goal/A", "/measure/A4", "mention/A4", "overlap/A4", "relation/A4")
    return [
        t
        for path in sorted((ROOT / "data").glob("*.ttl"))
        for t in parse_file(path)
        if any(k in t.subject.value for k in keep)
    ]


@pytest.fixture(scope="module")
def ontology_triples():
    return schema()


@pytest.mark.slow
def test_ontology_and_sample_are_consistent_under_hermit(ontology_triples):
    found = consistency([*ontology_triples, *sample()])
    assert found.consistent
    assert found.unsatisfiable == ()


@pytest.mark.slow
def test_hermit_finds_a_thing_that_is_both_goal_and_activity(ontology_triples):
    x = NamedNode(EX + "x")
    bad = [
        Triple(x, iri("rdf:type"), iri("k4p:Goal")),
        Triple(x, iri("rdf:type"), iri("k4p:Activity")),
    ]
    assert not consistency([*ontology_triples, *bad]).consistent


@pytest.mark.slow
def test_hermit_finds_a_class_that_can_have_no_member(ontology_triples):
    x = NamedNode(TERMS + "Impossible")
    bad = [Triple(x, iri("rdf:type"), iri("owl:Class"))]
    bad += [Triple(x, iri("rdfs:subClassOf"), iri(c)) for c in ("k4p:Goal", "k4p:Activity")]
    assert consistency([*ontology_triples, *bad]).unsatisfiable == (x.value,)


def own_terms():
    kinds = {iri("owl:Class"), iri("owl:ObjectProperty"), iri("owl:DatatypeProperty")}
    return sorted(
        {
            t.subject.value
            for t in schema()
            if t.predicate == iri("rdf:type")
            and t.object in kinds
            and t.subject.value.startswith(TERMS)
        }
    )


@for_each("term", own_terms(), ids=lambda t: t.removeprefix(TERMS))
def test_a_term_has_labels_one_definition_a_language_source_and_module(term, ontology_triples):
    about = [t for t in ontology_triples if t.subject == NamedNode(term)]
    labels = [t.object.language for t in about if t.predicate == iri("rdfs:label")]
    assert sorted(labels) == ["en", "es", "fr"]
    told = [t.object.language for t in about if t.predicate == iri("skos:definition")]
    assert sorted(told) == ["en", "es", "fr"]
    for name in ("dcterms:source", "rdfs:isDefinedBy"):
        assert len([t for t in about if t.predicate == iri(name)]) == 1, name


@for_each("term", own_terms(), ids=lambda t: t.removeprefix(TERMS))
def test_a_property_has_a_range_and_a_class_is_named_like_a_class(term, ontology_triples):
    about = [t for t in ontology_triples if t.subject == NamedNode(term)]
    name = term.removeprefix(TERMS)
    if any(t.object == iri("owl:Class") for t in about):
        assert name[0].isupper()
    else:
        assert name[0].islower()
        assert any(t.predicate == iri("rdfs:range") for t in about)


def test_the_version_stands_in_one_place_and_agrees_with_the_changelog(ontology_triples):
    versions = [t.object.value for t in ontology_triples if t.predicate == iri("owl:versionInfo")]
    assert len(versions) == 1
    iris = [t.object.value for t in ontology_triples if t.predicate == iri("owl:versionIRI")]
    release = f"{BASE}releases/ontology/{versions[0]}"
    prefix = f"{BASE}ontology/module/"
    # A module that has come since has no version of its own before it is released.
    record = gzip.decompress((ROOT / "ontology" / "releases" / f"{versions[0]}.nt.gz").read_bytes())
    modules = {
        t.subject.value.removeprefix(prefix)
        for t in ox.parse(record, format=ox.RdfFormat.N_TRIPLES)
        if t.predicate == iri("rdf:type")
        and t.object == iri("owl:Ontology")
        and t.subject.value.startswith(prefix)
    }
    assert sorted(iris) == sorted([release, *(f"{release}/{module}" for module in modules)])
    assert f"## {versions[0]}" in (ROOT / "ontology" / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_imported_module_is_there_and_every_module_is_imported(ontology_triples):
    imported = {t.object for t in ontology_triples if t.predicate == iri("owl:imports")}
    modules = {
        t.subject
        for t in ontology_triples
        if t.predicate == iri("rdf:type") and t.object == iri("owl:Ontology")
    } - {NamedNode(BASE + "ontology")}
    assert imported == modules


def infer(triples, made):
    """What rules add to some triples."""
    draft, graph = Draft(), iri("graph:a")
    merged = [(g, iri("k4p:inDefaultGraph"), Literal(True)) for g in (graph, INFERRED)]
    draft.apply(Delta.of(ox.Quad(*t, iri("graph:graphs")) for t in merged))
    draft.apply(Delta.of(ox.Quad(*t, graph) for t in triples))
    inference.infer(draft, made)
    return {q.triple for q in draft.quads(INFERRED)}


def by_owlrl(triples):
    """What owlrl derives, as a set of N-Triples terms."""
    graph = rdflib.Graph()
    graph.parse(data=ox.serialize(triples, format=ox.RdfFormat.N_TRIPLES), format="nt")
    owlrl.DeductiveClosure(owlrl.OWLRL_Semantics).expand(graph)
    return {(s.n3(), p.n3(), o.n3()) for s, p, o in graph}


@pytest.mark.slow
def test_our_rules_derive_what_owlrl_derives_about_our_terms(ontology_triples):
    data = sample()
    ours = infer([*ontology_triples, *data], rules(ontology_triples))
    given = {(str(t.subject), str(t.predicate), str(t.object)) for t in data}
    subjects = {str(t.subject) for t in data}
    mine = {(str(t.subject), str(t.predicate), str(t.object)) for t in ours} | given

    def relevant(found):
        return {
            (s, p, o)
            for s, p, o in found
            if s in subjects
            and (p.startswith(f"<{TERMS}") or p == f"<{PREFIXES['rdf']}type>" or "purl.org/dc/terms/is" in p)
            and not o.startswith(('"', "_:"))
            and "owl#Thing" not in o
            and "rdf-schema#Resource" not in o
        }  # fmt: skip

    # The one rule that OWL has no axiom for: owlrl is told what it gives.
    of_status = {t.subject: t.object for t in data if t.predicate == iri("k4p:status")}
    standing = [
        Triple(t.object, iri("k4p:hasStandingMention"), t.subject)
        for t in data
        if t.predicate == iri("k4p:mentionIn") and of_status[t.subject] != iri("status:rejected")
    ]
    theirs = {
        (s, p, o)
        for s, p, o in relevant(by_owlrl([*ontology_triples, *data, *standing]))
        if not o.startswith("_")
    }
    assert relevant(mine) == theirs


@pytest.mark.slow
def test_nothing_follows_from_a_mention_that_is_rejected(ontology_triples):
    mentioned = Triple(iri("activity:A4.2"), iri("k4p:mentions"), iri("database:wocat"))

    def mention(status):
        return [
            Triple(iri("mention:x"), iri("k4p:mentionIn"), iri("activity:A4.2")),
            Triple(iri("mention:x"), iri("k4p:mentionOf"), iri("database:wocat")),
            Triple(iri("mention:x"), iri("k4p:status"), iri(f"status:{status}")),
        ]

    made = rules(ontology_triples)
    for status in ("proposed", "accepted"):
        assert mentioned in infer([*ontology_triples, *mention(status)], made)
    follows = infer([*ontology_triples, *mention("rejected")], made)
    assert mentioned not in follows
    assert not {t for t in follows if t.object == iri("database:wocat")}
    theirs = by_owlrl([*ontology_triples, *mention("rejected")])
    assert (str(mentioned.subject), str(mentioned.predicate), str(mentioned.object)) not in theirs


def test_a_mention_that_is_rejected_later_takes_its_inferences_along(toy_store, toy_shapes):
    store, shapes = toy_store(), toy_shapes
    proposed, rejected = (
        ox.Quad(iri("mention:A1.1-unfccc"), iri("k4p:status"), iri(f"status:{status}"), iri("graph:mentions"))
        for status in ("proposed", "rejected")
    )  # fmt: skip
    follows = {
        ox.Quad(iri("activity:A1.1"), iri("k4p:mentions"), iri("convention:unfccc"), INFERRED),
        ox.Quad(iri("convention:unfccc"), iri("k4p:mentionedIn"), iri("activity:A1.1"), INFERRED),
    }

    def change(added, removed):
        commits.commit(store, shapes, Delta.of([added], [removed]), author="tests", message="seen")
        return follows & set(store.quads())

    assert change(rejected, proposed) == set()
    assert change(proposed, rejected) == follows


KINDS = ("Class", "ObjectProperty", "DatatypeProperty", "AnnotationProperty")


def by_rdflib(path):
    graph = rdflib.Graph().parse(path)
    return [
        {
            str(s)
            for s in graph.subjects(rdflib.RDF.type, rdflib.OWL[kind])
            if isinstance(s, rdflib.URIRef)
        }
        for kind in KINDS
    ]


def by_owlready2(path):
    read = owlready2.World().get_ontology(path.as_uri()).load()
    of_kind = (
        read.classes,
        read.object_properties,
        read.data_properties,
        read.annotation_properties,
    )
    return [{term.iri for term in kind()} for kind in of_kind]


def by_horned_owl(path):
    rdf = ox.serialize(ox.parse(path=str(path)), format=ox.RdfFormat.RDF_XML)
    read = pyhornedowl.open_ontology_from_string(rdf.decode(), "rdf")
    return [
        read.get_classes(),
        read.get_object_properties(),
        read.get_data_properties(),
        read.get_annotation_properties(),
    ]


@pytest.mark.parametrize("reader", [by_rdflib, by_owlready2, by_horned_owl])
def test_independent_tools_read_the_same_terms(reader, ontology_triples, tmp_path):
    path = tmp_path / "ontology.nt"
    kept = [t for t in ontology_triples if t.predicate != iri("owl:imports")]
    path.write_bytes(ox.serialize(kept, format=ox.RdfFormat.N_TRIPLES))
    wanted = [
        {
            t.subject.value
            for t in kept
            if isinstance(t.subject, NamedNode)
            and (t.predicate, t.object) == (iri("rdf:type"), iri(f"owl:{kind}"))
        }
        for kind in KINDS
    ]
    assert all(wanted)
    assert [set(found) for found in reader(path)] == wanted


SMALL = {
    "symmetric": ("p a owl:SymmetricProperty", "a p b", "b p a"),
    "transitive": ("p a owl:TransitiveProperty", "a p b . b p c", "a p c"),
    "sub-property": ("p rdfs:subPropertyOf q", "a p b", "a q b"),
    "equivalent property": ("p owl:equivalentProperty q", "a q b", "a p b"),
    "inverse": ("p owl:inverseOf q", "a p b", "b q a"),
    "inverse, read back": ("p owl:inverseOf q", "b q a", "a p b"),
    "domain": ("p rdfs:domain q", "a p b", "a a q"),
    "range": ("p rdfs:range q", "a p b", "b a q"),
    "sub-class": ("p rdfs:subClassOf q", "a a p", "a a q"),
    "equivalent class": ("p owl:equivalentClass q", "a a q", "a a p"),
}


def read(text):
    def term(word, is_predicate):
        if word == "a" and is_predicate:
            return iri("rdf:type")
        return iri(word) if ":" in word else NamedNode(EX + word)

    return [
        Triple(term(s, False), term(p, True), term(o, False))
        for s, p, o in (statement.split() for statement in text.split(" . "))
    ]


@pytest.mark.parametrize("axiom", SMALL.values(), ids=SMALL)
def test_an_axiom_implies_what_owlrl_says_it_does(axiom):
    rule, given, implied = map(read, axiom)
    assert infer([*rule, *given], rules(rule)) >= set(implied)
    wanted = {(str(t.subject), str(t.predicate), str(t.object)) for t in implied}
    assert wanted <= by_owlrl([*rule, *given])


def test_a_chain_is_followed_over_all_its_steps():
    chain = "@prefix owl: <http://www.w3.org/2002/07/owl#> . <x:p> owl:propertyChainAxiom (<x:a> <x:b> <x:c>) ."
    axioms = [
        Triple(q.subject, q.predicate, q.object)
        for q in ox.parse(chain, format=ox.RdfFormat.TURTLE)
    ]
    nodes = [NamedNode(f"x:{i}") for i in range(4)]
    given = [Triple(nodes[i], NamedNode(f"x:{p}"), nodes[i + 1]) for i, p in enumerate("abc")]
    assert infer(given, rules(axioms)) == {Triple(nodes[0], NamedNode("x:p"), nodes[3])}


def test_a_literal_is_given_no_class():
    rule = [Triple(NamedNode("x:p"), iri("rdfs:range"), NamedNode("x:C"))]
    assert (
        infer([Triple(NamedNode("x:a"), NamedNode("x:p"), Literal("text"))], rules(rule)) == set()
    )


@pytest.mark.parametrize("end", [" ; rdf:rest <x:list>", ""], ids=["circle", "no end"])
def test_a_broken_list_of_classes_that_exclude_each_other_is_read_as_far_as_it_goes(end):
    text = f"""@prefix owl: <{PREFIXES["owl"]}> . @prefix rdf: <{PREFIXES["rdf"]}> .
    <x:all> owl:members <x:list> . <x:list> rdf:first <x:A> ; rdf:rest <x:more> .
    <x:more> rdf:first <x:B>{end} . <x:a> a <x:A> , <x:B> ."""
    graph = MemoryGraph(q.triple for q in ox.parse(text, format=ox.RdfFormat.TURTLE))
    thing, *classes = (NamedNode(f"x:{name}") for name in "aAB")
    assert inference.contradictions(graph.match) == {(thing, cls) for cls in classes}
