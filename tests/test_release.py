"""Releases of the ontology: the step that a difference asks for, what is refused, and a deprecation end to end."""

import re
import shutil
from pathlib import Path

import pytest

from kg4p1000 import release
from kg4p1000.curation.build import build, parse_file
from kg4p1000.kernel.errors import BrokenFile, NotFound
from kg4p1000.kernel.terms import curie, iri
from kg4p1000.knowledge.queries import Library
from kg4p1000.release import Step
from kg4p1000.store import Readers, Store
from kg4p1000.web import create_app

ROOT = Path(__file__).parents[1]
MODULE = "<https://w3id.org/kg4p1000/ontology/module/toy>"
NUMBER = """@prefix dcterms: <http://purl.org/dc/terms/> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
<https://w3id.org/kg4p1000/ontology> a owl:Ontology ;
    dcterms:modified "2026-01-01"^^xsd:date ;
    owl:priorVersion <https://w3id.org/kg4p1000/releases/ontology/1.3.7> ;
    owl:versionIRI <https://w3id.org/kg4p1000/releases/ontology/1.4.0> ;
    owl:versionInfo "1.4.0" .
"""
PREFIXES = """@prefix k4p: <https://w3id.org/kg4p1000/ontology/> .
@prefix dcterms: <http://purl.org/dc/terms/> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix kind: <https://w3id.org/kg4p1000/code/overlap-kind/> .
"""
TERMS = """k4p:Field a owl:Class ; rdfs:label "field"@en .
k4p:Plot a owl:Class ; rdfs:label "plot"@en ; rdfs:subClassOf k4p:Field .
k4p:Farm a owl:Class ; rdfs:label "farm"@en .
k4p:size a owl:DatatypeProperty ; rdfs:label "size"@en ; rdfs:domain k4p:Field .
k4p:area a owl:DatatypeProperty ; rdfs:label "area"@en ; rdfs:domain k4p:Field .
kind:duplicates a skos:Concept ; skos:notation "duplicates" .
kind:same a skos:Concept ; skos:notation "same" .
[] a owl:AllDisjointClasses ; owl:members ( k4p:Field k4p:Farm ) .
"""
DATA = """@prefix k4p: <https://w3id.org/kg4p1000/ontology/> .
@prefix overlap-kind: <https://w3id.org/kg4p1000/code/overlap-kind/> .
@prefix place: <https://w3id.org/kg4p1000/id/place/> .

place:home a k4p:Plot ;
	k4p:overlapKind overlap-kind:duplicates ;
	k4p:size 4 .
"""
QUERY = """#+ summary: Sizes
PREFIX k4p: <https://w3id.org/kg4p1000/ontology/>
SELECT ?place ?size WHERE { ?place k4p:size ?size } ORDER BY ?size
"""
CHANGES = "# Changes of the ontology\n\n## 1.4.0 (2026-01-01)\n\n- The first fields.\n"
GONE = (
    'owl:deprecated true ; dcterms:isReplacedBy {} ; skos:changeNote "2.0.0: one word is enough"@en'
)


@pytest.fixture
def files(tmp_path):
    """A small ontology, released as 1.4.0, with data, a shape and a query that use it."""
    for folder in ("ontology", "shapes", "data", "queries"):
        (tmp_path / folder).mkdir()
    (tmp_path / "ontology" / "kg4p1000.ttl").write_text(NUMBER)
    (tmp_path / "ontology" / "toy.ttl").write_text(PREFIXES + TERMS)
    (tmp_path / "ontology" / "CHANGELOG.md").write_text(CHANGES)
    (tmp_path / "data" / "toy.ttl").write_text(DATA)
    (tmp_path / "shapes" / "toy.ttl").write_text("")
    (tmp_path / "queries" / "sizes.rq").write_text(QUERY)
    first = release.publish(tmp_path, "2026-01-01")
    assert (first.base, first.version) == ("", "1.4.0")
    return tmp_path


