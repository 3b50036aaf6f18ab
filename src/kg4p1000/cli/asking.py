"""Asking on the command line: stored queries by name, and query texts."""

from __future__ import annotations

from typing import Any

import click

from .. import release, sparql
from ..kernel import terms
from ..kernel.settings import Settings
from ..knowledge import questions
from ..knowledge.queries import Library, StoredQuery
from ..store import Readers
from .base import existing, messages, print_rows, reading, verb


@verb(
    "query",
    of_settings=["query_timeout"],
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.argument("name", required=False)
@click.option("--sparql", "text", help="A query text instead of the name of a stored query.")
@click.option(
    "--format", "form", default="table", help="table, csv, json, tsv or xml; turtle and so on."
)
@click.option("--version", type=int, help="Ask an older version.")
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
    folder = given.files / "queries"
    library, values = Library(folder), _parameters(rest)
    if not text and not name:
        for stored in library:
            options = " ".join(f"--{p.name} {p.example}" for p in stored.parameters)
            click.echo(f"{stored.name} {options}".rstrip() + f"\n    {stored.summary}")
        return
    with reading(given, existing(given, version)) as readers:
        if expected and name:
            for path in questions.write_expected(library, readers, name, folder):
                click.echo(path)
        elif text and values:
            raise click.UsageError(f"--sparql takes no parameters, and got {', '.join(values)}.")
        else:
            stored = None if text else library[name or ""]
            bindings = library.bound(readers, stored.name, values, version) if stored else {}
            _run(readers, (text or "").removeprefix("\ufeff"), stored, bindings, form, version)


def _run(
    readers: Readers,
    text: str,
    stored: StoredQuery | None,
    bindings: dict[str, Any],
    form: str,
    version: int | None,
) -> None:
    guarded = sparql.guard(stored.text if stored else text, bindings.keys())
    offered = sparql.RDF_FORMATS if guarded.gives_triples else sparql.RESULT_FORMATS
    wanted = ("turtle" if guarded.gives_triples else "json") if form == "table" else form
    if wanted not in offered:
        raise click.UsageError(f"This query can be had as {', '.join(['table', *offered])}.")
    result = sparql.run(readers, guarded, wanted, bindings=bindings, version=version)
    if form == "table" and result.kind == "solutions":
        _print_table(result.json(), stored)
    elif form == "table" and result.kind == "boolean":
        click.echo("yes" if result.json()["boolean"] else "no")
    else:
        for chunk in result.chunks():
            click.echo(chunk, nl=False)
    if stored and stored.awaits:
        again = sparql.run(readers, guarded, "json", bindings=bindings, version=version)
        if not again.json()["results"]["bindings"]:
            messages.print(stored.nothing)
    for sentence in release.advice(guarded.terms, release.deprecated_in(readers, version)):
        messages.print(sentence)


def _parameters(rest: tuple[str, ...]) -> dict[str, str]:
    """Return the ``--name value`` and ``--name=value`` pairs that belong to a stored query."""
    values: dict[str, str] = {}
    words = iter(rest)
    for option in words:
        if not option.startswith("--"):
            raise click.UsageError(f"{option!r} is not expected here.")
        name, equals, value = option[2:].partition("=")
        try:
            values[name] = value if equals else next(words)
        except StopIteration:
            raise click.UsageError(f"--{name} needs a value.") from None
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
    print_rows(names, [[_cell(row.get(name)) for name in names] for row in found])


def _cell(term: dict[str, str] | None) -> str:
    if term is None:
        return ""
    value = term["value"]
    return terms.short(value) if term["type"] == "uri" else value
