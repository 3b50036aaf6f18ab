"""Changes over HTTP: SPARQL Update, the Graph Store Protocol, and undo.

Source: SPARQL 1.1 Protocol, section 2.2; SPARQL 1.1 Graph Store HTTP Protocol.
"""

from __future__ import annotations

import base64
from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from werkzeug.datastructures import MultiDict

from ..curation.access import Account, Role
from ..curation.writer import GRAPH_TYPES
from ..kernel.errors import MalformedRequest, Refused, WrongMediaType
from .requests import (
    FORM,
    JSON,
    TRIPLES_ONLY,
    UPDATE,
    chosen,
    conditions,
    decoded,
    graphs,
    is_dry_run,
    parameters,
    see_names,
    takes,
    text_body,
    whole_body,
)
from .results import HEADER, header, hints
from .services import require, services
from .things import whole_graph

blueprint = Blueprint("write", __name__)

_UPDATE = ("update", "using-graph-uri", "using-named-graph-uri")
_CHANGE = ("dry-run", "message")
_TAKEN = (*_UPDATE, *_CHANGE, "graph", "default", "version", "format")
#: What all changes have in common.
_CHANGES: dict[str, Any] = {"answers": JSON, "token": True, "conditional": True}


@blueprint.route("/update", methods=["POST"])
@takes(*_UPDATE, "register", *_CHANGE, body={UPDATE: (), FORM: _UPDATE}, **_CHANGES)
def update() -> Response:
    """Take a SPARQL update: direct, or as the parameter ``update`` of a form; for stewards."""
    account = require(Role.STEWARD)
    given = parameters()
    limit = services().settings.upload_size
    if request.mimetype == UPDATE:
        text = text_body(limit)
    elif request.mimetype == FORM or (not request.mimetype and "update" in given):
        given.update(decoded(whole_body(limit)))
        if "query" in given:
            raise MalformedRequest("A query goes to /sparql; this address takes updates.")
        texts = given.getlist("update")
        if len(texts) != 1:
            raise MalformedRequest(
                "The request needs the parameter 'update' once.", parameter="update"
            )
        text = texts[0].removeprefix("\ufeff")
    else:
        said = request.mimetype or "no media type"
        raise WrongMediaType(f"The body has {said}; this address takes {UPDATE} and {FORM}.")
    return _change(
        account,
        given,
        kind="update",
        text=text,
        using=graphs(given, "using-graph-uri") or None,
        using_named=graphs(given, "using-named-graph-uri") or None,
    )


@blueprint.route("/graph-store", methods=["GET"])
@takes("graph", "default", "version", "format", answers=TRIPLES_ONLY)
def read() -> Response:
    """Return a graph as RDF: ``graph=IRI``, or ``default`` for the merge of the published graphs."""
    return whole_graph(_named(default_too=True), chosen(), may_be_empty=False)


@blueprint.route("/graph-store", methods=["PUT", "POST"])
@takes("graph", "register", *_CHANGE, body=dict.fromkeys(GRAPH_TYPES, ()), **_CHANGES)
def write() -> Response:
    """Replace a graph (PUT) or add to it (POST); for stewards."""
    account = require(Role.STEWARD)
    name = _named()
    if request.mimetype not in GRAPH_TYPES:
        said = request.mimetype or "no media type"
        raise WrongMediaType(f"The body has {said}; a graph is sent as {', '.join(GRAPH_TYPES)}.")
    data = whole_body(services().settings.upload_size)
    return _change(
        account,
        parameters(),
        kind=request.method.lower(),
        graph=name,
        media_type=request.mimetype,
        data=base64.b64encode(data).decode(),
    )


@blueprint.route("/graph-store", methods=["DELETE"])
@takes("graph", *_CHANGE, **_CHANGES)
def delete() -> Response:
    """Remove all statements of a graph; for stewards."""
    account = require(Role.STEWARD)
    return _change(account, parameters(), kind="delete", graph=_named())


@blueprint.route("/versions/<int:version>/undo", methods=["POST"])
@takes(*_CHANGE, **_CHANGES)
def undo(version: int) -> Response:
    """Take back what a version changed, as a new version; for stewards."""
    account = require(Role.STEWARD)
    given = parameters()
    body = whole_body(services().settings.upload_size)
    if request.mimetype == FORM:
        given.update(decoded(body))
    elif body:
        raise WrongMediaType(f"What is sent with an undo is dry-run and message, as {FORM}.")
    return _change(account, given, kind="undo", version=version)


def _change(account: Account, given: MultiDict[str, str], **change: Any) -> Response:
    """Have a change made, or with ``dry-run=true`` only judged.

    Args:
        given: the parameters of the request, wherever they stand.
    """
    dry_run = is_dry_run(given, _TAKEN)
    done = services().writer.change(
        author=account.name,
        role=int(account.role),
        message=given.get("message", "")[:1000],
        register=given.get("register", "")[:1000].strip(),
        dry_run=dry_run,
        **conditions(),
        **change,
    )
    if done["version"]:
        done["changes"] = f"/versions/{done['version']}/changes"
    if change["kind"] == "update" and not any(done["counts"].values()):
        done["hints"] = hints(change["text"], services().store.current)
    response = jsonify(done)
    if done.get("hints"):
        response.headers[HEADER] = header(done["hints"])
    if done["version"]:
        response.headers["Location"] = f"/versions/{done['version']}"
        if done["made_graph"]:  # RFC 9110, section 15.3.2: Location names what came to be
            response.status_code = 201
            response.headers["Location"] = url_for(".read", graph=change["graph"])
        response.headers["KG-Version"] = str(done["version"])
    return response


def _named(default_too: bool = False) -> str:
    """Return the graph that a request names; empty for the default graph."""
    given = parameters()
    default = "default" in given
    if len(given.getlist("graph")) + default != 1:
        see_names(_TAKEN)
        raise MalformedRequest("Name one graph: graph=IRI, or default.", parameter="graph")
    if default:
        if default_too:
            return ""
        raise Refused(
            "The default graph is the merge of the published graphs and is not written to; name one"
            " of them: graph=IRI."
        )
    (name,) = graphs(given, "graph")
    return name
