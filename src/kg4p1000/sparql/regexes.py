"""Patterns of REGEX and REPLACE as the engine reads them, from what XPath says.

The engine reads the patterns of Rust, which differ in the flag ``x``, in classes that take others away, and in what stands
for a group in a replacement.

Source: XQuery 1.0 and XPath 2.0 Functions and Operators, sections 7.6.1 and 7.6.4; XML Schema, part 2, appendix F.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pyoxigraph import Literal

from ..store import MemoryGraph
from .lexer import unescape_codepoints

_ESCAPE = re.compile(r"\\([tbnrf\"'\\])")
_ESCAPED = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f"}
_BLANKS = " \t\r\n"
#: Operators within a class that XPath does not have.
_DOUBLED = ("&&", "~~")
_GROUP = re.compile(r"\$([0-9]+)")
#: What is put around a replacement that comes from the data: its ``\\``, ``\$`` and ``$1`` as the engine has them.
WRAPPED = (
    "REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(",
    r', "\\\\\\\\", "\uE000"), "\\\\\\$", "\uE001"), "\\$([0-9])", "$${$1}"), "\uE001", "$$$$"), "\uE000", "\\")',
)


class Unreadable(Exception):
    """A pattern or replacement that cannot be used; says why and what to write."""


def text_of(string: str) -> str:
    """What a string of SPARQL says, without its quotes."""
    size = 3 if string[:3] in ('"""', "'''") and len(string) > 5 else 1
    inner = string[size:-size]
    parts = inner.split("\\\\")
    return "\\".join(
        _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]), unescape_codepoints(p)) for p in parts
    )


def quoted(text: str) -> str:
    """A text as a string of SPARQL."""
    return str(Literal(text))


def translated(pattern: str, flags: str) -> str:
    """A pattern as the engine is to read it, without the flag ``x``.

    Raises:
        Unreadable: the engine does not read it.
    """
    if "q" in flags:
        return pattern
    ours = "".join(_pieces(pattern, "x" in flags))
    if not _is_read(ours, flags.replace("x", "")):
        raise Unreadable(
            "this pattern cannot be read here: back references such as \\1, look-around such as (?=…), blocks such as"
            " \\p{IsGreek}, and single braces are not known. Write it without, or use CONTAINS, STRBEFORE and STRAFTER."
        )
    return ours


@lru_cache(maxsize=1024)
def _is_read(pattern: str, flags: str) -> bool:
    query = f'SELECT (REGEX("", {quoted(pattern)}, {quoted(flags)}) AS ?read) {{}}'
    return MemoryGraph(()).select(query)[0]["read"] is not None


def _pieces(pattern: str, without_blanks: bool) -> list[str]:
    pieces, depth, at = [], 0, 0
    while at < len(pattern):
        sign, two = pattern[at], pattern[at : at + 2]
        if sign == "\\":
            pieces.append(two)
            at += 2
            continue
        if depth and two == "-[":
            pieces.append("--[")
            depth += 1
            at += 2
            continue
        if depth and two in _DOUBLED:
            pieces.append(f"{sign}\\{sign}")
            at += 2
            continue
        if sign == "[":
            depth += 1
        elif sign == "]" and depth:
            depth -= 1
        if not (without_blanks and not depth and sign in _BLANKS):
            pieces.append(sign)
        at += 1
    return pieces


def replacement(text: str, pattern: str | None, flags: str) -> str:
    """A replacement as the engine is to read it.

    Args:
        pattern: for the number of its groups; None if it comes from the data.

    Raises:
        Unreadable: XPath does not read it.
    """
    if "q" in flags:
        return text.replace("$", "$$")
    groups = 9 if pattern is None else _groups(pattern)
    pieces, at = [], 0
    while at < len(text):
        sign, two = text[at], text[at : at + 2]
        if sign == "\\":
            if two not in ("\\\\", "\\$"):
                raise Unreadable(
                    r"in a replacement, '\' stands before '$' or another '\'; in a string it is written twice."
                )
            pieces.append("$$" if two == "\\$" else "\\")
            at += 2
        elif found := _GROUP.match(text, at):
            number = found[1]
            while len(number) > 1 and int(number) > groups:
                number = number[:-1]
            pieces.append(f"${{{number}}}")
            at += 1 + len(number)
        elif sign == "$":
            raise Unreadable(
                r"in a replacement, '$' stands before the number of a group; the sign itself is written '\\$'."
            )
        else:
            pieces.append(sign)
            at += 1
    return "".join(pieces)


def _groups(pattern: str) -> int:
    """How many groups a pattern has."""
    plain = re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]", "", pattern, flags=re.DOTALL)
    return len(re.findall(r"\((?!\?)", plain))
