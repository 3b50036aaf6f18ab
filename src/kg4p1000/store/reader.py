"""A process that answers queries over one published version, and can be killed at any time.

Run as ``python -m kg4p1000.store.reader FOLDER``. It reads one JSON line a query from standard input
and answers on standard output with one JSON line (what kind of result, or why not), then frames: four
bytes of length (big endian) and as many bytes of the serialised result; length 0 ends the result, and
`FAULT` announces an error after bytes went out.

Limits are the kernel's: the interval timer ends the process with SIGALRM, an allocation beyond
the address space limit with SIGABRT, whatever the query is doing and whether or not anyone is
left to watch.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
from typing import Any, BinaryIO

import pyoxigraph as ox
from pyoxigraph import Variable

from .. import processes
from ..terms import BASE, PREFIXES
from . import formats
from .frames import FAULT, READY
from .graphs import Merges, dataset

_FRAME = 64 * 1024


class _Framed:
    """A file-like object that sends what is written to it in frames.

    Args:
        head: goes out with the first frame; a small answer is one write, which wakes who waits for it once.
        frame: bytes of the first frame.
    """

    def __init__(self, out: BinaryIO, head: dict[str, Any], frame: int = _FRAME) -> None:
        self._out = out
        self._begun = json.dumps(head).encode() + b"\n"
        self._waiting = bytearray()
        self._frame = frame

    def write(self, data: bytes) -> int:
        self._waiting += data
        if len(self._waiting) >= self._frame:
            self._frame = _FRAME
            self.flush()
        return len(data)

    def refuse(self, fault: dict[str, Any]) -> None:
        """End with an error: in place of the result while nothing of it went out, else behind it."""
        message = json.dumps(fault).encode()
        if self._begun:
            self._begun, self._waiting = message + b"\n", bytearray()
            self.flush()
        else:
            self.flush(struct.pack(">II", FAULT, len(message)) + message)

    def flush(self, after: bytes = b"") -> None:
        data, self._begun = self._begun, b""
        if self._waiting:
            data += struct.pack(">I", len(self._waiting)) + self._waiting
            self._waiting = bytearray()
        self._out.write(data + after)
        self._out.flush()


def _term(text: str) -> Any:
    quad = next(ox.parse(f"<s:> <p:> {text} .", format=ox.RdfFormat.N_QUADS))
    return quad.object


#: The next query with the same dataset need not make it again.
_last_merge: Merges = {}


def evaluate(database: ox.Store, request: dict[str, Any]) -> Any:
    """Start a query.

    Args:
        request: ``query``; ``bindings`` (name to term in N-Triples form); ``default_graphs`` and
            ``named_graphs`` (IRIs) together or not at all.
    """
    options: dict[str, Any] = {}
    if request.get("default_graphs") is not None:
        default, named = request["default_graphs"], request["named_graphs"]
        database, options = dataset(database, default, named, _last_merge)
    bindings = {Variable(name): _term(text) for name, text in request.get("bindings", {}).items()}
    text = _in_order(request)
    return database.query(
        text,
        **_prologue(text),
        substitutions=bindings or None,
        **options,
    )


def _prologue(text: str) -> dict[str, Any]:
    # Reading all prefixes takes the engine as long as a small query.
    prefixes = {name: space for name, space in PREFIXES.items() if f"{name}:" in text}
    return {"base_iri": BASE, "prefixes": prefixes}


def _in_order(request: dict[str, Any]) -> str:
    """The query with its columns in the order in which they appear; the engine sorts those of ``SELECT *`` by name."""
    text: str = request["query"]
    if not (columns := request.get("columns")):
        return text
    star, order = columns
    places = {name: at for at, name in enumerate(order)}
    found = [v.value for v in ox.Store().query(text, **_prologue(text)).variables]
    found.sort(key=lambda name: places.get(name, len(places)))
    names = " ".join(f"?{name}" for name in found) or "*"
    return f"{text[:star]} {names} {text[star + 1 :]}"


def _answer(database: ox.Store, request: dict[str, Any], out: BinaryIO) -> None:
    try:
        result = evaluate(database, request)
    except MemoryError:
        os.abort()
    except (SyntaxError, ValueError, RuntimeError, OSError) as e:
        _head(out, _fault(e, request))
        return
    triples = isinstance(result, ox.QueryTriples)
    form = request["rdf_format" if triples else "result_format"]
    if triples:
        head: dict[str, Any] = {"kind": "triples"}
    else:
        boolean = isinstance(result, ox.QueryBoolean)
        variables = [] if boolean else [v.value for v in result.variables]
        head = {"kind": "boolean" if boolean else "solutions", "variables": variables}
    framed = _Framed(out, head, formats.HELD.get(form, _FRAME))
    try:
        if triples:
            formats.write_triples(result, framed, form)
        else:
            formats.write_results(result, framed, form)
    except MemoryError:
        os.abort()
    except formats.CannotWrite as e:
        framed.refuse({"error": "format", "message": str(e)})
        return
    except (ValueError, RuntimeError, OSError) as e:
        framed.refuse(_fault(e, request))
        return
    framed.flush(struct.pack(">I", 0))


def _fault(error: Exception, request: dict[str, Any]) -> dict[str, Any]:
    """What the service is told of an error."""
    if isinstance(error, SyntaxError):
        return {"error": "syntax", "message": str(error)}
    if isinstance(error, OSError):
        # A SERVICE clause met that there is no network, or the database cannot be read. The words may be those
        # of somebody else, so they stay here.
        calls = "service" in request["query"].lower()
        return {"error": "network" if calls else "database", "message": ""}
    return {"error": "evaluation", "message": str(error)}


def _head(out: BinaryIO, head: dict[str, Any]) -> None:
    out.write(json.dumps(head).encode() + b"\n")
    out.flush()


def _address_space() -> int:
    """The size of this process's address space in bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def main(folder: str) -> None:
    """Serve until standard input ends."""
    processes.confine()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service decides when readers stop
    database = ox.Store.read_only(folder)
    list(database.query("SELECT * WHERE { ?s ?p ?o } LIMIT 1"))
    opened = _address_space()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    out = sys.stdout.buffer
    out.write(READY)
    out.flush()
    for line in sys.stdin.buffer:
        request = json.loads(line)
        if memory := request.get("memory"):
            resource.setrlimit(resource.RLIMIT_AS, (opened + memory, hard))
        signal.setitimer(signal.ITIMER_REAL, request.get("timeout") or 0)
        _answer(database, request, out)
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main(sys.argv[1])
