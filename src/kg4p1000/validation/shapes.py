"""A shapes graph, checked and made ready for the engines."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyoxigraph as ox

from .. import __version__
from ..errors import AnsweredWrongly, BrokenFile, KgError, MalformedQuery
from ..files import read
from ..sparql import columns_of, tokens
from ..sparql.engine import for_engine
from ..store.parsing import sentence
from ..terms import PREFIXES, curie
from ..texts import meant
from . import judged
from .constraints import check_pre_binding
from .declared import Spaces
from .facts import SH, Facts, Graph, Targets
from .reach import Reach, State
from .report import Finding, Report, Term

#: What an engine found: focus node, IRI of the shape or constraint, value, constraint component.
Hit = tuple[Term, str, Term | None, str]

_XSD = PREFIXES["xsd"]
_DERIVED_INTEGER = re.compile(
    _XSD + "((nonNegative|positive|nonPositive|negative)Integer|long|int|short|byte|unsigned.*)"
)
#: A property that links to the nodes that one state of `Reach` is to be judged for.
FOCUS = "urn:kg4p1000:focus:"
#: What the shape is about that says what is wrong with a thing of two classes which exclude each other.
KINDS = "urn:kg4p1000:kinds:"
_CLASS = "ClassConstraintComponent"
#: What the query of a constraint is given values of.
_GIVEN = frozenset({"this"})


@dataclass(frozen=True)
class SetQuery:
    """A SPARQL constraint as one query over all focus nodes of its shape.

    Attributes:
        constraint: its IRI.
        shape: the shape that it is part of.
        text: a SELECT of ``?this`` and ``?value``, one row for each fault among the focus nodes.
        anywhere: the same, with a row for nodes that are no focus nodes too.
    """

    constraint: str
    shape: Any
    text: str
    anywhere: str


class Shapes:
    """A shapes graph; use one instance for many validations.

    Attributes:
        text: the whole graph as N-Triples; ``core`` is the same without SPARQL constraints, and
            ``focused`` the same again with other targets: the nodes that `FOCUS` links to.
        queries: the SPARQL constraints.
        spaces: namespaces whose names must be there where they are used.

    Raises:
        BrokenFile: a file does not parse, or a shape is of a kind that cannot be judged safely.
    """

    def __init__(
        self, triples: Iterable[ox.Triple], files: Mapping[Any, str] | None = None
    ) -> None:
        plain = [ox.Triple(t.subject, t.predicate, t.object) for t in triples]
        self._facts = facts = Facts(plain)
        self._files = files or {}
        self._refuse(judged.faults(facts))
        for subject in facts:
            self._check(subject)
        self.spaces = _spaces(facts)
        self.queries = sorted(self._set_queries(), key=lambda query: query.constraint)
        constraints = {c for subject in facts for c in facts.get(subject, "sparql")}
        core = [t for t in plain if t.subject not in constraints and t.object not in constraints]
        self.text, self.core = n_triples(plain), n_triples(core)
        self._core = core

    @classmethod
    def from_files(cls, paths: Iterable[str | Path]) -> Shapes:
        """Load shapes from Turtle files."""
        triples: list[ox.Triple] = []
        files: dict[Any, str] = {}
        for path in paths:
            try:
                found = [
                    q.triple
                    for q in ox.parse(
                        read(Path(path)), format=ox.RdfFormat.TURTLE, rename_blank_nodes=True
                    )
                ]
                files |= {triple.subject: str(path) for triple in found}
                triples += found
            except SyntaxError as error:
                line, column = error.lineno, error.offset
                told = f"{path}, line {line}, column {column}: {sentence(error.msg)}."
                raise BrokenFile(told, file=str(path), line=line, column=column) from error
        return cls(triples, files)

    @cached_property
    def compiled(self) -> Any:
        """The Core shapes as the engine ``shacl`` keeps them; safe to share between threads."""
        return _compiled(self.core)

    @cached_property
    def compiled_focused(self) -> Any:
        """The same of ``focused``."""
        return _compiled(self.focused)

    @cached_property
    def reach(self) -> Reach:
        """What a judgement by these shapes looks at."""
        return Reach(self._facts, self._prefixes)

    @cached_property
    def states(self) -> dict[State, Any]:
        """The shapes that have targets, by the state of their focus nodes."""
        return {
            state: shape for shape, state in self.reach.focus.items() if self._facts.targets(shape)
        }

    @cached_property
    def focused(self) -> str:
        """See above; replacing targets is the one way to judge single nodes in every engine."""
        kept = [t for t in self._core if not t.predicate.value.startswith(SH + "target")]
        target = ox.NamedNode(SH + "targetObjectsOf")
        mine = [
            ox.Triple(shape, target, ox.NamedNode(f"{FOCUS}{state}"))
            for state, shape in self.states.items()
        ]
        return n_triples(kept + mine)

    @cached_property
    def digest(self) -> str:
        """What tells shapes, and the code that reads them, from others."""
        dataset = ox.Dataset(ox.parse(self.text, format=ox.RdfFormat.N_TRIPLES))
        dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
        return hashlib.sha256(
            "\n".join([__version__, *sorted(map(str, dataset))]).encode()
        ).hexdigest()

    def targets(self, shape: Any) -> Targets:
        """What a shape judges."""
        return self._facts.targets(shape)

    def finding(self, hit: Hit) -> Finding:
        """Dress a hit in what the shapes graph says of its shape."""
        focus, shape, value, component = hit
        node, get = ox.NamedNode(shape), self._facts.get
        names = {o.language: o.value for o in get(node, "name")}
        severity = next(iter(get(node, "severity")), ox.NamedNode(SH + "Violation"))
        path = next(iter(get(node, "path")), None)
        return Finding(
            shape=shape,
            severity=severity.value.removeprefix(SH).lower(),
            focus=focus,
            path=path.value if isinstance(path, ox.NamedNode) else None,
            value=value,
            component=component,
            name=names.get("en", shape),
            message=dict(sorted((o.language or "en", o.value) for o in get(node, "message"))),
        )

    def with_kinds(self, report: Report, found: Iterable[tuple[Term, Term]]) -> Report:
        """A report with what contradicts the ontology: things, each with a class too many."""
        shape = self.spaces.shapes.get(KINDS, KINDS)
        more = (self.finding((node, shape, cls, _CLASS)) for node, cls in found)
        return Report(tuple(sorted({*report.findings, *more}, key=Finding.sort_key)))

    def see_that_names_are_there(self, graph: Graph) -> None:
        """See that the classes, properties and codes that the shapes speak of are declared.

        Raises:
            BrokenFile: one is not.
        """
        self._refuse(judged.missing(self._facts, self.spaces, graph))

    def see_that_ontology_allows(self, graph: Graph) -> None:
        """See that the shapes let no class have what the ontology keeps for classes that exclude it.

        Raises:
            BrokenFile: they do.
        """
        self._refuse(judged.forbidden(self._facts, graph))

    def _refuse(self, faults: Iterable[tuple[Any, str]], text: str = "", row: int = 1) -> None:
        """Raise the first of some faults, with the file and the line in which its subject, or a row of a text, stands."""
        for subject, told in faults:
            file, name = self._files.get(subject, ""), ""
            if isinstance(subject, ox.NamedNode):
                name = curie(subject.value) or subject.value
            line = _line(file, subject, text, row) if file else 0
            place = f"{file}, line {line}" if line else file
            where = ", ".join(part for part in (place, name or "a shape without a name") if part)
            members: dict[str, Any] = {"file": file} if file else {}
            members |= {"line": line} if line else {}
            raise BrokenFile(f"{where}: {told}{'' if told.endswith('?') else '.'}", **members)

    def _check(self, subject: Any) -> None:
        """Refuse what could not be judged on stored data, or would give findings no address."""
        get = self._facts.get
        for part in get(subject, "property") + get(subject, "sparql"):
            if isinstance(part, ox.BlankNode) and self._facts.targets(subject):
                self._refuse([(subject, "it has a property shape or constraint without an IRI")])
        for severity in get(subject, "severity"):
            if severity.value not in (SH + "Violation", SH + "Warning", SH + "Info"):
                self._refuse([(subject, f"the severity {severity} is not known")])
        for datatype in get(subject, "datatype"):
            if _DERIVED_INTEGER.fullmatch(datatype.value):
                self._refuse([(subject, f"write {datatype} as xsd:integer with bounds")])

    def _set_queries(self) -> Iterator[SetQuery]:
        facts = self._facts
        for shape in facts:
            for constraint in facts.get(shape, "sparql"):
                if facts.has(constraint, "deactivated") or facts.has(shape, "deactivated"):
                    continue
                if facts.get(shape, "path") or not facts.targets(shape):
                    self._refuse([(constraint, "put it on a node shape that has a target")])
                select = "".join(o.value for o in facts.get(constraint, "select"))
                self._see_that_readable(constraint, select)
                prefixes = "".join(
                    f"PREFIX {prefix}: <{namespace}>\n"
                    for prefix, namespace in self._prefixes(constraint).items()
                )
                # The engine must answer it as SPARQL says.
                select = str(for_engine(prefixes + select, bound=_GIVEN)).removeprefix(prefixes)
                begun = f"{prefixes}SELECT DISTINCT ?this ?value WHERE {{\n{{ {select} }}\n"
                limit = f"FILTER EXISTS {{ {facts.targets(shape).pattern()} }} }}"
                yield SetQuery(constraint.value, shape, begun + limit, begun + "}")

    def _see_that_readable(self, constraint: Any, select: str) -> None:
        """See that the query of a constraint is SPARQL, and one that can be asked of many nodes at once."""
        prefixes = self._prefixes(constraint)
        known = "".join(f"PREFIX {name}: <{space}> " for name, space in prefixes.items())
        try:
            for token in tokens(select):
                prefix, colon, _ = token.text.partition(":")
                if token.kind == "name" and colon and prefix not in prefixes:
                    near = meant(prefix, prefixes, cutoff=0.75)
                    hint = f"; did you mean {near[0]}:?" if near else ""
                    raise MalformedQuery(
                        f"the prefix '{prefix}:' is not declared: add sh:prefixes, with one that declares it{hint}",
                        line=select.count("\n", 0, token.start) + 1,
                    )
            columns_of(known + select, _GIVEN)
            check_pre_binding(constraint.value, select)
        except BrokenFile as error:
            _, _, told = error.detail.partition(f"SPARQL constraint {constraint.value}: ")
            self._refuse([(constraint, f"its query cannot be taken: {told}")])
        except KgError as error:
            told = re.sub(r"^Line \d+, column \d+: ", "", error.detail).rstrip(".")
            row = error.members.get("line", 1)
            how = "is refused" if isinstance(error, AnsweredWrongly) else "cannot be read"
            self._refuse([(constraint, f"its query {how}: {told}")], select, row)

    def _prefixes(self, constraint: Any) -> dict[str, str]:
        get = self._facts.get
        declared = (d for p in get(constraint, "prefixes") for d in get(p, "declare"))
        return {get(d, "prefix")[0].value: get(d, "namespace")[0].value for d in declared}


def _spaces(facts: Facts) -> Spaces:
    """The namespaces that shapes are about, and the names in them that are not ours to declare."""
    about = {space: shape.value for shape in facts for space in facts.spaces(shape)}
    lists = (head for shape in facts if facts.spaces(shape) for head in facts.get(shape, "in"))
    return Spaces(about, frozenset(name.value for head in lists for name in facts.items(head)))


def _line(file: str, subject: Any, text: str, row: int) -> int:
    """The line of a file in which a subject is described, or, where the file has a text as it is, a row of that; else 0."""
    whole = read(Path(file)).decode()
    if text and text in whole:
        return whole.count("\n", 0, whole.index(text)) + row
    if not isinstance(subject, ox.NamedNode):
        return 0
    local = re.escape(re.split(r"[/#]", subject.value)[-1])
    found = re.search(rf"^\s*(?:<\S*[/#]|[\w-]*:){local}(?=[>\s])", whole, re.M)
    return whole.count("\n", 0, found.end()) + 1 if found else 0


def n_triples(triples: Iterable[ox.Triple]) -> str:
    """Write triples as N-Triples."""
    written: bytes = ox.serialize(triples, format=ox.RdfFormat.N_TRIPLES)
    return written.decode()


def _compiled(text: str) -> Any:
    import shacl  # noqa: PLC0415 - may not be installed

    return shacl.Shapes.from_text(text, format="ntriples")
