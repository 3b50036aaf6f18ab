"""Answers that their clients have not read yet: they count as under way, and hold no more than they may.

A result is spooled so that a slow line holds no reader. What is not read then fills the disk; so each client, and
all together, may have so much of it, and past that the largest is let go: its transfer ends broken.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ..access import counted_as
from ..errors import SlowReader

if TYPE_CHECKING:
    from .visits import Visit


class Line(Protocol):
    """The connection of a client, as far as answers are concerned."""

    def unsent(self) -> int | None:
        """Bytes that the client has not taken yet; None when the connection was lost."""

    def drop(self) -> None:
        """Close the connection, whatever the client has not taken yet."""


class Unread:
    """Keeps the answers that are on their way within limits.

    Args:
        by_client: bytes of one client.
        in_all: bytes of all clients together.
        end: is given a visit when its answer has been read, or was given up.
    """

    def __init__(self, by_client: int, in_all: int, end: Callable[[Visit], None]) -> None:
        self._by_client, self._in_all, self._end = by_client, in_all, end
        self._open: set[Visit] = set()
        self._sent: set[Visit] = set()
        self._lock = threading.Lock()

    def grow(self, visit: Visit) -> None:
        """See, before more of an answer is kept, that there is room for it.

        Raises:
            SlowReader: there is none, and no other answer holds more.
        """
        with self._lock:
            self._open.add(visit)
            everyone = list(self._open | self._sent)
        client = counted_as(visit.client)
        mine = [other for other in everyone if counted_as(other.client) == client]
        for group, most in ((mine, self._by_client), (everyone, self._in_all)):
            held = {other: other.held for other in group}
            if sum(held.values()) <= most:
                continue
            largest = max(held, key=lambda other: held[other])
            largest.outcome = SlowReader.slug
            if largest.line.unsent():  # it will not be taken
                largest.line.drop()
            if largest is visit:
                raise SlowReader(
                    f"{sum(held.values()) >> 20:,} MB of answers wait to be read, and the limit is {most >> 20:,} MB."
                    " Read faster, ask for less at once, or take the download under /dumps/.",
                    retry_after=60,
                )

    def sent(self, visit: Visit) -> None:
        """Take an answer that was made to its end; the visit ends when the client has it."""
        with self._lock:
            self._open.discard(visit)
            waits = bool(visit.line.unsent())
            if waits:
                self._sent.add(visit)
        if not waits:
            self._end(visit)

    def tick(self) -> None:
        """End the visits whose answers have been read, or whose clients have gone."""
        with self._lock:
            done = [visit for visit in self._sent if not visit.line.unsent()]
            self._sent.difference_update(done)
        for visit in done:
            if visit.line.unsent() is None:
                visit.broken = True
                visit.outcome = "client-gone" if visit.outcome == "ok" else visit.outcome
            self._end(visit)

    @property
    def size(self) -> int:
        """Bytes that wait to be read, now."""
        with self._lock:
            return sum(visit.held for visit in self._open | self._sent)
