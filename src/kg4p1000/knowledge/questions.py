"""Competency questions: what people who work on an objective want to know, and whether the graph answers it.

The answer of a stored query for a case of its parameters is known: it stands in
``queries/expected/<name>.csv``, or ``<name>.<case>.csv``. Those rows are true of the released data; in
a store that stewards have changed since, other rows are a difference and no fault.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from ..kernel.errors import Busy, KgError
from ..kernel.files import read
from ..store import Readers
from .queries import Library, StoredQuery

#: Below the folder of the queries.
EXPECTED = "expected"


class State(Enum):
    """What came of a case."""

    ANSWERED = "answered as expected"
    AWAITS = "awaiting data"
    RECORDED = "as people recorded"
    DIFFERS = "answered otherwise than expected"
    EMPTY = "no answer"
    OUTDATED = "answered, though it says that it awaits data"
    FAILED = "cannot be run"

    @property
    def good(self) -> bool:
        """Return whether the graph does what the question says of it."""
        return self in (State.ANSWERED, State.AWAITS, State.RECORDED)


@dataclass(frozen=True)
class Case:
    """A question with values of its parameters; the one with the examples has no name."""

    query: StoredQuery
    name: str
    values: dict[str, str]

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"{self.query.name} ({self.name})" if self.name else self.query.name

    @property
    def file(self) -> Path:
        """Where its expected rows stand, from the folder of the queries."""
        stem = f"{self.query.name}.{self.name}" if self.name else self.query.name
        return Path(EXPECTED, f"{stem}.csv")


@dataclass(frozen=True)
class Outcome:
    """What the graph answered to a case.

    Attributes:
        rows: how many rows came; None when the query could not be run.
        expected: how many were expected; None where no file says.
        missing, unexpected: how many rows were expected and did not come, and the reverse.
        detail: what happened and what to do about it; empty when all is well.
    """

    case: Case
    state: State
    rows: int | None = None
    expected: int | None = None
    missing: int = 0
    unexpected: int = 0
    detail: str = ""


def cases(library: Library) -> Iterator[Case]:
    """Return the cases of all queries, in a fixed order."""
    for query in library:
        yield Case(query, "", {p.name: p.example for p in query.parameters})
        for name, values in query.cases.items():
            yield Case(query, name, dict(values))


def examine(
    library: Library, readers: Readers, case: Case, folder: Path, version: int | None = None
) -> Outcome:
    """Run a case and compare the answer with the expected one.

    Args:
        folder: of the queries.

    Raises:
        Busy: the service had no time for it, which says nothing of the question.
    """
    try:
        text = answer(library, readers, case, version)
    except Busy:
        raise
    except KgError as e:
        return Outcome(case, State.FAILED, detail=f"{case.label}: {e.detail}")
    path, rows, query = folder / case.file, _rows(text), case.query
    expected = _rows(read(path).decode()) if path.exists() else Counter()
    outcome = Outcome(
        case,
        State.ANSWERED,
        rows.total(),
        expected.total() if path.exists() else None,
        (expected - rows).total(),
        (rows - expected).total(),
    )
    if query.recorded:
        return Outcome(case, State.RECORDED, outcome.rows)
    if query.awaits and not outcome.rows:
        return replace(outcome, state=State.AWAITS)
    if query.awaits:
        state, told = (
            State.OUTDATED,
            f"has {outcome.rows} rows now: remove 'awaits' from {query.path}",
        )
        why = f"{told} and write its expected rows."
    elif not outcome.rows:
        state, told = (
            State.EMPTY,
            f"has no answer: {query.empty} If the graph cannot answer it yet,",
        )
        why = f"{told} say in {query.path} what it 'awaits'."
    elif rows != expected:
        state = State.DIFFERS
        why = (
            f"lacks {outcome.missing} of {expected.total()} expected rows and has {outcome.unexpected} others. Read"
            f" the difference to {path}; if it is right, write the file anew with 'kg4p1000 query"
            f" {query.name} --expected'."
        )
    else:
        return outcome
    return replace(outcome, state=state, detail=f"{case.label} {why}")


def answer(library: Library, readers: Readers, case: Case, version: int | None = None) -> str:
    """Return the rows of a case as CSV, with the line ends of Unix."""
    result = library.run(readers, case.query.name, case.values, "csv", version)
    return result.read().decode().replace("\r\n", "\n")


def write_expected(library: Library, readers: Readers, name: str, folder: Path) -> list[Path]:
    """Write what the graph answers now as the expected rows of a query, for review.

    Returns:
        The files that changed; those of a query that awaits data, or tells what people record, are deleted.
    """
    changed: list[Path] = []
    for case in (case for case in cases(library) if case.query.name == name):
        path = folder / case.file
        before = path.read_text(encoding="utf-8") if path.exists() else None
        if case.query.awaits or case.query.recorded:
            after = None
            path.unlink(missing_ok=True)
        elif before != (after := answer(library, readers, case)):
            path.parent.mkdir(exist_ok=True)
            path.write_text(after, encoding="utf-8")
        if after != before:
            changed.append(path)
    return changed


def _rows(text: str) -> Counter[tuple[str, ...]]:
    return Counter(map(tuple, list(csv.reader(io.StringIO(text, newline="")))[1:]))
