"""What an overlap rests on: the triples that its reason says, and codes that were guessed from a text."""

from dataclasses import replace
from pathlib import Path

import pyoxigraph as ox
import pytest
from click.testing import CliRunner

from kg4p1000.cli import main
from kg4p1000.curation.build import load_shapes
from kg4p1000.curation.commits import commit
from kg4p1000.kernel.terms import iri, mint, prefix_declarations
from kg4p1000.overlaps import detection
from kg4p1000.overlaps.corpus import LANGUAGES, Activity, read
from kg4p1000.overlaps.decisions import overlap_iri
from kg4p1000.overlaps.explanation import Evidence
from kg4p1000.overlaps.findings import DETECTION, Detection, compare
from kg4p1000.overlaps.similarity import Guesser
from kg4p1000.store import Delta, MemoryGraph

TOY = Path(__file__).parent / "toy"
POLL = "Launch a poll to learn what members expect of regional meetings."


@pytest.fixture(scope="module")
def graph(knowledge):
    return knowledge


@pytest.fixture(scope="module")
def corpus(graph):
    return read(graph.select)


def bare(key, title, text):
    """The triples of an activity of the plan without annotations."""
    one, objective = iri(f"activity:{key}"), key.split(".")[0]
    said = {
        "rdf:type": iri("k4p:Activity"),
        "skos:notation": ox.Literal(key),
        "skos:prefLabel": ox.Literal(title, language="en"),
        "dcterms:description": ox.Literal(text, language="en"),
        "dcterms:source": iri("section:2021-10-14-16.4"),
        "p-plan:isStepOfPlan": iri("plan:4p1000"),
        "k4p:activityOf": iri(f"objective:{objective}"),
        "k4p:number": ox.Literal(int(key.split(".")[1])),
    }
    return [ox.Quad(one, iri(p), o, iri("graph:plan-2021-10-14")) for p, o in said.items()]


@pytest.fixture(scope="module")
def more(graph):
    """The detection with one activity more, which has no annotation."""
    new = [q.triple for q in bare("D2.7", "Poll of members", POLL)]
    return Detection.of(MemoryGraph([*graph, *new]).select)


def told(finding, detection):
    """The sentences that follow from the triples of an overlap alone; the order is that of the evidence."""
    subject = overlap_iri(finding.key)
    said = [t for t in detection._overlap(finding) if t.subject == subject]

    def of(name):
        return {getattr(t.object, "value", "") for t in said if t.predicate == iri(name)}

    facets, near, relations = (
        of("k4p:sharesFacet"),
        of("k4p:sharesBroaderFacet"),
        of("k4p:supportedBy"),
    )
    order = detection.explainer.evidence(finding.a, finding.b)
    again = Evidence(
        {s: tuple(c for c in codes if c in facets) for s, codes in order.facets.items()},
        {s: tuple(c for c in codes if c in near) for s, codes in order.near.items()},
        tuple(m for m in order.mentions if m in of("k4p:sharesMention")),
        tuple(p for p in order.phrases if p in of("k4p:similarPhrase")),
        tuple(r for r in order.relations if r in relations),
        tuple(k for k in order.guessed if mint("activity", k).value in of("k4p:guessesCodesOf")),
    )
    stated = {t.object for t in said if t.predicate == iri("k4p:reason")}
    return again, stated


def test_every_reason_of_a_stored_pair_is_a_readers_or_follows_from_its_triples(more):
    stored = more.stored()
    assert any(more.explainer.evidence(f.a, f.b).guessed for f in stored)
    for finding in stored:
        again, stated = told(finding, more)
        chosen = finding.judgement and finding.judgement.chosen
        said = chosen.reasons if chosen else {}
        made = {
            ox.Literal(
                said.get(language) or more.explainer.reason(again, language), language=language
            )
            for language in LANGUAGES
        }
        assert made == stated, finding.key


def test_what_an_overlap_shares_is_had_by_both_activities(more):
    broader = {code.iri: code.broader for code in more.corpus.codes.values()}
    for finding in more.stored():
        a, b = ({f.code for f in x.facets} for x in (finding.a, finding.b))
        wide = [own | {broader[c] for c in own} for own in (a, b)]
        for triple in more._overlap(finding):
            if triple.predicate == iri("k4p:sharesFacet"):
                assert triple.object.value in a & b
            if triple.predicate == iri("k4p:sharesBroaderFacet"):
                assert triple.object.value in wide[0] & wide[1] - (a & b)


# guessed codes


def test_an_activity_without_annotations_has_its_candidate_after_publishing(toy_store, tmp_path):
    store, shapes = toy_store(tmp_path / "store"), load_shapes(TOY)
    known = set(store.quads())
    commit(store, shapes, Delta.of(bare("D2.7", "Poll of members", POLL)), author="t", message="")
    done = detection.refresh(store, shapes)
    added = {(q.subject.value, q.predicate, q.object) for q in done.delta.added}
    pair = overlap_iri(("A4.2", "D2.7")).value
    assert (pair, iri("k4p:guessesCodesOf"), iri("activity:D2.7")) in added
    reason = next(
        o.value for s, p, o in added if (s, p) == (pair, iri("k4p:reason")) and o.language == "en"
    )
    assert reason.startswith("Both seem to ") and reason.endswith(
        "codes guessed from the text: D2.7."
    )
    new = set(store.quads()) - known
    assert not [q for q in new if q.subject.value.startswith(iri("annotation:").value)]


