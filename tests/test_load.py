"""Large amounts in and out: files loaded, graphs cleared, differences between versions."""

import gzip
import io
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyoxigraph import (
    BlankNode,
    CanonicalizationAlgorithm,
    Dataset,
    Literal,
    NamedNode,
    Quad,
    RdfFormat,
    parse,
)

from kg4p1000.curation import build, commits, loading
from kg4p1000.kernel.errors import (
    BadParameter,
    BrokenFile,
    Forbidden,
    MalformedRequest,
    NotFound,
    ShapesViolated,
    TooLarge,
)
from kg4p1000.kernel.terms import iri
from kg4p1000.store import Delta, Store, bulk, check
from kg4p1000.store.changes import rows
from kg4p1000.store.keeping import Normalised

ROOT = Path(__file__).parents[1]
REGISTER, BIG, OTHER = iri("graph:graphs"), iri("graph:big"), iri("graph:other")
P = NamedNode("http://example.org/p")


def thing(i):
    return NamedNode(f"http://example.org/s{i}")


def publish(store, added=(), removed=()):
    with store.draft() as aside:
        aside.apply(Delta.of(added, removed))
        return store.publish(aside, "tester", "", "test")


@pytest.fixture(params=["large", "small"])
def way(request, monkeypatch):
    """Files as they come take one way, those that would not fit into memory another."""
    monkeypatch.setattr(loading, "_LARGE", 0 if request.param == "large" else 1 << 40)
    return request.param


@pytest.fixture
def store(tmp_path):
    """Two merged graphs that share a statement; no shapes apply to what they say."""
    store = Store(tmp_path / "store")
    registered = [Quad(g, iri("k4p:inDefaultGraph"), Literal(True), REGISTER) for g in (BIG, OTHER)]
    publish(store, [*registered, Quad(thing(1), P, Literal("shared"), OTHER)])
    return store


@pytest.fixture
def shapes(tmp_path):
    """A folder with one shape: whatever has P has no more than five values of it."""
    folder = tmp_path / "files" / "shapes"
    folder.mkdir(parents=True)
    (folder / "few.ttl").write_text(
        "@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix ex: <http://example.org/> .\n"
        "ex:Few a sh:NodeShape ; sh:targetSubjectsOf ex:p ; sh:property ex:Few-p .\n"
        'ex:Few-p a sh:PropertyShape ; sh:path ex:p ; sh:maxCount 5 ; sh:severity sh:Violation ; sh:name "few"@en ;\n'
        '  sh:message "At most five."@en .\n'
    )
    return folder.parent


def load(store, files, path, graph=BIG, **more):
    options = {"author": "t", "limit": 1 << 30, "tell": lambda done, total: None, **more}
    return loading.load(store, files, path, graph, **options)


def in_step(store):
    assert check(store) == []


NASTY = [
    '<http://example.org/s1> <http://example.org/p> "shared" .',
    '<http://example.org/s2> <http://example.org/p> "0042"^^<http://www.w3.org/2001/XMLSchema#integer> .',
    '<http://example.org/s3> <http://example.org/p> "line\\nbreak \\"quoted\\" \\\\ tab\\t é 😀 \\u0001"@fr .',
    '<http://example.org/s4> <http://example.org/p> "says _:b1" .',
    "_:b1 <http://example.org/p> _:b2 .",
    "_:b2 <http://example.org/p> <http://example.org/s1> .",
]


def test_a_file_is_loaded_logged_merged_and_undone(store, shapes, way, tmp_path):
    path = tmp_path / "data.nt"
    path.write_text("\n".join(NASTY) + "\n")
    told = []
    before = set(store.quads())
    done = load(store, shapes, path, tell=lambda done, total: told.append((done, total)))
    assert done.counts == (6, 0)
    assert (done.entry.added, done.entry.removed, done.entry.source) == (6, 0, "load")
    assert told[-1] == (path.stat().st_size, path.stat().st_size)
    found = set(store.quads()) - before
    assert store.delta(2).added == found
    values = {q.object.value for q in found if isinstance(q.object, Literal)}
    assert values == {"shared", "42", 'line\nbreak "quoted" \\ tab\t é 😀 \x01', "says _:b1"}
    blank = {q.subject for q in found if isinstance(q.subject, BlankNode)}
    assert len(blank) == 2
    assert blank.isdisjoint({BlankNode("b1"), BlankNode("b2")})
    entry = store.log_path(2).read_bytes().splitlines()
    assert [row[2:-2] for row in entry if row.startswith(b"A ")] == rows(found)
    in_step(store)
    commits.undo(store, build.load_shapes(shapes), 2, "t")
    assert set(store.quads()) == before
    in_step(store)


