"""What an update request asks for: its operations, read and checked before any of them is done.

Source: SPARQL 1.1 Update, section 3; SPARQL 1.1 Query Language, section 19.8, rules 29 to 49.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pyoxigraph import NamedNode

from ..errors import Refused
from .guard import refuse_foreign, refused_at
from .lexer import Cursor, Token, malformed
from .prologue import Prologue
from .templates import (
    DELETE,
    DELETE_DATA,
    DELETE_WHERE,
    INSERT,
    INSERT_DATA,
    Rules,
    Template,
    read_template,
)

_UPDATES = (
    "INSERT", "DELETE", "WITH", "LOAD", "CLEAR", "DROP", "CREATE", "ADD", "MOVE", "COPY",
)  # fmt: skip
_NAME_THE_GRAPH = "the default graph cannot be written, it is the merge of the published graphs. Name the graph: {}."


@dataclass(frozen=True)
class Where:
    """A group graph pattern: from where to where it goes in the request, and what is declared there."""

    start: int
    end: int
    prologue: Prologue


@dataclass(frozen=True)
class Dataset:
    """The graphs that USING and USING NAMED name for a WHERE clause."""

    default: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.default or self.named)


@dataclass(frozen=True)
class Modify:
    """Remove and add quads, for each solution of a pattern or, without one, once.

    Attributes:
        graph: the graph of a WITH clause.
    """

    start: int
    delete: Template = field(default_factory=Template)
    insert: Template = field(default_factory=Template)
    where: Where | None = None
    graph: NamedNode | None = None
    using: Dataset = field(default_factory=Dataset)


@dataclass(frozen=True)
class Manage:
    """CLEAR, DROP or CREATE; without a graph, all named graphs."""

    start: int
    verb: str
    graph: NamedNode | None
    silent: bool


@dataclass(frozen=True)
class Transfer:
    """ADD, COPY or MOVE; without a source, from the default graph."""

    start: int
    verb: str
    source: NamedNode | None
    target: NamedNode
    silent: bool


Operation = Modify | Manage | Transfer


def read_operations(text: str) -> list[Operation]:
    """Read an update request.

    The engine knows no declarations after a semicolon, SPARQL 1.1 Update does (rule 29), and so do we.

    Raises:
        MalformedQuery: it is not valid, with line and column. What stands in WHERE clauses is not
            looked at.
        Refused: it loads something, writes to the default graph, or names a graph that an endpoint
            might fetch.
    """
    cursor = Cursor(text)
    prologue = Prologue.read(cursor)
    found: list[Operation] = []
    labels: set[str] = set()
    while cursor.next.kind != "end":
        operation = _operation(cursor, prologue)
        if isinstance(operation, Modify) and not operation.where:
            _check_labels(cursor, operation.insert, labels)
        found.append(operation)
        if cursor.next.kind != "end" and not cursor.accept(";"):
            raise cursor.unexpected("';' and another operation, or the end")
        prologue = Prologue.read(cursor, prologue)
    return found


def _check_labels(cursor: Cursor, template: Template, seen: set[str]) -> None:
    """Source: SPARQL 1.1 Query Language, section 19.6."""
    for label, place in (template.labels or {}).items():
        if label in seen:
            raise malformed(
                cursor.text,
                place,
                f"{label} stands in another INSERT DATA of this request too, and would be another"
                " node here. Use another label, or one INSERT DATA for both.",
            )
        seen.add(label)


def _operation(cursor: Cursor, prologue: Prologue) -> Operation:
    start = cursor.next
    match cursor.keyword(*_UPDATES):
        case "INSERT" | "DELETE" as verb if cursor.next.word in ("DATA", "WHERE"):
            return _short(cursor, prologue, start, f"{verb} {cursor.take().word}")
        case "INSERT" | "DELETE" as verb:
            return _modify(cursor, prologue, start, verb, None)
        case "WITH":
            graph = _graph(cursor, prologue)
            verb = cursor.keyword("INSERT", "DELETE")
            if not verb:
                raise cursor.unexpected("DELETE or INSERT")
            return _modify(cursor, prologue, start, verb, graph)
        case "LOAD":
            if cursor.keyword("SILENT"):
                return _load_nothing(cursor, prologue, start)
            raise refused_at(
                cursor.text,
                start.start,
                "LOAD is refused, as the service fetches nothing. Fetch the file"
                " yourself, and send its triples in INSERT DATA or to the graph store.",
            )
        case "CLEAR" | "DROP" | "CREATE" as verb:
            return _manage(cursor, prologue, start, verb)
        case "ADD" | "MOVE" | "COPY" as verb:
            return _transfer(cursor, prologue, start, verb)
    raise cursor.unexpected("an update such as INSERT, DELETE or CLEAR")


def _load_nothing(cursor: Cursor, prologue: Prologue, start: Token) -> Modify:
    """LOAD SILENT, whose failure is no error (SPARQL 1.1 Update, section 3.1.4): it always fails here, and does nothing."""
    _iri(cursor, prologue)
    if cursor.keyword("INTO"):
        if cursor.next.word != "GRAPH":
            raise cursor.unexpected("GRAPH and an IRI")
        _graph(cursor, prologue, skip="GRAPH")
    return Modify(start.start)


def _short(cursor: Cursor, prologue: Prologue, start: Token, form: str) -> Modify:
    """INSERT DATA, DELETE DATA and DELETE WHERE: one block of quads is all there is."""
    opened = cursor.next.start
    match form:
        case "INSERT DATA":
            return Modify(start.start, insert=_template(cursor, prologue, INSERT_DATA))
        case "DELETE DATA":
            return Modify(start.start, delete=_template(cursor, prologue, DELETE_DATA))
        case "DELETE WHERE":
            template = _template(cursor, prologue, DELETE_WHERE)
            where = Where(opened, cursor.last.end, prologue)
            return Modify(start.start, delete=template, where=where)
    raise malformed(cursor.text, cursor.last.start, "expected a template in '{' and '}' or DATA.")


def _template(
    cursor: Cursor, prologue: Prologue, rules: Rules, graph: NamedNode | None = None
) -> Template:
    template = read_template(cursor, prologue, rules)
    if graph is not None:
        return template.within(graph)
    if template.outside is not None:
        remedy = "GRAPH graph:<topic> { … }"
        if rules in (INSERT, DELETE):
            remedy += ", or WITH graph:<topic> before the operation"
        raise refused_at(cursor.text, template.outside, _NAME_THE_GRAPH.format(remedy))
    return template


def _modify(
    cursor: Cursor, prologue: Prologue, start: Token, verb: str, graph: NamedNode | None
) -> Modify:
    delete = insert = Template()
    if verb == "DELETE":
        delete = _template(cursor, prologue, DELETE, graph)
        verb = cursor.keyword("INSERT")
    if verb == "INSERT":
        insert = _template(cursor, prologue, INSERT, graph)
    using = Dataset()
    while cursor.next.word == "USING":
        cursor.take()
        graphs = using.named if cursor.keyword("NAMED") else using.default
        place = cursor.next.start
        name = _iri(cursor, prologue).value
        try:
            refuse_foreign("USING", [name])
        except Refused as e:
            raise refused_at(cursor.text, place, e.detail) from e
        graphs.append(name)
    if not cursor.keyword("WHERE"):
        raise cursor.unexpected("USING or WHERE" if insert.patterns else "INSERT, USING or WHERE")
    opened = cursor.next.start
    cursor.skip_group()
    where = Where(opened, cursor.last.end, prologue)
    return Modify(start.start, delete, insert, where, graph, using)


def _manage(cursor: Cursor, prologue: Prologue, start: Token, verb: str) -> Manage:
    silent = bool(cursor.keyword("SILENT"))
    if cursor.next.word == "GRAPH":
        return Manage(start.start, verb, _graph(cursor, prologue, skip="GRAPH"), silent)
    if verb == "CREATE":
        raise cursor.unexpected("GRAPH and an IRI")
    place = cursor.next.start
    match cursor.keyword("DEFAULT", "NAMED", "ALL"):
        case "DEFAULT":
            remedy = f"{verb} GRAPH graph:<topic>"
            raise refused_at(cursor.text, place, _NAME_THE_GRAPH.format(remedy))
        case "NAMED" | "ALL":
            return Manage(start.start, verb, None, silent)
    raise cursor.unexpected("GRAPH and an IRI, NAMED or ALL")


def _transfer(cursor: Cursor, prologue: Prologue, start: Token, verb: str) -> Transfer:
    silent = bool(cursor.keyword("SILENT"))
    place = cursor.next.start
    source = _graph_or_default(cursor, prologue)
    if verb == "MOVE" and source is None:
        raise refused_at(
            cursor.text,
            place,
            "the default graph cannot be emptied: it is the merge of the published graphs. COPY or"
            " ADD its triples, or MOVE the graphs that they stand in.",
        )
    if not cursor.keyword("TO"):
        raise cursor.unexpected("TO")
    place = cursor.next.start
    target = _graph_or_default(cursor, prologue)
    if target is None:
        raise refused_at(
            cursor.text, place, _NAME_THE_GRAPH.format(f"{verb} … TO GRAPH graph:<topic>")
        )
    return Transfer(start.start, verb, source, target, silent)


def _graph_or_default(cursor: Cursor, prologue: Prologue) -> NamedNode | None:
    if cursor.keyword("DEFAULT"):
        return None
    return _graph(cursor, prologue, skip="GRAPH")


def _graph(cursor: Cursor, prologue: Prologue, skip: str = "") -> NamedNode:
    if skip:
        cursor.keyword(skip)
    return _iri(cursor, prologue)


def _iri(cursor: Cursor, prologue: Prologue) -> NamedNode:
    token = cursor.next
    if token.kind not in ("iri", "name"):
        raise cursor.unexpected("the IRI of a graph")
    cursor.take()
    return prologue.terms(cursor.text, [(token.text, token.start)])[0]
