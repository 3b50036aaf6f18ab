"""Results written so that any reader of their format gets what was found, or refused where the format cannot say it.

The engine (pyoxigraph 0.5.13) writes IRIs with commas into CSV as they are, and into XML characters and names that XML
does not have.

Source: SPARQL 1.1 Query Results CSV and TSV Formats, sections 3 and 4; XML 1.0, sections 2.2 and 2.11; RDF 1.1 XML
Syntax, section 6; Namespaces in XML 1.0, section 3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

import pyoxigraph as ox

from ..kernel.terms import PREFIXES

#: Bytes of a result that are kept until they go out, where the format may turn out not to have what is to be said.
HELD = dict.fromkeys(("xml", "rdfxml", "jsonld"), 4 << 20)

_BUFFER = 64 * 1024
#: The bytes of UTF-8 for what XML 1.0 has no word for: control characters and the last two code points of the plane.
_NOT_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
_START = "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
_FIRST_OF_NAME = re.compile(f"[{_START}]")
_IN_NAME = re.compile(rf"[{_START}0-9.\-\u00b7\u0300-\u036f\u203f\u2040]*+")
_TO_QUOTE = re.compile(r'["\r\n]')
#: Terms whose value is all that CSV has of them.
_VALUED = {ox.NamedNode, ox.Literal}
_TYPE = PREFIXES["rdf"] + "type"
_RESERVED = {
    PREFIXES["rdf"] + name
    for name in (
        "RDF", "ID", "about", "parseType", "resource", "nodeID", "datatype", "Description", "li",
        "bagID", "aboutEach", "aboutEachPrefix", "version",
    )
}  # fmt: skip
#: No element may have a name in it.
_XMLNS = "http://www.w3.org/2000/xmlns/"
_CARDINALITIES = {
    ox.NamedNode(PREFIXES["owl"] + name)
    for name in (
        "cardinality", "minCardinality", "maxCardinality", "qualifiedCardinality", "minQualifiedCardinality",
        "maxQualifiedCardinality",
    )
}  # fmt: skip
#: Extensions by which the engine knows formats, where we call them otherwise.
_EXTENSIONS = {"turtle": "ttl", "ntriples": "nt", "rdfxml": "rdf"}
_COUNT = ox.NamedNode(PREFIXES["xsd"] + "nonNegativeInteger")


class CannotWrite(Exception):
    """A format has no words for what was found; says which would."""


class Sink(Protocol):
    """What takes bytes as they come."""

    def write(self, data: bytes, /) -> int:
        """Take some bytes."""
        ...


class _Xml:
    """Hands on XML in large pieces, with line ends written so that a reader keeps them."""

    def __init__(self, out: Sink) -> None:
        self._out, self._waiting = out, bytearray()

    def write(self, data: bytes, /) -> int:
        self._waiting += data
        if len(self._waiting) >= _BUFFER:
            self._hand_on(len(self._waiting) - 2)  # a code point of three bytes is not cut
        return len(data)

    def flush(self) -> None:
        self._hand_on(len(self._waiting))

    def _hand_on(self, end: int) -> None:
        piece = bytes(self._waiting[:end])
        del self._waiting[:end]
        if found := _NOT_XML.search(piece):
            code = ord(found.group().decode())
            raise CannotWrite(
                f"A value has the character U+{code:04X}, which XML cannot write. Ask for another format: JSON, CSV or"
                " TSV for rows, Turtle or N-Triples for triples."
            )
        self._out.write(piece.replace(b"\r", b"&#13;"))


def write(
    result: ox.QuerySolutions | ox.QueryBoolean | ox.QueryTriples, out: Sink, form: str
) -> None:
    """Write the result of a query.

    Args:
        form: ``json``, ``xml``, ``csv`` or ``tsv``; for triples ``turtle``, ``ntriples``, ``jsonld`` or ``rdfxml``.

    Raises:
        CannotWrite: the format does not have what is in the result.
    """
    if isinstance(result, ox.QueryTriples):
        syntax = ox.RdfFormat.from_extension(_EXTENSIONS.get(form, form))
        target = _Xml(out) if form == "rdfxml" else out
        ox.serialize(_writable(result, form), target, syntax, prefixes=PREFIXES)
    elif form == "csv" and isinstance(result, ox.QuerySolutions):
        out.write(",".join(v.value for v in result.variables).encode() + b"\r\n")
        rows = _csv_rows(result)
        while lines := "".join(islice(rows, 500)):
            out.write(lines.encode())
        return
    else:
        target = _Xml(out) if form == "xml" else out
        result.serialize(target, ox.QueryResultsFormat.from_extension(form))
    if isinstance(target, _Xml):
        target.flush()


def _csv_rows(result: ox.QuerySolutions) -> Iterator[str]:
    commas = len(result.variables) - 1
    for solution in result:
        cells = [term.value if type(term) in _VALUED else _text(term) for term in solution]
        row = ",".join(cells)
        if row.count(",") != commas or _TO_QUOTE.search(row):
            row = ",".join(map(_quoted, cells))
        yield row + "\r\n"


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if "," in cell or _TO_QUOTE.search(cell) else cell


def _text(term: ox.BlankNode | ox.Triple | None) -> str:
    return "" if term is None else f"<<( {term} )>>" if isinstance(term, ox.Triple) else str(term)


def _writable(triples: Iterable[ox.Triple], form: str) -> Iterator[ox.Triple]:
    """Triples that a format can write, with the datatype that OWL 2 demands of cardinalities.

    The engine keeps all integers as xsd:integer. Source: OWL 2 Mapping to RDF Graphs, section 2.1.
    """
    known: set[str] = set()
    for triple in triples:
        if form == "rdfxml":
            _check_names(triple, known)
        if form == "jsonld" and isinstance(triple.object, ox.Triple):
            raise CannotWrite(
                "JSON-LD has no words for statements about statements (triple terms), and the result has some. Ask for"
                " Turtle, N-Triples or RDF/XML."
            )
        if triple.predicate in _CARDINALITIES and isinstance(triple.object, ox.Literal):
            count = ox.Literal(triple.object.value, datatype=_COUNT)
            yield ox.Triple(triple.subject, triple.predicate, count)
        else:
            yield triple


def _check_names(triple: ox.Triple, known: set[str]) -> None:
    """See that the predicates and classes of a triple can be written as names of elements."""
    inner: object = triple
    while isinstance(inner, ox.Triple):
        names = {inner.predicate.value}
        if inner.predicate.value == _TYPE and isinstance(inner.object, ox.NamedNode):
            names.add(inner.object.value)
        for iri in names - known:
            end = _IN_NAME.match(iri[::-1])
            taken = iri in _RESERVED or iri.startswith(_XMLNS)
            if taken or not (end and _FIRST_OF_NAME.search(end.group())):
                raise CannotWrite(
                    f"<{iri}> cannot be written as the name of an element, so RDF/XML cannot have it as a predicate or"
                    " class. Ask for Turtle, N-Triples or JSON-LD."
                )
            known.add(iri)
        inner = inner.object
