"""Pruned versions made again in the background, by a process of its own, one at a time.

Run as ``python -m kg4p1000.store.rebuild STORE VERSION KEEP``.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from .. import processes
from ..errors import BeingRebuilt, KgError, StoreUnusable
from .versions import Store

_log = logging.getLogger(__name__)

#: Bytes of the log that are gone through in a second, for a client to know when to come back.
_SPEED = 2_000_000
#: Seconds for which a version that could not be made is not tried again.
_PAUSE = 30.0


class Rebuilds:
    """Makes pruned versions again for those who ask for them.

    Args:
        keep: how many databases of versions may stay when another one has been made.
    """

    def __init__(self, store: Store, keep: int) -> None:
        self._store, self._keep = store, keep
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._version, self._until = 0, 0.0
        self._failed: dict[int, tuple[float, str]] = {}

    def need(self, version: int) -> None:
        """See that the database of a version is there; where it is not, have it made.

        Whoever asks for the same version while it is made joins; one asks for another version again
        when the first is done.

        Raises:
            NotFound: there is no such version.
            BeingRebuilt: it is not there yet; has ``retry_after`` in seconds.
            StoreUnusable: it could not be made a moment ago.
        """
        if self._store.has(version):
            return
        self._store.entry(version)
        with self._lock:
            when, why = self._failed.get(version, (0.0, ""))
            if why and time.monotonic() - when < _PAUSE:
                raise StoreUnusable(f"Version {version} could not be made again: {why}")
            if self._process is None:
                self._start(version)
            seconds = max(1, round(self._until - time.monotonic()))
            which = (
                "it" if version == self._version else f"version {self._version}, which is first,"
            )
            raise BeingRebuilt(
                f"The database of version {version} was deleted to save room. From the change log"
                f" {which} is being made again now; ask again in {seconds} s.",
                version=version,
                retry_after=seconds,
            )

    def close(self) -> None:
        """Stop what is being made; the next who asks has it made afresh."""
        with self._lock:
            process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def _start(self, version: int) -> None:
        _, entries = self._store.way_to(version)
        seconds = sum(path.stat().st_size for path in entries) / _SPEED
        self._version, self._until = version, time.monotonic() + 1 + seconds
        command = [sys.executable, "-m", __name__, str(self._store.path), str(version)]
        process = processes.start([*command, str(self._keep)], stderr=subprocess.PIPE)
        self._process = process
        threading.Thread(target=self._follow, args=(process, version), daemon=True).start()

    def _follow(self, process: subprocess.Popen[bytes], version: int) -> None:
        _, said = process.communicate()
        with self._lock:
            self._process = None
            self._failed.pop(version, None)
            if process.returncode:
                lines = said.decode(errors="replace").strip().splitlines()
                why = lines[-1] if lines else f"its process ended with {process.returncode}."
                self._failed[version] = (time.monotonic(), why)
                _log.error("version %d could not be made again: %s", version, why)


def main(path: str, version: str, keep: str) -> None:
    """Make one version again, behind everything else that runs on the machine."""
    processes.confine()
    os.nice(10)
    try:
        store = Store(Path(path))
        store.ensure(int(version))
        store.prune(int(keep), spare=int(version))
    except KgError as e:
        raise SystemExit(e.detail) from None


if __name__ == "__main__":
    main(*sys.argv[1:])
