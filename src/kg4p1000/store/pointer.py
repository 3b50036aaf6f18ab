"""The file that says which version is published."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from ..errors import StoreUnusable
from . import changes


class Pointer:
    """The file `current` of a store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._path = str(path)
        self._seen = (0, 0, 0)

    def seen(self) -> int:
        """The number in the file; 0 before there is one.

        When the file is lost or damaged, this is what it said before.

        Raises:
            StoreUnusable: it is damaged, and said nothing before.
        """
        with suppress(FileNotFoundError):
            # Asked for at every request: the file is replaced, never changed, so its inode tells.
            stat = os.stat(self._path)  # noqa: PTH116 - three times as fast as by Path
            seen = (stat.st_ino, stat.st_mtime_ns)
            if seen != self._seen[:2]:
                try:
                    self._seen = (*seen, self.read())
                except StoreUnusable:
                    if not self._seen[2]:
                        raise
        return self._seen[2]

    @property
    def known(self) -> int:
        """The number that was read last; 0 when none was."""
        return self._seen[2]

    def read(self) -> int:
        """The number that the file holds now; 0 before there is one.

        Raises:
            StoreUnusable: it holds none, or is lost.
        """
        try:
            with open(self._path, encoding="ascii") as file:
                text = file.read(20).removesuffix("\n")
        except FileNotFoundError:
            if not self._seen[2]:
                return 0
            text = ""
        except (OSError, ValueError):
            text = ""
        if not (text.isdecimal() and len(text) <= 8):
            raise StoreUnusable(
                "The file 'current' of the store is lost, or does not hold the number of a version. If the change log is"
                " whole, the next change, or the next start, writes it again."
            )
        return int(text)

    def write(self, number: int) -> None:
        """Let the file say another number, durably."""
        changes.write_durably(self.path, f"{number}\n".encode())
