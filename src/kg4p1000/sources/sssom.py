"""Mappings in SSSOM files, and the lists of verified terms that they may point to, as triples.

A mapping that is broken is refused with file, line, column and repair; nothing is guessed. What a
mapping points to must stand in a list below ``mappings/verified/``, so that no identifier is invented.

Source: SSSOM 1.1, https://mapping-commons.github.io/sssom/ (TSV with a YAML header).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

import yaml
from pyoxigraph import Literal, NamedNode, Triple

from ..errors import BrokenFile
from ..terms import BASE, PREFIXES, iri, mint
from ..texts import counted

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


@dataclass(frozen=True)
class LinkedTerm:
    """A term of another vocabulary whose address was seen at its source.

    Attributes:
        labels: language tag to name; English is always there.
    """

    iri: NamedNode
    labels: Mapping[str, str]
    notation: str = ""


@dataclass(frozen=True)
class TermList:
    """A list of verified terms: its header, and its terms by IRI."""

    header: Mapping[str, str]
    terms: Mapping[str, LinkedTerm]


@dataclass(frozen=True)
class Link:
    """One row of a mapping file: a subject of ours, a predicate and a term of another vocabulary."""

    subject: NamedNode
    predicate: str
    object: NamedNode
    justification: str
    confidence: Decimal
    author: NamedNode
    label: str
    comment: str
    key: str


@dataclass(frozen=True)
class MappingSet:
    """A mapping file: its header, its prefixes and its rows."""

    header: Mapping[str, Any]
    iri: NamedNode
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Judgement:
    """What a person decided about a mapping: a key of the list ``status``, and who."""

    status: str
    person: NamedNode


@dataclass(frozen=True)
class _Cell:
    text: str
    line: int
    column: int
    name: str


class _Table:
    """The header and the rows of a file; every fault is told with its place."""

    def __init__(self, data: str, file: str, keys: tuple[str, ...], columns: tuple[str, ...]):
        self.file = file
        lines = data.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
        first = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
        self.header = self._header("\n".join(line[1:] for line in lines[:first]), keys)
        names = lines[first].split("\t") if first < len(lines) else []
        if sorted(names) != sorted(columns):
            lacking, more = sorted({*columns} - {*names}), sorted({*names} - {*columns})
            why = "; ".join(
                f"{word} {', '.join(found)}"
                for word, found in (("add", lacking), ("remove", more))
                if found
            )
            self.fail(
                first + 1,
                1,
                f"the columns must be {', '.join(columns)}, each once{f'; {why}' if why else ''}",
            )
        self.rows = [
            self._row(line, number, names)
            for number, line in enumerate(lines[first + 1 :], first + 2)
            if line or number < len(lines)
        ]

    def fail(self, line: int, column: int, why: str) -> NoReturn:
        raise BrokenFile(
            f"{self.file}, line {line}, column {column}: {why}.",
            file=self.file,
            line=line,
            column=column,
        )

    def refuse(self, cell: _Cell, why: str) -> NoReturn:
        self.fail(cell.line, cell.column, f"{cell.name} is {cell.text!r}; {why}")

    def _header(self, text: str, keys: tuple[str, ...]) -> dict[str, Any]:
        try:
            read = yaml.safe_load(text)
        except yaml.YAMLError as e:
            mark = getattr(e, "problem_mark", None)
            line, column = (mark.line + 1, mark.column + 2) if mark else (1, 1)
            why = getattr(e, "problem", None) or "it cannot be read"
            self.fail(
                line,
                column,
                f"the header is not YAML ({why}); write '# key: value' lines, with quotes around"
                " values that have a colon",
            )
        if not isinstance(read, dict):
            self.fail(1, 1, "the header is missing; begin the file with '# key: value' lines")
        if missing := [key for key in keys if read.get(key) in (None, "")]:
            self.fail(
                1, 1, f"the header lacks {', '.join(missing)}; add a line '# {missing[0]}: …'"
            )
        if unknown := sorted(str(key) for key in read if key not in keys):
            self.fail(
                1, 1, f"the header has {unknown[0]!r}, which is not known; remove or rename it"
            )
        return read

    def _row(self, line: str, number: int, columns: Sequence[str]) -> dict[str, _Cell]:
        cells = line.split("\t")
        if len(cells) != len(columns):
            self.fail(
                number,
                1,
                f"the row has {counted(len(cells), 'cell')} and must have {len(columns)};"
                " separate them by tabs, and leave a cell empty where there is nothing to say",
            )
        row: dict[str, _Cell] = {}
        column = 1
        for name, text in zip(columns, cells, strict=True):
            row[name] = _Cell(text, number, column, name)
            if text != text.strip():
                self.refuse(row[name], "remove the spaces around it")
            column += len(text) + 1
        return row

    def needed(self, row: Mapping[str, _Cell], *names: str) -> None:
        for name in names:
            if not row[name].text:
                self.refuse(row[name], "fill the cell in")


def read_terms(data: str, file: str) -> TermList:
    """Read a list of verified terms.

    Raises:
        BrokenFile: with ``file``, ``line`` and ``column``.
    """
    table = _Table(data, file, _TERM_KEYS, TERM_COLUMNS)
    terms: dict[str, LinkedTerm] = {}
    for row in table.rows:
        table.needed(row, "id", "label_en")
        address = row["id"]
        if not _IRI.fullmatch(address.text):
            table.refuse(address, "write the whole address, beginning with http:// or https://")
        if address.text in terms:
            table.refuse(address, "the term stands in this list already; remove one of the rows")
        labels = {lang: row[f"label_{lang}"].text for lang in ("en", "fr", "es")}
        terms[address.text] = LinkedTerm(
            NamedNode(address.text),
            {lang: text for lang, text in labels.items() if text},
            row["notation"].text,
        )
    return TermList(table.header, terms)


def read_mappings(
    data: str,
    file: str,
    verified: Mapping[str, LinkedTerm],
    names: Mapping[str, Collection[str]] | None = None,
) -> MappingSet:
    """Read a mapping file.

    Args:
        verified: terms of other vocabularies by IRI; a mapping may point to no other.
        names: English names of our own terms and things by IRI. The label of a subject must be one of
            its names, with or without its code ("A4.1 …") before it.

    Raises:
        BrokenFile: with ``file``, ``line`` and ``column``, and the repair in its text.
    """
    table = _Table(data, file, _SET_KEYS, COLUMNS)
    header = table.header
    prefixes = header["curie_map"]
    start = BASE + "id/mapping-set/"
    if not str(header["mapping_set_id"]).startswith(start):
        table.fail(1, 1, f"mapping_set_id must begin with {start}")
    if not isinstance(prefixes, dict):
        table.fail(1, 1, "curie_map must list prefixes, each as '#   prefix: address'")
    if other := [p for p in prefixes if PREFIXES.get(p, prefixes[p]) != prefixes[p]]:
        table.fail(1, 1, f"the prefix {other[0]!r} is {PREFIXES[other[0]]} in this project")
    links: dict[str, Link] = {}
    for row in table.rows:
        link = _link(row, table, prefixes, verified)
        _named(row, table, (names or {}).get(link.subject.value, ()))
        if link.key in links:
            table.refuse(row["object_id"], "this pair is mapped already; remove one of the rows")
        links[link.key] = link
    return MappingSet(header, NamedNode(header["mapping_set_id"]), tuple(links.values()))


def _link(
    row: Mapping[str, _Cell],
    table: _Table,
    prefixes: Mapping[str, str],
    verified: Mapping[str, LinkedTerm],
) -> Link:
    def node(name: str) -> NamedNode:
        prefix, colon, local = row[name].text.partition(":")
        if not colon or prefix not in prefixes or not _IRI.fullmatch(prefixes[prefix] + local):
            table.refuse(row[name], f"write prefix:name with one of {', '.join(sorted(prefixes))}")
        return NamedNode(prefixes[prefix] + local)

    table.needed(row, *(name for name in COLUMNS if name != "comment"))
    subject, target, author = node("subject_id"), node("object_id"), node("author_id")
    if not subject.value.startswith(BASE):
        table.refuse(row["subject_id"], "the subject must be a term or thing of this project")
    for name, allowed in (("predicate_id", PREDICATES), ("mapping_justification", JUSTIFICATIONS)):
        if row[name].text not in allowed:
            table.refuse(row[name], f"use one of {', '.join(sorted(allowed))}")
    known = verified.get(target.value)
    if not known:
        table.refuse(row["object_id"], "add the term to a list in mappings/verified, once seen")
    if row["object_label"].text != known.labels["en"]:
        table.refuse(row["object_label"], f"the verified name is {known.labels['en']!r}; use it")
    if not _SHARE.fullmatch(row["confidence"].text):
        table.refuse(row["confidence"], "write a number from 0 to 1, such as 0.8")
    said = (
        f"{row['subject_label'].text} {PREDICATES[row['predicate_id'].text]} {known.labels['en']}"
    )
    key = _NOT_KEY.sub("-", f"{row['subject_id'].text}--{row['object_id'].text}").strip("-.")
    return Link(
        subject=subject,
        predicate=row["predicate_id"].text,
        object=target,
        justification=row["mapping_justification"].text,
        confidence=Decimal(row["confidence"].text),
        author=author,
        label=said,
        comment=row["comment"].text,
        key=key,
    )


def _named(row: Mapping[str, _Cell], table: _Table, names: Collection[str]) -> None:
    """Refuse a label that is no name of its subject; a subject without names is told elsewhere."""
    label, code = row["subject_label"], row["subject_id"].text.partition(":")[2]
    if names and label.text not in names and label.text.removeprefix(f"{code} ") not in names:
        table.refuse(label, f"the graph calls {row['subject_id'].text} {min(names)!r}; use it")


def term_triples(listed: TermList) -> Iterator[Triple]:
    """The names of verified terms, and where they come from."""
    header = listed.header
    vocabulary = NamedNode(header["vocabulary"])
    yield Triple(vocabulary, iri("dcterms:title"), Literal(header["title"], language="en"))
    yield Triple(vocabulary, iri("dcterms:rights"), Literal(header["rights"], language="en"))
    for term in listed.terms.values():
        for language, label in term.labels.items():
            yield Triple(term.iri, iri("skos:prefLabel"), Literal(label, language=language))
        if term.notation:
            yield Triple(term.iri, iri("skos:notation"), Literal(term.notation))
        if term.iri != vocabulary:
            yield Triple(term.iri, iri("rdfs:isDefinedBy"), vocabulary)


def mapping_triples(
    mappings: MappingSet, judged: Mapping[str, Judgement] | None = None
) -> Iterator[Triple]:
    """The statements of a mapping file, each with who made it, how and how surely.

    Args:
        judged: what people decided, by IRI of the mapping; a rejected one is told, not stated.
    """
    header = mappings.header
    described = f"{header['mapping_set_description']} Version of the target: {header['object_source_version']}."
    for name, value in {
        "rdf:type": iri("k4p:MappingSet"),
        "skos:prefLabel": Literal(header["mapping_set_title"], language="en"),
        "dcterms:description": Literal(described, language="en"),
        "dcterms:license": NamedNode(header["license"]),
        "dcterms:issued": Literal(str(header["mapping_date"]), datatype=iri("xsd:date")),
    }.items():
        yield Triple(mappings.iri, iri(name), value)
    for link in mappings.links:
        yield from _link_triples(link, mappings.iri, judged or {})


def _link_triples(link: Link, home: NamedNode, judged: Mapping[str, Judgement]) -> Iterable[Triple]:
    this = mint("mapping", link.key)
    judgement = judged.get(this.value)
    status = judgement.status if judgement else "proposed"
    if status != "rejected":
        yield Triple(link.subject, iri(link.predicate), link.object)
    if judgement and status == "accepted":
        yield Triple(this, iri("k4p:reviewedBy"), judgement.person)
    for name, value in {
        "rdf:type": iri("k4p:Mapping"),
        "rdfs:label": Literal(link.label, language="en"),
        "k4p:mappingSubject": link.subject,
        "k4p:mappingPredicate": iri(link.predicate),
        "k4p:mappingObject": link.object,
        "k4p:justification": iri(link.justification),
        "k4p:inMappingSet": home,
        "k4p:confidence": Literal(str(link.confidence), datatype=iri("xsd:decimal")),
        "k4p:status": iri(f"status:{status}"),
        "prov:wasAttributedTo": link.author,
    }.items():
        yield Triple(this, iri(name), value)
    if link.comment:
        yield Triple(this, iri("k4p:reason"), Literal(link.comment, language="en"))
