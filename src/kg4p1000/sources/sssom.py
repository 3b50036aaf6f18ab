"""Mappings in SSSOM files, and the lists of verified terms that they may point to, as triples.

A file that is broken is refused by a BrokenFile with file, line, column and repair; nothing is guessed. What a
mapping points to must stand in a list below ``mappings/verified/``, so that no identifier is invented.

Source: SSSOM 1.1, https://mapping-commons.github.io/sssom/ (TSV with a YAML header).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from itertools import takewhile
from typing import Any, NoReturn

import yaml
from pyoxigraph import Literal, NamedNode, Triple

from ..kernel.files import broken
from ..kernel.terms import BASE, PREFIXES, iri, mint
from ..kernel.texts import counted

#: Predicates that a mapping may have, and how they are told.
PREDICATES = {
    "skos:exactMatch": "is the same as",
    "skos:closeMatch": "is close to",
    "skos:broadMatch": "is narrower than",
    "skos:narrowMatch": "is broader than",
    "skos:relatedMatch": "is related to",
    "dcterms:subject": "is about",
    "owl:equivalentClass": "is the same class as",
    "rdfs:subClassOf": "is a kind of",
    "rdfs:subPropertyOf": "is a kind of",
}
#: Ways in which a mapping was found, as SSSOM 1.1 lists them.
JUSTIFICATIONS = frozenset(
    f"semapv:{name}"
    for name in (
        "BackgroundKnowledgeBasedMatching", "CompositeMatching", "InstanceBasedMatching", "LexicalMatching",
        "LexicalSimilarityThresholdMatching", "LogicalReasoning", "ManualMappingCuration", "MappingChaining",
        "MappingInversion", "MappingReview", "SemanticSimilarityThresholdMatching", "StructuralMatching",
        "UnspecifiedMatching",
    )
)  # fmt: skip
COLUMNS = (
    "subject_id", "subject_label", "predicate_id", "object_id", "object_label", "mapping_justification",
    "confidence", "author_id", "comment",
)  # fmt: skip
TERM_COLUMNS = ("id", "notation", "label_en", "label_fr", "label_es")
_SET_KEYS = (
    "curie_map", "license", "mapping_date", "mapping_set_description", "mapping_set_id", "mapping_set_title",
    "mapping_set_version", "mapping_tool", "mapping_tool_version", "object_source", "object_source_version",
    "sssom_version", "subject_source", "subject_source_version",
)  # fmt: skip
_TERM_KEYS = ("title", "vocabulary", "version", "rights", "source")
_IRI = re.compile(r"https?://[^\s<>\"{}|^`\\]+")
_SHARE = re.compile(r"0([.][0-9]+)?|1([.]0+)?")
_NOT_KEY = re.compile(r"[^A-Za-z0-9_.-]+")


class _Row(dict[str, str]):
    """The cells of a row by column."""

    def __init__(self, file: str, line: int, names: list[str], text: str) -> None:
        self.file, self.line = file, line
        cells = text.split("\t")
        if len(cells) != len(names):
            why = (
                f"the row has {counted(len(cells), 'cell')} and must have {len(names)};"
                " separate them by tabs, and leave a cell empty where there is nothing to say"
            )
            _fail(file, line, 1, why)
        super().__init__(zip(names, cells, strict=True))
        for name, cell in self.items():
            if cell != cell.strip():
                self.refuse(name, "remove the spaces around it")

    def refuse(self, name: str, why: str) -> NoReturn:
        """Refuse a cell, with its place."""
        before = takewhile(lambda column: column != name, self)
        place = 1 + sum(len(self[column]) + 1 for column in before)
        _fail(self.file, self.line, place, f"{name} is {self[name]!r}; {why}")

    def require(self, *names: str) -> None:
        """Refuse a row in which one of some cells is empty."""
        for name in names:
            if not self[name]:
                self.refuse(name, "fill the cell in")


def _fail(file: str, line: int, column: int, why: str) -> NoReturn:
    raise broken(file, f"{why}.", line, column)


def _read(
    data: str, file: str, keys: tuple[str, ...], columns: tuple[str, ...]
) -> tuple[dict[str, Any], list[_Row]]:
    """Return the header and the rows of a file; every fault is told with its place."""
    lines = data.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    first = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    header = _header("\n".join(line[1:] for line in lines[:first]), file, keys)
    names = lines[first].split("\t") if first < len(lines) else []
    if sorted(names) != sorted(columns):
        lacking, more = sorted({*columns} - {*names}), sorted({*names} - {*columns})
        repairs = [f"; add {', '.join(lacking)}"] if lacking else []
        repairs += [f"; remove {', '.join(more)}"] if more else []
        why = f"the columns must be {', '.join(columns)}, each once{''.join(repairs)}"
        _fail(file, first + 1, 1, why)
    if not lines[-1]:
        lines.pop()
    return header, [_Row(file, n, names, line) for n, line in enumerate(lines, 1) if n > first + 1]


def _header(text: str, file: str, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        read = yaml.safe_load(text)
    except yaml.YAMLError as e:
        mark = getattr(e, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 2) if mark else (1, 1)
        why = (
            f"the header is not YAML ({getattr(e, 'problem', None) or 'it cannot be read'}); write"
            " '# key: value' lines, with quotes around values that have a colon"
        )
        _fail(file, line, column, why)
    if not isinstance(read, dict):
        _fail(file, 1, 1, "the header is missing; begin the file with '# key: value' lines")
    if missing := [key for key in keys if read.get(key) in (None, "")]:
        why = f"the header lacks {', '.join(missing)}; add a line '# {missing[0]}: …'"
        _fail(file, 1, 1, why)
    if unknown := sorted(str(key) for key in read if key not in keys):
        why = f"the header has {unknown[0]!r}, which is not known; remove or rename it"
        _fail(file, 1, 1, why)
    return read


def read_terms(data: str, file: str) -> list[Triple]:
    """Return what a list of verified terms says: their names, and where they come from."""
    header, rows = _read(data, file, _TERM_KEYS, TERM_COLUMNS)
    vocabulary = NamedNode(header["vocabulary"])
    facts = [
        (vocabulary, "dcterms:title", Literal(header["title"], language="en")),
        (vocabulary, "dcterms:rights", Literal(header["rights"], language="en")),
    ]
    seen: set[str] = set()
    for row in rows:
        row.require("id", "label_en")
        if not _IRI.fullmatch(row["id"]):
            row.refuse("id", "write the whole address, beginning with http:// or https://")
        if row["id"] in seen:
            row.refuse("id", "the term stands in this list already; remove one of the rows")
        seen.add(row["id"])
        term = NamedNode(row["id"])
        for language in ("en", "fr", "es"):
            if label := row[f"label_{language}"]:
                facts.append((term, "skos:prefLabel", Literal(label, language=language)))
        if row["notation"]:
            facts.append((term, "skos:notation", Literal(row["notation"])))
        if term != vocabulary:
            facts.append((term, "rdfs:isDefinedBy", vocabulary))
    return [Triple(subject, iri(name), value) for subject, name, value in facts]


def read_mappings(
    data: str,
    file: str,
    verified: Mapping[str, str],
    names: Mapping[str, Collection[str]] | None = None,
    judged: Mapping[NamedNode, tuple[str, NamedNode]] | None = None,
) -> list[Triple]:
    """Return the statements of a mapping file, each with who made it, how and how surely.

    Args:
        verified: English names of terms of other vocabularies by IRI; a mapping may point to no other.
        names: English names of our own terms and things by IRI. The label of a subject must be one of
            its names, with or without its code ("A4.1 …") before it.
        judged: what people decided, by mapping: its status, and who. A rejected one is told, not stated.
    """
    header, rows = _read(data, file, _SET_KEYS, COLUMNS)
    prefixes, start = header["curie_map"], BASE + "id/mapping-set/"
    if not str(header["mapping_set_id"]).startswith(start):
        _fail(file, 1, 1, f"mapping_set_id must begin with {start}")
    if not isinstance(prefixes, dict):
        _fail(file, 1, 1, "curie_map must list prefixes, each as '#   prefix: address'")
    if other := [p for p in prefixes if PREFIXES.get(p, prefixes[p]) != prefixes[p]]:
        _fail(file, 1, 1, f"the prefix {other[0]!r} is {PREFIXES[other[0]]} in this project")
    home = NamedNode(header["mapping_set_id"])
    described = f"{header['mapping_set_description']} Version of the target: {header['object_source_version']}."
    found = _about(
        home,
        {
            "rdf:type": iri("k4p:MappingSet"),
            "skos:prefLabel": Literal(header["mapping_set_title"], language="en"),
            "dcterms:description": Literal(described, language="en"),
            "dcterms:license": NamedNode(header["license"]),
            "dcterms:issued": Literal(str(header["mapping_date"]), datatype=iri("xsd:date")),
        },
    )
    seen: set[NamedNode] = set()
    for row in rows:
        statement, facts = _mapping(row, prefixes, verified, names or {})
        key = _NOT_KEY.sub("-", f"{row['subject_id']}--{row['object_id']}").strip("-.")
        this = mint("mapping", key)
        if this in seen:
            row.refuse("object_id", "this pair is mapped already; remove one of the rows")
        seen.add(this)
        status, person = (judged or {}).get(this, ("proposed", None))
        facts |= {"k4p:inMappingSet": home, "k4p:status": iri(f"status:{status}")}
        if person and status == "accepted":
            facts["k4p:reviewedBy"] = person
        found += _about(this, facts) + ([statement] if status != "rejected" else [])
    return found


def _about(subject: NamedNode, facts: Mapping[str, NamedNode | Literal]) -> list[Triple]:
    return [Triple(subject, iri(name), value) for name, value in facts.items()]


def _mapping(
    row: _Row,
    prefixes: Mapping[str, str],
    verified: Mapping[str, str],
    names: Mapping[str, Collection[str]],
) -> tuple[Triple, dict[str, NamedNode | Literal]]:
    """Return the statement that a mapping makes, and what is said of the mapping."""

    def node(name: str) -> NamedNode:
        prefix, colon, local = row[name].partition(":")
        if not colon or prefix not in prefixes or not _IRI.fullmatch(prefixes[prefix] + local):
            row.refuse(name, f"write prefix:name with one of {', '.join(sorted(prefixes))}")
        return NamedNode(prefixes[prefix] + local)

    row.require(*(name for name in COLUMNS if name != "comment"))
    subject, target, author = node("subject_id"), node("object_id"), node("author_id")
    if not subject.value.startswith(BASE):
        row.refuse("subject_id", "the subject must be a term or thing of this project")
    for name, allowed in (("predicate_id", PREDICATES), ("mapping_justification", JUSTIFICATIONS)):
        if row[name] not in allowed:
            row.refuse(name, f"use one of {', '.join(sorted(allowed))}")
    if target.value not in verified:
        row.refuse("object_id", "add the term to a list in mappings/verified, once seen")
    if row["object_label"] != (name := verified[target.value]):
        row.refuse("object_label", f"the verified name is {name!r}; use it")
    if not _SHARE.fullmatch(row["confidence"]):
        row.refuse("confidence", "write a number from 0 to 1, such as 0.8")
    # A subject without names is told elsewhere.
    own, code = names.get(subject.value, ()), row["subject_id"].partition(":")[2]
    if own and not {row["subject_label"], row["subject_label"].removeprefix(f"{code} ")} & {*own}:
        row.refuse("subject_label", f"the graph calls {row['subject_id']} {min(own)!r}; use it")
    label = f"{row['subject_label']} {PREDICATES[row['predicate_id']]} {row['object_label']}"
    facts: dict[str, NamedNode | Literal] = {
        "rdf:type": iri("k4p:Mapping"),
        "rdfs:label": Literal(label, language="en"),
        "k4p:mappingSubject": subject,
        "k4p:mappingPredicate": iri(row["predicate_id"]),
        "k4p:mappingObject": target,
        "k4p:justification": iri(row["mapping_justification"]),
        "k4p:confidence": Literal(row["confidence"], datatype=iri("xsd:decimal")),
        "prov:wasAttributedTo": author,
    }
    if row["comment"]:
        facts["k4p:reason"] = Literal(row["comment"], language="en")
    return Triple(subject, iri(row["predicate_id"]), target), facts
