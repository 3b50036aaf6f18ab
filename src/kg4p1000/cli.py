"""The verbs; the only place that loads settings and joins the parts.

Data go to standard output, messages to standard error. Exit codes: 0 good, 1 findings, 2 usage.
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pyoxigraph as ox
from rich.console import Console
from rich.table import Table

from . import __version__, build, checks, curation, settings, sparql, supervisor, terms, validation
from .access import Tokens
from .errors import KgError, ShapesViolated
from .queries import Library, StoredQuery
from .settings import Settings
from .store import MemoryGraph, Readers, Store

messages = Console(stderr=True, highlight=False, soft_wrap=True)


class _Verb(click.Command):
    """A command that takes the common options too, so that they may stand before or after it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params += [
            click.Option(["--store"], type=click.Path(path_type=Path), help="Folder of the store."),
            click.Option(
                ["--files"], type=click.Path(path_type=Path), help="Folder of the knowledge files."
            ),
        ]

    def invoke(self, ctx: click.Context) -> Any:
        given = {"store": ctx.params.pop("store"), "files": ctx.params.pop("files")}
        flags = {**ctx.obj, **{k: v for k, v in given.items() if v is not None}}
        named = settings.Settings.__dataclass_fields__.keys() & ctx.params.keys()
        flags |= {name: ctx.params.pop(name) for name in named}
        with _told():
            config = flags.pop("config", None)
            ctx.params["given"] = settings.load(flags, os.environ, config)
            return super().invoke(ctx)


