"""Children end with their parent, however it goes, and have no network."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kg4p1000.kernel import processes
from kg4p1000.kernel.errors import BadSettings, KgError, MemoryLimit, NotFound, TimeLimit

pytestmark = pytest.mark.skipif(
    not processes.can_deny_network(), reason="the kernel has no seccomp filter for this machine"
)

#: A parent that starts two children from threads of their own; each starts another one and is then busy.
FAMILY = """
import subprocess, sys, threading
from kg4p1000.kernel import processes
child = '''
import subprocess
from kg4p1000.kernel import processes
processes.confine()
other = subprocess.Popen(["sleep", "600"])
print("busy", flush=True)
while True: pass
'''
found = []
def begin():
    process = processes.start([sys.executable, "-c", child], stdout=subprocess.PIPE)
    process.stdout.readline()
    found.append(process.pid)
for thread in [threading.Thread(target=begin) for _ in range(2)]:
    thread.start()
    thread.join()
print(*found, flush=True)
sys.stdin.read()
"""


def in_a_child(code: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", f"from kg4p1000.kernel import processes\n{code}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, **options)


def groups() -> dict[int, int]:
    """The processes that run now, zombies left out, with their groups."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if state != "Z":
            found[int(folder.name)] = int(group)
    return found


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_children_and_what_they_started_end_with_their_parent(how):
    parent = subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    children = {int(pid) for pid in parent.stdout.readline().split()}
    assert len(children) == 2
    assert sum(group in children for group in groups().values()) == 4
    parent.send_signal(how)
    parent.wait()
    until = time.monotonic() + 300
    while children & set(groups().values()):
        assert time.monotonic() < until, "a child lives on"
        time.sleep(0.05)
    parent.stdin.close()
    parent.stdout.close()


def test_a_child_whose_parent_ended_before_it_listened_ends_at_once():
    code = """
import os, subprocess, sys
child = "import time; time.sleep(1); from kg4p1000.kernel import processes; processes.confine(); print('alive')"
processes.start([sys.executable, "-c", child])
os._exit(0)
"""
    assert in_a_child(code).stdout == ""


def test_a_confined_process_makes_no_socket_and_keeps_socket_pairs():
    code = """
import errno, socket, threading
ready, told = threading.Event(), threading.Event()
failed = []
def attempt():
    ready.set()
    told.wait()
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK):
        try:
            socket.socket(family, socket.SOCK_STREAM if family != socket.AF_NETLINK else socket.SOCK_RAW)
        except OSError as e:
            failed.append(e.errno == errno.EACCES)
threads = [threading.Thread(target=attempt) for _ in range(2)]
for thread in threads: thread.start()
ready.wait()
processes.confine()  # after threads have begun
told.set()
for thread in threads: thread.join()
attempt()
assert failed == [True] * 12, failed
one, other = socket.socketpair()
one.send(b"x")
print(other.recv(1))
"""
    assert in_a_child(code).stdout == "b'x'\n"


def test_io_uring_is_refused_too():
    code = """
import ctypes, errno
processes.confine()
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(425, 8, ctypes.create_string_buffer(256)), ctypes.get_errno() == errno.EACCES)
"""
    assert in_a_child(code).stdout == "-1 True\n"


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="this ABI is one of x86-64")
def test_a_call_of_a_foreign_abi_ends_the_process():
    code = """
import ctypes
processes.confine()
ctypes.CDLL(None).syscall(0x40000000 + 41, 2, 1, 0)  # socket of the ABI x32
print("alive")
"""
    done = in_a_child(code)
    assert (done.returncode, done.stdout) == (-signal.SIGSYS, "")


def test_what_a_confined_process_starts_is_confined():
    code = """
import subprocess, sys
processes.confine()
done = subprocess.run([sys.executable, "-c", "import socket; socket.socket()"], capture_output=True)
print(b"PermissionError" in done.stderr)
"""
    assert in_a_child(code).stdout == "True\n"


