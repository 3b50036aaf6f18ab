"""The shapes: each constraint fires on its fixture, both engines agree, and the data conform.

``fixtures/shapes/valid.ttl`` conforms. Every other file there is a change to it and is named after
the constraint that must then fire: ``NAME.ttl`` is added, ``NAME.remove.ttl`` is removed, and a
number tells several fixtures of one constraint apart (``Activity-label.1.ttl``).
"""

import json
import sys
from functools import cache
from importlib import resources
from pathlib import Path

import pyoxigraph as ox
import pytest

from everything import for_each
from kg4p1000.curation.build import merged_sources, parse_file
from kg4p1000.kernel.errors import BrokenFile
from kg4p1000.kernel.terms import PREFIXES, SHAPES, TERMS, iri
from kg4p1000.reasoning import Report, Shapes, check_pre_binding, validate
from kg4p1000.store import MemoryGraph

ROOT = Path(__file__).resolve().parents[1]
FIXTURES = Path(__file__).parent / "fixtures" / "shapes"
SH = PREFIXES["sh"]
NAMES = sorted(
    {f.name.removesuffix(".ttl").removesuffix(".remove") for f in FIXTURES.glob("*.ttl")}
    - {"valid"}
)
#: pySHACL parses each query again for each focus node, so the fixtures go to it in heaps.
#: Neighbours in the alphabet are about the same thing and lie in different heaps.
HEAPS = [tuple(NAMES[start::12]) for start in range(12)]
PARAMETERS = {
    "and", "class", "datatype", "disjoint", "lessThan", "lessThanOrEquals", "maxCount",
    "maxInclusive", "minCount", "minExclusive", "minInclusive", "minLength", "nodeKind", "not", "or",
    "pattern", "qualifiedMinCount", "select", "uniqueLang", "xone",
}  # fmt: skip
OTHER_WORDS = {
    "alternativePath", "declare", "flags", "hasValue", "in", "languageIn", "message", "name", "namespace", "path", "prefix",
    "prefixes", "property", "qualifiedValueShape", "severity", "sparql", "targetClass", "targetSubjectsOf",
}  # fmt: skip


def triples(path: Path) -> set[ox.Triple]:
    if not path.exists():
        return set()
    return {quad.triple for quad in ox.parse(path=str(path), rename_blank_nodes=True)}


@cache
def shapes() -> Shapes:
    return Shapes.from_files(sorted((ROOT / "shapes").glob("*.ttl")))


@cache
def facts() -> dict[ox.NamedNode, dict[str, list]]:
    """Named shapes and constraints to their properties (local name of SHACL, else the IRI)."""
    found: dict = {}
    for path in sorted((ROOT / "shapes").glob("*.ttl")):
        for t in triples(path):
            if isinstance(t.subject, ox.NamedNode) and t.subject != iri("shapes:prefixes"):
                about = found.setdefault(t.subject, {})
                about.setdefault(t.predicate.value.removeprefix(SH), []).append(t.object)
    return found


def local(node: ox.NamedNode) -> str:
    return node.value.removeprefix(SHAPES)


def constraints() -> dict[str, set[str]]:
    """Local names of all that can fire, to the SHACL parameters that it uses."""
    return {
        local(node): about.keys() & (PARAMETERS | {"in"})  # alone it lists what a vocabulary has
        for node, about in facts().items()
        if about.keys() & PARAMETERS
    }


def node_shapes() -> dict[ox.NamedNode, dict[str, list]]:
    targets = {"targetClass", "targetSubjectsOf"}
    return {node: about for node, about in facts().items() if targets & about.keys()}


def classes(about: dict[str, list]) -> list[ox.NamedNode]:
    """The classes that a shape judges; a shape of a property judges what has it."""
    return about.get("targetClass", [])


@cache
def valid() -> frozenset[ox.Triple]:
    return frozenset(triples(FIXTURES / "valid.ttl"))


@cache
def changed(*names: str) -> frozenset[ox.Triple]:
    removed = {t for name in names for t in triples(FIXTURES / f"{name}.remove.ttl")}
    assert removed <= valid(), "a fixture removes what is not in valid.ttl"
    return valid() - removed | {t for name in names for t in triples(FIXTURES / f"{name}.ttl")}


def run(data, engine="auto", using: Shapes | None = None) -> Report:
    return validate(MemoryGraph(data), using or shapes(), engine)


@cache
def outcome(*names: str) -> Report:
    """The report on the fixtures, by the fast engine."""
    return run(changed(*names))


