"""What every verb needs: the common options, settings, errors told in a sentence, progress."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pyoxigraph as ox
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from .. import __version__, logs, processes, settings, terms
from ..errors import KgError, NotFound, ShapesViolated
from ..store import Readers, Store, Tell
from ..store.disk import room

#: Says to a command that it has the process to itself.
_PROGRAM = "kg4p1000.program"
#: Text of data is never read as a sign (":notes:") of a picture, nor as markup; our own is printed by itself.
messages = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False, markup=False)


class _Common(click.Command):
    """A command that takes the common options too, so that they may stand before or after it."""

    #: Whether it needs a network: it evaluates nothing then, or in children.
    listens = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [
            click.Option(["--store"], type=click.Path(path_type=Path), help="Folder of the store."),
            click.Option(
                ["--files"], type=click.Path(path_type=Path), help="Folder of the knowledge files."
            ),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        """Load the settings and run the verb with them, its errors told in a sentence."""
        given = {"store": ctx.params.pop("store"), "files": ctx.params.pop("files")}
        flags = {**ctx.obj, **{k: v for k, v in given.items() if v is not None}}
        named = settings.Settings.__dataclass_fields__.keys() & ctx.params.keys()
        flags |= {name: ctx.params.pop(name) for name in named}
        ctx.obj = dict(flags)
        with _told():
            config, program = flags.pop("config", None), flags.pop(_PROGRAM, False)
            given = ctx.params["given"] = settings.load(flags, os.environ, config)
            denied = processes.require_network_filter(given.network_filter)
            if program and denied and not self.listens:
                processes.deny_network()
            return super().invoke(ctx)


class Verb(_Common):
    """A verb."""


class Service(Verb):
    """A verb that listens to a port."""

    listens = True


class VerbGroup(_Common, click.Group):
    """A verb that has further verbs under it, and may do something by itself."""


@contextmanager
def _told() -> Iterator[None]:
    """Say an error of ours in a sentence instead of a trace, and end with its exit code."""
    try:
        with room("this"):
            yield
    except ShapesViolated as e:
        _title(e)
        messages.print(f"{e.detail}\n")
        click.echo(e.report.to_text(), err=True)
        raise SystemExit(1) from None
    except KgError as e:
        _title(e)
        messages.print(e.detail)
        raise SystemExit(
            2 if e.slug in ("bad-parameter", "not-found", "bad-settings") else 1
        ) from None


def _title(error: KgError) -> None:
    messages.print(f"[bold red]{error.title}.[/]", end=" ", markup=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("--store", type=click.Path(path_type=Path), help="Folder of the store.")
@click.option("--files", type=click.Path(path_type=Path), help="Folder of the knowledge files.")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file (TOML).")
@click.pass_context
def main(ctx: click.Context, **flags: Any) -> None:
    """The knowledge graph of the "4 per 1000" Implementation Plan: build, check, query and serve it."""
    logs.begin()
    ctx.obj = {**(ctx.obj or {}), **{k: v for k, v in flags.items() if v is not None}}


def run() -> None:
    """Run the command line as the program of this process, which keeps its limits to its end."""
    processes.end_with_parent()
    main(obj={_PROGRAM: True})


verb = main.command


def short(node: Any) -> str:
    """A node as people read it: its CURIE where it has one."""
    return terms.curie(node.value) or node.value


def named_graph(name: str) -> ox.NamedNode:
    """A graph named by a CURIE or an IRI.

    Raises:
        click.UsageError: it is neither.
    """
    try:
        return ox.NamedNode(name) if name.startswith(("http://", "https://")) else terms.iri(name)
    except (KeyError, ValueError):
        raise click.UsageError(
            f"{name!r} is neither an IRI nor one with a prefix, such as graph:notes."
        ) from None


def author() -> str:
    """Who runs the command: the account's name on this machine."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "unknown"


def existing(given: settings.Settings) -> Store:
    """The store of a verb that makes none.

    Raises:
        NotFound: there is no store, or nothing in it yet.
    """
    if (given.store / "log").is_dir():
        store = Store(given.store, keep=given.keep_versions)
        if store.current:
            return store
    raise NotFound(
        f"There is no graph in {given.store}; 'kg4p1000 build' makes one from the files, and --store says"
        " where it is."
    )


def ready(store: Store, version: int | None) -> None:
    """Wait until the database of a version is there; a pruned one is made again from the log."""
    if version is not None and not store.has(version):
        with progress(f"Making version {version} again from the change log") as tell:
            store.ensure(version, tell)


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


@contextmanager
def asking(given: settings.Settings, store: Store) -> Iterator[Callable[[str], list[Any]]]:
    """What runs a SELECT query on the published version."""
    readers = Readers(store, 1, given.query_timeout, given.query_memory)

    def select(query: str) -> list[Any]:
        result = readers.query(query).read()
        solutions = ox.parse_query_results(result, format=ox.QueryResultsFormat.JSON)
        names = [variable.value for variable in solutions.variables]
        return [{name: solution[name] for name in names} for solution in solutions]

    try:
        yield select
    finally:
        readers.close()
