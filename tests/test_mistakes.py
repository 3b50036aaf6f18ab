"""Mistakes of a steward's day are found before they are published, and correct edits pass without a word."""

import json
import re
import shutil
from pathlib import Path

import pytest
from pyoxigraph import Quad

from kg4p1000.access import Role
from kg4p1000.build import build, load, load_shapes, merged_sources
from kg4p1000.curation import commit
from kg4p1000.errors import BadParameter, BrokenFile, ShapesViolated
from kg4p1000.store import Delta
from kg4p1000.terms import ID, PREFIXES, SHAPES, iri, mint
from kg4p1000.writer import perform

ROOT = Path(__file__).parents[1]
FILE = ROOT.parent / "shared" / "cases" / "mistakes.json"
#: Kinds of things that have no prefix of their own.
KINDS = ("event", "progress", "observation", "site", "scheme", "project", "commitment", "evidence")
ACTORS, MRV, TARGETS = "graph:actors", "graph:mrv", "graph:targets"
FAO = "organisation:fao"


def findings(store, update):
    names = PREFIXES | {kind: f"{ID}{kind}/" for kind in KINDS}
    declared = set(re.findall(r"PREFIX ([\w-]+):", update))
    head = "".join(f"PREFIX {p}: <{ns}>\n" for p, ns in names.items() if p not in declared)
    request = {
        "kind": "update", "role": Role.STEWARD, "author": mint("agent", "tests").value,
        "dry_run": True, "text": head + update,
    }  # fmt: skip
    report = perform(store, ROOT, request)["report"]
    return {f["shape"].rsplit("/", 1)[1]: f["severity"] for f in report["findings"]}


def add(graph, text):
    return f"INSERT DATA {{ GRAPH {graph} {{ {text} }} }}"


def put(graph, subject, predicate, value):
    return (
        f"WITH {graph} DELETE {{ {subject} {predicate} ?old }}"
        f" INSERT {{ {subject} {predicate} {value} }} WHERE {{ {subject} {predicate} ?old }}"
    )


def label(text):
    return add(ACTORS, f"convention:cbd skos:altLabel {text}")


def progress(value="14", day="2026-01-31", indicator="parties-enlisted", target="A1-2030"):
    return add(
        TARGETS,
        f'progress:p1 a k4p:ProgressObservation ; rdfs:label "Parties in 2026"@en ;'
        f" k4p:progressOn target:{target} ; k4p:indicator indicator:{indicator} ;"
        f' k4p:asOf "{day}"^^xsd:date ; k4p:value "{value}"^^xsd:decimal .',
    )


def soil(value, unit, kind="soc", upper=0, lower=30, day="2020-05-01"):
    return add(
        "graph:soil",
        'site:s1 a k4p:SoilSite ; rdfs:label "Plot 1"@en ; skos:prefLabel "Plot 1"@en .'
        ' observation:o1 a k4p:SoilObservation ; rdfs:label "Plot 1, topsoil"@en ;'
        f" k4p:observedSite site:s1 ; k4p:observedProperty measured-property:{kind} ;"
        f' k4p:resultValue "{value}"^^xsd:decimal ;'
        f" k4p:resultUnit <https://w3id.org/kg4p1000/code/unit/{unit}> ;"
        f' k4p:resultDate "{day}"^^xsd:date ; k4p:upperDepth "{upper}"^^xsd:decimal ;'
        f' k4p:lowerDepth "{lower}"^^xsd:decimal .',
    )


def organisation(key, name, more=""):
    return add(
        ACTORS,
        f"organisation:{key} a k4p:Organisation ; skos:prefLabel {name} ;"
        f" k4p:organisationType organisation-type:network {more} .",
    )


def event(more, day="2026-03-01"):
    return add(
        ACTORS,
        f'event:e1 a k4p:Event ; skos:prefLabel "Meeting"@en ; rdfs:label "Meeting"@en ;'
        f' k4p:eventKind <https://w3id.org/kg4p1000/code/event-kind/regional-meeting> ;'
        f' k4p:startDate "{day}"^^xsd:date {more} .',
    )  # fmt: skip


