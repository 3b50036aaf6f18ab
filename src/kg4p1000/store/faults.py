"""What is wrong with a query, as the engine says it, told as an error."""

from __future__ import annotations

import re

import pyoxigraph as ox

from ..kernel.errors import BadParameter, KgError, MalformedQuery, ReaderLost, Refused
from ..kernel.terms import BASE, PREFIXES

CALLS_NOBODY = (
    "SERVICE is refused: this endpoint calls no other. Ask the other endpoint yourself and join the"
    " results, or send its data in VALUES."
)
_FUNCTION = re.compile(r"custom function (<[^>]*>)")
_POSITION = re.compile(r"error at (\d+):(\d+): (.*)", re.DOTALL)
#: What the engine says, and what that means; its own words help nobody.
_SAID = {
    "Duplicated variable name in SELECT": "SELECT names a variable twice; leave one out.",
    "The SELECT overrides an existing variable": "(… AS ?name) in SELECT has a name that the pattern has already; take"
    " another.",
    "SELECT * is not authorized with GROUP BY": "SELECT * cannot stand with GROUP BY; name the variables.",
    "variable that is unbound": "with GROUP BY or an aggregate, a variable in SELECT has to stand in GROUP BY, or in an"
    " aggregate such as SAMPLE(?x).",
    "Prefix not found": "a prefix is not declared; write PREFIX name: <…> at the beginning.",
    "IRI parsing failed": "this is no valid IRI.",
}


def parse_query(text: str) -> list[str]:
    """Read a query as a reader would, run it on nothing, and return the names of its columns; none if it is no SELECT.

    Raises:
        MalformedQuery: with ``line`` and ``column`` where the engine tells.
    """
    try:
        result = ox.Store().query(text, base_iri=BASE, prefixes=PREFIXES)
    except (SyntaxError, ValueError, RuntimeError) as e:
        raise problem(e) from None
    return [v.value for v in result.variables] if isinstance(result, ox.QuerySolutions) else []


def problem(error: Exception, text: str = "") -> KgError:
    """Return what an exception of the engine says about a query, as an error.

    Args:
        text: of the query.
    """
    message = str(error)
    if isinstance(error, OSError):
        # A SERVICE clause met that there is no network, or the database cannot be read. The words may be those
        # of somebody else, so they stay here.
        if "service" in text.lower():
            return Refused(CALLS_NOBODY)
        return ReaderLost("The database of this version could not be read.")
    if isinstance(error, SyntaxError):
        return _syntax(message)
    if match := _FUNCTION.search(message):
        return MalformedQuery(
            f"There is no function {match[1]} here. Functions are those of SPARQL 1.1 and the casts of XML Schema."
        )
    if "substitute" in message.lower() or "variable" in message.lower():
        return BadParameter(message)
    return MalformedQuery(message)


def _syntax(message: str) -> MalformedQuery:
    if match := _POSITION.match(message):
        line, column, expected = match.groups()
        told = next((ours for theirs, ours in _SAID.items() if theirs in expected), "")
        return MalformedQuery(
            f"Line {line}, column {column}: {told or 'the query cannot go on like this.'}",
            line=int(line),
            column=int(column),
        )
    return MalformedQuery("The query cannot be read.")
