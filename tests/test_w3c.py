"""The W3C tests of SPARQL queries, through HTTP: all files of data in one store, the dataset of each test by the protocol.

They are read from an archive of https://github.com/w3c/rdf-tests (folder ``sparql``): that which W3C_SPARQL_TESTS names, or
``../shared/data/w3c/sparql-tests.tar.gz`` beside this repository. They take about five seconds. What is refused, and why, stands in `REFUSED` and in docs/endpoint.md; nothing else may differ, least of all with status 200.
"""

import csv
import io
import os
import re
import tarfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyoxigraph as ox
import pytest

from kg4p1000.kernel.settings import Settings
from kg4p1000.knowledge.queries import Library
from kg4p1000.store import Delta, Readers, Store
from kg4p1000.web import create_app

ROOT = Path(__file__).parents[1]
BESIDE = ROOT.parent / "shared" / "data" / "w3c" / "sparql-tests.tar.gz"
ARCHIVE = Path(os.environ.get("W3C_SPARQL_TESTS") or BESIDE)
pytestmark = pytest.mark.skipif(
    not ARCHIVE.is_file(),
    reason=f"the W3C tests are not at {ARCHIVE}; name their archive in W3C_SPARQL_TESTS",
)

MF = "http://www.w3.org/2001/sw/DataAccess/tests/test-manifest#"
QT = "http://www.w3.org/2001/sw/DataAccess/tests/test-query#"
RS = "http://www.w3.org/2001/sw/DataAccess/tests/result-set#"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
REGIME = "http://www.w3.org/ns/sparql-service-description#entailmentRegime"
SITE = "http://w3c.example/"
KINDS = {"ttl": "TURTLE", "rdf": "RDF_XML", "nt": "N_TRIPLES", "nq": "N_QUADS", "trig": "TRIG"}
RESULTS = {
    "srx": ox.QueryResultsFormat.XML,
    "srj": ox.QueryResultsFormat.JSON,
    "tsv": ox.QueryResultsFormat.TSV,
}
FORMATS = {"srx": "xml", "srj": "json", "tsv": "tsv", "csv": "csv"}

FROM = re.compile(r"\bFROM\s+(?:NAMED\s+)?<([^>:]+)>")
#: Tests that are refused, by why. docs/endpoint.md has this table.
REFUSED = {
    "SERVICE: this endpoint calls no other": [
        *(f"sparql11/service/service{n}" for n in ("1", "2", "3", "4a", "5", "6", "7")),
        *(f"sparql11/syntax-fed/test_{n}" for n in (1, 2, 3)),
    ],
    "functions of other vocabularies are not here": [
        "sparql11/syntax-query/test_4", "sparql10/syntax-sparql1/syntax-order-05", "sparql10/syntax-sparql1/syntax-order-06",
        "sparql10/syntax-sparql1/syntax-expr-05", *(f"sparql10/syntax-sparql2/syntax-function-0{n}" for n in (1, 2, 3, 4)),
    ],
    "the engine would answer wrongly": [
        "sparql11/aggregates/agg-empty-group-count-graph", "sparql11/subquery/subquery03", "sparql11/functions/bnode01",
        "sparql10/graph/graph-optional", "sparql10/graph/graph-variable-scope",
    ],
    "a name of SELECT in a later expression of it, beside an aggregate": ["sparql12/grouping/select-variable-reuse"],
}  # fmt: skip
#: Tests that are answered otherwise, by why; no answer leaves out or adds what is in the data.
OTHERWISE = {
    "numbers and truth values are kept by value, not as they are written": [
        "sparql10/distinct/distinct-1", "sparql10/distinct/distinct-9", "sparql10/expr-builtin/sameTerm-eq",
        "sparql10/expr-builtin/sameTerm-not-eq", "sparql10/expr-builtin/sameTerm-simple", "sparql10/expr-builtin/dawg-str-1",
        "sparql10/expr-builtin/dawg-str-2", "sparql10/expr-equals/eq-graph-1", "sparql10/expr-equals/eq-graph-2",
        "sparql10/open-world/open-eq-01", "sparql12/grouping/group01",
    ],
}  # fmt: skip
KNOWN = {name: why for why, names in (REFUSED | OTHERWISE).items() for name in names}


@dataclass
class Case:
    """A test of a manifest."""

    name: str
    kind: str
    query: Path
    result: Path | None = None
    data: list[Path] = field(default_factory=list)
    named: list[Path] = field(default_factory=list)
    lax: bool = False


def node(iri):
    return ox.NamedNode(iri)


