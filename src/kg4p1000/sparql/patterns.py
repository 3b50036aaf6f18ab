"""What the engine answers wrongly in the groups of a query, written so that it answers rightly, or refused.

SPARQL evaluates groups from the inside out. The engine (Oxigraph 0.5.13) gives the triple patterns within GRAPH and a
variable the graph, and nothing else in it; it hands values into OPTIONAL from outside, and looks for what EXISTS names in
the groups beside its own. `docs/endpoint.md` has the table of these forms, and `tests/test_engine_answers.py` a test of
each that fails when a new engine answers it as SPARQL says, so that the entry can go.

Source: SPARQL 1.1 Query Language, sections 18.2 and 18.6.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from ..errors import AnsweredWrongly, MalformedQuery
from . import expressions, triples
from .lexer import Token, malformed, place
from .syntax import Expression, Node, Select

#: A variable that no one writes.
NONE = "none_of_these_"

Change = tuple[int, int, str]


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
class Scope:
    """A group, as far as it matters where its expressions have values from.

    Attributes:
        names: of the variables that it binds; complete when it is read.
        beside: those that its filters see, too.
        around: the scopes that reach into everything within, as that of a FILTER does into its EXISTS.
    """

    names: AbstractSet[str] = frozenset()
    beside: AbstractSet[str] = frozenset()
    around: tuple[Scope, ...] = ()


@dataclass(frozen=True)
class Place:
    """Where a part stands.

    Attributes:
        graph, active: the variable of the GRAPH around, without its sign, and what that GRAPH names.
        group: that it is in.
        certain: variables that each solution binds of which aggregates are made.
        uses: tokens that want the graph.
    """

    graph: str = ""
    active: str = ""
    group: Node | None = None
    scope: Scope = field(default_factory=Scope)
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
        self._text, self._variables, self._bound = text, variables, bound
        self._changes: list[Change] = []
        self._statements: list[Node] = []
        self._expressions: list[tuple[Expression, set[str]]] = []
        self._stretches: list[tuple[list[Token], set[str], tuple[Scope, ...]]] = []
        self._labels: dict[str, Node | None] = {}
        self._renamed: list[Change] = []
        self.notes: list[MalformedQuery] = []

    def changes(self) -> list[Change]:
        """Return what is to be written otherwise: start, end and what to put there.

        Raises:
            MalformedQuery: it is no SPARQL, though the engine takes it.
        """
        self._renamed = self._rename()
        for expression, certain in self._expressions:
            for at, detail in expressions.faults(expression):
                raise malformed(self._text, at, detail)
            self._changes += expressions.changes(expression, certain, self._copied, self.refused)
        for statement in self._statements:
            if (new := triples.rewritten(statement, self._copied, self.refused)) is not None:
                self._changes.append((statement.start, statement.end, new))
        written = sorted(change[:2] for change in self._changes if change[0] < change[1])
        for change in self._renamed:
            at = bisect_right(written, change[0], key=lambda stretch: stretch[0]) - 1
            if at < 0 or written[at][1] <= change[0]:
                self._changes.append(change)
        return self._changes

    def refused(self, at: int, detail: str) -> AnsweredWrongly:
        """Return the error for what stands at a place."""
        line, column = place(self._text, at)
        return AnsweredWrongly(f"Line {line}, column {column}: {detail}", line=line, column=column)

    def _copied(self, start: int, end: int) -> str:
        """Return a stretch of the text, with variables under other names."""
        pieces, at = [], start
        inside = (bisect_left(self._renamed, (edge,)) for edge in (start, end))
        for first, last, new in self._renamed[slice(*inside)]:
            pieces += self._text[at:first], new
            at = last
        return "".join((*pieces, self._text[at:end]))

    def _insert(self, at: int, text: str) -> None:
        self._changes.append((at, at, text))

    # where expressions have values from

    def _see(self, start: int, end: int, scope: Scope, *names: AbstractSet[str]) -> None:
        """Note a stretch of the text that sees only some variables."""
        first, last = (
            bisect_left(self._variables, at, key=lambda t: t.start) for at in (start, end)
        )
        inside = self._variables[first:last]
        if free := {token.text[1:] for token in inside}.difference(self._bound, *names):
            self._stretches.append((inside, free, scope.around))

    def _rename(self) -> list[Change]:
        """Return other names for the variables that would find a value where they have none."""
        found: dict[int, Change] = {}
        count = Counter(token.text[1:] for token in self._variables)
        # The longer stretches first, so that those within them have the last word.
        stretches = sorted(self._stretches, key=lambda stretch: -len(stretch[0]))
        for number, (inside, names, around) in enumerate(stretches):
            here = Counter(token.text[1:] for token in inside)
            seen = set().union(*(scope.names | scope.beside for scope in around))
            for token in inside:
                name = token.text[1:]
                if name in names - seen and here[name] < count[name]:
                    fresh = f"{name}_{number}"
                    while fresh in count:
                        fresh += "_"
                    found[token.start] = (token.start, token.end, f"?{fresh}")
        return sorted(found.values())

    # queries

    def query(self, found: Select, at: Place = Place()) -> Seen:
        """See what a query or a SELECT within it gives."""
        at = replace(at, certain=set())
        inner = self.group(found.parts[0], at) if found.parts else Seen()
        at.certain.update(inner.certain)
        if found.values:
            inner.join(self._values(found.values))
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
        self.notes.append(malformed(self._text, token.start, detail))

    def _select_in_graph(self, found: Select, graph: str, inside: set[str]) -> None:
        """See that a SELECT within GRAPH hands on the graph."""
        if found.cut or (found.aggregated and not found.grouped):
            why, what = (
                ("LIMIT and OFFSET count", f"put the SELECT around: SELECT … {{ GRAPH ?{graph} {{ … }} }}")
                if found.cut
                else (
                    "the aggregate is made",
                    f"write SELECT ?{graph} … {{ GRAPH ?{graph} {{ … }} }} GROUP BY ?{graph}",
                )
            )  # fmt: skip
            raise self.refused(
                found.start,
                f"SELECT in GRAPH ?{graph} {{ … }} is refused here, as {why} over all graphs together and not in each."
                f" To have it of each graph, {what}; to have it of one, name that graph in place of ?{graph}.",
            )
        if graph in found.names:
            return
        if graph in inside and not found.star:
            raise self.refused(
                found.start,
                f"this SELECT in GRAPH ?{graph} {{ … }} uses ?{graph} and does not select it, so that it is another"
                " variable. Give it another name.",
            )
        if found.star:
            names = " ".join(f"?{name}" for name in sorted({graph, *inside}))
            self._changes.append((found.star.start, found.star.end, f" {names} "))
        else:
            self._insert(found.after, f" ?{graph} ")
        if found.grouped:
            self._insert(found.grouped, f" ?{graph} ")

    # groups

    def group(
        self, group: Node, at: Place, *around: Scope, beside: AbstractSet[str] = frozenset()
    ) -> Seen:
        """See what a group gives.

        Args:
            around: a scope that reaches into everything within it.
            beside: variables that its filters see, too.
        """
        is_nested = at.group is not None
        scope = Scope(around=(*at.scope.around, *around))
        at = replace(at, group=group, scope=scope, uses=[])
        if group.parts and isinstance(group.parts[0], Select):
            seen = self.query(group.parts[0], at)
        else:
            seen = Seen()
            for part in group.parts:
                self._part(part, seen, at)
            self._bind_graph(seen, at)
        if at.uses and at.graph not in seen.possible:
            raise self._own_variable(min(use.start for use in at.uses), at.graph)
        if seen.blocked and is_nested:
            # MINUS, though it takes nothing away here, keeps the engine from handing values in from outside.
            nothing = f" MINUS {{ VALUES ?{NONE} {{ 0 }} FILTER(?{NONE} = 1) }} "
            self._insert(group.end - 1, nothing)
            seen.closed = True
        scope.names, scope.beside = seen.possible, beside
        for part in group.parts:
            if part.kind == "FILTER":
                self._see(part.start, part.end, scope, seen.possible, beside)
        return seen

    def _bind_graph(self, seen: Seen, at: Place) -> None:
        """See that what was met so far belongs to one graph that is there, within GRAPH."""
        if at.active and seen.joined and not seen.bound and at.group:
            self._insert(at.group.start + 1, f" GRAPH {at.active} {{}} ")
        seen.bound = seen.joined = True

    def _own_variable(self, start: int, graph: str) -> AnsweredWrongly:
        """Return the error for the variable of GRAPH within its braces, where it is another one than outside."""
        return self.refused(
            start,
            f"?{graph} is refused here: within GRAPH ?{graph} {{ … }} it does not stand for the graph. Put what needs the"
            f" graph behind the braces, as in GRAPH ?{graph} {{ … }} FILTER(?{graph} …), or name the variable otherwise.",
        )

    def _part(self, part: Node, seen: Seen, at: Place) -> None:
        match part.kind:
            case "triples":
                self._triples(part, seen, at)
            case "FILTER" if part.expression:
                self._expression(part.expression, at)
            case "BIND":
                self._bind(part, seen, at)
            case "OPTIONAL":
                self._optional(part, seen, at)
            case "MINUS":
                self._minus(part, seen, at)
            case "GRAPH":
                seen.join(self._graph(part, at))
            case "VALUES":
                seen.join(self._values(part))
            case "LATERAL":
                self._bind_graph(seen, at)
                seen.join(self.group(part.parts[0], at, Scope(seen.possible)))
            case "UNION" | "SERVICE":
                seen.join(self._union(part, at))

    def _triples(self, found: Node, seen: Seen, at: Place) -> None:
        names: set[str] = set()
        for node in found.walk():
            if node.text[:1] in ("?", "$"):
                names.add(node.text[1:])
            elif node.kind == "blank":
                if self._labels.setdefault(node.text, at.group) is not at.group:
                    self._note(
                        node.first,
                        f"{node.text} stands in another group too, and a blank node of a query belongs to one; use a variable.",
                    )
            elif node.annotated and node.path and node.path.kind != "iri":
                raise self.refused(
                    node.start,
                    "what is said of a triple by '~' or '{|' wants a single predicate, not a path.",
                )
        seen.join(Seen(names, set(names), not triples.may_be_empty(found)))
        if triples.has_paths(found):
            self._statements.append(found)

    def _union(self, part: Node, at: Place) -> Seen:
        seen = self.group(part.parts[0], at)
        if len(part.parts) > 1:
            seen = replace(seen, certain=set(seen.certain), possible=set(seen.possible))
        for group in part.parts[1:]:
            other = self.group(group, at)
            seen.certain &= other.certain
            seen.possible |= other.possible
            seen.bound &= other.bound
            seen.also(other)
        return seen

    def _bind(self, part: Node, seen: Seen, at: Place) -> None:
        assert part.expression
        assert part.expression.name
        self._expression(part.expression, at)
        token = part.expression.name
        self._see(part.start, token.start, at.scope, seen.possible)
        if (name := token.text[1:]) in seen.possible:
            self._note(
                token, f"BIND cannot give ?{name} a value, it has one already; take another name."
            )
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
        self._see(group.start, group.end, at.scope, seen.possible)
        if at.graph in taken.possible:
            raise self._own_variable(group.start, at.graph)
        if (seen.certain & taken.certain) - {at.graph}:
            return
        if not (shared := (seen.possible & taken.possible) - {at.graph}):
            # It takes nothing away.
            self._insert(group.start + 1, "{")
            self._insert(group.end - 1, "} FILTER(false) ")
        elif at.graph:
            raise self.refused(
                group.start,
                f"MINUS in GRAPH ?{at.graph} {{ … }} is refused where ?{min(shared)} may be unbound on one side, as too much is"
                " taken away then. Write FILTER NOT EXISTS { … } in place of MINUS { … }.",
            )

    def _graph(self, part: Node, at: Place) -> Seen:
        graph = part.text[1:] if part.text[0] in "?$" else ""
        inner = self.group(part.parts[0], replace(at, graph=graph, active=part.text))
        if not inner.bound:
            self._insert(part.start, f"GRAPH {part.text} {{}} ")
        inner.bound = part.text == at.active
        if graph:
            inner.certain.add(graph)
            inner.possible.add(graph)
        return inner

    def _values(self, part: Node) -> Seen:
        self._check_literals(part.tokens)
        names = set(part.names)
        undefined = any(token.word == "UNDEF" for token in part.tokens)
        return Seen(set() if undefined else names, set(names), False, True)

    def _check_literals(self, tokens: list[Token]) -> None:
        """See that literals that become values of solutions, as in VALUES and CONSTRUCT, are kept as they are."""
        for literal in expressions.literals(tokens):
            if literal.is_other:
                raise self.refused(tokens[literal.first].start, expressions.other(literal))

    def _expression(self, expression: Expression, at: Place) -> None:
        for token, group in expression.exists:
            if at.graph in self.group(group, at, at.scope).possible:
                at.uses.append(token)
        at.uses.extend(
            t for t in expression.tokens if t.kind == "variable" and t.text[1:] == at.graph
        )
        self._expressions.append((expression, at.certain))
