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
from urllib.parse import urlencode

from flask import Response, g, request
from werkzeug.http import http_date, parse_date

from .. import sparql
from ..errors import BadParameter
from .services import services, version_at

#: Longest address that goes into Content-Location; longer ones stand in a Link header.
_SHORT_ADDRESS = 2048
#: Functions whose value differs from one evaluation to the next.
_CHANGING = {"RAND", "NOW", "UUID", "STRUUID", "BNODE"}


@dataclass(frozen=True)
class Answer:
    """A short answer as it is kept."""

    body: bytes
    content_type: str
    version: int


class Cache:
    """Answers by what was asked of which version; the ones not asked for longest go first.

    Args:
        size: bytes that may be kept; 0 keeps nothing.
    """

    def __init__(self, size: int) -> None:
        self.size, self.used = size, 0
        self.hits = self.misses = 0
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Answer | None:
        """A kept answer."""
        with self._lock:
            answer = self._answers.get(key)
            if answer is None:
                self.misses += 1
                return None
            self.hits += 1
            self._answers.move_to_end(key)
            return answer

    def put(self, key: str, answer: Answer) -> None:
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


def exact(query: sparql.Query) -> bool:
    """Whether a query gives the same answer each time it is asked of the same version."""
    return not any(
        token.kind == "word" and token.text.upper() in _CHANGING
        for token in sparql.tokens(sparql.unescape_codepoints(query.text))
    )


def key_of(*asked: object) -> str:
    """A key for what was asked: version, dataset, query text, parameters, media type."""
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:32]


def resolve(version: int | None) -> int:
    """The version that a request means: the one it names, the one at its time, or the published one.

    Raises:
        BadParameter: Accept-Datetime is not a date of HTTP.
    """
    store = services().store
    if version is not None:
        return version
    wanted = request.headers.get("Accept-Datetime")
    if not wanted:
        return store.current
    moment = parse_date(wanted)
    if moment is None:
        raise BadParameter(
            f"Accept-Datetime is {wanted!r} and must be like 'Sun, 22 Nov 2026 15:20:42 GMT'.",
            parameter="Accept-Datetime",
        )
    return version_at(moment)


def unchanged(key: str) -> Response | None:
    """A 304 without a body, when the client has this answer already."""
    if key and request.if_none_match.contains_weak(key):
        response = Response(status=304)
        response.set_etag(key, weak=True)
        return response
    return None


def cite(response: Response, version: int, again: Mapping[str, str | list[str]], key: str) -> None:
    """Add to an answer what it takes to cite it.

    Args:
        again: the parameters with which the same can be asked, without the version.
        key: of what was asked; empty when the answer would differ the next time.
    """
    g.version = version
    entry = services().store.entry(version)
    base = services().settings.public_url.rstrip("/") or request.url_root.rstrip("/")
    permanent = f"{base}{request.path}?" + urlencode({**again, "version": version}, doseq=True)
    links = [f'<{base}/versions>; rel="timemap"; type="application/link-format"']
    if len(permanent) <= _SHORT_ADDRESS:
        response.headers["Content-Location"] = permanent
        links.append(f'<{permanent}>; rel="permalink"')
    response.headers["Memento-Datetime"] = http_date(entry.time)
    response.headers["Link"] = ", ".join(links)
    response.vary.add("Accept-Datetime")
    if key:
        response.set_etag(key, weak=True)
        named = "version" in request.args
        response.headers["Cache-Control"] = "public, max-age=31536000" if named else "no-cache"
    else:
        response.headers["Cache-Control"] = "no-store"
