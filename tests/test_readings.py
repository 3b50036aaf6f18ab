"""Readings: what is published of them, which actions they share, and what each fault is told as."""

import csv
import io
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyoxigraph import Literal, NamedNode

from kg4p1000.curation.build import build, parse_file, sources
from kg4p1000.kernel.errors import BrokenFile
from kg4p1000.kernel.terms import iri, mint, natural_key
from kg4p1000.sources import readings
from kg4p1000.store import Store

ROOT = Path(__file__).resolve().parents[1]
TOY = Path(__file__).parent / "toy"
TEXTS = {
    "A1.2": {
        "title": "Poll and meetings",
        "text": "Ask farmers what they expect. Set up meetings (in each region) and set up a poll.",
    },
    "A1.10": {"title": "Meetings", "text": "Organise meetings in regions."},
    "B1.1": {"title": "Money", "text": ""},
}
ACTION = {
    "activity": "A1.2", "reading": "1", "number": "1", "field": "text", "span": "Ask farmers what they expect",
    "kind": "assess", "deliverable": "", "topic": "farming markets", "target": "farmers", "sure": "1", "note": "",
}  # fmt: skip
PAIR = {
    "a": "A1.2", "b": "A1.10", "reading": "1", "kind": "depends", "needs": "A1.10", "degree": "3", "sure": "0.7",
    "why": "One needs the poll, the other makes it.", "why_fr": "", "why_es": "",
    "passage_a": "set up a poll", "passage_b": "Meetings",
}  # fmt: skip
#: Three readings of one activity that agree on one action.
AGREED = [{}, {"reading": "2", "sure": "0.7", "kind": "train"}, {"reading": "3", "sure": "0.4"}]


