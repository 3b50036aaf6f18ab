"""The short way: queries by GET that are small and usual, answered without a thread and without Flask.

It decides nothing by itself: parameters, plan and headers come from where the routes have them, and whatever is not
usual (an error, a page, a limit, a result that is long or takes long) goes the long way, with all that was begun. A
test compares what both ways send, byte by byte.
"""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from contextlib import suppress
from functools import lru_cache
from http import HTTPStatus
from typing import Any

from waitress.parser import HTTPRequestParser
from werkzeug.http import http_date, parse_etags

from .. import sparql
from ..errors import ClientGone, KgError
from ..store import Result
from .answers import Plan, plan, read
from .citation import Answer
from .datasets import naming
from .encoding import LEAST, compressed, takes_gzip
from .hints import told_nothing
from .requests import LONGEST_HEADER, decoded
from .services import BEGUN, Services
from .streaming import SHORT
from .visits import VISIT, Headers, Visit, Visits

_log = logging.getLogger(__name__)

#: Longest query string in characters; reading a longer one would keep the others waiting.
_LONGEST = 4096
_PLANS = 1024
#: A longer result has a row.
_BARE = 4096
_HOST = re.compile(r"[a-z0-9._-]+(?::(?!80$|443$)[0-9]+)?")


class Passage:
    """A request on the short way.

    Attributes:
        reply: what is sent; None while the query runs, and when a thread has to answer.
        result: the query while it runs.
        fd: the pipe of its reader.
        waits: whether it has no reader yet and is to be started again in a moment.
    """

    __slots__ = ("encodings", "etags", "fd", "plan", "reply", "result", "visit", "waits")

    def __init__(self, visit: Visit, decided: Plan, headers: dict[str, str]) -> None:
        self.visit, self.plan = visit, decided
        self.etags = headers.get("IF_NONE_MATCH", "")
        self.encodings = headers.get("ACCEPT_ENCODING", "")
        self.reply: bytes | None = None
        self.result: Result | None = None
        self.fd = -1
        self.waits = False

    def carried(self) -> dict[str, Any]:
        """What the long way takes over, for the environment of the request."""
        return {VISIT: self.visit, BEGUN: self.take}

    @property
    def long(self) -> bool:
        """Whether the result is longer than what is answered on the short way."""
        return self.result is not None and self.result.size > SHORT

    def take(self) -> Result | None:
        """The query, if it was begun and nobody has taken it yet."""
        result, self.result = self.result, None
        return result


