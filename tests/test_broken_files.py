"""A broken ontology, code list, mapping or query: the error names the file, the term and the repair."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from kg4p1000.cli import main

ROOT = Path(__file__).resolve().parents[1]
CODE = "<https://w3id.org/kg4p1000/code/status/accepted>"
#: File, what is written for what, and what the error must say.
BROKEN = {
    "ontology: a superclass that is not": (
        "ontology/plan.ttl", "rdfs:subClassOf k4p:PlanElement ", "rdfs:subClassOf k4p:PlanElementt ",
        ("ontology/plan.ttl", "k4p:PlanElementt", "Correct the name, or declare the term")),
    "ontology: syntax": (
        "ontology/plan.ttl", "k4p:Goal a owl:Class ;", "k4p:Goal a owl:Class",
        ("ontology/plan.ttl, line ", "k4p:Goal", "correct “rdfs:label")),
    "code list: a code in no list": (
        "ontology/codes.ttl", f"{CODE} a skos:Concept ;\n    skos:inScheme", f"{CODE} a skos:Concept ;\n    skos:note",
        ("ontology/codes.ttl", "status:accepted", "Add skos:inScheme")),
    "code list: syntax": (
        "ontology/codes.ttl", f"{CODE} a skos:Concept ;", f"{CODE} a skos:Concept",
        ("ontology/codes.ttl, line ", "code/status/accepted", "correct “skos:inScheme")),
    "mapping: to a term that nobody verified": (
        "data/mappings/prov.sssom.tsv", "\tprov:Activity\t", "\tprov:Activty\t",
        ("data/mappings/prov.sssom.tsv, line ", "prov:Activty", "add the term to a list")),
    "mapping: of a term that is not": (
        "data/mappings/prov.sssom.tsv", "k4p:Activity\t", "k4p:Actvity\t",
        ("data/mappings/prov.sssom.tsv", "k4p:Actvity", "correct its address, or add the term")),
    "query: a term that is not": (
        "queries/competency/glossary.rq", "k4p:GlossaryTerm", "k4p:GlossryTerm",
        ("queries/competency/glossary.rq", "k4p:GlossryTerm", "Correct the name")),
    "query: syntax": (
        "queries/competency/glossary.rq", "\nSELECT", "\nSELEKT",
        ("queries/competency/glossary.rq, line 23", "SELEKT", "expected SELECT")),
    "query: header": (
        "queries/competency/glossary.rq", "#+ returns:", "#+ retruns:",
        ("queries/competency/glossary.rq, line 8", "retruns", "Did you mean 'returns'?")),
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name in ("ontology", "shapes", "data", "queries"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


def validate(files, *paths):
    done = CliRunner().invoke(main, ["validate", *paths, "--files", str(files)])
    return done.exit_code, " ".join(done.output.split())


def test_files_that_are_whole_have_no_finding(files):
    assert validate(files) == (0, "No findings.")


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_told_with_file_term_and_repair(files, what):
    name, old, new, told = BROKEN[what]
    path = files / name
    whole = path.read_text("utf-8")
    assert old in whole
    path.write_text(whole.replace(old, new, 1), "utf-8")
    try:
        for paths in ((), (str(path),)):
            code, text = validate(files, *paths)
            assert code == 1
            for words in told:
                assert words in text, text
    finally:
        path.write_text(whole, "utf-8")
