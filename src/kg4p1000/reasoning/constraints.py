"""The query of a SPARQL constraint: whether it can be run for all focus nodes at once, and what it looks at.

Knows as much of SPARQL as constraints need. What it does not know, it refuses (`check_pre_binding`)
or calls boundless (`Boundless`), so that nothing is judged by half.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pyoxigraph import NamedNode

from ..kernel.errors import BrokenFile
from ..sparql import Token, tokens
from .facts import TYPE

_REFUSED = {
    "FROM", "GRAPH", "GROUP", "HAVING", "LIMIT", "MINUS", "OFFSET", "ORDER", "PREFIX", "BASE", "SERVICE", "VALUES",
    "?PATH", "?SHAPESGRAPH", "?CURRENTSHAPE", "AS ?THIS", "BOUND ( ?THIS",
}  # fmt: skip


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
    words = [_word(token) for token in tokens(select)]
    body = words.index("{") if "{" in words else len(words)
    for fault in (*_header_faults(words, words[:body]), *_group_faults(words[body:])):
        raise BrokenFile(f"SPARQL constraint {name}: {fault}")


def _header_faults(words: list[str], header: list[str]) -> Iterator[str]:
    for place in range(len(words)):
        for phrase in (" ".join(words[place : place + length]) for length in (1, 2, 3)):
            if phrase.upper() in _REFUSED:
                yield f"{phrase} is not possible"
    if words.count("SELECT") != 1 or "?this" not in header:
        yield "it must be one SELECT that gives $this"
    if "(" in header:
        yield "it must not compute what it selects"


def _group_faults(words: list[str]) -> Iterator[str]:
    # Of each open group: whether it mentions $this, and does so in a triple pattern; open brackets.
    groups: list[list[int]] = [[False, False, 0]]
    for place, word in enumerate(words):
        if word == "{":
            groups.append([False, False, 0])
        elif word == "}" and len(groups) > 1:
            mentions, own, _ = groups.pop()
            if mentions and not own:
                yield "a group has $this in no triple pattern"
            groups[-1][0] |= mentions
            if len(groups) == 1 and mentions and place == len(words) - 1:
                return
        elif word == "?this":
            groups[-1][0] = True
            groups[-1][1] |= not groups[-1][2]
        else:
            groups[-1][2] += {"(": 1, ")": -1}.get(word, 0)
    yield "$this must be in the outermost group, and nothing may follow it"


def _word(token: Token) -> str:
    """Write a token so that it can be compared: keywords in capitals, variables with a question mark."""
    if token.kind == "variable":
        return "?" + token.text[1:]
    return token.word or (token.text if token.kind == "other" else f"{token.kind} {token.text}")


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


class Reader:
    """Reads what a constraint's query matches; skips over expressions.

    Raises:
        Boundless: it uses what this reader does not follow.
    """

    def __init__(self, select: str, prefixes: Mapping[str, str]) -> None:
        self._rest = [*tokens(select)][::-1]
        self._prefixes = prefixes
        self._predicates: list[str] = []
        self._nodes: set[Any] = set()

    @property
    def _next(self) -> str:
        if not self._rest:
            raise Boundless("its query ends too early")
        return _word(self._rest[-1])

    def _accept(self, *signs: str) -> str:
        """Read one of some signs, if it is next."""
        return self._rest.pop().text if self._next in signs else ""

    def query(self) -> Group:
        """Read the whole query."""
        while self._next != "{":
            self._rest.pop()
        group = self._group()
        for name in self._predicates:
            if self._predicates.count(name) > 1 or name in self._nodes:
                raise Boundless(f"its query joins on the predicate {name}")
        return group

    def _group(self) -> Group:
        group = Group()
        self._accept("{")
        while not self._accept("}"):
            if self._next == "{":
                group.parts.append(self._group())
            elif self._accept("FILTER", "BIND"):
                self._expression(group)
            elif self._accept(".", "UNION"):
                continue
            elif self._rest[-1].word not in ("", "TRUE", "FALSE"):
                raise Boundless(f"its query uses {self._next}")
            else:
                self._same_subject(group)
        return group

    def _expression(self, group: Group) -> None:
        """Skip a filter's condition, but for the groups that it asks the existence of."""
        depth, closed = 0, False
        while depth or not closed:
            if closed := self._next == "{":
                group.tests.append(self._group())
            else:
                sign = self._next
                self._rest.pop()
                depth += {"(": 1, ")": -1}.get(sign, 0)
                closed = sign == ")"

    def _same_subject(self, group: Group) -> None:
        subject = self._node()
        while self._next not in (".", "}"):
            path = self._verb()
            group.triples.append((subject, path, self._node()))
            while self._accept(","):
                group.triples.append((subject, path, self._node()))
            if not self._accept(";"):
                return
            while self._accept(";"):
                pass

    def _node(self) -> Any:
        word, token = self._next, self._rest.pop()
        if token.kind in ("iri", "name"):
            return self._iri(token)
        if token.kind == "string" and self._rest[-1:] and self._rest[-1].kind == "lang":
            self._rest.pop()
        elif token.kind == "string" and self._accept("^"):
            self._accept("^")
            self._rest.pop()
        elif token.kind not in ("variable", "blank", "string", "number") and word not in (
            "TRUE",
            "FALSE",
        ):
            raise Boundless(f"its query has {token.text} in a triple pattern")
        self._nodes.add(word)
        return word

    def _iri(self, token: Token) -> NamedNode:
        if token.kind == "iri":
            return NamedNode(token.text[1:-1])
        prefix, _, local = token.text.partition(":")
        if prefix not in self._prefixes:
            raise Boundless(f"its query uses {token.text} without a prefix declaration")
        return NamedNode(self._prefixes[prefix] + re.sub(r"\\(.)", r"\1", local))

    def _verb(self) -> Path:
        if self._next.startswith("?") and self._rest[-1].kind == "variable":
            self._predicates.append(self._next)
            self._rest.pop()
            return ANY
        return self._path()

    def _path(self) -> Path:
        return self._joined(lambda: self._joined(self._step, "/", "seq"), "|", "alt")

    def _joined(self, read: Callable[[], Path], sign: str, kind: str) -> Path:
        parts = [read()]
        while self._accept(sign):
            parts.append(read())
        return parts[0] if len(parts) == 1 else (kind, parts)

    def _step(self) -> Path:
        turned = self._accept("^")
        word, path = self._next, ANY
        token = self._rest.pop()
        if word == "(":
            path = self._path()
            if not self._accept(")"):
                raise Boundless(f"its query has {self._next} where ) was expected")
        elif token.text == "a" or token.kind in ("iri", "name"):
            path = TYPE if token.text == "a" else self._iri(token)
        else:
            raise Boundless(f"its query has {token.text} in a property path")
        if sign := self._accept("*", "+", "?"):
            path = repeated(path, sign)
        return ("inverse", path) if turned else path
