"""What a change brings about, found from the change alone, is what judging everything finds."""

import random
from itertools import pairwise
from pathlib import Path

import pyoxigraph as ox
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyoxigraph import BlankNode, Literal, NamedNode, Quad, Triple

from kg4p1000.curation import commits
from kg4p1000.curation.build import load_shapes
from kg4p1000.curation.commits import INFERRED, StatedGraph
from kg4p1000.kernel.errors import BrokenFile, ShapesViolated
from kg4p1000.kernel.terms import PREFIXES, TERMS, iri
from kg4p1000.reasoning import Shapes, engines, inference, validate, validate_change
from kg4p1000.reasoning.engines import touched
from kg4p1000.reasoning.inference import infer, infer_change, rules
from kg4p1000.reasoning.names import HEADER, NAMES, PAGES, named_by, renamed
from kg4p1000.store import Delta, Draft, MemoryGraph

ROOT = Path(__file__).parent.parent
TOY = Path(__file__).parent / "toy"
A, B, HIDDEN = iri("graph:a"), iri("graph:b"), iri("graph:hidden")
TYPE = iri("rdf:type")


def registered(*graphs):
    return {Quad(g, iri("k4p:inDefaultGraph"), Literal(True), iri("graph:graphs")) for g in graphs}


def memory():
    """A draft of a store in memory, with two merged graphs and the inferences."""
    draft = Draft()
    draft.apply(Delta.of(registered(A, B, INFERRED)))
    return draft


def stated(draft):
    return {q.triple for graph in draft.merged - {INFERRED} for q in draft.quads(graph)}


def inferred(draft):
    return {q.triple for q in draft.quads(INFERRED)}


# --- inference

CLASSES, PROPERTIES, THINGS = (
    [NamedNode(f"http://example.org/{kind}{i}") for i in range(4)] for kind in "Cpx"
)
one = st.sampled_from


def axiom(predicate, a, b):
    return [Triple(a, iri(predicate), b)]


def chain(prop, steps, number):
    nodes = [BlankNode(f"l{number}n{i}") for i in range(len(steps))]
    rests = [*nodes[1:], iri("rdf:nil")]
    found = [Triple(prop, iri("owl:propertyChainAxiom"), nodes[0])]
    for node, step, rest in zip(nodes, steps, rests, strict=True):
        found += [Triple(node, iri("rdf:first"), step), Triple(node, iri("rdf:rest"), rest)]
    return found


axioms = st.one_of(
    st.builds(axiom, one(["rdfs:subClassOf", "owl:equivalentClass"]), one(CLASSES), one(CLASSES)),
    st.builds(
        axiom,
        one(["rdfs:subPropertyOf", "owl:equivalentProperty", "owl:inverseOf"]),
        one(PROPERTIES),
        one(PROPERTIES),
    ),
    st.builds(axiom, one(["rdfs:domain", "rdfs:range"]), one(PROPERTIES), one(CLASSES)),
    st.builds(
        axiom,
        st.just("rdf:type"),
        one(PROPERTIES),
        one([iri("owl:SymmetricProperty"), iri("owl:TransitiveProperty")]),
    ),
    st.builds(chain, one(PROPERTIES), st.lists(one(PROPERTIES), min_size=1, max_size=3),
              st.integers(0, 10**6)),
)  # fmt: skip
facts = st.one_of(
    st.builds(Triple, one(THINGS), one(PROPERTIES), one([*THINGS, Literal("text")])),
    st.builds(Triple, one(THINGS), st.just(TYPE), one(CLASSES)),
)
quads = st.builds(lambda fact, graph: Quad(*fact, graph), facts, one([A, A, B, HIDDEN]))
#: Now and then, a graph leaves the default graph or comes back.
register = one(sorted(registered(A, B, INFERRED), key=str))
batch = st.sets(st.one_of(quads, quads, quads, quads, register), max_size=6)


schemas = st.lists(axioms, max_size=7).map(lambda parts: rules(t for part in parts for t in part))


