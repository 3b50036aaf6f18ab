"""Expressions that the engine evaluates otherwise than SPARQL says, found in their tokens.

Measured on pyoxigraph 0.5.13: it replaces and matches by the rules of another language of patterns (`regexes`), keeps
literals by value, computes with integers of 64 bits and decimals of 18 digits behind the point, and tells dates with and
without zone apart where SPARQL has no answer. It has no value for COUNT of an expression that has none somewhere, for MAX
where something is unbound, and for GROUP_CONCAT of what is no text.

Source: SPARQL 1.1 Query Language, sections 17 and 18.5.1; XQuery 1.0 and XPath 2.0 Functions and Operators, section 10.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from pyoxigraph import Literal, NamedNode

from ..kernel.terms import PREFIXES
from ..store import MemoryGraph
from ..store.keeping import kept
from . import regexes
from .lexer import Token, malformed
from .rewriting import Rewriting
from .syntax import AGGREGATES, Call, Expression

_XSD, _RDF = PREFIXES["xsd"], PREFIXES["rdf"]
#: Types that are kept as xsd:integer.
_INTEGERS = frozenset((
    "byte", "int", "long", "negativeInteger", "nonNegativeInteger", "nonPositiveInteger", "positiveInteger", "short",
    "unsignedByte", "unsignedInt", "unsignedLong", "unsignedShort",
))  # fmt: skip
#: What stands behind a text with such a type.
_TYPE = re.compile(rf"\^\^(?:xsd?:|<{re.escape(_XSD)})(\w+)>?")
_OPERATORS = frozenset("=!<>+-*/")
_BY_VALUE = ("IN", "ABS", "ROUND", "CEIL", "FLOOR", "ISNUMERIC")
#: In front of, and behind, an operand of its own.
_BEFORE, _BEHIND = ("(", "&", "|", ","), (")", "&", "|", ",", "AS")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)\Z")
_TOO_LONG = (
    "{} is refused in an expression, as numbers are computed with 64 bits, and with 18 digits behind the point. Write it"
    ' as xsd:double, or compare as texts: STR(?x) = "…".'
)
_BNODE = (
    "BNODE with an argument is refused, as all solutions would share the node, and most strings would have none. Write"
    " BNODE() for a node of each solution, or make an IRI:"
    ' IRI(CONCAT("http://example.org/", ENCODE_FOR_URI(?text))).'
)
#: Texts as they are, and all else as a text that is another for each term.
_KEY = (
    f'IF(isIRI({{0}}), STRLANG(STR({{0}}), "x-iri"), IF(DATATYPE({{0}}) IN (<{_XSD}string>, <{_RDF}langString>), {{0}},'
    ' STRLANG(STR({0}), CONCAT("x-", SUBSTR(MD5(STR(DATATYPE({0}))), 1, 8)))))'
)
_BLANKS = "the flag x is refused where the pattern is no text; write the pattern without blanks."


@dataclass(frozen=True)
class Written:
    """A literal with a type of XML Schema, or a number, as it stands in a text.

    Attributes:
        first, last: its tokens, by place in the list.
        text: between its quotes, escapes resolved.
        kind: the local name of its datatype.
    """

    first: int
    last: int
    text: str
    kind: str

    @property
    def literal(self) -> Literal:
        """Return the literal."""
        return Literal(self.text, datatype=NamedNode(_XSD + self.kind))

    @property
    def too_long(self) -> str:
        """Return why the engine cannot compute with it; nothing if it can."""
        is_long = len(self.text) > 15 and self.kind in ("decimal", "integer", *_INTEGERS)
        if not is_long or not _NUMBER.match(self.text) or _is_number(self.literal):
            return ""
        return _TOO_LONG.format(self.text[:40])

    @property
    def other(self) -> str:
        """Return why it is refused where it becomes a value, if another type or value is kept of it."""
        stored = kept(self.literal)
        if self.kind in _INTEGERS and stored != self.literal:
            return (
                f"a value of type xsd:{self.kind} is refused here, as it would become {stored.value} of type"
                " xsd:integer. Write it as xsd:integer; in comparisons and triples both are taken."
            )
        if self.kind in ("double", "float") and "INF" in stored.value != self.text.lstrip("+"):
            told = f"{self.text[:40]} is refused here, as it would become {stored.value}:"
            return f"{told} no xsd:{self.kind} is so large."
        return ""


@lru_cache(maxsize=1024)
def _is_number(literal: Literal) -> bool:
    (row,) = MemoryGraph(()).select(f"SELECT (isNumeric({literal}) AS ?is) {{}}")
    return row["is"] == Literal(True)


def literals(tokens: list[Token]) -> Iterator[Written]:
    """Yield the literals with types of XML Schema among tokens."""
    for at, token in enumerate(tokens):
        if token.kind == "number":
            kind = "decimal" if "." in token.text else "integer"
            yield Written(at, at, token.text, "double" if "e" in token.text.lower() else kind)
        elif token.kind == "string":
            behind = "".join(token.text for token in tokens[at + 1 : at + 4])
            if datatype := _TYPE.fullmatch(behind):
                yield Written(at, at + 3, regexes.text_of(token.text), datatype[1])


def rewrite(expression: Expression, certain: set[str], to: Rewriting) -> None:
    """Write an expression so that the engine evaluates it as SPARQL says.

    Args:
        certain: the variables that each solution binds of which aggregates are made.

    Raises:
        AnsweredWrongly: nothing that the engine could be given says the same.
        MalformedQuery: it is no SPARQL, though the engine takes it.
    """
    _Expression(expression, certain, to).rewrite()


class _Expression:
    def __init__(self, expression: Expression, certain: set[str], to: Rewriting) -> None:
        self._tokens, self._calls = expression.tokens, expression.calls
        self._certain, self._to = certain, to
        self._inner: Call | None = None  # the aggregate that was closed last
        self._literals = {literal.first: literal for literal in literals(self._tokens)}

    def rewrite(self) -> None:
        self._refuse_no_sparql()
        for call in self._calls:
            self._call(call)
        for literal in self._literals.values():
            if told := literal.too_long or (not self._is_compared(literal) and literal.other):
                raise self._to.refused(self._tokens[literal.first].start, told)
            if literal.kind in ("date", "dateTime"):
                self._date(literal)

    def _refuse_no_sparql(self) -> None:
        tokens, signs = self._tokens, ["<", "<", "("]
        for at, token in enumerate(tokens[:-1]):
            before, after, told = tokens[at - 1], tokens[at + 1], ""
            if token.kind == "iri" and (
                before.kind in ("variable", "number") or before.text == ")"
            ):
                told = f"'{token.text}' is read as one IRI, as no blank is in it; write a blank behind '<'."
            is_subject = [t.text for t in tokens[max(at - 2, 0) : at + 1]] == signs
            if is_subject and (after.kind in ("string", "number") or after.text == "<"):
                told = "the subject of a triple term is an IRI or a variable, no literal and no triple."
            if told:
                raise malformed(self._to.text, token.start, told)

    def _call(self, call: Call) -> None:
        """Write a call; the literals that it takes in are seen to with it."""
        word, parts, new = call.head.word, call.parts, ""
        whole = [literal for part in parts if (literal := self._whole(part))]
        self._check(call)
        if word in ("REGEX", "REPLACE"):
            self._pattern(word, parts)
        elif word in ("COUNT", "MAX", "GROUP_CONCAT"):
            self._aggregate(call)
        elif word == "STR" and len(parts) == len(whole) == 1:
            new = str(Literal(whole[0].text))
        elif word == "DATATYPE" and len(parts) == len(whole) == 1:
            new = f"<{_XSD}{whole[0].kind}>"
        elif word == "SAMETERM" and len(parts) == len(whole) == 2:
            new = str(whole[0].literal == whole[1].literal).lower()
        if new:
            for literal in whole:
                del self._literals[literal.first]
            self._to.replace(call.head.start, self._tokens[parts[-1][1]].end, new)

    def _check(self, call: Call) -> None:
        """Refuse BNODE with an argument, and an aggregate in another, which the engine takes for nothing."""
        (first, _), (_, last) = call.parts[0], call.parts[-1]
        if call.head.word == "BNODE" and last > first:
            raise self._to.refused(call.head.start, _BNODE)
        if call.head.word in AGGREGATES:
            if self._inner and self._inner.parts[0][0] > first:
                why = (
                    "cannot stand in another aggregate; make the inner one in a SELECT of its own."
                )
                inner = self._inner.head
                raise self._to.refused(inner.start, f"{inner.text} {why}")
            self._inner = call

    def _whole(self, part: tuple[int, int]) -> Written | None:
        """Return the literal that a part is, with its sign; None if it is something else."""
        first, end = part
        tokens, sign = self._tokens, ""
        if tokens[first].text in ("+", "-") and tokens[first].end == tokens[first + 1].start:
            first, sign = first + 1, tokens[first].text
        literal = self._literals.get(first)
        if literal is None or literal.last != end - 1 or (sign and tokens[first].kind != "number"):
            return None
        return replace(literal, text=sign + literal.text)

    # patterns of REGEX and REPLACE

    def _pattern(self, word: str, parts: list[tuple[int, int]]) -> None:
        """Write a pattern, its flags and what is put in its place."""
        flags_at = 2 if word == "REGEX" else 3
        if len(parts) < flags_at:
            return
        pattern = self._string(parts[1])
        flags = self._string(parts[flags_at]) if len(parts) > flags_at else ""
        if flags is None:
            return
        start, end = self._span(parts[1])
        try:
            if pattern is not None and (ours := regexes.translated(pattern, flags)) != pattern:
                self._to.replace(start, end, str(Literal(ours)))
            if "x" in flags:
                start, end = self._span(parts[flags_at])
                if pattern is None:
                    raise regexes.Unreadable(_BLANKS)
                self._to.replace(start, end, str(Literal(flags.replace("x", ""))))
            if word == "REPLACE":
                start, end = self._span(parts[2])
                self._replacement(parts[2], pattern, flags)
        except regexes.Unreadable as e:
            raise self._to.refused(start, str(e)) from None

    def _replacement(self, part: tuple[int, int], pattern: str | None, flags: str) -> None:
        start, end = self._span(part)
        if (said := self._string(part)) is None:
            self._to.wrap(start, end, *regexes.WRAPPED)
        elif (ours := regexes.replacement(said, pattern, flags)) != said:
            language = "".join(token.text for token in self._tokens[part[0] + 1 : part[1]])
            self._to.replace(start, end, f"{Literal(ours)}{language}")

    def _string(self, part: tuple[int, int]) -> str | None:
        """Return what a part says that is one string; None if it is something else."""
        kinds = [token.kind for token in self._tokens[slice(*part)]]
        is_string = kinds in (["string"], ["string", "lang"])
        return regexes.text_of(self._tokens[part[0]].text) if is_string else None

    def _span(self, part: tuple[int, int]) -> tuple[int, int]:
        return self._tokens[part[0]].start, self._tokens[part[1] - 1].end

    # aggregates

    def _aggregate(self, call: Call) -> None:
        word, start = call.head.word, call.head.start
        (first, _), (_, last), to = call.parts[0], call.parts[-1], self._to
        closed, inner = self._tokens[last].end, self._tokens[first:last]
        distinct = bool(inner) and inner[0].word == "DISTINCT"
        inner = inner[distinct:]
        ends = [at for at, token in enumerate(inner) if token.text == ";"]
        if ends and word == "GROUP_CONCAT":
            inner = inner[: ends[-1]]
        if not inner:
            return
        span = inner[0].start, inner[-1].end
        is_variable = len(inner) == 1 and inner[0].kind == "variable"
        text = to.copied(*span)
        if word == "GROUP_CONCAT" and distinct:
            to.wrap(start, closed, "STR(", ")")
            if is_variable:
                to.replace(*span, _KEY.format(text))
        elif word == "GROUP_CONCAT":
            to.wrap(*span, "STR(", ")")
        elif word == "MAX" and is_variable and inner[0].text[1:] not in self._certain:
            to.wrap(start, closed, f"IF(COUNT({text}) > 0, ", ", 1/0)")
            to.replace(*span, f"COALESCE({text}, BNODE())")
        elif word != "COUNT" or is_variable or inner[0].text == "*":
            return
        elif distinct:
            some = f"SUM(COALESCE(IF(isLiteral({text}), 0, 0), 1))"
            to.wrap(start, closed, "(", f" - IF({some} > 0, 1, 0))")
            to.wrap(*span, "COALESCE(", ", <urn:x-none>)")
        else:
            to.replace(start, self._tokens[first - 1].end, "SUM(")
            to.wrap(*span, "COALESCE(IF(isLiteral(", "), 1, 1), 0)")

    # literals

    def _is_compared(self, literal: Written) -> bool:
        """Return whether only the value of a literal counts."""
        tokens = self._tokens
        around = tokens[literal.first - 1], tokens[min(literal.last + 1, len(tokens) - 1)]
        if any(token.kind == "other" and token.text in _OPERATORS for token in around):
            return True
        inside = (c for c in self._calls if c.parts[0][0] <= literal.first < c.parts[-1][1])
        return next(inside).head.word in _BY_VALUE

    def _date(self, literal: Written) -> None:
        """Make an error of the comparison of dates of which one alone has a zone, as long as they may be the same."""
        tokens, first, last = self._tokens, literal.first, literal.last
        ahead = [token.text for token in tokens[max(first - 2, 0) : first]]
        behind = [token.text for token in tokens[last + 1 : last + 3]]
        if ahead[-1:] == ["="]:
            size = 2 if ahead[0] == "!" else 1
            variable, edges = first - size - 1, (first - size - 2, last + 1)
        elif behind[:1] == ["="] or behind == ["!", "="]:
            size = len(behind) if behind[0] == "!" else 1
            variable, edges = last + size + 1, (first - 1, last + size + 2)
        else:
            return
        texts = [tokens[at].text.upper() if at < len(tokens) else "" for at in edges]
        if (
            tokens[variable].kind != "variable"
            or texts[0] not in _BEFORE
            or texts[1] not in _BEHIND
        ):
            return
        name = self._to.copied(tokens[variable].start, tokens[variable].end)
        value = self._to.copied(tokens[first].start, tokens[last].end)
        apart = f"{name} < {value} || {name} > {value}"
        apart = apart if size == 2 else f"!({apart})"
        is_date = f"COALESCE(DATATYPE({name}) = {tokens[last].text}, false)"
        start, end = tokens[min(variable, first)].start, tokens[max(variable, last)].end
        self._to.wrap(start, end, f"IF({is_date}, {apart}, ", ")")
