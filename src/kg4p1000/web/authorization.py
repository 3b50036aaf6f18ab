"""Who asks, and whether they may: the token of a request."""

from __future__ import annotations

import base64

from flask import request

from ..access import ANYONE, Account, Role
from ..errors import Forbidden, Unauthorized
from .services import services


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
        password = _password(token)
        return (services().tokens.account(password) if password else None) or ANYONE
    if scheme.lower() != "bearer":
        return ANYONE
    found = services().tokens.account(token.strip())
    if found is None:
        raise Unauthorized("The token is not known, or has expired, or was revoked.")
    return found


def _password(credentials: str) -> str:
    """Return the password in what Basic authentication sends (RFC 7617); empty where it holds none."""
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except ValueError:
        return ""


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
