"""Judge shapes, too: a word that is none, or a part that is nowhere, would switch a rule off.

Each fault is a subject of the shapes graph, and a sentence about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pyoxigraph import Literal, NamedNode

from ..kernel.terms import CODE, PREFIXES, TERMS, curie, iri
from ..kernel.texts import meant
from ..sparql import tokens
from ..sparql.lexer import expanded
from ..store import MemoryGraph
from .facts import KNOWN, SH, SUBCLASS, TYPE, Facts, Graph, above
from .inference import exclusions, members
from .names import Spaces, has_ontology

Fault = tuple[Any, str]

_VALUES = {
    "NodeShape", "PropertyShape", "SPARQLConstraint", "PrefixDeclaration", "Violation", "Warning", "Info",
    "IRI", "BlankNode", "Literal", "BlankNodeOrIRI", "BlankNodeOrLiteral", "IRIOrLiteral",
}  # fmt: skip
_TARGETS = "sh:targetClass|sh:targetNode|sh:targetSubjectsOf|sh:targetObjectsOf"
_LISTED = "(sh:and|sh:or|sh:xone)/rdf:rest*/rdf:first"
_PARTS = f"(sh:property|sh:node|sh:not|sh:qualifiedValueShape|{_LISTED})"
_TEXT = "DATATYPE(?value) IN (xsd:string, rdf:langString)"
_NUMBER = "(xsd:integer, xsd:decimal, xsd:double, xsd:float)"
_TIME = """(xsd:date, xsd:dateTime, xsd:time, xsd:gYear, xsd:gYearMonth, xsd:duration,
    xsd:dayTimeDuration, xsd:yearMonthDuration)"""
_AHEAD = "[(][?](=|!|<=|<!)"
#: What is wrong, where the pattern after it fits: with ``?subject``, and perhaps ``?word`` and ``?value``.
_FAULTS = {
    "it is a class and a shape at once; name the class with sh:targetClass":
        "VALUES ?class { rdfs:Class owl:Class } ?subject a ?class",
    "sh:{word} leads to {value}, which is nowhere":
        """VALUES ?word { sh:property sh:node sh:not sh:qualifiedValueShape sh:sparql sh:prefixes }
        ?subject ?word ?value FILTER NOT EXISTS { ?value ?p ?o }""",
    "{value} has no sh:path": "?subject sh:property ?value FILTER NOT EXISTS { ?value sh:path ?path }",
    "{value} has no sh:select":
        "?subject sh:sparql ?value FILTER NOT EXISTS { ?value sh:select ?select }",
    "sh:{word} leads to a shape that is nowhere":
        """VALUES ?word { sh:and sh:or sh:xone } ?subject ?word ?list
        OPTIONAL { ?list rdf:rest*/rdf:first ?part } FILTER(!BOUND(?part) || NOT EXISTS { ?part ?p ?o })""",
    "sh:{word} is a whole number from 0 on, not {value}":
        """VALUES ?word { sh:minCount sh:maxCount sh:minLength sh:maxLength sh:qualifiedMinCount sh:qualifiedMaxCount }
        ?subject ?word ?value BIND(DATATYPE(?value) = xsd:integer && ?value >= 0 AS ?fits)""",
    "sh:{word} is true or false without quotes, not {value}":
        """VALUES ?word { sh:deactivated sh:uniqueLang sh:closed sh:qualifiedValueShapesDisjoint }
        ?subject ?word ?value BIND(?value IN (true, false) AS ?fits)""",
    "sh:{word} is a number or a date, not {value}":
        f"""VALUES ?word {{ sh:minInclusive sh:maxInclusive sh:minExclusive sh:maxExclusive }} ?subject ?word ?value
        BIND(DATATYPE(?value) IN {_NUMBER} || DATATYPE(?value) IN {_TIME} AS ?fits)""",
    "sh:{word} is a list, ( … ), not {value}":
        """VALUES ?word { sh:in sh:languageIn } ?subject ?word ?value
        FILTER(?value != rdf:nil) FILTER NOT EXISTS { ?value rdf:first ?first }""",
    "sh:{word} is a name, not {value}":
        "VALUES ?word { sh:class sh:datatype sh:nodeKind } ?subject ?word ?value BIND(isIRI(?value) AS ?fits)",
    "sh:{word} is a text, not {value}":
        f"VALUES ?word {{ sh:message sh:name sh:pattern }} ?subject ?word ?value BIND({_TEXT} AS ?fits)",
    "sh:pattern has the flags {value}; known are i, m, s and x":
        "?subject sh:flags ?value BIND(REGEX(STR(?value), '^[imsx]*$') AS ?fits)",
    # Either of the two engines must read patterns, and read them alike.
    "sh:pattern must not look ahead or behind, (?=…) or (?!…); use sh:not":
        f"?subject sh:pattern ?value FILTER REGEX(STR(?value), '{_AHEAD}')",
    "sh:pattern {value} cannot be read: {reason}":
        "?subject sh:pattern ?value BIND(REGEX('', STR(?value)) IN (true, false) AS ?fits)",
    "it has no sh:path": "?subject a sh:PropertyShape FILTER NOT EXISTS { ?subject sh:path ?path }",
    # Such a shape never judges.
    "it has no target, and no shape has it as a part":
        f"""VALUES ?kind {{ sh:NodeShape sh:PropertyShape }} ?subject a ?kind FILTER isIRI(?subject)
        FILTER NOT EXISTS {{ ?subject {_TARGETS}|void:uriSpace ?target }}
        FILTER NOT EXISTS {{ ?whole {_PARTS} ?subject }} FILTER NOT EXISTS {{ ?subject sh:deactivated true }}""",
    # What could not be judged on stored data, or would give findings no address.
    "it has a property shape or constraint without an IRI":
        f"""?subject sh:property|sh:sparql ?part ; {_TARGETS} ?target FILTER isBlank(?part)
        FILTER NOT EXISTS {{ ?subject sh:deactivated true }}""",
    "the severity {value} is not known":
        "?subject sh:severity ?value FILTER(?value NOT IN (sh:Violation, sh:Warning, sh:Info))",
    "write {value} as xsd:integer with bounds":
        """?subject sh:datatype ?value FILTER(STRSTARTS(STR(?value), STR(xsd:))) FILTER REGEX(STRAFTER(STR(?value), "#"),
        "^((nonNegative|positive|nonPositive|negative)Integer|long|int|short|byte|unsigned.*)$")""",
}  # fmt: skip
_QUERY = "".join(
    f"PREFIX {name}: <{PREFIXES.get(name, 'http://rdfs.org/ns/void#')}>\n"
    for name in ("owl", "rdf", "rdfs", "sh", "void", "xsd")
)
_QUERY += "SELECT ?subject ?word ?value WHERE {{ {} FILTER(!COALESCE(?fits, false)) }}"


def faults(facts: Facts, graph: MemoryGraph) -> Iterator[Fault]:
    """Give what is wrong with the shapes of a graph by themselves."""
    yield from _unknown(facts)
    for sentence, pattern in _FAULTS.items():
        for row in graph.select(_QUERY.format(pattern)):
            word, value = row["word"], row["value"]
            words = {"word": word.value.removeprefix(SH) if word else "", "value": _named(value)}
            reason = _unreadable(value.value) if "{reason}" in sentence else ""
            yield row["subject"], sentence.format(reason=reason, **words)


def _unknown(facts: Facts) -> Iterator[Fault]:
    for subject, about in facts.about.items():
        for word in about:
            if ":" not in word and word not in KNOWN:
                yield subject, f"sh:{word} is not judged here{_hint(word, KNOWN, 0.8)}"
        for value in facts.get(subject, *about):
            name = value.value.removeprefix(SH) if isinstance(value, NamedNode) else ""
            if name and name != value.value and name not in _VALUES:
                yield subject, f"sh:{name} is not known here{_hint(name, _VALUES, 0.7)}"


def _hint(word: str, known: set[str], cutoff: float) -> str:
    close = meant(word, known, cutoff=cutoff)
    return f"; did you mean sh:{close[0]}?" if close else ""


def _unreadable(pattern: str) -> str:
    """Return why the engines do not read a pattern."""
    try:
        re.compile(pattern)
    except re.error as e:
        return f"{e.msg}, at its character {(e.pos or 0) + 1}"
    return r"write it without references to groups (\1) and other means of Perl"


def missing(facts: Facts, spaces: Spaces, graph: Graph) -> Iterator[Fault]:
    """Give the names in shapes that data could not have either."""
    for subject, name in _names(facts) if has_ontology(graph) else ():
        ours = name.startswith((TERMS, CODE))
        space = spaces.space(name)
        if space is None or name in spaces.known or (not ours and name.startswith(space + "id/")):
            continue
        typed = graph.match(NamedNode(name), TYPE, None)
        if not name.startswith(space) or next(typed, None) is None:
            yield subject, f"{curie(name) or name} is declared nowhere"


def _names(facts: Facts) -> Iterator[tuple[Any, str]]:
    """Give the terms that shapes speak of, in their values and in the queries of constraints."""
    for subject, about in facts.about.items():
        words = [w for w in about if ":" not in w or w == PREFIXES["rdf"] + "first"]
        for value in facts.get(subject, *words):
            if isinstance(value, NamedNode):
                yield subject, value.value
    for subject, _, select in facts.all("select"):
        prefixes = facts.prefixes(subject)
        for token in tokens(select.value):
            if token.kind in ("iri", "name") and (name := expanded(token.text, prefixes)):
                yield subject, name


def forbidden(facts: Facts, graph: Graph) -> Iterator[Fault]:
    """Give what shapes let a class have that the ontology keeps for classes which exclude it."""
    groups = exclusions(graph.match) if has_ontology(graph) else []

    def exclude(one: Any, other: Any) -> bool:
        ones, others = above(graph, one, SUBCLASS), above(graph, other, SUBCLASS)
        return any(a != b and {a, b} <= g for g in groups for a in ones for b in others)

    for part, path, what, cls, choices in _allowed(facts, graph) if groups else ():
        if all(exclude(cls, choice) for choice in choices):
            kept = " or ".join(map(_named, choices))
            told = (
                f"{_named(cls)} cannot {what} {_named(path)}, which the ontology keeps for {kept}"
            )
            yield part, f"{told}: the two exclude each other"


def _allowed(facts: Facts, graph: Graph) -> Iterator[tuple[Any, NamedNode, str, Any, list[Any]]]:
    """Give each property shape, its path, what it lets a class do, and the classes that may do so by the ontology."""
    for shape, _, part in facts.all("property"):
        sides = (
            ("have", iri("rdfs:domain"), facts.get(shape, "targetClass")),
            ("be a value of", iri("rdfs:range"), facts.get(part, "class")),
        )
        nothing = any(value.value == "0" for value in facts.get(part, "maxCount"))
        for path in () if nothing else facts.get(part, "path"):
            if isinstance(path, NamedNode):
                for what, side, classes in sides:
                    for choices in _kept_for(graph, path, side):
                        yield from ((part, path, what, cls, choices) for cls in classes)


def _kept_for(graph: Graph, prop: NamedNode, side: NamedNode) -> Iterator[list[Any]]:
    """Give the classes, one of which a domain or range of a property asks for."""
    for name in above(graph, prop, iri("rdfs:subPropertyOf")):
        for quad in graph.match(name, side, None):
            union = next(graph.match(quad.object, iri("owl:unionOf"), None), None)
            yield [*filter(None, members(graph.match, union.object))] if union else [quad.object]


def _named(node: Any) -> str:
    if isinstance(node, NamedNode):
        return curie(node.value) or node.value
    return str(node) if isinstance(node, Literal) else "a shape without a name"
