"""The service's end of a reader process (see `reader`): start it, send to it, end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from typing import Any

from .. import processes
from .frames import READY
from .versions import Store


class Handle:
    """One reader process, bound to one version and holding its lease."""

    def __init__(self, store: Store, version: int) -> None:
        self.version = version
        self._leases = ExitStack()
        folder = self._leases.enter_context(store.lease(version))
        self._said = self._leases.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed with the leases
        self.process = processes.start(
            [sys.executable, "-m", "kg4p1000.store.reader", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            bufsize=0,
            # One arena: others are reserved for each thread and would count against the memory limit.
            env={**os.environ, "MALLOC_ARENA_MAX": "1", "RUST_BACKTRACE": "0"},
        )
        assert self.process.stdin and self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.waiting = bytearray()
        #: What the process wrote to standard error, once it has ended by a fault.
        self.last_words = ""

    def wait(self) -> bool:
        """Wait until the process has opened its version; False when it ended instead."""
        said = b""
        while len(said) < len(READY):
            part = self.stdout.read(len(READY) - len(said))
            if not part:
                return False
            said += part
        return True

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def send(self, request: dict[str, Any]) -> None:
        """Send a query; raises BrokenPipeError when the process has ended."""
        data = memoryview(json.dumps(request).encode() + b"\n")
        while data:
            data = data[self.stdin.write(data) :]

    def close(self) -> int:
        """End the process if it has not ended, and give its exit code."""
        for pipe in (self.stdin, self.stdout):
            with suppress(BrokenPipeError):
                pipe.close()
        code = self.process.wait()
        if code and not self._said.closed:
            self._said.seek(0)
            self.last_words = self._said.read(10_000).decode(errors="replace")
        self._leases.close()
        return code