def fired(report: Report) -> set[str]:
    return {finding.shape.removeprefix(SHAPES) for finding in report.findings}


def few(*turtle: str) -> list[ox.Triple]:
    text = "".join(f"PREFIX {p}: <{ns}>\n" for p, ns in PREFIXES.items()) + "\n".join(turtle)
    return [quad.triple for quad in ox.parse(text, format=ox.RdfFormat.TURTLE)]


# --- the fixtures


@pytest.mark.parametrize("engine", ["shacl", pytest.param("pyshacl", marks=pytest.mark.slow)])
def test_valid_example_has_no_finding(engine):
    assert run(valid(), engine).to_text() == "No findings.\n"


def test_valid_example_has_a_thing_of_each_target_class():
    types = {t.object for t in valid() if t.predicate == iri("rdf:type")}
    abstract = {t.object for t in valid() if t.predicate == iri("rdfs:subClassOf")}
    wanted = {cls for about in node_shapes().values() for cls in classes(about)}
    assert wanted - types == abstract - types


@pytest.mark.slow
@for_each("name", NAMES)
def test_fixture_fires_the_constraint_it_is_named_after(name):
    assert name.split(".")[0] in fired(outcome(name))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(HEAPS)))
def test_engines_find_the_same(number):
    ours, reference = outcome(*HEAPS[number]), run(changed(*HEAPS[number]), "pyshacl")
    assert ours.findings
    assert ours.to_dict() == reference.to_dict()


def test_heaps_fire_every_constraint_so_that_engines_are_compared_on_all():
    assert constraints().keys() - {c for heap in HEAPS for c in fired(outcome(*heap))} == set()


def test_each_constraint_has_a_fixture_and_each_fixture_a_constraint():
    assert {name.split(".")[0] for name in NAMES} == constraints().keys()


@pytest.mark.slow
def test_each_kind_of_constraint_fires_somewhere():
    used = {parameter for of_one in constraints().values() for parameter in of_one}
    found = {finding.component for name in NAMES for finding in outcome(name).findings}
    expected = {f"{p[0].upper()}{p[1:]}ConstraintComponent" for p in used - {"select"}}
    assert found == expected | {"SPARQLConstraintComponent"}


@pytest.mark.slow
def test_each_part_of_each_property_shape_is_alive():
    """What no fixture shows: every limit of every shape fires on junk, or when nothing is there."""
    junk = [
        ox.Literal("junk", datatype=iri("k4p:junk")),
        *(ox.Literal(x, language="en") for x in (" ", "  ")),
    ]
    bounds = {"lessThanOrEquals", "disjoint", "minInclusive", "maxInclusive"}  # have fixtures
    for about in node_shapes().values():
        if not classes(about) or "message" not in about:
            continue  # the limits of these have fixtures
        typed = [t for t in valid() if t.predicate == iri("rdf:type")]
        focus = min((t.subject for t in typed if t.object in classes(about)), key=str)
        for shape in about.get("property", []):
            path = facts()[shape]["path"][0]
            without = {t for t in valid() if (t.subject, t.predicate) != (focus, path)}
            both = [run(without), run(without | {ox.Triple(focus, path, value) for value in junk})]
            found = {f.component for r in both for f in r.findings if f.shape == shape.value}
            wanted = (facts()[shape].keys() & PARAMETERS) - bounds
            assert {f"{p[0].upper()}{p[1:]}ConstraintComponent" for p in wanted} <= found, shape


# --- the shapes


@for_each("node", sorted(facts(), key=str), ids=local)
def test_shape_tells_a_steward_what_to_do(node):
    about = facts()[node]
    assert [name.language for name in about["name"]] == ["en"]
    assert len(about["severity"]) == 1
    told = sorted(message.language for message in about.get("message", []))
    if "select" in about:
        assert told in (["en"], ["en", "es", "fr"])
    elif "message" in about:
        assert told == ["en", "es", "fr"]
    assert all(m.value.endswith(".") and len(m.value) > 30 for m in about.get("message", []))


def test_shape_names_follow_the_class():
    for node, about in node_shapes().items():
        named = {c.value.replace("#", "/").rsplit("/", 1)[-1] for c in classes(about)}
        assert not named or local(node).removesuffix("Shape").split("-")[0] in named
        for part in about.get("property", []) + about.get("sparql", []):
            assert local(part).startswith(local(node).removesuffix("Shape") + "-")
            assert part in facts()