@pytest.fixture
def edit(files):
    """Change the ontology: each piece of text by another."""

    def change(*pairs, file="ontology/toy.ttl"):
        path = files / file
        text = path.read_text()
        for before, after in pairs:
            assert before in text
            text = text.replace(before, after)
        path.write_text(text)
        return release.plan(files)

    return change


def kinds(report):
    return {(curie(c.term) or c.term): c.kind for c in report.changes}


def test_nothing_changed_is_no_release(files):
    report = release.plan(files)
    assert (report.base, report.version, report.step, report.changes) == (
        "1.4.0",
        "1.4.0",
        Step.NONE,
        (),
    )
    before = sorted(p.name for p in (files / "ontology" / "releases").iterdir())
    release.publish(files, "2026-02-02")
    assert sorted(p.name for p in (files / "ontology" / "releases").iterdir()) == before


@pytest.mark.parametrize(
    ("before", "after", "term", "kind", "version"),
    [
        ('"field"@en', '"field"@en , "champ"@fr', "k4p:Field", "words", "1.4.1"),
        ('"farm"@en .', '"farm"@en .\nk4p:Barn a owl:Class .', "k4p:Barn", "added", "1.5.0"),
        ('"farm"@en .', '"farm"@en ; rdfs:subClassOf k4p:Place .', "k4p:Farm", "extended", "1.5.0"),
        ('"farm"@en .', '"farm"@en ; rdfs:subClassOf [ a owl:Restriction ; owl:onProperty k4p:size ; owl:maxCardinality 1 ] .', "k4p:Farm", "meaning", "2.0.0"),
        ('"size"@en ;', '"size"@en ; rdfs:range xsd:decimal ;', "k4p:size", "meaning", "2.0.0"),
        ("rdfs:subClassOf k4p:Field", "rdfs:subClassOf k4p:Farm", "k4p:Plot", "meaning", "2.0.0"),
        ('skos:notation "same"', 'skos:notation "alike"', "overlap-kind:same", "meaning", "2.0.0"),
        ("[] a owl:AllDisjointClasses ; owl:members ( k4p:Field k4p:Farm ) .", "", "k4p:Farm", "meaning", "2.0.0"),
        ('"plot"@en ;', '"plot"@en ; owl:deprecated true ; dcterms:isReplacedBy k4p:Field ;', "k4p:Plot", "deprecated", "2.0.0"),
        ('k4p:Farm a owl:Class ; rdfs:label "farm"@en .', "", "k4p:Farm", "removed", "2.0.0"),
    ],
)  # fmt: skip
def test_the_gravest_change_decides_the_step(edit, before, after, term, kind, version):
    report = edit((before, after))
    assert kinds(report)[term] == kind
    assert report.version == version


def test_a_new_class_that_is_disjoint_with_old_ones_changes_none_of_them(edit):
    report = edit(
        ("( k4p:Field k4p:Farm )", "( k4p:Field k4p:Farm k4p:Barn )"),
        ('"farm"@en .', '"farm"@en .\nk4p:Barn a owl:Class .'),
    )
    assert kinds(report) == {"k4p:Barn": "added"}  # fmt: skip


def test_an_axiom_that_still_follows_is_not_lost(edit):
    report = edit(
        ("rdfs:subClassOf k4p:Field .", "rdfs:subClassOf k4p:Strip .\nk4p:Strip a owl:Class ; rdfs:subClassOf k4p:Field ."),
    )  # fmt: skip
    assert kinds(report) == {"k4p:Strip": "added", "k4p:Plot": "extended"}
    assert not report.refusals


def test_blank_nodes_are_compared_by_what_they_say(edit):
    report = edit(("[] a owl:AllDisjointClasses ;", "_:other a owl:AllDisjointClasses ;"))
    assert report.changes == ()


