"""What the engine answers wrongly, written so that it answers rightly, or refused with what to write instead.

`docs/endpoint.md` has the table of these forms, and `tests/test_engine_answers.py` a test of each that fails when a new
engine answers it as SPARQL says, so that the entry can go. All of it was measured on pyoxigraph 0.5.13.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..errors import AnsweredWrongly, MalformedQuery
from .expressions import Expression, other, written
from .lexer import Token, malformed, place
from .paths import Path, TooMany, combined

#: A variable that no one writes.
NONE = "none_of_these_"
AGGREGATES = ("COUNT", "SUM", "MIN", "MAX", "AVG", "SAMPLE", "GROUP_CONCAT")


@dataclass
class Selected:
    """A SELECT clause.

    Attributes:
        word: the keyword.
        after: where the list of variables begins.
        star: the ``*`` in place of the list.
        plain: the variables of the list that are no names of expressions.
        keys: the variables of ``GROUP BY``.
        grouped: where ``GROUP BY`` ends; 0 without.
        cut: whether it has a LIMIT or an OFFSET.
    """

    word: Token
    after: int
    names: list[str] = field(default_factory=list)
    star: Token | None = None
    plain: list[Token] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    grouped: int = 0
    cut: bool = False
    aggregated: bool = False


@dataclass(frozen=True)
class Node:
    """A subject or object: ``fixed``, ``variable``, ``blank``, ``anonymous`` or ``compound``, and where it stands."""

    kind: str
    start: int
    end: int


@dataclass
class Verb:
    """A predicate or path, and the objects behind it."""

    start: int
    path: Path | None
    end: int
    objects: list[Node] = field(default_factory=list)


@dataclass
class Statement:
    """The triples of one subject.

    Attributes:
        verbs: of the subject.
        inner: of the nodes in brackets within it.
        labels: of blank nodes.
    """

    start: int
    end: int = 0
    subject: Node = Node("", 0, 0)
    verbs: list[Verb] = field(default_factory=list)
    inner: list[Verb] = field(default_factory=list)
    labels: list[Token] = field(default_factory=list)


class Rewriting:
    """Notes what is to be written otherwise in a text.

    Attributes:
        changes: start, end and what to put there.
        faults: what is no SPARQL, though the engine takes it.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self.changes: list[tuple[int, int, str]] = []
        self.faults: list[MalformedQuery] = []
        self._statements: list[Statement] = []
        self._expressions: list[Expression] = []
        self._renamed: list[tuple[int, int, str]] = []

    def finish(self, renamed: list[tuple[int, int, str]]) -> None:
        """Write the statements, and variables under other names.

        Args:
            renamed: start, end and new text of variables.
        """
        self._renamed = sorted(renamed)
        for expression in self._expressions:
            self.changes += expression.changes(self._copied)
        for statement in self._statements:
            self._write(statement)
        written = sorted(change[:2] for change in self.changes if change[0] < change[1])
        for change in self._renamed:
            at = bisect_right(written, change[0], key=lambda stretch: stretch[0]) - 1
            if at < 0 or written[at][1] <= change[0]:
                self.changes.append(change)

    def _copied(self, start: int, end: int) -> str:
        """A stretch of the text, with variables under other names."""
        pieces, at = [], start
        for place_ in range(bisect_left(self._renamed, (start,)), len(self._renamed)):
            first, last, new = self._renamed[place_]
            if first >= end:
                break
            pieces += self._text[at:first], new
            at = last
        return "".join((*pieces, self._text[at:end]))

    def insert(self, at: int, text: str) -> None:
        """Put something at a place."""
        self.changes.append((at, at, text))

    def _refused(self, at: int, detail: str) -> AnsweredWrongly:
        line, column = place(self._text, at)
        return AnsweredWrongly(f"Line {line}, column {column}: {detail}", line=line, column=column)

    # GRAPH with a variable: the engine gives its triple patterns the graph, and nothing else in it

    def select(self, found: Selected, graph: str, inside: Iterable[str]) -> None:
        """A SELECT within GRAPH has to hand on the graph."""
        start, inner = found.word.start, set(inside)
        if found.cut or (found.aggregated and not found.grouped):
            why = "LIMIT and OFFSET count" if found.cut else "the aggregate is made"
            what = (
                f"put the SELECT around: SELECT … {{ GRAPH ?{graph} {{ … }} }}"
                if found.cut
                else f"write SELECT ?{graph} … {{ GRAPH ?{graph} {{ … }} }} GROUP BY ?{graph}"
            )
            raise self._refused(
                start,
                f"SELECT in GRAPH ?{graph} {{ … }} is refused here, as {why} over all graphs together and not in each."
                f" To have it of each graph, {what}; to have it of one, name that graph in place of ?{graph}.",
            )
        if graph in found.names:
            return
        if graph in inner and not found.star:
            raise self._refused(
                start,
                f"this SELECT in GRAPH ?{graph} {{ … }} uses ?{graph} and does not select it, so that it is another"
                " variable. Give it another name.",
            )
        if found.star:
            names = " ".join(f"?{name}" for name in sorted({graph, *inner}))
            self.changes.append((found.star.start, found.star.end, f" {names} "))
        else:
            self.insert(found.after, f" ?{graph} ")
        if found.grouped:
            self.insert(found.grouped, f" ?{graph} ")

    def minus(self, opened: Token, closed: Token, graph: str, shared: set[str]) -> None:
        """A MINUS whose sides may have no variable in common but that of the graph around."""
        if shared:
            name = min(shared)
            raise self._refused(
                opened.start,
                f"MINUS in GRAPH ?{graph} {{ … }} is refused where ?{name} may be unbound on one side, as too much is"
                " taken away then. Write FILTER NOT EXISTS { … } in place of MINUS { … }.",
            )
        # It takes nothing away.
        self.insert(opened.end, "{")
        self.insert(closed.start, "} FILTER(false) ")

    def close(self, closed: Token) -> None:
        """A group into which the engine would hand values from outside that go too far.

        MINUS, though it takes nothing away here, keeps it from that.
        """
        self.insert(closed.start, f" MINUS {{ VALUES ?{NONE} {{ 0 }} FILTER(?{NONE} = 1) }} ")

    def own_variable(self, at: Token, graph: str) -> None:
        """The variable of GRAPH within its braces, where it is another one than outside."""
        raise self._refused(
            at.start,
            f"?{graph} is refused here: within GRAPH ?{graph} {{ … }} it does not stand for the graph. Put what needs the"
            f" graph behind the braces, as in GRAPH ?{graph} {{ … }} FILTER(?{graph} …), or name the variable otherwise.",
        )

    # functions

    def call(self, function: Token, opened: Token, closed: Token) -> None:
        """A function, or just brackets."""
        if function.word == "BNODE" and closed.start > opened.end and self._inside(opened, closed):
            raise self._refused(
                function.start,
                "BNODE with an argument is refused, as all solutions would share the node, and most strings would"
                " have none. Write BNODE() for a node of each solution, or make an IRI:"
                ' IRI(CONCAT("http://example.org/", ENCODE_FOR_URI(?text))).',
            )

    def expression(self, function: Token, tokens: list[Token], certain: set[str]) -> None:
        """An expression in brackets.

        Args:
            function: what stands in front of it.
            certain: variables that have values in it; may be filled in later.
        """
        expression = Expression(function, tokens, certain, self._refused, self._malformed)
        self.faults += expression.faults()
        self._expressions.append(expression)

    def values(self, tokens: list[Token]) -> None:
        """Literals that become values of solutions, as those of VALUES and CONSTRUCT."""
        for literal in written(tokens):
            if literal.is_other:
                raise self._refused(tokens[literal.first].start, other(literal))

    def _malformed(self, at: int, detail: str) -> MalformedQuery:
        return malformed(self._text, at, detail)

    def nested(self, function: Token) -> None:
        """An aggregate in another, which SPARQL does not have and the engine takes for nothing."""
        raise self._refused(
            function.start,
            f"{function.text} cannot stand in another aggregate; make the inner one in a SELECT of its own.",
        )

    def _inside(self, opened: Token, closed: Token) -> bool:
        lines = self._text[opened.end : closed.start].splitlines()
        return any(line.strip() and not line.lstrip().startswith("#") for line in lines)

    # paths

    def annotated(self, verb: Verb) -> None:
        """A path with an annotation, which SPARQL 1.2 does not have and the engine takes for the last triple's."""
        raise self._refused(
            verb.start,
            "what is said of a triple by '~' or '{|' wants a single predicate, not a path.",
        )

    def statement(self, found: Statement) -> None:
        """Triples, some of which may have paths."""
        if any(verb.path and verb.path.kind != "iri" for verb in found.verbs + found.inner):
            self._statements.append(found)

    def _write(self, found: Statement) -> None:
        try:
            odd = any(_odd(verb) for verb in found.verbs + found.inner)
            if not odd and not self.may_be_empty(found):
                return
            pieces = self._pieces(found)
        except TooMany:
            raise self._refused(
                found.start,
                "the paths of this statement have too many alternatives together; write it as several statements.",
            ) from None
        self.changes.append((found.start, found.end, " . ".join(pieces)))

    def _pieces(self, found: Statement) -> list[str]:
        """The statement as several, each a group for each way that its paths can go."""
        single = len(found.verbs) == 1 and len(found.verbs[0].objects) == 1
        kind = found.subject.kind
        if kind not in ("fixed", "variable") and not (kind == "anonymous" and single):
            self._check_labels(found)
            return [self._union(self._ways(found.start, found.end, found.verbs + found.inner))]
        pieces = []
        subject = self._copied(found.subject.start, found.subject.end)
        for verb in found.verbs:
            for node in verb.objects:
                objects = self._ways(node.start, node.end, found.inner)
                ways = [""] if verb.path is None else verb.path.alternatives()
                paths = [str(way) or self._copied(verb.start, verb.end) for way in ways]
                parts = [f"{subject} {path} {object_}" for path in paths for object_ in objects]
                extra = [
                    self._without_step(found.subject, node, way)
                    for way in ways
                    if isinstance(way, Path) and _may_stay(found.subject, node, way)
                ]
                if len(parts) + len(extra) > 1:
                    self._check_labels(found)
                pieces.append(self._union(parts + extra))
        return pieces

    def _union(self, parts: list[str]) -> str:
        return parts[0] if len(parts) == 1 else " UNION ".join(f"{{ {part} }}" for part in parts)

    def _ways(self, start: int, end: int, verbs: list[Verb]) -> list[str]:
        """A stretch of text for each way that the paths in it can go."""
        odd = [verb for verb in verbs if start <= verb.start < end and _odd(verb)]
        odd.sort(key=lambda verb: verb.start)
        for verb in odd:
            if len(verb.objects) > 1:
                raise self._refused(
                    verb.start,
                    "a path with alternatives and several objects is refused within brackets; write the path once for"
                    " each object, or name the node with a variable.",
                )
        texts = []
        for ways in combined([verb.path.alternatives() for verb in odd if verb.path]):
            pieces, at = [], start
            for verb, way in zip(odd, ways, strict=True):
                pieces += self._copied(at, verb.start), str(way)
                at = verb.end
            texts.append("".join((*pieces, self._copied(at, end))))
        return texts

    def may_be_empty(self, found: Statement) -> bool:
        """Whether a path of a statement has a solution where its terms are not in the graph."""
        return any(
            verb.path and verb.path.kind != "iri" and _may_stay(found.subject, node, verb.path)
            for verb in found.verbs
            for node in verb.objects
        )

    def _without_step(self, subject: Node, node: Node, path: Path) -> str:
        """The solution of a path without a step, from a term that is not in the graph."""
        first, last = (self._copied(n.start, n.end) for n in (subject, node))
        if subject.kind != "fixed":
            first, last, node = last, first, subject
        absent = f"FILTER NOT EXISTS {{ {first} a? {first} }}"
        if node.kind == "variable":
            return f"BIND({first} AS {last}) {absent}"
        return absent if node.kind == "anonymous" else f"FILTER(sameTerm({first}, {last})) {absent}"

    def _check_labels(self, found: Statement) -> None:
        for label in found.labels:
            raise self._refused(
                label.start,
                f"{label.text} in a statement with such a path is refused; name the node with a variable.",
            )


def _odd(verb: Verb) -> bool:
    return verb.path is not None and len(verb.path.alternatives()) > 1


def _may_stay(subject: Node, node: Node, path: Path) -> bool:
    """Whether a path from or to a fixed term has a solution where that term is not in the graph."""
    kinds = {subject.kind, node.kind}
    if "fixed" not in kinds or not kinds <= {"fixed", "variable", "anonymous"}:
        return False
    steps = path.steps()
    if len(steps) == 1:
        return path.may_be_empty
    # Behind the first step stands a node that is sought in the graph, unless the second ends at a fixed term too.
    return len(steps) == 2 and kinds == {"fixed"} and all(step.may_be_empty for step in steps)
