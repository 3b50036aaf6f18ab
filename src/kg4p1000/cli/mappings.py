"""Mappings to other vocabularies: listed, and decided on."""

from __future__ import annotations

import csv
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from .. import build, mappings, terms
from ..settings import Settings
from ..texts import counted
from .base import Verb, VerbGroup, asking, existing, main, messages, short

COLUMNS = ("mapping", "set", "statement", "confidence", "status", "reviewer", "when", "why")


@main.group("mappings", cls=VerbGroup, invoke_without_command=True)
@click.option("--status", type=click.Choice(mappings.STATUSES), help="Only those in this state.")
@click.option("--set", "of", help="Only those of this set, such as agrovoc.")
@click.option("--format", "form", type=click.Choice(["table", "csv"]), default="table")
@click.pass_context
def mappings_(ctx: click.Context, given: Settings, **options: Any) -> None:
    """List the mappings to other vocabularies, with what people decided about them.

    \b
    kg4p1000 mappings --status proposed --set agrovoc
    kg4p1000 mappings decide kg4p-ontology-Activity--prov-Activity --status rejected --author "…" --why "…"
    """
    if ctx.invoked_subcommand:
        return
    with asking(given, existing(given)) as select:
        rows = _rows(select, options["status"], options["of"])
    if options["form"] == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerows([COLUMNS, *rows])
        return
    table = Table(header_style="bold")
    for name in COLUMNS:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200, markup=False, emoji=False).print(table)
    messages.print(f"{counted(len(rows), 'mapping')}.")


def _rows(select: mappings.Select, status: str | None, of: str | None) -> list[tuple[str, ...]]:
    held = mappings.standing(mappings.read(select))
    rows = []
    for link in mappings.links(select):
        home = link.set.value.rpartition("/")[2]
        if status in (None, link.status) and of in (None, home):
            said = held.get(link.iri)
            decided = (said.who, said.time, said.reason) if said else ("", "", "")
            key = link.iri.value.rpartition("/")[2]
            rows.append((key, home, link.label, link.confidence, link.status, *decided))
    return rows


@mappings_.command("decide", cls=Verb)
@click.argument("mapping")
@click.option("--status", type=click.Choice(mappings.STATUSES), required=True)
@click.option("--author", "who", required=True, help="Name of the person who decided.")
@click.option("--why", required=True, help="The reason, in English.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
def decide_(given: Settings, mapping: str, status: str, who: str, why: str, dry_run: bool) -> None:
    """Record what a person decided about a MAPPING, by its key in the list.

    Earlier decisions stay in the graph; the last one holds. What is rejected is no longer stated; its
    record stays. 'kg4p1000 dump --to-files' brings the decision into data/decisions.ttl.
    """
    try:
        node = terms.mint("mapping", mapping)
    except ValueError as e:
        raise click.UsageError(f"{mapping!r} is no key of a mapping: {e}.") from None
    done = mappings.decide(
        existing(given),
        build.load_shapes(given.files),
        node,
        status=status,
        author=who,
        why=why,
        dry_run=dry_run,
    )
    if not done.entry:
        click.echo(f"Nothing changed: {counted(len(done.delta), 'statement')} would have.")
        return
    click.echo(f"Version {done.entry.version} published: {short(node)} is {status}.")
