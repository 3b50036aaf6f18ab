"""What was measured, as a page of Markdown."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .servers import versions

Row = Sequence[object]


class Report:
    """Tables as they come, printed at once and written at the end."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def table(self, title: str, head: Sequence[str], rows: Sequence[Row], note: str = "") -> None:
        """Add a table."""
        lines = [f"## {title}", "", _line(head), _line(["---"] * len(head)), *map(_line, rows)]
        if note:
            lines += ["", note]
        text = "\n".join(lines)
        print(text + "\n", flush=True)
        self._parts.append(text)

    def write(self, path: Path, method: str) -> None:
        """Write the page."""
        head = (
            "# Benchmarks\n\n"
            f"Measured on {time.strftime('%Y-%m-%d')} by `make bench`; the figures of one table come"
            f" from one run. {_machine()}\n\n"
            + "Versions: "
            + ", ".join(f"{name} {number}" for name, number in versions().items())
            + ".\n\n"
            + method
        )
        path.write_text("\n\n".join([head, *self._parts]) + "\n", encoding="utf-8")


def _line(cells: Row) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"Machine: {os.cpu_count()} cores ({model}), {memory:.0f} GB memory, Linux"
        f" {platform.release().split('-')[0]}, Python {sys.version.split()[0]}."
    )
