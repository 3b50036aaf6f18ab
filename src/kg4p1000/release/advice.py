"""What a query is told that uses terms which the ontology has withdrawn."""

from __future__ import annotations

from collections.abc import Mapping, Set

from ..store import Readers
from .difference import short

_DEPRECATED = """SELECT ?old ?new WHERE {
  GRAPH ?graph { ?old owl:deprecated true OPTIONAL { ?old dcterms:isReplacedBy ?new } }
  FILTER(?graph IN (graph:ontology, graph:codes))
}"""


def deprecated_in(readers: Readers, version: int | None = None) -> dict[str, str]:
    """The deprecated terms of a version of the graph, and what replaces each; empty where nothing does."""
    rows = readers.query(_DEPRECATED, version=version).json()["results"]["bindings"]
    return {row["old"]["value"]: row.get("new", {}).get("value", "") for row in rows}


def advice(terms: Set[str], deprecated: Mapping[str, str]) -> list[str]:
    """Say of each deprecated term that a query names which one it is, and what to use instead.

    Args:
        terms: see `sparql.Query`.
    """
    return [_sentence(old, deprecated[old]) for old in sorted(deprecated.keys() & terms)]


def _sentence(old: str, new: str) -> str:
    instead = f"use {short(new)}" if new else "nothing replaces it"
    return f"{short(old)} is deprecated; {instead}."
