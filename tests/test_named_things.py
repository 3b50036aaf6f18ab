"""Named things and their mentions: complete, to the letter, and each thing once.

The mentions were made by hand; `fixtures/named_things.csv` is the reviewed list of namings.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pyoxigraph as ox
import pytest

from everything import for_each
from kg4p1000.kernel.terms import PREFIXES, curie, iri

ROOT = Path(__file__).parents[1]
FIXTURE = ROOT / "tests" / "fixtures" / "named_things.csv"
SHARED = ROOT.parent / "shared"
KINDS = ("Organisation", "Initiative", "Convention", "Place", "Document", "Tool", "Database")
GROUP = "StakeholderGroup"
ELEMENTS = ("activity", "goal", "objective", "remark", "revision", "target")

#: A name as it stands in the text, and the things that it must then mention.
NAMES = {
    r"4 per 1000|4p1000|1/4000|\bthe [Ii]nitiative\b": "initiative:4p1000",
    r"UNFCCC": "convention:unfccc",
    r"\bNDCs?\b|Nationally Determined": "convention:ndc",
    r"Adaptation Plans": "convention:nap",
    r"Paris Agreement|\bPA\b": "convention:paris-agreement",
    r"\bSDGs?\b|Sustainable Development Goals": "convention:sdg",
    r"\bU\.?N\.?(?![A-Za-z])|United Nations": "organisation:un",
    r"\bFAO\b": "organisation:fao",
    r"\bGSP\b|Global Soil Partnership": "initiative:gsp",
    r"CIRAD": "organisation:cirad",
    r"\bSTC\b": "organisation:stc",
    r"Secretariat": "organisation:secretariat",
    r"Bureau": "organisation:bureau",
    r"\bEU\b|European": "organisation:eu place:eu-countries",
    r"CIRCASA": "initiative:circasa",
    r"\bIRC\b": "initiative:irc",
    r"MAGIC": "initiative:magic",
    r"Carbon Action": "initiative:carbon-action",
    r"German": "place:DEU",
    r"France": "place:FRA",
    r"Spain": "place:ESP",
    r"\bDRC\b|Congo": "place:COD",
    r"Benin": "place:BEN",
    r"\bMali\b": "place:MLI",
    r"Africa": "place:africa",
    r"\bAsia": "place:asia",
    r"\bEurope\b": "place:europe",
    r"South America": "place:south-america",
    r"(?i)global north": "place:global-north",
    r"(?i)global south": "place:global-south",
    r"(?i)developing countries": "place:developing-countries",
    r"Technical Manual": "document:technical-manual-on-soc-management",
    r"2018 study": "document:2018-study-about-potential-funders",
    r"Qualitative data": "document:qualitative-data-on-soil-carbon-certification-schemes",
    r"A5-Library": "document:a5-library",
    r'"4 per 1000" strategy': "document:4p1000-strategy",
    r"EX-?ACT|Ex-Ante": "tool:ex-act",
    r"\bCBP\b|Carbon Benefits": "tool:cbp",
    r"(?i)d3\.js": "tool:d3-js",
    r"(?i)firebase": "tool:firebase",
    r"(?i)flutter": "tool:flutter",
    r"WOCAT": "database:wocat",
    r"(?i)GloSIS": "database:glosis",
}
#: Abbreviations and words in capitals that name no thing; ACT is the second half of EX-ACT.
COMMON = {
    *("ACT", "AFOLU", "CBO", "CSO", "CSR", "FBO", "GAFOLUP", "GHG", "IAT", "KPI", "MRV", "NGO"),
    *("PES", "PGS", "PSE", "SLM", "SOC"),
    *("ACTIONS", "COLLABORATION", "CONCEPTUALIZATION", "CROSSCUTTING", "FOLLOW"),
    *("IMPLEMENTATION", "INCEPTION", "PROMOTION"),
}


@cache
def statements() -> dict[str, dict[str, list]]:
    """Subject and predicate to objects, from all data files."""
    found: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for path in sorted((ROOT / "data").glob("*.ttl")):
        for t in ox.parse(path=str(path), format=ox.RdfFormat.TURTLE):
            if isinstance(t.subject, ox.NamedNode):
                predicate = curie(t.predicate.value)
                found[t.subject.value][predicate or t.predicate.value].append(t.object)
    return found


@cache
def texts() -> dict[str, list[str]]:
    """Element of the plan to its English texts."""
    return {
        subject: [
            o.value
            for p in ("skos:prefLabel", "skos:altLabel", "dcterms:description")
            for o in rows[p]
            if o.language == "en"
        ]
        for subject, rows in statements().items()
        if subject.startswith(tuple(PREFIXES[kind] for kind in ELEMENTS))
    }


def of_class(*names: str) -> dict[str, dict[str, list]]:
    classes = {iri(f"k4p:{name}") for name in names}
    return {s: rows for s, rows in statements().items() if classes & set(rows["rdf:type"])}


@cache
def mentions() -> set[tuple[str, str]]:
    """Element and thing, as CURIEs."""
    return {
        (curie(rows["k4p:mentionIn"][0].value), curie(rows["k4p:mentionOf"][0].value))
        for rows in of_class("Mention").values()
    }


@cache
def reviewed() -> set[tuple[str, str]]:
    with FIXTURE.open(encoding="utf-8", newline="") as file:
        return {
            (el, row["thing"]) for row in csv.DictReader(file) for el in row["named_in"].split()
        }


def mentioned() -> set[str]:
    """The things that the plan names; others come from the catalogue and the registers."""
    return {thing for _, thing in mentions()}


def test_every_reviewed_naming_is_a_mention():
    assert reviewed() - mentions() == set()


def test_every_mention_of_a_named_thing_was_reviewed():
    named = {m for m in mentions() if not m[1].startswith("group:")}
    assert named - reviewed() == set()


def test_reviewed_list_gives_each_thing_its_class():
    with FIXTURE.open(encoding="utf-8", newline="") as file:
        listed = {row["thing"]: row["kind"] for row in csv.DictReader(file)}
    typed = {curie(s): kind for kind in KINDS for s in of_class(kind)}
    assert listed == {thing: kind for thing, kind in typed.items() if thing in mentioned()}


def test_reviewed_list_is_sorted():
    with FIXTURE.open(encoding="utf-8", newline="") as file:
        things = [row["thing"] for row in csv.DictReader(file)]
    assert things == sorted(things)


def test_every_quote_stands_in_its_element_to_the_letter():
    wrong = [
        (curie(s), rows["k4p:quote"][0].value)
        for s, rows in of_class("Mention").items()
        if not any(
            rows["k4p:quote"][0].value in text
            for text in texts().get(rows["k4p:mentionIn"][0].value, [])
        )
    ]
    assert wrong == []


def test_an_element_and_a_thing_have_one_mention_at_most():
    assert len(of_class("Mention")) == len(mentions())


def test_every_thing_is_mentioned_or_says_where_it_comes_from():
    without = {
        curie(s)
        for s, rows in of_class(*KINDS, "Methodology", GROUP).items()
        if not rows["dcterms:source"] and not rows["dcterms:bibliographicCitation"]
    }
    assert without - mentioned() == set()


def test_every_mention_is_of_a_described_thing():
    things = {curie(s) for s in of_class(*KINDS, GROUP)}
    assert {thing for _, thing in mentions()} - things == set()


def test_every_thing_has_one_english_label():
    wrong = [
        curie(s)
        for s, rows in of_class(*KINDS, GROUP).items()
        if [o.language for o in rows["skos:prefLabel"]].count("en") != 1
    ]
    assert wrong == []


def test_every_stakeholder_group_has_a_definition():
    wrong = [curie(s) for s, rows in of_class(GROUP).items() if not rows["skos:definition"]]
    assert wrong == []


@pytest.mark.parametrize("predicate", ["skos:prefLabel", "skos:exactMatch"])
def test_no_two_things_share(predicate):
    owners = defaultdict(set)
    for subject, rows in of_class(*KINDS, GROUP).items():
        for value in rows[predicate]:
            owners[str(value)].add(curie(subject))
    assert {value: s for value, s in owners.items() if len(s) > 1} == {}


def test_every_organisation_has_a_type():
    wrong = [
        curie(s)
        for s, rows in of_class("Organisation").items()
        if len(rows["k4p:organisationType"]) != 1
    ]
    assert wrong == []


@for_each("pattern", NAMES)
def test_no_element_names_without_mention(pattern):
    naming = {curie(s) for s, found in texts().items() if re.search(pattern, "\n".join(found))}
    missing = {
        (element, thing)
        for thing in NAMES[pattern].split()
        for element in naming
        if (element, thing) not in mentions()
    }
    assert naming, "the pattern finds nothing, so it checks nothing"
    assert missing == set()


def test_name_patterns_cover_every_named_thing():
    covered = {thing for things in NAMES.values() for thing in things.split()}
    assert {curie(s) for s in of_class(*KINDS)} & mentioned() == covered


def test_every_abbreviation_is_a_name_or_known_to_be_none():
    unknown = {
        (curie(subject), word)
        for subject, found in texts().items()
        for word in re.findall(r"\b[A-Z]{3,}(?=s?\b)", " ".join(found))
        if word not in COMMON and not any(re.search(pattern, word) for pattern in NAMES)
    }
    assert unknown == set()


def test_identifiers_come_from_the_verified_tables():
    """An extra check, only where the tables lie next to the project."""
    tables = sorted((SHARED / "data").glob("*.csv"))
    others = [SHARED / "data/specs/sdg-codes.ttl", SHARED / "reference/domain.md"]
    if not tables or not all(path.exists() for path in others):
        pytest.skip("the verified tables are not next to the project")
    verified = "\n".join(path.read_text(encoding="utf-8") for path in [*tables, *others])
    used = {
        o.value
        for rows in of_class(*KINDS, GROUP).values()
        for p in ("skos:exactMatch", "skos:closeMatch", "foaf:homepage")
        for o in rows[p]
    }
    # Some identifiers of Wikidata stand in the notes without their namespace.
    short = {v: v.removeprefix("http://www.wikidata.org/entity/") for v in used}
    # The tables have the numbers of GeoNames only.
    short |= {v: v.split("/")[-2] for v in used if v.startswith("https://sws.geonames.org/")}
    assert {
        v for v in used if not re.search(rf"{re.escape(short[v])}(?![0-9A-Za-z])", verified)
    } == set()
