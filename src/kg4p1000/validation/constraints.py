"""The text of a SPARQL constraint: whether it can be run as one set query, and what it looks at.

Knows as much of SPARQL as constraints need. What it does not know, it refuses (`check_pre_binding`)
or calls boundless (`Boundless`), so that nothing is judged by half.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyoxigraph as ox

from ..errors import BrokenFile
from ..sparql import Token, tokens
from ..terms import PREFIXES

#: What is no code, or has a name that could look like a keyword: strings, comments, IRIs, names.
_HIDDEN = re.compile(
    r'''""".*?(?<!\\)"""|"(?:[^"\\\n]|\\.)*"|#[^\n]*|<[^<>"{}|^`\\\s]*>'''
    r"""|'''.*?(?<!\\)'''|'(?:[^'\\\n]|\\.)*'|[\w.-]*:[\w.:%\\-]*|@[\w-]+""",
    re.DOTALL,
)
_REFUSED = re.compile(
    r"\b(FROM|GRAPH|GROUP|HAVING|LIMIT|MINUS|OFFSET|ORDER|PREFIX|BASE|SERVICE|VALUES)\b"
    r"|\bAS\s+\?this\b|\bBOUND\s*\(\s*\?this\b|[$?](PATH|shapesGraph|currentShape)\b",
    re.IGNORECASE,
)


def check_pre_binding(name: str, select: str) -> None:
    """Check that a constraint means the same as one set query and with ``$this`` bound beforehand.

    That holds when each group that mentions ``$this``, at any depth, has it in a triple pattern
    of its own, and nothing counts, cuts off or leaves the graph. The check is strict.

    >>> check_pre_binding("a rule", "SELECT $this WHERE { ?x ?y ?z FILTER(?x = $this) }")
    Traceback (most recent call last):
    ...
    kg4p1000.errors.BrokenFile: SPARQL constraint a rule: a group has $this in no triple pattern

    Raises:
        BrokenFile: it does not hold, or this check cannot tell.
    """
    code = re.sub(r"[$?]this\b", "?this", _HIDDEN.sub(" ", select))
    header, _, rest = code.partition("{")
    body, fault = "{" + rest, None
    if refused := _REFUSED.search(code):
        fault = f"{refused.group()} is not possible"
    elif len(re.findall(r"\bSELECT\b", code, re.IGNORECASE)) != 1 or "?this" not in header:
        fault = "it must be one SELECT that gives $this"
    elif "(" in header:
        fault = "it must not compute what it selects"
    while not fault and (group := re.search(r"\{([^{}]*)\}", body)):  # innermost first
        own = group[1]
        mentions = re.search(r"\?this\b|\0", own)
        while (stripped := re.sub(r"\([^()]*\)", " ", own)) != own:
            own = stripped
        if mentions and not re.search(r"\?this\b", own):
            fault = "a group has $this in no triple pattern"
        body = body[: group.start()] + ("\0" if mentions else " ") + body[group.end() :]
    if not fault and body.strip() != "\0":
        fault = "$this must be in the outermost group, and nothing may follow it"
    if fault:
        raise BrokenFile(f"SPARQL constraint {name}: {fault}")


class Boundless(Exception):
    """What a judgement looks at cannot be told from the shapes; the message says why."""


#: A property path as nested tuples: ``("step", predicate or None for any, backwards)``,
#: ``("seq", paths)``, ``("alt", paths)``, ``("star", path)``.
Path = tuple[Any, ...]
ANY: Path = ("step", None, False)


def backwards(path: Path) -> Path:
    """The path from the other end."""
    if path[0] == "step":
        return ("step", path[1], not path[2])
    if path[0] == "star":
        return ("star", backwards(path[1]))
    parts = [backwards(part) for part in path[1]]
    return (path[0], parts[::-1] if path[0] == "seq" else parts)


def repeated(path: Path, sign: str) -> Path:
    """A path with one of the signs ``* + ?`` after it."""
    if sign == "?":
        return ("alt", [path, ("seq", [])])
    return ("star", path) if sign == "*" else ("seq", [path, ("star", path)])


@dataclass
class Group:
    """A group of a query: its own triple patterns, and the groups in it.

    Attributes:
        triples: subject, path, object; a variable is its name, another term itself.
        parts: groups that are joined (plain ones, branches of a UNION).
        tests: groups that a filter asks the existence of.
    """

    triples: list[tuple[Any, Path, Any]] = field(default_factory=list)
    parts: list[Group] = field(default_factory=list)
    tests: list[Group] = field(default_factory=list)


def read_select(select: str, prefixes: Mapping[str, str]) -> Group:
    """Read what a constraint's query matches.

    Raises:
        Boundless: it uses what this reader does not follow.
    """
    reader = _Reader(list(tokens(select)), prefixes)
    while reader.text != "{":
        reader.take()
    group = reader.group()
    reader.check_predicates()
    return group


