"""The stored queries, each with a form and its result, and what the graph answers to the competency questions."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyoxigraph as ox
from flask import Blueprint, Response, g, jsonify, render_template, request, url_for

from .. import sparql
from ..kernel.errors import BadParameter
from ..knowledge.queries import Library, StoredQuery
from ..knowledge.questions import Case, Outcome, State, cases
from ..store import Result
from . import results
from .rendering import Name, names_of, text
from .requests import JSON, PAGE, RESULTS, TRIPLES, chosen, takes
from .responses import cited, problem_of, respond
from .results import advice, rowless
from .services import asked_version, page_version, services

blueprint = Blueprint("queries", __name__)
questions = Blueprint("questions", __name__)

#: Parameters of the request that are not parameters of the query.
_OURS = ("format", "version", "page")
#: What the text says where it stands without values.
_HINT = re.compile(r"\n *# In a tool that knows no parameters, add here: VALUES [^\n]*")
_UNKNOWN = "not checked yet"
_GOALS = """SELECT ?goal ?objective WHERE { ?goal a k4p:Goal OPTIONAL { ?objective k4p:objectiveOf ?goal } }"""


@blueprint.route("/query/")
def index() -> str:
    """List the stored queries by topic."""
    topics: dict[str, list[StoredQuery]] = defaultdict(list)
    for query in services().library:
        tags = (tag for tag in query.tags if not tag.startswith(("goal-", "objective-")))
        topics[next(tags, "other")].append(query)
    return render_template("queries.html", topics=sorted(topics.items()))


@blueprint.route("/query/<query_name>")
@takes("version", "format", "page", answers={**RESULTS, **TRIPLES})
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
            g.record.outcome = problem.slug
            return Response(_form(query, values, problem=problem_of(problem)), problem.status)
    response = respond(_result(query, values, choice.key), choice.media_type)
    if deprecated := advice(guarded, g.version):
        response.headers["KG-Deprecated"] = " ".join(deprecated)
    whole = guarded.form == "SELECT" and response.is_sequence
    if whole and rowless(response.get_data(), choice.key):
        response.headers["KG-Awaits" if query.awaits else "KG-Empty"] = query.nothing
        place = url_for("questions.index", _anchor=query.name)
        response.headers.add("Link", f'<{place}>; rel="help"')
    return cited(response, query.text, guarded.repeatable)


def _result(query: StoredQuery, values: dict[str, str], form: str) -> Result:
    version = asked_version()
    return services().library.run(services().readers, query.name, values, form, version)


def _page(query: StoredQuery, guarded: sparql.Query, values: dict[str, str]) -> str:
    if query.parameters and not values:
        return _form(query, values)
    form = "turtle" if guarded.gives_triples else "json" if guarded.form == "ASK" else "tsv"
    result = _result(query, values, form)
    g.version = result.version
    hidden = {p.name for p in query.parameters}
    shown = results.shown(result, hidden, results.page_number(request.args))
    return _form(query, values, advice=advice(guarded, result.version), **shown)


def _form(query: StoredQuery, values: dict[str, str], **shown: Any) -> str:
    """Render the page of a query, with the values that were given, or the examples before any was."""
    given = values or {p.name: p.example for p in query.parameters}
    lines = (line for line in query.text.splitlines() if not line.startswith("#+"))
    written = "\n".join(lines).strip()
    bound = written if "problem" in shown else _with_values(written, query.bindings(given))
    return render_template(
        "query.html", query=query, values=given, bound=bound, args=values, **shown
    )


def _with_values(query: str, bindings: Mapping[str, ox.NamedNode | ox.Literal]) -> str:
    """Return the text of a query that asks with these values wherever it is asked, of those who know no parameters, too.

    >>> _with_values("SELECT ?x { ?x a k4p:Goal }", {"x": ox.NamedNode("http://example.org/a")})
    'SELECT ?x {\\n  VALUES (?x) { (<http://example.org/a>) } ?x a k4p:Goal }'
    """
    if not bindings:
        return query
    names = " ".join(f"?{name}" for name in bindings)
    values = f"VALUES ({names}) {{ ({' '.join(map(str, bindings.values()))}) }}"
    inside, before, form = 0, "", ""
    for token in sparql.tokens(query):
        if token.text == "{" and not inside:
            if before == "CONSTRUCT":  # A template, behind which the pattern stands.
                form = ""
            elif form != "CONSTRUCT":
                rest = _HINT.sub("", query[token.end :], count=1)
                return f"{query[: token.end]}\n  {values}{rest}"
        inside += {"(": 1, "{": 1, ")": -1, "}": -1}.get(token.text, 0)
        before = token.text.upper()
        form = before if before in ("SELECT", "CONSTRUCT") and not inside else form
    # Without a group that takes values: `DESCRIBE ?x`, `CONSTRUCT WHERE { … }`.
    return f"{query}\n{values}"


@dataclass(frozen=True)
class Question:
    """A competency question: its query, and its cases with what came of each."""

    query: StoredQuery
    cases: list[tuple[Case, Outcome | None]]

    @property
    def state(self) -> State | None:
        """The worst that came of its cases; None when one is not known yet."""
        states = [outcome.state if outcome else None for _, outcome in self.cases]
        return None if None in states else max(states, key=list(State).index)  # type: ignore[arg-type]


@questions.route("/questions", endpoint="index")
@takes(answers={**JSON, **PAGE})
def all_questions() -> Response | str:
    """Show all competency questions, with what the published graph answers."""
    choice = chosen()
    g.version = version = services().store.current or page_version()
    outcomes = services().examiner.results(version)
    found: dict[str, Question] = {}
    for case in cases(services().library):
        if case.query.asked:
            question = found.setdefault(case.query.name, Question(case.query, []))
            question.cases.append((case, outcomes.get(case.label)))
    if choice.key == "json":
        return jsonify({"version": version, "questions": [_fields(q) for q in found.values()]})
    counted = Counter(q.state for q in found.values())
    return render_template(
        "questions.html",
        goals=goals_of(version),
        of_objective=lambda code: [q for q in found.values() if code in q.query.objectives],
        values_for=_values_for,
        across=[q for q in found.values() if q.query.across],
        total=len(found),
        counts=[(state, counted[state]) for state in (*State, None) if counted[state]],
    )


def _fields(question: Question) -> dict[str, object]:
    query = question.query
    return {
        "name": query.name,
        "question": query.questions,
        "objectives": query.objectives,
        "across": query.across,
        "awaits": query.awaits or None,
        "state": question.state.value if question.state else _UNKNOWN,
        "cases": [
            {
                "case": case.name or None,
                "values": case.values,
                "href": url_for("queries.run", query_name=query.name, **case.values),
                "state": outcome.state.value if outcome else _UNKNOWN,
                **{
                    name: getattr(outcome, name, None)
                    for name in ("rows", "expected", "missing", "unexpected")
                },
            }
            for case, outcome in question.cases
        ],
    }


def goals_of(version: int) -> list[tuple[Name, list[Name]]]:
    """Return the goals with their objectives, in the order of the plan."""
    members: dict[str, set[str]] = defaultdict(set)
    for row in services().select(_GOALS, version):
        members[text(row["goal"])].add(text(row["objective"]))
    names = names_of({*members, *set().union(*members.values())} - {""}, version)

    def named(things: set[str]) -> list[Name]:
        return sorted((names[thing] for thing in things - {""}), key=lambda name: name.order)

    return [(goal, named(members[goal.iri])) for goal in named({*members})]


def asked_by(library: Library, code: str) -> list[tuple[StoredQuery, dict[str, str]]]:
    """Return the questions of an objective, each with the values with which its page asks it."""
    return [(query, _values_for(query, code)) for query in library if code in query.objectives]


def _values_for(query: StoredQuery, code: str) -> dict[str, str]:
    """Return the examples of a query's parameters, the first objective among them being the given one."""
    values = {p.name: p.example for p in query.parameters}
    first = next((p.name for p in query.parameters if p.type == "objective"), None)
    if first and code not in values.values():
        values[first] = code
    return values
