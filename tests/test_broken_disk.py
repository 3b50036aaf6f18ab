"""A disk that may not be written any more, and files that it lost or changed: told in words, and read on."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest
from click.testing import CliRunner
from pyoxigraph import Literal, Quad

from everything import some
from kg4p1000.cli import main
from kg4p1000.curation.access import Tokens
from kg4p1000.kernel.errors import StoreUnusable
from kg4p1000.kernel.settings import Settings
from kg4p1000.kernel.terms import iri
from kg4p1000.store import Delta, Readers, Rebuilds, Store, backup, check
from kg4p1000.web import create_app

pytestmark = pytest.mark.usefixtures("toy_by_default")
NOTE = 'INSERT DATA { GRAPH graph:notes { activity:A4.2 skos:editorialNote "a note"@en } }'
ALL = "SELECT (COUNT(*) AS ?n) WHERE { ?s ?p ?o }"


def publish(store, text):
    note = Quad(iri("activity:A4.2"), iri("skos:editorialNote"), Literal(text), iri("graph:notes"))
    with store.draft() as draft:
        draft.apply(Delta.of([note]))
        return store.publish(draft, "t", "", "test")


def count(readers):
    return int(readers.query(ALL).json()["results"]["bindings"][0]["n"]["value"])


@pytest.fixture
def remount(tmp_path, toy_store):
    """The real graph on a file system of its own, and what makes that read-only, or writable again."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        subprocess.run(["mount", *options, folder], check=True, capture_output=True)

    try:
        mount("-t", "tmpfs", "-o", "size=200m", "none")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system can be mounted by root alone")
    toy_store(folder / "store")
    yield folder / "store", lambda how: mount("-o", f"remount,{how}")
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def web(toy, toy_library):
    """Make a service over a store."""
    made = []

    def make(store):
        readers = Readers(store, 2, timeout=600, memory=512, rebuilds=Rebuilds(store, 3))
        app = create_app(
            Settings(store=store.path, files=toy, access_log="none"), store, readers, toy_library
        )
        made.append(app.extensions["kg4p1000"])
        return app.test_client()

    yield make
    for joined in made:
        joined.writer.close()
        joined.readers.close()


def authorized(store):
    return {"Authorization": f"Bearer {Tokens(store.path / 'tokens.json').create('Ada', 'admin')}"}


def update(client, headers):
    return client.post(
        "/update", data=NOTE, headers={**headers, "Content-Type": "application/sparql-update"}
    )


def ask(client):
    return client.get("/sparql", query_string={"query": ALL})


# read-only


def test_a_store_that_becomes_read_only_is_read_on_and_refuses_changes(remount, web):
    folder, mount = remount
    store = Store(folder)
    client, admin = web(store), authorized(store)
    assert client.get("/health").json["writable"] is True
    mount("ro")
    for limit in (10, 20):
        query = {"query": f"{ALL} LIMIT {limit}"}
        assert client.get("/sparql", query_string=query).status_code == 200
        for reader in client.application.extensions["kg4p1000"].readers._idle:
            reader.process.kill()  # so that the next query has another one
            reader.process.wait()
    health = client.get("/health")
    assert (health.status_code, health.json["ready"], health.json["writable"]) == (200, True, False)
    assert "cannot be written" in " ".join(health.json["problems"])
    refused = update(client, admin)
    assert refused.status_code == 503
    assert refused.json["type"].endswith("/store-unusable")
    assert "writable" in refused.json["detail"]
    mount("rw")
    assert update(client, admin).json["version"] == 2
    assert client.get("/health").json["problems"] == []


def test_a_store_on_a_read_only_disk_is_opened_checked_and_backed_up(
    remount, tmp_path, toy_settings
):
    folder, mount = remount
    publish(Store(folder), "x")
    Store(folder).prune(1)
    mount("ro")
    store = Store(folder)
    assert not store.writable
    assert (store.current, len(list(store.quads())) > 1000) == (2, True)
    assert check(store) == []
    assert backup(store, tmp_path / "backup") == 2
    with pytest.raises(StoreUnusable, match="cannot be written"):
        publish(store, "y")
    with pytest.raises(StoreUnusable, match="cannot be written"):
        store.ensure(1)  # pruned
    done = CliRunner().invoke(
        main, ["token", "create", "--role", "admin", "--name", "A", "--store", str(folder)]
    )
    assert done.exit_code == 1
    assert "read-only" in done.output
    with pytest.raises(StoreUnusable, match="read-only"):
        Store(folder.parent / "new")
    mount("rw")
    assert publish(store, "y").version == 3


