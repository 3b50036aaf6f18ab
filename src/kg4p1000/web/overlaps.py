"""Overlaps for people: objectives against each other, the pairs with reasons, work packages, decisions."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from pyoxigraph import NamedNode
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as Redirect

from ..errors import BadParameter, NotFound
from ..overlaps import decisions
from ..terms import curie, natural_key
from ..texts import counted, meant, number
from .describe import describe
from .names import NAMING, Name, from_rows, unnamed
from .negotiation import chosen
from .rendering import text
from .services import Row, page_version, services
from .things import downloads
from .vocabulary import vocabulary

blueprint = Blueprint("overlaps", __name__)

#: Bounds of the shades of the matrix, in summed confidence.
_SHADES = (0.01, 1.0, 2.0, 4.0, 7.0)
_OFFERS = {"html": ("text/html",), "csv": ("text/csv",)}
_COLUMNS = ("a", "b", "score", "kind", "confidence", "status", "reason")
#: Pairs of a page.
_A_PAGE = 25

_OVERLAPS = """SELECT ?overlap ?one ?other ?a ?b ?titleA ?titleB ?kind ?confidence ?score ?status ?reason WHERE {
  ?overlap a k4p:Overlap ; k4p:between ?one , ?other ; k4p:confidence ?confidence ; k4p:reason ?reason ;
    k4p:overlapKind/skos:notation ?kind ; k4p:status/skos:notation ?status .
  FILTER(isIRI(?overlap) && isIRI(?one) && isIRI(?other))
  FILTER(STR(?one) < STR(?other) && LANG(?reason) = "en")
  ?one skos:notation ?a ; skos:prefLabel ?titleA FILTER(LANG(?titleA) = "en")
  ?other skos:notation ?b ; skos:prefLabel ?titleB FILTER(LANG(?titleB) = "en")
  OPTIONAL { ?overlap k4p:score ?score }
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
_CLUSTERS = f"""SELECT ?cluster ?label ?confidence ?other ?property ?name WHERE {{
  ?cluster a k4p:ActivityCluster ; rdfs:label ?label ; k4p:confidence ?confidence ;
    k4p:hasClusterMember ?other FILTER(LANG(?label) = "en")
  VALUES ?property {{ {NAMING} }} ?other ?property ?name
}}"""
_SHARED = f"""SELECT ?thing ?how ?other ?property ?name WHERE {{
  VALUES ?how {{ k4p:sharesFacet k4p:sharesBroaderFacet k4p:guessesCodesOf k4p:sharesMention k4p:supportedBy
    prov:wasAttributedTo prov:wasGeneratedBy }}
  ?thing ?how ?other . VALUES ?property {{ {NAMING} }} ?other ?property ?name
}}"""
_PHRASES = "SELECT ?thing ?phrase WHERE { ?thing k4p:similarPhrase ?phrase } ORDER BY ?phrase"
_TEXTS = """SELECT ?thing ?text ?objective ?title WHERE {
  ?thing dcterms:description ?text ; k4p:activityOf ?o . ?o skos:notation ?objective ; skos:prefLabel ?title
  FILTER(LANG(?title) = "en")
}"""
_NAMES = {
    "duplicates": "duplicates",
    "overlaps": "overlaps",
    "complements": "complements or depends on",
}


#: The filters of the list of pairs.
_FILTERS = ("objective", "other", "kind", "status", "confidence")


@dataclass(frozen=True)
class Pair:
    """A stored overlap; `iri`, `one` and `other` are the addresses of it and of its activities."""

    iri: str
    one: str
    other: str
    a: str
    b: str
    title_a: str
    title_b: str
    kind: str
    confidence: float
    score: float
    status: str
    reason: str

    @property
    def key(self) -> str:
        """The last part of its addresses."""
        return f"{self.a}-{self.b}"

    @property
    def objectives(self) -> tuple[str, str]:
        """Codes of the two objectives."""
        return self.a.split(".")[0], self.b.split(".")[0]

    @property
    def kind_label(self) -> str:
        """Its kind as people read it."""
        return _NAMES.get(self.kind, self.kind)


@dataclass(frozen=True)
class Cell:
    """Two objectives in the matrix.

    Attributes:
        shade: 0 to 5, by the summed confidence.
        stated: kinds of the relations that remarks state, and whether targets are identical or similar.
    """

    count: int
    weight: float
    shade: int
    stated: tuple[str, ...]


@dataclass(frozen=True)
class Cluster:
    """Activities that could make one work package."""

    label: str
    confidence: float
    members: list[Name]


@blueprint.route("/overlaps/")
def index() -> Response:
    """The matrix of objectives, and the pairs that fit the filters; as CSV the pairs alone, all of them."""
    choice = chosen(_OFFERS)
    version = page_version()
    titles = {text(r["code"]): text(r["title"]) for r in services().select(_OBJECTIVES, version)}
    codes = sorted(titles, key=natural_key)
    found, problem, fitting = pairs(version), None, []
    try:
        asked = _asked(request.args, codes)
        fitting = [p for p in found if _fits(p, asked)]
        sheet = _sheet(fitting)
    except BadParameter as error:
        if choice.key == "csv":
            raise
        g.visit.outcome = error.slug
        asked, problem = {n: request.args.get(n, "").strip() for n in _FILTERS}, error
        sheet = Sheet([], 0, 0, 1, 1)
    if choice.key == "csv":
        return _csv(fitting)
    page = render_template(
        "overlaps.html",
        problem=problem and problem.detail,
        field=problem and problem.members["parameter"],
        sheet=sheet,
        total=len(found),
        asked=asked,
        codes=codes,
        titles=titles,
        cells=_cells(version, [p for p in found if p.status != "rejected"]),
        statuses=Counter(p.status for p in found),
        kinds=_NAMES,
        states=decisions.STATUSES,
    )
    return Response(page, problem.status if problem else 200)


@blueprint.route("/overlaps/clusters")
def clusters() -> str:
    """Groups of activities of several objectives that could make one work package."""
    rows = services().select(_CLUSTERS, page_version())
    names = from_rows(rows)
    found: dict[str, tuple[str, float, set[str]]] = {}
    for row in rows:
        said = {name: text(term) for name, term in row.items()}
        if (sure := number(said["confidence"])) is not None and said["other"] in names:
            entry = found.setdefault(said["cluster"], (said["label"], sure, set()))
            entry[2].add(said["other"])
    made = [
        Cluster(label, sure, sorted((names[m] for m in members), key=lambda n: n.order))
        for label, sure, members in found.values()
    ]
    return render_template(
        "overlap_clusters.html",
        clusters=sorted(made, key=lambda c: (-c.confidence, c.members[0].order)),
    )


@blueprint.route("/overlaps/queue")
def queue() -> str:
    """The pairs that wait for a decision, those first from which the ranking learns most."""
    found = {(p.a, p.b): p for p in pairs(page_version())}
    order = decisions.queue(
        {key: p.confidence for key, p in found.items()}, {key: p.status for key, p in found.items()}
    )
    return render_template("overlap_queue.html", sheet=_sheet([found[key] for key in order]))


@blueprint.route("/overlaps/<pair>")
def one(pair: str) -> str | Redirect:
    """Two activities side by side, what they share, and what was decided."""
    version = page_version()
    found = next((p for p in pairs(version) if p.key == pair), None)
    if found is None:
        with suppress(BadParameter):
            if (known := named(pair)) != pair:
                return redirect(url_for(".one", **{**request.args, "pair": known}), 308)
        raise NotFound(
            f"The graph has no overlap {pair}. /overlaps/ lists those that it has; a pair is named"
            " like A4.2-D2.3. A steward may decide on others: POST to this address and /decisions."
        )
    return page(found, version)


def page(found: Pair, version: int, **shown: object) -> str:
    """The page of a pair.

    Args:
        shown: what of its form was filled in, and what is wrong with it.
    """
    subject = NamedNode(found.iri)
    shared, names = _shared(version, subject)
    return render_template(
        "overlap.html",
        pair=found,
        sides=[
            _side(version, found.one, found.a, found.title_a),
            _side(version, found.other, found.b, found.title_b),
        ],
        facets=[names[i] for i in shared.get("k4p:sharesFacet", ())],
        facet_lists=_by_list([names[i] for i in shared.get("k4p:sharesFacet", ())]),
        broader=[names[i] for i in shared.get("k4p:sharesBroaderFacet", ())],
        guessed=[names[i] for i in shared.get("k4p:guessesCodesOf", ())],
        mentions=[names[i] for i in shared.get("k4p:sharesMention", ())],
        relations=[names[i] for i in shared.get("k4p:supportedBy", ())],
        made_by=[names[i] for i in shared.get("prov:wasAttributedTo", ())],
        phrases=[text(r["phrase"]) for r in services().select(_PHRASES, version, thing=subject)],
        subject=subject.value,
        decisions=[
            d for d in _decisions(version) if decisions.pair_of(d.about) == (found.a, found.b)
        ][::-1],
        states=decisions.STATUSES,
        kinds=_NAMES,
        thing=describe(services(), subject, version),
        words=vocabulary(services(), version),
        downloads=downloads(found.iri),
        **shown,
    )


def named(pair: str) -> str:
    """How a pair is named: its notations in order.

    Raises:
        BadParameter: it is not two notations of different objectives.
    """
    a, _, b = pair.partition("-")
    return "-".join(decisions.ordered(a, b))


def _csv(found: Iterable[Pair]) -> Response:
    """Pairs as a table, with the columns of the command line."""
    made = io.StringIO()
    table = csv.writer(made, lineterminator="\n")
    table.writerow(_COLUMNS)
    table.writerows([getattr(pair, name) for name in _COLUMNS] for pair in found)
    return Response(made.getvalue(), mimetype="text/csv")


def pairs(version: int) -> list[Pair]:
    """The stored overlaps, surest first; of those that are equally sure, the one with the higher score.

    One whose confidence is no number is left out, for it has no place among the others.
    """
    found = {}
    for row in services().select(_OVERLAPS, version):
        said = {name: text(term) for name, term in row.items()}
        confidence = number(said["confidence"])
        if confidence is None:
            continue
        found[said["overlap"]] = Pair(
            said["overlap"],
            said["one"],
            said["other"],
            said["a"],
            said["b"],
            said["titleA"],
            said["titleB"],
            said["kind"],
            confidence,
            number(said["score"]) or 0,
            said["status"],
            said["reason"],
        )
    return sorted(
        found.values(),
        key=lambda p: (-p.confidence, -p.score, natural_key(p.a), natural_key(p.b)),
    )


@dataclass(frozen=True)
class Sheet:
    """One page of a long list.

    Attributes:
        first: number of its first pair in the whole list, from 1.
        total: pairs of the whole list.
        number: of the page, from 1 to `last`.
    """

    pairs: Sequence[Pair]
    first: int
    total: int
    number: int
    last: int

    @property
    def near(self) -> list[int]:
        """The pages that are linked: the first, the last and those beside this one."""
        wanted = {1, self.last, *range(self.number - 1, self.number + 2)}
        return sorted(n for n in wanted if 1 <= n <= self.last)


def _sheet(found: Sequence[Pair]) -> Sheet:
    """The page of a list that the request asks for by ``page``.

    Raises:
        BadParameter: there is no such page.
    """
    last = max(1, -(-len(found) // _A_PAGE))
    asked = request.args.get("page", "").strip() or "1"
    if not (asked.isascii() and asked.isdigit() and len(asked) < 10 and 1 <= int(asked) <= last):
        raise BadParameter(
            f"page is {asked!r} and must be a number from 1 to {last}: this list has"
            f" {counted(len(found), 'pair')}, {_A_PAGE} a page.",
            parameter="page",
        )
    start = (int(asked) - 1) * _A_PAGE
    return Sheet(found[start : start + _A_PAGE], start + 1, len(found), int(asked), last)


def _asked(args: MultiDict[str, str], codes: Sequence[str]) -> dict[str, str]:
    """The filters of a request.

    Raises:
        BadParameter: one asks for what there is not, or the confidence is not a number from 0 to 1.
    """
    asked = {n: args.get(n, "").strip() for n in _FILTERS}
    there: dict[str, Iterable[str]] = {"objective": codes, "other": codes}
    there |= {"kind": _NAMES, "status": decisions.STATUSES}
    for name, values in there.items():
        if asked[name] and asked[name] not in values:
            close = meant(asked[name], values, 3, 0.5)
            if [word.casefold() for word in close] == [asked[name].casefold()]:
                asked[name] = close[0]
                continue
            hint = f"Did you mean {' or '.join(close)}? " if close else ""
            raise BadParameter(
                f"{name} is {asked[name]!r}, and there is none. {hint}There are {', '.join(values)}.",
                parameter=name,
            )
    try:
        sure = float(asked["confidence"] or 0)
    except ValueError:
        sure = -1
    if not 0 <= sure <= 1:
        raise BadParameter(
            f"confidence is {asked['confidence']!r} and must be a number from 0 to 1, such as 0.6.",
            parameter="confidence",
        )
    return asked


def _fits(pair: Pair, asked: Mapping[str, str]) -> bool:
    wanted = {asked["objective"], asked["other"]} - {""}
    return (
        wanted <= set(pair.objectives)
        and asked["kind"] in ("", pair.kind)
        and asked["status"] in ("", pair.status)
        and pair.confidence >= float(asked["confidence"] or 0)
    )


def _cells(version: int, found: Iterable[Pair]) -> dict[tuple[str, str], Cell]:
    """What two objectives have in common, by their codes in order."""
    counts: Counter[tuple[str, str]] = Counter()
    weights: Counter[tuple[str, str]] = Counter()
    for pair in found:
        counts[pair.objectives] += 1
        weights[pair.objectives] += pair.confidence  # type: ignore[assignment]
    said: dict[tuple[str, str], set[str]] = {}
    for row in services().select(_STATED, version):
        ends = tuple(sorted((text(row["from"]), text(row["to"])), key=natural_key))
        said.setdefault(ends, set()).add(text(row["kind"]))  # type: ignore[arg-type]
    for row in services().select(services().library[_TARGETS].text, version):
        same = "true" in (text(row["sameText"]), text(row["sameFigure"]))
        if same or row["indicator"]:
            ends = text(row["code"]), text(row["otherCode"])
            said.setdefault(ends, set()).add(f"{'identical' if same else 'similar'} target")
    return {
        ends: Cell(
            counts[ends],
            weights[ends],
            sum(weights[ends] >= bound for bound in _SHADES),
            tuple(sorted(said.get(ends, ()))),
        )
        for ends in counts.keys() | said.keys()
    }


def _shared(version: int, subject: NamedNode) -> tuple[dict[str, list[str]], dict[str, Name]]:
    """Property to the things that an overlap has by it, and their names."""
    rows = services().select(_SHARED, version, thing=subject)
    names = from_rows(rows)
    found: dict[str, list[str]] = {}
    for row in rows:
        if not isinstance(row["other"], NamedNode):
            continue
        how, other = curie(text(row["how"])) or "", row["other"].value
        names.setdefault(other, unnamed(other))
        if other not in found.setdefault(how, []):
            found[how].append(other)
    for things in found.values():
        things.sort(key=lambda i: names[i].order)
    return found, names


def _by_list(facets: Sequence[Name]) -> list[tuple[str, list[Name]]]:
    """Codes by the list that they are of, in the order of the plan's questions."""
    lists = {
        "action-kind": "Kind of action",
        "deliverable": "Deliverable",
        "topic": "Topic",
        "target-group": "Target group",
    }
    found = [(label, [n for n in facets if f"/{key}/" in n.iri]) for key, label in lists.items()]
    return [(label, names) for label, names in found if names]


def _side(version: int, activity: str, code: str, title: str) -> dict[str, object]:
    """One of the two activities."""
    rows: list[Row] = services().select(_TEXTS, version, thing=NamedNode(activity))
    first = rows[0] if rows else {}
    return {
        "name": Name(activity, title, notation=code),
        "text": text(first.get("text")),
        "objective": f"{text(first.get('objective'))} {text(first.get('title'))}".strip(),
        "objective_code": text(first.get("objective")),
    }


def _decisions(version: int) -> list[decisions.Decision]:
    return decisions.read(lambda query: services().select(query, version))
