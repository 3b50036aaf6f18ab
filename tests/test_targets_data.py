"""The figures read from the target cells, against the words of the plan and a reviewed list."""

import csv
import re
from collections import defaultdict
from decimal import Decimal
from functools import cache
from pathlib import Path

import pyoxigraph as ox

from kg4p1000.kernel.terms import iri

ROOT = Path(__file__).resolve().parents[1]
NAMES = ('"4 per 1000"', "platform 2.0", "1st targeted area", "the 2018 study")
FIGURE = re.compile(r"\d+(?:\.\d+)?")
YEAR = re.compile(r"20[0-5]\d")


@cache
def graph(*paths: str) -> dict[str, dict[str, list]]:
    """Subject IRI to predicate IRI to objects, of files below the root; all of data/ by default."""
    files = [ROOT / p for p in paths] or sorted((ROOT / "data").glob("*.ttl"))
    found: dict = defaultdict(lambda: defaultdict(list))
    for file in files:
        for t in ox.parse(path=str(file), format=ox.RdfFormat.TURTLE):
            found[t.subject.value][t.predicate.value].append(t.object)
    return found


def instances(term: str, *paths: str) -> dict[str, dict[str, list]]:
    """Local name to description, of the things of one class."""
    return {
        subject.rsplit("/", 1)[1]: about
        for subject, about in graph(*paths).items()
        if iri(term) in about[iri("rdf:type").value]
    }


def values(about: dict[str, list], predicate: str) -> list[str]:
    return sorted({o.value for o in about[iri(predicate).value]})


def value(about: dict[str, list], predicate: str) -> str | None:
    found = values(about, predicate)
    assert len(found) <= 1, (predicate, found)
    return found[0] if found else None


def cell(target: str) -> str:
    text = value(graph("data/plan-2020.ttl")[iri(f"target:{target}").value], "dcterms:description")
    assert text
    return text


def target_of(measure: dict[str, list]) -> str:
    target = value(measure, "k4p:measureOf")
    assert target
    return target.rsplit("/", 1)[1]


def measures(target: str) -> list[dict[str, list]]:
    """The measures of a target, in the order of their numbers."""
    found = {k: m for k, m in instances("k4p:Measure").items() if target_of(m) == target}
    return [found[k] for k in sorted(found, key=lambda k: int(k.rsplit("-", 1)[1]))]


def figures(measure: dict[str, list], *predicates: str) -> set[Decimal]:
    return {Decimal(v) for p in predicates for v in values(measure, p)}


def numbers(words: str) -> set[Decimal]:
    """What the words say in digits, with “one”, “K” and “million”; names that hold digits left out.

    “2021/22” is read as 2022, and “5 … every two years” as 5 and as half of it.
    """
    for name in NAMES:
        words = words.replace(name, "")
    words = re.sub(r"\bone\b", "1", words)
    words = re.sub(r"\b20\d\d/(\d\d)\b", r"20\1", words)
    found = set()
    for match in FIGURE.finditer(words):
        rest = words[match.end() :]
        factor = 1000 if re.match(r" K\b", rest) else 1
        if re.match(r"(?: to \d+)? million\b", rest):
            factor = 1_000_000
        found.add(Decimal(match.group()) * factor)
    if "every two years" in words:
        found |= {n / 2 for n in found}
    return found


