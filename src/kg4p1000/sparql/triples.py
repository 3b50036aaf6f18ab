"""Triples whose paths the engine answers wrongly, written as groups that say the same: one for each way that they can go.

Source: SPARQL 1.1 Query Language, sections 9.3 and 18.4.
"""

from __future__ import annotations

from collections.abc import Callable

from .paths import Path, TooMany, combined
from .syntax import Node

Copy = Callable[[int, int], str]
Refuse = Callable[[int, str], Exception]


def has_paths(triples: Node) -> bool:
    """Return whether any verb is a path."""
    return any(node.path and node.path.kind != "iri" for node in triples.walk())


def may_be_empty(triples: Node) -> bool:
    """Return whether a path has a solution where its terms are not in the graph."""
    subject, *verbs = triples.parts
    return any(
        verb.path and verb.path.kind != "iri" and _may_stay(subject, node, verb.path)
        for verb in verbs
        for node in verb.parts
    )


def rewritten(triples: Node, copied: Copy, refuse: Refuse) -> str | None:
    """Return triples as the engine answers them rightly; None if it does so anyway.

    Args:
        copied: gives a stretch of the text.
        refuse: makes the error for what stands at a place.
    """
    try:
        odd = [node for node in triples.walk() if node.kind == "verb" and _is_odd(node)]
        if odd or may_be_empty(triples):
            return _Statement(triples, odd, copied, refuse).text()
    except TooMany:
        why = "the paths of this statement have too many alternatives together; write it as several statements."
        raise refuse(triples.start, why) from None
    return None


class _Statement:
    def __init__(self, triples: Node, odd: list[Node], copied: Copy, refuse: Refuse) -> None:
        self._triples, self._copied, self._refuse = triples, copied, refuse
        self._odd = sorted(odd, key=lambda verb: verb.start)

    def text(self) -> str:
        subject, *verbs = self._triples.parts
        single = len(verbs) == 1 and len(verbs[0].parts) == 1
        if subject.kind not in ("fixed", "variable") and not (
            subject.kind == "anonymous" and single
        ):
            self._check_labels()
            return _union(self._ways(self._triples.start, self._triples.end))
        return " . ".join(
            self._single(subject, verb, node) for verb in verbs for node in verb.parts
        )

    def _single(self, subject: Node, verb: Node, node: Node) -> str:
        """Write a subject, a verb and an object."""
        ways = [""] if verb.path is None else verb.path.alternatives()
        paths = [str(way) or self._copied(verb.start, verb.end) for way in ways]
        objects, first = self._ways(node.start, node.end), self._copied(subject.start, subject.end)
        parts = [f"{first} {path} {object_}" for path in paths for object_ in objects]
        parts += (
            self._without_step(subject, node)
            for way in ways
            if isinstance(way, Path) and _may_stay(subject, node, way)
        )
        if len(parts) > 1:
            self._check_labels()
        return _union(parts)

    def _ways(self, start: int, end: int) -> list[str]:
        """Return a stretch of text for each way that the paths in it can go."""
        odd = [verb for verb in self._odd if start <= verb.start < end]
        for verb in odd:
            if len(verb.parts) > 1:
                raise self._refuse(
                    verb.start,
                    "a path with alternatives and several objects is refused within brackets; write the path once for"
                    " each object, or name the node with a variable.",
                )
        texts = []
        for ways in combined([verb.path.alternatives() for verb in odd if verb.path]):
            pieces, at = [], start
            for verb, way in zip(odd, ways, strict=True):
                pieces += self._copied(at, verb.start), str(way)
                at = verb.end
            texts.append("".join((*pieces, self._copied(at, end))))
        return texts

    def _without_step(self, subject: Node, node: Node) -> str:
        """Return the solution of a path without a step, from a term that is not in the graph."""
        first, last = (self._copied(n.start, n.end) for n in (subject, node))
        if subject.kind != "fixed":
            first, last, node = last, first, subject
        absent = f"FILTER NOT EXISTS {{ {first} a? {first} }}"
        if node.kind == "variable":
            return f"BIND({first} AS {last}) {absent}"
        return absent if node.kind == "anonymous" else f"FILTER(sameTerm({first}, {last})) {absent}"

    def _check_labels(self) -> None:
        for label in (node for node in self._triples.walk() if node.kind == "blank"):
            why = f"{label.text} in a statement with such a path is refused; name the node with a variable."
            raise self._refuse(label.start, why)


def _union(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else " UNION ".join(f"{{ {part} }}" for part in parts)


def _is_odd(verb: Node) -> bool:
    return verb.path is not None and len(verb.path.alternatives()) > 1


def _may_stay(subject: Node, node: Node, path: Path) -> bool:
    """Return whether a path from or to a fixed term has a solution where that term is not in the graph."""
    kinds = {subject.kind, node.kind}
    if "fixed" not in kinds or not kinds <= {"fixed", "variable", "anonymous"}:
        return False
    steps = path.steps()
    if len(steps) == 1:
        return path.may_be_empty
    # Behind the first step stands a node that is sought in the graph, unless the second ends at a fixed term too.
    return len(steps) == 2 and kinds == {"fixed"} and all(step.may_be_empty for step in steps)
