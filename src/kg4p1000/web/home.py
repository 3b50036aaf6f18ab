"""The front door: what this is, the plan's figures, a place to ask, downloads, and health."""

from __future__ import annotations

import gzip
import io
import re
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flask import (
    Blueprint,
    Response,
    redirect,
    render_template,
    request,
    send_from_directory,
    url_for,
)
from pyoxigraph import Literal, NamedNode, Quad
from werkzeug.exceptions import RequestedRangeNotSatisfiable
from werkzeug.wrappers import Response as Redirect
from werkzeug.wsgi import FileWrapper

from ..store import Store
from ..terms import GRAPH, TERMS
from .names import NAMING, Name, from_rows, unnamed
from .services import page_version, services

blueprint = Blueprint("home", __name__)

_COUNTS = """SELECT ?class (COUNT(DISTINCT ?thing) AS ?count) WHERE {
  {
    VALUES ?class { k4p:Goal k4p:Objective k4p:Activity k4p:Target k4p:Remark k4p:Overlap }
    ?thing a/rdfs:subClassOf* ?class FILTER NOT EXISTS { ?thing k4p:status status:rejected }
  } UNION { ?thing k4p:mentionedIn ?element BIND(k4p:NamedThing AS ?class) }
} GROUP BY ?class"""
_GOALS = f"""SELECT ?goal ?other ?property ?name WHERE {{
  VALUES ?property {{ {NAMING} }}
  {{ ?other a k4p:Goal BIND(?other AS ?goal) }} UNION {{ ?other k4p:objectiveOf ?goal }}
  ?other ?property ?name
}}"""
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
_FIGURES = (
    ("Goal", "goals", "page/goal/"),
    ("Objective", "objectives", "page/objective/"),
    ("Activity", "activities", "page/activity/"),
    ("Target", "baselines and targets", "page/target/"),
    ("Remark", "remarks of the study team", "page/remark/"),
    ("NamedThing", "organisations, tools and other things named", "query/named-things"),
    ("Overlap", "overlaps of activities", "overlaps/"),
)
#: Stored queries that the front page shows, where they are there; without such, the first few.
_FEATURED = ("activity-overlaps", "target-distance", "stakeholder-groups", "where-is-named")
_IN_DUMPS = NamedNode(TERMS + "inDumps")
_REGISTER = NamedNode(GRAPH + "graphs")
_PIECE = 64 * 1024


@dataclass(frozen=True)
class Goal:
    """A goal and its objectives, in the order of the plan."""

    name: Name
    objectives: list[Name]


@blueprint.route("/")
def index() -> str:
    """The front page."""
    version = page_version()
    library = {query.name: query for query in services().library}
    featured = [library[name] for name in _FEATURED if name in library] or list(library.values())[
        :4
    ]
    counts: dict[str, int] = {}
    for row in services().select(_COUNTS, version):
        kind, count = row["class"], row["count"]
        if isinstance(kind, NamedNode) and isinstance(count, Literal):
            counts[kind.value.removeprefix(TERMS)] = int(count.value)
    return render_template(
        "home.html",
        figures=[(counts.get(kind, 0), label, path) for kind, label, path in _FIGURES],
        goals=goals_of(version),
        featured=[(query, {p.name: p.example for p in query.parameters}) for query in featured],
        example=EXAMPLE,
        queries=len(library),
    )


def goals_of(version: int) -> list[Goal]:
    """The goals with their objectives, in the order of the plan."""
    rows = services().select(_GOALS, version)
    names = from_rows(rows)
    members: dict[str, set[str]] = {}
    for row in rows:
        goal, other = row["goal"], row["other"]
        if isinstance(goal, NamedNode) and isinstance(other, NamedNode):
            members.setdefault(goal.value, set()).add(other.value)
    goals = [
        Goal(
            names.get(goal) or unnamed(goal),
            sorted((names[iri] for iri in parts - {goal} if iri in names), key=lambda n: n.order),
        )
        for goal, parts in members.items()
    ]
    return sorted(goals, key=lambda goal: goal.name.order)


@blueprint.route("/dumps/")
def dumps() -> str:
    """List the downloads, one a version."""
    return render_template("dumps.html", entries=services().store.entries())


@blueprint.route("/dumps/latest.nq.gz")
def latest_dump() -> Redirect:
    """Lead to the download of the published version."""
    return redirect(url_for(".dump", version=page_version()), 302)


@blueprint.route("/dumps/<int:version>.nq.gz")
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
    response = Response(
        pieces,
        content_type="application/gzip",
        headers={
            "Content-Disposition": f'attachment; filename="kg4p1000-{version}.nq.gz"',
            # A version never changes.
            "Cache-Control": "public, max-age=31536000, immutable",
            "Accept-Ranges": "bytes",
        },
    )
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


#: One range; others are left alone, as anybody may (RFC 9110, section 14.2).
_ONE_RANGE = re.compile(r"bytes=\s*(\d+-\d*|-\d+)\s*", re.IGNORECASE)


def _zipped(store: Store, version: int) -> Iterator[bytes]:
    wanted = {
        quad.subject
        for quad in store.quads(version)
        if quad.graph_name == _REGISTER and quad.predicate == _IN_DUMPS and _true(quad)
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


def _true(quad: Quad) -> bool:
    return isinstance(quad.object, Literal) and quad.object.value in ("true", "1")


@blueprint.route("/favicon.svg")
def favicon() -> Response:
    """Our sign."""
    return send_from_directory(f"{blueprint.root_path}/static", "favicon.svg")


@blueprint.route("/robots.txt")
def robots() -> Response:
    """Ask machines that wander about not to ask queries."""
    return Response("User-agent: *\nDisallow: /sparql?\n", content_type="text/plain; charset=utf-8")
