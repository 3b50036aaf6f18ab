"""A store built once from the files of this repository, and the service over it."""

import threading
from pathlib import Path

import pytest
from pyoxigraph import Quad

from kg4p1000 import build, ontology
from kg4p1000.curation import INFERRED, ONTOLOGY
from kg4p1000.queries import Library
from kg4p1000.settings import Settings
from kg4p1000.store import Delta, Readers, Store
from kg4p1000.web import create_app, make_server

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """All files with what the rules add, as version 1; not validated, that is another test's job."""
    made = Store(tmp_path_factory.mktemp("store"))
    quads = [quad for source in build.sources(ROOT) for quad in build.read(source)]
    with made.draft() as draft:
        draft.apply(Delta.of(quads))
        asserted = [q.triple for graph in draft.merged - {INFERRED} for q in draft.quads(graph)]
        rules = ontology.rules(q.triple for q in quads if q.graph_name == ONTOLOGY)
        inferred = ontology.infer(asserted, rules)
        draft.apply(Delta.of(Quad(t.subject, t.predicate, t.object, INFERRED) for t in inferred))
        draft.publish("tests", "Built for the tests", "build")
    return made


@pytest.fixture(scope="session")
def readers(store):
    pool = Readers(store, size=4, timeout=20, memory=512)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def library():
    return Library(ROOT / "queries")


@pytest.fixture(scope="session")
def settings(store):
    return Settings(store=store.path, files=ROOT, query_timeout=20, query_memory=512)


@pytest.fixture(scope="session")
def app(settings, store, readers, library):
    return create_app(settings, store, readers, library)


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture(scope="session")
def address(app):
    """Where a real server answers."""
    server = make_server(app, "127.0.0.1", 0, 4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()
    thread.join(5)
