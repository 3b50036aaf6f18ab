"""What the catalogue and the register of parties answer, and what they leave open."""

import re
from collections import defaultdict
from pathlib import Path

import pyoxigraph as ox
import pytest

from kg4p1000.curation.build import parse_file
from kg4p1000.kernel.terms import curie, prefix_declarations

QUERIES = Path(__file__).resolve().parents[1] / "queries" / "competency"


def rows(name: str, update: str) -> list[dict[str, str]]:
    """The rows of a stored query over a graph that an update makes."""
    store = ox.Store()
    store.update(prefix_declarations() + f"INSERT DATA {{ {update} }}")
    text = (QUERIES / f"{name}.rq").read_text(encoding="utf-8")
    found = store.query(text)
    return [{v.value: row[v].value for v in found.variables if row[v] is not None} for row in found]


# --- parties

CONVENTIONS = """
    convention:unfccc a k4p:Convention ; skos:prefLabel "UNFCCC"@en .
    convention:ndc a k4p:Convention ; skos:prefLabel "NDC"@en .
"""


def test_parties_that_nobody_recorded_are_not_counted_as_none():
    found = rows("conventions-and-parties", CONVENTIONS)
    assert len(found) == 2 and not any("parties" in row for row in found)


def test_a_convention_with_parties_has_their_number_and_others_none():
    parties = "place:FRA k4p:partyTo convention:unfccc . place:KEN k4p:partyTo convention:unfccc ."
    found = rows("conventions-and-parties", CONVENTIONS + parties)
    assert {row["name"]: row.get("parties") for row in found} == {"UNFCCC": "2", "NDC": None}


# --- codes and the words that they rest on

TEXTS = ("skos:prefLabel", "k4p:measuresText")
#: Texts of an entry in which the words for a code of each property may stand.
READ_IN = {
    "k4p:access": ("k4p:accessText",),
    "k4p:atScale": ("k4p:scaleText",),
    "k4p:evidenceKind": TEXTS,
    # The map of offset protocols that is cited for some lists those for which credits are issued.
    "k4p:financeGoal": (*TEXTS, "dcterms:bibliographicCitation"),
    "k4p:inPlace": ("k4p:scaleText",),
    "k4p:inRegion": ("k4p:scaleText",),
    "k4p:measuredProperty": TEXTS,
    "k4p:methodTier": TEXTS,
    "k4p:readiness": ("k4p:accessText",),
}
#: Words of which one must stand in the texts of an entry that has the code.
WORDS = {
    "access:free": r"\bfree\b|\bpublic\b",
    "access:open": r"(?<!not )open source|open access|CC BY(-SA)? \d|Apache|LGPL",
    "access:paid": r"membership",
    "access:restricted": r"token|CC BY-NC|on request|licence agreement|no transfer",
    "evidence-kind:measured": r"\bmeasure[ds]|measurement|sampl|profile|laborator|\blab\b",
    "evidence-kind:modelled": r"\bmodels?\b|modelled|predict|default",
    "evidence-kind:proxy": r"rating",
    "evidence-kind:remote-sensing": r"satellite",
    "finance-goal:carbon-market": r"credit|offset",
    "measured-property:biodiversity": r"biodiversity",
    "measured-property:biomass-carbon": r"biomass",
    "measured-property:bulk-density": r"bulk density",
    # “Also as carbon credits”, as the definition of the code has it.
    "measured-property:ghg-balance": r"\bGHG|emissions?\b|credits",
    "measured-property:land-cover": r"land (use|cover)",
    "measured-property:practices": r"experiences|technologies and approaches",
    "measured-property:productivity": r"productivity|yield|crop growth",
    "measured-property:soc": r"\bSOC\b|organic carbon|soil carbon",
    "measured-property:soc-change": r"(SOC|soil( organic)? carbon)\b.*(chang|increase|gain|storage"
    r"|accumulation|sequestration)",
    "measured-property:soc-content": r"carbon content|SOC (content|concentration)",
    "measured-property:soc-stock": r"SOC stock|soil carbon stock|tC/ha",
    "measured-property:soc-turnover": r"turnover|respiration|CO2 release|carbon (cycle|dynamics)"
    r"|\bC, N.* dynamics|carbon and nitrogen cycling",
    "measured-property:soil-erosion": r"erosion|soil loss",
    "measured-property:soil-health": r"soil (health|quality)",
    "measured-property:soil-organic-matter": r"soil organic matter",
    "measured-property:soil-properties": r"soil (propert|characteristic|structure|descriptor"
    r"|information)|soil-related|\bpH\b|chemical, physical",
    "measured-property:water": r"\bwater\b",
    "place:AUS": r"Australia",
    "place:FRA": r"France",
    "place:USA": r"United States",
    "place:eu-countries": r"European Union",
    "readiness:inactive": r"inactive",
    "region:002": r"Africa",
    "region:021": r"United States",
    "region:053": r"Australia",
    "region:150": r"Europe",
    "region:155": r"France",
    "region:202": r"sub-Saharan",
    "scale:continent": r"continent|Africa|Europe",
    "scale:country": r"\bcountry|national",
    "scale:farm": r"\bfarm",
    "scale:field": r"\bfield",
    "scale:global": r"\bglobal",
    "scale:landscape": r"landscape",
    "scale:plot": r"\bplot|\bsite\b",
    "scale:project": r"project",
    "scale:subnational": r"\bregion|local",
    "scale:value-chain": r"value chain|product",
    "tier:1": r"Tier 1",
    "tier:2": r"Tier 2",
    "tier:3": r"Tier 3",
}
SCALE_RANGE = r"(plot|site|farm|project) to (\w+)"


