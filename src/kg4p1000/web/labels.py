"""What things, terms and named graphs are called on pages: labels, codes and notes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pyoxigraph import Literal, NamedNode

from ..terms import GRAPH, ID, PREFIXES, curie, iri, natural_key
from .background import once_per_version
from .rendering import href, short, text
from .services import services

#: Properties whose value is a name, and whose value tells in a sentence what a thing is; the best first.
_LABELS = ("skos:prefLabel", "rdfs:label", "dcterms:title", "sh:name", "foaf:name")
_NOTES = ("dcterms:description", "skos:definition", "k4p:reason", "k4p:quote", "sh:description")
_RANK = {iri(name).value: i for i, name in enumerate((*_LABELS, *_NOTES, "skos:notation"))}
_NAMING = ", ".join(f"<{name}>" for name in _RANK)
#: What no IRI in a query may have, though a graph may hold it.
_UNWRITABLE = re.compile(r'[\x00-\x20<>"{}|^`\\]')
#: Goals and targets of the United Nations, which people know by their numbers.
_SDG = "http://metadata.un.org/sdg/"
#: Names of terms of other vocabularies that neither the ontology nor the term itself says as well.
_KNOWN = {
    "rdfs:subClassOf": "is a kind of",
    "rdfs:subPropertyOf": "is a kind of",
    "rdfs:domain": "goes from (domain)",
    "rdfs:range": "goes to (range)",
    "rdf:first": "members",
    "owl:inverseOf": "inverse property",
    "owl:versionInfo": "version",
    "owl:onClass": "of class",
    "owl:qualifiedCardinality": "exactly",
    "owl:propertyChainAxiom": "follows from the chain",
    "owl:ObjectProperty": "property to a thing",
    "owl:DatatypeProperty": "property to a value",
    "owl:FunctionalProperty": "with at most one value",
    "sh:class": "value of class",
    "sh:datatype": "data type",
    "sh:in": "one of",
    "sh:maxCount": "at most",
    "sh:minCount": "at least",
    "sh:node": "fits the shape",
    "sh:nodeKind": "kind of node",
    "sh:path": "property",
    "sh:property": "rules for properties",
    "sh:sparql": "check in SPARQL",
    "sh:targetClass": "checks the class",
}
_KNOWN_BY_IRI = {iri(name).value: label for name, label in _KNOWN.items()}
#: Vocabularies whose terms are called by their own words where nothing better is known.
_SPOKEN = tuple(PREFIXES[prefix] for prefix in ("rdf", "rdfs", "owl", "sh", "foaf"))
_BETWEEN_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
#: Where identifiers without a name of their own come from, so that no page shows a bare address.
_REGISTERS = {
    "http://aims.fao.org/aos/agrovoc/": "AGROVOC",
    "http://metadata.un.org/sdg/codes/geoArea/": "UN SDG area",
    "http://www.wikidata.org/entity/": "Wikidata",
    "https://ror.org/": "ROR",
    "https://sws.geonames.org/": "GeoNames",
}
_NAMES = f"""SELECT ?thing ?property ?name WHERE {{{{
  VALUES ?thing {{{{ {{things}} }}}}
  {{{{ ?thing ?property ?name }}}} UNION {{{{ GRAPH graph:shapes {{{{ ?thing ?property ?name }}}} }}}}
  FILTER(?property IN ({_NAMING}))
}}}}"""
_REGISTER = """SELECT ?graph ?property ?value WHERE { GRAPH graph:graphs { ?graph ?property ?value }
  FILTER(STRSTARTS(STR(?graph), STR(graph:)) && !isBlank(?value))
}"""
_REGISTERED = {
    "dcterms:title": "title",
    "dcterms:description": "description",
    "dcterms:license": "licence",
    "dcterms:source": "source",
    "prov:wasAttributedTo": "author",
    "k4p:editable": "editable",
    "k4p:inDefaultGraph": "in_default",
    "k4p:inDumps": "in_dumps",
}


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
    """Return the name of something of which no label is known."""
    for start, register in _REGISTERS.items():
        if value.startswith(start):
            return Name(value, f"{register} {value[len(start) :].strip('/')}")
    if value in _KNOWN_BY_IRI:
        return Name(value, _KNOWN_BY_IRI[value])
    if value.startswith(_SPOKEN):
        words = _BETWEEN_WORDS.sub(" ", re.split("[#/]", value)[-1]).split()
        spoken = " ".join(word if word.isupper() else word.lower() for word in words)
        return Name(value, spoken or short(value))
    return Name(value, short(value), "")


class Names(dict[str, Name]):
    """Names by IRI, of what has none too."""

    def __missing__(self, value: str) -> Name:
        return unnamed(value)


def names_of(things: Iterable[str], version: int) -> Names:
    """Read the names of things from the published graphs and the shapes."""
    written = " ".join(f"<{thing}>" for thing in set(things) if not _UNWRITABLE.search(thing))
    rows = services().select(_NAMES.format(things=written), version) if written else []
    found: dict[str, list[tuple[int, Literal]]] = defaultdict(list)
    for row in rows:
        if isinstance(row["thing"], NamedNode) and isinstance(row["name"], Literal):
            found[row["thing"].value].append((_RANK[text(row["property"])], row["name"]))
    return Names({key: _name(key, values) for key, values in found.items()})


def _name(key: str, found: list[tuple[int, Literal]]) -> Name:
    first_note, last = len(_LABELS), len(_RANK) - 1
    labels = sorted(
        (rank, _language_rank(name.language or ""), name.language or "", name.value)
        for rank, name in found
        if rank < first_note
    )
    notes = [
        (rank, len(name.value), name.value)
        for rank, name in found
        if first_note <= rank < last and name.language in (None, "en")
    ]
    note = min(notes)[2] if notes else ""
    notation = max((name.value for rank, name in found if rank == last), default="")
    if not labels:
        return Name(key, notation or unnamed(key).text, "", "", note)
    best, _, language, shown = labels[0]
    others = tuple(
        (lang, label) for rank, _, lang, label in labels if rank == best and lang != language
    )
    # Keys of code lists are notations too, and labels such as "A4 target 2030" have the code in them.
    coded = key.startswith((ID, _SDG)) and best == 0 and notation != shown
    return Name(key, shown, language, notation if coded else "", note, others)


def _language_rank(language: str) -> int:
    return 0 if language.partition("-")[0] == "en" else 1 if not language else 2


def graph_entry(graph: str, **said: str) -> dict[str, Any]:
    """Return a named graph as the register has it: its address, short name, title, whether it is editable ..."""
    topic = graph.removeprefix(GRAPH)
    flags = {name: said.get(name) == "true" for name in ("editable", "in_default", "in_dumps")}
    return {"iri": graph, "topic": topic, "title": topic} | said | flags


@once_per_version
def register(version: int) -> dict[str, dict[str, Any]]:
    """Return the named graphs as the register of a version has them, by address."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for row in services().select(_REGISTER, version):
        said = found[text(row["graph"])]
        if name := _REGISTERED.get(curie(text(row["property"])) or ""):
            said[name] = text(row["value"])
    entries = [graph_entry(graph, **said) for graph, said in found.items()]
    return {e["iri"]: e for e in sorted(entries, key=lambda e: e["title"].casefold())}
