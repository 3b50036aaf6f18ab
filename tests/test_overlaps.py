"""Overlaps: read, compared, explained, decided, and scored against pairs that people judged."""

import csv
import itertools
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyoxigraph as ox
import pytest
from bench import fit_overlaps
from bench.fit_overlaps import Gold, Judged, platt

from kg4p1000.curation.build import build
from kg4p1000.curation.commits import commit
from kg4p1000.curation.decisions import slug
from kg4p1000.kernel.errors import BadParameter, BrokenFile, NotFound, ShapesViolated
from kg4p1000.kernel.terms import CODE, iri, prefix_declarations, turtle
from kg4p1000.overlaps import clusters, corpus, decisions, detection, scoring, similarity
from kg4p1000.overlaps.corpus import Activity, Code, Corpus, Facet
from kg4p1000.overlaps.findings import Detection, compare
from kg4p1000.overlaps.scoring import Model, fit, learn
from kg4p1000.overlaps.similarity import Space
from kg4p1000.store import Delta, MemoryGraph

ROOT = Path(__file__).parents[1]
TOY = Path(__file__).parent / "toy"
FOLDER = Path(__file__).parent / "fixtures" / "overlaps"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def graph(knowledge):
    return knowledge


@pytest.fixture(scope="module")
def found(graph):
    return Detection.of(graph.select)


@pytest.fixture
def store(toy_store, tmp_path):
    return toy_store(tmp_path / "store")


@pytest.fixture(scope="module")
def shapes(toy_shapes):
    return toy_shapes


def code(name, **labels):
    return Code(CODE + name, labels or {"en": name.rsplit("/", 1)[1].replace("-", " ")})


def facet(name, rank=1, confidence=1.0):
    return Facet(CODE + name, rank, confidence)


def activity(key, title="", *facets, **more):
    return Activity(key, title, group=key.split(".")[0], facets=facets, **more)


def small(*activities, **more):
    codes = {f.code: code(f.code.removeprefix(CODE)) for a in activities for f in a.facets}
    return Corpus(activities, {**codes, **more.pop("codes", {})}, **more)


def score(plan, a, b, model=None):
    ranked = scoring.ranking(Space(plan), model or Model.load())
    return next(p.score for p in ranked if p.key == (a, b))


# the score


def test_activities_of_one_objective_are_not_compared():
    plan = small(activity("A1.1"), activity("A1.2"), activity("B1.1"))
    keys = [p.key for p in scoring.ranking(Space(plan), Model.load())]
    assert keys == [("A1.1", "B1.1"), ("A1.2", "B1.1")]


def test_a_rare_shared_code_counts_more_than_a_frequent_one():
    rare, frequent = facet("topic/rare"), facet("topic/frequent")
    plan = small(
        activity("A1.1", "", rare), activity("B1.1", "", rare),
        activity("A1.2", "", frequent), activity("B1.2", "", frequent), activity("C1.1", "", frequent),
    )  # fmt: skip
    assert score(plan, "A1.1", "B1.1") > score(plan, "A1.2", "B1.2") > score(plan, "A1.1", "B1.2")


def test_the_first_values_count_more_than_later_ones_and_sure_ones_more_than_unsure():
    def shared(rank, confidence):
        one = facet("topic/x", rank, confidence)
        return score(small(activity("A1.1", "", one), activity("B1.1", "", one)), "A1.1", "B1.1")

    assert (
        shared(1, 1.0)
        > shared(3, 1.0)
        > score(small(activity("A1.1"), activity("B1.1")), "A1.1", "B1.1")
    )
    assert shared(1, 1.0) > shared(1, 0.5)


def test_codes_under_one_broader_code_count_a_little():
    broad = code("deliverable/event")
    under = {
        CODE + f"deliverable/{n}": replace(code(f"deliverable/{n}"), broader=broad.iri)
        for n in ("forum", "meeting")
    }
    forum, meeting = facet("deliverable/forum"), facet("deliverable/meeting")
    others = [activity(f"C1.{i}", "", facet(f"deliverable/other-{i}")) for i in range(4)]
    plan = small(
        activity("A1.1", "", forum), activity("B1.1", "", meeting), activity("B1.2", "", forum), *others,
        codes={broad.iri: broad, **under},
    )  # fmt: skip
    same, near = score(plan, "A1.1", "B1.2"), score(plan, "A1.1", "B1.1")
    assert same > near > score(plan, "A1.1", "C1.1")


