"""Blank nodes and literals of every kind through log, undo, rebuild and check."""

import shutil

import pyoxigraph as ox
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyoxigraph import BlankNode, Literal, NamedNode, Quad, Triple

from kg4p1000.curation import commits
from kg4p1000.kernel.terms import PREFIXES, iri
from kg4p1000.reasoning import Shapes
from kg4p1000.store import Delta, Store, check
from kg4p1000.store.changes import parts, read_delta

XSD = PREFIXES["xsd"]
A, B, REGISTER = iri("graph:a"), iri("graph:b"), iri("graph:graphs")
NO_SHAPES = Shapes.from_files([])
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.text("\x00\x01\x08\t\n\x0b\x0c\r\x1f\x7f\x85\u2028\ufeff\ufffe\"\\'", max_size=8),
    st.text("\U00010348\U0001f600\U0010ffff\u0301\u200f", max_size=8),
    st.sampled_from(["_:b1", " .", "TC .", "A <x:s> <x:p> <x:o> .\nTC .\n", "\\u0041"]),
    st.just(100_000).map(lambda n: "x" * n),  # what says a strategy in an error stays short
)
numbers = st.one_of(
    st.tuples(
        st.sampled_from(["007", "+1", "-0", "1.50", "1e3", "INF", "NaN", "-0.0", "9" * 40, " 1 ", "x"]),
        st.sampled_from(["integer", "decimal", "double", "float", "byte", "unsignedInt", "boolean"]),
    ),
    st.tuples(
        st.sampled_from(["2020-01-01", "2020-01-01Z", "2020-02-30", "24:00:00", "P1Y", "P0D", "true", "1"]),
        st.sampled_from(["date", "dateTime", "time", "duration", "boolean", "gYear", "hexBinary"]),
    ),
).map(lambda t: Literal(t[0], datatype=NamedNode(XSD + t[1])))  # fmt: skip
literals = st.one_of(
    texts.map(Literal),
    numbers,
    st.builds(
        lambda text, tag: Literal(text, language=tag),
        texts, st.sampled_from(["en", "EN", "fr-CA", "zh-Hant-TW", "x-own", "de-1996"]),
    ),
    st.builds(
        lambda text, way: Literal(text, language="ar", direction=way),
        texts, st.sampled_from([ox.BaseDirection.LTR, ox.BaseDirection.RTL]),
    ),
    texts.map(lambda text: Literal(text, datatype=NamedNode("http://example.org/type#é"))),
)  # fmt: skip
blanks = st.sampled_from(["b1", "B.1", "file-c14n0", "0", "é_-", "a" * 32]).map(BlankNode)
iris = st.sampled_from(
    ["http://example.org/s", "urn:x:é", "http://example.org/%20?q=_:b#x", "http://例え.jp/"]
).map(NamedNode)
subjects = st.one_of(blanks, iris)
quoted = st.builds(Triple, subjects, iris, st.one_of(literals, blanks))
quads = st.builds(
    Quad, subjects, iris, st.one_of(literals, blanks, iris, quoted), st.sampled_from([A, B])
)
ODD = Quad(
    BlankNode("b1"), NamedNode("http://example.org/s"), Literal("A\nTC .\n\x00\U0010ffff"), A
)


@given(st.sets(quads, max_size=12), st.sets(quads, max_size=12))
@example({ODD}, set())
@settings(max_examples=settings().max_examples // 10)
def test_terms_of_every_kind_survive_log_undo_rebuild_and_check(tmp_path_factory, first, second):
    path = tmp_path_factory.mktemp("odd") / "store"
    store = Store(path)
    register = Quad(A, iri("k4p:inDefaultGraph"), Literal(True), REGISTER)

    def commit(added, removed=()):
        change = Delta.of([*added, register], removed)
        return commits.commit(store, NO_SHAPES, change, author="t", message="").entry

    commit(first)
    told = {1: set(store.quads())}
    commit(second, first)
    told[store.current] = set(store.quads())
    assert told[1] == set(Delta.of(first).added) | {register}
    assert told[store.current] == set(Delta.of(second).added) | {register}
    latest = store.current
    if latest > 1:
        log = store.log_path(latest)
        delta = read_delta(log)
        assert (delta.added, delta.removed) == (told[2] - told[1], told[1] - told[2])
        (part,) = parts(log)
        assert part == delta
        commits.undo(store, NO_SHAPES, latest, "t")
        assert set(store.quads()) == told[1]
        told[store.current] = told[1]
    assert check(store) == []
    store.prune(1)
    assert {version: set(store.quads(version)) for version in told} == told  # backwards
    for folder in (path / "versions").iterdir():
        shutil.rmtree(folder)
    again = Store(path)
    assert {
        version: set(again.quads(version)) for version in told
    } == told  # from the first entry on
    assert check(again) == []
