"""The small knowledge that most tests of builds, changes and commands use is whole."""

from kg4p1000 import build, checks, proposals
from kg4p1000.store import Readers


def test_the_small_knowledge_passes_every_check(toy, toy_store):
    store = toy_store()
    readers = Readers(store, 1, timeout=600)
    found = {
        what: verify(lambda *_: None) for what, verify in checks.all_checks(store, toy, readers)
    }
    readers.close()
    assert {what: findings for what, (findings, _) in found.items()} == {what: [] for what in found}


def test_its_overlaps_are_those_that_the_detection_finds(toy, toy_store):
    store = toy_store()
    before = set(store.quads())
    proposals.refresh(store, build.load_shapes(toy))
    assert set(store.quads()) == before
    assert sum("/id/overlap/" in q.subject.value for q in before if hasattr(q.subject, "value"))
