"""What is wrong with a query, as the engine says it, told as an error."""

from __future__ import annotations

import re
from typing import Any

import pyoxigraph as ox

from ..errors import BadParameter, KgError, MalformedQuery, ReaderLost, Refused
from ..terms import BASE, PREFIXES

CALLS_NOBODY = (
    "SERVICE is refused: this endpoint calls no other. Ask the other endpoint yourself and join the"
    " results, or send its data in VALUES."
)
_POSITION = re.compile(r"error at (\d+):(\d+): (.*)", re.DOTALL)


def parse_query(text: str) -> list[str]:
    """Read a query as a reader would, and run it on nothing.

    Returns:
        The names of its columns; none if it is no SELECT.

    Raises:
        MalformedQuery: with ``line`` and ``column`` where the engine tells.
    """
    try:
        result = ox.Store().query(text, base_iri=BASE, prefixes=PREFIXES)
    except SyntaxError as e:
        raise problem({"error": "syntax", "message": str(e)}) from None
    except (ValueError, RuntimeError) as e:
        raise problem({"error": "evaluation", "message": str(e)}) from None
    return [v.value for v in result.variables] if isinstance(result, ox.QuerySolutions) else []


def problem(head: dict[str, Any]) -> KgError:
    """The error that a reader tells of."""
    message = head["message"]
    if head["error"] == "network":
        return Refused(CALLS_NOBODY)
    if head["error"] == "database":
        return ReaderLost("The database of this version could not be read.")
    if head["error"] == "syntax":
        if match := _POSITION.match(message):
            line, column, expected = match.groups()
            return MalformedQuery(
                f"Line {line}, column {column}: {expected}.", line=int(line), column=int(column)
            )
        return MalformedQuery(message)
    if "substitute" in message.lower() or "variable" in message.lower():
        return BadParameter(message)
    return MalformedQuery(message)