class Manifest:
    """A manifest as a graph."""

    def __init__(self, path, folder):
        self.folder = folder
        self.store = ox.Store()
        self.store.load(path=str(path), format=ox.RdfFormat.TURTLE, base_iri=address(path, folder))

    def one(self, subject, predicate):
        return next(iter(self.all(subject, predicate)), None)

    def all(self, subject, predicate):
        if isinstance(subject, ox.Literal):
            return []
        return [q.object for q in self.store.quads_for_pattern(subject, node(predicate), None)]

    def files(self, subject, predicate):
        return [self.file(term) for term in self.all(subject, predicate)]

    def file(self, term):
        return self.folder / term.value.removeprefix(SITE)

    def cases(self):
        for quad in self.store.quads_for_pattern(None, node(MF + "action"), None):
            test, action = quad.subject, quad.object
            kind = self.one(test, RDF + "type").value.removeprefix(MF)
            if not list(self.store.quads_for_pattern(None, node(RDF + "first"), test)):
                continue  # it is not among the entries
            if (
                "Update" in kind
                or "Protocol" in kind
                or self.all(action, REGIME)
                or self.all(test, REGIME)
            ):
                continue
            query = self.one(action, QT + "query") or action
            result = self.one(test, MF + "result")
            name = test.value.removeprefix(SITE)
            yield Case(
                f"{self.file(query).parent.relative_to(self.folder)}/{name.rpartition('#')[2].rpartition('/')[2]}",
                kind,
                self.file(query),
                self.file(result) if result else None,
                self.files(action, QT + "data"),
                self.files(action, QT + "graphData"),
                bool(self.all(test, MF + "resultCardinality")),
            )


def address(path, folder):
    return SITE + str(path.relative_to(folder))