@pytest.mark.parametrize(
    ("base", "step", "version"),
    [
        ("1.4.2", Step.PATCH, "1.4.3"), ("1.4.2", Step.MINOR, "1.5.0"), ("1.4.2", Step.MAJOR, "2.0.0"),
        ("0.4.2", Step.PATCH, "0.4.3"), ("0.4.2", Step.MINOR, "0.5.0"), ("0.4.2", Step.MAJOR, "0.5.0"),
        ("1.4.2", Step.NONE, "1.4.2"),
    ],
)  # fmt: skip
def test_the_version_moves_one_step(base, step, version):
    assert release.next_version(base, step) == version


def test_a_removed_term_is_refused_with_the_repair_and_its_uses(edit):
    report = edit(
        ('k4p:size a owl:DatatypeProperty ; rdfs:label "size"@en ; rdfs:domain k4p:Field .', "")
    )
    (refusal,) = report.refusals
    assert refusal.startswith("k4p:size is gone. Put it back with 'owl:deprecated true'")
    assert {(u.file, u.count) for u in report.uses} == {
        ("data/toy.ttl", 1),
        ("queries/sizes.rq", 1),
    }


def test_another_meaning_is_refused_until_a_note_says_why(edit):
    refused = edit(('"size"@en ;', '"size"@en ; rdfs:range xsd:decimal ;'))
    (refusal,) = refused.refusals
    assert "k4p:size means something else (+ rdfs:range" in refusal
    assert 'Say why in skos:changeNote "2.0.0: …"@en' in refusal
    allowed = edit(('"size"@en ;', '"size"@en ; skos:changeNote "2.0.0: sizes are numbers"@en ;'))
    assert allowed.refusals == ()
    assert {u.file for u in allowed.uses} == {"data/toy.ttl", "queries/sizes.rq"}


@pytest.mark.parametrize(
    ("replacement", "says"),
    [
        ("k4p:extent", "k4p:size is replaced by k4p:extent, which is no term"),
        ("k4p:Farm", "k4p:size is replaced by k4p:Farm, which is of another kind"),
    ],
)
def test_a_replacement_that_cannot_replace_is_refused(edit, replacement, says):
    report = edit(('"size"@en ;', f'"size"@en ; {GONE.format(replacement)} ;'))
    assert any(line.startswith(says) for line in report.refusals)


def test_a_term_in_use_without_replacement_is_refused(edit):
    report = edit(
        ('"size"@en ;', '"size"@en ; owl:deprecated true ; skos:changeNote "2.0.0: no"@en ;')
    )
    (refusal,) = report.refusals
    assert "data/toy.ttl uses k4p:size, which is deprecated: say dcterms:isReplacedBy" in refusal


def test_a_number_that_the_changes_do_not_ask_for_is_refused(edit, files):
    edit(('"field"@en', '"field"@en , "champ"@fr'))
    report = edit(("1.4.0", "1.6.0"), file="ontology/kg4p1000.ttl")
    assert report.version == "1.4.1"
    assert "says 1.6.0, and the changes since 1.4.0 ask for 1.4.1 (patch)" in report.refusals[0]


def test_a_number_that_was_moved_by_hand_as_far_as_it_must_is_taken(edit, files):
    edit(('"field"@en', '"field"@en , "champ"@fr'))
    assert edit(("1.4.0", "1.4.1"), file="ontology/kg4p1000.ttl").refusals == ()
    assert release.publish(files, "2026-02-02").version == "1.4.1"
    assert release.releases(files)[-1] == release.stated_version(files) == "1.4.1"


