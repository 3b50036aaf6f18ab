"""Keeps a process running: starts it again when it ends by a fault, stops it when we are told to stop."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections.abc import Sequence
from types import FrameType

from . import processes

_log = logging.getLogger(__name__)

#: Seconds before a new start: the first time, and at most when one start after another fails.
_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
#: A process that ran so many seconds is taken to have started well.
_WELL = 30.0
#: Seconds that the process gets to end after it was told to.
_GRACE = 10.0
#: Exit code of a command that was called wrongly; starting it again would not help.
_USAGE = 2


def keep_running(command: Sequence[str]) -> None:
    """Run a command until it ends well, is called wrongly, or this process gets SIGINT or SIGTERM.

    Raises:
        SystemExit: with the exit code of a command that was called wrongly.
    """
    told = False
    process: subprocess.Popen[bytes] | None = None

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal told
        told = True
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    pause = _PAUSE
    while not told:
        began = time.monotonic()
        # Its own session, so that Ctrl-C reaches it through us alone.
        process = processes.start(command, start_new_session=True)
        if told:
            process.send_signal(signal.SIGTERM)
        code = process.wait()
        if told or code == 0:
            break
        if code == _USAGE:
            raise SystemExit(code)
        pause = _PAUSE if time.monotonic() - began > _WELL else min(2 * pause, _LONGEST_PAUSE)
        _log.error("the service ended with code %d; starting it again in %.1f s", code, pause)
        time.sleep(pause)