def quads(path, folder):
    form = getattr(ox.RdfFormat, KINDS[path.suffix[1:]])
    return ox.parse(
        path=str(path), format=form, base_iri=address(path, folder), rename_blank_nodes=True
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("w3c")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(target, filter="data")
    return next(path.parent for path in target.rglob("sparql10"))


@pytest.fixture(scope="module")
def cases(folder):
    return [
        case
        for path in sorted(folder.rglob("manifest*.ttl"))
        for case in Manifest(path, folder).cases()
    ]


@pytest.fixture(scope="module")
def client(cases, folder, tmp_path_factory):
    """The service over a store that holds each file of data as a graph of its own."""
    added = set()
    chosen = {
        case.query.parent / name
        for case in cases
        for name in FROM.findall(case.query.read_text(encoding="utf-8", errors="replace"))
    }
    for path in {path for case in cases for path in case.data + case.named} | set(
        filter(Path.is_file, chosen)
    ):
        for quad in quads(path, folder):
            default = quad.graph_name == ox.DefaultGraph()
            graph = node(address(path, folder)) if default else quad.graph_name
            added.add(ox.Quad(quad.subject, quad.predicate, quad.object, graph))
    store = Store(tmp_path_factory.mktemp("store") / "store")
    with store.draft() as draft:
        draft.apply(Delta.of(added, []))
        store.publish(draft, "tests", "the files of the W3C tests", "test")
    settings = Settings(store=store.path, files=ROOT, access_log="none")
    readers = Readers(store, size=2, timeout=600, memory=512)
    yield create_app(settings, store, readers, Library(ROOT / "queries")).test_client()
    readers.close()


def ask(client, case, folder, form=None):
    text = case.query.read_text(encoding="utf-8", errors="surrogateescape")
    parameters = {"query": f"BASE <{address(case.query, folder)}>\n{text}"}
    trig = [quad.graph_name.value for path in case.data if path.suffix == ".trig" for quad in quads(path, folder)
            if quad.graph_name != ox.DefaultGraph()]  # fmt: skip
    parameters["default-graph-uri"] = [address(path, folder) for path in case.data] or [
        SITE + "none"
    ]
    parameters["named-graph-uri"] = sorted({*(address(path, folder) for path in case.named), *trig})
    if FROM.search(text):
        del parameters["default-graph-uri"], parameters["named-graph-uri"]
    if form:
        parameters["format"] = form
    body = {name: value for name, value in parameters.items() if value}
    for name, value in body.items():
        if isinstance(value, str):
            body[name] = value.encode("utf-8", errors="surrogateescape")
    return client.post("/sparql", data=body)


# comparing


def kept(term):
    """A term as the store keeps it: numbers, times and truth values by value."""
    store = ox.Store()
    if isinstance(term, ox.Literal | ox.Triple):
        store.add(ox.Quad(node("x:s"), node("x:p"), term))
        return next(iter(store)).object
    return term


def solutions(data, form):
    read = ox.parse_query_results(data, format=form)
    if isinstance(read, ox.QueryBoolean):
        return bool(read)
    names = [v.value for v in read.variables]
    return [{n: kept(row[n]) for n in names if row[n] is not None} for row in read]


def from_graph(path, folder):
    """Solutions that are written as a graph, or None where the graph is the result itself."""
    store = ox.Store()
    store.extend(quads(path, folder))
    if truth := list(store.quads_for_pattern(None, node(RS + "boolean"), None)):
        return truth[0].object.value == "true"
    if not list(store.quads_for_pattern(None, node(RDF + "type"), node(RS + "ResultSet"))):
        return None
    found = []
    for solution in store.quads_for_pattern(None, node(RS + "solution"), None):
        row = {}
        for binding in store.quads_for_pattern(solution.object, node(RS + "binding"), None):
            name, value = (
                next(store.quads_for_pattern(binding.object, node(RS + part), None)).object
                for part in ("variable", "value")
            )
            row[name.value] = kept(value)
        found.append(row)
    return found


def same(ours, theirs, lax=False):
    """Whether two sequences of solutions are the same but for their order and the labels of blank nodes."""
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    if lax:
        ours, theirs = (
            [dict(row) for row in {tuple(sorted(r.items(), key=str)) for r in rows}]
            for rows in (ours, theirs)
        )

    def shape(rows):
        return Counter(
            frozenset((n, "_:" if isinstance(t, ox.BlankNode) else str(t)) for n, t in row.items())
            for row in rows
        )

    if not any(isinstance(t, ox.BlankNode | ox.Triple) for row in theirs for t in row.values()):
        return shape(ours) == shape(theirs)
    return len(ours) == len(theirs) and matched(sorted(ours, key=len), theirs, {})


def matched(ours, theirs, labels):
    if not ours:
        return True
    for at, row in enumerate(theirs):
        found = dict(labels)
        fits = row.keys() == ours[0].keys() and all(paired(ours[0][n], row[n], found) for n in row)
        if fits and matched(ours[1:], theirs[:at] + theirs[at + 1 :], found):
            return True
    return False


def paired(one, other, labels):
    if isinstance(one, ox.BlankNode) and isinstance(other, ox.BlankNode):
        if one in labels or other in labels.values():
            return labels.get(one) == other
        labels[one] = other
        return True
    if isinstance(one, ox.Triple) and isinstance(other, ox.Triple):
        return all(paired(a, b, labels) for a, b in zip(one, other, strict=True))
    return one == other


def canonical(triples):
    found = ox.Dataset(ox.Quad(t.subject, t.predicate, kept(t.object)) for t in triples)
    found.canonicalize(ox.CanonicalizationAlgorithm.UNSTABLE)
    return set(map(str, found))


def cell(text):
    """A cell of CSV: numbers by value, and blank nodes alike."""
    try:
        return float(text)
    except ValueError:
        return "_:" if text.startswith("_:") else text


def verdict(client, case, folder):
    """Empty if a test passes, else what is wrong."""
    suffix = case.result.suffix[1:] if case.result else ""
    expected = from_graph(case.result, folder) if suffix in KINDS else None
    is_graph = suffix in KINDS and expected is None
    answer = ask(client, case, folder, "ntriples" if is_graph else FORMATS.get(suffix))
    if "Negative" in case.kind:
        return "" if answer.status_code == 400 else f"{answer.status_code} for what is no query"
    if answer.status_code != 200:
        return f"{answer.status_code} {answer.get_json(force=True)['detail'][:200]}"
    if "Syntax" in case.kind:
        return ""
    data = answer.data
    if is_graph:
        ours = canonical(ox.parse(data, format=ox.RdfFormat.N_TRIPLES))
        return "" if ours == canonical(quads(case.result, folder)) else f"WRONG {sorted(ours)[:5]}"
    if suffix == "csv":
        ours, theirs = (
            [tuple(map(cell, row)) for row in csv.reader(io.StringIO(text.decode(), newline=""))]
            for text in (data, case.result.read_bytes())
        )
        right = ours[0] == theirs[0] and Counter(ours) == Counter(theirs)
        return "" if right else f"WRONG {data!r}"
    form = RESULTS.get(suffix)
    if expected is None:
        expected = solutions(case.result.read_bytes(), form)
    ours = solutions(data, form or ox.QueryResultsFormat.JSON)
    return "" if same(ours, expected, case.lax) else f"WRONG {ours!r:.400}"


@pytest.mark.slow
@pytest.mark.parametrize("suite", ["sparql10", "sparql11", "sparql12"])
def test_queries_are_answered_as_w3c_says_or_refused_as_listed(client, cases, folder, suite):
    found = {}
    chosen = [case for case in cases if case.name.startswith(suite)]
    assert len(chosen) > 200
    for case in chosen:
        if told := verdict(client, case, folder):
            found[case.name] = told
    unknown = {name: told for name, told in found.items() if name not in KNOWN}
    assert not unknown, "\n".join(f"{name}: {told}" for name, told in unknown.items())
    passed = [name for name in KNOWN if name.startswith(suite) and name not in found]
    assert not passed, f"answered as W3C says now: {passed}"
    refused = {name for names in REFUSED.values() for name in names}
    assert not [name for name in refused & found.keys() if found[name].startswith(("WRONG", "200"))]
