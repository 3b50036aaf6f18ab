"""Guards and followers of a change, and decisions about things of a new topic, on a graph of a few statements."""

import pytest
from pyoxigraph import Literal, NamedNode, Quad

from kg4p1000.curation import commits, decisions
from kg4p1000.curation.commits import Follower, commit, undo
from kg4p1000.kernel.errors import BadParameter, DecisionStands, Forbidden, NotFound
from kg4p1000.kernel.terms import iri
from kg4p1000.reasoning import Shapes
from kg4p1000.store import Delta, Store

NOTES, LINKS = iri("graph:notes"), iri("graph:links")
STATUS, SAME = iri("k4p:status"), iri("skos:closeMatch")
SHAPES = Shapes.from_files([])
ONE, TWO = iri("tool:one"), iri("tool:two")
WHO = {"author": "Ada Example", "why": "It was read."}


def note(text):
    return Quad(ONE, iri("skos:note"), Literal(text, language="en"), NOTES)


def _effects(draft, thing, decision):
    """Only what was accepted is linked."""
    link = Quad(thing, SAME, iri("tool:zero"), LINKS)
    return ({link} if decision and decision.status == "accepted" else set()), {link} & {
        *draft.quads(LINKS)
    }


TOPIC = decisions.Topic(
    iri("k4p:SuccessStory"),
    iri("k4p:StoryDecision"),
    iri("k4p:decidesStory"),
    LINKS,
    ("proposed", "accepted", "rejected"),
    effects=_effects,
)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    facts = [
        Quad(g, iri("k4p:inDefaultGraph"), Literal(True), iri("graph:graphs"))
        for g in (NOTES, LINKS, decisions.GRAPH)
    ]
    for thing in (ONE, TWO):
        facts += [
            Quad(thing, iri("rdf:type"), TOPIC.thing, LINKS),
            Quad(thing, STATUS, iri("status:proposed"), LINKS),
        ]
    with store.draft() as draft:
        draft.apply(Delta.of(facts))
        store.publish(draft, "tests", "", "test")
    return store


@pytest.fixture
def topic(monkeypatch):
    monkeypatch.setattr(decisions, "topics", [*decisions.topics, TOPIC])


def change(store, added=(), removed=(), **more):
    told = {"author": "tests", "message": "", **more}
    return commit(store, SHAPES, Delta.of(added, removed), **told)


def decide(store, thing, status, prepare=lambda draft: None, **more):
    return decisions.decide(store, SHAPES, TOPIC, thing, prepare, status=status, **WHO | more)


def statuses(store):
    return {
        q.subject: q.object.value.rpartition("/")[2]
        for q in store.quads()
        if q.predicate == STATUS and q.graph_name == LINKS
    }


def linked(store):
    return {q.subject for q in store.quads() if q.predicate == SAME}


def test_a_guard_that_is_registered_refuses_a_change_and_nothing_is_published(store, monkeypatch):
    seen = []

    def guard(draft, wipe):
        seen.append((len(draft.delta), wipe))
        raise Forbidden("Not today.")

    monkeypatch.setattr(commits, "guards", [guard])
    before = set(store.quads())
    with pytest.raises(Forbidden, match="Not today"):
        change(store, [note("a")], wipe=True)
    assert seen == [(1, True)]
    assert (store.current, set(store.quads())) == (1, before)


def test_what_follows_from_a_change_is_part_of_its_version_and_goes_with_it(store, monkeypatch):
    other = Quad(TWO, iri("skos:note"), Literal("follows"), NOTES)

    def follow(draft):
        there = next(draft.match(ONE, iri("skos:note"), None, NOTES), None)
        draft.apply(Delta({other}) if there else Delta(removed={other}))

    about_notes = Follower(lambda changed: any(q.graph_name == NOTES for q in changed), follow)
    monkeypatch.setattr(commits, "followers", [about_notes])
    done = change(store, [note("a")])
    assert done.entry.version == 2
    assert other in done.delta.added
    undo(store, SHAPES, 2, "tests")
    assert other not in set(store.quads())


