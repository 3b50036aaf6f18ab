"""SPARQL 1.1 Update as changes to a draft.

The engine evaluates what stands in WHERE; from its solutions come the quads to remove and to add, and the draft applies
them, so that the operations after it see them. Its own update is not used: what it changed could be told only by comparing
graphs, which takes 7 s and 850 MB for one row in a graph of a million statements, and it knows nothing of the default graph
that is the merge of the published graphs. An error leaves the draft half changed: whoever made it throws it away.

Source: SPARQL 1.1 Update, sections 3 and 4; SPARQL 1.1 Query Language, section 19.8; SPARQL 1.1 Protocol, section 2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from pyoxigraph import BlankNode, NamedNode, Quad, Variable

from ..kernel.errors import MalformedRequest, Refused
from ..kernel.terms import PREFIXES
from ..store import CALLS_NOBODY, Delta, Draft, MemoryGraph
from ..store import dataset as make_dataset
from ..store.faults import problem
from .complaints import complaint
from .engine import for_engine
from .guard import UPDATE_WORDS, refuse_foreign, refuse_service
from .lexer import Token, error_at
from .prologue import beginning, moved, read_prologue, terms
from .rewriting import Written
from .syntax import Node, Parser

_RDF = PREFIXES["rdf"]
_FIRST, _REST, _NIL = (NamedNode(_RDF + name) for name in ("first", "rest", "nil"))
#: Subject, predicate, object and graph of a template; no graph is the default graph.
Pattern = tuple[Any, Any, Any, Any]


class _Rules(NamedTuple):
    """What a template is called, and whether it may have variables and blank nodes."""

    name: str
    variables: bool
    blanks: bool


_RULES = {
    "INSERT": _Rules("an INSERT template", True, True),
    "DELETE": _Rules("a DELETE template", True, False),
    "INSERT DATA": _Rules("INSERT DATA", False, True),
    "DELETE DATA": _Rules("DELETE DATA", False, False),
    "DELETE WHERE": _Rules("DELETE WHERE", True, False),
}


@dataclass
class _Modify:
    """Remove and add quads, for each solution of a pattern or, without one, once.

    Attributes:
        text: of the whole request.
        where: from where to where the pattern goes in it.
        graph: of a WITH clause.
        default, named: the graphs of USING.
    """

    text: str
    start: int
    declared: tuple[Written, ...] = ()
    delete: list[Pattern] = field(default_factory=list)
    insert: list[Pattern] = field(default_factory=list)
    where: tuple[int, int] | None = None
    graph: NamedNode | None = None
    default: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)

    def check(self) -> None:
        """See that the engine can evaluate the pattern."""
        if self.where:
            self._ask(MemoryGraph(()).select, "SELECT *", " LIMIT 0")

    def delta(self, draft: Draft, derived: Container[NamedNode]) -> Delta:
        """Return what is removed and added."""
        found = self._solutions(draft)
        insert, delete = _filled(self.insert, found), _filled(self.delete, found)
        return Delta.of(insert, delete, draft.normalised)

    def _solutions(self, draft: Draft) -> list[Any]:
        """Return the solutions of the pattern, as far as the templates need them."""
        if self.where is None:
            return [{}]
        database, options = draft.database, {}
        if self.default or self.named:
            graphs = (list(dict.fromkeys(some)) for some in (self.default, self.named))
            database, options = make_dataset(database, *graphs)
        elif self.graph:
            # All named graphs stay in sight, as the engine leaves them where only the default is given.
            options = {"default_graph": [self.graph]}
        terms_ = [term for pattern in self.insert + self.delete for term in pattern]
        names = " ".join(sorted({str(term) for term in terms_ if isinstance(term, Variable)}))
        select, after = f"SELECT DISTINCT {names}", ""
        if any(isinstance(term, BlankNode) for term in terms_):
            # Two solutions that look alike make two blank nodes.
            select = f"SELECT {names or '*'}"
        elif not names:
            select, after = "SELECT *", " LIMIT 1"
        return self._ask(partial(database.query, **options), select, after)

    def _ask(self, run: Callable[[str], Any], before: str, after: str) -> list[Any]:
        """Run a query made of the pattern; what the engine says of it becomes an error about the request."""
        assert self.where
        start, end = self.where
        query = beginning(self.declared)
        query.append((f"{before} WHERE ", start))
        query += (*for_engine(self.text, start, end), (after, end))
        try:
            return list(run(str(query)))
        except (SyntaxError, ValueError, RuntimeError) as e:
            found = moved(problem(e), query, self.text, start)
            raise complaint(self.text, found, self.where, self.declared) from None
        except OSError as e:
            if "service" in str(query).lower():
                raise error_at(Refused, self.text, start, CALLS_NOBODY) from None
            raise e


@dataclass(frozen=True)
class _Graphs:
    """CLEAR, DROP or CREATE of the source, or of all named graphs; ADD, COPY or MOVE to the target, without a source
    from the default graph."""

    text: str
    start: int
    verb: str
    silent: bool
    source: NamedNode | None
    target: NamedNode | None = None

    def delta(self, draft: Draft, derived: Container[NamedNode]) -> Delta:
        """Return what is removed and added."""
        source, target = self.source, self.target
        if source is None and target is None:
            return Delta(removed=frozenset(q for q in draft.quads() if q.graph_name not in derived))
        if source == target:
            return Delta()
        quads = set(draft.quads(source)) if source else set()
        told = ""
        if self.verb == "CREATE" and quads:
            told = f"the graph {source} is there already."
        elif self.verb != "CREATE" and source and not quads:
            told = f"there is no graph {source}; a graph is there while it has triples. Write SILENT if that is no error to you."
        if told and not self.silent:
            raise error_at(MalformedRequest, self.text, self.start, told)
        if told or self.verb == "CREATE":
            return Delta()
        triples = (quad.triple for quad in quads) if source else draft.triples()
        added = {Quad(t.subject, t.predicate, t.object, target) for t in triples} if target else ()
        removed = set(draft.quads(target)) if target and self.verb != "ADD" else set()
        if self.verb in ("CLEAR", "DROP", "MOVE"):
            removed |= quads
        return Delta.of(added, removed)


def apply_update(
    text: str,
    draft: Draft,
    *,
    using: list[str] | None = None,
    using_named: list[str] | None = None,
    derived: Container[NamedNode] = (),
) -> None:
    """Do what an update request says.

    Args:
        draft: is changed; has to be thrown away if this raises.
        using, using_named: the IRIs of the parameters ``using-graph-uri`` and
            ``using-named-graph-uri`` of the protocol.
        derived: graphs that follow from the others; ALL and NAMED leave them to the rules.

    Raises:
        MalformedQuery: the request is not valid, with line and column.
        MalformedRequest: a graph is missing or is there already, where the operation needs the
            contrary and is not SILENT; or the request and its parameters both name a dataset.
        Refused: it calls another endpoint, fetches something, or writes to the default graph.
    """
    refuse_service(text)
    default, named = using or [], using_named or []
    refuse_foreign("The dataset", default + named)
    operations = list(_Reader(text, templates=True).operations())
    for operation in operations:
        if isinstance(operation, _Modify):
            if operation.default or operation.named or operation.graph:
                if default or named:
                    told = "the request names graphs by WITH or USING, and its parameters using-graph-uri or using-named-graph-uri do"
                    raise error_at(
                        MalformedRequest, text, operation.start, f"{told} too. Use one of both."
                    )
            else:
                operation.default, operation.named = default, named
            operation.check()
    for operation in operations:
        draft.apply(operation.delta(draft, derived))


class _Reader(Parser):
    """Reads an update request; what stands in WHERE clauses is not looked at."""

    def operations(self) -> Iterator[_Modify | _Graphs]:
        """Read to the end. The engine knows no declarations after a semicolon, SPARQL 1.1 Update does (rule 29)."""
        labels: set[str] = set()
        self._declared = read_prologue(self)
        while self.next.kind != "end":
            self._blanks: dict[str, tuple[Token, BlankNode]] = {}
            operation = self._operation()
            yield operation
            if isinstance(operation, _Modify) and not operation.where:
                self._check_labels(labels)
            if self.next.kind != "end" and not self.accept(";"):
                raise self.unexpected("';' and another operation, or the end")
            self._declared = read_prologue(self, self._declared)

    def _check_labels(self, seen: set[str]) -> None:
        """Refuse a label of another operation (SPARQL 1.1 Query Language, section 19.6)."""
        for label, (token, _) in self._blanks.items():
            if label in seen:
                raise self.wrong(
                    token,
                    f"{label} stands in another INSERT DATA of this request too, and would be another"
                    " node here. Use another label, or one INSERT DATA for both.",
                )
            seen.add(label)

    def _operation(self) -> _Modify | _Graphs:
        start, verb = self.next.start, self.keyword(*UPDATE_WORDS)
        if verb in ("INSERT", "DELETE", "WITH"):
            return self._modify(_Modify(self.text, start, self._declared), verb)
        if not verb:
            raise self.unexpected("an update such as INSERT, DELETE or CLEAR")
        silent = bool(self.keyword("SILENT"))
        if verb == "LOAD":
            return self._load(start, silent)
        if verb in ("ADD", "MOVE", "COPY"):
            return self._transfer(start, verb, silent)
        if verb != "CREATE" and self.keyword("DEFAULT"):
            raise self._unwritten(f"{verb} GRAPH graph:<topic>")
        if verb != "CREATE" and self.keyword("NAMED", "ALL"):
            return _Graphs(self.text, start, verb, silent, None)
        if not self.keyword("GRAPH"):
            others = "" if verb == "CREATE" else ", NAMED or ALL"
            raise self.unexpected(f"GRAPH and an IRI{others}")
        return _Graphs(self.text, start, verb, silent, self._graph())

    def _unwritten(self, remedy: str, at: int | None = None) -> Refused:
        """Return the error for writing to the default graph."""
        told = "the default graph cannot be written, it is the merge of the published graphs. Name the graph:"
        return error_at(
            Refused, self.text, self.last.start if at is None else at, f"{told} {remedy}."
        )

    def _load(self, start: int, silent: bool) -> _Modify:
        """Read LOAD; in silence its failure is no error (section 3.1.4): it always fails here, and does nothing."""
        if not silent:
            told = "LOAD is refused, as the service fetches nothing. Fetch the file yourself, and send its triples in"
            raise error_at(Refused, self.text, start, f"{told} INSERT DATA or to the graph store.")
        self._graph()
        if self.keyword("INTO"):
            if not self.keyword("GRAPH"):
                raise self.unexpected("GRAPH and an IRI")
            self._graph()
        return _Modify(self.text, start)

    def _transfer(self, start: int, verb: str, silent: bool) -> _Graphs:
        source, at = self._graph_or_default(), self.last.start
        if verb == "MOVE" and source is None:
            told = "the default graph cannot be emptied: it is the merge of the published graphs. COPY or ADD its triples, or"
            raise error_at(Refused, self.text, at, f"{told} MOVE the graphs that they stand in.")
        if not self.keyword("TO"):
            raise self.unexpected("TO")
        if not (target := self._graph_or_default()):
            raise self._unwritten(f"{verb} … TO GRAPH graph:<topic>")
        return _Graphs(self.text, start, verb, silent, source, target)

    def _graph_or_default(self) -> NamedNode | None:
        if self.keyword("DEFAULT"):
            return None
        self.keyword("GRAPH")
        return self._graph()

    def _graph(self) -> NamedNode:
        if self.next.kind not in ("iri", "name"):
            raise self.unexpected("the IRI of a graph")
        token = self.take()
        return terms(self.text, self._declared, [(token.text, token.start)])[0]  # type: ignore[return-value]

    def _modify(self, found: _Modify, verb: str) -> _Modify:
        if rules := _RULES.get(f"{verb} {self.next.word}"):
            self.take()
            opened = self.next.start
            quads = self._template(rules, None)
            found.insert, found.delete = (quads, []) if verb == "INSERT" else ([], quads)
            found.where = (opened, self.last.end) if rules.variables else None
            return found
        if verb == "WITH":
            found.graph = self._graph()
            if not (verb := self.keyword("INSERT", "DELETE")):
                raise self.unexpected("DELETE or INSERT")
        if verb == "DELETE":
            found.delete = self._template(_RULES["DELETE"], found.graph)
            verb = self.keyword("INSERT")
        if verb == "INSERT":
            found.insert = self._template(_RULES["INSERT"], found.graph)
        while self.keyword("USING"):
            graphs = found.named if self.keyword("NAMED") else found.default
            at, name = self.next.start, self._graph().value
            try:
                refuse_foreign("USING", [name])
            except Refused as e:
                raise error_at(Refused, self.text, at, e.detail) from e
            graphs.append(name)
        if not self.keyword("WHERE"):
            raise self.unexpected("USING or WHERE" if found.insert else "INSERT, USING or WHERE")
        opened = self.next.start
        self.skip_group()
        found.where = opened, self.last.end
        return found

    # templates

    def _template(self, rules: _Rules, graph: NamedNode | None) -> list[Pattern]:
        """Read a template in braces, and put what stands in no GRAPH into a graph."""
        self._rules, self._patterns, self._blanks = rules, [], {}
        self._constants: dict[str, int] = {}
        outside: int | None = None
        if not self.accept("{"):
            raise self.unexpected("a template in '{' and '}'")
        while not self.accept("}"):
            if self.keyword("GRAPH"):
                if self.next.kind not in ("variable", "iri", "name"):
                    raise self.unexpected("the IRI of a graph")
                self._into = self._node(self._term())
                self.expect("{")
                while not self.accept("}"):
                    self._statement("}")
                self.accept(".")
            else:
                outside = self.next.start if outside is None else outside
                self._into = graph
                self._statement("}", "GRAPH")
        constants = terms(self.text, self._declared, list(self._constants.items()))
        if outside is not None and graph is None:
            remedy = "GRAPH graph:<topic> { … }"
            if rules.name.endswith("template"):
                remedy += ", or WITH graph:<topic> before the operation"
            raise self._unwritten(remedy, outside)
        found: dict[Any, Any] = dict(zip(self._constants, constants, strict=True))
        return [tuple(found.get(term, term) for term in pattern) for pattern in self._patterns]  # type: ignore[misc]

    def _statement(self, *ends: str) -> None:
        """Read the triples of a subject, and the full stop after them, which may be left out at an end."""
        first = self.next
        literal = first.kind in ("string", "number") or first.word in ("TRUE", "FALSE")
        if not self._rules.variables and (literal or first.text in ("+", "-")):
            raise self.unexpected("a subject, which is no literal")
        subject, *verbs = self.triples().parts
        self._properties(self._node(subject), verbs)
        if not self.accept(".") and self.next.text.upper() not in ends:
            raise self.unexpected("'.', ';', ',' or '}'")

    def _properties(self, subject: Any, verbs: list[Node]) -> None:
        for verb in verbs:
            text = f"<{_RDF}type>" if verb.text == "a" else verb.text
            predicate = self._node(Node("fixed", verb.first, text=text))
            for node in verb.parts:
                self._patterns.append((subject, predicate, self._node(node), self._into))

    def _node(self, node: Node) -> Any:
        """Return a subject or object, constants as they are written; what belongs to a compound one becomes triples."""
        if node.text[0] in "?$":
            if not self._rules.variables:
                told = f"a variable cannot stand in {self._rules.name}; with a WHERE clause it can."
                raise self.wrong(node.first, told)
            return Variable(node.text[1:])
        if node.kind == "fixed":
            self._constants.setdefault(node.text, node.start)
            return node.text
        if not self._rules.blanks:
            raise self.wrong(
                node.first,
                f"a blank node cannot stand in {self._rules.name}, where it would name nothing that"
                " is there; use a variable and a WHERE clause.",
            )
        if node.kind == "blank":
            return self._blanks.setdefault(node.text, (node.first, BlankNode()))[1]
        if node.text == "[":
            self._properties(found := BlankNode(), node.parts)
            return found
        items = [self._node(item) for item in node.parts]
        cells = [*(BlankNode() for _ in items), _NIL]
        for cell, item, rest in zip(cells, items, cells[1:], strict=False):
            self._patterns += (cell, _FIRST, item, self._into), (cell, _REST, rest, self._into)
        return cells[0]


def _filled(patterns: list[Pattern], solutions: Iterable[Mapping[str, Any]]) -> Iterator[Quad]:
    """Yield the quads of all solutions; what is unbound or no quad of RDF is left out."""
    if not any(isinstance(term, Variable | BlankNode) for pattern in patterns for term in pattern):
        solutions = islice(solutions, 1)
    for solution in solutions:
        blanks: dict[BlankNode, BlankNode] = {}

        for pattern in patterns:
            s, p, o, g = (_value(term, solution, blanks) for term in pattern)
            if (
                isinstance(s, NamedNode | BlankNode)
                and isinstance(p, NamedNode)
                and isinstance(g, NamedNode)
                and o is not None
            ):
                yield Quad(s, p, o, g)


def _value(term: Any, solution: Mapping[str, Any], blanks: dict[BlankNode, BlankNode]) -> Any:
    if isinstance(term, Variable):
        return solution[term.value]
    return blanks.setdefault(term, BlankNode()) if isinstance(term, BlankNode) else term
