"""Disposable processes that have limits and no network, and end with their parent.

Whatever evaluates or parses what others send (queries, updates, files) runs in a `Worker`, whose module calls `serve`.
All measures are the kernel's, so that no fault of ours or of a library undoes them: a seccomp filter makes new sockets
fail; a pipe whose other end only the parent holds kills the child when the parent is gone, however it went; the interval
timer ends the child with SIGALRM, and an allocation past the limit of its address space with SIGABRT.

Requests and answers are frames: a letter for its kind, its length, and so many bytes. A worker says first that it is
ready. Its answer is any number of frames of data or messages, the last of which is a message.

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
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, BinaryIO, NamedTuple

from . import errors
from .errors import BadSettings, KgError, MemoryLimit, TimeLimit, TooDeep

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
#: Seconds between two looks whether a waiting client is still there.
GLANCE = 0.25
#: What the process of a worker runs.
_MAIN = (
    "import sys; from kg4p1000.kernel.processes import confine; confine();"
    " from {} import main; main(*sys.argv[1:])"
)
#: Kinds of frames: a JSON object, and bytes; before each its kind and length.
MESSAGE, DATA = b"M", b"D"
_HEAD = struct.Struct(">cI")
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
    """Return whether the kernel of this machine can take the network from a process."""
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
    """Return a statement of the filter's language (struct sock_filter of linux/filter.h)."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _is_required() -> bool:
    return sys.platform == "linux" and os.environ.get(NETWORK_FILTER) != "optional"


# workers


@dataclass(frozen=True)
class Limits:
    """What a worker may take for a request, and what is wrong when it takes more.

    Attributes:
        seconds, megabytes: 0 for no limit.
        late, large: the errors' texts, with the limit in the place of ``{}``.
        lost: makes the error for any other end, of what the process wrote to standard error.
    """

    seconds: float
    megabytes: int
    late: str
    large: str
    lost: Callable[[str], KgError]

    def error(self, code: int, last_words: str) -> KgError:
        """Return the error that an exit code stands for."""
        match -code:
            case signal.SIGALRM:
                limit = f"{self.seconds:g}"
                return TimeLimit(self.late.format(limit), limit_seconds=self.seconds)
            case signal.SIGABRT if "panicked at" not in last_words:
                return MemoryLimit(
                    self.large.format(self.megabytes), limit_megabytes=self.megabytes
                )
            case signal.SIGSEGV | signal.SIGBUS:
                return TooDeep()  # the stack has ended
        return self.lost(last_words)


