"""What this service takes, for programs that make clients: OpenAPI 3.1, made from the routes and the stored queries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from flask import Blueprint, Response, current_app, jsonify
from werkzeug.routing import Rule

from .. import __version__, errors, sparql
from ..errors import KgError
from ..queries import StoredQuery
from .declared import JSON, PAGE, PARAMETERS, Declared, declared, takes
from .negotiation import RESULTS, TRIPLES, TRIPLES_ONLY, Offers
from .services import base, services

blueprint = Blueprint("api", __name__)

_TEXT = {"type": "string"}
#: Headers that make a change conditional.
_CONDITIONS = {
    "If-Match": "ETags of the graph, or of the whole, in one of the states for which the change is meant; '*' is any.",
    "If-None-Match": "'*' where the graph must not be there; or ETags of states in which nothing is to be changed.",
}
_DATA = Declared(("version", "format"), TRIPLES)
#: Routes that do not say it themselves yet.
_ELSEWHERE: dict[str, Declared] = {
    "static": Declared(answers={"any": ("*/*",)}),
    "queries.run": Declared(("version", "format", "page"), {**RESULTS, **TRIPLES}),
    "overlaps.index": Declared(
        ("objective", "other", "kind", "status", "confidence", "version", "format", "page")
    ),
    "overlaps.queue": Declared(("version", "page")),
    "overlaps.decide": Declared(token=True),
    "things.kind_page": Declared(("version", "page")),
    "things.thing_page": Declared(("version",)),
    "things.thing_data": Declared(("version", "format"), TRIPLES_ONLY),
    "home.index": Declared(("version",)),
    "home.dump": Declared(answers={"nq": ("application/gzip",)}),
    "home.favicon": Declared(answers={"svg": ("image/svg+xml",)}),
    "home.robots": Declared(answers={"txt": ("text/plain",)}),
    "description.void": Declared(("format",), TRIPLES_ONLY),
    "versions.index": Declared(("format",), {**JSON, "link": ("application/link-format",), **PAGE}),
    "versions.one": Declared(("format",), {**JSON, **PAGE}),
    "versions.changes": Declared(
        ("part",), {"patch": ("application/rdf-patch",), "nquads": ("application/n-quads",)}
    ),
    "questions.index": Declared(answers={**JSON, **PAGE}),
    "ontology.release": Declared(answers=TRIPLES),
    **dict.fromkeys(
        ("ontology.index", "ontology.term", "ontology.module", "things.code", "things.shape"), _DATA
    ),
}


@blueprint.route("/openapi.json")
@takes(answers=JSON)
def document() -> Response:
    """Return this description: all addresses, their parameters and answers, as OpenAPI."""
    return jsonify(describe(current_app.url_map.iter_rules()))


def describe(rules: Iterable[Rule]) -> dict[str, Any]:
    """Describe routes as OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(rules, key=lambda rule: rule.rule):
        path = re.sub(r"<(?:[^:>]*:)?([^>]+)>", r"{\1}", rule.rule)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            paths.setdefault(path, {})[method.lower()] = _operation(rule, method)
    for query in services().library:
        paths[f"/query/{query.name}"] = {"get": _stored(query)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Knowledge graph of the “4 per 1000” Implementation Plan",
            "version": __version__,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base()}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": _problem()},
        },
    }


def _declared(endpoint: str) -> Declared:
    return _ELSEWHERE.get(endpoint) or declared(current_app.view_functions[endpoint])


def _operation(rule: Rule, method: str) -> dict[str, Any]:
    view = current_app.view_functions[rule.endpoint]
    summary = (view.__doc__ or "").strip().split("\n")[0].replace("``", "`")
    said = _declared(rule.endpoint)
    operation: dict[str, Any] = {
        "operationId": ".".join((rule.endpoint, *sorted(rule.arguments), method.lower())),
        "summary": summary if rule.endpoint != "static" else "A file that pages use.",
        "parameters": [
            *(_in_path(name, rule) for name in sorted(rule.arguments)),
            *(_in_query(name, *PARAMETERS[name]) for name in said.parameters),
            *(_in_header(*each) for each in _CONDITIONS.items() if said.conditional),
        ],
        "responses": _responses(said.answers),
    }
    if said.conditional:
        failed = operation["responses"]["default"] | {
            "description": "If-Match or If-None-Match does not hold, and nothing was changed."
        }
        operation["responses"]["412"] = failed
    if said.body and method in ("POST", "PUT"):
        # What stands in a form may stand in the address instead.
        in_address = any(set(fields) & {*said.parameters} for fields in said.body.values())
        content = {kind: {"schema": _form(fields)} for kind, fields in said.body.items()}
        operation["requestBody"] = {"required": not in_address, "content": content}
    if said.token:
        operation["security"] = [{"token": []}]
    return operation


def _stored(query: StoredQuery) -> dict[str, Any]:
    """Return a stored query as an address of its own, with its parameters."""
    triples = sparql.guard(query.text).gives_triples
    own = [
        {
            **_in_query(p.name, p.help or p.type, _TEXT),
            "required": True,
            "example": p.example,
        }
        for p in query.parameters
    ]
    common = [_in_query(name, *PARAMETERS[name]) for name in _declared("queries.run").parameters]
    return {
        "operationId": f"query.{query.name}",
        "summary": query.summary,
        "tags": list(query.tags),
        "parameters": [*own, *common],
        "responses": _responses(TRIPLES if triples else RESULTS),
    }


def _in_path(name: str, rule: Rule) -> dict[str, Any]:
    whole = rule._converters[name].__class__.__name__ == "IntegerConverter"
    schema = {"type": "integer", "minimum": 0} if whole else _TEXT
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(name: str, what: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": what, "schema": schema}


def _in_header(name: str, what: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": what, "schema": _TEXT}


def _form(names: tuple[str, ...]) -> dict[str, Any]:
    if not names:
        return _TEXT
    properties = {name: PARAMETERS[name][1] for name in names}
    return {"type": "object", "required": [names[0]], "properties": properties}


def _responses(offers: Offers) -> dict[str, Any]:
    types = dict.fromkeys(media_type for group in offers.values() for media_type in group)
    problem = {"$ref": "#/components/schemas/Problem"}
    return {
        "2XX": {"description": "The answer.", "content": {media_type: {} for media_type in types}},
        "default": {
            "description": "A problem (RFC 9457).",
            "content": {"application/problem+json": {"schema": problem}, "text/html": {}},
        },
    }


def _problem() -> dict[str, Any]:
    statuses = sorted({error.status for error in errors.all_errors()} | {KgError.status})
    return {
        "type": "object",
        "required": ["type", "title", "status", "detail", "instance"],
        "properties": {
            "type": {"type": "string", "description": "Opens a page that explains it."},
            "title": _TEXT,
            "status": {"type": "integer", "examples": statuses},
            "detail": _TEXT,
            "instance": {"type": "string", "format": "uri", "description": "The request."},
        },
        "additionalProperties": True,
    }
