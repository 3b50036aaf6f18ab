"""Mappings: what is published of them, what each fault is told as, and that nothing is invented."""

import csv
import io
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from pyoxigraph import Literal, NamedNode

from kg4p1000.curation.build import parse_file
from kg4p1000.kernel.errors import BrokenFile
from kg4p1000.kernel.terms import BASE, iri, mint
from kg4p1000.sources import sssom

ROOT = Path(__file__).resolve().parents[1]
MAPPINGS = ROOT / "data" / "mappings"
SETS = sorted(MAPPINGS.glob("*.sssom.tsv"))
LISTS = sorted((MAPPINGS / "verified").glob("*.tsv"))
SHARED = ROOT.parent / "shared" / "data"

GOOD = f"""\
# sssom_version: "1.1"
# mapping_set_id: {BASE}id/mapping-set/test
# mapping_set_title: Test
# mapping_set_description: Made for a test.
# mapping_set_version: "0.1.0"
# license: https://creativecommons.org/licenses/by/4.0/
# mapping_date: "2026-11-22"
# subject_source: kg4p:ontology
# subject_source_version: "0.1.0"
# object_source: "ex:"
# object_source_version: "1"
# mapping_tool: hand
# mapping_tool_version: "1"
# curie_map:
#   activity: {BASE}id/activity/
#   agent: {BASE}id/agent/
#   ex: http://example.org/
#   kg4p: {BASE}
""" + "\t".join(sssom.COLUMNS)
ROW = {
    "subject_id": "activity:A4.1",
    "subject_label": "A4.1 Organization of stakeholders",
    "predicate_id": "dcterms:subject",
    "object_id": "ex:networks",
    "object_label": "networks",
    "mapping_justification": "semapv:LexicalMatching",
    "confidence": "0.9",
    "author_id": "agent:curation-0.1.0",
    "comment": "Its text has “networks”.",
}
KNOWN = {"http://example.org/networks": "networks"}
TERMS = """\
# title: Example
# vocabulary: http://example.org/
# version: "1"
# rights: none
# source: made up
id\tnotation\tlabel_en\tlabel_fr\tlabel_es
http://example.org/networks\t1\tnetworks\tréseaux\t
"""


def text(*rows: dict[str, str], header: str = GOOD) -> str:
    lines = ["\t".join({**ROW, **row}[name] for name in sssom.COLUMNS) for row in rows]
    return "\n".join([header, *lines]) + "\n"


def refused(data: str, read=lambda data: sssom.read_mappings(data, "test.sssom.tsv", KNOWN)):
    with pytest.raises(BrokenFile) as caught:
        read(data)
    members = caught.value.members
    assert caught.value.detail.startswith(f"{members['file']}, line {members['line']}, column ")
    return caught.value.detail, members["line"], members["column"]


# --- what is published


def test_a_mapping_is_a_statement_and_a_thing_that_tells_how_it_was_made():
    found = set(sssom.read_mappings(text({}), "t", KNOWN))
    said = {(t.subject, t.predicate): t.object for t in found}
    this = mint("mapping", "activity-A4.1--ex-networks")
    activity, term = iri("activity:A4.1"), NamedNode("http://example.org/networks")
    assert said[activity, iri("dcterms:subject")] == term
    assert said[this, iri("k4p:mappingSubject")] == activity
    assert said[this, iri("k4p:mappingObject")] == term
    assert said[this, iri("k4p:confidence")] == Literal("0.9", datatype=iri("xsd:decimal"))
    assert said[this, iri("k4p:status")] == iri("status:proposed")
    assert said[this, iri("prov:wasAttributedTo")] == iri("agent:curation-0.1.0")
    assert said[this, iri("k4p:reason")].value == "Its text has “networks”."
    assert (
        said[this, iri("rdfs:label")].value == "A4.1 Organization of stakeholders is about networks"
    )


