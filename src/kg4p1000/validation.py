"""Validation: shapes and data to one `Report` whose messages a steward can act on.

SHACL Core is judged by the package ``shacl``; each SPARQL constraint is one set query over all
its focus nodes, run by whoever holds the data. pySHACL on an rdflib graph is the reference and
the fallback. What a finding says comes from the shapes graph, never from an engine.

Sets no limits: whoever feeds it data that strangers sent runs it in a process that can be ended.

Blank nodes keep no name in the engines, so they go in as ``urn:kg4p1000:blank:…`` and come out
as blank nodes. ``sh:nodeKind sh:IRI`` therefore lets one pass; add ``sh:pattern "^https?://"``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import pyoxigraph as ox

from .errors import BrokenFile
from .terms import PREFIXES, curie, natural_key, turtle

Term = ox.NamedNode | ox.BlankNode | ox.Literal
Engine = Literal["auto", "shacl", "pyshacl"]
#: What an engine found: focus node, IRI of the shape or constraint, value, constraint component.
Hit = tuple[Term, str, Term | None, str]

SEVERITIES = ("violation", "warning", "info")
_SH, _RDF, _XSD = PREFIXES["sh"], PREFIXES["rdf"], PREFIXES["xsd"]
_BLANK = "urn:kg4p1000:blank:"
_SPARQL = "SPARQLConstraintComponent"


@dataclass(frozen=True)
class Finding:
    """One fault of one node.

    ``shape`` is the IRI of the property shape, node shape or SPARQL constraint that found it;
    ``name`` (English) and ``message`` (by language) are what the shapes graph says of it; ``path``
    is the IRI of a property, None where there is no single one; ``component`` is SHACL's name.
    """

    shape: str
    severity: str
    focus: Term
    path: str | None
    value: Term | None
    component: str
    name: str
    message: dict[str, str] = field(hash=False)

    def text(self, language: str = "en") -> str:
        """The message in a language, or else in English."""
        return self.message.get(language) or self.message.get("en") or self.name

    def sort_key(self) -> tuple[Any, ...]:
        """Gravest first, then by shape, then A4.2 before A4.10."""
        focus, value = natural_key(str(self.focus)), natural_key(str(self.value or ""))
        return SEVERITIES.index(self.severity), self.shape, focus, value, self.component


@dataclass(frozen=True)
class Report:
    """All findings of one validation, in an order that depends on nothing but the data."""

    findings: tuple[Finding, ...]

    @property
    def conforms(self) -> bool:
        """Whether nothing is a violation; warnings do not count."""
        return not self.count("violation")

    def count(self, severity: str) -> int:
        """How many findings have a severity."""
        return sum(f.severity == severity for f in self.findings)

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
                lines.append(f"  - {named(f.focus)}{f', in {file}' if file else ''}{value}")
        return "\n".join(lines) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Give the report as plain values for JSON; terms are written as in SPARQL JSON results."""
        findings = [
            vars(f) | {"focus": _json_term(f.focus), "value": _json_term(f.value)}
            for f in self.findings
        ]
        counts = {severity: self.count(severity) for severity in SEVERITIES}
        return {"conforms": self.conforms, "counts": counts, "findings": findings}

    def to_turtle(self) -> bytes:
        """Write a ``sh:ValidationReport``; the source shape of a SPARQL constraint is itself."""
        conforms = ox.Literal(str(self.conforms).lower(), datatype=ox.NamedNode(_XSD + "boolean"))
        facts: list[tuple[str, str, Term | None]] = [
            ("report", _RDF + "type", ox.NamedNode(_SH + "ValidationReport")),
            ("report", _SH + "conforms", conforms),
        ]
        for number, f in enumerate(self.findings, 1):
            me = f"result{number}"
            facts += [
                ("report", _SH + "result", ox.BlankNode(me)),
                (me, _RDF + "type", ox.NamedNode(_SH + "ValidationResult")),
                (me, _SH + "focusNode", f.focus),
                (me, _SH + "resultPath", ox.NamedNode(f.path) if f.path else None),
                (me, _SH + "value", f.value),
                (me, _SH + "sourceShape", ox.NamedNode(f.shape)),
                (me, _SH + "sourceConstraintComponent", ox.NamedNode(_SH + f.component)),
                (me, _SH + "resultSeverity", ox.NamedNode(_SH + f.severity.capitalize())),
            ]
            facts += [
                (me, _SH + "resultMessage", ox.Literal(text, language=language))
                for language, text in f.message.items()
            ]
        return turtle(ox.Triple(ox.BlankNode(s), ox.NamedNode(p), o) for s, p, o in facts if o)


