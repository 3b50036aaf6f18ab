"""Answers that can be cited: each names its version, when that was published, and its own lasting address.

An answer is exact for a version, so a client that has it need not be sent it again. Sources: RFC 7089
(Memento), RFC 9110 (ETag, If-None-Match, Content-Location).
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import urlencode

from werkzeug.http import http_date, parse_date

from ..errors import BadParameter
from ..store import Store

Headers = list[tuple[str, str]]
#: Longest address that names an answer; proxies refuse long headers.
_SHORT_ADDRESS = 2048
_YEAR = "public, max-age=31536000"


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


def key_of(version: int, *asked: object) -> str:
    """Return a key for what was asked: dataset, query text, parameters, media type.

    It begins with the version, so that the writer can tell of which state an ETag is.
    """
    return f"{version}-{hashlib.sha256(repr(asked).encode()).hexdigest()[:32]}"


def citation(
    address: str,
    again: Mapping[str, str | list[str]],
    version: int,
    store: Store,
    key: str,
    *,
    lasting: bool,
    base: str,
) -> Headers:
    """Return the headers that it takes to cite an answer.

    Args:
        again: the parameters with which the same can be asked, without the version.
        key: of what was asked; empty when the answer would differ the next time.
        lasting: whether the request named the version by its number, so that the answer never changes.
    """
    permanent = f"{address}?{urlencode({**again, 'version': version}, doseq=True)}"
    links = f'<{base}/versions>; rel="timemap"; type="application/link-format"'
    moment = _date(store.entry(version).time)
    headers: Headers = [("Memento-Datetime", moment)]
    if len(permanent) <= _SHORT_ADDRESS:
        headers.append(("Content-Location", permanent))
        links += f', <{permanent}>; rel="permalink"'
    else:  # what is asked has to be sent there again
        links += f', <{address}?version={version}>; rel="memento"; datetime="{moment}"'
    headers.append(("Link", links))
    if key:
        headers.append(("ETag", f'W/"{key}"'))
    headers.append(("Cache-Control", (_YEAR if lasting else "no-cache") if key else "no-store"))
    return headers


@lru_cache(maxsize=64)
def _date(moment: datetime) -> str:
    return http_date(moment)


def named_version(text: str, moment: str, store: Store) -> int | None:
    """Return the version of the graph that a request names; None when it names none.

    Args:
        text: the parameter ``version``: a number, or a date, which means the version that was
            published at the end of that day, or with a time the one at that time.
        moment: the header Accept-Datetime, which counts where there is no parameter.

    Raises:
        BadParameter: it is neither a whole number above zero nor a date.
    """
    if not text and moment:
        wanted = parse_date(moment)
        if wanted is None:
            raise BadParameter(
                f"Accept-Datetime is {moment!r} and must be like 'Sun, 22 Nov 2026 15:20:42 GMT'.",
                parameter="Accept-Datetime",
            )
        return _version_at(wanted, store)
    if not text:
        return None
    if text.isascii() and text.isdecimal() and int(text[:18]):
        return int(text[:18])
    try:
        wanted = datetime.fromisoformat(text)
        if len(text) == len("2026-11-22"):
            wanted += timedelta(days=1, seconds=-1)
    except (ValueError, OverflowError):
        raise BadParameter(
            f"version is {text!r} and must be the number of a version, such as 1, or a date, such as"
            " 2026-11-22.",
            parameter="version",
        ) from None
    return _version_at(wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC), store)


def _version_at(moment: datetime, store: Store) -> int:
    """Return the version that was published at a time; the first one for times before it."""
    for entry in store.entries():
        if entry.time <= moment:
            return entry.version
    return min(1, store.current)
