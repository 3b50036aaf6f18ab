"""The front page, the versions with their downloads, and what the service is and holds, for machines."""

from __future__ import annotations

import gzip
import io
import re
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyoxigraph as ox
from flask import Blueprint, Response, current_app, g, redirect, render_template, request, url_for
from pyoxigraph import Literal, NamedNode
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.http import http_date
from werkzeug.wrappers import Response as Redirect
from werkzeug.wsgi import FileWrapper

from ..kernel.errors import BadParameter
from ..kernel.terms import BASE, PREFIXES, TERMS, iri
from ..sparql import RDF_FORMATS
from ..store import Entry, Store
from .queries import goals_of
from .rendering import register, text
from .requests import JSON, PAGE, TRIPLES, chosen, takes
from .services import base, page_version, services

blueprint = Blueprint("home", __name__)
versions = Blueprint("versions", __name__)
description = Blueprint("description", __name__)

_COUNTS = """SELECT ?class (COUNT(DISTINCT ?thing) AS ?count) WHERE {
  {
    VALUES ?class { k4p:Goal k4p:Objective k4p:Activity k4p:Target k4p:Remark k4p:Overlap }
    ?thing a/rdfs:subClassOf* ?class FILTER NOT EXISTS { ?thing k4p:status status:rejected }
  } UNION { ?thing k4p:mentionedIn ?element BIND(k4p:NamedThing AS ?class) }
} GROUP BY ?class"""
#: What the form starts with: short, and it shows what linking brings.
EXAMPLE = """# Whom do the activities of the plan count on most?
SELECT ?who (COUNT(DISTINCT ?activity) AS ?activities)
WHERE {
  ?activity a k4p:Activity ;
            k4p:mentions ?named .
  ?named skos:prefLabel ?who .
  FILTER(LANG(?who) = "en")
}
GROUP BY ?who
ORDER BY DESC(?activities) ?who
LIMIT 10"""
#: Stored queries that the front page shows, where they are there; without such, the first few.
_FEATURED = ("activity-overlaps", "target-distance", "stakeholder-groups", "where-is-named")
_IN_DUMPS, _REGISTER = iri("k4p:inDumps"), iri("graph:graphs")
#: Bytes of a download that are made at once, and of the log that are read at once.
_PIECE = 1 << 16
#: One range; others are left alone, as anybody may (RFC 9110, section 14.2).
_ONE_RANGE = re.compile(r"bytes=\s*(\d+-\d*|-\d+)\s*", re.IGNORECASE)
#: A version never changes.
_FOREVER = "public, max-age=31536000, immutable"
_N_QUADS = "application/n-quads"
_CHANGES = {"patch": ("application/rdf-patch",), "nquads": (_N_QUADS,)}
#: How rows of the log begin that a part consists of.
_MARKS = {"added": b"A ", "removed": b"D "}
_PREFIXES = {
    "sd": "http://www.w3.org/ns/sparql-service-description#",
    "formats": "http://www.w3.org/ns/formats/",
    "void": "http://rdfs.org/ns/void#",
    "dcat": "http://www.w3.org/ns/dcat#",
    "vcard": "http://www.w3.org/2006/vcard/ns#",
    **{p: PREFIXES[p] for p in ("dcterms", "foaf", "k4p", "rdf", "rdfs", "xsd")},
}
#: What the dataset is, in the words of its description.
_ABOUT = {
    "title": "Knowledge graph of the “4 per 1000” Implementation Plan",
    "description": "Goals, objectives, activities, targets and remarks of the plan to the letter, and what was read from them: figures, mentions of"
    " tools, databases and partners, facets, relations and overlaps of activities, each with who found it, how and how surely.",
    "publisher": "The kg4p1000 developers",
}  # fmt: skip
_LICENCE = "https://creativecommons.org/licenses/by/4.0/"
#: What the engine has of SPARQL 1.2, and beyond; docs/endpoint.md has the same list, and a test proves each.
BEYOND = (
    "VERSION", "triple terms", "reifiers", "annotations", "TRIPLE", "SUBJECT, PREDICATE, OBJECT", "isTRIPLE",
    "base direction", "LANGDIR, STRLANGDIR", "hasLANG, hasLANGDIR", "LATERAL", "ADJUST",
    "difference of times",
)  # fmt: skip