class Short:
    """Answers requests of the endpoint.

    Args:
        of: what the routes work with, too.
        ident: how the server names itself.
    """

    def __init__(self, of: Services, ident: str) -> None:
        self._of, self._ident = of, ident
        self._visits: Visits = of.visits
        self._base = of.settings.public_url.rstrip("/")
        self._plans: OrderedDict[tuple[str, ...], Plan] = OrderedDict()

    def begin(self, request: HTTPRequestParser, channel: Any) -> Passage | None:
        """Answer a request, or begin to; None when it is not of the kind that goes this way.

        Args:
            channel: the connection; has the address of the client, and is a `Line`.
        """
        if not _usual(request):
            return None
        headers, remote = request.headers, channel.addr[0]
        try:
            decided = self._plan(request.query, headers, remote)
        except KgError:
            return None  # the long way says what is wrong
        if decided is None or decided.choice.key == "html" or self._advised(decided):
            return None
        forwarded = headers.get("X_FORWARDED_FOR", "")
        visit = self._visits.begin("GET", "/sparql", remote, forwarded, channel)
        visit.endpoint = "sparql.endpoint"
        passage = Passage(visit, decided, headers)
        with suppress(KgError):
            self._of.clients.enter(visit.client)
            visit.counted = True
            self._answer(passage)
        return passage

    def start(self, passage: Passage) -> None:
        """Begin the query of a request, if a reader is free; else the request waits if that helps."""
        passage.waits = False

    def drop(self, passage: Passage) -> None:
        """Stop the query of a request if nobody has taken it, and wait for its end."""
        if result := passage.take():
            result.stop(ClientGone())
            while not self._of.readers.step(result, wait=1):
                pass

    def ended(self, passage: Passage) -> bool:
        """Bring on the query of a request, and tell whether it has ended; then there may be a reply."""
        result, readers = passage.result, self._of.readers
        assert result
        try:
            if not readers.step(result):
                return False
            if result.whole and result.size <= SHORT:
                body = result.read()
                passage.result = None
                if _hinted(passage, body):
                    return True  # the long way says what may have been meant
                if passage.plan.key:
                    self._of.cache.put(passage.plan.key, Answer(body, passage.plan.version))
                self._reply(passage, HTTPStatus.OK, body)
        except Exception:
            _log.exception("a query could not be followed on the short way")
        return True

    def _plan(self, query: str, headers: dict[str, str], remote: str) -> Plan | None:
        scheme, host = self._visits.outside(
            remote, headers.get("X_FORWARDED_PROTO", ""), headers.get("X_FORWARDED_HOST", "")
        )
        host = host or headers.get("HOST", "")
        if not _HOST.fullmatch(host):
            return None
        base = self._base or f"{scheme or 'http'}://{host}"
        store = self._of.store
        accept, moment = headers.get("ACCEPT", ""), headers.get("ACCEPT_DATETIME", "")
        key = (query, accept, moment, base, str(store.current))
        if known := self._plans.get(key):
            self._plans.move_to_end(key)
            return known
        asked = read(decoded(query.encode("latin-1")), self._of.settings.query_size)
        longer = (asked.timeout or 0) > self._of.settings.query_timeout
        if longer or asked.slips or not asked.query or not asked.query.strip():
            return None
        decided = plan(
            asked, sparql.guard(asked.query), store, base=base, accept=accept, moment=moment
        )
        unknown = self._of.known_graphs.unknown(decided.query, decided.version)
        if unknown is None:
            return None  # the long way looks it up
        decided.headers.extend(naming(unknown))
        self._plans[key] = decided
        if len(self._plans) > _PLANS:
            self._plans.popitem(last=False)
        return decided

    def _advised(self, decided: Plan) -> bool:
        """Whether the answer has to say that a term is deprecated, as far as that is known."""
        deprecated = self._of.deprecated.get(decided.version)
        if not deprecated:
            return deprecated is None  # nobody has looked yet; the long way does
        return not deprecated.keys().isdisjoint(decided.query.terms)

    def _answer(self, passage: Passage) -> None:
        decided = passage.plan
        key = decided.key
        if key and passage.etags and parse_etags(passage.etags).contains_weak(key):
            self._reply(passage, HTTPStatus.NOT_MODIFIED, b"")
        elif key and (kept := self._of.cache.get(key)):
            if not _hinted(passage, kept.body):
                self._reply(passage, HTTPStatus.OK, kept.body)
        else:
            self.start(passage)

    def _reply(self, passage: Passage, status: HTTPStatus, body: bytes) -> None:
        visit, decided = passage.visit, passage.plan
        visit.version, visit.asked, visit.size = decided.version, decided.key[:12], len(body)
        self._visits.answered(visit, int(status))
        headers: Headers = [
            *decided.headers,
            ("Vary", "Accept, Accept-Datetime, Accept-Encoding"),
            *self._visits.head(visit),
            ("Server", self._ident),
            ("Date", _date(int(time.time()))),
        ]
        if status != HTTPStatus.NOT_MODIFIED:
            if len(body) >= LEAST and takes_gzip(passage.encodings):
                body = compressed(body)
                headers.append(("Content-Encoding", "gzip"))
            headers.append(("Content-Type", decided.content_type))
            headers.append(("Content-Length", str(len(body))))
        lines = sorted(f"{_written(name)}: {value}\r\n" for name, value in headers)
        head = f"HTTP/1.1 {status.value} {status.phrase.upper() if status != 200 else 'OK'}\r\n"
        passage.reply = f"{head}{''.join(lines)}\r\n".encode("latin-1") + body


def _hinted(passage: Passage, body: bytes) -> bool:
    """Whether the answer may have to say what was meant, for it has no row."""
    decided = passage.plan
    return len(body) <= _BARE and told_nothing(body, decided.query.form, decided.form)


def _usual(request: HTTPRequestParser) -> bool:
    if request.error or request.command != "GET" or request.path != "/sparql":
        return False
    headers = request.headers
    return (
        request.version == "1.1"
        and not request.connection_close
        and not request.proxy_netloc
        and len(request.query) <= _LONGEST
        and all(len(value) <= LONGEST_HEADER for value in headers.values())
        and "CONTENT_LENGTH" not in headers
        and not request.chunked
        and "AUTHORIZATION" not in headers
    )


@lru_cache(maxsize=2)
def _date(now: int) -> str:
    return http_date(now)


@lru_cache(maxsize=256)
def _written(name: str) -> str:
    """The name of a header as waitress writes it."""
    return "-".join(word.capitalize() for word in name.split("-"))
