# ruff: noqa: PLR0911, PLR0912 -- a case for each kind of pattern
"""Queries made at random, answered by the service's path to the engine as SPARQL 1.1, section 18, answers them.

`solutions` follows the definitions of the section, without any cleverness, and so is right where it ends. Each query and
its data come from one number; those in `FOUND` are numbers whose queries were once answered wrongly.
"""

from collections import Counter
from random import Random

import pyoxigraph as ox
import pytest

from kg4p1000.kernel.errors import KgError
from kg4p1000.sparql import guard

E = "http://e.x/"
NODES, PREDICATES, VARIABLES = ["a", "b", "c"], ["p", "q"], ["?x", "?y", "?z", "?w"]
FOUND = [
    216, 823, 1487, 6502, 14729, 15270, 16842, 17346, 31965, 39631, 43947, 48257, 48372, 51330, 51887, 51943, 59887,
]  # fmt: skip


# a pattern is a tuple: its kind, then its parts; a term is a local name, or a variable with its question mark


def is_variable(term):
    return isinstance(term, str) and term.startswith("?")


def visible(pattern):
    match pattern:
        case ("triple", s, p, o):
            return {term for term in (s, p, o) if is_variable(term)}
        case ("values", names, _) | ("select", _, names, _) | ("slice", _, names, _, _):
            return set(names)
        case ("group", _, names, count, _):
            return {*names, count}
        case ("graph", graph, inner):
            return visible(inner) | {term for term in [graph] if is_variable(term)}
        case ("bind", inner, _, name):
            return visible(inner) | {name}
        case ("minus", inner, _) | ("filter", inner, _):
            return visible(inner)
        case (_, one, other, *_):
            return visible(one) | visible(other)


# what section 18 says


def compatible(one, other):
    return all(other[name] == term for name, term in one.items() if name in other)


def joined(ones, others):
    return [one | other for one in ones for other in others if compatible(one, other)]


def matched(pairs, *terms):
    """Solutions of rows of terms that fit the terms of a pattern."""
    for row in pairs:
        found = {}
        for term, value in zip(terms, row, strict=True):
            if (found.setdefault(term, value) if is_variable(term) else term) != value:
                break
        else:
            yield {name: value for name, value in found.items() if is_variable(name)}


def pairs(path, graph, start=None, end=None):
    """The pairs of nodes that a path joins, with duplicates; all, or those of a start or an end."""

    def fits(s, o):
        return start in (None, s) and end in (None, o)

    match path:
        case str():
            return [(s, o) for s, p, o in graph if p == path and fits(s, o)]
        case ("^", inner):
            return [(o, s) for s, o in pairs(inner, graph, end, start)]
        case ("|", one, other):
            return pairs(one, graph, start, end) + pairs(other, graph, start, end)
        case ("/", one, other):
            second = pairs(other, graph, None, end)
            return [(s, o) for s, m in pairs(one, graph, start) for n, o in second if m == n]
        case ("!", forth, back):
            found = [(s, o) for s, p, o in graph if forth and p not in forth and fits(s, o)]
            return found + [(o, s) for s, p, o in graph if back and p not in back and fits(o, s)]
        case (sign, inner):
            starts = {start} if start else {n for s, _, o in graph for n in (s, o)} | {end} - {None}
            found = [(s, o) for s in starts for o in reached(sign, inner, graph, s)]
            return [pair for pair in found if fits(*pair)]


def reached(sign, inner, graph, start):
    found = set() if sign == "+" else {start}
    rest = [o for _, o in pairs(inner, graph, start)]
    if sign == "?":
        return found | set(rest)
    while rest:
        if (node := rest.pop()) not in found:
            found.add(node)
            rest += (o for _, o in pairs(inner, graph, node))
    return found


