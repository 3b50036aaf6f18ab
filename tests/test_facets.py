"""The facets of activities: complete, quoted to the letter, from the right lists, and followed by the short ways."""

import re
from collections import defaultdict
from functools import cache
from pathlib import Path

import pyoxigraph as ox
import pytest

from kg4p1000.curation.build import parse_file
from kg4p1000.kernel.terms import CODE, PREFIXES, TERMS
from kg4p1000.reasoning.inference import rules

ROOT = Path(__file__).resolve().parents[1]
FACETS = {
    "action-kind": "ActionKind",
    "deliverable": "Deliverable",
    "target-group": "TargetGroup",
    "topic": "Topic",
}
#: Titles and texts that plan the same, and the deliverable that must then come first.
GENERIC = {
    r"^(Resource mobilization|Mobilize resources|Solicit for resources)": "mobilised-resources",
    r"^Agile development$|agile systems development|agile and demand driven": "iterative-release",
    r"^Training of users$|training modules for": "user-training",
    r"^Gaps Analysis$|^Needs and gap analysis$|^Analyze gaps": "gap-analysis",
    r"curricul(a|um)$|^Inclusion in curricula": "curriculum",
}


@cache
def graph() -> ox.Store:
    """Plan, facets and code lists, as one graph."""
    store = ox.Store()
    files = ("data/facets", "data/plan-2021-10-14", "ontology/codes-facets")
    for triple in (t for name in files for t in parse_file(ROOT / f"{name}.ttl")):
        store.add(ox.Quad(*triple))
    return store


def ask(query: str) -> list[tuple]:
    return [tuple(row) for row in graph().query(query, prefixes=PREFIXES)]


@cache
def annotations() -> dict[tuple[str, str], list[tuple[int, str]]]:
    """Activity and facet to ranks and codes, in order of rank."""
    found = defaultdict(list)
    for facet, name in FACETS.items():
        for activity, rank, code in ask(
            f"SELECT ?a ?r ?c {{ ?x k4p:annotationOf/skos:notation ?a ; k4p:rank ?r ; k4p:gives{name} ?c }}"
        ):
            assert code.value.startswith(f"{CODE}{facet}/")
            found[activity.value, facet].append((int(rank.value), code.value.rsplit("/", 1)[1]))
    return {key: sorted(values) for key, values in found.items()}


def activities() -> dict[str, tuple[str, str]]:
    """Code of each activity to title and description."""
    rows = ask(
        "SELECT ?c ?t ?d { ?a a k4p:Activity ; skos:notation ?c ; skos:prefLabel ?t ; dcterms:description ?d }"
    )
    return {code.value: (title.value, text.value) for code, title, text in rows}


@pytest.mark.parametrize("facet", ["action-kind", "deliverable", "topic"])
def test_every_activity_of_the_plan_has_the_facet(facet):
    assert len(activities()) == 163
    assert {a for a, f in annotations() if f == facet} == set(activities())


def test_ranks_go_from_one_to_at_most_four_without_a_gap():
    for key, values in annotations().items():
        assert [rank for rank, _ in values] == list(range(1, len(values) + 1)), key
        assert len(values) <= 4, key
        assert len({code for _, code in values}) == len(values), key


def test_the_primary_annotation_is_that_of_rank_one():
    said = {x.value for (x,) in ask("SELECT ?x { ?x k4p:primaryAnnotationOf ?a }")}
    assert said == {x.value for (x,) in ask("SELECT ?x { ?x k4p:annotationOf ?a ; k4p:rank 1 }")}
    assert len(said) == len(annotations())


def test_a_quote_stands_in_title_or_description_to_the_letter():
    rows = ask("SELECT ?c ?q { ?x k4p:annotationOf/skos:notation ?c ; k4p:quote ?q }")
    assert len(rows) > 1000
    texts = activities()
    for code, quote in rows:
        assert any(quote.value in text for text in texts[code.value]), (code.value, quote.value)


def test_what_no_word_carries_is_less_sure():
    rows = ask(
        "SELECT ?c { ?x k4p:confidence ?c ; k4p:rank ?r FILTER NOT EXISTS { ?x k4p:quote ?q } }"
    )
    assert rows
    assert max(float(c.value) for (c,) in rows) < 0.7


def test_what_one_reading_only_has_is_less_sure_than_what_both_have():
    sure = defaultdict(list)
    for method, confidence in ask("SELECT ?m ?c { ?x k4p:method ?m ; k4p:confidence ?c }"):
        sure[method.value.startswith("Found in one of two")].append(float(confidence.value))
    assert max(sure[True]) <= 0.6
    assert sum(sure[True]) / len(sure[True]) < sum(sure[False]) / len(sure[False]) - 0.2


