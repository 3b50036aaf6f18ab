"""What a change brings that is kept otherwise than it was sent is told in its answer, with a count and an example."""

import base64
import gzip
from pathlib import Path

import pyoxigraph as ox
import pytest
from click.testing import CliRunner

from kg4p1000.cli import main
from kg4p1000.curation.writer import perform
from kg4p1000.store.keeping import kept

TOY = Path(__file__).parent / "toy"
pytestmark = pytest.mark.usefixtures("toy_by_default")
NOTES = "https://w3id.org/kg4p1000/graph/notes"

XSD = "http://www.w3.org/2001/XMLSchema#"
SENT = [
    ("12", "byte"), ("13", "byte"), ("-5", "nonNegativeInteger"), ("1e400", "double"), ("01", "integer"), ("7", "integer"),
    ("2024-01-01T24:00:00", "dateTime"), ("1.50", "decimal"), ("x", "string"),
]  # fmt: skip
TOLD = {
    "xsd:byte": (2, "byte", "integer"), "xsd:nonNegativeInteger": (1, "nonNegativeInteger", "integer"),
    "xsd:double": (1, "double", "INF"), "xsd:integer": (1, '"01"', '"1"'), "xsd:dateTime": (1, "24:00", "2024-01-02"),
    "xsd:decimal": (1, "1.50", "1.5"),
}  # fmt: skip


def statements():
    return [
        f'<http://e.x/s> <http://e.x/p{at}> "{value}"^^<{XSD}{kind}> .'
        for at, (value, kind) in enumerate(SENT)
    ]


def check(told):
    assert {one["datatype"] for one in told} == set(TOLD)
    for one in told:
        count, sent, instead = TOLD[one["datatype"]]
        assert one["count"] == count
        assert sent in one["sent"]
        assert instead in one["kept"]


@pytest.fixture(scope="module")
def notes(toy_store):
    return toy_store()


def changed(store, kind, text):
    request = {
        "kind": kind,
        "role": 3,
        "author": "Somebody",
        "dry_run": True,
        "text": text,
        "graph": NOTES,
    }
    if kind == "update":
        del request["graph"]
    body = {"media_type": "application/n-triples", "data": base64.b64encode(text.encode()).decode()}
    return perform(store, TOY, request | body)


@pytest.mark.parametrize("kind", ["put", "post", "update"])
def test_an_answer_to_a_change_says_what_is_kept_otherwise(notes, kind):
    lines = "\n".join(statements())
    text = f"INSERT DATA {{ GRAPH graph:notes {{ {lines} }} }}" if kind == "update" else lines
    check(changed(notes, kind, text)["normalised"])


def test_nothing_is_told_where_all_is_kept_as_it_was_sent(notes):
    text = "INSERT DATA { GRAPH graph:notes { <http://e.x/s> <http://e.x/p> 7, 1.5, true, 'x' } }"
    assert changed(notes, "update", text)["normalised"] == []


@pytest.mark.parametrize("ending", [".nt", ".ttl", ".nt.gz"])
@pytest.mark.parametrize("large", [False, True])
def test_load_says_what_is_kept_otherwise(toy_store, tmp_path, monkeypatch, ending, large):
    if large:
        monkeypatch.setattr("kg4p1000.curation.loading._LARGE", 0)
    path, data = tmp_path / f"some{ending}", "\n".join(statements()).encode()
    path.write_bytes(gzip.compress(data) if ending.endswith(".gz") else data)
    arguments = ["load", str(path), "--graph", "graph:notes", "--dry-run", "--store"]
    done = CliRunner().invoke(main, [*arguments, str(toy_store().path)])
    assert done.exit_code == 0, done.output
    assert "2 literals of xsd:byte are kept by value, such as" in " ".join(done.output.split())


def test_what_is_taken_to_stay_does_stay():
    for value, kind in [
        ("0", "integer"), ("-7", "integer"), ("999999999999999999", "integer"), ("0.5", "decimal"), ("-0.5", "decimal"),
        ("123456789012.123456", "decimal"), ("100", "decimal"), ("0.1", "double"), ("123456.123456", "double"),
        ("-2.5", "double"), ("100", "double"), ("true", "boolean"), ("2020-02-30", "date"), ("2020-01-01Z", "date"),
        ("2020-01-01T23:59:59Z", "dateTime"), ("2020", "gYear"), ("2020-05", "gYearMonth"), ("a", "token"),
    ]:  # fmt: skip
        literal = ox.Literal(value, datatype=ox.NamedNode(XSD + kind))
        store = ox.Store()
        store.add(ox.Quad(ox.NamedNode("x:s"), ox.NamedNode("x:p"), literal))
        assert next(iter(store)).object == literal == kept(literal)
