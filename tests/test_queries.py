"""The query library: what every file must have, the answers it gives, and what it refuses.

The answer of a query for the examples of its parameters is that of ``queries/expected/<name>.csv``,
for a case that of ``<name>.<case>.csv``. After a change of the graph read the difference against the
plan, then write the files anew: ``kg4p1000 query NAME --expected``.
"""

import csv
import io
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path

import pyoxigraph as ox
import pytest
from rdflib.plugins.sparql import prepareQuery

from everything import for_each
from kg4p1000 import sparql
from kg4p1000.kernel.errors import BadParameter, BrokenFile, NotFound
from kg4p1000.kernel.terms import PREFIXES, iri, natural_key
from kg4p1000.knowledge import questions
from kg4p1000.knowledge.queries import Library, StoredQuery, read_query
from kg4p1000.store import Readers

ROOT = Path(__file__).resolve().parents[1]
EXPECTED = ROOT / "queries" / "expected"
FILES = sorted((ROOT / "queries").rglob("*.rq"))

each_file = for_each("path", FILES, ids=lambda path: path.stem)
each_with_parameters = for_each(
    "path",
    lambda: [path for path in FILES if read_query(path).parameters],
    ids=lambda path: path.stem,
)


@pytest.fixture(scope="module")
def readers(store) -> Iterator[Readers]:
    """Readers of a store built from the files of the repository, inferences included."""
    readers = Readers(store, 2, timeout=600)
    yield readers
    readers.close()


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(ROOT / "queries")


@pytest.fixture
def ask(readers, library):
    """Run a stored query by name; gives its rows as dicts of text."""

    def run(name: str, /, **values: str) -> list[dict[str, str]]:
        text = library.run(readers, name, values, "csv").read().decode()
        return list(csv.DictReader(io.StringIO(text, newline="")))

    return run


def examples(query: StoredQuery) -> dict[str, str]:
    return {p.name: p.example for p in query.parameters}


def words(text: str, depth: int | None = None) -> list[str]:
    """The keywords of a query in capitals; with a depth, those inside so many braces."""
    found, inside = [], 0
    for token in sparql.tokens(text):
        inside += {"{": 1, "}": -1}.get(token.text, 0)
        if token.kind == "word" and depth in (None, inside):
            found.append(token.text.upper())
    return found


# What every file must have


@each_file
def test_header_says_all_that_a_reader_needs(path):
    query = read_query(path)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", query.name)
    assert query.summary and not query.summary.endswith(".")
    assert query.question.endswith("?")
    assert query.empty.endswith(".") and query.empty != StoredQuery.empty
    assert query.tags and len(set(query.tags)) == len(query.tags)
    assert query.status in ("draft", "stable", "deprecated")
    assert query.returns and all(query.returns.values())
    assert all(p.help for p in query.parameters)


@each_file
def test_objectives_that_ask_exist(path, ask):
    known = {row["code"] for row in ask("objectives-by-goal")}
    assert set(read_query(path).objectives) <= known


@each_file
def test_competency_question_is_asked_in_three_languages(path):
    query = read_query(path)
    if query.asked:
        assert list(query.questions) == ["en", "fr", "es"]
        assert all(text.endswith("?") for text in query.questions.values())
        assert len(set(query.questions.values())) == 3


@each_file
def test_query_declares_the_prefixes_it_uses_and_no_others(path):
    tokens = [t for t in sparql.tokens(path.read_text()) if t.kind in ("name", "word", "iri")]
    declared, used = {}, set()
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        if token.kind == "name" and before and before.text.upper() == "PREFIX":
            declared[token.text[:-1]] = after.text[1:-1]
        elif token.kind == "name":
            used.add(token.text.partition(":")[0])
    assert set(declared) == used
    assert declared == {prefix: PREFIXES[prefix] for prefix in used}


@each_file
def test_query_is_a_select_that_the_guard_lets_pass(path):
    query = sparql.guard(path.read_text())
    assert query.form == "SELECT"
    assert query.default_graphs is None


