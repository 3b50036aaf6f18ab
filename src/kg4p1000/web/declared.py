"""What a route takes and answers, said at the route; `api` makes the description of the service from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from .negotiation import Offers

View = TypeVar("View", bound=Callable[..., Any])

PAGE: Offers = {"html": ("text/html",)}
JSON: Offers = {"json": ("application/json",)}
_TEXT = {"type": "string"}
_IRIS = {"type": "array", "items": {"type": "string", "format": "iri"}}
#: Parameters by name: what they are, and their schema.
PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
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


@dataclass(frozen=True)
class Declared:
    """What a route takes and answers.

    Attributes:
        parameters: names of parameters in the address, which `PARAMETERS` has.
        answers: the formats that it answers in.
        body: media types of its body, each with the names of its fields where it is a form.
        token: whether it needs one.
        conditional: whether If-Match and If-None-Match count.
    """

    parameters: tuple[str, ...] = ()
    answers: Offers = field(default_factory=lambda: PAGE)
    body: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    token: bool = False
    conditional: bool = False


def takes(*parameters: str, **more: Any) -> Callable[[View], View]:
    """Declare what a route takes and answers.

    Args:
        parameters, more: see `Declared`.
    """
    assert set(parameters) <= PARAMETERS.keys(), parameters

    def declare(view: View) -> View:
        view.declared = Declared(parameters, **more)  # type: ignore[attr-defined]
        return view

    return declare


def declared(view: Callable[..., Any]) -> Declared:
    """Return what was declared at a route; by default it takes nothing and answers with a page."""
    return getattr(view, "declared", Declared())