def by_queries_alone(triples, made):
    """What rules add to some triples, by running each query until none has more to say."""
    graph = ox.Store()
    graph.extend(Quad(*triple) for triple in triples)
    while new := {Quad(*triple) for rule in made for triple in graph.query(rule.sparql())}:
        graph.extend(new)
    return {quad.triple for quad in graph} - triples


@given(
    schemas, schemas, st.lists(st.tuples(batch, batch, st.sampled_from([0, 0, 0, 1])), max_size=6)
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_inferences_follow_each_change_as_if_made_from_nothing(made, other, steps):
    draft = memory()
    before = stated(draft)
    for added, removed, turn in steps:
        draft.apply(Delta.of(added, removed))
        now, made_before = stated(draft), made
        made, other = (other, made) if turn else (made, other)
        infer_change(draft, made, now - before, before - now, made_before)
        anew = memory()
        anew.apply(Delta.of(Quad(*triple, A) for triple in now))
        infer(anew, made)
        assert inferred(draft) == inferred(anew) - now == by_queries_alone(now, made)
        before = now


def changed(draft, made, added=(), removed=()):
    """Apply a change, and what follows from it."""
    before = stated(draft)
    draft.apply(Delta.of(added, removed))
    now = stated(draft)
    infer_change(draft, made, now - before, before - now)


def test_what_was_inferred_and_is_stated_leaves_the_inferences_and_comes_back():
    sub = rules(axiom("rdfs:subClassOf", CLASSES[0], CLASSES[1]))
    draft, given_, implied = memory(), *(Triple(THINGS[0], TYPE, c) for c in CLASSES[:2])
    changed(draft, sub, [Quad(*given_, A)])
    assert inferred(draft) == {implied}
    changed(draft, sub, [Quad(*implied, B)])
    assert inferred(draft) == set()
    changed(draft, sub, [], [Quad(*implied, B)])
    assert inferred(draft) == {implied}
    changed(draft, sub, [], [Quad(*given_, A)])
    assert inferred(draft) == set()
    assert not {implied, given_} & set(draft.triples())


def test_facts_that_only_support_each_other_go_together():
    p, q = PROPERTIES[:2]
    circle = rules(axiom("owl:inverseOf", p, q))
    draft, fact = memory(), Quad(THINGS[0], p, THINGS[1], A)
    changed(draft, circle, [fact])
    assert inferred(draft) == {Triple(THINGS[1], q, THINGS[0])}
    changed(draft, circle, [], [fact])
    assert inferred(draft) == set()


def test_a_change_of_much_of_the_graph_is_inferred_from_by_queries(monkeypatch):
    monkeypatch.setattr(inference, "_MANY", 0)
    made = rules(axiom("rdf:type", PROPERTIES[0], iri("owl:TransitiveProperty")))
    steps = [Quad(a, PROPERTIES[0], b, A) for a, b in pairwise(THINGS)]
    draft = memory()
    changed(draft, made, steps)
    assert len(inferred(draft)) == 3
    changed(draft, made, [], steps[:2])
    assert inferred(draft) == set()


# --- validation


@pytest.fixture(scope="module", params=["toy", pytest.param("own", marks=pytest.mark.slow)])
def place(request):
    """What gives stores of the small knowledge or of the real one, and its folder."""
    name = "toy_store" if request.param == "toy" else "own"
    return request.getfixturevalue(name), TOY if request.param == "toy" else ROOT


@pytest.fixture(scope="module")
def shapes(place):
    return load_shapes(place[1])


@pytest.fixture
def store(place, tmp_path):
    """A store that a test may change."""
    return place[0](tmp_path / "store")


class Edits:
    """Random edits of a graph, of the kinds that people make and get wrong."""

    def __init__(self, draft, seed):
        self.random = random.Random(seed)
        hidden = {iri("graph:ontology"), iri("graph:shapes"), iri("graph:graphs"), INFERRED}
        self.quads = sorted((q for q in draft.quads() if q.graph_name not in hidden), key=str)
        self.draft = draft

    def some(self, *predicates):
        wanted = set(map(iri, predicates))
        fitting = [q for q in self.quads if q.predicate in wanted] if wanted else self.quads
        return self.random.choice(fitting)

    def drop(self):
        return [], [self.some()]

    def drop_thing(self):
        subject = self.some().subject
        return [], [q for q in self.quads if q.subject == subject]

    def drop_label(self):
        return [], [self.some("skos:prefLabel", "rdfs:label")]

    def alter(self):
        quad, other = self.some(), self.some()
        return [Quad(quad.subject, quad.predicate, other.object, quad.graph_name)], [quad]

    def alter_text(self):
        quad = self.some("k4p:quote", "skos:notation", "dcterms:description", "k4p:scope")
        text = Literal(quad.object.value[:-1] + "!", language=quad.object.language)
        return [Quad(quad.subject, quad.predicate, text, quad.graph_name)], [quad]

    def name_alike(self):
        quad = self.some("skos:prefLabel", "skos:altLabel", "k4p:abbreviation")
        kind = quad.subject.value.rsplit("/", 1)[0]
        alike = [q.subject for q in self.quads if q.subject.value.startswith(kind + "/")]
        text = Literal(quad.object.value.upper() + ".", language=quad.object.language)
        subject = self.random.choice(alike)
        return [Quad(subject, iri("skos:altLabel"), text, quad.graph_name)], []

    def change_type(self):
        quad, other = self.some("rdf:type"), self.some("rdf:type")
        return [Quad(quad.subject, TYPE, other.object, quad.graph_name)], [quad]

    def relink(self):
        quad = self.some("k4p:activityOf", "k4p:objectiveOf", "k4p:mentionIn", "k4p:between",
                         "k4p:mentionOf", "k4p:measureOf", "k4p:remarkOn", "skos:inScheme")  # fmt: skip
        ends = [q.object for q in self.quads if q.predicate == quad.predicate]
        end = self.random.choice([*self.random.choices(ends, k=2), self.some().subject])
        return [Quad(quad.subject, quad.predicate, end, quad.graph_name)], [quad]

    def duplicate(self):
        quad = self.some("skos:notation", "k4p:status", "k4p:unit", "k4p:horizon", "k4p:quote")
        same = [q for q in self.quads if q.predicate == quad.predicate]
        value = self.random.choice(same).object
        return [Quad(quad.subject, quad.predicate, value, quad.graph_name)], []

    def copy_thing(self):
        subject, blank = self.some().subject, BlankNode(f"copy{self.random.random()}"[:12])
        new = self.random.choice([blank, NamedNode(subject.value + "-copy")])
        about = [q for q in self.quads if q.subject == subject]
        return [Quad(new, q.predicate, q.object, q.graph_name) for q in about], []

    def move_annotation(self):
        quad = self.some("k4p:annotationOf", "k4p:primaryAnnotationOf")
        ends = [q.object for q in self.quads if q.predicate == quad.predicate]
        end = self.random.choice(ends)
        return [Quad(quad.subject, quad.predicate, end, quad.graph_name)], [quad]

    def rank_anew(self):
        quad = self.some("k4p:rank")
        rank = Literal(str(self.random.randint(0, 5)), datatype=quad.object.datatype)
        return [Quad(quad.subject, quad.predicate, rank, quad.graph_name)], [quad]

    def misspell(self):
        ours = ("https://w3id.org/kg4p1000/code/", iri("k4p:").value)
        used = [
            q
            for q in self.quads
            if isinstance(q.object, NamedNode) and q.object.value.startswith(ours)
        ]
        quad = self.random.choice(used)
        if self.random.random() < 0.5:
            wrong = NamedNode(quad.object.value + "x")
            return [Quad(quad.subject, quad.predicate, wrong, quad.graph_name)], [quad]
        wrong = iri(f"k4p:{self.random.choice(['acess', 'statuss'])}")
        return [Quad(quad.subject, wrong, quad.object, quad.graph_name)], []

    def undeclare(self):
        quad = self.some("skos:topConceptOf")
        while (
            "/code/status/" in quad.subject.value
        ):  # which shapes name, so that they would be refused
            quad = self.some("skos:topConceptOf")
        return [], [q for q in self.quads if q.subject == quad.subject and q.predicate == TYPE]

    def next(self, *kinds):
        """One to three edits as one delta, of some kinds or of all."""
        kinds = kinds or [
            self.drop, self.drop_thing, self.drop_label, self.alter, self.alter_text, self.change_type,
            self.relink, self.duplicate, self.copy_thing, self.move_annotation, self.rank_anew,
        ]  # fmt: skip
        added, removed = [], []
        for kind in self.random.choices(kinds, k=self.random.randint(1, 3)):
            come, gone = kind()
            added += come
            removed += gone
        delta = Delta.of(added, removed)
        self.quads = [q for q in self.quads if q not in delta.removed] + sorted(
            delta.added, key=str
        )
        return delta


def parts(shapes):
    """The IRI of each named shape and constraint, and the shapes with targets that it is part of."""
    found = {shape.value: {shape} for shape in shapes.states.values()}
    for quad in ox.parse(shapes.text, format=ox.RdfFormat.N_TRIPLES):
        if quad.subject in shapes.states.values() and quad.predicate in PARTS:
            found.setdefault(quad.object.value, set()).add(quad.subject)
    return found


PARTS = {iri("sh:property"), iri("sh:sparql")}


def judged(draft, shapes, delta, made, engine="auto"):
    """Apply a change: findings of what it touches, what that is, names it uses, findings of all."""
    merged = draft.merged - {INFERRED}
    real = draft.apply(delta)
    graph = StatedGraph(draft)
    added, removed = graph.difference(merged, real)
    infer_change(draft, made, added, removed)
    part = set(validate_change(graph, shapes, added, removed, engine).findings)
    places = touched(graph, shapes, added, removed)
    concerned = {(node, shapes.states[state]) for node, state in places}
    names = named_by(added, removed), renamed(added, removed)
    return part, concerned, names, set(validate(graph, shapes).findings)


@pytest.mark.parametrize(
    ("seed", "steps", "kinds"),
    [
        (0, 8, ()),
        (1, 8, ()),
        (2, 3, (Edits.move_annotation, Edits.rank_anew)),
        (3, 5, (Edits.misspell, Edits.undeclare)),
        pytest.param(4, 6, (Edits.name_alike,), marks=pytest.mark.slow),
    ],
)
def test_a_change_is_judged_as_if_everything_were(store, shapes, place, seed, steps, kinds):
    if kinds == (Edits.name_alike,) and place[1] == TOY:
        pytest.skip("it has few things of a kind, whose names are soon all alike")
    owners, found, before = parts(shapes), 0, set()
    twice = {shape for space, shape in shapes.spaces.shapes.items() if space in (NAMES, PAGES)}
    vocabulary = set(shapes.spaces.shapes.values()) - twice
    with store.draft() as draft:
        edits, made = Edits(draft, seed), rules(inference.axioms(draft))
        kinds = [kind.__get__(edits) for kind in kinds]
        for _ in range(steps):
            part, concerned, names, whole = judged(draft, shapes, edits.next(*kinds), made)
            assert part == {
                f
                for f in whole
                if any((f.focus, s) in concerned for s in owners.get(f.shape, ()))
                or (f.shape in vocabulary and f.value in names[0])
                or (f.shape in twice and {f.focus, f.value} & names[1])
            }
            assert whole - before <= part
            found += len(whole - before)
            before = whole
        assert found > steps - 2, found
        plain = MemoryGraph(stated(draft))
        assert set(validate(plain, shapes).findings) == whole
        kept = inferred(draft)
        infer(draft, made)
        assert inferred(draft) == kept


def test_both_engines_judge_a_change_alike(store, shapes):
    with store.draft() as draft:
        edits, made = Edits(draft, 7), rules(inference.axioms(draft))
        parts_found = []
        for _ in range(4):
            merged = draft.merged - {INFERRED}
            change = StatedGraph(draft).difference(merged, draft.apply(edits.next()))
            reports = [
                validate_change(StatedGraph(draft), shapes, *change, engine)
                for engine in ("shacl", "pyshacl")
            ]
            assert reports[0].to_dict() == reports[1].to_dict()
            parts_found += reports[0].findings
        assert parts_found
        assert made


@pytest.fixture(scope="module")
def every_way():
    return Shapes.from_files([Path(__file__).parent / "fixtures" / "every-way.ttl"])


values = one([*THINGS, Literal(1), Literal("text")])
loose_facts = st.one_of(
    st.builds(Triple, one(THINGS), one(PROPERTIES), values),
    st.builds(Triple, one(THINGS), one(PROPERTIES), one(THINGS)),
    st.builds(Triple, one(THINGS), st.just(TYPE), one(CLASSES)),
)
HIERARCHY = {Triple(CLASSES[1], iri("rdfs:subClassOf"), CLASSES[2])}
#: Inferences that would hide findings and make others, if they were judged.
MISLEADING = rules(
    [
        *axiom("owl:inverseOf", PROPERTIES[1], PROPERTIES[2]),
        *axiom("rdfs:subPropertyOf", PROPERTIES[3], PROPERTIES[0]),
        *axiom("rdfs:range", PROPERTIES[0], CLASSES[0]),
    ]
)


@given(
    st.sets(loose_facts, max_size=25),
    st.sets(loose_facts, max_size=4),
    st.sets(loose_facts, max_size=4),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_whatever_shapes_can_look_at_is_followed(every_way, before, added, removed):
    draft = memory()
    draft.apply(Delta.of(Quad(*t, A) for t in before | HIERARCHY))
    infer(draft, MISLEADING)
    plain = MemoryGraph(stated(draft))
    old = set(validate(plain, every_way).findings)
    delta = Delta.of((Quad(*t, A) for t in added), (Quad(*t, A) for t in removed))
    part, _, _, whole = judged(draft, every_way, delta, MISLEADING)
    plain = MemoryGraph(stated(draft))
    assert whole == set(validate(plain, every_way).findings)
    assert part <= whole
    assert whole - old <= part


def small(*lines):
    """A shape of class C0 with more lines."""
    names = {"ex": "http://example.org/", "sh": "http://www.w3.org/ns/shacl#"}
    names["rdfs"] = "http://www.w3.org/2000/01/rdf-schema#"
    text = "".join(f"PREFIX {p}: <{namespace}>\n" for p, namespace in names.items())
    text += "ex:S a sh:NodeShape ; sh:targetClass ex:C0 .\n" + "\n".join(lines)
    return Shapes(q.triple for q in ox.parse(text, format=ox.RdfFormat.TURTLE))


def select(query):
    return f"""ex:S sh:sparql ex:c . ex:c sh:select '{query}' ."""


@pytest.mark.parametrize(
    "line",
    [
        select("SELECT $this { $this <x:p> ?a . ?b <x:q> ?c }"),
        select("SELECT $this { $this <x:p> ?a OPTIONAL { $this <x:q> ?b } }"),
        select("SELECT $this { $this <x:p> ?a FILTER NOT EXISTS { ?b <x:q> ?c } }"),
        select("SELECT $this { $this <x:p> ?a . { ?a <x:q> ?b FILTER NOT EXISTS { ?c <x:r> ?d } } ?a <x:q> ?c }"),
        select("SELECT $this { $this <x:p> ?a . { ?a <x:q> ?b } UNION { ?a <x:r> ?c } ?b <x:s> ?d }"),
        select("SELECT $this { $this ?p ?a . ?p <x:label> ?b }"),
        select("SELECT $this { $this <x:p> ?a BIND(STR(?a) AS ?b) ?c <x:q> ?b }"),
        select("SELECT $this { $this <x:p> [ <x:q> ?a ] }"),
        select("SELECT $this { $this !<x:p> ?a }"),
        "ex:S sh:property ex:P . ex:P sh:path [ ex:strange ex:p ] .",
    ],
)  # fmt: skip
def test_shapes_whose_reach_has_no_bounds_are_judged_on_everything(line):
    draft = memory()
    added = {Triple(THINGS[0], PROPERTIES[0], THINGS[1])}
    assert validate_change(StatedGraph(draft), small(), added, set()) is not None
    assert validate_change(StatedGraph(draft), small(line), added, set()) is None


@pytest.mark.parametrize(
    ("line", "word"),
    [
        (select("SELECT $this { $this no:p ?a }"), "query"),
        ("ex:S sh:expression ex:e .", "sh:expression"),
        ("ex:S sh:target [ sh:select 'SELECT ?this { ?this ?p ?o }' ] .", "sh:target"),
        ("ex:S sh:targetWhere [ sh:class ex:p ] .", "sh:targetWhere"),
        ("ex:own sh:parameter [ sh:path ex:p ] .", "sh:parameter"),
        ("ex:S a rdfs:Class .", "sh:targetClass"),
        ("ex:S sh:rule [ sh:order 1 ] .", "sh:rule"),
        ("ex:S sh:property ex:P . ex:P sh:path ex:p ; sh:minCoutn 1 .", "sh:minCount"),
        ("ex:S sh:targetClas ex:C .", "sh:targetClass"),
        ("ex:S sh:property ex:P .", "nowhere"),
        ("ex:S sh:property ex:P . ex:P sh:minCount 1 .", "sh:path"),
        ("ex:P a sh:PropertyShape ; sh:path ex:p .", "no target"),
        ("ex:S sh:property ex:P . ex:P sh:path ex:p ; sh:minCount 'one' .", "whole number"),
        ("ex:S sh:property ex:P . ex:P sh:path ex:p ; sh:pattern '^(?!Draft)' .", "look ahead"),
        ("ex:S sh:node ex:N .", "nowhere"),
        ("ex:S sh:severity sh:Violaton .", "sh:Violation"),
    ],
)
def test_a_rule_that_would_not_rule_is_refused_by_name(line, word):
    with pytest.raises(BrokenFile, match=word):
        small(line)


def test_shapes_that_name_what_nobody_declared_are_refused_with_file_and_word(tmp_path):
    file = tmp_path / "mine.ttl"
    file.write_text(
        f"PREFIX k4p: <{TERMS}> PREFIX sh: <{PREFIXES['sh']}>\n"
        "k4p:x a sh:NodeShape ; sh:targetClass k4p:Activty ; sh:property k4p:y .\n"
        "k4p:y sh:path k4p:activtyOf ; sh:minCount 1 ."
    )
    vocabulary = ROOT / "shapes" / "vocabulary.ttl"
    shapes = Shapes.from_files([file, vocabulary])
    ontology = MemoryGraph([Triple(iri("k4p:x"), TYPE, A), Triple(HEADER, TYPE, A)])
    with pytest.raises(BrokenFile, match=r"mine.ttl.* k4p:Activty is declared nowhere"):
        validate(ontology, shapes)


def test_a_change_that_concerns_very_many_things_is_judged_on_everything(monkeypatch):
    shapes = small("ex:S sh:property ex:P . ex:P sh:path ex:p1 ; sh:class ex:C1 .")
    draft = memory()
    draft.apply(Delta.of(
        Quad(NamedNode(f"http://example.org/n{i}"), *rest, A)
        for i in range(9) for rest in ((TYPE, CLASSES[0]), (PROPERTIES[1], THINGS[0]))
    ))  # fmt: skip
    added = {Triple(THINGS[0], TYPE, CLASSES[2])}
    assert validate_change(StatedGraph(draft), shapes, added, set()) is not None
    for most, each in ((8, 20), (9, 1)):
        monkeypatch.setattr(engines, "_MOST_NODES", most)
        monkeypatch.setattr(engines, "_EACH", each)
        assert validate_change(StatedGraph(draft), shapes, added, set()) is None


def test_a_change_of_the_class_hierarchy_is_judged_on_everything():
    added = {Triple(CLASSES[0], iri("rdfs:subClassOf"), CLASSES[1])}
    assert validate_change(StatedGraph(memory()), small(), added, set()) is None


# --- commits


def commit(store, shapes, added=(), removed=(), **options):
    delta = Delta.of(added, removed)
    return commits.commit(store, shapes, delta, author="steward", message="a change", **options)


def label(text, language):
    name = Literal(text, language=language)
    return Quad(iri("place:MLI"), iri("skos:altLabel"), name, iri("graph:actors"))


MALI, OTHER = label("République du Mali", "fr"), label("República de Malí", "es")


def test_a_commit_judges_what_it_touches_and_a_first_one_everything(store, shapes):
    done = commit(store, shapes, [MALI])
    assert (done.whole, done.report.findings) == (False, ())
    (store.path / "checked").unlink()
    assert commit(store, shapes, [], [MALI]).whole
    assert not commit(store, shapes, [MALI]).whole


def test_a_commit_that_names_what_nobody_declared_is_refused(store, shapes):
    assert not commit(store, shapes, [MALI]).whole
    kinds = (q for q in store.quads() if q.predicate == TYPE and q.graph_name != INFERRED)
    typed = next(q for q in kinds if q.subject == iri("access:free"))
    access = Quad(iri("tool:t"), iri("k4p:access"), iri("access:opn"), iri("graph:mrv"))
    for change in ([access], []), ([], [typed]):
        with pytest.raises(ShapesViolated) as refused:
            commit(store, shapes, *change)
        report = refused.value.report
        assert {f.shape for f in report.findings} >= {iri("shapes:CodeDeclared").value}
    commit(store, shapes, [], [MALI])


def test_other_shapes_are_tried_on_everything(store, shapes, place):
    text = shapes.text + "<x:S> <http://www.w3.org/ns/shacl#targetNode> <x:thing> ."
    other = Shapes(q.triple for q in ox.parse(text, format=ox.RdfFormat.N_TRIPLES))
    assert other.digest != shapes.digest == load_shapes(place[1]).digest
    assert commit(store, other, [MALI]).whole
    assert not commit(store, other, [], [MALI]).whole


def test_a_version_that_was_not_made_by_a_commit_is_not_trusted(store, shapes):
    with store.draft() as draft:
        draft.apply(Delta.of([MALI]))
        store.publish(draft, "somebody", "by hand", "test")
    assert commit(store, shapes, [OTHER]).whole


def test_a_change_of_the_schema_changes_all_that_follows(store, shapes):
    sub = Quad(iri("k4p:Place"), iri("rdfs:subClassOf"), iri("prov:Location"), commits.ONTOLOGY)
    implied = Quad(iri("place:MLI"), TYPE, iri("prov:Location"), INFERRED)
    assert implied in commit(store, shapes, [sub]).delta.added
    assert implied in commit(store, shapes, [], [sub]).delta.removed
    assert implied not in set(store.quads())


def test_nobody_but_the_rules_writes_inferences(store, shapes):
    mine = Quad(iri("place:MLI"), TYPE, iri("k4p:Objective"), INFERRED)
    theirs = next(q for q in store.quads() if q.graph_name == INFERRED)
    assert commit(store, shapes, [mine], [theirs]).entry is None
    done = commits.commit(
        store,
        shapes,
        lambda draft: draft.apply(Delta.of([mine, MALI], [theirs])),
        author="steward",
        message="a change",
    )
    assert done.delta == Delta.of([MALI])


def test_what_a_commit_leaves_is_what_a_build_from_nothing_makes(store, shapes):
    with store.draft() as draft:
        edits = Edits(draft, 11)
    first = store.current
    for _ in range(150):  # most of the edits are refused
        if store.current >= first + 4:
            break
        quads = edits.quads
        delta = edits.next()
        try:
            commit(store, shapes, delta.added, delta.removed)
        except ShapesViolated:
            edits.quads = quads
    assert store.current >= first + 4
    with store.draft() as draft:
        kept = inferred(draft)
        infer(draft, rules(inference.axioms(draft)))
        assert inferred(draft) == kept
        assert validate(StatedGraph(draft), shapes).conforms