@contextmanager
def _told() -> Iterator[None]:
    """Say an error of ours in a sentence instead of a trace, and end with its exit code."""
    try:
        yield
    except ShapesViolated as e:
        messages.print(f"[bold red]{e.title}.[/] {e.detail}\n")
        click.echo(e.report.to_text(), err=True)
        raise SystemExit(1) from None
    except KgError as e:
        messages.print(f"[bold red]{e.title}.[/]", end=" ")
        messages.print(e.detail, markup=False)
        raise SystemExit(
            2 if e.slug in ("bad-parameter", "not-found", "bad-settings") else 1
        ) from None


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__)
@click.option("--store", type=click.Path(path_type=Path), help="Folder of the store.")
@click.option("--files", type=click.Path(path_type=Path), help="Folder of the knowledge files.")
@click.option("--config", type=click.Path(path_type=Path), help="Settings file (TOML).")
@click.pass_context
def main(ctx: click.Context, **flags: Any) -> None:
    """The knowledge graph of the "4 per 1000" Implementation Plan: build, check, query and serve it."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    ctx.obj = {name: value for name, value in flags.items() if value is not None}


verb = main.command


@verb("build", cls=_Verb)
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--message", default="", help="What the change log says of this build.")
def build_(given: Settings, dry_run: bool, message: str) -> None:
    """Bring the store to what the files say: parse, infer, validate, publish.

    Files that do not parse or do not fit the shapes are refused, and the store stays as it was.
    """
    store = Store(given.store)
    with _progress("Building"):
        done = build.build(store, given.files, author=_author(), message=message, dry_run=dry_run)
    store.prune(given.keep_versions)
    change = done.commit.delta
    counts = f"{len(change.added)} statements added, {len(change.removed)} removed"
    if done.commit.report.count("warning"):
        messages.print(
            f"{done.commit.report.count('warning')} warnings; 'kg4p1000 validate' lists them."
        )
    for conflict in done.conflicts:
        messages.print(
            f"[bold]Conflict[/] in {_short(conflict.graph)}: files and a steward both changed"
            f" {_short(conflict.predicate)} of {_short(conflict.subject)}; the steward's stays:"
        )
        for quad in sorted(conflict.steward, key=str):
            messages.print(f"  kept  {quad.object}", markup=False)
        for quad in sorted(conflict.files - conflict.steward, key=str):
            messages.print(f"  files {quad.object}", markup=False)
    if done.commit.entry:
        click.echo(f"Version {done.commit.entry.version} published: {counts}.")
    elif dry_run:
        click.echo(f"Nothing changed (dry run): {counts}.")
    else:
        click.echo(f"Version {store.current} already says what the {done.files} files say.")
    if done.conflicts:
        raise SystemExit(1)


@verb("validate", cls=_Verb)
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(["text", "json", "turtle"]), default="text")
@click.option("--alone", is_flag=True, help="Check the files without the other files of the graph.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "shacl", "pyshacl"]),
    default="auto",
    help="SHACL engine.",
)
def validate_(
    given: Settings, paths: tuple[Path, ...], form: str, alone: bool, engine: validation.Engine
) -> None:
    """Check files against the shapes: the given Turtle FILES, or all files of the graph.

    Given files are checked together with the other files of the graph, which they refer to and
    replace where they have the same path; findings about their own subjects are shown.
    """
    known = [s.path for s in build.sources(given.files) if s.path.parent.name != "shapes"]
    resolved = {path.resolve() for path in paths}
    context = [path for path in known if path.resolve() not in resolved]
    if alone:
        context = [path for path in context if path.parent.name == "ontology"]
    with _progress("Validating"):
        homes: dict[Any, str] = {}
        own: set[Any] = set()
        triples: list[ox.Triple] = []
        for path in [*context, *paths]:
            for triple in build.parse_file(path):
                triples.append(triple)
                homes.setdefault(triple.subject, str(path))
                if path.resolve() in resolved:
                    homes[triple.subject] = str(path)
                    own.add(triple.subject)
        graph = MemoryGraph(triples)
        report = validation.validate(graph, build.load_shapes(given.files), graph.select, engine)
    if paths:
        report = validation.Report(tuple(f for f in report.findings if f.focus in own))
    labels = _labels(graph)
    if form == "json":
        click.echo(json.dumps(report.to_dict(), ensure_ascii=False, indent=2))
    elif form == "turtle":
        click.echo(report.to_turtle(), nl=False)
    else:
        click.echo(report.to_text(lambda iri: labels.get(iri, ""), homes.get), nl=False)
    if not report.conforms:
        raise SystemExit(1)


@verb(
    "query",
    cls=_Verb,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.argument("name", required=False)
@click.option("--sparql", "text", help="A query text instead of the name of a stored query.")
@click.option(
    "--format", "form", default="table", help="table, csv, json, tsv or xml; turtle and so on."
)
@click.option("--version", type=int, help="Ask an older version.")
@click.option("--query-timeout", type=float, help="Seconds after which the query is stopped.")
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
def query_(
    given: Settings,
    name: str | None,
    text: str | None,
    form: str,
    version: int | None,
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
        for stored in library:
            options = " ".join(f"--{p.name} {p.example}" for p in stored.parameters)
            click.echo(f"{stored.name} {options}".rstrip() + f"\n    {stored.summary}")
        return
    readers = Readers(Store(given.store), 1, given.query_timeout, given.query_memory)
    if text and values:
        raise click.UsageError(f"--sparql takes no parameters, and got {', '.join(values)}.")
    stored_query = None if text else library[name or ""]
    guarded = sparql.guard(text or stored_query.text)  # type: ignore[union-attr]
    bindings = stored_query.bindings(values) if stored_query else {}
    offered = sparql.RDF_FORMATS if guarded.gives_triples else sparql.RESULT_FORMATS
    wanted = ("turtle" if guarded.gives_triples else "json") if form == "table" else form
    if wanted not in offered:
        raise click.UsageError(f"This query can be had as {', '.join(['table', *offered])}.")
    try:
        result = sparql.run(readers, guarded, wanted, bindings=bindings, version=version)
        if form == "table" and result.kind == "solutions":
            _print_table(result.json(), stored_query)
        elif form == "table" and result.kind == "boolean":
            click.echo("yes" if result.json()["boolean"] else "no")
        else:
            for chunk in result.chunks():
                click.echo(chunk, nl=False)
    finally:
        readers.close()


@verb("serve", cls=_Verb)
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
@click.option("--readers", type=int, help="Number of queries that run at once.")
@click.option("--query-timeout", type=float, help="Seconds after which a query is stopped.")
@click.option("--query-memory", type=int, help="Megabytes that a query may take.")
@click.option("--alone", is_flag=True, hidden=True, help="Serve in this process, unwatched.")
def serve_(given: Settings, alone: bool) -> None:
    """Serve the published graph: pages, SPARQL endpoint, linked data and downloads.

    The service runs in a process of its own, which is started again if it ends by a fault.
    """
    if alone:
        _serve_here(given)
        return
    store = Store(given.store)
    if not store.current:
        messages.print("The store is empty; building it from the files first.")
        build.build(store, given.files, author=_author())
    messages.print(
        f"Version {store.current} is served at http://{given.host.replace('127.0.0.1', 'localhost')}"
        f":{given.port}/ (SPARQL endpoint: /sparql). Stop with Ctrl-C."
    )
    supervisor.keep_running([sys.executable, "-m", "kg4p1000.cli", *sys.argv[1:], "--alone"])


def _serve_here(given: Settings) -> None:
    from . import web  # noqa: PLC0415 - Flask is needed here only

    readers = Readers(
        Store(given.store),
        given.readers,
        given.query_timeout,
        given.query_memory,
        slow=given.slow_readers,
        queue=given.queue,
    )
    app = web.create_app(given, readers.store, readers, Library(given.files / "queries"))
    # A thread for each query that may run or wait, and some for pages, health and downloads.
    threads = given.readers + given.slow_readers + given.queue + 8
    try:
        web.serve(app, given.host, given.port, threads=threads)
    finally:
        readers.close()


@verb("dump", cls=_Verb)
@click.option("--version", type=int, help="An older version than the published one.")
@click.option("--graph", "graph", help="Only one named graph, such as graph:plan-2020.")
@click.option("--to-files", is_flag=True, help="Write the data files of the graph instead.")
def dump_(given: Settings, version: int | None, graph: str | None, to_files: bool) -> None:
    """Write the named graphs as sorted N-Quads to standard output, or back to the files of data/.

    With --to-files, what stewards changed in the service stands in the files, as one line a statement,
    ready to be reviewed and committed.
    """
    if to_files:
        for path in build.write_files(Store(given.store), given.files, version):
            click.echo(path)
        return
    wanted = terms.iri(graph) if graph and not graph.startswith("http") else graph
    lines = [
        f"{quad} .\n"
        for quad in Store(given.store).quads(version)
        if wanted is None or quad.graph_name.value == getattr(wanted, "value", wanted)
    ]
    for line in sorted(lines):
        click.echo(line, nl=False)


@verb("undo", cls=_Verb)
@click.argument("version", type=int)
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--message", default="", help="What the change log says of it.")
def undo_(given: Settings, version: int, dry_run: bool, message: str) -> None:
    """Take back what VERSION changed, as a new version; works while the service runs."""
    done = curation.undo(
        Store(given.store),
        build.load_shapes(given.files),
        version,
        _author(),
        message=message,
        dry_run=dry_run,
    )
    counts = f"{len(done.delta.added)} statements added, {len(done.delta.removed)} removed"
    if done.entry:
        click.echo(f"Version {done.entry.version} published: {counts}.")
    else:
        click.echo(f"Nothing changed: {counts} would have been." if dry_run else "Nothing changed.")


@verb("backup", cls=_Verb)
@click.argument("target", type=click.Path(path_type=Path))
def backup_(given: Settings, target: Path) -> None:
    """Copy what the store cannot make again to a new folder TARGET; works while the service runs."""
    with _progress("Copying"):
        version = Store(given.store).backup(target)
    click.echo(f"Version {version} and all before it are in {target}.")


@verb("restore", cls=_Verb)
@click.argument("backup", type=click.Path(path_type=Path))
def restore_(given: Settings, backup: Path) -> None:
    """Make the store anew from the folder BACKUP; the store's folder must be empty."""
    with _progress("Restoring"):
        store = Store.restore(backup, given.store)
    click.echo(f"Version {store.current} is restored in {given.store}.")


