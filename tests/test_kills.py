"""The service killed at random points, all of its kinds of processes, while changes come by HTTP.

The variable KILLS says how many times (12 by default).
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from http.client import HTTPException
from pathlib import Path

import pytest

from kg4p1000.curation.access import Tokens
from kg4p1000.store import Store, check

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("KILLS", "12"))
#: Kinds of processes by a word of their command.
KINDS = {
    "web": b"--multiprocessing-fork",
    "writer": b"kg4p1000.curation.writer",
    "reader": b"kg4p1000.store.reader",
    "supervisor": b"serve",
}
INSERT = (
    "INSERT DATA {{ GRAPH graph:notes {{ activity:A4.2 skos:editorialNote 'note {0} a'@en , 'note {0} b'@en }}"
    " GRAPH graph:actors {{ activity:A4.2 skos:editorialNote 'note {0} c'@en }} }}"
)


class Service:
    """`kg4p1000 serve` over a copy of the real graph."""

    def __init__(self, folder):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.address = f"http://127.0.0.1:{s.getsockname()[1]}"
        self.port = self.address.rpartition(":")[2]
        self.folder = folder
        self.token = Tokens(folder / "tokens.json").create("Ada", "admin")
        self.start()

    def start(self):
        command = ["serve", "--store", str(self.folder), "--port", self.port, "--readers", "2"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kg4p1000.cli", *command],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )

    def start_again(self):
        """Start the service anew at once, its first process being killed; nothing of the old one may be left."""
        old = {pid for kind in KINDS for pid in self.victims(kind)}
        self.process.wait()
        self.start()
        until = time.monotonic() + 300
        while old & {pid for kind in KINDS for pid in self.victims(kind)}:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert self.answers()
        assert self.process.poll() is None

    def ask(self, path, data=None, **headers):
        """Status and body of the answer; status 0 when there was none."""
        request = urllib.request.Request(self.address + path, data=data, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.read()
        except (OSError, HTTPException):
            return 0, b""

    def write(self, number):
        """Send a change of three statements in two graphs; whether it was acknowledged."""
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/sparql-update",
        }
        status, _ = self.ask("/update", INSERT.format(number).encode(), **headers)
        return status == 200

    def victims(self, kind):
        """The processes of a kind that belong to this service."""
        if kind == "supervisor":
            yield self.process.pid
            return
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes()
            except OSError:
                continue
            own = str(self.folder).encode() in words or (kind == "web" and self.has_started(path))
            if own and KINDS[kind] in words:
                yield int(path.parent.name)

    def has_started(self, path):
        """Whether a process is a child of the first one."""
        fields = path.with_name("stat").read_text().rpartition(")")[2].split()
        return fields[1] == str(self.process.pid)

    def answers(self, seconds=60):
        """Whether a new query is answered within some time."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.ask(f"/sparql?query=ASK%7B%3Fs%3Fp{time.time_ns()}%7D")[0] in (200, 400):
                return True
            time.sleep(0.1)
        return False


@pytest.fixture
def service(store, tmp_path):
    shutil.copytree(store.path, tmp_path / "store")
    service = Service(tmp_path / "store")
    assert service.answers()
    yield service
    service.process.send_signal(signal.SIGTERM)
    service.process.wait(timeout=300)


def kill_at_random(service):
    """Kill processes of every kind in turn, at random moments; how many of each."""
    chance = random.Random(3)
    killed = Counter()
    until = time.monotonic() + 20 * KILLS
    while killed.total() < KILLS and time.monotonic() < until:
        kind = list(KINDS)[killed.total() % len(KINDS)]
        time.sleep(chance.uniform(0.05, 1))
        found = list(service.victims(kind))
        if found:
            os.kill(chance.choice(found), signal.SIGKILL)
            killed[kind] += 1
            if kind == "web":
                assert service.answers()
            if kind == "supervisor":
                service.start_again()
    return killed


def test_acknowledged_changes_survive_kills_of_every_process(service):
    stop = threading.Event()
    tried = []
    acknowledged = []

    def write():
        while not stop.is_set():
            tried.append(len(tried) + 1)
            if service.write(tried[-1]):
                acknowledged.append(tried[-1])

    def read():
        while not stop.is_set():
            service.ask(f"/sparql?query=SELECT(COUNT(*)AS%3Fn{time.time_ns()})%7B%3Fs%3Fp%3Fo%7D")

    threads = [threading.Thread(target=work) for work in (write, read)]
    for thread in threads:
        thread.start()
    try:
        killed = kill_at_random(service)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert killed.total() == KILLS
    assert service.answers()
    assert service.write(0)
    _, body = service.ask("/versions?format=json")
    assert len(json.loads(body)) > len(acknowledged)
    again = Store(service.folder)
    notes = {q.object.value for q in again.quads() if "editorialNote" in q.predicate.value}
    parts = {n: {f"note {n} {part}" for part in "abc"} & notes for n in (0, *tried)}
    assert [n for n in (0, *acknowledged) if len(parts[n]) != 3] == []
    assert [n for n, found in parts.items() if len(found) not in (0, 3)] == []
    assert acknowledged
    assert check(again) == []
    assert not [p.name for p in (service.folder / "versions").glob(".*")]
