"""What a judgement looks at: from the shapes, the triples that can matter to a focus node.

The shapes are read as one automaton. A state is a role that a node plays in a judgement ("focus node
of this shape", "value of that property"), a step is a triple that leads from one role to the next.
Walked backwards from a changed triple, it gives the focus nodes whose judgement may change; walked
forwards from a focus node, it gives all triples that its judgement can see.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pyoxigraph import NamedNode, Quad, Triple

from ..terms import PREFIXES
from .constraints import ANY, Boundless, Group, Path, backwards, read_select, repeated
from .facts import SH, SUBCLASS, TYPE, Facts, Graph, Targets

#: Words that look at no triple beyond the values themselves.
_PLAIN = {
    "name", "message", "severity", "description", "order", "group", "defaultValue", "path",
    "targetClass", "targetNode", "targetSubjectsOf", "targetObjectsOf", "datatype", "nodeKind",
    "minCount", "maxCount", "minInclusive", "maxInclusive", "minExclusive", "maxExclusive",
    "minLength", "maxLength", "pattern", "flags", "languageIn", "uniqueLang", "in", "hasValue",
    "qualifiedMinCount", "qualifiedMaxCount", "qualifiedValueShapesDisjoint", "ignoredProperties",
    "deactivated",
}  # fmt: skip
#: Words whose values are shapes for the value nodes, and those whose values are lists of such.
_SHAPES = ("node", "property", "not", "qualifiedValueShape")
_LISTS = ("and", "or", "xone")
#: Words that compare the values with those of another property of the focus node.
_PAIRS = ("equals", "disjoint", "lessThan", "lessThanOrEquals")
#: All words of shapes that are followed.
KNOWN = _PLAIN | {*_SHAPES, *_LISTS, *_PAIRS, "class", "closed", "sparql"}
_CLASSES: Path = ("seq", [("step", TYPE, False), ("star", ("step", SUBCLASS, False))])

State = int
#: A node in a role.
Place = tuple[Any, State]


class TooMuch(Exception):
    """A walk has passed its limit."""


@dataclass(frozen=True)
class Step:
    """A triple from a node in one role to a node in another; any predicate where it is None."""

    start: State
    predicate: NamedNode | None
    backwards: bool
    end: State

    def of(self, triple: Triple | Quad) -> tuple[Any, Any]:
        """The nodes of a triple where this step starts and ends."""
        return (
            (triple.object, triple.subject) if self.backwards else (triple.subject, triple.object)
        )

    def ahead(self, graph: Graph, node: Any) -> Iterator[Quad]:
        """The triples by which this step leads on from a node."""
        ends = (None, self.predicate, node) if self.backwards else (node, self.predicate, None)
        return graph.match(*ends)

    def behind(self, graph: Graph, node: Any) -> Iterator[Quad]:
        """The triples by which this step leads to a node."""
        ends = (node, self.predicate, None) if self.backwards else (None, self.predicate, node)
        return graph.match(*ends)


class Reach:
    """The automaton of a shapes graph.

    Args:
        facts: the shapes graph.
        prefixes: gives the prefixes that a SPARQL constraint declares.

    Attributes:
        focus: the state of each shape's focus nodes.
        boundless: why the shapes cannot be read as an automaton, None where they can.
        predicates: for each SPARQL constraint, those that it matches; None among them is any.
    """

    def __init__(self, facts: Facts, prefixes: Callable[[Any], Mapping[str, str]]) -> None:
        self._facts = facts
        self._prefixes = prefixes
        self.focus: dict[Any, State] = {}
        self.boundless: str | None = None
        self.predicates: dict[Any, frozenset[NamedNode | None]] = {}
        self._states = 0
        self._from: dict[State, list[Step]] = defaultdict(list)
        self._to: dict[State, list[Step]] = defaultdict(list)
        self._same_as: dict[State, list[State]] = defaultdict(list)
        self._same_from: dict[State, list[State]] = defaultdict(list)
        self._by_predicate: dict[NamedNode | None, list[Step]] = defaultdict(list)
        self._only: dict[State, NamedNode] = {}
        #: Steps by which a node becomes a focus node; its judgement does not look at them.
        self._chosen_by: dict[NamedNode, list[Step]] = defaultdict(list)
        try:
            for shape in facts:
                self._check(shape)
            for shape in facts:
                if facts.targets(shape):
                    self._choose(facts.targets(shape), self._enter(shape))
        except Boundless as reason:
            self.boundless = str(reason)

    # walking

    def touched(self, graph: Graph, triples: Iterable[Triple], limit: int) -> set[Place]:
        """The focus nodes to whose judgement some triples may matter, each with its state.

        Args:
            graph: what was there before a change or is there after it.
            limit: of nodes in roles; most lead to no focus node.

        Raises:
            TooMuch: the limit was passed.
        """
        seen: set[Place] = set()
        waiting: list[Place] = []

        def add(place: Place) -> None:
            if place not in seen and self._fits(place):
                if len(seen) == limit:
                    raise TooMuch
                seen.add(place)
                waiting.append(place)

        for triple in triples:
            for predicate in (triple.predicate, None):
                for step in self._by_predicate.get(predicate, ()):
                    start, end = step.of(triple)
                    if self._fits((end, step.end)):
                        add((start, step.start))
            for step in self._chosen_by.get(triple.predicate, ()):
                add((step.of(triple)[0], step.start))
        behind: dict[tuple[Any, Any, bool], list[Any]] = {}
        while waiting:
            node, state = waiting.pop()
            for before in self._same_from.get(state, ()):
                add((node, before))
            for step in self._to.get(state, ()):
                key = (node, step.predicate, step.backwards)
                if key not in behind:
                    behind[key] = [step.of(quad)[0] for quad in step.behind(graph, node)]
                for start in behind[key]:
                    add((start, step.start))
        states = set(self.focus.values())
        return {place for place in seen if place[1] in states}

    def seen_from(self, graph: Graph, places: Iterable[Place], limit: int) -> set[Triple]:
        """The triples that the judgement of some focus nodes looks at.

        Raises:
            TooMuch: there are more than the limit.
        """
        waiting = list(places)
        seen = set(waiting)
        found: set[Triple] = set()
        while waiting:
            node, state = waiting.pop()
            ahead = [(node, after) for after in self._same_as.get(state, ())]
            for step in self._from.get(state, ()):
                for quad in step.ahead(graph, node):
                    found.add(quad.triple)
                    ahead.append((step.of(quad)[1], step.end))
                    if len(found) > limit:
                        raise TooMuch
            for place in ahead:
                if place not in seen and self._fits(place):
                    seen.add(place)
                    waiting.append(place)
        return found

    def _fits(self, place: Place) -> bool:
        node, state = place
        return self._only.get(state, node) == node

    # reading the shapes

    def _check(self, shape: Any) -> None:
        facts = self._facts
        if facts.get(shape, "parameter"):
            raise Boundless(f"{shape} is a constraint component of its own")
        if facts.get(shape, "target"):
            raise Boundless(f"{shape} computes its targets")
        if facts.targets(shape) and NamedNode(PREFIXES["rdfs"] + "Class") in facts.types(shape):
            raise Boundless(f"{shape} is a shape and a class at once")

    def _choose(self, targets: Targets, focus: State) -> None:
        if targets.classes:
            self._chosen_by[TYPE].append(Step(focus, TYPE, False, focus))
        for predicate in targets.subjects_of:
            self._chosen_by[predicate].append(Step(focus, predicate, False, focus))
        for predicate in targets.objects_of:
            self._chosen_by[predicate].append(Step(focus, predicate, True, focus))

    def _new(self) -> State:
        self._states += 1
        return self._states

    def _enter(self, shape: Any) -> State:
        """The state of a shape's focus nodes; what the shape looks at is read at the first call."""
        if shape in self.focus:
            return self.focus[shape]
        self.focus[shape] = start = self._new()
        facts = self._facts
        if facts.has(shape, "deactivated"):
            return start
        words = {w.removeprefix(SH) for w in facts.words(shape) if w.startswith(SH)}
        if words - KNOWN:
            raise Boundless(f"{shape} uses sh:{min(words - KNOWN)}")
        value = start
        for path in facts.get(shape, "path"):
            value = self._new()
            self._connect(start, self._path(path), value)
        self._read(shape, start, value)
        return start

    def _read(self, shape: Any, start: State, value: State) -> None:
        """Read a shape's constraints, given the states of its focus and value nodes."""
        facts = self._facts
        inner = [part for word in _SHAPES for part in facts.get(shape, word)]
        inner += [part for word in _LISTS for head in facts.get(shape, word)
                  for part in facts.items(head)]  # fmt: skip
        if facts.has(shape, "qualifiedValueShapesDisjoint"):
            inner += self._siblings(shape)
        for part in inner:
            self._same(value, self._enter(part))
        for word in _PAIRS:
            for predicate in facts.get(shape, word):
                self._connect(start, ("step", predicate, False), self._new())
        if facts.get(shape, "class"):
            self._connect(value, _CLASSES, self._new())
        if facts.has(shape, "closed"):
            self._connect(value, ANY, self._new())
        for constraint in facts.get(shape, "sparql"):
            if not facts.has(constraint, "deactivated"):
                self._constraint(constraint, start)

    def _siblings(self, shape: Any) -> list[Any]:
        """The qualified shapes of the properties beside one (SHACL, section 4.7.3)."""
        facts = self._facts
        parents = [other for other in facts if shape in facts.get(other, "property")]
        beside = [part for parent in parents for part in facts.get(parent, "property")]
        return [q for part in beside for q in facts.get(part, "qualifiedValueShape")]

    def _path(self, path: Any) -> Path:
        facts = self._facts
        if isinstance(path, NamedNode):
            return ("step", path, False)
        for inverse in facts.get(path, "inversePath"):
            return backwards(self._path(inverse))
        for head in facts.get(path, "alternativePath"):
            return ("alt", [self._path(part) for part in facts.items(head)])
        signs = {"zeroOrMorePath": "*", "oneOrMorePath": "+", "zeroOrOnePath": "?"}
        for word, sign in signs.items():
            for inner in facts.get(path, word):
                return repeated(self._path(inner), sign)
        steps = [self._path(part) for part in facts.items(path)]
        if not steps:
            raise Boundless(f"{path} is not a path")
        return ("seq", steps)

    def _connect(self, start: State, path: Path, end: State) -> None:
        kind = path[0]
        if kind == "step":
            step = Step(start, path[1], path[2], end)
            self._from[start].append(step)
            self._to[end].append(step)
            self._by_predicate[step.predicate].append(step)
        elif kind == "alt":
            for part in path[1]:
                self._connect(start, part, end)
        elif kind == "star":
            middle = self._new()
            self._same(start, middle)
            self._connect(middle, path[1], middle)
            self._same(middle, end)
        else:
            for part in path[1][:-1]:
                middle = self._new()
                self._connect(start, part, middle)
                start = middle
            if path[1]:
                self._connect(start, path[1][-1], end)
            else:
                self._same(start, end)

    def _same(self, start: State, end: State) -> None:
        """A node in one role plays another too."""
        self._same_as[start].append(end)
        self._same_from[end].append(start)

    # SPARQL constraints

    def _constraint(self, constraint: Any, this: State) -> None:
        try:
            for select in self._facts.get(constraint, "select"):
                group = read_select(select.value, self._prefixes(constraint))
                self._place(group, {"?this": this}, frozenset())
                self.predicates[constraint] = frozenset(_predicates(group))
        except Boundless as reason:
            raise Boundless(f"{constraint}: {reason}") from reason

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
            if subject not in states:
                subject, path, object_ = object_, backwards(path), subject
            if object_ not in states:
                states[object_] = self._new()
                if isinstance(object_, NamedNode):
                    self._only[states[object_]] = object_
            self._connect(states[subject], path, states[object_])
        own = {term for subject, _, object_ in group.triples for term in (subject, object_)}
        visible = {term: states[term] for term in own.union(scope)}
        for test in group.tests:
            self._place(test, visible, visible)
        for part in group.parts:
            self._place(part, states, ())


def _predicates(group: Group) -> Iterator[NamedNode | None]:
    for _, path, _ in group.triples:
        waiting = [path]
        while waiting:
            kind, *rest = waiting.pop()
            if kind == "step":
                yield rest[0]
            else:
                waiting += [rest[0]] if kind == "star" else rest[0]
    for inner in (*group.tests, *group.parts):
        yield from _predicates(inner)
