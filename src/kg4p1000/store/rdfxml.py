"""RDF/XML that is refused before it costs much more to read than its length, and where it was cut.

The engine unfolds entities, and entities within entities, without a limit (1 kB can become gigabytes), and the time
that it takes for elements in one another grows with the square of their depth; and it takes a text that ends within
an element for whole. Measured on pyoxigraph 0.5.13.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import IO
from xml.parsers import expat

from ..errors import TooLarge

#: Bytes that all references to entities of a text may add to it, and characters of one entity.
_UNFOLDED, _ENTITY = 20_000_000, 10_000
#: Elements in one another, and attributes of an element.
_DEEPEST, _ATTRIBUTES = 100, 1000
_DECLARED = re.compile(rb'<!ENTITY\s+([^\s"\'>]+)\s+"([^"<>]*+)"')
_REFERENCE = re.compile(rb"&([^#&;<>\s\"']++);")
#: What comes next, by where one is.
_NEXT = {
    b"": re.compile(rb"<!--|<!\[CDATA\[|<\?|</|<(?=[^!?/])"),
    b"<!--": re.compile(rb"-->"),
    b"<![CDATA[": re.compile(rb"\]\]>"),
    b"<?": re.compile(rb"\?>"),
    b"<": re.compile(rb"[\"']|/>|>"),
    b'"': re.compile(rb'"'),
    b"'": re.compile(rb"'"),
}
#: Bytes of the longest of them; so many of the end of a piece are looked at with the next one.
_LONGEST = 9
#: Bytes that are kept of what was read, as the next piece may go on with them; more than a declaration may have.
_KEPT = 2 * _ENTITY
_PIECE = 1 << 20


class Screened:
    """A file of RDF/XML that raises `TooLarge` when it is read to where it would unfold too much.

    At its end it raises SyntaxError, with ``lineno`` and ``offset``, when it is not a whole XML document.

    Args:
        file: is read in pieces of a megabyte.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._piece, self._kept = io.BytesIO(), b""
        self._sizes: dict[bytes, int] = {}
        self._unfolded = self._depth = self._declarations = self._attributes = 0
        self._inside, self._rest = b"", b""
        self._xml, self._fault = expat.ParserCreate(), None

    def read(self, size: int) -> bytes:
        """Read at most so many bytes; none at the end."""
        data = self._piece.read(size)
        if not data:
            piece = self._file.read(_PIECE)
            self._look(piece)
            self._see_that_whole(piece)
            self._piece = io.BytesIO(piece)
            data = self._piece.read(size)
        return data

    def _see_that_whole(self, piece: bytes) -> None:
        """Follow the elements; what is wrong within is left to the engine to tell, unless it takes it for right."""
        try:
            if self._fault is None:
                self._xml.Parse(piece, not piece)
        except expat.ExpatError as e:
            self._fault = e
        if self._fault is not None and not piece:
            why = expat.ErrorString(self._fault.code)
            raise SyntaxError(
                f"the RDF/XML is not whole, or no XML ({why})",
                (None, self._fault.lineno, self._fault.offset + 1, None),
            )

    def _look(self, piece: bytes) -> None:
        """Count what a piece declares, refers to and opens."""
        text = self._kept + piece
        done = max((found.end() for found in self._found(text)), default=0)
        self._follow(piece)
        cut = max(done, len(text) - _KEPT)
        self._declarations += text.count(b"<!ENTITY", 0, cut)
        if self._declarations > len(self._sizes):
            raise TooLarge(
                "The RDF/XML declares an entity twice, in single quotes, or with more than"
                f" {_ENTITY:,} characters; write the text itself in its place."
            )
        self._kept = text[cut:]

    def _follow(self, piece: bytes) -> None:
        """Follow the elements of a piece; what stands in comments, CDATA and attributes is none."""
        text = self._rest + piece
        last, at = len(text) - _LONGEST if piece else len(text), 0
        while (found := _NEXT[self._inside].search(text, at)) and found.start() < last:
            sign, at = found.group(), found.end()
            if sign == b"</" or (sign == b"/>" and self._inside == b"<"):
                self._depth -= 1
            elif sign == b"<":
                self._depth, self._attributes = self._depth + 1, 0
            elif self._inside == b"<" and sign in b"\"'":
                self._attributes += 1
            if self._depth > _DEEPEST or self._attributes > _ATTRIBUTES:
                raise TooLarge(
                    f"The RDF/XML has elements more than {_DEEPEST} deep in one another, or one with more than"
                    f" {_ATTRIBUTES:,} attributes."
                )
            if self._inside in (b'"', b"'"):
                self._inside = b"<"
            elif self._inside:
                self._inside = sign if sign in (b'"', b"'") else b""
            else:
                self._inside = b"" if sign == b"</" else sign
        self._rest = text[max(at, last) :] if piece else b""

    def _found(self, text: bytes) -> Iterator[re.Match[bytes]]:
        """Find declarations and references, and keep count of them."""
        declared = 0
        for found in _DECLARED.finditer(text):
            name, value = found.groups()
            self._sizes[name] = len(value) + sum(
                self._sizes.get(inner, 0) for inner in _REFERENCE.findall(value)
            )
            if self._sizes[name] > _ENTITY:
                raise TooLarge(
                    f"The entity {name.decode(errors='replace')[:40]} unfolds to more than {_ENTITY:,} characters;"
                    " write the text itself in its place."
                )
            declared = found.end()
            yield found
        if self._sizes:
            unfinished = text.find(b"<!ENTITY", declared)
            end = len(text) if unfinished < 0 else unfinished
            for found in _REFERENCE.finditer(text, 0, end):
                self._unfolded += self._sizes.get(found[1], 0)
                yield found
        if self._unfolded > _UNFOLDED:
            raise TooLarge(
                f"The entities of the RDF/XML unfold to more than {_UNFOLDED:,} bytes; write the text itself."
            )
