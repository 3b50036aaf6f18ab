"""Terms as people see them: what stands on the page and where its link goes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from flask import request
from markupsafe import Markup, escape
from pyoxigraph import BlankNode, Literal, NamedNode

from ..store import Term
from ..terms import BASE, GRAPH, ID, PREFIXES, curie
from ..texts import CONTROLS, balanced, turns
from .services import kept_version

#: Parts of our name space that this service answers, as they begin in its own addresses.
_OWN = ("code/", "graph/", "id/", "ontology", "problem/", "query/", "releases/", "shapes/")
#: Data types that say nothing that the value does not show.
_PLAIN_TYPES = {
    PREFIXES["xsd"] + name for name in ("string", "integer", "decimal", "boolean", "double")
} | {PREFIXES["rdf"] + "langString"}
_STRING_OR_IRI = re.compile(r'("(?:[^"\\]|\\.)*"|<[^<>"\s]*>)')


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
    """One page of a long list.

    Attributes:
        number: of the page, from 1 to `last`.
        size: items of a page.
    """

    whole: Sequence[Any]
    number: int
    size: int

    @property
    def items(self) -> Sequence[Any]:
        """The items of the page."""
        return self.whole[(self.number - 1) * self.size :][: self.size]

    @property
    def first(self) -> int:
        """The number of its first item in the whole list, from 1."""
        return (self.number - 1) * self.size + 1

    @property
    def last(self) -> int:
        """The number of the last page."""
        return max(1, -(-len(self.whole) // self.size))

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


def short(iri: str) -> str:
    """Return the CURIE of an IRI, or the IRI itself."""
    return curie(iri) or iri


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
    told = text if isinstance(text, Markup) else escape(balanced(str(text)))
    return Markup("<bdi>%s</bdi>") % told if turns(told) else told


def source(text: str) -> Markup:
    """Turtle for a page, each string and each IRI in it apart from the others."""
    return Markup("").join(map(bdi, _STRING_OR_IRI.split(text)))


def text(term: object) -> str:
    """Return what an IRI or a literal says; nothing for other terms, which have no name."""
    return term.value if isinstance(term, NamedNode | Literal) else ""


def graph_name(iri: str) -> str:
    """Return the short name of a named graph."""
    return iri.removeprefix(GRAPH)
