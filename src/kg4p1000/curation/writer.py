"""The process that makes changes for the service: warm, limited, and killable at any time.

Until the change log has a change, nothing has happened; whatever a killed process left aside is discarded when the
next change begins.
"""

from __future__ import annotations

import base64
import io
import logging
import threading
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pyoxigraph as ox
from pyoxigraph import NamedNode, Quad

from .. import sparql
from ..kernel import errors, logs
from ..kernel.processes import Limits, Worker, serve
from ..kernel.terms import GRAPH, ID, curie, iri, short
from ..store import Delta, Draft, Store, statements
from ..store.changes import touches
from ..store.parsing import sentence
from . import commits, decisions
from .access import Role
from .build import load_shapes
from .loading import refuse_blank, register_graph

_log = logging.getLogger(__name__)
#: Media types in which a graph may be sent.
GRAPH_TYPES = ("text/turtle", "application/n-triples", "application/ld+json", "application/rdf+xml")
#: So many changed statements are listed in an answer; of more it has the numbers, and the log the rest.
LISTED = 1000
#: So many changes are made or wait at once: fewer than the service has threads to spare.
_PLACES = 6


class Writer:
    """The service's end of the process.

    Args:
        store: folder of the store.
        files: folder of the knowledge, for the shapes.
        timeout: seconds that one change may take.
        memory: megabytes that the process may take for it.
        keep: databases of versions that may stay; see `Store`.
        topics: modules that register what follows from changes; each brings it up to date where it runs as a process.
    """

    def __init__(
        self,
        store: Path,
        files: Path,
        timeout: float,
        memory: int,
        keep: int = 0,
        topics: Sequence[str] = (),
    ) -> None:
        self._arguments, self._topics = (str(store), str(files), str(keep)), topics
        self.timeout, self.memory = timeout, memory
        self._following: list[threading.Thread] = []
        self._worker: Worker | None = None
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(_PLACES)

    def change(self, **request: Any) -> dict[str, Any]:
        """Make a change; changes wait for each other.

        Args:
            request: ``kind`` (update, put, post, delete, undo or decide) with what that takes, ``author``,
                ``role`` (its number), ``message``, ``dry_run``, and the tags ``if_match`` and ``if_none_match``.

        Returns:
            ``version`` (None when nothing was published), ``added`` and ``removed`` as sorted
            N-Quads statements of what was stated, ``inferred`` as a count, ``report``, ``normalised``: by datatype,
            how many literals are kept otherwise than they were sent, with an example,
            ``made_graph``: whether a graph was sent that was not there, and
            ``overlaps_follow``: whether what follows slowly, the overlaps, is worked out anew after it, as a change of its own.

        Raises:
            Busy: too many changes wait already.
            KgError: what the change was refused for; nothing was changed.
        """
        limits = Limits(
            self.timeout,
            self.memory,
            "The change took longer than {} s and was stopped; nothing was changed. Send it in smaller parts.",
            "The change needed more than {} MB and was stopped; nothing was changed. Send it in smaller parts.",
            lambda _: errors.WriterLost(),
        )
        if not self._places.acquire(blocking=False):
            told = f"{_PLACES} changes are being made or wait; send this one again later."
            raise errors.Busy(told, retry_after=5)
        try:
            with self._lock:
                if self._worker is None or not self._worker.alive:
                    if self._worker is not None:
                        self._worker.end()
                    self._worker = Worker(__name__, *self._arguments, *self._topics)
                worker, answer = self._worker, None
                try:
                    answer = worker.ask(request, limits)
                    return answer
                finally:
                    # A change may have been made before its process was ended.
                    if answer["overlaps_follow"] if answer else not worker.alive:
                        self._follow()
        finally:
            self._places.release()

    def _follow(self) -> None:
        """Bring the overlaps to what was changed, beside the changes and without holding up answers."""
        self._following = [thread for thread in self._following if thread.is_alive()]
        # One that runs may have read the version before; one more that waits for it is enough.
        if len(self._following) < 2:
            self._following.append(threading.Thread(target=self._detect, daemon=True))
            self._following[-1].start()

    def _detect(self) -> None:
        for topic in self._topics:
            worker = Worker(topic, *self._arguments)
            try:
                worker.ask({}, Limits(0, 0, "", "", lambda _: errors.WriterLost()))
            except errors.KgError as e:
                _log.error("what follows by %s was not worked out anew: %s", topic, e.detail)
            finally:
                worker.end()

    def close(self) -> None:
        """End the process; a change that is being made and is not in the log yet is dropped."""
        if self._worker is not None:
            if self._worker.alive:
                self._worker.kill()
            with self._lock:  # when whoever waits for its answer has ended it
                self._worker.end()


# in the process