def table(columns, usual, *rows: dict[str, str]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({**usual, **row} for row in rows)
    return text.getvalue()


def actions(*rows: dict[str, str], texts=TEXTS):
    data = table(readings.ACTION_COLUMNS, ACTION, *rows)
    return readings.read_actions(data, "actions.csv", texts)


def pairs(*rows: dict[str, str]):
    data = table(readings.PAIR_COLUMNS, PAIR, *rows)
    return readings.read_pairs(data, "readings.csv", TEXTS)


def said(triples, subject: NamedNode, name: str) -> set:
    return {t.object for t in triples if t.subject == subject and t.predicate == iri(name)}


def things(triples, name: str) -> set[str]:
    """The keys of the things of a class."""
    found = (t.subject.value for t in triples if t.object == iri(name))
    return {value.rsplit("/", 1)[1] for value in found}


def number(text: str) -> Literal:
    return Literal(text, datatype=iri("xsd:decimal"))


# --- actions


def test_action_that_readings_share_has_the_codes_that_two_of_them_give():
    found, this = actions(*AGREED), mint("action", "A1.2-1")
    facets = {"action-kind:assess", "topic:farming", "topic:markets", "target-group:farmers"}
    assert said(found, this, "k4p:actionFacet") == {iri(code) for code in facets}
    assert said(found, this, "k4p:actionOf") == {iri("activity:A1.2")}
    assert said(found, this, "k4p:confidence") == {number("0.7")}
    assert said(found, this, "k4p:quoteOf") == {iri("dcterms:description")}
    assert said(found, this, "rdfs:label") == {
        Literal("A1.2, action 1: Ask farmers what they expect", language="en")
    }
    readers = [mint("reading", f"A1.2-r{n}-1") for n in "123"]
    assert [said(found, reader, "k4p:readsAction") for reader in readers] == [{this}] * 3


def test_action_of_one_reading_alone_stays_a_reading():
    found = actions({}, {"reading": "2", "span": "Set up meetings"})
    assert things(found, "k4p:Action") == set()
    assert things(found, "k4p:ActionReading") == {"A1.2-r1-1", "A1.2-r2-1"}


def test_words_are_the_same_action_when_half_of_the_shorter_ones_is_shared():
    shared = "Set up meetings (in each region)"
    for other, count in (
        ("Set up meetings", 1),
        ("region) and", 1),
        ("region) and set up a poll", 0),
    ):
        found = actions({"span": shared}, {"reading": "2", "span": other})
        assert len(things(found, "k4p:Action")) == count, other


def test_action_is_not_shared_between_title_and_text():
    found = actions(
        {"span": "Poll and meetings", "field": "title"}, {"reading": "2", "span": "meetings"}
    )
    assert things(found, "k4p:Action") == set()


def test_actions_are_numbered_by_their_place_with_the_title_first():
    spans = [("text", "set up a poll"), ("text", "Ask farmers"), ("title", "Poll")]
    rows = [
        {"reading": reading, "number": str(n), "field": field, "span": span}
        for reading in "123"
        for n, (field, span) in enumerate(spans, 1)
    ]
    found = actions(*rows)
    quotes = [said(found, mint("action", f"A1.2-{n}"), "k4p:quote") for n in (1, 2, 3)]
    assert quotes == [{Literal(q)} for q in ("Poll", "Ask farmers", "set up a poll")]


def test_frame_is_the_reading_with_the_median_number_of_actions():
    found = actions(
        {"span": "Ask farmers what they expect. Set up meetings"},
        {"reading": "2", "span": "Ask farmers what they expect"},
        {"reading": "2", "number": "2", "span": "Set up meetings"},
        {"reading": "3", "span": "Ask farmers"},
        {"reading": "3", "number": "2", "span": "meetings"},
        {"reading": "3", "number": "3", "span": "set up a poll"},
    )
    quotes = {said(found, mint("action", f"A1.2-{n}"), "k4p:quote").pop().value for n in (1, 2)}
    assert quotes == {"Ask farmers what they expect", "Set up meetings"}


def test_label_of_an_action_leaves_no_bracket_open():
    text = "Set up a monitoring system for the soils of the whole wide world (in each region of it, and in all of them)"
    rows = ({"span": text}, {"reading": "2", "span": text})
    found = actions(*rows, texts={"A1.2": {"title": "Set up", "text": text}})
    label = said(found, mint("action", "A1.2-1"), "rdfs:label").pop().value
    assert (
        label
        == "A1.2, action 1: Set up a monitoring system for the soils of the whole wide world …"
    )


# --- pairs


def test_reading_of_a_pair_tells_kind_need_and_passages():
    found, this = pairs({}), mint("reading", "A1.2-A1.10-r1")
    assert said(found, this, "k4p:between") == {iri("activity:A1.2"), iri("activity:A1.10")}
    assert said(found, this, "k4p:readKind") == {iri("overlap-kind:depends")}
    assert said(found, this, "k4p:needingActivity") == {iri("activity:A1.10")}
    assert said(found, this, "k4p:degree") == {Literal(3)}
    assert said(found, this, "k4p:confidence") == {number("0.7")}
    passage = mint("passage", "A1.2-A1.10-r1-b")
    assert said(found, passage, "k4p:passageOf") == {iri("activity:A1.10")}
    assert said(found, passage, "k4p:quoteOf") == {iri("skos:prefLabel")}


UNRELATED = {"kind": "unrelated", "needs": "", "degree": "0", "passage_a": "", "passage_b": ""}


def test_pair_that_all_readings_call_unrelated_is_one_statement():
    found = pairs(UNRELATED, {**UNRELATED, "reading": "2"})
    assert [(t.subject, t.predicate, t.object) for t in found] == [
        (iri("activity:A1.2"), iri("k4p:readAsUnrelatedTo"), iri("activity:A1.10"))
    ]


def test_pair_that_one_reading_calls_unrelated_keeps_both_readings():
    found = pairs(UNRELATED, {"reading": "2"})
    assert things(found, "k4p:PairReading") == {"A1.2-A1.10-r1", "A1.2-A1.10-r2"}
    assert not [t for t in found if t.predicate == iri("k4p:readAsUnrelatedTo")]


def test_reason_has_a_language_where_it_is_translated():
    found = pairs({"why_fr": "L'une a besoin du sondage."})
    reasons = said(found, mint("reading", "A1.2-A1.10-r1"), "k4p:reason")
    assert {reason.language for reason in reasons} == {"en", "fr"}


# --- faults


@pytest.mark.parametrize(
    ("row", "repair"),
    [
        ({"activity": "A9.9"}, "activity is 'A9.9'; the plan has no activity with this code"),
        ({"reading": "4"}, "reading is '4'; use one of 1, 2, 3"),
        ({"number": "0"}, "number is '0'; write a whole number from 1"),
        ({"field": "body"}, "field is 'body'; use one of title, text"),
        ({"span": "Ask fermers"}, "stand 0 times in the text of A1.2; copy them from there"),
        ({"span": "et up"}, "stand 2 times in the text of A1.2; take more of the words"),
        ({"span": ""}, "stand 0 times"),
        ({"topic": "soil;carbon"}, "topic is 'soil;carbon'; write codes of the list topic"),
        ({"sure": "0.9"}, "sure is '0.9'; use one of 1, 0.7, 0.4"),
        ({"number": "1"}, "this reading has an action with this number"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_fault_of_an_action_is_told_with_line_column_and_repair(row, repair):
    with pytest.raises(BrokenFile) as caught:
        actions({}, {"number": "2", **row})
    assert caught.value.members == {"file": "actions.csv", "line": 3}
    assert repair in caught.value.detail


@pytest.mark.parametrize(
    ("row", "repair"),
    [
        ({"a": "A9.9"}, "a is 'A9.9'; the plan has no activity"),
        ({"a": "A1.10", "b": "A1.2"}, "swap the sides, so that A1.2 comes before A1.10"),
        ({"b": "A1.2"}, "swap the sides"),
        ({"reading": "3"}, "reading is '3'; use one of 1, 2"),
        ({"kind": "duplicates"}, "use one of duplicate, overlap, complement, depends, unrelated"),
        ({"needs": "B1.1"}, "needs is 'B1.1'; use one of A1.2, A1.10"),
        ({"needs": ""}, "use one of A1.2, A1.10"),
        ({"kind": "overlap"}, "leave it empty, or let the kind be depends"),
        ({"degree": "5"}, "degree is '5'; use one of 0, 1, 2, 3, 4"),
        ({"why": " "}, "why is ' '; fill the cell in"),
        ({"passage_b": "meeting rooms"}, "stand 0 times in the title or text of A1.10"),
        ({"reading": "1"}, "this reading has this pair already"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_fault_of_a_pair_is_told_with_line_column_and_repair(row, repair):
    with pytest.raises(BrokenFile) as caught:
        pairs({}, {"reading": "2", **row})
    assert caught.value.members["file"] == "readings.csv"
    assert repair in caught.value.detail
    if not row.keys() & {"passage_b"}:
        assert caught.value.members["line"] == 3


@pytest.mark.parametrize(
    ("data", "line", "repair"),
    [
        ("", 1, "the file is empty"),
        ("activity;reading\n", 1, "the first line must name the columns: activity,reading"),
        (
            table(readings.ACTION_COLUMNS, ACTION, {}) + "A1.2,1\n",
            3,
            "has 2 cells and must have 11",
        ),
        (
            table(readings.ACTION_COLUMNS, ACTION, {}) + '"A1.2" x,1\n',
            3,
            "a double quote in a cell",
        ),
        (table(readings.ACTION_COLUMNS, ACTION, {}) + '"A1.2,1\n', 3, "cannot be read"),
    ],
)
def test_table_that_is_none_is_told_with_its_line(data, line, repair):
    with pytest.raises(BrokenFile) as caught:
        readings.read_actions(data, "actions.csv", TEXTS)
    assert caught.value.members["line"] == line
    assert repair in caught.value.detail


def test_line_of_a_fault_counts_lines_within_cells():
    texts = {"A1.2": {"title": "Poll", "text": "Ask farmers.\nSet up meetings."}}
    with pytest.raises(BrokenFile) as caught:
        actions(
            {"span": "farmers.\nSet up"}, {"sure": "2", "number": "2", "span": "Ask"}, texts=texts
        )
    assert caught.value.members["line"] == 4


# --- whatever is read


@st.composite
def any_readings(draw):
    text = TEXTS["A1.2"]["text"]
    rows = []
    for reading in "123":
        for n in range(draw(st.integers(0, 3))):
            start = draw(st.integers(0, len(text) - 12))
            end = draw(st.integers(start + 11, len(text)))
            kinds = draw(st.sets(st.sampled_from(["assess", "train", "convene"])))
            sure = draw(st.sampled_from(readings.SURE))
            row = {"reading": reading, "number": str(n + 1), "span": text[start:end]}
            rows.append({**row, "kind": " ".join(sorted(kinds)), "sure": sure})
    return rows


@given(any_readings())
def test_quotes_are_verbatim_and_each_action_has_two_readings(rows):
    found = actions(*rows)
    assert found == actions(*rows)
    for t in found:
        if t.predicate == iri("k4p:quote"):
            start, end = (
                int(said(found, t.subject, name).pop().value)
                for name in ("k4p:textStart", "k4p:textEnd")
            )
            assert TEXTS["A1.2"]["text"][start:end] == t.object.value
    for key in things(found, "k4p:Action"):
        readers = {
            t.subject.value.split("-r")[1][0]
            for t in found
            if t.predicate == iri("k4p:readsAction") and t.object == mint("action", key)
        }
        assert len(readers) >= 2


@given(any_readings())
def test_order_of_the_rows_of_other_activities_does_not_matter(rows):
    other = {"activity": "A1.10", "span": "Organise meetings"}
    assert set(actions(*rows, other)) == set(actions(other, *rows))


# --- the data


def test_readings_of_the_plan_are_whole():
    found = parse_file(ROOT / "data" / "actions.csv")
    numbers = Counter(t.object.value for t in found if t.predicate == iri("k4p:readingNumber"))
    activities = {
        (t.object, said_by)
        for t in found
        if t.predicate == iri("k4p:readsActivity")
        for said_by in [t.subject.value.split("-r")[1][0]]
    }
    assert set(numbers) == {"1", "2", "3"}
    assert Counter(reading for _, reading in activities) == {"1": 163, "2": 163, "3": 163}


def test_pairs_of_the_plan_are_read_twice():
    with (ROOT / "data" / "readings.csv").open(encoding="utf-8", newline="") as file:
        read = Counter((row["a"], row["b"]) for row in csv.DictReader(file))
    assert len(read) == 1000
    assert set(read.values()) == {2}


@pytest.mark.parametrize("name", ["actions.csv", "readings.csv"])
def test_table_of_readings_is_sorted_and_has_one_way_of_quoting(name):
    text = (ROOT / "data" / name).read_bytes().decode()
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    again = io.StringIO(newline="")
    csv.writer(again, lineterminator="\n").writerows(rows)
    assert again.getvalue() == text
    keys = [[natural_key(cell) for cell in row[:3]] for row in rows[1:]]
    assert keys == sorted(keys)


def test_knowledge_without_readings_is_whole(tmp_path):
    assert not [source for source in sources(TOY) if source.path.suffix == ".csv"]
    assert build(Store(tmp_path / "store"), TOY, author="kim").commit.entry


def test_readings_without_the_plan_are_refused(tmp_path):
    path = tmp_path / "actions.csv"
    path.write_text(table(readings.ACTION_COLUMNS, ACTION, {}), encoding="utf-8")
    with pytest.raises(BrokenFile, match="the plan has no activity with this code"):
        parse_file(path)
