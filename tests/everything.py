"""Tests of each of many things: as one test, which costs less than one a thing, or some of them."""

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

import pytest


def some(things: Iterable[Any], every: int) -> list[Any]:
    """Return parameters of which one in so many is tried by `make test`, and all by `make test-all`."""
    return [
        pytest.param(thing, marks=pytest.mark.slow if i % every else [])
        for i, thing in enumerate(things)
    ]


def for_each(
    name: str, things: Iterable[Any] | Callable[[], Iterable[Any]], ids: Callable[[Any], str] = str
):
    """Give a test each of some things as an argument, and tell all for which it fails.

    Args:
        things: or what gives them, which is asked when the test runs and not when it is found.
        ids: what a thing is called.
    """

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @wraps(test)
        def run(**fixtures: Any) -> None:
            failed = []
            for thing in things() if callable(things) else things:
                try:
                    test(**{name: thing}, **fixtures)
                except (AssertionError, pytest.fail.Exception) as e:
                    failed.append(f"{ids(thing)}: {e}")
            assert not failed, "\n" + "\n".join(failed)

        signature = inspect.signature(test)
        rest = [p for key, p in signature.parameters.items() if key != name]
        del run.__wrapped__
        run.__signature__ = signature.replace(parameters=rest)
        return run

    return decorate
