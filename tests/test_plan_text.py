"""The texts of the plan in the graph: complete, and to the letter where the source is at hand."""

import collections
import re
from pathlib import Path

import pyoxigraph as ox
import pytest

from kg4p1000.kernel.terms import PREFIXES, iri

ROOT = Path(__file__).parent.parent
SEED = ROOT.parent / "shared" / "seed" / "implementation-plan.txt"
PREF, ALT = PREFIXES["skos"] + "prefLabel", PREFIXES["skos"] + "altLabel"
TEXT = PREFIXES["dcterms"] + "description"


def graph(name):
    """Subject key (``activity:A4.2``) to property to its values."""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for q in ox.parse(path=str(ROOT / "data" / f"{name}.ttl")):
        value = q.object.value
        found["/".join(q.subject.value.rsplit("/", 2)[-2:])][q.predicate.value].append(value)
    return found


@pytest.fixture(scope="module")
def edition_2020():
    return graph("plan-2020")


@pytest.fixture(scope="module")
def draft_2021():
    return graph("plan-2021-10-14")


def of_kind(found, kind):
    return {key: values for key, values in found.items() if key.startswith(kind + "/")}


@pytest.mark.parametrize(
    ("kind", "number"), [("goal", 6), ("objective", 24), ("activity", 163), ("remark", 68)]
)
def test_the_draft_has_all_its_elements(draft_2021, kind, number):
    """64 remarks, and the four points of the second remark on D2."""
    assert len(of_kind(draft_2021, kind)) == number


def test_the_edition_of_2020_has_all_statements_and_targets(edition_2020):
    assert len(of_kind(edition_2020, "objective")) == 24
    assert len(of_kind(edition_2020, "target")) == 72


def test_no_activity_is_invented_for_f2(draft_2021):
    assert not [key for key in draft_2021 if key.startswith("activity/F2")]


def test_every_statement_of_the_plan_has_its_section(edition_2020, draft_2021):
    source = PREFIXES["dcterms"] + "source"
    for found in (edition_2020, draft_2021):
        for kind in ("goal", "objective", "activity", "remark", "target", "revision"):
            for key, values in of_kind(found, kind).items():
                assert values[source], key
                assert all("/section/" in s for s in values[source])


def test_no_markup_of_the_source_is_left(edition_2020, draft_2021):
    for found in (edition_2020, draft_2021):
        for key, values in found.items():
            for text in (*values[TEXT], *values[PREF], *values[ALT]):
                assert not re.search(r"</?[a-z]+>|\t", text), key
                assert text == text.strip()


# What follows reads the source on its own, by another way than the one that made the data:
# it strips the marks and asks whether each text stands there, in its section and in its cell.


def cells(line):
    return [
        re.sub(r"\s+", " ", re.sub(r"</?[a-z]+>", " ", cell)).strip() for cell in line.split("\t")
    ]


@pytest.fixture(scope="module")
def sections():
    """Code of an objective to the lines of its sections, by number of the section."""
    if not SEED.exists():
        pytest.skip("the source text of the plan is not at hand")
    lines = SEED.read_text(encoding="utf-8").split("\n")
    start = max(i for i, line in enumerate(lines) if line == "1 A1-NDC support")
    found, code, part = collections.defaultdict(lambda: collections.defaultdict(list)), "", ""
    for line in lines[start:]:
        if heading := re.fullmatch(r"\d+ ([A-F]\d)-(.*)", line):
            code, part = heading.group(1), "title"
            found[code]["title"] = [heading.group(2)]
        elif numbered := re.fullmatch(r"\d+\.\d+ (\w+).*", line):
            part = numbered.group(1)
            found[code][part].append(line)
        else:
            found[code][part].append(line)
    return found


def flat(text):
    return re.sub(r"\s+", " ", text).strip()


def test_titles_goals_and_labels_are_the_plans(sections, edition_2020, draft_2021):
    for code, parts in sections.items():
        assert draft_2021[f"objective/{code}"][PREF] == [parts["title"][0].strip()]
        row = cells(
            next(
                line for line in parts["Original"] if line.count("\t") == 4 and "Label" not in line
            )
        )
        objective = edition_2020[f"objective/{code}"]
        targets = [edition_2020[f"target/{code}-{year}"][TEXT] for year in (2020, 2030, 2050)]
        assert [objective[ALT], objective[TEXT], *targets] == [[cell] for cell in row]
        goal = draft_2021[f"goal/{code[0]}"]
        assert parts["Goal"][0].endswith(f"Goal {code[0]} - {goal[PREF][0]}")
        assert goal[TEXT][0] == parts["Goal"][2].strip()


def test_remarks_are_the_plans(sections, draft_2021):
    for code, parts in sections.items():
        told = [
            re.sub(r"^\s*(- )?([a-d]\. |\d\. )?", "", line).strip() for line in parts["Remarks"][1:]
        ]
        told = [
            t
            for t in told
            if t and not t.startswith("Summarized") and t not in ("none", "no remarks")
        ]
        kept = [v[TEXT][0] for k, v in draft_2021.items() if k.startswith(f"remark/{code}-")]
        assert sorted(kept) == sorted(flat(t) for t in told), code


def test_activities_are_the_plans(sections, draft_2021):
    for code, parts in sections.items():
        told: list[list[str]] = []
        for line in parts["Activities"]:
            if line.count("\t") != 2 or line.startswith("N°"):
                continue
            number, title, text = cells(line)
            if number:
                told.append([number, title, text])
            elif text:
                told[-1][2] += " " + text
        kept = {
            k.rsplit(".", 1)[1]: (v[PREF][0], flat(v[TEXT][0]))
            for k, v in draft_2021.items()
            if k.startswith(f"activity/{code}.")
        }
        assert kept == {n: (t, d) for n, t, d in told if t}, code


def test_the_proposed_revision_of_b3_is_the_plans(sections, draft_2021):
    lines = [cells(line) for line in sections["B3"]["Proposed"]]
    revision = draft_2021["revision/B3"]
    assert [revision[ALT][0], revision[TEXT][0]] in lines
    assert [draft_2021[f"revision/B3-{y}"][TEXT][0] for y in (2020, 2030, 2050)] in lines


def test_paragraphs_are_kept(draft_2021):
    assert draft_2021["activity/A4.2"][TEXT][0].count("\n\n") == 1
    assert draft_2021["activity/A4.3"][TEXT][0].count("\n\n") == 2


def test_a_row_that_breaks_across_pages_is_joined(draft_2021):
    assert "to achieve value added products" in draft_2021["activity/B1.4"][TEXT][0]


def test_things_have_their_place_in_the_plan(draft_2021):
    assert draft_2021["activity/A4.2"][iri("k4p:activityOf").value] == [iri("objective:A4").value]
    assert draft_2021["objective/A4"][iri("k4p:objectiveOf").value] == [iri("goal:A").value]
