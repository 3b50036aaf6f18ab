"""SPARQL requests before they reach the store: read, guarded, and matched with a format. No Flask here.

The guard works on tokens, never on substrings: a word in a string, an IRI, a comment or a prefixed
name is not a keyword.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from .errors import MalformedQuery, Refused
from .store import Readers, Result
from .terms import BASE, PREFIXES

#: Key of a format to its media types, the one we answer with first. Sources: SPARQL 1.1 results
#: in JSON, XML, CSV and TSV; RDF 1.1 syntaxes.
RESULT_FORMATS: dict[str, tuple[str, ...]] = {
    "json": ("application/sparql-results+json", "application/json"),
    "xml": ("application/sparql-results+xml", "application/xml", "text/xml"),
    "csv": ("text/csv",),
    "tsv": ("text/tab-separated-values",),
}
RDF_FORMATS: dict[str, tuple[str, ...]] = {
    "turtle": ("text/turtle",),
    "ntriples": ("application/n-triples", "text/plain"),
    "jsonld": ("application/ld+json", "application/json"),
    "rdfxml": ("application/rdf+xml", "application/xml", "text/xml"),
}

QUERY_FORMS = ("SELECT", "ASK", "CONSTRUCT", "DESCRIBE")
UPDATE_WORDS = (
    "INSERT", "DELETE", "LOAD", "CLEAR", "DROP", "CREATE", "ADD", "MOVE", "COPY", "WITH",
)  # fmt: skip

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+)
  | (?P<comment>\#[^\r\n]*)
  | (?P<iri><[^<>"{}|^`\\\x00-\x20]*>)
  | (?P<string>\"\"\"(?:(?:"|"")?(?:[^"\\]|\\.))*\"\"\"
             | '''(?:(?:'|'')?(?:[^'\\]|\\.))*'''
             | "(?:[^"\\\r\n]|\\.)*"
             | '(?:[^'\\\r\n]|\\.)*')
  | (?P<variable>[?$]\w+)
  | (?P<blank>_:\w(?:[\w.\-]*[\w\-])?)
  | (?P<name>(?:[^\W\d_](?:[\w.\-]*[\w\-])?)?:(?:(?:[\w:]|%[0-9A-Fa-f]{2}|\\[_~.\-!$&'()*+,;=/?\#@%])
             (?:(?:[\w:\-.]|%[0-9A-Fa-f]{2}|\\[_~.\-!$&'()*+,;=/?\#@%])*
                (?:[\w:\-]|%[0-9A-Fa-f]{2}|\\[_~.\-!$&'()*+,;=/?\#@%]))?)?)
  | (?P<lang>@[A-Za-z]+(?:-[A-Za-z0-9]+)*)
  | (?P<word>[^\W\d]\w*)
  | (?P<number>[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CODEPOINT = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")


@dataclass(frozen=True)
class Token:
    """A token of SPARQL text: its kind (a group name of the lexer), text and place."""

    kind: str
    text: str
    start: int


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


def tokens(text: str) -> Iterator[Token]:
    """The tokens of SPARQL text, without spaces and comments (SPARQL 1.1, section 19.8)."""
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind not in ("space", "comment"):
            yield Token(kind, match.group(), match.start())


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from one, of a character of a text."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def unescape_codepoints(text: str) -> str:
    """Replace ``\\uXXXX`` and ``\\UXXXXXXXX`` as SPARQL 1.1, section 19.2, does before it reads tokens."""

    def char(match: re.Match[str]) -> str:
        code = int(match.group(1) or match.group(2), 16)
        return chr(code) if code < 0x110000 else match.group()

    return _CODEPOINT.sub(char, text)


def guard(text: str) -> Query:
    """Read a query and refuse what this endpoint does not do.

    Raises:
        MalformedQuery: it is an update, or has no query form.
        Refused: it has a SERVICE clause, or a FROM clause with an IRI that is neither http nor https.
    """
    found = list(tokens(text))
    _refuse_service(text, found)
    unescaped = unescape_codepoints(text)
    if unescaped != text:
        # Where escapes stand inside strings, the two readings differ; neither may call out.
        found = list(tokens(unescaped))
        _refuse_service(unescaped, found)
    form = _form(unescaped, found)
    default, named = _dataset(found)
    for name in default + named:
        if urlsplit(name).scheme not in ("http", "https"):
            raise Refused(
                f"FROM <{name}> is refused: a graph is named by an http or https IRI, and is never"
                " fetched. /graph/ lists the graphs that are here."
            )
    if not default and not named:
        return Query(text, form)
    return Query(text, form, default, named)


def _refuse_service(text: str, found: list[Token]) -> None:
    for token in found:
        # '<' may be an operator where an IRI could stand; a quote inside would hide what follows.
        hidden = token.kind == "iri" and "'" in token.text and re.search("service", text, re.I)
        if hidden or (token.kind == "word" and token.text.upper() == "SERVICE"):
            line, column = place(text, token.start)
            raise Refused(
                f"Line {line}, column {column}: SERVICE is refused, this endpoint calls no other."
                " Ask the other endpoint yourself and join the results, or send its data in VALUES.",
                line=line,
                column=column,
            )


def _form(text: str, found: list[Token]) -> str:
    prologue = False
    for token in found:
        word = token.text.upper() if token.kind == "word" else ""
        if word in QUERY_FORMS:
            return word
        if word in UPDATE_WORDS:
            line, column = place(text, token.start)
            raise MalformedQuery(
                f"Line {line}, column {column}: {word} starts an update, and this address takes"
                " queries only.",
                line=line,
                column=column,
            )
        prologue = prologue or word in ("PREFIX", "BASE", "VERSION")
    raise MalformedQuery(
        "The query has no SELECT, ASK, CONSTRUCT or DESCRIBE"
        + (" after its prefixes." if prologue else "."),
        line=1,
        column=1,
    )


def _dataset(found: list[Token]) -> tuple[list[str], list[str]]:
    """The IRIs of the FROM and FROM NAMED clauses, resolved."""
    prefixes: dict[str, str] = dict(PREFIXES)
    base = BASE
    default: list[str] = []
    named: list[str] = []
    depth = 0
    for i, token in enumerate(found):
        depth += {"{": 1, "}": -1}.get(token.text, 0)
        word = token.text.upper() if token.kind == "word" else ""
        after = found[i + 1 : i + 3]
        if word == "BASE" and after and after[0].kind == "iri":
            base = urljoin(base, after[0].text[1:-1])
        elif word == "PREFIX" and len(after) == 2 and after[1].kind == "iri":
            prefixes[after[0].text.rstrip(":")] = urljoin(base, after[1].text[1:-1])
        elif word == "FROM" and depth == 0 and after:
            is_named = after[0].text.upper() == "NAMED"
            source = after[-1] if is_named else after[0]
            (named if is_named else default).append(_resolve(source, prefixes, base))
    return default, named


def _resolve(token: Token, prefixes: Mapping[str, str], base: str) -> str:
    if token.kind == "iri":
        return urljoin(base, token.text[1:-1])
    prefix, _, local = token.text.partition(":")
    return prefixes.get(prefix, prefix + ":") + re.sub(r"\\(.)", r"\1", local)


def run(
    readers: Readers,
    query: Query,
    form: str,
    *,
    bindings: Mapping[str, Any] | None = None,
    version: int | None = None,
    timeout: float | None = None,
    gone: Callable[[], bool] = lambda: False,
) -> Result:
    """Run a guarded query.

    Args:
        form: a key of `RDF_FORMATS` when the query gives triples, else of `RESULT_FORMATS`.
        gone: tells whether the client has gone; then the query is stopped.
    """
    return readers.query(
        query.text,
        bindings=bindings,
        default_graphs=query.default_graphs,
        named_graphs=query.named_graphs,
        result_format="json" if query.gives_triples else form,
        rdf_format=form if query.gives_triples else "ntriples",
        version=version,
        timeout=timeout,
        gone=gone,
    )