def test_a_verified_term_has_its_names_and_its_vocabulary():
    found = {(t.predicate, str(t.object)) for t in sssom.read_terms(TERMS, "t.tsv")}
    assert (iri("skos:prefLabel"), '"réseaux"@fr') in found
    assert (iri("skos:notation"), '"1"') in found
    assert (iri("rdfs:isDefinedBy"), "<http://example.org/>") in found


# --- what is refused, and how it is told


@pytest.mark.parametrize(
    ("change", "column", "repair"),
    [
        ({"subject_id": "A4.1"}, 1, "write prefix:name with one of activity, agent, ex, kg4p"),
        ({"subject_id": "act:A4.1"}, 1, "write prefix:name"),
        ({"subject_id": "ex:networks"}, 1, "must be a term or thing of this project"),
        ({"subject_label": ""}, 15, "fill the cell in"),
        ({"predicate_id": "skos:sameAs"}, 49, "use one of dcterms:subject"),
        ({"object_id": "ex:net works"}, 65, "write prefix:name"),
        ({"object_id": "ex:nets"}, 65, "add the term to a list in mappings/verified"),
        ({"object_label": "Networks"}, 77, "the verified name is 'networks'; use it"),
        ({"mapping_justification": "semapv:Guess"}, 86, "semapv:LexicalMatching"),
        ({"confidence": "high"}, 109, "write a number from 0 to 1"),
        ({"confidence": "1.01"}, 109, "write a number from 0 to 1"),
        ({"confidence": "nan"}, 109, "write a number from 0 to 1"),
        ({"author_id": ""}, 113, "fill the cell in"),
        ({"comment": " x"}, 134, "remove the spaces around it"),
    ],
)
def test_a_broken_cell_is_told_with_its_place_and_repair(change, column, repair):
    (name,) = change
    detail, line, found = refused(text({}, {"object_id": "ex:networks", **change}))
    assert (line, found) == (21, column)
    assert name in detail
    assert repair in detail


def test_a_pair_that_is_mapped_twice_is_refused():
    detail, line, _ = refused(text({}, {"predicate_id": "skos:relatedMatch"}))
    assert line == 21
    assert "mapped already" in detail


def test_a_row_with_a_missing_cell_is_refused():
    detail, line, _ = refused(text({}) + "activity:A4.2\tlabel\n")
    assert line == 21
    assert "2 cells and must have 9" in detail


def test_an_empty_row_is_refused_and_the_last_line_break_is_not():
    found = sssom.read_mappings(text({}), "t", KNOWN)
    assert sum(t.object == iri("k4p:Mapping") for t in found) == 1
    assert refused(text({}) + "\n")[1] == 21


@pytest.mark.parametrize(
    ("old", "new", "line", "repair"),
    [
        ("# license:", "# licence:", 1, "lacks license; add a line '# license: …'"),
        (
            "# mapping_tool: hand",
            "# mapping_tool: hand\n# colour: red",
            1,
            "'colour', which is not",
        ),
        ('"0.1.0"\n# license', '"0.1.0\n# license', 7, "not YAML"),
        ("# object_source: ", "# object_source: a: ", 10, "not YAML"),
        (f"{BASE}id/mapping-set/test", "http://example.org/set", 1, "must begin with"),
        (
            f"activity: {BASE}id/activity/",
            "activity: http://example.org/",
            1,
            "'activity' is https",
        ),
        ("subject_id\tsubject_label", "subject_id\tlabel", 19, "the columns must be"),
        ("# ", "", 1, "the header is missing"),
    ],
)
def test_a_broken_header_is_told_with_its_place_and_repair(old, new, line, repair):
    assert old in GOOD
    detail, found, _ = refused(text({}, header=GOOD.replace(old, new)))
    assert repair in detail
    if line > 1:
        assert abs(found - line) <= 1  # YAML tells the line where it lost the thread


