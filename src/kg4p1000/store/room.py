"""A disk without room, or that may not be written, told as such wherever the store meets it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import DiskFull, StoreUnusable

_NUMBERS = (errno.ENOSPC, errno.EDQUOT)


def full(error: OSError) -> bool:
    """Whether an error says that the disk, or what one may use of it, is full."""
    # The engine and `shutil` tell the words alone.
    return error.errno in _NUMBERS or "No space left on device" in str(error)


def read_only(error: OSError) -> bool:
    """Whether an error says that the file system may not be written."""
    return error.errno == errno.EROFS or "Read-only file system" in str(error)


@contextmanager
def room(for_what: str) -> Iterator[None]:
    """Tell errors of a full disk as `DiskFull`, and of one that may not be written as `StoreUnusable`.

    Args:
        for_what: is said of the disk: "There is no room left … for this change; …".
    """
    try:
        yield
    except OSError as e:
        if read_only(e):
            raise StoreUnusable(
                f"The disk may not be written (it is mounted read-only), so not for {for_what}. Queries are"
                " answered as before. Whoever runs the service has to mount it for writing."
            ) from e
        if not full(e):
            raise
        raise DiskFull(
            f"There is no room left on the disk for {for_what}. Queries are answered as before. Whoever"
            " runs the service has to make room; then it works again without a restart."
        ) from e
