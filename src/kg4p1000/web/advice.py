"""Answers to queries that use deprecated terms say so; see `kg4p1000.release`."""

from __future__ import annotations

from flask import Response

from .. import release, sparql
from ..errors import KgError
from .background import once_per_version
from .services import services


def advice(query: sparql.Query, version: int) -> list[str]:
    """Return a sentence for each deprecated term that a query uses; none when the service is too busy."""
    try:
        return release.advice(query.terms, _deprecated(version))
    except KgError:
        return []


@once_per_version
def _deprecated(version: int) -> dict[str, str]:
    return release.deprecated_in(services().readers, version)


def advise(response: Response, query: sparql.Query, version: int) -> None:
    """Add the advice to an answer for a program, in the header ``KG-Deprecated``."""
    if found := advice(query, version):
        response.headers["KG-Deprecated"] = " ".join(found)