def test_a_version_that_was_loaded_is_made_again_from_the_log(store, shapes, way, tmp_path):
    path = tmp_path / "data.nt"
    path.write_text("\n".join(NASTY) + "\n")
    load(store, shapes, path)
    told = set(store.quads())
    publish(store, [Quad(thing(9), P, Literal("more"), OTHER)])
    store.prune(1)
    assert set(store.quads(2)) == told


ODD = [
    *NASTY,
    "# a comment with _:b1 in it",
    "",
    "_:b1 <http://example.org/q> <<( _:b2 <http://example.org/p> _:b3 )>> . # and one behind",
    '<http://example.org/s5> <http://example.org/p> "1.0"^^<http://www.w3.org/2001/XMLSchema#decimal> .',
]
LINES = st.lists(st.sampled_from(ODD), max_size=20)


def canonical(path, data):
    form = RdfFormat.N_TRIPLES
    return bulk.write_canonical(io.BytesIO(data), form, "http://e.x/", path, Normalised())


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.integers(1, 5))
def test_lines_in_blocks_say_what_they_say_in_one_piece(tmp_path_factory, lines, end, last, size):
    folder = tmp_path_factory.mktemp("lines")
    data = end.join(lines).encode() + (end.encode() if last else b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "_PARSED", size)
        written = canonical(folder / "said", data)
    expected = canonical(folder / "expected", data)
    found = [Dataset(parse(path=path, format=RdfFormat.N_TRIPLES)) for path in (written, expected)]
    for dataset in found:
        dataset.canonicalize(CanonicalizationAlgorithm.RDFC_1_0)
    assert found[0] == found[1]


@given(LINES, LINES)
def test_what_does_not_parse_is_named_by_its_line(tmp_path_factory, before, after):
    data = "\n".join([*before, "<http://example.org/s> nonsense _:b1 .", *after]).encode()
    with pytest.raises(SyntaxError) as raised:
        canonical(tmp_path_factory.mktemp("lines") / "said", data)
    assert raised.value.lineno == len(before) + 1


@given(st.lists(st.integers(0, 99).map(str), max_size=60), st.integers(1, 7))
def test_lines_are_sorted_in_parts_as_in_one(tmp_path_factory, lines, size):
    path = tmp_path_factory.mktemp("lines") / "all"
    path.write_text("".join(f"{line}\n" for line in lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "_LINES", size)
        found = list(bulk.sorted_lines(path))
    assert found == sorted({f"{line}\n".encode() for line in lines})
    assert list(path.parent.iterdir()) == [path]


def test_what_is_there_already_is_no_change_and_replace_takes_the_rest_away(
    store, shapes, way, tmp_path
):
    publish(store, [Quad(thing(i), P, Literal(i), BIG) for i in range(5)])
    path = tmp_path / "data.ttl"
    path.write_text(
        "@prefix ex: <http://example.org/> . ex:s3 ex:p 3 . ex:s4 ex:p 4 . ex:s5 ex:p 5 ."
    )
    assert load(store, shapes, path, dry_run=True).counts == (1, 0)
    assert load(store, shapes, path, replace=True, dry_run=True).counts == (1, 3)
    assert store.current == 2
    assert load(store, shapes, path, replace=True).counts == (1, 3)
    assert {q.object.value for q in store.quads() if q.graph_name == BIG} == {"3", "4", "5"}
    assert load(store, shapes, path).entry is None
    in_step(store)


def test_a_file_that_does_not_fit_the_shapes_is_refused(store, shapes, way, tmp_path):
    path = tmp_path / "data.ttl"
    path.write_text("@prefix ex: <http://example.org/> . ex:s3 ex:p 1, 2, 3, 4, 5, 6 .")
    with pytest.raises(ShapesViolated):
        load(store, shapes, path)
    with pytest.raises(ShapesViolated):
        load(store, shapes, path, dry_run=True)
    assert store.current == 1


def test_what_is_loaded_is_inferred_from_and_what_is_now_stated_is_no_inference(
    store, shapes, way, tmp_path
):
    axiom = Quad(
        NamedNode("http://example.org/p"), iri("rdfs:domain"), NamedNode("http://example.org/C"),
        commits.ONTOLOGY,
    )  # fmt: skip
    seen = [Quad(g, iri("k4p:inDefaultGraph"), Literal(True), REGISTER)
            for g in (commits.ONTOLOGY, commits.INFERRED)]  # fmt: skip
    change = Delta.of([axiom, *seen])
    commits.commit(store, build.load_shapes(shapes), change, author="t", message="")
    path = tmp_path / "data.nt"
    path.write_text(
        "<http://example.org/s7> <http://example.org/p> <http://example.org/s8> .\n"
        "<http://example.org/s1> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <http://example.org/C> .\n"
    )
    load(store, shapes, path)
    inferred = {q.subject for q in store.quads() if q.graph_name == commits.INFERRED}
    assert inferred == {thing(7)}
    in_step(store)


def test_a_packed_file_is_unpacked_up_to_the_limit(store, shapes, way, tmp_path):
    path = tmp_path / "data.nt.gz"
    lines = "".join(
        f"<http://example.org/s{i}> <http://example.org/p> 'x' .\n".replace("'", '"')
        for i in range(5000)
    )
    path.write_bytes(gzip.compress(lines.encode()))
    with pytest.raises(TooLarge, match="load_size"):
        load(store, shapes, path, limit=10_000)
    assert store.current == 1
    assert load(store, shapes, path).counts == (5000, 0)


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("data.txt", b"", BadParameter),
        ("data.nt", b"<http://example.org/s> nonsense .\n", BrokenFile),
        ("data.nt.gz", b"not packed", BrokenFile),
        ("missing.nt", None, BrokenFile),
    ],
)
def test_a_file_that_cannot_be_read_is_told(store, shapes, way, tmp_path, name, content, error):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error) as raised:
        load(store, shapes, tmp_path / name)
    if name == "data.nt":
        assert raised.value.members["line"] == 1
    assert store.current == 1


