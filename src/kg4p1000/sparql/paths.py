"""Property paths: the ways that they can go, and whether they may be empty.

Source: SPARQL 1.1 Query Language, sections 9.3, 18.2.2 and 18.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

#: More than so many alternatives are refused: as many patterns would be asked.
MOST = 64


class TooMany(Exception):
    """A path, or the paths of a statement, have more than `MOST` alternatives together."""


@dataclass(frozen=True)
class Path:
    """A property path, or a part of one.

    Attributes:
        kind: ``iri``, ``inverse``, ``sequence``, ``alternative``, ``repeated`` or ``negated``.
        parts: the paths that it is made of.
        text: of an IRI as it is written; the sign of a repetition.
    """

    kind: str
    parts: tuple[Path, ...] = ()
    text: str = ""

    def __str__(self) -> str:
        match self.kind:
            case "iri":
                return self.text
            case "inverse":
                return f"^{self.parts[0]._in_brackets()}"
            case "repeated":
                return f"{self.parts[0]._in_brackets()}{self.text}"
            case "negated":
                return f"!({'|'.join(map(str, self.parts))})"
        sign = "/" if self.kind == "sequence" else "|"
        return sign.join(part._in_brackets() for part in self.parts)

    def _in_brackets(self) -> str:
        return self.text if self.kind == "iri" else f"({self})"

    @property
    def may_be_empty(self) -> bool:
        """Return whether the path leads without a step from a node to itself, though it is not in the graph."""
        match self.kind:
            case "repeated":
                return self.text != "+" or self.parts[0].may_be_empty
            case "inverse":
                return self.parts[0].may_be_empty
            case "alternative":
                return any(part.may_be_empty for part in self.parts)
        return False  # behind the first step of a sequence stands a node of the graph

    def steps(self) -> list[Path]:
        """Return the paths that are followed one after another, each between two nodes of its own."""
        match self.kind:
            case "sequence":
                return [step for part in self.parts for step in part.steps()]
            case "inverse" if self.parts[0].kind in ("sequence", "inverse"):
                return [Path("inverse", (step,)) for step in reversed(self.parts[0].steps())]
        return [self]

    def alternatives(self) -> list[Path]:
        """Return paths without a choice outside repetitions; their solutions together are those of this one.

        Raises:
            TooMany: there are more than `MOST`.
        """
        match self.kind:
            case "alternative":
                found = [path for part in self.parts for path in part.alternatives()]
            case "inverse":
                found = [Path("inverse", (path,)) for path in self.parts[0].alternatives()]
            case "sequence":
                choices = [part.alternatives() for part in self.parts]
                found = [Path("sequence", parts) for parts in combined(choices)]
            case "negated":
                forth = tuple(part for part in self.parts if part.kind == "iri")
                back = tuple(part for part in self.parts if part.kind != "iri")
                found = [Path("negated", parts) for parts in (forth, back) if parts] or [self]
            case _:
                return [self]
        if len(found) > MOST:
            raise TooMany
        return found


def combined(choices: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Return all ways to take one of each.

    Raises:
        TooMany: there are more than `MOST`.
    """
    size = 1
    for choice in choices:
        size *= len(choice)
        if size > MOST:
            raise TooMany
    return list(product(*choices))