M = "measure:B4-2030-2"
MISTAKES = {
    "share above 100": put(TARGETS, M, "k4p:value", "120.0"),
    "figure below 0": put(TARGETS, "measure:B4-2030-1", "k4p:value", "-40.0"),
    "half a country": put(TARGETS, "measure:B4-2030-1", "k4p:value", "40.5"),
    "figure that the quote does not have": put(TARGETS, M, "k4p:value", "25.0"),
    "greatest figure that the quote does not have": put(
        TARGETS, "measure:A2-2020-1", "k4p:maxValue", "12.0"
    ),
    "least figure that the quote does not have": put(
        TARGETS, "measure:A2-2020-1", "k4p:minValue", "4.0"
    ),
    "more than the total": put(TARGETS, "measure:A1-2020-2", "k4p:value", "200.0"),
    "money counted in percent": put(TARGETS, "indicator:managed-budget", "k4p:unit", "unit:percent"),
    "percent counted in Euro": put(TARGETS, "indicator:farms-reached", "k4p:unit", "unit:euro"),
    "due after the horizon": put(TARGETS, M, "k4p:dueYear", '"2040"^^xsd:gYear'),
    "due before the plan": put(TARGETS, "measure:A1-2020-1", "k4p:dueYear", '"1919"^^xsd:gYear'),
    "quote without words": put(TARGETS, M, "k4p:quote", '"20"'),
    "progress above 100 percent": progress("101"),
    "progress to come": progress(day="2098-01-31"),
    "progress before the plan": progress(day="1999-01-31"),
    "progress of another objective's indicator": progress(indicator="farms-reached"),
    "event in another century": event("", "1826-03-01"),
    "document issued in the future": add(ACTORS, 'document:crcf dcterms:issued "2098-01-01"^^xsd:date'),
    "organic carbon of 900 g/kg": soil(900, "g-per-kg"),
    "bulk density of 12": soil(12, "g-per-cm3", "bulk-density"),
    "bulk density in percent": soil(1.2, "percent", "bulk-density"),
    "carbon in dollars": soil(1.2, "usd-per-t-co2e"),
    "negative carbon": soil(-1.2, "percent"),
    "depth of 50 m": soil(1.2, "percent", lower=5000),
    "soil of the future": soil(1.2, "percent", day="2098-01-01"),
    "wiki page of Wikidata": add(ACTORS, f"{FAO} skos:exactMatch <https://www.wikidata.org/wiki/Q82151>"),
    "small letter": add(ACTORS, f"{FAO} skos:exactMatch <http://www.wikidata.org/entity/q82151>"),
    "ROR too short": add(ACTORS, f"{FAO} skos:exactMatch <https://ror.org/00pe0tf>"),
    "AGROVOC by https": add(ACTORS, f"{FAO} skos:exactMatch <https://aims.fao.org/aos/agrovoc/c_2848>"),
    "AGROVOC without c_": add(ACTORS, f"{FAO} skos:exactMatch <http://aims.fao.org/aos/agrovoc/2848>"),
    "DOI without its number": add(MRV, "tool:apsimx dcterms:source <https://doi.org/envsoft.2014>"),
    "ORCID too short": add(MRV, "tool:apsimx dcterms:source <https://orcid.org/0000-0002-182>"),
    "area of two digits": add("graph:countries", "place:AFG skos:exactMatch <http://metadata.un.org/sdg/codes/geoArea/04>"),
    "two identifiers in Wikidata": add(ACTORS, f"{FAO} skos:exactMatch <http://www.wikidata.org/entity/Q42>"),
    "the same as another of ours": add(ACTORS, f"{FAO} skos:exactMatch organisation:wocat"),
    "home page twice http": add(ACTORS, "organisation:cgiar foaf:homepage <https://https://www.cgiar.org>"),
    "codes of two countries": put("graph:countries", "place:MLI", "k4p:iso2", '"ML2"'),
    "code of the neighbour": put("graph:countries", "place:BEN", "k4p:iso2", '"NE"'),
    "number of the neighbour": put("graph:countries", "place:BEN", "k4p:m49", '"466"'),
    "three letters of another": put("graph:countries", "place:BEN", "k4p:iso3", '"MLI"'),
    "wrong region": put("graph:countries", "place:BEN", "k4p:inRegion", "region:014"),
    "country without its codes": "DELETE WHERE { GRAPH graph:countries { place:FRA ?p ?o } }",
    "name of another organisation": organisation("x", '"World Bank"@en'),
    "other name of another organisation": organisation("x", '"FAO"@en'),
    "identifier of another organisation": organisation(
        "x", '"UN agency"@en', "; skos:exactMatch <http://www.wikidata.org/entity/Q82151>"
    ),
    "abbreviation of another term": put("graph:glossary", "term:cc", "k4p:abbreviation", '"CBO"@en'),
    "blank before": label('" Biodiversity treaty"@en'),
    "two blanks": label('"Biodiversity  treaty"@en'),
    "blank that does not break after": label('"Biodiversity treaty\u00a0"@en'),
    "sign without width": label('"Biodiversity\u200b treaty"@en'),
    "control sign": label('"Biodiversity\\u0003 treaty"@en'),
    "byte order mark": label('"\ufeffBiodiversity treaty"@en'),
    "mark-up": label('"<i>Biodiversity</i> treaty"@en'),
    "entity": label('"Biodiversity &amp; nature treaty"@en'),
    "stars": label('"**Biodiversity** treaty"@en'),
    "mojibake": label('"Convenio sobre la diversidad biolÃ³gica"@es'),
    "mojibake of a quotation mark": label('"Farmersâ€™ treaty"@en'),
    "lost letter": label('"Convention sur la diversit\ufffd biologique"@fr'),
    "no such language": label('"Biodiversity treaty"@eng-english'),
    "letters of another alphabet": label('"Биоразнообразие"@en'),
    "one letter of another alphabet": label('"Biodiversity tr\u0435aty"@en'),
    "Spanish as English": put(
        ACTORS, "convention:cbd", "skos:prefLabel", '"Convenio sobre la diversidad biológica y del mar"@en'
    ),
    "English as French": add(ACTORS, 'convention:cbd skos:definition "The treaty of the parties on nature"@fr'),
    "slip in SKOS": add(MRV, 'tool:apsimx skos:prefLable "APSIM X"@en'),
    "slip in FOAF": add(MRV, "tool:apsimx foaf:homePage <https://www.apsim.info/>"),
    "slip in Dublin Core": add(MRV, "tool:apsimx dcterms:sources <https://www.apsim.info/>"),
    "class of no vocabulary": add(MRV, "tool:apsimx a prov:Entitty"),
    "https for SKOS": add(MRV, 'tool:apsimx <https://www.w3.org/2004/02/skos/core#altLabel> "X"@en'),
    "www before ours": add(MRV, "<https://www.w3id.org/kg4p1000/id/tool/apsimx> k4p:mrvKind mrv-kind:model"),
    "class as a property": add(MRV, "tool:apsimx k4p:Tool tool:cbp"),
    "property as a class": add(MRV, "tool:apsimx a k4p:mrvKind"),
    "accepted by a program": put("graph:mentions", "mention:A1.1-4p1000", "k4p:status", "status:accepted"),
    "maintainer that is nowhere": add(MRV, "tool:apsimx k4p:maintainedBy organisation:wurr"),
    "section that is nowhere": add(MRV, "tool:apsimx dcterms:source section:2021-10-14-99.9"),
    "something said of nothing": add(MRV, "tool:apsimxx foaf:homepage <https://www.apsim.info/>"),
    "tool in use is deleted": "DELETE WHERE { GRAPH graph:mrv { tool:ex-act ?p ?o } }",
    "organiser that is nowhere": event("; k4p:organisedBy organisation:nobody"),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_found(store, name):
    assert findings(store, MISTAKES[name])


WHERE_IT_CANNOT_BE_RIGHT = [
    "share above 100", "half a country", "due after the horizon", "bulk density in percent",
    "ROR too short", "wrong region", "identifier of another organisation", "two blanks", "mojibake",
    "slip in SKOS", "maintainer that is nowhere", "accepted by a program",
]  # fmt: skip


@pytest.mark.parametrize("name", WHERE_IT_CANNOT_BE_RIGHT)
def test_what_cannot_be_right_is_a_violation(store, name):
    assert "violation" in findings(store, MISTAKES[name]).values()


@pytest.mark.skipif(not FILE.exists(), reason="the shared cases are not here")
def test_shared_mistakes_are_found(store):
    cases = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else []
    missed = [name for name, update in cases if not findings(store, update)]
    # A number of AGROVOC that was cut is a number of AGROVOC still.
    assert [name for name in missed if "AGROVOC id cut" not in name] == []


TEXTS = [
    '"Biodiversity convention"@en', '"Convention on Biological Diversity (1992)"@en', '"CBD/COP"@en',
    '"Convenio sobre la Diversidad Biológica"@es', '"La convention de Rio"@fr', '"KBR"@ru',
    '"Конвенция о биологическом разнообразии"@ru', '"اتفاقية التنوع البيولوجي"@ar', '"生物多样性公约"@zh',
    '"Übereinkommen über die biologische Vielfalt"@de', '"Convenção sobre Diversidade Biológica"@pt',
    '"Convention « biodiversité »"@fr', '"Biodiversity & nature"@en', '"CBD < 2030"@en',
    '"L’accord de São Paulo"@fr', '"Convention on Biological Diversity – text"@en',
    '"CO₂ and soils: 4‰ a year"@en', '"Mkataba wa Bayoanuwai"@sw', '"¿Qué es el CBD?"@es',
    '"What is the CBD?"@en', '"Convention des parties à Montréal"@fr', '"C.B.D."@en',
    '"生物多樣性公約"@zh-Hant', '"Biodiversity convention"@en-GB',
]  # fmt: skip
CORRECT = {
    **{f"name {text}": label(text) for text in TEXTS},
    "progress of a share": progress("14"),
    "progress of a count": progress("45", indicator="countries-using-mrv-toolbox", target="B4-2030"),
    "progress of all": progress("100", day="2025-12-31"),
    "soil carbon in percent": soil("1.5", "percent"),
    "soil carbon in g/kg": soil("15.2", "g-per-kg", "soc-content"),
    "soil carbon stock": soil("62", "t-per-ha", "soc-stock", 0, 100),
    "bulk density": soil("1.31", "g-per-cm3", "bulk-density", 30, 60),
    "loss of soil carbon": soil("-0.4", "t-per-ha-year", "soc-change"),
    "peat": soil("52", "percent", "soc", 0, 50, "1998-07-01"),
    "meeting": event("; k4p:organisedBy organisation:fao"),
    "meeting to come": event("; k4p:organisedBy organisation:cgiar", "2031-06-01"),
    "organisation": organisation("icraf-x", '"Soils for Life"@en'),
    "organisation with names": organisation(
        "afa", '"Asian Farmers\' Association"@en , "Association des agriculteurs asiatiques"@fr'
    ),
    "organisation that is called in French": organisation(
        "ird", '"Institut de recherche pour le développement"@en',
        '; skos:altLabel "IRD"@en ; skos:exactMatch <https://ror.org/05q3vnk25>'
    ),
    "organisation with identifiers": organisation(
        "inrae", '"INRAE"@en',
        "; skos:exactMatch <http://www.wikidata.org/entity/Q70571719> , <https://ror.org/003vg9w96>"
        " ; foaf:homepage <https://www.inrae.fr/en>"
    ),
    "home page": add(ACTORS, "convention:cbd foaf:homepage <https://www.cbd.int/>"),
    "identifier in AGROVOC": organisation("a", '"Soil network"@en', "; skos:exactMatch <http://aims.fao.org/aos/agrovoc/c_331557>"),
    "source with a DOI": add(MRV, "tool:apsimx dcterms:source <https://doi.org/10.1016/j.envsoft.2014.07.009>"),
    "source with a query": add(MRV, "tool:apsimx dcterms:source <https://example.org/view?id=72&lang=en>"),
    "other name of a tool": add(MRV, 'tool:apsimx skos:altLabel "APSIM Next Gen"@en'),
    "definition of a tool": add(MRV, 'tool:apsimx skos:definition "A model of crops, soils and climate."@en'),
    "definition in French": add(MRV, 'tool:apsimx skos:definition "Un modèle des cultures et des sols."@fr'),
    "definition in Spanish": add(MRV, 'tool:apsimx skos:definition "Un modelo de los cultivos y del suelo."@es'),
    "maintainer": add(MRV, "tool:apsimx k4p:maintainedBy organisation:cgiar"),
    "scale": add(MRV, "tool:apsimx k4p:atScale scale:farm"),
    "evidence": add(MRV, "tool:apsimx k4p:evidenceKind evidence-kind:modelled"),
    "place of a tool": add(MRV, "tool:apsimx k4p:inPlace place:AUS"),
    "note": add("graph:notes", 'activity:A4.2 skos:editorialNote "Read as “regional platform”; see the draft, p. 12."@en'),
    "note with an address": add("graph:notes", 'activity:A4.2 skos:editorialNote "See https://4p1000.org/?lang=en for more."@en'),
    "quote is shorter": put(TARGETS, M, "k4p:quote", '"20% of the tools"'),
    "corrected figure and quote": (
        'WITH graph:targets DELETE { measure:C2-2030-3 k4p:quote ?q }'
        ' INSERT { measure:C2-2030-3 k4p:quote "Top 20 regionally" } WHERE { measure:C2-2030-3 k4p:quote ?q }'
    ),
    "label of a measure": put(TARGETS, M, "rdfs:label", '"A fifth of the tools is used"@en'),
    "label of an indicator in French": add(TARGETS, 'indicator:farms-reached skos:altLabel "exploitations atteintes"@fr'),
    "other term": add(
        "graph:glossary",
        'term:npp a k4p:GlossaryTerm ; k4p:abbreviation "NPP"@en ; k4p:expandedInPlan false ;'
        ' skos:prefLabel "net primary production"@en , "production primaire nette"@fr .',
    ),
    "French abbreviation": add("graph:glossary", 'term:cbo k4p:abbreviation "OCB"@fr'),
    "other name of a country": add("graph:countries", 'place:BEN skos:altLabel "République du Bénin"@fr , "Republic of Benin"@en'),
    "rejected mention": (
        "WITH graph:mentions DELETE { mention:A1.1-4p1000 k4p:status ?s }"
        " INSERT { mention:A1.1-4p1000 k4p:status status:rejected } WHERE { mention:A1.1-4p1000 k4p:status ?s }"
    ),
    "confidence": put("graph:mentions", "mention:A1.1-4p1000", "k4p:confidence", "0.7"),
    "document": add(ACTORS, 'document:d9 a k4p:Document ; skos:prefLabel "Handbook of soil carbon"@en ; dcterms:issued "2021-05-01"^^xsd:date'),
    "unused organisation is deleted": organisation("gone", '"Gone"@en') + " ; DELETE WHERE { GRAPH graph:actors { organisation:gone ?p ?o } }",
}  # fmt: skip


@pytest.mark.parametrize("name", CORRECT)
def test_correct_edit_passes_without_a_word(store, name):
    assert findings(store, CORRECT[name]) == {}


def test_there_are_enough_correct_edits():
    assert len(CORRECT) >= 60


# --- what contradicts the ontology


def test_a_thing_of_two_classes_that_exclude_each_other_is_refused(own):
    store, shapes = own(), load_shapes(ROOT)
    update = add(ACTORS, "organisation:wocat k4p:objectiveOf goal:A")
    assert findings(store, update)["KindsExclude"] == "violation"
    quad = Quad(
        iri("organisation:wocat"), iri("k4p:objectiveOf"), iri("goal:A"), iri("graph:actors")
    )
    with pytest.raises(ShapesViolated):
        commit(store, shapes, Delta.of([quad]), author="tests", message="x")
    assert store.current == 1


def test_swapped_domain_and_range_are_refused_before_they_are_published(own):
    store, shapes, graph = own(), load_shapes(ROOT), iri("graph:ontology")
    prop, ends = iri("k4p:activityOf"), (iri("k4p:Activity"), iri("k4p:Objective"))
    words = (iri("rdfs:domain"), iri("rdfs:range"))
    gone = {Quad(prop, word, cls, graph) for word, cls in zip(words, ends, strict=True)}
    come = {Quad(prop, word, cls, graph) for word, cls in zip(words, ends[::-1], strict=True)}
    with pytest.raises(ShapesViolated) as caught:
        commit(store, shapes, Delta.of(come, gone), author="tests", message="x")
    assert {f.shape for f in caught.value.report.findings} >= {f"{SHAPES}KindsExclude"}
    assert store.current == 1


# --- graphs that are not registered


def test_a_file_whose_graph_is_not_registered_is_refused(store, tmp_path):
    for name in ("data", "ontology", "shapes"):
        shutil.copytree(ROOT / name, tmp_path / name)
    (tmp_path / "data" / "extra.ttl").write_text("<urn:a> <urn:b> <urn:c> .\n")
    for judge in (merged_sources, lambda files: build(store, files, author="tests", dry_run=True)):
        with pytest.raises(BrokenFile, match=r"extra.ttl.*graph:extra is not registered"):
            judge(tmp_path)


def test_a_new_graph_is_loaded_under_a_title_only(own, tmp_path):
    store, file = own(), tmp_path / "more.nt"
    file.write_text("<http://example.org/a> <http://example.org/b> <http://example.org/c> .\n")

    def take(**more):
        return load(
            store, ROOT, file, iri("graph:nots"), author="tests", limit=1000,
            tell=lambda *_: None, **more,
        )  # fmt: skip

    with pytest.raises(BadParameter, match=r"graph:nots is not registered.*graph:notes"):
        take()
    assert take(register="Notes of others").entry
    with store.draft() as draft:
        assert iri("graph:nots") in draft.merged
    assert take().entry is None


def test_the_page_of_a_thing_that_is_nowhere_is_not_there(client):
    assert client.get("/page/organisation/nobody").status_code == 404
    assert client.get("/code/access/opn", headers={"Accept": "text/html"}).status_code == 404
    assert client.get("/page/organisation/fao").status_code == 200