class Service:
    """`kg4p1000 serve` over a store."""

    def __init__(self, folder):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kg4p1000.cli", "serve", "--store", str(folder), "--port", str(port)],
            stderr=subprocess.PIPE,
        )  # fmt: skip

    def ask(self, path, seconds=300):
        """Status and document, as soon as there is an answer."""
        until = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(self.address + path, timeout=30) as response:
                    return response.status, json.load(response)
            except urllib.error.HTTPError as e:
                with e:
                    return e.code, json.load(e)
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.1)

    def becomes(self, status, seconds=300):
        """What the health is, when it is answered with a status."""
        until = time.monotonic() + seconds
        while (found := self.ask("/health"))[0] != status:
            assert time.monotonic() < until, found
            time.sleep(0.2)
        return found[1]

    def end(self):
        """What it said."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=300)[1].decode()


def test_serve_on_a_read_only_disk_serves_and_warns(remount):
    folder, mount = remount
    mount("ro")
    service = Service(folder)
    assert service.becomes(200)["writable"] is False
    answer = service.ask("/sparql?format=json&query=ASK%7B%3Fs%3Fp%3Fo%7D")[1]
    assert answer.get("boolean") is True, answer
    said = service.end()
    assert said.count("changes are refused") == said.count("cannot be written") == 1
    assert "Traceback" not in said


# damaged databases


def database(store, version=None):
    return store.path / "versions" / f"{version or store.current:08}"


def cut(store):
    for path in database(store).glob("*.sst"):
        with open(path, "r+b") as file:
            file.truncate(path.stat().st_size // 2)


def zero(store):
    for path in database(store).glob("*.sst"):
        path.write_bytes(bytes(path.stat().st_size))


def lose(store):
    (database(store) / "CURRENT").unlink()


def manifest(store):
    (path,) = database(store).glob("MANIFEST-*")
    path.write_bytes(bytes(path.stat().st_size))


def inside(store):
    """Flip bits in the middle of the files, in blocks that are read late."""
    for path in database(store).glob("*.sst"):
        data = bytearray(path.read_bytes())
        for at in range(len(data) // 4, len(data) // 2, 2000):
            data[at] ^= 1
        path.write_bytes(data)


damages = pytest.mark.parametrize("damage", [cut, zero, lose, manifest, inside])


@pytest.mark.parametrize("damage", some([cut, zero, lose, manifest, inside], 4))
def test_check_names_a_damaged_database_and_what_it_says_to_do_works(toy_store, damage):
    store = toy_store()
    publish(store, "x")
    told = set(store.quads())
    damage(store)
    done = CliRunner().invoke(main, ["check", "--store", str(store.path)])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert "FAIL\tchange log matches the store" in done.output
    assert "database of version 2 is damaged" in done.output
    assert done.output.count("\nok\t") + done.output.startswith("ok\t") >= 3  # the others are run
    assert "delete the folder 'versions'" in done.output
    shutil.rmtree(store.path / "versions")
    assert set(Store(store.path).quads()) == told
    assert check(Store(store.path)) == []


@damages
def test_a_change_and_a_dump_of_a_damaged_database_are_refused_in_words(toy_store, damage):
    store = toy_store()
    damage(store)
    with pytest.raises(StoreUnusable, match="version 1 is damaged"):
        list(store.quads())
    if damage is not inside:  # what is not looked at is not found
        with pytest.raises(StoreUnusable, match="version 1 is damaged"):
            publish(store, "x")
        assert store.current == 1


def test_an_older_version_is_not_made_from_a_damaged_one(toy_store):
    store = toy_store()
    publish(store, "x")
    publish(store, "y")
    told = len(list(store.quads(2)))
    store.prune(1)
    lose(store)
    store.ensure(2)
    assert len(list(store.quads(2))) == told


def test_health_says_when_current_is_lost(toy_store, web):
    store = toy_store()
    client = web(store)
    assert client.get("/health").json["problems"] == []
    (store.path / "current").unlink()
    health = client.get("/health")
    assert (health.status_code, health.json["version"]) == (200, 1)
    assert "'current' of the store is lost" in " ".join(health.json["problems"])


def test_health_says_when_no_reader_can_be_started_and_when_one_can_again(toy_store, web):
    store = toy_store()
    kept = shutil.copytree(database(store), store.path.parent / "kept")
    client = web(store)
    manifest(store)
    assert ask(client).status_code == 503
    health = client.get("/health")
    assert (health.status_code, health.json["ready"], health.json["status"]) == (
        503,
        False,
        "unusable",
    )
    assert health.json["version"] == 1
    (problem,) = health.json["problems"]
    assert "version 1 cannot be opened" in problem
    assert "kg4p1000 check" in problem
    assert str(store.path) not in health.text
    shutil.rmtree(database(store))
    shutil.copytree(kept, database(store))
    assert client.get("/health").json["ready"] is True
    assert ask(client).status_code == 200


def test_a_service_whose_databases_were_deleted_makes_them_again(toy_store):
    store = toy_store()
    manifest(store)
    service = Service(store.path)
    assert "cannot be opened" in service.becomes(503)["problems"][0]
    shutil.rmtree(store.path / "versions")
    assert service.becomes(200)["problems"] == []
    answer = service.ask("/sparql?format=json&query=ASK%7B%3Fs%3Fp%3Fo%7D")[1]
    assert answer.get("boolean") is True, answer
    assert "Traceback" not in re.sub(
        r"no reader of version.*?Corruption", "", service.end(), flags=re.S
    )


# `current`


@pytest.mark.parametrize("text", [b"", b"nonsense\n", b"\xff\xfe", b"-1\n", b"1" * 30, None])
def test_a_pointer_that_was_lost_is_written_again_from_a_whole_log(toy_store, text):
    store = toy_store()
    publish(store, "x")
    assert store.current == 2
    if text is None:
        (store.path / "current").unlink()
    else:
        (store.path / "current").write_bytes(text)
    assert store.current == 2  # who knows it goes on
    assert Store(store.path).current == 2
    assert (store.path / "current").read_text() == "2\n"


@pytest.mark.parametrize("text", ["nonsense\n", "99\n"])
def test_a_pointer_that_was_lost_is_not_made_up_from_a_damaged_log(toy_store, text):
    store = toy_store()
    publish(store, "x")
    path = store.log_path(2)
    path.write_bytes(path.read_bytes()[:-20])
    (store.path / "current").write_text(text)
    with pytest.raises(StoreUnusable, match=r"not complete|Entries 3 to 99 are missing"):
        Store(store.path)
    done = CliRunner().invoke(main, ["query", "--sparql", "ASK {}", "--store", str(store.path)])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    assert (store.path / "current").read_text() == text


def test_a_service_goes_on_when_the_pointer_is_lost_and_its_health_says_so(toy_store, web):
    store = toy_store()
    client, admin = web(store), authorized(store)
    assert ask(client).status_code == 200
    (store.path / "current").write_text("garbage")
    assert ask(client).status_code == 200
    health = client.get("/health")
    assert (health.status_code, health.json["version"]) == (200, 1)
    assert "'current'" in health.json["problems"][0]
    assert update(client, admin).json["version"] == 2  # which writes it again
    assert client.get("/health").json["problems"] == []


# tokens


GARBAGE = [b"", b"{", b"\xff", b"[1]", b'{"a": 1}', b'[{"id": "x"}]', b"null", b"[" * 100_000,
           b'[{"id":"x","name":"A","role":"king","created":"","expires":"","digest":"0"}]',
           b'[{"id":"x","name":"A","role":"admin","created":"","expires":"soon","digest":"0"}]',
           b'[{"id":"x","name":"A","role":"admin","created":"","expires":"","digest":1}]']  # fmt: skip


@pytest.mark.parametrize("text", GARBAGE)
def test_a_list_of_tokens_that_is_none_stops_those_with_a_token_alone(toy_store, web, text):
    store = toy_store()
    client, admin = web(store), authorized(store)
    (store.path / "tokens.json").write_bytes(text)
    assert ask(client).status_code == 200
    for response in (
        update(client, admin),
        client.get("/sparql", query_string={"query": ALL}, headers=admin),
    ):
        assert response.status_code == 503
        assert response.json["type"].endswith("/store-unusable")
        assert "tokens.json" in response.json["detail"]
        assert str(store.path) not in response.text
    health = client.get("/health")
    assert (health.status_code, health.json["ready"]) == (200, True)
    assert "tokens.json" in health.json["problems"][0]
    for verb in (["list"], ["create", "--role", "admin", "--name", "B"], ["revoke", "x"]):
        done = CliRunner().invoke(main, ["token", *verb, "--store", str(store.path)])
        assert done.exit_code == 1
        assert "tokens.json" in done.output
        assert isinstance(done.exception, SystemExit)
    assert (store.path / "tokens.json").read_bytes() == text


def test_health_says_when_the_newest_entry_of_the_log_is_changed_or_gone(toy_store, web):
    store = toy_store()
    client = web(store)
    assert client.get("/health").json["problems"] == []
    entry = store.path / "log" / f"{store.current:08}.rdfp"
    said = entry.read_bytes()
    entry.write_bytes(said + b"# more\n")
    health = client.get("/health")
    assert (health.status_code, health.json["ready"]) == (200, True)
    assert entry.name in " ".join(health.json["problems"]) or "Entry" in " ".join(
        health.json["problems"]
    )
    entry.write_bytes(said[: len(said) // 2])
    assert client.get("/health").json["problems"]
    entry.write_bytes(said)
    assert client.get("/health").json["problems"] == []
    entry.rename(store.path / "gone")
    assert "missing" in " ".join(client.get("/health").json["problems"])
