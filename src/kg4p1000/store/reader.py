"""A process that answers queries over one published version, and can be killed at any time.

Run by a `Worker`. An answer is one message (what kind of result), frames
of the serialised result, and a message that it has ended or what was wrong; where nothing went out yet, that alone.
"""

from __future__ import annotations

import json
from typing import Any, BinaryIO

import pyoxigraph as ox
from pyoxigraph import Variable

from ..kernel.errors import NotAcceptable
from ..kernel.processes import DATA, MESSAGE, address_space, frame, serve
from ..kernel.terms import BASE, PREFIXES
from . import formats
from .faults import problem
from .graphs import Merges, dataset

_FRAME = 64 * 1024
_KINDS: dict[type, str] = {
    ox.QuerySolutions: "solutions", ox.QueryBoolean: "boolean", ox.QueryTriples: "triples",
}  # fmt: skip
#: The next query with the same dataset need not make it again.
_last_merge: Merges = {}


class _Framed:
    """A file-like object that sends what is written to it in frames.

    Args:
        head: goes out with the first frame; a small answer is one write, which wakes who waits for it once.
        first: bytes of the first frame.
    """

    def __init__(self, out: BinaryIO, head: dict[str, Any], first: int) -> None:
        self._out, self._size, self._waiting = out, first, bytearray()
        self._head = frame(MESSAGE, json.dumps(head).encode())

    def write(self, data: bytes) -> int:
        self._waiting += data
        if len(self._waiting) >= self._size:
            self._size = _FRAME
            self.flush()
            self._out.flush()
        return len(data)

    def flush(self) -> None:
        """Send what has been written; it leaves this process with what comes next, or by a flush."""
        self._out.write(self._head + (frame(DATA, self._waiting) if self._waiting else b""))
        self._head, self._waiting = b"", bytearray()


def answer(database: ox.Store, request: dict[str, Any], out: BinaryIO) -> dict[str, Any]:
    """Answer a query; see `Readers.query` for what a request has.

    Raises:
        KgError: what is wrong with it.
    """
    try:
        result = _evaluate(database, request)
        head: dict[str, Any] = {"kind": _KINDS[type(result)]}
        if isinstance(result, ox.QuerySolutions):
            head["variables"] = [v.value for v in result.variables]
        form = request["form"] or ("ntriples" if head["kind"] == "triples" else "json")
        framed = _Framed(out, head, formats.HELD.get(form, _FRAME))
        formats.write(result, framed, form)
    except formats.CannotWrite as e:
        raise NotAcceptable(str(e)) from None
    except (SyntaxError, ValueError, RuntimeError, OSError) as e:
        raise problem(e, request["query"]) from None
    framed.flush()
    return {}


def _evaluate(database: ox.Store, request: dict[str, Any]) -> Any:
    options: dict[str, Any] = {}
    if request["default_graphs"] is not None:
        default, named = request["default_graphs"], request["named_graphs"]
        database, options = dataset(database, default, named, _last_merge)
    bindings = {Variable(name): _term(text) for name, text in request["bindings"].items()}
    text = _in_order(request["query"], request["columns"])
    return database.query(text, **_prologue(text), substitutions=bindings or None, **options)


def _term(text: str) -> Any:
    return next(ox.parse(f"<s:> <p:> {text} .", format=ox.RdfFormat.N_QUADS)).object


def _prologue(text: str) -> dict[str, Any]:
    # Reading all prefixes takes the engine as long as a small query.
    prefixes = {name: space for name, space in PREFIXES.items() if f"{name}:" in text}
    return {"base_iri": BASE, "prefixes": prefixes}


def _in_order(text: str, columns: tuple[int, list[str]] | None) -> str:
    """Return the query with its columns in the order in which they appear; the engine sorts those of ``SELECT *`` by name."""
    if not columns:
        return text
    star, order = columns
    places = {name: at for at, name in enumerate(order)}
    found = [v.value for v in ox.Store().query(text, **_prologue(text)).variables]
    found.sort(key=lambda name: places.get(name, len(places)))
    names = " ".join(f"?{name}" for name in found) or "*"
    return f"{text[:star]} {names} {text[star + 1 :]}"


def main(folder: str) -> None:
    """Open a version, and answer queries over it."""
    database = ox.Store.read_only(folder)
    list(database.query("SELECT * WHERE { ?s ?p ?o } LIMIT 1"))
    serve(lambda request, out: answer(database, request, out), address_space())