def test_a_release_writes_number_record_report_and_changelog(edit, files):
    edit(('"farm"@en .', '"farm"@en .\nk4p:Barn a owl:Class ; rdfs:label "barn"@en .'))
    module = files / "ontology" / "toy.ttl"
    version_iri = "<https://w3id.org/kg4p1000/releases/ontology/{}/toy>"
    stated = f"{MODULE} owl:versionIRI {version_iri.format('1.4.0')} .\n"
    module.write_text(module.read_text() + stated)
    (files / "ontology" / "CHANGELOG.md").write_text(
        CHANGES.replace("## 1.4.0", "## Unreleased\n\n- Barns.\n\n## 1.4.0")
    )
    release.publish(files, "2026-02-02")
    number = (files / "ontology" / "kg4p1000.ttl").read_text()
    assert 'owl:versionInfo "1.5.0"' in number
    assert "<https://w3id.org/kg4p1000/releases/ontology/1.5.0>" in number
    assert 'dcterms:modified "2026-02-02"' in number
    assert "owl:priorVersion <https://w3id.org/kg4p1000/releases/ontology/1.4.0>" in number
    assert number.count("1.4.0") == 1
    assert version_iri.format("1.5.0") in module.read_text()
    assert "1.4.0" not in module.read_text()
    assert release.releases(files) == ["1.4.0", "1.5.0"]
    assert set(release.load(files, "1.5.0")) - set(release.load(files, "1.4.0"))
    told = (files / "ontology" / "CHANGELOG.md").read_text()
    assert re.search(
        r"## 1\.5\.0 \(2026-02-02\)\n\n- Barns\.\n\nTerms .*\n\n- added: `k4p:Barn`\.\n\n## 1\.4\.0",
        told,
    )
    assert "## Added\n\n- `k4p:Barn`" in (files / "ontology" / "releases" / "1.5.0.md").read_text()
    assert release.plan(files).step is Step.NONE


def test_a_refused_release_changes_no_file(edit, files):
    edit(('k4p:Farm a owl:Class ; rdfs:label "farm"@en .', ""))
    before = {p: p.read_bytes() for p in files.rglob("*") if p.is_file()}
    assert release.publish(files, "2026-02-02").refusals
    assert {p: p.read_bytes() for p in files.rglob("*") if p.is_file()} == before


def test_a_record_is_the_same_for_the_same_terms(files):
    assert (
        release.record(reversed(release.stated(files)))
        == (files / "ontology" / "releases" / "1.4.0.nt.gz").read_bytes()
    )


def test_a_damaged_or_missing_record_is_told(files):
    with pytest.raises(NotFound, match=r"no release '9\.9\.9'.*1\.4\.0"):
        release.load(files, "9.9.9")
    path = files / "ontology" / "releases" / "1.4.0.nt.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BrokenFile, match=r"1\.4\.0\.nt\.gz is damaged"):
        release.plan(files)


def test_deprecation_of_a_property_a_class_and_a_code_migrates_the_data(edit, files):
    report = edit(
        ('"size"@en ;', f'"size"@en ; {GONE.format("k4p:area")} ;'),
        ('"plot"@en ;', f'"plot"@en ; {GONE.format("k4p:Field")} ;'),
        ('skos:notation "duplicates"', f'skos:notation "duplicates" ; {GONE.format("kind:same")}'),
    )
    assert len(report.refusals) == 3
    assert all("run 'kg4p1000 release --migrate'" in line for line in report.refusals)
    assert release.migrate(files) == [files / "data" / "toy.ttl"]
    (place,) = {t.subject for t in parse_file(files / "data" / "toy.ttl")}
    said = {(t.predicate, t.object) for t in parse_file(files / "data" / "toy.ttl")}
    assert place == iri("place:home")
    assert {p for p, _ in said} == {iri("rdf:type"), iri("k4p:overlapKind"), iri("k4p:area")}
    assert iri("k4p:Field") in {o for _, o in said}
    assert iri("overlap-kind:same") in {o for _, o in said}
    assert release.migrate(files) == []
    report = release.publish(files, "2026-02-02")
    assert (report.refusals, report.version) == ((), "2.0.0")
    (warning,) = report.warnings
    assert warning == "queries/sizes.rq uses k4p:size, which is deprecated; use k4p:area."


def test_a_replacement_that_is_deprecated_in_turn_leads_on(edit, files):
    edit(
        ('"size"@en ;', f'"size"@en ; {GONE.format("k4p:area")} ;'),
        ('"area"@en ;', f'"area"@en ; {GONE.format("k4p:extent")} ;\n'),
        ('"farm"@en .', '"farm"@en .\nk4p:extent a owl:DatatypeProperty .'),
    )
    release.migrate(files)
    assert "k4p:extent 4" in (files / "data" / "toy.ttl").read_text()


