"""The ontology as a book of reference: modules, terms and codes with all that is said of them, by language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pyoxigraph import Literal, Triple

from ..queries import StoredQuery, named_terms
from ..store import MemoryGraph, Row
from ..terms import BASE, CODE, TERMS, iri, natural_key, prefix_declarations
from .background import once_per_version
from .rendering import text
from .services import services

ONTOLOGY = BASE + "ontology"
MODULES = ONTOLOGY + "/module/"
_ALL = """SELECT ?s ?p ?o WHERE {
  { GRAPH graph:ontology { ?s ?p ?o } }
  UNION { GRAPH graph:codes { ?s ?p ?o }
    FILTER(?p IN (rdf:type, skos:prefLabel, skos:definition, skos:inScheme, k4p:unreviewedLanguage)) }
}"""
#: Kinds of terms, the first that a term is of.
_KINDS = {
    iri(name).value: kind
    for name, kind in {
        "owl:Class": "class",
        "owl:ObjectProperty": "object property",
        "owl:DatatypeProperty": "data property",
        "owl:AnnotationProperty": "annotation",
        "skos:ConceptScheme": "code list",
        "skos:Concept": "code",
        "owl:Ontology": "module",
    }.items()
}
_KIND_ORDER = list(_KINDS.values())
_FEATURES = {
    iri(f"owl:{word.capitalize()}Property").value: word
    for word in ("functional", "symmetric", "transitive")
}
#: What is said of a term, and the path that leads to it; of a union its members.
_MEMBERS = "(owl:unionOf/rdf:rest*/rdf:first)?"
_PATHS = {
    "type": "rdf:type",
    "label": "rdfs:label|skos:prefLabel|dcterms:title",
    "definition": "skos:definition|dcterms:description",
    "above": f"(rdfs:subClassOf|rdfs:subPropertyOf)/{_MEMBERS}",
    "domain": f"rdfs:domain/{_MEMBERS}",
    "range": f"rdfs:range/{_MEMBERS}",
    "inverse": "owl:inverseOf|^owl:inverseOf",
    "source": "dcterms:source",
    "home": "rdfs:isDefinedBy|skos:inScheme",
    "replaced": "dcterms:isReplacedBy",
    "deprecated": "owl:deprecated",
    "note": "k4p:domainOmitted|k4p:inverseOmitted|skos:scopeNote",
    "change": "skos:changeNote",
    "unreviewed": "k4p:unreviewedLanguage",
    "version": "owl:versionInfo",
    "version_iri": "owl:versionIRI",
}
#: What leads to a term from others, by the way there.
_BACK = {"below": "above", "starts": "domain", "leads": "range"}
_DISJOINT = """SELECT DISTINCT ?term ?value WHERE {
  ?all a owl:AllDisjointClasses ; owl:members ?list .
  ?list rdf:rest*/rdf:first ?term . ?list rdf:rest*/rdf:first ?value FILTER(?term != ?value)
}"""
_CHAINS = """SELECT ?term ?chain ?step (COUNT(?before) AS ?place) WHERE {
  ?term owl:propertyChainAxiom ?chain . ?chain rdf:rest* ?before . ?before rdf:rest* ?node .
  ?node rdf:first ?step
} GROUP BY ?term ?chain ?node ?step ORDER BY ?term ?chain ?place"""

Texts = Mapping[str, str]


@dataclass(frozen=True)
class Entry:
    """A term, a code list, a code, a module, or the ontology itself.

    Attributes:
        labels, definitions: by language.
        said: what else is said of it: IRIs or texts, by the keys of the paths.
        chains: the properties from which it follows, one after the other.
        queries: stored queries that name it.
    """

    iri: str
    kind: str
    labels: Texts
    definitions: Texts
    said: Mapping[str, list[str]]
    chains: list[list[str]]
    queries: list[StoredQuery]

    @property
    def local(self) -> str:
        """The last part of its address, by which it is found on a page."""
        return self.iri.rpartition("/")[2]

    @property
    def home(self) -> str:
        """The IRI of its module or code list."""
        return next(iter(self.said["home"]), "")

    @property
    def features(self) -> list[str]:
        """Words for what is special about a property."""
        return [_FEATURES[kind] for kind in self.said["type"] if kind in _FEATURES]

    def label(self, language: str) -> tuple[str, str]:
        """Return its label and the language of that: the one asked for, or English."""
        return _in(self.labels, language) or (self.local, "")

    def definition(self, language: str) -> tuple[str, str]:
        """Return its definition and the language of that: the one asked for, or English."""
        return _in(self.definitions, language) or ("", "")


@dataclass(frozen=True)
class Reference:
    """The whole ontology of one version of the graph, or of a release.

    Attributes:
        entries: terms, code lists and codes by IRI.
        modules: by their short name.
        others: labels by language of the terms of other vocabularies that it uses.
    """

    ontology: Entry
    entries: Mapping[str, Entry]
    modules: Mapping[str, Entry]
    others: Mapping[str, Texts]

    @property
    def number(self) -> str:
        """The version of the ontology, such as 0.2.0."""
        return next(iter(self.ontology.said["version"]), "")

    def label(self, term: str, language: str) -> tuple[str, str]:
        """Return the label of a term of ours or of others, and its language; empty where there is none."""
        if entry := self.entries.get(term):
            return entry.label(language)
        return _in(self.others.get(term, {}), language) or ("", "")

    def terms(self, home: str, language: str, *kinds: str) -> list[Entry]:
        """Return the terms of some kinds of a module, or those of all, by label."""
        found = (e for e in self.entries.values() if e.kind in kinds and home in ("", e.home))
        return sorted(found, key=lambda e: natural_key(e.label(language)[0].casefold()))

    def search(self, words: str, language: str) -> list[Entry]:
        """Return what has all the words in its label, definition or name, in whichever language.

        Those in a label come first, and among them those in the label of the language of the page.
        """
        wanted, found = words.casefold().split(), []

        def has(*texts: str) -> bool:
            return all(word in " ".join(texts).casefold() for word in wanted)

        for entry in self.entries.values() if wanted else ():
            label, labels = entry.label(language)[0], entry.labels.values()
            if has(entry.local, *labels, *entry.definitions.values()):
                rank = 0 if has(label) else 1 if has(*labels) else 2
                found.append((rank, _KIND_ORDER.index(entry.kind), label.casefold(), entry))
        return [entry for *_, entry in sorted(found, key=lambda item: item[:3])]


def _in(texts: Texts, language: str) -> tuple[str, str] | None:
    return next(((texts[tongue], tongue) for tongue in (language, "en") if tongue in texts), None)


@once_per_version
def reference(version: int) -> Reference:
    """Return the ontology of a version of the graph."""
    rows = services().select(_ALL, version)
    return read(Triple(row["s"], row["p"], row["o"]) for row in rows)  # type: ignore[arg-type]


def read(triples: Iterable[Triple]) -> Reference:
    """Read a book of reference from the triples of an ontology."""
    graph = MemoryGraph(triples)
    facts: dict[str, dict[str, list[Literal]]] = defaultdict(lambda: defaultdict(list))
    for key, path in _PATHS.items():
        for row in _select(graph, f"SELECT DISTINCT ?term ?value WHERE {{ ?term {path} ?value }}"):
            if text(row["term"]) and text(row["value"]):
                facts[text(row["term"])][key].append(row["value"])  # type: ignore[arg-type]
    for row in _select(graph, _DISJOINT):
        facts[text(row["term"])]["disjoint"].append(row["value"])  # type: ignore[arg-type]
    chains: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for row in _select(graph, _CHAINS):
        chains[text(row["term"])][str(row["chain"])].append(text(row["step"]))
    queries: dict[str, list[StoredQuery]] = defaultdict(list)
    for query in services().library:
        for term in named_terms(query.text):
            queries[TERMS + term].append(query)
    entries = {
        term: Entry(
            term,
            next((kind for key, kind in _KINDS.items() if key in map(text, about["type"])), ""),
            _texts(about["label"]),
            _texts(about["definition"]),
            _said(about),
            list(chains[term].values()),
            queries[term],
        )
        for term, about in list(facts.items())
        if term.startswith((TERMS, CODE)) or term == ONTOLOGY
    }
    for entry in sorted(entries.values(), key=lambda e: e.iri):
        for way, back in _BACK.items():
            for end in entry.said[back]:
                if end in entries:
                    entries[end].said[way].append(entry.iri)
    modules = sorted((e for e in entries.values() if e.kind == "module"), key=lambda e: e.local)
    nothing = Entry(ONTOLOGY, "module", {}, {}, defaultdict(list), [], [])
    return Reference(
        entries.get(ONTOLOGY, nothing),
        {term: e for term, e in entries.items() if e.kind not in ("", "module")},
        {e.local: e for e in modules if e.iri.startswith(MODULES) and e.labels},
        {term: _texts(about["label"]) for term, about in facts.items() if term not in entries},
    )


def _select(graph: MemoryGraph, query: str) -> list[Row]:
    return graph.select(prefix_declarations() + query)


def _texts(values: Iterable[Literal]) -> dict[str, str]:
    return {v.language or "": v.value for v in values if isinstance(v, Literal)}


def _said(about: Mapping[str, list[Literal]]) -> dict[str, list[str]]:
    """What is said of a term beside its labels and definitions; notes in English alone."""
    said: dict[str, list[str]] = defaultdict(list)
    for key, values in about.items():
        if key not in ("label", "definition"):
            spoken = (
                v for v in values if key != "note" or getattr(v, "language", "") in ("en", None)
            )
            said[key] = sorted(text(value) for value in spoken)
    return said