def test_sharing_more_never_lowers_a_score():
    assert min(Model.load().weights.values()) >= 0


def test_what_a_remark_states_of_the_objectives_counts():
    pair = (activity("A1.1"), activity("B1.1"))
    stated = small(*pair, relations={frozenset(("A1", "B1")): ("x",)})
    assert score(stated, "A1.1", "B1.1") > score(small(*pair), "A1.1", "B1.1")


def test_all_pairs_of_the_plan_are_scored_best_first(found):
    assert len(found.findings) == 12_665
    scores = [f.score for f in found.findings]
    assert all(a + 1e-4 >= b for a, b in itertools.pairwise(scores))
    assert all(f.a.group != f.b.group for f in found.findings)


# against the judgements of people


@pytest.fixture(scope="module")
def judged(found):
    gold = Gold.load(FOLDER / "gold.csv", FOLDER / "objective_pairs.txt")
    return Judged.of(found.space, gold, list(found.model.weights))


def test_the_ranking_is_as_good_as_we_say(found, judged):
    good = fit_overlaps.figures([f.key for f in found.findings], judged.gold)
    assert good["ap_related"] >= 0.82
    assert good["duplicates_first"] >= 12
    assert good["ndcg"] >= 0.92


def test_the_ranking_is_about_as_good_on_objectives_that_gave_no_weights(judged):
    several = [judged.figures(judged.cross_validated(seed)) for seed in range(3)]
    assert np.mean([f["ap_related"] for f in several]) >= 0.8
    assert np.mean([f["duplicates_first"] for f in several]) >= 11.5
    assert np.mean([f["ndcg"] for f in several]) >= 0.9


def test_without_readings_the_ranking_is_about_as_good_as_we_say(judged):
    """This is what new activities, which nobody has read, get."""
    several = [judged.figures(judged.cross_validated(seed, readings=False)) for seed in range(3)]
    assert np.mean([f["ap_related"] for f in several]) >= 0.62
    assert np.mean([f["ndcg"] for f in several]) >= 0.74


def test_the_committed_weights_are_those_that_the_judgements_give(judged, found):
    weights = judged.fitted()
    assert weights[:-1] == pytest.approx(list(found.model.weights.values()), abs=0.02)
    assert weights[-1] == pytest.approx(found.model.intercept, abs=0.02)
    added = judged.fitted_readings(judged.scores(weights), np.ones(len(judged.pairs), bool))
    read = found.model.read
    assert added == pytest.approx([read.prior, read.degree, read.intercept], abs=0.02)


def test_figures_of_a_perfect_and_a_reversed_ranking():
    pairs = [("A1.1", f"B1.{i}") for i in range(1, 101)]
    labels = {pairs[0]: "duplicate", pairs[1]: "overlap", pairs[2]: "unsure"}
    gold = Gold(labels, {pairs[0]: 6, pairs[1]: 3, pairs[2]: 1}, frozenset({"A1-B1"}))
    perfect = fit_overlaps.figures(pairs, gold)
    assert (perfect["ap_related"], perfect["duplicates_first"]) == (1.0, 1.0)
    assert perfect["ndcg"] == pytest.approx(1)
    reversed_ = fit_overlaps.figures(pairs[::-1], gold)
    assert reversed_["ap_related"] == pytest.approx((1 / 98 + 2 / 99) / 2)
    assert (reversed_["duplicates_first"], reversed_["ndcg"]) == (0, 0)


def test_folds_keep_equal_names_together():
    names = [f"A{i % 24}" for i in range(500)]
    part = fit_overlaps.folds(names, 6, 0)
    seen = {}
    for name, number in zip(names, part, strict=True):
        assert seen.setdefault(name, number) == number
    assert set(part) == set(range(6))


