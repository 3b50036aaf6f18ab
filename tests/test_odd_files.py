"""Files as people send and save them: several graphs, other editors, git, other endings, and slips in rules and queries."""

import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from kg4p1000.cli import main
from kg4p1000.curation import build, loading
from kg4p1000.curation.build import load_shapes
from kg4p1000.kernel.errors import BadParameter, BrokenFile, KgError, TooDeep
from kg4p1000.kernel.files import read, unread
from kg4p1000.kernel.terms import iri
from kg4p1000.kernel.texts import counted
from kg4p1000.knowledge.queries import Library, read_query
from kg4p1000.store import Store

ROOT = Path(__file__).parent.parent
BOM = b"\xef\xbb\xbf"
NOTE = '<https://w3id.org/kg4p1000/id/activity/A1.1> <http://www.w3.org/2004/02/skos/core#editorialNote> "x y"@en'
G = "https://w3id.org/kg4p1000/graph/"
MINE, OTHER = iri("graph:mine"), iri("graph:other")
PREFIXES = (
    "@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix ex: <http://example.org/> .\n"
    "@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .\n"
    'ex:P sh:declare [ sh:prefix "ex" ; sh:namespace "http://example.org/"^^xsd:anyURI ] .\n'
)


@pytest.fixture
def files(tmp_path):
    """A folder of the knowledge with nothing in it but a thing."""
    folder = tmp_path / "files"
    for name in ("ontology", "shapes", "data/mappings/verified", "queries/competency"):
        (folder / name).mkdir(parents=True)
    (folder / "data" / "mine.ttl").write_text(f"{NOTE} .\n")
    return folder


def load(store, files, path, graph=None, **more):
    options = {"author": "t", "limit": 1 << 30, "tell": lambda done, total: None, **more}
    return loading.load(store, files, path, graph, **options)


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


ONE = f"{NOTE} <{G}mine> .\n"
TWO = f"{ONE}{NOTE} <{G}other> .\n"


@pytest.mark.parametrize(
    ("name", "text", "graph", "graphs"),
    [
        ("a.nq", ONE, None, {MINE}),
        ("a.nq", ONE, OTHER, {OTHER}),
        ("a.NQ", TWO, None, {MINE, OTHER}),
        ("a.nq", TWO, OTHER, {OTHER}),
        ("a.nq", f"{NOTE} .\n", OTHER, {OTHER}),
        ("a.nq", f"{NOTE} .\n{ONE}", MINE, {MINE}),
        ("a.trig", f"<{G}mine> {{ {NOTE} }} <{G}other> {{ {NOTE} }}", None, {MINE, OTHER}),
        ("a.trig", f"{{ {NOTE} }}", MINE, {MINE}),
        ("a.nq", f"{TWO}{NOTE} <{G}inferred> .\n", None, {MINE, OTHER}),
    ],
)
def test_a_file_of_several_graphs_goes_where_it_says(tmp_path, files, name, text, graph, graphs):
    store = Store(tmp_path / "store")
    load(store, files, written(tmp_path, name, text), graph)
    assert {quad.graph_name for quad in store.quads()} == graphs


@pytest.mark.parametrize(
    ("name", "text", "graph", "told"),
    [
        ("a.nq", f"{NOTE} .\n", None, "1 statement of the file names no graph"),
        ("a.nq", f"{NOTE} .\n{ONE}", OTHER, "graph:other is none of them: graph:mine"),
        ("a.nq", TWO, iri("graph:third"), "graph:mine, graph:other"),
        ("a.nt", f"{NOTE} .\n", None, "--graph"),
        ("a.nq", f"{NOTE} _:g .\n", None, "blank node"),
    ],
)
def test_a_file_whose_graph_nobody_knows_is_told_with_what_to_do(
    tmp_path, files, name, text, graph, told
):
    store = Store(tmp_path / "store")
    with pytest.raises(BadParameter) as caught:
        load(store, files, written(tmp_path, name, text), graph)
    assert told in caught.value.detail
    assert not store.current