class Worker:
    """A process that answers requests, one after another, until it is ended.

    Args:
        module: has a function `main`, which calls `serve`; it is confined before it is imported.
        arguments: of `main`.
        keep_words: keep what it writes to standard error for `last_words`.
        env: variables to add to its environment.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        keep_words: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._words = tempfile.TemporaryFile() if keep_words else None  # noqa: SIM115 - see `end`
        self.process = start(
            [sys.executable, "-c", _MAIN.format(module), *arguments],
            env={**os.environ, **(env or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            bufsize=0,
        )
        assert self.process.stdin and self.process.stdout
        self._requests, self._answers = self.process.stdin, self.process.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)
        self._waiting = bytearray()
        self._is_ready = False
        #: What the process wrote to standard error, once it has ended by a fault.
        self.last_words = ""

    @property
    def alive(self) -> bool:
        """Return whether the process runs."""
        return self.process.poll() is None

    def ready(self) -> bool:
        """Wait until the process can be sent requests; False when it ended instead."""
        with suppress(EOFError):
            while not self._is_ready:
                self._is_ready = bool(self.frames(GLANCE))
        return self._is_ready

    def send(self, request: Mapping[str, Any], limits: Limits) -> None:
        """Send a request, to which `frames` has the answer.

        Raises:
            BrokenPipeError: the process has ended.
        """
        given = {"seconds": limits.seconds, "megabytes": limits.megabytes, "request": request}
        data = memoryview(frame(MESSAGE, json.dumps(given).encode()))
        while data:
            data = data[self._requests.write(data) :]

    def frames(self, seconds: float) -> list[tuple[bytes, bytes]]:
        """Return the frames, kind and bytes, that come within some seconds, as soon as there are any.

        Raises:
            EOFError: the process has ended.
        """
        if not self._poll.poll(seconds * 1000):
            return []
        data = os.read(self._answers, 1 << 16)
        if not data:
            raise EOFError
        self._waiting += data
        found, at = [], 0
        while len(self._waiting) - at >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._waiting, at)
            begin, end = at + _HEAD.size, at + _HEAD.size + length
            if end > len(self._waiting):
                break
            found.append((kind, bytes(self._waiting[begin:end])))
            at = end
        del self._waiting[:at]
        return found

    def ask(self, request: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
        """Send a request and wait for its answer, which is one message.

        Raises:
            KgError: what the worker answers, or by what its process ended.
        """
        try:
            if not self.ready():
                raise EOFError
            self.send(request, limits)
            while not (frames := self.frames(GLANCE)):
                pass
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise limits.error(self.end(grace=5), self.last_words) from None
        except BaseException:
            self.end()
            raise
        answer: dict[str, Any] = json.loads(frames[0][1])
        if problem := answer.get("problem"):
            raise errors.from_plain(problem)
        return answer

    def kill(self) -> None:
        """Kill the process and what it started; whoever waits for its answer then ends it."""
        for kill in (partial(os.killpg, self.process.pid, signal.SIGKILL), self.process.kill):
            with suppress(ProcessLookupError, PermissionError):
                kill()

    def end(self, grace: float = 0) -> int:
        """End the process and what it started, if it runs, and return its exit code.

        Args:
            grace: seconds that it has to end by itself.
        """
        if self.process.returncode is None:  # else its number may be another's by now
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(grace)
            self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]
        code = self.process.wait()
        if self._words and not self._words.closed:
            with self._words:
                self._words.seek(0)
                self.last_words = self._words.read(10_000).decode(errors="replace")
        return code


def frame(kind: bytes, data: bytes | bytearray) -> bytes:
    """Return a frame of an answer."""
    return _HEAD.pack(kind, len(data)) + data


def serve(answer: Callable[[dict[str, Any], BinaryIO], dict[str, Any]], opened: int = 0) -> None:
    """Answer requests until standard input ends: what the `main` of a `Worker` does.

    Args:
        answer: is given a request, and where frames may be written before the message that it returns.
        opened: bytes of memory to which the limit of a request is added; by default those that the process has then.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the service decides when workers stop
    requests, out = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    said: dict[str, Any] = {}
    while True:
        out.write(frame(MESSAGE, json.dumps(said).encode()))
        out.flush()
        head = requests.read(_HEAD.size)
        if not head:
            return
        given = json.loads(requests.read(_HEAD.unpack(head)[1]))
        _limit(given["seconds"], given["megabytes"] << 20, opened or address_space())
        try:
            said = answer(given["request"], out)
        except MemoryError:
            os.abort()
        except KgError as e:
            said = errors.to_plain(e)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _limit(seconds: float, memory: int, opened: int) -> None:
    """Have the kernel end this process with SIGALRM after some seconds, and refuse it memory past some bytes."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (opened + memory if memory else hard, hard))
    signal.setitimer(signal.ITIMER_REAL, seconds)


def address_space() -> int:
    """Return the size of this process's address space in bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


# parent and child


def start(
    command: Sequence[str], env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start a child that ends when this process does, if it calls `end_with_parent` or `confine`.

    Args:
        env: its environment; by default that of this process.
        options: of `subprocess.Popen`.
    """
    lifeline, _ = _pipe()
    environment = {**(os.environ if env is None else env), _LIFELINE: str(lifeline)}
    return subprocess.Popen(command, env=environment, pass_fds=[lifeline], **options)


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
    # Opened anew, as the kernel keeps one listener for each time that a file was opened.
    lifeline = os.open(f"/proc/self/fd/{name}", os.O_RDONLY | os.O_NONBLOCK)
    os.close(int(name))
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)
    ended = select.poll()
    ended.register(lifeline, select.POLLIN)
    if ended.poll(0):  # before we listened
        os.kill(os.getpid(), signal.SIGKILL)


@cache
def _pipe() -> tuple[int, int]:
    """Return the end for children of a pipe, and the other, which this process alone holds and never writes to."""
    return os.pipe()
