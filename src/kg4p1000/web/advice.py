"""Answers to queries that use deprecated terms say so; see `kg4p1000.release`."""

from __future__ import annotations

from flask import Response

from .. import release
from ..errors import KgError
from .services import services

#: Versions whose deprecated terms are kept.
_KEPT = 8


def advice(text: str, version: int) -> list[str]:
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
    return release.advice(text, kept[version])


def advise(response: Response, text: str, version: int) -> None:
    """Add the advice to an answer for a program, in the header ``KG-Deprecated``."""
    if found := advice(text, version):
        response.headers["KG-Deprecated"] = " ".join(found)
