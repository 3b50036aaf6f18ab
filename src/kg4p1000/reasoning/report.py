"""What a validation found, in words and as data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import pyoxigraph as ox

from ..kernel.terms import BASE, PREFIXES, curie, iri, natural_key, turtle
from ..kernel.texts import meant

Term = ox.NamedNode | ox.BlankNode | ox.Literal

SEVERITIES = ("violation", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One fault of one node.

    ``shape`` is the IRI of the property shape, node shape or SPARQL constraint that found it;
    ``name`` (English) and ``message`` (by language) are what the shapes graph says of it; ``path``
    is the IRI of a property, None where there is no single one; ``component`` is SHACL's name;
    ``meant`` is the IRI that may have been meant by a value that is nowhere, else nothing.
    """

    shape: str
    severity: str
    focus: Term
    path: str | None
    value: Term | None
    component: str
    name: str
    message: dict[str, str] = field(hash=False)
    meant: str = ""

    def text(self, language: str = "en") -> str:
        """Return the message in a language, or else in English."""
        return self.message.get(language) or self.message.get("en") or self.name

    def sort_key(self) -> tuple[Any, ...]:
        """Sort gravest first, then by shape, then A4.2 before A4.10."""
        focus, value = natural_key(str(self.focus)), natural_key(str(self.value or ""))
        return SEVERITIES.index(self.severity), self.shape, focus, value, self.component


@dataclass(frozen=True)
class Report:
    """All findings of one validation, in an order that depends on nothing but the data."""

    findings: tuple[Finding, ...]

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Report:
        """Make a report of findings in any order, some perhaps twice."""
        return cls(tuple(sorted(set(findings), key=Finding.sort_key)))

    @property
    def conforms(self) -> bool:
        """Return whether nothing is a violation; warnings do not count."""
        return not self.count("violation")

    def count(self, severity: str) -> int:
        """Return how many findings have a severity."""
        return sum(f.severity == severity for f in self.findings)

    def hinted(self, names: Callable[[str], Iterable[str]]) -> Report:
        """Add to each finding about a name of ours that is nowhere the one that may have been meant.

        Args:
            names: gives the IRIs that the graph describes in a namespace.
        """
        known: dict[str, dict[str, str]] = {}

        def hinted(finding: Finding) -> Finding:
            value = finding.value.value if isinstance(finding.value, ox.NamedNode) else ""
            space = value[: max(value.rfind("/"), value.rfind("#")) + 1]
            if not space.startswith(BASE):
                return finding
            if space not in known:
                known[space] = {name.removeprefix(space): name for name in names(space)}
            local = value.removeprefix(space)
            close = [] if local in known[space] else meant(local, known[space])
            return replace(finding, meant=known[space][close[0]]) if close else finding

        return Report(tuple(map(hinted, self.findings)))

    def to_text(
        self,
        label: Callable[[str], str] = lambda iri: "",
        where: Callable[[ox.NamedNode], str | None] = lambda node: None,
        language: str = "en",
    ) -> str:
        """Write the report for a person, one block for each shape.

        Args:
            label: gives the label of an IRI, or nothing.
            where: gives the file that a subject comes from, or None.
            language: which message to use, where a shape has it.
        """

        def named(term: Term) -> str:
            if not isinstance(term, ox.NamedNode):
                return str(term)
            text, name = label(term.value), curie(term.value) or term.value
            return f"{text} ({name})" if text else name

        counts = [f"{n} {s}{'s' if n > 1 else ''}" for s in SEVERITIES if (n := self.count(s))]
        lines = [", ".join(counts) + "." if counts else "No findings."]
        for (severity, shape), group in groupby(self.findings, lambda f: (f.severity, f.shape)):
            block = list(group)
            lines += ["", f"{severity.upper()}  {block[0].name}  ({curie(shape) or shape})"]
            lines += [f"  {block[0].text(language)}"]
            for f in block:
                file = where(f.focus) if isinstance(f.focus, ox.NamedNode) else None
                value = f": {named(f.value)}" if f.value and f.value != f.focus else ""
                if f.meant:
                    value += f"; did you mean {curie(f.meant) or f.meant}?"
                lines.append(f"  - {named(f.focus)}{f', in {file}' if file else ''}{value}")
        return "\n".join(lines) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values for JSON; terms are written as in SPARQL JSON results."""
        findings = [
            {name: value for name, value in vars(f).items() if name != "meant" or value}
            | {"focus": _json_term(f.focus), "value": _json_term(f.value)}
            for f in self.findings
        ]
        counts = {severity: self.count(severity) for severity in SEVERITIES}
        return {"conforms": self.conforms, "counts": counts, "findings": findings}

    def to_turtle(self) -> bytes:
        """Write a ``sh:ValidationReport``; the source shape of a SPARQL constraint is itself."""
        report = ox.BlankNode("report")
        facts: list[tuple[ox.BlankNode, str, Term | None]] = [
            (report, "rdf:type", iri("sh:ValidationReport")),
            (report, "sh:conforms", ox.Literal(self.conforms)),
        ]
        for number, f in enumerate(self.findings, 1):
            result = ox.BlankNode(f"result{number}")
            facts += [
                (report, "sh:result", result),
                (result, "rdf:type", iri("sh:ValidationResult")),
                (result, "sh:focusNode", f.focus),
                (result, "sh:resultPath", ox.NamedNode(f.path) if f.path else None),
                (result, "sh:value", f.value),
                (result, "sh:sourceShape", ox.NamedNode(f.shape)),
                (result, "sh:sourceConstraintComponent", iri(f"sh:{f.component}")),
                (result, "sh:resultSeverity", iri(f"sh:{f.severity.capitalize()}")),
            ]
            texts = (ox.Literal(text, language=tag) for tag, text in f.message.items())
            facts += ((result, "sh:resultMessage", text) for text in texts)
        return turtle(ox.Triple(s, iri(name), value) for s, name, value in facts if value)


def _json_term(term: Any) -> dict[str, Any] | None:
    if term is None:
        return None
    if isinstance(term, ox.Triple):
        names = ("subject", "predicate", "object")
        return {"type": "triple", "value": {n: _json_term(getattr(term, n)) for n in names}}
    if not isinstance(term, ox.Literal):
        return {"type": "uri" if isinstance(term, ox.NamedNode) else "bnode", "value": term.value}
    kind = {"xml:lang": term.language} if term.language else {"datatype": term.datatype.value}
    plain = term.datatype.value == PREFIXES["xsd"] + "string"
    return {"type": "literal", "value": term.value} | ({} if plain else kind)
