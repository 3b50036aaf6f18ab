"""Krippendorff's alpha, by which the agreement of readings is told."""

import pytest
from bench.agreement import alpha, jaccard
from hypothesis import given
from hypothesis import strategies as st

NOMINAL = lambda a, b: float(a != b)  # noqa: E731


def test_alpha_of_the_published_example():
    """Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011: two observers, ten units, binary: 0.095."""
    meg = [0, 1, 0, 0, 0, 0, 0, 0, 1, 0]
    owen = [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]
    assert alpha(map(list, zip(meg, owen, strict=True)), NOMINAL) == pytest.approx(0.095, abs=5e-4)


@given(st.lists(st.integers(0, 3), min_size=2))
def test_readers_who_say_the_same_agree_fully(values):
    assert alpha([[value, value] for value in values], NOMINAL) == 1


def test_sets_are_as_far_apart_as_what_they_do_not_share():
    assert jaccard(frozenset("ab"), frozenset("bc")) == pytest.approx(2 / 3)
    assert jaccard(frozenset(), frozenset()) == 0