@pytest.mark.parametrize(
    ("old", "new", "repair"),
    [
        ("http://example.org/networks\t", "ex:networks\t", "write the whole address"),
        ("\tnetworks\t", "\t\t", "fill the cell in"),
        ("\t\n", "\t\nhttp://example.org/networks\t\tnets\t\t\n", "stands in this list already"),
        ("# rights: none\n", "", "lacks rights"),
        ("label_es", "label_pt", "the columns must be"),
    ],
)
def test_a_broken_list_of_terms_is_told_with_its_place_and_repair(old, new, repair):
    assert old in TERMS
    detail, *_ = refused(TERMS.replace(old, new), lambda data: sssom.read_terms(data, "t.tsv"))
    assert repair in detail


def test_a_mapping_file_that_is_not_utf_8_is_refused(tmp_path):
    path = tmp_path / "bad.sssom.tsv"
    path.write_bytes(b"# \xe9\n")
    with pytest.raises(BrokenFile, match="save it as UTF-8"):
        parse_file(path)


# --- the files


@cache
def rows(path: Path) -> list[dict[str, str]]:
    data = "\n".join(s for s in path.read_text("utf-8").splitlines() if not s.startswith("#"))
    return list(csv.DictReader(io.StringIO(data), delimiter="\t", quoting=csv.QUOTE_NONE))


NAMES = {f"{BASE}id/activity/A4.1": {"Organization of stakeholders"}}


@pytest.mark.parametrize(
    "label", ["A4.1 Organization of stakeholders", "Organization of stakeholders"]
)
def test_a_subject_is_called_as_in_the_graph(label):
    sssom.read_mappings(text({"subject_label": label}), "test.sssom.tsv", KNOWN, NAMES)


@pytest.mark.parametrize("label", ["A4.2 Organization of stakeholders", "Organisation of farmers"])
def test_a_label_that_the_graph_has_not_is_told_with_its_place_and_repair(label):
    detail, _, column = refused(
        text({"subject_label": label}),
        lambda data: sssom.read_mappings(data, "test.sssom.tsv", KNOWN, NAMES),
    )
    assert column == len("activity:A4.1\t") + 1
    assert "the graph calls activity:A4.1 'Organization of stakeholders'; use it" in detail


def test_a_wrong_label_in_a_file_is_found_by_who_reads_the_files(tmp_path):
    for name in ("data", "ontology"):
        shutil.copytree(ROOT / name, tmp_path / name)
    path = tmp_path / "data" / "mappings" / "soilvoc.sssom.tsv"
    said = path.read_text("utf-8").replace(
        "topic:soil-health\tsoil health", "topic:soil-health\tsol"
    )
    path.write_text(said, "utf-8")
    with pytest.raises(BrokenFile, match="calls topic:soil-health 'soil health'; use it"):
        parse_file(path)


@pytest.mark.parametrize("path", SETS, ids=lambda p: p.name)
def test_what_names_two_things_is_not_the_same_as_one_of_them(path):
    """“Income and livelihoods” is wider than livelihoods."""
    for row in rows(path):
        if row["predicate_id"] in ("skos:exactMatch", "owl:equivalentClass"):
            for joint in (" and ", " or ", " on the ground"):
                assert (joint in row["subject_label"]) <= (joint in row["object_label"]), row


def test_soil_health_as_topic_and_as_property_is_matched_alike():
    found = {
        (row["subject_id"], row["predicate_id"])
        for path in SETS
        for row in rows(path)
        if row["subject_id"].endswith(":soil-health")
    }
    assert found == {
        (f"{kind}:soil-health", "skos:closeMatch") for kind in ("topic", "measured-property")
    }


@cache
def names() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for file in [*(ROOT / "data").glob("*.ttl"), *(ROOT / "ontology").glob("*.ttl")]:
        for t in parse_file(file):
            if t.predicate in (iri("skos:prefLabel"), iri("rdfs:label")):
                found.setdefault(str(t.subject), set()).add(t.object.value)
    return found