@each_file
def test_query_parses_in_another_engine(path):
    prepareQuery(path.read_text())


@each_file
def test_query_sorts_its_rows(path):
    outside = words(path.read_text(), depth=0)
    assert ("ORDER", "BY") in pairwise(outside)


@each_file
def test_columns_are_those_of_returns_in_order(path, library, readers):
    query = read_query(path)
    assert list(query.returns) == library.run(readers, query.name, examples(query)).variables


@each_with_parameters
def test_parameters_are_columns(path):
    query = read_query(path)
    assert {p.name for p in query.parameters} <= set(query.returns)


@each_file
def test_columns_with_an_iri_stand_beside_a_code_or_label(path):
    columns = list(read_query(path).returns)
    if {"objective", "activity", "goal", "element", "remark", "thing", "target"} & set(columns):
        assert any(re.search(r"code$|title$|label$", c, re.IGNORECASE) for c in columns)


def test_each_objective_asks_two_questions_and_all_ask_ten(ask):
    asked = [read_query(path) for path in FILES]
    for row in ask("objectives-by-goal"):
        assert sum(row["code"] in query.objectives for query in asked) >= 2, row["code"]
    assert sum(query.across for query in asked) >= 10
    assert sum(query.asked for query in asked) >= 60


# The answers


@cache
def cases():
    return list(questions.cases(Library(ROOT / "queries")))


each_case = for_each("case", cases, ids=lambda case: case.label)


@each_case
def test_answer_is_the_expected_one(case, library, readers):
    if case.query.awaits or case.query.recorded:
        return
    expected = (ROOT / "queries" / case.file).read_text(encoding="utf-8")
    assert questions.answer(library, readers, case).split("\n") == expected.split("\n")


@each_case
def test_answer_has_rows_and_none_twice_or_the_query_says_what_it_awaits(case, ask):
    rows = [tuple(row.values()) for row in ask(case.query.name, **case.values)]
    assert case.query.recorded or bool(rows) != bool(case.query.awaits)
    assert len(set(rows)) == len(rows)


def test_each_expected_answer_belongs_to_a_case():
    files = {case.file for case in cases() if not (case.query.awaits or case.query.recorded)}
    assert {p.relative_to(ROOT / "queries") for p in EXPECTED.iterdir()} == files


@each_with_parameters
def test_bound_parameter_is_the_same_in_each_row(path, library, ask):
    query = library[path.stem]
    rows = ask(query.name, **examples(query))
    for name, term in query.bindings(examples(query)).items():
        assert {row[name] for row in rows} == ({term.value} if rows else set())


def test_overlaps_are_the_same_pairs_in_either_order(ask):
    there = ask("activity-overlaps", objective="A4", other="D2")
    back = ask("activity-overlaps", objective="D2", other="A4")
    same = ("kind", "confidence", "status", "reason")
    assert {(r["code"], r["otherCode"], *(r[c] for c in same)) for r in there} == {
        (r["otherCode"], r["code"], *(r[c] for c in same)) for r in back
    }
    assert len(there) == len(back) > 0


def test_overlaps_come_with_the_surest_first(ask):
    sure = [Decimal(r["confidence"]) for r in ask("activity-overlaps", objective="D2", other="A4")]
    assert sure == sorted(sure, reverse=True)


def test_rejected_overlap_is_left_out(library, readers, ask):
    query = library["activity-overlaps"]
    judged = ox.Triple(iri("overlap:A4.2-D2.3"), iri("k4p:status"), iri("status:proposed"))
    graph = ox.Store()
    for quad in readers.store.quads():
        status = iri("status:rejected") if quad.triple == judged else quad.object
        graph.add(ox.Quad(quad.subject, quad.predicate, status))
    bound = {ox.Variable(n): t for n, t in query.bindings(examples(query)).items()}
    rows = graph.query(query.text, substitutions=bound)
    before = {(r["code"], r["otherCode"]) for r in ask(query.name, **examples(query))}
    after = {(r["code"].value, r["otherCode"].value) for r in rows}
    assert before - after == {("A4.2", "D2.3")}