def test_cross_validation_learns_from_no_pair_of_the_parts_that_it_scores(judged, monkeypatch):
    """The weights for a pair have seen no pair with an objective of either of its two parts."""
    learnt = []
    fitted = Judged.fitted

    def watched(self, some):
        learnt.append({fit_overlaps.objectives(p) for p in itertools.compress(self.pairs, some)})
        return fitted(self, some)

    monkeypatch.setattr(Judged, "fitted", watched)
    judged.cross_validated(0, readings=False)
    assert len(learnt) == 21
    for names in learnt:
        assert len({code for name in names for code in name.split("-")}) <= 20


def test_confidence_is_calibrated_on_scores_of_unseen_objectives(judged, found):
    edges = (0, 0.1, 0.5, 1.01)
    said = found.model.confidences(judged.cross_validated(0, readings=False))
    for row in fit_overlaps.reliability(said, judged.right, edges):
        assert abs(row["said"] - row["true"]) < 0.15, row
    said = found.model.read_confidences(judged.cross_validated(0)[judged.read])
    for row in fit_overlaps.reliability(said, judged.right[judged.read], edges):
        assert abs(row["said"] - row["true"]) < 0.15, row


@pytest.mark.slow
def test_no_confidence_is_higher_than_what_the_judgements_bear_out(judged, found):
    runs = range(10)
    seen = [judged.cross_validated(seed, readings=False) for seed in runs]
    most = np.mean([fit_overlaps.surest(scores, judged.right) for scores in seen])
    assert found.model.surest == pytest.approx(most, abs=0.01)
    seen = [judged.cross_validated(seed)[judged.read] for seed in runs]
    most = np.mean([fit_overlaps.surest(scores, judged.right[judged.read]) for scores in seen])
    assert found.model.read.surest == pytest.approx(most, abs=0.01)
    assert max(f.confidence for f in found.findings) <= found.model.read.surest < 1


@pytest.mark.parametrize(
    ("right", "bound"), [([1, 1, 1, 0], 4 / 5), ([0, 0], 1 / 3), ([0, *[1] * 98], 99 / 101)]
)
def test_the_highest_precision_needs_many_pairs(right, bound):
    scores = -np.arange(len(right), dtype=float)
    assert fit_overlaps.surest(scores, np.array(right)) == pytest.approx(bound)


def test_generic_deliverables_are_those_that_their_notes_call_so(graph):
    notes = graph.select(
        prefix_declarations() + "SELECT ?code ?note WHERE { ?code skos:inScheme code:deliverable ;"
        ' skos:scopeNote ?note FILTER(LANG(?note) = "en") }'
    )
    told = {r["code"].value for r in notes if r["note"].value.startswith("The generic code")}
    assert told == similarity.GENERIC


def test_a_generic_deliverable_and_a_late_value_count_less():
    generic = sorted(similarity.GENERIC)[0].removeprefix(CODE)
    both = facet(generic), facet("deliverable/x"), facet("deliverable/late", 4)
    plan = small(*(activity(k, "", *both) for k in ("A1.1", "B1.1")), activity("C1.1"))
    row = Space(plan).codes.rows([plan.activities[0]])["deliverable"][0]
    by_code = dict(zip(sorted(f.code for f in both), row, strict=True))
    whole = by_code[CODE + "deliverable/x"]
    assert by_code[CODE + generic] / whole == pytest.approx(0.7)
    assert by_code[CODE + "deliverable/late"] / whole == pytest.approx(0.4)


def test_the_subject_of_two_objectives_counts_for_all_their_activities():
    about = facet("topic/x")
    plan = small(
        activity("A1.1", "", about), activity("A1.2"), activity("B1.1", "", about), activity("C1.1"),
    )  # fmt: skip
    space = Space(plan)
    subject = dict(space.features(plan.activities))["subject"]
    assert subject[1, 2] > 0 == subject[1, 3]
    stranger = replace(plan.activities[0], id="Z9.1", group="Z9")
    assert not dict(space.features([stranger]))["subject"].any()


