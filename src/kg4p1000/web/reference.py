"""The ontology as a book of reference: modules, and terms with all that is said of them, by language."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from pyoxigraph import BlankNode, Literal, NamedNode, Triple

from ..queries import Library, StoredQuery, named_terms
from ..terms import BASE, CODE, PREFIXES, TERMS, iri, natural_key
from .services import Services, Term

MODULES = BASE + "ontology/module/"
_IRI = BASE + "ontology"
_TYPE, _FIRST, _REST = (iri(f"rdf:{name}").value for name in ("type", "first", "rest"))
_ALL = "SELECT ?s ?p ?o WHERE { GRAPH graph:ontology { ?s ?p ?o } }"
_CODES = """SELECT ?s ?p ?o WHERE {
  VALUES ?p { rdf:type skos:prefLabel skos:definition skos:inScheme k4p:unreviewedLanguage }
  GRAPH graph:codes { ?s ?p ?o }
}"""
_KINDS = {
    "owl:Class": "class",
    "owl:ObjectProperty": "object property",
    "owl:DatatypeProperty": "data property",
    "owl:AnnotationProperty": "annotation",
    "skos:ConceptScheme": "code list",
    "skos:Concept": "code",
}
_KINDS_BY_IRI = {iri(name).value: kind for name, kind in _KINDS.items()}
_FEATURES = {
    iri("owl:FunctionalProperty").value: "functional",
    iri("owl:SymmetricProperty").value: "symmetric",
    iri("owl:TransitiveProperty").value: "transitive",
}

Facts = Mapping[str, Mapping[str, list[Term]]]


@dataclass(frozen=True)
class Entry:
    """A term, a code list or a code.

    Attributes:
        labels, definitions: by language.
        domains, ranges, above: what it starts at, leads to and stands below, as IRIs; the members
            of a union one by one.
        below, starts, leads: what stands directly below it, and the properties of which it is the
            domain or the range.
        inverses, disjoint: from either side.
        chains: the properties from which it follows, one after the other.
        module: of a term its module, of a code its code list.
        queries: stored queries that name it.
    """

    iri: str
    kind: str
    labels: Mapping[str, str] = field(default_factory=dict)
    definitions: Mapping[str, str] = field(default_factory=dict)
    above: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    inverses: tuple[str, ...] = ()
    disjoint: tuple[str, ...] = ()
    chains: tuple[tuple[str, ...], ...] = ()
    below: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    leads: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    module: str = ""
    replaced_by: tuple[str, ...] = ()
    deprecated: bool = False
    notes: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    queries: tuple[StoredQuery, ...] = ()

    @property
    def local(self) -> str:
        """The last part of its address, by which it is found on a page."""
        return self.iri.rpartition("/")[2]

    def label(self, language: str) -> tuple[str, str]:
        """Its label and the language of that: the one asked for, or English."""
        return _in(self.labels, language) or (self.local, "")

    def definition(self, language: str) -> tuple[str, str]:
        """Its definition and the language of that: the one asked for, or English."""
        return _in(self.definitions, language) or ("", "")

    def order(self, language: str) -> list[tuple[int, int, str]]:
        """Sort key by label."""
        return natural_key(self.label(language)[0].casefold())


@dataclass(frozen=True)
class Module:
    """A module, or the ontology itself."""

    iri: str
    titles: Mapping[str, str]
    descriptions: Mapping[str, str]
    version_iri: str = ""
    unreviewed: tuple[str, ...] = ()
    terms: tuple[Entry, ...] = ()

    @property
    def local(self) -> str:
        """Its short name."""
        return self.iri.removeprefix(MODULES)

    def title(self, language: str) -> tuple[str, str]:
        """Its title and the language of that."""
        return _in(self.titles, language) or (self.local, "")

    def description(self, language: str) -> tuple[str, str]:
        """What it is about, and the language of that."""
        return _in(self.descriptions, language) or ("", "")

    def of_kind(self, *kinds: str) -> list[Entry]:
        """Its terms of some kinds."""
        return [term for term in self.terms if term.kind in kinds]


@dataclass(frozen=True)
class Reference:
    """The whole ontology of one version of the graph.

    Attributes:
        number: the version of the ontology, such as 0.2.0.
        entries: terms, code lists and codes by IRI.
        others: labels by language of the terms of other vocabularies that it uses.
    """

    ontology: Module
    number: str
    modules: tuple[Module, ...]
    entries: Mapping[str, Entry]
    others: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def label(self, term: str, language: str) -> tuple[str, str]:
        """The label of a term of ours or of others, and its language; empty where there is none."""
        entry = self.entries.get(term)
        return (
            entry.label(language) if entry else _in(self.others.get(term, {}), language) or ("", "")
        )

    def search(self, words: str, language: str) -> list[Entry]:
        """What has all the words in its label, definition or name, in whichever language.

        Those in a label come first, and among them those in the label of the language of the page.
        """
        wanted = words.casefold().split()

        def has(*texts: str) -> bool:
            text = " ".join(texts).casefold()
            return all(word in text for word in wanted)

        found = []
        for entry in self.entries.values():
            label, labels = entry.label(language)[0], entry.labels.values()
            if wanted and has(entry.local, *labels, *entry.definitions.values()):
                rank = 0 if has(label) else 1 if has(*labels) else 2
                kind = list(_KINDS.values()).index(entry.kind)
                found.append((rank, kind, label.casefold(), entry))
        return [entry for *_, entry in sorted(found, key=lambda item: item[:3])]

    def module(self, name: str) -> Module | None:
        """A module by its short name."""
        return next((m for m in self.modules if m.local == name), None)


def _in(texts: Mapping[str, str], language: str) -> tuple[str, str] | None:
    for tongue in (language, "en"):
        if tongue in texts:
            return texts[tongue], tongue
    return None


def reference(services: Services, version: int) -> Reference:
    """The ontology of a version of the graph; read once a version."""
    kept = services.references
    if version not in kept:
        rows = [*services.select(_ALL, version), *services.select(_CODES, version)]
        kept[version] = _read(
            (Triple(row["s"], row["p"], row["o"]) for row in rows),  # type: ignore[arg-type]
            services.library,
        )
        for old in list(kept)[:-4]:
            kept.pop(old, None)
    return kept[version]  # type: ignore[no-any-return]


def released(services: Services, number: str, triples: Iterable[Triple]) -> Reference:
    """The ontology of a release, from its record; read once a release."""
    kept = services.releases
    if number not in kept:
        kept[number] = _read(triples, services.library)
    return kept[number]  # type: ignore[no-any-return]


def _read(triples: Iterable[Triple], library: Library) -> Reference:
    facts: dict[str, dict[str, list[Term]]] = defaultdict(lambda: defaultdict(list))
    for triple in triples:
        facts[_key(triple.subject)][triple.predicate.value].append(triple.object)
    named: dict[str, list[StoredQuery]] = defaultdict(list)
    for query in library:
        for term in named_terms(query.text):
            named[TERMS + term].append(query)
    inverses, disjoint = _inverses(facts), _disjoint(facts)
    entries = _turned(
        replace(entry, disjoint=tuple(sorted(disjoint.get(entry.iri, ()))))
        for subject in list(facts)
        if (entry := _entry(subject, facts, inverses, named.get(subject, [])))
    )
    version = _texts(facts[_IRI][iri("owl:versionInfo").value])
    modules = sorted(
        (
            _module(subject, facts, entries)
            for subject in list(facts)
            if subject.startswith(MODULES)
        ),
        key=lambda module: module.local,
    )
    return Reference(
        _module(_IRI, facts, {}),
        version.get("", ""),
        tuple(m for m in modules if m.titles),
        entries,
        {
            subject: _texts(about[iri("rdfs:label").value])
            for subject, about in list(facts.items())
            if not subject.startswith((TERMS, CODE)) and iri("rdfs:label").value in about
        },
    )


def _key(node: Term) -> str:
    return node.value if isinstance(node, NamedNode) else str(node)


def _inverses(facts: Facts) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for subject, about in facts.items():
        for other in _named(about.get(iri("owl:inverseOf").value, ())):
            found[subject].add(other)
            found[other].add(subject)
    return found


def _disjoint(facts: Facts) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    kind = iri("owl:AllDisjointClasses")
    for about in list(facts.values()):
        if kind not in about.get(_TYPE, ()):
            continue
        members = {m for head in about[iri("owl:members").value] for m in _list(head, facts)}
        for member in members:
            found[member] |= members - {member}
    return found


def _turned(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Entries by IRI, each with what leads to it from others."""
    found = {entry.iri: entry for entry in entries}
    back: dict[tuple[str, str], list[str]] = defaultdict(list)
    for entry in found.values():
        for way, ends in (
            ("below", entry.above),
            ("starts", entry.domains),
            ("leads", entry.ranges),
        ):
            for end in ends:
                back[end, way].append(entry.iri)
    return {
        key: replace(
            entry, **{way: tuple(sorted(back[key, way])) for way in ("below", "starts", "leads")}
        )
        for key, entry in found.items()
    }


