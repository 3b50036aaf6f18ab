"""Decisions about overlaps: taken from programs, and from the form on the page of a pair."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Response, g, jsonify, redirect, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as Redirect

from ..access import Account, Role
from ..errors import Forbidden, KgError, MalformedRequest, Unauthorized
from .authorization import require
from .negotiation import prefers_page
from .overlaps import blueprint, named, page, pairs
from .requests import FORM, conditions, decoded, is_dry_run, whole_body
from .services import page_version, services

_LARGEST = 20_000
_TAKEN = ("status", "why", "kind", "token", "dry-run")


@blueprint.route("/overlaps/<pair>/decisions", methods=["POST"])
def decide(pair: str) -> Response | Redirect:
    """Record a decision about a pair; for stewards.

    A form or a JSON object with ``status``, ``why`` and perhaps ``kind``; with ``dry-run=true``, there or in the
    address, it is only judged. The token stands in the
    ``Authorization`` header, or in the field ``token`` of a form.
    """
    is_form = request.mimetype == FORM
    if not is_form:
        account = require(Role.STEWARD)
    given = _body(is_form)
    if not is_form:
        return jsonify(_decided(pair, given, account))
    try:
        done = _decided(pair, given, _steward(given.get("token", "")))
    except KgError as problem:
        return _again(pair, given, problem)
    if done["version"] is None:
        return jsonify(done)
    return redirect(url_for(".one", pair=named(pair)), 303)


def _decided(pair: str, given: Mapping[str, str], account: Account) -> dict[str, Any]:
    told = {name: given.get(name, "").strip() for name in ("status", "why", "kind")}
    everything = MultiDict([*request.args.items(multi=True), *given.items()])
    return services().writer.change(
        kind="decide",
        pair=named(pair).split("-"),
        status=told["status"],
        why=told["why"],
        overlap_kind=told["kind"],
        author=account.name,
        role=int(account.role),
        dry_run=is_dry_run(everything, _TAKEN),
        **conditions(),
    )


def _again(pair: str, given: Mapping[str, str], problem: KgError) -> Response:
    """The form once more, as it was filled in but for the token, with what is wrong at its field.

    Raises:
        KgError: the one given, where nobody reads a page, or there is none of this pair.
    """
    version = page_version()
    found = next((p for p in pairs(version) if p.key == pair), None)
    if found is None or problem.status >= 500 or not prefers_page(request.accept_mimetypes):
        raise problem
    g.visit.outcome = problem.slug
    of_token = isinstance(problem, Unauthorized | Forbidden)
    field = "token" if of_token else problem.members.get("parameter", "")
    shown = page(found, version, given=given, problem=problem.detail, field=field)
    return Response(shown, problem.status, headers={"Cache-Control": "no-store"})


def _body(is_form: bool) -> Mapping[str, str]:
    data = whole_body(_LARGEST)
    if is_form:
        return decoded(data).to_dict()
    try:
        given = json.loads(data)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
        raise MalformedRequest(
            'Send a form, or a JSON object of texts such as {"status": "accepted", "why": "…"}.'
        )
    return given


def _steward(token: str) -> Account:
    """Who decides: by the header, or by the token of a form, which people without scripts need."""
    if not token:
        return require(Role.STEWARD)
    account = services().tokens.account(token.strip())
    if account is None:
        raise Unauthorized("The token is not known, expired or revoked.")
    if account.role < Role.STEWARD:
        raise Forbidden(
            f"This needs the role steward, and the token has {account.role.name.lower()}."
        )
    return account