def test_platt_gives_probabilities_and_a_fit_with_a_prior_stays_near_it():
    random = np.random.default_rng(0)
    scores = random.normal(size=4000)
    right = (random.random(4000) < 1 / (1 + np.exp(-(2 * scores - 1)))).astype(float)
    assert platt(scores, right) == pytest.approx((2, -1), abs=0.2)
    prior = np.array([1.5, -2.0])
    nothing = fit(np.zeros((1, 1)), np.array([0.5]), prior, np.full(2, 1e6))
    assert nothing == pytest.approx(prior, abs=1e-3)


@pytest.mark.parametrize("keys", [(), ("A1.1",), ("A1.1", "A1.2")])
def test_a_plan_without_pairs_has_no_findings(keys):
    plan = small(*(activity(key, "Soil") for key in keys))
    alone = Detection(plan, Model.load(), {})
    assert (alone.findings, alone.clusters, alone.queue()) == ([], [], [])
    given = [Activity("p1", "Survey of soil", language="fr"), Activity("p2", "Survey of soil")]
    assert len(compare(plan, given, 5)) == 2 * len(keys)
    assert {r["b"] for r in compare(plan, given, 5, alone=True)} == {"p1", "p2"}


# reasons


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (
            ("A4.1", "D2.1"),
            ["participants", "Identify potential stakeholders", "Identifying potential"],
        ),
        (("A4.2", "D2.3"), ["polled", "launch a poll", "Launch a poll to identify expectations"]),
        (("A4.4", "D2.5"), ["meetings", "Organize forums", "bring people together"]),
    ],
)
def test_a4_and_d2_share_what_a_person_would_say(found, pair, words):
    top = [f for f in found.findings if {f.a.group, f.b.group} == {"A4", "D2"}][:3]
    finding = next(f for f in top if f.key == pair)
    said = " ".join((found.reason(finding), *found.passages(finding)))
    assert all(word in said for word in words), said


def test_reasons_stand_in_three_languages(found):
    finding = found.findings[0]
    reasons = [found.reason(finding, language) for language in ("en", "fr", "es")]
    assert len(set(reasons)) == 3
    assert all(r[0].isupper() and r.endswith(".") for r in reasons)


def test_a_pair_that_shares_nothing_says_so(found):
    plan = small(activity("A1.1", "Apples"), activity("B1.1", "Rivers"))
    alone = Detection(plan, Model.load(), {})
    assert alone.reason(alone.findings[0]) == (
        "Neither annotations nor texts show anything in common."
    )


def test_kinds_are_told_apart_by_score_and_by_what_is_done(found):
    sure, model = 10.0, found.model
    shared = {"action-kind": 1.0, "deliverable": 1.0, "topic": 1.0}
    assert model.kind(sure, shared) == "duplicates"
    assert model.kind(-3.0, {**shared, "action-kind": 0.0}) == "complements"
    assert model.kind(-3.0, {**shared, "topic": 0.0, "action-kind": 0.0}) == "overlaps"
    assert {f.kind for f in found.stored()} == {"duplicates", "overlaps", "complements", "depends"}


# the same for the same graph


def test_the_committed_file_is_what_the_detection_finds(graph, found):
    made = found.triples(graph.select, now=NOW)
    path = ROOT / "data" / "overlaps.ttl"
    assert turtle(made).decode() == path.read_text(encoding="utf-8"), (
        "run: kg4p1000 overlaps --to-file"
    )


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_hash_seed():
    text = (
        "import sys; from pathlib import Path; from kg4p1000.overlaps import detection;"
        "sys.exit(detection.write_file(Path(sys.argv[1])) is not None)"
    )
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "-c", text, str(ROOT)], env=environment, check=False)
        assert done.returncode == 0


def test_detecting_again_changes_nothing_and_a_change_is_noticed(store, shapes):
    assert detection.refresh(store, shapes).entry is None
    gone = [
        q for q in store.quads()
        if q.subject.value.startswith(iri("annotation:A4.2-").value) and "deliverable" in str(q)
    ]  # fmt: skip
    assert gone
    subjects = {q.subject for q in gone}
    whole = [
        q for q in store.quads() if q.subject in subjects and "inferred" not in str(q.graph_name)
    ]
    commit(store, shapes, Delta.of(removed=whole), author="tests", message="")
    done = detection.refresh(store, shapes)
    assert done.entry and done.delta.removed
    assert detection.refresh(store, shapes).entry is None


