"""What readers said of pairs: which reading speaks, and what it makes of score, kind, reason and passages."""

import pyoxigraph as ox
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg4p1000.kernel.terms import iri
from kg4p1000.overlaps import corpus
from kg4p1000.overlaps.findings import Detection
from kg4p1000.overlaps.readings import UNRELATED, Judgement, Reading
from kg4p1000.overlaps.scoring import Model
from kg4p1000.store import MemoryGraph

KINDS = ("unrelated", "complements", "depends", "overlaps", "duplicates")
READINGS = st.builds(
    Reading,
    iri=st.sampled_from(("urn:a", "urn:b")),
    number=st.integers(1, 3),
    kind=st.sampled_from(KINDS),
    degree=st.integers(0, 4),
    sure=st.sampled_from((0.4, 0.7, 1.0)),
)


def reading(number, kind, degree=2, sure=0.7):
    return Reading(f"urn:r{number}", number, kind, degree, sure)


@pytest.mark.parametrize(
    ("first", "second", "speaks"),
    [
        (reading(1, "overlaps"), reading(2, "overlaps", sure=1.0), 2),
        (reading(1, "overlaps"), reading(2, "overlaps"), 1),
        (reading(1, "duplicates"), reading(2, "overlaps"), 2),
        (reading(1, "duplicates", sure=1.0), reading(2, "overlaps"), 1),
        (reading(1, "unrelated", 0), reading(2, "complements"), 2),
    ],
)
def test_the_surer_reading_speaks_and_of_equally_sure_ones_the_weaker_claim(first, second, speaks):
    assert Judgement((first, second)).chosen.number == speaks


def test_no_reading_speaks_for_a_pair_that_all_call_unrelated():
    assert Judgement().chosen is None
    assert Judgement().degree == 0
    assert Judgement((reading(1, UNRELATED, 0), reading(2, UNRELATED, 1))).chosen is None


@given(st.lists(READINGS, max_size=4))
def test_what_speaks_is_one_of_the_readings_and_claims_a_relation(readings):
    judgement = Judgement(tuple(readings))
    related = [r for r in readings if r.kind != UNRELATED]
    assert (judgement.chosen in related) if related else judgement.chosen is None
    assert 0 <= judgement.degree <= 4


@given(st.lists(READINGS, min_size=1, max_size=3), st.floats(-12, 6))
def test_a_higher_degree_never_lowers_score_or_confidence(readings, score):
    model = Model.load()
    higher = [Reading(r.iri, r.number, r.kind, 4, r.sure) for r in readings]
    less, more = (model.judged(score, Judgement(tuple(some))) for some in (readings, higher))
    assert more[0] >= less[0]
    assert more[1] >= less[1]
    assert 0 <= less[1] <= model.read.surest


TURTLE = """
@prefix k4p: <https://w3id.org/kg4p1000/ontology/> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix dcterms: <http://purl.org/dc/terms/> .
@prefix activity: <https://w3id.org/kg4p1000/id/activity/> .
@prefix objective: <https://w3id.org/kg4p1000/id/objective/> .
@prefix kind: <https://w3id.org/kg4p1000/code/overlap-kind/> .
objective:A1 skos:notation "A1" . objective:B1 skos:notation "B1" . objective:C1 skos:notation "C1" .
activity:A1.1 a k4p:Activity ; skos:notation "A1.1" ; skos:prefLabel "Poll members"@en ; k4p:activityOf objective:A1 ;
  dcterms:description "Ask members by a poll what they expect. Print it."@en .
activity:B1.1 a k4p:Activity ; skos:notation "B1.1" ; skos:prefLabel "Expectations"@en ; k4p:activityOf objective:B1 ;
  dcterms:description "Find out the wishes of those who joined."@en .
activity:C1.1 a k4p:Activity ; skos:notation "C1.1" ; skos:prefLabel "Dig"@en ; k4p:activityOf objective:C1 ;
  dcterms:description "Dig wells."@en ; k4p:readAsUnrelatedTo activity:A1.1 .
<urn:r1> a k4p:PairReading ; k4p:between activity:A1.1 , activity:B1.1 ; k4p:readKind kind:depends ; k4p:degree 3 ;
  k4p:confidence 1.0 ; k4p:readingNumber 1 ; k4p:needingActivity activity:B1.1 ;
  k4p:reason "One poll would serve both."@en , "Un seul sondage servirait aux deux."@fr ; k4p:passage <urn:p1> , <urn:p2> .
<urn:p1> k4p:passageOf activity:A1.1 ; k4p:quote "Ask members by a poll what they expect" .
<urn:p2> k4p:passageOf activity:B1.1 ; k4p:quote "Find out the wishes of those who joined" .
<urn:r2> a k4p:PairReading ; k4p:between activity:A1.1 , activity:B1.1 ; k4p:readKind kind:unrelated ; k4p:degree 0 ;
  k4p:confidence 0.4 ; k4p:readingNumber 2 ; k4p:reason "Nothing in common."@en .
"""


@pytest.fixture(scope="module")
def small():
    graph = MemoryGraph(q.triple for q in ox.parse(TURTLE, ox.RdfFormat.TURTLE))
    return Detection.of(graph.select)


def test_a_read_pair_has_kind_reason_and_passages_of_the_reading_that_speaks(small):
    first = small.findings[0]
    assert (first.key, first.kind) == (("A1.1", "B1.1"), "depends")
    assert small.reason(first) == "One poll would serve both."
    assert small.reason(first, "fr") == "Un seul sondage servirait aux deux."
    assert "“" in small.reason(first, "es") or small.reason(first, "es").endswith(
        "."
    )  # nobody translated it
    assert small.row(first)["passage_a"] == "Ask members by a poll what they expect"
    assert small.row(first)["passage_b"] == "Find out the wishes of those who joined"


def test_pairs_that_nobody_read_have_no_passages_and_those_read_as_unrelated_are_less_sure(small):
    by_key = {f.key: f for f in small.findings}
    unread, unrelated = by_key["B1.1", "C1.1"], by_key["A1.1", "C1.1"]
    assert small.passages(unread) == ("", "")
    assert unread.judgement is None
    assert unrelated.judgement == Judgement()
    assert unrelated.confidence < 0.2


def test_what_an_overlap_rests_on_stands_in_its_triples(small):
    said = {(t.predicate, t.object) for t in small._overlap(small.findings[0])}
    assert {o.value for p, o in said if p == iri("k4p:basedOnReading")} == {"urn:r1", "urn:r2"}
    assert {o.value for p, o in said if p == iri("k4p:passage")} == {"urn:p1", "urn:p2"}
    assert (iri("k4p:needingActivity"), iri("activity:B1.1")) in said
    assert (iri("k4p:overlapKind"), iri("overlap-kind:depends")) in said


def test_readings_of_a_graph_are_the_same_in_whatever_order_they_come(small):
    graph = MemoryGraph(reversed([q.triple for q in ox.parse(TURTLE, ox.RdfFormat.TURTLE)]))
    assert corpus.read(graph.select).judgements == small.corpus.judgements
