"""Mistakes of a steward's day are found before they are published, and correct edits pass without a word."""

import base64
import json
import re
import shutil
from pathlib import Path

import pytest
from pyoxigraph import Quad

from everything import some
from kg4p1000.curation.access import Role
from kg4p1000.curation.build import build, load_shapes, merged_sources
from kg4p1000.curation.commits import commit
from kg4p1000.curation.loading import load
from kg4p1000.curation.writer import perform
from kg4p1000.kernel.errors import BadParameter, BrokenFile, ShapesViolated
from kg4p1000.kernel.terms import ID, PREFIXES, SHAPES, iri, mint
from kg4p1000.reasoning import Shapes
from kg4p1000.store import Delta

ROOT = Path(__file__).parents[1]
FILE = ROOT.parent / "shared" / "cases" / "mistakes.json"
#: Kinds of things that have no prefix of their own.
KINDS = (
    "event", "progress", "observation", "site", "scheme", "project", "commitment", "evidence", "assessment", "score", "round",
)  # fmt: skip
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
    try:
        report = perform(store, ROOT, request)["report"]
    except ShapesViolated as refused:
        report = refused.report.to_dict()
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


def assessment(value, unit, criterion="price"):
    codes = "<https://w3id.org/kg4p1000/code/"
    return add(
        ACTORS,
        f'scheme:s1 a k4p:FinanceScheme ; skos:prefLabel "Soil fund"@en ; k4p:schemeKind {codes}scheme-kind/fund> .'
        f' assessment:a1 a k4p:SchemeAssessment ; rdfs:label "Soil fund"@en ; k4p:assessmentOf scheme:s1 ;'
        f" k4p:criterion {codes}comparison-criterion/{criterion}> ; k4p:resultValue {value} ; k4p:resultUnit {codes}unit/{unit}>",
    )  # fmt: skip


