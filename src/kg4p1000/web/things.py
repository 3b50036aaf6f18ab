"""Things under their own IRIs: a redirect, a page for people, and data for programs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from flask import Blueprint, Response, redirect, render_template, request, url_for
from pyoxigraph import Literal, NamedNode
from werkzeug.wrappers import Response as Redirect

from ..errors import NotFound
from ..queries import StoredQuery
from ..sparql import RDF_FORMATS
from ..terms import BASE, CODE, ID, ID_TYPES, PREFIXES, TERMS
from ..texts import meant
from .describe import describe
from .findings import findings
from .names import NAMING, Name, from_rows
from .negotiation import TRIPLES, TRIPLES_ONLY, Choice, chosen
from .questions import asked_by
from .rendering import data_href, short, text
from .services import asked_version, page_version, services
from .streaming import cited, respond
from .vocabulary import Vocabulary, vocabulary

blueprint = Blueprint("things", __name__)

OBJECTIVE = PREFIXES["objective"]

#: Endings of data addresses, and the formats that they stand for.
SUFFIXES = {"ttl": "turtle", "nt": "ntriples", "jsonld": "jsonld", "rdf": "rdfxml"}
#: Names of the formats, as people know them.
FORMAT_NAMES = {"ttl": "Turtle", "nt": "N-Triples", "jsonld": "JSON-LD", "rdf": "RDF/XML"}

_GRAPHS_OF = """SELECT DISTINCT ?thing ?graph (EXISTS { ?thing ?p ?o } AS ?merged)
WHERE { GRAPH ?graph { ?thing ?q ?v } }"""
# What is said of the thing and by it, what its nodes without names say, and the names around it.
_DATA = """CONSTRUCT { ?thing ?p ?o . ?o ?p2 ?o2 . ?s ?q ?thing . ?other ?naming ?name } WHERE {
  { ?thing ?p ?o OPTIONAL { ?o ?p2 ?o2 FILTER(isBlank(?o)) } }
  UNION { ?s ?q ?thing FILTER(isIRI(?s)) }
  UNION {
    { SELECT DISTINCT ?thing ?other WHERE {
        { ?thing ?p ?other FILTER(isIRI(?other)) } UNION { ?other ?q ?thing } } }
    VALUES ?naming { rdfs:label skos:prefLabel skos:notation }
    ?other ?naming ?name
  }
}"""
#: What JSON-LD has no words for (statements about statements) is left out of it.
_TOLD_IN_JSON_LD = "".join(
    f" FILTER(!COALESCE(isTRIPLE({name}), false))" for name in ("?o", "?o2", "?name")
)
_LIST = f"""SELECT ?start ?other ?property ?name WHERE {{
  {{ SELECT DISTINCT ?start ?other WHERE {{ ?other a ?class FILTER(STRSTARTS(STR(?other), ?start)) }} }}
  VALUES ?property {{ {NAMING} }}
  ?other ?property ?name
}}"""
_ABOVE = """SELECT ?thing ?above ?property ?name WHERE {
  VALUES ?property { skos:prefLabel rdfs:label skos:notation dcterms:title }
  { SELECT DISTINCT ?thing ?above WHERE {
      ?thing (k4p:objectiveOf|k4p:activityOf|k4p:targetOf|k4p:measureOf|k4p:remarkOn|skos:inScheme
        |rdfs:isDefinedBy)+ ?above } }
  ?above ?property ?name
}"""
#: Things that a page of a list has.
_ON_A_PAGE = 100
#: How an overlap is named.
_PAIR = re.compile(r"[A-Z][0-9]+[.][0-9]+-[A-Z][0-9]+[.][0-9]+")
_LEVELS = ("/id/goal/", "/id/objective/", "/id/target/")


@dataclass(frozen=True)
class Download:
    """A format in which data can be had."""

    name: str
    media_type: str
    href: str


def node(path: str) -> NamedNode:
    """The IRI of ours with this path.

    Raises:
        NotFound: no IRI can have it.
    """
    try:
        return NamedNode(BASE + path)
    except ValueError:
        raise NotFound(f"There is nothing at /{path}.") from None


def downloads(subject: str) -> list[Download]:
    """The formats in which one of our things can be had."""
    return [
        Download(FORMAT_NAMES[suffix], RDF_FORMATS[key][0], data_href(subject, suffix))
        for suffix, key in SUFFIXES.items()
    ]


def answer(subject: NamedNode, choice: Choice) -> Response | str:
    """A thing as a page or as data."""
    return page(subject) if choice.key == "html" else data(subject, choice)


def page(subject: NamedNode) -> str:
    """The page of a thing.

    Raises:
        NotFound: the graph says nothing of it.
    """
    version = page_version()
    if not services().select(_GRAPHS_OF, version, thing=subject):
        raise NotFound(f"The graph says nothing of {subject.value}.{_hint(subject)}")
    words = vocabulary(services(), version)
    above = services().select(_ABOVE, version, thing=subject)
    label = short(subject.value)
    shown = label if ":" in label and "/" not in label else f"<{subject.value}>"
    found = findings(services(), subject, version)
    try:
        thing = describe(services(), subject, version)
    except NotFound as e:
        raise NotFound(f"{e.detail}{_hint(subject)}") from None
    return render_template(
        "thing.html",
        thing=thing.without({f.iri for f in found}),
        findings=found,
        trail=_trail(from_rows(above, "above")),
        words=words,
        questions=_questions(subject),
        downloads=downloads(subject.value),
        query=f"SELECT ?property ?value\nWHERE {{\n  {shown} ?property ?value .\n}}",
    )


def _hint(subject: NamedNode) -> str:
    """Which thing or code may have been meant by a name that there is not."""
    space = subject.value[: subject.value.rindex("/") + 1]
    if not space.startswith((ID, CODE)):
        return ""
    rows = services().select(_LIST, asked_version(request.args), start=Literal(space))
    known = {text(row["other"]).removeprefix(space) for row in rows}
    close = meant(subject.value.removeprefix(space), known)
    return f" Did you mean {close[0]}?" if close else ""


def _questions(subject: NamedNode) -> list[tuple[StoredQuery, dict[str, str]]]:
    """What those who work on an objective ask; nothing for other things."""
    code = subject.value.removeprefix(OBJECTIVE)
    return [] if code == subject.value else asked_by(services().library, code)


def data(subject: NamedNode, choice: Choice) -> Response:
    """What the graph says of a thing and of what is around it, as RDF.

    Raises:
        NotFound: it says nothing.
    """
    version = asked_version(request.args)
    graphs = services().select(_GRAPHS_OF, version, thing=subject)
    if not graphs:
        raise NotFound(f"The graph says nothing of {subject.value}.{_hint(subject)}")
    merged = any(row["merged"] == Literal(True) for row in graphs)
    outside = [row["graph"].value for row in graphs if isinstance(row["graph"], NamedNode)]
    text = f"{_DATA[:-1]}{_TOLD_IN_JSON_LD}}}" if choice.key == "jsonld" else _DATA
    result = services().readers.query(
        text,
        bindings={"thing": subject},
        # Shapes and later editions are not part of the default graph.
        default_graphs=None if merged else outside,
        rdf_format=choice.key,
        version=version,
    )
    return cited(respond(result, choice.media_type), text)


def _trail(names: dict[str, Name]) -> list[Name]:
    """What the thing is part of, the largest first."""

    def level(name: Name) -> int:
        return next((i for i, part in enumerate(_LEVELS) if part in name.iri), len(_LEVELS))

    ours = (name for name in names.values() if name.iri.startswith(BASE))
    return sorted(ours, key=lambda name: (level(name), len(name.iri)))


@blueprint.route("/id/<kind>/<key>")
def thing(kind: str, key: str) -> Redirect:
    """Send people to the page of a thing and programs to its data (303)."""
    subject = node(f"id/{kind}/{key}")
    if not services().select(_GRAPHS_OF, asked_version(request.args), thing=subject):
        raise NotFound(
            f"There is no {kind} {key!r}; /page/{kind}/ lists those that there are.{_hint(subject)}"
        )
    choice = chosen(TRIPLES)
    query = {"version": request.args["version"]} if "version" in request.args else {}
    if choice.key == "html":
        return redirect(url_for(".thing_page", kind=kind, key=key, **query), 303)
    suffix = next(suffix for suffix, form in SUFFIXES.items() if form == choice.key)
    return redirect(url_for(".thing_data", kind=kind, key=f"{key}.{suffix}", **query), 303)


def _is_there(path: str) -> bool:
    """Whether there is such an overlap with all that its page has."""
    text = "SELECT ?thing WHERE { ?thing a k4p:Overlap ; k4p:between ?one, ?other FILTER(?one != ?other) } LIMIT 1"
    return bool(services().select(text, page_version(), thing=node(path)))


@blueprint.route("/page/<kind>/<key>")
def thing_page(kind: str, key: str) -> str | Redirect:
    """The page of a thing; that of an overlap is where the two activities stand side by side."""
    if kind == "overlap" and _PAIR.fullmatch(key) and _is_there(f"id/{kind}/{key}"):
        return redirect(url_for("overlaps.one", pair=key), 308)
    return page(node(f"id/{kind}/{key}"))


@blueprint.route("/data/<kind>/<key>")
def thing_data(kind: str, key: str) -> Response:
    """The data of a thing, in the format of its ending or, without one, by Accept."""
    stem, dot, suffix = key.rpartition(".")
    if dot and suffix in SUFFIXES:
        form = SUFFIXES[suffix]
        return data(node(f"id/{kind}/{stem}"), Choice(form, RDF_FORMATS[form][0]))
    return data(node(f"id/{kind}/{key}"), chosen(TRIPLES_ONLY))


@blueprint.route("/page/<kind>/")
def kind_page(kind: str) -> str:
    """List the things of a kind."""
    if kind not in ID_TYPES:
        raise NotFound(
            f"There are no things of the kind {kind!r}; there are {', '.join(ID_TYPES)}."
        )
    version = page_version()
    rows = services().select(_LIST, version, start=Literal(f"{ID}{kind}/"))
    names = sorted(from_rows(rows).values(), key=lambda name: name.order)
    words = vocabulary(services(), version)
    last = max(1, -(-len(names) // _ON_A_PAGE))
    asked = request.args.get("page", "1")
    number = (
        min(int(asked[:6]), last) if asked.isascii() and asked.isdecimal() and int(asked[:6]) else 1
    )
    return render_template(
        "kind.html",
        kind=_kind_name(kind, words),
        key=kind,
        names=names[(number - 1) * _ON_A_PAGE : number * _ON_A_PAGE],
        total=len(names),
        number=number,
        last=last,
    )


def _kind_name(kind: str, words: Vocabulary) -> Name:
    return words.names.get(TERMS + kind.capitalize()) or Name("", kind)


@blueprint.route("/code/<scheme>")
@blueprint.route("/code/<scheme>/<code>")
def code(scheme: str, code: str = "") -> Response | str:
    """A code list or one of its codes, as a page or as data."""
    return answer(node(f"code/{scheme}/{code}".rstrip("/")), chosen(TRIPLES))


@blueprint.route("/shapes/<name>")
def shape(name: str) -> Response | str:
    """A shape, as a page or as data."""
    return answer(node(f"shapes/{name}"), chosen(TRIPLES))
