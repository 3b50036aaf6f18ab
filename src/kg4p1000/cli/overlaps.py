"""Overlaps of activities: listed with reasons, detected anew, decided on."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from rich.console import Console
from rich.table import Table

from .. import build, proposals, terms
from ..overlaps import decisions
from ..settings import Settings
from ..texts import counted
from .base import Verb, VerbGroup, asking, author, existing, main, messages, progress

if TYPE_CHECKING:
    from ..overlaps.findings import Detection
    from ..overlaps.scoring import Finding

COLUMNS = ("a", "b", "score", "kind", "confidence", "status", "reason")
Row = dict[str, str]
_OBJECTIVES = (
    terms.prefix_declarations()
    + "SELECT ?code WHERE { ?objective a k4p:Objective ; skos:notation ?code }"
)
#: Options that go only with a file of other activities, and those that do not go with one.
_OF_FILES = ("alone", "best")
_OF_THE_GRAPH = ("between", "status", "kind", "update", "to_file")


class _Confidence(click.FloatRange):
    """A number from 0 to 1; "nan", which no bound refuses, is none."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a number from 0 to 1.", param, ctx)
        return number


@main.group("overlaps", cls=VerbGroup, invoke_without_command=True)
@click.option("--between", nargs=2, metavar="A4 D2", help="Only pairs of these two objectives.")
@click.option(
    "--min-confidence", type=_Confidence(0, 1), default=0.0, help="Only pairs at least this sure."
)
@click.option("--status", type=click.Choice(decisions.STATUSES), help="Only pairs in this state.")
@click.option("--kind", type=click.Choice(decisions.KINDS), help="Only pairs of this kind.")
@click.option(
    "--activities",
    type=click.Path(path_type=Path, exists=True),
    help="Compare the activities of a CSV file (id, title, description; perhaps language, group).",
)
@click.option(
    "--alone", is_flag=True, help="With --activities: with each other, not with the graph."
)
@click.option(
    "--best",
    type=click.IntRange(min=1),
    default=5,
    help="With --activities: how many partners of each.",
)
@click.option("--update", is_flag=True, help="Detect anew and publish the result.")
@click.option("--to-file", is_flag=True, help="Detect in the files and write data/overlaps.ttl.")
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json", "turtle"]), default="table"
)
@click.pass_context
def overlaps_(ctx: click.Context, given: Settings, **options: Any) -> None:
    """List all pairs of activities of different objectives, the surest overlaps first.

    \b
    kg4p1000 overlaps --between A4 D2
    kg4p1000 overlaps --min-confidence 0.6 --format csv
    kg4p1000 overlaps decide A4.2 D2.3 --status accepted --author "…" --why "…"
    """
    if ctx.invoked_subcommand:
        return
    _see_that_they_go_together(ctx, options)
    if options["to_file"]:
        with progress("Comparing the activities"):
            changed = proposals.write_file(given.files)
        click.echo(f"{changed} written." if changed else "data/overlaps.ttl says it already.")
        return
    store = existing(given)
    if options["update"]:
        with progress("Comparing the activities"):
            done = proposals.refresh(store, build.load_shapes(given.files), author=author())
        if done and done.entry:
            counts = f"{counted(len(done.delta.added), 'statement')} added, {len(done.delta.removed):,} removed"
            click.echo(f"Version {done.entry.version} published: {counts}.")
        else:
            click.echo(f"Version {store.current} already has these overlaps.")
        return
    with asking(given, store) as select:
        if options["activities"]:
            _print(_others(select, options), options["form"])
            return
        _list(select, options)


def _see_that_they_go_together(ctx: click.Context, options: dict[str, Any]) -> None:
    """Refuse options that would be without effect."""
    file = options["activities"] is not None
    for name in _OF_THE_GRAPH if file else _OF_FILES:
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            how = "does not go with" if file else "goes only with"
            raise click.UsageError(f"--{name.replace('_', '-')} {how} --activities.")
    if file and options["form"] == "turtle":
        raise click.UsageError("Activities of a file have no IRIs; take table, csv or json.")
    if options["between"] and len(set(options["between"])) == 1:
        raise click.UsageError("--between takes two objectives: overlaps are across objectives.")


def _list(select: Callable[[str], list[Any]], options: dict[str, Any]) -> None:
    from ..overlaps.findings import DETECTION, Detection  # noqa: PLC0415 - numpy is needed here only

    with progress("Comparing the activities"):
        detection = Detection.of(select)
    found = _filtered(detection, options, select)
    if options["form"] == "turtle":
        wanted = {DETECTION, *(decisions.overlap_iri(f.key) for f in found)}
        pairs = [f.key for f in found]
        made = detection.triples(select, also=pairs)
        click.echo(terms.turtle(t for t in made if t.subject in wanted).decode(), nl=False)
        return
    rows = [detection.row(f) for f in found]
    if options["form"] == "table" and len(rows) > 50:
        messages.print(f"The first 50 of {len(rows)} pairs; --format csv gives all of them.")
        rows = rows[:50]
    _print(rows, options["form"])


