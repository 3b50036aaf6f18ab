"""Who may do what: roles, and the tokens that stand for them.

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
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from pathlib import Path

from ..kernel.errors import BadParameter, NotFound, StoreUnusable

_BYTES = 32


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

    def __post_init__(self) -> None:
        if not all(isinstance(value, str) for value in astuple(self)):
            raise TypeError("a value that is no text")
        if self.role.upper() not in Role.__members__:
            raise ValueError(f"no role: {self.role!r}")
        _ = self.expired

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
        same = [kept for kept in tokens if hmac.compare_digest(kept.digest, digest)]
        valid = [Account(kept.name, Role[kept.role.upper()]) for kept in same if not kept.expired]
        return valid[-1] if valid else None

    def _load(self) -> tuple[Token, ...]:
        try:
            stat = self._path.stat()
            state = (stat.st_mtime_ns, stat.st_ino)
            if state != self._read:
                rows = json.loads(self._path.read_text(encoding="utf-8"))
                self._tokens = tuple(Token(**row) for row in rows)
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


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