@main.group("token")
def token_() -> None:
    """Make, list and revoke the tokens that writing needs; works while the service runs."""


@token_.command("create", cls=_Verb)
@click.option("--role", required=True, help="contributor, steward or admin.")
@click.option("--name", required=True, help="Who will use it; stands in the change log.")
@click.option("--days", type=float, help="How long it holds; for ever without.")
def token_create(given: Settings, role: str, name: str, days: float | None) -> None:
    """Make a token and print it, this once."""
    token = _tokens(given).create(name, role, days)
    messages.print("Keep this token; it is shown this once.")
    click.echo(token)


@token_.command("list", cls=_Verb)
def token_list(given: Settings) -> None:
    """List the tokens: id, role, name, when made, when they expire."""
    for token in _tokens(given).all():
        expires = "expired" if token.expired else token.expires or "never expires"
        click.echo("\t".join((token.id, token.role, token.name, token.created, expires)))


@token_.command("revoke", cls=_Verb)
@click.argument("identifier")
def token_revoke(given: Settings, identifier: str) -> None:
    """Make the token with this id worthless."""
    _tokens(given).revoke(identifier)
    messages.print("Revoked.")


def _tokens(given: Settings) -> Tokens:
    return Tokens(Store(given.store).path / "tokens.json")


@verb("check", cls=_Verb)
def check_(given: Settings) -> None:
    """Verify everything that can be verified about this installation and its store."""
    store = Store(given.store)
    failed = False

    def report(what: str, findings: list[str], note: str = "") -> None:
        nonlocal failed
        failed = failed or bool(findings)
        click.echo(f"{'FAIL' if findings else 'ok'}\t{what}{f' ({note})' if note else ''}")
        for finding in findings:
            click.echo(f"\t{finding}")

    readers = Readers(store, 1, given.query_timeout, given.query_memory)
    try:
        for what, verify in checks.all_checks(store, given.files, readers):
            with _progress(what):
                findings, note = verify()
            report(what, findings, note)
    finally:
        readers.close()
    if failed:
        raise SystemExit(1)


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
        messages.print(stored.empty if stored else "No rows.", markup=False)
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
    out = Console(file=io.StringIO(), width=None if sys.stdout.isatty() else 200, markup=False)
    out.print(table)
    click.echo(out.file.getvalue(), nl=False)  # type: ignore[attr-defined]


def _cell(term: dict[str, str] | None) -> str:
    if term is None:
        return ""
    value = term["value"]
    return terms.curie(value) or value if term["type"] == "uri" else value


def _labels(graph: MemoryGraph) -> dict[str, str]:
    rows = graph.select(
        "SELECT ?s ?l WHERE { ?s <http://www.w3.org/2004/02/skos/core#prefLabel>|"
        "<http://www.w3.org/2000/01/rdf-schema#label> ?l FILTER(LANG(?l) = 'en') } ORDER BY ?s ?l"
    )
    return {row["s"].value: row["l"].value for row in rows if isinstance(row["s"], ox.NamedNode)}


def _short(node: Any) -> str:
    return terms.curie(node.value) or node.value


def _author() -> str:
    """Who runs the command: the account's name on this machine."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "unknown"


@contextmanager
def _progress(what: str) -> Iterator[None]:
    """Show that work is going on, when someone is watching."""
    if not messages.is_terminal:
        yield
        return
    with messages.status(f"{what} …"):
        yield


if __name__ == "__main__":
    main()
