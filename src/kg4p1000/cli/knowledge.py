"""From the files to the store: build, validate, check and release."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pyoxigraph as ox

from .. import reasoning, release
from ..curation import build, decisions
from ..kernel.files import see_all_read
from ..kernel.settings import Settings
from ..kernel.terms import prefix_declarations
from ..kernel.texts import counted
from ..knowledge.queries import Library, read_query
from ..release import lint
from ..store import MemoryGraph, Store
from . import checks
from .base import (
    amounts,
    author,
    choice,
    dry_run,
    existing,
    log_message,
    messages,
    progress,
    published,
    reading,
    short,
    tell_warnings,
    verb,
)

_LABELS = """SELECT ?s ?l WHERE { ?s skos:prefLabel|rdfs:label ?l FILTER(LANG(?l) = "en") } ORDER BY ?s ?l"""


@verb("build")
@dry_run
@log_message
def build_(given: Settings, dry_run: bool, message: str) -> None:
    """Bring the store to what the files say: parse, infer, validate, publish.

    Files that do not parse or do not fit the shapes are refused, and the store stays as it was.
    """
    store = Store(given.store, keep=given.keep_versions)
    # Files that cannot be read are told before anything is published.
    faults = lint.faults(given.files)
    with progress("Building"):
        done = build.build(store, given.files, author=author(), message=message, dry_run=dry_run)
    tell_warnings(done.commit.report)
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
    counts = amounts(done.commit)
    if not published(done.commit, counts):
        stays = f"Version {store.current} stays:"
        since = counted(done.differ, "statement was", "statements were")
        if dry_run:
            click.echo(f"Nothing changed (dry run): {counts}.")
        elif not done.differ:
            click.echo(f"Version {store.current} already says what the {done.files} files say.")
        elif done.conflicts:
            click.echo(f"{stays} beside what is told above, the files say nothing new.")
        else:
            click.echo(
                f"{stays} the {counted(done.files, 'file')} say nothing new. {since} changed in the"
                " service since; 'kg4p1000 dump --to-files' brings them to the files."
            )
    if done.conflicts:
        raise SystemExit(1)


def _tell(conflict: build.Conflict) -> None:
    """Say on what files and graph disagree."""
    what = f"{short(conflict.predicate)} of {short(conflict.subject)}"
    if conflict.graph == decisions.GRAPH:
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


@verb("validate")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@choice("--format form", "text", "json", "turtle", default="text")
@click.option("--alone", is_flag=True, help="Check the files without the other files of the graph.")
@choice("--engine", "auto", "shacl", "pyshacl", default="auto", help="SHACL engine.")
def validate_(
    given: Settings, paths: tuple[Path, ...], form: str, alone: bool, engine: reasoning.Engine
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
    report, labels, homes = reasoning.Report(()), {}, {}
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


def _faults(files: Path, paths: tuple[Path, ...]) -> list[lint.Fault]:
    """Return the faults of the ontology, the code lists and the terms in queries; of some files, or of all."""
    ours = {(files / name).resolve() for name in ("ontology", "queries")}
    resolved = {path.resolve() for path in paths}
    if paths and not any(folder in path.parents for path in resolved for folder in ours):
        return []
    found = lint.faults(files)
    return [f for f in found if not paths or (files / f.file).resolve() in resolved]


def _judged(
    files: Path, paths: list[Path], alone: bool, engine: reasoning.Engine
) -> tuple[reasoning.Report, dict[str, str], dict[Any, str]]:
    """Return the report on some files or on all, the labels in them, and the file of each subject."""
    resolved = {path.resolve() for path in paths}
    others = [source.path for source in build.merged_sources(files)]
    others = [path for path in others if path.resolve() not in resolved]
    if alone:
        others = [path for path in others if path.parent.name == "ontology"]
    homes: dict[Any, str] = {}
    triples: list[ox.Triple] = []
    own: set[Any] = set()
    for path in [*paths, *others]:
        said = build.parse_file(path)
        triples += said
        for triple in said:
            homes.setdefault(triple.subject, str(path))
        if path in paths:
            own |= {triple.subject for triple in said}
    graph = MemoryGraph(triples)
    report = checks.judge(graph, build.load_shapes(files), engine)
    if paths:
        report = reasoning.Report(tuple(f for f in report.findings if f.focus in own))
    names = [node.value for node in homes if isinstance(node, ox.NamedNode)]
    hinted = report.hinted(lambda space: (name for name in names if name.startswith(space)))
    rows = graph.select(prefix_declarations() + _LABELS)
    labels = {row["s"].value: row["l"].value for row in rows if isinstance(row["s"], ox.NamedNode)}
    return hinted, labels, homes


@verb("check")
def check_(given: Settings) -> None:
    """Verify everything that can be verified about this installation and its store."""
    store = existing(given)
    failed = False
    with reading(given, store) as readers:
        for what, verify in checks.all_checks(store, given.files, readers):
            with progress(what) as tell:
                findings, note = verify(tell)
            failed = failed or bool(findings)
            state = "not run" if findings is None else "FAIL" if findings else "ok"
            click.echo(f"{state}\t{what}{f' ({note})' if note else ''}")
            for finding in findings or ():
                click.echo(f"\t{finding}")
    if failed:
        raise SystemExit(1)


@verb("release")
@dry_run
@click.option(
    "--without-reasoner", is_flag=True, help="Release though nobody judged contradictions (HermiT)."
)
@click.option(
    "--migrate", is_flag=True, help="Rewrite data that use deprecated terms, and no more."
)
@click.option("--date", help="Day of the release, such as 2026-11-22; today without.")
def release_(
    given: Settings, dry_run: bool, without_reasoner: bool, migrate: bool, date: str | None
) -> None:
    """Release the ontology: compare it with the last release and move its version one step.

    Prints the difference report: terms added, changed and deprecated, and which data, shapes and
    stored queries that concerns. What would break them is refused, with what to do; so is an ontology
    that has faults, or that contradicts itself.
    """
    if migrate:
        for path in release.migrate(given.files):
            click.echo(path)
        return
    today = datetime.now(UTC).date().isoformat()
    with progress("Looking for faults and contradictions"):
        faults = checks.ontology_faults(given.files, not without_reasoner)
    if dry_run:
        done = release.plan(given.files, faults)
    else:
        done = release.publish(given.files, date or today, faults)
    click.echo(done.to_markdown(), nl=False)
    if done.refusals:
        messages.print(f"Refused. {counted(len(done.refusals), 'reason')} in the report.")
        raise SystemExit(1)
    if done.base and done.step is release.Step.NONE:
        messages.print(f"Nothing changed since {done.base}; there is nothing to release.")
    elif not dry_run:
        messages.print(f"Released {done.version}. Review the files that changed, then commit them.")
