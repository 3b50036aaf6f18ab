"""Child processes that end with their parent and have no network.

Whatever evaluates or parses what others send (queries, updates, files) runs in a child, started by `start`; the
first thing that it does is `confine`. Both measures are the kernel's, so that no fault of ours or of a library
undoes them: a seccomp filter makes new sockets fail, and a pipe whose other end only the parent holds kills the
child when the parent is gone, however it went.

Sources: seccomp(2), fcntl(2) (F_SETSIG, F_SETOWN), Linux 6.1 manual pages.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import platform
import resource
import select
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from .errors import BadSettings, ClientGone

#: Names the setting `network_filter`, in the environment of whoever starts children.
NETWORK_FILTER = "KG4P1000_NETWORK_FILTER"
FILTER_CHOICES = ("required", "optional")
#: Tells a child which of its files ends with the parent; named so that it is not taken for a setting.
_LIFELINE = "LIFELINE_OF_KG4P1000"

_PR_SET_NO_NEW_PRIVS = 38
_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_TSYNC = 1  # all threads of the process get the filter
_KILL, _ERRNO, _ALLOW = 0x8000_0000, 0x0005_0000, 0x7FFF_0000
#: System calls of the ABI x32 have this bit; they would pass a filter that knows the plain numbers only.
_X32 = 0x4000_0000
#: Seconds after which one looks whether the client is still there.
_LOOK = 0.25
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06


class _Abi(NamedTuple):
    """Numbers of a machine: how the kernel names its ABI, and its system calls."""

    name: int
    seccomp: int
    socket: int
    io_uring_setup: int


_ABIS = {
    "x86_64": _Abi(0xC000_003E, seccomp=317, socket=41, io_uring_setup=425),
    "aarch64": _Abi(0xC000_00B7, seccomp=277, socket=198, io_uring_setup=425),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


# the network


@cache
def can_deny_network() -> bool:
    """Whether the kernel of this machine can take the network from a process."""
    abi = _abi()
    if abi is None:
        return False
    action = ctypes.c_uint32(_ERRNO)
    return _libc().syscall(abi.seccomp, _GET_ACTION_AVAIL, 0, ctypes.byref(action)) == 0


def require_network_filter(choice: str) -> bool:
    """See that children will have no network, and let them know what the setting `network_filter` says.

    Returns:
        Whether they will have none. False only where the setting is ``optional``, or on another system than Linux.

    Raises:
        BadSettings: the kernel cannot deny it, and the setting does not say that this is known; or the setting is
            neither ``required`` nor ``optional``.
    """
    if choice not in FILTER_CHOICES:
        raise BadSettings(
            f"network_filter is {choice!r} and must be {' or '.join(FILTER_CHOICES)}."
        )
    os.environ[NETWORK_FILTER] = choice
    if not can_deny_network() and _is_required():
        raise BadSettings(
            "The kernel of this machine cannot take the network from the processes that evaluate queries (seccomp),"
            " so that a query might make the service connect to other machines. Run the service where it can; or,"
            ' if something else keeps it from the network, set network_filter = "optional": then every request is'
            " refused that might have a SERVICE or LOAD."
        )
    return can_deny_network()


def deny_network() -> None:
    """Make every new socket of this process fail with EACCES, for good and for all its threads and children.

    `socket.socketpair` stays. System calls of a foreign ABI end the process, and io_uring, which can make sockets
    too, is refused.

    Raises:
        OSError: the kernel cannot do it.
    """
    abi = _abi()
    if abi is None:
        raise OSError(errno.ENOSYS, "no seccomp filter is known for this machine")
    code = b"".join(
        (
            _statement(_LOAD, 4),  # the ABI of the call
            _statement(_EQUAL, abi.name, 1, 0),
            _statement(_RETURN, _KILL),
            _statement(_LOAD, 0),  # its number
            _statement(_AT_LEAST, _X32, 0, 1),
            _statement(_RETURN, _KILL),
            _statement(_EQUAL, abi.socket, 2, 0),
            _statement(_EQUAL, abi.io_uring_setup, 1, 0),
            _statement(_RETURN, _ALLOW),
            _statement(_RETURN, _ERRNO | errno.EACCES),
        )
    )
    program = _Program(len(code) // 8, code)
    libc = _libc()
    if (
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        or libc.syscall(abi.seccomp, _SET_MODE_FILTER, _TSYNC, ctypes.byref(program))
    ):  # fmt: skip
        number = ctypes.get_errno()
        raise OSError(number, f"the network could not be denied: {os.strerror(number)}")


def _abi() -> _Abi | None:
    # A 32-bit Python on a 64-bit kernel makes calls of another ABI.
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return None
    return _ABIS.get(platform.machine())


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _statement(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """A statement of the filter's language (struct sock_filter of linux/filter.h)."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _is_required() -> bool:
    return sys.platform == "linux" and os.environ.get(NETWORK_FILTER) != "optional"


