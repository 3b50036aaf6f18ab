"""The classes of a module as a drawing, laid out in rows; `_diagram.html` writes it as SVG.

Each class is a box with its properties; a line leads to the wider class, or to the class that a property leads to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ..terms import TERMS
from ..texts import isolated
from .reference import Entry, Reference

#: Pixels: of a character and a line of text, around a box, between boxes and rows, and how wide a row may be.
CHAR, LINE, PAD, _ACROSS, _GAP, _WIDEST = 7.2, 17, 9, 26, 58, 980


@dataclass
class Box:
    """A class with the lines in it and its place."""

    entry: Entry
    title: str
    own: bool
    lines: list[str] = field(default_factory=list)
    x: float = 8
    y: float = 8

    @property
    def width(self) -> float:
        """In pixels."""
        return max(len(self.title) * 1.1, *map(len, self.lines), 0) * CHAR + 2 * PAD

    @property
    def height(self) -> float:
        """In pixels."""
        return (1 + len(self.lines)) * LINE + 2 * PAD + (5 if self.lines else 0)


@dataclass(frozen=True)
class Link:
    """A line from one class to another: by a property, or without a label to a wider class."""

    start: str
    end: str
    label: str = ""


@dataclass(frozen=True)
class Drawing:
    """The boxes and lines of a module, laid out."""

    boxes: Mapping[str, Box]
    links: list[Link]

    @property
    def width(self) -> float:
        """In pixels."""
        return max((box.x + box.width for box in self.boxes.values()), default=0) + 8

    @property
    def height(self) -> float:
        """In pixels."""
        return max((box.y + box.height for box in self.boxes.values()), default=0) + 8

    @property
    def words(self) -> str:
        """All that the drawing says, one sentence a line."""
        title = {term: box.title for term, box in self.boxes.items()}
        said = [
            f"{title[link.start]} {f'– {link.label} →' if link.label else '⊑'} {title[link.end]}."
            for link in self.links
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


def draw(module: Entry, book: Reference, language: str) -> Drawing:
    """Lay out the classes of a module, and those of other modules that they lead to."""
    boxes: dict[str, Box] = {}
    links: dict[Link, None] = {}

    def box(term: str) -> Box | None:
        entry = book.entries.get(term)
        if entry is None or entry.kind != "class":
            return None
        title = isolated(entry.label(language)[0])
        return boxes.setdefault(term, Box(entry, title, entry.home == module.iri))

    for entry in book.terms(module.iri, language, "class"):
        box(entry.iri)
        for above in entry.said["above"]:
            if above != entry.iri and box(above):
                links[Link(entry.iri, above)] = None
    for entry in book.terms(module.iri, language, "object property", "data property"):
        label = isolated(entry.label(language)[0])
        ends = [end for end in entry.said["range"] if end.startswith(TERMS)]
        for start in entry.said["domain"] if _forward(entry, book) else ():
            source = box(start)
            if source and not ends:
                source.lines.append(label)
            for end in ends if source else ():
                if target := box(end):
                    source.lines.append(f"{label} → {target.title}")  # type: ignore[union-attr]
                    links[Link(start, end, label)] = None
    _place(boxes, [*links])
    return Drawing(boxes, [*links])


def _forward(entry: Entry, book: Reference) -> bool:
    """Whether a property is drawn: of two inverses the first by name; "has ..." says less than its way back."""

    def rank(term: str) -> tuple[bool, str]:
        return term.removeprefix(TERMS).startswith("has"), term

    inverses = [other for other in entry.said["inverse"] if other in book.entries]
    return all(rank(entry.iri) <= rank(other) for other in inverses)


def _place(boxes: Mapping[str, Box], links: list[Link]) -> None:
    """Give each box its place: what is wider, and what leads to others, in a row above."""
    above: dict[str, set[str]] = {term: set() for term in boxes}
    for link in links:
        upper, lower = (link.start, link.end) if link.label else (link.end, link.start)
        if upper != lower:
            above[lower].add(upper)
    rows = [*_rows(boxes, above)]
    wide = [sum(box.width + _ACROSS for box in row) for row in rows]
    y = 8.0
    for row, width in zip(rows, wide, strict=True):
        x = 8 + (max(wide) - width) / 2
        for box in row:
            box.x, box.y = x, y
            x += box.width + _ACROSS
        y += max(box.height for box in row) + _GAP


def _rows(boxes: Mapping[str, Box], above: Mapping[str, set[str]]) -> Iterator[list[Box]]:
    waiting, order = [*boxes], dict[str, float]()
    while waiting:
        # Where classes lead to each other in a circle, the first of them begins.
        ready = [term for term in waiting if not above[term] & {*waiting}] or waiting[:1]
        waiting = [term for term in waiting if term not in ready]
        for term in ready:  # below what it is linked with
            known = [order[upper] for upper in above[term] if upper in order]
            order[term] = sum(known) / len(known) if known else len(ready) / 2
        row: list[Box] = []
        for place, term in enumerate(sorted(ready, key=lambda t: (order[t], boxes[t].title))):
            order[term] = place
            if row and sum(b.width + _ACROSS for b in row) + boxes[term].width > _WIDEST:
                yield row
                row = []
            row.append(boxes[term])
        yield row
