"""The words of a version: its terms with their names, how properties relate, and its named graphs.

Read once a version and kept, for every page needs it; a version never changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pyoxigraph import Literal, NamedNode

from ..terms import GRAPH, iri
from .names import KNOWN_NAMES, NAMING, Name, from_rows, unnamed
from .services import Row, Services

#: Versions whose words are kept.
_KEPT = 4
_INVERSE = iri("owl:inverseOf").value
_NARROWER = (iri("rdfs:subPropertyOf").value, iri("rdfs:subClassOf").value)
_TYPE = iri("rdf:type").value
_SYMMETRIC = iri("owl:SymmetricProperty").value

_TERMS = f"""SELECT ?other ?property ?name WHERE {{
  VALUES ?property {{ {NAMING} }}
  {{ GRAPH graph:ontology {{ ?other ?property ?name }} }}
  UNION {{ GRAPH graph:codes {{ ?other ?property ?name }} }}
  UNION {{ GRAPH graph:graphs {{ ?other ?property ?name }} }}
}}"""
_RELATIONS = f"""SELECT ?one ?property ?other WHERE {{
  VALUES ?property {{ owl:inverseOf rdfs:subPropertyOf rdfs:subClassOf <{_TYPE}> }}
  GRAPH graph:ontology {{ ?one ?property ?other FILTER(isIRI(?other)) }}
}}"""
_GRAPHS = """SELECT ?graph ?property ?value WHERE {
  GRAPH graph:graphs { ?graph ?property ?value } FILTER(STRSTARTS(STR(?graph), STR(graph:)))
}"""

#: How a property of other vocabularies reads from the other end.
_BACKWARDS = {
    "rdf:type": "instances",
    "rdfs:subClassOf": "narrower classes",
    "rdfs:subPropertyOf": "narrower properties",
    "rdfs:domain": "properties that start here",
    "rdfs:range": "properties that lead here",
    "rdfs:isDefinedBy": "defines",
    "owl:inverseOf": "inverse property",
    "skos:inScheme": "codes",
    "skos:topConceptOf": "top codes",
    "skos:broader": "narrower codes",
    "dcterms:isPartOf": "has part",
    "dcterms:isVersionOf": "has version",
    "dcterms:source": "is the source of",
    "dcterms:license": "is the licence of",
    "dcterms:isReferencedBy": "references",
    "p-plan:isStepOfPlan": "has step",
    "prov:wasAttributedTo": "is the author of",
    "prov:wasDerivedFrom": "was the ground for",
    "org:classification": "classifies",
    "sh:targetClass": "shapes that check it",
    "sh:class": "shapes that ask for it",
    "sh:path": "shapes of this property",
    "sh:property": "is a rule of",
    "k4p:status": "is the status of",
    "k4p:horizon": "is the horizon of",
    "k4p:indicator": "is measured in",
    "k4p:unit": "is the unit of",
    "k4p:organisationType": "organisations of this type",
    "k4p:overlapKind": "overlaps of this kind",
    "k4p:relationKind": "relations of this kind",
    "k4p:quantifier": "measures with it",
    "k4p:mentionOf": "mentions of it",
    "k4p:givesActionKind": "annotations with it",
    "k4p:givesDeliverable": "annotations with it",
    "k4p:givesTargetGroup": "annotations with it",
    "k4p:givesTopic": "annotations with it",
    "k4p:actionKind": "activities of this kind",
    "k4p:deliverable": "activities with this deliverable",
    "k4p:targetGroup": "activities for this group",
    "k4p:topic": "activities on this topic",
    "k4p:primaryActionKind": "activities first of all of this kind",
    "k4p:primaryDeliverable": "activities with this deliverable first of all",
    "k4p:primaryTargetGroup": "activities first of all for this group",
    "k4p:primaryTopic": "activities first of all on this topic",
}
#: Properties that people look for first, and those that only books are kept by.
_FIRST = (
    "k4p:objectiveOf", "k4p:activityOf", "k4p:targetOf", "k4p:measureOf", "k4p:remarkOn",
    "k4p:pointOf", "k4p:revises", "k4p:mentionOf", "k4p:mentionIn", "k4p:relatesFrom",
    "k4p:relatesTo", "k4p:between", "k4p:overlapKind", "k4p:relationKind", "k4p:horizon",
    "k4p:primaryActionKind", "k4p:actionKind", "k4p:primaryDeliverable", "k4p:deliverable",
    "k4p:primaryTargetGroup", "k4p:targetGroup", "k4p:primaryTopic", "k4p:topic",
    "k4p:indicator", "k4p:value", "k4p:minValue", "k4p:maxValue", "k4p:hasTarget",
    "k4p:hasMeasure", "k4p:hasObjective", "k4p:hasActivity", "k4p:hasRemark", "k4p:hasPoint",
    "k4p:hasProposedRevision",
)  # fmt: skip
_LAST = (
    "skos:editorialNote", "dcterms:source", "skos:notation", "k4p:number", "skos:prefLabel",
    "rdfs:label", "skos:altLabel", "prov:wasAttributedTo", "rdfs:isDefinedBy",
)  # fmt: skip
_PLACE = {iri(name).value: i - len(_FIRST) for i, name in enumerate(_FIRST)} | {
    iri(name).value: i + 1 for i, name in enumerate(_LAST)
}
_BACKWARDS_BY_IRI = {iri(name).value: label for name, label in _BACKWARDS.items()}


@dataclass(frozen=True)
class GraphEntry:
    """A named graph as the register has it."""

    iri: str
    title: str
    description: str = ""
    licence: str = ""
    source: str = ""
    author: str = ""
    editable: bool = False
    in_default: bool = False
    in_dumps: bool = False

    @property
    def topic(self) -> str:
        """Its short name."""
        return self.iri.removeprefix(GRAPH)


@dataclass(frozen=True)
class Vocabulary:
    """The words of one version.

    Attributes:
        inverses: property to its inverse; a symmetric one to itself.
        narrower: property or class to all below it.
        graphs: the register, by IRI.
    """

    names: dict[str, Name]
    inverses: dict[str, str] = field(default_factory=dict)
    narrower: dict[str, frozenset[str]] = field(default_factory=dict)
    graphs: dict[str, GraphEntry] = field(default_factory=dict)

    def name(self, value: str) -> Name:
        """The name of a term; a CURIE where there is none."""
        return self.names.get(value) or unnamed(value)

    def property_name(self, value: str, incoming: bool) -> Name:
        """What a property is called, or how it reads from the other end."""
        name = self.name(value)
        if not incoming:
            return name
        backwards = _BACKWARDS_BY_IRI.get(value, f"← {name.text}")
        return replace(name, text=backwards, lang="en")


def place(prop: str) -> int:
    """Where on a page a property stands, before or after those that have no place of their own."""
    return _PLACE.get(prop, 0)


def vocabulary(services: Services, version: int) -> Vocabulary:
    """The words of a version."""
    kept = services.vocabularies
    if version not in kept:
        kept[version] = _read(services, version)
        for old in list(kept)[:-_KEPT]:
            kept.pop(old, None)
    return kept[version]


def _read(services: Services, version: int) -> Vocabulary:
    names = {key: unnamed(key) for key in KNOWN_NAMES}
    names |= from_rows(services.select(_TERMS, version))
    relations = services.select(_RELATIONS, version)
    return Vocabulary(
        names=names,
        inverses=_inverses(relations),
        narrower=_narrower(relations),
        graphs=_graphs(services.select(_GRAPHS, version)),
    )


def _pairs(relations: Iterable[Row], wanted: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = []
    for row in relations:
        one, prop, other = row["one"], row["property"], row["other"]
        known = all(isinstance(term, NamedNode) for term in (one, prop, other))
        if known and prop.value in wanted:  # type: ignore[union-attr]
            pairs.append((one.value, other.value))  # type: ignore[union-attr]
    return pairs


def _inverses(relations: list[Row]) -> dict[str, str]:
    found = dict(_pairs(relations, (_INVERSE,)))
    found |= {other: one for one, other in found.items()}
    symmetric = (one for one, kind in _pairs(relations, (_TYPE,)) if kind == _SYMMETRIC)
    return found | {one: one for one in symmetric}


def _narrower(relations: list[Row]) -> dict[str, frozenset[str]]:
    below: dict[str, set[str]] = {}
    for one, other in _pairs(relations, _NARROWER):
        below.setdefault(other, set()).add(one)
    found: dict[str, frozenset[str]] = {}
    for top, direct in below.items():
        reached: set[str] = set()
        waiting = list(direct)
        while waiting:
            term = waiting.pop()
            if term not in reached:
                reached.add(term)
                waiting += below.get(term, ())
        found[top] = frozenset(reached - {top})
    return found


def _graphs(rows: list[Row]) -> dict[str, GraphEntry]:
    fields = {
        iri("dcterms:title").value: "title",
        iri("dcterms:description").value: "description",
        iri("dcterms:license").value: "licence",
        iri("dcterms:source").value: "source",
        iri("prov:wasAttributedTo").value: "author",
        iri("k4p:editable").value: "editable",
        iri("k4p:inDefaultGraph").value: "in_default",
        iri("k4p:inDumps").value: "in_dumps",
    }
    found: dict[str, dict] = {}
    for row in rows:
        graph, prop, value = row["graph"], row["property"], row["value"]
        if not (isinstance(graph, NamedNode) and isinstance(prop, NamedNode)):
            continue
        entry = found.setdefault(graph.value, {"title": graph.value.removeprefix(GRAPH)})
        if prop.value in fields and isinstance(value, (Literal, NamedNode)):
            name = fields[prop.value]
            flag = name in ("editable", "in_default", "in_dumps")
            entry[name] = value.value in ("true", "1") if flag else value.value
    ordered = sorted(found.items(), key=lambda item: item[1]["title"].casefold())
    return {key: GraphEntry(iri=key, **entry) for key, entry in ordered}