def test_replacing_by_a_file_of_several_graphs_replaces_those_alone(tmp_path, files):
    store = Store(tmp_path / "store")
    third = f"{NOTE.replace('x y', 'old')} <{G}{{}}> .\n"
    load(store, files, written(tmp_path, "a.nq", third.format("mine") + third.format("third")))
    load(store, files, written(tmp_path, "b.nq", ONE), replace=True)
    assert {(q.graph_name, q.object.value) for q in store.quads()} == {
        (MINE, "x y"),
        (iri("graph:third"), "old"),
    }


def test_what_a_build_makes_comes_back_from_its_dump(tmp_path, files):
    store = Store(tmp_path / "one")
    (files / "ontology" / "x.ttl").write_text(
        "<http://e.x/C> <http://www.w3.org/2000/01/rdf-schema#subClassOf> [ a <http://www.w3.org/2002/07/owl#Restriction> ;"
        ' <http://www.w3.org/2002/07/owl#cardinality> "1"^^<http://www.w3.org/2001/XMLSchema#nonNegativeInteger> ] .\n'
    )
    build.build(store, files, author="t")
    dumped = written(tmp_path, "own.nq", "".join(f"{quad} .\n" for quad in store.quads()))
    assert load(store, files, dumped).entry is None
    again = Store(tmp_path / "two")
    load(again, files, dumped)
    assert set(again.quads()) == set(store.quads())
    assert build.build(again, files, author="t").commit.entry is None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.nt", f"{NOTE} .\n"),
        ("a.ttl", f"{NOTE} .\n"),
        ("a.nq", ONE),
        ("a.jsonld", '{"@id": "http://e.x/s", "http://e.x/p": 1}'),
        (
            "a.rdf",
            '<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://e.x/"><r:Description'
            ' r:about="http://e.x/s"><e:p>1</e:p></r:Description></r:RDF>',
        ),
    ],
)
def test_a_byte_order_mark_is_no_part_of_a_file_that_is_loaded(tmp_path, files, name, text):
    done = load(
        Store(tmp_path / "store"), files, written(tmp_path, name, BOM + text.encode()), MINE
    )
    assert done.counts[0] == 1


N = 20_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonld", '{"http://e.x/p":' * N + "1" + "}" * N),
        ("a.jsonld", "[" * 5 * N + "]" * 5 * N),
        ("a.jsonld", '{"http://e.x/p":{"@list":[' * N + "1" + "]}}" * N),
        ("a.nt", "<http://e/x> <http://e/p> " + "<<( <http://e/x> <http://e/p> " * N + "<http://e/x>" + " )>>" * N + " ."),
        ("a.ttl", "<http://e/x> <http://e/p> " + "<<( <http://e/x> <http://e/p> " * N + "1" + " )>>" * N + " ."),
        ("a.nq", "<http://e/x> <http://e/p> " + "<<( <http://e/x> <http://e/p> " * N + "<http://e/x>" + " )>>" * N + " <http://e/g> ."),
    ],
)  # fmt: skip
def test_what_is_nested_deeply_is_refused_before_it_ends_the_process(tmp_path, files, name, text):
    with pytest.raises(TooDeep):
        load(Store(tmp_path / "store"), files, written(tmp_path, name, text), MINE)


