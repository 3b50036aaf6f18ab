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
from .negotiation import RESULTS, TRIPLES, TRIPLES_ONLY, Offers
from .requests import FORM, QUERY, UPDATE
from .services import base, services

blueprint = Blueprint("api", __name__)

_PAGE: Offers = {"html": ("text/html",)}
_JSON: Offers = {"json": ("application/json",)}
#: What an address answers with; the others answer with a page.
_ANSWERS: dict[str, Offers] = {
    "sparql.endpoint": {**RESULTS, **TRIPLES},
    "queries.run": {**RESULTS, **TRIPLES},
    "write.read": TRIPLES_ONLY,
    "description.void": TRIPLES_ONLY,
    "things.thing_data": TRIPLES_ONLY,
    "versions.index": {**_JSON, "link": ("application/link-format",), **_PAGE},
    "versions.one": {**_JSON, **_PAGE},
    "versions.changes": {"patch": ("application/rdf-patch",), "nquads": ("application/n-quads",)},
    "questions.index": {**_JSON, **_PAGE},
    "home.dump": {"nq": ("application/gzip",)},
    "home.favicon": {"svg": ("image/svg+xml",)},
    "home.robots": {"txt": ("text/plain",)},
    "operations.metrics": {"txt": ("text/plain",)},
    "static": {"any": ("*/*",)},
    **dict.fromkeys(
        ("graphs.index", "graphs.graph", "ontology.index", "ontology.term", "ontology.module", "ontology.release"),
        TRIPLES,
    ),
    **dict.fromkeys(("things.code", "things.shape"), TRIPLES),
    **dict.fromkeys(
        (
            "write.update", "write.write", "write.delete", "write.undo", "operations.health",
            "operations.running", "operations.kill", "api.document",
        ),
        _JSON,
    ),
}  # fmt: skip
#: Addresses that need a token; a test asks each without one.
GUARDED = {
    "write.update", "write.write", "write.delete", "write.undo", "operations.running", "operations.kill",
    "overlaps.decide",
}  # fmt: skip
#: Changes that may be conditional.
_CONDITIONAL = {"write.update", "write.write", "write.delete", "write.undo"}
_TEXT = {"type": "string"}
_IRIS = {"type": "array", "items": {"type": "string", "format": "iri"}}
#: Parameters by name: what they are, and their schema.
_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "query": ("A SPARQL query.", _TEXT),
    "update": ("A SPARQL update.", _TEXT),
    "default-graph-uri": ("Graphs that are merged to the default graph.", _IRIS),
    "named-graph-uri": ("Graphs that GRAPH may ask.", _IRIS),
    "using-graph-uri": ("Graphs that are merged to the default graph of WHERE.", _IRIS),
    "using-named-graph-uri": ("Graphs that GRAPH in WHERE may ask.", _IRIS),
    "version": ("Version of the graph: a number, or a date.", _TEXT),
    "timeout": (
        "Seconds after which the query is stopped; above the limit of the service with a token.",
        {"type": "number", "exclusiveMinimum": 0},
    ),
    "format": ("The format, instead of the header Accept.", _TEXT),
    "graph": ("The graph.", {"type": "string", "format": "iri"}),
    "default": ("The merge of the published graphs, instead of a named one.", _TEXT),
    "part": (
        "Only what was added or what was removed, as N-Quads.",
        {"type": "string", "enum": ["added", "removed"]},
    ),
    "register": (
        "The title under which an admin registers a graph that is new.",
        {"type": "string"},
    ),
    "dry-run": ("Tell what would change, and change nothing.", {"type": "boolean"}),
    "message": ("What the change log says of it.", _TEXT),
    "page": (
        "The page of a long list or table, from 1; for people.",
        {"type": "integer", "minimum": 1},
    ),
    "objective": ("The code of an objective, such as A4.", _TEXT),
    "other": ("The code of another objective.", _TEXT),
    "kind": ("A kind of overlap.", _TEXT),
    "status": ("A state of the decision.", _TEXT),
    "confidence": (
        "Only what is at least as sure.",
        {"type": "number", "minimum": 0, "maximum": 1},
    ),
}
#: Headers that make a change conditional.
_CONDITIONS = {
    "If-Match": "ETags of the graph, or of the whole, in one of the states for which the change is meant; '*' is any.",
    "If-None-Match": "'*' where the graph must not be there; or ETags of states in which nothing is to be changed.",
}
_QUERY = ("default-graph-uri", "named-graph-uri", "version", "timeout", "format", "page")
_CHANGE = ("dry-run", "message")
#: Which of them an address takes.
_TAKES: dict[str, tuple[str, ...]] = {
    "sparql.endpoint": ("query", *_QUERY),
    "queries.run": ("version", "format", "page"),
    "overlaps.index": ("objective", "other", "kind", "status", "confidence", "version", "format", "page"),
    "overlaps.queue": ("version", "page"),
    "things.kind_page": ("version", "page"),
    "write.update": ("update", "using-graph-uri", "using-named-graph-uri", "register", *_CHANGE),
    "write.read": ("graph", "default", "version", "format"),
    "write.write": ("graph", "register", *_CHANGE),
    "write.delete": ("graph", *_CHANGE),
    "write.undo": _CHANGE,
    **dict.fromkeys(
        (
            "graphs.index", "graphs.graph", "ontology.index", "ontology.term", "ontology.module", "things.code",
            "things.shape", "things.thing_data",
        ),
        ("version", "format"),
    ),
    "versions.changes": ("part",),
    **dict.fromkeys(("versions.index", "versions.one", "description.void"), ("format",)),
    **dict.fromkeys(("things.thing_page", "home.index"), ("version",)),
}  # fmt: skip
_GRAPH_TYPES = (
    "text/turtle",
    "application/n-triples",
    "application/rdf+xml",
    "application/ld+json",
)


