"""The small knowledge that most tests of builds, changes and commands use is whole."""

from kg4p1000.cli import checks
from kg4p1000.curation import build
from kg4p1000.kernel.terms import iri
from kg4p1000.overlaps import detection
from kg4p1000.reasoning import validate
from kg4p1000.store import MemoryGraph, Readers


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
    detection.refresh(store, build.load_shapes(toy))
    assert set(store.quads()) == before
    assert sum("/id/overlap/" in q.subject.value for q in before if hasattr(q.subject, "value"))


def test_pyshacl_finds_the_faults_that_we_find(toy, toy_shapes):
    """`make test-all` compares them on every fixture of every constraint."""
    # pySHACL reads each query again for each thing, so these are few; what they lead to is missing.
    files = ("actors", "glossary", "mentions", "relations")
    said = {t for name in files for t in build.parse_file(toy / "data" / f"{name}.ttl")}
    gone = {iri("skos:notation"), iri("k4p:confidence"), iri("rdfs:label")}
    broken = frozenset(t for t in said if t.predicate not in gone)
    ours, theirs = (
        validate(MemoryGraph(broken), toy_shapes, engine).to_dict()
        for engine in ("auto", "pyshacl")
    )
    assert len(ours["findings"]) > 20
    assert ours == theirs
