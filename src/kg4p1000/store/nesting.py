"""RDF that is refused before its depth ends the stack of the process that reads it.

The engine reads JSON within JSON, and statements about statements, by functions that call themselves; some ten thousand
levels end the process. Measured on pyoxigraph 0.5.13.
"""

from __future__ import annotations

import re
from typing import IO

import pyoxigraph as ox

from ..errors import TooDeep

#: Levels at most; Python, too, follows statements about statements level by level.
_DEEPEST = 200
#: What may stand in a string of JSON; a whole string, or the quote of one that goes on.
_BODY = re.compile(rb'(?:[^"\\]|\\.)*+', re.S)
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"|(")(?:[^"\\]|\\.)*+', re.S)
_JSON, _TRIPLES = re.compile(rb"([\[{])|[\]}]"), re.compile(rb"(<<)|>>")


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
            if self._depth > _DEEPEST:
                raise TooDeep(
                    f"The RDF has more than {_DEEPEST} levels in one another; write it flat."
                )
        return data
