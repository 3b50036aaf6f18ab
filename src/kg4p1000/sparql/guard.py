"""What a query may not do here, found on its tokens: call other endpoints, name graphs to fetch.

The messages are what this is for: no process that evaluates has a network (`kg4p1000.processes`), whatever a text
says. Where the kernel cannot take it, this is also the barrier, and refuses all that might be read in two ways.

Source: SPARQL 1.1 Query Language, section 21; SPARQL 1.1 Protocol, section 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from ..errors import MalformedQuery, Refused
from ..processes import can_deny_network
from ..store import CALLS_NOBODY
from ..terms import BASE, PREFIXES
from ..texts import meant
from .engine import for_engine, is_suspect
from .lexer import (
    Cursor,
    Token,
    is_ambiguous,
    is_dotted,
    malformed,
    place,
    tokens,
    unescape_codepoints,
)
from .prologue import Prologue, Written

QUERY_FORMS = ("SELECT", "ASK", "CONSTRUCT", "DESCRIBE")
UPDATE_WORDS = (
    "INSERT", "DELETE", "LOAD", "CLEAR", "DROP", "CREATE", "ADD", "MOVE", "COPY", "WITH",
)  # fmt: skip

#: Keywords after which a name in front of a brace names a graph.
_BEFORE_GRAPH = ("GRAPH", "FROM", "NAMED", "WITH", "USING")
_SERVICE = re.compile("service", re.IGNORECASE)
_CALLING = re.compile("service|load", re.IGNORECASE)
#: Functions whose value differs from one evaluation to the next. The engine asks for no space before them.
_CHANGING = re.compile("RAND|NOW|UUID|BNODE", re.IGNORECASE)
_HTTP = re.compile("https?://", re.IGNORECASE)
_DOUBTFUL = (
    "'{}' is refused in a request that has the word SERVICE or LOAD: it might be read in another way than as it"
    " looks. Leave the word out, or write {}."
)
_OURS = {prefix: space for prefix, space in PREFIXES.items() if space.startswith(BASE)}
_DECLARED = re.compile(r"PREFIX (.*): <(.*)>\n")


@dataclass(frozen=True)
class Query:
    """A query that passed the guard.

    Attributes:
        text: as it was sent.
        for_engine: what the engine is given; see `engine.for_engine`.
        form: SELECT, ASK, CONSTRUCT or DESCRIBE.
        default_graphs, named_graphs: the IRIs of its FROM clauses; both None when it has none.
        columns: of ``SELECT *``: where the star stands in what the engine is given, and the variables in the order in
            which they appear.
        repeatable: whether it gives the same answer each time it is asked of the same version.
        terms: the IRIs of ours that it names.
        bound: variables that are given values, wherever they stand.
    """

    text: str
    for_engine: str
    form: str
    default_graphs: list[str] | None = None
    named_graphs: list[str] | None = None
    columns: tuple[int, tuple[str, ...]] | None = None
    repeatable: bool = True
    terms: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()

    @property
    def gives_triples(self) -> bool:
        """Whether the result is a graph rather than rows or a yes or no."""
        return self.form in ("CONSTRUCT", "DESCRIBE")


@dataclass
class _Body:
    """What is found in a query behind its form."""

    default: list[Written] = field(default_factory=list)
    named: list[Written] = field(default_factory=list)
    dotted: bool = False
    star: int = -1
    variables: dict[str, None] = field(default_factory=dict)
    repeatable: bool = True
    terms: set[str] = field(default_factory=set)


def guard(text: str, bound: AbstractSet[str] = frozenset()) -> Query:
    """Read a query and refuse what this endpoint does not do.

    Args:
        bound: variables that will be given values, wherever they stand.

    Raises:
        MalformedQuery: it is an update, or has no query form.
        Refused: it has a SERVICE clause, or a FROM clause with an IRI that is neither http nor https.
    """
    _refuse_doubtful(text)
    cursor = Cursor(text)
    prologue = Prologue.read(cursor)
    form = _form(cursor)
    body = _body(cursor, prologue, form)
    default, named = (
        [term.value for term in prologue.terms(text, graphs)]
        for graphs in (body.default, body.named)
    )
    refuse_foreign("FROM", default + named)
    chosen = bool(default or named)
    given = for_engine(text, bound=bound) if body.dotted or is_suspect(text) else text
    return Query(
        text,
        str(given),
        form,
        default if chosen else None,
        named if chosen else None,
        (body.star, tuple(body.variables)) if body.star >= 0 else None,
        body.repeatable,
        frozenset(body.terms),
        frozenset(bound),
    )


def _body(cursor: Cursor, prologue: Prologue, form: str) -> _Body:
    """Read a query behind its form to its end."""
    body, depth = _Body(), 0
    calling, changing = (bool(word.search(cursor.text)) for word in (_SERVICE, _CHANGING))
    spaces = _spaces(prologue)
    if form == "SELECT":
        body.star = _star(cursor)
    while cursor.next.kind != "end":
        before, token = cursor.last, cursor.take()
        if calling and _calls_out(before, token, cursor.next):
            raise refused_at(cursor.text, token.start, CALLS_NOBODY)
        match token.kind:
            case "other":
                depth += {"{": 1, "}": -1}.get(token.text, 0)
            case "word":
                if changing and _CHANGING.search(token.text):
                    body.repeatable = False
                # The engine needs no space between FROM and NAMED.
                if depth == 0 and token.word in ("FROM", "FROMNAMED"):
                    is_named = bool(cursor.keyword("NAMED")) or token.word == "FROMNAMED"
                    source = cursor.next
                    if source.kind in ("iri", "name"):
                        (body.named if is_named else body.default).append(
                            (source.text, source.start)
                        )
            case "variable" if body.star >= 0:
                body.variables[token.text[1:]] = None
            case "iri" if token.text.startswith(BASE, 1):
                body.terms.add(token.text[1:-1])
            case "name":
                body.dotted = body.dotted or is_dotted(token)
                prefix, _, local = token.text.partition(":")
                if spaces.get(prefix, "").startswith(BASE):
                    body.terms.add(spaces[prefix] + local)
    return body


def _spaces(prologue: Prologue) -> dict[str, str]:
    """What prefixes stand for: ours, and those that the query declares."""
    spaces = dict(_OURS)
    for declaration, _ in prologue.declared:
        if found := _DECLARED.match(declaration):
            spaces[found[1]] = found[2]
    return spaces


def _star(cursor: Cursor) -> int:
    """Where the star of ``SELECT *`` stands; -1 where there is none."""
    cursor.keyword("DISTINCT", "REDUCED")
    return cursor.next.start if cursor.next.text == "*" else -1


def refuse_service(text: str) -> None:
    """Refuse an update that calls another endpoint.

    Raises:
        Refused: it does, or, where the kernel does not keep it from that, cannot be told from one that does.
    """
    _refuse_doubtful(text)
    if _SERVICE.search(text):
        cursor = Cursor(text)
        while cursor.next.kind != "end":
            before, token = cursor.last, cursor.take()
            if _calls_out(before, token, cursor.next):
                raise refused_at(text, token.start, CALLS_NOBODY)


def _calls_out(before: Token, token: Token, after: Token) -> bool:
    """Whether a token is the keyword SERVICE, or has it in it.

    The engine asks for no space around keywords: it reads ``SERVICEx:y``, ``SERVICESILENT`` and, after a triple,
    ``trueSERVICE`` as the clause. Measured on pyoxigraph 0.5.13.
    """
    if token.kind == "name":
        names_graph = after.text != "{" or before.word in _BEFORE_GRAPH
        return not names_graph and bool(_SERVICE.search(token.text.partition(":")[0]))
    return token.kind == "word" and bool(_SERVICE.search(token.text))


def _refuse_doubtful(text: str) -> None:
    """Where the kernel does not keep a text from calling out, refuse what might do so as the engine reads it."""
    if can_deny_network() or not _CALLING.search(unescape_codepoints(text)):
        return
    for token in tokens(text):
        if token.kind == "word" and _CALLING.search(token.text):
            raise refused_at(text, token.start, CALLS_NOBODY)
        if remedy := _doubt(token):
            raise refused_at(text, token.start, _DOUBTFUL.format(token.text[:40], remedy))


def _doubt(token: Token) -> str:
    """What to write in place of a token that might be read in another way; nothing if it cannot."""
    if "\\" in token.text:
        return "the character itself in place of an escape"
    if token.text.startswith(("'" * 3, '"' * 3)) or (token.kind == "other" and token.text in "\"'"):
        return "a string in single quotes, on one line"
    if is_ambiguous(token):
        return "the IRI in full, or a space after the operator"
    if is_dotted(token):
        return "the name as an IRI"
    return ""


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
    if token.kind == "word" and (close := meant(token.text, QUERY_FORMS)):
        told = f"SPARQL has no word '{token.text}'; did you mean {close[0]}?"
        raise malformed(cursor.text, token.start, told)
    raise cursor.unexpected("SELECT, ASK, CONSTRUCT or DESCRIBE")