def reviewed() -> list[dict[str, str]]:
    with (ROOT / "tests/fixtures/target_figures.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def words_of(row: dict[str, str]) -> list[str]:
    return row["words"].split(";") if row["words"] else []


def test_reviewed_list_has_exactly_the_targets_of_the_plan():
    listed = [row["target"] for row in reviewed()]
    assert len(listed) == 72
    assert listed == sorted(instances("k4p:Target", "data/plan-2020.ttl"))


def test_reviewed_list_reads_each_cell_as_figure_or_none():
    wrong = [r for r in reviewed() if r["reading"] != ("figure" if r["words"] else "none")]
    assert not wrong


def test_reviewed_words_stand_in_their_cell():
    wrong = [
        (r["target"], w) for r in reviewed() for w in words_of(r) if w not in cell(r["target"])
    ]
    assert not wrong


def test_a_cell_has_one_measure_for_each_of_its_reviewed_figures():
    wrong = {
        r["target"]: (words_of(r), len(measures(r["target"])))
        for r in reviewed()
        if len(measures(r["target"])) != len(words_of(r))
    }
    assert not wrong


def test_each_measure_quotes_the_reviewed_words_of_its_figure():
    wrong = [
        (r["target"], words)
        for r in reviewed()
        for words, m in zip(words_of(r), measures(r["target"]), strict=True)
        if words not in (value(m, "k4p:quote") or "")
    ]
    assert not wrong


def test_measures_of_a_target_are_numbered_from_one():
    wrong = {}
    for target in instances("k4p:Target", "data/plan-2020.ttl"):
        keys = {k for k, m in instances("k4p:Measure").items() if target_of(m) == target}
        if keys != {f"{target}-{n}" for n in range(1, len(keys) + 1)}:
            wrong[target] = keys
    assert not wrong


def test_every_number_of_a_cell_but_names_and_years_is_quoted():
    wrong = {}
    for target in instances("k4p:Target", "data/plan-2020.ttl"):
        quoted = {n for m in measures(target) for n in numbers(value(m, "k4p:quote") or "")}
        missed = {n for n in numbers(cell(target)) - quoted if not YEAR.fullmatch(str(n))}
        if missed:
            wrong[target] = missed
    assert not wrong


def test_quotes_are_words_of_their_cell_to_the_letter():
    wrong = [
        key
        for key, m in instances("k4p:Measure").items()
        if not (quote := value(m, "k4p:quote")) or quote not in cell(target_of(m))
    ]
    assert not wrong


def test_scopes_are_words_of_their_cell_to_the_letter():
    wrong = [
        key
        for key, m in instances("k4p:Measure").items()
        if (scope := value(m, "k4p:scope")) and scope not in cell(target_of(m))
    ]
    assert not wrong


def test_every_figure_of_a_measure_stands_in_its_quote():
    wrong = {}
    for key, m in instances("k4p:Measure").items():
        stated = figures(m, "k4p:value", "k4p:minValue", "k4p:maxValue")
        if not stated <= numbers(value(m, "k4p:quote") or ""):
            wrong[key] = stated
    assert not wrong


def test_every_number_of_a_quote_is_a_figure_a_total_or_the_due_year():
    wrong = {}
    for key, m in instances("k4p:Measure").items():
        known = figures(
            m, "k4p:value", "k4p:minValue", "k4p:maxValue", "k4p:outOf", "k4p:dueYear"
        )  # fmt: skip
        if left := numbers(value(m, "k4p:quote") or "") - known:
            wrong[key] = left
    assert not wrong


def test_totals_stand_in_the_cell():
    wrong = [
        key
        for key, m in instances("k4p:Measure").items()
        if not figures(m, "k4p:outOf") <= numbers(cell(target_of(m)))
    ]
    assert not wrong


def test_due_year_is_in_the_cell_or_is_the_horizon():
    wrong = {}
    for key, m in instances("k4p:Measure").items():
        target = target_of(m)
        (year,) = figures(m, "k4p:dueYear")
        if year not in numbers(cell(target)) | {Decimal(target[-4:])}:
            wrong[key] = year
    assert not wrong


def test_a_due_year_that_the_quote_states_is_the_one_given():
    wrong = {}
    for key, m in instances("k4p:Measure").items():
        years = {n for n in numbers(value(m, "k4p:quote") or "") if YEAR.fullmatch(str(n))}
        if years and years != figures(m, "k4p:dueYear"):
            wrong[key] = years
    assert not wrong


def test_quantifier_agrees_with_the_figures():
    allowed = {
        "exactly": {("k4p:value",)},
        "at-most": {("k4p:value",)},
        "at-least": {("k4p:value",)},
        "all": {(), ("k4p:value",)},
        "range": {("k4p:minValue", "k4p:maxValue")},
        "alternatives": {("k4p:minValue", "k4p:maxValue")},
    }
    wrong = {}
    for key, m in instances("k4p:Measure").items():
        has = tuple(p for p in ("k4p:value", "k4p:minValue", "k4p:maxValue") if value(m, p))
        code = (value(m, "k4p:quantifier") or "").removeprefix(iri("quantifier:").value)
        if has not in allowed[code]:
            wrong[key] = (code, has)
    assert not wrong


def test_a_range_rises():
    wrong = [
        key
        for key, m in instances("k4p:Measure").items()
        if value(m, "k4p:minValue")
        and min(figures(m, "k4p:maxValue")) <= max(figures(m, "k4p:minValue"))
    ]
    assert not wrong


def test_percent_signs_and_percent_indicators_go_together():
    wrong = []
    for key, m in instances("k4p:Measure").items():
        indicator = instances("k4p:Indicator")[(value(m, "k4p:indicator") or "").rsplit("/", 1)[1]]
        is_percent = value(indicator, "k4p:unit") == iri("unit:percent").value
        if is_percent != ("%" in (value(m, "k4p:quote") or "")):
            wrong.append(key)
    assert not wrong


def test_quantifiers_are_in_the_code_list():
    known = set(graph("ontology/codes.ttl"))
    used = {value(m, "k4p:quantifier") for m in instances("k4p:Measure").values()}
    assert used <= known


def test_every_measure_has_a_label_and_says_who_read_it():
    wrong = [
        key
        for key, m in instances("k4p:Measure").items()
        if not value(m, "rdfs:label")
        or value(m, "prov:wasAttributedTo") != iri("agent:curation-0.1.0").value
        or value(m, "k4p:status") != iri("status:proposed").value
    ]
    assert not wrong


def test_indicators_are_exactly_those_that_measures_use():
    used = {value(m, "k4p:indicator") for m in instances("k4p:Measure").values()}
    assert used == {iri(f"indicator:{key}").value for key in instances("k4p:Indicator")}


def test_every_indicator_has_one_unit_of_the_unit_code_list():
    wrong = {
        key: units
        for key, about in instances("k4p:Indicator").items()
        if len(units := values(about, "k4p:unit")) != 1
        or not units[0].startswith(iri("unit:").value)
    }
    assert not wrong


def test_every_indicator_is_named_in_three_languages_and_defined():
    wrong = []
    for key, about in instances("k4p:Indicator").items():
        languages = sorted(o.language for o in about[iri("skos:prefLabel").value])
        definition = value(about, "skos:definition") or ""
        if languages != ["en", "es", "fr"] or not definition.endswith("."):
            wrong.append(key)
    assert not wrong


def test_a1_baseline_counts_13_20_and_3_ndcs_of_196_in_2019():
    found = [
        (value(m, "k4p:value"), value(m, "k4p:outOf"), value(m, "k4p:dueYear"))
        for m in measures("A1-2020")
    ]
    assert found == [("13", "196", "2019"), ("20", "196", "2019"), ("3", "196", "2019")]


def test_a2_states_ranges_for_2020_and_2030_and_one_figure_for_2050():
    found = [
        tuple(value(m, p) for p in ("k4p:minValue", "k4p:maxValue", "k4p:value"))
        for year in (2020, 2030, 2050)
        for m in measures(f"A2-{year}")
    ]
    assert found == [("5", "10", None), ("10", "20", None), (None, None, "50")]


def test_f2_baseline_is_in_euro_per_year_with_the_core_budget_inside_the_total():
    found = [(value(m, "k4p:value"), value(m, "k4p:outOf")) for m in measures("F2-2020")]
    assert found == [("961000", None), ("721000", "961000")]


def test_f2_targets_are_ranges_in_millions_of_euro():
    found = [
        (value(m, "k4p:minValue"), value(m, "k4p:maxValue"))
        for year in (2030, 2050)
        for m in measures(f"F2-{year}")
    ]
    assert found == [("2000000", "5000000"), ("10000000", "20000000")]


def test_f2_targets_do_not_share_the_annual_indicator_of_the_baseline():
    used = {
        year: {value(m, "k4p:indicator") for m in measures(f"F2-{year}")}
        for year in (2020, 2030, 2050)
    }
    assert used[2030] == used[2050]
    assert not used[2020] & used[2030]


def test_a1_target_2030_does_not_share_an_indicator_with_the_ndc_counts():
    counted = {value(m, "k4p:indicator") for m in measures("A1-2020")}
    assert not counted & {value(m, "k4p:indicator") for m in measures("A1-2030")}


def test_f3_target_2030_is_due_in_2021_and_2025():
    assert [value(m, "k4p:dueYear") for m in measures("F3-2030")] == ["2021", "2025"]


def test_a4_and_d2_count_regional_meetings_by_the_same_indicator():
    def meetings(target: str) -> set[str | None]:
        return {value(m, "k4p:indicator") for m in measures(target)}

    assert meetings("A4-2050") & meetings("D2-2050") == {
        iri("indicator:regional-meetings-per-year").value
    }
