"""The log of a process: one event, one line, whatever the event says."""

from __future__ import annotations

import logging
import sys

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
    """Have this process log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
