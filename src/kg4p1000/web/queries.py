"""The stored queries: a list, and each with a form for its parameters and its result."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pyoxigraph as ox
from flask import Blueprint, Response, g, render_template, request, url_for

from .. import sparql
from ..errors import BadParameter
from ..queries import StoredQuery
from ..store import Result
from . import results
from .advice import advice, advise
from .hints import rowless
from .negotiation import RESULTS, TRIPLES, chosen
from .problems import document
from .services import asked_version, services
from .streaming import cited, respond

blueprint = Blueprint("queries", __name__)

#: Parameters of the request that are not parameters of the query.
_OURS = ("format", "version", "page")
#: What the text says where it stands without values.
_HINT = re.compile(r"\n *# In a tool that knows no parameters, add here: VALUES [^\n]*")


@blueprint.route("/query/")
def index() -> str:
    """List the stored queries by topic."""
    topics: dict[str, list[StoredQuery]] = {}
    for query in services().library:
        topics.setdefault(_topic(query), []).append(query)
    return render_template("queries.html", topics=sorted(topics.items()))


def _topic(query: StoredQuery) -> str:
    """The first tag that is not about one goal or objective."""
    tags = (tag for tag in query.tags if not tag.startswith(("goal-", "objective-")))
    return next(tags, "other")


@blueprint.route("/query/<query_name>")
def run(query_name: str) -> Response | str:
    """Run a stored query with the parameters of the request.

    A person who has given no parameter yet sees the form with the examples; programs are told what
    is missing.
    """
    query = services().library[query_name]
    values = {key: value for key, value in request.args.items() if key not in _OURS}
    guarded = sparql.guard(query.text, {p.name for p in query.parameters})
    choice = chosen(TRIPLES if guarded.gives_triples else RESULTS)
    if choice.key == "html":
        try:
            return _page(query, guarded, values)
        except BadParameter as problem:
            if problem.members.get("parameter") not in {p.name for p in query.parameters}:
                raise
            g.visit.outcome = problem.slug
            return Response(_form(query, values, problem=document(problem)), problem.status)
    response = respond(_result(query, values, choice.key), choice.media_type)
    advise(response, guarded, g.version)
    if (
        guarded.form == "SELECT"
        and response.is_sequence
        and rowless(response.get_data(), choice.key)
    ):
        response.headers["KG-Awaits" if query.awaits else "KG-Empty"] = query.nothing
        place = url_for("questions.index", _anchor=query.name)
        response.headers.add("Link", f'<{place}>; rel="help"')
    return cited(response, query.text, guarded.repeatable)


def _result(query: StoredQuery, values: dict[str, str], form: str) -> Result:
    version = asked_version(request.args)
    return services().library.run(services().readers, query.name, values, form, version)


def _page(query: StoredQuery, guarded: sparql.Query, values: dict[str, str]) -> str:
    shown: dict[str, Any] = {}
    if values or not query.parameters:
        form = "turtle" if guarded.gives_triples else "json" if guarded.form == "ASK" else "tsv"
        result = _result(query, values, form)
        g.version = result.version
        shown["advice"] = advice(guarded, result.version)
        hidden = {p.name for p in query.parameters}
        shown |= results.shown(result, hidden, results.page_number(request.args))
    return _form(query, values, **shown)


def _form(query: StoredQuery, values: dict[str, str], **shown: Any) -> str:
    """The page of a query, with the values that were given, or the examples before any was."""
    asked = values or {p.name: p.example for p in query.parameters}
    text = without_header(query.text)
    return render_template(
        "query.html",
        query=query,
        values=asked,
        text=text,
        bound=text if "problem" in shown else with_values(text, query.bindings(asked)),
        args=values,
        **shown,
    )


def without_header(text: str) -> str:
    """The text of a stored query without the lines that describe it."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("#+")).strip()


def with_values(text: str, bindings: Mapping[str, ox.NamedNode | ox.Literal]) -> str:
    """The text of a query that asks with these values wherever it is asked, of those who know no parameters, too.

    >>> with_values("SELECT ?x { ?x a k4p:Goal }", {"x": ox.NamedNode("http://example.org/a")})
    'SELECT ?x {\\n  VALUES (?x) { (<http://example.org/a>) } ?x a k4p:Goal }'
    """
    if not bindings:
        return text
    names = " ".join(f"?{name}" for name in bindings)
    values = f"VALUES ({names}) {{ ({' '.join(map(str, bindings.values()))}) }}"
    inside, before, form = 0, "", ""
    for token in sparql.tokens(text):
        if token.text == "{" and not inside:
            if before == "CONSTRUCT":  # A template, behind which the pattern stands.
                form = ""
            elif form != "CONSTRUCT":
                rest = _HINT.sub("", text[token.end :], count=1)
                return f"{text[: token.end]}\n  {values}{rest}"
        inside += {"(": 1, "{": 1, ")": -1, "}": -1}.get(token.text, 0)
        before = token.text.upper()
        form = before if before in ("SELECT", "CONSTRUCT") and not inside else form
    # Without a group that takes values: `DESCRIBE ?x`, `CONSTRUCT WHERE { … }`.
    return f"{text}\n{values}"
