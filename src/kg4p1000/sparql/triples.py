"""Triples whose paths the engine answers wrongly, written as groups that say the same.

Oxigraph 0.5.13 gives each pair of nodes once where a path has ``|`` outside ``*``, ``+`` and ``?``, or a negated set of
both directions. SPARQL has a solution for each way: ``(a|b)/c`` is the union of ``a/c`` and ``b/c``. A path without a step
it does not find from a term that is not in the graph.
"""

from __future__ import annotations

from dataclasses import dataclass

from .paths import Path, TooMany, combined
from .rewriting import Rewriting
from .syntax import Node


def may_be_empty(triples: Node) -> bool:
    """Return whether a path has a solution where its terms are not in the graph."""
    subject, *verbs = triples.parts
    return any(
        verb.path and _may_stay(subject, node, verb.path) for verb in verbs for node in verb.parts
    )


def _may_stay(subject: Node, node: Node, path: Path) -> bool:
    """Return whether a path from or to a fixed term has a solution where that term is not in the graph."""
    kinds = {subject.kind, node.kind}
    if path.kind == "iri" or not {"fixed"} <= kinds <= {"fixed", "variable", "anonymous"}:
        return False
    steps = path.steps()
    if len(steps) == 1:
        return path.may_be_empty
    # Behind the first step stands a node that is sought in the graph, unless the second ends at a fixed term too.
    return len(steps) == 2 and kinds == {"fixed"} and all(step.may_be_empty for step in steps)


def rewrite(triples: Node, to: Rewriting) -> None:
    """Write triples so that the engine answers them rightly, if it does not anyway."""
    verbs = [node for node in triples.walk() if node.kind == "verb" and node.path]
    if all(verb.path and verb.path.kind == "iri" for verb in verbs):
        return
    try:
        odd = [verb for verb in verbs if verb.path and len(verb.path.alternatives()) > 1]
        if odd or may_be_empty(triples):
            odd.sort(key=lambda verb: verb.start)
            to.replace(triples.start, triples.end, _Statement(triples, odd, to).text())
    except TooMany:
        why = "the paths of this statement have too many alternatives together; write it as several statements."
        raise to.refused(triples.start, why) from None


@dataclass
class _Statement:
    """The triples of one subject, with the verbs whose paths have alternatives."""

    triples: Node
    odd: list[Node]
    to: Rewriting

    def text(self) -> str:
        subject, *verbs = self.triples.parts
        is_single = len(verbs) == 1 and len(verbs[0].parts) == 1
        if subject.kind in ("fixed", "variable") or (subject.kind == "anonymous" and is_single):
            pieces = [self._single(subject, verb, node) for verb in verbs for node in verb.parts]
            return " . ".join(pieces)
        return self._union(self._ways(self.triples.start, self.triples.end), may_have_labels=False)

    def _single(self, subject: Node, verb: Node, node: Node) -> str:
        """Write a subject, a verb and an object."""
        ways = verb.path.alternatives() if verb.path else []
        paths = [str(way) for way in ways] or [self.to.copied(verb.start, verb.end)]
        first, objects = (
            self.to.copied(subject.start, subject.end),
            self._ways(node.start, node.end),
        )
        parts = [f"{first} {path} {object_}" for path in paths for object_ in objects]
        parts += (
            self._without_step(subject, node) for way in ways if _may_stay(subject, node, way)
        )
        return self._union(parts, may_have_labels=len(parts) == 1)

    def _ways(self, start: int, end: int) -> list[str]:
        """Return a stretch of text for each way that the paths in it can go."""
        odd = [verb for verb in self.odd if start <= verb.start < end]
        for verb in odd:
            if len(verb.parts) > 1:
                raise self.to.refused(
                    verb.start,
                    "a path with alternatives and several objects is refused within brackets; write the path once for"
                    " each object, or name the node with a variable.",
                )
        texts = []
        for ways in combined([verb.path.alternatives() for verb in odd if verb.path]):
            pieces, at = [], start
            for verb, way in zip(odd, ways, strict=True):
                pieces += self.to.copied(at, verb.start), str(way)
                at = verb.end
            texts.append("".join((*pieces, self.to.copied(at, end))))
        return texts

    def _without_step(self, subject: Node, node: Node) -> str:
        """Return the solution of a path without a step, from a term that is not in the graph."""
        first, last = (self.to.copied(n.start, n.end) for n in (subject, node))
        if subject.kind != "fixed":
            first, last, node = last, first, subject
        absent = f"FILTER NOT EXISTS {{ {first} a? {first} }}"
        if node.kind == "variable":
            return f"BIND({first} AS {last}) {absent}"
        return absent if node.kind == "anonymous" else f"FILTER(sameTerm({first}, {last})) {absent}"

    def _union(self, parts: list[str], may_have_labels: bool) -> str:
        for node in () if may_have_labels else self.triples.walk():
            if node.kind == "blank":
                why = f"{node.text} in a statement with such a path is refused; name the node with a variable."
                raise self.to.refused(node.start, why)
        return parts[0] if len(parts) == 1 else " UNION ".join(f"{{ {part} }}" for part in parts)
