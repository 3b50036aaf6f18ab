"""A disk without room, told as such wherever the store meets it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import DiskFull

_NUMBERS = (errno.ENOSPC, errno.EDQUOT)


def full(error: OSError) -> bool:
    """Whether an error says that the disk, or what one may use of it, is full."""
    # The engine and `shutil` tell the words alone.
    return error.errno in _NUMBERS or "No space left on device" in str(error)


@contextmanager
def room(for_what: str) -> Iterator[None]:
    """Tell errors of a full disk as `DiskFull`.

    Args:
        for_what: is said of the disk: "There is no room left … for this change; …".
    """
    try:
        yield
    except OSError as e:
        if not full(e):
            raise
        raise DiskFull(
            f"There is no room left on the disk for {for_what}. Queries are answered as before. Whoever"
            " runs the service has to make room; then it works again without a restart."
        ) from e