class Shapes:
    """A shapes graph, checked and made ready; use one instance for many validations.

    Attributes:
        text: the whole graph as N-Triples; ``core`` is the same without SPARQL constraints.
        queries: for each SPARQL constraint, its IRI and the set query, a SELECT of ``?this`` and
            ``?value`` that gives one row for each fault among all focus nodes.

    Raises:
        BrokenFile: a file does not parse, or a shape is of a kind that cannot be judged safely.
    """

    def __init__(self, triples: Iterable[ox.Triple]) -> None:
        plain = [ox.Triple(t.subject, t.predicate, t.object) for t in triples]
        self._facts: dict[Term, dict[str, list[Any]]] = {}
        for t in plain:
            self._facts.setdefault(t.subject, {}).setdefault(t.predicate.value, []).append(t.object)
        for subject in self._facts:
            self._check(subject)
        self.queries: list[tuple[str, str]] = sorted(self._set_queries())
        constraints = {c for subject in self._facts for c in self._get(subject, "sparql")}
        core = [t for t in plain if t.subject not in constraints and t.object not in constraints]
        self.text, self.core = _n_triples(plain), _n_triples(core)

    @classmethod
    def from_files(cls, paths: Iterable[str | Path]) -> Shapes:
        """Load shapes from Turtle files."""
        triples: list[ox.Triple] = []
        for path in paths:
            try:
                triples += [q.triple for q in ox.parse(path=str(path), rename_blank_nodes=True)]
            except SyntaxError as error:
                line, column = error.lineno, error.offset
                raise BrokenFile(str(error), file=str(path), line=line, column=column) from error
        return cls(triples)

    @cached_property
    def compiled(self) -> Any:
        """The Core shapes as the engine ``shacl`` keeps them; safe to share between threads."""
        import shacl  # noqa: PLC0415 - may not be installed

        return shacl.Shapes.from_text(self.core, format="ntriples")

    def finding(self, hit: Hit) -> Finding:
        """Dress a hit in what the shapes graph says of its shape."""
        focus, shape, value, component = hit
        node = ox.NamedNode(shape)
        names = {o.language: o.value for o in self._get(node, "name")}
        severity = next(iter(self._get(node, "severity")), ox.NamedNode(_SH + "Violation"))
        path = next(iter(self._get(node, "path")), None)
        return Finding(
            shape=shape,
            severity=severity.value.removeprefix(_SH).lower(),
            focus=focus,
            path=path.value if isinstance(path, ox.NamedNode) else None,
            value=value,
            component=component,
            name=names.get("en", shape),
            message=dict(sorted((o.language or "en", o.value) for o in self._get(node, "message"))),
        )

    def _get(self, subject: Any, name: str) -> list[Any]:
        return self._facts.get(subject, {}).get(_SH + name, [])

    def _targets(self, shape: Any) -> str:
        """The group patterns that ``?this`` fits if it is a focus node, empty without a target."""
        patterns = ((p, o) for p in _TARGETS for o in self._get(shape, p))
        return " UNION ".join(f"{{ {_TARGETS[p].format(o)} }}" for p, o in patterns)

    def _check(self, subject: Any) -> None:
        """Refuse what could not be judged on stored data, or would give findings no address."""
        for part in self._get(subject, "property") + self._get(subject, "sparql"):
            if isinstance(part, ox.BlankNode) and self._targets(subject):
                raise BrokenFile(f"{subject} has a property shape or constraint without an IRI")
        for severity in self._get(subject, "severity"):
            if severity.value not in (_SH + "Violation", _SH + "Warning", _SH + "Info"):
                raise BrokenFile(f"{subject} has the unknown severity {severity}")
        for datatype in self._get(subject, "datatype"):
            if _DERIVED_INTEGER.fullmatch(datatype.value):
                raise BrokenFile(f"{subject}: write {datatype} as xsd:integer with bounds")

    def _set_queries(self) -> Iterator[tuple[str, str]]:
        for shape in self._facts:
            for constraint in self._get(shape, "sparql"):
                targets = self._targets(shape)
                off = self._get(constraint, "deactivated") + self._get(shape, "deactivated")
                if any(o.value == "true" for o in off):
                    continue
                if self._get(shape, "path") or not targets:
                    raise BrokenFile(f"{constraint}: put it on a node shape that has a target")
                select = "".join(o.value for o in self._get(constraint, "select"))
                check_pre_binding(constraint.value, select)
                query = f"SELECT DISTINCT ?this ?value WHERE {{\n{{ {select} }}\n"
                query += f"FILTER EXISTS {{ {targets} }} }}"
                for prefixes in self._get(constraint, "prefixes"):
                    for d in self._get(prefixes, "declare"):
                        prefix, namespace = self._get(d, "prefix")[0], self._get(d, "namespace")[0]
                        query = f"PREFIX {prefix.value}: <{namespace.value}>\n{query}"
                yield constraint.value, query