def test_every_named_shape_is_used():
    parts = [p for a in node_shapes().values() for p in a.get("property", []) + a.get("sparql", [])]
    assert len(parts) == len(set(parts))
    vocabulary = {ox.NamedNode(shape) for shape in shapes().spaces.shapes.values()}
    assert set(facts()) == set(node_shapes()) | set(parts) | vocabulary


def test_shapes_use_no_word_of_shacl_that_the_tests_do_not_know():
    words = {t.predicate.value for f in (ROOT / "shapes").glob("*.ttl") for t in triples(f)}
    assert {w.removeprefix(SH) for w in words if w.startswith(SH)} == PARAMETERS | OTHER_WORDS


def test_shapes_are_well_formed():
    shacl = pytest.importorskip("shacl")
    shapes_of_shapes = resources.files("pyshacl") / "assets" / "shacl-shacl.ttl"
    judge = shacl.Shapes.from_turtle(shapes_of_shapes.read_text("utf-8"))
    assert judge.validate_text(shapes().text, format="ntriples").conforms
    broken = shapes().text + f'<{SHAPES}Activity-label> <{SH}minCount> "one" .\n'
    assert not judge.validate_text(broken, format="ntriples").conforms


@cache
def ontology() -> frozenset[ox.Triple]:
    return frozenset(t for f in (ROOT / "ontology").glob("*.ttl") for t in triples(f))


def test_a_change_is_judged_by_what_it_touches():
    """One shape whose reach has no bounds makes every change judge the whole graph."""
    assert Shapes.from_files(sorted((ROOT / "shapes").glob("*.ttl"))).impact.boundless is None


def test_each_class_has_a_node_shape():
    ours = {
        t.subject
        for t in ontology()
        if t.object == iri("owl:Class") and str(t.subject).startswith("<" + TERMS)
    }
    shaped = {local(node).removesuffix("Shape") for node in node_shapes()}
    assert {c.value.removeprefix(TERMS) for c in ours} - shaped == set()


def test_shapes_of_a_class_name_its_subclasses():
    subclasses: dict = {}
    for t in ontology():
        if t.predicate == iri("rdfs:subClassOf") and isinstance(t.object, ox.NamedNode):
            subclasses.setdefault(t.object, set()).add(t.subject)
    for about in node_shapes().values():
        for cls in classes(about):
            if cls.value.startswith(TERMS):
                assert subclasses.get(cls, set()) <= set(classes(about))


def test_terms_and_codes_in_shapes_exist():
    known = {t.subject for t in ontology()}
    spaces = (TERMS, PREFIXES["code"])
    for path in (ROOT / "shapes").glob("*.ttl"):
        for t in triples(path):
            if isinstance(t.object, ox.NamedNode) and t.object.value.startswith(spaces):
                assert t.object in known


# --- names that are declared nowhere

SLIPS = {
    "tool:t k4p:financeGoal finance-goal:carbon-markt": (
        "CodeDeclared",
        "finance-goal:carbon-markt",
    ),
    "tool:t k4p:access access:opn": ("CodeDeclared", "access:opn"),
    "tool:t k4p:measuredProperty measured-property:bulk": (
        "CodeDeclared",
        "measured-property:bulk",
    ),
    "tool:t k4p:inRegion region:999": ("CodeDeclared", "region:999"),
    "tool:t k4p:acessText 'open'": ("TermDeclared", "k4p:acessText"),
    "tool:t a k4p:Databse": ("TermDeclared", "k4p:Databse"),
}


def slips(report: Report) -> set[tuple]:
    ours = {f"{SHAPES}TermDeclared", f"{SHAPES}CodeDeclared"}
    return {(f.focus, f.shape, f.value) for f in report.findings if f.shape in ours}


@pytest.mark.parametrize("engine", ["shacl", "pyshacl"])
def test_name_that_is_declared_nowhere_is_a_violation(engine):
    report = run([*ontology(), *few(*(f"{slip} ." for slip in SLIPS))], engine, vocabulary())
    assert slips(report) == {
        (iri("tool:t"), SHAPES + shape, iri(name)) for shape, name in SLIPS.values()
    }
    assert "- tool:t: access:opn" in report.to_text()
    assert not report.conforms


def test_code_that_is_deleted_is_found_in_its_uses():
    data, _ = committed()
    used = [t for t in data if t.object == iri("finance-goal:carbon-market")]
    left = [t for t in data if t.subject != iri("finance-goal:carbon-market")]
    found = {focus for focus, _, value in slips(run(left, using=vocabulary()))}
    assert found == {t.subject for t in used if t in left}
    assert sum("/id/" in focus.value for focus in found) > 20


