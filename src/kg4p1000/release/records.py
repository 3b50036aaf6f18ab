"""The records of past releases: the ontology and its code lists as they were."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import Quad, Triple

from ..build import read, sources
from ..errors import BrokenFile, NotFound
from ..terms import natural_key

#: Where they are, from the folder of the knowledge.
RECORDS = Path("ontology", "releases")


def releases(folder: Path) -> list[str]:
    """The versions of which there is a record, oldest first."""
    names = (path.name.removesuffix(".nt.gz") for path in (folder / RECORDS).glob("*.nt.gz"))
    return sorted(names, key=natural_key)


def newest(folder: Path) -> str:
    """The last release; empty before the first one."""
    return (releases(folder) or [""])[-1]


def load(folder: Path, version: str) -> list[Triple]:
    """The ontology and the code lists as they were released.

    Raises:
        NotFound: there is no record of that version.
        BrokenFile: the record is damaged.
    """
    path = record_path(folder, version)
    if version not in releases(folder):
        raise NotFound(
            f"There is no release {version!r} of the ontology; there are"
            f" {', '.join(releases(folder)) or 'none yet'}."
        )
    try:
        data = gzip.decompress(path.read_bytes())
        return [q.triple for q in ox.parse(data, format=ox.RdfFormat.N_TRIPLES)]
    except (OSError, EOFError, SyntaxError) as e:
        raise BrokenFile(
            f"{path} is damaged ({e}); take it from the release again.", file=str(path)
        ) from e


def record(triples: Iterable[Triple]) -> bytes:
    """Triples as they are recorded: sorted, without time or file name, the same bytes for the same."""
    lines = sorted(f"{triple} .\n" for triple in set(triples))
    return gzip.compress("".join(lines).encode(), mtime=0)


def record_path(folder: Path, version: str) -> Path:
    """Where the record of a version is."""
    return folder / RECORDS / f"{version}.nt.gz"


def stated(folder: Path) -> list[Triple]:
    """The ontology and the code lists as the files have them, blank nodes named the same each time."""
    kept = [s for s in sources(folder) if s.path.parent.name == "ontology"]
    dataset = ox.Dataset(Quad(*q.triple) for source in kept for q in read(source))
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return [q.triple for q in dataset]
