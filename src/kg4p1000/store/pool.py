"""The pool of readers: queries go in, streams of bytes come out, runaways are stopped.

Each query has a reader of its own while it runs. Its bytes are spooled as they come, so that a slow
client neither holds the reader nor is cut by the time limit, which counts evaluation alone.
"""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, Any

from ..errors import BadParameter, MalformedQuery, MemoryLimit, ReaderLost, StoreUnusable, TimeLimit
from .reader import FAULT
from .versions import Store

_SPOOL = 1 << 20
_CHUNK = 64 * 1024
_POSITION = re.compile(r"error at (\d+):(\d+): (.*)", re.DOTALL)


class _Reader:
    """One reader process, bound to one version and holding its lease."""

    def __init__(self, store: Store, version: int) -> None:
        self.version = version
        self._leases = ExitStack()
        folder = self._leases.enter_context(store.lease(version))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kg4p1000.store.reader", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def send(self, request: dict[str, Any]) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()

    @property
    def out(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def close(self) -> int:
        """End the process if it has not ended, and give its exit code."""
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass
        code = self.process.wait()
        self._leases.close()
        return code


@dataclass
class Result:
    """The result of a query, as it comes.

    Attributes:
        kind: ``solutions``, ``boolean`` or ``triples``.
        version: the version of the graph that was asked.
        variables: names of the columns, for solutions.
    """

    kind: str
    version: int
    variables: list[str] = field(default_factory=list)
    _reader: _Reader | None = None
    _spool: Any = field(
        default_factory=lambda: tempfile.SpooledTemporaryFile(_SPOOL)  # noqa: SIM115 - see close
    )
    _written: int = 0
    _ended: bool = False
    _fault: Exception | None = None
    _news: threading.Condition = field(default_factory=threading.Condition)

    def chunks(self) -> Iterator[bytes]:
        """The serialised result in pieces.

        Raises:
            TimeLimit, MemoryLimit, ReaderLost: the query was stopped after bytes had gone out.
        """
        position = 0
        try:
            while True:
                with self._news:
                    while self._written == position and not self._ended:
                        self._news.wait()
                    if self._written == position:
                        if self._fault:
                            raise self._fault
                        return
                    self._spool.seek(position)
                    data = self._spool.read(min(_CHUNK, self._written - position))
                position += len(data)
                yield data
        finally:
            self.close()

    def read(self) -> bytes:
        """The whole serialised result."""
        return b"".join(self.chunks())

    def json(self) -> Any:
        """The whole result, when it was asked for as JSON."""
        return json.loads(self.read())

    def close(self) -> None:
        """Let go of the result; a query that is still running is stopped."""
        with self._news:
            if not self._ended and self._reader:
                self._reader.process.kill()
            self._spool.close()

    def __del__(self) -> None:
        self.close()

    def _add(self, data: bytes) -> None:
        with self._news:
            if self._spool.closed:
                return
            self._spool.seek(self._written)
            self._spool.write(data)
            self._written += len(data)
            self._news.notify_all()

    def _end(self, fault: Exception | None = None) -> None:
        with self._news:
            self._fault = fault
            self._ended = True
            self._news.notify_all()


class Readers:
    """The readers of a store.

    Args:
        store: whose published version is asked, unless a query names another.
        size: how many queries run at once; more wait.
        timeout: seconds of evaluation after which a query is stopped.
        memory: megabytes beyond what the opened database takes.
    """

    def __init__(
        self, store: Store, size: int = 4, timeout: float = 30, memory: int = 1024
    ) -> None:
        self.store = store
        self.timeout = timeout
        self.memory = memory
        self._idle: list[_Reader] = []
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(size)
        self._closed = False

    def query(
        self,
        text: str,
        *,
        bindings: Mapping[str, Any] | None = None,
        default_graphs: list[str] | None = None,
        named_graphs: list[str] | None = None,
        result_format: str = "json",
        rdf_format: str = "ntriples",
        version: int | None = None,
        timeout: float | None = None,
    ) -> Result:
        """Run a query that passed the guard (`sparql`).

        Args:
            bindings: terms for variables, by name; bound as terms, never pasted into the text.
            default_graphs: the request's dataset; None leaves the query's own.
            result_format: ``json``, ``xml``, ``csv`` or ``tsv``, for solutions and booleans.
            rdf_format: ``turtle``, ``ntriples``, ``jsonld`` or ``rdfxml``, for triples.
            version: another version than the published one.
            timeout: a shorter time limit than the pool's, in seconds.

        Raises:
            MalformedQuery: with ``line`` and ``column`` where the engine tells.
            TimeLimit, MemoryLimit, ReaderLost: stopped before the first byte.
        """
        limit = min(timeout or self.timeout, self.timeout)
        request = {
            "query": text,
            "bindings": {name: str(term) for name, term in (bindings or {}).items()},
            "default_graphs": default_graphs,
            "named_graphs": named_graphs or [],
            "result_format": result_format,
            "rdf_format": rdf_format,
            "timeout": limit,
            "memory": self.memory << 20,
        }
        if default_graphs is None and named_graphs is not None:
            request["default_graphs"] = []
        self._places.acquire()
        reader = None
        try:
            reader, head = self._ask(request, version)
            if reader is None or head is None:
                raise ReaderLost("The process that answered the query ended; please try again.")
        except BaseException:
            self._places.release()
            raise
        if "error" in head:
            self._give_back(reader)
            raise _problem(head)
        result = Result(head["kind"], reader.version, head.get("variables", []), reader)
        threading.Thread(target=self._pump, args=(reader, result, limit), daemon=True).start()
        return result

    def _ask(
        self, request: dict[str, Any], version: int | None
    ) -> tuple[_Reader | None, dict[str, Any] | None]:
        """Send a request; a reader that had died while idle is replaced once."""
        for _ in range(2):
            reader = self._take(version)
            try:
                reader.send(request)
                line = reader.out.readline()
            except (BrokenPipeError, ConnectionResetError):
                reader.close()
                continue
            if line:
                return reader, json.loads(line)
            code = reader.close()
            if fault := self._exit_fault(code, request["timeout"]):
                raise fault
        return None, None

    def _take(self, version: int | None) -> _Reader:
        number = self.store.current if version is None else version
        if not number:
            raise StoreUnusable("The store is empty; run 'kg4p1000 build' first.")
        with self._lock:
            stale = [r for r in self._idle if r.version != number and version is None]
            for reader in stale:
                self._idle.remove(reader)
            found = next((r for r in self._idle if r.version == number), None)
            if found:
                self._idle.remove(found)
        for reader in stale:
            reader.close()
        return found or _Reader(self.store, number)

    def _give_back(self, reader: _Reader) -> None:
        with self._lock:
            keep = not self._closed and reader.alive and reader.version == self.store.current
            if keep:
                self._idle.append(reader)
        if not keep:
            reader.close()
        self._places.release()

    def _pump(self, reader: _Reader, result: Result, limit: float) -> None:
        """Move frames from the reader to the spool until the result ends."""
        fault: Exception | None = None
        try:
            while True:
                head = _exactly(reader.out, 4)
                (length,) = struct.unpack(">I", head)
                if length == 0:
                    break
                if length == FAULT:
                    (length,) = struct.unpack(">I", _exactly(reader.out, 4))
                    message = json.loads(_exactly(reader.out, length))["message"]
                    fault = ReaderLost(f"The query failed while its result was written: {message}")
                    break
                result._add(_exactly(reader.out, length))
        except EOFError:
            fault = self._exit_fault(reader.close(), limit) or ReaderLost()
            self._places.release()
        else:
            self._give_back(reader)
        result._end(fault)

    def _exit_fault(self, code: int, limit: float) -> Exception | None:
        if code == -signal.SIGALRM:
            return TimeLimit(
                f"The query was stopped after {limit:g} s of evaluation. Ask for less: fewer"
                " unconnected patterns, a narrower property path, a LIMIT.",
                limit_seconds=limit,
            )
        if code == -signal.SIGABRT:
            return MemoryLimit(
                f"The query was stopped because it needed more than {self.memory} MB. Ask for less:"
                " sorting, grouping and DISTINCT keep their whole input in memory.",
                limit_megabytes=self.memory,
            )
        return None

    def close(self) -> None:
        """End the idle readers; those at work end with their query."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for reader in idle:
            reader.close()


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    data = pipe.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _problem(head: dict[str, Any]) -> Exception:
    message = head["message"]
    if head["error"] == "syntax":
        if match := _POSITION.match(message):
            line, column, expected = match.groups()
            return MalformedQuery(
                f"Line {line}, column {column}: {expected}.", line=int(line), column=int(column)
            )
        return MalformedQuery(message)
    if "substitute" in message.lower() or "variable" in message.lower():
        return BadParameter(message)
    return MalformedQuery(message)
