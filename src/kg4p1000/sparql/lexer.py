"""SPARQL text as tokens, read as the engine reads it, and a cursor over them for parsers.

Source: SPARQL 1.1 Query Language, sections 19.2 and 19.8 (terminals 139 to 173).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple, TypeVar

from ..kernel.errors import KgError, MalformedQuery
from ..kernel.terms import PREFIXES

_PN_CHARS_BASE = (
    "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d"
    "\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_PN_CHARS_U = _PN_CHARS_BASE + "_"
_VARNAME_CHARS = _PN_CHARS_U + "0-9\u00b7\u0300-\u036f\u203f\u2040"
_PN_CHARS = _VARNAME_CHARS + r"\-"
_PLX = r"%[0-9A-Fa-f]{2}|\\[_~.\-!$&'()*+,;=/?\#@%]"
#: Four digits that are no surrogate: an escape of one is none for the engine.
_SCALAR = r"(?![dD][89a-fA-F])[0-9A-Fa-f]{4}"
_ESCAPE = rf"\\u{_SCALAR}|\\U(?:0000{_SCALAR}|000[1-9A-Fa-f][0-9A-Fa-f]{{4}}|0010[0-9A-Fa-f]{{4}})"
_IN_STRING = rf"\\[tbnrf\"'\\]|{_ESCAPE}"
_IN_LOCAL = rf"[{_PN_CHARS}:]|{_PLX}"
_LOCAL = rf"(?:[{_PN_CHARS_U}:0-9]|{_PLX})(?:{_IN_LOCAL})*+(?:\.++(?:{_IN_LOCAL})++)*+"

# The engine resolves the escapes \uXXXX in IRIs and strings alone, after it has found where they end. No quantifier
# gives back what it took, so that a token is read once.
_TOKEN = re.compile(
    rf"""
    (?P<space>[ \t\r\n]++)
  | (?P<comment>\#[^\r\n]*+)
  | (?P<iri><(?:[^<>"{{}}|^`\\\x00-\x20]|{_ESCAPE})*+>)
  | (?P<string>["'])
  | (?P<variable>[?$][{_PN_CHARS_U}0-9][{_VARNAME_CHARS}]*+)
  | (?P<blank>_:[{_PN_CHARS_U}0-9][{_PN_CHARS}]*+(?:\.++[{_PN_CHARS}]++)*+)
  | (?P<name>:(?:{_LOCAL})?+)
  | (?P<letter>[{_PN_CHARS_BASE}])
  | (?P<lang>@[A-Za-z]++(?:-[A-Za-z0-9]++)*+(?:--[A-Za-z]++)?+)
  | (?P<word>[^\W\d]\w*+)
  | (?P<number>[0-9]++\.[0-9]*+[eE][+-]?[0-9]++ | \.?[0-9]++[eE][+-]?[0-9]++ | [0-9]*+\.[0-9]++ | [0-9]++)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_PREFIX = re.compile(rf"[{_PN_CHARS}.]++")
_AFTER_PREFIX = re.compile(rf":(?:{_LOCAL})?+")
_WORD = re.compile(r"\w++")
#: An IRI with a sign that would begin a string or a comment; no expression has '//' outside strings.
_AMBIGUOUS = re.compile("(?:(?!//)[^'#])*+['#]")
#: A name with more than one group of full stops, as the engine does not read it.
_DOTTED = re.compile(r"[^:]*+:[^.]++\.++[^.]++\.")
#: What may stand between quotes, by the quotes.
_STRINGS = {
    quote * count: re.compile(content, re.DOTALL)
    for quote in "\"'"
    for count, content in (
        (3, rf"(?:{quote}{{0,2}}+(?:[^{quote}\\]|{_IN_STRING}))*+"),
        (1, rf"(?:[^{quote}\\\r\n]|{_IN_STRING})*+"),
    )
}
_CODEPOINT = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")


Error = TypeVar("Error", bound=KgError)


class Token(NamedTuple):
    """A token of SPARQL text: its kind (a group name of the lexer, or ``end``), text and place."""

    kind: str
    text: str
    start: int

    @property
    def word(self) -> str:
        """Return a keyword in capitals, as keywords ignore case; nothing for other tokens."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def end(self) -> int:
        """Return where the token has ended."""
        return self.start + len(self.text)


def tokens(text: str) -> Iterator[Token]:
    """Read the tokens of SPARQL text, without spaces and comments, in time linear in its length."""
    at, failed = 0, dict.fromkeys((*_STRINGS, ":"), 0)
    while match := _TOKEN.match(text, at):
        kind, end = match.lastgroup or "other", match.end()
        if kind == "string":
            kind, end = _string(text, at, failed)
        elif kind == "letter":
            kind, end = _name(text, at, failed)
        if kind not in ("space", "comment"):
            yield Token(kind, text[at:end], at)
        at = end


# What has been looked for in vain is not looked for again from a place within: `failed` holds how far the search has
# gone. Each quote there is an escaped one, so that from it one reads on as the search did.


def _string(text: str, at: int, failed: dict[str, int]) -> tuple[str, int]:
    """Return kind and end of what a quote begins."""
    for quotes in (text[at] * 3, text[at]):
        if at >= failed[quotes] and text.startswith(quotes, at):
            content = _STRINGS[quotes].match(text, at + len(quotes))
            assert content
            if text.startswith(quotes, content.end()):
                return "string", content.end() + len(quotes)
            failed[quotes] = content.end()
    return "other", at + 1


def _name(text: str, at: int, failed: dict[str, int]) -> tuple[str, int]:
    """Return kind and end of what a letter begins: a name with a prefix, or a word."""
    if at >= failed[":"]:
        prefix = _PREFIX.match(text, at)
        assert prefix
        name = _AFTER_PREFIX.match(text, prefix.end())
        if name and text[prefix.end() - 1] != ".":
            return "name", name.end()
        failed[":"] = prefix.end()
    word = _WORD.match(text, at)
    return ("word", word.end()) if word else ("other", at + 1)


def is_dotted(token: Token) -> bool:
    """Return whether a token is a name with more than one group of full stops."""
    return token.kind == "name" and _DOTTED.match(token.text) is not None


def is_ambiguous(token: Token) -> bool:
    """Return whether an IRI can also be read as an operator and the beginning of a string or a comment."""
    return token.kind == "iri" and _AMBIGUOUS.match(token.text) is not None


def place(text: str, offset: int) -> tuple[int, int]:
    """Return line and column, from one, of a character of a text."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def error_at(kind: type[Error], text: str, offset: int, detail: str) -> Error:
    """Return an error for what stands at a place of a text."""
    line, column = place(text, offset)
    return kind(f"Line {line}, column {column}: {detail}", line=line, column=column)


malformed = partial(error_at, MalformedQuery)


def unescape_codepoints(text: str) -> str:
    """Replace ``\\uXXXX`` and ``\\UXXXXXXXX`` as SPARQL 1.1, section 19.2, does before it reads tokens."""

    def char(match: re.Match[str]) -> str:
        code = int(match.group(1) or match.group(2), 16)
        return chr(code) if code < 0x110000 else match.group()

    return _CODEPOINT.sub(char, text)


class Cursor:
    """A place in the tokens of a text, for parsers that look one or two tokens ahead.

    Attributes:
        last, next, after: the token read last, the one to read next, and the one behind it; of the kind ``end`` where
            there is none.
        variables: those that were read.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._end = Token("end", "", len(text))
        self._rest = tokens(text)
        self.last = Token("end", "", 0)
        self.variables: list[Token] = []
        self.next, self.after = (next(self._rest, self._end) for _ in range(2))

    def take(self) -> Token:
        """Read a token."""
        token = self.next
        if token.kind != "end":
            self.last, self.next, self.after = token, self.after, next(self._rest, self._end)
            if token.kind == "variable":
                self.variables.append(token)
        return token

    def accept(self, sign: str) -> bool:
        """Read a punctuation mark if it is the next token."""
        if self.next.kind == "other" and self.next.text == sign:
            self.take()
            return True
        return False

    def expect(self, sign: str) -> Token:
        """Read a punctuation mark, which must be the next token."""
        if not self.accept(sign):
            raise self.unexpected(f"'{sign}'")
        return self.last

    def keyword(self, *words: str) -> str:
        """Read a keyword if one of these is next; return it in capitals, or nothing."""
        return self.take().word if self.next.word in words else ""

    def skip_group(self) -> list[Token]:
        """Read a group in braces to its end, and return what is in it."""
        opened = self.expect("{")
        depth, found = 1, []
        while depth:
            token = self.take()
            found.append(token)
            if token.kind == "end":
                raise self.wrong(opened, "this '{' is never closed.")
            if token.kind == "other":
                depth += {"{": 1, "}": -1}.get(token.text, 0)
        return found

    def wrong(self, token: Token, detail: str) -> MalformedQuery:
        """Return the error for a token."""
        return malformed(self.text, token.start, detail)

    def unexpected(self, wanted: str) -> MalformedQuery:
        """Return the error for a next token that does not fit."""
        token = self.next
        if token.kind == "other" and token.text in "\"'":
            return self._unclosed()
        found = "the end" if token.kind == "end" else f"'{shortened(token.text)}'"
        return self.wrong(token, f"expected {wanted}, found {found}.")

    def _unclosed(self) -> MalformedQuery:
        """Return the error for a quote that begins no string."""
        text, at = self.text, self.next.start
        quotes = text[at] * 3 if text.startswith(text[at] * 3, at) else text[at]
        content = _STRINGS[quotes].match(text, at + len(quotes))
        assert content
        if text.startswith("\\", content.end()):
            escapes = r"this is no escape; write \t \b \n \r \f \" \' \\ or \u00e9."
            return malformed(text, content.end(), escapes)
        return malformed(text, at, f"the string that {quotes} begins is never closed.")


def shortened(text: str, length: int = 40) -> str:
    """Return a text that is no longer than so many characters."""
    return text if len(text) <= length else text[: length - 1] + "…"


def names(text: str) -> Iterator[str]:
    """Yield the IRIs that a query or update writes, prefixed names resolved; those of its prologue left out."""
    declared, cursor = dict(PREFIXES), Cursor(text)
    while cursor.next.kind != "end":
        token = cursor.take()
        if token.word == "PREFIX" and cursor.after.kind != "end":
            declared[cursor.take().text[:-1]] = cursor.take().text[1:-1]
        elif token.kind in ("iri", "name") and (name := expanded(token.text, declared)):
            yield name


def expanded(written: str, prefixes: Mapping[str, str]) -> str | None:
    """Return the IRI that is written as one or as a name; None for a name whose prefix is not declared."""
    if written.startswith("<"):
        return written[1:-1]
    prefix, _, local = written.partition(":")
    return prefixes[prefix] + re.sub(r"\\(.)", r"\1", local) if prefix in prefixes else None
