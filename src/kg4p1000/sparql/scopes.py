"""Where a variable of a query has its value from, so that none is taken from outside of its group.

SPARQL evaluates groups from the inside out: what a FILTER, BIND or MINUS within a group names and the group does not
bind is unbound there, whatever stands around the group. The engine (Oxigraph 0.5.13) hands the value in from outside
of OPTIONAL, and looks for what EXISTS names in the groups beside its own. Under another name it cannot.

Source: SPARQL 1.1 Query Language, sections 18.2 and 18.6.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from .lexer import Token


@dataclass
class Scope:
    """A group, as far as it matters where its expressions have values from.

    Attributes:
        names: of the variables that it binds; complete when it is read.
        beside: those that its filters see, too.
        around: the scopes that reach into everything within, as that of a FILTER does into its EXISTS.
        filters: where the stretches of its filters begin and end.
    """

    names: AbstractSet[str] = frozenset()
    beside: AbstractSet[str] = frozenset()
    around: tuple[Scope, ...] = ()
    filters: list[tuple[int, int]] = field(default_factory=list)


class Scopes:
    """The stretches of a query that take values from one scope alone.

    Args:
        variables: that were read; more come as the reading goes on.
        bound: names of variables that will be given values, wherever they stand.

    Attributes:
        current: the group that is read.
    """

    def __init__(self, variables: list[Token], bound: AbstractSet[str]) -> None:
        self._variables = variables
        self._stretches: list[tuple[int, int, set[str], tuple[Scope, ...]]] = []
        self._bound = bound
        self.current = Scope()

    def mark(self) -> int:
        """The place where a stretch begins."""
        return len(self._variables)

    def open(self, *around: Scope) -> Scope:
        """Begin a group; the one around it."""
        outside = self.current
        self.current = Scope(around=(*outside.around, *around))
        return outside

    def close(self, outside: Scope, names: AbstractSet[str], beside: AbstractSet[str]) -> None:
        """End a group.

        Args:
            outside: the one around it.
            names: that it binds.
            beside: that its filters see too, as those of an OPTIONAL see what it is added to.
        """
        self.current.names, self.current.beside = names, beside
        for start, end in self.current.filters:
            self._note(start, end, names, beside)
        self.current = outside

    def filter(self, start: int) -> None:
        """Note a FILTER that was read since a mark."""
        self.current.filters.append((start, len(self._variables)))

    def note(self, start: int, names: AbstractSet[str], end: int = 0) -> None:
        """Note what was read since a mark, but for some at its end, and sees only these variables."""
        self._note(start, len(self._variables) + end, names)

    def _note(self, start: int, end: int, *seen: AbstractSet[str]) -> None:
        names = {token.text[1:] for token in self._variables[start:end]}
        if free := names.difference(self._bound, *seen):
            self._stretches.append((start, end, free, self.current.around))

    def renamed(self) -> list[tuple[int, int, str]]:
        """Start, end and new text of the variables that would find a value where they have none."""
        found: dict[int, tuple[int, int, str]] = {}
        count = Counter(token.text[1:] for token in self._variables)
        # The longer stretches first, so that those within them have the last word.
        for number, (start, end, names, around) in enumerate(
            sorted(self._stretches, key=lambda stretch: stretch[0] - stretch[1])
        ):
            inside = self._variables[start:end]
            here = Counter(token.text[1:] for token in inside)
            free = {
                name
                for name in names
                if here[name] < count[name]
                and not any(name in scope.names or name in scope.beside for scope in around)
            }
            for token in inside:
                if (name := token.text[1:]) in free:
                    fresh = f"?{_fresh(name, number, count)}"
                    found[token.start] = (token.start, token.end, fresh)
        return sorted(found.values())


def _fresh(name: str, number: int, taken: Counter[str]) -> str:
    fresh = f"{name}_{number}"
    while fresh in taken:
        fresh += "_"
    return fresh
