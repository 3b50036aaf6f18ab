"""Stores built once from the files of this repository or from a small part of them, and the service."""

import fcntl
import os
import shutil
import socket
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

import hypothesis
import pytest
from granian.server import MTServer

from kg4p1000.curation import build
from kg4p1000.kernel.settings import Settings
from kg4p1000.knowledge.queries import Library
from kg4p1000.store import MemoryGraph, Readers, Store
from kg4p1000.web import create_app, server

ROOT = Path(__file__).parents[1]
#: A part of the ontology, shapes, data and queries that is built in half a second.
TOY = Path(__file__).parent / "toy"

#: How many examples a property is tried on, where a test says no number in proportion to it:
#: few for `make test`, many with HYPOTHESIS_PROFILE=full or --hypothesis-profile=full.
hypothesis.settings.register_profile("quick", max_examples=20, deadline=None)
hypothesis.settings.register_profile("full", max_examples=200, deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def built_once(tmp_path_factory, worker_id):
    """Return what gives stores of one's own, built from a folder of the knowledge as version 1.

    The store is built once, by whichever worker is first; the others wait, and all copy it.
    """
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent

    def from_folder(name, folder):
        built = shared / name

        def make(path=None):
            with (shared / f"{name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not built.exists():
                    made = Store(shared / f"{name}-unbuilt")
                    build.build(made, folder, author="tests", message="Built for the tests")
                    made.path.rename(built)
            return Store(shutil.copytree(built, path or tmp_path_factory.mktemp(name) / "store"))

        return make

    return from_folder


@pytest.fixture(scope="session")
def own(built_once):
    """Return what gives a store of one's own with the real graph, at a path if one is given."""
    return built_once("real", ROOT)


@pytest.fixture(scope="session")
def toy():
    """Return the folder of a small knowledge, which no test changes."""
    return TOY


@pytest.fixture(scope="session")
def toy_copy(tmp_path_factory):
    return shutil.copytree(TOY, tmp_path_factory.mktemp("toy") / "files")


@pytest.fixture
def toy_files(toy_copy):
    """Return a copy of the small knowledge that a test may change.

    It is one folder for all tests, in which only what the last one changed is put right, so that
    what is worked out from the files is not worked out for each test.
    """
    for path in sorted(toy_copy.rglob("*"), reverse=True):
        if not (TOY / path.relative_to(toy_copy)).exists():
            path.rmdir() if path.is_dir() else path.unlink()
    for path in TOY.rglob("*"):
        copy, wanted = toy_copy / path.relative_to(TOY), path.stat()
        if path.is_dir():
            copy.mkdir(exist_ok=True)
        elif not copy.exists() or (copy.stat().st_mtime_ns, copy.stat().st_size) != (
            wanted.st_mtime_ns, wanted.st_size,
        ):  # fmt: skip
            shutil.copy2(path, copy)
    return toy_copy


@pytest.fixture(scope="session")
def toy_shapes():
    """Return the shapes of the small knowledge."""
    return build.load_shapes(TOY)


@pytest.fixture(scope="session")
def toy_store(built_once):
    """Return what gives a store of one's own with the small knowledge, as `own` does."""
    return built_once("toy", TOY)


@pytest.fixture
def toy_by_default(monkeypatch):
    """Let commands read the small knowledge where they are given no folder."""
    monkeypatch.setenv("KG4P1000_FILES", str(TOY))


@pytest.fixture(scope="session")
def toy_library():
    return Library(TOY / "queries")


@pytest.fixture(scope="session")
def toy_settings(tmp_path_factory):
    """Return the settings of a service over the small knowledge; a test gives them a store."""
    return Settings(store=tmp_path_factory.mktemp("none"), files=TOY, access_log="none")


@pytest.fixture(scope="session")
def store(own):
    """The real graph, which no test changes."""
    return own()


@pytest.fixture(scope="session")
def readers(store):
    pool = Readers(store, size=4, timeout=600, memory=512)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def library():
    return Library(ROOT / "queries")


@pytest.fixture(scope="session")
def settings(store):
    return Settings(
        store=store.path, files=ROOT, query_timeout=600, query_memory=512, access_log="none"
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
