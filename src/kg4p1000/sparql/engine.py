"""The text that the engine is given in place of the one that was sent, so that it reads and answers it as SPARQL says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from ..kernel.errors import MalformedQuery
from .lexer import is_ambiguous, is_dotted, tokens
from .patterns import Patterns, Place
from .rewriting import Assembled, Change, Rewriting
from .syntax import Parser, Select

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
    """Return whether a text may have what the engine answers wrongly."""
    if _MAYBE.search(text) is not None and _SUSPECT.search(text) is not None:
        return True
    return text.count("{") > 2 and _REACHING.search(text) is not None


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
    rewriting = Rewriting(stretch)
    if is_suspect(stretch):
        try:
            patterns = read(stretch, end is not None, bound)
        except MalformedQuery:
            pass  # the engine will not have it either
        else:
            rewriting = patterns.finish()
    rewriting.changes = [(at, to, _fixed(new)) for at, to, new in rewriting.changes]
    rewriting.replace_others(_fixes(stretch))
    return rewriting.assembled(start)


def read(text: str, is_group: bool, bound: AbstractSet[str] = frozenset()) -> Patterns:
    """Read a query, or a group in braces, and look for what the engine answers wrongly.

    Raises:
        MalformedQuery: it is not valid, as far as it is read.
        AnsweredWrongly, TooDeep: see `for_engine`.
    """
    parser = Parser(text)
    tree = parser.group() if is_group else parser.query()
    patterns = Patterns(text, parser.variables, bound)
    if isinstance(tree, Select):
        patterns.query(tree, Place())
    else:
        patterns.group(tree, Place())
    return patterns


def _fixes(text: str, whole: bool = False) -> Iterator[Change]:
    """Yield other texts for tokens that the engine does not read as SPARQL has them.

    Oxigraph 0.5.13 takes a name to end before its second group of full stops, and TRUE and FALSE for no booleans.

    Args:
        whole: goes on where what looks like a name may be part of a string.
    """
    for token in tokens(text):
        if is_dotted(token):
            yield token.start, token.end, _DOT.sub(r"\.", token.text)
        elif token.word in ("TRUE", "FALSE"):
            yield token.start, token.end, token.text.lower()
        elif is_ambiguous(token) and not whole:
            return


def _fixed(text: str) -> str:
    fixing = Rewriting(text)
    fixing.changes += _fixes(text, whole=True)
    return str(fixing.assembled())
