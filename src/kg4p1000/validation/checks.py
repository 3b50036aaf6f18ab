"""Judge shapes, too: a word that is none, or a part that is nowhere, would switch a rule off.

Each fault is a subject of the shapes graph, and a sentence about it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pyoxigraph import BlankNode, Literal, NamedNode

from ..ontology import exclusions, members
from ..sparql import tokens
from ..store import MemoryGraph
from ..terms import CODE, PREFIXES, TERMS, curie, iri
from ..texts import meant
from .facts import (
    BOUNDS,
    COUNTS,
    FLAGS,
    KNOWN,
    LISTS,
    SH,
    SHAPES,
    SPACE,
    SUBCLASS,
    TARGETS,
    TYPE,
    Facts,
    Graph,
    above,
)  # fmt: skip
from .names import Spaces, has_ontology

Fault = tuple[Any, str]

_SEVERITIES = {"Violation", "Warning", "Info"}
_VALUES = _SEVERITIES | {
    "NodeShape", "PropertyShape", "SPARQLConstraint", "PrefixDeclaration", "IRI", "BlankNode", "Literal",
    "BlankNodeOrIRI", "BlankNodeOrLiteral", "IRIOrLiteral",
}  # fmt: skip
_DERIVED_INTEGER = re.compile(
    PREFIXES["xsd"]
    + "((nonNegative|positive|nonPositive|negative)Integer|long|int|short|byte|unsigned.*)"
)
_ORDERED = {
    iri(f"xsd:{name}")
    for name in (
        "integer", "decimal", "double", "float", "date", "dateTime", "time", "gYear", "gYearMonth", "duration",
        "dayTimeDuration", "yearMonthDuration",
    )
}  # fmt: skip
_TEXTS = (iri("xsd:string"), iri("rdf:langString"))
_CLASSES = {iri("rdfs:Class"), iri("owl:Class")}
_PROPERTY_SHAPE = iri("sh:PropertyShape")
_AROUND = re.compile(r"\(\?(=|!|<=|<!)")
_RDF_TYPE, _FIRST, _NIL = TYPE.value, PREFIXES["rdf"] + "first", iri("rdf:nil")


def _is_text(value: Any) -> bool:
    return isinstance(value, Literal) and value.datatype in _TEXTS


def _is_count(value: Any) -> bool:
    whole = isinstance(value, Literal) and value.datatype == iri("xsd:integer")
    return whole and not value.value.startswith("-")


#: Words of SHACL, what their values are, and what tells.
_OF_KIND: tuple[tuple[tuple[str, ...], str, Callable[[Any], bool]], ...] = (
    (COUNTS, "a whole number from 0 on", _is_count),
    (FLAGS, "true or false without quotes", lambda v: v in (Literal(True), Literal(False))),
    (BOUNDS, "a number or a date", lambda v: isinstance(v, Literal) and v.datatype in _ORDERED),
    (("class", "datatype", "nodeKind"), "a name", lambda v: isinstance(v, NamedNode)),
    (("message", "name", "pattern"), "a text", _is_text),
)


def faults(facts: Facts) -> Iterator[Fault]:
    """Give what is wrong with the shapes by themselves."""
    for check in (_words, _parts, _values, _patterns, _alone, _unsafe):
        yield from check(facts)


def _words(facts: Facts) -> Iterator[Fault]:
    for subject, about in facts.about.items():
        for word in about:
            if ":" not in word and word not in KNOWN:
                yield subject, f"sh:{word} is not judged here{_hint(word, KNOWN, 0.8)}"
        for value in facts.get(subject, *about):
            name = value.value.removeprefix(SH) if isinstance(value, NamedNode) else ""
            if name and name != value.value and name not in _VALUES:
                yield subject, f"sh:{name} is not known here{_hint(name, _VALUES, 0.7)}"
        if _CLASSES & set(facts.get(subject, _RDF_TYPE)):
            yield (
                subject,
                "it is a class and a shape at once; name the class with sh:targetClass",
            )


def _hint(word: str, known: set[str], cutoff: float) -> str:
    close = meant(word, known, cutoff=cutoff)
    return f"; did you mean sh:{close[0]}?" if close else ""


def _parts(facts: Facts) -> Iterator[Fault]:
    needed = {"property": "path", "sparql": "select"}
    for subject, word, part in facts.all(*SHAPES, "sparql", "prefixes"):
        if part not in facts.about:
            yield subject, f"sh:{word} leads to {_named(part)}, which is nowhere"
        elif word in needed and not facts.get(part, needed[word]):
            yield subject, f"{_named(part)} has no sh:{needed[word]}"
    for subject, word, head in facts.all(*LISTS):
        parts = list(facts.items(head))
        if not parts or any(part not in facts.about for part in parts):
            yield subject, f"sh:{word} leads to a shape that is nowhere"


def _values(facts: Facts) -> Iterator[Fault]:
    for words, kind, is_one in _OF_KIND:
        for subject, word, value in facts.all(*words):
            if not is_one(value):
                yield subject, f"sh:{word} is {kind}, not {_named(value)}"
    for subject, word, value in facts.all("in", "languageIn"):
        if value != _NIL and not any(True for _ in facts.items(value)):
            yield subject, f"sh:{word} is a list, ( … ), not {_named(value)}"


def _patterns(facts: Facts) -> Iterator[Fault]:
    """Give what is wrong with patterns: either of the two engines must read them, and read them alike."""
    for subject, _, flags in facts.all("flags"):
        if not re.fullmatch("[imsx]*", flags.value):
            yield (
                subject,
                f"sh:pattern has the flags {_named(flags)}; known are i, m, s and x",
            )
    for subject, _, pattern in facts.all("pattern"):
        if _AROUND.search(pattern.value):
            yield (
                subject,
                "sh:pattern must not look ahead or behind, (?=…) or (?!…); use sh:not",
            )
        elif why := _unreadable(pattern.value):
            yield subject, f"sh:pattern {_named(pattern)} cannot be read: {why}"


def _unreadable(pattern: str) -> str:
    """Return why the engines do not read a pattern; nothing where they do."""
    if MemoryGraph(()).select(f"SELECT (REGEX('', {Literal(pattern)}) AS ?is) {{}}")[0]["is"]:
        return ""
    try:
        re.compile(pattern)
    except re.error as e:
        return f"{e.msg}, at its character {(e.pos or 0) + 1}"
    return r"write it without references to groups (\1) and other means of Perl"


def _alone(facts: Facts) -> Iterator[Fault]:
    """Give shapes that nothing leads to and that have no target: they never judge."""
    used = {part for subject in facts.about for part in facts.parts(subject)}
    for subject in facts.about:
        kinds = set(facts.get(subject, _RDF_TYPE))
        named = subject not in used and not isinstance(subject, BlankNode)
        if not named or not kinds & {iri("sh:NodeShape"), _PROPERTY_SHAPE}:
            continue
        if _PROPERTY_SHAPE in kinds and not facts.get(subject, "path"):
            yield subject, "it has no sh:path"
        elif not facts.get(subject, *TARGETS, SPACE) and not facts.has(subject, "deactivated"):
            yield subject, "it has no target, and no shape has it as a part"


def _unsafe(facts: Facts) -> Iterator[Fault]:
    """Give what could not be judged on stored data, or would give findings no address."""
    for subject, _, part in facts.all("property", "sparql"):
        if isinstance(part, BlankNode) and facts.targets(subject):
            yield subject, "it has a property shape or constraint without an IRI"
    for subject, _, severity in facts.all("severity"):
        if severity.value.removeprefix(SH) not in _SEVERITIES:
            yield subject, f"the severity {severity} is not known"
    for subject, _, datatype in facts.all("datatype"):
        if _DERIVED_INTEGER.fullmatch(datatype.value):
            yield subject, f"write {datatype} as xsd:integer with bounds"


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
        words = [word for word in about if ":" not in word or word == _FIRST]
        for value in facts.get(subject, *words):
            if isinstance(value, NamedNode):
                yield subject, value.value
    for subject, _, select in facts.all("select"):
        prefixes = facts.prefixes(subject)
        for token in tokens(select.value):
            prefix, _, local = token.text.partition(":")
            if token.kind == "iri":
                yield subject, token.text[1:-1]
            elif token.kind == "name" and local and prefix in prefixes:
                yield subject, prefixes[prefix] + local


def forbidden(facts: Facts, graph: Graph) -> Iterator[Fault]:
    """Give what shapes let a class have that the ontology keeps for classes which exclude it."""
    groups = exclusions(graph.match) if has_ontology(graph) else []

    def exclude(one: Any, other: Any) -> bool:
        ones, others = above(graph, one, SUBCLASS), above(graph, other, SUBCLASS)
        return any(a != b and {a, b} <= g for g in groups for a in ones for b in others)

    for shape, _, part in facts.all("property") if groups else ():
        if any(value.value == "0" for value in facts.get(part, "maxCount")):
            continue
        sides = (
            ("have", iri("rdfs:domain"), facts.get(shape, "targetClass")),
            ("be a value of", iri("rdfs:range"), facts.get(part, "class")),
        )
        for path in facts.get(part, "path"):
            for what, side, classes in sides if isinstance(path, NamedNode) else ():
                for choices in _kept_for(graph, path, side):
                    for cls in classes:
                        if all(exclude(cls, choice) for choice in choices):
                            yield (
                                part,
                                f"{_named(cls)} cannot {what} {_named(path)}, which the ontology keeps for"
                                f" {' or '.join(map(_named, choices))}: the two exclude each other",
                            )


def _kept_for(graph: Graph, prop: NamedNode, side: NamedNode) -> Iterator[list[Any]]:
    """Give the classes, one of which a domain or range of a property asks for."""
    for name in above(graph, prop, iri("rdfs:subPropertyOf")):
        for quad in graph.match(name, side, None):
            union = next(graph.match(quad.object, iri("owl:unionOf"), None), None)
            yield [*members(graph.match, union.object)] if union else [quad.object]


def _named(node: Any) -> str:
    if isinstance(node, NamedNode):
        return curie(node.value) or node.value
    return str(node) if isinstance(node, Literal) else "a shape without a name"
