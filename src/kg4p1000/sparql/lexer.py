"""SPARQL text as tokens, read as the engine reads it, and a cursor over them for parsers.

Source: SPARQL 1.1 Query Language, sections 19.2 and 19.8 (terminals 139 to 173).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import MalformedQuery
from ..terms import PREFIXES

_PN_CHARS_BASE = (
    "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d"
    "\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_PN_CHARS_U = _PN_CHARS_BASE + "_"
_VARNAME_CHARS = _PN_CHARS_U + "0-9\u00b7\u0300-\u036f\u203f\u2040"
_PN_CHARS = _VARNAME_CHARS + r"\-"
_PLX = r"%[0-9A-Fa-f]{2}|\\[_~.\-!$&'()*+,;=/?\#@%]"
_ESCAPE = r"\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}"

# The engine resolves \uXXXX inside IRIs and strings, after it has found where they end. The length of
# a prefix is limited so that no text takes more than linear time; what follows its colon is a name.
_TOKEN = re.compile(
    rf"""
    (?P<space>[ \t\r\n]+)
  | (?P<comment>\#[^\r\n]*)
  | (?P<iri><(?:[^<>"{{}}|^`\\\x00-\x20]|{_ESCAPE})*>)
  | (?P<string>\"\"\"(?:(?:"|"")?(?:[^"\\]|\\.))*\"\"\"
             | '''(?:(?:'|'')?(?:[^'\\]|\\.))*'''
             | "(?:[^"\\\r\n]|\\.)*"
             | '(?:[^'\\\r\n]|\\.)*')
  | (?P<variable>[?$][{_PN_CHARS_U}0-9][{_VARNAME_CHARS}]*)
  | (?P<blank>_:[{_PN_CHARS_U}0-9](?:[{_PN_CHARS}.]*[{_PN_CHARS}])?)
  | (?P<name>(?:[{_PN_CHARS_BASE}][{_PN_CHARS}.]{{0,63}}+(?<!\.))?:
             (?:(?:[{_PN_CHARS_U}:0-9]|{_PLX})
                (?:(?:[{_PN_CHARS}.:]|{_PLX})*(?:[{_PN_CHARS}:]|{_PLX}))?)?)
  | (?P<lang>@[A-Za-z]+(?:-[A-Za-z0-9]+)*)
  | (?P<word>[^\W\d]\w*)
  | (?P<number>[0-9]+\.[0-9]*[eE][+-]?[0-9]+ | \.?[0-9]+[eE][+-]?[0-9]+ | [0-9]*\.[0-9]+ | [0-9]+)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CODEPOINT = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")


class Token(NamedTuple):
    """A token of SPARQL text: its kind (a group name of the lexer, or ``end``), text and place."""

    kind: str
    text: str
    start: int

    @property
    def word(self) -> str:
        """A keyword in capitals, as keywords ignore case; nothing for other tokens."""
        return self.text.upper() if self.kind == "word" else ""

    @property
    def end(self) -> int:
        """Where the token has ended."""
        return self.start + len(self.text)


def tokens(text: str) -> Iterator[Token]:
    """The tokens of SPARQL text, without spaces and comments."""
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "other"
        if kind not in ("space", "comment"):
            yield Token(kind, match.group(), match.start())


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column, from one, of a character of a text."""
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def malformed(text: str, offset: int, detail: str) -> MalformedQuery:
    """The error for what stands at a place of a text."""
    line, column = place(text, offset)
    return MalformedQuery(f"Line {line}, column {column}: {detail}", line=line, column=column)


def unescape_codepoints(text: str) -> str:
    """Replace ``\\uXXXX`` and ``\\UXXXXXXXX`` as SPARQL 1.1, section 19.2, does before it reads tokens."""

    def char(match: re.Match[str]) -> str:
        code = int(match.group(1) or match.group(2), 16)
        return chr(code) if code < 0x110000 else match.group()

    return _CODEPOINT.sub(char, text)


class Cursor:
    """A place in a list of tokens, for parsers that look one or two tokens ahead."""

    def __init__(self, text: str) -> None:
        self.text = text
        end = Token("end", "", len(text))
        self._tokens = [*tokens(text), end, end]
        self._at = 0

    @property
    def next(self) -> Token:
        """The token that is to be read next; of the kind ``end`` when there is none."""
        return self._tokens[self._at]

    @property
    def after(self) -> Token:
        """The token behind the next one."""
        return self._tokens[self._at + 1]

    @property
    def last(self) -> Token:
        """The token that was read last."""
        return self._tokens[self._at - 1]

    def take(self) -> Token:
        """Read a token."""
        token = self._tokens[self._at]
        if token.kind != "end":
            self._at += 1
        return token

    def accept(self, sign: str) -> bool:
        """Read a punctuation mark if it is the next token."""
        token = self._tokens[self._at]
        if token.kind == "other" and token.text == sign:
            self._at += 1
            return True
        return False

    def expect(self, sign: str) -> Token:
        """Read a punctuation mark, which must be the next token."""
        token = self.next
        if not self.accept(sign):
            raise self.unexpected(f"'{sign}'")
        return token

    def keyword(self, *words: str) -> str:
        """Read a keyword if one of these is next; its name in capitals, or nothing."""
        word = self.next.word
        if word in words:
            self._at += 1
            return word
        return ""

    def skip_group(self) -> None:
        """Read a group in braces to its end."""
        opened = self.expect("{")
        depth = 1
        while depth:
            token = self.take()
            if token.kind == "end":
                raise malformed(self.text, opened.start, "this '{' is never closed.")
            if token.kind == "other":
                depth += {"{": 1, "}": -1}.get(token.text, 0)

    def unexpected(self, wanted: str) -> MalformedQuery:
        """The error for a next token that does not fit."""
        token = self.next
        found = "the end" if token.kind == "end" else f"'{_shortened(token.text)}'"
        return malformed(self.text, token.start, f"expected {wanted}, found {found}.")


def _shortened(text: str, length: int = 40) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def names(text: str) -> Iterator[str]:
    """The IRIs that a query or update writes, prefixed names resolved; those of its prologue left out."""
    declared, found = dict(PREFIXES), [*tokens(text)]
    skipped = -1
    for place_, token in enumerate(found):
        if token.word == "PREFIX" and place_ + 2 < len(found):
            declared[found[place_ + 1].text[:-1]] = found[place_ + 2].text[1:-1]
            skipped = place_ + 2
        elif place_ <= skipped:
            continue
        elif token.kind == "iri":
            yield token.text[1:-1]
        elif token.kind == "name":
            prefix, _, local = token.text.partition(":")
            if prefix in declared:
                yield declared[prefix] + local
