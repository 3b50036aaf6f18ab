"""The relations between objectives and the overlaps of activities, against the words of the plan."""

import re
from collections import defaultdict
from decimal import Decimal
from functools import cache
from pathlib import Path

import pyoxigraph as ox
import pytest

from kg4p1000.kernel.terms import iri

ROOT = Path(__file__).resolve().parents[1]
CODE = re.compile(r"\b[A-F][1-6]\b")


@cache
def graph(*paths: str) -> dict[str, dict[str, list]]:
    """Subject IRI to predicate IRI to objects, of files below the root; all of data/ by default."""
    files = [ROOT / p for p in paths] or sorted((ROOT / "data").glob("*.ttl"))
    found: dict = defaultdict(lambda: defaultdict(list))
    for file in files:
        for t in ox.parse(path=str(file), format=ox.RdfFormat.TURTLE):
            found[t.subject.value][t.predicate.value].append(t.object)
    return found


def instances(term: str, *paths: str) -> dict[str, dict[str, list]]:
    """Local name to description, of the things of one class."""
    return {
        subject.rsplit("/", 1)[1]: about
        for subject, about in graph(*paths).items()
        if iri(term) in about[iri("rdf:type").value]
    }


def relations() -> dict[str, dict[str, list]]:
    return instances("k4p:ObjectiveRelation", "data/relations.ttl")


def overlaps() -> dict[str, dict[str, list]]:
    return instances("k4p:Overlap", "data/overlaps.ttl")


def findings() -> dict[str, dict[str, list]]:
    return {**relations(), **overlaps()}


def values(about: dict[str, list], predicate: str) -> list[str]:
    return sorted({o.value for o in about[iri(predicate).value]})


def only(about: dict[str, list], predicate: str) -> str:
    (found,) = values(about, predicate)
    return found


def key(value: str) -> str:
    return value.rsplit("/", 1)[1]


def remark(value: str) -> dict[str, list]:
    return instances("k4p:Remark", "data/plan-2021-10-14.ttl")[key(value)]


def one_sentence(about: dict[str, list]) -> bool:
    reasons = [r for r in about[iri("k4p:reason").value] if r.language == "en"]
    return len(reasons) == 1 and bool(
        re.fullmatch(r"[A-Z][^\n.]*(?:\.\d[^\n.]*)*\.", reasons[0].value)
    )


def test_quotes_are_words_of_the_remark_to_the_letter():
    wrong = [
        k
        for k, r in relations().items()
        for stated in values(r, "k4p:statedBy")
        if only(r, "k4p:quote") not in only(remark(stated), "dcterms:description")
    ]
    assert not wrong


def test_every_relation_names_the_remark_that_states_it():
    assert not [k for k, r in relations().items() if not values(r, "k4p:statedBy")]


def test_the_remark_stands_with_the_objective_that_the_relation_is_read_from():
    wrong = [
        k
        for k, r in relations().items()
        for stated in values(r, "k4p:statedBy")
        if values(remark(stated), "k4p:remarkOn") != values(r, "k4p:relatesFrom")
    ]
    assert not wrong


def test_the_remark_names_the_other_objective():
    wrong = [
        k
        for k, r in relations().items()
        for stated in values(r, "k4p:statedBy")
        if key(only(r, "k4p:relatesTo"))
        not in CODE.findall(only(remark(stated), "dcterms:description"))
    ]
    assert not wrong


def test_every_remark_that_names_another_objective_is_linked_from_a_relation_with_it():
    linked = {
        (key(m), key(o))
        for r in relations().values()
        for m in values(r, "k4p:statedBy") + values(r, "rdfs:seeAlso")
        for o in values(r, "k4p:between")
    }
    named = {
        (k, code)
        for k, about in instances("k4p:Remark", "data/plan-2021-10-14.ttl").items()
        for code in CODE.findall(only(about, "dcterms:description"))
        if code != key(only(about, "k4p:remarkOn"))
    }
    assert named
    assert named <= linked


def test_a_relation_joins_two_different_objectives_of_the_plan():
    objectives = instances("k4p:Objective", "data/plan-2021-10-14.ttl")
    for k, r in relations().items():
        ends = {key(only(r, "k4p:relatesFrom")), key(only(r, "k4p:relatesTo"))}
        assert len(ends) == 2, k
        assert ends <= set(objectives), k