def test_inferences_are_not_loaded(store, shapes, tmp_path):
    (tmp_path / "data.nt").write_text("")
    with pytest.raises(Forbidden):
        load(store, shapes, tmp_path / "data.nt", commits.INFERRED)


def test_a_graph_that_is_no_longer_merged_may_go_with_its_entry(store):
    publish(store, [Quad(thing(i), P, Literal(i), BIG) for i in range(50)])
    with store.draft() as aside:
        gone = set(aside.quads(BIG)) | {
            Quad(BIG, iri("k4p:inDefaultGraph"), Literal(True), REGISTER)
        }
        aside.apply(Delta(removed=frozenset(gone)))
        store.publish(aside, "tester", "", "test")
    in_step(store)
    assert not [q for q in store.quads() if q.graph_name == BIG]


def command(*words, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "kg4p1000.cli", *map(str, words)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done.stdout


def test_load_and_diff_on_the_command_line(store, shapes, tmp_path):
    path = tmp_path / "data.nt"
    path.write_text('<http://example.org/s3> <http://example.org/p> "three" .\n')
    where = ("--store", store.path, "--files", shapes)
    assert "1 statement added" in command("load", path, "--graph", "graph:big", *where)
    publish(
        store,
        [Quad(thing(4), P, Literal("four"), OTHER)],
        [Quad(thing(1), P, Literal("shared"), OTHER)],
    )
    assert command("diff", 1, 3, *where) == "graph:big\t+1\t-0\ngraph:other\t+1\t-1\n"
    assert command("diff", 3, 1, "--format", "added", *where).endswith("graph/other> .\n")
    patch = command("diff", 1, 3, "--format", "patch", "--graph", "graph:big", *where)
    assert patch.startswith('A <http://example.org/s3> <http://example.org/p> "three" <')
    assert command("diff", 2, 2, *where) == ""
    command("diff", 1, 9, *where, code=2)
    command("load", path, "--graph", "nowhere:big", *where, code=2)


RDF = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:x="http://example.org/">
<rdf:Description rdf:about="http://example.org/a">
<x:p>one</x:p>
<x:q>two</x:q>
</rdf:Description>
</rdf:RDF>
"""
EMPTY = {
    "data.rdf": [b"", b"\n", RDF.splitlines(True)[0] + b"</rdf:RDF>"],
    "data.jsonld": [b'{"name": "no context"}', b"[]", b"{}"],
    "data.ttl": [b"", b"@prefix ex: <http://example.org/> .\n"],
    "data.nt": [b"", b"# nothing\n"],
    "data.nt.gz": [b"", gzip.compress(b"", mtime=0)],
}


@pytest.mark.parametrize(
    ("name", "content"), [(name, content) for name in EMPTY for content in EMPTY[name]]
)
@pytest.mark.parametrize("replace", [True, False])
def test_a_file_that_says_nothing_empties_no_graph(
    store, shapes, way, tmp_path, name, content, replace
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BrokenFile, match=r"0 statements were understood|not whole"):
        load(store, shapes, tmp_path / name, OTHER, replace=replace)
    assert store.current == 1


@pytest.mark.parametrize("lines", range(1, 6))
def test_rdf_xml_that_was_cut_at_the_end_of_a_line_is_refused(store, shapes, way, tmp_path, lines):
    path = tmp_path / "data.rdf"
    path.write_bytes(b"".join(RDF.splitlines(True)[:lines]))
    with pytest.raises(BrokenFile, match="was the file cut"):
        load(store, shapes, path, OTHER, replace=True)
    path.write_bytes(RDF)
    assert load(store, shapes, path, OTHER, replace=True).entry.added == 2


def test_rdf_xml_that_was_cut_anywhere_is_refused():
    for end in range(1, len(RDF.rstrip())):
        with pytest.raises(SyntaxError):
            list(bulk.statements(io.BytesIO(RDF[:end]), RdfFormat.RDF_XML, "http://example.org/"))


def test_a_graph_is_emptied_by_a_word_of_its_own_and_brought_back(store, shapes, way):
    before = set(store.quads())
    done = loading.clear(store, shapes, OTHER, author="t", message="", dry_run=True)
    assert (done.entry, done.counts, store.current) == (None, (0, 1), 1)
    loading.clear(store, shapes, OTHER, author="t", message="", dry_run=False)
    assert not [q for q in store.quads() if q.graph_name == OTHER]
    in_step(store)
    with pytest.raises(NotFound):
        loading.clear(store, shapes, OTHER, author="t", message="", dry_run=False)
    commits.undo(store, build.load_shapes(shapes), 2, "t")
    assert set(store.quads()) == before


@pytest.mark.parametrize(
    "text",
    [
        '[] ex:p "nameless" .',
        'ex:a ex:p ( "a" "b" ) .',
        'ex:a ex:p "x" ~ _:r {| ex:q "y" |} .',
        'ex:r <http://www.w3.org/1999/02/22-rdf-syntax-ns#reifies> <<( _:b ex:p "x" )>> .',
    ],
)
def test_blank_nodes_stay_out_of_graphs_that_stand_in_files(store, shapes, way, tmp_path, text):
    for name in ("ontology", "data"):
        (shapes / name).mkdir()
    path = tmp_path / "data.ttl"
    path.write_text(f"@prefix ex: <http://example.org/> . {text}")
    (shapes / "data" / "other.ttl").write_text("")
    with pytest.raises(MalformedRequest, match="graph:other stands in a file"):
        load(store, shapes, path, OTHER)
    assert store.current == 1
    assert load(store, shapes, path, BIG).entry
    path.write_text('@prefix ex: <http://example.org/> . ex:a ex:p "_:b is no node" .')
    assert load(store, shapes, path, OTHER).entry


def test_a_dry_run_refuses_what_the_log_could_not_take(store, shapes):
    long = Quad(thing(1), P, Literal("x" * 5_000_000), OTHER)
    for dry_run in (True, False):
        with pytest.raises(TooLarge):
            commits.commit(
                store,
                build.load_shapes(shapes),
                Delta.of([long]),
                author="t",
                message="",
                dry_run=dry_run,
            )


def test_no_more_versions_are_kept_than_may_be(store, shapes):
    kept = Store(store.path, keep=2)
    judged = build.load_shapes(shapes)
    for i in range(4):
        commits.commit(
            kept, judged, Delta.of([Quad(thing(i), P, thing(0), OTHER)]), author="t", message=""
        )
    commits.undo(kept, judged, kept.current, "t")
    assert sorted(p.name for p in (kept.path / "versions").glob("[0-9]*")) == [
        "00000005",
        "00000006",
    ]


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.TTL", RdfFormat.TURTLE), ("a.Nt", RdfFormat.N_TRIPLES), ("a.owl", RdfFormat.RDF_XML), ("a.ttl.GZ", RdfFormat.TURTLE), ("a.NQ", RdfFormat.N_QUADS), ("a.trig.gz", RdfFormat.TRIG)],
)  # fmt: skip
def test_endings_are_known_in_any_capitals(tmp_path, name, form):
    assert loading._form(tmp_path / name) == form
