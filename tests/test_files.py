"""The knowledge files themselves: parse, are in canonical form, registered, licensed; a new file is a new test."""

import re
from functools import cache
from pathlib import Path

import pyoxigraph as ox
import pytest

from everything import for_each
from kg4p1000.curation.build import parse_file
from kg4p1000.kernel import terms
from kg4p1000.kernel.terms import BASE, PREFIXES, iri, natural_key, turtle

ROOT = Path(__file__).parent.parent
DATA = sorted((ROOT / "data").glob("*.ttl"))
TURTLE = [
    *DATA,
    *sorted((ROOT / "ontology").glob("*.ttl")),
    *sorted((ROOT / "shapes").glob("*.ttl")),
]
MAPPINGS = sorted((ROOT / "data" / "mappings").glob("*.sssom.tsv"))
READINGS = [ROOT / "data" / "actions.csv", ROOT / "data" / "readings.csv"]
KNOWLEDGE = [*TURTLE, *MAPPINGS, *READINGS]


@cache
def defined() -> set[str]:
    """What the files describe; the subject of a mapping is not described by being mapped."""
    return {
        t.subject.value
        for f in KNOWLEDGE
        for t in parse_file(f)
        if isinstance(t.subject, ox.NamedNode)
        and (f not in MAPPINGS or t.subject.value.startswith(terms.ID + "mapping"))
    }


@for_each("path", DATA, ids=lambda p: p.name)
def test_a_data_file_is_written_in_the_canonical_form(path):
    assert turtle(parse_file(path)).decode() == path.read_text(encoding="utf-8")


@for_each("path", [*DATA, *READINGS], ids=lambda p: p.name)
def test_a_data_file_is_registered_as_a_graph(path):
    register = parse_file(ROOT / "data" / "graphs.ttl")
    assert iri(f"graph:{path.stem}") in {t.subject for t in register}


@for_each("path", [*DATA, *READINGS], ids=lambda p: p.name)
def test_a_data_file_has_no_blank_nodes(path):
    for t in parse_file(path):
        assert not isinstance(t.subject, ox.BlankNode)
        assert not isinstance(t.object, ox.BlankNode)


@for_each("path", KNOWLEDGE, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_our_iris_in_a_file_are_defined_somewhere(path):
    """Nothing points into the void below our base."""
    namespaces = {ns for ns in PREFIXES.values() if ns.startswith(BASE)} | {BASE + "releases/"}
    for t in parse_file(path):
        for node in (t.subject, t.predicate, t.object):
            if isinstance(node, ox.NamedNode) and node.value.startswith(BASE):
                known = node.value in defined() or node.value in namespaces
                assert known or node.value.startswith(BASE + "releases/"), node


@for_each("path", TURTLE, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_no_file_names_a_place_on_a_machine(path):
    assert not re.search(r"file://|/home/|/tmp/", path.read_text(encoding="utf-8"))


def test_every_id_type_and_code_scheme_is_used_and_none_is_missing():
    subjects = defined()
    kinds = {s[len(terms.ID) :].split("/")[0] for s in subjects if s.startswith(terms.ID)}
    schemes = {s[len(terms.CODE) :].split("/")[0] for s in subjects if s.startswith(terms.CODE)}
    # The files hold no decision: people make them in the service.
    assert kinds | {"decision"} == set(terms.ID_TYPES)
    assert schemes == set(terms.CODE_SCHEMES)


def test_turtle_is_the_same_for_the_same_triples_in_any_order():
    triples = parse_file(ROOT / "data" / "overlaps.ttl")
    assert turtle(reversed(triples)) == turtle([*triples, *triples])


def test_a_curie_that_would_need_an_escape_is_not_made():
    assert terms.curie(BASE + "code/status/proposed") == "status:proposed"
    assert terms.curie(BASE + "id/activity/A4.") is None


def test_natural_order_puts_two_before_ten():
    assert sorted(["A4.10", "A4.2"], key=natural_key) == ["A4.2", "A4.10"]


@pytest.mark.parametrize("key", ["", "A4/2", "../x", "A4.2>", "a b", "-a", "a."])
def test_no_iri_is_minted_from_a_bad_key(key):
    with pytest.raises(ValueError, match="not a key"):
        terms.mint("activity", key)


def test_turtle_and_natural_order_take_any_text():
    texts = ["1" * 5000, "a\u2028b\x0bc\x0c\x85\x1dd", "٣", "²", "", "007", "\u202e"]
    triples = {ox.Triple(iri("activity:A4.2"), iri("rdfs:comment"), ox.Literal(t)) for t in texts}
    assert {q.triple for q in ox.parse(turtle(triples), format=ox.RdfFormat.TURTLE)} == triples
    numbers = ["A4.2", "A4.10", "A4." + "9" * 5000, "A4.1" + "0" * 5000]
    assert sorted(set(numbers), key=natural_key) == numbers