def solutions(pattern, graphs, active=None):
    """The solutions of a pattern over named graphs, of which that named None is the default graph."""

    def of(inner, graph=active):
        return solutions(inner, graphs, graph)

    def holds(condition, solution):
        return truth(condition, solution, graphs, active) is True

    match pattern:
        case ("triple", s, str() as p, o):
            return list(matched(graphs[active], s, p, o))
        case ("triple", s, p, o):
            ends = (None if is_variable(term) else term for term in (s, o))
            return list(matched(pairs(p, graphs[active], *ends), s, o))
        case ("values", names, rows):
            return [{n: t for n, t in zip(names, row, strict=True) if t} for row in rows]
        case ("join", one, other):
            return joined(of(one), of(other))
        case ("union", one, other):
            return of(one) + of(other)
        case ("optional", one, other, condition):
            found, others = [], of(other)
            for left in of(one):
                both = [m for m in joined([left], others) if not condition or holds(condition, m)]
                found += both or [left]
            return found
        case ("minus", one, other):
            others = of(other)
            return [
                s for s in of(one) if not any(s.keys() & o and compatible(s, o) for o in others)
            ]
        case ("graph", graph, inner) if is_variable(graph):
            each = [joined(of(inner, name), [{graph: name}]) for name in graphs if name]
            return [solution for some in each for solution in some]
        case ("graph", graph, inner):
            return of(inner, graph) if graph in graphs else []
        case ("filter", inner, condition):
            return [s for s in of(inner) if holds(condition, s)]
        case ("bind", inner, value, name):
            return [s | {name: t} if (t := term_of(value, s)) else s for s in of(inner)]
        case ("select", inner, names, distinct):
            found = [{n: s[n] for n in names if n in s} for s in of(inner)]
            return [s for at, s in enumerate(found) if not distinct or s not in found[:at]]
        case ("slice", inner, names, first, size):
            found = [{n: s[n] for n in names if n in s} for s in of(inner)]
            return sorted(found, key=lambda s: [s.get(n, "") for n in names])[first : first + size]
        case ("group", inner, names, count, counted):
            groups = {} if names else {(): []}
            for s in of(inner):
                groups.setdefault(tuple(s.get(n) for n in names), []).append(s)
            return [
                {n: t for n, t in zip(names, key, strict=True) if t}
                | {count: str(len({s[counted] for s in g if counted in s}) if counted else len(g))}
                for key, g in groups.items()
            ]


def term_of(value, solution):
    if isinstance(value, tuple):
        return next((t for part in value if (t := term_of(part, solution))), None)
    return solution.get(value) if is_variable(value) else value


def truth(condition, solution, graphs, active):
    """True, False, or None for an error."""

    def of(inner):
        return truth(inner, solution, graphs, active)

    match condition:
        case ("=" | "!=" as sign, one, other):
            one, other = term_of(one, solution), term_of(other, solution)
            return (one == other) == (sign == "=") if one and other else None
        case ("bound", name):
            return name in solution
        case ("not", inner):
            return None if of(inner) is None else not of(inner)
        case ("or", one, other):
            return (
                True
                if True in (of(one), of(other))
                else None
                if None in (of(one), of(other))
                else False
            )
        case ("exists", inner):
            return bool(solutions(substituted(inner, solution), graphs, active))


def substituted(pattern, solution):
    match pattern:
        case ("triple", *terms):
            return ("triple", *(solution.get(t, t) if isinstance(t, str) else t for t in terms))
        case (kind, one, other):
            return (kind, substituted(one, solution), substituted(other, solution))


# the same as text


