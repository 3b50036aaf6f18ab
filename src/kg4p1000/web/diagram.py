"""The classes of a module as a drawing, laid out in rows; `_diagram.html` writes it as SVG.

Each class is a box with its properties; a line leads to the wider class, or to the class that a property leads to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ..terms import TERMS
from ..texts import isolated
from .reference import Reference

#: Pixels: of a character and a line of text, around a box, between boxes and rows, and how wide a row may be.
_CHAR, _LINE, _PAD, _ACROSS, _GAP, _WIDEST = 7.2, 17, 9, 26, 58, 980


@dataclass
class Box:
    """A class with the lines in it and its place, in pixels."""

    title: str
    own: bool
    lines: list[str] = field(default_factory=list)
    x: float = 8
    y: float = 8

    @property
    def width(self) -> float:
        """As wide as its longest line."""
        return max(len(self.title) * 1.1, *map(len, self.lines), 0) * _CHAR + 2 * _PAD

    @property
    def height(self) -> float:
        """As high as all its lines."""
        return (1 + len(self.lines)) * _LINE + 2 * _PAD + (5 if self.lines else 0)


class Link(NamedTuple):
    """A line from one class to another: by a property, or without a label to a wider class."""

    start: str
    end: str
    label: str = ""


class Drawing:
    """The classes of a module, and those of other modules that they lead to, laid out."""

    def __init__(self, module: str, book: Reference, language: str) -> None:
        self._book, self._module, self._language = book, module, language
        self.boxes: dict[str, Box] = {}
        links: dict[Link, None] = {}
        for term in book.terms(module, language, "class"):
            self._box(term)
            for above in book.said(term, "above"):
                if above != term and self._box(above):
                    links[Link(term, above)] = None
        for term in book.terms(module, language, "object property", "data property"):
            label = isolated(book.label(term, language)[0])
            ends = [end for end in book.said(term, "range") if end.startswith(TERMS)]
            for start in book.said(term, "domain") if self._forward(term) else ():
                source = self._box(start)
                if source and not ends:
                    source.lines.append(label)
                for end in ends if source else ():
                    if target := self._box(end):
                        source.lines.append(f"{label} → {target.title}")  # type: ignore[union-attr]
                        links[Link(start, end, label)] = None
        self.links = [*links]
        self._place()

    @property
    def width(self) -> float:
        """Of the whole drawing, in pixels."""
        return max((box.x + box.width for box in self.boxes.values()), default=0) + 8

    @property
    def height(self) -> float:
        """Of the whole drawing, in pixels."""
        return max((box.y + box.height for box in self.boxes.values()), default=0) + 8

    @property
    def words(self) -> str:
        """All that the drawing says."""
        title = {term: box.title for term, box in self.boxes.items()}
        said = [
            f"{title[start]} {f'– {label} →' if label else '⊑'} {title[end]}."
            for start, end, label in self.links
        ]
        return " ".join(said) or ", ".join(sorted(title.values())) + "."

    def path(self, link: Link) -> str:
        """Return the curve of a line: between rows, or above the row of both."""
        a, b = self.boxes[link.start], self.boxes[link.end]
        x1, x2 = a.x + a.width / 2, b.x + b.width / 2
        y1, y2 = (a.y + a.height, b.y) if a.y < b.y else (a.y, b.y + b.height)
        middle = (y1 + y2) / 2
        if a.y == b.y:
            y2, middle = y1, y1 - 40
        return f"M{x1:.0f} {y1:.0f}C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"

    def _box(self, term: str) -> Box | None:
        if self._book.kinds.get(term) != "class":
            return None
        title = isolated(self._book.label(term, self._language)[0])
        return self.boxes.setdefault(term, Box(title, self._book.home(term) == self._module))

    def _forward(self, term: str) -> bool:
        """Whether a property is drawn: of two inverses the first by name; "has ..." says less than its way back."""

        def rank(term: str) -> tuple[bool, str]:
            return term.removeprefix(TERMS).startswith("has"), term

        inverses = [
            other for other in self._book.said(term, "inverse") if other in self._book.kinds
        ]
        return all(rank(term) <= rank(other) for other in inverses)

    def _place(self) -> None:
        """Give each box its place: what is wider, and what leads to others, in a row above."""
        above: dict[str, set[str]] = {term: set() for term in self.boxes}
        for start, end, label in self.links:
            upper, lower = (start, end) if label else (end, start)
            above[lower] |= {upper} - {lower}
        rows = [*self._rows(above)]
        wide = [sum(box.width + _ACROSS for box in row) for row in rows]
        y = 8.0
        for row, width in zip(rows, wide, strict=True):
            x = 8 + (max(wide) - width) / 2
            for box in row:
                box.x, box.y = x, y
                x += box.width + _ACROSS
            y += max(box.height for box in row) + _GAP

    def _rows(self, above: Mapping[str, set[str]]) -> Iterator[list[Box]]:
        waiting, order = [*self.boxes], dict[str, float]()
        while waiting:
            # Where classes lead to each other in a circle, the first of them begins.
            ready = [term for term in waiting if not above[term] & {*waiting}] or waiting[:1]
            waiting = [term for term in waiting if term not in ready]
            for term in ready:  # below what it is linked with
                known = [order[upper] for upper in above[term] if upper in order]
                order[term] = sum(known) / len(known) if known else len(ready) / 2
            row: list[Box] = []
            for place, term in enumerate(sorted(ready, key=lambda t: (order[t], t))):
                order[term], box = place, self.boxes[term]
                if row and sum(b.width + _ACROSS for b in row) + box.width > _WIDEST:
                    yield row
                    row = []
                row.append(box)
            yield row
