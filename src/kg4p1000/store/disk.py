"""What may be wrong with the disk, told as such wherever the store meets it: no room, read-only, damaged files."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..kernel.errors import DiskFull, StoreUnusable

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FILE = re.compile(r"/([^/\s]+\.sst|MANIFEST-\d+|CURRENT)\b|\b(CURRENT) file")


@contextmanager
def room(for_what: str) -> Iterator[None]:
    """Raise errors of a full disk as `DiskFull`, and of one that may not be written as `StoreUnusable`.

    Args:
        for_what: is said of the disk: "There is no room left … for this change; …".
    """
    try:
        yield
    except OSError as e:
        # The engine and `shutil` tell the words alone.
        if e.errno == errno.EROFS or "Read-only file system" in str(e):
            raise StoreUnusable(
                f"The disk may not be written (it is mounted read-only), so not for {for_what}. Queries are"
                " answered as before. Whoever runs the service has to mount it for writing."
            ) from e
        if e.errno not in _FULL and "No space left on device" not in str(e):
            raise
        raise DiskFull(
            f"There is no room left on the disk for {for_what}. Queries are answered as before. Whoever"
            " runs the service has to make room; then it works again without a restart."
        ) from e


def damaged(error: Exception) -> bool:
    """Return whether the engine says that the files of a database are damaged."""
    return str(error).startswith(("Corruption", "IO error: No such file"))


@contextmanager
def whole_database(version: int) -> Iterator[None]:
    """Raise `StoreUnusable` where the engine meets that the database of a version is damaged."""
    try:
        yield
    except (RuntimeError, OSError) as e:
        if not damaged(e):
            raise
        match = _FILE.search(str(e))
        which = f" (file {match[1] or match[2]})" if match else ""
        raise StoreUnusable(
            f"The database of version {version} is damaged{which}. The change log has all that it holds: if"
            " 'kg4p1000 check' finds no fault in that, delete the folder 'versions' in the folder of the"
            " store, and the database is made again from the log."
        ) from e
