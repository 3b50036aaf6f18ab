"""The terms of an ontology, what is said of each, and what became of them between two states of it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pyoxigraph import BlankNode, NamedNode, Triple

from ..kernel.terms import CODE, TERMS, curie, iri, natural_key, short


def _iris(names: str) -> tuple[str, ...]:
    return tuple(iri(name).value for name in names.split())


_FIRST, _REST, _MEMBERS = iri("rdf:first"), iri("rdf:rest"), iri("owl:members")
_DISJOINT, _DEPRECATED, _REPLACED_BY = _iris("owl:disjointWith owl:deprecated dcterms:isReplacedBy")
#: Properties whose values are words, links to other vocabularies, or book-keeping: they change no meaning.
#: Our own annotations, such as which languages are unreviewed, say nothing of the meaning either.
_WORDS = _iris(
    "rdfs:label rdfs:comment rdfs:seeAlso rdfs:isDefinedBy dcterms: vann: k4p: owl:deprecated"
    " skos:changeNote skos:prefLabel skos:altLabel skos:hiddenLabel skos:definition skos:note"
    " skos:scopeNote skos:editorialNote skos:historyNote skos:example skos:exactMatch skos:closeMatch"
    " skos:broadMatch skos:narrowMatch skos:relatedMatch skos:topConceptOf skos:hasTopConcept"
)
_HIERARCHY = _iris("rdfs:subClassOf rdfs:subPropertyOf")
#: Axioms that leave all that was said before true: new ones extend a term.
_EXTENDING = (*_HIERARCHY, *_iris("owl:inverseOf owl:propertyChainAxiom skos:broader"))

#: What is said of a term: pairs of a property and a value, blank nodes written out.
Statements = frozenset[tuple[str, str]]


class Step(IntEnum):
    """How far a change moves the version (Semantic Versioning 2.0.0)."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3


#: Kind of a change to the step that it asks for, the gravest last.
STEPS = {
    "words": Step.PATCH,
    "added": Step.MINOR,
    "extended": Step.MINOR,
    "meaning": Step.MAJOR,
    "deprecated": Step.MAJOR,
    "removed": Step.MAJOR,
}


@dataclass(frozen=True)
class Change:
    """What became of a term.

    Attributes:
        kind: a key of `STEPS`.
        lines: what is said of it now and was not before, with ``+``, and the reverse, with ``-``.
        replacement: the term to use instead of a deprecated one.
        grave: those of the lines that change the meaning.
    """

    term: str
    kind: str
    lines: tuple[str, ...] = ()
    replacement: str = ""
    grave: tuple[str, ...] = ()


def statements_of(triples: Iterable[Triple]) -> dict[str, Statements]:
    """Return each term below our namespaces, and what is said of it."""
    by_subject: dict[Any, list[Triple]] = defaultdict(list)
    for triple in triples:
        by_subject[triple.subject].append(triple)

    def text(node: Any) -> str:
        if not isinstance(node, BlankNode):
            return str(node)
        inner = sorted(f"{t.predicate} {text(t.object)}" for t in by_subject.get(node, ()))
        return f"[ {' ; '.join(inner)} ]"

    def members(node: Any) -> Iterator[Any]:
        while isinstance(node, BlankNode):
            cell = {t.predicate: t.object for t in by_subject.get(node, ())}
            if _FIRST in cell:
                yield cell[_FIRST]
            node = cell.get(_REST)

    statements = {
        subject.value: {(t.predicate.value, text(t.object)) for t in about}
        for subject, about in by_subject.items()
        if isinstance(subject, NamedNode) and _is_term(subject.value)
    }
    lists = [t.object for about in by_subject.values() for t in about if t.predicate == _MEMBERS]
    for group in map(list, map(members, lists)):
        for one in group:
            others = {(_DISJOINT, str(other)) for other in group if other != one}
            statements.get(one.value, set()).update(others)
    return {term: frozenset(pairs) for term, pairs in statements.items()}


def _is_term(value: str) -> bool:
    local = value.removeprefix(TERMS)
    return value.startswith(CODE) or (local != value and "/" not in local)


def compare(before: Mapping[str, Statements], after: Mapping[str, Statements]) -> list[Change]:
    """Return what became of each term that is new, gone or said otherwise; sorted by term."""
    terms = sorted(before.keys() | after.keys(), key=natural_key)
    return [change for term in terms if (change := _change(term, before, after))]


def _change(
    term: str, before: Mapping[str, Statements], after: Mapping[str, Statements]
) -> Change | None:
    if term not in before or term not in after:
        return Change(term, "added" if term in after else "removed")
    new, gone = after[term] - before[term], before[term] - after[term]
    # That a new term is disjoint with it changes nothing that an old one had.
    fresh = {f"<{other}>" for other in after.keys() - before.keys()}
    new -= {(p, o) for p, o in new if p == _DISJOINT and o in fresh}
    if not new and not gone:
        return None
    lost = {(p, o) for p, o in gone if not _is_word(p) and not _implied(after, term, p, o)}
    narrowing = {
        (p, o) for p, o in new if not _is_word(p) and (p not in _EXTENDING or o.startswith("["))
    }
    lines, grave = _lines(gone, new), _lines(lost, narrowing)
    if _is_deprecated(after[term]) and not _is_deprecated(before[term]):
        return Change(term, "deprecated", lines, _replacement(after[term]), lines)
    if grave:
        return Change(term, "meaning", lines, grave=grave)
    return Change(term, "words" if all(_is_word(p) for p, _ in new) else "extended", lines)


def _lines(gone: Iterable[tuple[str, str]], new: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    signed = [("-", *pair) for pair in sorted(gone)] + [("+", *pair) for pair in sorted(new)]
    return tuple(
        f"{sign} {short(p)} {re.sub('<([^>]*)>', lambda m: curie(m[1]) or m[0], o)}"
        for sign, p, o in signed
    )


def _implied(terms: Mapping[str, Statements], term: str, predicate: str, object_: str) -> bool:
    """Return whether an axiom that is no longer stated still follows from what is above the terms."""
    above = _above(terms, term)
    if predicate in _HIERARCHY:
        return object_[1:-1] in above - {term}
    return predicate == _DISJOINT and any(
        (_DISJOINT, f"<{other}>") in terms.get(one, ())
        for one in above
        for other in _above(terms, object_[1:-1])
    )


def _above(terms: Mapping[str, Statements], term: str) -> set[str]:
    """Return a term and all that are above it."""
    found, waiting = {term}, [term]
    while waiting:
        about = terms.get(waiting.pop(), ())
        wider = {o[1:-1] for p, o in about if p in _HIERARCHY and o.startswith("<")} - found
        found |= wider
        waiting += wider
    return found


def _is_word(predicate: str) -> bool:
    return predicate.startswith(_WORDS) and predicate != _REPLACED_BY


def _is_deprecated(about: Statements) -> bool:
    return any(p == _DEPRECATED and o.startswith('"true"') for p, o in about)


def _replacement(about: Statements) -> str:
    return next((o[1:-1] for p, o in sorted(about) if p == _REPLACED_BY), "")


def replacements(terms: Mapping[str, Statements]) -> dict[str, str]:
    """Return the deprecated terms and what replaces each in the end.

    It is empty where nothing does, or where the replacements lead in a circle.
    """
    replaced = {}
    for old in (term for term, about in terms.items() if _is_deprecated(about)):
        seen, term = set(), old
        while _is_deprecated(terms.get(term, frozenset())) and term not in seen:
            seen.add(term)
            term = _replacement(terms[term])
        replaced[old] = "" if term in seen else term
    return replaced
