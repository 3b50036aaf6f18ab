"""A shapes graph, checked and made ready for the engines."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import pyoxigraph as ox

from .. import __version__
from ..kernel.errors import AnsweredWrongly, BrokenFile, KgError, MalformedQuery
from ..kernel.files import broken, read
from ..kernel.terms import curie
from ..kernel.texts import meant
from ..sparql import columns_of, tokens
from ..sparql.engine import for_engine
from ..store import MemoryGraph
from ..store.parsing import sentence
from .constraints import check_pre_binding
from .facts import SH, Facts, Graph
from .impact import Impact, State
from .names import Hit, Spaces
from .report import Finding, Report, Term
from .shape_faults import Fault, faults, forbidden, missing

#: A property that links to the nodes that one state of `Impact` is to be judged for.
FOCUS = "urn:kg4p1000:focus:"
#: What the shape is about that says what is wrong with a thing of two classes which exclude each other.
KINDS = "urn:kg4p1000:kinds:"
#: What the query of a constraint is given values of.
_GIVEN = frozenset({"this"})


class SetQuery(NamedTuple):
    """A SPARQL constraint of a shape as one query.

    Its rows are ``?this`` and ``?value``, for each fault of any node, focus node or not.
    """

    constraint: str
    shape: Any
    text: str


class CoreShapes:
    """Shapes of SHACL Core as N-Triples."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def compiled(self) -> Any:
        """The shapes as the engine ``shacl`` keeps them; safe to share between threads."""
        import shacl  # noqa: PLC0415 - may not be installed

        return shacl.Shapes.from_text(self.text, format="ntriples")