def test_signs_of_nesting_in_texts_are_none(tmp_path, files):
    text = (
        '{"@id": "http://e.x/s", "http://e.x/p": "' + '[{ \\" <<' * (N // 20) + '"}'
    )  # the engine takes long for a long one
    assert (
        load(Store(tmp_path / "s"), files, written(tmp_path, "a.jsonld", text), MINE).counts[0] == 1
    )


MARKS = "<<<<<<< HEAD\n{0}\n=======\n{0}\n>>>>>>> other\n"


@pytest.mark.parametrize(
    "name",
    [
        "ontology/x.ttl", "shapes/x.ttl", "data/mine.ttl", "data/mappings/x.sssom.tsv", "data/mappings/verified/x.tsv",
        "queries/competency/x.rq",
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_marks_of_git_are_told_in_every_kind_of_file(tmp_path, files, name, end):
    path = files / name
    path.write_bytes(("#\n" + MARKS.format("# text")).replace("\n", end).encode())
    with pytest.raises(BrokenFile) as caught:
        Library(files / "queries")
        load_shapes(files)
        build.build(Store(tmp_path / "store"), files, author="t")
    assert "conflict of git" in caught.value.detail
    assert caught.value.members == {"file": str(path), "line": 2}


@pytest.mark.parametrize("mark", ["=======", "||||||| base", ">>>>>>> other"])
def test_a_mark_that_was_left_alone_is_told_too(files, mark):
    path = files / "data" / "mine.ttl"
    path.write_text(f"# one\n{mark}\n{NOTE} .\n")
    with pytest.raises(BrokenFile, match="line 2: a conflict of git"):
        build.parse_file(path)


def test_a_line_of_equals_signs_in_a_text_is_no_mark(files):
    path = files / "data" / "mine.ttl"
    path.write_text('<http://e/x> <http://e/p> """Results\n=======\nNone."""@en .\n')
    assert build.parse_file(path)[0].object.value == "Results\n=======\nNone."


@pytest.mark.parametrize("name", ["a.nt", "a.jsonld", "a.rdf", "a.trig"])
def test_marks_of_git_are_told_of_files_that_are_loaded(tmp_path, files, name):
    path = written(tmp_path, name, MARKS.format(NOTE))
    with pytest.raises(BrokenFile, match="line 1: a conflict of git"):
        load(Store(tmp_path / "store"), files, path, MINE)


@pytest.mark.parametrize(
    "name",
    [
        "data/extra.rdf", "data/extra.nt", "data/extra.jsonld", "data/extra.owl", "data/extra.nq", "data/extra.trig",
        "data/extra.ttl.gz", "data/extra.csv", "data/extra.xlsx", "data/sub/more.ttl", "data/mappings/x.tsv",
        "data/mappings/x.csv", "ontology/x.owl", "ontology/deep/x.ttl", "shapes/x.jsonld", "queries/competency/x.sparql",
    ],
)  # fmt: skip
def test_no_file_is_left_out_in_silence(tmp_path, files, name):
    path = files / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{NOTE} .\n")
    with pytest.raises(BrokenFile) as caught:
        build.build(Store(tmp_path / "store"), files, author="t")
    assert f"{path} would not be read" in caught.value.detail
    done = CliRunner().invoke(main, ["validate", "--files", str(files)])
    assert done.exit_code == 1
    assert "would not be read" in done.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    "name",
    [
        "data/LICENSE",
        "data/README.md",
        "data/mine.ttl~",
        "data/.mine.ttl.swp",
        "shapes/mine.ttl.orig",
    ],
)
def test_what_is_no_knowledge_may_stand_beside_it(tmp_path, files, name):
    (files / name).write_text("x")
    assert build.build(Store(tmp_path / "store"), files, author="t").commit.entry


def test_all_files_of_the_project_are_read():
    assert [error.detail for error in unread(ROOT)] == []


def test_endings_in_capitals_are_read(tmp_path, files):
    (files / "data" / "mine.ttl").rename(files / "data" / "mine.TTL")
    query = ROOT / "queries" / "competency" / "glossary.rq"
    shutil.copy(query, files / "queries" / "competency" / "glossary.RQ")
    build.build(store := Store(tmp_path / "store"), files, author="t")
    assert {quad.graph_name for quad in store.quads()} == {MINE}
    assert [stored.name for stored in Library(files / "queries")] == ["glossary"]


@pytest.mark.parametrize(
    "name",
    ["data/my notes.ttl", "queries/competency/my query.rq", "data/mappings/my (1).sssom.tsv"],
)
def test_a_name_that_nothing_can_be_called_after_is_told_with_a_better_one(tmp_path, files, name):
    (files / name).write_text("#")
    with pytest.raises(BrokenFile, match=r"such as my-\S+"):
        build.build(Store(tmp_path / "store"), files, author="t")
        Library(files / "queries")


@pytest.mark.slow
def test_line_ends_and_marks_of_an_editor_change_nothing(tmp_path):
    """All files of the project, as an editor on Windows saves them."""
    odd = tmp_path / "odd"
    for folder in ("ontology", "shapes", "data"):
        shutil.copytree(ROOT / folder, odd / folder)
    for path in [p for p in odd.rglob("*") if p.suffix in (".ttl", ".tsv", ".rq")]:
        path.write_bytes(BOM + path.read_bytes().replace(b"\n", b"\r\n"))
    for ours, theirs in zip(build.sources(ROOT), build.sources(odd), strict=True):
        assert set(build.read(ours)) == set(build.read(theirs))
    assert load_shapes(odd).digest == load_shapes(ROOT).digest


def test_a_file_in_another_encoding_is_told_with_its_line(files):
    path = files / "queries" / "competency" / "x.rq"
    path.write_bytes("#+ summary: x\n# caf\u00e9\n".encode("latin-1"))
    with pytest.raises(BrokenFile, match="line 2: the file is not UTF-8"):
        read_query(path)
    assert read(written(files, "x.txt", BOM + b"a\r\nb")) == b"a\nb"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('sh:minCount "one"', "sh:minCount is a whole number"), ("sh:minCount -1", "whole number from 0 on"),
        ("sh:maxLength 2.5", "whole number"), ('sh:pattern "^(?!x)"', "look ahead"), ('sh:pattern "a(?<=b)"', "look ahead or behind"),
        ('sh:pattern "["', "sh:pattern"), ('sh:pattern "a{2,1}"', "sh:pattern"), (r'sh:pattern "(a)\\1"', "sh:pattern"),
        ("sh:pattern 5", "sh:pattern is a text"), ('sh:pattern "a" ; sh:flags "zz"', "flags"), ('sh:in "a"', "sh:in is a list"),
        ('sh:languageIn "en"', "sh:languageIn is a list"), ('sh:deactivated "yes"', "true or false"),
        ('sh:uniqueLang "true"', "true or false"), ('sh:minInclusive "abc"', "a number or a date"),
        ('sh:datatype "xsd:string"', "sh:datatype is a name"), ("sh:message 5", "sh:message is a text"),
    ],
)  # fmt: skip
def test_a_slip_in_a_shape_is_told_with_file_line_and_word(files, said, told):
    path = files / "shapes" / "x.ttl"
    path.write_text(
        f"{PREFIXES}ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:property ex:S-p .\nex:S-p sh:path ex:p ; {said} .\n"
    )
    with pytest.raises(BrokenFile) as caught:
        load_shapes(files)
    assert told in caught.value.detail
    assert caught.value.members == {"file": str(path), "line": 5}


