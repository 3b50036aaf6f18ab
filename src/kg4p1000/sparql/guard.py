"""What a query may not do here, found on its tokens: call other endpoints, name graphs to fetch.

Source: SPARQL 1.1 Query Language, section 21; SPARQL 1.1 Protocol, section 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from ..errors import MalformedQuery, Refused
from .lexer import Cursor, Token, malformed, place, tokens, unescape_codepoints
from .prologue import Prologue, Written

QUERY_FORMS = ("SELECT", "ASK", "CONSTRUCT", "DESCRIBE")
UPDATE_WORDS = (
    "INSERT", "DELETE", "LOAD", "CLEAR", "DROP", "CREATE", "ADD", "MOVE", "COPY", "WITH",
)  # fmt: skip

#: Keywords after which a name in front of a brace names a graph.
_BEFORE_GRAPH = ("GRAPH", "FROM", "NAMED", "WITH", "USING")
_SERVICE = re.compile("service", re.IGNORECASE)
_HTTP = re.compile("https?://", re.IGNORECASE)
_CALL = (
    "SERVICE is refused, this endpoint calls no other. Ask the other endpoint yourself and join the"
    " results, or send its data in VALUES."
)
_AMBIGUOUS = (
    "'{}' is refused in a request that has the word SERVICE: it can be read as an IRI, and as an"
    " operator before a string or a comment. Write the IRI in full, or a space after the operator."
)
#: The beginning of an IRI with a sign that would begin a string or a comment.
_BEFORE_SIGN = re.compile("[^'#]*(?=['#])")


@dataclass(frozen=True)
class Query:
    """A query that passed the guard.

    Attributes:
        form: SELECT, ASK, CONSTRUCT or DESCRIBE.
        default_graphs, named_graphs: the IRIs of its FROM clauses; both None when it has none.
    """

    text: str
    form: str
    default_graphs: list[str] | None = None
    named_graphs: list[str] | None = None

    @property
    def gives_triples(self) -> bool:
        """Whether the result is a graph rather than rows or a yes or no."""
        return self.form in ("CONSTRUCT", "DESCRIBE")


def guard(text: str) -> Query:
    """Read a query and refuse what this endpoint does not do.

    Raises:
        MalformedQuery: it is an update, or has no query form.
        Refused: it has a SERVICE clause, or a FROM clause with an IRI that is neither http nor https.
    """
    refuse_service(text)
    cursor = Cursor(text)
    prologue = Prologue.read(cursor)
    form = _form(cursor)
    default, named = _dataset(cursor, prologue)
    refuse_foreign("FROM", default + named)
    if not default and not named:
        return Query(text, form)
    return Query(text, form, default, named)


def refuse_service(text: str) -> None:
    """Refuse a request that calls another endpoint, in whichever way the engine might read it.

    The engine asks for no space around keywords: it reads ``SERVICEx:y``, ``SERVICESILENT`` and, after
    a triple, ``trueSERVICE`` as the clause. It takes ``<`` for an operator where an expression goes
    on, and reads what follows as strings and comments. Measured on pyoxigraph 0.5.13.

    Raises:
        Refused: it does, or cannot be told from one that does.
    """
    if not _SERVICE.search(unescape_codepoints(text)):
        return
    _refuse_service(text)
    unescaped = unescape_codepoints(text)
    if unescaped != text:
        # An engine that resolved escapes first, as SPARQL 1.1 has it, would read this.
        _refuse_service(unescaped)


def _refuse_service(text: str) -> None:
    before = Token("end", "", 0)
    found = [*tokens(text), before]
    for token, after in pairwise(found):
        if token.kind == "iri":
            refused = _AMBIGUOUS if _is_ambiguous(token.text) else ""
        else:
            refused = _CALL if _calls_out(before, token, after) else ""
        if refused:
            raise refused_at(text, token.start, refused.format(token.text))
        before = token


def _calls_out(before: Token, token: Token, after: Token) -> bool:
    if token.kind == "name":
        names_graph = after.text != "{" or before.word in _BEFORE_GRAPH
        return not names_graph and bool(_SERVICE.search(token.text.partition(":")[0]))
    return token.kind == "word" and bool(_SERVICE.search(token.text))


def _is_ambiguous(iri: str) -> bool:
    """Whether an IRI can also be read as an operator and the beginning of a string or a comment."""
    sign = _BEFORE_SIGN.match(iri)
    return sign is not None and "//" not in sign.group()  # no expression has '//' outside strings


def refused_at(text: str, offset: int, detail: str) -> Refused:
    """The error for what stands at a place of a text and is not done here."""
    line, column = place(text, offset)
    return Refused(f"Line {line}, column {column}: {detail}", line=line, column=column)


def refuse_foreign(clause: str, graphs: Iterable[str], **members: str) -> None:
    """Refuse graphs whose names an endpoint might take for something to fetch.

    The one rule of which graphs there can be: it holds for queries, for changes and for parameters.

    Args:
        clause: where the names stand.
        members: of the problem.

    Raises:
        Refused: a name is neither an http nor an https IRI.
    """
    for name in graphs:
        if not _HTTP.match(name):
            raise Refused(
                f"{clause} <{name}> is refused: a graph is named by an http or https IRI, and is"
                " never fetched. /graph/ lists the graphs that are here.",
                **members,
            )


def _form(cursor: Cursor) -> str:
    if form := cursor.keyword(*QUERY_FORMS):
        return form
    token = cursor.next
    if token.word in UPDATE_WORDS:
        raise malformed(
            cursor.text,
            token.start,
            f"{token.word} starts an update, and this address takes queries only.",
        )
    if token.kind == "end":
        empty = token.start == 0 or not any(tokens(cursor.text))
        raise MalformedQuery(
            "The query has no SELECT, ASK, CONSTRUCT or DESCRIBE"
            + ("." if empty else " after its prefixes."),
            line=1,
            column=1,
        )
    raise cursor.unexpected("SELECT, ASK, CONSTRUCT or DESCRIBE")


def _dataset(cursor: Cursor, prologue: Prologue) -> tuple[list[str], list[str]]:
    """The IRIs of the FROM and FROM NAMED clauses, resolved."""
    default: list[Written] = []
    named: list[Written] = []
    depth = 0
    while cursor.next.kind != "end":
        token = cursor.take()
        if token.kind == "other":
            depth += {"{": 1, "}": -1}.get(token.text, 0)
        # The engine needs no space between the two words.
        elif depth == 0 and token.word in ("FROM", "FROMNAMED"):
            is_named = bool(cursor.keyword("NAMED")) or token.word == "FROMNAMED"
            source = cursor.next
            if source.kind in ("iri", "name"):
                (named if is_named else default).append((source.text, source.start))
    return (
        [term.value for term in prologue.terms(cursor.text, default)],
        [term.value for term in prologue.terms(cursor.text, named)],
    )
