"""Terms as people see them: what stands on the page, what things and named graphs are called, and where links go."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, urlsplit

from flask import request
from markupsafe import Markup, escape
from pyoxigraph import BlankNode, Literal, NamedNode

from ..kernel.terms import BASE, GRAPH, ID, PREFIXES, curie, iri, natural_key, short
from ..kernel.texts import CONTROLS, balanced, turns
from ..store import Term
from .background import once_per_version
from .services import kept_version, services

#: Parts of our name space that this service answers, as they begin in its own addresses.
_OWN = ("code/", "graph/", "id/", "ontology", "problem/", "query/", "releases/", "shapes/")
#: Data types that say nothing that the value does not show.
_PLAIN_TYPES = {
    PREFIXES["xsd"] + name for name in ("string", "integer", "decimal", "boolean", "double")
} | {PREFIXES["rdf"] + "langString"}
_STRING_OR_IRI = re.compile(r'("(?:[^"\\]|\\.)*"|<[^<>"\s]*>)')
#: Properties whose value is a name, and whose value tells in a sentence what a thing is; the best first.
_LABELS = ("skos:prefLabel", "rdfs:label", "dcterms:title", "sh:name", "foaf:name")
_NOTES = ("dcterms:description", "skos:definition", "k4p:reason", "k4p:quote", "sh:description")
_RANK = {iri(name).value: i for i, name in enumerate((*_LABELS, *_NOTES, "skos:notation"))}
_NAMING = ", ".join(f"<{name}>" for name in _RANK)
#: What no IRI in a query may have, though a graph may hold it.
_UNWRITABLE = re.compile(r'[\x00-\x20<>"{}|^`\\]')
#: Goals and targets of the United Nations, which people know by their numbers.
_SDG = "http://metadata.un.org/sdg/"
#: Words that stand neither in the graph nor in a template.
WORDS: dict[str, dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("words.toml").read_text(encoding="utf-8")
)
LANGUAGES = tuple(WORDS["languages"])
_FORWARDS = {iri(name).value: label for name, label in WORDS["forwards"].items()}
#: Vocabularies whose terms are called by their own words where nothing better is known.
_SPOKEN = tuple(PREFIXES[prefix] for prefix in ("rdf", "rdfs", "owl", "sh", "foaf"))
_BETWEEN_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
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
class Cell:
    """A term on a page.

    Attributes:
        text: what is shown; pages escape it.
        href: where its link goes; None for no link.
        hint: shown on hovering, such as the whole IRI.
        lang: language tag of a literal.
        datatype: CURIE of the data type, where it tells something.
    """

    text: str
    href: str | None = None
    hint: str = ""
    lang: str = ""
    datatype: str = ""
    kind: str = "literal"


@dataclass(frozen=True)
class Sheet:
    """One page of a long list or table.

    Attributes:
        items: those of the page.
        total: how many there are in all.
        number: of the page, from 1 to `last`.
        size: items of a full page.
    """

    items: Sequence[Any]
    total: int
    number: int
    size: int

    @classmethod
    def of(cls, whole: Sequence[Any], number: int, size: int) -> Self:
        """Cut a page from a list: the one with the number, or the nearest that there is."""
        number = max(1, min(number, -(-len(whole) // size)))
        return cls(whole[(number - 1) * size :][:size], len(whole), number, size)

    @property
    def first(self) -> int:
        """The number of its first item in the whole list, from 1."""
        return (self.number - 1) * self.size + 1

    @property
    def last(self) -> int:
        """The number of the last page."""
        return max(1, -(-self.total // self.size))

    @property
    def near(self) -> list[int]:
        """The pages that are linked: the first, the last and those beside this one."""
        wanted = {1, self.last, *range(self.number - 1, self.number + 2)}
        return sorted(n for n in wanted if 1 <= n <= self.last)


def cell(term: Term) -> Cell:
    """Return a term for a page, with IRIs as CURIEs where we have a prefix."""
    if isinstance(term, NamedNode):
        return Cell(short(term.value), href(term.value), term.value, kind="iri")
    if isinstance(term, BlankNode):
        return Cell(f"_:{term.value}", kind="blank", hint="A node without a name")
    if isinstance(term, Literal):
        datatype = term.datatype.value
        shown = "" if datatype in _PLAIN_TYPES else short(datatype)
        return Cell(term.value, lang=term.language or "", datatype=shown)
    return Cell(str(term), kind="triple")


def href(iri: str) -> str | None:
    """Where the link of an IRI goes: our own to this service, others to themselves.

    What is neither http nor https gets no link, for it might be a script.
    """
    if iri.startswith(BASE):
        path = iri.removeprefix(BASE)
        if path.startswith("id/"):
            path = "page/" + path.removeprefix("id/")
        elif path and not path.startswith(_OWN):
            return iri
        return local(quote(path, safe="/:@!$&()*+,;=~%"))
    try:
        scheme = urlsplit(iri).scheme
    except ValueError:  # an address that no browser would open either
        return None
    # What would turn the text around it is written so that it leads to the same place.
    return CONTROLS.sub(lambda m: quote(m[0]), iri) if scheme in ("http", "https") else None


def data_href(iri: str, suffix: str) -> str:
    """Where the data of one of our IRIs are, in the format of a suffix (``ttl``, ``nt`` …)."""
    if iri.startswith(ID):
        return local(f"data/{quote(iri.removeprefix(ID))}.{suffix}")
    return f"{href(iri)}{'&' if kept_version() else '?'}format={suffix}"


def local(path: str) -> str:
    """Return the address of a path of this service, in the version that the page at hand is of."""
    version = kept_version()
    return f"{request.script_root}/{path}{f'?version={quote(version)}' if version else ''}"


def bdi(text: object) -> Markup:
    """Return a text of the graph for a page, apart from the text around it where it could turn that."""
    shown = text if isinstance(text, Markup) else escape(balanced(str(text)))
    return Markup("<bdi>%s</bdi>") % shown if turns(shown) else shown


def source(text: str) -> Markup:
    """Turtle for a page, each string and each IRI in it apart from the others."""
    return Markup("").join(map(bdi, _STRING_OR_IRI.split(text)))


def text(term: object) -> str:
    """Return what an IRI or a literal says; nothing for other terms, which have no name."""
    return term.value if isinstance(term, NamedNode | Literal) else ""


def graph_name(iri: str) -> str:
    """Return the short name of a named graph."""
    return iri.removeprefix(GRAPH)


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
    for start, register in WORDS["registers"].items():
        if value.startswith(start):
            return Name(value, f"{register} {value[len(start) :].strip('/')}")
    if value in _FORWARDS:
        return Name(value, _FORWARDS[value])
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


def graph_entry(graph: str, **values: str) -> dict[str, Any]:
    """Return a named graph as the register has it: its address, short name, title, whether it is editable ..."""
    topic = graph.removeprefix(GRAPH)
    flags = {name: values.get(name) == "true" for name in ("editable", "in_default", "in_dumps")}
    return {"iri": graph, "topic": topic, "title": topic} | values | flags


@once_per_version
def register(version: int) -> dict[str, dict[str, Any]]:
    """Return the named graphs as the register of a version has them, by address."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for row in services().select(_REGISTER, version):
        values = found[text(row["graph"])]
        if name := _REGISTERED.get(curie(text(row["property"])) or ""):
            values[name] = text(row["value"])
    entries = [graph_entry(graph, **values) for graph, values in found.items()]
    return {e["iri"]: e for e in sorted(entries, key=lambda e: e["title"].casefold())}