def commitment(value, unit, quote):
    codes = "<https://w3id.org/kg4p1000/code/"
    return add(
        ACTORS,
        f'document:p1 a k4p:PolicyDocument ; skos:prefLabel "NDC of Mali"@en ; k4p:policyOf place:MLI ; k4p:policyKind {codes}policy-kind/ndc> .'
        f' commitment:c1 a k4p:Commitment ; k4p:commitmentIn document:p1 ; k4p:commitmentKind {codes}commitment-kind/quantified-target> ;'
        f' k4p:quote "{quote}" ; k4p:resultValue {value} ; k4p:resultUnit {codes}unit/{unit}>',
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
    "empty note": add(ACTORS, 'organisation:iucn skos:editorialNote ""@en'),
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
    # figures
    "total that the text does not have": put(TARGETS, "measure:A1-2020-1", "k4p:outOf", "169.0"),
    "all, and a figure": put(TARGETS, "measure:A4-2030-1", "k4p:quantifier", "quantifier:all"),
    "year counted as things": put(TARGETS, "indicator:dashboard-operational-year", "k4p:unit", "unit:count"),
    "thousands left out": put(TARGETS, "measure:F2-2020-1", "k4p:value", "961.0"),
    "label with another figure": put(TARGETS, M, "rdfs:label", '"B4 target 2030: 30 % of the tools used"@en'),
    "label of another objective": put(TARGETS, M, "rdfs:label", '"C4 target 2030: 20 % of the tools used"@en'),
    "label of another year": put(TARGETS, M, "rdfs:label", '"B4 target 2050: 20 % of the tools used"@en'),
    "compared in two units": add(TARGETS, "indicator:farms-reached k4p:comparableWith indicator:annual-budget"),
    "figure of an indicator twice": add(TARGETS, "measure:A4-2030-9 a k4p:Measure ; k4p:measureOf target:A4-2030 ; k4p:indicator indicator:regional-meetings-per-year"),
    "progress twice on a day": progress("14") + " ; " + progress("15").replace("progress:p1", "progress:p2"),
    "progress with two digits too many": progress("2500", indicator="countries-using-mrv-toolbox", target="B4-2030"),
    # soil, prices, commitments
    "procedure of another property": soil("1.5", "percent").replace(
        " ; k4p:resultValue", " ; k4p:usedProcedure procedure:BlkDensF-fe-cl-fc ; k4p:resultValue"
    ),
    "price below 0": assessment("-20.0", "euro-per-t-co2e"),
    "price in tonnes": assessment("20.0", "t-per-ha"),
    "commitment that the quote does not have": commitment("50000.0", "ha", "restore 5000 ha of soils"),
    "share of 150 percent": commitment("150.0", "percent", "protect 150 % of soils"),
    # identifiers
    "page of AGROVOC": add(ACTORS, "organisation:iucn skos:exactMatch <https://agrovoc.fao.org/browse/agrovoc/en/page/c_2791>"),
    "property of Wikidata": add(ACTORS, "organisation:iucn skos:exactMatch <http://www.wikidata.org/entity/P20864>"),
    "home page as identifier": add(ACTORS, "organisation:wfp skos:exactMatch <https://www.wfp.org/>"),
    "check digit of ORCID": add(MRV, "tool:apsimx dcterms:source <https://orcid.org/0000-0002-1825-0098>"),
    "check digits of ROR": put(ACTORS, "organisation:cirad", "skos:exactMatch", "<https://ror.org/05kpkpg05>"),
    "two identifiers in AGROVOC": add(ACTORS, "convention:ndc skos:exactMatch <http://aims.fao.org/aos/agrovoc/c_1> , <http://aims.fao.org/aos/agrovoc/c_2>"),
    "DOI as a text": add(MRV, 'tool:apsimx dcterms:source "10.1016/j.envsoft.2014.07.009"'),
    "exact and narrower": add(ACTORS, "convention:cbd skos:narrowMatch <http://aims.fao.org/aos/agrovoc/c_1370606530598>"),
    "same as itself": add(ACTORS, "convention:cbd owl:sameAs convention:cbd"),
    "broader than itself": add(ACTORS, "convention:cbd skos:broadMatch convention:cbd"),
    "twin of itself": add(ACTORS, "place:africa k4p:twinnedWith place:africa"),
    "number of Verra": add(MRV, 'methodology:vm0042 skos:notation "VM0024"'),
    "country without region": "DELETE WHERE { GRAPH graph:countries { place:DEU k4p:inRegion ?r } }",
    # doubles, as people write
    **{f"{name} is there": organisation("x", f'"{name}"@en') for name in (
        "Food and Agriculture Organisation", "F.A.O.", "food and agriculture organization of the united nations", "The World Bank",
        "Worldbank", "UN Environment Program", "I.U.C.N.", "Verra, Inc.", "Food and Agriculture Organization (FAO)",
    )},
    **{f"{name} is there": add(MRV, f'tool:x a k4p:Tool ; skos:prefLabel "{name}"@en ; k4p:mrvKind mrv-kind:model') for name in (
        "Comet Farm", "COMETFarm", "Roth-C", "EX ACT", "cool farm tool",
    )},
    "VM0042 is there": add(MRV, 'methodology:x a k4p:Methodology ; skos:prefLabel "VM-0042"@en ; k4p:mrvKind mrv-kind:standard'),
    "Bénin is there": add("graph:countries", 'place:benin a k4p:Place ; skos:prefLabel "Bénin"@en'),
    "farmer is there": add(ACTORS, 'group:x a k4p:StakeholderGroup ; skos:prefLabel "Farmer"@en'),
    "term is there": add("graph:glossary", 'term:x a k4p:GlossaryTerm ; skos:prefLabel "Community-based organization"@en ; k4p:abbreviation "BO"@en ; k4p:expandedInPlan false'),
    "abbreviation in small letters": put("graph:glossary", "term:cc", "k4p:abbreviation", '"cbo"@en'),
    "home page is there": organisation("x", '"UN food agency"@en', "; foaf:homepage <http://fao.org>"),
    # texts
    **{f"text {text}": label(text) for text in (
        '"TODO"@en', '"-"@en', '"Convention on on nature"@en', '"Diversit? biologique"@fr', '"Diversit\\\\u00e9 biologique"@fr', '"Biodiversity%20treaty"@en',
        '"Convention sur la diversite\u0301 biologique"@fr', '"Biodiversity treaty"@en-UK', '"Bio\u202ediversity"@en', '"Biodiversity (treaty"@en',
        '"to be confirmed"@en', '"Name unknown"@en', '"1234567"@en', '"test organisation"@en',
        '"Biodiversity treaty;"@en', '"treaty@cbd.int"@en', '"Σύμβαση βιοποικιλότητας"@en', '"생물다양성"@en',
        '"Übereinkommen über die biologische Vielfalt"@en', '"Convenção sobre diversidade biológica"@es',
        '"Convenio sobre la diversidad biológica de las Naciones Unidas"@fr', '"Convention sur la diversité biologique"@en',
    )},
    **{f"cut name {name}": organisation("x", f'"{name}"@en') for name in (
        "Institute for the study of the", "Alliance for living soil...", "Ministry of Agriculture and", "Soils of…",
    )},
    "Italian as English": add(MRV, 'tool:apsimx skos:definition "Un modello delle colture e del suolo per gli agricoltori."@en'),
    "heading": add("graph:notes", 'activity:A4.2 skos:editorialNote "## Read this"@en'),
    "mojibake of the Euro": add("graph:notes", 'activity:A4.2 skos:editorialNote "5 â‚¬ a tonne"@en'),
    # names
    "vocabulary and term without a sign": add(MRV, 'tool:apsimx <http://www.w3.org/2004/02/skos/corealtLabel> "X"@en'),
    "address of the page": add(MRV, "tool:apsimx dcterms:source <https://w3id.org/kg4p1000/page/tool/rothc>"),
    "slip in our host": add(MRV, "tool:apsimx k4p:maintainedBy <https://w3id.or/kg4p1000/id/organisation/fao>"),
    "two slashes": add(MRV, '<https://w3id.org/kg4p1000//id/tool/apsimx> skos:altLabel "X"@en'),
    "graph that is nowhere": add(MRV, "tool:apsimx dcterms:isPartOf graph:mrvv"),
    **{f"{prop} of something that is nowhere": add(MRV, f"tool:apsimx {prop} tool:nix") for prop in (
        "dcterms:references", "rdfs:seeAlso", "prov:wasDerivedFrom", "dcterms:isPartOf", "prov:wasAttributedTo"
    )},
    # kinds, dates and states
    "maintained by a tool": add(MRV, "tool:apsimx k4p:maintainedBy tool:rothc"),
    "organised by a tool": event("; k4p:organisedBy tool:rothc"),
    "story of an organisation": add(ACTORS, 'document:x a k4p:SuccessStory ; skos:prefLabel "Green fields"@en ; k4p:storyOf organisation:gef'),
    "score of a round": add(ACTORS, 'score:s a k4p:RelevanceScore ; k4p:scoreOf activity:A1.1 ; k4p:scoreValue 0.8 ; k4p:fromRound round:r'),
    "project with the date of an event": add(ACTORS, 'initiative:x a k4p:Project ; skos:prefLabel "Soils"@en ; k4p:startDate "2024-01-01"^^xsd:date'),
    "month 13": add(ACTORS, 'document:crcf dcterms:issued "2021-13-01"^^xsd:date'),
    "date in words": add(ACTORS, 'document:crcf dcterms:issued "May 2021"'),
    "event a century ago": event("", "1926-03-01"),
    "merged by nobody": put("graph:mentions", "mention:A1.1-4p1000", "k4p:status", "status:merged"),
}  # fmt: skip


