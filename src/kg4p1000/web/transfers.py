"""What requests share: a record of each, the answers that are kept, and the places of long answers on their way.

An answer that is sent piece by piece holds a thread until its client has read it, and its result is spooled
meanwhile, so that no reader waits for the line. Past the limits the largest one is let go: its transfer ends broken.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from ..curation.access import counted_as
from ..kernel.errors import Busy, SlowReader
from ..store import Result

Headers = list[tuple[str, str]]
#: Long answers that may be sent at once.
PLACES = 64
#: Seconds between two looks at what waits to be read.
_TURN = 0.1


@dataclass(slots=True, eq=False)
class Record:
    """What is noted of a request.

    Attributes:
        id: stands in the header X-Request-Id, in problem documents and in the log.
        client: the address of the client, behind the proxies that we trust.
        endpoint: the name of the route.
        version: the version of the graph that is shown; 0 for none.
        asked: names the question, so that lines of the log about the same can be found; or empty.
        outcome: ``ok``, or the slug of a problem; ``client-gone`` when the client left before the end.
        counted: whether the request has a place in the limits of its client.
        repeatable: whether the same request gets the same answer, which may be kept.
        broken: whether the transfer was cut after bytes had gone out.
    """

    client: str
    method: str
    path: str
    id: str
    began: float
    first: float = 0
    endpoint: str = "none"
    asked: str = ""
    outcome: str = "ok"
    version: int = 0
    status: int = 0
    size: int = 0
    counted: bool = False
    repeatable: bool = False
    broken: bool = False


@dataclass(frozen=True)
class Answer:
    """A short answer as it is kept: what is sent, the version that it is of, and the name of the question."""

    body: bytes
    status: str
    headers: Headers
    version: int
    asked: str


class Cache:
    """Answers by what was asked of which version; the ones not asked for longest go first.

    Args:
        size: bytes that may be kept; 0 keeps nothing.
    """

    def __init__(self, size: int) -> None:
        self.size, self.used = size, 0
        self.hits = self.misses = 0
        self._answers: OrderedDict[tuple[str, ...], Answer] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[str, ...]) -> Answer | None:
        """Return a kept answer."""
        with self._lock:
            answer = self._answers.get(key)
            if answer is None:
                self.misses += 1
                return None
            self.hits += 1
            self._answers.move_to_end(key)
            return answer

    def put(self, key: tuple[str, ...], answer: Answer) -> None:
        """Keep an answer, if there is room for it at all."""
        if len(answer.body) > self.size // 8:
            return
        with self._lock:
            if key in self._answers:
                return
            self._answers[key] = answer
            self.used += len(answer.body)
            while self.used > self.size:
                _, oldest = self._answers.popitem(last=False)
                self.used -= len(oldest.body)


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
