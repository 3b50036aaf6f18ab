"""The ontology at work: OWL 2 RL rules made from its own axioms.

One rule stands for one axiom, of the kinds that `rules` lists, which are those that our ontology uses
for named classes and properties. What needs a description logic reasoner (restrictions,
disjointness) is checked by HermiT (`reasoner`) on the ontology and a sample, not at run time.

What the rules imply is kept in ``graph:inferred``: exactly what follows from the merged graphs and
stands in none of them. `infer` makes that graph from nothing, with one query a rule; `infer_change`
brings it from before a change to after it, at a cost that depends on what the change touches.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice
from typing import Any

from pyoxigraph import BlankNode, DefaultGraph, Literal, NamedNode, Quad, Triple

from .store import Delta, Draft, MemoryGraph
from .terms import GRAPH, PREFIXES, iri

RDF, RDFS, OWL = PREFIXES["rdf"], PREFIXES["rdfs"], PREFIXES["owl"]
INFERRED = NamedNode(GRAPH + "inferred")
ONTOLOGY = NamedNode(GRAPH + "ontology")
_TYPE = NamedNode(RDF + "type")

#: A name, or the number of a variable.
Slot = NamedNode | int
Pattern = tuple[Slot, NamedNode, Slot]
#: What gives the quads that fit a subject, predicate and object, each or none given.
Match = Callable[[Any, NamedNode, Any], Iterator[Quad]]


@dataclass(frozen=True)
class Rule:
    """Where the whole body is found, the head follows."""

    body: tuple[Pattern, ...]
    head: Pattern

    def sparql(self, *, known: bool = False) -> str:
        """A CONSTRUCT query for what this rule adds to a graph; a literal as subject is left out.

        Args:
            known: give what follows and is there already, too.
        """
        return _sparql(self.body, self.head, known)


@cache
def _sparql(body: tuple[Pattern, ...], head: Pattern, known: bool) -> str:
    """The query of a rule; every commit needs those of all rules, and they are the same each time."""
    before, after = " . ".join(map(_text, body)), _text(head)
    new = "" if known else f" FILTER NOT EXISTS {{ {after} }}"
    return f"CONSTRUCT {{ {after} }} WHERE {{ {before}{new} }}"


def _text(pattern: Pattern) -> str:
    return " ".join(f"?x{slot}" if isinstance(slot, int) else str(slot) for slot in pattern)


#: Axioms between two names a and b, and the rule that each stands for.
#: Source: OWL 2 Profiles, section 4.3, tables 4 to 9 (the rule's name there).
_PAIR_RULES: dict[str, Callable[[NamedNode, NamedNode], Rule]] = {
    RDFS + "subClassOf": lambda a, b: Rule(((0, _TYPE, a),), (0, _TYPE, b)),  # cax-sco
    OWL + "equivalentClass": lambda a, b: Rule(((0, _TYPE, a),), (0, _TYPE, b)),  # cax-eqc1, 2
    RDFS + "subPropertyOf": lambda a, b: Rule(((0, a, 1),), (0, b, 1)),  # prp-spo1
    OWL + "equivalentProperty": lambda a, b: Rule(((0, a, 1),), (0, b, 1)),  # prp-eqp1, 2
    OWL + "inverseOf": lambda a, b: Rule(((0, a, 1),), (1, b, 0)),  # prp-inv1, 2
    RDFS + "domain": lambda a, b: Rule(((0, a, 1),), (0, _TYPE, b)),  # prp-dom
    RDFS + "range": lambda a, b: Rule(((0, a, 1),), (1, _TYPE, b)),  # prp-rng
}
#: Axioms that hold in both directions.
_SYMMETRIC_AXIOMS = {OWL + "equivalentClass", OWL + "equivalentProperty", OWL + "inverseOf"}
#: Kinds of properties, and the rule that each stands for.
_KIND_RULES: dict[str, Callable[[NamedNode], Rule]] = {
    OWL + "SymmetricProperty": lambda a: Rule(((0, a, 1),), (1, a, 0)),  # prp-symp
    OWL + "TransitiveProperty": lambda a: Rule(((0, a, 1), (1, a, 2)), (0, a, 2)),  # prp-trp
}
_CHAIN = OWL + "propertyChainAxiom"
#: Ours: a property follows from those above it where what they lead to has a state of review.
_BY_STATUS, _STATUS = PREFIXES["k4p"] + "impliedByStatus", iri("k4p:status")
_SCHEMA = {*_PAIR_RULES, _CHAIN, _BY_STATUS, *(RDF + w for w in ("type", "first", "rest"))}
_SCHEMA |= {OWL + "members", OWL + "disjointWith"}
#: A change of more triples than this, and of more than such a part of the graph, is inferred from by
#: queries over the whole graph: that takes about as long as this part of it triple by triple.
_FEW, _PART = 1_000, 1 / 3


def axioms(draft: Draft) -> Iterator[Triple]:
    """What `rules` looks at in the ontology of a draft, and no more: it is read at every commit."""
    for name in (*_PAIR_RULES, _CHAIN, _BY_STATUS, RDF + "first", RDF + "rest"):
        yield from (q.triple for q in draft.match(None, NamedNode(name), None, ONTOLOGY))
    for kind in _KIND_RULES:
        yield from (q.triple for q in draft.match(None, _TYPE, NamedNode(kind), ONTOLOGY))


def rules(schema: Iterable[Triple]) -> list[Rule]:
    """The rules that an ontology stands for, in a fixed order."""
    return list(_rules(frozenset(schema)))


@lru_cache(maxsize=2)
def _rules(triples: frozenset[Triple]) -> tuple[Rule, ...]:
    made: set[Rule] = set()
    lists: dict[object, dict[str, Any]] = {}
    for t in triples:
        lists.setdefault(t.subject, {})[t.predicate.value] = t.object
    for t in triples:
        a, predicate, b = t.subject, t.predicate.value, t.object
        if not isinstance(a, NamedNode):
            continue
        if predicate == _CHAIN:
            made |= _chain_rule(a, b, lists)
        elif predicate == _BY_STATUS:
            made |= {
                Rule(((0, above.object, 1), (1, _STATUS, b)), (0, a, 1))
                for above in triples
                if above.subject == a and above.predicate.value == RDFS + "subPropertyOf"
            }
        elif not isinstance(b, NamedNode):
            continue
        elif predicate in _PAIR_RULES and not b.value.startswith((PREFIXES["xsd"], RDF)):
            made.add(_PAIR_RULES[predicate](a, b))
            if predicate in _SYMMETRIC_AXIOMS:
                made.add(_PAIR_RULES[predicate](b, a))
        elif predicate == _TYPE.value and b.value in _KIND_RULES:
            made.add(_KIND_RULES[b.value](a))
    return tuple(sorted((rule for rule in made if rule.head not in rule.body), key=Rule.sparql))


def _chain_rule(prop: NamedNode, chain: Any, lists: dict) -> set[Rule]:
    """prp-spo2: a chain of named properties implies a property."""
    steps: list[Any] = []
    while chain in lists and len(steps) < len(lists):
        steps.append(lists[chain].get(RDF + "first"))
        chain = lists[chain].get(RDF + "rest")
    if not steps or not all(isinstance(step, NamedNode) for step in steps):
        return set()
    body = tuple((i, step, i + 1) for i, step in enumerate(steps))
    return {Rule(body, (0, prop, len(steps)))}


def fingerprint(rule_list: Iterable[Rule]) -> str:
    """What tells one list of rules from another."""
    return hashlib.sha256("\n".join(map(Rule.sparql, rule_list)).encode()).hexdigest()


def infer(draft: Draft, rule_list: Sequence[Rule], start: Iterable[Rule] | None = None) -> None:
    """Bring ``graph:inferred`` to what the rules imply, by queries over the whole graph.

    Args:
        start: rules that may have something to add to what the graph holds; it is known that all
            of it follows, and that the others have nothing to add to it. By default, nothing is
            known, and all is made afresh.
    """
    if start is None:
        draft.apply(Delta(removed=frozenset(draft.quads(INFERRED))), tidy=False)
    graphs, feeds = _closure_graphs(draft), _feeds(rule_list)
    waiting, place = set(rule_list if start is None else start), _order(feeds)
    while waiting:
        rule = min(waiting, key=place.__getitem__)
        waiting.remove(rule)
        if new := set(draft.construct(rule.sparql(), graphs)):
            draft.apply(Delta(added=_quads(new)), tidy=False)
            waiting |= set(feeds[rule])


def infer_loaded(draft: Draft, rule_list: Sequence[Rule], graph: NamedNode) -> None:
    """Bring ``graph:inferred`` to what follows after a file was loaded into a graph.

    Args:
        graph: where `Draft.load` put it; it is among those that are merged.
    """
    now_stated = {q for q in draft.quads(INFERRED) if Quad(*q.triple, graph) in draft}
    draft.apply(Delta(removed=frozenset(now_stated)), tidy=False)
    _, removed = draft.counts
    infer(draft, rule_list, None if removed > len(now_stated) else rule_list)


def _feeds(rule_list: Sequence[Rule]) -> dict[Rule, list[Rule]]:
    """Each rule, and those whose body may fit what its head says."""
    by_predicate: dict[NamedNode, list[tuple[Slot, Rule]]] = {}
    for rule in rule_list:
        for _, predicate, last in rule.body:
            by_predicate.setdefault(predicate, []).append((last, rule))

    def fed(head: Pattern) -> list[Rule]:
        """Those with a pattern of the same predicate and no other name at its end."""
        ends = by_predicate.get(head[1], ())
        return [r for last, r in ends if isinstance(last, int) or last == head[2]]

    return {rule: fed(rule.head) for rule in rule_list}


def _order(feeds: dict[Rule, list[Rule]]) -> dict[Rule, int]:
    """A place for each rule, after those that feed it where that is possible: fewer run twice."""
    last_first: list[Rule] = []
    seen: set[Rule] = set()
    for start, fed in feeds.items():
        path = [] if start in seen else [(start, iter(fed))]
        seen.add(start)
        while path:
            rule, ahead = path[-1]
            following = next((other for other in ahead if other not in seen), None)
            if following is None:
                last_first.append(rule)
                path.pop()
            else:
                seen.add(following)
                path.append((following, iter(feeds[following])))
    return {rule: place for place, rule in enumerate(reversed(last_first))}


def infer_change(
    draft: Draft,
    rule_list: Sequence[Rule],
    added: Set[Triple],
    removed: Set[Triple],
    rules_before: Sequence[Rule] | None = None,
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
    rules_before = rule_list if rules_before is None else rules_before
    now_stated = frozenset(q for t in added if (q := Quad(*t, INFERRED)) in draft)
    draft.apply(Delta(removed=now_stated), tidy=False)
    gone = set(rules_before) - set(rule_list)
    lost = {t for rule in gone for t in _made_by(draft, rule)}
    if _much(draft, len(added) + len(removed) + len(lost)):
        infer(draft, rule_list, None if removed or lost else rule_list)
        return
    doomed = lost | _Engine(draft, rules_before).resting_on(removed | lost)
    draft.apply(Delta(removed=_quads(doomed)), tidy=False)
    engine = _Engine(draft, rule_list)
    news = {triple for triple in doomed | removed if engine.follows(triple)}
    draft.apply(Delta(added=_quads(news)), tidy=False)
    news |= added
    while news:
        news = {head for triple in news for head in engine.heads(triple) if not engine.has(head)}
        draft.apply(Delta(added=_quads(news)), tidy=False)
    if come := set(rule_list) - set(rules_before):
        infer(draft, rule_list, come)


def _much(draft: Draft, size: int) -> bool:
    """Whether a change of some triples is large beside the graph, which is only counted so far."""
    if size <= _FEW:
        return False
    everything = draft.match(None, None, None, DefaultGraph())
    return next(islice(everything, int(size / _PART), None), None) is None


def _made_by(draft: Draft, rule: Rule) -> Iterator[Triple]:
    """The inferences that a rule has a hand in."""
    for triple in draft.construct(rule.sparql(known=True), _closure_graphs(draft)):
        if Quad(*triple, INFERRED) in draft:
            yield triple


class _Engine:
    """Rules at work on the graph of a draft, one triple at a time."""

    def __init__(self, draft: Draft, rule_list: Iterable[Rule]) -> None:
        self._draft = draft
        self._graphs = _closure_graphs(draft)
        self._by_body: dict[object, list[tuple[Rule, int]]] = {}
        self._by_head: dict[object, list[Rule]] = {}
        for rule in rule_list:
            for place, pattern in enumerate(rule.body):
                self._by_body.setdefault(_key(pattern), []).append((rule, place))
            self._by_head.setdefault(_key(rule.head), []).append(rule)

    def match(self, subject: Any, predicate: NamedNode, object_: Any) -> Iterator[Quad]:
        """The quads of the closure as it stands."""
        for graph in self._graphs:
            yield from self._draft.match(subject, predicate, object_, graph)

    def has(self, triple: Triple) -> bool:
        """Whether a triple is in the closure as it stands."""
        return any(Quad(*triple, graph) in self._draft for graph in self._graphs)

    def resting_on(self, removed: Set[Triple]) -> set[Triple]:
        """The inferences in whose making a removed triple may have had a part."""
        gone = MemoryGraph(removed)

        def before(subject: Any, predicate: NamedNode, object_: Any) -> Iterator[Quad]:
            yield from self.match(subject, predicate, object_)
            yield from gone.match(subject, predicate, object_)

        doomed: set[Triple] = set()
        waiting = list(removed)
        while waiting:
            for head in self.heads(waiting.pop(), before):
                if head not in doomed and Quad(*head, INFERRED) in self._draft:
                    doomed.add(head)
                    waiting.append(head)
        return doomed

    def heads(self, triple: Triple, match: Match | None = None) -> Iterator[Triple]:
        """What follows in one step from a triple and others."""
        for key in ((triple.predicate, None), (triple.predicate, triple.object)):
            for rule, place in self._by_body.get(key, ()):
                bound = _bind(rule.body[place], triple, {})
                others = rule.body[:place] + rule.body[place + 1 :]
                if bound is not None:
                    for solution in _solutions(others, bound, match or self.match):
                        subject, predicate, object_ = _filled(rule.head, solution)
                        if isinstance(subject, NamedNode | BlankNode):
                            yield Triple(subject, predicate, object_)

    def follows(self, triple: Triple) -> bool:
        """Whether a triple follows in one step from the closure as it stands."""
        for key in ((triple.predicate, None), (triple.predicate, triple.object)):
            for rule in self._by_head.get(key, ()):
                bound = _bind(rule.head, triple, {})
                if bound is None:
                    continue
                if next(_solutions(rule.body, bound, self.match), None) is not None:
                    return True
        return False


def _closure_graphs(draft: Draft) -> tuple[NamedNode | DefaultGraph, ...]:
    """The default graph, and the inferences where the register does not merge them into it."""
    return (DefaultGraph(),) if INFERRED in draft.merged else (DefaultGraph(), INFERRED)


def _quads(triples: Iterable[Triple]) -> frozenset[Quad]:
    return frozenset(Quad(t.subject, t.predicate, t.object, INFERRED) for t in triples)


def _key(pattern: Pattern) -> tuple[NamedNode, NamedNode | None]:
    _, predicate, last = pattern
    return predicate, None if isinstance(last, int) else last


def _filled(pattern: Pattern, bound: dict[int, Any]) -> tuple[Any, NamedNode, Any]:
    """A pattern with its bound variables replaced, None where one is not bound."""
    first, predicate, last = pattern
    return (
        bound.get(first) if isinstance(first, int) else first,
        predicate,
        bound.get(last) if isinstance(last, int) else last,
    )


def _bind(pattern: Pattern, fact: Triple | Quad, bound: dict[int, Any]) -> dict[int, Any] | None:
    """The bindings under which a fact fits a pattern whose predicate it has, or None."""
    for slot, term in ((pattern[0], fact.subject), (pattern[2], fact.object)):
        if not isinstance(slot, int):
            if slot != term:
                return None
        elif (known := bound.get(slot)) is None:
            bound = {**bound, slot: term}
        elif known != term:
            return None
    return bound


def _solutions(
    patterns: tuple[Pattern, ...], bound: dict[int, Any], match: Match
) -> Iterator[dict[int, Any]]:
    """All ways in which patterns fit at once, the one that leaves least open tried first."""
    if not patterns:
        yield bound
        return
    filled = [_filled(pattern, bound) for pattern in patterns]
    place = min(range(len(patterns)), key=lambda i: filled[i].count(None))
    rest = patterns[:place] + patterns[place + 1 :]
    for quad in match(*filled[place]):
        if (more := _bind(patterns[place], quad, bound)) is not None:
            yield from _solutions(rest, more, match)


def exclusions(match: Match) -> list[frozenset[Any]]:
    """The groups of classes of an ontology of which a thing can be in one at most."""
    found = [
        frozenset((q.subject, q.object)) for q in match(None, NamedNode(OWL + "disjointWith"), None)
    ]
    for quad in match(None, NamedNode(OWL + "members"), None):
        members, head = set(), quad.object
        while step := next(match(head, NamedNode(RDF + "first"), None), None):
            members.add(step.object)
            head = next(match(head, NamedNode(RDF + "rest"), None)).object
        found.append(frozenset(members))
    return found


def contradictions(match: Match, nodes: Iterable[Any] | None = None) -> set[tuple[Any, Any]]:
    """The things that are in two classes which exclude each other, each with both classes.

    Args:
        match: gives the quads of the closure: what is stated and what the rules imply.
        nodes: the things to look at; all by default.
    """
    groups = exclusions(match)
    watched = frozenset().union(*groups)
    kinds: dict[Any, set[Any]] = {}
    asked = [None] if nodes is None else nodes
    for quad in (q for node in asked for q in match(node, _TYPE, None)):
        if quad.object in watched:
            kinds.setdefault(quad.subject, set()).add(quad.object)
    return {
        (node, cls)
        for node, of in kinds.items()
        if len(of) > 1
        for group in groups
        if len(of & group) > 1
        for cls in of & group
    }


def contradictions_of(triples: Iterable[Triple]) -> set[tuple[Any, Any]]:
    """The same of a graph that is in no store; the rules are those of the ontology in it."""
    draft, kept = Draft(), list(triples)
    merged = Quad(ONTOLOGY, iri("k4p:inDefaultGraph"), Literal(True), iri("graph:graphs"))
    made = rules(t for t in kept if t.predicate.value in _SCHEMA)
    used = _SCHEMA | {predicate.value for rule in made for _, predicate, _ in rule.body}
    said = (Quad(*t, ONTOLOGY) for t in kept if t.predicate.value in used)
    draft.apply(Delta(frozenset({merged, *said})))
    infer(draft, made)
    return contradictions(closure(draft))


def closure(draft: Draft) -> Match:
    """Gives what a draft holds in its default graph and what its rules imply."""
    return _Engine(draft, ()).match