class _Reader:
    """Reads groups, triple patterns and paths from tokens; skips over expressions."""

    def __init__(self, found: list[Token], prefixes: Mapping[str, str]) -> None:
        self._tokens = found
        self._place = 0
        self._prefixes = prefixes
        self._as_predicate: list[str] = []
        self._as_node: set[str] = set()

    @property
    def _token(self) -> Token:
        if self._place == len(self._tokens):
            raise Boundless("its query ends too early")
        return self._tokens[self._place]

    @property
    def text(self) -> str:
        """The token at hand; words in capitals."""
        return self._token.text.upper() if self._token.kind == "word" else self._token.text

    def take(self, expected: str = "") -> Token:
        """Go on to the next token."""
        if expected and self.text != expected:
            raise Boundless(f"its query has {self._token.text} where {expected} was expected")
        self._place += 1
        return self._tokens[self._place - 1]

    def group(self) -> Group:
        """Read a group with its braces."""
        group = Group()
        self.take("{")
        while self.text != "}":
            if self.text == "{":
                group.parts.append(self.group())
            elif self.text in (".", "UNION"):
                self.take()
            elif self.text in ("FILTER", "BIND"):
                self.take()
                self._expression(group)
            elif self._token.kind == "word" and self.text not in ("TRUE", "FALSE"):
                raise Boundless(f"its query uses {self.text}")
            else:
                self._same_subject(group)
        self.take("}")
        return group

    def _expression(self, group: Group) -> None:
        """Skip a filter's condition, but for the groups that it asks the existence of."""
        depth = 0
        while True:
            if self.text == "{":
                group.tests.append(self.group())
            else:
                depth += {"(": 1, ")": -1}.get(self.take().text, 0)
            closed = self._tokens[self._place - 1].text in (")", "}")
            if depth == 0 and closed:
                return

    def _same_subject(self, group: Group) -> None:
        subject = self._node()
        while True:
            path = self._verb()
            group.triples.append((subject, path, self._node()))
            while self.text == ",":
                self.take()
                group.triples.append((subject, path, self._node()))
            if self.text != ";":
                return
            while self.text == ";":
                self.take()
            if self.text in (".", "}"):
                return

    def _node(self) -> Any:
        token = self.take()
        if token.kind in ("variable", "blank"):
            name = token.text if token.kind == "blank" else "?" + token.text[1:]
            self._as_node.add(name)
            return name
        if token.kind in ("iri", "name"):
            return self._iri(token)
        if token.kind == "string":
            if self._token.kind == "lang":
                self.take()
            elif self.text == "^":
                self.take("^")
                self.take("^")
                self.take()
            return ox.Literal(token.text)
        if token.kind == "number" or token.text.upper() in ("TRUE", "FALSE"):
            return ox.Literal(token.text)
        raise Boundless(f"its query has {token.text} in a triple pattern")

    def _iri(self, token: Token) -> ox.NamedNode:
        if token.kind == "iri":
            return ox.NamedNode(token.text[1:-1])
        prefix, _, local = token.text.partition(":")
        if prefix not in self._prefixes:
            raise Boundless(f"its query uses {token.text} without a prefix declaration")
        return ox.NamedNode(self._prefixes[prefix] + re.sub(r"\\(.)", r"\1", local))

    def _verb(self) -> Path:
        if self._token.kind == "variable":
            self._as_predicate.append("?" + self.take().text[1:])
            return ANY
        return self._path()

    def _path(self) -> Path:
        branches = [self._sequence()]
        while self.text == "|":
            self.take()
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else ("alt", branches)

    def _sequence(self) -> Path:
        steps = [self._step()]
        while self.text == "/":
            self.take()
            steps.append(self._step())
        return steps[0] if len(steps) == 1 else ("seq", steps)

    def _step(self) -> Path:
        turned = self.text == "^"
        if turned:
            self.take()
        token = self.take()
        if token.text == "(":
            path = self._path()
            self.take(")")
        elif token.text == "a":
            path = ("step", ox.NamedNode(PREFIXES["rdf"] + "type"), False)
        elif token.kind in ("iri", "name"):
            path = ("step", self._iri(token), False)
        else:
            raise Boundless(f"its query has {token.text} in a property path")
        if self.text in ("*", "+", "?"):
            path = repeated(path, self.take().text)
        return backwards(path) if turned else path

    def check_predicates(self) -> None:
        """Refuse to follow a variable that is a predicate here and something else there."""
        for name in self._as_predicate:
            if self._as_predicate.count(name) > 1 or name in self._as_node:
                raise Boundless(f"its query joins on the predicate {name}")
