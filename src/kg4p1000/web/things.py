"""Things under their own IRIs: a redirect, a page for people, data for programs, lists by kind; and the named graphs."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for
from pyoxigraph import Literal, NamedNode
from werkzeug.wrappers import Response as Redirect

from ..kernel.errors import NotFound
from ..kernel.terms import BASE, CODE, GRAPH, ID, ID_TYPES, PREFIXES, TERMS, natural_key, short
from ..kernel.texts import did_you_mean, meant, number
from ..sparql import RDF_FORMATS
from .describe import describe
from .queries import asked_by
from .rendering import Name, Sheet, data_href, graph_entry, names_of, register, text
from .requests import TRIPLES, TRIPLES_ONLY, Choice, chosen, takes
from .responses import cited, respond
from .services import asked_version, page_version, services

blueprint = Blueprint("things", __name__)
graphs = Blueprint("graphs", __name__)

OBJECTIVE = PREFIXES["objective"]
#: Endings of data addresses, with the formats that they stand for and their names.
SUFFIXES = {
    "ttl": ("turtle", "Turtle"),
    "nt": ("ntriples", "N-Triples"),
    "jsonld": ("jsonld", "JSON-LD"),
    "rdf": ("rdfxml", "RDF/XML"),
}
#: Things that a page of a list has.
_ON_A_PAGE = 100
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
_LIST = (
    "SELECT DISTINCT ?start ?other WHERE { ?other a ?class FILTER(STRSTARTS(STR(?other), ?start)) }"
)
_ABOVE = """SELECT DISTINCT ?thing ?above WHERE {
  ?thing (k4p:objectiveOf|k4p:activityOf|k4p:targetOf|k4p:measureOf|k4p:remarkOn|skos:inScheme
    |rdfs:isDefinedBy)+ ?above
}"""
_OVERLAP = "SELECT ?thing WHERE { ?thing a k4p:Overlap ; k4p:between ?one, ?other FILTER(?one != ?other) } LIMIT 1"
# For an objective, also what was found about its activities. The other end may be any element. What single readings of a
# pair say is asked for by a stored query.
_FINDINGS = """SELECT ?thing ?one ?other ?finding ?kind ?confidence ?status ?reason WHERE {
  { ?finding k4p:between ?thing BIND(?thing AS ?one) FILTER NOT EXISTS { ?finding a k4p:PairReading } }
  UNION { ?one k4p:activityOf ?thing . ?finding k4p:between ?one . ?finding a k4p:Overlap }
  ?finding k4p:between ?other FILTER(?other != ?one)
  OPTIONAL { { ?finding k4p:overlapKind ?kind } UNION { ?finding k4p:relationKind ?kind } }
  OPTIONAL { ?finding k4p:confidence ?confidence }
  OPTIONAL { ?finding k4p:status ?status }
  OPTIONAL { ?finding k4p:reason ?reason FILTER(LANGMATCHES(LANG(?reason), "en")) }
}"""
#: How an overlap is named.
_PAIR = re.compile(r"[A-Z][0-9]+[.][0-9]+-[A-Z][0-9]+[.][0-9]+")
_LEVELS = ("/id/goal/", "/id/objective/", "/id/target/")
_COUNTS = """SELECT ?graph (COUNT(*) AS ?count)
WHERE { GRAPH ?graph { ?s ?p ?o } } GROUP BY ?graph"""
_ANY = "SELECT ?graph WHERE { GRAPH ?graph { ?s ?p ?o } } LIMIT 1"
_CONTENT = """SELECT ?graph ?class (COUNT(DISTINCT ?thing) AS ?count)
WHERE { GRAPH ?graph { ?thing a ?class FILTER(isIRI(?class)) } } GROUP BY ?graph ?class"""
_WHOLE = "CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o }"
_WHOLE_IN_JSON_LD = "CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o FILTER(!isTRIPLE(?o)) }"


def _findings(subject: NamedNode, version: int) -> list[dict[str, Any]]:
    """Return the findings about a thing and, of an objective, about its activities, those that are surest first."""
    rows = services().select(_FINDINGS, version, thing=subject)
    columns = ("one", "other", "kind", "status")
    ends = {row[c].value for row in rows for c in columns if isinstance(row[c], NamedNode)}
    names, found = names_of(ends, version), {}
    for row in rows:
        named = {c: names[row[c].value] for c in columns if isinstance(row[c], NamedNode)}
        if {"one", "other"} <= named.keys() and isinstance(row["finding"], NamedNode):
            texts = {name: text(row[name]) for name in ("finding", "confidence", "reason")}
            found[texts["finding"], named["one"].iri] = {**texts, **named}
    return sorted(
        found.values(),
        key=lambda f: (-(number(f["confidence"]) or 0), natural_key(f["one"].text)),
    )


def node(path: str) -> NamedNode:
    """Return the IRI of ours with a path.

    Raises:
        NotFound: no IRI can have it.
    """
    try:
        return NamedNode(BASE + path)
    except ValueError:
        raise NotFound(f"There is nothing at /{path}.") from None


def downloads(subject: str) -> list[dict[str, str]]:
    """Return the formats in which one of our things can be had, with their addresses."""
    return [
        {"name": name, "media_type": RDF_FORMATS[key][0], "href": data_href(subject, suffix)}
        for suffix, (key, name) in SUFFIXES.items()
    ]


def answer(subject: NamedNode, choice: Choice) -> Response | str:
    """Answer with a thing as a page or as data."""
    return page(subject) if choice.key == "html" else data(subject, choice)


def page(subject: NamedNode) -> str:
    """Render the page of a thing.

    Raises:
        NotFound: the graph says nothing of it.
    """
    version = page_version()
    try:
        thing = describe(subject, version)
    except NotFound:
        raise _nothing(subject) from None
    findings = _findings(subject, version)
    above = {text(row["above"]) for row in services().select(_ABOVE, version, thing=subject)}
    trail = names_of((iri for iri in above if iri.startswith(BASE)), version).values()
    label = short(subject.value)
    shown = label if ":" in label and "/" not in label else f"<{subject.value}>"
    code = subject.value.removeprefix(OBJECTIVE)
    return render_template(
        "thing.html",
        thing=thing.without({f["finding"] for f in findings}),
        findings=findings,
        trail=sorted(trail, key=_level),
        register=register(version),
        questions=[] if code == subject.value else asked_by(services().library, code),
        downloads=downloads(subject.value),
        query=f"SELECT ?property ?value\nWHERE {{\n  {shown} ?property ?value .\n}}",
    )


def _level(name: Name) -> tuple[int, int]:
    """Sort key that puts what is larger first."""
    level = next((i for i, part in enumerate(_LEVELS) if part in name.iri), len(_LEVELS))
    return level, len(name.iri)


def _nothing(subject: NamedNode, sentence: str = "") -> NotFound:
    """Say that there is no such thing, and which may have been meant."""
    space, hint = subject.value[: subject.value.rindex("/") + 1], ""
    if space.startswith((ID, CODE)):
        rows = services().select(_LIST, asked_version(), start=Literal(space))
        known = {text(row["other"]).removeprefix(space) for row in rows}
        hint = did_you_mean(subject.value.removeprefix(space), known)
    return NotFound(f"{sentence or f'The graph says nothing of {subject.value}.'}{hint}")


def data(subject: NamedNode, choice: Choice) -> Response:
    """Answer with what the graph says of a thing and of what is around it, as RDF.

    Raises:
        NotFound: it says nothing.
    """
    version = asked_version()
    found_in = services().select(_GRAPHS_OF, version, thing=subject)
    if not found_in:
        raise _nothing(subject)
    merged = any(row["merged"] == Literal(True) for row in found_in)
    query = f"{_DATA[:-1]}{_TOLD_IN_JSON_LD}}}" if choice.key == "jsonld" else _DATA
    result = services().readers.query(
        query,
        bindings={"thing": subject},
        # Shapes and later editions are not part of the default graph.
        default_graphs=None if merged else [text(row["graph"]) for row in found_in],
        form=choice.key,
        version=version,
    )
    return cited(respond(result, choice.media_type), query)


@blueprint.route("/id/<kind>/<key>")
def thing(kind: str, key: str) -> Redirect:
    """Send people to the page of a thing and programs to its data (303)."""
    subject = node(f"id/{kind}/{key}")
    if not services().select(_GRAPHS_OF, asked_version(), thing=subject):
        raise _nothing(
            subject, f"There is no {kind} {key!r}; /page/{kind}/ lists those that there are."
        )
    choice = chosen(TRIPLES)
    query = {"version": request.args["version"]} if "version" in request.args else {}
    if choice.key == "html":
        return redirect(url_for(".thing_page", kind=kind, key=key, **query), 303)
    suffix = next(suffix for suffix, (form, _) in SUFFIXES.items() if form == choice.key)
    return redirect(url_for(".thing_data", kind=kind, key=f"{key}.{suffix}", **query), 303)


@blueprint.route("/page/<kind>/<key>")
@takes("version")
def thing_page(kind: str, key: str) -> str | Redirect:
    """Show the page of a thing; that of an overlap is where the two activities stand side by side."""
    subject = node(f"id/{kind}/{key}")
    named = kind == "overlap" and _PAIR.fullmatch(key)
    if named and services().select(_OVERLAP, page_version(), thing=subject):
        return redirect(url_for("overlaps.one", pair=key), 308)
    return page(subject)


@blueprint.route("/data/<kind>/<key>")
@takes("version", "format", answers=TRIPLES_ONLY)
def thing_data(kind: str, key: str) -> Response:
    """Send the data of a thing, in the format of its ending or, without one, by Accept."""
    stem, dot, suffix = key.rpartition(".")
    if dot and suffix in SUFFIXES:
        form, _ = SUFFIXES[suffix]
        return data(node(f"id/{kind}/{stem}"), Choice(form, RDF_FORMATS[form][0]))
    return data(node(f"id/{kind}/{key}"), chosen())


@blueprint.route("/page/<kind>/")
@takes("version", "page")
def kind_page(kind: str) -> str:
    """List the things of a kind."""
    version = page_version()
    rows = services().select(_LIST, version, start=Literal(f"{ID}{kind}/"))
    if not rows and kind not in ID_TYPES:
        raise NotFound(
            f"There are no things of the kind {kind!r}; there are {', '.join(ID_TYPES)}."
        )
    cls = TERMS + kind.capitalize()
    listed = [text(row["other"]) for row in rows]
    found = names_of(listed, version)
    names = sorted((found[thing] for thing in listed), key=lambda name: name.order)
    given = request.args.get("page", "")
    number = int(given[:6]) if given.isascii() and given.isdecimal() else 1
    return render_template(
        "kind.html",
        kind=names_of([cls], version).get(cls, Name("", kind)),
        key=kind,
        sheet=Sheet.of(names, number, _ON_A_PAGE),
    )


@blueprint.route("/code/<scheme>")
@blueprint.route("/code/<scheme>/<code>")
@takes("version", "format", answers=TRIPLES)
def code(scheme: str, code: str = "") -> Response | str:
    """Show a code list or one of its codes, as a page or as data."""
    return answer(node(f"code/{scheme}/{code}".rstrip("/")), chosen())


@blueprint.route("/shapes/<name>")
@takes("version", "format", answers=TRIPLES)
def shape(name: str) -> Response | str:
    """Show a shape, as a page or as data."""
    return answer(node(f"shapes/{name}"), chosen())


# the named graphs: what each holds, where it comes from, how it may be used, and its statements


@graphs.route("/graph/", endpoint="index")
@takes("version", "format", answers=TRIPLES)
def all_graphs() -> Response | str:
    """List the named graphs; as RDF, the register."""
    choice = chosen()
    if choice.key != "html":
        return whole_graph(GRAPH + "graphs", choice)
    version = page_version()
    counts = {
        text(row["graph"]): int(text(row["count"])) for row in services().select(_COUNTS, version)
    }
    listed = register(version)
    unlisted = [graph_entry(iri) for iri in sorted(counts.keys() - listed.keys())]
    return render_template("graphs.html", graphs=[*listed.values(), *unlisted], counts=counts)


@graphs.route("/graph/<topic>")
@takes("version", "format", answers=TRIPLES)
def graph(topic: str) -> Response | str:
    """One named graph: what it is, or all its statements as RDF."""
    subject = node(f"graph/{topic}")
    choice = chosen()
    if choice.key != "html":
        return whole_graph(subject.value, choice)
    version = page_version()
    content = services().select(_CONTENT, version, graph=subject)
    counts = services().select(_COUNTS, version, graph=subject)
    triples = sum(int(text(row["count"])) for row in counts)
    entry = register(version).get(subject.value)
    if entry is None and not triples:
        raise _unknown(subject.value, version)
    entry = entry or graph_entry(subject.value)
    kinds = {text(row["class"]): int(text(row["count"])) for row in content}
    names = names_of({entry.get("source", ""), entry.get("author", ""), *kinds} - {""}, version)
    return render_template(
        "graph.html",
        graph=entry,
        triples=triples,
        content=sorted(
            ((names[kind], count) for kind, count in kinds.items()),
            key=lambda pair: (-pair[1], pair[0].text),
        ),
        names=names,
        downloads=downloads(subject.value),
        query=f"SELECT ?s ?p ?o\nFROM <{subject.value}>\nWHERE {{ ?s ?p ?o }}\nLIMIT 100",
    )


def whole_graph(iri: str, choice: Choice, *, may_be_empty: bool = True) -> Response:
    """Answer with all statements of a graph as RDF, without an IRI with those of all published ones.

    Args:
        may_be_empty: a graph that is registered is there though it says nothing.

    Raises:
        NotFound: there is no such graph.
    """
    version = asked_version()
    if iri and not services().select(_ANY, version, graph=NamedNode(iri)):
        current = version or services().store.current
        if not may_be_empty or iri not in register(current):
            raise _unknown(iri, current)
    result = services().readers.query(
        # What JSON-LD has no words for, statements about statements, is left out of it.
        _WHOLE_IN_JSON_LD if choice.key == "jsonld" else _WHOLE,
        default_graphs=[iri] if iri else None,
        form=choice.key,
        version=version,
    )
    return cited(respond(result, choice.media_type))


def _unknown(iri: str, version: int) -> NotFound:
    known = {entry["topic"] for entry in register(version).values()}
    close = meant(iri.removeprefix(GRAPH), known)
    hint = f" Did you mean graph:{close[0]}?" if close else ""
    return NotFound(f"There is no graph {iri}; /graph/ lists those that there are.{hint}")
