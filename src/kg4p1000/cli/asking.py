"""Asking on the command line: stored queries by name, and query texts."""

from __future__ import annotations

import io
import sys
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from .. import questions, release, sparql, terms
from ..queries import Library, StoredQuery
from ..settings import Settings
from ..store import Readers, Result
from .base import Verb, existing, messages, ready, verb


@verb(
    "query",
    cls=Verb,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.argument("name", required=False)
@click.option("--sparql", "text", help="A query text instead of the name of a stored query.")
@click.option(
    "--format", "form", default="table", help="table, csv, json, tsv or xml; turtle and so on."
)
@click.option("--version", type=int, help="Ask an older version.")
@click.option("--query-timeout", type=float, help="Seconds after which the query is stopped.")
@click.option(
    "--expected", is_flag=True, help="Write the answers of a stored query as its expected rows."
)
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
def query_(
    given: Settings,
    name: str | None,
    text: str | None,
    form: str,
    version: int | None,
    expected: bool,
    rest: tuple[str, ...],
) -> None:
    """Run a stored query by NAME with its parameters as options, or a query text.

    \b
    kg4p1000 query                                  lists the stored queries
    kg4p1000 query activity-overlaps --objective A4 --other D2
    kg4p1000 query --sparql 'SELECT * WHERE { ?s a k4p:Goal }'
    """
    if text and name:
        rest, name = (name, *rest), None
    library = Library(given.files / "queries")
    values = _parameters(rest)
    if not text and not name:
        _list(library)
        return
    store = existing(given)
    ready(store, version)
    readers = Readers(store, 1, given.query_timeout, given.query_memory)
    if expected and name:
        for path in questions.write_expected(library, readers, name, given.files / "queries"):
            click.echo(path)
        readers.close()
        return
    text = text.removeprefix("\ufeff") if text else text
    if text and values:
        raise click.UsageError(f"--sparql takes no parameters, and got {', '.join(values)}.")
    stored_query = None if text else library[name or ""]
    names = {p.name for p in stored_query.parameters} if stored_query else set()
    guarded = sparql.guard(text or stored_query.text, names)  # type: ignore[union-attr]
    offered = sparql.RDF_FORMATS if guarded.gives_triples else sparql.RESULT_FORMATS
    wanted = ("turtle" if guarded.gives_triples else "json") if form == "table" else form
    if wanted not in offered:
        raise click.UsageError(f"This query can be had as {', '.join(['table', *offered])}.")
    try:
        bindings = (
            library.bound(readers, stored_query.name, values, version) if stored_query else {}
        )
        result = sparql.run(readers, guarded, wanted, bindings=bindings, version=version)
        _print(result, form, stored_query)
        if stored_query and library.lacks_data(readers, stored_query.name, values, version):
            messages.print(stored_query.nothing)
        for sentence in release.advice(guarded.terms, release.deprecated_in(readers, version)):
            messages.print(sentence)
    finally:
        readers.close()


def _print(result: Result, form: str, stored: StoredQuery | None) -> None:
    if form == "table" and result.kind == "solutions":
        _print_table(result.json(), stored)
    elif form == "table" and result.kind == "boolean":
        click.echo("yes" if result.json()["boolean"] else "no")
    else:
        for chunk in result.chunks():
            click.echo(chunk, nl=False)


def _list(library: Library) -> None:
    for stored in library:
        options = " ".join(f"--{p.name} {p.example}" for p in stored.parameters)
        click.echo(f"{stored.name} {options}".rstrip() + f"\n    {stored.summary}")


def _parameters(rest: tuple[str, ...]) -> dict[str, str]:
    """``--name value`` and ``--name=value`` pairs that belong to a stored query."""
    values: dict[str, str] = {}
    waiting = list(rest)
    while waiting:
        option = waiting.pop(0)
        if not option.startswith("--"):
            raise click.UsageError(f"{option!r} is not expected here.")
        name, equals, value = option[2:].partition("=")
        if not equals:
            if not waiting:
                raise click.UsageError(f"--{name} needs a value.")
            value = waiting.pop(0)
        values[name] = value
    return values


def _print_table(result: dict[str, Any], stored: StoredQuery | None) -> None:
    """Show solutions, IRIs short; a stored query's columns of IRIs are left to the other formats."""
    names = result["head"]["vars"]
    found = result["results"]["bindings"]
    if not found:
        if not stored or not stored.awaits:
            messages.print(stored.empty if stored else "No rows.")
        return
    if stored:
        hidden = [n for n in names if all(row.get(n, {}).get("type") == "uri" for row in found)]
        if len(hidden) < len(names):
            names = [name for name in names if name not in hidden]
        if hidden:
            messages.print(f"--format csv also gives the identifiers: {', '.join(hidden)}.")
    table = Table(show_lines=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    for row in found:
        table.add_row(*(_cell(row.get(name)) for name in names))
    out = Console(
        file=io.StringIO(), width=None if sys.stdout.isatty() else 200, markup=False, emoji=False
    )
    out.print(table)
    click.echo(out.file.getvalue(), nl=False)  # type: ignore[attr-defined]


def _cell(term: dict[str, str] | None) -> str:
    if term is None:
        return ""
    value = term["value"]
    return terms.curie(value) or value if term["type"] == "uri" else value
