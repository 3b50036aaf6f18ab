"""Results written so that any reader of their format gets what was found, or refused where the format cannot say it.

The engine (pyoxigraph 0.5.13) writes IRIs with commas into CSV as they are, and into XML characters and names that XML
does not have.

Source: SPARQL 1.1 Query Results CSV and TSV Formats, sections 3 and 4; XML 1.0, sections 2.2 and 2.11; RDF 1.1 XML
Syntax, section 6; Namespaces in XML 1.0, section 3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import pyoxigraph as ox

from ..terms import PREFIXES

_RESULTS = {
    "json": ox.QueryResultsFormat.JSON,
    "xml": ox.QueryResultsFormat.XML,
    "csv": ox.QueryResultsFormat.TSV,  # made into CSV here
    "tsv": ox.QueryResultsFormat.TSV,
}
_RDF = {
    "turtle": ox.RdfFormat.TURTLE,
    "ntriples": ox.RdfFormat.N_TRIPLES,
    "jsonld": ox.RdfFormat.JSON_LD,
    "rdfxml": ox.RdfFormat.RDF_XML,
}
#: Bytes of a result that are kept until they go out, where the format may turn out not to have what is to be said.
HELD = dict.fromkeys(("xml", "rdfxml", "jsonld"), 4 << 20)

_BUFFER = 64 * 1024
#: The bytes of UTF-8 for what XML 1.0 has no word for: control characters and the last two code points of the plane.
_NOT_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|\xef\xbf[\xbe\xbf]")
_START = "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
_FIRST_OF_NAME = re.compile(f"[{_START}]")
_IN_NAME = re.compile(rf"[{_START}0-9.\-\u00b7\u0300-\u036f\u203f\u2040]*+")
#: A term of TSV; separators are bytes that UTF-8 never has.
_TERM = re.compile(
    rb'<(?!<\()([^>\xfe\xff]*)>(?=[\xfe\xff])|"((?:[^"\\]|\\.)*+)"(?:@[^\xfe\xff]*|\^\^<[^\xfe\xff]*)?|(<<\([^\xff]*?\)>>)(?=[\xfe\xff])'
)
_ESCAPE = re.compile(rb"\\(.)")
_ESCAPED = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}
_TO_QUOTE = re.compile(rb'[",\r\n]')


class CannotWrite(Exception):
    """A format has no words for what was found; says which would."""


class Sink(Protocol):
    """What takes bytes as they come."""

    def write(self, data: bytes, /) -> int:
        """Take some bytes."""
        ...


class _Through:
    """Hands on bytes in large pieces, made into something else.

    Args:
        made: turns a piece that ends with a whole line into what goes out.
        lines: whether pieces have to end with a line.
    """

    def __init__(self, out: Sink, made: Callable[[bytes], bytes], lines: bool = False) -> None:
        self._out, self._made, self._lines = out, made, lines
        self._waiting = bytearray()

    def write(self, data: bytes, /) -> int:
        self._waiting += data
        if len(self._waiting) >= _BUFFER:
            # A code point of three bytes is not cut either.
            end = self._waiting.rfind(b"\n") + 1 if self._lines else len(self._waiting) - 2
            self._hand_on(end)
        return len(data)

    def flush(self) -> None:
        self._hand_on(len(self._waiting))

    def _hand_on(self, end: int) -> None:
        if end > 0:
            piece = bytes(self._waiting[:end])
            del self._waiting[:end]
            self._out.write(self._made(piece))


def write_results(result: ox.QuerySolutions | ox.QueryBoolean, out: Sink, form: str) -> None:
    """Write solutions or a yes or no.

    Args:
        form: ``json``, ``xml``, ``csv`` or ``tsv``.

    Raises:
        CannotWrite: the format does not have what is in the result.
    """
    if form == "xml":
        through = _Through(out, _as_xml)
    elif form == "csv" and isinstance(result, ox.QuerySolutions):
        out.write(",".join(v.value for v in result.variables).encode() + b"\r\n")
        through = _Through(out, _Rows().as_csv, lines=True)
    else:
        result.serialize(out, _RESULTS[form])
        return
    result.serialize(through, _RESULTS[form])
    through.flush()


def write_triples(result: ox.QueryTriples, out: Sink, form: str) -> None:
    """Write triples.

    Args:
        form: ``turtle``, ``ntriples``, ``jsonld`` or ``rdfxml``.

    Raises:
        CannotWrite: the format does not have what is in the result.
    """
    triples = _with_cardinalities(result)
    if form == "rdfxml":
        through = _Through(out, _as_xml)
        ox.serialize(_with_names(triples), through, _RDF[form], prefixes=PREFIXES)
        through.flush()
        return
    if form == "jsonld":
        triples = _without_triple_terms(triples)
    ox.serialize(triples, out, _RDF[form], prefixes=PREFIXES)


_CARDINALITIES = {
    ox.NamedNode(PREFIXES["owl"] + name)
    for name in (
        "cardinality", "minCardinality", "maxCardinality", "qualifiedCardinality", "minQualifiedCardinality",
        "maxQualifiedCardinality",
    )
}  # fmt: skip
_COUNT = ox.NamedNode(PREFIXES["xsd"] + "nonNegativeInteger")


def _with_cardinalities(triples: Iterable[ox.Triple]) -> Iterator[ox.Triple]:
    """Triples with the datatype that OWL 2 demands of cardinalities; the engine keeps all integers as xsd:integer.

    Source: OWL 2 Mapping to RDF Graphs, section 2.1.
    """
    for triple in triples:
        if triple.predicate in _CARDINALITIES and isinstance(triple.object, ox.Literal):
            count = ox.Literal(triple.object.value, datatype=_COUNT)
            yield ox.Triple(triple.subject, triple.predicate, count)
        else:
            yield triple


def _as_xml(piece: bytes) -> bytes:
    if found := _NOT_XML.search(piece):
        code = ord(found.group().decode())
        raise CannotWrite(
            f"A value has the character U+{code:04X}, which XML cannot write. Ask for another format: JSON, CSV or TSV"
            " for rows, Turtle or N-Triples for triples."
        )
    # A reader would take it for the end of a line.
    return piece.replace(b"\r", b"&#13;")


class _Rows:
    """Turns lines of TSV into lines of CSV; the first is left out."""

    def __init__(self) -> None:
        self._first = True

    def as_csv(self, lines: bytes) -> bytes:
        if self._first:
            self._first = False
            lines = lines[lines.index(b"\n") + 1 :]
        lines = lines.replace(b"\t", b"\xfe").replace(b"\n", b"\xff")
        return _TERM.sub(_value, lines).replace(b"\xfe", b",").replace(b"\xff", b"\r\n")


def _value(term: re.Match[bytes]) -> bytes:
    iri, text, triple = term.groups()
    if text is not None:
        value = _ESCAPE.sub(_unescaped, text) if b"\\" in text else text
    else:
        value = iri if iri is not None else triple
    if _TO_QUOTE.search(value):
        value = b'"' + value.replace(b'"', b'""') + b'"'
    return value


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return _ESCAPED.get(escape[1], escape[1])


def _with_names(triples: Iterable[ox.Triple]) -> Iterator[ox.Triple]:
    """Triples whose predicates and classes can be written as names of elements."""
    known: set[str] = set()
    for triple in triples:
        inner: object = triple
        while isinstance(inner, ox.Triple):
            names = [inner.predicate.value]
            if names[0] == _TYPE and isinstance(inner.object, ox.NamedNode):
                names.append(inner.object.value)
            for name in names:
                if name not in known:
                    _check_name(name)
                    known.add(name)
            inner = inner.object
        yield triple


_TYPE = PREFIXES["rdf"] + "type"
_RESERVED = {
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#" + name
    for name in (
        "RDF", "ID", "about", "parseType", "resource", "nodeID", "datatype", "Description", "li",
        "bagID", "aboutEach", "aboutEachPrefix", "version",
    )
}  # fmt: skip
#: No element may have a name in it.
_XMLNS = "http://www.w3.org/2000/xmlns/"


def _check_name(iri: str) -> None:
    end = _IN_NAME.match(iri[::-1])
    assert end
    taken = iri in _RESERVED or iri.startswith(_XMLNS)
    if taken or not _FIRST_OF_NAME.search(end.group()):
        raise CannotWrite(
            f"<{iri}> cannot be written as the name of an element, so RDF/XML cannot have it as a predicate or class."
            " Ask for Turtle, N-Triples or JSON-LD."
        )


def _without_triple_terms(triples: Iterable[ox.Triple]) -> Iterator[ox.Triple]:
    for triple in triples:
        if isinstance(triple.object, ox.Triple):
            raise CannotWrite(
                "JSON-LD has no words for statements about statements (triple terms), and the result has some. Ask for"
                " Turtle, N-Triples or RDF/XML."
            )
        yield triple