@pytest.mark.parametrize("path", SETS, ids=lambda p: p.name)
def test_labels_in_a_mapping_file_are_those_of_the_graph(path):
    for row in rows(path):
        _, _, key = row["subject_id"].partition(":")
        known = names()[str(iri(row["subject_id"]))]
        assert row["subject_label"] in known | {f"{key} {name}" for name in known}, row


def test_every_objective_has_a_topic_in_agrovoc():
    topics = {row["subject_id"] for row in rows(MAPPINGS / "agrovoc-plan.sssom.tsv")}
    assert {t for t in topics if t.startswith("objective:")} == {
        f"objective:{goal}{n}"
        for goal, last in zip("ABCDEF", (6, 4, 4, 4, 3, 3), strict=True)
        for n in range(1, last + 1)
    }


@cache
def texts() -> dict[str, str]:
    """The text of each objective and activity, that of its targets included."""
    found: dict[str, list[str]] = {}
    owner: dict[str, str] = {}
    for path in sorted((ROOT / "data").glob("plan-202[01]*.ttl")):
        for t in parse_file(path):
            if t.predicate == iri("k4p:targetOf"):
                owner[str(t.subject)] = str(t.object)
            elif t.predicate in (iri("skos:prefLabel"), iri("dcterms:description")):
                found.setdefault(str(t.subject), []).append(t.object.value)
    for part, whole in owner.items():
        found[whole] += found.get(part, [])
    return {key: " ".join(parts) for key, parts in found.items()}


def test_words_that_a_topic_rests_on_stand_in_the_text():
    quoting = [r for r in rows(MAPPINGS / "agrovoc-plan.sssom.tsv") if "“" in r["comment"]]
    assert len(quoting) > 400
    for row in quoting:
        words = row["comment"].partition("“")[2].partition("”")[0]
        assert words in texts()[str(iri(row["subject_id"]))], row


def test_a_topic_that_is_found_by_its_name_quotes_it():
    for row in rows(MAPPINGS / "agrovoc-plan.sssom.tsv"):
        assert row["comment"].startswith("Its text has “"), row


@pytest.mark.skipif(not SHARED.exists(), reason="the tables of identifiers are not here")
@pytest.mark.parametrize("path", LISTS, ids=lambda p: p.name)
def test_every_verified_term_stands_in_the_tables_it_was_taken_from(path):
    known = "\n".join(
        f.read_text("utf-8", errors="replace")
        for f in [*SHARED.rglob("*.csv"), *SHARED.rglob("*.ttl"), *SHARED.rglob("*.jsonld")]
    ) + (SHARED.parent / "reference" / "domain.md").read_text("utf-8")
    said = sssom.read_terms(path.read_text("utf-8"), path.name)
    for address in {t.subject.value for t in said if t.predicate == iri("skos:prefLabel")}:
        local = address.replace("#", "/").rsplit("/", 1)[-1]
        assert address in known or f":{local}" in known or f"{local.split('-')[-1]}" in known


@pytest.mark.skipif(not shutil.which("sssom"), reason="the tool sssom (PyPI) is not installed")
@pytest.mark.parametrize("path", SETS, ids=lambda p: p.name)
def test_the_tool_of_sssom_reads_a_mapping_file(path):
    done = subprocess.run(["sssom", "validate", str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_columns_may_stand_in_another_order_and_the_file_have_windows_line_ends():
    def read(columns, end="\n", mark=""):
        rows = [columns, [ROW[name] for name in columns]]
        table = GOOD.rpartition("\n")[0] + "\n" + "\n".join("\t".join(row) for row in rows) + "\n"
        return sssom.read_mappings(mark + table.replace("\n", end), "x.tsv", KNOWN)

    asked = list(sssom.COLUMNS)
    assert read(asked[::-1]) == read(asked) == read(sorted(asked), "\r\n", "\ufeff")
    for wrong, why in ((asked[1:], f"add {asked[0]}"), ([*asked, asked[0]], "each once")):
        with pytest.raises(BrokenFile) as caught:
            read(wrong)
        assert why in caught.value.detail
