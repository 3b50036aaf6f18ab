"""A store built once from the files of this repository, and the service over it."""

import threading
from pathlib import Path

import pytest

from kg4p1000 import build
from kg4p1000.queries import Library
from kg4p1000.settings import Settings
from kg4p1000.store import Readers, Store
from kg4p1000.web import create_app, make_server

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """The real graph, built from the files as version 1."""
    made = Store(tmp_path_factory.mktemp("store"))
    build.build(made, ROOT, author="tests", message="Built for the tests")
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
    return Settings(
        store=store.path, files=ROOT, query_timeout=20, query_memory=512, access_log="none"
    )


@pytest.fixture(scope="session")
def app(settings, store, readers, library):
    return create_app(settings, store, readers, library)


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture(scope="session")
def address(app):
    """Where a real server answers."""
    # As `kg4p1000 serve` has it: a thread for all that may run or wait, and some more.
    server = make_server(app, "127.0.0.1", 0, 4 + 8 + 32 + 8)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()
    thread.join(5)
