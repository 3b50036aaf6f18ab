"""Answers to queries that use deprecated terms say so; see `kg4p1000.release`."""

from __future__ import annotations

from flask import Response

from .. import release, sparql
from ..errors import KgError
from .services import services

#: Versions whose deprecated terms are kept.
_KEPT = 8


def advice(query: sparql.Query, version: int) -> list[str]:
    """A sentence for each deprecated term that a query uses; none when the service is too busy."""
    kept = services().deprecated
    if version not in kept:
        try:
            found = release.deprecated_in(services().readers, version)
        except KgError:
            return []
        while len(kept) >= _KEPT:
            kept.pop(next(iter(kept)), None)
        kept[version] = found
    return release.advice(query.terms, kept[version])


def advise(response: Response, query: sparql.Query, version: int) -> None:
    """Add the advice to an answer for a program, in the header ``KG-Deprecated``."""
    if found := advice(query, version):
        response.headers["KG-Deprecated"] = " ".join(found)
