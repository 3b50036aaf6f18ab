"""The versions of the graph: who changed what when, as a page, as data, and as a TimeMap (RFC 7089)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flask import Blueprint, Response, jsonify, render_template, request
from werkzeug.http import http_date

from ..errors import BadParameter
from ..store import Entry
from .negotiation import choose
from .services import base, services

blueprint = Blueprint("versions", __name__)

_LIST = {
    "json": ("application/json",),
    "link": ("application/link-format",),
    "html": ("text/html",),
}
_N_QUADS = "application/n-quads"
#: How rows of the log begin that a part consists of.
_MARKS = {"added": b"A ", "removed": b"D "}
#: Bytes of the log that are read at once.
_PIECE = 1 << 16
_ONE = {"json": ("application/json",), "html": ("text/html",)}


@blueprint.route("/versions")
def index() -> Response | str:
    """List the versions, newest first."""
    choice = choose(_LIST, request.accept_mimetypes, request.args.get("format", ""))
    entries = services().store.entries()
    if choice.key == "json":
        return jsonify([_fields(entry) for entry in entries])
    if choice.key == "link":
        return Response(_time_map(entries), content_type="application/link-format; charset=utf-8")
    return render_template("versions.html", entries=entries)


@blueprint.route("/versions/<int:version>")
def one(version: int) -> Response | str:
    """One version: author, time, message, and how much it changed."""
    choice = choose(_ONE, request.accept_mimetypes, request.args.get("format", ""))
    entry = services().store.entry(version)
    if choice.key == "json":
        return jsonify(_fields(entry))
    return render_template("versions.html", entries=[entry])


@blueprint.route("/versions/<int:version>/changes")
def changes(version: int) -> Response:
    """What a version added and removed: its entry in the change log as RDF Patch, or a part of it as N-Quads."""
    part = request.args.get("part", "")
    if part not in ("", *_MARKS):
        raise BadParameter(f"part is {part!r} and must be added or removed.", parameter="part")
    if not part and request.accept_mimetypes.best == _N_QUADS:
        raise BadParameter(
            "N-Quads cannot tell what came from what went: say part=added or part=removed.",
            parameter="part",
        )
    path = services().store.log_path(version)
    body = _rows(path, _MARKS[part]) if part else path.open("rb")
    media_type = _N_QUADS if part else "application/rdf-patch"
    response = Response(body, content_type=f"{media_type}; charset=utf-8")
    if not part:
        response.content_length = path.stat().st_size
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


def _rows(path: Path, mark: bytes) -> Iterator[bytes]:
    """The statements of an entry that have a mark, as N-Quads."""
    with path.open("rb") as file:
        while rows := file.readlines(_PIECE):
            if piece := b"".join(row[len(mark) :] for row in rows if row.startswith(mark)):
                yield piece


def _fields(entry: Entry) -> dict[str, object]:
    return {
        "version": entry.version,
        "time": entry.time.isoformat(),
        "author": entry.author,
        "message": entry.message,
        "source": entry.source,
        "added": entry.added,
        "removed": entry.removed,
        "previous": entry.previous,
        "changes": f"/versions/{entry.version}/changes",
    }


def _time_map(entries: list[Entry]) -> str:
    here = base()
    rows = [
        f'<{here}/sparql>; rel="original timegate"',
        f'<{here}/versions>; rel="self"; type="application/link-format"',
    ]
    rows += [
        f'<{here}/sparql?version={e.version}>; rel="memento"; datetime="{http_date(e.time)}"'
        for e in entries
    ]
    return ",\n".join(rows) + "\n"
