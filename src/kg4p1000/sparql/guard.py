"""What a query may not do here, found on its tokens: call other endpoints, name graphs to fetch.

The messages are what this is for: no process that evaluates has a network (`kg4p1000.kernel.processes`), whatever a text
says. Where the kernel cannot take it, this is also the barrier, and refuses any text with the word SERVICE or LOAD.

Source: SPARQL 1.1 Query Language, section 21; SPARQL 1.1 Protocol, section 4.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from ..kernel.errors import MalformedQuery, Refused
from ..kernel.processes import can_deny_network
from ..kernel.terms import BASE, PREFIXES
from ..kernel.texts import meant
from ..store import CALLS_NOBODY
from .engine import for_engine, is_suspect
from .lexer import Cursor, Token, error_at, is_dotted, tokens, unescape_codepoints
from .prologue import prefixes_of, read_prologue, terms
from .rewriting import Written
from .syntax import QUERY_FORMS

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
_OURS = {prefix: space for prefix, space in PREFIXES.items() if space.startswith(BASE)}


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
        """Return whether the result is a graph rather than rows or a yes or no."""
        return self.form in ("CONSTRUCT", "DESCRIBE")


def guard(text: str, bound: AbstractSet[str] = frozenset()) -> Query:
    """Read a query and refuse what this endpoint does not do.

    Args:
        bound: variables that will be given values, wherever they stand.

    Raises:
        MalformedQuery: it is an update, or has no query form.
        Refused: it has a SERVICE clause, or a FROM clause with an IRI that is neither http nor https.
    """
    refuse_service(text)
    cursor = Cursor(text)
    declared = read_prologue(cursor)
    form = _form(cursor)
    if form == "SELECT":
        cursor.keyword("DISTINCT", "REDUCED")
    star = cursor.next
    spaces = _OURS | prefixes_of(declared)
    graphs: tuple[list[Written], list[Written]] = [], []
    depth, names_, needs_help, repeatable = 0, set(), is_suspect(text), True
    changing = _CHANGING.search(text)
    while cursor.next.kind != "end":
        kind, written, _ = token = cursor.take()
        if kind == "other":
            depth += {"{": 1, "}": -1}.get(written, 0)
        elif kind == "name":
            needs_help = needs_help or is_dotted(token)
            prefix, _, local = written.partition(":")
            if prefix in spaces:
                names_.add(spaces[prefix] + local)
        elif kind == "iri":
            names_.add(written[1:-1])
        elif kind == "word" and changing and _CHANGING.search(written):
            repeatable = False
        elif kind == "word" and depth == 0 and token.word in ("FROM", "FROMNAMED"):
            # The engine needs no space between FROM and NAMED.
            is_named = bool(cursor.keyword("NAMED")) or token.word == "FROMNAMED"
            if cursor.next.kind in ("iri", "name"):
                graphs[is_named].append((cursor.next.text, cursor.next.start))
    default, named = ([term.value for term in terms(text, declared, some)] for some in graphs)
    refuse_foreign("FROM", default + named)
    variables = tuple(dict.fromkeys(variable.text[1:] for variable in cursor.variables))
    return Query(
        text,
        str(for_engine(text, bound=bound)) if needs_help else text,
        form,
        default if default or named else None,
        named if default or named else None,
        (star.start, variables) if star.text == "*" and form == "SELECT" else None,
        repeatable,
        frozenset(name for name in names_ if name.startswith(BASE)),
        frozenset(bound),
    )


def refuse_service(text: str) -> None:
    """Refuse a text that calls another endpoint.

    Raises:
        Refused: it does, or, where the kernel does not keep a process from that, has the word SERVICE or LOAD.
    """
    if not can_deny_network() and (found := _CALLING.search(unescape_codepoints(text))):
        raise error_at(Refused, text, min(found.start(), len(text)), CALLS_NOBODY)
    if _SERVICE.search(text):
        cursor = Cursor(text)
        while cursor.next.kind != "end":
            before, token = cursor.last, cursor.take()
            if _calls_out(before, token, cursor.next):
                raise error_at(Refused, text, token.start, CALLS_NOBODY)


def _calls_out(before: Token, token: Token, after: Token) -> bool:
    """Return whether a token is the keyword SERVICE, or has it in it.

    The engine asks for no space around keywords: it reads ``SERVICEx:y``, ``SERVICESILENT`` and, after a triple,
    ``trueSERVICE`` as the clause. Measured on pyoxigraph 0.5.13.
    """
    if token.kind == "name":
        names_graph = after.text != "{" or before.word in _BEFORE_GRAPH
        return not names_graph and bool(_SERVICE.search(token.text.partition(":")[0]))
    return token.kind == "word" and bool(_SERVICE.search(token.text))


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
    """Read the word that begins a query."""
    if form := cursor.keyword(*QUERY_FORMS):
        return form
    token = cursor.next
    if token.word in UPDATE_WORDS:
        told = f"{token.word} starts an update, and this address takes queries only."
        raise cursor.wrong(token, told)
    if token.kind == "end":
        empty = not any(tokens(cursor.text))
        told = "The query has no SELECT, ASK, CONSTRUCT or DESCRIBE"
        raise MalformedQuery(told + ("." if empty else " after its prefixes."), line=1, column=1)
    if token.kind == "word" and (close := meant(token.text, QUERY_FORMS)):
        told = f"SPARQL has no word '{token.text}'; did you mean {close[0]}?"
        raise cursor.wrong(token, told)
    raise cursor.unexpected("SELECT, ASK, CONSTRUCT or DESCRIBE")