def _entry(
    subject: str, facts: Facts, inverses: Mapping[str, set[str]], queries: list[StoredQuery]
) -> Entry | None:
    about = facts[subject]
    types = set(_named(about.get(_TYPE, ())))
    kind = next((kind for key, kind in _KINDS_BY_IRI.items() if key in types), None)
    if kind is None or not subject.startswith((TERMS, CODE)):
        return None

    def of(*names: str) -> list[Term]:
        return [value for name in names for value in about.get(iri(name).value, ())]

    return Entry(
        iri=subject,
        kind=kind,
        labels=_texts(of("rdfs:label", "skos:prefLabel")),
        definitions=_texts(of("skos:definition")),
        above=tuple(_members(of("rdfs:subClassOf", "rdfs:subPropertyOf"), facts)),
        domains=tuple(_members(of("rdfs:domain"), facts)),
        ranges=tuple(_members(of("rdfs:range"), facts)),
        inverses=tuple(sorted(inverses.get(subject, ()))),
        chains=tuple(tuple(_list(head, facts)) for head in of("owl:propertyChainAxiom")),
        sources=tuple(v.value for v in of("dcterms:source") if isinstance(v, NamedNode | Literal)),
        features=tuple(word for key, word in _FEATURES.items() if key in types),
        module=next(_named(of("rdfs:isDefinedBy", "skos:inScheme")), ""),
        replaced_by=tuple(_named(of("dcterms:isReplacedBy"))),
        deprecated=any(isinstance(v, Literal) and v.value == "true" for v in of("owl:deprecated")),
        notes=tuple(
            v.value
            for v in of("k4p:domainOmitted", "k4p:inverseOmitted", "skos:scopeNote")
            if isinstance(v, Literal) and v.language in ("en", None)
        ),
        changes=tuple(v.value for v in of("skos:changeNote") if isinstance(v, Literal)),
        queries=tuple(queries),
    )


