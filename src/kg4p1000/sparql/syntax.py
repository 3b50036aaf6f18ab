"""SPARQL as a tree, read as far as it takes to see where each part begins and ends: queries, groups, triples, templates.

Expressions are tokens, with the calls in them and the groups of their EXISTS. The engine has the last word on what is valid.

Source: SPARQL 1.1 Query Language, section 19.8; SPARQL 1.2 for triple terms, reifiers and annotations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ..kernel.errors import TooDeep
from .lexer import Cursor, Token
from .paths import Path
from .prologue import read_prologue

QUERY_FORMS = ("SELECT", "ASK", "CONSTRUCT", "DESCRIBE")
AGGREGATES = ("COUNT", "SUM", "MIN", "MAX", "AVG", "SAMPLE", "GROUP_CONCAT")
#: What may stand behind a group, and in which order.
_MODIFIERS = {"GROUP": 0, "HAVING": 1, "ORDER": 2, "LIMIT": 3, "OFFSET": 3}
_PARTS = ("FILTER", "BIND", "OPTIONAL", "MINUS", "GRAPH", "SERVICE", "LATERAL")
_BOOLEANS = ("TRUE", "FALSE")
_NAMES = ("variable", "iri", "name")
#: Brackets in one another.
_DEEPEST = 100


@dataclass
class Node:
    """A part of a text, from its first token to its end.

    Attributes:
        kind: ``group``; of what stands in a group the keyword, ``UNION`` for one group or several, or ``triples``; ``verb``;
            of a subject or object ``fixed``, ``variable``, ``blank``, ``anonymous`` or ``compound``.
        text: of a term and a variable as verb; the sign that opens a compound term; what GRAPH names.
        parts: groups; of triples the subject and the verbs; of a verb the objects; of ``[ … ]`` verbs, of ``( … )`` terms.
        annotated: whether the triples of a verb have reifiers or annotations.
        names, tokens: the variables and rows of VALUES.
    """

    kind: str
    first: Token
    end: int = 0
    text: str = ""
    parts: list[Node] = field(default_factory=list)
    path: Path | None = None
    annotated: bool = False
    expression: Expression | None = None
    names: list[str] = field(default_factory=list)
    tokens: list[Token] = field(default_factory=list)

    @property
    def start(self) -> int:
        """Return where it begins."""
        return self.first.start

    def walk(self) -> Iterator[Node]:
        """Yield the node and all within it."""
        yield self
        for part in self.parts:
            yield from part.walk()


@dataclass
class Call:
    """Brackets in an expression: the token in front, and first and end of each part, by place in the tokens."""

    head: Token
    parts: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Expression:
    """An expression in brackets: its tokens but for those of groups, its calls from the inside out, its EXISTS."""

    tokens: list[Token] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    exists: list[tuple[Token, Node]] = field(default_factory=list)
    name: Token | None = None


@dataclass
class Select(Node):
    """A SELECT, or a query of another form; its group is its only part, if there is one.

    Attributes:
        after: where the list of variables begins.
        plain: the variables of the list that are no names of expressions.
        grouped: where ``GROUP BY`` ends; 0 without.
        keys: the variables of ``GROUP BY``.
        cut: whether it has a LIMIT or an OFFSET.
        values: behind it.
        tokens: of a CONSTRUCT template.
    """

    after: int = 0
    plain: list[Token] = field(default_factory=list)
    star: Token | None = None
    expressions: list[Expression] = field(default_factory=list)
    grouped: int = 0
    keys: set[str] = field(default_factory=set)
    cut: bool = False
    values: Node | None = None

    @property
    def aggregated(self) -> bool:
        """Return whether there is an aggregate in it."""
        return any(call.head.word in AGGREGATES for e in self.expressions for call in e.calls)


class Parser(Cursor):
    """Reads a text into a tree.

    Args:
        templates: reads the triples of templates of updates, which have no paths and no triple terms.

    Raises:
        MalformedQuery: the text is not valid, as far as it is looked at.
        TooDeep: it is nested too deeply.
    """

    def __init__(self, text: str, templates: bool = False) -> None:
        super().__init__(text)
        self._templates = templates
        self._depth = 0

    # queries

    def query(self) -> Select:
        """Read a query with its prologue, to the end."""
        read_prologue(self)
        found = self._select()
        if self.next.kind != "end":
            raise self.unexpected("the end")
        return found

    def _select(self) -> Select:
        if not self.keyword(*QUERY_FORMS):
            raise self.unexpected("SELECT, ASK, CONSTRUCT or DESCRIBE")
        found = Select(self.last.word, self.last, after=self.last.end)
        if found.kind == "SELECT":
            if self.keyword("DISTINCT", "REDUCED"):
                found.after = self.last.end
            if self.accept("*"):
                found.star = self.last
            else:
                self._projection(found)
            while self.keyword("FROM"):
                self.keyword("NAMED")
                self.take()
        elif found.kind == "CONSTRUCT" and self.next.text == "{":
            found.tokens = self.skip_group()
        while found.kind != "SELECT" and self.next.word != "WHERE" and self.next.text != "{":
            if self.next.kind == "end":
                if found.kind == "DESCRIBE":
                    return found
                raise self.unexpected("'{'")
            self.take()
        self.keyword("WHERE")
        found.parts.append(self.group())
        self._modifiers(found)
        return found

    def _projection(self, found: Select) -> None:
        while self.next.kind == "variable" or self.next.text == "(":
            if self.next.kind == "variable":
                found.plain.append(self.take())
                found.names.append(self.last.text[1:])
                continue
            found.expressions.append(self._brackets())
            if not (name := found.expressions[-1].name):
                raise self.wrong(self.last, "an expression in SELECT needs a name: (… AS ?name).")
            found.names.append(name.text[1:])
        if not found.names or self.next.word in AGGREGATES:
            raise self.unexpected("'*', a variable, or an expression as (… AS ?name)")
        if self.next.text == ",":
            raise self.wrong(self.next, "variables in SELECT stand without ',' between them.")

    def _modifiers(self, found: Select) -> None:
        """Read what follows a group."""
        before: list[str] = []
        while word := self.keyword(*_MODIFIERS):
            if any(_MODIFIERS[word] < _MODIFIERS[one] or word == one for one in before):
                order = "GROUP BY, HAVING, ORDER BY, then LIMIT and OFFSET, each once."
                raise self.wrong(
                    self.last, f"{word} is out of place: behind the braces stand {order}"
                )
            before.append(word)
            if word in ("GROUP", "ORDER") and not self.keyword("BY"):
                raise self.unexpected(f"BY after {word}")
            if word in ("LIMIT", "OFFSET"):
                found.cut = True
                if self.next.kind != "number":
                    raise self.unexpected(f"a number after {word}")
                self.take()
                continue
            if word == "GROUP":
                found.grouped = self.last.end
            self._conditions(word, found)
        if self.keyword("VALUES"):
            found.values = self._values()

    def _conditions(self, word: str, found: Select) -> None:
        """Read what stands behind GROUP BY, HAVING or ORDER BY."""
        names: list[Token | None] = []
        ends = (*_MODIFIERS, "VALUES", "WHERE")
        while self.next.text not in ("}", "{", "", ")") and self.next.word not in ends:
            if self.next.text == "(":
                found.expressions.append(self._brackets())
                names.append(found.expressions[-1].name)
            elif word == "HAVING" and self.next.kind == "variable":
                raise self.unexpected("'(' after HAVING")
            elif self.take().kind == "variable":
                names.append(self.last)
        if word == "GROUP":
            found.keys.update(token.text[1:] for token in names if token)

    # groups

    def group(self) -> Node:
        """Read a group in braces."""
        found = Node("group", self.expect("{"))
        self._deeper()
        if self.next.word == "SELECT":
            found.parts.append(self._select())
        else:
            while self.next.text != "}":
                if self.next.kind == "end":
                    raise self.wrong(found.first, "this '{' is never closed.")
                if not self.accept("."):
                    found.parts.append(self._part())
        self._depth -= 1
        found.end = self.expect("}").end
        return found

    def _part(self) -> Node:
        found = Node(self.next.word, self.next)
        if self.keyword("VALUES"):
            return self._values()
        if self.next.text == "{":
            found = Node("UNION", self.next, parts=[self.group()])
            while self.keyword("UNION"):
                found.parts.append(self.group())
        elif not self.keyword(*_PARTS):
            return self.triples()
        elif found.kind == "FILTER":
            found.expression = self._constraint()
        elif found.kind == "BIND":
            if self.next.text != "(":
                raise self.unexpected("'(' after BIND")
            found.expression = self._brackets()
            if not found.expression.name:
                raise self.wrong(self.last, "BIND needs a name: BIND(… AS ?name).")
        else:
            if found.kind == "GRAPH" and self.next.kind not in _NAMES:
                raise self.unexpected("the name of a graph, or a variable")
            if found.kind in ("GRAPH", "SERVICE"):
                self.keyword("SILENT")
                found.text = self.take().text
            found.parts.append(self.group())
        found.end = self.last.end
        return found

    def _values(self) -> Node:
        found = Node("VALUES", self.last)
        if self.accept("("):
            while self.next.kind == "variable":
                found.names.append(self.take().text[1:])
            self.expect(")")
        elif self.next.kind == "variable":
            found.names.append(self.take().text[1:])
        else:
            raise self.unexpected("a variable after VALUES")
        self.expect("{")
        while not self.accept("}"):
            if self.next.kind == "end":
                raise self.unexpected("'}' after the rows of VALUES")
            found.tokens.append(self.take())
        return found

    # expressions

    def _constraint(self) -> Expression:
        """Read what follows FILTER."""
        self.keyword("NOT")
        if self.keyword("EXISTS"):
            return Expression(exists=[(self.last, self.group())])
        if self.next.text != "(":
            word = self.next
            if word.kind not in ("word", "iri", "name"):
                raise self.unexpected("'(' after FILTER")
            self.take()
            if self.next.text != "(":
                raise self.unexpected(f"'(' after {word.text}")
        return self._brackets()

    def _brackets(self) -> Expression:
        """Read an expression in round brackets."""
        found, last, start = Expression(), self.last, 0
        opened: list[tuple[Token, Call, int]] = []
        while True:
            token, at = self.take(), len(found.tokens)
            found.tokens.append(token)
            if token.kind == "other" and token.text == "(":
                opened.append((token, Call(last), start))
                start = at + 1
            elif token.kind == "other" and token.text in ",)":
                opened[-1][1].parts.append((start, at))
                start = at + 1
                if token.text == ")":
                    _, call, start = opened.pop()
                    found.calls.append(call)
                    if not opened:
                        return found
            elif token.word == "EXISTS":
                found.exists.append((token, self.group()))
                found.tokens.append(self.last)
            elif token.word == "AS" and len(opened) == 1 and self.next.kind == "variable":
                found.name = self.next
            elif token.kind == "end" or token.text in ("{", "}"):
                raise self.wrong(opened[-1][0], "this '(' is never closed.")
            last = token

    # triples

    def triples(self) -> Node:
        """Read the triples of one subject."""
        found = Node("triples", self.next)
        found.parts.append(self._term())
        if found.parts[0].kind != "compound" or self._at_verb():
            found.parts += self._verbs()
        found.end = self.last.end
        return found

    def _at_verb(self) -> bool:
        token = self.next
        is_path = token.kind == "other" and token.text in "^!(" and not self._templates
        return token.kind in _NAMES or token.text == "a" or is_path

    def _verbs(self) -> list[Node]:
        """Read verbs and objects of a subject."""
        found: list[Node] = []
        while True:
            verb = self._verb()
            found.append(verb)
            while True:
                node = self._term()
                if annotations := self._annotations():
                    verb.annotated = True
                    node.parts += annotations
                node.end = self.last.end
                verb.parts.append(node)
                if not self.accept(","):
                    break
            if not self.accept(";"):
                return found
            while self.accept(";"):
                pass
            if not self._at_verb():
                return found

    def _verb(self, kind: str = "verb") -> Node:
        if not self._at_verb():
            raise self.unexpected("a predicate")
        found = Node(kind, self.next, text=self.next.text)
        if self.next.kind == "variable":
            self.take()
        else:
            found.path = self._iri() if self._templates else self._path()
        found.end = self.last.end
        return found

    def _annotations(self) -> list[Node]:
        """Read reifiers and annotations of a triple."""
        found: list[Node] = []
        while not self._templates:
            if self.accept("~"):
                found.append(Node("reifier", self.last))
                if self.next.kind in (*_NAMES, "blank"):
                    found.append(self._term())
            elif self.next.text == "{" and self.after.text == "|":
                self.take()
                self.take()
                found += self._verbs()
                self.expect("|")
                self.expect("}")
            else:
                break
        return found

    def _term(self) -> Node:
        """Read a subject or an object."""
        token = self.next
        found = Node("fixed", token, text=token.text)
        if token.kind in (*_NAMES, "blank", "string", "number") or token.word in _BOOLEANS:
            self.take()
            if token.kind in ("variable", "blank"):
                found.kind = token.kind
            elif token.kind == "string":
                found.text += self._after_string()
        elif token.kind == "other" and token.text in "+-":
            self.take()
            glued = self.next.start == token.end or not self._templates  # the engine takes both
            if self.next.kind != "number" or not glued:
                raise self.unexpected(f"a number right after '{token.text}'")
            found.text += self.take().text
        elif token.kind == "other" and token.text in ("[(" if self._templates else "[(<"):
            self._compound(found)
        else:
            raise self.unexpected("an IRI, a literal, a variable or a blank node")
        found.end = self.last.end
        return found

    def _after_string(self) -> str:
        """Read the language or type of a string."""
        if self.next.kind == "lang":
            return self.take().text
        if not self.accept("^"):
            return ""
        self.expect("^")
        if self.next.kind not in ("iri", "name"):
            raise self.unexpected("the IRI of a datatype")
        return "^^" + self.take().text

    def _compound(self, found: Node) -> None:
        """Read what is in brackets: ``[]``, ``[ … ]``, ``()``, ``( … )``, ``<< … >>`` or ``<<( … )>>``."""
        self._deeper()
        found.kind = "compound"
        if self.accept("["):
            if self.next.text == "]":
                found.kind = "anonymous"
            else:
                found.parts = self._verbs()
            self.expect("]")
        elif self.accept("("):
            while not self.accept(")"):
                found.parts.append(self._term())
            if not found.parts:
                found.kind, found.text = "fixed", "()"
        else:
            self.expect("<")
            self.expect("<")
            is_term = self.accept("(")
            found.parts += self._term(), self._verb("predicate"), self._term()
            found.parts += self._annotations()
            for sign in ")>>" if is_term else ">>":
                self.expect(sign)
        self._depth -= 1

    # paths

    def _path(self) -> Path:
        return self._series("|", lambda: self._series("/", self._step, "sequence"), "alternative")

    def _series(self, sign: str, read: Callable[[], Path], kind: str) -> Path:
        parts = [read()]
        # '|' in front of '}' ends an annotation.
        while self.next.text == sign and self.after.text != "}":
            self.take()
            parts.append(read())
        return parts[0] if len(parts) == 1 else Path(kind, tuple(parts))

    def _step(self) -> Path:
        is_inverse = self.accept("^")
        if self.accept("("):
            self._deeper(2)  # it takes more calls in one another
            path = self._path()
            self.expect(")")
            self._depth -= 2
        elif self.accept("!"):
            parts = []
            is_set = self.accept("(")
            while not (is_set and self.accept(")")):
                parts.append(self._one())
                if not is_set:
                    break
                self.accept("|")
            path = Path("negated", tuple(parts))
        else:
            path = self._iri()
        sign = self.next
        is_number = self.after.kind == "number" and self.after.start == sign.end
        if sign.kind == "other" and sign.text in "*+?" and not (sign.text == "+" and is_number):
            path = Path("repeated", (path,), self.take().text)
        return Path("inverse", (path,)) if is_inverse else path

    def _one(self) -> Path:
        return Path("inverse", (self._iri(),)) if self.accept("^") else self._iri()

    def _iri(self) -> Path:
        if self.next.kind not in ("iri", "name") and self.next.text != "a":
            raise self.unexpected("a predicate")
        return Path("iri", text=self.take().text)

    def _deeper(self, levels: int = 1) -> None:
        self._depth += levels
        if self._depth > _DEEPEST:
            deep = self.wrong(self.last, "brackets are nested too deeply.")
            raise deep if self._templates else TooDeep()
