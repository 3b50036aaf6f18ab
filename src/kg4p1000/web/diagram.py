"""A module of the ontology as a drawing in SVG, made from its axioms alone.

Each class is a box with its properties; lines with a closed head lead to the wider class, lines with
an open head to the class that a property leads to. What the lines say stands in words as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from html import escape

from ..terms import TERMS
from ..texts import isolated
from .reference import Entry, Module, Reference

#: Pixels: of a character and a line of text, around a box, between rows, and how wide a row may be.
_CHAR, _LINE, _PAD, _GAP, _ACROSS, _WIDEST = 7.2, 17, 9, 58, 26, 980


@dataclass
class Box:
    """A class with the lines in it and its place."""

    entry: Entry
    title: str
    lines: list[str] = field(default_factory=list)
    own: bool = True
    x: float = 0
    y: float = 0

    @property
    def width(self) -> float:
        """In pixels."""
        longest = max([len(self.title) * 1.1, *map(len, self.lines)])
        return longest * _CHAR + 2 * _PAD

    @property
    def height(self) -> float:
        """In pixels."""
        return (1 + len(self.lines)) * _LINE + 2 * _PAD + (5 if self.lines else 0)


@dataclass(frozen=True)
class Link:
    """A line from one class to another: to a wider class, or by a property."""

    start: str
    end: str
    label: str = ""

    @property
    def wider(self) -> bool:
        """Whether it leads to a wider class."""
        return not self.label


@dataclass(frozen=True)
class Drawing:
    """The boxes and lines of a module, laid out."""

    boxes: Mapping[str, Box]
    links: tuple[Link, ...]
    width: float
    height: float


def draw(module: Module, reference: Reference, language: str) -> Drawing:
    """Lay out the classes of a module, and those of other modules that they lead to."""
    boxes: dict[str, Box] = {}
    links: list[Link] = []

    def box(term: str) -> Box | None:
        entry = reference.entries.get(term)
        if entry is None or entry.kind != "class":
            return None
        title = _shown(entry, language)
        return boxes.setdefault(term, Box(entry, title, own=entry.module == module.iri))

    for entry in module.of_kind("class"):
        box(entry.iri)
        for above in entry.above:
            if above != entry.iri and box(above):
                links.append(Link(entry.iri, above))
    for entry in module.of_kind("object property", "data property"):
        if not _forward(entry, reference):
            continue
        label = _shown(entry, language)
        ends = [end for end in entry.ranges if end.startswith(TERMS)]
        for start in entry.domains:
            source = box(start)
            if source is None:
                continue
            if not ends:
                source.lines.append(label)
            for end in ends:
                if box(end):
                    source.lines.append(f"{label} → {boxes[end].title}")
                    links.append(Link(start, end, label))
    ordered = tuple(dict.fromkeys(links))
    width, height = _place(boxes, ordered)
    return Drawing(boxes, ordered, width, height)


def _shown(entry: Entry, language: str) -> str:
    """The label of a term, as it stands in a line with others."""
    return isolated(entry.label(language)[0])


def _forward(entry: Entry, reference: Reference) -> bool:
    """Whether a property is drawn: of a pair of inverses only the one that comes first by name."""
    pairs = [other for other in entry.inverses if other in reference.entries]
    return all(_drawn_first(entry.iri, other) for other in pairs)


def _drawn_first(one: str, other: str) -> bool:
    # "has …" is the way back of a property that says more.
    backward = [term.removeprefix(TERMS).startswith("has") for term in (one, other)]
    return (backward[0], one) <= (backward[1], other)


def _ranks(boxes: Mapping[str, Box], links: Iterable[Link]) -> dict[str, int]:
    """Rows from the top: a wider class above a narrower, a class above those it leads to."""
    below: dict[str, list[str]] = {term: [] for term in boxes}
    for link in links:
        upper, lower = (link.end, link.start) if link.wider else (link.start, link.end)
        if upper != lower:
            below[upper].append(lower)
    ranks = dict.fromkeys(boxes, 0)

    for term in boxes:
        # Each class of the way with those below it that are still to be looked at; no deep recursion,
        # for a chain may be as long as the module.
        path = {term: iter(below[term])}
        while path:
            upper = next(reversed(path))
            lower = next(path[upper], None)
            if lower is None:
                del path[upper]
            elif lower not in path and ranks[lower] <= ranks[upper] < len(boxes):
                ranks[lower] = ranks[upper] + 1
                path[lower] = iter(below[lower])
    return ranks


def _place(boxes: Mapping[str, Box], links: tuple[Link, ...]) -> tuple[float, float]:
    ranks = _ranks(boxes, links)
    rows: list[list[Box]] = []
    for rank in sorted(set(ranks.values())):
        row: list[Box] = []
        for box in _near_their_neighbours(
            [boxes[t] for t in boxes if ranks[t] == rank], links, rows
        ):
            if row and sum(b.width + _ACROSS for b in row) + box.width > _WIDEST:
                rows.append(row)
                row = []
            row.append(box)
        rows.append(row)
    widest = max((_width(row) for row in rows), default=0)
    y = 8.0
    for row in rows:
        x = 8 + (widest - _width(row)) / 2
        for box in row:
            box.x, box.y = x, y
            x += box.width + _ACROSS
        y += max(box.height for box in row) + _GAP
    return widest + 16, y - _GAP + 8 if rows else 0


def _width(row: list[Box]) -> float:
    return sum(box.width for box in row) + _ACROSS * (len(row) - 1)


def _near_their_neighbours(
    row: list[Box], links: tuple[Link, ...], above: list[list[Box]]
) -> list[Box]:
    """Boxes in the order of those above to which lines lead."""
    place = {box.entry.iri: i for line in above for i, box in enumerate(line)}

    def order(box: Box) -> tuple[float, str]:
        ends = [link.end if link.start == box.entry.iri else link.start for link in links
                if box.entry.iri in (link.start, link.end)]  # fmt: skip
        known = [place[end] for end in ends if end in place]
        return (sum(known) / len(known) if known else len(row) / 2, box.title)

    return sorted(row, key=order)


def svg(
    drawing: Drawing, module: Module, language: str, href: Callable[[str], str | None], title: str
) -> str:
    """The drawing as SVG to stand in a page; its description says all lines in words."""
    if not drawing.boxes:
        return ""
    name = f"drawing-{module.local}"
    parts = [
        f'<svg class="drawing" role="group" lang="{language}" aria-labelledby="{name}-t {name}-d"'
        f' viewBox="0 0 {drawing.width:.0f} {drawing.height:.0f}" width="{drawing.width:.0f}"'
        f' height="{drawing.height:.0f}" xmlns="http://www.w3.org/2000/svg">',
        f'<title id="{name}-t">{escape(title)}</title>',
        f'<desc id="{name}-d">{escape(in_words(drawing))}</desc>',
        f'<defs><marker id="{name}-wide" viewBox="0 0 12 12" refX="11" refY="6" markerWidth="12"'
        ' markerHeight="12" orient="auto"><path d="M1 1 11 6 1 11z" class="wide"/></marker>'
        f'<marker id="{name}-open" viewBox="0 0 12 12" refX="11" refY="6" markerWidth="10"'
        ' markerHeight="10" orient="auto"><path d="M1 1 11 6 1 11" class="open"/></marker></defs>',
    ]
    parts += [_line(link, drawing.boxes, name) for link in drawing.links if link.start != link.end]
    parts += [_box(box, href(box.entry.iri)) for box in drawing.boxes.values()]
    return "".join([*parts, "</svg>"])


def in_words(drawing: Drawing) -> str:
    """All that the drawing says, one sentence a line."""
    title = {term: box.title for term, box in drawing.boxes.items()}
    said = [
        f"{title[link.start]} ⊑ {title[link.end]}."
        if link.wider
        else f"{title[link.start]} – {link.label} → {title[link.end]}."
        for link in drawing.links
    ]
    return " ".join(said) or ", ".join(sorted(title.values())) + "."


def _line(link: Link, boxes: Mapping[str, Box], name: str) -> str:
    a, b = boxes[link.start], boxes[link.end]
    x1, x2 = a.x + a.width / 2, b.x + b.width / 2
    if a.y == b.y:  # side by side: an arc above the row
        y = a.y
        path = f"M{x1:.0f} {y:.0f}C{x1:.0f} {y - 40:.0f} {x2:.0f} {y - 40:.0f} {x2:.0f} {y:.0f}"
    else:
        y1, y2 = (a.y + a.height, b.y) if a.y < b.y else (a.y, b.y + b.height)
        middle = (y1 + y2) / 2
        path = f"M{x1:.0f} {y1:.0f}C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"
    kind = "wide" if link.wider else "open"
    return f'<path d="{path}" class="line {kind}" marker-end="url(#{name}-{kind})"/>'


def _box(box: Box, href: str | None) -> str:
    kind = "own" if box.own else "other"
    x, y = box.x, box.y
    text = [
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" rx="6"'
        f' class="{kind}"/>',
        f'<text x="{x + box.width / 2:.0f}" y="{y + _PAD + 12:.0f}" class="name">'
        f"{escape(box.title)}</text>",
    ]
    for i, line in enumerate(box.lines, 1):
        text.append(
            f'<text x="{x + _PAD:.0f}" y="{y + _PAD + 17 + i * _LINE:.0f}">{escape(line)}</text>'
        )
    inner = "".join(text)
    return f'<a href="{escape(href)}">{inner}</a>' if href else inner
