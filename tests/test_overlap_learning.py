"""What decisions do to the other overlaps: little each, in the expected direction, and nothing is lost."""

from pathlib import Path

import numpy as np
import pytest

from kg4p1000.curation.build import parse_file, sources
from kg4p1000.overlaps.decisions import Decision
from kg4p1000.overlaps.findings import Detection
from kg4p1000.overlaps.scoring import learn
from kg4p1000.store import MemoryGraph

ROOT = Path(__file__).parents[1]
#: Of the stored pairs, how many one decision may add or take away.
FEW = 0.05


@pytest.fixture(scope="module")
def found():
    paths = [s.path for s in sources(ROOT) if s.path.parent.name != "shapes"]
    return Detection.of(MemoryGraph(t for path in paths for t in parse_file(path)).select)


class Learner:
    """Confidences of all pairs after decisions, without comparing the texts again."""

    def __init__(self, found):
        self.found, self.pairs = found, found.findings
        self.names = list(found.model.weights)
        self.features = np.array([[p.features[n] for n in self.names] for p in self.pairs])
        self.keys = np.array(["-".join(p.key) for p in self.pairs])

    def model(self, accepted=(), rejected=()):
        decided = {
            self.pairs[i].key: Decision("x", self.pairs[i].key, status, "", "", "", "")
            for status, places in (("accepted", accepted), ("rejected", rejected))
            for i in places
        }
        return learn(self.found.model, self.pairs, decided)

    def confidences(self, accepted=(), rejected=()):
        model = self.model(accepted, rejected)
        weights = np.array([model.weights[n] for n in self.names])
        return np.round(model.confidences(self.features @ weights + model.intercept), 2)


@pytest.fixture(scope="module")
def learner(found):
    return Learner(found)


@pytest.fixture(scope="module")
def before(learner):
    return learner.confidences()


@pytest.fixture(scope="module")
def stored(before, found):
    return np.flatnonzero(before >= found.model.stored_from)


@pytest.mark.slow
def test_one_decision_moves_few_of_the_stored_pairs(learner, before, stored, found):
    for said in ("accepted", "rejected"):
        for place in stored[::5]:
            after = learner.confidences(**{said: [place]})
            moved = (before >= found.model.stored_from) != (after >= found.model.stored_from)
            moved[place] = False
            assert moved.sum() <= FEW * len(stored), (said, learner.keys[place])


def test_an_acceptance_lowers_no_pair_and_a_rejection_raises_none(learner, before, stored):
    for place in stored[::5]:
        assert (learner.confidences(accepted=[place]) >= before).all()
        assert (learner.confidences(rejected=[place]) <= before).all()


def test_nor_does_an_acceptance_after_others(learner, stored, found):
    random = np.random.default_rng(0)
    for _ in range(10):
        *decided, one = random.choice(stored, 21, replace=False)
        rejected, accepted = decided[:12], decided[12:]
        then = learner.confidences(accepted, rejected)
        now = learner.confidences([*accepted, one], rejected)
        assert not ((then >= found.model.stored_from) & (now < found.model.stored_from)).any()


def test_decisions_that_agree_with_the_confidence_change_nothing_much(learner, before, stored):
    random = np.random.default_rng(0)
    right = random.random(len(stored)) < before[stored]
    after = learner.confidences(stored[right], stored[~right])
    assert after.sum() == pytest.approx(before.sum(), rel=0.1)


def test_many_decisions_of_one_kind_change_the_ranking_as_they_say(learner, before, stored):
    topic = learner.features[:, learner.names.index("topic")]
    about = [i for i in stored if topic[i] > np.median(topic[stored])][:40]
    fewer = learner.model(rejected=about)
    assert fewer.weights["topic"] < 0.8 * learner.found.model.weights["topic"]
    assert learner.confidences(rejected=about)[stored].sum() < 0.7 * before[stored].sum()
    more = learner.model(accepted=about)
    assert more.weights["topic"] > learner.found.model.weights["topic"]
    assert min(fewer.weights.values()) >= 0


def test_a_decided_pair_is_stored_whatever_its_score(found):
    first, last = found.findings[0].key, found.findings[-1].key
    decided = {
        last: Decision("x", last, "accepted", "", "", "", ""),
        first: Decision("y", first, "rejected", "", "", "", ""),
    }
    after = Detection(found.corpus, found.model, decided)
    kept = {f.key: f.status for f in after.stored()}
    assert (kept[first], kept[last]) == ("rejected", "accepted")
