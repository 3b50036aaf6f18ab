"""From the files to the store: build, validate, check, undo, and back to the files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click
import pyoxigraph as ox

from .. import build, checks, curation, merging, ontology, proposals, quality, validation
from ..errors import NotFound
from ..files import see_all_read
from ..queries import Library, read_query
from ..settings import Settings
from ..store import MemoryGraph, Readers, Store
from ..texts import counted, meant
from .base import Verb, author, existing, messages, named_graph, progress, ready, short, verb


@verb("build", cls=Verb)
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--message", default="", help="What the change log says of this build.")
def build_(given: Settings, dry_run: bool, message: str) -> None:
    """Bring the store to what the files say: parse, infer, validate, publish.

    Files that do not parse or do not fit the shapes are refused, and the store stays as it was.
    """
    store = Store(given.store, keep=given.keep_versions)
    faults = quality.faults(
        given.files
    )  # of files that cannot be read, before anything is published
    with progress("Building"):
        done = build.build(
            store,
            given.files,
            author=author(),
            message=message,
            dry_run=dry_run,
            detect=proposals.detect,
        )
    change = done.commit.delta
    counts = f"{counted(len(change.added), 'statement')} added, {len(change.removed):,} removed"
    if warnings := done.commit.report.count("warning"):
        messages.print(f"{counted(warnings, 'warning')}; 'kg4p1000 validate' lists them.")
    if faults:
        messages.print(
            f"{counted(len(faults), 'fault')} of the ontology; 'kg4p1000 validate' lists them."
        )
    for conflict in done.conflicts:
        _tell(conflict)
    if done.conflicts:
        messages.print(
            f"{counted(len(done.conflicts), 'conflict')}: the graph keeps what it says there, and each build tells of them until"
            " file and graph say the same. Correct the one or the other; 'dump --to-files --overwrite' takes what the"
            " graph says."
        )
    if done.commit.entry:
        click.echo(f"Version {done.commit.entry.version} published: {counts}.")
    elif dry_run:
        click.echo(f"Nothing changed (dry run): {counts}.")
    elif done.differ:
        click.echo(
            f"Version {store.current} stays: beside what is told above, the files say nothing new."
            if done.conflicts
            else f"Version {store.current} stays: the {counted(done.files, 'file')} say nothing new. "
            f"{counted(done.differ, 'statement was', 'statements were')} changed in the service since; 'kg4p1000 dump --to-files' brings them to the files."
        )
    else:
        click.echo(f"Version {store.current} already says what the {done.files} files say.")
    if done.conflicts:
        raise SystemExit(1)


def _tell(conflict: build.Conflict) -> None:
    """Say on what files and graph disagree."""
    what = f"{short(conflict.predicate)} of {short(conflict.subject)}"
    if conflict.graph == curation.DECISIONS:
        why = f"the files change {what}, which a person decided; it stays, and 'dump --to-files' brings it back to them:"
    elif conflict.torn:
        why = f"one of files and steward took {short(conflict.subject)} away, and the other changed {what}:"
    else:
        why = f"files and a steward both changed {what}; the steward's stays:"
    messages.print(f"Conflict in {short(conflict.graph)}: {why}")
    for quad in sorted(conflict.steward, key=str):
        messages.print(f"  kept  {quad.object}")
    for quad in sorted(conflict.files - conflict.steward, key=str):
        messages.print(f"  files {quad.object}")


@verb("validate", cls=Verb)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json", "turtle"]), default="text")
@click.option("--alone", is_flag=True, help="Check the files without the other files of the graph.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "shacl", "pyshacl"]),
    default="auto",
    help="SHACL engine.",
)
def validate_(
    given: Settings, paths: tuple[Path, ...], form: str, alone: bool, engine: validation.Engine
) -> None:
    """Check data against the shapes, the ontology and code lists for faults, and stored queries.

    Given FILES (Turtle, mappings, queries) are checked together with the other files of the graph, which
    they refer to and replace where they have the same path; findings about their own subjects are
    shown. Without FILES, all files are checked.
    """
    asked = [path for path in paths if path.suffix.lower() == ".rq"]
    stated = [path for path in paths if path not in asked]
    if not paths:
        see_all_read(given.files)
    if asked or not paths:
        Library(given.files / "queries")  # tells a mistake with file, line and repair
        for path in asked:
            read_query(path)
    report, labels, homes = validation.Report(()), {}, {}
    if stated or not paths:
        with progress("Validating"):
            report, labels, homes = _judged(given.files, stated, alone, engine)
    with progress("Looking for faults of the ontology"):
        faults = _faults(given.files, paths)
    if form == "json":
        told = report.to_dict() | {"faults": [str(fault) for fault in faults]}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
    elif form == "turtle":
        click.echo(report.to_turtle(), nl=False)
    elif report.findings or not faults:
        click.echo(report.to_text(lambda iri: labels.get(iri, ""), homes.get), nl=False)
    for fault in faults if form != "json" else ():
        click.echo(f"FAULT  {fault}", err=form == "turtle")
    if faults or not report.conforms:
        raise SystemExit(1)


def _faults(files: Path, paths: tuple[Path, ...]) -> list[quality.Fault]:
    """Faults of the ontology, the code lists and the terms in queries; of some files, or of all."""
    ours = {(files / name).resolve() for name in ("ontology", "queries")}
    resolved = {path.resolve() for path in paths}
    if paths and not any(folder in path.parents for path in resolved for folder in ours):
        return []
    found = quality.faults(files)
    return [f for f in found if not paths or (files / f.file).resolve() in resolved]


def _judged(
    files: Path, paths: list[Path], alone: bool, engine: validation.Engine
) -> tuple[validation.Report, dict[str, str], dict[Any, str]]:
    """The report on some files or on all, the labels in them, and the file of each subject."""
    known = [source.path for source in build.merged_sources(files)]
    resolved = {path.resolve() for path in paths}
    context = [path for path in known if path.resolve() not in resolved]
    if alone:
        context = [path for path in context if path.parent.name == "ontology"]
    homes: dict[Any, str] = {}
    own: set[Any] = set()
    triples: list[ox.Triple] = []
    for path in [*context, *paths]:
        said = build.parse_file(path)
        triples += said
        subjects = dict.fromkeys((triple.subject for triple in said), str(path))
        if path.resolve() in resolved:
            homes |= subjects
            own.update(subjects)
        else:
            homes = subjects | homes
    graph = MemoryGraph(triples)
    shapes = build.load_shapes(files)
    report = validation.validate(graph, shapes, engine)
    report = shapes.with_kinds(report, ontology.contradictions_of(triples))
    if report.conforms:
        shapes.see_that_ontology_allows(graph)
    if paths:
        report = validation.Report(tuple(f for f in report.findings if f.focus in own))
    named = {node.value for node in homes if isinstance(node, ox.NamedNode)}
    hinted = report.hinted(lambda space: (name for name in named if name.startswith(space)))
    return hinted, _labels(graph), homes


@verb("dump", cls=Verb)
@click.option("--version", type=int, help="An older version than the published one.")
@click.option("--graph", "graph", help="Only one named graph, such as graph:plan-2020.")
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
    store = existing(given)
    ready(store, version)
    if to_files:
        done = build.write_files(store, given.files, version, overwrite=overwrite)
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
        left = Counter(q.graph_name.value for q in store.quads(version))
        homes = {source.graph.value for source in build.sources(given.files)}
        without = {
            name: left[name] for name in sorted(left.keys() - homes - {curation.INFERRED.value})
        }
        for name, count in without.items():
            click.echo(
                f"{name} has no file; {counted(count, 'statement was', 'statements were')} not written.",
                err=True,
            )
        raise SystemExit(1 if without or done.left else 0)
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


@verb("undo", cls=Verb)
@click.argument("version", type=int)
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--message", default="", help="What the change log says of it.")
def undo_(given: Settings, version: int, dry_run: bool, message: str) -> None:
    """Take back what VERSION changed, as a new version; works while the service runs."""
    store, shapes = existing(given), build.load_shapes(given.files)
    done = curation.undo(
        store,
        shapes,
        version,
        author(),
        message=message,
        dry_run=dry_run,
    )
    counts = (
        f"{counted(len(done.delta.added), 'statement')} added, {len(done.delta.removed):,} removed"
    )
    if done.entry:
        click.echo(f"Version {done.entry.version} published: {counts}.")
        if merging.matters(done.delta.added | done.delta.removed):
            with progress("Comparing the activities"):
                anew = proposals.refresh(store, shapes, author=author(), most=proposals.MOST)
            if anew and anew.entry:
                click.echo(f"Version {anew.entry.version} published: overlaps detected anew.")
    else:
        click.echo(f"Nothing changed: {counts} would have been." if dry_run else "Nothing changed.")


@verb("check", cls=Verb)
def check_(given: Settings) -> None:
    """Verify everything that can be verified about this installation and its store."""
    store = existing(given)
    failed = False

    def report(what: str, findings: list[str] | None, note: str = "") -> None:
        nonlocal failed
        failed = failed or bool(findings)
        state = "not run" if findings is None else "FAIL" if findings else "ok"
        click.echo(f"{state}\t{what}{f' ({note})' if note else ''}")
        for finding in findings or ():
            click.echo(f"\t{finding}")

    readers = Readers(store, 1, given.query_timeout, given.query_memory)
    try:
        for what, verify in checks.all_checks(store, given.files, readers):
            with progress(what) as tell:
                findings, note = verify(tell)
            report(what, findings, note)
    finally:
        readers.close()
    if failed:
        raise SystemExit(1)


def _labels(graph: MemoryGraph) -> dict[str, str]:
    rows = graph.select(
        "SELECT ?s ?l WHERE { ?s <http://www.w3.org/2004/02/skos/core#prefLabel>|"
        "<http://www.w3.org/2000/01/rdf-schema#label> ?l FILTER(LANG(?l) = 'en') } ORDER BY ?s ?l"
    )
    return {row["s"].value: row["l"].value for row in rows if isinstance(row["s"], ox.NamedNode)}
