"""What BASE and PREFIX declare, and terms as they are written turned into terms.

The engine reads both: the declarations stand before whatever text it is given to parse.

Source: SPARQL 1.1 Query Language, sections 4.1 and 19.5; RDF 1.1 Turtle, section 6.4, whose terms are written as those of
SPARQL are, but for TRUE and FALSE in capitals.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyoxigraph as ox
from pyoxigraph import Literal, NamedNode

from ..kernel.errors import KgError, MalformedQuery
from ..kernel.terms import BASE, prefix_declarations
from ..store.parsing import sentence
from .lexer import Cursor, malformed
from .rewriting import Assembled, Written

_OURS = f"BASE <{BASE}>\n{prefix_declarations()}"


def read_prologue(cursor: Cursor, before: Sequence[Written] = ()) -> tuple[Written, ...]:
    """Read declarations until something else comes, and return them behind those that hold already."""
    declared = list(before)
    while word := cursor.keyword("BASE", "PREFIX", "VERSION"):
        name = cursor.next
        if word == "PREFIX":
            if name.kind != "name" or not name.text.endswith(":") or name.text.count(":") > 1:
                raise cursor.unexpected("a prefix that ends with ':'")
            cursor.take()
        wanted = ("string", "a string") if word == "VERSION" else ("iri", "an IRI in '<' and '>'")
        if cursor.next.kind != wanted[0]:
            raise cursor.unexpected(wanted[1])
        value = cursor.take().text
        if word == "BASE":
            declared.append((f"BASE {value}\n", name.start))
        elif word == "PREFIX":
            declared.append((f"PREFIX {name.text} {value}\n", name.start))
    return tuple(declared)


def prefixes_of(declared: Sequence[Written]) -> dict[str, str]:
    """Return the prefixes that are declared, with their namespaces as they are written."""
    lines = [line.split() for line, _ in declared if line.startswith("PREFIX")]
    return {prefix[:-1]: space[1:-1] for _, prefix, space in lines}


def beginning(declared: Sequence[Written]) -> Assembled:
    """Return a text that begins with our declarations and these."""
    return Assembled([(_OURS, 0), *declared])


def terms(
    request: str, declared: Sequence[Written], written: Sequence[Written]
) -> list[NamedNode | Literal]:
    """Return the terms that are written in a request.

    Raises:
        MalformedQuery: one of them is not valid, or its prefix is not declared.
    """
    if not written:
        return []
    text = beginning(declared)
    text.append(("<x:s> <x:p>\n", written[0][1]))
    for term, source in written:
        text.append((term.lower() if term.upper() in ("TRUE", "FALSE") else term, source))
        text.append((",\n", source + len(term)))
    text[-1] = ("\n.", text[-1][1])
    try:
        return [quad.object for quad in ox.parse(str(text), format=ox.RdfFormat.TURTLE)]
    except SyntaxError as e:
        place = text.source(e.lineno or 1, e.offset or 1)
        raise malformed(request, place, sentence(e.msg).replace("@prefix", "PREFIX") + ".") from e


def moved(error: KgError, text: Assembled, request: str, otherwise: int = 0) -> MalformedQuery:
    """Return an error about a text made of a request as one about the request.

    Args:
        otherwise: the place in the request for an error that names none.
    """
    line, column = error.members.get("line"), error.members.get("column")
    if line and column:
        otherwise = min(text.source(line, column), len(request))
    return malformed(
        request, otherwise, error.detail.removeprefix(f"Line {line}, column {column}: ")
    )
