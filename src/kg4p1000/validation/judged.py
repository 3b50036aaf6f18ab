"""Shapes are judged, too: a word that is none, or a part that is nowhere, would switch a rule off."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from pyoxigraph import BlankNode, Literal, NamedNode

from ..ontology import exclusions
from ..store import MemoryGraph
from ..terms import CODE, PREFIXES, TERMS, curie, iri
from ..texts import meant
from .declared import HEADER, Spaces
from .facts import SH, SUBCLASS, TYPE, Facts, Graph
from .reach import KNOWN

_TARGETS = {"targetClass", "targetNode", "targetSubjectsOf", "targetObjectsOf"}
_PATHS = {
    "inversePath", "alternativePath", "zeroOrMorePath", "oneOrMorePath", "zeroOrOnePath",
}  # fmt: skip
_WORDS = KNOWN | _PATHS | {"declare", "prefix", "prefixes", "namespace", "select"}
_VALUES = {
    "NodeShape", "PropertyShape", "SPARQLConstraint", "PrefixDeclaration", "Violation", "Warning",
    "Info", "IRI", "BlankNode", "Literal", "BlankNodeOrIRI", "BlankNodeOrLiteral", "IRIOrLiteral",
}  # fmt: skip
_PARTS = ("property", "node", "not", "qualifiedValueShape", "sparql", "prefixes")
_LISTS = ("and", "or", "xone")
_COUNTS = (
    "minCount", "maxCount", "minLength", "maxLength", "qualifiedMinCount", "qualifiedMaxCount",
)  # fmt: skip
_CLASSES = {NamedNode(PREFIXES["rdfs"] + "Class"), NamedNode(PREFIXES["owl"] + "Class")}
_DOMAIN, _RANGE, _SUBPROPERTY = map(iri, ("rdfs:domain", "rdfs:range", "rdfs:subPropertyOf"))
_UNION, _NIL = iri("owl:unionOf"), iri("rdf:nil")
_XSD_INTEGER = NamedNode(PREFIXES["xsd"] + "integer")
_FLAGS = ("deactivated", "uniqueLang", "closed", "qualifiedValueShapesDisjoint")
_BOUNDS = ("minInclusive", "maxInclusive", "minExclusive", "maxExclusive")
_TRUTH = [Literal(True), Literal(False)]
_ORDERED = {
    PREFIXES["xsd"] + name
    for name in (
        "integer", "decimal", "double", "float", "date", "dateTime", "time", "gYear", "gYearMonth", "duration",
        "dayTimeDuration", "yearMonthDuration",
    )
}  # fmt: skip
_TEXTS = (NamedNode(PREFIXES["xsd"] + "string"), NamedNode(PREFIXES["rdf"] + "langString"))
_AROUND = re.compile(r"\(\?(=|!|<=|<!)")
_NAMED = re.compile(r"<([^<>\s]+)>|(?<![\w:])([\w-]+):([A-Za-z][\w-]*)")


def faults(facts: Facts) -> Iterator[tuple[Any, str]]:
    """What is wrong with the shapes, by themselves: a subject, and a sentence about it."""
    for subject in facts:
        yield from ((subject, told) for told in _words(facts, subject))
        yield from ((subject, told) for told in _parts(facts, subject))
        yield from ((subject, told) for told in _values(facts, subject))
    yield from _alone(facts)


def missing(facts: Facts, spaces: Spaces, graph: Graph) -> Iterator[tuple[Any, str]]:
    """The names in shapes that data could not have either: a subject, and a sentence about it."""
    if next(graph.match(HEADER, TYPE, None), None) is None:
        return
    for subject, name in _names(facts):
        ours = name.startswith((TERMS, CODE))
        space = spaces.space(name)
        if space is None or name in spaces.known or (not ours and name.startswith(space + "id/")):
            continue
        if (
            not name.startswith(space)
            or next(graph.match(NamedNode(name), TYPE, None), None) is None
        ):
            yield subject, f"{curie(name) or name} is declared nowhere"


def forbidden(facts: Facts, graph: Graph) -> Iterator[tuple[Any, str]]:
    """What shapes let a class have that the ontology keeps for classes which exclude it: a subject, and a sentence."""
    if next(graph.match(HEADER, TYPE, None), None) is None:
        return
    apart = _Apart(graph)
    for shape in facts:
        for part in facts.get(shape, "property"):
            if any(value.value == "0" for value in facts.get(part, "maxCount")):
                continue
            for path in (p for p in facts.get(part, "path") if isinstance(p, NamedNode)):
                sides = (
                    (_DOMAIN, facts.get(shape, "targetClass")),
                    (_RANGE, facts.get(part, "class")),
                )
                for side, cls in ((side, cls) for side, classes in sides for cls in classes):
                    if other := apart.kept_from(path, side, cls):
                        what = "have" if side == _DOMAIN else "be a value of"
                        yield (
                            part,
                            (
                                f"{_named(cls)} cannot {what} {_named(path)}, which the ontology keeps for {other}:"
                                " the two exclude each other"
                            ),
                        )


class _Apart:
    """The classes of an ontology that exclude each other."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._groups = exclusions(graph.match)

    def kept_from(self, prop: NamedNode, side: NamedNode, cls: Any) -> str | None:
        """The class for which the domain or range of a property keeps it, where that excludes a class."""
        for above in self._above(prop, _SUBPROPERTY):
            for quad in self._graph.match(above, side, None):
                choices = list(self._members(quad.object))
                if all(self._exclude(cls, choice) for choice in choices):
                    return " or ".join(map(_named, choices))
        return None

    def _exclude(self, one: Any, other: Any) -> bool:
        ones, others = self._above(one, SUBCLASS), self._above(other, SUBCLASS)
        return any(
            a != b and {a, b} <= group for group in self._groups for a in ones for b in others
        )

    def _above(self, name: Any, word: NamedNode) -> set[Any]:
        found, waiting = {name}, [name]
        while waiting:
            more = {q.object for q in self._graph.match(waiting.pop(), word, None)} - found
            found |= more
            waiting += more
        return found

    def _members(self, cls: Any) -> Iterator[Any]:
        """The classes of a union; of another class, itself."""
        head = next((q.object for q in self._graph.match(cls, _UNION, None)), None)
        if head is None:
            yield cls
        while head is not None and head != _NIL:
            yield from (q.object for q in self._graph.match(head, iri("rdf:first"), None))
            head = next((q.object for q in self._graph.match(head, iri("rdf:rest"), None)), None)