@pytest.mark.parametrize(
    ("select", "line", "told"),
    [
        ("SELECT $this WHERE { $this ex:p ?l FILTR(true) }", 6, "FILTR"),
        ("SELECT $this WHERE {\n $this ex:p ?l\n FILTER(STRLEN(?l > 3) }", 8, "[()]"),
        ("SELECT $this WHERE {\n $this foo:p ?l }", 7, "prefix 'foo:' is not declared"),
        ("SELECT $this WHERE { $this ex:p ?l FILTER(SUBSTRING(?l, 1) = 2) }", 6, "SUBSTR"),
        ("ASK { $this ex:p ?o }", None, "one SELECT that gives"),
        ("SELECT $this WHERE { $this ex:p ?o } LIMIT 1", None, "LIMIT is not possible"),
    ],
)
def test_a_slip_in_the_query_of_a_rule_is_told_with_file_line_and_word(files, select, line, told):
    path = files / "shapes" / "x.ttl"
    path.write_text(
        f"{PREFIXES}ex:S a sh:NodeShape ; sh:targetClass ex:C ; sh:sparql ex:S-q .\n"
        f'ex:S-q a sh:SPARQLConstraint ; sh:prefixes ex:P ; sh:message "m"@en ; sh:select\n"""{select}""" .\n'
    )
    with pytest.raises(BrokenFile) as caught:
        load_shapes(files)
    assert re.search(told, caught.value.detail), caught.value.detail
    assert "expected one of" not in caught.value.detail
    assert caught.value.members["file"] == str(path)
    assert caught.value.members["line"] == line or line is None


