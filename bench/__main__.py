"""Measure and write the page: ``python -m bench [--sizes 10000 1000000] [--parts …] [--out FILE]``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from . import data, endurance, speed, writing
from .report import Report

_METHOD = """\
All servers run on the same machine as the client, one after another, over the same generated statements of our vocabulary
(`bench/generate.py`), each in its own form: ours a store with the plan's graph and the statements in the default
graph, the Oxigraph server and Virtuoso a store on disk, rdflib-endpoint a graph of rdflib in memory (up to a million
statements). Every query asks for JSON. Ours was loaded through the change log, without validation and inference where the
head does not say so. The client is `bench/client.py`, one process, which shares the cores with the
server. `make bench` runs all of it again; `python -m bench --help` runs parts."""

Part = Callable[[Report, Path, int], None]


def _parts(seconds: float, kills: int) -> dict[str, tuple[Part, tuple[int, ...]]]:
    """Each part, and the sizes that it is for; no size means all that are asked for."""
    small = (10_000,)
    return {
        "load": (writing.bulk, ()),
        "point": (lambda r, w, n: speed.point_queries(r, w, n, seconds), ()),
        "heavy": (speed.heavy_queries, ()),
        "export": (speed.export, (1_000_000,)),
        "changes": (writing.changes, ()),
        "store": (writing.store_part, ()),
        "runaways": (endurance.runaway_queries, (1_000_000,)),
        "oxigraph-runaways": (endurance.oxigraph_runaways, (1_000_000,)),
        "crowd": (lambda r, w, n: endurance.crowd(r, w, n, 6 * seconds), (1_000_000,)),
        "rude": (endurance.rude, (1_000_000,)),
        "kills": (lambda r, w, n: endurance.kills(r, w, kills), small),
    }


def main() -> None:
    """Run the parts that are asked for, and write the page after each."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 1_000_000, 10_000_000])
    parser.add_argument("--seconds", type=float, default=10, help="how long a load goes on")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--parts", nargs="+", choices=list(_parts(0, 0)), default=[*_parts(0, 0)])
    parser.add_argument("--work", type=Path, default=data.ROOT / ".venv" / "bench")
    parser.add_argument("--out", type=Path, help="the page that is written")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    report = Report()
    parts = _parts(given.seconds, given.kills)
    for size in given.sizes:
        for name in given.parts:
            part, only = parts[name]
            if only and size not in only:
                continue
            print(f"{time.strftime('%H:%M:%S')} {name}, {size:,} statements", flush=True)
            part(report, given.work, size)
            if given.out:
                report.write(given.out, _METHOD)


if __name__ == "__main__":
    main()
