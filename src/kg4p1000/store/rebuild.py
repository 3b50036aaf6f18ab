"""Pruned versions made again in the background, by a process of its own, one at a time."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

from ..kernel.errors import BeingRebuilt, KgError, StoreUnusable
from ..kernel.processes import Limits, Worker, serve
from .versions import Store

_log = logging.getLogger(__name__)

#: Bytes of the log that are gone through in a second, for a client to know when to come back.
_SPEED = 2_000_000
#: Seconds for which a version that could not be made is not tried again.
_PAUSE = 30.0
_LIMITS = Limits(0, 0, "", "", lambda words: StoreUnusable(words.strip() or "its process ended."))


class Rebuilds:
    """Makes pruned versions again for those who ask for them.

    Args:
        keep: how many databases of versions may stay when another one has been made.
    """

    def __init__(self, store: Store, keep: int) -> None:
        self._store, self._keep = store, keep
        self._lock = threading.Lock()
        self._worker: Worker | None = None
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
            if self._worker is None:
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
            if self._worker is not None and self._worker.alive:
                self._worker.kill()

    def _start(self, version: int) -> None:
        _, entries = self._store.way_to(version)
        seconds = sum(path.stat().st_size for path in entries) / _SPEED
        self._version, self._until = version, time.monotonic() + 1 + seconds
        self._worker = worker = Worker(__name__, keep_words=True)
        threading.Thread(target=self._follow, args=(worker, version), daemon=True).start()

    def _follow(self, worker: Worker, version: int) -> None:
        request, why = {"store": str(self._store.path), "version": version, "keep": self._keep}, ""
        try:
            worker.ask(request, _LIMITS)
        except KgError as e:
            why = e.detail
            _log.error("version %d could not be made again: %s", version, why)
        worker.end()
        with self._lock:
            self._worker = None
            self._failed[version] = (time.monotonic(), why)


def _rebuild(request: dict[str, Any], _: object) -> dict[str, Any]:
    store = Store(Path(request["store"]))
    store.ensure(request["version"])
    store.prune(request["keep"], spare=request["version"])
    return {}


def main() -> None:
    """Make versions again, as they are asked for."""
    os.nice(10)  # behind everything else that runs on the machine
    serve(_rebuild)