@pytest.mark.parametrize("name", some(MISTAKES, 4))
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
    "event of 1994": event("", "1994-06-17"),
    "growth above 100 percent": commitment("150.0", "percent", "an increase of 150 % on 2020"),
    "hectares in millions": commitment("2500000.0", "ha", "restaurer 2,5 millions d’hectares"),
    "hectares with separators": commitment("12000.0", "ha", "12,000 ha of peat"),
    "commitment in words and a year": commitment("5000000.0", "ha", "five million hectares by 2030"),
    "balance of a sink": soil("-3.2", "t-co2e", "ghg-balance"),
    "budget of ten times the plan": progress("12000000", indicator="annual-budget", target="F2-2020"),
    "commitment in words": commitment("0.5", "t-per-ha", "half a tonne a hectare"),
    "price of a tonne": assessment("32.5", "euro-per-t-co2e"),
    "cost in percent": assessment("12.0", "percent", "transaction-cost"),
    "stock with two procedures": soil("62", "t-per-ha", "soc-stock").replace(
        " ; k4p:resultValue", " ; k4p:usedProcedure procedure:BlkDensF-fe-cl-fc ; k4p:resultValue"
    ),
    "page with brackets": add(MRV, "tool:apsimx dcterms:source <https://en.wikipedia.org/wiki/Century_(model)>"),
    "archived page": add(MRV, "tool:apsimx dcterms:source <https://web.archive.org/web/2020/https://www.apsim.info/>"),
    "page of GeoNames": add("graph:countries", "place:BEN rdfs:seeAlso <https://www.geonames.org/2395170/benin.html>"),
    "page of Wikidata": add(MRV, "tool:apsimx rdfs:seeAlso <https://www.wikidata.org/wiki/Q4653939>"),
    "ORCID": add(MRV, "tool:apsimx dcterms:source <https://orcid.org/0000-0002-1825-0097>"),
    "ORCID with X": add(MRV, "tool:apsimx dcterms:source <https://orcid.org/0000-0002-1694-233X>"),
    "institute of the bank": organisation("wbi", '"World Bank Institute"@en'),
    "office of FAO": organisation("rap", '"FAO Regional Office for Africa"@en'),
    "other tool of a family": add(MRV, 'tool:x a k4p:Tool ; skos:prefLabel "RothPC-1"@en ; k4p:mrvKind mrv-kind:model'),
    "next methodology of Verra": add(MRV, 'methodology:vm0051 a k4p:Methodology ; skos:prefLabel "VM0051 Rice"@en ; k4p:mrvKind mrv-kind:standard'),
    "French name in English": add(MRV, 'tool:apsimx skos:definition "Developed at Institut national de la recherche agronomique et de la pêche."@en'),
    "German definition": add(MRV, 'tool:apsimx skos:definition "Ein Modell der Kulturen und der Böden."@de'),
    "Portuguese definition": add(MRV, 'tool:apsimx skos:definition "Um modelo das culturas e dos solos."@pt'),
    "formula": add(MRV, 'tool:apsimx skos:definition "SOC = C × BD × depth × (1 − CF); a < b, C*-algebra, 5*."@en'),
    "several lines": add(MRV, 'tool:apsimx skos:definition "First:\\n- one\\n- two"@en'),
    "label in words": put(TARGETS, M, "rdfs:label", '"B4 target 2030: a fifth of the tools used by 2030"@en'),
    "project": add(ACTORS, 'initiative:fmnr a k4p:Project ; skos:prefLabel "FMNR in Niger (phase II)"@en ; k4p:inPlace place:NER'),
    "accepted by a person": (
        put("graph:mentions", "mention:A1.1-4p1000", "k4p:status", "status:accepted")
        + " ; " + add("graph:mentions", 'mention:A1.1-4p1000 prov:wasAttributedTo agent:ada . agent:ada a prov:Person ; skos:prefLabel "Ada L."@en')
    ),
    "unused organisation is deleted": organisation("gone", '"Gone"@en') + " ; DELETE WHERE { GRAPH graph:actors { organisation:gone ?p ?o } }",
}  # fmt: skip


