"""What is measured with: the generated statements fit the shapes, and the client counts what it gets."""

import itertools

import pyoxigraph as ox
import pytest
from bench import client, generate, speed

from kg4p1000 import reasoning
from kg4p1000.curation.build import load_shapes, merged_sources, parse_file
from kg4p1000.store import MemoryGraph


def test_generated_statements_are_the_same_each_time_and_whole_activities():
    lines = list(generate.lines(1000))
    assert lines == list(generate.lines(1000))
    assert len(lines) == len(set(lines)) == 1000 // generate.BLOCK * generate.BLOCK


@pytest.mark.slow
def test_generated_statements_fit_the_shapes(settings):
    generated = ox.parse("".join(generate.lines(500)), format=ox.RdfFormat.N_TRIPLES)
    graph = MemoryGraph(
        itertools.chain(
            (t for s in merged_sources(settings.files) for t in parse_file(s.path)),
            (q.triple for q in generated),
        )
    )
    report = reasoning.validate(graph, load_shapes(settings.files), graph.select)
    assert [f for f in report.findings if f.severity == "violation"] == []


def test_new_queries_are_new_and_repeated_ones_come_again():
    new = list(itertools.islice(speed.new_queries(10_000), 300))
    assert len(set(new)) == 300
    assert len(set(itertools.islice(speed.repeated(10_000), 300))) == 100


def test_a_load_counts_each_answer_by_its_status(address):
    good = client.load(address + "/sparql", itertools.repeat("ASK {}"), connections=3, seconds=0.3)
    assert set(good.statuses) == {200}
    assert len(good.times) == good.statuses[200] >= 3
    bad = client.load(address + "/sparql", itertools.repeat("ASK"), connections=2, seconds=0.1)
    assert set(bad.statuses) == {400}


def test_an_answer_has_its_first_byte_before_its_end(address):
    answer = client.ask(address + "/sparql", "SELECT * WHERE { ?s ?p ?o } LIMIT 5000")
    assert answer.status == 200
    assert 0 < answer.first < answer.seconds
    assert answer.size > 100_000