def perform(store: Store, files: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Make one change.

    Raises:
        KgError: what it is refused for.
    """
    shapes, role, made_graph = load_shapes(files), Role(request["role"]), False
    common = {
        "author": request["author"],
        "message": request.get("message", ""),
        "dry_run": request.get("dry_run", False),
    }

    def permit(draft: Draft, graphs: set[Any]) -> None:
        _see_conditions(store, draft, request)
        _permit(graphs, role, _editable(draft))

    def choose(draft: Draft, made: Delta) -> Delta:
        if role < Role.ADMIN and any(quad.graph_name == decisions.GRAPH for quad in made):
            # What followed from decisions, in graphs that are for software, is worked out again.
            follows = decisions.graphs()
            made = made.only(lambda quad: quad.graph_name not in follows)
        permit(draft, {quad.graph_name for quad in made})
        return made

    if request["kind"] == "undo":
        done = commits.undo(store, shapes, request["version"], choose=choose, **common)
    elif request["kind"] == "decide":
        del common["message"]  # says what was decided
        topic = next(t for t in decisions.topics if t.thing.value == request["topic"])
        said = {"kind": request["decided_kind"], "status": request["status"], "why": request["why"]}
        done = decisions.decide(
            store,
            shapes,
            topic,
            NamedNode(request["thing"]),
            lambda draft: permit(draft, {decisions.GRAPH}),
            **said,
            **common,
        )
    else:

        def change(draft: Draft) -> None:
            nonlocal made_graph
            _see_conditions(store, draft, request)
            if request["kind"] in ("put", "post"):
                made_graph = next(draft.quads(NamedNode(request["graph"])), None) is None
            _write(draft, role, request)
            refuse_blank(files, draft.delta.added)

        wipe = role >= Role.ADMIN
        done = commits.commit(store, shapes, change, source=request["kind"], wipe=wipe, **common)
    return _answer(done, made_graph)


def _answer(done: commits.Commit, made_graph: bool) -> dict[str, Any]:
    stated = done.delta.only(commits.is_stated)
    few = len(stated) <= LISTED
    return {
        "version": done.entry.version if done.entry else None,
        "counts": {"added": len(stated.added), "removed": len(stated.removed)},
        "added": sorted(f"{q} ." for q in stated.added) if few else None,
        "removed": sorted(f"{q} ." for q in stated.removed) if few else None,
        "inferred": len(done.delta) - len(stated),
        "made_graph": made_graph and bool(stated.added),
        "report": done.report.to_dict(),
        "normalised": done.normalised,
        "overlaps_follow": bool(done.entry) and commits.is_followed(stated),
    }


def _see_conditions(store: Store, draft: Draft, request: dict[str, Any]) -> None:
    """See that the graph is in the state for which a change is meant (RFC 9110, section 13).

    An ETag of ours begins with a version. It holds as long as the graph that a request names has not changed since;
    where it names none, as long as that version is the published one.

    Raises:
        PreconditionFailed: it is in another.
    """
    graph = NamedNode(request["graph"]) if "graph" in request else None
    there = graph is None or next(draft.quads(graph), None) is not None

    def holds(tags: list[str]) -> bool:
        return there and any(tag == "*" or _is_state(store, draft.base, tag, graph) for tag in tags)

    wanted, unwanted = request.get("if_match"), request.get("if_none_match")
    what = short(graph.value) if graph else "The published graph"
    if wanted is not None and not holds(wanted):
        how = "has changed since it was read" if there else "is not there"
        why = f"{what} {how}, or If-Match is no ETag of it. Read it again, and send the change with the new ETag."
    elif unwanted is not None and holds(unwanted):
        why = (
            f"{what} is there, and If-None-Match says that the change is meant for where it is not."
        )
    else:
        return
    raise errors.PreconditionFailed(f"{why} Nothing was changed.", version=draft.base)


def _is_state(store: Store, base: int, tag: str, graph: NamedNode | None) -> bool:
    """Return whether an ETag is of the state of a graph, or of the whole, that is published."""
    number = tag.partition("-")[0]
    if not (number.isascii() and number.isdecimal() and len(number) < 10):
        return False
    if graph is None or not 0 < int(number) < base:
        return int(number) == base
    later = range(int(number) + 1, base + 1)
    return not any(touches(store.log_path(version), graph) for version in later)


def _write(draft: Draft, role: Role, request: dict[str, Any]) -> None:
    """Do an update, or what the Graph Store Protocol asks for."""
    editable = _editable(draft)  # before the change might say otherwise
    _apply(draft, request)
    added = {quad.graph_name.value for quad in draft.delta.added}
    sparql.refuse_foreign("The graph", added)
    _permit({quad.graph_name for quad in draft.delta}, role, editable)
    title = request.get("register", "")
    for graph in sorted(added):
        if title or graph.startswith(GRAPH):  # an admin may have graphs of other names unjudged
            register_graph(draft, NamedNode(graph), title, "Statements sent to the service.")
    if role < Role.ADMIN:
        _in_own_name(draft, request["author"])


def _apply(draft: Draft, request: dict[str, Any]) -> None:
    """Do an update, or what the Graph Store Protocol asks for, as it is sent."""
    if request["kind"] == "update":
        sparql.apply_update(
            request["text"],
            draft,
            using=request.get("using"),
            using_named=request.get("using_named"),
            derived={commits.INFERRED},
        )
        return
    graph = NamedNode(request["graph"])
    sent = _sent(request, graph) if request["kind"] != "delete" else set()
    gone = set(draft.quads(graph)) - sent if request["kind"] != "post" else set()
    if not sent and not gone:
        raise errors.NotFound(
            f"There is no graph {request['graph']}; /graph/ lists those that there are."
        )
    draft.apply(Delta.of(sent, gone, draft.normalised))


def _sent(request: dict[str, Any], graph: NamedNode) -> set[Quad]:
    """Return the triples of a body, in a graph; blank nodes get names that nothing else has."""
    try:
        body = io.BytesIO(base64.b64decode(request["data"]))
        form = ox.RdfFormat.from_media_type(request["media_type"])
        parsed = statements(body, form, request["graph"])
        if found := {Quad(q.subject, q.predicate, q.object, graph) for q in parsed}:
            return found
    except SyntaxError as e:
        place = f"Line {e.lineno}, column {e.offset}: " if e.lineno else ""
        told = sentence(e.msg)
        told = told if place else f"The body cannot be read: {told}"
        raise errors.MalformedRequest(f"{place}{told}.", line=e.lineno, column=e.offset) from None
    except ValueError as e:
        raise errors.MalformedRequest(f"The body cannot be read: {sentence(str(e))}.") from None
    raise errors.MalformedRequest(
        f"0 statements were understood of the body as {request['media_type']}: it is empty, was cut, or is something"
        " else (JSON-LD needs a context). Nothing was changed; to empty a graph, DELETE it, or CLEAR it by an update."
    )


def _editable(draft: Draft) -> set[str]:
    marked = draft.match(None, iri("k4p:editable"), ox.Literal(True), iri("graph:graphs"))
    return {q.subject.value for q in marked if isinstance(q.subject, NamedNode)}


def _permit(touched: set[Any], role: Role, editable: set[str]) -> None:
    """See that a role may write to the graphs that a change touches; the one rule, for every kind of change.

    Raises:
        Forbidden: it may not.
    """
    for graph in sorted(touched, key=str):
        if graph == commits.INFERRED:
            raise errors.Forbidden(
                "graph:inferred is for the rules alone; change what they follow from."
            )
        if role < Role.STEWARD or (role < Role.ADMIN and graph.value not in editable):
            raise errors.Forbidden(
                f"{short(graph.value)} is not marked editable, so a"
                f" {role.name.lower()} may not write to it; /graph/ lists the graphs."
            )


def _in_own_name(draft: Draft, author: str) -> None:
    """See that decisions that a change brings are made in the name of the token."""
    own = set(decisions.about_person(author))
    for quad in draft.delta.added - own:
        if quad.graph_name == decisions.GRAPH and (
            quad.object != decisions.person(author)
            if quad.predicate == iri("prov:wasAttributedTo")
            else not str(quad.subject).startswith(f"<{ID}decision/")
        ):
            raise errors.Forbidden(
                f"Decisions are made in one's own name, and this token is of {author}: they are"
                f" attributed to {curie(decisions.person(author).value)}."
            )


def main(store: str, files: str, keep: str, *topics: str) -> None:
    """Make the changes that are sent, and what follows from them by some topics."""
    for topic in topics:
        import_module(topic)
    logs.begin_child()
    serve(lambda request, _: _perform(Path(store), Path(files), int(keep), request))


def _perform(folder: Path, files: Path, keep: int, request: dict[str, Any]) -> dict[str, Any]:
    before = None
    try:
        store = Store(folder, keep=keep)
        before = store.current
        return perform(store, files, request)
    except MemoryError as e:
        if "buffer maximal size" not in str(e):
            raise
        raise errors.TooLarge("A term has more than 16 MiB, too much for the parser.") from None
    except errors.KgError:
        raise
    except Exception:
        _log.exception("a change ended by a fault")
        raise errors.KgError(_outcome(folder, before)) from None


def _outcome(folder: Path, before: int | None) -> str:
    """Return what a change that ended by a fault has done, for whoever sent it."""
    with suppress(errors.KgError, OSError):
        now = Store(folder).current
        if before == now:
            return "The service has a fault that this change meets; its log has more. Nothing was changed."
    return "The service has a fault that this change meets. Whether it was made stands under /versions."
