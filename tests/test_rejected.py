"""What people rejected is as if nobody had said it: nothing follows from it, and nothing counts it."""

import re
from pathlib import Path

import pytest
from pyoxigraph import Quad, Triple

from everything import for_each
from kg4p1000 import sparql
from kg4p1000.kernel.settings import Settings
from kg4p1000.kernel.terms import iri
from kg4p1000.knowledge import questions
from kg4p1000.knowledge.queries import Library
from kg4p1000.reasoning import inference
from kg4p1000.store import Delta, Readers
from kg4p1000.web import create_app, home

ROOT = Path(__file__).resolve().parents[1]
#: Two stores of the real graph are made.
pytestmark = pytest.mark.slow

#: What a person can reject.
KINDS = ("Mention", "Measure", "ObjectiveRelation", "Overlap", "Mapping", "FacetAnnotation")
#: Queries that tell of what was rejected, and say so.
TELLING = {"review-state"}
_MAPPING = tuple(iri(f"k4p:mapping{part}") for part in ("Subject", "Predicate", "Object"))
_OF = (iri("k4p:annotationOf"), iri("k4p:primaryAnnotationOf"))
_WAS_OF, _STATUS = iri("k4p:rejectedAnnotationOf"), iri("k4p:status")


def rejected(quad):
    """A quad about something, once that was rejected."""
    if quad.predicate == _STATUS:
        return Quad(quad.subject, _STATUS, iri("status:rejected"), quad.graph_name)
    if quad.predicate in _OF:
        return Quad(quad.subject, _WAS_OF, quad.object, quad.graph_name)
    return quad


def without(own, change):
    """A store in which all that can be rejected was changed, with what follows from that."""
    graph = own()
    with graph.draft() as draft:
        found = {
            quad.subject
            for kind in KINDS
            for quad in draft.match(None, iri("rdf:type"), iri(f"k4p:{kind}"), None)
        }
        stated = [quad for quad in draft.quads() if quad.graph_name != inference.INFERRED]
        about = {quad for quad in stated if quad.subject in found}
        parts = {(quad.subject, quad.predicate): quad.object for quad in about}
        links = {
            Triple(*(parts[thing, part] for part in _MAPPING))
            for thing in found
            if (thing, _MAPPING[0]) in parts
        }
        linked = {quad for quad in stated if quad.triple in links}
        after = frozenset(change(about))
        draft.apply(Delta(after - about, frozenset(about | linked) - after))
        inference.infer(draft, inference.rules(inference.axioms(draft)))
        graph.publish(draft, "tests", "", "test")
    return graph


@pytest.fixture(scope="module")
def both(own):
    """Readers of a store in which all was rejected, and of one in which it was never said."""
    pools = [
        Readers(without(own, change), size=2, timeout=600, memory=512)
        for change in (lambda about: map(rejected, about), lambda _: ())
    ]
    yield pools
    for pool in pools:
        pool.close()


@for_each(
    "case",
    lambda: [c for c in questions.cases(Library(ROOT / "queries")) if c.query.name not in TELLING],
    ids=lambda case: case.label,
)
def test_no_question_counts_what_was_rejected(case, both):
    library = Library(ROOT / "queries")
    assert questions.answer(library, both[0], case) == questions.answer(library, both[1], case)


def test_nothing_follows_from_what_was_rejected(both):
    """Beside what leads to the rejected things themselves, so that people can look at them."""
    kinds = " ".join(f"k4p:{kind}" for kind in KINDS)
    text = f"""SELECT ?s ?p ?o WHERE {{
      GRAPH graph:inferred {{ ?s ?p ?o }}
      FILTER NOT EXISTS {{ VALUES ?kind {{ {kinds} }} ?s a ?kind }}
      FILTER NOT EXISTS {{ VALUES ?kind {{ {kinds} }} ?o a ?kind }}
    }} ORDER BY ?s ?p ?o"""
    after, never = (pool.query(sparql.guard(text).text).read() for pool in both)
    assert after == never


def test_the_front_page_counts_nothing_that_was_rejected(both, library):
    shown = []
    for pool in both:
        app = create_app(Settings(store=pool.store.path, files=ROOT), pool.store, pool, library)
        page = app.test_client().get("/").get_data(as_text=True)
        shown.append(re.findall(r"<dt>.*?</dt><dd>[\d,]+</dd>", page))
        app.extensions["kg4p1000"].writer.close()
    assert shown[0] == shown[1]
    assert len(shown[0]) > 5


def test_the_example_of_the_front_page_counts_nothing_that_was_rejected(both):
    after, never = (pool.query(sparql.guard(home.EXAMPLE).text).read() for pool in both)
    assert after == never
