"""The graph patterns of a query, read as far as it takes to see what the engine would answer wrongly.

What is met on the way is told to `Rewriting`, which notes what is to be written otherwise. Expressions are read no
further than their brackets.

Source: SPARQL 1.1 Query Language, section 19.8; SPARQL 1.2 for triple terms, reifiers and annotations.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from ..errors import MalformedQuery
from .lexer import Cursor, Token, malformed
from .prologue import Prologue
from .rewriting import AGGREGATES, Rewriting, Selected, Statement
from .scopes import Scope, Scopes
from .triples import Triples

_FORMS = ("SELECT", "ASK", "CONSTRUCT", "DESCRIBE")
#: What may stand behind a group, and in which order.
_MODIFIERS = {"GROUP": 0, "HAVING": 1, "ORDER": 2, "LIMIT": 3, "OFFSET": 3}


@dataclass
class Seen:
    """What is known of the solutions of a group.

    Attributes:
        certain: variables that each solution binds.
        possible: variables that are in scope.
        bound: whether each solution belongs to one graph, where GRAPH with a variable stands around.
        joined: whether anything was met that gives solutions.
        loose: variables that an OPTIONAL may bind, and nothing before it.
        deep: those of them that are loose within an OPTIONAL.
        closed: whether it has to be evaluated without values from outside.
        blocked: whether the engine has to be told so.
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


