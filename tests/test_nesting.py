"""How deep JSON is nested is found in one pass, wherever its reading is cut, and texts count for nothing."""

import io
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyoxigraph import RdfFormat

from kg4p1000.kernel.errors import TooDeep
from kg4p1000.store import parsing


def is_too_deep(data: bytes, size: int) -> bool:
    file = parsing.Shallow(io.BytesIO(data), RdfFormat.JSON_LD)
    try:
        while file.read(size):
            pass
    except TooDeep:
        return True
    return False


def deepest(text: str) -> int:
    """The levels of a text, sign by sign."""
    depth = most = 0
    inside = escaped = False
    for sign in text:
        if inside:
            inside = escaped or sign != '"'
            escaped = sign == "\\" and not escaped
        elif sign == '"':
            inside = True
        elif sign in "[{":
            depth += 1
        elif sign in "]}":
            depth = max(0, depth - 1)
        most = max(most, depth)
    return most


@pytest.fixture
def two_levels(monkeypatch):
    monkeypatch.setattr(parsing, "_LEVELS", 2)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text('"\\[]{} a', max_size=30), st.integers(1, 9))
def test_levels_are_counted_alike_wherever_the_reading_is_cut(two_levels, text, size):
    outside = "".join(text.split('"')[::2])
    if "\\" in outside:
        return  # no JSON: an escape stands in texts alone
    assert is_too_deep(text.encode(), size) == (deepest(text) > 2)


def test_a_text_full_of_escaped_signs_is_read_in_one_pass():
    text = b'{"p": "' + b'[{ \\" <<' * 20_000 + b'"}'
    before = time.process_time()
    assert not is_too_deep(text, 8192)
    assert time.process_time() - before < 10  # minutes, where each quote is a new beginning
