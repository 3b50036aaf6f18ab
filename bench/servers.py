"""The servers that are measured, each started on a free port of this machine with the same statements."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import kg4p1000


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        endpoint: address that takes queries by GET.
        pid: of its first process.
    """

    name: str
    endpoint: str
    pid: int


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def versions() -> dict[str, str]:
    """Return what can be measured here, and in which version."""
    found = {"kg4p1000": kg4p1000.__version__}
    for name in ("pyoxigraph", "oxigraph", "rdflib", "rdflib-endpoint"):
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    if virtuoso := shutil.which("virtuoso-t"):
        told = subprocess.run([virtuoso, "-?"], capture_output=True, text=True, check=False)
        line = next((x for x in told.stderr.splitlines() if "ersion" in x), "")
        found["virtuoso"] = line.partition("ersion")[2].split(",")[0].strip(" .")
    return found


@contextlib.contextmanager
def ours(
    store: Path, *, timeout: float = 30, readers: int = 4, change_timeout: float = 60
) -> Iterator[Server]:
    """`kg4p1000 serve` over a store."""
    port = free_port()
    command = [sys.executable, "-m", "kg4p1000.cli", "serve", "--store", str(store)]
    command += ["--port", str(port), "--query-timeout", str(timeout), "--readers", str(readers)]
    with _started(command, KG4P1000_CHANGE_TIMEOUT=str(change_timeout)) as pid:
        _await(f"http://127.0.0.1:{port}/health")
        yield Server("kg4p1000", f"http://127.0.0.1:{port}/sparql", pid)


@contextlib.contextmanager
def oxigraph(store: Path, *, timeout: float | None = None) -> Iterator[Server]:
    """Return the server of Oxigraph over a store that was loaded by `load_oxigraph`."""
    port = free_port()
    command = ["oxigraph", "serve-read-only", "--location", str(store)]
    command += ["--bind", f"127.0.0.1:{port}"]
    if timeout:
        command += ["--timeout-s", str(int(timeout))]
    with _started(command) as pid:
        _await(f"http://127.0.0.1:{port}/")
        yield Server("Oxigraph server", f"http://127.0.0.1:{port}/query", pid)


def load_oxigraph(store: Path, file: Path) -> float:
    """Load a file of N-Triples into the default graph; seconds."""
    began = time.perf_counter()
    command = ["oxigraph", "load", "--location", str(store), "--file", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    subprocess.run(
        ["oxigraph", "optimize", "--location", str(store)], check=True, capture_output=True
    )
    return time.perf_counter() - began


@contextlib.contextmanager
def rdflib_endpoint(file: Path) -> Iterator[Server]:
    """rdflib-endpoint over a graph of rdflib in memory."""
    port = free_port()
    command = ["rdflib-endpoint", "serve", "--host", "127.0.0.1", "--port", str(port), str(file)]
    with _started(command) as pid:
        _await(f"http://127.0.0.1:{port}/?query=ASK%7B%7D", 900)
        yield Server("rdflib-endpoint", f"http://127.0.0.1:{port}/", pid)


_VIRTUOSO = """\
[Database]
DatabaseFile = {folder}/virtuoso.db
ErrorLogFile = {folder}/virtuoso.log
LockFile = {folder}/virtuoso.lck
TransactionFile = {folder}/virtuoso.trx
xa_persistent_file = {folder}/virtuoso.pxa
[TempDatabase]
DatabaseFile = {folder}/virtuoso-temp.db
TransactionFile = {folder}/virtuoso-temp.trx
[Parameters]
ServerPort = 127.0.0.1:{isql}
NumberOfBuffers = 340000
MaxDirtyBuffers = 250000
DirsAllowed = {folder}
DisableTcpSocket = 0
[HTTPServer]
ServerPort = 127.0.0.1:{port}
ServerThreads = 20
[SPARQL]
DefaultGraph = http://localhost/bench
ResultSetMaxRows = 100000000
"""


@contextlib.contextmanager
def virtuoso(folder: Path, file: Path) -> Iterator[Server]:
    """Virtuoso over a file of N-Triples in its default graph."""
    folder.mkdir(parents=True, exist_ok=True)
    fresh = not (folder / "virtuoso.db").exists()
    port, isql = free_port(), free_port()
    ini = folder / "virtuoso.ini"
    ini.write_text(_VIRTUOSO.format(folder=folder, port=port, isql=isql))
    with _started(["virtuoso-t", "+foreground", "+configfile", str(ini)]) as pid:
        _await(f"http://127.0.0.1:{port}/sparql?query=ASK%7B%7D", 120)
        if fresh:
            os.link(file, folder / file.name)
            script = (
                f"ld_dir('{folder}', '{file.name}', 'http://localhost/bench');"
                " rdf_loader_run(); checkpoint;"
            )
            subprocess.run(
                ["isql-vt", str(isql), "dba", "dba", f"exec={script}"],
                check=True,
                capture_output=True,
            )
        yield Server("Virtuoso", f"http://127.0.0.1:{port}/sparql", pid)


@contextlib.contextmanager
def _started(command: list[str], **environment: str) -> Iterator[int]:
    quiet = subprocess.DEVNULL
    told = {**os.environ, **environment}
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, env=told) as process:
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _await(address: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