def test_what_takes_long_is_left_for_a_change_of_its_own(store, monkeypatch):
    late = Quad(TWO, iri("skos:note"), Literal("late"), NOTES)
    slow = Follower(bool, lambda draft: draft.apply(Delta({late})), slow=True)
    monkeypatch.setattr(commits, "followers", [slow])
    done = change(store, [note("a")])
    assert late not in done.delta.added
    assert commits.is_followed(done.delta.added)
    assert not commits.is_followed(frozenset())
    with store.draft() as draft:
        draft.apply(Delta({note("b")}))
        commits.follow(draft, slow=True)
        assert late in draft


def test_a_topic_that_registers_itself_has_decisions(store, topic):
    done = decide(store, ONE, "accepted")
    assert (done.entry.source, done.entry.message) == (
        "decision",
        "tool/one accepted: It was read.",
    )
    assert statuses(store) == {ONE: "accepted", TWO: "proposed"}
    assert linked(store) == {ONE}
    decide(store, ONE, "rejected")
    assert statuses(store)[ONE] == "rejected"
    assert linked(store) == set()
    with store.draft() as draft:
        made = decisions.read(draft.select, TOPIC)
    assert {d.about for d in made} == {ONE}
    assert {d.iri.rpartition("/")[2] for d in made} == {"one-1", "one-2"}


def test_what_was_decided_is_not_changed_and_its_undo_takes_the_effect_along(store, topic):
    decide(store, ONE, "accepted")
    said = [q for q in store.quads() if q.graph_name == decisions.GRAPH]
    with pytest.raises(DecisionStands, match="decision:one-1"):
        change(store, removed=said)
    typed = Quad(NamedNode("http://example.org/d"), iri("rdf:type"), TOPIC.decision, NOTES)
    with pytest.raises(DecisionStands):
        change(store, [typed])
    undo(store, SHAPES, 2, "tests")
    assert (statuses(store)[ONE], linked(store)) == ("proposed", set())
    assert not [q for q in store.quads() if q.graph_name == decisions.GRAPH]


def test_an_earlier_decision_is_undone_and_the_later_one_holds(store, topic):
    decide(store, ONE, "accepted")
    decide(store, ONE, "rejected", author="Kim")
    undo(store, SHAPES, 2, "tests")
    assert statuses(store)[ONE] == "rejected"


def test_a_thing_that_is_written_anew_keeps_the_status_that_was_decided(store, topic):
    decide(store, ONE, "accepted")
    mine = [q for q in store.quads() if q.subject == ONE and q.graph_name == LINKS]
    change(store, removed=mine)
    assert ONE not in statuses(store)
    change(
        store,
        [
            Quad(ONE, iri("rdf:type"), TOPIC.thing, LINKS),
            Quad(ONE, STATUS, iri("status:proposed"), LINKS),
        ],
    )
    assert statuses(store)[ONE] == "accepted"
    assert linked(store) == {ONE}


def test_where_nobody_decided_a_status_is_left_for_the_shapes_to_judge(store, topic):
    change(
        store,
        [Quad(TWO, STATUS, iri("status:accepted"), LINKS)],
        [Quad(TWO, STATUS, iri("status:proposed"), LINKS)],
    )
    assert statuses(store)[TWO] == "accepted"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"status": "merged"}, "status is 'merged' and must be one of proposed, accepted"),
        ({"kind": "twins"}, "kind is 'twins'"),
        ({"author": " "}, "needs author"),
        ({"why": ""}, "needs why"),
    ],
)
def test_a_decision_that_lacks_something_is_refused(store, topic, wrong, told):
    with pytest.raises(BadParameter, match=told):
        decide(store, ONE, **{"status": "accepted", **wrong})
    assert store.current == 1


def test_a_decision_that_must_not_be_is_refused_before_anything_is_written(store, topic):
    def prepare(draft):
        raise NotFound("No such story.")

    with pytest.raises(NotFound):
        decide(store, ONE, "accepted", prepare)
    assert store.current == 1