def test_nothing_is_detected_after_a_change_when_there_are_very_many_activities(store, shapes):
    assert detection.refresh(store, shapes, most=5) is None


def test_a_change_of_an_activity_matters_and_one_of_its_overlaps_does_not():
    about = (iri("k4p:status"), iri("status:proposed"))
    graph = iri("graph:mentions")
    assert detection.concerns([ox.Quad(iri("mention:x"), *about, graph)])
    assert not detection.concerns([ox.Quad(iri("tool:x"), *about, graph)])
    note = ox.Quad(iri("activity:x"), iri("skos:editorialNote"), ox.Literal("seen"), graph)
    assert not detection.concerns([note])
    assert not detection.concerns([ox.Quad(iri("activity:x"), *about, decisions.OVERLAPS)])


# decisions


def decide(store, shapes, status, **more):
    told = {"status": status, "author": "Kim Example", "why": "Both teams said so.", **more}
    return detection.decide(store, shapes, ("A4.2", "D2.3"), **told)


def status_of(store, pair="A4.2-D2.3"):
    wanted = (iri(f"overlap:{pair}"), iri("k4p:status"))
    return {
        q.object.value.rsplit("/", 1)[1]
        for q in store.quads()
        if (q.subject, q.predicate) == wanted
    }


def test_a_decision_is_kept_attributed_and_survives_a_new_detection(store, shapes):
    decide(store, shapes, "accepted", kind="overlaps")
    assert status_of(store) == {"accepted"}
    detection.refresh(store, shapes)
    assert status_of(store) == {"accepted"}
    decide(store, shapes, "rejected", why="They meet in other regions.")
    detection.refresh(store, shapes)
    assert status_of(store) == {"rejected"}
    made = MemoryGraph(q.triple for q in store.quads())
    first, second = decisions.read(made.select)
    assert (first.status, first.kind, first.who) == ("accepted", "overlaps", "Kim Example")
    assert (second.status, second.reason) == ("rejected", "They meet in other regions.")
    assert first.iri.endswith("A4.2-D2.3-1") and second.iri.endswith("A4.2-D2.3-2")
    assert decisions.latest([first, second]) == {("A4.2", "D2.3"): second}


def test_a_build_after_a_decision_keeps_it(store, shapes):
    decide(store, shapes, "merged")
    done = build(store, TOY, author="tests")
    assert not done.commit.entry and not done.conflicts
    assert status_of(store) == {"merged"}


@pytest.mark.parametrize(
    "wrong", [{"status": "perhaps"}, {"why": " "}, {"author": ""}, {"kind": "twins"}]
)
def test_a_decision_without_what_it_needs_is_refused(store, shapes, wrong):
    told = {"status": "accepted", "author": "Kim", "why": "Yes.", **wrong}
    with pytest.raises(BadParameter):
        detection.decide(store, shapes, ("A4.2", "D2.3"), **told)


def test_a_pair_that_is_not_stored_is_stored_with_its_decision(store, shapes):
    last = ("A1.1", "D2.5")
    told = {"status": "rejected", "author": "Kim", "why": "Nothing in common."}
    before = store.current
    with pytest.raises(BadParameter):
        detection.decide(store, shapes, last, **{**told, "why": " "})
    assert detection.decide(store, shapes, last, **told, dry_run=True).delta
    assert store.current == before
    detection.decide(store, shapes, last, **told)
    assert store.current == before + 1
    assert status_of(store, "-".join(last)) == {"rejected"}
    detection.refresh(store, shapes)
    assert status_of(store, "-".join(last)) == {"rejected"}


@pytest.mark.parametrize("pair", [("A4.1", "Z9.9"), ("A4.1", "D2.99")])
def test_a_pair_of_what_is_no_activity_is_not_decided(store, shapes, pair):
    with pytest.raises(NotFound, match=f"no activity {pair[1]}"):
        detection.decide(store, shapes, pair, status="rejected", author="Kim", why="No.")


