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
#: An escape, a class that is taken away, an operator that XPath does not have, or a sign.
_PIECE = re.compile(r"\\.|-\[|&&|~~|.|\\", re.DOTALL)
_REPLACED = re.compile(r"\\[\\$]|\$(?P<group>[0-9]+)|[^\\$]+|(?P<wrong>.)", re.DOTALL)
#: What is put around a replacement that comes from the data: its ``\\``, ``\$`` and ``$1`` as the engine has them.
WRAPPED = (
    "REPLACE(REPLACE(REPLACE(REPLACE(REPLACE(",
    r', "\\\\\\\\", "\uE000"), "\\\\\\$", "\uE001"), "\\$([0-9])", "$${$1}"), "\uE001", "$$$$"), "\uE000", "\\")',
)


class Unreadable(Exception):
    """A pattern or replacement that cannot be used; says why and what to write."""


def text_of(string: str) -> str:
    """Return what a string of SPARQL says, without its quotes."""
    size = 3 if string[:3] in ('"""', "'''") and len(string) > 5 else 1
    parts = string[size:-size].split("\\\\")
    return "\\".join(
        _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], m[1]), unescape_codepoints(p)) for p in parts
    )


def translated(pattern: str, flags: str) -> str:
    """Return a pattern as the engine is to read it, without the flag ``x``.

    Raises:
        Unreadable: the engine does not read it.
    """
    if "q" in flags:
        return pattern
    ours, depth = "", 0
    for piece in _PIECE.findall(pattern):
        if depth and piece in ("&&", "~~"):
            ours += f"{piece[0]}\\{piece[0]}"
        elif depth and piece == "-[":
            ours += "--["
            depth += 1
        elif depth or "x" not in flags or piece not in " \t\r\n":
            ours += piece
            depth += piece[-1:] == "[" and piece[0] != "\\"
            depth -= piece == "]" and depth > 0
    if not _is_read(ours, flags.replace("x", "")):
        raise Unreadable(
            "this pattern cannot be read here: back references such as \\1, look-around such as (?=…), blocks such as"
            " \\p{IsGreek}, and single braces are not known. Write it without, or use CONTAINS, STRBEFORE and STRAFTER."
        )
    return ours


@lru_cache(maxsize=1024)
def _is_read(pattern: str, flags: str) -> bool:
    query = f'SELECT (REGEX("", {Literal(pattern)}, {Literal(flags)}) AS ?read) {{}}'
    return MemoryGraph(()).select(query)[0]["read"] is not None


def replacement(text: str, pattern: str | None, flags: str) -> str:
    """Return a replacement as the engine is to read it.

    Args:
        pattern: for the number of its groups; None if it comes from the data.

    Raises:
        Unreadable: XPath does not read it.
    """
    if "q" in flags:
        return text.replace("$", "$$")
    groups = 9 if pattern is None else _groups(pattern)

    def ours(found: re.Match[str]) -> str:
        if found["wrong"] == "\\":
            why = r"in a replacement, '\' stands before '$' or another '\'; in a string it is written twice."
            raise Unreadable(why)
        if found["wrong"]:
            why = r"in a replacement, '$' stands before the number of a group; the sign itself is written '\\$'."
            raise Unreadable(why)
        if not (number := found["group"]):
            return {"\\\\": "\\", "\\$": "$$"}.get(found[0], found[0])
        size = min(len(number), 4000)  # no group has so long a number, and no int
        while size > 1 and int(number[:size]) > groups:
            size -= 1
        return f"${{{number[:size]}}}{number[size:]}"

    return _REPLACED.sub(ours, text)


def _groups(pattern: str) -> int:
    """Return how many groups a pattern has."""
    plain = re.sub(r"\\.|\[(?:\\.|[^\]\\])*\]", "", pattern, flags=re.DOTALL)
    return len(re.findall(r"\((?!\?)", plain))
