"""RDF/XML that is refused before it costs much more to read than its length, and where it was cut.

The engine unfolds entities, and entities within entities, without a limit (1 kB can become gigabytes), and the time
that it takes for elements in one another grows with the square of their depth; and it takes a text that ends within
an element for whole. Measured on pyoxigraph 0.5.13. So expat reads ahead of it.
"""

from __future__ import annotations

import re
from typing import IO
from xml.parsers import expat

from ..errors import TooLarge

#: Characters that a text may have by references to entities, and one entity may have.
_UNFOLDED, _ENTITY = 20_000_000, 10_000
#: Elements in one another, and attributes of an element.
_DEEPEST, _ATTRIBUTES = 100, 1000
_TOO_MUCH = (
    f"The entities of the RDF/XML unfold to more than {_UNFOLDED:,} bytes; write the text itself."
)
_REFERENCE = re.compile(r"&([^#&;<>\s\"']++);")
_PIECE = 1 << 20


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