@pytest.mark.parametrize("name", some(CORRECT, 4))
def test_correct_edit_passes_without_a_word(store, name):
    assert findings(store, CORRECT[name]) == {}


def test_there_are_enough_correct_edits():
    assert len(CORRECT) >= 90


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


@pytest.mark.parametrize(
    ("cls", "part", "told"),
    [
        ("RelevanceScore", "sh:path k4p:fromRound", "RelevanceScore cannot have k4p:fromRound"),
        ("Project", "sh:path k4p:startDate ; sh:minCount 1", "Project cannot have k4p:startDate"),
        ("Tool", "sh:path k4p:maintainedBy ; sh:class k4p:Place", ""),
        ("Activity", "sh:path k4p:activityOf ; sh:class k4p:Goal", "Goal cannot be a value of k4p:activityOf"),
        ("Project", "sh:path k4p:startDate ; sh:maxCount 0", ""),
    ],
)  # fmt: skip
def test_a_shape_may_not_ask_for_what_the_ontology_forbids(knowledge, tmp_path, cls, part, told):
    file = tmp_path / "mine.ttl"
    heads = "".join(f"PREFIX {p}: <{PREFIXES[p]}>\n" for p in ("k4p", "sh", "shapes"))
    file.write_text(
        f"{heads}shapes:Mine a sh:NodeShape ; sh:targetClass k4p:{cls} ; sh:property shapes:Mine-part .\n"
        f"shapes:Mine-part a sh:PropertyShape ; {part} ."
    )
    shapes = Shapes.from_files([file, ROOT / "shapes" / "vocabulary.ttl"])
    if told:
        with pytest.raises(BrokenFile, match=rf"mine.ttl, line 5, shapes:Mine-part: k4p:{told}"):
            shapes.see_that_ontology_allows(knowledge)
    else:
        shapes.see_that_ontology_allows(knowledge)


# --- graphs that are not registered


def sent(store, kind, **more):
    given = {"kind": kind, "role": Role.ADMIN, "author": "x", "dry_run": True, **more}
    return perform(store, ROOT, given)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "put", "graph": "https://w3id.org/kg4p1000/graph/nots"},
        {"kind": "post", "graph": "https://w3id.org/kg4p1000/graph/nots"},
        {"kind": "update", "text": "COPY <https://w3id.org/kg4p1000/graph/notes> TO <https://w3id.org/kg4p1000/graph/nots>"},
    ],
)  # fmt: skip
def test_a_graph_of_ours_is_made_over_http_under_a_title_only(store, change):
    body = b"<https://w3id.org/kg4p1000/id/activity/A4.2> <http://www.w3.org/2004/02/skos/core#note> 'x'@en ."
    change |= {"media_type": "text/turtle", "data": base64.b64encode(body).decode()}
    with pytest.raises(BadParameter, match=r"graph:nots is not registered.*graph:notes.*register"):
        sent(store, **change)
    done = sent(store, **change, register="Notes of others")
    assert any("inDefaultGraph" in line for line in done["added"])


def test_an_admin_may_have_graphs_of_other_names(store):
    text = "INSERT DATA { GRAPH <http://example.org/g> { <http://example.org/a> <http://example.org/b> 1 } }"
    assert sent(store, "update", text=text)["counts"]["added"] == 1


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