#: Makes seccomp(2) fail as on a kernel without it, by a filter of the old kind.
WITHOUT_SECCOMP = """
import ctypes, errno
abi = processes._abi()
code = b"".join((processes._statement(0x20, 0), processes._statement(0x15, abi.seccomp, 0, 1),
                 processes._statement(6, 0x50000 | errno.ENOSYS), processes._statement(6, 0x7FFF0000)))
program = processes._Program(len(code) // 8, code)
libc = ctypes.CDLL(None)
assert not libc.prctl(38, 1, 0, 0, 0) and not libc.prctl(22, 2, ctypes.byref(program))
"""


def test_where_the_kernel_cannot_a_start_is_refused_unless_the_setting_says_so(monkeypatch):
    monkeypatch.setenv(processes.NETWORK_FILTER, "")
    assert processes.require_network_filter("required")
    with pytest.raises(BadSettings, match="required or optional"):
        processes.require_network_filter("maybe")
    code = """
from kg4p1000.kernel.errors import BadSettings, KgError, MemoryLimit, NotFound, TimeLimit
try:
    processes.require_network_filter("required")
except BadSettings as e:
    print("optional" in e.detail)
print(processes.require_network_filter("optional"))
"""
    assert in_a_child(WITHOUT_SECCOMP + code).stdout == "True\nFalse\n"


def test_a_child_does_not_run_with_a_network_unless_the_setting_says_so():
    code = WITHOUT_SECCOMP + "processes.confine()\nimport socket\nsocket.socket()\nprint('open')"
    done = in_a_child(code, env={**os.environ, processes.NETWORK_FILTER: ""})
    assert (done.returncode, done.stdout) == (1, "")
    assert "will not run with a network" in done.stderr
    done = in_a_child(code, env={**os.environ, processes.NETWORK_FILTER: "optional"})
    assert done.stdout == "open\n"


#: A module of a worker that does what it is asked.
DOES = """
import os, subprocess, sys, time
from kg4p1000.kernel.errors import NotFound
from kg4p1000.kernel.processes import DATA, frame, serve
def answer(request, out):
    print("no part of an answer")
    if request["do"] == "refuse":
        raise NotFound("nothing", where="here")
    if request["do"] == "much":
        bytearray(1 << 30)
    if request["do"] == "end":
        sys.exit("the last words")
    if request["do"] == "long":
        subprocess.run(["sleep", "600"])
    return {"done": request["do"]}
def main(*arguments):
    assert arguments == ("one",)
    serve(answer)
"""


@pytest.fixture
def worker(tmp_path, monkeypatch):
    (tmp_path / "does.py").write_text(DOES)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    worker = processes.Worker("does", "one", keep_words=True)
    yield worker
    worker.end()


def limits(seconds=60):
    return processes.Limits(seconds, 512, "over {} s", "over {} MB", lambda words: KgError(words))


def test_a_worker_answers_one_request_after_another(worker):
    assert worker.ask({"do": "this"}, limits()) == {"done": "this"}
    with pytest.raises(NotFound) as refused:
        worker.ask({"do": "refuse"}, limits())
    assert (refused.value.detail, refused.value.members) == ("nothing", {"where": "here"})
    assert worker.ask({"do": "x" * 1_000_000}, limits()) == {"done": "x" * 1_000_000}


def test_a_worker_that_takes_too_long_is_ended_with_what_it_started(worker):
    assert worker.ask({"do": "this"}, limits())
    group = worker.process.pid
    with pytest.raises(TimeLimit, match=r"over 1\.5 s") as late:
        worker.ask({"do": "long"}, limits(1.5))
    assert late.value.members == {"limit_seconds": 1.5}
    until = time.monotonic() + 30
    while group in groups().values():
        assert time.monotonic() < until, "a child lives on"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("do", "error", "told"),
    [("much", MemoryLimit, "over 512 MB"), ("end", KgError, "the last words")],
)
def test_how_a_worker_ended_is_told(worker, do, error, told):
    with pytest.raises(error, match=told):
        worker.ask({"do": do}, limits())
    assert not worker.alive
