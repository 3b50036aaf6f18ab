"""What requests share: a record of each, limits of its client, answers that are kept, and the places of long ones.

An answer that is sent piece by piece holds a thread until its client has read it, and its result is spooled
meanwhile, so that no reader waits for the line. Past the limits the largest one is let go: its transfer ends broken.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from ..kernel.errors import BadSettings, Busy, SlowReader, TooManyRequests
from ..kernel.settings import Settings
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


# clients: who one is behind proxies, and how often it may ask


Network = IPv4Network | IPv6Network
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1"))
#: So many clients are remembered by their address; the longest silent are forgotten first.
_CLIENTS = 10_000
#: A host with or without a port, as RFC 9110 has it in the header Host.
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
#: Addresses that stand for all of a machine.
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened at


def networks(text: str) -> tuple[Network, ...]:
    """Read the setting ``trusted_proxies``: addresses and networks, separated by commas."""
    found = []
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            found.append(ip_network(part))
        except ValueError as e:
            raise BadSettings(
                f"trusted_proxies has {part!r}, which is neither an address nor a network: {e}."
            ) from e
    return tuple(found)


def trusted(address: str, proxies: tuple[Network, ...]) -> bool:
    """Return whether what an address says of others counts: a proxy that we trust, or a process of this machine."""
    found = _parsed(address)
    return found is not None and any(found in network for network in (*_LOOPBACK, *proxies))


def client_address(remote: str, forwarded: str, proxies: tuple[Network, ...]) -> str:
    """Return the address of the client behind the proxies that we trust.

    Werkzeug's ProxyFix does not fit: it trusts a number of proxies, whoever connects, and not addresses. The header
    X-Forwarded-For counts from its end, as far as it is `trusted` and well-formed.
    """
    client = remote
    for part in reversed([part for part in forwarded.split(",") if part.strip()]):
        found = _parsed(part.strip())
        if found is None or not trusted(client, proxies):
            break
        client = str(found)
    return client


def address_outside(
    remote: str, scheme: str, host: str, proxies: tuple[Network, ...]
) -> tuple[str, str]:
    """Return the scheme and host that a trusted proxy says in X-Forwarded-Proto and -Host; empty where it says none.

    Of several values the last counts, which the nearest proxy wrote.
    """
    if not trusted(remote, proxies):
        return "", ""
    scheme, host = (value.rpartition(",")[2].strip() for value in (scheme.lower(), host))
    return (scheme if scheme in ("http", "https") else ""), (host if _HOST.fullmatch(host) else "")


def doubts(settings: Settings) -> list[str]:
    """Say what cannot be right in the settings for a service behind a proxy, or open to others."""
    proxies = networks(settings.trusted_proxies)
    host, public = settings.host, settings.public_url
    if host == "localhost" or trusted(host, ()):
        return []
    found = []
    if not public:
        found.append(
            f"The service listens at {host}, where others reach it, and public_url is not set: links follow what"
            " each request says of the host. Set public_url to the address by which people know the service."
        )
    elif public.startswith("https:") and not proxies and host not in _EVERYWHERE:
        found.append(
            f"public_url is {public}, but the service listens at {host} without TLS, and no proxy there is trusted:"
            " all clients would count as one. Set trusted_proxies to the proxy's address, or host to 127.0.0.1."
        )
    return found


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    # Where IPv4 is served by a socket of IPv6, addresses look so.
    return getattr(address, "ipv4_mapped", None) or address


class Clients:
    """How often each client may ask, and how much at once.

    A token bucket for each address: it holds `burst` requests and fills by `rate` a second; `concurrent` requests may
    be under way. Of IPv6, where a client has a whole /64 to choose from, the /64 counts. Requests from this machine
    itself are not counted, unless a proxy forwards them.
    """

    def __init__(
        self,
        rate: float,
        burst: float,
        concurrent: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rate, self.burst, self.concurrent = rate, burst, concurrent
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._under_way: dict[str, int] = {}
        self._lock = threading.Lock()

    def enter(self, client: str) -> None:
        """Count a request that begins, or raise TooManyRequests."""
        client = counted_as(client)
        if not client:
            return
        now = self._clock()
        with self._lock:
            level, since = self._buckets.pop(client, (self.burst, now))
            level = min(self.burst, level + (now - since) * self.rate)
            allowed = level >= 1
            self._buckets[client] = (level - 1 if allowed else level, now)
            if len(self._buckets) > _CLIENTS:
                self._buckets.popitem(last=False)
            if not allowed:
                raise TooManyRequests(
                    f"A client may ask {self.rate:g} times a second, {self.burst:g} times at once."
                    " Ask more slowly, or take the download under /dumps/.",
                    retry_after=max(1, round((1 - level) / self.rate)),
                )
            if self._under_way.get(client, 0) >= self.concurrent:
                raise TooManyRequests(
                    f"A client may have {self.concurrent} requests under way; wait for their answers.",
                    retry_after=1,
                )
            self._under_way[client] = self._under_way.get(client, 0) + 1

    def leave(self, client: str) -> None:
        """Count a request that has ended."""
        client = counted_as(client)
        with self._lock:
            left = self._under_way.pop(client, 0) - 1
            if left > 0:
                self._under_way[client] = left


@lru_cache(maxsize=1024)
def counted_as(client: str) -> str:
    """Return the name under which a client is counted; empty for this machine."""
    address = _parsed(client)
    if address is None:
        return client
    if trusted(client, ()):
        return ""
    return str(ip_network((address, 64), strict=False) if address.version == 6 else address)
