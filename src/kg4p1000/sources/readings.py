"""Readings of the plan as triples: what actions an activity asks for, and how the work of two activities relates.

Several readers read the same texts apart from each other, and each judgement stands in a row of a table. A reading is
kept as it is; an action is what two readings or more share. A table that is broken is refused by a BrokenFile with file,
line, name of the column and repair; nothing is guessed.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from textwrap import shorten
from typing import NamedTuple, NoReturn

from pyoxigraph import Literal, NamedNode, Triple

from ..kernel.files import broken
from ..kernel.terms import iri, mint, natural_key
from ..kernel.texts import counted

ACTION_COLUMNS = (
    "activity", "reading", "number", "field", "span", "kind", "deliverable", "topic", "target", "sure", "note",
)  # fmt: skip
PAIR_COLUMNS = (
    "a", "b", "reading", "kind", "needs", "degree", "sure", "why", "why_fr", "why_es", "passage_a", "passage_b",
)  # fmt: skip
#: Parts of an activity, as the tables name them, and the properties whose values they are; in order of reading.
FIELDS = {"title": "skos:prefLabel", "text": "dcterms:description"}
#: Columns of codes, and the list that the codes of each are from.
FACETS = {
    "kind": "action-kind", "deliverable": "deliverable", "topic": "topic", "target": "target-group",
}  # fmt: skip
#: How a row names the relation of two activities, and its code.
KINDS = {
    "duplicate": "duplicates", "overlap": "overlaps", "complement": "complements", "depends": "depends",
    "unrelated": "unrelated",
}  # fmt: skip
#: How many readings of the actions there are, and how sure a reader can be.
READINGS = ("1", "2", "3")
SURE = ("1", "0.7", "0.4")
_READER = iri("agent:claude")
_ACTION_METHOD = (
    "Three readings of title and text, apart from each other: the action is one that two of them found at the same words,"
    " with the codes that two of them gave it."
)
_PAIR_METHOD = (
    "Read from titles and texts alone, among pairs in random order with their sides swapped at random, without any score"
    " and apart from the other reading of the pair."
)
_CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

#: Title and text of activities, by their code and the name of the field.
Texts = Mapping[str, Mapping[str, str]]
_Facts = Iterator[tuple[NamedNode, str, NamedNode | Literal]]


class Words(NamedTuple):
    """Words of an activity, by their place in its title or text."""

    activity: str
    field: str
    start: int
    quote: str

    @property
    def end(self) -> int:
        """Where the words have ended."""
        return self.start + len(self.quote)

    @property
    def place(self) -> tuple[int, int, int]:
        """Where the words stand, title first."""
        return list(FIELDS).index(self.field), self.start, self.end


class Read(NamedTuple):
    """An action as one reading has it."""

    iri: NamedNode
    words: Words
    codes: tuple[NamedNode, ...]
    sure: Decimal


class _Row(dict[str, str]):
    """The cells of a row by column."""

    def __init__(self, file: str, line: int, names: Sequence[str], cells: list[str]) -> None:
        self.file, self.line = file, line
        if len(cells) != len(names):
            why = (
                f"the row has {counted(len(cells), 'cell')} and must have {len(names)}; separate them by commas, and"
                " put a cell that has a comma between double quotes"
            )
            _fail(file, line, why)
        super().__init__(zip(names, cells, strict=True))

    def refuse(self, name: str, why: str) -> NoReturn:
        """Refuse a cell."""
        _fail(self.file, self.line, f"{name} is {self[name]!r}; {why}")

    def choose(self, name: str, allowed: Sequence[str]) -> str:
        """Return a cell that must be one of some words."""
        if self[name] not in allowed:
            self.refuse(name, f"use one of {', '.join(allowed)}")
        return self[name]

    def activity(self, name: str, texts: Texts) -> str:
        """Return a cell that must be the code of an activity."""
        if self[name] not in texts:
            self.refuse(name, "the plan has no activity with this code; correct it")
        return self[name]

    def words(self, name: str, activity: str, fields: Mapping[str, str]) -> Words:
        """Return the one place of the title or text of an activity where the words of a cell stand."""
        quote, found = self[name], []
        for field, text in fields.items():
            starts = (m.start() for m in re.finditer(f"(?={re.escape(quote)})", text))
            found += [Words(activity, field, start, quote) for start in starts if quote]
        if len(found) != 1:
            where = f"{' or '.join(fields)} of {activity}"
            why = "copy them from there" if not found else "take more of the words around them"
            self.refuse(name, f"these words stand {len(found)} times in the {where}; {why}")
        return found[0]


def _fail(file: str, line: int, why: str) -> NoReturn:
    raise broken(file, f"{why}.", line)


def _rows(data: str, file: str, columns: tuple[str, ...]) -> Iterator[_Row]:
    """Yield the rows of a table, each with the line in which it begins."""
    cells = csv.reader(io.StringIO(data.removeprefix("\ufeff"), newline=""), strict=True)
    line = 1
    try:
        for row in cells:
            if line == 1 and tuple(row) != columns:
                _fail(file, 1, f"the first line must name the columns: {','.join(columns)}")
            if line > 1:
                yield _Row(file, line, columns, row)
            line = cells.line_num + 1
    except csv.Error as e:
        _fail(file, line, f"the row cannot be read ({e}); write a double quote in a cell twice")
    if line == 1:
        _fail(file, 1, f"the file is empty; begin it with the columns {','.join(columns)}")


# actions


def read_actions(data: str, file: str, texts: Texts) -> list[Triple]:
    """Return what readings of activities found, and the actions that two of them share.

    Args:
        texts: title and text of the activities; the words of an action stand in one of them.
    """
    read: dict[str, dict[str, list[Read]]] = {}
    facts, seen = [], set()
    for row in _rows(data, file, ACTION_COLUMNS):
        found = _read_action(row, texts)
        if found.iri in seen:
            row.refuse("number", "this reading has an action with this number; number them anew")
        seen.add(found.iri)
        by_reading = read.setdefault(row["activity"], {reading: [] for reading in READINGS})
        by_reading[row["reading"]].append(found)
        facts += _reading_facts(row, found)
    for code in sorted(read, key=natural_key):
        facts += _action_facts(code, list(read[code].values()))
    return _triples(facts)


def _read_action(row: _Row, texts: Texts) -> Read:
    code = row.activity("activity", texts)
    reading = row.choose("reading", READINGS)
    if not re.fullmatch("[1-9][0-9]*", row["number"]):
        row.refuse("number", "write a whole number from 1")
    field = row.choose("field", tuple(FIELDS))
    words = row.words("span", code, {field: texts[code].get(field, "")})
    codes = []
    for name, scheme in FACETS.items():
        for one in row[name].split():
            if not _CODE.fullmatch(one):
                row.refuse(name, f"write codes of the list {scheme}, separated by spaces")
            codes.append(iri(f"{scheme}:{one}"))
    sure = Decimal(row.choose("sure", SURE))
    this = mint("reading", f"{code}-r{reading}-{row['number']}")
    return Read(this, words, tuple(codes), sure)


def _reading_facts(row: _Row, read: Read) -> _Facts:
    code, this = row["activity"], read.iri
    yield this, "rdf:type", iri("k4p:ActionReading")
    label = f"{code}, reading {row['reading']}, action {row['number']}"
    yield this, "rdfs:label", Literal(label, language="en")
    yield this, "k4p:readsActivity", mint("activity", code)
    yield from _word_facts(this, read.words)
    for facet in read.codes:
        yield this, "k4p:readsFacet", facet
    yield this, "k4p:confidence", _decimal(read.sure)
    yield this, "k4p:readingNumber", Literal(int(row["reading"]))
    if row["note"]:
        yield this, "skos:editorialNote", Literal(row["note"], language="en")
    yield this, "prov:wasAttributedTo", _READER


def _action_facts(code: str, readings: Sequence[Sequence[Read]]) -> _Facts:
    """Yield the actions of an activity, numbered by their place in its text."""
    shared = sorted(consensus(readings), key=lambda same: same[0].words.place)
    for number, same in enumerate(shared, 1):
        this, words = mint("action", f"{code}-{number}"), same[0].words
        label = f"{code}, action {number}: {_short(words.quote)}"
        yield this, "rdf:type", iri("k4p:Action")
        yield this, "rdfs:label", Literal(label, language="en")
        yield this, "k4p:actionOf", mint("activity", code)
        yield from _word_facts(this, words)
        given = Counter(facet for read in same for facet in dict.fromkeys(read.codes))
        for facet, times in given.items():
            if times >= 2:
                yield this, "k4p:actionFacet", facet
        sure = sum((read.sure for read in same), Decimal()) / len(readings)
        yield this, "k4p:confidence", _decimal(sure)
        yield this, "k4p:method", Literal(_ACTION_METHOD)
        yield this, "k4p:status", iri("status:proposed")
        yield this, "prov:wasAttributedTo", _READER
        for read in same:
            yield read.iri, "k4p:readsAction", this


def _short(quote: str) -> str:
    """Return the beginning of a quote as a name: no bracket left open, no word twice by a slip."""
    text = shorten(re.sub(r"\b(\w+) \1\b", r"\1", quote), 80, placeholder=" …")
    if text.count("(") > text.count(")"):
        text = f"{text[: text.rindex('(')].rstrip()} …"
    return text


def consensus(readings: Sequence[Sequence[Read]]) -> list[list[Read]]:
    """Return the actions of an activity that two readings or more share, each as those have it.

    The frame is the reading with the median number of actions that fits the others best; each of its actions is looked for
    in the others, and the words of the frame, which come first, stand for it.
    """
    median = sorted(map(len, readings))[len(readings) // 2]

    def fit(number: int) -> float:
        others = [other for n, other in enumerate(readings) if n != number]
        return sum(
            max((_likeness(one.words, two.words) for two in other), default=0.0)
            for one in readings[number]
            for other in others
        )

    frame = max((n for n, read in enumerate(readings) if len(read) == median), key=fit)
    found = []
    for one in readings[frame]:
        same = [one]
        for other in (read for n, read in enumerate(readings) if n != frame):
            best = max(other, key=lambda two: _share(one.words, two.words), default=None)
            if best and _share(one.words, best.words) >= 0.5:
                same.append(best)
        if len(same) >= 2:
            found.append(same)
    return found


def _common(one: Words, two: Words) -> int:
    """Return how many characters two places of an activity have in common."""
    within = min(one.end, two.end) - max(one.start, two.start)
    return max(0, within) if one.field == two.field else 0


def _likeness(one: Words, two: Words) -> float:
    return _common(one, two) / (max(one.end, two.end) - min(one.start, two.start))


def _share(one: Words, two: Words) -> float:
    """Return how much of the shorter of two places lies in the other."""
    return _common(one, two) / min(len(one.quote), len(two.quote))


# pairs


def read_pairs(data: str, file: str, texts: Texts) -> list[Triple]:
    """Return what readings of pairs of activities found.

    A pair that all its readings call unrelated is told by one statement.

    Args:
        texts: title and text of the activities; passages stand in them.
    """
    rows: dict[tuple[str, str], list[_Row]] = {}
    for row in _rows(data, file, PAIR_COLUMNS):
        a, b = row.activity("a", texts), row.activity("b", texts)
        if natural_key(a) >= natural_key(b):
            row.refuse("b", f"swap the sides, so that {b} comes before {a}")
        same = rows.setdefault((a, b), [])
        _see_pair(row)
        if row["reading"] in {other["reading"] for other in same}:
            row.refuse("reading", "this reading has this pair already; remove one of the rows")
        same.append(row)
    facts: list[tuple[NamedNode, str, NamedNode | Literal]] = []
    for (a, b), same in rows.items():
        if all(row["kind"] == "unrelated" for row in same):
            facts.append((mint("activity", a), "k4p:readAsUnrelatedTo", mint("activity", b)))
            continue
        for row in same:
            facts += _pair_facts(row, texts)
    return _triples(facts)


def _see_pair(row: _Row) -> None:
    """Refuse a judgement of a pair that is incomplete or contradicts itself."""
    row.choose("reading", READINGS[:2])
    row.choose("kind", tuple(KINDS))
    row.choose("degree", ("0", "1", "2", "3", "4"))
    row.choose("sure", SURE)
    if row["kind"] == "depends":
        row.choose("needs", (row["a"], row["b"]))
    elif row["needs"]:
        row.refuse("needs", "leave it empty, or let the kind be depends")
    if not row["why"].strip():
        row.refuse("why", "fill the cell in")


def _pair_facts(row: _Row, texts: Texts) -> _Facts:
    a, b = row["a"], row["b"]
    key = f"{a}-{b}-r{row['reading']}"
    this = mint("reading", key)
    yield this, "rdf:type", iri("k4p:PairReading")
    label = f"{a} and {b}, reading {row['reading']}"
    yield this, "rdfs:label", Literal(label, language="en")
    for code, name in ((a, "a"), (b, "b")):
        yield this, "k4p:between", mint("activity", code)
        if row[f"passage_{name}"]:
            passage = mint("passage", f"{key}-{name}")
            yield this, "k4p:passage", passage
            yield passage, "rdf:type", iri("k4p:Passage")
            yield passage, "rdfs:label", Literal(f"{label}: words of {code}", language="en")
            yield passage, "k4p:passageOf", mint("activity", code)
            yield from _word_facts(passage, row.words(f"passage_{name}", code, texts[code]))
    yield this, "k4p:readKind", iri(f"overlap-kind:{KINDS[row['kind']]}")
    if row["needs"]:
        yield this, "k4p:needingActivity", mint("activity", row["needs"])
    yield this, "k4p:degree", Literal(int(row["degree"]))
    for name, language in (("why", "en"), ("why_fr", "fr"), ("why_es", "es")):
        if row[name]:
            yield this, "k4p:reason", Literal(row[name], language=language)
    yield this, "k4p:confidence", _decimal(Decimal(row["sure"]))
    yield this, "k4p:readingNumber", Literal(int(row["reading"]))
    yield this, "k4p:method", Literal(_PAIR_METHOD)
    yield this, "k4p:status", iri("status:proposed")
    yield this, "prov:wasAttributedTo", _READER


# both


def _word_facts(this: NamedNode, words: Words) -> _Facts:
    yield this, "k4p:quote", Literal(words.quote)
    yield this, "k4p:quoteOf", iri(FIELDS[words.field])
    yield this, "k4p:textStart", Literal(words.start)
    yield this, "k4p:textEnd", Literal(words.end)


def _decimal(value: Decimal) -> Literal:
    """Return a number with two places at most."""
    text = format(value.quantize(Decimal("0.01")), "f").rstrip("0").rstrip(".")
    return Literal(text, datatype=iri("xsd:decimal"))


def _triples(facts: list[tuple[NamedNode, str, NamedNode | Literal]]) -> list[Triple]:
    return [Triple(subject, iri(name), value) for subject, name, value in facts]
