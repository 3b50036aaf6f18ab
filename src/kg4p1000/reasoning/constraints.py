"""The query of a SPARQL constraint: whether it can be run for all focus nodes at once, and what it looks at.

What does not fit the first is refused (`check_pre_binding`), and what cannot be followed for the second is called
boundless (`Boundless`), so that nothing is judged by half.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from pyoxigraph import NamedNode

from ..kernel.errors import BrokenFile, KgError
from ..sparql import paths, tokens
from ..sparql.lexer import expanded
from ..sparql.syntax import Node, Parser
from .facts import TYPE

_HEADER = {"SELECT", "DISTINCT", "REDUCED", "WHERE", ""}
_REFUSED = {"GRAPH", "MINUS", "SERVICE", "VALUES", "SELECT"}
_RESERVED = {"PATH", "SHAPESGRAPH", "CURRENTSHAPE"}


def check_pre_binding(name: str, select: str) -> None:
    """Check that a constraint means the same as one set query and with ``$this`` bound beforehand.

    That holds when each group that mentions ``$this``, at any depth, has it in a triple pattern
    of its own, and nothing counts, cuts off or leaves the graph. The check is strict.

    >>> check_pre_binding("a rule", "SELECT $this WHERE { ?x ?y ?z FILTER(?x = $this) }")
    Traceback (most recent call last):
    ...
    kg4p1000.kernel.errors.BrokenFile: SPARQL constraint a rule: a group has $this in no triple pattern

    Raises:
        BrokenFile: it does not hold, or this check cannot tell.
    """
    try:
        fault = next(_faults(select), "")
    except KgError as e:
        fault = e.detail
    if fault:
        raise BrokenFile(f"SPARQL constraint {name}: {fault}")


def _faults(select: str) -> Iterator[str]:
    parser = Parser(select)
    query = parser.query()
    if query.kind != "SELECT" or "this" not in query.names:
        yield "it must be one SELECT that gives $this"
    if query.expressions:
        yield "it must not compute what it selects"
    whole = query.parts[0]
    for token in chain(tokens(select[: whole.start]), tokens(select[whole.end :])):
        if token.word not in _HEADER:
            yield f"{token.word} is not possible"
    for token in parser.variables:
        if token.text[1:].upper() in _RESERVED:
            yield f"?{token.text[1:]} is not possible"
    this = [token.start for token in parser.variables if token.text[1:] == "this"]
    if not any(whole.start < at < whole.end for at in this):
        yield "$this must be in the outermost group"
    for group in _groups(whole):
        for part in group.parts:
            yield from _part_faults(part)
        own = {node.text[1:] for node in _triple_nodes(group)}
        if "this" not in own and any(group.start < at < group.end for at in this):
            yield "a group has $this in no triple pattern"


def _part_faults(part: Node) -> Iterator[str]:
    if part.kind in _REFUSED:
        yield f"{part.kind} is not possible"
    if expression := part.expression:
        if expression.name and expression.name.text[1:] == "this":
            yield "AS ?this is not possible"
        for call in expression.calls:
            if call.head.word == "BOUND" and expression.tokens[call.parts[0][0]].text[1:] == "this":
                yield "BOUND ( ?this is not possible"


def _groups(group: Node) -> Iterator[Node]:
    """Yield a group and all groups in it, those that filters ask the existence of among them."""
    yield group
    for part in group.parts:
        tested = [test for _, test in part.expression.exists] if part.expression else []
        for inner in (*tested, *(part.parts if part.kind != "triples" else ())):
            yield from _groups(inner)


def _triple_nodes(group: Node) -> Iterator[Node]:
    """Yield what stands in the triple patterns of a group itself."""
    for part in group.parts:
        if part.kind == "triples":
            yield from part.walk()


class Boundless(Exception):
    """What a judgement looks at cannot be told from the shapes; the message says why."""


#: A property path: a predicate, `ANY`, or a word with what it is made of: ``("seq", paths)``,
#: ``("alt", paths)``, ``("star", path)``, ``("inverse", path)``.
Path = NamedNode | tuple[str, Any] | None
ANY: Path = None


def repeated(path: Path, sign: str) -> Path:
    """Return a path with one of the signs ``* + ?`` after it."""
    if sign == "?":
        return ("alt", [path, ("seq", [])])
    return ("star", path) if sign == "*" else ("seq", [path, ("star", path)])


@dataclass
class Group:
    """A group of a query: its own triple patterns, and the groups in it.

    Attributes:
        triples: subject, path, object; a name is itself, other terms are their texts.
        parts: groups that are joined (plain ones, branches of a UNION).
        tests: groups that a filter asks the existence of.
    """

    triples: list[tuple[Any, Path, Any]] = field(default_factory=list)
    parts: list[Group] = field(default_factory=list)
    tests: list[Group] = field(default_factory=list)


def matched(select: str, prefixes: Mapping[str, str]) -> Group:
    """Return what the query of a constraint matches.

    Raises:
        Boundless: it uses what is not followed here.
    """
    (whole,) = Parser(select).query().parts
    nodes = [node for group in _groups(whole) for node in _triple_nodes(group)]
    counts = Counter(node.text[1:] for node in nodes if node.text[:1] in ("?", "$"))
    for node in nodes:
        if node.kind == "verb" and not node.path and counts[node.text[1:]] > 1:
            raise Boundless(f"its query joins on the predicate ?{node.text[1:]}")
    return _group(whole, prefixes)


def _group(group: Node, prefixes: Mapping[str, str]) -> Group:
    found = Group()
    for part in group.parts:
        if part.kind == "triples":
            found.triples += _triples(part, prefixes)
        elif part.kind == "UNION":
            found.parts += [_group(inner, prefixes) for inner in part.parts]
        elif part.expression:
            found.tests += [_group(test, prefixes) for _, test in part.expression.exists]
        else:
            raise Boundless(f"its query uses {part.kind}")
    return found


def _triples(part: Node, prefixes: Mapping[str, str]) -> Iterator[tuple[Any, Path, Any]]:
    subject, *verbs = part.parts
    start = _node(subject, prefixes)
    for verb in verbs:
        path = _path(verb.path, prefixes) if verb.path else ANY
        for node in verb.parts:
            yield start, path, _node(node, prefixes)


def _node(node: Node, prefixes: Mapping[str, str]) -> Any:
    if node.kind in ("anonymous", "compound") or node.parts:
        sign = node.text if node.kind != "fixed" else "an annotation"
        raise Boundless(f"its query has {sign} in a triple pattern")
    if node.first.kind in ("iri", "name"):
        return _name(node.text, prefixes)
    return "?" + node.text[1:] if node.kind == "variable" else node.text


def _name(written: str, prefixes: Mapping[str, str]) -> NamedNode:
    if not (name := expanded(written, prefixes)):
        raise Boundless(f"its query uses {written} without a prefix declaration")
    return NamedNode(name)


def _path(path: paths.Path, prefixes: Mapping[str, str]) -> Path:
    inner = [_path(part, prefixes) for part in path.parts]
    match path.kind:
        case "iri":
            return TYPE if path.text == "a" else _name(path.text, prefixes)
        case "inverse":
            return ("inverse", inner[0])
        case "repeated":
            return repeated(inner[0], path.text)
        case "sequence" | "alternative":
            return ("seq" if path.kind == "sequence" else "alt", inner)
    raise Boundless("its query has ! in a property path")
