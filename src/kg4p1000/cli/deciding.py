"""Overlaps of activities and mappings to other vocabularies: listed, detected anew, decided on."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ..curation import build, decisions, mappings
from ..curation.commits import Commit
from ..kernel import terms
from ..kernel.settings import Settings
from ..kernel.texts import counted
from ..overlaps import detection
from ..overlaps.decisions import KINDS, STATUSES, ordered, overlap_iri
from .base import (
    Verb,
    VerbGroup,
    amounts,
    author,
    choice,
    decision,
    existing,
    main,
    messages,
    print_rows,
    progress,
    published,
    reading,
    select,
    short,
)

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
@choice("--status", *STATUSES, help="Only pairs in this state.")
@choice("--kind", *KINDS, help="Only pairs of this kind.")
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
@choice("--format form", "table", "csv", "json", "turtle", default="table")
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
            changed = detection.write_file(given.files)
        click.echo(f"{changed} written." if changed else "data/overlaps.ttl says it already.")
        return
    store = existing(given)
    if options["update"]:
        with progress("Comparing the activities"):
            done = detection.refresh(store, build.load_shapes(given.files), author=author())
        if not (done and published(done, amounts(done))):
            click.echo(f"Version {store.current} already has these overlaps.")
        return
    with reading(given, store) as readers:
        rows = _others if options["activities"] else _pairs
        _print(rows(partial(select, readers), options), options["form"])


def _see_that_they_go_together(ctx: click.Context, options: dict[str, Any]) -> None:
    """Refuse options that would be without effect."""
    file = options["activities"]
    for name in _OF_THE_GRAPH if file else _OF_FILES:
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            how = "does not go with" if file else "goes only with"
            raise click.UsageError(f"--{name.replace('_', '-')} {how} --activities.")
    if file and options["form"] == "turtle":
        raise click.UsageError("Activities of a file have no IRIs; take table, csv or json.")
    if options["between"] and len(set(options["between"])) == 1:
        raise click.UsageError("--between takes two objectives: overlaps are across objectives.")


def _detection(query: Callable[[str], list[Any]]) -> Detection:
    from ..overlaps.findings import Detection  # noqa: PLC0415 - numpy is needed here only

    with progress("Comparing the activities"):
        return Detection.of(query)


def _pairs(query: Callable[[str], list[Any]], options: dict[str, Any]) -> list[Row] | str:
    """Return the pairs that fit the options, as rows or as Turtle."""
    detection = _detection(query)
    found = _filtered(detection, options, query)
    if options["form"] == "turtle":
        from ..overlaps.findings import DETECTION  # noqa: PLC0415 - numpy is needed here only

        wanted = {DETECTION, *(overlap_iri(f.key) for f in found)}
        made = detection.triples(query, also=[f.key for f in found])
        return terms.turtle(t for t in made if t.subject in wanted).decode()
    rows = [detection.row(f) for f in found]
    if options["form"] == "table" and len(rows) > 50:
        messages.print(f"The first 50 of {len(rows)} pairs; --format csv gives all of them.")
        rows = rows[:50]
    return rows


def _filtered(
    detection: Detection, options: dict[str, Any], query: Callable[[str], list[Any]]
) -> list[Finding]:
    wanted = set(options["between"] or ())
    for code in sorted(wanted - {a.group for a in detection.corpus.activities}):
        there = sorted(row["code"].value for row in query(_OBJECTIVES))
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


def _others(query: Callable[[str], list[Any]], options: dict[str, Any]) -> list[Row]:
    """Return the activities of a file with their best partners in the graph, or among themselves."""
    from ..overlaps import corpus, findings  # noqa: PLC0415 - numpy is needed here only

    given = corpus.read_table(options["activities"])
    with progress("Comparing the activities"):
        rows = findings.compare(corpus.read(query), given, options["best"], alone=options["alone"])
    return [row for row in rows if float(row["confidence"]) >= options["min_confidence"]]


def _print(found: list[Row] | str, form: str) -> None:
    if isinstance(found, str):
        click.echo(found, nl=False)
    elif form == "table" and not found:
        messages.print("No pair fits.")
    else:
        # The columns of CSV are fixed; a table shows the passages below the reason.
        columns = (*COLUMNS, "passage_a", "passage_b", "needs") if form == "json" else COLUMNS
        kinds = dict.fromkeys(("score", "confidence"), float if form == "json" else str)
        if form == "table":
            found = [row | {"reason": _with_passages(row)} for row in found]
        rows = ([kinds.get(name, str)(row.get(name, "")) for name in columns] for row in found)
        print_rows(columns, rows, form)


def _with_passages(row: Row) -> str:
    quotes = (f"{row[end]}: “{row['passage_' + end]}”" for end in "ab" if row.get(f"passage_{end}"))
    return "\n".join((row["reason"], *quotes))


@overlaps_.command("decide", cls=Verb)
@click.argument("one")
@click.argument("other")
@decision(*STATUSES)
@choice("--kind", *KINDS, help="What kind it is.")
def decide_overlap(given: Settings, one: str, other: str, kind: str | None, **said: Any) -> None:
    """Record what a person decided about the pair ONE and OTHER, such as A4.2 D2.3.

    Earlier decisions stay in the graph; the last one holds. The ranking learns from it. A pair that is
    not stored, as its confidence is low, is stored with the decision.
    """
    pair = ordered(one, other)
    store, shapes = existing(given), build.load_shapes(given.files)
    done = detection.decide(store, shapes, pair, kind=kind or "", **said)
    _tell(done, f"{'-'.join(pair)} is {said['status']}")
    if done.entry:
        with progress("Learning from it"):
            learnt = detection.refresh(store, shapes, author=author())
        published(learnt, "the other overlaps judged anew")


def _tell(done: Commit, what: str) -> None:
    if not published(done, what):
        click.echo(f"Nothing changed: {counted(len(done.delta), 'statement')} would have.")


@overlaps_.command("queue", cls=Verb)
@click.option("--first", type=click.IntRange(min=1), default=20, help="How many pairs.")
@choice("--format form", "table", "csv", "json", default="table")
def queue_(given: Settings, first: int, form: str) -> None:
    """List the pairs that wait for a decision, those first from which the ranking learns most."""
    with reading(given, existing(given)) as readers:
        detection = _detection(partial(select, readers))
        _print([detection.row(f) for f in detection.queue()[:first]], form)


@main.group("mappings", cls=VerbGroup, invoke_without_command=True)
@choice("--status", *mappings.STATUSES, help="Only those in this state.")
@click.option("--set", "of", help="Only those of this set, such as agrovoc.")
@choice("--format form", "table", "csv", default="table")
@click.pass_context
def mappings_(
    ctx: click.Context, given: Settings, status: str | None, of: str | None, form: str
) -> None:
    """List the mappings to other vocabularies, with what people decided about them.

    \b
    kg4p1000 mappings --status proposed --set agrovoc
    kg4p1000 mappings decide kg4p-ontology-Activity--prov-Activity --status rejected --author "…" --why "…"
    """
    if ctx.invoked_subcommand:
        return
    with reading(given, existing(given)) as readers:
        held = decisions.standing(mappings.read(partial(select, readers)))
        links = mappings.links(partial(select, readers))
    rows = []
    for link in links:
        key, home = (node.value.rpartition("/")[2] for node in (link.iri, link.set))
        if status in (None, link.status) and of in (None, home):
            made = held.get(link.iri)
            who = (made.who, made.time, made.reason) if made else ("", "", "")
            rows.append((key, home, link.label, link.confidence, link.status, *who))
    columns = ("mapping", "set", "statement", "confidence", "status", "reviewer", "when", "why")
    print_rows(columns, rows, form)
    if form == "table":
        messages.print(f"{counted(len(rows), 'mapping')}.")


@mappings_.command("decide", cls=Verb)
@click.argument("mapping")
@decision(*mappings.STATUSES)
def decide_mapping(given: Settings, mapping: str, **said: Any) -> None:
    """Record what a person decided about a MAPPING, by its key in the list.

    Earlier decisions stay in the graph; the last one holds. What is rejected is no longer stated; its
    record stays. 'kg4p1000 dump --to-files' brings the decision into data/decisions.ttl.
    """
    try:
        node = terms.mint("mapping", mapping)
    except ValueError as e:
        raise click.UsageError(f"{mapping!r} is no key of a mapping: {e}.") from None
    done = mappings.decide(existing(given), build.load_shapes(given.files), node, **said)
    _tell(done, f"{short(node)} is {said['status']}")
