"""The versions of the graph: who changed what when, as a page, as data, and as a TimeMap (RFC 7089)."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, render_template, request
from werkzeug.http import http_date

from ..store import Entry
from .negotiation import choose
from .services import services

blueprint = Blueprint("versions", __name__)

_LIST = {
    "json": ("application/json",),
    "link": ("application/link-format",),
    "html": ("text/html",),
}
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
    """What a version added and removed: its entry in the change log, as RDF Patch."""
    path = services().store.log_path(version)
    response = Response(path.open("rb"), content_type="application/rdf-patch; charset=utf-8")
    response.content_length = path.stat().st_size
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


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
    base = services().settings.public_url.rstrip("/") or request.url_root.rstrip("/")
    rows = [
        f'<{base}/sparql>; rel="original timegate"',
        f'<{base}/versions>; rel="self"; type="application/link-format"',
    ]
    rows += [
        f'<{base}/sparql?version={e.version}>; rel="memento"; datetime="{http_date(e.time)}"'
        for e in entries
    ]
    return ",\n".join(rows) + "\n"