#: How a target declaration reads as a pattern for ``?this``.
_TARGETS = {
    "targetClass": f"?this <{_RDF}type>/<{PREFIXES['rdfs']}subClassOf>* {{}}",
    "targetNode": "FILTER(?this = {})",
    "targetSubjectsOf": "?this {} ?targeted",
    "targetObjectsOf": "?targeted {} ?this",
}
_DERIVED_INTEGER = re.compile(
    _XSD + "((nonNegative|positive|nonPositive|negative)Integer|long|int|short|byte|unsigned.*)"
)
#: What is no code, or has a name that could look like a keyword: strings, comments, IRIs, names.
_HIDDEN = re.compile(
    r'''""".*?(?<!\\)"""|"(?:[^"\\\n]|\\.)*"|#[^\n]*|<[^<>"{}|^`\\\s]*>'''
    r"""|'''.*?(?<!\\)'''|'(?:[^'\\\n]|\\.)*'|[\w.-]*:[\w.:%\\-]*|@[\w-]+""",
    re.DOTALL,
)
_REFUSED = re.compile(
    r"\b(FROM|GRAPH|GROUP|HAVING|LIMIT|MINUS|OFFSET|ORDER|PREFIX|BASE|SERVICE|VALUES)\b"
    r"|\bAS\s+\?this\b|\bBOUND\s*\(\s*\?this\b|[$?](PATH|shapesGraph|currentShape)\b",
    re.IGNORECASE,
)


def check_pre_binding(name: str, select: str) -> None:
    """Check that a constraint means the same as one set query and with ``$this`` bound beforehand.

    That holds when each group that mentions ``$this``, at any depth, has it in a triple pattern
    of its own, and nothing counts, cuts off or leaves the graph. The check is strict.

    >>> check_pre_binding("a rule", "SELECT $this WHERE { ?x ?y ?z FILTER(?x = $this) }")
    Traceback (most recent call last):
    ...
    kg4p1000.errors.BrokenFile: SPARQL constraint a rule: a group has $this in no triple pattern

    Raises:
        BrokenFile: it does not hold, or this check cannot tell.
    """
    code = re.sub(r"[$?]this\b", "?this", _HIDDEN.sub(" ", select))
    header, _, rest = code.partition("{")
    body, fault = "{" + rest, None
    if refused := _REFUSED.search(code):
        fault = f"{refused.group()} is not possible"
    elif len(re.findall(r"\bSELECT\b", code, re.IGNORECASE)) != 1 or "?this" not in header:
        fault = "it must be one SELECT that gives $this"
    elif "(" in header:
        fault = "it must not compute what it selects"
    while not fault and (group := re.search(r"\{([^{}]*)\}", body)):  # innermost first
        own = group[1]
        mentions = re.search(r"\?this\b|\0", own)
        while (stripped := re.sub(r"\([^()]*\)", " ", own)) != own:
            own = stripped
        if mentions and not re.search(r"\?this\b", own):
            fault = "a group has $this in no triple pattern"
        body = body[: group.start()] + ("\0" if mentions else " ") + body[group.end() :]
    if not fault and body.strip() != "\0":
        fault = "$this must be in the outermost group, and nothing may follow it"
    if fault:
        raise BrokenFile(f"SPARQL constraint {name}: {fault}")


