"""Aggregates as the engine (Oxigraph 0.5.13) computes them as SPARQL says.

It has no value for COUNT of an expression that has none somewhere, for MAX where something is unbound, and for
GROUP_CONCAT of what is no text; of texts in one language GROUP_CONCAT keeps the language.

Source: SPARQL 1.1 Query Language, section 18.5.1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..terms import PREFIXES
from .lexer import Token

Change = tuple[int, int, str]

_XSD, _RDF = PREFIXES["xsd"], PREFIXES["rdf"]
#: Texts as they are, and all else as a text that is another for each term.
_KEY = (
    'IF(isIRI({0}), STRLANG(STR({0}), "x-iri"), IF(DATATYPE({0}) IN (<{1}string>, <{2}langString>), {0},'
    ' STRLANG(STR({0}), CONCAT("x-", SUBSTR(MD5(STR(DATATYPE({0}))), 1, 8)))))'
)
_NONE = "<urn:x-none>"


def changes(
    function: Token,
    opened: Token,
    part: list[Token],
    closed: Token,
    copied: Callable[[int, int], str],
    certain: Callable[[str], bool],
) -> Iterator[Change]:
    """What is to be written for a call of an aggregate.

    Args:
        part: the tokens in its brackets.
        copied: gives a stretch of the text.
        certain: tells of a variable whether each solution binds it.
    """
    distinct = bool(part) and part[0].word == "DISTINCT"
    inner = part[distinct:]
    ends = [at for at, token in enumerate(inner) if token.text == ";" and token.kind == "other"]
    inner = inner[: ends[-1]] if ends and function.word == "GROUP_CONCAT" else inner
    if not inner:
        return
    first, last = inner[0].start, inner[-1].end
    plain = len(inner) == 1 and inner[0].kind == "variable"
    match function.word:
        case "GROUP_CONCAT":
            yield from _concatenated(function, inner, closed, distinct, copied(first, last))
        case "COUNT" if not plain and inner[0].text != "*":
            text = copied(first, last)
            if distinct:
                yield first, first, "COALESCE("
                yield last, last, f", {_NONE})"
                some = f"SUM(COALESCE(IF(isLiteral({text}), 0, 0), 1))"
                yield closed.end, closed.end, f" - IF({some} > 0, 1, 0))"
                yield function.start, function.start, "("
            else:
                yield function.start, opened.end, "SUM("
                yield first, first, "COALESCE(IF(isLiteral("
                yield last, last, "), 1, 1), 0)"
        case "MAX" if plain and not certain(inner[0].text[1:]):
            name = copied(first, last)
            yield function.start, function.start, f"IF(COUNT({name}) > 0, "
            yield first, last, f"COALESCE({name}, BNODE())"
            yield closed.end, closed.end, ", 1/0)"


def _concatenated(
    function: Token, inner: list[Token], closed: Token, distinct: bool, text: str
) -> Iterator[Change]:
    first, last = inner[0].start, inner[-1].end
    if not distinct:
        yield first, first, "STR("
        yield last, last, ")"
        return
    yield function.start, function.start, "STR("
    yield closed.end, closed.end, ")"
    if len(inner) == 1 and inner[0].kind == "variable":
        yield first, last, _KEY.format(text, _XSD, _RDF)