@blueprint.route("/openapi.json")
def document() -> Response:
    """This description: all addresses, their parameters and answers, as OpenAPI."""
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


def _operation(rule: Rule, method: str) -> dict[str, Any]:
    view = current_app.view_functions[rule.endpoint]
    summary = (view.__doc__ or "").strip().split("\n")[0].replace("``", "`")
    names = _TAKES.get(rule.endpoint, ())
    if method == "POST" and rule.endpoint == "sparql.endpoint":
        names = _QUERY
    operation: dict[str, Any] = {
        "operationId": ".".join((rule.endpoint, *sorted(rule.arguments), method.lower())),
        "summary": summary if rule.endpoint != "static" else "A file that pages use.",
        "parameters": [
            *(_in_path(name, rule) for name in sorted(rule.arguments)),
            *(_in_query(name, *_PARAMETERS[name]) for name in names),
            *(_in_header(*told) for told in _CONDITIONS.items() if rule.endpoint in _CONDITIONAL),
        ],
        "responses": _responses(_ANSWERS.get(rule.endpoint, _PAGE)),
    }
    if rule.endpoint in _CONDITIONAL:
        failed = operation["responses"]["default"] | {
            "description": "If-Match or If-None-Match does not hold, and nothing was changed."
        }
        operation["responses"]["412"] = failed
    if body := _body(rule.endpoint, method):
        # An update may stand in the address instead.
        operation["requestBody"] = {"required": rule.endpoint != "write.update", "content": body}
    if rule.endpoint in GUARDED:
        operation["security"] = [{"token": []}]
    return operation


def _stored(query: StoredQuery) -> dict[str, Any]:
    """A stored query as an address of its own, with its parameters."""
    triples = sparql.guard(query.text).gives_triples
    own = [
        {
            **_in_query(p.name, p.help or p.type, _TEXT),
            "required": True,
            "example": p.example,
        }
        for p in query.parameters
    ]
    common = [_in_query(name, *_PARAMETERS[name]) for name in _TAKES["queries.run"]]
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


def _body(endpoint: str, method: str) -> dict[str, Any]:
    if endpoint == "sparql.endpoint" and method == "POST":
        return {QUERY: {"schema": _TEXT}, FORM: {"schema": _form("query", *_QUERY)}}
    if endpoint == "write.update":
        using = ("using-graph-uri", "using-named-graph-uri")
        return {UPDATE: {"schema": _TEXT}, FORM: {"schema": _form("update", *using)}}
    if endpoint == "write.write":
        return {media_type: {"schema": _TEXT} for media_type in _GRAPH_TYPES}
    return {}


def _form(required: str, *others: str) -> dict[str, Any]:
    names = (required, *others)
    return {
        "type": "object",
        "required": [required],
        "properties": {name: _PARAMETERS[name][1] for name in names},
    }


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
