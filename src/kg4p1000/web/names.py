"""Names of things and terms: which label is shown, in which language, with which code before it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pyoxigraph import Literal, NamedNode

from ..terms import ID, iri, natural_key
from .rendering import href, short
from .services import Row

_NOTATION = iri("skos:notation").value
#: Goals and targets of the United Nations, which people know by their numbers.
_SDG = "http://metadata.un.org/sdg/"
#: Properties whose value is a name, the best first.
LABELS = tuple(
    iri(name).value
    for name in ("skos:prefLabel", "rdfs:label", "dcterms:title", "sh:name", "foaf:name")
)
#: Properties whose value tells in a sentence what a thing is, the best first.
NOTES = tuple(
    iri(name).value
    for name in (
        "dcterms:description", "skos:definition", "k4p:reason", "k4p:quote", "sh:description",
    )
)  # fmt: skip
#: Names of terms of other vocabularies that the ontology does not declare.
_KNOWN = {
    "rdf:type": "type",
    "rdfs:label": "label",
    "rdfs:comment": "comment",
    "rdfs:subClassOf": "is a kind of",
    "rdfs:subPropertyOf": "is a kind of",
    "rdfs:domain": "goes from (domain)",
    "rdfs:range": "goes to (range)",
    "rdfs:isDefinedBy": "is defined by",
    "rdfs:seeAlso": "see also",
    "owl:inverseOf": "inverse property",
    "owl:imports": "imports",
    "owl:versionIRI": "version IRI",
    "owl:versionInfo": "version",
    "owl:onProperty": "on property",
    "owl:someValuesFrom": "some values from",
    "owl:allValuesFrom": "all values from",
    "owl:onClass": "of class",
    "owl:qualifiedCardinality": "exactly",
    "owl:propertyChainAxiom": "follows from the chain",
    "rdf:first": "members",
    "owl:Class": "class",
    "owl:Ontology": "ontology",
    "owl:Restriction": "restriction",
    "owl:ObjectProperty": "property to a thing",
    "owl:DatatypeProperty": "property to a value",
    "owl:AnnotationProperty": "annotation property",
    "owl:FunctionalProperty": "with at most one value",
    "foaf:homepage": "homepage",
    "sh:class": "value of class",
    "sh:datatype": "data type",
    "sh:in": "one of",
    "sh:maxCount": "at most",
    "sh:message": "message",
    "sh:minCount": "at least",
    "sh:name": "name",
    "sh:node": "fits the shape",
    "sh:nodeKind": "kind of node",
    "sh:path": "property",
    "sh:pattern": "pattern",
    "sh:property": "rules for properties",
    "sh:severity": "severity",
    "sh:sparql": "check in SPARQL",
    "sh:targetClass": "checks the class",
    "sh:NodeShape": "node shape",
    "sh:PropertyShape": "property shape",
}
#: Where identifiers without a name of their own come from, so that no page shows a bare address.
_REGISTERS = {
    "http://aims.fao.org/aos/agrovoc/": "AGROVOC",
    "http://metadata.un.org/sdg/codes/geoArea/": "UN SDG area",
    "http://www.wikidata.org/entity/": "Wikidata",
    "https://ror.org/": "ROR",
    "https://sws.geonames.org/": "GeoNames",
}
KNOWN_NAMES = {iri(name).value: label for name, label in _KNOWN.items()}
#: The names as a VALUES clause, for queries that ask for them.
NAMING = " ".join(f"<{name}>" for name in (*LABELS, *NOTES, _NOTATION))
_RANK = {name: i for i, name in enumerate((*LABELS, *NOTES))}


@dataclass(frozen=True)
class Name:
    """What a thing is called.

    Attributes:
        text: the label in the language shown, English before others; a CURIE where there is none.
        notation: its code in the plan, such as A4.2; empty for others.
        note: a sentence or more on what it is.
        others: its labels in other languages, as pairs of language tag and text.
    """

    iri: str
    text: str
    lang: str = "en"
    notation: str = ""
    note: str = ""
    others: tuple[tuple[str, str], ...] = ()

    @property
    def full(self) -> str:
        """The code and the label."""
        return f"{self.notation} {self.text}".strip()

    @property
    def href(self) -> str | None:
        """Where the thing's page is."""
        return href(self.iri)

    @property
    def order(self) -> list[tuple[int, int, str]]:
        """Sort key that puts A4.2 before A4.10."""
        return natural_key((self.notation or self.text).casefold())


def unnamed(value: str) -> Name:
    """The name of something of which no label is known."""
    known = KNOWN_NAMES.get(value)
    for start, register in _REGISTERS.items():
        if value.startswith(start):
            return Name(value, f"{register} {value[len(start) :].strip('/')}", "en")
    return Name(value, known or short(value), "en" if known else "")


@dataclass
class _Found:
    labels: list[tuple[int, str, str]] = field(default_factory=list)
    notes: list[tuple[int, int, str]] = field(default_factory=list)
    notation: str = ""


def from_rows(rows: Iterable[Row], thing: str = "other") -> dict[str, Name]:
    """Names from rows with the columns ``property`` and ``name`` beside that of the thing."""
    found: dict[str, _Found] = {}
    for row in rows:
        subject, prop, name = row[thing], row["property"], row["name"]
        if not (
            isinstance(subject, NamedNode)
            and isinstance(prop, NamedNode)
            and isinstance(name, Literal)
        ):
            continue
        entry = found.setdefault(subject.value, _Found())
        language = name.language or ""
        if prop.value == _NOTATION:
            entry.notation = name.value
        elif prop.value in LABELS:
            entry.labels.append((_RANK[prop.value], language, name.value))
        elif prop.value in NOTES and language in ("", "en"):
            entry.notes.append((_RANK[prop.value], len(name.value), name.value))
    return {key: _name(key, entry) for key, entry in found.items()}


def _name(key: str, found: _Found) -> Name:
    note = min(found.notes)[2] if found.notes else ""
    if not found.labels:
        return Name(key, found.notation or unnamed(key).text, "", "", note)
    rank = min(label[0] for label in found.labels)
    best = sorted(
        (label for label in found.labels if label[0] == rank),
        key=lambda label: (_language_rank(label[1]), label[1], label[2]),
    )
    _, language, text = best[0]
    others = tuple((lang, label) for _, lang, label in best[1:] if lang != language)
    # Keys of code lists are notations too, and labels such as "A4 target 2030" have the code in them.
    coded = key.startswith((ID, _SDG)) and rank == 0
    notation = found.notation if coded and found.notation != text else ""
    return Name(key, text, language, notation, note, others)


def _language_rank(language: str) -> int:
    return 0 if language.partition("-")[0] == "en" else 1 if not language else 2
