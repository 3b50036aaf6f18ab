"""A database whose files are cut, changed or gone, told as such wherever the store meets it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import StoreUnusable

_FILE = re.compile(r"/([^/\s]+\.sst|MANIFEST-\d+|CURRENT)\b|\b(CURRENT) file")


def damaged(error: Exception) -> bool:
    """Whether the engine says that the files of a database are damaged."""
    return str(error).startswith(("Corruption", "IO error: No such file"))


@contextmanager
def told(version: int) -> Iterator[None]:
    """Tell that the database of a version is damaged as `StoreUnusable`."""
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
