"""The log of a process: one event, one line, whatever the event says."""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType

#: Characters that end a line for some reader, or steer a terminal, with what is written in their place.
_SHOWN = {
    code: chr(code).encode("unicode_escape").decode()
    for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)
}


class OneLine(logging.Formatter):
    """Writes a record on one line: what would begin another is written as an escape, so nobody can forge one."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, its traceback included."""
        return super().format(record).translate(_SHOWN)


def begin() -> None:
    """Have this process log to standard error, and its threads say there what they end by."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    threading.excepthook = lambda end: _log_end(end.exc_type, end.exc_value, end.exc_traceback)


def begin_child() -> None:
    """Do the same in a child, whose own end by a fault is an event of the log too."""
    begin()
    sys.excepthook = _log_end


def _log_end(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    if error is not None:
        logging.getLogger(__name__).critical("ended by a fault", exc_info=(kind, error, trace))
