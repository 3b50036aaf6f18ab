"""Changes of the store and what is read of it: load, clear, undo, diff and dump."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from ..curation import build, commits, loading
from ..kernel.errors import NotFound
from ..kernel.settings import Settings
from ..kernel.texts import counted, meant
from ..overlaps import detection
from ..store import Store
from ..store.changes import sorted_lines
from .base import (
    amounts,
    author,
    choice,
    dry_run,
    existing,
    log_message,
    messages,
    named_graph,
    progress,
    published,
    short,
    tell_warnings,
    verb,
)


@verb("load", of_settings=["load_size"])
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--graph", help="The named graph, such as graph:notes or an IRI.")
@click.option("--replace", is_flag=True, help="Remove what the graph held before.")
@dry_run
@log_message
@click.option("--register", default="", help="Title of a graph that is not registered yet.")
def load_(given: Settings, file: Path, graph: str | None, **options: Any) -> None:
    """Add the statements of FILE (.nt, .ttl, .rdf, .owl, .jsonld, .nq, .trig; also .gz) to a named graph.

    Those of .nq and .trig, such as a dump, go into the graphs that they name; with --graph, those of one graph
    go there. They are validated with the rest, inferred from and logged, as one change that 'undo' takes back. A
    large file is not kept in memory; it works while the service runs.
    """
    store = Store(given.store, keep=given.keep_versions)
    name = named_graph(graph) if graph else None
    with progress(f"Loading {file.name}") as tell:
        options |= {"author": author(), "limit": given.load_size, "tell": tell}
        done = loading.load(store, given.files, file, name, **options)
    tell_warnings(done.report)
    for told in done.normalised:
        what = f"literal of {told['datatype']} is", f"literals of {told['datatype']} are"
        messages.print(
            f"{counted(told['count'], *what)} kept by value, such as {told['sent']} as {told['kept']}."
        )
    if done.entry or options["dry_run"]:
        _tell(done)
    else:
        click.echo(f"Version {store.current} already says what the file says.")


@verb("clear")
@click.argument("graph")
@dry_run
@log_message
def clear_(given: Settings, graph: str, **options: Any) -> None:
    """Remove all statements of GRAPH, such as graph:topic, as one change that 'undo' takes back."""
    store, name = existing(given), named_graph(graph)
    _tell(loading.clear(store, given.files, name, author=author(), **options))


def _tell(done: commits.Commit) -> None:
    added, removed = done.counts
    counts = f"{counted(added, 'statement')} added, {removed:,} removed, inferences among them"
    if not published(done, counts):
        click.echo(f"Nothing changed (dry run): {counts}.")


@verb("undo")
@click.argument("version", type=int)
@dry_run
@log_message
def undo_(given: Settings, version: int, dry_run: bool, message: str) -> None:
    """Take back what VERSION changed, as a new version; works while the service runs."""
    store, shapes = existing(given), build.load_shapes(given.files)
    done = commits.undo(store, shapes, version, author(), message=message, dry_run=dry_run)
    counts = amounts(done)
    if not published(done, counts):
        click.echo(f"Nothing changed: {counts} would have been." if dry_run else "Nothing changed.")
    elif commits.is_followed(done.delta):
        with progress("Comparing the activities"):
            anew = detection.refresh(store, shapes, author=author(), most=detection.MOST)
        published(anew, "overlaps detected anew")


@verb("diff")
@click.argument("before", type=int)
@click.argument("after", type=int)
@click.option("--graph", help="Only one named graph, such as graph:notes.")
@choice(
    "--format form",
    *("counts", "patch", "added", "removed"),
    default="counts",
    help="counts: by graph. patch: RDF Patch. added, removed: N-Quads.",
)
def diff_(given: Settings, before: int, after: int, graph: str | None, form: str) -> None:
    """Say what changed from version BEFORE to version AFTER; what was changed and changed back is left out."""
    only = named_graph(graph) if graph else None
    delta = existing(given).between(before, after).only(lambda q: only in (None, q.graph_name))
    if form == "counts":
        went, came = (Counter(q.graph_name for q in side) for side in (delta.removed, delta.added))
        for name in sorted(came.keys() | went.keys(), key=str):
            click.echo(f"{short(name)}\t+{came[name]}\t-{went[name]}")
        return
    for what, mark, quads in (("removed", "D ", delta.removed), ("added", "A ", delta.added)):
        for line in sorted_lines(quads if form in ("patch", what) else ()):
            click.echo(f"{mark if form == 'patch' else ''}{line} .")


@verb("dump")
@click.option("--version", type=int, help="An older version than the published one.")
@click.option("--graph", help="Only one named graph, such as graph:plan-2020.")
@click.option("--to-files", is_flag=True, help="Write the data files of the graph instead.")
@click.option(
    "--overwrite",
    is_flag=True,
    help="With --to-files: files too that no build has read as they are.",
)
def dump_(
    given: Settings, version: int | None, graph: str | None, to_files: bool, overwrite: bool
) -> None:
    """Write the named graphs as sorted N-Quads to standard output, or back to the files of data/.

    With --to-files, what stewards changed in the service stands in the files, as one line a statement,
    ready to be reviewed and committed. A file that says what no build has brought into the graph stays as it is.
    It is named, and so is a graph that has no file; the exit status is 1 then.
    """
    store = existing(given, version)
    if to_files:
        _write_files(store, given.files, version, overwrite)
        return
    wanted = named_graph(graph) if graph else None
    quads = list(store.quads(version))
    lines = [f"{quad} .\n" for quad in quads if wanted in (None, quad.graph_name)]
    if wanted and not lines:
        known = sorted({short(quad.graph_name) for quad in quads})
        close = meant(short(wanted), known)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}."
        raise NotFound(f"There is no graph {short(wanted)}; {hint}")
    for line in sorted(lines):
        click.echo(line, nl=False)


def _write_files(store: Store, files: Path, version: int | None, overwrite: bool) -> None:
    done = build.write_files(store, files, version, overwrite=overwrite)
    for path in done.changed:
        click.echo(path)
    if done.computed:
        click.echo(
            f"data/overlaps.ttl has the decisions; {done.computed:,} computed statements, such as confidences, differ"
            " from the graph. 'kg4p1000 overlaps --to-file' computes them anew.",
            err=True,
        )
    for path, count in done.left.items():
        click.echo(
            f"{path} was not written: {count:,} of its changes are in no build, or in conflict. 'kg4p1000 build'"
            " tells of them; --overwrite drops them.",
            err=True,
        )
    homes = {source.graph for source in build.sources(files)} | {commits.INFERRED}
    without = Counter(q.graph_name.value for q in store.quads(version) if q.graph_name not in homes)
    for name, count in sorted(without.items()):
        were = counted(count, "statement was", "statements were")
        click.echo(f"{name} has no file; {were} not written.", err=True)
    if without or done.left:
        raise SystemExit(1)
