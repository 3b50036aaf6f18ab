"""What is noted of each request, and the access log, which says it."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Record:
    """What is noted of a request.

    Attributes:
        id: stands in the header X-Request-Id, in problem documents and in the log.
        client: the address of the client, behind the proxies that we trust.
        endpoint: the name of the route.
        version: the version of the graph that is shown; 0 for none.
        asked: names the question, so that lines of the log about the same can be found; or empty.
        outcome: ``ok``, or the slug of a problem; ``client-gone`` when the client left before the end.
        counted: whether the request has a place in the limits of its client.
        repeatable: whether the same request gets the same answer, which may be kept.
        broken: whether the transfer was cut after bytes had gone out.
    """

    client: str
    method: str
    path: str
    id: str
    began: float
    first: float = 0
    endpoint: str = "none"
    asked: str = ""
    outcome: str = "ok"
    version: int = 0
    status: int = 0
    size: int = 0
    counted: bool = False
    repeatable: bool = False
    broken: bool = False


class AccessLog:
    """A JSON object a line for every request that has ended.

    Args:
        target: a file, to which lines are added; ``stderr``; or ``none``.
    """

    def __init__(self, target: str) -> None:
        self._target = target

    def write(self, record: Record) -> None:
        """Write the line of a request."""
        if self._target == "none":
            return
        line: dict[str, object] = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "id": record.id,
            "client": record.client,
            "method": record.method[:20],
            "path": record.path[:1000],
            "status": record.status,
            "ms": round((time.monotonic() - record.began) * 1000, 1),
            "first_ms": round((record.first - record.began) * 1000, 1),
            "bytes": record.size,
            "outcome": record.outcome,
        }
        if record.version:
            line["version"] = record.version
        if record.asked:
            line["asked"] = record.asked
        if record.broken:
            line["broken"] = True
        try:
            if self._target == "stderr":
                sys.stderr.write(json.dumps(line) + "\n")
            else:
                # Opened each time, so that a file that was moved away is begun anew.
                with open(self._target, "a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
        except OSError as e:
            # Answering goes on; the reason why nothing is logged must not fill the log.
            _log.warning("the access log cannot be written: %s", os.strerror(e.errno or 0))
