"""Releases of the ontology: what changed, what it does to users, and the next number."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from .. import release
from ..settings import Settings
from .base import Verb, messages, verb


@verb("release", cls=Verb)
@click.option("--dry-run", is_flag=True, help="Say what the release would be, and change nothing.")
@click.option(
    "--migrate", is_flag=True, help="Rewrite data that use deprecated terms, and no more."
)
@click.option("--date", help="Day of the release, such as 2026-11-22; today without.")
def release_(given: Settings, dry_run: bool, migrate: bool, date: str | None) -> None:
    """Release the ontology: compare it with the last release and move its version one step.

    Prints the difference report: terms added, changed and deprecated, and which data, shapes and
    stored queries that concerns. What would break them is refused, with what to do.
    """
    if migrate:
        for path in release.migrate(given.files):
            click.echo(path)
        return
    today = datetime.now(UTC).date().isoformat()
    done = release.plan(given.files) if dry_run else release.publish(given.files, date or today)
    click.echo(done.to_markdown(), nl=False)
    if done.refusals:
        messages.print(f"[bold red]Refused.[/] {len(done.refusals)} reasons stand in the report.")
        raise SystemExit(1)
    if done.base and done.step is release.Step.NONE:
        messages.print(f"Nothing changed since {done.base}; there is nothing to release.")
    elif not dry_run:
        messages.print(f"Released {done.version}. Review the files that changed, then commit them.")