def text_of(pattern):
    match pattern:
        case ("triple", s, p, o):
            return f"{term(s)} {path_text(p)} {term(o)} ."
        case ("values", names, rows):
            cells = " ".join(
                f"({' '.join(term(t) if t else 'UNDEF' for t in row)})" for row in rows
            )
            return f"VALUES ({' '.join(names)}) {{ {cells} }}"
        case ("join", *parts):
            plain = ("triple", "values", "graph")
            return " ".join(text_of(p) if p[0] in plain else f"{{ {text_of(p)} }}" for p in parts)
        case ("union", one, other):
            return f"{{ {text_of(one)} }} UNION {{ {text_of(other)} }}"
        case ("optional", one, other, condition):
            inner = text_of(other) + (f" FILTER({condition_text(condition)})" if condition else "")
            return f"{text_of(one)} OPTIONAL {{ {inner} }}"
        case ("minus", one, other):
            return f"{text_of(one)} MINUS {{ {text_of(other)} }}"
        case ("graph", graph, inner):
            return f"GRAPH {term(graph)} {{ {text_of(inner)} }}"
        case ("filter", inner, condition):
            return f"{{ {{ {text_of(inner)} }} FILTER({condition_text(condition)}) }}"
        case ("bind", inner, value, name):
            return f"{text_of(inner)} BIND({term(value)} AS {name})"
        case ("select", inner, names, distinct):
            word = "SELECT DISTINCT" if distinct else "SELECT"
            return f"{{ {word} {' '.join(names)} {{ {text_of(inner)} }} }}"
        case ("slice", inner, names, first, size):
            names = " ".join(names)
            after = f"ORDER BY {names} LIMIT {size} OFFSET {first}"
            return f"{{ SELECT {names} {{ {text_of(inner)} }} {after} }}"
        case ("group", inner, names, count, counted):
            what = f"(COUNT({f'DISTINCT {counted}' if counted else '*'}) AS {count})"
            after = f"GROUP BY {' '.join(names)}" if names else ""
            return f"{{ SELECT {' '.join(names)} {what} {{ {text_of(inner)} }} {after} }}"


def term(value):
    if isinstance(value, tuple):
        return f"COALESCE({', '.join(map(term, value))})"
    return value if is_variable(value) else f":{value}"


def path_text(path):
    match path:
        case str():
            return term(path)
        case ("^", inner):
            return f"^({path_text(inner)})"
        case ("|" | "/" as sign, one, other):
            return f"({path_text(one)}{sign}{path_text(other)})"
        case ("!", forth, back):
            return f"!({'|'.join([f':{p}' for p in forth] + [f'^:{p}' for p in back])})"
        case (sign, inner):
            return f"({path_text(inner)}){sign}"


def condition_text(condition):
    match condition:
        case ("=" | "!=" as sign, one, other):
            return f"{term(one)} {sign} {term(other)}"
        case ("bound", name):
            return f"BOUND({name})"
        case ("not", inner):
            return f"!({condition_text(inner)})"
        case ("or", one, other):
            return f"({condition_text(one)}) || ({condition_text(other)})"
        case ("exists", inner):
            return f"EXISTS {{ {text_of(inner)} }}"


# made at random


