"""The catalogue, countries, later edition, procedures and glossary: whole, sourced, and no word invented."""

import csv
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import pytest
from pyoxigraph import Literal, NamedNode

from kg4p1000.curation.build import parse_file
from kg4p1000.kernel.terms import CODE, ID, curie, iri

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
SHARED = ROOT.parent / "shared" / "data"
needs_tables = pytest.mark.skipif(not SHARED.exists(), reason="the source tables are not here")


@cache
def described(name: str) -> dict[str, dict[str, list]]:
    """Subject (CURIE) to property (CURIE) to values, of a data file."""
    found: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for t in parse_file(DATA / f"{name}.ttl"):
        found[curie(t.subject.value)][curie(t.predicate.value)].append(t.object)
    return found


def table(name: str) -> list[dict[str, str]]:
    with (SHARED / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def key(address: str) -> str:
    return address.partition(":")[2]


def catalogue() -> dict[str, dict[str, list]]:
    return {s: about for s, about in described("mrv").items() if about["k4p:mrvKind"]}


# --- the MRV catalogue


def test_the_catalogue_has_its_entries_each_with_a_source():
    assert len(catalogue()) == 85
    for subject, about in catalogue().items():
        assert about["dcterms:bibliographicCitation"], subject
        assert len(about["skos:prefLabel"]) == 1


def test_what_the_plan_names_stands_in_the_catalogue_once():
    assert {"tool:ex-act", "tool:cbp", "database:wocat", "database:glosis"} <= catalogue().keys()
    assert max(Counter(key(s) for s in described("mrv")).values()) == 1


@needs_tables
def test_the_words_of_the_catalogue_are_those_of_its_table():
    rows = {row["id"]: row for row in table("mrv_tools.csv")}
    entries = {key(s): about for s, about in catalogue().items()}
    assert rows.keys() == entries.keys()
    for name, row in rows.items():
        for column, prop in (
            ("scale", "k4p:scaleText"),
            ("measures", "k4p:measuresText"),
            ("licence_or_access", "k4p:accessText"),
        ):
            words = " ".join(row[column].split())
            assert [v.value for v in entries[name][prop]] == ([words] if words else []), name
        assert [v.value.rpartition("/")[2] for v in entries[name]["k4p:mrvKind"]] == [row["kind"]]


def test_a_code_of_the_catalogue_rests_on_words_beside_it():
    """No scale, property or access is coded where the source says nothing of it."""
    for subject, about in catalogue().items():
        for prop, words in (("k4p:atScale", "k4p:scaleText"), ("k4p:access", "k4p:accessText")):
            if about[prop]:
                assert about[words], (subject, prop)


SIZES = ["plot", "field", "farm", "landscape", "subnational", "country", "continent", "global"]


def test_a_range_of_scales_is_coded_with_all_that_lie_between_its_ends():
    names = {"site": "plot", "project": "farm", "region": "subnational"} | {s: s for s in SIZES}
    ranges = 0
    for subject, about in catalogue().items():
        words = " ".join(str(text) for text in about["k4p:scaleText"])
        said = re.search(r"\b(\w+) to (\w+)", words)
        if said and {*said.groups()} <= names.keys():
            low, high = (SIZES.index(names[word]) for word in said.groups())
            coded = {str(code).rstrip(">").rpartition("/")[2] for code in about["k4p:atScale"]}
            assert {*SIZES[low + 1 : high + 1]} <= coded, subject
            ranges += 1
    assert ranges >= 6


# --- countries


def test_countries_have_codes_of_their_own_and_a_name_in_each_language():
    places = described("countries")
    named = described("actors")
    assert len(places) == 249
    for prop in ("k4p:iso3", "k4p:iso2", "k4p:m49"):
        values = [v.value for about in places.values() for v in about[prop]]
        assert len(values) == len(set(values)), prop
    for subject, about in places.items():
        assert [v.value for v in about["k4p:iso3"]] == [key(subject)]
        languages = {
            v.language for v in [*about["skos:prefLabel"], *named[subject]["skos:prefLabel"]]
        }
        assert "en" in languages, subject


def test_codes_with_leading_zeros_are_texts():
    afghanistan = described("countries")["place:AFG"]
    assert afghanistan["k4p:m49"] == [Literal("004")]


def test_no_membership_of_a_convention_is_stated_without_a_source():
    assert not any(about["k4p:partyTo"] for about in described("countries").values())


# --- the edition of 2022


def test_the_later_edition_has_its_labels_and_pages_and_stays_out_of_the_default_graph():
    objectives = {s: a for s, a in described("plan-2022").items() if s.startswith("objective:")}
    assert len(objectives) == 18
    for subject, about in objectives.items():
        assert about["skos:altLabel"], subject
        assert all(v.value.startswith("https://wiki.afris.org/") for v in about["dcterms:source"])
    register = described("graphs")["graph:plan-2022"]
    assert register["k4p:inDefaultGraph"] == [Literal(False)]


def test_labels_of_editions_differ_where_the_page_says_so():
    early, later = described("plan-2021-10-14"), described("plan-2022")
    assert later["objective:A4"]["skos:altLabel"] == [
        Literal("Stakeholder Interaction", language="en")
    ]
    assert later["objective:A4"]["skos:altLabel"] != early["objective:A4"]["skos:prefLabel"]


# --- procedures


def test_procedures_lead_to_glosis_and_to_the_property_that_they_determine():
    procedures = described("soil")
    assert len(procedures) == 53
    for subject, about in procedures.items():
        (match,) = about["skos:exactMatch"]
        assert match.value.startswith("http://w3id.org/glosis/model/procedure/"), subject
        (found,) = about["k4p:determines"]
        assert found.value.startswith(f"{CODE}measured-property/")


# --- the glossary


@cache
def texts() -> dict[str, str]:
    found: dict[str, list[str]] = defaultdict(list)
    for name in ("plan-2020", "plan-2021-10-14"):
        for t in parse_file(DATA / f"{name}.ttl"):
            if t.predicate in (
                iri("skos:prefLabel"),
                iri("skos:altLabel"),
                iri("dcterms:description"),
            ):
                found[t.subject.value].append(t.object.value)
    return {subject: " ".join(parts) for subject, parts in found.items()}


def test_a_term_stands_in_the_text_of_each_element_that_uses_it():
    for subject, about in described("glossary").items():
        (short,) = (v.value for v in about["k4p:abbreviation"] if v.language == "en")
        assert about["k4p:termUsedIn"], subject
        for element in about["k4p:termUsedIn"]:
            spelled = short if short != "PES" else "P(?:ES|SE)"
            assert re.search(spelled, texts()[element.value]), (subject, element)


def test_an_expansion_of_the_plan_has_its_section_and_one_of_ours_says_so():
    for subject, about in described("glossary").items():
        sections = [v for v in about["dcterms:source"] if "/section/" in v.value]
        notes = " ".join(v.value for v in about["skos:editorialNote"])
        if about["k4p:expandedInPlan"] == [Literal(True)]:
            assert sections, subject
        else:
            assert not sections, subject
            assert len(notes) > 70, subject


def test_an_abbreviation_that_the_plan_lets_mean_two_things_is_not_expanded():
    for term in ("term:fbo", "term:cop", "term:magic"):
        about = described("glossary")[term]
        short = {v.value for v in about["k4p:abbreviation"]}
        assert {v.value for v in about["skos:prefLabel"]} == short


def test_every_abbreviation_of_the_plan_stands_in_the_glossary():
    known = {
        v.value.replace(".", "")
        for about in described("glossary").values()
        for v in about["k4p:abbreviation"]
    }
    # The second half of EX-ACT, a slip for PES, and words in capitals.
    known |= {"ACT", "PSE", "WE", "OR", "TV", "UP"}
    words = {"ACTIONS", "COLLABORATION", "CONCEPTUALIZATION", "CROSSCUTTING", "FOLLOW"}
    words |= {"IMPLEMENTATION", "INCEPTION", "PROMOTION"}
    elements = (f"{ID}activity/", f"{ID}objective/", f"{ID}target/", f"{ID}remark/", f"{ID}goal/")
    found = {
        word
        for subject, text in texts().items()
        if subject.startswith(elements)
        for word in re.findall(r"\b[A-Z]{2,}(?=s?\b)", text)
    }
    assert {w for w in found - words if w not in known and w != "EX"} == set()


# --- all of it


@pytest.mark.parametrize("name", ["mrv", "countries", "plan-2022", "soil", "actors"])
def test_sources_are_addresses_that_can_be_followed(name):
    for subject, about in described(name).items():
        for source in about["dcterms:source"]:
            assert isinstance(source, NamedNode), subject
            assert re.fullmatch(r"https?://[^\s<>\"]+", source.value), source
