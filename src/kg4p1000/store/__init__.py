"""The only door to the triple store.

A store is a folder::

    current              the number of the published version
    versions/00000001/   one Oxigraph database a version, never changed once published
    log/00000001.rdfp    one entry a change, as RDF Patch; the truth from which versions can be rebuilt
    builds/00000001.nq   what the files of a build said (see `build`)
    checked              by which rules and shapes the published version was made (see `curation`)
    lock                 held by whoever writes

Published versions are read by disposable processes (`Readers`); a change makes the next version
aside (`Draft`) and publishes it by one rename. Nothing here knows what the triples mean, except that
the graph register says which graphs are merged into the default graph.
"""

from .changes import Delta, Entry
from .comparison import Tell
from .draft import Draft
from .graphs import MemoryGraph, dataset
from .pool import Readers, parse_query
from .rebuild import Rebuilds
from .result import Result
from .versions import Store

__all__ = [
    "Delta",
    "Draft",
    "Entry",
    "MemoryGraph",
    "Readers",
    "Rebuilds",
    "Result",
    "Store",
    "Tell",
    "dataset",
    "parse_query",
]