def _words(facts: Facts, subject: Any) -> Iterator[str]:
    for word in facts.words(subject):
        name = word.removeprefix(SH)
        if word.startswith(SH) and name not in _WORDS:
            close = meant(name, _WORDS, cutoff=0.8)
            yield f"sh:{name} is not judged here" + (
                f"; did you mean sh:{close[0]}?" if close else ""
            )
        for value in facts.values(subject, word):
            known = value.value.removeprefix(SH) if isinstance(value, NamedNode) else ""
            if known and known != value.value and known not in _VALUES:
                close = meant(known, _VALUES)
                hint = f"; did you mean sh:{close[0]}?" if close else ""
                yield f"sh:{known} is not known here{hint}"
    if _CLASSES & set(facts.types(subject)):
        yield "it is a class and a shape at once; name the class with sh:targetClass"


def _parts(facts: Facts, subject: Any) -> Iterator[str]:
    for word in _PARTS:
        for part in facts.get(subject, word):
            if part not in facts:
                yield f"sh:{word} leads to {_named(part)}, which is nowhere"
            elif word == "property" and not facts.get(part, "path"):
                yield f"{_named(part)} has no sh:path"
            elif word == "sparql" and not facts.get(part, "select"):
                yield f"{_named(part)} has no sh:select"
    for word in _LISTS:
        for head in facts.get(subject, word):
            parts = list(facts.items(head))
            if not parts or any(part not in facts for part in parts):
                yield f"sh:{word} leads to a shape that is nowhere"


def _values(facts: Facts, subject: Any) -> Iterator[str]:
    for words, kind, is_one in _OF_KIND:
        for word in words:
            for value in facts.get(subject, word):
                if not is_one(facts, value):
                    yield f"sh:{word} is {kind}, not {_named(value)}"
    yield from map("sh:pattern {}".format, _patterns(facts, subject))


def _is_count(_: Facts, value: Any) -> bool:
    whole = isinstance(value, Literal) and value.datatype == _XSD_INTEGER
    return whole and not value.value.startswith("-")