def _module(subject: str, facts: Facts, entries: Mapping[str, Entry]) -> Module:
    about = facts[subject]

    def of(name: str) -> list[Term]:
        return about.get(iri(name).value, [])

    return Module(
        subject,
        titles=_texts(of("dcterms:title")),
        descriptions=_texts(of("dcterms:description")),
        version_iri=next(_named(of("owl:versionIRI")), ""),
        unreviewed=tuple(
            sorted(v.value for v in of("k4p:unreviewedLanguage") if isinstance(v, Literal))
        ),
        terms=tuple(entry for entry in entries.values() if entry.module == subject),
    )


def _texts(values: Iterable[Term]) -> dict[str, str]:
    return {v.language or "": v.value for v in values if isinstance(v, Literal)}


def _named(values: Iterable[Term]) -> Iterator[str]:
    return (value.value for value in values if isinstance(value, NamedNode))


def _members(values: Iterable[Term], facts: Facts) -> Iterator[str]:
    """Named classes, and the members of unions; other nodes without names are left out."""
    for value in values:
        if isinstance(value, NamedNode):
            yield value.value
        elif isinstance(value, BlankNode):
            for union in facts[_key(value)].get(iri("owl:unionOf").value, ()):
                yield from _list(union, facts)


def _list(node: Term, facts: Facts) -> Iterator[str]:
    seen: set[str] = set()
    while isinstance(node, BlankNode) and (key := _key(node)) not in seen:
        seen.add(key)
        yield from _named(facts[key].get(_FIRST, ()))
        node = next(iter(facts[key].get(_REST, ())), NamedNode(PREFIXES["rdf"] + "nil"))
