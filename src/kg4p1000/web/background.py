"""What is found out once a version of the graph: kept, or looked for in the background."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial, wraps
from pathlib import Path
from typing import Generic, TypeVar

from flask import current_app
from pyoxigraph import NamedNode

from ..kernel.errors import Busy, KgError
from ..knowledge import questions
from ..knowledge.queries import Library
from ..knowledge.questions import Outcome
from ..store import Readers

_log = logging.getLogger(__name__)
T = TypeVar("T")
K = TypeVar("K", int, str)

#: Versions of which the results of a function are kept.
_KEPT = 8
#: Seconds that a request waits for all results; most graphs give them within.
_PATIENCE = 1.5
#: Seconds after which a task is tried again when the service was busy, and that a count may take.
_PAUSE, _LONG = 2.0, 600.0
_COUNTS = {
    "graphs": "SELECT ?what (COUNT(*) AS ?count) WHERE { GRAPH ?what { ?s ?p ?o } } GROUP BY ?what",
    "classes": "SELECT ?what (COUNT(*) AS ?count) WHERE { ?s a ?what } GROUP BY ?what",
    "properties": "SELECT ?what (COUNT(*) AS ?count) WHERE { ?s ?what ?o } GROUP BY ?what",
    "subjects": "SELECT (rdf:subject AS ?what) (COUNT(DISTINCT ?s) AS ?count) WHERE { ?s ?p ?o }",
}


def once_per_version(read: Callable[[K], T]) -> Callable[[K], T]:
    """Keep what a function reads of the last few versions that it was asked for, for a version never changes."""

    @wraps(read)
    def kept(version: K) -> T:
        results = current_app.extensions.setdefault(f"{read.__module__}.{read.__qualname__}", {})
        if version not in results:
            result = results[version] = read(version)
            for old in list(results)[:-_KEPT]:
                results.pop(old, None)
            return result
        return results[version]  # type: ignore[no-any-return]

    return kept


class Background(Generic[T]):
    """Runs tasks on a version of the graph, one after another in a thread of its own.

    Args:
        tasks: name to what gives a result of a version.
    """

    def __init__(self, tasks: Mapping[str, Callable[[int], T]]) -> None:
        self._tasks = tasks
        self._version, self._results = 0, dict[str, T]()
        self._done = threading.Event()
        self._lock = threading.Lock()

    def results(self, version: int, patience: float = _PATIENCE) -> dict[str, T]:
        """Return the results that are there for a version, by the name of the task.

        Args:
            version: the published one; a thread that is busy with another gives up.
            patience: seconds to wait for the rest.
        """
        with self._lock:
            if version != self._version:
                self._version, self._results, self._done = version, {}, threading.Event()
                started = (version, self._results, self._done)
                threading.Thread(target=self._run, args=started, daemon=True).start()
            results, done = self._results, self._done
            if version != self._version:
                return {}
        done.wait(patience)
        return dict(results)

    def _run(self, version: int, results: dict[str, T], done: threading.Event) -> None:
        for name, task in self._tasks.items():
            while name not in results and self._version == version:
                try:
                    results[name] = task(version)
                except Busy:
                    time.sleep(_PAUSE)
                except KgError as e:
                    _log.warning("version %d has no %s: %s", version, name, e.detail)
                    with self._lock:  # the next request starts anew
                        self._version = 0 if self._version == version else self._version
        done.set()


def census(readers: Readers) -> Background[dict[str, int]]:
    """Return what counts graphs, classes and properties by IRI, and all subjects."""
    return Background({name: partial(_count, readers, query) for name, query in _COUNTS.items()})


def examiner(library: Library, readers: Readers, folder: Path) -> Background[Outcome]:
    """Return what asks all competency questions, by the label of the case.

    Args:
        folder: of the queries.
    """
    return Background(
        {
            case.label: partial(questions.examine, library, readers, case, folder)
            for case in questions.cases(library)
        }
    )


def _count(readers: Readers, query: str, version: int) -> dict[str, int]:
    return {
        row["what"].value: int(row["count"].value)  # type: ignore[union-attr]
        for row in readers.query(query, version=version, timeout=_LONG).rows()
        if isinstance(row["what"], NamedNode)
    }