@pytest.mark.parametrize("objective", ["D3", "D4"])
def test_tenth_activity_comes_after_the_ninth(ask, objective):
    codes = [row["code"] for row in ask("activities-of-objective", objective=objective)]
    assert f"{objective}.10" in codes
    assert codes == sorted(codes, key=natural_key)


def test_objective_without_activities_has_an_overview_with_zeros(ask):
    (row,) = ask("objective-overview", objective="F2")
    assert (row["activities"], row["overlaps"], row["remarks"]) == ("0", "0", "4")
    assert ask("activities-of-objective", objective="F2") == []


def test_distance_is_that_of_the_ends_of_both_ranges(ask):
    for row in ask("target-distance"):
        assert (row["comparable"] == "true") == (row["why"] == "")
        if row["comparable"] == "true":
            low, high = Decimal(row["targetMin"]), Decimal(row["targetMax"])
            assert Decimal(row["distanceMin"]) == low - Decimal(row["baselineMax"])
            assert Decimal(row["distanceMax"]) == high - Decimal(row["baselineMin"])
        else:
            assert row["distanceMin"] == row["distanceMax"] == ""


def test_distance_speaks_of_each_objective_and_each_figure(ask):
    rows = ask("target-distance")
    codes = {row["code"] for row in ask("objectives-by-goal")}
    assert {row["code"] for row in rows} == codes
    for code in codes:
        figures = ask("target-figures", objective=code)
        told = {(r["code"], r[w]) for r in rows for w in ("baselineWords", "targetWords") if r[w]}
        assert {(code, figure["words"]) for figure in figures} <= told


def test_budgets_of_different_periods_are_not_compared(ask):
    budgets = [row for row in ask("target-distance") if row["code"] == "F2"]
    assert {row["unit"] for row in budgets} == {"euro", "euro per year"}
    assert {row["comparable"] for row in budgets} == {"false"}


@pytest.mark.parametrize("name", ["WOCAT", "wocat", "WOCAT Global SLM Database"])
def test_thing_is_found_by_any_name_whatever_its_capitals(ask, name):
    assert [row["code"] for row in ask("where-is-named", name=name)] == ["B2.1", "E3.4"]


def test_thing_is_found_by_a_name_in_another_language(ask):
    assert {row["label"] for row in ask("where-is-named", name="Alemania")} == {"Germany"}


def test_source_tells_editions_apart(ask):
    rows = ask("source-of-element", code="B3")
    told = [(row["elementKind"], row["edition"][:14], row["section"]) for row in rows]
    assert told == [
        ("objective", "DRAFT Implemen", "9"),
        ("objective", "Strategic plan", "9.2"),
        ("proposed revision", "DRAFT Implemen", "9.4"),
    ]


# What is refused


@pytest.mark.parametrize("value", ["A4> } #", "A4 D2", "objective:A4", "<x>", "../A4", "é", "A4#"])
def test_value_that_is_no_key_is_refused(library, value):
    with pytest.raises(BadParameter, match="'objective'"):
        library["objective-overview"].bindings({"objective": value})


def test_spaces_around_a_value_are_nothing(library):
    bound = library["objective-overview"].bindings({"objective": " A4\n"})
    assert bound == {"objective": iri("objective:A4")}


