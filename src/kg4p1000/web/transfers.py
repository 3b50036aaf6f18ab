"""Long answers on their way: so many at once, and no more unread bytes than there may be.

An answer that is sent piece by piece holds a thread until its client has read it, and its result is spooled
meanwhile, so that no reader waits for the line. Past the limits the largest one is let go: its transfer ends broken.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from ..access import counted_as
from ..errors import Busy, SlowReader
from ..store import Result
from .access_log import Record

#: Long answers that may be sent at once.
PLACES = 64
#: Seconds between two looks at what waits to be read.
_TURN = 0.1


class Transfers:
    """The long answers that are being sent.

    Args:
        places: how many there may be at once.
        by_client: bytes of results of one client that may wait to be read.
        in_all: bytes of results of all clients.
    """

    def __init__(self, places: int, by_client: int, in_all: int) -> None:
        self._places, self._by_client, self._in_all = places, by_client, in_all
        self._open: dict[Record, Result | None] = {}
        self._lock = threading.Lock()
        self._watched = False

    def enter(self, record: Record, result: Result | None = None) -> None:
        """Take a place for a request, which may have one already.

        Raises:
            Busy: all places are taken.
        """
        with self._lock:
            if len(self._open) >= self._places and record not in self._open:
                raise Busy(
                    f"{self._places} long answers are being sent; try again in a few seconds, or ask for less.",
                    retry_after=5,
                )
            self._open.setdefault(record, result)
            if result and not self._watched:
                self._watched = True
                threading.Thread(target=self._watch, daemon=True).start()

    def leave(self, record: Record) -> None:
        """Give back the place of a request, if it has one."""
        with self._lock:
            self._open.pop(record, None)

    @property
    def size(self) -> int:
        """Bytes of results that wait to be read, now."""
        with self._lock:
            return sum(map(_held, self._open.values()))

    def _watch(self) -> None:
        while True:
            with self._lock:
                everyone = list(self._open.items())
                if not everyone:
                    self._watched = False
                    return
            clients = {counted_as(record.client) for record, _ in everyone}
            for client in clients:
                mine = [pair for pair in everyone if counted_as(pair[0].client) == client]
                _shrink(mine, self._by_client)
            _shrink(everyone, self._in_all)
            time.sleep(_TURN)


def _held(result: Result | None) -> int:
    return result.held if result else 0


def _shrink(transfers: Iterable[tuple[Record, Result | None]], most: int) -> None:
    """Let go of the largest results until no more than so many bytes wait."""
    by_size = sorted(transfers, key=lambda pair: _held(pair[1]))
    while (waiting := sum(_held(result) for _, result in by_size)) > most:
        record, result = by_size.pop()
        assert result
        record.outcome = SlowReader.slug
        result.stop(
            SlowReader(
                f"{waiting >> 20:,} MB of answers wait to be read, and the limit is {most >> 20:,} MB."
                " Read faster, ask for less at once, or take the download under /dumps/.",
                retry_after=60,
            )
        )
        result.close()
