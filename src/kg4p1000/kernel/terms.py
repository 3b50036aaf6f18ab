"""Names: prefixes, IRIs and CURIEs, and Turtle that is the same for the same triples.

Does not know which terms exist; `ontology` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pyoxigraph as ox
from pyoxigraph import NamedNode

BASE = "https://w3id.org/kg4p1000/"
TERMS = BASE + "ontology/"
ID = BASE + "id/"
CODE = BASE + "code/"
GRAPH = BASE + "graph/"
SHAPES = BASE + "shapes/"
QUERY = BASE + "query/"
PROBLEM = BASE + "problem/"

#: Kinds of things below ``/id/``; each has a prefix of its own, so that ``activity:A4.2`` needs no escape.
ID_TYPES = (
    "action", "activity", "agent", "annotation", "cluster", "convention", "database", "decision", "detection",
    "document", "edition", "goal", "group", "indicator", "initiative", "mapping", "mapping-set",
    "measure", "mention", "methodology", "objective", "organisation", "overlap", "passage", "place", "plan",
    "procedure", "reading", "relation", "remark", "revision", "section", "target", "term", "tool",
)  # fmt: skip
#: Code lists; each has a prefix of its own for the same reason.
CODE_SCHEMES = (
    "access", "action-kind", "benefit", "commitment-kind", "comparison-criterion", "deliverable",
    "event-kind", "evidence-kind", "finance-goal", "horizon", "material-kind", "measured-property",
    "mrv-kind", "organisation-type", "overlap-kind", "policy-kind", "project-stage", "quantifier",
    "readiness", "region", "relation-kind", "role", "scale", "scheme-kind", "slm-group",
    "slm-measure", "status", "target-group", "tier", "topic", "unit",
)  # fmt: skip

#: Prefix to namespace: offered to every query, and used in every Turtle that we write.
PREFIXES: dict[str, str] = {
    "k4p": TERMS,
    "code": CODE,
    "graph": GRAPH,
    "shapes": SHAPES,
    **{name: f"{ID}{name}/" for name in ID_TYPES},
    **{name: f"{CODE}{name}/" for name in CODE_SCHEMES},
    "dcterms": "http://purl.org/dc/terms/",
    "foaf": "http://xmlns.com/foaf/0.1/",
    "org": "http://www.w3.org/ns/org#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "p-plan": "http://purl.org/net/p-plan#",
    "prov": "http://www.w3.org/ns/prov#",
    "qudt-unit": "http://qudt.org/vocab/unit/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "semapv": "https://w3id.org/semapv/vocab/",
    "sh": "http://www.w3.org/ns/shacl#",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "vann": "http://purl.org/vocab/vann/",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}

_NAMESPACES = sorted(((ns, prefix) for prefix, ns in PREFIXES.items()), key=lambda x: -len(x[0]))
_LOCAL_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.\-]*[A-Za-z0-9_\-])?")


def iri(curie: str) -> NamedNode:
    """Expand a CURIE with one of our prefixes.

    >>> iri("activity:A4.2").value
    'https://w3id.org/kg4p1000/id/activity/A4.2'

    Raises:
        KeyError: the prefix is unknown.
    """
    prefix, _, local = curie.partition(":")
    return NamedNode(PREFIXES[prefix] + local)


def curie(value: str) -> str | None:
    """Shorten an IRI to a CURIE that is valid in SPARQL without escapes, or None.

    >>> curie("https://w3id.org/kg4p1000/id/activity/A4.2")
    'activity:A4.2'
    """
    for namespace, prefix in _NAMESPACES:
        if value.startswith(namespace):
            local = value[len(namespace) :]
            return f"{prefix}:{local}" if _LOCAL_NAME.fullmatch(local) else None
    return None


def short(value: str) -> str:
    """Return an IRI as people read it: its CURIE where it has one."""
    return curie(value) or value


def mint(kind: str, key: str) -> NamedNode:
    """Return the IRI of one of our things.

    Args:
        kind: one of `ID_TYPES`.
        key: letters, digits, ``.``, ``-`` and ``_``; starts and ends with a letter or digit.

    Raises:
        ValueError: the kind is unknown or the key has a character that would need an escape.
    """
    if kind not in ID_TYPES:
        raise ValueError(f"unknown kind of thing: {kind}")
    if not _LOCAL_NAME.fullmatch(key):
        raise ValueError(f"not a key: {key!r}")
    return NamedNode(f"{ID}{kind}/{key}")


def prefix_declarations() -> str:
    """Return our prefixes as SPARQL ``PREFIX`` lines, sorted."""
    return "".join(f"PREFIX {p}: <{ns}>\n" for p, ns in sorted(PREFIXES.items()))


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Return a sort key that puts A4.2 before A4.10, however many digits a number has."""
    parts = enumerate(re.split(r"([0-9]+)", text))  # a number at every other place
    return [
        (1, len(digits := part.lstrip("0")), digits) if place % 2 else (0, 0, part)
        for place, part in parts
    ]


def turtle(triples: Iterable[ox.Triple]) -> bytes:
    """Write triples as Turtle: sorted, one subject after another, only the prefixes in use.

    The same set of triples always gives the same bytes, so that a change of one statement
    is a change of one line.
    """
    rdf_type = PREFIXES["rdf"] + "type"

    def key(t: ox.Triple) -> tuple:
        predicate = "" if t.predicate.value == rdf_type else t.predicate.value
        return natural_key(str(t.subject)), predicate, natural_key(str(t.object))

    ordered = sorted(set(triples), key=key)
    if not ordered:
        return b""
    written: bytes = ox.serialize(ordered, format=ox.RdfFormat.TURTLE, prefixes=PREFIXES)
    # The writer lists every prefix in no fixed order and leaves no space between subjects. Other
    # ends of lines than "\n" stand in literals.
    lines = written.decode().removesuffix("\n").split("\n")
    body = [line for line in lines if not line.startswith("@prefix ")]
    text = "\n".join(line if line.startswith("\t") else "\n" + line for line in body)
    return ((turtle_prefixes(text) or "\n") + text + "\n").encode()


def turtle_prefixes(body: str) -> str:
    """Return the lines that declare the prefixes in use in Turtle."""
    used = set(re.findall(r"(?<![\w<\"])([a-z0-9-]+):(?=[A-Za-z0-9_])", body))
    return "".join(f"@prefix {p}: <{ns}> .\n" for p, ns in sorted(PREFIXES.items()) if p in used)
