"""What happens around every request: numbers, the access log, headers."""

import json
import re
import socket
import time
from pathlib import Path
from urllib.parse import quote

import pytest

import kg4p1000.web
from kg4p1000.kernel.settings import Settings
from kg4p1000.store import Readers
from kg4p1000.web import create_app
from kg4p1000.web.middleware import AccessLog
from kg4p1000.web.transfers import Record

HUGE = "SELECT * WHERE { ?a ?b ?c . ?d ?e ?f }"
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture
def logged(store, library, tmp_path):
    """A service, and a function that reads its access log."""
    readers = Readers(store, size=2, timeout=600, memory=512)
    path = tmp_path / "access.log"
    app = create_app(Settings(store=store.path, access_log=str(path)), store, readers, library)

    def lines():
        text = path.read_text("utf-8") if path.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    yield app, lines
    readers.close()


@pytest.fixture
def service(logged, served):
    """The same, on a socket."""
    app, lines = logged
    with served(app) as place:
        yield place, lines


def send(place, target, enough=None):
    """Send a request and read its answer, or as much of it as is enough."""
    with socket.create_connection(place, timeout=30) as connection:
        request = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        data = b""
        while (piece := connection.recv(65536)) and (enough is None or len(data) < enough):
            data += piece
    return data


def line_when_written(lines, seconds=10):
    until = time.monotonic() + seconds
    while not (found := lines()) and time.monotonic() < until:
        time.sleep(0.05)
    return found[-1]


def test_a_request_is_a_line_of_json(logged):
    app, lines = logged
    response = app.test_client().get("/sparql?query=ASK%7B%7D&format=json")
    size = len(response.data)
    response.close()
    (line,) = lines()
    assert line["id"] == response.headers["X-Request-Id"]
    assert {name: line[name] for name in ("client", "method", "path", "status", "outcome")} == {
        "client": "127.0.0.1", "method": "GET", "path": "/sparql", "status": 200, "outcome": "ok",
    }  # fmt: skip
    assert (line["version"], line["bytes"]) == (1, size)
    assert 0 < line["first_ms"] <= line["ms"]
    assert "ASK" not in json.dumps(line)
    assert "broken" not in line


def test_a_short_answer_is_a_line_like_a_long_one(service):
    place, lines = service
    send(place, "/sparql?query=ASK%7B%7D")
    first = line_when_written(lines)
    with socket.create_connection(place, timeout=30) as connection:
        connection.sendall(b"GET /sparql?query=ASK%7B%7D HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.recv(65536)
        until = time.monotonic() + 10
        while len(lines()) < 2 and time.monotonic() < until:
            time.sleep(0.05)
    second = lines()[-1]
    assert second.keys() == first.keys()
    own = ("id", "time", "ms", "first_ms")
    assert all(first[name] == second[name] for name in first if name not in own)
    assert first["id"] != second["id"]


def test_the_line_of_a_problem_names_it(logged):
    app, lines = logged
    client = app.test_client()
    response = client.get("/sparql?query=SELECT", headers={"Accept": "application/json"})
    assert response.json["instance"] == f"urn:uuid:{response.headers['X-Request-Id']}"
    response.close()
    client.get(
        "/nowhere?secret=1",
        headers={"X-Forwarded-For": "192.0.2.1"},
        environ_overrides={"REMOTE_ADDR": "198.51.100.1"},
    ).close()
    first, second = lines()
    assert (first["status"], first["outcome"]) == (400, "malformed-query")
    assert (second["status"], second["outcome"], second["path"]) == (404, "not-found", "/nowhere")
    assert second["client"] == "198.51.100.1"


def test_the_line_of_a_transfer_that_broke_off_says_so_and_why(service):
    place, lines = service
    data = send(place, f"/sparql?query={quote(HUGE)}&timeout=0.5")
    assert data.startswith(b"HTTP/1.1 200")
    line = line_when_written(lines)
    assert (line["outcome"], line["broken"], line["status"]) == ("time-limit", True, 200)
    assert line["bytes"] > 64 * 1024


def test_the_line_of_a_client_that_left_says_so(service):
    place, lines = service
    send(place, f"/sparql?query={quote(HUGE)}&timeout=15", enough=100_000)
    line = line_when_written(lines)
    assert (line["outcome"], line["broken"]) == ("client-gone", True)
    assert line["ms"] < 14_000


def test_the_lines_go_to_a_new_file_when_the_old_one_was_moved(logged, tmp_path):
    app, lines = logged
    app.test_client().get("/health").close()
    assert len(lines()) == 1
    (tmp_path / "access.log").rename(tmp_path / "access.log.1")
    app.test_client().get("/health").close()
    assert len(lines()) == 1


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path, caplog):
    log = AccessLog(str(tmp_path / "no-such-folder" / "access.log"))
    log.write(Record("x", "GET", "/", "1", 0))
    assert "No such file or directory" in caplog.text


def test_strange_words_make_no_second_line(tmp_path):
    path = tmp_path / "access.log"
    log = AccessLog(str(path))
    log.write(Record("x", 'G"\n', "/\n{}\u2028é\ud800", "1", 0))
    assert json.loads(path.read_text())["path"] == "/\n{}\u2028é\ud800"


def test_each_request_has_a_number_of_its_own_that_looks_like_chance(app):
    client = app.test_client()
    ids = {client.get("/health").headers["X-Request-Id"] for _ in range(20)}
    assert len(ids) == 20
    assert all(UUID4.fullmatch(number) for number in ids)


def test_a_preflight_is_told_what_the_address_takes(client):
    response = client.options("/sparql")
    allowed = set(response.headers["Access-Control-Allow-Methods"].split(", "))
    assert allowed == {"GET", "HEAD", "OPTIONS", "POST"}
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Expose-Headers" not in response.headers
    exposed = client.get("/health").headers["Access-Control-Expose-Headers"]
    assert {"KG-Version", "X-Request-Id", "ETag"} <= set(exposed.split(", "))


@pytest.mark.parametrize("version", ["1", "2026-11-22"])
def test_only_an_answer_of_a_numbered_version_is_good_for_long(client, version):
    response = client.get(f"/sparql?query=ASK%7B%7D&format=json&version={version}")
    assert ("max-age" in response.headers["Cache-Control"]) == (version == "1")


def test_pages_of_others_can_read_every_header_of_ours(logged):
    exposed = logged[0].test_client().get("/health").headers["Access-Control-Expose-Headers"]
    sources = Path(kg4p1000.web.__file__).parent.glob("*.py")
    ours = {
        name
        for path in sources
        for name in re.findall(r'"(KG-[A-Za-z-]+)"', path.read_text("utf-8"))
    }
    assert "KG-Version" in ours
    assert ours <= set(exposed.split(", "))
