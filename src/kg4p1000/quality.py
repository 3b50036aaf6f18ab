"""Faults of the ontology and its code lists, found by the checks in ``ontology/checks``.

A check is a SELECT query in a file named after its fault. It gives the term at fault as ``?term``
and what is wrong with it as ``?what``; its header says the problem and the repair, with ``{term}``
and ``{what}`` in their place. Where terms lack something in pairs, ``#+ pairs: {term} {what}`` tells all
pairs of one term at once: of the term that most pairs have in common, since that is the new one. A new check is a new file, and a fixture on which it fires.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyoxigraph import Literal, NamedNode, Triple

from . import build
from .errors import BrokenFile
from .files import read
from .queries import Library, named_terms
from .store import MemoryGraph
from .terms import PREFIXES, QUERY, curie, iri, mint
from .texts import meant
from .validation import Term

_HEADER = re.compile(r"#\+ (problem|repair|pairs): (.+)\n")
#: So many of the terms that a term lacks something with are named; the others are counted.
_NAMED = 3
_LANGUAGES = {"en": "English", "es": "Spanish", "fr": "French"}


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
    pairs: bool = False


def read_checks(folder: Path) -> list[Check]:
    """The checks of a folder, by name.

    Raises:
        BrokenFile: one does not say its problem and repair.
    """
    found = []
    for path in sorted(folder.glob("*.rq")):
        text = read(path).decode()
        said = dict(_HEADER.findall(text))
        if said.keys() - {"pairs"} != {"problem", "repair"}:
            raise BrokenFile(
                f"{path}: a check begins with a line '#+ problem: …' and a line '#+ repair: …'.",
                file=str(path),
            )
        found.append(Check(path.stem, said["problem"], said["repair"], text, "pairs" in said))
    return found


def faults(files: Path, extra: Iterable[Path] = ()) -> list[Fault]:
    """All faults of the ontology and its code lists.

    Args:
        files: folder of the knowledge.
        extra: Turtle files to look at as though they stood in ``ontology/``.

    Raises:
        BrokenFile: a file or a check cannot be read.
    """
    ontology = [s.path for s in build.sources(files) if s.path.parent.name == "ontology"]
    triples: list[Triple] = []
    places: dict[tuple[str, ...], str] = {}
    for path in [*ontology, *extra]:
        name = f"{path.parent.name}/{path.name}"
        for triple in build.parse_file(path):
            _place(triple, name, places)
            triples.append(triple)
    for triple, name in _asked(files):
        _place(triple, name, places)
        triples.append(triple)
    graph = MemoryGraph(triples)
    found = (
        _fault(check, term, whats, places)
        for check in read_checks(files / "ontology" / "checks")
        for term, whats in _rows(check, graph)
    )
    return list(dict.fromkeys([*found, *_strangers(files)]))


def _strangers(files: Path) -> Iterator[Fault]:
    """Objectives that stored queries say ask them, and that no file of data describes."""
    known = set()
    for source in build.sources(files):
        if source.path.parent.name == "data" and b"k4p:Objective" in source.path.read_bytes():
            stated = build.parse_file(source.path)
            known |= {t.subject for t in stated if t.object == iri("k4p:Objective")}
    codes = [thing.value.rsplit("/", 1)[1] for thing in known]
    for query in Library(files / "queries") if known else ():
        for code in query.objectives:
            if code not in codes:
                close = " or ".join(meant(code, codes, 3, 0.5))
                repair = (
                    f"Did you mean {close}?" if close else "Correct 'objectives' of the #+ header."
                )
                file = str(query.path.relative_to(files))
                problem = f"No objective has the code {code}."
                yield Fault(
                    "unknown-objective", mint("objective", code).value, file, problem, repair
                )


def _rows(check: Check, graph: MemoryGraph) -> Iterator[tuple[Term, list[Term]]]:
    """Each term at fault, and what is wrong with it; of pairs, the term that most of them share."""
    rows = [(row["term"], row.get("what")) for row in graph.select(check.select)]
    if not check.pairs:
        yield from ((term, [what] if what else []) for term, what in rows)
        return
    while rows:
        (most, _), *_ = Counter(term for pair in rows for term in pair).most_common(1)
        own = [pair for pair in rows if most in pair]
        yield most, [b if a == most else a for a, b in own]
        rows = [pair for pair in rows if most not in pair]


def _place(triple: Triple, name: str, places: dict[tuple[str, ...], str]) -> None:
    """Note the file in which a term is first described, and in which it first uses another."""
    if isinstance(triple.subject, NamedNode):
        subject = triple.subject.value
        places.setdefault((subject,), name)
        for other in (triple.predicate, triple.object):
            if isinstance(other, NamedNode):
                places.setdefault((subject, other.value), name)
    for other in (triple.predicate, triple.object):
        if isinstance(other, NamedNode):  # what a list or restriction without a name says
            places.setdefault(("", other.value), name)


def _asked(files: Path) -> Iterable[tuple[Triple, str]]:
    """Which stored query names which term of ours."""
    for query in Library(files / "queries"):
        for name in sorted(named_terms(query.text)):
            term = NamedNode(PREFIXES["k4p"] + name)
            place = f"{query.path.relative_to(files)}"
            yield Triple(NamedNode(QUERY + query.name), iri("dcterms:references"), term), place


def _fault(
    check: Check, term: Term, whats: list[Term], places: dict[tuple[str, ...], str]
) -> Fault:
    what = whats[0] if whats else None
    more = f" and {len(whats) - _NAMED} more" if len(whats) > _NAMED else ""
    words = {"term": _words(term), "what": ", ".join(map(_words, whats[:_NAMED])) + more}

    def filled(text: str) -> str:
        return re.sub(r"\{(term|what)\}", lambda m: words[m[1]], text)

    name = term.value if isinstance(term, NamedNode) else ""
    problem = filled(check.problem)
    if isinstance(what, Literal) and what.value in _LANGUAGES:
        problem = problem.replace(what.value + ".", _LANGUAGES[what.value] + ".")
    used = what.value if isinstance(what, NamedNode) else ""
    keys = ((name,),) if check.pairs else ((name, used), (name,), ("", used))
    file = next((places[key] for key in keys if key in places), "ontology")
    return Fault(check.name, name, file, problem, filled(check.repair))


def _words(node: object) -> str:
    if isinstance(node, NamedNode):
        return curie(node.value) or f"<{node.value}>"
    return node.value if isinstance(node, Literal) else ""