# parent and child


def exchange(
    process: subprocess.Popen[bytes], request: Mapping[str, Any], gone: Callable[[], bool]
) -> dict[str, Any]:
    """Send a child one line of JSON, and wait for the one that it answers.

    Args:
        gone: tells whether nobody waits for the answer any more.

    Raises:
        ClientGone: nobody does.
        EOFError, BrokenPipeError: the child has ended.
    """
    assert process.stdin and process.stdout
    answers = select.poll()
    answers.register(process.stdout, select.POLLIN)
    data = memoryview(json.dumps(request).encode() + b"\n")
    while data:
        data = data[process.stdin.write(data) :]
    line = bytearray()
    while not line.endswith(b"\n"):
        while not answers.poll(_LOOK * 1000):
            if gone():
                raise ClientGone
        part = os.read(process.stdout.fileno(), 1 << 16)
        if not part:
            raise EOFError
        line += part
    answer: dict[str, Any] = json.loads(line)
    return answer


def end(process: subprocess.Popen[bytes]) -> int:
    """Close the pipes to a child, wait for its end, and give its exit code."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
    return process.wait()


def limit(seconds: float, memory: int) -> None:
    """Have the kernel end this process with SIGALRM after some seconds, and refuse it memory past some bytes.

    Args:
        seconds: 0 for no limit.
        memory: bytes beyond those that the process has now.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory, hard))
    signal.setitimer(signal.ITIMER_REAL, seconds)


def start(
    command: Sequence[str], env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a child that ends when this process does, if it calls `end_with_parent` or `confine`.

    Args:
        env: its environment; by default that of this process.
        options: of `subprocess.Popen`.
    """
    lifeline = _lifeline()
    environment = {**(os.environ if env is None else env), _LIFELINE: str(lifeline)}
    return subprocess.Popen(command, env=environment, pass_fds=[lifeline], **options)


def run(
    command: Sequence[str], *, timeout: float | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a child to its end, as `start` does, and give what it wrote.

    Raises:
        subprocess.TimeoutExpired: it took longer than so many seconds, and was killed with its children.
    """
    pipe = subprocess.PIPE
    with start(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe) as child:
        try:
            out, said = child.communicate(timeout=timeout)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.kill()  # it may not have a group of its own yet
            raise
    return subprocess.CompletedProcess(command, child.returncode, out, said)


def confine() -> None:
    """Tie this process to its parent's life and take the network from it; the first thing that a child does.

    Raises:
        SystemExit: the network could not be taken, and the setting `network_filter` asks for it.
    """
    end_with_parent()
    if not can_deny_network() and not _is_required():
        return
    try:
        deny_network()
    except OSError as e:
        raise SystemExit(f"This process will not run with a network: {e.strerror}.") from None


def end_with_parent() -> None:
    """See that the kernel kills this process, and its children in turn, when the one that started it has ended."""
    name = os.environ.pop(_LIFELINE, "")
    if not name:
        return  # started by hand
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)  # what we start is to go with us
    if hasattr(fcntl, "F_SETSIG"):
        # Opened anew, as the kernel keeps one listener for each time that a file was opened.
        lifeline = os.open(f"/proc/self/fd/{name}", os.O_RDONLY | os.O_NONBLOCK)
        os.close(int(name))
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
        fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    else:  # other systems: as soon as the interpreter gets a turn
        lifeline = int(name)
        os.set_inheritable(lifeline, False)
        threading.Thread(target=_wait_for_end, args=(lifeline,), daemon=True).start()
    ended = select.poll()
    ended.register(lifeline, select.POLLIN)
    if ended.poll(0):  # before we listened
        os.kill(os.getpid(), signal.SIGKILL)


def _wait_for_end(lifeline: int) -> None:
    os.read(lifeline, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


@cache
def _pipe() -> tuple[int, int]:
    return os.pipe()


def _lifeline() -> int:
    """The end for children of a pipe of which this process alone holds the other, and into which nobody writes."""
    return _pipe()[0]
