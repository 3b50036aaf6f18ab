"""The server: granian, whose one worker runs the application; its parent starts it again when it ends by a fault."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from ..kernel import logs, processes
from ..kernel.settings import Settings
from .requests import UPLOADS
from .transfers import PLACES

#: Connections that may be open; many of them may be silent.
_CONNECTIONS = 8192
#: Seconds in which the head of a request must come, and after which a connection at rest is closed.
_HEAD = 30
#: Seconds after which a connection is closed whose client takes nothing of what waits for it.
_SILENCE = 60
#: Seconds that running answers get when the service stops.
_GRACE = 5
#: Bytes of the head of a request.
_LARGEST_HEAD = 256 << 10


def options(settings: Settings) -> dict[str, Any]:
    """Return the arguments of granian's servers."""
    queries = settings.readers + settings.slow_readers + settings.queue
    return {
        "address": socket.getaddrinfo(settings.host, None, type=socket.SOCK_STREAM)[0][4][0],
        "port": settings.port,
        "interface": Interfaces.WSGI,
        "http": HTTPModes.http1,
        "websockets": False,
        # For all queries that may run or wait, long answers and bodies; and for pages, health and downloads.
        "blocking_threads": queries + PLACES + UPLOADS + 16,
        "backlog": 1024,
        "backpressure": _CONNECTIONS,
        "http1_settings": HTTP1Settings(
            header_read_timeout=_HEAD * 1000, max_buffer_size=_LARGEST_HEAD
        ),
        "log_level": LogLevels.error,
        # As everything else that the service says.
        "log_dictconfig": {
            "handlers": {},
            "loggers": {
                "_granian": {"handlers": [], "propagate": True},
                # What a transfer breaks off by is told by the middleware.
                "_granian.utils": {"level": "CRITICAL"},
            },
        },
    }


def run(settings: Settings, load: Callable[[], Any]) -> None:
    """Run an application until this process is told to stop.

    Args:
        load: makes the application, in the worker; can be pickled.

    Raises:
        SystemExit: the worker ended by a fault again and again.
    """
    multiprocessing.set_start_method("spawn")
    granian = Granian(
        "kg4p1000", respawn_failed_workers=True, workers_kill_timeout=_GRACE, **options(settings)
    )
    granian.serve(target_loader=load, wrap_loader=False)


def begin_worker() -> None:
    """Prepare the process of a worker, before it makes the application."""
    logs.begin()
    os.setpgid(0, 0)  # the parent says when to stop, and not the terminal

    def end_with_parent() -> None:
        parent = multiprocessing.parent_process()
        assert parent
        parent.join()
        os._exit(1)

    def settle() -> None:
        """Once the worker listens, take the network from it, which calls nobody."""
        while not drop_silent_clients(_SILENCE):
            time.sleep(0.02)
        if processes.can_deny_network():
            processes.deny_network()

    threading.Thread(target=end_with_parent, daemon=True).start()
    threading.Thread(target=settle, daemon=True).start()


def drop_silent_clients(seconds: float) -> bool:
    """Have the kernel close connections whose clients take nothing for so long; False while nothing listens.

    Connections have it from the socket that listens, which granian makes for itself.
    """
    if sys.platform != "linux":
        return True
    found = False
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # a file that was closed meanwhile
            if not str(link.readlink()).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(link.name))) as one:
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
                    found = True
    return found
