"""Judge data by shapes: everything, or what a change touches, by one of two engines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from itertools import chain
from typing import Any, Literal, Protocol

import pyoxigraph as ox
from pyoxigraph import NamedNode, Quad, Triple

from ..kernel.terms import CODE, TERMS
from ..store import MemoryGraph
from .facts import SH, SUBCLASS, Graph, Members
from .impact import Place, TooMuch
from .names import HEADER, Hit, named_by, renamed
from .report import Report
from .shapes import FOCUS, CoreShapes, Shapes, n_triples

Engine = Literal["auto", "shacl", "pyshacl"]

_BLANK = "urn:kg4p1000:blank:"
_SPARQL = "SPARQLConstraintComponent"
#: A change that touches more focus nodes than this is judged by judging everything.
_MOST_NODES = 20_000
#: So many roles and triples are looked at for a node on average before it is too much.
_EACH = 20


class Stated(Graph, Protocol):
    """A large graph of which a part is to be judged: what was stated, without inferences."""

    def n_triples(self) -> bytes:
        """Return all triples, some perhaps twice."""

    def select(
        self, query: str, predicates: Set[NamedNode | None] | None
    ) -> Iterable[dict[str, Any]]:
        """Run a SELECT query.

        Args:
            predicates: triples with other predicates may also be there that were not stated; None
                is none, and a None in it is any.
        """


def validate(graph: Stated, shapes: Shapes, engine: Engine = "auto") -> Report:
    """Validate a graph against shapes.

    Args:
        graph: with the ontology: classes are matched through ``rdfs:subClassOf``.
        engine: "auto" is ``shacl`` where it is installed, and else pySHACL for the Core part;
            "pyshacl" runs the SPARQL constraints itself.
    """
    text = graph.n_triples()
    shapes.see_that_names_are_there(graph)
    hits = [*shapes.spaces.undeclared(graph, shapes.spaces.named_in(text))]
    hits += shapes.spaces.doubles(graph, shapes.facts)
    data, members = _skolemised(text), Members(graph)
    hits += (
        _by_pyshacl(data, shapes.text) if engine == "pyshacl" else _core(data, shapes.core, engine)
    )
    for query in shapes.queries if engine != "pyshacl" else ():
        targets = shapes.facts.targets(query.shape)
        predicates = shapes.impact.predicates.get(NamedNode(query.constraint))
        rows = graph.select(query.text, predicates)
        hits += [_hit(query.constraint, r) for r in rows if members.fit(r["this"], targets)]
    return Report.of(map(shapes.finding, hits))


def validate_change(
    graph: Stated, shapes: Shapes, added: Set[Triple], removed: Set[Triple], engine: Engine = "auto"
) -> Report | None:
    """Validate what a change touches: the findings of all focus nodes that it may concern.

    What the others had before the change they have after it.

    Args:
        graph: as it is after the change.
        added, removed: what is in the graph and was not before, and the reverse.

    Returns:
        None where the change may concern so much, or nobody knows what, that `validate` is
        the way to go: the class hierarchy, too many nodes, shapes whose impact has no bounds.
    """
    changed = added | removed
    if shapes.impact.boundless or len(changed) > _MOST_NODES:
        return None
    if any(t.predicate == SUBCLASS or t.subject == HEADER for t in changed):
        return None
    # A node without a name, or a term of ours, may say what classes, properties and codes there are.
    schema = ("_:", "<<", f"<{TERMS}", f"<{CODE}")
    if any(str(t.subject).startswith(schema) for t in changed):
        shapes.see_that_names_are_there(graph)
    try:
        places = touched(graph, shapes, added, removed)
        triples = shapes.impact.seen_from(graph.match, places, _MOST_NODES * _EACH)
    except TooMuch:
        return None
    focus: dict[Any, set[Any]] = {}
    for node, state in places:
        focus.setdefault(shapes.states[state], set()).add(node)
    links = (Triple(NamedNode(FOCUS), NamedNode(f"{FOCUS}{s}"), node) for node, s in places)
    text = _skolemised(n_triples(chain(triples, links)).encode())
    hits = _core(text, shapes.focused, engine) if places else []
    memory = MemoryGraph(triples)
    for query in shapes.queries:
        if nodes := focus.get(query.shape):
            rows = memory.select(query.text)
            hits += [_hit(query.constraint, row) for row in rows if row["this"] in nodes]
    hits += shapes.spaces.undeclared(graph, named_by(added, removed))
    hits += shapes.spaces.doubles(graph, shapes.facts, renamed(added, removed))
    return Report.of(map(shapes.finding, hits))


def touched(graph: Stated, shapes: Shapes, added: Set[Triple], removed: Set[Triple]) -> set[Place]:
    """Return the focus nodes that a change may concern, each with its state in ``shapes.impact``.

    Raises:
        TooMuch: there are very many.
    """
    gone = MemoryGraph(removed)

    def match(*pattern: Any) -> Iterator[Quad]:
        return chain(graph.match(*pattern), gone.match(*pattern))

    places = shapes.impact.touched(match, added | removed, _MOST_NODES * _EACH)
    if len({node for node, _ in places}) > _MOST_NODES:
        raise TooMuch
    members, states = Members(graph), shapes.states
    targets = {state: shapes.facts.targets(shape) for state, shape in states.items()}
    return {(n, state) for n, state in places if members.fit(n, targets.get(state, {}))}


def _hit(constraint: str, row: Any) -> Hit:
    return row["this"], constraint, row["value"] or row["this"], _SPARQL


def _core(text: str, shapes: CoreShapes, engine: Engine) -> list[Hit]:
    """Return what the Core shapes find in data written as N-Triples."""
    if engine != "pyshacl":
        try:
            return list(_by_shacl(text, shapes.compiled))
        except ImportError:
            if engine == "shacl":
                raise
    return list(_by_pyshacl(text, shapes.text))


def _by_shacl(data: str, shapes: Any) -> Iterator[Hit]:
    for result in shapes.validate_text(data, format="ntriples").results:
        value = _parsed(result.value) if result.value is not None else None
        shape = _parsed(result.root_shape or result.source_shape).value
        yield _parsed(result.focus_node), shape, value, result.component


def _by_pyshacl(data: str, shapes: str) -> Iterator[Hit]:
    import pyshacl  # noqa: PLC0415 - slow to import, and changes rdflib
    import rdflib  # noqa: PLC0415

    def graph(text: str) -> Any:
        return rdflib.Graph().parse(data=text, format="nt")

    _, report, _ = pyshacl.validate(graph(data), shacl_graph=graph(shapes), inplace=True)
    for result in report.objects(None, rdflib.SH.result):
        component = report.value(result, rdflib.SH.sourceConstraintComponent).removeprefix(SH)
        source = rdflib.SH.sourceConstraint if component == _SPARQL else rdflib.SH.sourceShape
        focus, value = (report.value(result, p) for p in (rdflib.SH.focusNode, rdflib.SH.value))
        found = _parsed(value.n3()) if value is not None else None
        yield _parsed(focus.n3()), str(report.value(result, source)), found, component


def _parsed(term: str) -> Any:
    """Read a term in Turtle or N-Triples syntax."""
    if term.startswith("<") and not term.startswith("<<"):
        iri, blank = term[1:-1], term[1:-1].removeprefix(_BLANK)
        return ox.NamedNode(iri) if blank == iri else ox.BlankNode(blank)
    return next(iter(ox.parse(f"<urn:s> <urn:p> {term} .", format=ox.RdfFormat.TURTLE))).object


_SUBJECT, _OBJECT = re.compile(rb"^_:([^ ]+)", re.M), re.compile(rb" _:([^ \"<>@]+) \.$", re.M)


def _skolemised(data: bytes) -> str:
    """Give blank nodes in N-Triples names that the engines keep."""
    if b"_:" in data:
        name = b"<" + _BLANK.encode() + rb"\1>"
        data = _OBJECT.sub(b" " + name + b" .", _SUBJECT.sub(name, data))
    return data.decode()
