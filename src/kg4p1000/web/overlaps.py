"""Overlaps for people: objectives against each other, the pairs with reasons, work packages, decisions."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from flask import Blueprint, Response, g, jsonify, redirect, render_template, request, url_for
from pyoxigraph import NamedNode
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as Redirect

from ..curation.access import Account, Role
from ..kernel.errors import (
    BadParameter,
    Forbidden,
    KgError,
    MalformedRequest,
    NotFound,
    Unauthorized,
)
from ..kernel.terms import curie, natural_key
from ..kernel.texts import counted, meant, number
from ..overlaps import decisions
from .describe import describe
from .rendering import Name, Sheet, names_of, register, text
from .requests import (
    FORM,
    chosen,
    conditions,
    decoded,
    is_dry_run,
    prefers_page,
    takes,
    whole_body,
)
from .services import page_version, require, services
from .things import downloads

blueprint = Blueprint("overlaps", __name__)

#: Bounds of the shades of the matrix, in summed confidence.
_SHADES = (0.01, 1.0, 2.0, 4.0, 7.0)
_OFFERS = {"html": ("text/html",), "csv": ("text/csv",)}
_COLUMNS = ("a", "b", "score", "kind", "confidence", "status", "reason")
#: Pairs of a page, and bytes of a decision.
_A_PAGE, _LARGEST = 25, 20_000
_KINDS = {
    "duplicates": "duplicates",
    "overlaps": "overlaps",
    "complements": "complements",
    "depends": "depends on",
}
#: The filters of the list of pairs, and the parameters of a decision.
_FILTERS = ("objective", "other", "kind", "status", "confidence")
_TAKEN = ("status", "why", "kind", "token", "dry-run")

_OVERLAPS = """SELECT ?iri ?one ?other ?a ?b ?title_a ?title_b ?kind ?confidence ?score ?status ?reason WHERE {
  ?iri a k4p:Overlap ; k4p:between ?one , ?other ; k4p:confidence ?confidence ; k4p:reason ?reason ;
    k4p:overlapKind/skos:notation ?kind ; k4p:status/skos:notation ?status .
  FILTER(isIRI(?iri) && isIRI(?one) && isIRI(?other))
  FILTER(STR(?one) < STR(?other) && LANG(?reason) = "en")
  ?one skos:notation ?a ; skos:prefLabel ?title_a FILTER(LANG(?title_a) = "en")
  ?other skos:notation ?b ; skos:prefLabel ?title_b FILTER(LANG(?title_b) = "en")
  OPTIONAL { ?iri k4p:score ?score }
}"""
_OBJECTIVES = """SELECT ?code ?title WHERE {
  ?objective a k4p:Objective ; skos:notation ?code ; skos:prefLabel ?title FILTER(LANG(?title) = "en")
}"""
_STATED = """SELECT ?from ?to ?kind WHERE {
  ?relation a k4p:ObjectiveRelation ; k4p:relatesFrom/skos:notation ?from ;
    k4p:relatesTo/skos:notation ?to ; k4p:relationKind/skos:prefLabel ?kind FILTER(LANG(?kind) = "en")
}"""
#: The stored query that says which targets are identical (same text or figure) or similar (same indicator).
_TARGETS = "identical-targets"
_CLUSTERS = """SELECT ?cluster ?label ?confidence ?member WHERE {
  ?cluster a k4p:ActivityCluster ; rdfs:label ?label ; k4p:confidence ?confidence ;
    k4p:hasClusterMember ?member FILTER(LANG(?label) = "en" && isIRI(?member))
}"""
_SHARED = """SELECT ?thing ?how ?other WHERE {
  VALUES ?how { k4p:sharesFacet k4p:sharesBroaderFacet k4p:guessesCodesOf k4p:sharesMention k4p:supportedBy
    prov:wasAttributedTo k4p:similarPhrase }
  ?thing ?how ?other FILTER(!isBlank(?other))
}"""
_PASSAGES = """SELECT ?thing ?activity ?quote ?needs WHERE {
  ?thing k4p:passage ?passage . ?passage k4p:passageOf ?activity ; k4p:quote ?quote
  OPTIONAL { ?thing k4p:needingActivity ?needs }
}"""
_READINGS = """SELECT ?thing ?number ?kind ?degree ?why ?who WHERE {
  ?thing k4p:basedOnReading ?reading . ?reading k4p:readingNumber ?number ; k4p:readKind/skos:prefLabel ?kind ;
    k4p:degree ?degree ; k4p:reason ?why ; prov:wasAttributedTo/skos:prefLabel ?who
  FILTER(LANG(?kind) = "en" && LANG(?why) = "en" && LANG(?who) = "en")
} ORDER BY ?number"""
_TEXTS = """SELECT ?thing ?text ?objective ?title WHERE {
  ?thing dcterms:description ?text ; k4p:activityOf ?o . ?o skos:notation ?objective ; skos:prefLabel ?title
  FILTER(LANG(?title) = "en")
}"""


#: A stored overlap: the columns of the query, and how it is named; `one` and `other` are addresses.
Pair = dict[str, Any]


def _pairs(version: int) -> list[Pair]:
    """Return the stored overlaps, surest first; of those that are equally sure, the one with the higher score.

    One whose confidence is no number is left out, for it has no place among the others.
    """
    found = {}
    for row in services().select(_OVERLAPS, version):
        pair: Pair = {name: text(term) for name, term in row.items()}
        pair["confidence"], pair["score"] = number(pair["confidence"]), number(pair["score"]) or 0
        pair["key"] = f"{pair['a']}-{pair['b']}"
        pair["objectives"] = pair["a"].split(".")[0], pair["b"].split(".")[0]
        pair["kind_label"] = _KINDS.get(pair["kind"], pair["kind"])
        if pair["confidence"] is not None:
            found[pair["iri"]] = pair
    order = natural_key
    return sorted(
        found.values(),
        key=lambda p: (-p["confidence"], -p["score"], order(p["a"]), order(p["b"])),
    )


@blueprint.route("/overlaps/")
@takes(*_FILTERS, "version", "format", "page")
def index() -> Response:
    """Show the matrix of objectives, and the pairs that fit the filters; as CSV the pairs alone, all of them."""
    choice = chosen(_OFFERS)
    version = page_version()
    titles = {text(r["code"]): text(r["title"]) for r in services().select(_OBJECTIVES, version)}
    codes = sorted(titles, key=natural_key)
    pairs, problem, sheet = _pairs(version), None, Sheet.of([], 1, _A_PAGE)
    filters = {name: request.args.get(name, "").strip() for name in _FILTERS}
    try:
        filters = _checked(filters, codes)
        fitting = [pair for pair in pairs if _fits(pair, filters)]
        sheet = _sheet(fitting)
    except BadParameter as error:
        if choice.key == "csv":
            raise
        g.record.outcome, problem = error.slug, error
    if choice.key == "csv":
        return _csv(fitting)
    page = render_template(
        "overlaps.html",
        problem=problem and problem.detail,
        field=problem and problem.members["parameter"],
        sheet=sheet,
        total=len(pairs),
        filters=filters,
        codes=codes,
        titles=titles,
        cells=_cells(version, [pair for pair in pairs if pair["status"] != "rejected"]),
        statuses=Counter(pair["status"] for pair in pairs),
        kinds=_KINDS,
        states=decisions.STATUSES,
    )
    return Response(page, problem.status if problem else 200)


def _csv(pairs: Iterable[Pair]) -> Response:
    """Pairs as a table, with the columns of the command line."""
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(_COLUMNS)
    table.writerows([pair[name] for name in _COLUMNS] for pair in pairs)
    return Response(written.getvalue(), mimetype="text/csv")


def _sheet(pairs: Sequence[Pair]) -> Sheet:
    """Return the page of a list that the request asks for by ``page``.

    Raises:
        BadParameter: there is no such page.
    """
    given = request.args.get("page", "").strip() or "1"
    last = Sheet.of(pairs, 1, _A_PAGE).last
    if not (given.isascii() and given.isdigit() and len(given) < 10 and 1 <= int(given) <= last):
        raise BadParameter(
            f"page is {given!r} and must be a number from 1 to {last}: this list has"
            f" {counted(len(pairs), 'pair')}, {_A_PAGE} a page.",
            parameter="page",
        )
    return Sheet.of(pairs, int(given), _A_PAGE)


def _checked(given: Mapping[str, str], codes: Sequence[str]) -> dict[str, str]:
    """Return the filters of a request, in the capitals of what they name.

    Raises:
        BadParameter: one asks for what there is not, or the confidence is not a number from 0 to 1.
    """
    filters = dict(given)
    there = {"objective": codes, "other": codes, "kind": _KINDS, "status": decisions.STATUSES}
    for name, values in there.items():
        if given[name] and given[name] not in values:
            close = meant(given[name], values, 3, 0.5)
            if [word.casefold() for word in close] == [given[name].casefold()]:
                filters[name] = close[0]
                continue
            hint = f"Did you mean {' or '.join(close)}? " if close else ""
            raise BadParameter(
                f"{name} is {given[name]!r}, and there is none. {hint}There are {', '.join(values)}.",
                parameter=name,
            )
    sure = number(given["confidence"] or "0")
    if sure is None or not 0 <= sure <= 1:
        raise BadParameter(
            f"confidence is {given['confidence']!r} and must be a number from 0 to 1, such as 0.6.",
            parameter="confidence",
        )
    return filters


def _fits(pair: Pair, filters: Mapping[str, str]) -> bool:
    return (
        {filters["objective"], filters["other"]} - {""} <= set(pair["objectives"])
        and filters["kind"] in ("", pair["kind"])
        and filters["status"] in ("", pair["status"])
        and pair["confidence"] >= float(filters["confidence"] or 0)
    )


def _cells(version: int, pairs: Iterable[Pair]) -> dict[tuple[str, str], dict[str, Any]]:
    """Return what two objectives have in common, by their codes in order.

    Returns:
        How many overlaps, their summed confidence and its shade from 0 to 5, and what is stated: kinds of the
        relations in remarks, and whether targets are identical or similar.
    """
    sure: dict[tuple[str, str], list[float]] = defaultdict(list)
    for pair in pairs:
        sure[pair["objectives"]].append(pair["confidence"])
    stated: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in services().select(_STATED, version):
        one, other = sorted((text(row["from"]), text(row["to"])), key=natural_key)
        stated[one, other].add(text(row["kind"]))
    for row in services().select(services().library[_TARGETS].text, version):
        same = "true" in (text(row["sameText"]), text(row["sameFigure"]))
        if same or row["indicator"]:
            ends = text(row["code"]), text(row["otherCode"])
            stated[ends].add(f"{'identical' if same else 'similar'} target")
    return {
        ends: {
            "count": len(sure[ends]),
            "weight": sum(sure[ends]),
            "shade": sum(sum(sure[ends]) >= bound for bound in _SHADES),
            "stated": sorted(stated[ends]),
        }
        for ends in sure.keys() | stated.keys()
    }


@blueprint.route("/overlaps/clusters")
def clusters() -> str:
    """Show groups of activities of several objectives that could make one work package."""
    version = page_version()
    rows = services().select(_CLUSTERS, version)
    names = names_of((text(row["member"]) for row in rows), version)
    found: dict[str, tuple[str, float, dict[str, Name]]] = {}
    for row in rows:
        sure, member = number(text(row["confidence"])), text(row["member"])
        if sure is not None:
            entry = found.setdefault(text(row["cluster"]), (text(row["label"]), sure, {}))
            entry[2][member] = names[member]
    listed = [
        (label, sure, sorted(members.values(), key=lambda name: name.order))
        for label, sure, members in found.values()
    ]
    return render_template(
        "overlap_clusters.html", clusters=sorted(listed, key=lambda c: (-c[1], c[2][0].order))
    )


@blueprint.route("/overlaps/queue")
@takes("version", "page")
def queue() -> str:
    """List the pairs that wait for a decision, those first from which the ranking learns most."""
    found = {(pair["a"], pair["b"]): pair for pair in _pairs(page_version())}
    order = decisions.queue(
        {key: pair["confidence"] for key, pair in found.items()},
        {key: pair["status"] for key, pair in found.items()},
    )
    return render_template("overlap_queue.html", sheet=_sheet([found[key] for key in order]))


@blueprint.route("/overlaps/<pair>")
def one(pair: str) -> str | Redirect:
    """Show two activities side by side, what they share, and what was decided."""
    version = page_version()
    found = _stored(pair, version)
    if found is None:
        with suppress(BadParameter):
            if (known := _named(pair)) != pair:
                return redirect(url_for(".one", **{**request.args, "pair": known}), 308)
        raise NotFound(
            f"The graph has no overlap {pair}. /overlaps/ lists those that it has; a pair is named"
            " like A4.2-D2.3. A steward may decide on others: POST to this address and /decisions."
        )
    return _page(found, version)


def _stored(pair: str, version: int) -> Pair | None:
    return next((found for found in _pairs(version) if found["key"] == pair), None)


def _named(pair: str) -> str:
    """How a pair is named: its notations in order.

    Raises:
        BadParameter: it is not two notations of different objectives.
    """
    a, _, b = pair.partition("-")
    return "-".join(decisions.ordered(a, b))


def _page(pair: Pair, version: int, **shown: object) -> str:
    """Render the page of a pair.

    Args:
        shown: what of its form was filled in, and what is wrong with it.
    """
    subject = NamedNode(pair["iri"])
    rows = services().select(_SHARED, version, thing=subject)
    things = {row["other"].value for row in rows if isinstance(row["other"], NamedNode)}
    names, phrases = names_of(things, version), set()
    shared: dict[str, dict[str, Name]] = defaultdict(dict)
    for row in rows:
        how, other = curie(text(row["how"])) or "", text(row["other"])
        if how == "k4p:similarPhrase":
            phrases.add(other)
        elif other in things:  # codes by their list
            key = other.split("/")[-2] if how == "k4p:sharesFacet" else how
            shared[key][other] = names[other]
    decided = decisions.read(lambda query: services().select(query, version))
    quotes = services().select(_PASSAGES, version, thing=subject)
    return render_template(
        "overlap.html",
        pair=pair,
        passages={text(row["activity"]): text(row["quote"]) for row in quotes},
        needs={text(row["needs"]) for row in quotes if row["needs"]},
        readings=[
            {name: text(term) for name, term in row.items()}
            for row in services().select(_READINGS, version, thing=subject)
        ],
        sides=[
            _activity(version, pair["one"], pair["a"], pair["title_a"]),
            _activity(version, pair["other"], pair["b"], pair["title_b"]),
        ],
        shared={
            how: sorted(found.values(), key=lambda n: n.order) for how, found in shared.items()
        },
        phrases=sorted(phrases),
        decisions=[d for d in decided if decisions.pair_of(d.about) == (pair["a"], pair["b"])][
            ::-1
        ],
        states=decisions.STATUSES,
        kinds=_KINDS,
        thing=describe(subject, version),
        register=register(version),
        downloads=downloads(pair["iri"]),
        **shown,
    )


def _activity(version: int, activity: str, code: str, title: str) -> dict[str, object]:
    """One of the two activities: its name, text and objective."""
    rows = services().select(_TEXTS, version, thing=NamedNode(activity))
    texts = {name: text(term) for name, term in rows[0].items()} if rows else {}
    objective = f"{texts.get('objective', '')} {texts.get('title', '')}".strip()
    name = Name(activity, title, notation=code)
    return {"name": name, "text": texts.get("text", ""), "objective": objective}


@blueprint.route("/overlaps/<pair>/decisions", methods=["POST"])
@takes(token=True)
def decide(pair: str) -> Response | Redirect:
    """Record a decision about a pair; for stewards.

    A form or a JSON object with ``status``, ``why`` and perhaps ``kind``; with ``dry-run=true``, there or in the
    address, it is only judged. The token stands in the
    ``Authorization`` header, or in the field ``token`` of a form.
    """
    if request.mimetype != FORM:
        account = require(Role.STEWARD)
        return jsonify(_decided(pair, _json_body(), account))
    given = decoded(whole_body(_LARGEST)).to_dict()
    try:
        done = _decided(pair, given, require(Role.STEWARD, given.get("token", "").strip()))
    except KgError as problem:
        return _again(pair, given, problem)
    if done["version"] is None:
        return jsonify(done)
    return redirect(url_for(".one", pair=_named(pair)), 303)


def _decided(pair: str, given: Mapping[str, str], account: Account) -> dict[str, Any]:
    everything = MultiDict([*request.args.items(multi=True), *given.items()])
    return services().writer.change(
        kind="decide",
        topic=decisions.TOPIC.thing.value,
        thing=decisions.overlap_iri(decisions.ordered(*_named(pair).split("-"))).value,
        status=given.get("status", "").strip(),
        why=given.get("why", "").strip(),
        decided_kind=given.get("kind", "").strip(),
        author=account.name,
        role=int(account.role),
        dry_run=is_dry_run(everything, _TAKEN),
        **conditions(),
    )


def _again(pair: str, given: Mapping[str, str], problem: KgError) -> Response:
    """Show the form once more, as it was filled in but for the token, with what is wrong at its field.

    Raises:
        KgError: the one given, where nobody reads a page, or there is none of this pair.
    """
    version = page_version()
    found = _stored(pair, version)
    if found is None or problem.status >= 500 or not prefers_page(request.accept_mimetypes):
        raise problem
    g.record.outcome = problem.slug
    of_token = isinstance(problem, Unauthorized | Forbidden)
    field = "token" if of_token else problem.members.get("parameter", "")
    shown = _page(found, version, given=given, problem=problem.detail, field=field)
    return Response(shown, problem.status, headers={"Cache-Control": "no-store"})


def _json_body() -> dict[str, str]:
    try:
        given = json.loads(whole_body(_LARGEST))
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(v, str) for v in given.values()):
        raise MalformedRequest(
            'Send a form, or a JSON object of texts such as {"status": "accepted", "why": "…"}.'
        )
    return given