def validate(
    data: Iterable[ox.Triple],
    shapes: Shapes,
    select: Callable[[str], Iterable[Any]],
    engine: Engine = "auto",
) -> Report:
    """Validate data against shapes.

    Args:
        data: all triples, ontology included: classes are matched through ``rdfs:subClassOf``.
        shapes: what the data must fit.
        select: runs a SPARQL SELECT over the same triples as default graph; gives rows that
            answer ``row["this"]`` and ``row["value"]`` with a term or None. Not used by the
            engine "pyshacl", which runs the SPARQL constraints itself.
        engine: "auto" is ``shacl`` where it is installed, and else pySHACL for the Core part.
    """
    text = _n_triples(_skolemised(data))
    if engine == "pyshacl":
        hits = list(_by_pyshacl(text, shapes.text))
    else:
        try:
            hits = list(_by_shacl(text, shapes))
        except ImportError:
            if engine == "shacl":
                raise
            hits = list(_by_pyshacl(text, shapes.core))
        for constraint, query in shapes.queries:
            for row in select(query):
                hits.append((row["this"], constraint, row["value"] or row["this"], _SPARQL))
    findings = (shapes.finding(hit) for hit in set(hits))
    return Report(tuple(sorted(findings, key=Finding.sort_key)))


def _by_shacl(data: str, shapes: Shapes) -> Iterator[Hit]:
    for result in shapes.compiled.validate_text(data, format="ntriples").results:
        value = _parsed(result.value) if result.value is not None else None
        shape = _parsed(result.root_shape or result.source_shape).value
        yield _parsed(result.focus_node), shape, value, result.component


def _by_pyshacl(data: str, shapes: str) -> Iterator[Hit]:
    import pyshacl  # noqa: PLC0415 - slow to import, and changes rdflib
    import rdflib  # noqa: PLC0415

    def graph(text: str) -> Any:
        return rdflib.Graph().parse(data=text, format="nt")

    _, report, _ = pyshacl.validate(graph(data), shacl_graph=graph(shapes), inplace=True)
    for result in report.objects(None, rdflib.SH.result):
        component = report.value(result, rdflib.SH.sourceConstraintComponent).removeprefix(_SH)
        source = rdflib.SH.sourceConstraint if component == _SPARQL else rdflib.SH.sourceShape
        focus, value = (report.value(result, p) for p in (rdflib.SH.focusNode, rdflib.SH.value))
        shape = str(report.value(result, source))
        yield (
            _parsed(focus.n3()),
            shape,
            _parsed(value.n3()) if value is not None else None,
            component,
        )


def _parsed(term: str) -> Any:
    """Read a term in Turtle or N-Triples syntax."""
    if term.startswith("<"):
        iri, blank = term[1:-1], term[1:-1].removeprefix(_BLANK)
        return ox.NamedNode(iri) if blank == iri else ox.BlankNode(blank)
    return next(iter(ox.parse(f"<urn:s> <urn:p> {term} .", format=ox.RdfFormat.TURTLE))).object


def _skolemised(triples: Iterable[ox.Triple]) -> Iterator[ox.Triple]:
    def named(term: Any) -> Any:
        return ox.NamedNode(_BLANK + term.value) if isinstance(term, ox.BlankNode) else term

    return (ox.Triple(named(t.subject), t.predicate, named(t.object)) for t in triples)


def _n_triples(triples: Iterable[ox.Triple]) -> str:
    written: bytes = ox.serialize(triples, format=ox.RdfFormat.N_TRIPLES)
    return written.decode()


def _json_term(term: Term | None) -> dict[str, str] | None:
    if term is None:
        return None
    if not isinstance(term, ox.Literal):
        return {"type": "uri" if isinstance(term, ox.NamedNode) else "bnode", "value": term.value}
    kind = {"xml:lang": term.language} if term.language else {"datatype": term.datatype.value}
    plain = term.datatype.value == _XSD + "string"
    return {"type": "literal", "value": term.value} | ({} if plain else kind)
