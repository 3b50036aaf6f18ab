"""RDF that somebody sent: refused before it costs much more to read than its length, and told in words what is wrong.

The engine (pyoxigraph 0.5.13) reads JSON within JSON, and statements about statements, by functions that call themselves;
some ten thousand levels end the process. Of RDF/XML it unfolds entities, and entities within entities, without a limit (1 kB
can become gigabytes), and the time that it takes for elements in one another grows with the square of their depth; and it
takes a text that ends within an element for whole. So expat reads that ahead of it.
"""

from __future__ import annotations

import re
from typing import IO
from xml.parsers import expat

import pyoxigraph as ox

from ..kernel.errors import TooDeep, TooLarge

#: Levels at most; Python, too, follows statements about statements level by level.
_LEVELS = 200
#: What may stand in a string of JSON; a whole string, or the quote of one that goes on.
_BODY = re.compile(rb'(?:[^"\\]|\\.)*+', re.S)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"|(")(?:[^"\\]|\\.)*+', re.S)
_JSON, _TRIPLES = re.compile(rb"([\[{])|[\]}]"), re.compile(rb"(<<)|>>")
#: Characters that a text may have by references to entities, and one entity may have.
_UNFOLDED, _ENTITY = 20_000_000, 10_000
#: Elements in one another, and attributes of an element.
_DEEPEST, _ATTRIBUTES = 100, 1000
_TOO_MUCH = (
    f"The entities of the RDF/XML unfold to more than {_UNFOLDED:,} bytes; write the text itself."
)
_REFERENCE = re.compile(r"&([^#&;<>\s\"']++);")
_PIECE = 1 << 20


class Shallow:
    """A file of RDF that raises `TooDeep` when it is read to where it is nested too deeply.

    Args:
        form: its format.
    """

    def __init__(self, file: IO[bytes], form: ox.RdfFormat) -> None:
        self._file, self._depth, self._rest = file, 0, b""
        self._inside = False  # of a string of JSON
        self._is_json = form == ox.RdfFormat.JSON_LD
        self._signs = _JSON if self._is_json else _TRIPLES

    def read(self, size: int) -> bytes:
        """Read at most so many bytes; none at the end."""
        data = self._file.read(size)
        text, self._rest = self._rest + data, b""
        if self._inside:
            end = _BODY.match(text).end()
            self._inside = text[end : end + 1] != b'"'
            text, self._rest = (b"", text[end:]) if self._inside else (text[end + 1 :], b"")
        if self._is_json:
            text = _STRING.sub(rb"\1", text)
            if (opened := text.find(b'"')) >= 0:
                text, self._rest, self._inside = text[:opened], text[opened + 1 :], True
        elif data:
            text, self._rest = text[:-1], text[-1:]
        for sign in self._signs.finditer(text):
            self._depth = self._depth + 1 if sign[1] else max(0, self._depth - 1)
            if self._depth > _LEVELS:
                raise TooDeep(
                    f"The RDF has more than {_LEVELS} levels in one another; write it flat."
                )
        return data


class Screened:
    """A file of RDF/XML that raises `TooLarge` when it is read to where it would unfold too much.

    Where it is no XML, or ends too early, it raises SyntaxError with ``lineno`` and ``offset``.

    Args:
        file: is read in pieces of a megabyte.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._waiting, self._at = file, b"", 0
        self._fault: expat.ExpatError | None = None
        #: What was read up to the end of the declaration of the document's type; None behind it.
        self._head: bytes | None = b""
        self._sizes: dict[str, int] = {}
        self._fed = self._unfolded = self._depth = 0
        self._xml = xml = expat.ParserCreate()
        xml.EntityDeclHandler, xml.EndDoctypeDeclHandler = self._declare, self._end_declarations
        xml.StartElementHandler, xml.EndElementHandler = self._begin, self._end

    def read(self, size: int) -> bytes:
        """Read at most so many bytes; none at the end."""
        if self._at == len(self._waiting):
            self._waiting, self._at = self._next_piece(), 0
        data = self._waiting[self._at : self._at + size]
        self._at += len(data)
        return data

    def _next_piece(self) -> bytes:
        if self._fault is not None:
            why = expat.ErrorString(self._fault.code)
            if "amplification" in why:
                raise TooLarge(_TOO_MUCH)
            told = why if "entity" in why else f"the RDF/XML is not whole, or no XML ({why})"
            raise SyntaxError(told, (None, self._fault.lineno, self._fault.offset + 1, None))
        piece, before = self._file.read(_PIECE), self._fed
        self._fed += len(piece)
        if self._head is not None:
            self._head += piece
            if len(self._head) > 2 * _PIECE:
                self._head = None  # that many bytes before the first element are not taken below
        try:
            self._xml.Parse(piece, not piece)
        except expat.ExpatError as e:
            self._fault = e
            # What is before that may be wrong for the engine, too, which tells more.
            return piece[: max(self._xml.ErrorByteIndex - before, 0)] or self._next_piece()
        return piece

    def _declare(self, name: str, is_parameter: bool, value: str | None, *_: object) -> None:
        if is_parameter or value is None:  # the engine refuses them
            self._sizes[f"{name} "] = 0
            return
        if "<" in value:
            return  # what the engine does not read as XML has it
        inner = sum(self._sizes.get(inner, 0) for inner in _REFERENCE.findall(value))
        self._sizes[name] = len(value) + inner
        if self._sizes[name] > _ENTITY:
            raise TooLarge(
                f"The entity {name[:40]} unfolds to more than {_ENTITY:,} characters; write the text itself in its"
                " place."
            )
        self._xml.CharacterDataHandler = self._unfold

    def _end_declarations(self) -> None:
        head = (self._head or b"")[: self._xml.CurrentByteIndex]
        if self._head is None or head.count(b"<!ENTITY") != len(self._sizes):
            raise TooLarge(
                "The RDF/XML declares an entity twice, in a comment or in other ways than by name and text, or very many;"
                " write the text itself in its place."
            )
        self._head = None

    def _begin(self, _: str, attributes: dict[str, str]) -> None:
        self._depth, self._head = self._depth + 1, None
        if self._depth > _DEEPEST or len(attributes) > _ATTRIBUTES:
            raise TooLarge(
                f"The RDF/XML has elements more than {_DEEPEST} deep in one another, or one with more than"
                f" {_ATTRIBUTES:,} attributes."
            )
        if self._sizes:
            self._unfold("".join(attributes.values()))

    def _end(self, _: str) -> None:
        self._depth -= 1

    def _unfold(self, text: str) -> None:
        self._unfolded += len(text)
        if self._unfolded > _UNFOLDED + self._fed:
            raise TooLarge(_TOO_MUCH)


_BEFORE = re.compile(r"^Parser error at .*?: (?=\S)", re.DOTALL)
#: What the parsers say, and what that means; the first that fits counts.
_SAID = {
    r"The prefix (\S*:) has not been declared": "the prefix {} is not declared; write @prefix {} <…> . before it",
    r"Unknown prefix (\S*:)": "the prefix {} is not declared; write xmlns:… with it in an element around",
    "LoadDocumentCallback|remote context":
        'the context is somewhere else, and nothing is fetched here. Put the context itself into the document, as "@context": {{…}}',
    "Invalid IRI code point '(.)'|Invalid character '(.+?)'":
        "an IRI has the sign '{}' where it cannot stand; in an IRI it is written as %…",
    "No scheme found": "an IRI is not whole; write it with http:// or https:// at its beginning",
    "language|Unexpected character '.'$": "a language is not written as in @en or @en-GB",
    "base direction": "a direction of text is --ltr or --rtl",
    "Unexpected end|end of file|EOF": "the text ends too early: a quote, a bracket or a full stop is missing",
    r"^\. is not a valid|object of a triple must":
        "the object is missing: a statement has a subject, a predicate and an object",
    "^[{}] is not a valid":
        "a bracket stands where a statement is expected; graphs in braces are TriG, which is not taken",
    "is not a valid predicate|predicate of a triple must": "the predicate is missing, or is no IRI",
    "is not a valid subject|subject of a triple must":
        "a subject is expected: an IRI in '<' and '>', a name with a prefix, or a blank node",
    "is not a valid RDF object": "an object is expected: an IRI, a text in quotes, a number, or a blank node",
    "dot is expected|followed by a dot": "the statement before has no full stop at its end",
    "prefix like": "a prefix ends with ':', as in @prefix ex: <…>",
    "escape": r"""this is no escape; write \t \b \n \r \f \" \' \\ or \u00e9""",
    "beginning of a prefix name": "a text stands in double quotes here, an IRI in '<' and '>'",
    "datatype must be": "a datatype is written as an IRI in '<' and '>'",
    "UTF-8": "the text is not UTF-8; save it as UTF-8",
    "namespaces are required": "an element has no namespace; write its prefix, and xmlns:… for it",
    "rdf:ID|rdf:nodeID": "the value of rdf:ID or rdf:nodeID is no name of XML; it begins with a letter",
    "ill-formed|not whole|no XML":
        "the RDF/XML is not whole, or not well-formed: an element is not closed, or closed by another name; was the file cut",
    "entity": "an entity is not declared; write the character itself",
    "[Oo]bject keys|null expected|true expected|false expected|JSON": "this is no JSON",
    "@version": '"@version" can only be 1.1',
    "(@[a-z]+) (?:value|iri)|Invalid (@[a-z]+)": 'the value of "{}" is not what JSON-LD has there',
    "[Tt]erm definition|context|[Ee]xpansion|container":
        'the "@context" cannot be used: a term in it is not defined as JSON-LD has it',
}  # fmt: skip


def sentence(message: str) -> str:
    """Return what a parser says of RDF, as a sentence without a full stop.

    >>> sentence("Parser error at line 1 between columns 1 and 3: The prefix ex: has not been declared")
    'the prefix ex: is not declared; write @prefix ex: <…> . before it'
    """
    said = _BEFORE.sub("", message)
    for theirs, ours in _SAID.items():
        if found := re.search(theirs, said):
            what = next((part for part in found.groups() if part), "")
            return ours.replace("{}", what).replace("{{", "{").replace("}}", "}")
    return "this cannot be read as RDF of its syntax"