def test_terms_that_replace_each_other_are_not_followed_for_ever(edit, files):
    report = edit(
        ('"size"@en ;', f'"size"@en ; {GONE.format("k4p:area")} ;'),
        ('"area"@en ;', f'"area"@en ; {GONE.format("k4p:size")} ;'),
    )
    assert release.migrate(files) == []
    assert any("say dcterms:isReplacedBy, or rewrite them by hand" in r for r in report.refusals)


# The real graph


@pytest.fixture(scope="module")
def migrated(tmp_path_factory):
    """The real files with k4p:scope deprecated and its data migrated, and a store built from them."""
    files = tmp_path_factory.mktemp("files")
    for name in ("ontology", "shapes", "data", "queries"):
        shutil.copytree(ROOT / name, files / name)
    path = files / "ontology" / "targets.ttl"
    text = path.read_text(encoding="utf-8")
    block = re.search(r"^k4p:scope a .*?\.\n\n", text, flags=re.M | re.S)[0]
    note = 'owl:deprecated true ; dcterms:isReplacedBy k4p:wordsOfScope ; skos:changeNote "9.0.0: a clearer name"@en ;'
    old = block.replace(" ;\n", f" ;\n    {note}\n", 1)
    path.write_text(
        text.replace(block, old + block.replace("k4p:scope a", "k4p:wordsOfScope a")),
        encoding="utf-8",
    )
    for shapes in (files / "shapes").glob("*.ttl"):
        text = shapes.read_text("utf-8")
        shapes.write_text(text.replace("k4p:scope", "k4p:wordsOfScope"), "utf-8")
    release.migrate(files)
    store = Store(tmp_path_factory.mktemp("migrated") / "store")
    build(store, files, author="tests")
    readers = Readers(store, 2, timeout=600)
    yield files, store, readers
    readers.close()


@pytest.mark.slow
def test_migrated_data_fit_the_shapes_and_the_old_term_has_none(migrated):
    files, _, readers = migrated
    ask = "SELECT (COUNT(*) AS ?n) WHERE {{ ?s {} ?o }}"
    count = {
        name: int(readers.query(ask.format(name)).json()["results"]["bindings"][0]["n"]["value"])
        for name in ("k4p:scope", "k4p:wordsOfScope")
    }
    here = (ROOT / "data" / "targets.ttl").read_text(encoding="utf-8").count("k4p:scope ")
    assert count == {"k4p:scope": 0, "k4p:wordsOfScope": here}
    uses = [u for u in release.plan(files).uses if u.term.endswith("/scope")]
    assert {u.file.split("/")[0] for u in uses} == {"queries"}


@pytest.mark.slow
def test_an_old_query_is_warned_on_the_page_and_in_a_header(migrated, settings):
    files, store, readers = migrated
    client = create_app(settings, store, readers, Library(files / "queries")).test_client()
    told = "k4p:scope is deprecated; use k4p:wordsOfScope."
    ask = {"query": "SELECT * WHERE { ?s k4p:scope ?o }"}
    assert client.get("/sparql", query_string=ask).headers["KG-Deprecated"] == told
    assert told in client.get("/sparql", query_string=ask, headers={"Accept": "text/html"}).text
    stored = "/query/target-figures?objective=C2"
    assert client.get(stored).headers["KG-Deprecated"] == told
    assert told in client.get(stored, headers={"Accept": "text/html"}).text
    new = {"query": "SELECT * WHERE { ?s k4p:wordsOfScope ?o } # k4p:scope"}
    assert "KG-Deprecated" not in client.get("/sparql", query_string=new).headers


def test_no_term_of_a_release_has_gone_from_the_repository():
    report = release.plan(ROOT)
    assert report.base
    assert report.of("removed") == []