@pytest.mark.parametrize(
    "value",
    ['WOCAT" } #', "WOCAT\\", "'''", "} UNION { ?s ?p ?o", '"@en', "?thing", "a\nb", "$1.*"],
)
def test_text_with_signs_of_sparql_is_only_a_text(ask, value):
    assert ask("where-is-named", name=value) == []
    assert ask("source-of-element", code=value) == []


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("objective-overview", {"objective": "Z9"}, "the code of one objective that is in the graph"),
        ("tools-for-place-and-scale", {"property": "soc", "scale": "bad", "region": "002"}, "'scale' is 'bad' and must be a code of the list scale"),
        ("tools-for-place-and-scale", {"property": "soc", "scale": "farn", "region": "002"}, "Did you mean farm"),
        ("countries-of-region", {"region": "999"}, "'region' is '999'"),
        ("target-groups-of-goal", {"goal": "Z"}, "There is A, B, C, D, E, F."),
        ("activities-on-topic", {"topic": "nope"}, "a code of the list topic that is in the graph"),
    ],
)  # fmt: skip
def test_code_of_nothing_is_a_wrong_parameter(library, readers, name, values, says):
    with pytest.raises(BadParameter) as refused:
        library.run(readers, name, values)
    assert says in refused.value.detail


def test_code_that_was_found_is_not_looked_for_again(library, readers, monkeypatch):
    library.bound(readers, "objective-overview", {"objective": "A4"})
    monkeypatch.setattr(readers, "query", None)
    assert library.bound(readers, "objective-overview", {"objective": "A4"})


def test_missing_parameter_is_named(library):
    with pytest.raises(BadParameter, match=r"needs the parameter 'other'.*'D2'") as refused:
        library["activity-overlaps"].bindings({"objective": "A4"})
    assert refused.value.members["parameter"] == "other"


def test_blank_parameter_is_missing(library):
    with pytest.raises(BadParameter, match="needs the parameter 'other'"):
        library["activity-overlaps"].bindings({"objective": "A4", "other": " "})


def test_unknown_parameter_is_named_and_a_near_one_offered(library):
    with pytest.raises(BadParameter, match=r"no parameter 'objectiv'.*'objective'") as refused:
        library["objective-overview"].bindings({"objectiv": "A4"})
    assert refused.value.members["parameter"] == "objectiv"


def test_wrong_parameter_is_named_with_an_example(library):
    with pytest.raises(BadParameter, match=r"'other' is 'D2;'.*code of one objective.*'D2'"):
        library["activity-overlaps"].bindings({"objective": "A4", "other": "D2;"})


def test_unknown_query_is_not_found_and_a_near_one_offered(library):
    with pytest.raises(NotFound, match="activity-overlaps"):
        library["activity-overlap"]


QUERY = "SELECT ?s WHERE { ?s ?p ?o } ORDER BY ?s\n"


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ("", "needs at least a summary"),
        ("#+ question: Why?\n", "needs at least a summary"),
        ("#+ just a text\n", "needs at least a summary"),
        ("#+ summary: [not closed\n", "not YAML"),
        ("#+ summary: One\n#+ sumary: Two\n", "unknown header keys sumary"),
        ("#+ summary: One\n#+ parameters: {a: {type: goal}}\n", "KeyError: 'example'"),
        ("#+ summary: One\n#+ parameters: [a]\n", "parameters as name"),
        (
            "#+ summary: One\n#+ parameters: {a: {type: golem, example: A}}\n",
            "unknown type 'golem'",
        ),
        ("#+ summary: One\n#+ tags: 5\n", "tags as a list"),
        (
            "#+ summary: One\n#+ parameters: {format: {type: goal, example: A}}\n",
            "be called 'format'",
        ),
        ("#+ summary: One\n#+ returns: [a]\n", "returns as name"),
    ],
)
def test_malformed_header_is_refused_with_the_name_of_the_file(tmp_path, header, says):
    path = tmp_path / "broken.rq"
    path.write_text(header + QUERY)
    with pytest.raises(BrokenFile, match=says) as refused:
        Library(tmp_path)
    assert refused.value.members["file"] == str(path)


