"""Who asks, and whether they may: the token of a request."""

from __future__ import annotations

from flask import request

from ..access import ANYONE, Account, Role
from ..errors import Forbidden, Unauthorized
from .services import services


def account() -> Account:
    """Whom the request's token stands for; without a token, anyone.

    Raises:
        Unauthorized: the token is not valid.
    """
    header = request.headers.get("Authorization", "")
    if not header:
        return ANYONE
    scheme, _, token = header.partition(" ")
    found = services().tokens.account(token.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        raise Unauthorized(
            "The Authorization header must be 'Bearer TOKEN' with a token that is known, not expired"
            " and not revoked."
        )
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
        raise Unauthorized(f"This needs a token with the role {role.name.lower()}.")
    raise Forbidden(
        f"This needs the role {role.name.lower()}, and the token has {found.role.name.lower()}."
    )