def test_an_annotated_activity_is_not_guessed_and_a_guess_is_less_sure(corpus, more):
    known = {a.id: a for a in corpus.activities}
    for activity in more.corpus.activities:
        if activity.id != "D2.7":
            assert activity == known[activity.id]
    (guessed,) = [a for a in more.corpus.activities if a.id == "D2.7"]
    assert guessed.facets
    assert {(f.guessed, f.confidence) for f in guessed.facets} == {(True, 0.5)}


def test_a_code_that_a_person_rejected_is_not_guessed_again(graph):
    """All annotations of an activity are rejected: what its text suggests otherwise may be guessed."""
    by, no = (
        iri("k4p:rejectedAnnotationOf"),
        (iri("k4p:annotationOf"), iri("k4p:primaryAnnotationOf")),
    )
    one = iri("activity:A4.2")
    changed = [
        ox.Triple(t.subject, by, t.object) if t.predicate in no and t.object == one else t
        for t in graph
    ]
    (before,) = [a for a in read(graph.select).activities if a.id == "A4.2"]
    (after,) = [
        a for a in Detection.of(MemoryGraph(changed).select).corpus.activities if a.id == "A4.2"
    ]
    refused = {f.code for f in before.facets}
    assert refused & {f.code for f in Guesser(read(graph.select)).codes(replace(before, facets=()))}
    assert after.refused == refused
    assert not refused & {f.code for f in after.facets}


def test_a_poll_is_not_near_to_polluters(corpus):
    poll = Activity("x", "Poll", "launch a poll of expectations")
    codes = {f.code.rsplit("/", 1)[1] for f in Guesser(corpus).codes(poll)}
    assert "expectation-poll" in codes
    assert not {c for c in codes if c.startswith("pollut")}
    rows = compare(corpus, [poll], len(corpus.activities))
    reasons = {r["b"]: r["reason"] for r in rows}
    assert "polluters" not in reasons["F1.7"]


@pytest.mark.parametrize("text", ["", "Xyzzy", "the and of"])
def test_a_text_that_says_nothing_gets_no_codes(corpus, text):
    assert Guesser(corpus).codes(Activity("x", text)) == ()


def test_of_guessed_codes_more_than_half_are_what_the_annotations_say(corpus):
    guesser, right, made, had = Guesser(corpus), 0, 0, 0
    for activity in corpus.activities:
        known = {f.code for f in activity.facets}
        seen = {f.code for f in guesser.codes(replace(activity, facets=()))}
        right, made, had = right + len(known & seen), made + len(seen), had + len(known)
    assert right / made >= 0.54
    assert right / had >= 0.44


@pytest.mark.parametrize(
    ("language", "said"), [("en", "Both seem to"), ("fr", "semble-t-il"), ("es", "al parecer")]
)
def test_guessed_codes_are_not_told_as_facts(more, language, said):
    finding = next(f for f in more.stored() if "D2.7" in f.key)
    assert said in more.reason(finding, language)
    assert "D2.7" in more.reason(finding, language)


def test_turtle_of_the_command_holds_the_detection_that_its_pairs_point_at(toy_store, tmp_path):
    store = toy_store(tmp_path / "store")
    call = ["overlaps", "--between", "A4", "D2", "--format", "turtle", "--store", str(store.path)]
    done = CliRunner().invoke(main, [*call, "--files", str(TOY)])
    assert done.exit_code == 0, done.output
    said = {(t.subject, t.predicate) for t in ox.parse(done.stdout.encode(), ox.RdfFormat.TURTLE)}
    assert {(DETECTION, iri("prov:endedAtTime")), (DETECTION, iri("k4p:parameters"))} <= said


def test_the_detection_goes_on_where_the_graph_says_odd_things(knowledge):
    odd = """
      activity:A4.2 skos:notation "A 4", "9" . annotation:odd a k4p:FacetAnnotation ; k4p:annotationOf activity:A4.2 ;
        k4p:givesTopic "topic/x", _:b, code:topic ; k4p:rank "abc", "1e400" ; k4p:confidence "NaN", "", "7" .
      mention:odd k4p:mentionIn activity:A4.2 ; k4p:mentionOf _:b . _:b skos:prefLabel "x" .
      code:topic skos:broader code:topic, "x", _:b ."""
    added = ox.parse(prefix_declarations() + odd, format=ox.RdfFormat.TURTLE)
    found = Detection.of(MemoryGraph([*knowledge, *(q.triple for q in added)]).select)
    assert all(0 <= f.confidence <= 1 for f in found.findings)
    assert found.triples(lambda query: [])
