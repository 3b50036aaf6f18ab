"""Releases of the ontology: what changed, what it does to users, and the next number."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from .. import checks, release
from ..settings import Settings
from ..texts import counted
from .base import Verb, messages, progress, verb


@verb("release", cls=Verb)
@click.option("--dry-run", is_flag=True, help="Say what the release would be, and change nothing.")
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
