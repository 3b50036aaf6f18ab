"""Admission: a fast lane that every query begins in, a slow lane for those that take longer.

A query leaves the fast lane after a second, or sooner when the lane is full, so that a few long ones
never keep the many short ones waiting. Both lanes and the queue before them have a limit; past it a query is refused at once.
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from ..kernel.errors import Busy
from ..kernel.processes import GLANCE


class Occupancy(NamedTuple):
    """How many queries are where."""

    fast: int
    slow: int
    waiting: int


class Lanes:
    """Places for queries.

    Args:
        fast: places in the fast lane.
        slow: places in the slow lane.
        queue: how many may wait for a place in the fast lane.
        patience: seconds after which a query that waits is refused.
    """

    def __init__(self, fast: int, slow: int, queue: int, patience: float) -> None:
        self.fast, self.slow, self.queue, self.patience = fast, slow, queue, patience
        self._in_fast = self._in_slow = self._waiting = 0
        self._change = threading.Condition()

    def enter(self) -> None:
        """Take a place in the fast lane; wait in the queue where there is none.

        Raises:
            Busy: the queue is full, or it took too long.
        """
        until = time.monotonic() + self.patience
        with self._change:
            if self._in_fast >= self.fast and self._waiting >= self.queue:
                raise Busy(
                    f"{self._in_fast + self._in_slow} queries are running and {self._waiting} wait;"
                    " please try again in a few seconds.",
                    retry_after=5,
                )
            self._waiting += 1
            try:
                while self._in_fast >= self.fast:
                    if time.monotonic() > until:
                        raise Busy(
                            f"No place became free within {self.patience:g} s; please try again"
                            " later.",
                            retry_after=10,
                        )
                    self._change.wait(GLANCE)
                self._in_fast += 1
            finally:
                self._waiting -= 1

    @property
    def crowded(self) -> bool:
        """Return whether a place in the fast lane must be waited for."""
        return self._in_fast >= self.fast or self._waiting > 0

    def slow_down(self) -> bool:
        """Move a query to the slow lane; False when that is full, and the query stays where it is."""
        with self._change:
            if self._in_slow >= self.slow:
                return False
            self._in_slow += 1
            self._in_fast -= 1
            self._change.notify()
        return True

    def leave(self, slow: bool = False) -> None:
        """Give back a place."""
        with self._change:
            if slow:
                self._in_slow -= 1
            else:
                self._in_fast -= 1
            self._change.notify()

    @property
    def occupancy(self) -> Occupancy:
        """How many queries run in each lane and wait, now."""
        with self._change:
            return Occupancy(self._in_fast, self._in_slow, self._waiting)