def test_a_relation_is_between_the_objectives_that_it_relates():
    wrong = [
        k
        for k, r in relations().items()
        if values(r, "k4p:between")
        != sorted(values(r, "k4p:relatesFrom") + values(r, "k4p:relatesTo"))
    ]
    assert not wrong


def test_the_name_of_a_relation_begins_with_its_objectives():
    for k, r in relations().items():
        ends = f"{key(only(r, 'k4p:relatesFrom'))}-{key(only(r, 'k4p:relatesTo'))}"
        assert re.fullmatch(rf"{ends}(-\d+)?", k)


@pytest.mark.parametrize(
    ("start", "kind", "end"),
    [
        ("A4", "interrelated", "D2"),
        ("D2", "already-covered", "A4"),
        ("B2", "confused", "B3"),
        ("C1", "already-covered", "C4"),
        ("D4", "distinguish", "A2"),
        ("D4", "distinguish", "F2"),
        ("E1", "merge", "B4"),
        ("E1", "complementary", "E2"),
        ("E2", "distinguish", "B4"),
        ("E2", "distinguish", "E1"),
        ("E2", "distinguish", "F3"),
        ("E2", "relevant", "B4"),
        ("E2", "relevant", "E1"),
        ("E2", "relevant", "F3"),
        ("E3", "confused", "E1"),
        ("E3", "already-covered", "E2"),
        ("F2", "distinguish", "A2"),
        ("F2", "distinguish", "D4"),
        ("F3", "distinguish", "E2"),
    ],
)
def test_relation_that_the_remarks_state_is_recorded(start, kind, end):
    found = [
        k
        for k, r in relations().items()
        if key(only(r, "k4p:relatesFrom")) == start
        and key(only(r, "k4p:relatesTo")) == end
        and key(only(r, "k4p:relationKind")) == kind
    ]
    assert len(found) == 1


def test_kinds_and_status_are_in_the_code_lists():
    known = set(graph("ontology/codes.ttl"))
    used = {
        code
        for f in findings().values()
        for p in ("k4p:relationKind", "k4p:overlapKind", "k4p:status")
        for code in values(f, p)
    }
    assert used
    assert used <= known


def test_an_overlap_is_between_two_activities_of_different_objectives():
    activities = instances("k4p:Activity", "data/plan-2021-10-14.ttl")
    for k, o in overlaps().items():
        ends = [key(a) for a in values(o, "k4p:between")]
        assert len(ends) == 2, k
        assert len({only(activities[a], "k4p:activityOf") for a in ends}) == 2, k


def test_the_name_and_label_of_an_overlap_are_its_activities():
    for k, o in overlaps().items():
        ends = [key(a) for a in values(o, "k4p:between")]
        assert k == "-".join(ends)
        assert only(o, "rdfs:label") == " – ".join(ends)


def test_every_overlap_has_one_kind():
    assert not [k for k, o in overlaps().items() if len(values(o, "k4p:overlapKind")) != 1]


def test_every_finding_gives_its_reason_in_one_sentence():
    assert not [k for k, f in findings().items() if not one_sentence(f)]


def test_reasons_of_relations_are_english_and_those_of_overlaps_in_three_languages():
    for found, languages in ((relations(), {"en"}), (overlaps(), {"en", "fr", "es"})):
        assert all(
            {o.language for o in f[iri("k4p:reason").value]} == languages for f in found.values()
        )


def test_confidence_of_an_overlap_is_above_zero_and_at_most_one():
    wrong = [k for k, o in overlaps().items() if not 0 < Decimal(only(o, "k4p:confidence")) <= 1]
    assert not wrong


def test_every_finding_is_a_proposal_and_says_by_whom_and_how_it_was_found():
    for k, f in findings().items():
        by = "curation" if k in relations() else "overlaps"
        assert only(f, "k4p:status") == iri("status:proposed").value, k
        assert only(f, "prov:wasAttributedTo") == iri(f"agent:{by}-0.1.0").value, k
        assert only(f, "k4p:method"), k


def test_every_finding_has_one_english_label():
    wrong = [
        k
        for k, f in findings().items()
        if [o.language for o in f[iri("rdfs:label").value]] != ["en"]
    ]
    assert not wrong


def test_no_overlap_claims_a_remark_that_speaks_of_no_activity():
    assert not [k for k, o in overlaps().items() if values(o, "k4p:statedBy")]
