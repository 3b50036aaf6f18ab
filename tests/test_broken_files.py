"""A broken ontology, code list, mapping or query: the error names the file, the term and the repair."""

import shutil
from codecs import BOM_UTF8

import pytest
from click.testing import CliRunner

from kg4p1000.cli import main
from kg4p1000.curation.build import parse_file
from kg4p1000.knowledge.queries import read_query

#: File, what is written for what, and what the error must say.
BROKEN = {
    "ontology: a superclass that is not": (
        "ontology/plan.ttl", "k4p:PlanElement ;", "k4p:PlanElementt ;",
        ("ontology/plan.ttl", "k4p:PlanElementt", "Correct the name, or declare the term")),
    "ontology: syntax": (
        "ontology/plan.ttl", "k4p:Goal a owl:Class ;", "k4p:Goal a owl:Class",
        ("ontology/plan.ttl, line ", "k4p:Goal", "correct “rdfs:label")),
    "code list: a code in no list": (
        "ontology/codes.ttl", """skos:inScheme code:status ;\n    skos:notation "accepted\"""", """skos:note code:status ;\n    skos:notation "accepted\"""",
        ("ontology/codes.ttl", "status:accepted", "Add skos:inScheme")),
    "code list: syntax": (
        "ontology/codes.ttl", "status:accepted a skos:Concept ;", "status:accepted a skos:Concept",
        ("ontology/codes.ttl, line ", "status:accepted", "correct “skos:definition")),
    "mapping: to a term that nobody verified": (
        "data/mappings/prov.sssom.tsv", "\tprov:Activity\t", "\tprov:Activty\t",
        ("data/mappings/prov.sssom.tsv, line ", "prov:Activty", "add the term to a list")),
    "mapping: of a term that is not": (
        "data/mappings/prov.sssom.tsv", "k4p:Organisation\t", "k4p:Orgnisation\t",
        ("data/mappings/prov.sssom.tsv", "k4p:Orgnisation", "correct its address, or add the term")),
    "query: a term that is not": (
        "queries/competency/glossary.rq", "k4p:GlossaryTerm", "k4p:GlossryTerm",
        ("queries/competency/glossary.rq", "k4p:GlossryTerm", "Correct the name")),
    "query: syntax": (
        "queries/competency/glossary.rq", "\nSELECT", "\nSELEKT",
        ("queries/competency/glossary.rq, line 23", "SELEKT", "did you mean SELECT")),
    "query: header": (
        "queries/competency/glossary.rq", "#+ returns:", "#+ retruns:",
        ("queries/competency/glossary.rq, line 8", "retruns", "Did you mean 'returns'?")),
}  # fmt: skip


@pytest.fixture
def files(toy_files):
    return toy_files


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


# what editors and other tools leave in files


def test_a_file_with_a_byte_order_mark_or_windows_line_ends_says_the_same(files, tmp_path):
    for name in (
        "data/notes.ttl",
        "data/mappings/prov.sssom.tsv",
        "data/mappings/verified/prov.tsv",
    ):
        told = (files / name).read_bytes()
        changed = files / name
        try:
            expected = set(map(str, parse_file(changed)))
            changed.write_bytes(BOM_UTF8 + told.replace(b"\n", b"\r\n"))
            assert {line.replace("\\r", "") for line in map(str, parse_file(changed))} == expected
        finally:
            changed.write_bytes(told)


def test_a_query_file_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "goals.rq"
    path.write_bytes(
        BOM_UTF8
        + b"#+ summary: Goals\nSELECT ?s { ?s a <https://w3id.org/kg4p1000/ontology/Goal> }\n"
    )
    assert read_query(path).summary == "Goals"


@pytest.mark.parametrize(
    "name",
    ["ontology/plan.ttl", "data/notes.ttl", "shapes/plan.ttl", "data/mappings/prov.sssom.tsv"],
)
def test_a_conflict_that_git_left_is_told_with_its_line(files, name):
    path = files / name
    told = path.read_text("utf-8")
    lines = told.splitlines(keepends=True)
    middle = len(lines) // 2
    try:
        path.write_text(
            "".join(
                [
                    *lines[:middle],
                    "<<<<<<< HEAD\n",
                    "=======\n",
                    ">>>>>>> theirs\n",
                    *lines[middle:],
                ]
            ),
            "utf-8",
        )
        status, said = validate(files)
    finally:
        path.write_text(told, "utf-8")
    assert status == 1
    assert f"{name}, line {middle + 1}: a conflict of git is not settled" in said


def test_a_file_whose_name_cannot_name_a_graph_is_told(files):
    path = files / "data" / "actors copy.ttl"
    shutil.copy(files / "data" / "actors.ttl", path)
    try:
        status, said = validate(files)
    finally:
        path.unlink()
    assert status == 1
    assert (
        "actors copy.ttl: nothing can be named after this file. Rename it, such as actors-copy.ttl"
        in said
    )
