"""Infer by OWL 2 RL what follows from the merged graphs, with rules made from our own axioms.

One rule stands for one axiom, of the kinds that `rules` lists, which are those that our ontology uses
for named classes and properties. What needs a description logic reasoner (restrictions,
disjointness) is checked by HermiT (`reasoner`) on the ontology and a sample, not at run time.

``graph:inferred`` holds exactly what follows from the merged graphs and stands in none of them.
`infer` makes that graph from nothing; `infer_change` brings it from before a change to after it, at
a cost that depends on what the change touches.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from pyoxigraph import DefaultGraph, Literal, NamedNode, Quad, Triple

from ..kernel.terms import GRAPH, PREFIXES, iri
from ..store import Delta, Draft, MemoryGraph

INFERRED = NamedNode(GRAPH + "inferred")
ONTOLOGY = NamedNode(GRAPH + "ontology")
_TYPE, _FIRST, _REST, _NIL = map(iri, ("rdf:type", "rdf:first", "rdf:rest", "rdf:nil"))
_MEMBERS, _DISJOINT = iri("owl:members"), iri("owl:disjointWith")

#: A name, or the number of a variable.
Slot = NamedNode | int
Pattern = tuple[Slot, NamedNode, Slot]
#: What gives the quads that fit a subject, predicate and object, each or none given.
Match = Callable[[Any, NamedNode, Any], Iterator[Quad]]


class Rule(NamedTuple):
    """Where the whole body is found, the head follows."""

    body: tuple[Pattern, ...]
    head: Pattern

    def sparql(self) -> str:
        """Return a CONSTRUCT query for what this rule adds; a literal as subject is left out."""
        before, after = " . ".join(map(_text, self.body)), _text(self.head)
        return f"CONSTRUCT {{ {after} }} WHERE {{ {before} FILTER NOT EXISTS {{ {after} }} }}"


def _text(pattern: Pattern) -> str:
    return " ".join(f"?x{slot}" if isinstance(slot, int) else str(slot) for slot in pattern)


class Rules(tuple[Rule, ...]):
    """The rules of an ontology."""

    @cached_property
    def fingerprint(self) -> str:
        """What tells these rules from others."""
        return hashlib.sha256("\n".join(map(Rule.sparql, self)).encode()).hexdigest()

    @cached_property
    def _index(self) -> dict[Any, list[tuple[Rule, int]]]:
        """Rules by predicate and object of each pattern of their bodies; the head is at -1."""
        found = defaultdict(list)
        for rule in self:
            for place, (_, predicate, last) in enumerate((*rule.body, rule.head)):
                key = predicate, None if isinstance(last, int) else last
                found[key].append((rule, place if place < len(rule.body) else -1))
        return found

    def fitting(self, triple: Triple) -> Iterator[tuple[Rule, int]]:
        """Give the rules with a pattern that a triple may fit, and the place of that."""
        yield from self._index.get((triple.predicate, None), ())
        yield from self._index.get((triple.predicate, triple.object), ())


#: Axioms between two names a and b, and the rule that each stands for.
#: Source: OWL 2 Profiles, section 4.3, tables 4 to 9 (the rule's name there).
_PAIR_RULES: dict[NamedNode, Callable[[NamedNode, NamedNode], Rule]] = {
    iri("rdfs:subClassOf"): lambda a, b: Rule(((0, _TYPE, a),), (0, _TYPE, b)),  # cax-sco
    iri("owl:equivalentClass"): lambda a, b: Rule(((0, _TYPE, a),), (0, _TYPE, b)),  # cax-eqc1, 2
    iri("rdfs:subPropertyOf"): lambda a, b: Rule(((0, a, 1),), (0, b, 1)),  # prp-spo1
    iri("owl:equivalentProperty"): lambda a, b: Rule(((0, a, 1),), (0, b, 1)),  # prp-eqp1, 2
    iri("owl:inverseOf"): lambda a, b: Rule(((0, a, 1),), (1, b, 0)),  # prp-inv1, 2
    iri("rdfs:domain"): lambda a, b: Rule(((0, a, 1),), (0, _TYPE, b)),  # prp-dom
    iri("rdfs:range"): lambda a, b: Rule(((0, a, 1),), (1, _TYPE, b)),  # prp-rng
}
#: Axioms that hold in both directions.
_SYMMETRIC_AXIOMS = set(
    map(iri, ("owl:equivalentClass", "owl:equivalentProperty", "owl:inverseOf"))
)
#: Kinds of properties, and the rule that each stands for.
_KIND_RULES: dict[NamedNode, Callable[[NamedNode], Rule]] = {
    iri("owl:SymmetricProperty"): lambda a: Rule(((0, a, 1),), (1, a, 0)),  # prp-symp
    iri("owl:TransitiveProperty"): lambda a: Rule(((0, a, 1), (1, a, 2)), (0, a, 2)),  # prp-trp
}
_CHAIN, _BUILT_IN = iri("owl:propertyChainAxiom"), (PREFIXES["xsd"], PREFIXES["rdf"])
#: Ours: a property follows from those above it where what they lead to has a state of review.
_BY_STATUS, _STATUS = iri("k4p:impliedByStatus"), iri("k4p:status")
_SCHEMA = {*_PAIR_RULES, _CHAIN, _BY_STATUS, _FIRST, _REST}
#: A change of more triples than this is inferred from by queries over the whole graph.
_MANY = 50_000


def axioms(draft: Draft) -> Iterator[Triple]:
    """Give what `rules` looks at in the ontology of a draft, and no more: each commit reads it."""
    for name in _SCHEMA:
        yield from (q.triple for q in draft.match(None, name, None, ONTOLOGY))
    for kind in _KIND_RULES:
        yield from (q.triple for q in draft.match(None, _TYPE, kind, ONTOLOGY))


def rules(schema: Iterable[Triple]) -> Rules:
    """Make the rules that an ontology stands for, in a fixed order."""
    return _rules(frozenset(schema))


@lru_cache(maxsize=2)
def _rules(triples: frozenset[Triple]) -> Rules:
    made: set[Rule] = set()
    match = MemoryGraph(triples).match
    for a, predicate, b in triples:
        if not isinstance(a, NamedNode):
            continue
        if predicate == _CHAIN:  # prp-spo2
            steps = list(members(match, b))
            if steps and all(isinstance(step, NamedNode) for step in steps):
                body = tuple((i, step, i + 1) for i, step in enumerate(steps))
                made.add(Rule(body, (0, a, len(steps))))
        elif predicate == _BY_STATUS:
            for above in match(a, iri("rdfs:subPropertyOf"), None):
                made.add(Rule(((0, above.object, 1), (1, _STATUS, b)), (0, a, 1)))
        elif not isinstance(b, NamedNode) or b.value.startswith(_BUILT_IN):
            continue
        elif predicate in _PAIR_RULES:
            made.add(_PAIR_RULES[predicate](a, b))
            if predicate in _SYMMETRIC_AXIOMS:
                made.add(_PAIR_RULES[predicate](b, a))
        elif predicate == _TYPE and b in _KIND_RULES:
            made.add(_KIND_RULES[b](a))
    return Rules(sorted((rule for rule in made if rule.head not in rule.body), key=Rule.sparql))


def infer(draft: Draft, rule_list: Rules, start: Iterable[Rule] | None = None) -> None:
    """Bring ``graph:inferred`` to what the rules imply, beginning with a query for each rule.

    Args:
        start: rules that may have something to add to what the graph holds; it is known that all
            of it follows, and that the others have nothing to add to it. By default, nothing is
            known, and all is made afresh.
    """
    if start is None:
        draft.apply(Delta(removed=frozenset(draft.quads(INFERRED))), tidy=False)
        start = rule_list
    closure = _Closure(draft, rule_list)
    closure.add({t for rule in start for t in draft.construct(rule.sparql(), closure.graphs)})


def infer_change(
    draft: Draft,
    rule_list: Rules,
    added: Set[Triple],
    removed: Set[Triple],
    rules_before: Rules | None = None,
) -> None:
    """Bring ``graph:inferred`` from what followed before a change to what follows after it.

    Delete and rederive: first whatever rests on what was removed goes, then what follows from the
    rest all the same comes back, then what follows from that and from what was added. Only so do
    facts that merely support each other in a circle disappear.
    Source: Gupta, Mumick, Subrahmanian, Maintaining views incrementally, SIGMOD 1993.

    Args:
        draft: has the change already.
        added, removed: what the merged graphs state now and did not before, and the reverse.
        rules_before: the rules before the change, where they were others.
    """
    if len(added) + len(removed) > _MANY:
        infer(draft, rule_list)
        return
    before = rule_list if rules_before is None else rules_before
    gone, come = set(before) - set(rule_list), set(rule_list) - set(before)
    draft.apply(Delta(removed=_quads(added)), tidy=False)  # is stated now
    closure = _Closure(draft, before, MemoryGraph(removed))
    lost = {t for rule in gone for t in closure.made_by(rule, rule.body, {}) if closure.infers(t)}
    doomed = lost | closure.resting_on(removed | lost)
    draft.apply(Delta(removed=_quads(doomed)), tidy=False)
    closure = _Closure(draft, rule_list)
    closure.add({triple for triple in doomed | removed if closure.follows(triple)}, added)
    if come:
        infer(draft, rule_list, come)


class _Closure:
    """What a draft states and infers, one triple at a time, and rules at work on it.

    Args:
        gone: what `match` finds beside.
    """

    def __init__(self, draft: Draft, rule_list: Rules, gone: MemoryGraph | None = None) -> None:
        self._draft = draft
        self._rules = rule_list
        self._gone = gone
        # The register may leave the inferences out of the default graph.
        own = () if INFERRED in draft.merged else (INFERRED,)
        self.graphs: tuple[NamedNode | DefaultGraph, ...] = (DefaultGraph(), *own)

    def match(self, subject: Any, predicate: NamedNode, object_: Any) -> Iterator[Quad]:
        """Give the quads of the closure as it stands."""
        for graph in self.graphs:
            yield from self._draft.match(subject, predicate, object_, graph)
        if self._gone:
            yield from self._gone.match(subject, predicate, object_)

    def infers(self, triple: Triple) -> bool:
        """Return whether a triple is among the inferences."""
        return Quad(*triple, INFERRED) in self._draft

    def add(self, news: Set[Triple], stated: Set[Triple] = frozenset()) -> None:
        """Add inferences, and all that follows from them and from what is stated anew."""
        while news or stated:
            self._draft.apply(Delta(added=_quads(news)), tidy=False)
            heads = {head for t in news | stated for head in self.heads(t)}
            news, stated = {head for head in heads if not self._has(head)}, frozenset()

    def _has(self, triple: Triple) -> bool:
        return any(Quad(*triple, graph) in self._draft for graph in self.graphs)

    def resting_on(self, removed: Set[Triple]) -> set[Triple]:
        """Give the inferences in whose making a removed triple may have had a part."""
        doomed: set[Triple] = set()
        waiting = list(removed)
        while waiting:
            for head in self.heads(waiting.pop()):
                if head not in doomed and self.infers(head):
                    doomed.add(head)
                    waiting.append(head)
        return doomed

    def heads(self, triple: Triple) -> Iterator[Triple]:
        """Give what follows in one step from a triple and others."""
        for rule, place in self._rules.fitting(triple):
            if place >= 0:
                others = rule.body[:place] + rule.body[place + 1 :]
                for bound in _bind(rule.body[place], triple, {}):
                    yield from self.made_by(rule, others, bound)

    def made_by(
        self, rule: Rule, patterns: tuple[Pattern, ...], bound: dict[Any, Any]
    ) -> Iterator[Triple]:
        """Give the heads of a rule, of whose body some patterns are yet to be found."""
        for solution in _solutions(patterns, bound, self.match):
            subject, predicate, object_ = _filled(rule.head, solution)
            if not isinstance(subject, Literal | Triple):
                yield Triple(subject, predicate, object_)

    def follows(self, triple: Triple) -> bool:
        """Return whether a triple follows in one step from the closure as it stands."""
        return any(
            next(_solutions(rule.body, bound, self.match), None) is not None
            for rule, place in self._rules.fitting(triple)
            if place < 0
            for bound in _bind(rule.head, triple, {})
        )


def _quads(triples: Iterable[Triple]) -> frozenset[Quad]:
    return frozenset(Quad(*triple, INFERRED) for triple in triples)


def _filled(pattern: Pattern, bound: dict[Any, Any]) -> tuple[Any, ...]:
    """Replace the bound variables of a pattern."""
    return tuple(bound.get(slot, slot) for slot in pattern)


def _bind(pattern: Pattern, fact: Triple | Quad, bound: dict[Any, Any]) -> list[dict[Any, Any]]:
    """Give the bindings under which a fact fits a pattern, if it does."""
    for slot, term in zip(pattern, (fact.subject, fact.predicate, fact.object), strict=True):
        known = bound.get(slot, slot)
        if isinstance(known, int):
            bound = {**bound, slot: term}
        elif known != term:
            return []
    return [bound]


def _solutions(
    patterns: tuple[Pattern, ...], bound: dict[Any, Any], match: Match
) -> Iterator[dict[Any, Any]]:
    """Give all ways in which patterns fit at once, the one that leaves least open tried first."""
    if not patterns:
        yield bound
        return
    asked = [
        [None if isinstance(slot, int) else slot for slot in _filled(p, bound)] for p in patterns
    ]
    place = min(range(len(patterns)), key=lambda i: asked[i].count(None))
    rest = patterns[:place] + patterns[place + 1 :]
    for quad in match(*asked[place]):
        for more in _bind(patterns[place], quad, bound):
            yield from _solutions(rest, more, match)


def exclusions(match: Match) -> list[frozenset[Any]]:
    """Give the groups of classes of an ontology of which a thing can be in one at most."""
    found = [frozenset((q.subject, q.object)) for q in match(None, _DISJOINT, None)]
    return found + [frozenset(members(match, q.object)) for q in match(None, _MEMBERS, None)]


def members(match: Match, head: Any) -> Iterator[Any]:
    """Give the members of an RDF list, None for one that is missing."""
    seen = {None, _NIL}
    while head not in seen:
        seen.add(head)
        yield next((q.object for q in match(head, _FIRST, None)), None)
        head = next((q.object for q in match(head, _REST, None)), None)


def contradictions(match: Match, nodes: Iterable[Any] | None = None) -> set[tuple[Any, Any]]:
    """Find the things that are in two classes which exclude each other, each with both classes.

    Args:
        match: gives the quads of the closure: what is stated and what the rules imply.
        nodes: the things to look at; all by default.
    """
    groups = exclusions(match)
    classes: dict[Any, set[Any]] = defaultdict(set)
    for node in [None] if nodes is None else nodes:
        for quad in match(node, _TYPE, None):
            classes[quad.subject].add(quad.object)
    return {
        (node, cls)
        for node, its in classes.items()
        if len(its) > 1
        for group in groups
        if len(its & group) > 1
        for cls in its & group
    }


def contradictions_of(triples: Iterable[Triple]) -> set[tuple[Any, Any]]:
    """Find the same in a graph that is in no store; the rules are those of the ontology in it."""
    draft, kept = Draft(), list(triples)
    schema = _SCHEMA | {_TYPE, _MEMBERS, _DISJOINT}
    made = rules(t for t in kept if t.predicate in schema)
    used = schema | {predicate for rule in made for _, predicate, _ in rule.body}
    merged = Quad(ONTOLOGY, iri("k4p:inDefaultGraph"), Literal(True), iri("graph:graphs"))
    draft.apply(Delta.of([merged, *(Quad(*t, ONTOLOGY) for t in kept if t.predicate in used)]))
    infer(draft, made)
    return contradictions(closure(draft))


def closure(draft: Draft) -> Match:
    """Give what a draft holds in its default graph and what its rules imply."""
    return _Closure(draft, Rules()).match