@pytest.mark.parametrize(("pattern", "code"), GENERIC.items(), ids=GENERIC.values())
def test_the_same_plan_in_other_words_has_the_same_primary_deliverable(pattern, code):
    alike = [
        a
        for a, (title, text) in activities().items()
        if re.search(pattern, f"{title}\n{text}", re.MULTILINE)
    ]
    assert len({a[:2] for a in alike}) > 1
    for activity in alike:
        primary, *others = [c for _, c in annotations()[activity, "deliverable"]]
        # E1.6 is first of all the catalogue that it develops.
        assert code == primary or (activity == "E1.6" and code in others), activity


# The code lists


def test_deliverables_have_two_levels():
    broader = {n.value: b.value for n, b in ask("SELECT ?n ?b { ?n skos:broader ?b }")}
    codes = {c.value for (c,) in ask("SELECT ?c { ?c skos:inScheme code:deliverable }")}
    broad = set(broader.values())
    assert set(broader) | broad == codes
    assert not set(broader) & broad
    assert all(list(broader.values()).count(code) > 1 for code in broad)
    assert broad == {c.value for (c,) in ask("SELECT ?c { ?c skos:topConceptOf code:deliverable }")}


def test_every_code_is_used_and_of_deliverables_the_narrow_ones():
    used = {(f, code) for (_, f), values in annotations().items() for _, code in values}
    leaves = {
        tuple(c.value.removeprefix(CODE).split("/"))
        for (c,) in ask(
            "SELECT ?c { ?c skos:inScheme ?s FILTER NOT EXISTS { ?n skos:broader ?c } }"
        )
    }
    assert used == leaves


@pytest.mark.parametrize("prop", ["prefLabel", "definition", "scopeNote"])
def test_a_code_says_it_in_three_languages(prop):
    told = defaultdict(list)
    for code, text in ask(f"SELECT ?c ?t {{ ?c skos:inScheme ?s ; skos:{prop} ?t }}"):
        told[code].append(text.language)
    assert {tuple(sorted(languages)) for languages in told.values()} == {("en", "es", "fr")}
    if prop != "scopeNote":
        assert len(told) == len(ask("SELECT ?c { ?c skos:inScheme ?s }"))


@pytest.mark.parametrize("lang", ["en", "es", "fr"])
def test_no_two_codes_of_a_list_have_the_same_label(lang):
    rows = ask(
        f"SELECT ?s ?t {{ ?c skos:inScheme ?s ; skos:prefLabel ?t FILTER(LANG(?t) = '{lang}') }}"
    )
    assert len(rows) == len(set(rows))


# The short ways


def test_short_ways_lead_to_all_codes_and_to_the_primary_ones():
    inferred = ox.Store()
    inferred.extend(graph())
    made = rules(parse_file(ROOT / "ontology" / "facets.ttl"))
    size = -1
    while size < len(inferred):
        size = len(inferred)
        for rule in made:
            inferred.extend(ox.Quad(*t) for t in inferred.query(rule.sparql()))
    for facet, name in FACETS.items():
        told = {(a, c) for (a, f), values in annotations().items() if f == facet for _, c in values}
        first = {(a, values[0][1]) for (a, f), values in annotations().items() if f == facet}
        for prop, wanted in ((name[0].lower() + name[1:], told), (f"primary{name}", first)):
            pairs = inferred.quads_for_pattern(None, ox.NamedNode(TERMS + prop), None)
            assert {
                (q.subject.value.rsplit("/", 1)[1], q.object.value.rsplit("/", 1)[1]) for q in pairs
            } == wanted


def test_the_page_tells_the_numbers_of_the_data():
    text = (ROOT / "docs" / "facets.md").read_text("utf-8")
    told = {facet: text.split(f"`code:{facet}` |")[1].split("\n")[0] for facet in FACETS}
    for facet, line in told.items():
        count = sum(len(v) for (_, f), v in annotations().items() if f == facet)
        codes = len(ask(f"SELECT ?c {{ ?c skos:inScheme code:{facet} }}"))
        numbers = [int(n) for n in re.findall(r"\d+", line)]
        assert (sum(numbers[:-1]), numbers[-1]) == (codes, count), facet
    methods = [m.value for (m,) in ask("SELECT ?m { ?x k4p:method ?m ; k4p:rank ?r }")]
    both = methods.count("Two readings of title and description by the annotation rules agree.")
    rank = sum("differ in its rank" in m for m in methods)
    one = len(methods) - both - rank
    assert (
        f"Of the {len(methods):,} annotations, {both} stand in both readings, {rank} in both"
        in text
    )
    assert f"another rank, and {one} in one only" in text
    without = 163 - sum(f == "target-group" for _, f in annotations())
    assert f"{without} activities have none" in text