def _is_list(facts: Facts, value: Any) -> bool:
    return not isinstance(value, Literal) and (value == _NIL or bool([*facts.items(value)]))


def _is_text(_: Facts, value: Any) -> bool:
    return isinstance(value, Literal) and value.datatype in _TEXTS


def _is_ordered(_: Facts, value: Any) -> bool:
    return isinstance(value, Literal) and value.datatype.value in _ORDERED


#: Words of SHACL, what their values are, and what tells.
_OF_KIND: tuple[tuple[tuple[str, ...], str, Callable[[Facts, Any], bool]], ...] = (
    (_COUNTS, "a whole number from 0 on", _is_count),
    (_FLAGS, "true or false without quotes", lambda _, value: value in _TRUTH),
    (_BOUNDS, "a number or a date", _is_ordered),
    (("in", "languageIn"), "a list, ( … )", _is_list),
    (("class", "datatype", "nodeKind"), "a name", lambda _, value: isinstance(value, NamedNode)),
    (("message", "name"), "a text", _is_text),
)


def _patterns(facts: Facts, subject: Any) -> Iterator[str]:
    """What is wrong with patterns: either of the two engines must read them, and read them alike."""
    for flags in facts.get(subject, "flags"):
        if not re.fullmatch("[imsx]*", flags.value):
            yield f"has the flags {_named(flags)}; known are i, m, s and x"
    for pattern in facts.get(subject, "pattern"):
        if not _is_text(facts, pattern):
            yield f"is a text, not {_named(pattern)}"
        elif _AROUND.search(pattern.value):
            yield "must not look ahead or behind, (?=…) or (?!…); use sh:not"
        elif why := _unreadable(pattern.value):
            yield f"{_named(pattern)} cannot be read: {why}"


def _unreadable(pattern: str) -> str:
    """Why the engines do not read a pattern; nothing where they do."""
    text = Literal(pattern)
    if next(iter(MemoryGraph(()).select(f"SELECT (REGEX('', {text}) AS ?is) {{}}")))["is"]:
        return ""
    try:
        re.compile(pattern)
    except re.error as e:
        return f"{e.msg}, at its character {(e.pos or 0) + 1}"
    return r"write it without references to groups (\1) and other means of Perl"


def _alone(facts: Facts) -> Iterator[tuple[Any, str]]:
    """Shapes that nothing leads to and that have no target: they never judge."""
    used = {part for s in facts for word in _PARTS for part in facts.get(s, word)}
    used |= {
        p for s in facts for word in _LISTS for h in facts.get(s, word) for p in facts.items(h)
    }
    shape = {NamedNode(SH + "NodeShape"), NamedNode(SH + "PropertyShape")}
    for subject in facts:
        if (
            subject in used
            or isinstance(subject, BlankNode)
            or not shape & set(facts.types(subject))
        ):
            continue
        targets = any(facts.get(subject, word) for word in _TARGETS)
        if NamedNode(SH + "PropertyShape") in facts.types(subject) and not facts.get(
            subject, "path"
        ):
            yield subject, "it has no sh:path"
        elif not targets and not facts.spaces(subject) and not facts.has(subject, "deactivated"):
            yield subject, "it has no target, and no shape has it as a part"


def _names(facts: Facts) -> Iterator[tuple[Any, str]]:
    """The terms that shapes speak of, in their values and in the queries of constraints."""
    for subject in facts:
        for word in facts.words(subject):
            if word.startswith(SH) or word.startswith(PREFIXES["rdf"] + "first"):
                for value in facts.values(subject, word):
                    if isinstance(value, NamedNode):
                        yield subject, value.value
        declared = [d for p in facts.get(subject, "prefixes") for d in facts.get(p, "declare")]
        prefixes = {
            p.value: n.value
            for d in declared
            for p in facts.get(d, "prefix")
            for n in facts.get(d, "namespace")
        }
        for select in facts.get(subject, "select"):
            for name, prefix, local in _NAMED.findall(select.value):
                if name or prefix in prefixes:
                    yield subject, name or prefixes[prefix] + local


def _named(node: Any) -> str:
    if isinstance(node, NamedNode):
        return curie(node.value) or node.value
    return str(node) if isinstance(node, Literal) else "a shape without a name"
