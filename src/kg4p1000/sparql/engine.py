"""The text that the engine is given in place of the one that was sent, so that it reads and answers it as SPARQL says."""

from __future__ import annotations

import re
from collections.abc import Set as AbstractSet

from ..errors import MalformedQuery
from .lexer import Cursor, Token, is_ambiguous, is_dotted, tokens
from .patterns import Patterns
from .prologue import Assembled
from .rewriting import Rewriting

#: What any form has that the engine answers wrongly; most queries have none of it, and are looked at no further.
_SUSPECT = re.compile(
    r"""
    BNODE | GROUP_CONCAT | \b(?!(?-i:true|false)\b)(?:TRUE|FALSE)\b
  | (?:COUNT|SUM|AVG|MIN|MAX|SAMPLE)\s*+\(\s*+(?:DISTINCT\s*+)?(?:COUNT|SUM|AVG|MIN|MAX|SAMPLE)  # one in another
  | COUNT\s*+\(\s*+(?:DISTINCT\b\s*+)?[^*?$\s] | MAX\s*+\( # aggregates
  | RE(?:GEX|PLACE)\s*+\(                                 # patterns
  | \^\^\s*+(?:xs|<http://www\.w3\.org/2001/XMLSchema\#)   # literals that are not kept as they are
  | (?:STR|SAMETERM)\s*+\(\s*+[+\-.\d]                    # numbers as they are written
  | SAMETERM\s*+\([^()]*,\s*+[+\-.\d]
  | \d{19} | \.\d{18} | \de\+?\d{2}
  | <[^\s<>&|)]*+(?:&&|\|\||\)) | <<\(\s*+[<"'\d]             # what is no SPARQL
  | GRAPH\s*+(?![\w:<])                                  # GRAPH and a variable
  | (?<!\|)\|(?!\|)                                      # a path with alternatives
  | (?<!\()\*(?!\s*+(?:WHERE(?=[\s{])|FROM(?=[\s<])|\{)) # a path that may be repeated,
  | \?(?!\w)                                             # or left out
    """,
    re.VERBOSE | re.IGNORECASE,
)
#: What each of them has, found in a third of the time.
_MAYBE = re.compile(
    r"[|*&^]|RE[GP]|STR\s*+\(|SAMETERM|\d{18}|\d[eE]|<<\(|\?(?!\w)|BNODE|GRAPH|TRUE|FALSE|COUNT|SUM|AVG|MIN|MAX|SAMPLE|GROUP_C",
    re.IGNORECASE,
)
#: What evaluates a group with values from outside of it, or in a graph, which matters when there are groups within.
_REACHING = re.compile("OPTIONAL|EXISTS|GRAPH", re.IGNORECASE)
_DOT = re.compile(r"(?<!\\)\.")


def is_suspect(text: str) -> bool:
    """Whether a text may have what the engine answers wrongly."""
    if _MAYBE.search(text) is not None and _SUSPECT.search(text) is not None:
        return True
    return text.count("{") > 2 and _REACHING.search(text) is not None


def needs_help(token: Token) -> bool:
    """Whether the engine does not read a token as SPARQL has it.

    Oxigraph 0.5.13 takes a name to end before its second group of full stops, and TRUE and FALSE for no booleans.
    """
    return is_dotted(token) or (token.word in ("TRUE", "FALSE") and not token.text.islower())


def for_engine(
    text: str, start: int = 0, end: int | None = None, bound: AbstractSet[str] = frozenset()
) -> Assembled:
    """Write a query, or a group of a longer text, as the engine is to read it.

    Args:
        start, end: where a group begins and ends; without an end, the text is a query.
        bound: variables that will be given values, wherever they stand.

    Returns:
        A text that knows where each piece of it stood in the one that was sent.

    Raises:
        AnsweredWrongly: the engine would answer it wrongly, and nothing that it can be given says the same.
        TooDeep: it is nested too deeply.
    """
    stretch = text[start:end]
    changes: list[tuple[int, int, str]] = []
    if is_suspect(stretch):
        changes = _rewritten(stretch, end is not None, bound)
    written, at = Assembled(), 0
    for first, last, new in sorted([*changes, *_single(stretch, changes)], key=lambda c: c[:2]):
        written.add(stretch[at:first], start + at)
        written.add(_helped(new), start + first)
        at = last
    written.add(stretch[at:], start + at)
    return written


def _rewritten(text: str, is_group: bool, bound: AbstractSet[str]) -> list[tuple[int, int, str]]:
    rewriting, cursor = Rewriting(text), Cursor(text)
    patterns = Patterns(cursor, rewriting, bound)
    try:
        patterns.whole(is_group)
        patterns.finish()
    except MalformedQuery:
        return []  # the engine will not have it either
    if rewriting.faults:
        raise rewriting.faults[0]  # but this it would
    return rewriting.changes


def _single(text: str, changes: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """What `needs_help` outside of what is changed anyway."""
    found: list[tuple[int, int, str]] = []
    replaced = iter(sorted(c for c in changes if c[0] < c[1]))
    change = next(replaced, None)
    for token in tokens(text):
        if is_ambiguous(token):
            return found  # what looks like a name behind it may be part of a string
        while change and change[1] <= token.start:
            change = next(replaced, None)
        if needs_help(token) and not (change and change[0] <= token.start):
            found.append((token.start, token.end, token.text))
    return found


def _helped(text: str) -> str:
    parts, at = [], 0
    for token in tokens(text):
        if needs_help(token):
            new = _DOT.sub(r"\.", token.text) if token.kind == "name" else token.text.lower()
            parts += text[at : token.start], new
            at = token.end
    return "".join((*parts, text[at:]))
