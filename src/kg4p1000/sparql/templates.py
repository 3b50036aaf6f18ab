"""Templates of quads in updates: read, and filled in with solutions.

Source: SPARQL 1.1 Query Language, section 19.8, rules 48 to 52 and 75 to 110; SPARQL 1.1 Update,
sections 3.1 and 4.2. Quoted triples of RDF 1.2 are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from pyoxigraph import BlankNode, Literal, NamedNode, Quad, Variable

from ..terms import PREFIXES
from .lexer import Cursor, Token, malformed
from .prologue import Prologue, Written

_TYPE = NamedNode(PREFIXES["rdf"] + "type")
_FIRST, _REST, _NIL = (NamedNode(PREFIXES["rdf"] + name) for name in ("first", "rest", "nil"))
_BOOLEANS = ("TRUE", "FALSE")
#: Blank nodes and collections in each other, no deeper than this.
_DEEPEST = 64

Node = NamedNode | Literal | BlankNode | Variable
#: Subject, predicate, object and graph; no graph is the default graph.
Pattern = tuple[Node, Node, Node, NamedNode | Variable | None]


@dataclass(frozen=True)
class Rules:
    """What may stand in a template.

    Attributes:
        name: of the kind of operation, for messages.
        literal_subjects: whether a literal may be a subject; a triple with one is never made.
    """

    name: str
    variables: bool = True
    blanks: bool = True
    literal_subjects: bool = True


INSERT = Rules("an INSERT template")
DELETE = Rules("a DELETE template", blanks=False)
DELETE_WHERE = Rules("DELETE WHERE", blanks=False)
INSERT_DATA = Rules("INSERT DATA", variables=False, literal_subjects=False)
DELETE_DATA = Rules("DELETE DATA", variables=False, blanks=False, literal_subjects=False)


@dataclass(frozen=True)
class Template:
    """Quads with variables and blank nodes to fill in.

    Attributes:
        labels: the labels of blank nodes, with the place of the first use of each.
        outside: the place of the first triple that stands in no GRAPH block; None without any.
    """

    patterns: tuple[Pattern, ...] = ()
    labels: Mapping[str, int] | None = None
    outside: int | None = None

    def within(self, graph: NamedNode) -> Template:
        """The template with a graph for the triples that stand in no GRAPH block."""
        patterns = tuple((s, p, o, graph if g is None else g) for s, p, o, g in self.patterns)
        return replace(self, patterns=patterns, outside=None)

    @property
    def variables(self) -> set[str]:
        """The names of its variables."""
        return {term.value for quad in self.patterns for term in quad if isinstance(term, Variable)}

    @property
    def has_blanks(self) -> bool:
        """Whether it has blank nodes, of which each solution makes new ones."""
        return any(isinstance(term, BlankNode) for quad in self.patterns for term in quad)

    def fill(self, solutions: Iterable[Mapping[str, Any]]) -> Iterator[Quad]:
        """The quads of all solutions; what is unbound or no quad of RDF is left out."""
        if not self.variables and not self.has_blanks:
            solutions = islice(solutions, 1)
        for solution in solutions:
            blanks: dict[BlankNode, BlankNode] = {}
            for pattern in self.patterns:
                s, p, o, g = (_filled(term, solution, blanks) for term in pattern)
                if (
                    isinstance(s, NamedNode | BlankNode)
                    and isinstance(p, NamedNode)
                    and isinstance(g, NamedNode)
                    and o is not None
                ):
                    yield Quad(s, p, o, g)


def _filled(term: Any, solution: Mapping[str, Any], blanks: dict[BlankNode, BlankNode]) -> Any:
    if isinstance(term, Variable):
        return solution[term.value]
    if isinstance(term, BlankNode):
        return blanks.setdefault(term, BlankNode())
    return term


def read_template(cursor: Cursor, prologue: Prologue, rules: Rules) -> Template:
    """Read a template in braces.

    Raises:
        MalformedQuery: it is not one, or has what this kind of operation may not have.
    """
    reader = _Reader(cursor, rules)
    reader.quads()
    return reader.finish(prologue)


class _Reader:
    """Reads a template; IRIs and literals are numbers until `finish` turns all of them into terms."""

    def __init__(self, cursor: Cursor, rules: Rules) -> None:
        self._cursor = cursor
        self._rules = rules
        self._patterns: list[tuple[Any, Any, Any, Any]] = []
        self._written: list[Written] = []
        self._numbers: dict[str, int] = {}
        self._blanks: dict[str, BlankNode] = {}
        self._labels: dict[str, int] = {}
        self._outside: int | None = None
        self._depth = 0

    def finish(self, prologue: Prologue) -> Template:
        terms = prologue.terms(self._cursor.text, self._written)

        def term(found: Any) -> Any:
            return terms[found] if isinstance(found, int) else found

        patterns = [(term(s), term(p), term(o), term(g)) for s, p, o, g in self._patterns]
        return Template(tuple(patterns), self._labels, self._outside)

    def quads(self) -> None:
        cursor = self._cursor
        cursor.expect("{")
        while not cursor.accept("}"):
            if cursor.next.word == "GRAPH":
                cursor.take()
                graph = self._name("the IRI of a graph")
                cursor.expect("{")
                while not cursor.accept("}"):
                    self._triples(graph)
                    self._stop("}")
                cursor.accept(".")
            else:
                start = cursor.next.start
                self._outside = start if self._outside is None else self._outside
                self._triples(None)
                self._stop("}", "GRAPH")

    def _stop(self, *ends: str) -> None:
        """Read the full stop after triples, which may be left out at an end."""
        token = self._cursor.next
        if not self._cursor.accept(".") and token.text.upper() not in ends:
            raise self._cursor.unexpected("'.', ';', ',' or '}'")

    def _triples(self, graph: Any) -> None:
        cursor = self._cursor
        first = cursor.next
        literal = first.kind in ("string", "number") or first.text in ("+", "-")
        if not self._rules.literal_subjects and (literal or first.word in _BOOLEANS):
            raise cursor.unexpected("a subject, which is no literal")
        compound = first.text in ("(", "[") and cursor.after.text not in (")", "]")
        subject = self._node(graph)
        if not compound or self._at_verb():
            self._properties(subject, graph)

    def _properties(self, subject: Any, graph: Any) -> None:
        cursor = self._cursor
        while True:
            verb = self._verb()
            self._patterns.append((subject, verb, self._node(graph), graph))
            while cursor.accept(","):
                self._patterns.append((subject, verb, self._node(graph), graph))
            if not cursor.accept(";"):
                return
            while cursor.accept(";"):
                pass
            if not self._at_verb():
                return

    def _at_verb(self) -> bool:
        token = self._cursor.next
        return token.kind in ("variable", "iri", "name") or token.text == "a"

    def _verb(self) -> Any:
        if self._cursor.next.text == "a":
            self._cursor.take()
            return _TYPE
        return self._name("a predicate")

    def _name(self, wanted: str) -> Any:
        token = self._cursor.next
        if token.kind not in ("variable", "iri", "name"):
            raise self._cursor.unexpected(wanted)
        return self._node(None)

    def _node(self, graph: Any) -> Any:
        """Read a subject or object; what belongs to a compound one becomes triples of the graph."""
        token = self._cursor.next
        match token.kind:
            case "iri" | "name":
                return self._term(self._cursor.take().text, token)
            case "variable":
                return self._variable(self._cursor.take())
            case "blank":
                return self._blank(self._cursor.take())
            case "other" if token.text in "[(":
                return self._compound(graph)
        return self._literal()

    def _term(self, text: str, token: Token) -> int:
        number = self._numbers.setdefault(text, len(self._written))
        if number == len(self._written):
            self._written.append((text, token.start))
        return number

    def _literal(self) -> int:
        cursor = self._cursor
        token = cursor.next
        signed = token.text in ("+", "-")
        if not signed and token.kind not in ("string", "number") and token.word not in _BOOLEANS:
            raise cursor.unexpected("an IRI, a literal, a variable or a blank node")
        text = cursor.take().text
        if signed:
            if cursor.next.kind != "number" or cursor.next.start != token.end:
                raise cursor.unexpected(f"a number right after '{text}'")
            text += cursor.take().text
        elif token.kind == "string" and cursor.next.kind == "lang":
            text += cursor.take().text
        elif token.kind == "string" and cursor.accept("^"):
            cursor.expect("^")
            if cursor.next.kind not in ("iri", "name"):
                raise cursor.unexpected("the IRI of a datatype")
            text += "^^" + cursor.take().text
        return self._term(text, token)

    def _variable(self, token: Token) -> Variable:
        if not self._rules.variables:
            raise malformed(
                self._cursor.text,
                token.start,
                f"a variable cannot stand in {self._rules.name}; with a WHERE clause it can.",
            )
        return Variable(token.text[1:])

    def _blank(self, token: Token) -> BlankNode:
        if not self._rules.blanks:
            raise malformed(
                self._cursor.text,
                token.start,
                f"a blank node cannot stand in {self._rules.name}, where it would name nothing that"
                " is there; use a variable and a WHERE clause.",
            )
        if token.kind != "blank":
            return BlankNode()
        self._labels.setdefault(token.text, token.start)
        return self._blanks.setdefault(token.text, BlankNode())

    def _compound(self, graph: Any) -> Any:
        """Read ``[]``, ``[ … ]``, ``()`` or ``( … )``."""
        cursor = self._cursor
        token = cursor.take()
        if token.text == "(" and cursor.accept(")"):
            return _NIL
        self._depth += 1
        if self._depth > _DEEPEST:
            raise malformed(cursor.text, token.start, "brackets are nested too deeply.")
        node = self._blank(token)
        if token.text == "[" and not cursor.accept("]"):
            self._properties(node, graph)
            cursor.expect("]")
        elif token.text == "(":
            self._items(node, graph)
        self._depth -= 1
        return node

    def _items(self, node: BlankNode, graph: Any) -> None:
        while True:
            self._patterns.append((node, _FIRST, self._node(graph), graph))
            if self._cursor.accept(")"):
                self._patterns.append((node, _REST, _NIL, graph))
                return
            rest = BlankNode()
            self._patterns.append((node, _REST, rest, graph))
            node = rest
