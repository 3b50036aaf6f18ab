"""A store built once from the files of this repository, and the service over it."""

import fcntl
import shutil
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

import pytest
from granian.server import MTServer

from kg4p1000 import build
from kg4p1000.queries import Library
from kg4p1000.settings import Settings
from kg4p1000.store import MemoryGraph, Readers, Store
from kg4p1000.web import create_app, server

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def own(tmp_path_factory, worker_id):
    """Gives a store of one's own with the real graph as version 1, at a path if one is given.

    It is built from the files once, by whichever worker is first; the others wait, and all copy.
    """
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    built = shared / "built"
    with (shared / "built.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            made = Store(shared / "unbuilt")
            build.build(made, ROOT, author="tests", message="Built for the tests")
            made.path.rename(built)

    def make(path=None):
        return Store(shutil.copytree(built, path or tmp_path_factory.mktemp("own") / "store"))

    return make


@pytest.fixture(scope="session")
def store(own):
    """The real graph, which no test changes."""
    return own()


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


class _Embedded(MTServer):
    """Granian's server whose worker is a thread; meant for Python without a lock, it works with one, too."""

    def _check_gil(self):
        pass


@contextmanager
def _served(app, silence=60, **options):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = free.getsockname()
    given = server.options(Settings(host=place[0], port=place[1]))
    embedded = _Embedded("kg4p1000", **(given | options))
    how = {"target_loader": lambda: app, "wrap_loader": False}
    thread = threading.Thread(target=embedded.serve, kwargs=how)
    # Only the main thread of a process can say what happens at a signal.
    with mock.patch("granian.server.common.set_main_signals"):
        thread.start()
        for _ in range(1000):
            with suppress(OSError), socket.create_connection(place, timeout=5):
                break
            time.sleep(0.02)
    server.drop_silent_clients(silence)
    try:
        yield place
    finally:
        embedded.signal_handler_interrupt()
        thread.join(30)


@pytest.fixture(scope="session")
def served():
    """Serves an application by the real server, in a thread so that tests can look inside; gives host and port."""
    return _served


@pytest.fixture(scope="session")
def address(app):
    """Where a real server answers."""
    with _served(app) as (host, port):
        yield f"http://{host}:{port}"


@pytest.fixture(scope="session")
def knowledge():
    """What the files say, the shapes left out, as one graph in memory."""
    paths = [s.path for s in build.sources(ROOT) if s.path.parent.name != "shapes"]
    return MemoryGraph(t for path in paths for t in build.parse_file(path))
