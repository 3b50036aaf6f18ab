"""A client that loads a server: some connections, each asking the next query when it has the answer."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from urllib.parse import quote, urlsplit

JSON = "application/sparql-results+json"
#: For queries of which it is not known whether they make solutions or triples.
ANY = f"{JSON}, application/n-triples;q=0.9"


@dataclass
class Load:
    """What a load came to.

    Attributes:
        statuses: how often each status came; 0 stands for a broken connection.
        times: seconds of each answer, sorted.
        seconds: how long the load went on.
    """

    seconds: float = 0
    statuses: Counter[int] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return self.statuses[200] / self.seconds

    def quantile(self, share: float) -> float:
        """Seconds within which a share of the answers came."""
        return self.times[min(len(self.times) - 1, int(share * len(self.times)))]


def address_of(endpoint: str, query: str) -> str:
    """Return the address of a query by GET."""
    return f"{endpoint}?query={quote(query, safe='')}"


def load(endpoint: str, queries: Iterator[str], *, connections: int, seconds: float) -> Load:
    """Keep connections busy for a while.

    Args:
        queries: the texts, one after another; must not end.
    """
    result = Load()
    selector = selectors.DefaultSelector()
    began = time.perf_counter()
    until = began + seconds
    for _ in range(connections):
        _Connection(endpoint, queries, selector, result).ask()
    while selector.get_map():
        for key, _events in selector.select(timeout=30) or _stalled(selector, result):
            key.data.receive(time.perf_counter() < until)
    result.seconds = time.perf_counter() - began
    result.times.sort()
    return result


def _stalled(selector: selectors.BaseSelector, result: Load) -> tuple[()]:
    for key in list(selector.get_map().values()):
        key.data.close()
        result.statuses[0] += 1
    return ()


class _Connection:
    """One connection, and the answer that it waits for."""

    def __init__(
        self, endpoint: str, queries: Iterator[str], selector: selectors.BaseSelector, result: Load
    ) -> None:
        at = urlsplit(endpoint)
        self._host, self._port, self._path = at.hostname, at.port, at.path
        self._queries, self._selector, self._result = queries, selector, result
        self._socket: socket.socket | None = None

    def ask(self) -> None:
        request = (
            f"GET {address_of(self._path, next(self._queries))} HTTP/1.1\r\n"
            f"Host: {self._host}:{self._port}\r\nAccept: {JSON}\r\n\r\n"
        ).encode()
        self._data = b""
        self._asked = time.perf_counter()
        if self._socket is None:
            self._socket = socket.create_connection((self._host, self._port), timeout=30)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(self._socket, selectors.EVENT_READ, self)
        self._socket.sendall(request)

    def receive(self, again: bool) -> None:
        assert self._socket is not None
        try:
            data = self._socket.recv(1 << 18)
        except OSError:
            data = b""
        self._data += data
        if not data:
            self._count(0 if not _complete(self._data, closed=True) else _status(self._data))
            self.close()
        elif _complete(self._data):
            self._count(_status(self._data))
            if b"\r\nconnection: close" in self._data[:2000].lower():
                self.close()
        else:
            return
        if again:
            self.ask()
        else:
            self.close()

    def _count(self, status: int) -> None:
        self._result.statuses[status] += 1
        self._result.times.append(time.perf_counter() - self._asked)

    def close(self) -> None:
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None


def _status(data: bytes) -> int:
    return int(data[9:12])


def _complete(data: bytes, closed: bool = False) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    if not end:
        return False
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return len(body) >= int(value)
        if name == b"transfer-encoding":
            return body.endswith(b"0\r\n\r\n")
    return closed


@dataclass(frozen=True)
class Answer:
    """What came of one query.

    Attributes:
        status: of HTTP; 0 when the answer broke off.
        first: seconds to the first byte of the body; 0 without one.
        seconds: until its end.
        size: bytes of the body.
    """

    status: int
    first: float
    seconds: float
    size: int


def ask(endpoint: str, query: str, *, accept: str = JSON, timeout: float = 600) -> Answer:
    """Ask once, and read the whole answer."""
    request = urllib.request.Request(address_of(endpoint, query), headers={"Accept": accept})
    began = time.perf_counter()
    first = 0.0
    size = 0
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            while chunk := response.read1(1 << 16):
                first = first or time.perf_counter() - began
                size += len(chunk)
            # What is left of the announced length did not come.
            status = 0 if response.length else response.status
    except urllib.error.HTTPError as e:
        status = e.code
        e.close()
    except (OSError, HTTPException):
        status = 0
    return Answer(status, first, time.perf_counter() - began, size)


def processes(pid: int) -> list[int]:
    """Return a process and all that it has started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # ended meanwhile
            for child in task.read_text().split():
                found += processes(int(child))
    return found


def web_process(pid: int) -> int:
    """Return the process of our service that answers; 0 while there is none."""
    for child in processes(pid)[1:]:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if b"--multiprocessing-fork" in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
    return 0


def cpu(pid: int) -> float:
    """Seconds of processor time of a process and what it has started."""
    ticks = 0
    for each in processes(pid):
        try:
            ticks += sum(
                map(int, Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:15])
            )
        except FileNotFoundError:
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Megabytes of a process that are in memory."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return False
