"""The only door to the triple store.

A store is a folder::

    current              the number of the published version
    versions/00000001/   one Oxigraph database a version, never changed once published
    log/00000001.rdfp    one entry a change, as RDF Patch; the truth from which versions can be rebuilt
    log/00000001.sha256  the hash of that entry
    builds/00000001.nq   what the files of a build said (see `build`)
    checked              by which rules and shapes the published version was made (see `curation`)
    lock                 held by whoever writes

Published versions are read by disposable processes (`Readers`); a change makes the next version
aside (`Draft`) and publishes it by one rename. Nothing here knows what the triples mean, except that
the graph register says which graphs are merged into the default graph.
"""

from .bulk import SEVERAL, statements
from .chain import Tell
from .changes import Delta, Entry
from .draft import Draft
from .faults import CALLS_NOBODY, parse_query
from .graphs import MemoryGraph, Row, Term, dataset, rows
from .readers import Readers
from .rebuild import Rebuilds
from .result import Result
from .verify import backup, check, notes, restore
from .versions import Store

__all__ = [
    "CALLS_NOBODY", "SEVERAL", "Delta", "Draft", "Entry", "MemoryGraph", "Readers", "Rebuilds", "Result", "Row",
    "Store", "Tell", "Term", "backup", "check", "dataset", "notes", "parse_query", "restore", "rows", "statements",
]  # fmt: skip
