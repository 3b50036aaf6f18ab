"""What every verb needs: the common options, settings, errors told in a sentence, progress."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial, reduce
from pathlib import Path
from typing import Any

import click
import pyoxigraph as ox
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from .. import __version__
from ..curation.commits import Commit
from ..kernel import logs, processes, settings, terms
from ..kernel.errors import KgError, NotFound, ShapesViolated
from ..kernel.texts import counted
from ..reasoning import Report
from ..store import Readers, Store, Tell
from ..store.disk import room

#: Says to a command that it has the process to itself.
_PROGRAM = "kg4p1000.program"
#: Errors that are told as mistakes of usage.
_USAGE = ("bad-parameter", "not-found", "bad-settings")
#: Text of data is never read as a sign (":notes:") of a picture, nor as markup; our own is printed by itself.
messages = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False, markup=False)


#: Types of options, by those of the settings.
_TYPES = {"int": int, "float": float, "str": str, "Path": click.Path(path_type=Path)}


def _of_settings(*names: str) -> list[click.Parameter]:
    """Return options that say settings, as those describe themselves."""
    known = settings.Settings.__dataclass_fields__
    return [
        click.Option(
            [f"--{name.replace('_', '-')}"],
            type=_TYPES[str(known[name].type)],
            help=known[name].metadata["help"],
        )
        for name in names
    ]


class Verb(click.Command):
    """A verb that takes the common options too, so that they may stand before or after it.

    Args:
        of_settings: settings that it has an option for, beside those that all have.
        listens: whether it needs a network: it evaluates nothing then, or in children.
    """

    def __init__(
        self, *args: Any, of_settings: Sequence[str] = (), listens: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._listens = listens
        self.params += _of_settings(*of_settings, "store", "files")

    def invoke(self, ctx: click.Context) -> Any:
        """Load the settings and run the verb with them, its errors told in a sentence."""
        named = settings.Settings.__dataclass_fields__.keys() & ctx.params.keys()
        options = {name: ctx.params.pop(name) for name in named}
        flags = ctx.obj = {**ctx.obj, **{k: v for k, v in options.items() if v is not None}}
        mine = {k: v for k, v in flags.items() if k not in ("config", _PROGRAM)}
        try:
            with room("this"):
                given = ctx.params["given"] = settings.load(mine, os.environ, flags.get("config"))
                denied = processes.require_network_filter(given.network_filter)
                if flags.get(_PROGRAM) and denied and not self._listens:
                    processes.deny_network()
                return super().invoke(ctx)
        except KgError as e:
            messages.print(f"[bold red]{e.title}.[/]", end=" ", markup=True)
            messages.print(e.detail)
            if isinstance(e, ShapesViolated):
                click.echo(f"\n{e.report.to_text()}", err=True)
            raise SystemExit(2 if e.slug in _USAGE else 1) from None


class VerbGroup(Verb, click.Group):
    """A verb that has further verbs under it, and may do something by itself."""


@click.group(
    params=_of_settings("store", "files"),
    context_settings={"help_option_names": ["-h", "--help"]},
    help='The knowledge graph of the "4 per 1000" Implementation Plan: build, check, query and serve it.',
)
@click.version_option(__version__)
@click.option("--config", type=click.Path(path_type=Path), help="Settings file (TOML).")
@click.pass_context
def main(ctx: click.Context, **flags: Any) -> None:
    """Take the options that all verbs share."""
    logs.begin()
    ctx.obj = {**(ctx.obj or {}), **{k: v for k, v in flags.items() if v is not None}}


def run() -> None:
    """Run the command line as the program of this process, which keeps its limits to its end."""
    processes.end_with_parent()
    main(obj={_PROGRAM: True})


verb = partial(main.command, cls=Verb)
dry_run = click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
log_message = click.option("--message", default="", help="What the change log says of it.")


def choice(name: str, *values: str, **more: Any) -> Callable[[Any], Any]:
    """Make an option that takes one of some values."""
    return click.option(*name.split(), type=click.Choice(values), **more)


def decision(*statuses: str) -> Callable[[Any], Any]:
    """Make the options that say what a person decided."""
    options = (
        choice("--status", *statuses, required=True),
        click.option("--author", required=True, help="Name of the person who decided."),
        click.option("--why", required=True, help="The reason, in English."),
        dry_run,
    )
    return lambda command: reduce(lambda made, option: option(made), reversed(options), command)


def short(node: Any) -> str:
    """Return a node as people read it: its CURIE where it has one."""
    return terms.short(node.value)


def named_graph(name: str) -> ox.NamedNode:
    """Return a graph named by a CURIE or an IRI."""
    try:
        return ox.NamedNode(name) if name.startswith(("http://", "https://")) else terms.iri(name)
    except (KeyError, ValueError):
        raise click.UsageError(
            f"{name!r} is neither an IRI nor one with a prefix, such as graph:notes."
        ) from None


def author() -> str:
    """Return who runs the command: the account's name on this machine."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "unknown"


def existing(given: settings.Settings, version: int | None = None) -> Store:
    """Return the store of a verb that makes none; a version that was pruned is made again from the log."""
    if (given.store / "log").is_dir():
        store = Store(given.store, keep=given.keep_versions)
        if store.current and version is not None and not store.has(version):
            with progress(f"Making version {version} again from the change log") as tell:
                store.ensure(version, tell)
        if store.current:
            return store
    raise NotFound(
        f"There is no graph in {given.store}; 'kg4p1000 build' makes one from the files, and --store says"
        " where it is."
    )


@contextmanager
def progress(what: str) -> Iterator[Tell]:
    """Show that work is going on, when someone is watching.

    Gives what can be told how far the work is, so that a bar is shown.
    """
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=messages, disable=not messages.is_terminal) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def reading(given: settings.Settings, store: Store) -> closing[Readers]:
    """Return what runs queries on a store, until the block ends."""
    return closing(Readers(store, 1, given.query_timeout, given.query_memory))


def select(readers: Readers, query: str) -> list[Any]:
    """Run a SELECT query on the published version."""
    return readers.query(query).rows()


def print_rows(columns: Sequence[str], found: Iterable[Sequence[Any]], form: str = "table") -> None:
    """Print rows as a table, CSV or JSON."""
    if form == "json":
        dicts = [dict(zip(columns, row, strict=True)) for row in found]
        click.echo(json.dumps(dicts, ensure_ascii=False, indent=2))
        return
    out = io.StringIO(newline="")
    if form == "csv":
        csv.writer(out, lineterminator="\n").writerows([columns, *found])
    else:
        table = Table(*(Column(name, overflow="fold") for name in columns), header_style="bold")
        for row in found:
            table.add_row(*row)
        width = None if sys.stdout.isatty() else 200
        Console(file=out, width=width, markup=False, emoji=False).print(table)
    click.echo(out.getvalue(), nl=False)


def amounts(done: Commit) -> str:
    """Say how many statements came and went by what is in the delta of a change."""
    added, removed = len(done.delta.added), len(done.delta.removed)
    return f"{counted(added, 'statement')} added, {removed:,} removed"


def published(done: Commit | None, what: str) -> bool:
    """Say what a change published, and return whether it did."""
    if done and done.entry:
        click.echo(f"Version {done.entry.version} published: {what}.")
    return bool(done and done.entry)


def tell_warnings(report: Report) -> None:
    """Say how many warnings there are, if any."""
    if warnings := report.count("warning"):
        messages.print(f"{counted(warnings, 'warning')}; 'kg4p1000 validate' lists them.")