def test_text_that_names_a_term_is_no_use_of_it_and_without_the_ontology_nothing_is_compared():
    text = few("tool:t rdfs:comment '<https://w3id.org/kg4p1000/code/access/opn> .' .")
    assert not slips(run([*ontology(), *text], using=vocabulary()))
    assert not slips(run(few(*(f"{slip} ." for slip in SLIPS)), using=vocabulary()))


@cache
def vocabulary() -> Shapes:
    return Shapes.from_files([ROOT / "shapes" / "vocabulary.ttl"])


# --- the data


@cache
def committed() -> tuple[frozenset[ox.Triple], dict[ox.NamedNode, str]]:
    """All triples of data and ontology, and the files that describe each subject."""
    merged: set[ox.Triple] = set(ontology())
    files: dict = {}
    for path in (source.path for source in merged_sources(ROOT)):
        found = set(parse_file(path))
        merged |= found
        for subject in {t.subject for t in found}:
            files.setdefault(subject, []).append(f"data/{path.name}")
    return frozenset(merged), {subject: ", ".join(paths) for subject, paths in files.items()}


def test_committed_data_conform():
    data, files = committed()
    report = run(data)
    assert report.findings == (), report.to_text(where=files.get)


def test_wrong_class_is_found_after_its_range_has_been_inferred():
    """The commit infers first: a goal that is named as an objective is then typed as one."""
    wrong = few("activity:A4.1 k4p:activityOf goal:A . goal:A a k4p:Objective .")
    data = valid() - set(few("activity:A4.1 k4p:activityOf objective:A4 .")) | set(wrong)
    assert {"ObjectiveShape", "Objective-notation"} <= fired(run(data))


# --- the adapter


def test_report_for_people_tells_what_where_and_what_to_do():
    report = run(changed("Activity-label", "Concept-label-fr", "Target-horizon.1"))
    text = report.to_text(
        label=lambda node: {"https://w3id.org/kg4p1000/id/target/A4-2030": "A4 by 2030"}.get(node),
        where=lambda node: "data/plan.ttl" if "activity" in node.value else None,
    )
    assert text.startswith("3 violations, 1 warning.\n\nVIOLATION  title of an activity"), text
    assert "\n  - activity:A4.1, in data/plan.ttl\n" in text
    assert "\n  - A4 by 2030 (target:A4-2030): unit:count\n" in text
    assert "Give an activity exactly one English title" in text
    assert "Donnez à une activité" in report.to_text(language="fr")


def test_report_as_json_and_turtle_says_the_same():
    report = run(changed("Measure-dueYear", "ActivityShape.1"))
    rows = json.loads(json.dumps(report.to_dict()))["findings"]
    assert {row["focus"]["type"] for row in rows} == {"uri", "bnode"}
    year = next(row for row in rows if row["shape"].endswith("Measure-dueYear"))
    assert year["value"] == {
        "type": "literal", "value": "2030", "datatype": PREFIXES["xsd"] + "integer",
    }  # fmt: skip
    assert sorted(year["message"]) == ["en", "es", "fr"]
    graph = {q.triple for q in ox.parse(report.to_turtle(), format=ox.RdfFormat.TURTLE)}
    assert {t.object.value for t in graph if t.predicate == iri("sh:sourceShape")} == {
        row["shape"] for row in rows
    }
    assert sum(t.predicate == iri("sh:result") for t in graph) == len(rows)


def test_report_does_not_depend_on_the_order_of_triples():
    data = sorted(changed(*HEAPS[0]), key=str)
    assert run(data).to_dict() == run(data[::-1]).to_dict()


def test_warning_leaves_the_data_conforming():
    report = run(changed("Concept-label-es"))
    assert report.conforms
    assert report.count("warning") == 1


@pytest.mark.slow
def test_without_the_fast_engine_pyshacl_finds_the_same(monkeypatch):
    expected = run(changed(*HEAPS[1])).to_dict()
    monkeypatch.setitem(sys.modules, "shacl", None)
    fresh = Shapes.from_files(sorted((ROOT / "shapes").glob("*.ttl")))
    assert run(changed(*HEAPS[1]), using=fresh).to_dict() == expected
    with pytest.raises(ImportError):
        run(valid(), "shacl", using=Shapes(few()))


