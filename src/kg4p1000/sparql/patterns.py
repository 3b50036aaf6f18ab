"""What the engine answers wrongly in the groups of a query, written so that it answers rightly, or refused.

SPARQL evaluates groups from the inside out. The engine (Oxigraph 0.5.13) gives the triple patterns within GRAPH and a
variable the graph, and nothing else in it; it hands values into OPTIONAL from outside, and looks for what EXISTS names in
the groups beside its own. `docs/endpoint.md` has the table of these forms, and `tests/test_engine_answers.py` a test of
each that fails when a new engine answers it as SPARQL says, so that the entry can go.

Source: SPARQL 1.1 Query Language, sections 18.2 and 18.6.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from ..kernel.errors import AnsweredWrongly, MalformedQuery
from . import expressions, triples
from .lexer import Token, malformed
from .rewriting import Change, Rewriting
from .syntax import Expression, Node, Select

#: A variable that no one writes.
NONE = "none_of_these_"
#: Takes nothing away, and keeps the engine from handing values into a group from outside.
_CLOSED = f" MINUS {{ VALUES ?{NONE} {{ 0 }} FILTER(?{NONE} = 1) }} "


@dataclass
class Seen:
    """What is known of the solutions of a group.

    Attributes:
        certain, possible: variables that each solution binds; that are in scope.
        bound: whether each solution belongs to one graph, where GRAPH with a variable stands around.
        joined: whether anything was met that gives solutions.
        loose: variables that an OPTIONAL may bind, and nothing before it.
        deep: those of them that are loose within an OPTIONAL.
        closed, blocked: whether it has to be evaluated without values from outside; whether the engine has to be told so.
    """

    certain: set[str] = field(default_factory=set)
    possible: set[str] = field(default_factory=set)
    bound: bool = False
    joined: bool = False
    loose: set[str] = field(default_factory=set)
    deep: set[str] = field(default_factory=set)
    closed: bool = False
    blocked: bool = False

    def join(self, other: Seen) -> None:
        """Add what must hold too."""
        self.blocked |= not self.deep.isdisjoint(other.possible)
        self.also(other)
        self.certain |= other.certain
        self.possible |= other.possible
        self.bound |= other.bound
        self.joined = True

    def also(self, other: Seen) -> None:
        """Add what is known of the OPTIONALs of another group."""
        self.loose |= other.loose
        self.closed |= other.closed


@dataclass
class Place:
    """A group, as far as it matters to what stands in it.

    Attributes:
        graph, active: the variable of the GRAPH around, without its sign, and what that GRAPH names.
        names, beside: variables that the group binds, complete when it is read; those that its filters see, too.
        around: the places that reach into everything within, as that of a FILTER does into its EXISTS.
        certain: variables that each solution binds of which aggregates are made.
        uses: tokens that want the graph.
    """

    group: Node | None = None
    graph: str = ""
    active: str = ""
    names: AbstractSet[str] = frozenset()
    beside: AbstractSet[str] = frozenset()
    around: tuple[Place, ...] = ()
    certain: set[str] = field(default_factory=set)
    uses: list[Token] = field(default_factory=list)


class Patterns:
    """Finds in the tree of a query what is to be written otherwise.

    Args:
        variables: all that stand in the text.
        bound: names of variables that will be given values, wherever they stand.

    Attributes:
        notes: what is not valid, which the engine tells too.

    Raises:
        AnsweredWrongly: the engine would answer it wrongly, and nothing that it can be given says the same.
    """

    def __init__(self, text: str, variables: list[Token], bound: AbstractSet[str]) -> None:
        self._to = Rewriting(text)
        self._variables, self._bound = variables, bound
        self._statements: list[Node] = []
        self._expressions: list[tuple[Expression, set[str]]] = []
        self._stretches: list[tuple[list[Token], set[str], tuple[Place, ...]]] = []
        self._labels: dict[str, Node | None] = {}
        self.notes: list[MalformedQuery] = []

    def finish(self) -> Rewriting:
        """Return all changes to the text.

        Raises:
            MalformedQuery: it is no SPARQL, though the engine takes it.
        """
        self._to.renamed = self._renamed()
        for expression, certain in self._expressions:
            expressions.rewrite(expression, certain, self._to)
        for statement in self._statements:
            triples.rewrite(statement, self._to)
        self._to.replace_others(self._to.renamed)
        return self._to

    # where expressions have values from

    def _see(self, start: int, end: int, at: Place, *names: AbstractSet[str]) -> None:
        """Note a stretch of the text that sees only some variables."""
        edges = (bisect_left(self._variables, edge, key=lambda t: t.start) for edge in (start, end))
        inside = self._variables[slice(*edges)]
        if free := {token.text[1:] for token in inside}.difference(self._bound, *names):
            self._stretches.append((inside, free, at.around))

    def _renamed(self) -> list[Change]:
        """Return other names for the variables that would find a value where they have none."""
        found: dict[int, Change] = {}
        count = Counter(token.text[1:] for token in self._variables)
        # The longer stretches first, so that those within them have the last word.
        stretches = sorted(self._stretches, key=lambda stretch: -len(stretch[0]))
        for number, (inside, names, around) in enumerate(stretches):
            here = Counter(token.text[1:] for token in inside)
            free = names.difference(*(place.names | place.beside for place in around))
            for token in inside:
                name = token.text[1:]
                if name in free and here[name] < count[name]:
                    fresh = f"{name}_{number}"
                    while fresh in count:
                        fresh += "_"
                    found[token.start] = (token.start, token.end, f"?{fresh}")
        return sorted(found.values())

    # queries

    def query(self, found: Select, at: Place) -> Seen:
        """See what a query or a SELECT within it gives."""
        at.certain = set()
        inner = self.group(found.parts[0], at) if found.parts else Seen()
        at.certain.update(inner.certain)
        if found.values:
            self._values(found.values, inner, at)
        self._check_literals(found.tokens)
        for expression in found.expressions:
            self._expression(expression, at)
        self._check_grouping(found)
        names = inner.possible if found.star else set(found.names)
        seen = Seen(names & inner.certain, set(names), inner.bound, True)
        seen.also(inner)
        seen.closed |= found.cut
        if at.graph:
            self._select_in_graph(found, at.graph, inner.possible)
        elif found.aggregated and not found.grouped:
            seen.bound = False  # it has a solution without any
        return seen

    def _check_grouping(self, found: Select) -> None:
        if not (found.grouped or found.aggregated):
            return
        if found.star:
            self._note(found.star, "SELECT * cannot stand with GROUP BY; name the variables.")
        for token in found.plain:
            if (name := token.text[1:]) not in found.keys:
                self._note(
                    token,
                    f"?{name} is neither in GROUP BY nor in an aggregate, so that it has no one value for a group. Add it"
                    f" to GROUP BY, or write (SAMPLE(?{name}) AS ?one).",
                )

    def _note(self, token: Token, detail: str) -> None:
        self.notes.append(malformed(self._to.text, token.start, detail))

    def _select_in_graph(self, found: Select, graph: str, inside: set[str]) -> None:
        """See that a SELECT within GRAPH hands on the graph."""
        why = "LIMIT and OFFSET count" if found.cut else "the aggregate is made"
        what = f"write SELECT ?{graph} … {{ GRAPH ?{graph} {{ … }} }} GROUP BY ?{graph}"
        if found.cut:
            what = f"put the SELECT around: SELECT … {{ GRAPH ?{graph} {{ … }} }}"
        if found.cut or (found.aggregated and not found.grouped):
            raise self._to.refused(
                found.start,
                f"SELECT in GRAPH ?{graph} {{ … }} is refused here, as {why} over all graphs together and not in each."
                f" To have it of each graph, {what}; to have it of one, name that graph in place of ?{graph}.",
            )
        if graph in found.names:
            return
        if graph in inside and not found.star:
            raise self._to.refused(
                found.start,
                f"this SELECT in GRAPH ?{graph} {{ … }} uses ?{graph} and does not select it, so that it is another"
                " variable. Give it another name.",
            )
        names = sorted({graph, *inside}) if found.star else [graph]
        end = found.star.end if found.star else found.after
        self._to.replace(found.star.start if found.star else end, end, f" ?{' ?'.join(names)} ")
        if found.grouped:
            self._to.replace(found.grouped, found.grouped, f" ?{graph} ")

    # groups

    def group(
        self, group: Node, outside: Place, *around: Place, beside: AbstractSet[str] = frozenset()
    ) -> Seen:
        """See what a group gives.

        Args:
            around: a place that reaches into everything within it.
            beside: variables that its filters see, too.
        """
        around = *outside.around, *around
        at = replace(outside, group=group, beside=beside, around=around, uses=[])
        if group.parts and isinstance(group.parts[0], Select):
            seen = self.query(group.parts[0], at)
        else:
            seen = Seen()
            for part in group.parts:
                getattr(self, f"_{part.kind.lower()}")(part, seen, at)
            self._bind_graph(seen, at)
        if at.uses and at.graph not in seen.possible:
            raise self._own_variable(min(use.start for use in at.uses), at.graph)
        if seen.blocked and outside.group:
            self._to.replace(group.end - 1, group.end - 1, _CLOSED)
            seen.closed = True
        at.names = seen.possible
        for part in group.parts:
            if part.kind == "FILTER":
                self._see(part.start, part.end, at, seen.possible, beside)
        return seen

    def _bind_graph(self, seen: Seen, at: Place) -> None:
        """See that what was met so far belongs to one graph that is there, within GRAPH."""
        if at.active and at.group and seen.joined and not seen.bound:
            start = at.group.start + 1
            self._to.replace(start, start, f" GRAPH {at.active} {{}} ")
        seen.bound = seen.joined = True

    def _own_variable(self, start: int, graph: str) -> AnsweredWrongly:
        """Return the error for the variable of GRAPH within its braces, where it is another one than outside."""
        return self._to.refused(
            start,
            f"?{graph} is refused here: within GRAPH ?{graph} {{ … }} it does not stand for the graph. Put what needs the"
            f" graph behind the braces, as in GRAPH ?{graph} {{ … }} FILTER(?{graph} …), or name the variable otherwise.",
        )

    def _triples(self, found: Node, seen: Seen, at: Place) -> None:
        names: set[str] = set()
        for node in found.walk():
            if node.text[:1] in ("?", "$"):
                names.add(node.text[1:])
            elif node.kind == "blank":
                if self._labels.setdefault(node.text, at.group) is not at.group:
                    why = "stands in another group too, and a blank node of a query belongs to one; use a variable."
                    self._note(node.first, f"{node.text} {why}")
            elif node.annotated and node.path and node.path.kind != "iri":
                why = (
                    "what is said of a triple by '~' or '{|' wants a single predicate, not a path."
                )
                raise self._to.refused(node.start, why)
        seen.join(Seen(names, set(names), not triples.may_be_empty(found)))
        self._statements.append(found)

    def _union(self, part: Node, seen: Seen, at: Place) -> None:
        first, *others = [self.group(group, at) for group in part.parts]
        if others:
            first = replace(first, certain=set(first.certain), possible=set(first.possible))
        for other in others:
            first.certain &= other.certain
            first.possible |= other.possible
            first.bound &= other.bound
            first.also(other)
        seen.join(first)

    _service = _union

    def _lateral(self, part: Node, seen: Seen, at: Place) -> None:
        self._bind_graph(seen, at)
        seen.join(self.group(part.parts[0], at, Place(names=seen.possible)))

    def _filter(self, part: Node, seen: Seen, at: Place) -> None:
        if part.expression:
            self._expression(part.expression, at)

    def _bind(self, part: Node, seen: Seen, at: Place) -> None:
        assert part.expression and part.expression.name
        self._filter(part, seen, at)
        token = part.expression.name
        self._see(part.start, token.start, at, seen.possible)
        if (name := token.text[1:]) in seen.possible:
            why = f"BIND cannot give ?{name} a value, it has one already; take another name."
            self._note(token, why)
        seen.bound |= not seen.joined
        seen.joined = True
        seen.possible.add(name)

    def _optional(self, part: Node, seen: Seen, at: Place) -> None:
        self._bind_graph(seen, at)
        optional = self.group(part.parts[0], at, beside=seen.possible)
        seen.blocked |= optional.closed or not seen.possible.isdisjoint(optional.loose)
        seen.deep |= optional.loose
        seen.loose |= (optional.possible - seen.certain) | optional.loose
        if at.graph in optional.possible and at.graph not in seen.certain:
            raise self._own_variable(part.start, at.graph)
        seen.possible |= optional.possible

    def _minus(self, part: Node, seen: Seen, at: Place) -> None:
        self._bind_graph(seen, at)
        (group,) = part.parts
        taken = self.group(group, at)
        self._see(group.start, group.end, at, seen.possible)
        if at.graph in taken.possible:
            raise self._own_variable(group.start, at.graph)
        shared = (seen.possible & taken.possible) - {at.graph}
        if not shared:  # it takes nothing away
            self._to.wrap(group.start + 1, group.end - 1, "{", "} FILTER(false) ")
        elif at.graph and not (seen.certain & taken.certain) - {at.graph}:
            raise self._to.refused(
                group.start,
                f"MINUS in GRAPH ?{at.graph} {{ … }} is refused where ?{min(shared)} may be unbound on one side, as too"
                " much is taken away then. Write FILTER NOT EXISTS { … } in place of MINUS { … }.",
            )

    def _graph(self, part: Node, seen: Seen, at: Place) -> None:
        graph = part.text[1:] if part.text[0] in "?$" else ""
        inner = self.group(part.parts[0], replace(at, graph=graph, active=part.text))
        if not inner.bound:
            self._to.replace(part.start, part.start, f"GRAPH {part.text} {{}} ")
        inner.bound = part.text == at.active
        if graph:
            inner.certain.add(graph)
            inner.possible.add(graph)
        seen.join(inner)

    def _values(self, part: Node, seen: Seen, at: Place) -> None:
        self._check_literals(part.tokens)
        names = set(part.names)
        undefined = any(token.word == "UNDEF" for token in part.tokens)
        seen.join(Seen(set() if undefined else names, set(names), False, True))

    def _check_literals(self, tokens: list[Token]) -> None:
        """See that literals that become values of solutions, as in VALUES and CONSTRUCT, are kept as they are."""
        for literal in expressions.literals(tokens):
            if literal.other:
                raise self._to.refused(tokens[literal.first].start, literal.other)

    def _expression(self, expression: Expression, at: Place) -> None:
        for token, group in expression.exists:
            if at.graph in self.group(group, at, at).possible:
                at.uses.append(token)
        variables = (token for token in expression.tokens if token.kind == "variable")
        at.uses.extend(token for token in variables if token.text[1:] == at.graph)
        self._expressions.append((expression, at.certain))
