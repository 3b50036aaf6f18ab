"""Large files in, differences out: load and diff."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from .. import loading
from ..curation import Commit
from ..settings import Settings
from ..store import Store
from ..store.changes import sorted_lines
from ..texts import counted
from .base import Verb, author, existing, messages, named_graph, progress, short, verb


@verb("load", cls=Verb)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--graph", help="The named graph, such as graph:notes or an IRI.")
@click.option("--replace", is_flag=True, help="Remove what the graph held before.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--message", default="", help="What the change log says of it.")
@click.option("--register", default="", help="Title of a graph that is not registered yet.")
@click.option("--load-size", type=int, help="Largest file that is taken, in bytes.")
def load_(
    given: Settings,
    file: Path,
    graph: str | None,
    replace: bool,
    dry_run: bool,
    message: str,
    register: str,
) -> None:
    """Add the statements of FILE (.nt, .ttl, .rdf, .owl, .jsonld, .nq, .trig; also .gz) to a named graph.

    Those of .nq and .trig, such as a dump, go into the graphs that they name; with --graph, those of one graph
    go there. They are validated with the rest, inferred from and logged, as one change that 'undo' takes back. A
    large file is not kept in memory; it works while the service runs.
    """
    store = Store(given.store, keep=given.keep_versions)
    with progress(f"Loading {file.name}") as tell:
        done = loading.load(
            store,
            given.files,
            file,
            named_graph(graph) if graph else None,
            author=author(),
            message=message,
            replace=replace,
            dry_run=dry_run,
            limit=given.load_size,
            tell=tell,
            register=register,
        )
    if warnings := done.report.count("warning"):
        messages.print(f"{counted(warnings, 'warning')}; 'kg4p1000 validate' lists them.")
    for told in done.normalised:
        what = f"literal of {told['datatype']} is", f"literals of {told['datatype']} are"
        messages.print(
            f"{counted(told['count'], *what)} kept by value, such as {told['sent']} as {told['kept']}.",
            markup=False,
        )
    counts = _counts(done)
    if done.entry:
        click.echo(f"Version {done.entry.version} published: {counts}.")
    elif dry_run:
        click.echo(f"Nothing changed (dry run): {counts}.")
    else:
        click.echo(f"Version {store.current} already says what the file says.")


@verb("clear", cls=Verb)
@click.argument("graph")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--message", default="", help="What the change log says of it.")
def clear_(given: Settings, graph: str, dry_run: bool, message: str) -> None:
    """Remove all statements of GRAPH, such as graph:topic, as one change that 'undo' takes back."""
    done = loading.clear(
        existing(given),
        given.files,
        named_graph(graph),
        author=author(),
        message=message,
        dry_run=dry_run,
    )
    counts = _counts(done)
    click.echo(
        f"Version {done.entry.version} published: {counts}."
        if done.entry
        else f"Nothing changed (dry run): {counts}."
    )


@verb("diff", cls=Verb)
@click.argument("before", type=int)
@click.argument("after", type=int)
@click.option("--graph", help="Only one named graph, such as graph:notes.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["counts", "patch", "added", "removed"]),
    default="counts",
    help="counts: by graph. patch: RDF Patch. added, removed: N-Quads.",
)
def diff_(given: Settings, before: int, after: int, graph: str | None, form: str) -> None:
    """Say what changed from version BEFORE to version AFTER; what was changed and changed back is left out."""
    delta = existing(given).between(before, after)
    only = named_graph(graph) if graph else None
    added, removed = (
        [quad for quad in quads if only in (None, quad.graph_name)]
        for quads in (delta.added, delta.removed)
    )
    if form == "counts":
        came, went = (Counter(quad.graph_name for quad in quads) for quads in (added, removed))
        for name in sorted(came.keys() | went.keys(), key=str):
            click.echo(f"{short(name)}\t+{came[name]}\t-{went[name]}")
    wanted = {"removed": removed if form in ("patch", "removed") else []}
    wanted["added"] = added if form in ("patch", "added") else []
    for what, mark in (("removed", "D "), ("added", "A ")):
        for line in sorted_lines(wanted[what]):
            click.echo(f"{mark if form == 'patch' else ''}{line} .")


def _counts(done: Commit) -> str:
    added, removed = done.counts
    return f"{counted(added, 'statement')} added, {removed:,} removed, inferences among them"
