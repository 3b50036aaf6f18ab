"""Triples, paths and terms of a query, read as far as it takes to see where each begins and ends.

Source: SPARQL 1.1 Query Language, section 19.8, rules 75 to 115; SPARQL 1.2 for triple terms, reifiers and annotations.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import TooDeep
from .lexer import Cursor
from .paths import Path
from .rewriting import Node, Rewriting, Statement, Verb

_DEEPEST = 100
_BOOLEANS = ("TRUE", "FALSE")
_TERMS = ("iri", "name", "blank", "variable", "string", "number")


class Triples:
    """Reads the triples of a subject."""

    def __init__(self, cursor: Cursor, rewriting: Rewriting) -> None:
        self._cursor = cursor
        self._to = rewriting
        self._depth = 0
        self._vars: set[str] = set()

    def _at_verb(self) -> bool:
        token = self._cursor.next
        return (
            token.kind in ("variable", "iri", "name")
            or token.text in ("a", "^", "!")
            or (token.text == "(" and token.kind == "other")
        )

    def _properties(self, statement: Statement, top: bool = False) -> None:
        """Read verbs and objects of a subject."""
        cursor = self._cursor
        while True:
            if not self._at_verb():
                raise cursor.unexpected("a predicate")
            verb = Verb(cursor.next.start, self._verb(), cursor.last.end)
            (statement.verbs if top else statement.inner).append(verb)
            while True:
                start = cursor.next.start
                node = self._node(statement)
                if self._annotations(statement) and verb.path and verb.path.kind != "iri":
                    self._to.annotated(verb)
                verb.objects.append(Node(node.kind, start, cursor.last.end))
                if not cursor.accept(","):
                    break
            if not cursor.accept(";"):
                return
            while cursor.accept(";"):
                pass
            if not self._at_verb():
                return

    def _annotations(self, statement: Statement) -> bool:
        """Read reifiers and annotations of a triple, and tell whether there are any."""
        cursor, before = self._cursor, self._cursor.last
        while True:
            if cursor.accept("~"):
                if cursor.next.kind in ("variable", "iri", "name", "blank"):
                    self._node(statement)
            elif cursor.next.text == "{" and cursor.after.text == "|":
                cursor.take()
                cursor.take()
                self._properties(statement)
                cursor.expect("|")
                cursor.expect("}")
            else:
                return cursor.last is not before

    def _node(self, statement: Statement) -> Node:
        """Read a subject or an object."""
        cursor = self._cursor
        token = cursor.next
        kind = "fixed"
        if token.kind in _TERMS:
            cursor.take()
            if token.kind == "variable":
                kind = "variable"
                self._vars.add(token.text[1:])
            elif token.kind == "blank":
                kind = "blank"
                statement.labels.append(token)
            elif token.kind == "string":
                self._after_string()
        elif token.text in ("+", "-") and cursor.after.kind == "number":
            cursor.take()
            cursor.take()
        elif token.word in _BOOLEANS:
            cursor.take()
        elif token.text in ("[", "(", "<") and token.kind == "other":
            kind = self._compound(statement)
        else:
            raise cursor.unexpected("an IRI, a literal, a variable or a blank node")
        return Node(kind, token.start, cursor.last.end)

    def _after_string(self) -> None:
        cursor = self._cursor
        if cursor.next.kind == "lang":
            cursor.take()
        elif cursor.accept("^"):
            cursor.expect("^")
            cursor.take()

    def _compound(self, statement: Statement) -> str:
        """Read what is in brackets: ``[]``, ``[ … ]``, ``()``, ``( … )``, ``<< … >>`` or ``<<( … )>>``."""
        cursor = self._cursor
        self._deeper()
        kind = "compound"
        if cursor.accept("["):
            if cursor.accept("]"):
                kind = "anonymous"
            else:
                self._properties(statement)
                cursor.expect("]")
        elif cursor.accept("("):
            kind = "fixed" if cursor.next.text == ")" else kind
            while not cursor.accept(")"):
                self._node(statement)
        else:
            self._triple_term(statement)
        self._depth -= 1
        return kind

    def _triple_term(self, statement: Statement) -> None:
        cursor = self._cursor
        cursor.expect("<")
        cursor.expect("<")
        is_term = cursor.accept("(")
        self._node(statement)
        if not self._at_verb():
            raise cursor.unexpected("a predicate")
        self._verb()
        self._node(statement)
        self._annotations(statement)
        for sign in ")>>" if is_term else ">>":
            cursor.expect(sign)

    def _verb(self) -> Path | None:
        """Read a predicate; nothing for a variable."""
        if self._cursor.next.kind == "variable":
            self._vars.add(self._cursor.take().text[1:])
            return None
        return self._path()

    # paths

    def _path(self) -> Path:
        return self._series("|", lambda: self._series("/", self._step, "sequence"), "alternative")

    def _series(self, sign: str, read: Callable[[], Path], kind: str) -> Path:
        parts = [read()]
        # '|' in front of '}' ends an annotation.
        while self._cursor.next.text == sign and self._cursor.after.text != "}":
            self._cursor.take()
            parts.append(read())
        return parts[0] if len(parts) == 1 else Path(kind, tuple(parts))

    def _step(self) -> Path:
        cursor = self._cursor
        if cursor.accept("^"):
            return Path("inverse", (self._repeated(),))
        return self._repeated()

    def _repeated(self) -> Path:
        cursor = self._cursor
        path = self._primary()
        sign = cursor.next
        if sign.kind == "other" and sign.text in ("*", "+", "?"):
            number = sign.text == "+" and cursor.after.kind == "number" and (
                cursor.after.start == sign.end
            )  # fmt: skip
            if not number:
                cursor.take()
                return Path("repeated", (path,), sign.text)
        return path

    def _primary(self) -> Path:
        cursor = self._cursor
        if cursor.accept("("):
            self._deeper(2)  # it takes more calls in one another
            path = self._path()
            cursor.expect(")")
            self._depth -= 2
            return path
        if cursor.accept("!"):
            if not cursor.accept("("):
                return Path("negated", (self._one(),))
            parts = []
            while not cursor.accept(")"):
                parts.append(self._one())
                cursor.accept("|")
            return Path("negated", tuple(parts))
        return self._iri()

    def _one(self) -> Path:
        return Path("inverse", (self._iri(),)) if self._cursor.accept("^") else self._iri()

    def _iri(self) -> Path:
        token = self._cursor.next
        if token.kind not in ("iri", "name") and token.text != "a":
            raise self._cursor.unexpected("a predicate")
        return Path("iri", text=self._cursor.take().text)

    def _deeper(self, levels: int = 1) -> None:
        self._depth += levels
        if self._depth > _DEEPEST:
            raise TooDeep
