"""Expressions that the engine evaluates otherwise than SPARQL says, found in their tokens.

Measured on pyoxigraph 0.5.13: it replaces and matches by the rules of another language of patterns (`regexes`), keeps
literals by value, computes with integers of 64 bits and decimals of 18 digits behind the point, and tells dates with and
without zone apart where SPARQL has no answer.

Source: SPARQL 1.1 Query Language, section 17; XQuery 1.0 and XPath 2.0 Functions and Operators, section 10.4.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from pyoxigraph import Literal, NamedNode

from ..errors import MalformedQuery
from ..store.keeping import kept
from ..terms import PREFIXES
from . import aggregates, regexes
from .lexer import Token

_XSD = PREFIXES["xsd"]
#: Types that are kept as xsd:integer.
_INTEGERS = frozenset((
    "byte", "int", "long", "negativeInteger", "nonNegativeInteger", "nonPositiveInteger", "positiveInteger", "short",
    "unsignedByte", "unsignedInt", "unsignedLong", "unsignedShort",
))  # fmt: skip
_DATES = ("date", "dateTime")
#: Beyond them the engine does not compute.
_MOST, _PLACES, _LARGEST = 1 << 63, 18, Decimal("170141183460469231731")
_OPERATORS = frozenset("=!<>+-*/")
#: In front of, and behind, an operand of its own.
_BEFORE, _BEHIND = ("(", "&", "|", ","), (")", "&", "|", ",", "AS")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)\Z")

Change = tuple[int, int, str]


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
        """The literal."""
        return Literal(self.text, datatype=NamedNode(_XSD + self.kind))

    @property
    def is_too_long(self) -> bool:
        """Whether the engine cannot compute with it."""
        if not _NUMBER.match(self.text):
            return False
        if self.kind == "decimal":
            number = Decimal(self.text).normalize()
            exponent = number.as_tuple().exponent
            return abs(number) >= _LARGEST or (isinstance(exponent, int) and -exponent > _PLACES)
        whole = self.kind == "integer" or self.kind in _INTEGERS
        digits = self.text.lstrip("+-0")
        return whole and (len(digits) > 19 or not -_MOST <= int(self.text) < _MOST)

    @property
    def kept(self) -> Literal:
        """What is kept of it."""
        return kept(self.literal)

    @property
    def is_other(self) -> bool:
        """Whether another type, or another value, is kept of it."""
        if self.kind in _INTEGERS:
            return self.kept != self.literal
        return self.kind in ("double", "float") and "INF" in self.kept.value != self.text.lstrip(
            "+"
        )


def written(tokens: list[Token]) -> Iterator[Written]:
    """The literals with types of XML Schema among tokens."""
    for at, token in enumerate(tokens):
        if token.kind == "number":
            kind = "double" if "e" in token.text.lower() else "integer"
            yield Written(
                at, at, token.text, "decimal" if kind == "integer" and "." in token.text else kind
            )
        elif token.kind == "string":
            signs, datatype = tokens[at + 1 : at + 3], tokens[at + 3 : at + 4]
            kind = _kind(datatype[0].text) if datatype else ""
            if kind and all(sign.text == "^" for sign in signs):
                yield Written(at, at + 3, regexes.text_of(token.text), kind)


def _kind(datatype: str) -> str:
    """The local name of a type of XML Schema, as its prefix is usually written."""
    if datatype.startswith(f"<{_XSD}"):
        return datatype[len(_XSD) + 1 : -1]
    prefix, _, name = datatype.partition(":")
    return name if prefix in ("xsd", "xs") else ""


class Expression:
    """An expression whose tokens were read.

    Args:
        function: the token in front of it, which may name a function.
        tokens: from the bracket that opens it to the one that closes it, those of groups in it left out.
        refuse: makes the error for what stands at a place.
        malformed: the same for what is no SPARQL.
        certain: the variables that each solution binds of which aggregates are made.
    """

    def __init__(
        self,
        function: Token,
        tokens: list[Token],
        certain: set[str],
        refuse: Callable[[int, str], Exception],
        malformed: Callable[[int, str], MalformedQuery],
    ) -> None:
        self._tokens = tokens
        self._refuse, self._malformed = refuse, malformed
        self._certain = certain.__contains__
        self._heads: dict[int, Token] = {}
        self._calls: list[tuple[Token, list[tuple[int, int]]]] = []
        self._read_calls(function)

    def faults(self) -> Iterator[MalformedQuery]:
        """What is wrong though the engine takes it."""
        tokens = self._tokens
        for at, token in enumerate(tokens[1:], 1):
            before = tokens[at - 1]
            if token.kind == "iri" and (
                before.kind in ("variable", "number") or before.text == ")"
            ):
                yield self._malformed(
                    token.start,
                    f"'{token.text}' is read as one IRI, as no blank is in it; write a blank behind '<'.",
                )
            if token.text == "(" and [t.text for t in tokens[max(at - 2, 0) : at]] == ["<", "<"]:
                subject = tokens[at + 1] if at + 1 < len(tokens) else token
                if subject.kind in ("string", "number") or subject.text == "<":
                    yield self._malformed(
                        subject.start,
                        "the subject of a triple term is an IRI or a variable, no literal and no triple.",
                    )

    def changes(self, copied: Callable[[int, int], str]) -> Iterator[Change]:
        """What is to be written otherwise.

        Args:
            copied: gives a stretch of the text.

        Raises:
            AnsweredWrongly: nothing that the engine could be given says the same.
        """
        literals = {literal.first: literal for literal in written(self._tokens)}
        done: set[int] = set()
        for function, parts in self._calls:
            for change, used in self._call(function, parts, literals, copied):
                done |= used
                yield change
        for literal in literals.values():
            if literal.first not in done:
                self._see_literal(literal)
                yield from self._dates(literal, copied)

    def _read_calls(self, function: Token) -> None:
        """Find what stands in which brackets."""
        opened: list[tuple[int, Token, list[tuple[int, int]]]] = []
        start = 0
        for at, token in enumerate(self._tokens):
            if token.kind != "other":
                if opened:
                    self._heads[at] = opened[-1][1]
                continue
            if token.text == "(":
                opened.append((start, self._tokens[at - 1] if at else function, []))
                start = at + 1
            elif token.text in (",", ")") and opened:
                before, head, parts = opened[-1]
                parts.append((start, at))
                start = at + 1
                if token.text == ")":
                    self._calls.append((head, parts))
                    opened.pop()
                    start = before

    def _call(
        self,
        function: Token,
        parts: list[tuple[int, int]],
        literals: dict[int, Written],
        copied: Callable[[int, int], str],
    ) -> Iterator[tuple[Change, set[int]]]:
        """What is to be written for a call, and the literals that it takes in."""
        word, tokens = function.word, self._tokens
        whole = [self._whole(part, literals) for part in parts]
        stretch = function.start, tokens[parts[-1][1]].end
        used = {literal.first for literal in whole if literal}
        if word == "STR" and len(parts) == 1 and whole[0]:
            yield (*stretch, str(Literal(whole[0].text))), used
        elif word == "DATATYPE" and len(parts) == 1 and whole[0]:
            yield (*stretch, f"<{_XSD}{whole[0].kind}>"), used
        elif word == "SAMETERM" and len(whole) == 2 and whole[0] and whole[1]:
            yield (*stretch, str(whole[0].literal == whole[1].literal).lower()), used
        elif word in ("REGEX", "REPLACE"):
            for change in self._pattern(word, parts):
                yield change, set()
        elif word in ("COUNT", "MAX", "GROUP_CONCAT"):
            start, end = parts[0][0], parts[-1][1]
            for change in aggregates.changes(
                function, tokens[start - 1], tokens[start:end], tokens[end], copied, self._certain
            ):
                yield change, set()

    def _whole(self, part: tuple[int, int], literals: dict[int, Written]) -> Written | None:
        """The literal that a part is, with its sign; None if it is something else."""
        first, end = part
        tokens, sign = self._tokens, ""
        if tokens[first].text in ("+", "-") and tokens[first].end == tokens[first + 1].start:
            first, sign = first + 1, tokens[first].text
        literal = literals.get(first)
        if literal is None or literal.last != end - 1 or (sign and tokens[first].kind != "number"):
            return None
        return replace(literal, text=sign + literal.text)

    def _pattern(self, word: str, parts: list[tuple[int, int]]) -> Iterator[Change]:
        """What is to be written for a pattern, its flags and what is put in its place."""
        flags_at = 2 if word == "REGEX" else 3
        if len(parts) < flags_at:
            return
        pattern, flags = self._string(parts[1]), ""
        if len(parts) > flags_at:
            if (said := self._string(parts[flags_at])) is None:
                return
            flags = said
        if pattern is not None:
            first, last = self._span(parts[1])
            try:
                ours = regexes.translated(pattern, flags)
            except regexes.Unreadable as e:
                raise self._refuse(first, str(e)) from None
            if ours != pattern:
                yield first, last, regexes.quoted(ours)
        if "x" in flags:
            first, last = self._span(parts[flags_at])
            if pattern is None:
                raise self._refuse(
                    first,
                    "the flag x is refused where the pattern is no text; write the pattern without blanks.",
                )
            yield first, last, regexes.quoted(flags.replace("x", ""))
        if word == "REPLACE":
            yield from self._replacement(parts[2], pattern, flags)

    def _replacement(
        self, part: tuple[int, int], pattern: str | None, flags: str
    ) -> Iterator[Change]:
        first, last = self._span(part)
        said = self._string(part)
        if said is None:
            before, after = regexes.WRAPPED
            yield first, first, before
            yield last, last, after
            return
        try:
            ours = regexes.replacement(said, pattern, flags)
        except regexes.Unreadable as e:
            raise self._refuse(first, str(e)) from None
        if ours != said:
            yield first, last, regexes.quoted(ours) + self._after_string(part)

    def _string(self, part: tuple[int, int]) -> str | None:
        """What a part says that is one string; None if it is something else."""
        tokens = self._tokens[part[0] : part[1]]
        if not tokens or tokens[0].kind != "string":
            return None
        plain = len(tokens) == 1 or (len(tokens) == 2 and tokens[1].kind == "lang")
        return regexes.text_of(tokens[0].text) if plain else None

    def _after_string(self, part: tuple[int, int]) -> str:
        return "".join(token.text for token in self._tokens[part[0] + 1 : part[1]])

    def _span(self, part: tuple[int, int]) -> tuple[int, int]:
        return self._tokens[part[0]].start, self._tokens[part[1] - 1].end

    def _see_literal(self, literal: Written) -> None:
        """Refuse a literal of which the engine has not the value or type."""
        start = self._tokens[literal.first].start
        if literal.is_too_long:
            raise self._refuse(start, TOO_LONG.format(literal.text[:40]))
        if literal.is_other and not self._is_compared(literal):
            raise self._refuse(start, other(literal))

    def _is_compared(self, literal: Written) -> bool:
        """Whether only the value of a literal counts."""
        tokens = self._tokens
        around = tokens[literal.first - 1], tokens[min(literal.last + 1, len(tokens) - 1)]
        if any(token.kind == "other" and token.text in _OPERATORS for token in around):
            return True
        head = self._heads.get(literal.first)
        return head is not None and head.word in (
            "IN",
            "ABS",
            "ROUND",
            "CEIL",
            "FLOOR",
            "ISNUMERIC",
        )

    def _dates(self, literal: Written, copied: Callable[[int, int], str]) -> Iterator[Change]:
        """Make an error of the comparison of dates of which one alone has a zone, as long as they may be the same."""
        if literal.kind not in _DATES:
            return
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
        texts = [tokens[at].text if at < len(tokens) else "" for at in (variable, *edges)]
        if (
            tokens[variable].kind != "variable"
            or texts[1] not in _BEFORE
            or texts[2].upper() not in _BEHIND
        ):
            return
        name, value = copied(*_of(tokens[variable])), copied(tokens[first].start, tokens[last].end)
        apart = f"{name} < {value} || {name} > {value}"
        apart = apart if size == 2 else f"!({apart})"
        is_date = f"COALESCE(DATATYPE({name}) = {tokens[last].text}, false)"
        start, end = (tokens[at] for at in sorted((variable, first)))
        end = max(tokens[variable], tokens[last], key=lambda token: token.start)
        yield start.start, start.start, f"IF({is_date}, {apart}, "
        yield end.end, end.end, ")"


def _of(token: Token) -> tuple[int, int]:
    return token.start, token.end


TOO_LONG = (
    "{} is refused in an expression, as numbers are computed with 64 bits, and with 18 digits behind the point. Write it"
    ' as xsd:double, or compare as texts: STR(?x) = "…".'
)


def other(literal: Written) -> str:
    """Why a literal is refused of which another value or type is kept."""
    if literal.kind in _INTEGERS:
        return (
            f"a value of type xsd:{literal.kind} is refused here, as it would become {literal.kept.value} of type"
            " xsd:integer. Write it as xsd:integer; in comparisons and triples both are taken."
        )
    return f"{literal.text[:40]} is refused here, as it would become {literal.kept.value}: no xsd:{literal.kind} is so large."
