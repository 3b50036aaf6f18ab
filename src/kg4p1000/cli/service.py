"""The service and its store: serve, tokens, backup and restore."""

from __future__ import annotations

import errno
import socket
import sys
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import click

from ..curation.access import Tokens
from ..kernel import processes
from ..kernel.errors import BadSettings
from ..kernel.settings import Settings
from ..knowledge.queries import Library
from ..store import Readers, Rebuilds, Store, backup, restore
from .base import Verb, existing, main, messages, progress, verb


@verb(
    "serve",
    listens=True,
    of_settings=("host", "port", "readers", "query_timeout", "query_memory"),
)
def serve_(given: Settings) -> None:
    """Serve the published graph: pages, SPARQL endpoint, linked data and downloads.

    The service runs in a process of its own, which is started again if it ends by a fault.
    """
    from ..web import server, transfers  # noqa: PLC0415 - Flask and granian are needed here only

    _require_port(given.host, given.port)
    for doubt in transfers.doubts(given):
        messages.print(f"Warning: {doubt}")
    store = Store(given.store, keep=given.keep_versions)
    if not store.current:
        messages.print("The store is empty; building it from the files first.")
        flags = ["--store", str(given.store), "--files", str(given.files)]
        command = [sys.executable, "-m", "kg4p1000.cli", "build", *flags]
        if code := processes.start(command).wait():
            raise SystemExit(code)
    if not processes.can_deny_network():
        messages.print(
            "Warning: the kernel of this machine cannot take the network from what evaluates"
            " queries; requests that might have a SERVICE or LOAD are refused."
        )
    host = f"[{given.host}]" if ":" in given.host else given.host.replace("127.0.0.1", "localhost")
    messages.print(
        f"Version {store.current} is served at http://{host}:{given.port}/ (SPARQL endpoint: /sparql). Stop with Ctrl-C."
    )
    server.run(given, partial(_application, given))


def _require_port(host: str, port: int) -> None:
    """See that the service can listen.

    Raises:
        BadSettings: it cannot.
    """
    if port > 65535:
        raise BadSettings(f"The port is {port} and must be 1 to 65535.")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as e:
        taken = (
            f"another program listens there ('ss -ltnp sport = :{port}' tells which); stop it, or"
        )
        why = taken if e.errno == errno.EADDRINUSE else f"{e.strerror};"
        raise BadSettings(
            f"The service cannot listen at {host}, port {port}: {why} choose another: --port, --host."
        ) from e


def _application(given: Settings) -> Any:
    """Make the application, in the process that answers."""
    from .. import web  # noqa: PLC0415 - Flask is needed here only
    from ..web import server  # noqa: PLC0415

    server.begin_worker()
    store = Store(given.store, keep=given.keep_versions)
    if not store.writable:
        messages.print("The store cannot be written: changes are refused, queries are answered.")
    readers = Readers(
        store,
        given.readers,
        given.query_timeout,
        given.query_memory,
        slow=given.slow_readers,
        queue=given.queue,
        rebuilds=Rebuilds(store, given.keep_versions),
    )
    app = web.create_app(given, store, readers, Library(given.files / "queries"))
    Thread(target=readers.warm, daemon=True).start()
    return app


@verb("backup")
@click.argument("target", type=click.Path(path_type=Path))
def backup_(given: Settings, target: Path) -> None:
    """Copy what the store cannot make again to a new folder TARGET; works while the service runs."""
    store = existing(given)
    with progress("Copying and verifying") as tell:
        version = backup(store, target, tell)
    click.echo(f"Version {version} and all before it are in {target}.")


@verb("restore")
@click.argument("backup", type=click.Path(path_type=Path))
def restore_(given: Settings, backup: Path) -> None:
    """Make the store anew from the folder BACKUP, which is verified first; the store's folder must be empty."""
    with progress("Verifying and restoring") as tell:
        store = restore(backup, given.store, tell)
    click.echo(f"Version {store.current} is restored in {given.store}.")


@main.group("token")
def token_() -> None:
    """Make, list and revoke the tokens that writing needs; works while the service runs."""


@token_.command("create", cls=Verb)
@click.option("--role", required=True, help="contributor, steward or admin.")
@click.option("--name", required=True, help="Who will use it; stands in the change log.")
@click.option("--days", type=float, help="How long it holds; for ever without.")
def token_create(given: Settings, role: str, name: str, days: float | None) -> None:
    """Make a token and print it, this once."""
    token = _tokens(given).create(name, role, days)
    messages.print(
        f"Keep this token; it is shown this once. It counts for the store {given.store}."
    )
    click.echo(token)


@token_.command("list", cls=Verb)
def token_list(given: Settings) -> None:
    """List the tokens: id, role, name, when made, when they expire."""
    for token in _tokens(given).all():
        expires = "expired" if token.expired else token.expires or "never expires"
        click.echo("\t".join((token.id, token.role, token.name, token.created, expires)))


@token_.command("revoke", cls=Verb)
@click.argument("identifier")
def token_revoke(given: Settings, identifier: str) -> None:
    """Make the token with this id worthless."""
    _tokens(given).revoke(identifier)
    messages.print("Revoked.")


def _tokens(given: Settings) -> Tokens:
    return Tokens(existing(given).path / "tokens.json")
