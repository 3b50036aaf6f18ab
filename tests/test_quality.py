"""The checks of the ontology: no fault in our files, and each check finds the fault of its fixtures."""

import re
import shutil
from pathlib import Path

import pytest

from everything import some
from kg4p1000.kernel.errors import BrokenFile
from kg4p1000.kernel.terms import PREFIXES
from kg4p1000.release import lint

ROOT = Path(__file__).parent.parent
CHECKS = ROOT / "ontology" / "checks"
FIXTURES = Path(__file__).parent / "fixtures" / "checks"
#: What the fixture says here makes terms of other files faulty.
ACROSS = {
    "cyclic-hierarchy",
    "cyclic-codes",
    "duplicate-notation",
    "duplicate-code-label",
    "deprecated-without-replacement",
    "duplicate-term-label",
    "missing-disjointness",
}
BROKEN = sorted(FIXTURES.glob("*.ttl"))


def named(path):
    return path.name.split(".")[0]


def test_the_ontology_and_its_code_lists_have_no_fault():
    assert [str(fault) for fault in lint.faults(ROOT)] == []


def test_each_check_has_a_fixture_and_each_fixture_a_check():
    assert {named(path) for path in BROKEN} == {path.stem for path in CHECKS.glob("*.rq")}


@pytest.mark.parametrize("path", some(BROKEN, 4), ids=lambda p: p.stem)
def test_a_fixture_has_the_fault_that_it_is_named_after(path):
    found = [fault for fault in lint.faults(ROOT, [path]) if fault.check == named(path)]
    assert found
    text = path.read_text(encoding="utf-8")
    for fault in found:
        assert not re.search(r"[{}]|  ", str(fault))
        assert fault.repair.endswith(".")
    files = {fault.file for fault in found}
    assert f"checks/{path.name}" in files or named(path) in ACROSS
    assert any(fault.term.rsplit("/", 1)[1] in text for fault in found)


def test_a_message_names_file_term_and_repair():
    (found,) = [
        f for f in lint.faults(ROOT, [FIXTURES / "missing-label.ttl"])
        if f.check == "missing-label"
    ]  # fmt: skip
    assert str(found) == (
        "checks/missing-label.ttl: k4p:Broken has no label in French. "
        'Add rdfs:label (for a code or code list, skos:prefLabel) "…"@fr. [missing-label]'
    )


def copied(tmp_path):
    """The knowledge files, without data, to be changed."""
    for folder in ("ontology", "shapes", "queries"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "data").mkdir()
    return tmp_path


def test_a_query_that_names_an_unknown_term_is_a_fault_of_its_file(tmp_path):
    files = copied(tmp_path)
    query = files / "queries" / "competency" / "broken.rq"
    query.write_text(
        f"#+ summary: Broken\nPREFIX k4p: <{PREFIXES['k4p']}>\n"
        'SELECT ?x WHERE { ?x a k4p:Objectiv ; k4p:number 1 } # k4p:Comment "k4p:Text"\n'
    )
    (found,) = [fault for fault in lint.faults(files) if fault.check == "undeclared-term"]
    assert found.file == "queries/competency/broken.rq"
    assert "k4p:Objectiv is used and declared nowhere. Correct the name" in str(found)


def test_an_objective_that_there_is_not_is_a_fault_of_the_query(tmp_path):
    files = copied(tmp_path)
    shutil.copy(ROOT / "data" / "plan-2021-10-14.ttl", files / "data")
    path = files / "queries" / "competency" / "glossary.rq"
    text = path.read_text(encoding="utf-8")
    path.write_text(
        re.sub(r"#\+ objectives: .*", "#+ objectives: [A4, Z9]", text), encoding="utf-8"
    )
    assert [str(f) for f in lint.faults(files) if f.check == "unknown-objective"] == [
        "queries/competency/glossary.rq: No objective has the code Z9. "
        "Correct 'objectives' of the #+ header. [unknown-objective]"
    ]


def test_a_new_class_is_told_once_beside_which_it_stands_and_in_its_own_file():
    new = FIXTURES / "missing-disjointness.ttl"
    lacking = [f for f in lint.faults(ROOT, [new]) if f.check == "missing-disjointness"]
    (found,) = lacking
    assert (found.file, found.term) == (
        "checks/missing-disjointness.ttl",
        PREFIXES["k4p"] + "Broken",
    )
    assert re.search(
        r"k4p:Broken stands beside k4p:\w+, k4p:\w+, k4p:\w+ and \d+ more,", found.problem
    )


def test_a_class_that_is_declared_under_a_wrong_name_is_told_once_a_file(tmp_path):
    files = copied(tmp_path)
    module = files / "ontology" / "consultation.ttl"
    text = module.read_text(encoding="utf-8")
    module.write_text(text.replace("k4p:Barrier a owl:Class", "k4p:Barier a owl:Class"), "utf-8")
    found = [f for f in lint.faults(files) if f.check == "undeclared-term"]
    assert [f.file for f in found] == [
        "ontology/consultation.ttl",
        "queries/competency/consultation-findings.rq",
    ]
    assert all("k4p:Barrier is used and declared nowhere" in f.problem for f in found)


def test_a_removed_translation_is_found_in_the_file_it_was_removed_from(tmp_path):
    files = copied(tmp_path)
    path = files / "ontology" / "mrv.ttl"
    text = path.read_text("utf-8")
    path.write_text(text.replace(', "outil"@fr', ""), "utf-8")
    found = {(fault.file, fault.check) for fault in lint.faults(files)}
    assert ("ontology/mrv.ttl", "missing-label") in found


def test_a_check_that_says_no_repair_is_refused(tmp_path):
    (tmp_path / "silent.rq").write_text("#+ problem: Something\nSELECT ?term {}\n")
    with pytest.raises(BrokenFile, match=r"silent\.rq: a check begins with"):
        lint.read_checks(tmp_path)


@pytest.mark.parametrize("path", sorted(CHECKS.glob("*.rq")), ids=lambda p: p.stem)
def test_a_check_is_plain_sparql_with_its_prefixes(path):
    text = path.read_text("utf-8")
    used = set(
        re.findall(r"\b([a-z]+):(?=[A-Za-z|)])", re.sub(r"<[^>]*>|\"[^\"]*\"|#[^\n]*", "", text))
    )
    declared = set(re.findall(r"PREFIX ([a-z]+):", text))
    assert used == declared