class Shapes:
    """A shapes graph; use one instance for many validations.

    Attributes:
        text: the whole graph as N-Triples.
        core: the same without SPARQL constraints.
        queries: the SPARQL constraints.
        spaces: namespaces whose names must be there where they are used.

    Raises:
        BrokenFile: a file does not parse, or a shape is of a kind that cannot be judged safely.
    """

    def __init__(
        self, triples: Iterable[ox.Triple], files: Mapping[Any, str] | None = None
    ) -> None:
        plain = [ox.Triple(t.subject, t.predicate, t.object) for t in triples]
        self.facts = facts = Facts(plain)
        self._files = files or {}
        self._refuse(faults(facts, MemoryGraph(plain)))
        self.spaces = Spaces(facts)
        self.queries = sorted(self._set_queries())
        constraints = {constraint for _, _, constraint in facts.all("sparql")}
        core = [t for t in plain if t.subject not in constraints and t.object not in constraints]
        self._without_targets = [t for t in core if not t.predicate.value.startswith(SH + "target")]
        self.text, self.core = n_triples(plain), CoreShapes(n_triples(core))

    @classmethod
    def from_files(cls, paths: Iterable[str | Path]) -> Shapes:
        """Load shapes from Turtle files."""
        triples: list[ox.Triple] = []
        files: dict[Any, str] = {}
        for path in paths:
            text = read(Path(path))
            try:
                quads = ox.parse(text, format=ox.RdfFormat.TURTLE, rename_blank_nodes=True)
                found = [quad.triple for quad in quads]
            except SyntaxError as error:
                place = error.lineno or 0, error.offset or 0
                raise broken(path, f"{sentence(error.msg)}.", *place) from error
            files |= {triple.subject: str(path) for triple in found}
            triples += found
        return cls(triples, files)

    @cached_property
    def impact(self) -> Impact:
        """What a judgement by these shapes looks at."""
        return Impact(self.facts)

    @cached_property
    def states(self) -> dict[State, Any]:
        """The shapes that have targets, by the state of their focus nodes."""
        return {s: shape for shape, s in self.impact.focus.items() if self.facts.targets(shape)}

    @cached_property
    def focused(self) -> CoreShapes:
        """The same with other targets, the nodes that `FOCUS` links to: the one way to judge single nodes in any engine."""
        word = ox.NamedNode(SH + "targetObjectsOf")
        links = ((shape, ox.NamedNode(f"{FOCUS}{state}")) for state, shape in self.states.items())
        targets = (ox.Triple(shape, word, link) for shape, link in links)
        return CoreShapes(n_triples([*self._without_targets, *targets]))

    @cached_property
    def digest(self) -> str:
        """What tells shapes, and the code that reads them, from others."""
        dataset = ox.Dataset(ox.parse(self.text, format=ox.RdfFormat.N_TRIPLES))
        dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
        lines = [__version__, *sorted(map(str, dataset))]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def finding(self, hit: Hit) -> Finding:
        """Dress a hit in what the shapes graph says of its shape."""
        focus, shape, value, component = hit
        node, get = ox.NamedNode(shape), self.facts.get
        names = {o.language: o.value for o in get(node, "name")}
        severity = next((o.value for o in get(node, "severity")), "Violation")
        path = next(iter(get(node, "path")), None)
        return Finding(
            shape=shape,
            severity=severity.removeprefix(SH).lower(),
            focus=focus,
            path=path.value if isinstance(path, ox.NamedNode) else None,
            value=value,
            component=component,
            name=names.get("en", shape),
            message=dict(sorted((o.language or "en", o.value) for o in get(node, "message"))),
        )

    def with_kinds(self, report: Report, found: Iterable[tuple[Term, Term]]) -> Report:
        """Add to a report what contradicts the ontology: things, each with a class too many."""
        shape = self.spaces.shapes.get(KINDS, KINDS)
        hits = ((node, shape, cls, "ClassConstraintComponent") for node, cls in found)
        return Report.of((*report.findings, *map(self.finding, hits)))

    def see_that_names_are_there(self, graph: Graph) -> None:
        """See that the classes, properties and codes that the shapes speak of are declared.

        Raises:
            BrokenFile: one is not.
        """
        self._refuse(missing(self.facts, self.spaces, graph))

    def see_that_ontology_allows(self, graph: Graph) -> None:
        """See that the shapes let no class have what the ontology keeps for classes that exclude it.

        Raises:
            BrokenFile: they do.
        """
        self._refuse(forbidden(self.facts, graph))

    def _refuse(self, found: Iterable[Fault], text: str = "", row: int = 1) -> None:
        """Raise the first of some faults, with the file and the line of its subject, or of a row of a text."""
        for subject, fault in found:
            file, name = self._files.get(subject, ""), "a shape without a name"
            if isinstance(subject, ox.NamedNode):
                name = curie(subject.value) or subject.value
            line = _line(file, subject, text, row) if file else 0
            members = {"file": file, "line": line}
            place = f"{file}, line {line}" if line else file
            raise BrokenFile(
                f"{place}{place and ', '}{name}: {fault}{'' if fault.endswith('?') else '.'}",
                **{key: value for key, value in members.items() if value},
            )

    def _set_queries(self) -> Iterator[SetQuery]:
        facts = self.facts
        for shape, _, constraint in facts.all("sparql"):
            if facts.has(constraint, "deactivated") or facts.has(shape, "deactivated"):
                continue
            if facts.get(shape, "path") or not facts.targets(shape):
                self._refuse([(constraint, "put it on a node shape that has a target")])
            select = "".join(o.value for o in facts.get(constraint, "select"))
            known = facts.prefixes(constraint)
            prefixes = "".join(f"PREFIX {name}: <{space}>\n" for name, space in known.items())
            self._see_that_readable(constraint, select, known, prefixes)
            # The engine must answer it as SPARQL says.
            select = str(for_engine(prefixes + select, bound=_GIVEN)).removeprefix(prefixes)
            text = f"{prefixes}SELECT DISTINCT ?this ?value WHERE {{\n{{ {select} }}\n}}"
            yield SetQuery(constraint.value, shape, text)

    def _see_that_readable(
        self, constraint: Any, select: str, known: Mapping[str, str], prefixes: str
    ) -> None:
        """See that the query of a constraint is SPARQL, and one that can be asked of many nodes at once."""
        try:
            for token in tokens(select):
                prefix, colon, _ = token.text.partition(":")
                if token.kind == "name" and colon and prefix not in known:
                    near = meant(prefix, known, cutoff=0.75)
                    hint = f"; did you mean {near[0]}:?" if near else ""
                    raise MalformedQuery(
                        f"the prefix '{prefix}:' is not declared: add sh:prefixes, with one that declares it{hint}",
                        line=select.count("\n", 0, token.start) + 1,
                    )
            columns_of(prefixes.replace("\n", " ") + select, _GIVEN)
            check_pre_binding(constraint.value, select)
        except BrokenFile as error:
            _, _, fault = error.detail.partition(f"SPARQL constraint {constraint.value}: ")
            self._refuse([(constraint, f"its query cannot be taken: {fault}")])
        except KgError as error:
            fault = re.sub(r"^Line \d+, column \d+: ", "", error.detail).rstrip(".")
            row = error.members.get("line", 1)
            how = "is refused" if isinstance(error, AnsweredWrongly) else "cannot be read"
            self._refuse([(constraint, f"its query {how}: {fault}")], select, row)


def _line(file: str, subject: Any, text: str, row: int) -> int:
    """Return the line of a file that describes a subject, or that has a row of a text which is there as it is; else 0."""
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
    return ox.serialize(triples, format=ox.RdfFormat.N_TRIPLES).decode()