def test_second_query_of_a_name_is_refused(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.rq").write_text("#+ summary: Same\n" + QUERY)
    with pytest.raises(BrokenFile, match=r"two/same\.rq.*one/same\.rq"):
        Library(tmp_path)


@pytest.mark.parametrize(
    ("header", "line", "says"),
    [
        ("#+ summary: One\n#+ question: {en: \"Why?\", de: Warum}\n", 2, "language de"),
        ("#+ summary: One\n#+ tags: []\n#+ objectives: [A4, a5]\n", 3, "'a5' is no code"),
        ("#+ summary: One\n#+ objectives: all\n", 2, "'a' is no code"),
        ("#+ summary: One\n#+ awaits: Données\n", 2, "one line of ASCII"),
        ("#+ summary: One\n#+ cases:\n#+   one: {objective: A4}\n", 2, "has no parameter 'objective'"),
        ("#+ summary: One\n#+ cases: {a b: {}}\n", 2, "called 'a b'"),
        ("#+ summary: One\n#+ returns: {a: b: c}\n", 2, "quotation marks"),
        ("#+ summary: One\n#+ objectivs: [A4]\n", 2, "Did you mean 'objectives'"),
        ("#+ summary: One\n#+ status: stabel\n", 2, "'stabel' is none; did you mean 'stable'"),
        ("#+ summary: One\n#+ rows: many\n", 2, "can only be 'recorded'"),
        ("#+ summary: One\n#+ empty: Rien à dire\n", 2, "one line of ASCII"),
        ("#+ summary: One\n#+ returns:\n", 2, "describes no column, and the query gives"),
        ("#+ summary: One\n#+ objectives: [A4]\n", 1, "describes no column, and the query gives"),
        ("#+ summary: One\n#+ returns: {scle: scale}\n", 2, "describes scle, and the query gives"),
        ("#+ summary: One\n#+ parameters: {scle: {type: goal, example: A}}\n", 2, "Select [?]scle"),
    ],
)  # fmt: skip
def test_mistake_in_a_header_is_told_with_its_line_and_the_repair(tmp_path, header, line, says):
    path = tmp_path / "broken.rq"
    path.write_text(header + QUERY)
    with pytest.raises(BrokenFile, match=says) as refused:
        read_query(path)
    assert refused.value.members == {"file": str(path), "line": line}
    assert f"{path}, line {line}: " in refused.value.detail


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("SELECT ?s WHERE {\n  ?s ?p ;;\n}\n", 3),
        ("SELECT ?s WHERE {\n  ?s k5p:name ?o }\n", 3),
        ("INSERT DATA { <a:a> <a:b> <a:c> }\n", 2),
        ("SELECT ?s\nWHERE { SERVICE <http://example.org/> { ?s ?p ?o } }\n", 3),
    ],
)
def test_mistake_in_a_query_is_told_with_its_line_in_the_file(tmp_path, text, line):
    path = tmp_path / "broken.rq"
    path.write_text("#+ summary: One\n" + text)
    with pytest.raises(BrokenFile, match="the query cannot be run") as refused:
        read_query(path)
    assert refused.value.members == {"file": str(path), "line": line}


def test_an_ask_with_parameters_is_refused(tmp_path):
    path = tmp_path / "broken.rq"
    path.write_text(
        "#+ summary: One\n#+ parameters: {v: {type: goal, example: A}}\nASK { ?v a ?c }\n"
    )
    with pytest.raises(BrokenFile, match="Write a SELECT") as refused:
        read_query(path)
    assert refused.value.members["line"] == 2


# What the plan says, and what is computed from it


def test_growth_has_what_is_counted_nearly_alike_and_says_so(ask):
    rows = ask("growth-needed")
    assert {row["code"] for row in rows if row["factor"] == "4"} == {"C3", "E1"}
    assert {row["code"] for row in rows if row["sameCount"] == "false"} == {"A2", "E1"}
    assert all("factor = target / baseline" in row["computed"] for row in rows)
    assert all(("nearly" in row["computed"]) == (row["sameCount"] == "false") for row in rows)


