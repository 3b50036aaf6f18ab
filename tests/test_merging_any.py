"""Any changes of files and stewards, in any order: nothing lost, nothing back, no conflict forgotten."""

from hypothesis import given, settings
from hypothesis import strategies as st
from pyoxigraph import Quad

from kg4p1000.curation.merging import merge
from kg4p1000.kernel.terms import iri

GRAPHS = [iri("graph:actors"), iri("graph:notes"), iri("graph:decisions")]
THINGS = [iri(f"organisation:{name}") for name in "ab"]
WORDS = [iri("rdf:type"), iri("skos:prefLabel"), iri("skos:note")]
VALUES = [iri(f"k4p:{name}") for name in "XY"]

quads = st.builds(
    Quad,
    st.sampled_from(THINGS),
    st.sampled_from(WORDS),
    st.sampled_from(VALUES),
    st.sampled_from(GRAPHS),
)
states = st.frozensets(quads, max_size=12)


def key(quad):
    return quad.graph_name, quad.subject, quad.predicate


def after(held, merge):
    return (held - merge.delta.removed) | merge.delta.added


@settings(max_examples=settings().max_examples * 5 // 2)
@given(base=states.filter(bool), held=states, said=states)
def test_what_one_side_changed_is_done_and_what_the_other_did_stays(base, held, said):
    merged = merge(held, base, said)
    result = after(held, merged)
    torn = {(c.graph, c.subject, c.predicate) for c in merged.conflicts}
    told = {key(q) for q in said ^ base} & torn
    for quad in base | held | said:
        files, steward = (quad in said) != (quad in base), (quad in held) != (quad in base)
        if steward and (quad in result) != (quad in held):
            raise AssertionError(f"a steward's change of {quad} is undone")
        if files and not steward and (quad in result) != (quad in said):
            assert key(quad) in told, f"{quad} of the files is neither done nor told"
        if not files and not steward:
            assert (quad in result) == (quad in base)
    assert torn <= {key(q) for q in said ^ base}


@settings(max_examples=settings().max_examples * 5 // 2)
@given(base=states.filter(bool), held=states, said=states)
def test_a_build_after_a_build_does_nothing_and_tells_the_same(base, held, said):
    first = merge(held, base, said)
    result = after(held, first)
    if not first.base:
        return
    second = merge(result, first.base, said)
    assert after(result, second) == result
    assert second.base == first.base
    assert [(c.graph, c.subject, c.predicate) for c in second.conflicts] == [
        (c.graph, c.subject, c.predicate) for c in first.conflicts
    ]


@settings(max_examples=settings().max_examples * 3 // 2)
@given(base=states.filter(bool), held=states, said=states)
def test_a_conflict_is_settled_by_either_side(base, held, said):
    first = merge(held, base, said)
    result = after(held, first)
    if not first.base:
        return
    settled = merge(result, first.base, result)
    assert not settled.conflicts and settled.base == result
    assert after(result, settled) == result