def test_a_build_after_decisions_detects_again_and_reports_no_conflict(store, shapes, tmp_path):
    decide(store, shapes, "rejected")
    detection.refresh(store, shapes)
    for name in ("ontology", "shapes", "data"):
        shutil.copytree(TOY / name, tmp_path / name)
    path = tmp_path / "data" / "plan-2021-10-14.ttl"
    text = path.read_text(encoding="utf-8")
    title = re.search(r'activity:A4\.4 .*?skos:prefLabel "([^"]+)"@en', text, re.DOTALL)[1]
    path.write_text(
        text.replace(f'skos:prefLabel "{title}"@en', 'skos:prefLabel "Poll on soils"@en')
    )
    for table in (tmp_path / "data" / "mappings").glob("*.tsv"):  # they name what they map
        table.write_text(
            table.read_text("utf-8").replace(f"A4.4 {title}", "A4.4 Poll on soils"), "utf-8"
        )
    assert detection.write_file(tmp_path)
    done = build(store, tmp_path, author="tests")
    assert done.commit.entry and not done.conflicts
    assert status_of(store) == {"rejected"}
    assert detection.refresh(store, shapes).entry is None  # nothing is left to detect


def test_nobody_but_a_person_accepts(store, shapes):
    subject, prop = iri("overlap:A4.2-D2.3"), iri("k4p:status")
    change = Delta.of(
        [ox.Quad(subject, prop, iri("status:accepted"), decisions.OVERLAPS)],
        [ox.Quad(subject, prop, iri("status:proposed"), decisions.OVERLAPS)],
    )
    with pytest.raises(ShapesViolated):
        commit(store, shapes, change, author="tests", message="")


def test_a_pair_of_one_objective_cannot_be_decided():
    with pytest.raises(BadParameter):
        decisions.ordered("A4.1", "A4.2")
    assert decisions.ordered("D2.3", "A4.2") == ("A4.2", "D2.3")


@pytest.mark.parametrize("odd", ["", "foo", "D2.1 x", "é", "d2.1", "D2", "D2.1-D2.2"])
def test_what_is_no_notation_names_no_pair(odd):
    with pytest.raises(BadParameter, match="not the notation of an activity"):
        decisions.ordered("A4.1", odd)


@pytest.mark.parametrize(
    ("name", "key"), [("Zoë O'Neil", "zoe-o-neil"), ("  ", "unnamed"), ("Ж", "u436")]
)
def test_a_name_becomes_a_key(name, key):
    assert slug(name) == key


def decision(pair, status, kind=""):
    return decisions.Decision("x", pair, status, kind, "", "", "")


def test_the_ranking_learns_from_decisions(found):
    ranked = found.findings
    assert learn(found.model, ranked, {}) is found.model
    last, first = ranked[200], ranked[0]
    wrong = {
        first.key: decision(first.key, "rejected"),
        last.key: decision(last.key, "accepted", "duplicates"),
    }
    learnt = learn(found.model, ranked, wrong)
    again = {p.key: p.score for p in scoring.ranking(found.space, learnt)}
    assert first.score - last.score > again[first.key] - again[last.key]
    assert min(learnt.weights.values()) >= 0


def test_the_queue_asks_about_likely_pairs_of_which_it_is_unsure():
    sure = {("A", "B"): 0.99, ("A", "C"): 0.65, ("A", "D"): 0.05, ("A", "E"): 0.65}
    assert decisions.queue(sure, {("A", "E"): "accepted"}) == [("A", "C"), ("A", "B"), ("A", "D")]


# work packages


