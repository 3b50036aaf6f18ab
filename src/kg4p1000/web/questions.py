"""The competency questions by goal and objective, and whether the published graph answers each.

They are asked in the background, once a version; a page shows what is known when it is asked for.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, Response, g, jsonify, render_template, request, url_for

from .. import questions
from ..errors import Busy, ClientGone
from ..queries import Library, StoredQuery
from ..questions import Case, Outcome, State
from ..store import Readers
from .home import goals_of
from .negotiation import choose
from .services import page_version, services

blueprint = Blueprint("questions", __name__)

_FORMS = {"json": ("application/json",), "html": ("text/html",)}
#: Seconds for which a page awaits the answers; most graphs answer all within.
_PATIENCE = 1.5
#: Seconds after which a case is asked again when the service was busy.
_PAUSE = 2.0
#: What a page says of a case of which nothing is known yet.
UNKNOWN = "not checked yet"


class Examiner:
    """Asks all questions of the published version, one after another in a thread of its own.

    Args:
        folder: of the queries.
    """

    def __init__(self, library: Library, readers: Readers, folder: Path) -> None:
        self._library, self._readers, self._folder = library, readers, folder
        self._version = 0
        self._outcomes: dict[str, Outcome] = {}
        self._done = threading.Event()
        self._closed = threading.Event()
        self._lock = threading.Lock()

    def outcomes(self, version: int, patience: float = _PATIENCE) -> dict[str, Outcome]:
        """What is known of a version, by the label of the case; what is not known is not there.

        Args:
            version: the published one; others are examined no more.
            patience: seconds to wait for the rest.
        """
        with self._lock:
            if version > self._version and not self._closed.is_set():
                self._version, self._outcomes = version, {}
                self._done = threading.Event()
                arguments = (version, self._outcomes, self._done)
                threading.Thread(target=self._run, args=arguments, daemon=True).start()
            elif version != self._version:
                return {}
            known, done = self._outcomes, self._done
        done.wait(patience)
        return dict(known)

    def close(self) -> None:
        """Ask no more."""
        self._closed.set()

    def _run(self, version: int, known: dict[str, Outcome], done: threading.Event) -> None:
        def gone() -> bool:
            return self._closed.is_set() or self._version != version

        for case in questions.cases(self._library):
            outcome = None
            while outcome is None and not gone():
                outcome = self._examine(case, version, gone)
            if outcome:
                known[case.label] = outcome
        done.set()

    def _examine(self, case: Case, version: int, gone: Callable[[], bool]) -> Outcome | None:
        try:
            return questions.examine(
                self._library, self._readers, case, self._folder, version, gone
            )
        except (Busy, ClientGone):
            self._closed.wait(_PAUSE)
            return None


@dataclass(frozen=True)
class Asked:
    """A question as a page shows it: its query, and its cases with what came of each."""

    query: StoredQuery
    cases: list[tuple[Case, Outcome | None]]

    @property
    def state(self) -> State | None:
        """The worst that came of its cases; None when one is not known yet."""
        states = [outcome.state if outcome else None for _, outcome in self.cases]
        if None in states:
            return None
        return max((s for s in states if s), key=list(State).index)


@blueprint.route("/questions")
def index() -> Response | str:
    """All competency questions, with what the published graph answers."""
    choice = choose(_FORMS, request.accept_mimetypes, request.args.get("format", ""))
    g.version = version = services().store.current or page_version()
    known = services().examiner.outcomes(version)
    asked: dict[str, Asked] = {}
    for case in questions.cases(services().library):
        if case.query.asked:
            entry = asked.setdefault(case.query.name, Asked(case.query, []))
            entry.cases.append((case, known.get(case.label)))
    if choice.key == "json":
        return jsonify({"version": version, "questions": [_fields(a) for a in asked.values()]})
    counted = Counter(a.state for a in asked.values())
    return render_template(
        "questions.html",
        goals=goals_of(version),
        of_objective=lambda code: [a for a in asked.values() if code in a.query.objectives],
        values_for=values_for,
        across=[a for a in asked.values() if a.query.across],
        total=len(asked),
        counts=[(state, counted[state]) for state in (*State, None) if counted[state]],
    )


def _fields(asked: Asked) -> dict[str, object]:
    query = asked.query
    return {
        "name": query.name,
        "question": query.questions,
        "objectives": query.objectives,
        "across": query.across,
        "awaits": query.awaits or None,
        "state": asked.state.value if asked.state else UNKNOWN,
        "cases": [
            {
                "case": case.name or None,
                "values": case.values,
                "href": url_for("queries.run", query_name=query.name, **case.values),
                "state": outcome.state.value if outcome else UNKNOWN,
                "rows": outcome.rows if outcome else None,
                "expected": outcome.expected if outcome else None,
                "missing": outcome.missing if outcome else None,
                "unexpected": outcome.unexpected if outcome else None,
            }
            for case, outcome in asked.cases
        ],
    }


def asked_by(library: Library, code: str) -> list[tuple[StoredQuery, dict[str, str]]]:
    """The questions of an objective, each with the values with which its page asks it."""
    return [(query, values_for(query, code)) for query in library if code in query.objectives]


def values_for(query: StoredQuery, code: str) -> dict[str, str]:
    """The examples of a query's parameters, the first objective among them being the given one."""
    values = {p.name: p.example for p in query.parameters}
    first = next((p.name for p in query.parameters if p.type == "objective"), None)
    if first and code not in values.values():
        values[first] = code
    return values
