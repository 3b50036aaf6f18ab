"""A text that is written otherwise: the changes to it, and what comes out, which knows where each piece of it stood."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from ..kernel.errors import AnsweredWrongly
from .lexer import error_at

#: Start and end in a text, and what to put there.
Change = tuple[int, int, str]
#: A piece of a text, or what stands for it, and its place in the text.
Written = tuple[str, int]


class Assembled(list[Written]):
    """A text made of pieces of another."""

    def __str__(self) -> str:
        return "".join(piece for piece, _ in self)

    def source(self, line: int, column: int) -> int:
        """Return the place in the other text of a line and column of this one."""
        offset = sum(len(before) + 1 for before in str(self).split("\n")[: line - 1]) + column - 1
        start, found = 0, 0
        for piece, source in self:
            if start <= offset:
                found = source + max(offset - start, 0)
            start += len(piece)
        return found


class Rewriting:
    """Changes to a text.

    Attributes:
        changes: those that were made.
        renamed: other names of variables, sorted; they hold in all that is copied.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.changes: list[Change] = []
        self.renamed: list[Change] = []

    def replace(self, start: int, end: int, text: str) -> None:
        """Write something in place of a stretch."""
        self.changes.append((start, end, text))

    def wrap(self, start: int, end: int, before: str, after: str) -> None:
        """Write something around a stretch."""
        self.changes += (start, start, before), (end, end, after)

    def copied(self, start: int, end: int) -> str:
        """Return a stretch with the other names of variables."""
        pieces, at = [], start
        inside = (bisect_left(self.renamed, (edge,)) for edge in (start, end))
        for first, last, new in self.renamed[slice(*inside)]:
            pieces += self.text[at:first], new
            at = last
        return "".join((*pieces, self.text[at:end]))

    def assembled(self, start: int = 0) -> Assembled:
        """Return the text with its changes.

        Args:
            start: where it stands in the text that the places are of.
        """
        found, at = Assembled(), 0
        for first, last, new in sorted(self.changes, key=lambda change: change[:2]):
            found += (self.text[at:first], start + at), (new, start + first)
            at = last
        found.append((self.text[at:], start + at))
        return found

    def replace_others(self, changes: Iterable[Change]) -> None:
        """Make changes where nothing is replaced yet."""
        replaced = sorted(change[:2] for change in self.changes if change[0] < change[1])
        for change in changes:
            at = bisect_right(replaced, change[0], key=lambda stretch: stretch[0]) - 1
            if at < 0 or replaced[at][1] <= change[0]:
                self.changes.append(change)

    def refused(self, at: int, detail: str) -> AnsweredWrongly:
        """Return the error for what stands at a place and cannot be written otherwise."""
        return error_at(AnsweredWrongly, self.text, at, detail)
