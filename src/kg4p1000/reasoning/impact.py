"""What a judgement looks at: from the shapes, the triples that can matter to a focus node.

The shapes are read as one automaton. A state is a role that a node plays in a judgement ("focus node
of this shape", "value of that property"), an edge is a triple that leads from one role to the next.
Walked backwards from a changed triple, it gives the focus nodes whose judgement may change; walked
forwards from a focus node, it gives all triples that its judgement can see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pyoxigraph import NamedNode, Triple

from .constraints import ANY, Boundless, Group, Path, matched, repeated
from .facts import PAIRS, REPEATED, SUBCLASS, TYPE, Facts
from .inference import Match

State = int
#: A node in a role.
Place = tuple[Any, State]


class TooMuch(Exception):
    """A walk has passed its limit."""


class Edge(NamedTuple):
    """What leads to a node in a role: a triple with a predicate (None is any), or being the same node."""

    predicate: NamedNode | None
    backwards: bool
    end: State
    same: bool = False


class Impact:
    """The automaton of a shapes graph.

    Attributes:
        focus: the state of each shape's focus nodes.
        boundless: why the shapes cannot be read as an automaton, None where they can.
        predicates: for each SPARQL constraint, those that it matches; None among them is any.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.focus: dict[Any, State] = {}
        self.boundless: str | None = None
        self.predicates: dict[Any, frozenset[NamedNode | None]] = {}
        self._met: set[NamedNode | None] = set()
        self._states = 0
        #: Edges from each state, those to each state turned round, and those that a triple may be.
        self._ahead: dict[State, list[Edge]] = defaultdict(list)
        self._behind: dict[State, list[Edge]] = defaultdict(list)
        self._by_predicate: dict[NamedNode | None, list[tuple[State, Edge]]] = defaultdict(list)
        self._only: dict[State, NamedNode] = {}
        try:
            for shape in facts.about:
                if facts.targets(shape):
                    self._select(shape)
        except Boundless as reason:
            self.boundless = str(reason)

    # walking

    def touched(self, match: Match, triples: Iterable[Triple], limit: int) -> set[Place]:
        """Return the focus nodes to whose judgement some triples may matter, each with its state.

        Args:
            match: gives what was there before a change or is there after it.
            limit: of nodes in roles; most lead to no focus node.

        Raises:
            TooMuch: the limit was passed.
        """
        starts: set[Place] = set()
        for triple in triples:
            for predicate in (triple.predicate, None):
                for start, edge in self._by_predicate.get(predicate, ()):
                    ends = (triple.object, triple.subject)
                    node, end = ends if edge.backwards else ends[::-1]
                    if self._fits((end, edge.end)) and self._fits((node, start)):
                        starts.add((node, start))
        states = set(self.focus.values())
        return {p for p in self._walk(match, starts, self._behind, limit)[0] if p[1] in states}

    def seen_from(self, match: Match, places: Iterable[Place], limit: int) -> set[Triple]:
        """Return the triples that the judgement of some focus nodes looks at.

        Raises:
            TooMuch: there are more than the limit.
        """
        return self._walk(match, places, self._ahead, limit)[1]

    def _walk(
        self, match: Match, places: Iterable[Place], edges: Mapping[State, list[Edge]], limit: int
    ) -> tuple[set[Place], set[Triple]]:
        """Follow edges; return all nodes in roles, and all triples on the way."""
        seen, waiting = set(places), list(places)
        passed: set[Triple] = set()
        ends: dict[tuple[Any, Any, bool], list[Any]] = {}
        while waiting:
            node, state = waiting.pop()
            for predicate, turned, end, same in edges.get(state, ()):
                key = (node, predicate, turned)
                if not same and key not in ends:
                    ask = (None, predicate, node) if turned else (node, predicate, None)
                    found = [quad.triple for quad in match(*ask)]
                    passed.update(found)
                    ends[key] = [t.subject if turned else t.object for t in found]
                for other in [node] if same else ends[key]:
                    place = (other, end)
                    if place not in seen and self._fits(place):
                        seen.add(place)
                        waiting.append(place)
            if len(seen) > limit or len(passed) > limit:
                raise TooMuch
        return seen, passed

    def _fits(self, place: Place) -> bool:
        node, state = place
        return self._only.get(state, node) == node

    # reading the shapes

    def _select(self, shape: Any) -> None:
        """Note the triples that make a node a focus node; its judgement does not look at them."""
        get, focus = self._facts.get, self._enter(shape)
        chosen = [(TYPE, False)] if get(shape, "targetClass") else []
        chosen += [(predicate, False) for predicate in get(shape, "targetSubjectsOf")]
        chosen += [(predicate, True) for predicate in get(shape, "targetObjectsOf")]
        for predicate, turned in chosen:
            self._by_predicate[predicate].append((focus, Edge(predicate, turned, self._new())))

    def _new(self) -> State:
        self._states += 1
        return self._states

    def _enter(self, shape: Any) -> State:
        """Return the state of a shape's focus nodes; the first call reads what the shape looks at."""
        if shape in self.focus:
            return self.focus[shape]
        self.focus[shape] = start = value = self._new()
        facts = self._facts
        if facts.has(shape, "deactivated"):
            return start
        for path in facts.get(shape, "path"):
            value = self._new()
            self._connect(start, self._path(path), value)
        siblings = self._siblings(shape) if facts.has(shape, "qualifiedValueShapesDisjoint") else []
        for part in (*facts.parts(shape), *siblings):
            self._same(value, self._enter(part))
        for predicate in facts.get(shape, *PAIRS):
            self._connect(start, predicate, self._new())
        if facts.get(shape, "class"):
            self._connect(value, ("seq", [TYPE, ("star", SUBCLASS)]), self._new())
        if facts.has(shape, "closed"):
            self._connect(value, ANY, self._new())
        for constraint in facts.get(shape, "sparql"):
            if not facts.has(constraint, "deactivated"):
                self._constraint(constraint, start)
        return start

    def _siblings(self, shape: Any) -> list[Any]:
        """Return the qualified shapes of the properties beside one (SHACL, section 4.7.3)."""
        facts = self._facts
        parents = [parent for parent, _, part in facts.all("property") if part == shape]
        beside = [part for parent in parents for part in facts.get(parent, "property")]
        return [q for part in beside for q in facts.get(part, "qualifiedValueShape")]

    def _path(self, path: Any) -> Path:
        facts = self._facts
        if isinstance(path, NamedNode):
            return path
        for inverse in facts.get(path, "inversePath"):
            return ("inverse", self._path(inverse))
        for head in facts.get(path, "alternativePath"):
            return ("alt", [self._path(part) for part in facts.items(head)])
        for word, sign in REPEATED.items():
            for inner in facts.get(path, word):
                return repeated(self._path(inner), sign)
        if not (steps := [self._path(part) for part in facts.items(path)]):
            raise Boundless(f"{path} is not a path")
        return ("seq", steps)

    def _connect(self, start: State, path: Path, end: State, turned: bool = False) -> None:
        """Lead from one state to another by a path, or by the path from its other end."""
        if not isinstance(path, tuple):
            edge = Edge(path, turned, end)
            self._ahead[start].append(edge)
            self._behind[end].append(Edge(path, not turned, start))
            self._by_predicate[path].append((start, edge))
            self._met.add(path)
            return
        kind, inner = path
        if kind == "inverse":
            self._connect(start, inner, end, not turned)
        elif kind == "alt":
            for part in inner:
                self._connect(start, part, end, turned)
        elif kind == "star":
            middle = self._new()
            self._same(start, middle)
            self._connect(middle, inner, middle, turned)
            self._same(middle, end)
        else:
            for part in inner[::-1] if turned else inner:
                middle = self._new()
                self._connect(start, part, middle, turned)
                start = middle
            self._same(start, end)

    def _same(self, start: State, end: State) -> None:
        """Let a node in one role play another, too."""
        self._ahead[start].append(Edge(None, False, end, same=True))
        self._behind[end].append(Edge(None, False, start, same=True))

    def _constraint(self, constraint: Any, this: State) -> None:
        self._met = set()
        try:
            for select in self._facts.get(constraint, "select"):
                query = matched(select.value, self._facts.prefixes(constraint))
                self._place(query, {"?this": this}, ())
        except Boundless as reason:
            raise Boundless(f"{constraint}: {reason}") from reason
        self.predicates[constraint] = frozenset(self._met)

    def _place(self, group: Group, known: Mapping[Any, State], scope: Iterable[Any]) -> None:
        """Give the variables of a group their states, going outwards from those that have one.

        In a solution, each pattern then has an end that was reached through other patterns of the
        same solution. A pattern that is not connected could match anywhere: boundless.

        Args:
            known: variables that are bound to the same in whatever this group is joined to.
            scope: those of them that a filter in this group sees; SPARQL evaluates a group that is
                joined by itself, and one that is asked the existence of with what is bound outside.
        """
        states = dict(known)
        waiting = list(group.triples)
        while waiting:
            ready = next((t for t in waiting if t[0] in states or t[2] in states), None)
            if ready is None:
                raise Boundless(f"{waiting[0][0]} is not connected to $this by triple patterns")
            waiting.remove(ready)
            subject, path, object_ = ready
            turned = subject not in states
            start, end = (object_, subject) if turned else (subject, object_)
            if end not in states:
                states[end] = self._new()
                if isinstance(end, NamedNode):
                    self._only[states[end]] = end
            self._connect(states[start], path, states[end], turned)
        own = {term for subject, _, object_ in group.triples for term in (subject, object_)}
        visible = {term: states[term] for term in own.union(scope)}
        for test in group.tests:
            self._place(test, visible, visible)
        for part in group.parts:
            self._place(part, states, ())
