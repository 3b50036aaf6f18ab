"""Faults of the ontology and its code lists, found by the checks in ``ontology/checks``.

A check is a SELECT query in a file named after its fault. It gives the term at fault as ``?term``
and what is wrong with it as ``?what``; its header says the problem and the repair, with ``{term}``
and ``{what}`` in their place. Where terms lack something in pairs, ``#+ pairs: {term} {what}`` tells all
pairs of one term at once: of the term that most pairs have in common, since that is the new one.
A new check is a new file, and a fixture on which it fires.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyoxigraph import Literal, NamedNode, Triple

from ..curation import build
from ..kernel.errors import BrokenFile
from ..kernel.files import read
from ..kernel.terms import PREFIXES, QUERY, curie, iri, mint
from ..kernel.texts import did_you_mean
from ..knowledge.queries import Library, named_terms
from ..reasoning import Term
from ..store import MemoryGraph

_HEADER = re.compile(r"#\+ (problem|repair|pairs): (.+)\n")
#: So many of the terms that a term lacks something with are named; the others are counted.
_NAMED = 3
_LANGUAGES = {"en": "English", "es": "Spanish", "fr": "French"}

#: A statement, and the file in which it stands.
Stated = tuple[str, Triple]


@dataclass(frozen=True)
class Fault:
    """A fault of one term: where it stands, what is wrong and what to do."""

    check: str
    term: str
    file: str
    problem: str
    repair: str

    def __str__(self) -> str:
        return f"{self.file}: {self.problem} {self.repair} [{self.check}]"


@dataclass(frozen=True)
class Check:
    """A query that finds one kind of fault, and what to say of it."""

    name: str
    problem: str
    repair: str
    select: str
    pairs: bool

    def faults(self, graph: MemoryGraph, stated: list[Stated]) -> Iterator[Fault]:
        """Give the faults that the query finds, with their files."""
        rows = [(row["term"], row.get("what")) for row in graph.select(self.select)]
        if not self.pairs:
            yield from (self._fault(term, [what] if what else [], stated) for term, what in rows)
            return
        while rows:
            (most, _), *_ = Counter(term for pair in rows for term in pair).most_common(1)
            others = [b if a == most else a for a, b in rows if most in (a, b)]
            yield self._fault(most, others, stated)
            rows = [pair for pair in rows if most not in pair]

    def _fault(self, term: Term, whats: list[Any], stated: list[Stated]) -> Fault:
        what = whats[0] if whats else None
        more = f" and {len(whats) - _NAMED} more" if len(whats) > _NAMED else ""
        words = {"term": _words(term), "what": ", ".join(map(_words, whats[:_NAMED])) + more}

        def filled(text: str) -> str:
            return re.sub(r"\{(term|what)\}", lambda m: words[m[1]], text)

        problem = filled(self.problem)
        if isinstance(what, Literal) and what.value in _LANGUAGES:
            problem = problem.replace(what.value + ".", _LANGUAGES[what.value] + ".")
        file = _file(stated, term, None if self.pairs else what)
        name = term.value if isinstance(term, NamedNode) else ""
        return Fault(self.name, name, file, problem, filled(self.repair))


def read_checks(folder: Path) -> list[Check]:
    """Read the checks of a folder, by name.

    Raises:
        BrokenFile: one does not say its problem and repair.
    """
    found = []
    for path in sorted(folder.glob("*.rq")):
        text = read(path).decode()
        header = dict(_HEADER.findall(text))
        if header.keys() - {"pairs"} != {"problem", "repair"}:
            raise BrokenFile(
                f"{path}: a check begins with a line '#+ problem: …' and a line '#+ repair: …'.",
                file=str(path),
            )
        check = Check(path.stem, header["problem"], header["repair"], text, "pairs" in header)
        found.append(check)
    return found


def faults(files: Path, extra: Iterable[Path] = ()) -> list[Fault]:
    """Find all faults of the ontology and its code lists.

    Args:
        files: folder of the knowledge.
        extra: Turtle files to look at as though they stood in ``ontology/``.

    Raises:
        BrokenFile: a file or a check cannot be read.
    """
    library = Library(files / "queries")
    stated = [
        (f"{path.parent.name}/{path.name}", triple)
        for path in [*(source.path for source in build.sources(files, "ontology")), *extra]
        for triple in build.parse_file(path)
    ]
    stated += _references(files, library)
    graph = MemoryGraph(triple for _, triple in stated)
    checks = read_checks(files / "ontology" / "checks")
    found = [fault for check in checks for fault in check.faults(graph, stated)]
    return list(dict.fromkeys([*found, *_unknown_objectives(files, library)]))


def _references(files: Path, library: Library) -> Iterator[Stated]:
    """Give which stored query names which term of ours."""
    for query in library:
        for name in sorted(named_terms(query.text)):
            term, subject = NamedNode(PREFIXES["k4p"] + name), NamedNode(QUERY + query.name)
            place = str(query.path.relative_to(files))
            yield place, Triple(subject, iri("dcterms:references"), term)


def _unknown_objectives(files: Path, library: Library) -> Iterator[Fault]:
    """Give the objectives that stored queries say ask them, and that no file of data describes."""
    codes = set()
    for source in build.sources(files, "data"):
        if b"k4p:Objective" in source.path.read_bytes():
            typed = (t for t in build.parse_file(source.path) if t.object == iri("k4p:Objective"))
            codes |= {triple.subject.value.rsplit("/", 1)[1] for triple in typed}
    for query in library if codes else ():
        for code in query.objectives:
            if code not in codes:
                hint = did_you_mean(code, codes, 3, 0.5).strip()
                yield Fault(
                    "unknown-objective",
                    mint("objective", code).value,
                    str(query.path.relative_to(files)),
                    f"No objective has the code {code}.",
                    hint or "Correct 'objectives' of the #+ header.",
                )


def _file(stated: list[Stated], term: Any, what: Any) -> str:
    """Return the file in which a term first uses another, or is described, or the other is used."""
    uses = [(file, t) for file, t in stated if what and what in (t.predicate, t.object)]
    described = (file for file, t in stated if t.subject == term)
    return next(
        (file for file, t in uses if t.subject == term),
        next(described, uses[0][0] if uses else "ontology"),
    )


def _words(node: object) -> str:
    if isinstance(node, NamedNode):
        return curie(node.value) or f"<{node.value}>"
    return node.value if isinstance(node, Literal) else ""
