"""What is wrong with a query that the engine does not read: one sentence with what is missing, where, and what to write."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ..kernel.errors import KgError, MalformedQuery
from ..kernel.terms import PREFIXES
from ..kernel.texts import meant
from .engine import read
from .lexer import Token, malformed, shortened, tokens
from .prologue import prefixes_of
from .rewriting import Written
from .syntax import AGGREGATES

_FUNCTIONS = (
    "ABS", "ADJUST", "BNODE", "BOUND", "CEIL", "COALESCE", "CONCAT", "CONTAINS", "DATATYPE", "DAY", "ENCODE_FOR_URI",
    "FLOOR", "HASLANG", "HASLANGDIR", "HOURS", "IF", "IRI", "ISBLANK", "ISIRI", "ISLITERAL", "ISNUMERIC", "ISTRIPLE",
    "ISURI", "LANG", "LANGDIR", "LANGMATCHES", "LCASE", "MD5", "MINUTES", "MONTH", "NOW", "OBJECT", "PREDICATE", "RAND",
    "REGEX", "REPLACE", "ROUND", "SAMETERM", "SECONDS", "SHA1", "SHA256", "SHA384", "SHA512", "STR", "STRAFTER",
    "STRBEFORE", "STRDT", "STRENDS", "STRLANG", "STRLANGDIR", "STRLEN", "STRSTARTS", "STRUUID", "SUBJECT", "SUBSTR",
    "TIMEZONE", "TRIPLE", "TZ", "UCASE", "URI", "UUID", "YEAR", *AGGREGATES,
)  # fmt: skip
_KEYWORDS = (
    "AS", "ASC", "ASK", "BASE", "BIND", "BY", "CONSTRUCT", "DESC", "DESCRIBE", "DISTINCT", "EXISTS", "FALSE", "FILTER", "FROM",
    "GRAPH", "GROUP", "HAVING", "IN", "LATERAL", "LIMIT", "MINUS", "NAMED", "NOT", "OFFSET", "OPTIONAL", "ORDER", "PREFIX",
    "REDUCED", "SELECT", "SEPARATOR", "SERVICE", "SILENT", "TRUE", "UNDEF", "UNION", "VALUES", "VERSION", "WHERE", "A",
)  # fmt: skip
_WORDS = frozenset((*_FUNCTIONS, *_KEYWORDS))
_INSTEAD = {
    "AND": "&&", "OR": "||", "NULL": "UNDEF in VALUES, or BOUND(?x) in FILTER", "LIKE": "CONTAINS(…) or REGEX(…)",
}  # fmt: skip
#: Signs that can stand outside of strings, IRIs and names, or are told of elsewhere.
_SIGNS = frozenset("{}()[]<>.,;|/^*+-?!=&~@\"'")
_NOT_END = re.compile(r"[^\n]")
#: Prefixes that are no prefixes, but the beginning of an IRI.
_SCHEMES = ("http", "https", "urn", "mailto", "file")
#: Words that may stand before a bracket, as functions do.
_BEFORE_BRACKET = frozenset({"BIND", "FILTER", "HAVING", "SELECT", "VALUES"})


def complaint(
    text: str,
    found: MalformedQuery,
    group: tuple[int, int] | None = None,
    declared: Sequence[Written] = (),
) -> MalformedQuery:
    """Return the error for a query, or a group of an update, that the engine does not read.

    Args:
        text: as it was sent.
        found: with ``line`` and ``column``, where the engine stopped.
        group, declared: where the group stands in the text, and what is declared there.
    """
    if group:
        text = _NOT_END.sub(" ", text[: group[0]]) + text[slice(*group)]
    known = {*PREFIXES, *prefixes_of(declared)}
    told = [*_words(text, known), *_structure(text, group is not None)]
    if told:
        return min(told, key=lambda error: (error.members["line"], error.members["column"]))
    line, column = found.members.get("line"), found.members.get("column")
    if not line or not column or "cannot go on" not in found.detail:
        return found
    # The engine's place, with the token that stands there or ends before it.
    offset = sum(len(before) + 1 for before in text.split("\n")[: line - 1]) + column - 1
    last = "".join([token.text for token in tokens(text) if token.start <= offset][-1:])
    detail = f"the query cannot go on like this, at or before '{shortened(last)}'."
    return malformed(text, min(offset, len(text)), detail)


def _structure(text: str, is_group: bool) -> list[MalformedQuery]:
    """Return what the grammar of groups and triples finds missing."""
    try:
        return read(text, is_group).notes
    except MalformedQuery as e:
        return [e]
    except KgError:
        return []


def _words(text: str, known: set[str]) -> Iterator[MalformedQuery]:
    """Yield the first word, prefix or sign that SPARQL does not have.

    Args:
        known: prefixes.
    """
    found = [*tokens(text), Token("end", "", len(text))]
    for token, after in pairwise(found):
        told = ""
        if token.word == "PREFIX" and after.kind == "name":
            known.add(after.text[:-1])
        elif token.kind == "word" and token.word not in _WORDS:
            told = _no_word(token, after)
        elif token.kind == "name" and (prefix := token.text.partition(":")[0]) not in known:
            told = _no_prefix(token, prefix, known)
        elif token.kind == "other":
            told = _no_sign(token, after)
        if told:
            yield malformed(text, token.start, told)
            return


def _no_word(token: Token, after: Token) -> str:
    if instead := _INSTEAD.get(token.word):
        return f"SPARQL has no '{token.text}'; write {instead}."
    is_call = after.text == "("
    near = meant(token.word, {*_FUNCTIONS, *_BEFORE_BRACKET} if is_call else _KEYWORDS)
    what = "function" if is_call and not {*near} & _BEFORE_BRACKET else "word"
    if near:
        return f"SPARQL has no {what} '{token.text}'; did you mean {near[0]}?"
    if is_call:
        return f"SPARQL has no function '{token.text}'; a function of another vocabulary is written with its prefix."
    return (
        f"'{token.text}' has no meaning here; write ?{token.text} for a variable, '{token.text}' in quotes for a text, or a"
        " prefix and ':' before a name."
    )


def _no_prefix(token: Token, prefix: str, known: set[str]) -> str:
    if prefix.lower() in _SCHEMES:
        return "an IRI is written in '<' and '>'."
    near = meant(prefix, known, cutoff=0.75)
    hint = f", or did you mean {near[0]}:{token.text.partition(':')[2]}?" if near else "."
    return (
        f"the prefix '{prefix}:' is not declared. Write PREFIX {prefix}: <…> at the beginning, with the IRI that it stands"
        f" for{hint}"
    )


def _no_sign(token: Token, after: Token) -> str:
    """Return what is wrong with a sign; nothing if it can stand where it does, or is a quote, of which the reader tells."""
    sign, told = token.text, ""
    is_glued = after.start == token.end
    if sign == "=" and after.text == "=" and is_glued:
        told = "write '=' to compare, not '=='."
    elif sign == "<" and is_glued and after.text.partition(":")[0] in _SCHEMES:
        told = "the IRI that begins here is not closed by '>', or has a blank or another sign that no IRI has."
    elif sign == "$":
        told = "a variable has a name behind '$'."
    elif sign in "“”„‘’«»":
        told = f"a text stands in straight quotes, ' or \", not in {sign}."
    elif sign == "\ufeff":
        told = "there is an invisible mark (U+FEFF) here; remove it."
    elif sign.isspace():
        told = f"there is an unusual blank (U+{ord(sign):04X}) here; write a plain one."
    elif sign not in _SIGNS:
        told = f"the sign {sign} (U+{ord(sign):04X}) has no meaning here."
    return told