def test_a_cluster_is_activities_of_several_objectives_that_overlap_with_each_other():
    keys = ["A1.1", "B1.1", "C1.1", "D1.1"]
    plan = small(*(activity(k, "", facet("topic/x")) for k in keys))
    sure = {
        ("A1.1", "B1.1"): 0.9,
        ("A1.1", "C1.1"): 0.8,
        ("B1.1", "C1.1"): 0.7,
        ("C1.1", "D1.1"): 0.3,
    }
    (one,) = clusters.clusters(plan, sure, 0.35)
    assert one.members == ("A1.1", "B1.1", "C1.1")
    assert one.confidence == pytest.approx(0.8)
    assert one.themes == (CODE + "topic/x",)
    assert clusters.theme(one, plan, "en") == "x"


def test_two_activities_are_no_cluster_and_a_chain_is_not_joined():
    plan = small(*(activity(k) for k in ("A1.1", "B1.1", "C1.1")))
    assert clusters.clusters(plan, {("A1.1", "B1.1"): 0.9}, 0.35) == []
    assert clusters.clusters(plan, {("A1.1", "B1.1"): 0.6, ("B1.1", "C1.1"): 0.5}, 0.35) == []


def test_clusters_of_the_plan_span_objectives_and_stay_small(found):
    assert found.clusters
    for cluster in found.clusters:
        assert 3 <= len(cluster.members) <= clusters.LARGEST
        assert len({m.split(".")[0] for m in cluster.members}) > 1
    members = [m for cluster in found.clusters for m in cluster.members]
    assert len(members) == len(set(members))


# other activities


def test_paraphrases_in_french_and_spanish_find_their_activity(found):
    with (FOLDER / "paraphrases.csv").open(encoding="utf-8") as file:
        wanted = {row["id"]: row["activity"] for row in csv.DictReader(file)}
    rows = compare(found.corpus, corpus.read_table(FOLDER / "paraphrases.csv"), 5)
    best: dict[str, set[str]] = {}
    for row in rows:
        best.setdefault(row["a"], set()).add(row["b"])
    hits = sum(wanted[key] in found_ for key, found_ in best.items())
    assert set(best) == set(wanted) and len(wanted) == 20
    assert hits >= 18


def test_activities_of_a_table_are_compared_with_each_other(found, tmp_path):
    table = tmp_path / "partners.csv"
    table.write_text(
        "id,title,description,group\n"
        "p1,Poll of members,Launch a poll on regional meetings,one\n"
        "p2,Survey,Ask the members by a poll what they expect of regional meetings,two\n"
        "p3,Brand,Make a label for products,two\n"
    )
    rows = compare(found.corpus, corpus.read_table(table), 2, alone=True)
    assert next((r["a"], r["b"]) for r in rows if r["a"] == "p1") == ("p1", "p2")
    assert not [r for r in rows if {r["a"], r["b"]} == {"p2", "p3"}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,title\n1,x\n", "description"),
        ("id,title,description\n1,x,y\n1,z,y\n", "twice"),
        ("id,title,description\n,x,y\n", "empty"),
        ("", "columns"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_what_is_wrong(tmp_path, text, said):
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(BrokenFile, match=said):
        corpus.read_table(path)


def test_the_best_of_each_in_blocks_are_those_of_the_whole_ranking(found, monkeypatch):
    model, space = found.model, Space(replace(found.corpus, judgements={}))
    whole = {}
    for pair in scoring.ranking(space, model):
        for one, other in (pair.key, pair.key[::-1]):
            whole.setdefault(one, []).append((other, round(pair.score, 4)))
    ids = [a.id for a in space.corpus.activities]
    monkeypatch.setattr(scoring, "BLOCK", 50)
    best = scoring.candidates(space, model, space.corpus.activities, 5)
    for one, places, scores in zip(space.corpus.activities, *best, strict=True):
        expected = sorted(s for _, s in whole[one.id])[::-1][:5]
        assert [round(float(s), 4) for s in scores] == pytest.approx(expected, abs=2e-4)
        assert all(ids[p].split(".")[0] != one.group for p in places)


def test_a_new_activity_is_compared_like_one_that_is_there(found):
    space, model = found.space, found.model
    known = space.corpus.activities[10]
    new = replace(known, id="X9.1", group="X9")
    places, scores = scoring.candidates(space, model, [new], 1)
    assert space.corpus.activities[places[0][0]] is known
    assert scores[0][0] > found.findings[0].score - 10
