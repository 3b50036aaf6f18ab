"""Who may do what: roles, tokens, who a client is behind proxies, and how often it may ask.

Tokens stand in a file beside the store, as hashes, readable by its owner only. The file is read
again when it has changed, so that a token works, or stops working, while the service runs.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from pathlib import Path

from ..kernel.errors import (
    BadParameter,
    BadSettings,
    NotFound,
    StoreUnusable,
    TooManyRequests,
)
from ..kernel.settings import Settings

_BYTES = 32
#: So many clients are remembered by their address; the longest silent are forgotten first.
_CLIENTS = 10_000


class Role(IntEnum):
    """Roles in order: each may do what the ones before it may."""

    READER = 0
    CONTRIBUTOR = 1
    STEWARD = 2
    ADMIN = 3


@dataclass(frozen=True)
class Account:
    """Whom a token stands for."""

    name: str
    role: Role


#: Whoever shows no token.
ANYONE = Account("anyone", Role.READER)


@dataclass(frozen=True)
class Token:
    """A token as it is kept: everything but the token itself.

    Attributes:
        digest: SHA-256 of the token, which is random enough to need no salt.
        expires: ISO 8601, or empty for never.
    """

    id: str
    name: str
    role: str
    created: str
    expires: str
    digest: str

    @property
    def expired(self) -> bool:
        """Return whether the token's time is over."""
        return bool(self.expires) and datetime.fromisoformat(self.expires) <= datetime.now(UTC)


class Tokens:
    """The tokens of a store.

    Args:
        path: the file; made when the first token is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: tuple[int, int] = (0, 0)
        self._tokens: tuple[Token, ...] = ()
        self._lock = threading.Lock()

    def create(self, name: str, role: str, days: float | None = None) -> str:
        """Make a token that holds for some days or for ever, and return it; it is kept nowhere else.

        Raises:
            BadParameter: the role is unknown, the name empty, or the time not ahead.
        """
        if role.upper() not in Role.__members__ or role.upper() == "READER":
            raise BadParameter(
                f"The role is {role!r} and must be contributor, steward or admin; reading needs no"
                " token.",
                parameter="role",
            )
        if not re.fullmatch(r"[^\x00-\x1f\x7f]{1,200}", name.strip()):
            raise BadParameter("The name must be 1 to 200 characters.", parameter="name")
        if days is not None and not 0 < days < 36_500:
            raise BadParameter("The days must be above 0.", parameter="days")
        token = secrets.token_urlsafe(_BYTES)
        now = datetime.now(UTC).replace(microsecond=0)
        kept = Token(
            id=secrets.token_hex(4),
            name=name.strip(),
            role=role.lower(),
            created=now.isoformat(),
            expires=(now + timedelta(days=days)).isoformat() if days else "",
            digest=_digest(token),
        )
        with self._lock:
            self._write((*self._load(), kept))
        return token

    def all(self) -> tuple[Token, ...]:
        """Return the tokens that were made and not revoked, the oldest first."""
        with self._lock:
            return self._load()

    def revoke(self, identifier: str) -> None:
        """Revoke the token with this id."""
        with self._lock:
            tokens = self._load()
            left = tuple(token for token in tokens if token.id != identifier)
            if left == tokens:
                raise NotFound(f"There is no token with the id {identifier!r}.")
            self._write(left)

    def account(self, token: str) -> Account | None:
        """Return whom a token stands for, or None; takes as long for a wrong token as for a right one."""
        with self._lock:
            tokens = self._load()
        digest = _digest(token)
        found = None
        for kept in tokens:
            if hmac.compare_digest(kept.digest, digest) and not kept.expired:
                found = Account(kept.name, Role[kept.role.upper()])
        return found

    def _load(self) -> tuple[Token, ...]:
        try:
            stat = self._path.stat()
            state = (stat.st_mtime_ns, stat.st_ino)
            if state != self._read:
                rows = json.loads(self._path.read_text(encoding="utf-8"))
                self._tokens = tuple(_token(row) for row in rows)
                self._read = state
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError, RecursionError) as e:
            raise StoreUnusable(
                f"The file {self._path.name} of the store cannot be read, so no token can be looked up; what"
                " needs none goes on. Whoever runs the service has to put back a copy of the file, or to"
                " delete it and make new tokens."
            ) from e
        return self._tokens

    def _write(self, tokens: Iterable[Token]) -> None:
        aside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            json.dump([asdict(token) for token in tokens], file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(self._path)


def _token(row: dict[str, str]) -> Token:
    """Return the token of a row of the file; raise ValueError or TypeError for anything else."""
    token = Token(**row)
    if not all(isinstance(value, str) for value in row.values()):
        raise TypeError("a value that is no text")
    if token.role.upper() not in Role.__members__:
        raise ValueError(f"no role: {token.role!r}")
    _ = token.expired
    return token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


Network = IPv4Network | IPv6Network
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1"))
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