@blueprint.route("/")
@takes("version")
def index() -> str:
    """Show the front page."""
    version = page_version()
    library = {query.name: query for query in services().library}
    featured = [library[name] for name in _FEATURED if name in library] or [*library.values()][:4]
    rows = services().select(_COUNTS, version)
    counts = {text(row["class"]).removeprefix(TERMS): int(text(row["count"])) for row in rows}
    return render_template(
        "home.html",
        counts=counts,
        goals=goals_of(version),
        featured=[(query, {p.name: p.example for p in query.parameters}) for query in featured],
        example=EXAMPLE,
        queries=len(library),
    )


@blueprint.route("/favicon.svg")
@takes(answers={"svg": ("image/svg+xml",)})
def favicon() -> Response:
    """Send our sign."""
    return current_app.send_static_file("favicon.svg")


@blueprint.route("/robots.txt")
@takes(answers={"txt": ("text/plain",)})
def robots() -> Response:
    """Ask machines that wander about not to ask queries."""
    return Response("User-agent: *\nDisallow: /sparql?\n", content_type="text/plain; charset=utf-8")


@blueprint.route("/dumps/")
def dumps() -> str:
    """List the downloads, one a version."""
    return render_template("dumps.html", entries=services().store.entries())


@blueprint.route("/dumps/latest.nq.gz")
def latest_dump() -> Redirect:
    """Lead to the download of the published version."""
    return redirect(url_for(".dump", version=page_version()), 302)


@blueprint.route("/dumps/<int:version>.nq.gz")
@takes(answers={"nq": ("application/gzip",)})
def dump(version: int) -> Response:
    """All published quads of a version; the same bytes for the same version, so that a part can be asked for."""
    store = services().store
    services().readers.need(version)
    pieces: Iterable[bytes] = _zipped(store, version)
    length, spool = None, None
    # Of what is made as it is sent, nobody knows the length.
    if request.method == "GET" and _ONE_RANGE.fullmatch(request.headers.get("Range", "")):
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the response
        spool.writelines(pieces)
        length, pieces = spool.tell(), FileWrapper(spool)
        spool.seek(0)
    response = Response(pieces, content_type="application/gzip")
    response.headers["Content-Disposition"] = f'attachment; filename="kg4p1000-{version}.nq.gz"'
    response.headers["Cache-Control"] = _FOREVER
    response.headers["Accept-Ranges"] = "bytes"
    if spool:
        response.call_on_close(spool.close)
    # The compressed bytes are those of the library that makes them.
    response.set_etag(f"dump-{version}-{zlib.ZLIB_RUNTIME_VERSION}")
    try:
        return response.make_conditional(
            request.environ, accept_ranges=length is not None, complete_length=length
        )
    except RequestedRangeNotSatisfiable:
        response.close()
        raise


def _zipped(store: Store, version: int) -> Iterator[bytes]:
    wanted = {
        quad.subject
        for quad in store.quads(version)
        if quad.graph_name == _REGISTER
        and quad.predicate == _IN_DUMPS
        and text(quad.object) in ("true", "1")
    }
    pipe = io.BytesIO()
    # Neither a time nor a file name goes into the header.
    with gzip.GzipFile(filename="", fileobj=pipe, mode="wb", mtime=0) as zipped:
        for quad in store.quads(version):
            if quad.graph_name in wanted:
                zipped.write(f"{quad} .\n".encode())
                if pipe.tell() > _PIECE:
                    yield pipe.getvalue()
                    pipe.seek(0)
                    pipe.truncate()
    yield pipe.getvalue()