@pytest.mark.parametrize(
    ("query", "line", "told"),
    [
        ("SELECT ?x\nWHERE { ?x a k4p:Goal\n FILTR(true) }", 4, "FILTR"),
        ("SELECT ?x WHERE { ?x a kg4p:Goal }", 2, "k4p:Goal"),
        ("SELCT ?x WHERE { ?x a k4p:Goal }", 2, "SELCT"),
    ],
)
def test_a_slip_in_a_stored_query_is_told_with_file_line_and_word(files, query, line, told):
    path = files / "queries" / "competency" / "x.rq"
    path.write_text(f"#+ summary: x\n{query}\n")
    with pytest.raises(KgError) as caught:
        read_query(path)
    assert told in caught.value.detail
    assert caught.value.detail.startswith(f"{path}, line {line}: ")
    assert f"{path}, line {line}: the query cannot be run: Line" not in caught.value.detail


def test_a_graph_that_is_not_there_is_not_dumped_as_empty(tmp_path, files):
    folder = tmp_path / "store"
    build.build(Store(folder), files, author="t")
    done = CliRunner().invoke(
        main, ["dump", "--graph", "graph:mime", "--store", str(folder), "--files", str(files)]
    )
    assert done.exit_code == 2
    assert "did you mean graph:mine?" in done.stderr


def test_numbers_are_told_in_the_singular_and_the_plural():
    assert [counted(n, "query", "queries") for n in (0, 1, 2000)] == [
        "0 queries",
        "1 query",
        "2,000 queries",
    ]


def test_a_name_that_is_nowhere_is_told_with_the_one_that_may_have_been_meant(tmp_path):
    path = tmp_path / "x.ttl"
    path.write_text(
        "@prefix k4p: <https://w3id.org/kg4p1000/ontology/> .\n"
        "<https://w3id.org/kg4p1000/id/tool/comet-farm> k4p:access <https://w3id.org/kg4p1000/code/access/Free> ;\n"
        "  k4p:acces <https://w3id.org/kg4p1000/code/access/free> .\n"
    )
    told = CliRunner().invoke(main, ["validate", str(path), "--files", str(ROOT)]).output
    assert "access:Free; did you mean access:free?" in told
    assert "k4p:acces; did you mean k4p:access?" in told


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_a_load_that_is_refused_tells_what_may_have_been_meant(own, tmp_path, options):
    path = tmp_path / "x.ttl"
    path.write_text(
        "<https://w3id.org/kg4p1000/id/tool/comet-farm> <https://w3id.org/kg4p1000/ontology/maintainedBy>"
        " <https://w3id.org/kg4p1000/id/organisation/ffao> .\n"
    )
    store = own(tmp_path / "store")
    places = ["--store", str(store.path), "--files", str(ROOT)]
    done = CliRunner().invoke(main, ["load", str(path), "--graph", "graph:mrv", *options, *places])
    assert done.exit_code == 1
    assert "organisation:ffao; did you mean organisation:fao?" in done.stderr
