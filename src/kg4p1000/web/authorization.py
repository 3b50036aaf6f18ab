"""Who asks, and whether they may: the token of a request."""

from __future__ import annotations

from flask import request

from ..access import ANYONE, Account, Role
from ..errors import Forbidden, Unauthorized
from .services import services


def account() -> Account:
    """Whom the request's token stands for; without a token, anyone.

    Other schemes than Bearer are not ours: a proxy in front may have asked for them.

    Raises:
        Unauthorized: the token is not valid.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return ANYONE
    found = services().tokens.account(token.strip())
    if found is None:
        raise Unauthorized("The token is not known, or has expired, or was revoked.")
    return found


def require(role: Role) -> Account:
    """The account of the request, if its role is at least the one given.

    Raises:
        Unauthorized: there is no token.
        Forbidden: the role is too low.
    """
    found = account()
    if found.role >= role:
        return found
    if found is ANYONE:
        raise Unauthorized(
            f"This needs a token with the role {role.name.lower()}, in the header 'Authorization: Bearer TOKEN'."
        )
    raise Forbidden(
        f"This needs the role {role.name.lower()}, and the token has {found.role.name.lower()}."
    )
