"""Text of the graph that people read: the numbers in it, and what would turn the text around it.

A label may hold characters that set the direction of all that follows (Unicode Standard Annex 9); none
of them may reach beyond the label.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable

from .terms import natural_key

_PDF, _FSI, _PDI = "\u202c", "\u2068", "\u2069"
_CLOSED_BY = dict.fromkeys("\u202a\u202b\u202d\u202e", _PDF) | dict.fromkeys(
    "\u2066\u2067\u2068", _PDI
)
#: Characters that say in which direction text runs, and nothing else.
CONTROLS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
#: Ends of paragraphs that are no ends of lines: they would end an isolate before its time.
_BREAKS = dict.fromkeys(map(ord, "\x1c\x1d\x1e\x85\u2029"), " ")
_TURNING = re.compile(
    "[\x1c-\x1e\x85\u0590-\u08ff\u200e\u200f\u2029-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufeff"
    "\U00010800-\U00010fff\U0001e800-\U0001efff]"
)


def counted(number: int, noun: str, nouns: str = "") -> str:
    """Return a number with what it counts, in the singular or the plural.

    >>> counted(1, "row"), counted(1200, "row"), counted(2, "query", "queries")
    ('1 row', '1,200 rows', '2 queries')
    """
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def meant(word: str, known: Iterable[str], most: int = 1, cutoff: float = 0.7) -> list[str]:
    """Return those of some names that a word may have meant: the same in other capitals, else the nearest.

    >>> meant("verson", ["version", "format"])
    ['version']
    """
    by_letters: dict[str, str] = {}
    for name in sorted(known, key=natural_key):
        by_letters.setdefault(name.casefold(), name)
    if same := by_letters.get(word.casefold()):
        return [same]
    close = difflib.get_close_matches(word.casefold(), by_letters, most, cutoff)
    return [by_letters[key] for key in close]


def did_you_mean(
    word: str, known: Iterable[str], most: int = 1, cutoff: float = 0.7, *, quoted: bool = False
) -> str:
    """Return a question after what a word may have meant, with a space before it; empty where nothing is near.

    >>> did_you_mean("verson", ["version", "format"])
    ' Did you mean version?'
    """
    close = meant(word, known, most, cutoff)
    return f" Did you mean {' or '.join(map(repr if quoted else str, close))}?" if close else ""


def number(text: str) -> float | None:
    """Return the finite number that a text is, or None if it is none.

    >>> number("0.8"), number("abc"), number("NaN")
    (0.8, None, None)
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def turns(text: str) -> bool:
    """Return whether a text has characters that run from right to left, or that set a direction."""
    return _TURNING.search(text) is not None


def balanced(text: str) -> str:
    """Return a text in which all that sets a direction ends with its line.

    What is open is closed, and what closes nothing is left out, for it might close what is around.

    >>> balanced("a\\u202eb") == "a\\u202eb\\u202c"
    True
    """
    if not turns(text):
        return text
    pieces = re.split("([\r\n]+)", text.translate(_BREAKS))
    return "".join(_balanced_line(piece) for piece in pieces)


def isolated(text: str) -> str:
    """Return a text that leaves what stands around it as it is, where markup cannot see to that."""
    return f"{_FSI}{balanced(text)}{_PDI}" if turns(text) else text


def _balanced_line(line: str) -> str:
    waiting: list[str] = []
    kept: list[str] = []
    for char in line:
        if char in _CLOSED_BY:
            waiting.append(_CLOSED_BY[char])
        elif char == _PDF:
            if waiting[-1:] != [_PDF]:
                continue
            waiting.pop()
        elif char == _PDI:
            if _PDI not in waiting:
                continue
            while waiting.pop() != _PDI:
                pass
        kept.append(char)
    return "".join(kept + waiting[::-1])
