"""The ontology as a book of reference: modules, terms and codes with all that is said of them, and a drawing of each module.

In a drawing each class is a box with its properties; a line leads to the wider class, or to the class that a
property leads to. `_diagram.html` writes it as SVG.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from pyoxigraph import Literal, Triple

from ..kernel.terms import BASE, CODE, TERMS, iri, natural_key, prefix_declarations
from ..kernel.texts import isolated
from ..knowledge.queries import StoredQuery, named_terms
from ..store import MemoryGraph, Row
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
#: What a term is, by the first of these types that it has.
_KINDS = {
    "owl:Class": "class",
    "owl:ObjectProperty": "object property",
    "owl:DatatypeProperty": "data property",
    "owl:AnnotationProperty": "annotation",
    "skos:ConceptScheme": "code list",
    "skos:Concept": "code",
}
_FEATURES = ("functional", "symmetric", "transitive")
_MEMBERS = "(owl:unionOf/rdf:rest*/rdf:first)?"
#: What is said of a term: the path that leads to it, of a union to its members.
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
_BACK = {"above": "below", "domain": "starts", "range": "leads"}
_DISJOINT = """SELECT DISTINCT ?term ?value WHERE {
  ?all a owl:AllDisjointClasses ; owl:members ?list .
  ?list rdf:rest*/rdf:first ?term . ?list rdf:rest*/rdf:first ?value FILTER(?term != ?value)
} ORDER BY ?value"""
_CHAINS = """SELECT ?term ?chain ?step (COUNT(?before) AS ?place) WHERE {
  ?term owl:propertyChainAxiom ?chain . ?chain rdf:rest* ?before . ?before rdf:rest* ?node .
  ?node rdf:first ?step
} GROUP BY ?term ?chain ?node ?step ORDER BY ?term ?chain ?place"""

#: Pixels: of a character and a line of text, around a box, between boxes and rows, and how wide a row may be.
_CHAR, _LINE, _PAD, _ACROSS, _GAP, _WIDEST = 7.2, 17, 9, 26, 58, 980
#: A text and its language; both empty where there is none.
Spoken = tuple[str, str]


class Reference:
    """The whole ontology of one version of the graph, or of a release; terms go by their IRIs.

    Attributes:
        kinds: terms, code lists and codes to what they are.
        modules: short name to IRI.
        queries: terms to the stored queries that name them.
        chains: properties to the chains of properties from which they follow.
    """

    def __init__(self, triples: Iterable[Triple]) -> None:
        graph = MemoryGraph(triples)

        def select(query: str) -> list[Row]:
            return graph.select(prefix_declarations() + query)

        self._texts: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        self._links: dict[tuple[str, str], list[str]] = defaultdict(list)
        for key, path in _PATHS.items():
            for row in select(f"SELECT DISTINCT * WHERE {{ ?term {path} ?value }} ORDER BY ?value"):
                self._add(text(row["term"]), key, row["value"])
        for row in select(_DISJOINT):
            self._add(text(row["term"]), "disjoint", row["value"])
        self.chains: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for row in select(_CHAINS):
            self.chains[text(row["term"])][str(row["chain"])].append(text(row["step"]))
        self.kinds: dict[str, str] = {}
        for term in sorted(term for term, key in self._links if key == "type"):
            types = self._links[term, "type"]
            kind = next((kind for name, kind in _KINDS.items() if iri(name).value in types), "")
            if kind and term.startswith((TERMS, CODE)):
                self.kinds[term] = kind
        for term, way in sorted(self._links):
            for end in self._links[term, way] if way in _BACK else ():
                self._links[end, _BACK[way]].append(term)
        found = sorted(term for term, key in self._texts if key == "label")
        self.modules = {self.local(term): term for term in found if term.startswith(MODULES)}
        self.queries: dict[str, list[StoredQuery]] = defaultdict(list)
        for query in services().library:
            for name in named_terms(query.text):
                self.queries[TERMS + name].append(query)

    def _add(self, term: str, key: str, value: object) -> None:
        language = getattr(value, "language", "")
        if isinstance(value, Literal):
            self._texts[term, key][language or ""] = value.value
        if term and text(value) and (key != "note" or language in ("en", None)):
            self._links[term, key].append(text(value))

    @staticmethod
    def local(term: str) -> str:
        """Return the last part of an address, by which a term is found on a page."""
        return term.rpartition("/")[2]

    @property
    def number(self) -> str:
        """The version of the ontology, such as 0.2.0."""
        return next(iter(self.values(ONTOLOGY, "version")), "")

    def values(self, term: str, key: str) -> list[str]:
        """Return IRIs and texts that are said of a term: by a key of the paths, and what leads to it from others."""
        return self._links.get((term, key), [])

    def inverse(self, prop: str) -> str:
        """Return the inverse of a property, of a symmetric one itself; empty where there is none."""
        symmetric = iri("owl:SymmetricProperty").value in self.values(prop, "type")
        return prop if symmetric else next(iter(self.values(prop, "inverse")), "")

    def narrower(self, term: str) -> set[str]:
        """Return all that is below a class or property."""
        found, waiting = set[str](), [term]
        while waiting:
            below = {*self.values(waiting.pop(), "below")} - found
            found |= below
            waiting += below
        return found - {term}

    def features(self, term: str) -> list[str]:
        """Return words for what is special about a property."""
        types = self.values(term, "type")
        return [f for f in _FEATURES if iri(f"owl:{f.title()}Property").value in types]

    def home(self, term: str) -> str:
        """Return the module of a term; empty for what has none."""
        return next((m for m in self.values(term, "home") if m in self.modules.values()), "")

    def texts(self, term: str, key: str) -> dict[str, str]:
        """Return the texts of a key by language."""
        return self._texts.get((term, key), {})

    def label(self, term: str, language: str) -> Spoken:
        """Return the label of a term in a language, or in English; of ours without one the last part of the address."""
        own = self.local(term) if term.startswith(BASE) else ""
        return self._spoken(term, "label", language) or (own, "")

    def definition(self, term: str, language: str) -> Spoken:
        """Return the definition of a term in a language, or in English."""
        return self._spoken(term, "definition", language) or ("", "")

    def _spoken(self, term: str, key: str, language: str) -> Spoken | None:
        texts = self.texts(term, key)
        return next(((texts[lang], lang) for lang in (language, "en") if lang in texts), None)

    def terms(self, module: str, language: str, *kinds: str) -> list[str]:
        """Return the terms of some kinds of a module, or those of all, by label."""
        found = (t for t, kind in self.kinds.items() if kind in kinds)
        ours = (term for term in found if not module or self.home(term) == module)
        return sorted(ours, key=lambda t: natural_key(self.label(t, language)[0].casefold()))

    def search(self, words: str, language: str) -> list[str]:
        """Return what has all the words in its label, definition or name, in whichever language.

        Those in a label come first, and among them those in the label of the language of the page.
        """
        wanted, found = words.casefold().split(), []

        def has(*texts: str) -> bool:
            return all(word in " ".join(texts).casefold() for word in wanted)

        for term, kind in self.kinds.items() if wanted else ():
            label, labels = self.label(term, language)[0], self.texts(term, "label").values()
            if has(self.local(term), *labels, *self.texts(term, "definition").values()):
                rank = 0 if has(label) else 1 if has(*labels) else 2
                found.append((rank, [*_KINDS.values()].index(kind), label.casefold(), term))
        return [term for *_, term in sorted(found)]


@once_per_version
def reference(version: int) -> Reference:
    """Return the ontology of a version of the graph."""
    rows = services().select(_ALL, version)
    return Reference(Triple(row["s"], row["p"], row["o"]) for row in rows)  # type: ignore[arg-type]


@dataclass
class Box:
    """A class with the lines in it and its place, in pixels."""

    title: str
    own: bool
    lines: list[str] = field(default_factory=list)
    x: float = 8
    y: float = 8

    @property
    def width(self) -> float:
        """As wide as its longest line."""
        return max(len(self.title) * 1.1, *map(len, self.lines), 0) * _CHAR + 2 * _PAD

    @property
    def height(self) -> float:
        """As high as all its lines."""
        return (1 + len(self.lines)) * _LINE + 2 * _PAD + (5 if self.lines else 0)


class Link(NamedTuple):
    """A line from one class to another: by a property, or without a label to a wider class."""

    start: str
    end: str
    label: str = ""


class Drawing:
    """The classes of a module, and those of other modules that they lead to, laid out."""

    def __init__(self, module: str, book: Reference, language: str) -> None:
        self._book, self._module, self._language = book, module, language
        self.boxes: dict[str, Box] = {}
        links: dict[Link, None] = {}
        for term in book.terms(module, language, "class"):
            self._box(term)
            for above in book.values(term, "above"):
                if above != term and self._box(above):
                    links[Link(term, above)] = None
        for term in book.terms(module, language, "object property", "data property"):
            label = isolated(book.label(term, language)[0])
            ends = [end for end in book.values(term, "range") if end.startswith(TERMS)]
            for start in book.values(term, "domain") if self._forward(term) else ():
                source = self._box(start)
                if source and not ends:
                    source.lines.append(label)
                for end in ends if source else ():
                    if target := self._box(end):
                        source.lines.append(f"{label} → {target.title}")  # type: ignore[union-attr]
                        links[Link(start, end, label)] = None
        self.links = [*links]
        self._place()

    @property
    def width(self) -> float:
        """Of the whole drawing, in pixels."""
        return max((box.x + box.width for box in self.boxes.values()), default=0) + 8

    @property
    def height(self) -> float:
        """Of the whole drawing, in pixels."""
        return max((box.y + box.height for box in self.boxes.values()), default=0) + 8

    @property
    def words(self) -> str:
        """All that the drawing says."""
        title = {term: box.title for term, box in self.boxes.items()}
        sentences = [
            f"{title[start]} {f'– {label} →' if label else '⊑'} {title[end]}."
            for start, end, label in self.links
        ]
        return " ".join(sentences) or ", ".join(sorted(title.values())) + "."

    def path(self, link: Link) -> str:
        """Return the curve of a line: between rows, or above the row of both."""
        a, b = self.boxes[link.start], self.boxes[link.end]
        x1, x2 = a.x + a.width / 2, b.x + b.width / 2
        y1, y2 = (a.y + a.height, b.y) if a.y < b.y else (a.y, b.y + b.height)
        middle = (y1 + y2) / 2
        if a.y == b.y:
            y2, middle = y1, y1 - 40
        return f"M{x1:.0f} {y1:.0f}C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"

    def _box(self, term: str) -> Box | None:
        if self._book.kinds.get(term) != "class":
            return None
        title = isolated(self._book.label(term, self._language)[0])
        return self.boxes.setdefault(term, Box(title, self._book.home(term) == self._module))

    def _forward(self, term: str) -> bool:
        """Return whether a property is drawn: of two inverses the first by name; "has ..." says less than its way back."""

        def rank(term: str) -> tuple[bool, str]:
            return term.removeprefix(TERMS).startswith("has"), term

        inverses = [
            other for other in self._book.values(term, "inverse") if other in self._book.kinds
        ]
        return all(rank(term) <= rank(other) for other in inverses)

    def _place(self) -> None:
        """Give each box its place: what is wider, and what leads to others, in a row above."""
        wider: dict[str, set[str]] = {term: set() for term in self.boxes}
        above: dict[str, set[str]] = {term: set() for term in self.boxes}
        for start, end, label in self.links:
            if label:
                above[end] |= {start} - {end}
            else:
                wider[start].add(end)
        rows = [*self._rows(wider, above)]
        wide = [sum(box.width + _ACROSS for box in row) for row in rows]
        y = 8.0
        for row, width in zip(rows, wide, strict=True):
            x = 8 + (max(wide) - width) / 2
            for box in row:
                box.x, box.y = x, y
                x += box.width + _ACROSS
            y += max(box.height for box in row) + _GAP

    def _rows(
        self, wider: Mapping[str, set[str]], above: Mapping[str, set[str]]
    ) -> Iterator[list[Box]]:
        waiting, order = [*self.boxes], dict[str, float]()
        while waiting:
            # Where classes lead to each other in a circle, the first of the widest begins.
            widest = [term for term in waiting if not wider[term] & {*waiting}] or waiting[:1]
            ready = [term for term in widest if not above[term] & {*waiting}] or widest[:1]
            waiting = [term for term in waiting if term not in ready]
            for term in ready:  # below what it is linked with
                known = [order[upper] for upper in above[term] | wider[term] if upper in order]
                order[term] = sum(known) / len(known) if known else len(ready) / 2
            row: list[Box] = []
            for place, term in enumerate(sorted(ready, key=lambda t: (order[t], t))):
                order[term], box = place, self.boxes[term]
                if row and sum(b.width + _ACROSS for b in row) + box.width > _WIDEST:
                    yield row
                    row = []
                row.append(box)
            yield row