def _filtered(
    detection: Detection, options: dict[str, Any], select: Callable[[str], list[Any]]
) -> list[Finding]:
    wanted = set(options["between"] or ())
    for code in sorted(wanted - {a.group for a in detection.corpus.activities}):
        there = sorted(row["code"].value for row in select(_OBJECTIVES))
        if code in there:
            raise click.UsageError(f"The plan lists no activities for objective {code}.")
        raise click.UsageError(f"There is no objective {code}; there are {', '.join(there)}.")
    return [
        f
        for f in detection.findings
        if (not wanted or {f.a.group, f.b.group} == wanted)
        and f.confidence >= options["min_confidence"]
        and options["status"] in (None, f.status)
        and options["kind"] in (None, f.kind)
    ]


def _others(select: Callable[[str], list[Any]], options: dict[str, Any]) -> list[Row]:
    """Activities of a file with their best partners in the graph, or among themselves."""
    from ..overlaps import corpus, findings  # noqa: PLC0415 - numpy is needed here only

    given = corpus.read_table(options["activities"])
    with progress("Comparing the activities"):
        rows = findings.compare(corpus.read(select), given, options["best"], alone=options["alone"])
    return [row for row in rows if float(row["confidence"]) >= options["min_confidence"]]


def _print(rows: Sequence[Row], form: str) -> None:
    if form == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        click.echo(out.getvalue(), nl=False)
    elif form == "json":
        numbers = [
            {**r, "score": float(r["score"]), "confidence": float(r["confidence"])} for r in rows
        ]
        click.echo(json.dumps(numbers, ensure_ascii=False, indent=2))
    elif not rows:
        messages.print("No pair fits.")
    else:
        table = Table(header_style="bold")
        for name in COLUMNS:
            table.add_column(name, overflow="fold")
        for row in rows:
            table.add_row(*(row[name] for name in COLUMNS))
        width = None if sys.stdout.isatty() else 200
        shown = Console(file=io.StringIO(), width=width, markup=False, emoji=False)
        shown.print(table)
        click.echo(shown.file.getvalue(), nl=False)  # type: ignore[attr-defined]


@overlaps_.command("decide", cls=Verb)
@click.argument("one")
@click.argument("other")
@click.option("--status", type=click.Choice(decisions.STATUSES), required=True)
@click.option("--kind", type=click.Choice(decisions.KINDS), default=None, help="What kind it is.")
@click.option("--author", "who", required=True, help="Name of the person who decided.")
@click.option("--why", required=True, help="The reason, in English.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
def decide_(
    given: Settings,
    one: str,
    other: str,
    status: str,
    kind: str | None,
    who: str,
    why: str,
    dry_run: bool,
) -> None:
    """Record what a person decided about the pair ONE and OTHER, such as A4.2 D2.3.

    Earlier decisions stay in the graph; the last one holds. The ranking learns from it. A pair that is
    not stored, as its confidence is low, is stored with the decision.
    """
    pair = decisions.ordered(one, other)
    store, shapes = existing(given), build.load_shapes(given.files)
    done = proposals.decide(
        store,
        shapes,
        pair,
        status=status,
        overlap_kind=kind or "",
        author=who,
        why=why,
        dry_run=dry_run,
    )
    if not done.entry:
        click.echo(f"Nothing changed: {counted(len(done.delta), 'statement')} would have.")
        return
    click.echo(f"Version {done.entry.version} published: {'-'.join(pair)} is {status}.")
    with progress("Learning from it"):
        learnt = proposals.refresh(store, shapes, author=author())
    if learnt and learnt.entry:
        click.echo(f"Version {learnt.entry.version} published: the other overlaps judged anew.")


@overlaps_.command("queue", cls=Verb)
@click.option("--first", type=click.IntRange(min=1), default=20, help="How many pairs.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table")
def queue_(given: Settings, first: int, form: str) -> None:
    """List the pairs that wait for a decision, those first from which the ranking learns most."""
    from ..overlaps.findings import Detection  # noqa: PLC0415 - numpy is needed here only

    with asking(given, existing(given)) as select:
        with progress("Comparing the activities"):
            detection = Detection.of(select)
        _print([detection.row(f) for f in detection.queue()[:first]], form)