class Maker:
    def __init__(self, seed):
        self.random = Random(seed)
        self.choose = self.random.choice
        # Some queries are mostly OPTIONALs in each other, which is where engines err.
        self.deep = self.choose([True, False])

    def data(self):
        def some():
            size = self.random.randint(1, 5)
            nodes = NODES, PREDICATES, NODES
            return sorted({tuple(map(self.choose, nodes)) for _ in range(size)})

        return {name: some() for name in (None, "g1", "g2")}

    def triple(self, paths=True):
        s, o = (self.choose(["a", "b", "new", *VARIABLES * 2]) for _ in range(2))
        has_path = paths and self.random.random() < 0.3
        return ("triple", s, self.path() if has_path else self.choose([*PREDICATES * 2, "?v"]), o)

    def path(self, depth=0):
        match self.random.randint(depth, 9):
            case 0 | 1:
                return ("|", self.path(depth + 1), self.path(depth + 1))
            case 2 | 3:
                return ("/", self.path(depth + 1), self.path(depth + 1))
            case 4:
                return ("^", self.path(depth + 1))
            case 5:
                return ("!", self.choose([["p"], ["p", "q"], []]), ["q"])
            case 6 | 7:
                return (self.choose("*+?"), self.path(depth + 1))
        return self.choose(PREDICATES)

    def condition(self, depth=0):
        match self.random.randint(depth, 9):
            case 0:
                return ("not", self.condition(depth + 1))
            case 1:
                return ("or", self.condition(depth + 1), self.condition(depth + 1))
            case 2 | 3:
                kind, more = self.choose(["join", "union"]), self.choose([True, False])
                one = self.triple(paths=False)
                return ("exists", (kind, one, self.triple(paths=False)) if more else one)
            case 4 | 5 | 6:
                return (self.choose(["=", "!="]), self.choose(VARIABLES), self.value())
        return ("bound", self.choose(VARIABLES))

    def value(self):
        return self.choose([*VARIABLES, self.choose(NODES), (self.choose(VARIABLES), "a")])

    def values(self):
        names = self.random.sample(VARIABLES, self.random.randint(1, 2))
        row = [*NODES, "new", None]
        return ("values", names, [[self.choose(row) for _ in names] for _ in range(2)])

    def pattern(self, depth=0):
        if depth > (4 if self.deep else 2) or self.random.random() < 0.27:
            return self.triple()
        inner = self.pattern(depth + 1)
        if self.deep and self.random.random() < 0.45:
            return self.optional(inner, depth)
        kinds = [self.two, self.two, self.optional, self.filtered, self.graph, self.bound]
        return self.choose([*kinds, self.select, self.slice, self.group, self.both])(inner, depth)

    def two(self, inner, depth):
        return (self.choose(["join", "join", "union", "minus"]), inner, self.pattern(depth + 1))

    def both(self, inner, depth):
        return ("join", self.values(), inner)

    def optional(self, inner, depth):
        condition = self.condition() if self.random.random() < 0.4 else None
        return ("optional", inner, self.pattern(depth + 1), condition)

    def filtered(self, inner, depth):
        return ("filter", inner, self.condition())

    def graph(self, inner, depth):
        return ("graph", self.choose(["?g", "g1", "g2", "none"]), inner)

    def bound(self, inner, depth):
        free = [name for name in [*VARIABLES, "?b"] if name not in visible(inner)]
        return ("bind", inner, self.value(), self.choose(free)) if free else inner

    def names(self, inner, least=1):
        names = sorted(visible(inner) - {"?n"})
        return self.random.sample(names, self.random.randint(min(least, len(names)), len(names)))

    def select(self, inner, depth):
        names = self.names(inner)
        return ("select", inner, names, self.choose([True, False])) if names else inner

    def slice(self, inner, depth):
        names = self.names(inner)
        size = self.random.randint(1, 2)
        return ("slice", inner, names, self.choose([0, 0, 1]), size) if names else inner

    def group(self, inner, depth):
        return ("group", inner, self.names(inner, 0)[:2], "?n", self.choose([None, "?x"]))


def compared(seed, written):
    """The query of a number, our answer and the right one; None for both where it is refused or none."""
    maker = Maker(seed)
    graphs, pattern = maker.data(), maker.pattern()
    names = sorted(visible(pattern))
    text = f"PREFIX : <{E}> SELECT {' '.join(names)} {{ {text_of(pattern)} }}"
    if not names:
        return text, None, None
    try:
        given = written(text)
    except KgError as e:
        assert e.slug == "answered-wrongly", text
        return text, None, None
    store = ox.Store()
    for name, triples in graphs.items():
        graph = ox.NamedNode(E + name) if name else ox.DefaultGraph()
        store.extend(ox.Quad(*(ox.NamedNode(E + t) for t in row), graph) for row in triples)
    ours = Counter(
        tuple(row[n[1:]].value.removeprefix(E) if row[n[1:]] else "" for n in names)
        for row in store.query(given)
    )
    right = Counter(tuple(s.get(n, "") for n in names) for s in solutions(pattern, graphs))
    return text, ours, right


@pytest.mark.parametrize("seeds", [FOUND, range(1500)], ids=["found", "new"])
def test_queries_made_at_random_are_answered_as_sparql_says(seeds):
    answered = 0
    for seed in seeds:
        text, ours, right = compared(seed, lambda text: guard(text).for_engine)
        assert ours == right, f"{seed}: {text}"
        answered += ours is not None
    assert answered > 0.9 * len(seeds)
