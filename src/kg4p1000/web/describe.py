"""A thing as its page tells it: statements in groups, with the names of all that they mention.

A statement is shown once, from the side of the thing, whichever direction it was made in. What the rules
add and a closer statement says already is kept apart.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from pyoxigraph import BlankNode, NamedNode

from ..kernel.errors import NotFound
from ..kernel.terms import GRAPH, ID, iri, natural_key
from ..store import Row, Term
from .reference import Reference, reference
from .rendering import WORDS, Cell, Name, Names, cell, names_of, text
from .services import services

#: Incoming statements that a page shows at most; it says so when there are more.
_MOST = 2000
_TYPE = iri("rdf:type").value
_INFERRED = GRAPH + "inferred"
_TEXTS = (iri("dcterms:description").value, iri("skos:definition").value)
_PLACE = {
    iri(name).value: place
    for start, names in ((-99, WORDS["order"]["first"]), (1, WORDS["order"]["last"]))
    for place, name in enumerate(names, start)
}
_BACKWARDS = {iri(name).value: label for name, label in WORDS["backwards"].items()}
_OUTGOING = (
    "SELECT ?thing ?graph ?property ?value WHERE { GRAPH ?graph { ?thing ?property ?value } }"
)
_INCOMING = f"""SELECT ?thing ?graph ?property ?value
WHERE {{ GRAPH ?graph {{ ?value ?property ?thing FILTER(isIRI(?value)) }} }} LIMIT {_MOST + 1}"""
_NESTED = f"""SELECT ?thing ?node ?property ?value WHERE {{
  GRAPH ?graph {{
    ?thing ?via ?node FILTER(isBlank(?node))
    {{ ?node ?property ?value FILTER(?property NOT IN (rdf:first, rdf:rest, <{_TYPE}>)) }}
    UNION {{ ?node rdf:rest*/rdf:first ?value BIND(rdf:first AS ?property) }}
  }}
}}"""
#: What single readers said is told on the pages of pairs and actions; on that of an activity it would bury the rest.
_READ = tuple(f"{ID}{kind}/" for kind in ("reading", "passage"))

#: A property, and whether its statements point at the thing.
Side = tuple[str, bool]


@dataclass
class Value:
    """The other end of a statement."""

    cell: Cell
    name: Name | None
    nested: list[tuple[Name, list[Cell]]]
    graphs: set[str] = field(default_factory=set)

    @property
    def inferred(self) -> bool:
        """Return whether only the rules say so."""
        return self.graphs == {_INFERRED}

    @property
    def order(self) -> tuple[bool, list[tuple[int, int, str]]]:
        """Sort key: English first, then by code or text."""
        foreign = self.cell.lang not in ("", "en")
        return foreign, self.name.order if self.name else natural_key(self.cell.text.casefold())


@dataclass
class Group:
    """All values of one property, or all that point here by it."""

    prop: Name
    incoming: bool
    values: list[Value]

    @property
    def inferred(self) -> bool:
        """Return whether all of it comes from the rules."""
        return all(value.inferred for value in self.values)

    @cached_property
    def graphs(self) -> set[str] | None:
        """The graphs, where they are the same for all values."""
        first = self.values[0].graphs
        return first if all(value.graphs == first for value in self.values) else None

    @property
    def long(self) -> bool:
        """Return whether it is shown as a list of its own rather than as a line of the table."""
        return len(self.values) > 3 and self.values[0].cell.kind == "iri" and not self.inferred

    @property
    def order(self) -> tuple[bool, bool, int, str]:
        """Sort key: what the thing says itself first, then what people look for."""
        place = _PLACE.get(self.prop.iri, 0)
        return self.incoming, self.inferred, place, self.prop.text.casefold()


@dataclass(frozen=True)
class Thing:
    """What the page of a thing shows.

    Attributes:
        texts: its descriptions and definitions, paragraphs kept.
        groups: its statements; `implied` those that follow from closer ones.
        cut: incoming statements were left out, because there are too many.
    """

    iri: str
    name: Name
    types: list[Value]
    implied_types: list[Value]
    texts: list[Value]
    groups: list[Group]
    implied: list[Group]
    cut: bool

    def without(self, things: Container[str], properties: Container[str] = ()) -> Thing:
        """Return the thing without what the page shows elsewhere.

        Args:
            things: of the groups that lead to nothing else.
            properties: of groups in both directions; what nodes without names say is shown nowhere else.
        """
        kept = []
        for group in self.groups:
            if group.prop.iri in properties:
                values = [value for value in group.values if value.nested]
                kept += [replace(group, values=values)] if values else []
            elif not all(value.name and value.name.iri in things for value in group.values):
                kept.append(group)
        return replace(self, groups=kept)


def describe(subject: NamedNode, version: int) -> Thing:
    """Read all that the graph says of a thing.

    Raises:
        NotFound: it says nothing.
    """
    select = partial(services().select, version=version, thing=subject)
    outgoing = select(_OUTGOING)
    if not outgoing:
        raise NotFound(f"The graph says nothing of {subject.value}.")
    incoming, book = select(_INCOMING), reference(version)
    if subject.value.startswith(f"{ID}activity/"):
        outgoing, incoming = (
            [row for row in rows if not text(row["value"]).startswith(_READ)]
            for rows in (outgoing, incoming)
        )
    blank = any(isinstance(row["value"], BlankNode) for row in outgoing)
    nested = select(_NESTED) if blank else []
    rows = [*outgoing, *incoming[:_MOST], *nested]
    properties = {text(row["property"]) for row in rows}
    properties |= {inverse for prop in properties if (inverse := book.inverse(prop))}
    ends = {row["value"].value for row in rows if isinstance(row["value"], NamedNode)}
    names = names_of({subject.value} | properties | ends, version)
    grouped: dict[Side, dict[Term, Value]] = {}
    inside = _nested(nested, names)
    for rows, points_here in ((outgoing, False), (incoming[:_MOST], True)):
        for row in rows:
            held = grouped.setdefault(_side(text(row["property"]), points_here, book), {})
            value = held.setdefault(row["value"], _value(row["value"], names, inside))
            value.graphs.add(text(row["graph"]))
    return _arranged(subject.value, names, grouped, book, cut=len(incoming) > _MOST)


def _side(prop: str, incoming: bool, book: Reference) -> Side:
    """Where a statement is shown: if the property has an inverse, always as what the thing says."""
    inverse = book.inverse(prop) if incoming else ""
    return inverse or prop, incoming and not inverse


def _value(term: Term, names: Names, nested: dict[str, list[tuple[Name, list[Cell]]]]) -> Value:
    shown = cell(term)
    if not isinstance(term, NamedNode):
        return Value(shown, None, nested.get(str(term), []))
    name = names[term.value]
    return Value(replace(shown, text=name.full, lang=name.lang), name, [])


def _nested(rows: Iterable[Row], names: Names) -> dict[str, list[tuple[Name, list[Cell]]]]:
    """Return what is said of the nodes without a name, such as restrictions and lists."""
    found: dict[str, dict[str, list[Cell]]] = {}
    for row in rows:
        shown = _value(row["value"], names, {}).cell
        if isinstance(row["value"], BlankNode):
            shown = replace(shown, text="…")
        about = found.setdefault(str(row["node"]), {})
        about.setdefault(text(row["property"]), []).append(shown)
    return {
        node: [(names[prop], cells) for prop, cells in sorted(about.items())]
        for node, about in found.items()
    }


def _arranged(
    subject: str, names: Names, grouped: dict[Side, dict[Term, Value]], book: Reference, cut: bool
) -> Thing:
    for values in grouped.values():
        for value in values.values():
            if len(value.graphs) > 1:  # somebody says it, so that it need not be inferred
                value.graphs.discard(_INFERRED)
    types = sorted(grouped.pop((_TYPE, False), {}).values(), key=lambda v: v.order)
    texts = [value for prop in _TEXTS for value in grouped.pop((prop, False), {}).values()]
    groups: dict[bool, list[Group]] = {False: [], True: []}
    for (prop, incoming), values in grouped.items():
        below = [_side(other, incoming, book) for other in book.narrower(prop)]
        name = names[prop]
        if incoming:
            name = replace(name, text=_BACKWARDS.get(prop, f"← {name.text}"), lang="en")
        split: dict[bool, list[Value]] = {False: [], True: []}
        for term, value in values.items():
            closer = any(term in grouped.get(side, {}) for side in below)
            split[value.inferred and closer].append(value)
        for implied, found in split.items():
            if found:
                found.sort(key=lambda v: v.order)
                groups[implied].append(Group(name, incoming, found))
    return Thing(
        subject,
        names[subject],
        types=[value for value in types if not value.inferred],
        implied_types=[value for value in types if value.inferred],
        texts=sorted(texts, key=lambda v: v.order[0]),
        groups=sorted(groups[False], key=lambda g: g.order),
        implied=sorted(groups[True], key=lambda g: g.order),
        cut=cut,
    )
