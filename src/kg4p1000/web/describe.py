"""A thing as its page tells it: statements in groups, with the names of all that they mention.

What the rules add and a closer statement says already is kept apart; a statement is shown once, from
the side of the thing, whichever direction it was made in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from pyoxigraph import BlankNode, NamedNode

from ..errors import NotFound
from ..terms import GRAPH, iri, natural_key
from .names import NAMING, Name, from_rows
from .rendering import Cell, cell
from .services import Row, Services, Term
from .vocabulary import Vocabulary, place, vocabulary

#: Incoming statements that a page shows at most; it says so when there are more.
MAX_INCOMING = 2000
_TYPE = iri("rdf:type").value
_INFERRED = GRAPH + "inferred"
_TEXTS = (iri("dcterms:description").value, iri("skos:definition").value)

_OUTGOING = """SELECT ?thing ?graph ?property ?value
WHERE { GRAPH ?graph { ?thing ?property ?value } }"""
_INCOMING = f"""SELECT ?thing ?graph ?property ?value
WHERE {{ GRAPH ?graph {{ ?value ?property ?thing FILTER(isIRI(?value)) }} }}
LIMIT {MAX_INCOMING + 1}"""
_NESTED = f"""SELECT ?thing ?node ?property ?value WHERE {{
  GRAPH ?graph {{
    ?thing ?via ?node FILTER(isBlank(?node))
    {{ ?node ?property ?value FILTER(?property NOT IN (rdf:first, rdf:rest, <{_TYPE}>)) }}
    UNION {{ ?node rdf:rest*/rdf:first ?value BIND(rdf:first AS ?property) }}
  }}
}}"""
# The inner SELECT keeps the engine from joining all names with all neighbours.
_NAMES = f"""SELECT DISTINCT ?thing ?other ?property ?name WHERE {{
  {{ SELECT DISTINCT ?thing ?other WHERE {{
      {{ GRAPH ?g {{ ?thing ?o ?v }} BIND(?thing AS ?other) }}
      UNION {{ GRAPH ?g {{ ?thing ?p ?other FILTER(isIRI(?other)) }} }}
      UNION {{ GRAPH ?g {{ ?other ?q ?thing FILTER(isIRI(?other)) }} }} }} }}
  VALUES ?property {{ {NAMING} }}
  {{ ?other ?property ?name }} UNION {{ GRAPH graph:shapes {{ ?other ?property ?name }} }}
}}"""


@dataclass
class Value:
    """The other end of a statement."""

    cell: Cell
    term: Term
    name: Name | None = None
    graphs: set[str] = field(default_factory=set)
    nested: tuple[tuple[Name, tuple[Cell, ...]], ...] = ()

    @property
    def inferred(self) -> bool:
        """Whether only the rules say so."""
        return self.graphs == {_INFERRED}

    @property
    def order(self) -> tuple[int, list[tuple[int, int, str]]]:
        """Sort key: English first, then by code or text."""
        language = self.cell.lang
        rank = 0 if language in ("", "en") else 1
        return rank, self.name.order if self.name else natural_key(self.cell.text.casefold())


@dataclass
class Group:
    """All values of one property, or all that point here by it."""

    prop: Name
    incoming: bool
    values: list[Value]

    @property
    def inferred(self) -> bool:
        """Whether all of it comes from the rules."""
        return all(value.inferred for value in self.values)

    @cached_property
    def graphs(self) -> set[str] | None:
        """The graphs, where they are the same for all values."""
        first = self.values[0].graphs
        return first if all(value.graphs == first for value in self.values) else None

    @property
    def long(self) -> bool:
        """Whether it is shown as a list of its own rather than as a line of the table."""
        things = self.values[0].cell.kind == "iri"
        return len(self.values) > 3 and things and not self.inferred


@dataclass(frozen=True)
class Thing:
    """What the page of a thing shows.

    Attributes:
        texts: its descriptions and definitions, paragraphs kept.
        groups: its statements; `implied` those that follow from closer ones.
        cut: incoming statements were left out, because there are more than `MAX_INCOMING`.
    """

    iri: str
    name: Name
    types: list[Value]
    implied_types: list[Value]
    texts: list[Value]
    groups: list[Group]
    implied: list[Group]
    cut: bool

    def without(self, told: set[str]) -> Thing:
        """The thing without the groups that only lead to what the page tells elsewhere."""
        kept = [
            group
            for group in self.groups
            if not all(value.name and value.name.iri in told for value in group.values)
        ]
        return replace(self, groups=kept)

    @property
    def facts(self) -> list[Group]:
        """The groups for the table."""
        return [group for group in self.groups if not group.long]

    @property
    def lists(self) -> list[Group]:
        """The groups that are lists of their own."""
        return [group for group in self.groups if group.long]


Key = tuple[str, bool]
Grouped = dict[Key, dict[Term, Value]]


def describe(services: Services, subject: NamedNode, version: int) -> Thing:
    """Read all that the graph says of a thing.

    Raises:
        NotFound: it says nothing.
    """
    outgoing = services.select(_OUTGOING, version, thing=subject)
    if not outgoing:
        raise NotFound(f"Version {version} of the graph says nothing of {subject.value}.")
    incoming = services.select(_INCOMING, version, thing=subject)
    names = from_rows(services.select(_NAMES, version, thing=subject))
    words = vocabulary(services, version)
    nested: dict[str, tuple[tuple[Name, tuple[Cell, ...]], ...]] = {}
    if any(isinstance(row["value"], BlankNode) for row in outgoing):
        nested = _nested(services.select(_NESTED, version, thing=subject), words)
    grouped = _group(outgoing, incoming[:MAX_INCOMING], words)
    for values in grouped.values():
        for value in values.values():
            _name(value, names, words, nested)
    return _thing(subject.value, grouped, names, words, cut=len(incoming) > MAX_INCOMING)


def _group(outgoing: Iterable[Row], incoming: Iterable[Row], words: Vocabulary) -> Grouped:
    """Statements by property; an incoming one under the inverse property where there is one."""
    grouped: Grouped = {}

    def add(row: Row, incoming: bool) -> None:
        prop, graph, value = row["property"], row["graph"], row["value"]
        shown = cell(value)
        if not (isinstance(prop, NamedNode) and isinstance(graph, NamedNode)):
            return
        if value is None or shown is None:
            return
        held = grouped.setdefault(_key(prop.value, incoming, words), {})
        held.setdefault(value, Value(shown, value)).graphs.add(graph.value)

    for row in outgoing:
        add(row, incoming=False)
    for row in incoming:
        add(row, incoming=True)
    for values in grouped.values():
        for value in values.values():
            if len(value.graphs) > 1:  # somebody says it, so that it need not be inferred
                value.graphs.discard(_INFERRED)
    return grouped


def _key(prop: str, incoming: bool, words: Vocabulary) -> Key:
    """Under what a statement is shown: where the property has an inverse, always from this side."""
    inverse = words.inverses.get(prop) if incoming else None
    return inverse or prop, incoming and not inverse


def _name(
    value: Value,
    names: dict[str, Name],
    words: Vocabulary,
    nested: dict[str, tuple[tuple[Name, tuple[Cell, ...]], ...]],
) -> None:
    if isinstance(value.term, NamedNode):
        name = names.get(value.term.value) or words.name(value.term.value)
        value.name = name
        value.cell = replace(value.cell, text=name.full, lang=name.lang)
    elif isinstance(value.term, BlankNode):
        value.nested = nested.get(value.term.value, ())


def _nested(rows: Iterable[Row], words: Vocabulary) -> dict:
    """What is said of the nodes without a name, such as restrictions and lists."""
    found: dict[str, dict[str, list[Cell]]] = {}
    for row in rows:
        node, prop, value = row["node"], row["property"], row["value"]
        shown = cell(value)
        if not (isinstance(node, BlankNode) and isinstance(prop, NamedNode)) or not shown:
            continue
        if isinstance(value, NamedNode):
            shown = replace(shown, text=words.name(value.value).full)
        elif isinstance(value, BlankNode):
            shown = replace(shown, text="…")
        found.setdefault(node.value, {}).setdefault(prop.value, []).append(shown)
    return {
        node: tuple((words.name(p), tuple(cells)) for p, cells in sorted(said.items()))
        for node, said in found.items()
    }


def _thing(
    subject: str, grouped: Grouped, names: dict[str, Name], words: Vocabulary, cut: bool
) -> Thing:
    types = sorted(grouped.pop((_TYPE, False), {}).values(), key=lambda v: v.order)
    own = names.get(subject) or words.name(subject)
    texts = [value for prop in _TEXTS for value in grouped.pop((prop, False), {}).values()]
    closer: list[Group] = []
    implied: list[Group] = []
    for (prop, incoming), values in grouped.items():
        name = words.property_name(prop, incoming)
        below = [_key(other, incoming, words) for other in words.narrower.get(prop, ())]
        split: tuple[list[Value], list[Value]] = ([], [])
        for term, value in values.items():
            said = any(term in grouped.get(key, {}) for key in below)
            split[value.inferred and said].append(value)
        for wanted, found in zip((closer, implied), split, strict=True):
            if found:
                wanted.append(Group(name, incoming, sorted(found, key=lambda v: v.order)))
    return Thing(
        iri=subject,
        name=own,
        types=[value for value in types if not value.inferred],
        implied_types=[value for value in types if value.inferred],
        texts=sorted(texts, key=lambda v: v.order[0]),
        groups=sorted(closer, key=_group_order),
        implied=sorted(implied, key=_group_order),
        cut=cut,
    )


def _group_order(group: Group) -> tuple[bool, bool, int, str]:
    name = group.prop
    return group.incoming, group.inferred, place(name.iri), name.text.casefold()