def test_alternatives_of_the_text_are_no_range(ask):
    (row,) = (r for r in ask("target-figures", objective="D2") if r["code"] == "D2-2030")
    assert row["quantifier"] == "alternatives"
    grown = [r for r in ask("growth-needed") if r["code"] == "D2" and r["horizon"] == "target 2030"]
    assert [r["target"] for r in grown] == ["5", "2.5"]  # and nothing between them


def test_no_distance_is_told_between_different_counts(ask):
    rows = ask("country-commitment-distance")
    assert rows and all(bool(row["missing"]) == (row["sameCount"] == "true") for row in rows)
    assert all("no distance" in row["computed"] for row in rows if not row["missing"])


def test_a_number_of_countries_stands_in_the_words_or_is_called_computed(ask):
    rows = ask("countries-in-targets")
    for row in rows:
        assert not row["countries"] or row["countries"] in row["words"]
        assert bool(row["computedCountries"]) == ("computedCountries =" in row["computed"])
    (enlisted,) = (row for row in rows if row["code"] == "A1-2030")
    assert (enlisted["countries"], enlisted["computedCountries"]) == ("", "196")


def test_absence_of_words_is_told_of_what_was_searched(ask, library, readers):
    assert ask("elements-with-words", words="Glasgow") == []
    there = "ASK { ?s ?p ?text FILTER (CONTAINS(STR(?text), 'Glasgow')) }"
    assert readers.query(there).json()["boolean"]  # in the citation of the edition
    told = library["elements-with-words"].nothing
    assert "No text of the plan" not in told
    kinds = {row["elementKind"] for row in ask("elements-with-words", words="a")}
    assert {"goal", "objective", "activity", "target", "remark"} <= kinds
    assert all(kind in told for kind in kinds), kinds


# What is computed or absent is told as that


def made(text: str) -> dict[str, str]:
    """The expression of each variable that a query makes, by name; without texts, names and what stands in braces."""
    code, found = re.sub(r'"[^"\n]*"|#[^\n]*', '""', text), {}
    for end in re.finditer(r"\bAS \?(\w+)\)", code):
        depth, start = 0, end.start()
        while depth >= 0:
            start -= 1
            depth += {")": 1, "(": -1}.get(code[start], 0)
        found[end[1]] = re.sub(r"\{[^}]*\}|[\w-]*:[\w.-]+", "x", code[start + 1 : end.start()])
    return found


def resting_on(expressions: dict[str, str], pattern: str) -> set[str]:
    """The variables whose expression has a pattern, or a variable whose expression does."""
    found = {name for name, said in expressions.items() if re.search(pattern, said)}
    while True:
        used = rf"\?({'|'.join(found)})\b(?! *[=!<>])"
        more = {name for name, said in expressions.items() if found and re.search(used, said)}
        if more <= found:
            return found
        found |= more


@each_file
def test_a_figure_that_a_query_computes_is_called_computed(path):
    query = read_query(path)
    expressions = made(query.text)
    computed = resting_on(expressions, r"[\w)] *[-+*/] *[\w?(]|\bAVG\(")
    added_up = resting_on(expressions, r"\bSUM\(")
    for name, told in query.returns.items():
        if name in computed:
            assert "computed" in told or name == "computed", name
        elif name in added_up:
            assert re.match("computed|number of|how many", told), name


@each_file
def test_absence_is_told_of_what_is_recorded_or_was_searched(path):
    query = read_query(path)
    reads = re.search(
        r"k4p:(mention|measureOf|gives|annotation|relationKind|relates|between|Overlap|mapping)|REGEX|CONTAINS",
        query.text,
    )
    said = r"\b(recorded|stored|mapped|annotated|searched|looked for|always has rows|holds no)\b|^There is no \w+ with this code\.$"
    assert not reads or re.search(said, query.empty)


def test_what_computes_is_found():
    assert resting_on(made("BIND (?a / 2 AS ?b) SELECT (CEIL(?b) AS ?c) (COUNT(*) AS ?d)"), "/") == {"b", "c"}  # fmt: skip