def test_targets_limit_a_set_query_to_the_focus_nodes():
    small = Shapes(
        few(
            "shapes:S a sh:NodeShape ; sh:targetClass k4p:A ; sh:targetNode k4p:x ;",
            "  sh:targetSubjectsOf k4p:p ; sh:targetObjectsOf k4p:p ; sh:sparql shapes:S-n .",
            "shapes:S-n sh:select 'SELECT $this WHERE { $this skos:notation ?n }' ;",
            "  sh:prefixes shapes:prefixes .",
            "shapes:prefixes sh:declare [ sh:prefix 'skos' ; sh:namespace",
            f"  '{PREFIXES['skos']}'^^xsd:anyURI ] .",
        )
    )
    data = few(
        "k4p:B rdfs:subClassOf k4p:A . k4p:b a k4p:B . k4p:s k4p:p k4p:o .",
        "k4p:b skos:notation 1 . k4p:x skos:notation 1 . k4p:s skos:notation 1 .",
        "k4p:o skos:notation 1 . k4p:other skos:notation 1 .",
    )
    ours, reference = run(data, using=small), run(data, "pyshacl", using=small)
    assert [f.focus for f in ours.findings] == [iri(f"k4p:{n}") for n in "bosx"]
    assert ours.to_dict() == reference.to_dict()


@pytest.mark.parametrize(
    "text",
    [
        "shapes:S sh:targetClass k4p:A ; sh:property [ sh:path k4p:p ; sh:minCount 1 ] .",
        "shapes:S-p sh:path k4p:p ; sh:datatype xsd:nonNegativeInteger .",
        "shapes:S-p sh:path k4p:p ; sh:severity k4p:Awful .",
        "shapes:S sh:sparql shapes:S-p . shapes:S-p sh:select 'SELECT $this { $this ?p ?o }' .",
    ],
    ids=["anonymous part", "derived integer", "unknown severity", "constraint without target"],
)
def test_shapes_that_cannot_be_judged_are_refused(text):
    with pytest.raises(BrokenFile):
        Shapes(few(text))


def test_shapes_file_that_does_not_parse_is_refused_with_its_line(tmp_path):
    file = tmp_path / "broken.ttl"
    file.write_text("# fine\n<urn:a> <urn:b> .\n")
    with pytest.raises(BrokenFile) as caught:
        Shapes.from_files([file])
    assert caught.value.members["line"] == 2


@pytest.mark.parametrize(
    "select",
    [
        "SELECT $this { $this ?p ?o }",
        "SELECT DISTINCT ?this ?value WHERE { $this k4p:limit ?value . # MINUS { }\n }",
        'SELECT $this { $this ?p "VALUES }" FILTER(!EXISTS { $this ?q <urn:GRAPH> }) }',
        "SELECT $this { { $this ?p 1 } UNION { $this ?p 2 } $this ?q ?o }",
        "SELECT $this { $this (k4p:a|k4p:b)+ ?o OPTIONAL { ?o ?p $this } FILTER(BOUND(?p)) }",
    ],
)
def test_set_query_is_allowed(select):
    check_pre_binding("rule", select)


@pytest.mark.parametrize(
    "select",
    [
        "SELECT ?x { $this ?p ?x }",
        "ASK { $this ?p ?x }",
        "SELECT (COUNT(?x) AS ?value) $this { $this ?p ?x }",
        "SELECT $this { $this ?p ?x } LIMIT 1",
        "SELECT $this { $this ?p ?x } ORDER BY ?x",
        "SELECT $this { $this ?p ?x } VALUES ?x { 1 }",
        "SELECT $this { $this ?p ?x MINUS { $this ?q ?x } }",
        "SELECT $this { $this ?p ?x . GRAPH ?g { $this ?q ?x } }",
        "SELECT $this { $this ?p ?x . SERVICE <urn:x> { ?y ?q ?x } }",
        "SELECT $this { $this ?p ?x FILTER(BOUND($this)) }",
        "SELECT $this { $this $PATH ?x }",
        "SELECT $this { ?y ?p ?x BIND(?y AS $this) }",
        "SELECT $this { ?y ?p ?x FILTER(?y = $this) }",
        "SELECT $this { $this ?p ?x { ?y ?p ?x FILTER(?y = $this) } }",
        "SELECT $this { $this ?p ?x FILTER NOT EXISTS { ?x ?q ?y FILTER(?y = $this) } }",
        "SELECT $this { ?x ?p ?y OPTIONAL { $this ?q ?x } }",
        "SELECT $this { $this ?p ?x { SELECT ?x { ?x ?q ?z } } }",
        "SELECT $this { $this ?p ?x",
    ],
)
def test_query_that_needs_pre_binding_is_refused(select):
    with pytest.raises(BrokenFile):
        check_pre_binding("rule", select)
