"""What the routes work with, and what all of them need to know of a request."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from flask import current_app, g, request
from werkzeug.http import parse_date

from ..curation.access import ANYONE, Account, Role, Tokens
from ..curation.writer import Writer
from ..kernel.errors import BadParameter, Forbidden, KgError, StoreUnusable, Unauthorized
from ..kernel.settings import Settings
from ..knowledge.queries import Library
from ..knowledge.questions import Outcome
from ..sparql import Reading
from ..store import Readers, Row, Store, Term
from .background import Background
from .requests import named_host
from .transfers import Cache, Clients, Transfers

#: Where they stand among the extensions of the application.
NAME = "kg4p1000"


@dataclass
class Services:
    """The collaborators of the routes, as `create_app` got them."""

    settings: Settings
    store: Store
    readers: Readers
    library: Library
    reading: Reading
    writer: Writer
    tokens: Tokens
    clients: Clients
    cache: Cache
    transfers: Transfers
    examiner: Background[Outcome]
    census: Background[dict[str, int]]
    #: Set by `create_app`; gathers its figures from the other collaborators.
    metrics: Any = None

    def select(
        self,
        text: str,
        version: int | None = None,
        *,
        timeout: float | None = None,
        **bindings: Term,
    ) -> list[Row]:
        """Run one of our own SELECT queries.

        Args:
            bindings: terms for variables; each must be projected by the query.
        """
        asked = self.readers.query(text, bindings=bindings, version=version, timeout=timeout)
        return asked.rows()


def services() -> Services:
    """Return the collaborators of the application that answers the request."""
    return cast(Services, current_app.extensions[NAME])


def kept_version() -> str:
    """Return the version that the links of a page lead to: the one that was asked for; empty where none was, or none can be."""
    if "kept_version" not in g:
        g.kept_version = ""
        with suppress(KgError):
            if version := asked_version():
                services().store.entry(version)
                g.kept_version = request.args.get("version", "").strip() or str(version)
    return cast(str, g.kept_version)


def base() -> str:
    """Return the address of the service, for links that lead here from outside."""
    return services().settings.public_url.rstrip("/") or f"{request.scheme}://{named_host()}"


def resolved_version(text: str | None = None) -> int:
    """Return the version that a request means: the one that it names, or the published one.

    Raises:
        BadParameter: what it names is no version.
        StoreUnusable: nothing was published yet.
    """
    version = asked_version(text) or services().store.current
    if not version:
        raise StoreUnusable("The store is empty; run 'kg4p1000 build' first.")
    return version


def page_version() -> int:
    """Return the version that a page is made from, the same for all queries of the page.

    Raises:
        NotFound: the request names a version that is not there.
        StoreUnusable: nothing was published yet.
    """
    version = resolved_version()
    services().store.entry(version)
    g.version = version
    return version


def asked_version(text: str | None = None) -> int | None:
    """Return the version of the graph that a request names; None when it names none.

    Args:
        text: the parameter ``version``, by default that of the address: a number, or a date, which means the
            version that was published at the end of that day, or with a time the one at that time. Where there
            is none, the header Accept-Datetime counts.

    Raises:
        BadParameter: it is neither a whole number above zero nor a date.
    """
    text = (request.args.get("version", "") if text is None else text).strip()
    moment = request.headers.get("Accept-Datetime", "")
    if not text and moment:
        wanted = parse_date(moment)
        if wanted is None:
            raise BadParameter(
                f"Accept-Datetime is {moment!r} and must be like 'Sun, 22 Nov 2026 15:20:42 GMT'.",
                parameter="Accept-Datetime",
            )
        return _version_at(wanted)
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
    return _version_at(wanted if wanted.tzinfo else wanted.replace(tzinfo=UTC))


def _version_at(moment: datetime) -> int:
    """Return the version that was published at a time; the first one for times before it."""
    for entry in services().store.entries():
        if entry.time <= moment:
            return entry.version
    return min(1, services().store.current)


def account(token: str = "") -> Account:
    """Return whom a token stands for, by default that of the request; without a token, anyone.

    Clients that know users and passwords alone send the token as the password, under any name. Other passwords and
    other schemes than Bearer are not ours: a proxy in front may have asked for them.

    Raises:
        Unauthorized: the token is not valid.
    """
    header = f"Bearer {token}" if token else request.headers.get("Authorization", "")
    scheme, _, token = header.partition(" ")
    if scheme.lower() == "basic":
        try:  # RFC 7617
            password = base64.b64decode(token.strip(), validate=True).decode().partition(":")[2]
        except ValueError:
            return ANYONE
        return (services().tokens.account(password) if password else None) or ANYONE
    if scheme.lower() != "bearer":
        return ANYONE
    found = services().tokens.account(token.strip())
    if found is None:
        raise Unauthorized("The token is not known, or has expired, or was revoked.")
    return found


def require(role: Role, token: str = "") -> Account:
    """Return the account of the request, or of the token of a form, if its role is at least the one given.

    Raises:
        Unauthorized: there is no token.
        Forbidden: the role is too low.
    """
    found = account(token)
    if found.role >= role:
        return found
    if found is ANYONE:
        raise Unauthorized(
            f"This needs a token with the role {role.name.lower()}, in the header 'Authorization: Bearer TOKEN', or as the password of Basic authentication."
        )
    raise Forbidden(
        f"This needs the role {role.name.lower()}, and the token has {found.role.name.lower()}."
    )
