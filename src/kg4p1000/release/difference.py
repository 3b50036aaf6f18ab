"""The terms of an ontology, what is said of each, and what became of them between two states of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pyoxigraph import BlankNode, NamedNode, Triple

from ..terms import CODE, PREFIXES, TERMS, curie, natural_key

_RDF, _RDFS, _OWL = PREFIXES["rdf"], PREFIXES["rdfs"], PREFIXES["owl"]
_SKOS, _DCTERMS = PREFIXES["skos"], PREFIXES["dcterms"]
_FIRST, _REST = _RDF + "first", _RDF + "rest"
_DEPRECATED, _REPLACED_BY = _OWL + "deprecated", _DCTERMS + "isReplacedBy"
_CHANGE_NOTE = _SKOS + "changeNote"
_DISJOINT = _OWL + "disjointWith"
#: Properties whose values are words, links to other vocabularies, or book-keeping: they change no meaning.
_WORDS = (
    _RDFS + "label", _RDFS + "comment", _RDFS + "seeAlso", _RDFS + "isDefinedBy", _DCTERMS,
    PREFIXES["vann"], _CHANGE_NOTE, _DEPRECATED,
    *(_SKOS + name for name in (
        "prefLabel", "altLabel", "hiddenLabel", "definition", "note", "scopeNote", "editorialNote",
        "historyNote", "example", "exactMatch", "closeMatch", "broadMatch", "narrowMatch",
        "relatedMatch", "topConceptOf", "hasTopConcept",
    )),
)  # fmt: skip
#: Axioms that leave all that was said before true: new ones extend a term.
_EXTENDING = {
    _RDFS + "subClassOf", _RDFS + "subPropertyOf", _OWL + "inverseOf",
    _OWL + "propertyChainAxiom", _SKOS + "broader",
}  # fmt: skip

_HIERARCHY = {_RDFS + "subClassOf", _RDFS + "subPropertyOf"}

#: What is said of a term: pairs of a property and a value, blank nodes written out.
Said = frozenset[tuple[str, str]]


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
        grave: those of the lines that change the meaning.
        lines: what is said of it now and was not before, with ``+``, and the reverse, with ``-``.
        replacement: the term to use instead of a deprecated one.
    """

    term: str
    kind: str
    lines: tuple[str, ...] = ()
    replacement: str = ""
    grave: tuple[str, ...] = ()


def said_of(triples: Iterable[Triple]) -> dict[str, Said]:
    """Each term below our namespaces, and what is said of it."""
    by_subject: dict[Any, list[Triple]] = {}
    for triple in triples:
        by_subject.setdefault(triple.subject, []).append(triple)

    def text(node: Any) -> str:
        if not isinstance(node, BlankNode):
            return str(node)
        inner = sorted(f"{t.predicate} {text(t.object)}" for t in by_subject.get(node, ()))
        return f"[ {' ; '.join(inner)} ]"

    def members(node: Any) -> Iterator[Any]:
        while isinstance(node, BlankNode):
            cell = {t.predicate.value: t.object for t in by_subject.get(node, ())}
            if _FIRST in cell:
                yield cell[_FIRST]
            node = cell.get(_REST)

    said: dict[str, set[tuple[str, str]]] = {}
    for subject, about in by_subject.items():
        if isinstance(subject, NamedNode) and _is_term(subject.value):
            said[subject.value] = {(t.predicate.value, text(t.object)) for t in about}
    for about in by_subject.values():
        for triple in about:
            if triple.predicate.value == _OWL + "members":
                group = list(members(triple.object))
                for one in group:
                    others = {(_DISJOINT, str(other)) for other in group if other != one}
                    said.get(one.value, set()).update(others)
    return {term: frozenset(pairs) for term, pairs in said.items()}


def _is_term(value: str) -> bool:
    local = value.removeprefix(TERMS)
    return value.startswith(CODE) or (local != value and "/" not in local)


def compare(before: Mapping[str, Said], after: Mapping[str, Said]) -> list[Change]:
    """What became of each term that is new, gone or said otherwise; sorted by term."""
    changes: list[Change] = []
    for term in sorted(before.keys() | after.keys(), key=natural_key):
        if term not in before:
            changes.append(Change(term, "added"))
        elif term not in after:
            changes.append(Change(term, "removed"))
        elif change := _change(term, before, after):
            changes.append(change)
    return changes


def _change(term: str, before: Mapping[str, Said], after: Mapping[str, Said]) -> Change | None:
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
    signed = (("-", gone), ("+", new))
    return tuple(f"{sign} {short(p)} {_value(o)}" for sign, ps in signed for p, o in sorted(ps))


def _implied(terms: Mapping[str, Said], term: str, predicate: str, object_: str) -> bool:
    """Whether an axiom that is no longer stated still follows from what is above the terms."""
    above = _above(terms, term)
    if predicate in _HIERARCHY:
        return object_[1:-1] in above - {term}
    return predicate == _DISJOINT and any(
        (_DISJOINT, f"<{other}>") in terms.get(one, ())
        for one in above
        for other in _above(terms, object_[1:-1])
    )


def _above(terms: Mapping[str, Said], term: str) -> set[str]:
    """A term and all that are above it."""
    found, waiting = {term}, [term]
    while waiting:
        for predicate, object_ in terms.get(waiting.pop(), ()):
            if predicate in _HIERARCHY and object_.startswith("<") and object_[1:-1] not in found:
                found.add(object_[1:-1])
                waiting.append(object_[1:-1])
    return found


def _is_word(predicate: str) -> bool:
    # Our own annotations, such as which languages are unreviewed, say nothing of the meaning either.
    return predicate.startswith((*_WORDS, TERMS)) and predicate != _REPLACED_BY


def _is_deprecated(said: Said) -> bool:
    return any(p == _DEPRECATED and o.startswith('"true"') for p, o in said)


def _replacement(said: Said) -> str:
    return next((o[1:-1] for p, o in sorted(said) if p == _REPLACED_BY), "")


def deprecated(terms: Mapping[str, Said]) -> dict[str, str]:
    """Deprecated terms and what to use instead, empty where nothing is said."""
    return {term: _replacement(said) for term, said in terms.items() if _is_deprecated(said)}


def final(terms: Mapping[str, Said], term: str) -> str:
    """What replaces a deprecated term in the end; empty when nothing does, or when it leads in a circle."""
    seen = {term}
    while _is_deprecated(terms.get(term, frozenset())):
        term = _replacement(terms[term])
        if not term or term in seen:
            return ""
        seen.add(term)
    return term


def short(value: str) -> str:
    """A term as people write it."""
    return curie(value) or value


def _value(text: str) -> str:
    return re.sub(r"<([^>]*)>", lambda m: curie(m[1]) or m[0], text)