def wordless(entries: dict[str, dict[str, list]]) -> list[tuple[str, str]]:
    """Codes (entry, code) for which no word stands in the texts of their entry."""
    found = []
    for subject, about in entries.items():
        for prop, texts in READ_IN.items():
            said = " ".join(v.value for text in texts for v in about[text])
            for code in (curie(v.value) for v in about[prop]):
                between = prop == "k4p:atScale" and re.search(SCALE_RANGE, said)
                model = code == "evidence-kind:modelled" and any(
                    curie(v.value) == "mrv-kind:model" for v in about["k4p:mrvKind"]
                )
                if not (model or between or re.search(WORDS[code], said, re.IGNORECASE)):
                    found.append((subject, code))
    return found


@pytest.fixture
def entries() -> dict[str, dict[str, list]]:
    """The entries of the catalogue: CURIE to property (CURIE) to values."""
    found: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for t in parse_file(QUERIES.parents[1] / "data" / "mrv.ttl"):
        found[curie(t.subject.value)][curie(t.predicate.value)].append(t.object)
    return found


def test_each_code_of_the_catalogue_has_words_in_its_entry(entries):
    """Codes between the ends of a range are compared with the range in ``test_knowledge_data``."""
    assert wordless(entries) == []


def test_a_code_without_words_is_found(entries):
    wrong = {
        "methodology:bcarbon": ("k4p:financeGoal", "finance-goal:carbon-market"),
        "database:carbonplan-soil-protocols": ("k4p:access", "access:free"),
        "tool:epic-model": ("k4p:access", "access:open"),
        "database:gsocmap": ("k4p:atScale", "scale:farm"),
        "methodology:regen-c07": ("k4p:measuredProperty", "measured-property:soc-change"),
    }
    for subject, (prop, code) in wrong.items():
        prefix, _, local = code.partition(":")
        entries[subject][prop].append(
            ox.NamedNode(f"https://w3id.org/kg4p1000/code/{prefix}/{local}")
        )
    assert set(wordless(entries)) == {(s, code) for s, (_, code) in wrong.items()}


def test_no_maintainer_is_the_account_of_a_person(entries):
    """A repository that one person keeps says so in its address, not in who maintains it."""
    for subject, about in entries.items():
        for words in about["k4p:maintainerText"]:
            assert not re.search(r"^[\w-]+/[\w-]+$|^[a-z-]+ \(repository\)$", words.value), subject