@versions.route("/versions", endpoint="index")
@takes("format", answers={**JSON, "link": ("application/link-format",), **PAGE})
def all_versions() -> Response | str | list[dict[str, object]]:
    """List the versions, newest first."""
    choice = chosen()
    entries = services().store.entries()
    if choice.key == "json":
        return [_fields(entry) for entry in entries]
    if choice.key == "html":
        return render_template("versions.html", entries=entries)
    here = base()
    rows = [
        f'<{here}/sparql>; rel="original timegate"',
        f'<{here}/versions>; rel="self"; type="application/link-format"',
        *(
            f'<{here}/sparql?version={e.version}>; rel="memento"; datetime="{http_date(e.time)}"'
            for e in entries
        ),
    ]
    links = ",\n".join(rows) + "\n"
    return Response(links, content_type="application/link-format; charset=utf-8")


@versions.route("/versions/<int:version>")
@takes("format", answers={**JSON, **PAGE})
def one(version: int) -> str | dict[str, object]:
    """Show one version: author, time, message, and how much it changed."""
    choice = chosen()
    entry = services().store.entry(version)
    if choice.key == "json":
        return _fields(entry)
    return render_template("versions.html", entries=[entry])


@versions.route("/versions/<int:version>/changes")
@takes("part", answers=_CHANGES)
def changes(version: int) -> Response:
    """Tell what a version added and removed: its entry in the change log as RDF Patch, or a part of it as N-Quads."""
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
    response.headers["Cache-Control"] = _FOREVER
    return response


def _rows(path: Path, mark: bytes) -> Iterator[bytes]:
    """Yield the statements of an entry that have a mark, as N-Quads."""
    with path.open("rb") as file:
        while rows := file.readlines(_PIECE):
            if piece := b"".join(row[len(mark) :] for row in rows if row.startswith(mark)):
                yield piece


def _fields(entry: Entry) -> dict[str, object]:
    names = ("version", "author", "message", "source", "added", "removed", "previous")
    return {
        **{name: getattr(entry, name) for name in names},
        "time": entry.time.isoformat(),
        "changes": f"/versions/{entry.version}/changes",
    }


@description.route("/.well-known/void")
@takes("format", answers=TRIPLES)
def void() -> Response | str:
    """Describe the dataset: VoID and DCAT; for people a page."""
    choice = chosen()
    g.version = version = services().store.current
    counts, figures = services().census.results(version), {}
    if "subjects" in counts:  # which is counted last
        figures = {
            "triples": sum(counts["properties"].values()),
            "distinctSubjects": sum(counts["subjects"].values()),
            "classes": len(counts["classes"]),
            "properties": len(counts["properties"]),
        }
    if choice.key == "html":
        return render_template(
            "void.html", about=_ABOUT, licence=_LICENCE, figures=figures, base=BASE
        )
    data = _written(
        "void.ttl",
        choice.key,
        about={name: Literal(value, language="en") for name, value in _ABOUT.items()},
        licence=_LICENCE,
        entry=services().store.entry(version),
        figures=figures,
        classes=_terms(counts.get("classes", {})),
        properties=_terms(counts.get("properties", {})),
    )
    return Response(data, content_type=f"{choice.media_type}; charset=utf-8")


def of_service(form: str) -> bytes:
    """Return what the endpoint is and takes (SPARQL 1.1 Service Description), in a format of RDF."""
    version = services().store.current
    return _written(
        "service.ttl",
        form,
        limits=services().settings,
        beyond=BEYOND,
        graphs=[
            (NamedNode(graph["iri"]), Literal(graph["title"], language="en"))
            for graph in (register(version).values() if version else ())
        ],
        counts=_terms(services().census.results(version).get("graphs", {})) if version else {},
    )


def _terms(counts: dict[str, int]) -> dict[NamedNode, int]:
    return {NamedNode(name): count for name, count in sorted(counts.items())}


def _written(template: str, form: str, **values: object) -> bytes:
    """Return what a template says in Turtle, in a format of RDF."""
    head = "".join(f"@prefix {prefix}: <{space}> .\n" for prefix, space in _PREFIXES.items())
    turtle = head + render_template(template, here=base(), base=BASE, **values)
    quads = ox.parse(turtle, format=ox.RdfFormat.TURTLE, lenient=True)
    written = ox.RdfFormat.from_media_type(RDF_FORMATS[form][0])
    data: bytes = ox.serialize((q.triple for q in quads), format=written, prefixes=_PREFIXES)
    return data