class Patterns(Triples):
    """Reads a query, or a group in the braces of a WHERE clause.

    Args:
        rewriting: is told what is met.
        bound: variables that will be given values, wherever they stand.

    Attributes:
        notes: what is not valid though it can be read on.

    Raises:
        MalformedQuery: the text is not valid, as far as it is looked at.
        TooDeep: it is nested too deeply.
    """

    def __init__(
        self, cursor: Cursor, rewriting: Rewriting, bound: AbstractSet[str] = frozenset()
    ) -> None:
        super().__init__(cursor, rewriting)
        self._graph = self._active = ""
        self._uses: list[Token] = []
        self._aggregates = 0
        self._certain: set[str] = set()
        self._group = self._groups = 0
        self._labels: dict[str, int] = {}
        self._scopes = Scopes(cursor.variables, bound)
        self.notes: list[MalformedQuery] = []

    # queries

    def query(self) -> None:
        """Read what stands behind the prologue, to the end."""
        cursor = self._cursor
        form = cursor.next.word
        if form == "SELECT":
            self._select()
        else:
            if not cursor.keyword(*_FORMS):
                raise cursor.unexpected("SELECT, ASK, CONSTRUCT or DESCRIBE")
            if form == "CONSTRUCT" and cursor.next.text == "{":
                self._to.values(cursor.skip_group())
            while cursor.next.word != "WHERE" and cursor.next.text != "{":
                if cursor.next.kind == "end":
                    if form == "DESCRIBE":
                        return
                    raise cursor.unexpected("'{'")
                cursor.take()
            cursor.keyword("WHERE")
            self.group()
            self._modifiers()
        if cursor.next.kind != "end":
            raise cursor.unexpected("the end")

    def _select(self) -> Seen:
        """Read SELECT with its group and what follows it."""
        cursor, outer, outside = self._cursor, self._aggregates, self._certain
        self._aggregates, self._certain = 0, set()
        found = Selected(cursor.take(), cursor.last.end)
        if cursor.keyword("DISTINCT", "REDUCED"):
            found.after = cursor.last.end
        if cursor.accept("*"):
            found.star = cursor.last
        else:
            self._projection(found)
        while cursor.keyword("FROM"):
            cursor.keyword("NAMED")
            cursor.take()
        cursor.keyword("WHERE")
        own, inner = self._certain, self.group()
        self._certain = own
        own |= inner.certain
        self._modifiers(found, inner)
        self._certain = outside
        found.aggregated = bool(self._aggregates)
        self._check_grouping(found)
        self._aggregates = outer
        names = inner.possible if found.star else set(found.names)
        seen = Seen(names & inner.certain, set(names), inner.bound, True)
        seen.also(inner)
        seen.closed |= found.cut
        if self._graph:
            self._to.select(found, self._graph, inner.possible)
        elif found.aggregated and not found.grouped:
            seen.bound = False  # it has a solution without any
        return seen

    def _note(self, at: int, detail: str) -> None:
        self.notes.append(malformed(self._cursor.text, at, detail))

    def _check_grouping(self, found: Selected) -> None:
        if not (found.grouped or found.aggregated):
            return
        if found.star:
            self._note(found.star.start, "SELECT * cannot stand with GROUP BY; name the variables.")
        for token in found.plain:
            if (name := token.text[1:]) not in found.keys:
                self._note(
                    token.start,
                    f"?{name} is neither in GROUP BY nor in an aggregate, so that it has no one value for a group. Add it"
                    f" to GROUP BY, or write (SAMPLE(?{name}) AS ?one).",
                )

    def _projection(self, found: Selected) -> None:
        cursor = self._cursor
        while True:
            if cursor.next.kind == "variable":
                found.plain.append(cursor.take())
                found.names.append(cursor.last.text[1:])
            elif cursor.next.text == "(":
                if not (named := self._brackets()):
                    raise malformed(
                        cursor.text,
                        cursor.last.start,
                        "an expression in SELECT needs a name: (… AS ?name).",
                    )
                found.names.append(named)
            else:
                break
        if not found.names or cursor.next.word in AGGREGATES:
            raise cursor.unexpected("'*', a variable, or an expression as (… AS ?name)")
        if cursor.next.text == ",":
            raise malformed(
                cursor.text,
                cursor.next.start,
                "variables in SELECT stand without ',' between them.",
            )

    def _modifiers(self, found: Selected | None = None, inner: Seen | None = None) -> None:
        """Read what follows a group."""
        cursor, found = self._cursor, found or Selected(self._cursor.last, 0)
        before: list[str] = []
        while word := cursor.keyword(*_MODIFIERS):
            if any(_MODIFIERS[word] < _MODIFIERS[one] or word == one for one in before):
                raise malformed(
                    cursor.text,
                    cursor.last.start,
                    f"{word} is out of place: behind the braces stand GROUP BY, HAVING, ORDER BY, then LIMIT and OFFSET,"
                    " each once.",
                )
            before.append(word)
            if word in ("GROUP", "ORDER") and not cursor.keyword("BY"):
                raise cursor.unexpected(f"BY after {word}")
            if word in ("LIMIT", "OFFSET"):
                found.cut = True
                if cursor.next.kind != "number":
                    raise cursor.unexpected(f"a number after {word}")
                cursor.take()
                continue
            if word == "GROUP":
                found.grouped = cursor.last.end
            self._conditions(word, found.keys if word == "GROUP" else set())
        if cursor.keyword("VALUES"):
            values = self._values()
            if inner:
                inner.join(values)

    def _conditions(self, word: str, keys: set[str]) -> None:
        """Read what stands behind GROUP BY, HAVING or ORDER BY, and note the variables of it."""
        cursor = self._cursor
        while cursor.next.text not in ("}", "{", "", ")") and (
            cursor.next.word not in (*_MODIFIERS, "VALUES", "WHERE")
        ):
            if cursor.next.text == "(":
                keys.add(self._brackets())
            elif word == "HAVING" and cursor.next.kind == "variable":
                raise cursor.unexpected("'(' after HAVING")
            elif cursor.take().kind == "variable":
                keys.add(cursor.last.text[1:])

    # groups

    def whole(self, is_group: bool) -> None:
        """Read a text to its end: a query with its prologue, or a group in braces."""
        if is_group:
            self.group()
        else:
            Prologue.read(self._cursor)
            self.query()

    def finish(self) -> None:
        """Have written otherwise what is known only now."""
        self._to.finish(self._scopes.renamed())

    def group(self, *around: Scope, beside: AbstractSet[str] = frozenset()) -> Seen:
        """Read a group in braces.

        Args:
            around: a scope that reaches into everything within it.
            beside: variables that its filters see, too.
        """
        cursor = self._cursor
        outside = self._scopes.open(*around)
        opened = cursor.expect("{")
        self._deeper()
        self._groups += 1
        outer, self._group, self._uses = (self._group, self._uses), self._groups, []
        if cursor.next.word == "SELECT":
            seen = self._select()
        else:
            seen = Seen()
            while cursor.next.text != "}":
                if cursor.next.kind == "end":
                    raise malformed(cursor.text, opened.start, "this '{' is never closed.")
                self._element(seen, opened)
            self._bind_graph(seen, opened)
        cursor.expect("}")
        self._depth -= 1
        if self._uses and self._graph not in seen.possible:
            self._to.own_variable(self._uses[0], self._graph)
        self._group, self._uses = outer
        if seen.blocked and self._depth:
            self._to.close(cursor.last)
            seen.closed = True
        self._scopes.close(outside, seen.possible, beside)
        return seen

    def _bind_graph(self, seen: Seen, opened: Token) -> None:
        """See that what was read so far belongs to one graph that is there, within GRAPH."""
        if self._active and seen.joined and not seen.bound:
            self._to.insert(opened.end, f" GRAPH {self._active} {{}} ")
        seen.bound = seen.joined = True

    def _element(self, seen: Seen, opened: Token) -> None:
        """Read one part of a group."""
        cursor = self._cursor
        word = cursor.next.word
        readers: dict[str, Callable[[Seen, Token], None]] = {
            "FILTER": self._filter, "BIND": self._bind, "OPTIONAL": self._optional,
            "MINUS": self._minus, "GRAPH": self._in_graph, "VALUES": self._data,
            "SERVICE": self._service, "LATERAL": self._lateral,
        }  # fmt: skip
        if cursor.accept("."):
            return
        if read := readers.get(word):
            cursor.take()
            read(seen, opened)
        elif cursor.next.text == "{":
            seen.join(self._union())
        else:
            self._statement(seen)

    def _union(self) -> Seen:
        seen = self.group()
        if self._cursor.next.word == "UNION":
            seen = replace(seen, certain=set(seen.certain), possible=set(seen.possible))
        while self._cursor.keyword("UNION"):
            other = self.group()
            seen.certain &= other.certain
            seen.possible |= other.possible
            seen.bound &= other.bound
            seen.also(other)
        return seen

    def _filter(self, seen: Seen, opened: Token) -> None:
        start = self._scopes.mark()
        self._constraint()
        self._scopes.filter(start)

    def _bind(self, seen: Seen, opened: Token) -> None:
        cursor = self._cursor
        if cursor.next.text != "(":
            raise cursor.unexpected("'(' after BIND")
        start = self._scopes.mark()
        if not (name := self._brackets()):
            raise malformed(cursor.text, cursor.last.start, "BIND needs a name: BIND(… AS ?name).")
        self._scopes.note(start, seen.possible, end=-1)  # the last is the name
        if name in seen.possible:
            self._note(
                cursor.last.start,
                f"BIND cannot give ?{name} a value, it has one already; take another name.",
            )
        seen.bound |= not seen.joined
        seen.joined = True
        seen.possible.add(name)

    def _optional(self, seen: Seen, opened: Token) -> None:
        self._bind_graph(seen, opened)
        start = self._cursor.last
        optional = self.group(beside=seen.possible)
        found = optional.possible
        seen.blocked |= optional.closed or not seen.possible.isdisjoint(optional.loose)
        seen.deep |= optional.loose
        seen.loose |= (found - seen.certain) | optional.loose
        if self._graph in found and self._graph not in seen.certain:
            self._to.own_variable(start, self._graph)
        seen.possible |= found

    def _minus(self, seen: Seen, opened: Token) -> None:
        self._bind_graph(seen, opened)
        start, mark = self._cursor.next, self._scopes.mark()
        taken = self.group()
        self._scopes.note(mark, seen.possible)
        if self._graph and self._graph in taken.possible:
            self._to.own_variable(start, self._graph)
        ours = {self._graph}
        if not (seen.certain & taken.certain) - ours:
            shared = (seen.possible & taken.possible) - ours
            if self._graph or not shared:
                self._to.minus(start, self._cursor.last, self._graph, shared)

    def _in_graph(self, seen: Seen, opened: Token) -> None:
        cursor, outer = self._cursor, (self._graph, self._active)
        word, token = cursor.last, cursor.next
        if token.kind not in ("variable", "iri", "name"):
            raise cursor.unexpected("the name of a graph, or a variable")
        cursor.take()
        self._graph = token.text[1:] if token.kind == "variable" else ""
        self._active = token.text
        inner = self.group()
        if not inner.bound:
            self._to.insert(word.start, f"GRAPH {self._active} {{}} ")
        inner.bound = self._active == outer[1]
        if self._graph:
            inner.certain.add(self._graph)
            inner.possible.add(self._graph)
        self._graph, self._active = outer
        seen.join(inner)

    def _data(self, seen: Seen, opened: Token) -> None:
        seen.join(self._values())

    def _service(self, seen: Seen, opened: Token) -> None:
        self._cursor.keyword("SILENT")
        self._cursor.take()
        seen.join(self.group())

    def _lateral(self, seen: Seen, opened: Token) -> None:
        self._bind_graph(seen, opened)
        seen.join(self.group(Scope(seen.possible)))

    def _values(self) -> Seen:
        """Read variables and rows behind VALUES."""
        cursor = self._cursor
        names, undefined = [], False
        if cursor.accept("("):
            while cursor.next.kind == "variable":
                names.append(cursor.take().text[1:])
            cursor.expect(")")
        elif cursor.next.kind == "variable":
            names.append(cursor.take().text[1:])
        else:
            raise cursor.unexpected("a variable after VALUES")
        cursor.expect("{")
        found = []
        while not cursor.accept("}"):
            found.append(cursor.next)
            undefined |= cursor.next.word == "UNDEF"
            if cursor.take().kind == "end":
                raise cursor.unexpected("'}' after the rows of VALUES")
        self._to.values(found)
        return Seen(set() if undefined else set(names), set(names), False, True)

    # expressions

    def _constraint(self) -> None:
        """Read what follows FILTER."""
        cursor = self._cursor
        cursor.keyword("NOT")
        if cursor.keyword("EXISTS"):
            self._exists(cursor.last)
            return
        if cursor.next.text != "(":
            word = cursor.next
            if word.kind not in ("word", "iri", "name"):
                raise cursor.unexpected("'(' after FILTER")
            cursor.take()
            if cursor.next.text != "(":
                raise cursor.unexpected(f"'(' after {word.text}")
        self._brackets(cursor.last)

    def _exists(self, token: Token) -> None:
        if self._graph in self.group(self._scopes.current).possible:
            self._uses.append(token)

    def _brackets(self, before: Token | None = None) -> str:
        """Read an expression in round brackets; the name that AS gives it, or nothing."""
        cursor, name = self._cursor, ""
        last = before or cursor.last
        opened: list[tuple[Token, Token]] = []
        function_before, found = last, []
        while True:
            token = cursor.take()
            found.append(token)
            if token.text == "(" and token.kind == "other":
                opened.append((token, last))
                self._open(opened)
            elif token.text == ")" and token.kind == "other":
                start, function = opened.pop()
                self._to.call(function, start, token)
                self._aggregates += function.word in AGGREGATES
                if not opened:
                    self._to.expression(function_before, found, self._certain)
                    return name
            elif token.word == "EXISTS":
                self._exists(token)
                found.append(cursor.last)
            elif token.kind == "variable" and token.text[1:] == self._graph:
                self._uses.append(token)
            elif token.word == "AS" and len(opened) == 1 and cursor.next.kind == "variable":
                name = cursor.next.text[1:]
            elif token.kind == "end" or token.text in ("{", "}"):
                raise malformed(cursor.text, opened[-1][0].start, "this '(' is never closed.")
            last = token

    def _open(self, opened: list[tuple[Token, Token]]) -> None:
        function = opened[-1][1]
        if function.word in AGGREGATES and any(f.word in AGGREGATES for _, f in opened[:-1][-9:]):
            self._to.nested(function)

    # triples

    def _statement(self, seen: Seen) -> None:
        cursor = self._cursor
        outer, self._vars = self._vars, set()
        statement = Statement(cursor.next.start)
        statement.subject = self._node(statement)
        if statement.subject.kind != "compound" or self._at_verb():
            self._properties(statement, top=True)
        statement.end = cursor.last.end
        may_stay = self._to.may_be_empty(statement)
        seen.join(Seen(self._vars, set(self._vars), not may_stay))
        self._vars = outer
        for label in statement.labels:
            if self._labels.setdefault(label.text, self._group) != self._group:
                self._note(
                    label.start,
                    f"{label.text} stands in another group too, and a blank node of a query belongs to one; use a variable.",
                )
        self._to.statement(statement)
