"""The service as a process of its own, asked by the clients that people use."""

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
from SPARQLWrapper import CSV, GET, JSON, JSONLD, N3, POST, RDFXML, TSV, TURTLE, XML, SPARQLWrapper

ROOT = Path(__file__).parent.parent
TOY = Path(__file__).parent / "toy"
COMMAND = [sys.executable, "-m", "kg4p1000.cli"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service that builds its own store at the first start; gives its address and store."""
    folder, port = tmp_path_factory.mktemp("service") / "store", free_port()
    process = subprocess.Popen(
        [*COMMAND, "serve", "--store", str(folder), "--port", str(port)],
        cwd=ROOT, stderr=subprocess.PIPE, env=os.environ | {"KG4P1000_FILES": str(TOY)},
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 300
    while True:
        try:
            urllib.request.urlopen(address + "/health", timeout=60).close()
            break
        except OSError:
            assert process.poll() is None, process.stderr.read().decode()
            assert time.monotonic() < until
            time.sleep(0.1)
    yield address, folder
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=300)


def test_a_port_that_is_taken_is_told_at_once_and_nothing_is_started_again(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = subprocess.run(
            [*COMMAND, "serve", "--store", str(tmp_path / "store"), "--port", str(port)],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
    told = " ".join(done.stderr.split())
    assert done.returncode == 2
    assert f"cannot listen at 127.0.0.1, port {port}: another program listens there" in told
    assert "choose another: --port" in told
    assert "is served" not in told
    assert "Traceback" not in told
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("host", "more", "told"),
    [
        ("127.0.0.1", {}, None),
        ("0.0.0.0", {}, "Warning: The service listens at 0.0.0.0"),
        ("0.0.0.0", {"KG4P1000_PUBLIC_URL": "https://kg.example.org"}, None),
        ("127.0.0.1", {"KG4P1000_TRUSTED_PROXIES": "the proxy"}, "trusted_proxies has 'the proxy'"),
    ],
)
def test_what_cannot_be_right_behind_a_proxy_is_told_at_the_start(tmp_path, host, more, told):
    """Of a service that ends then, as there is nothing to build its store from."""
    done = subprocess.run(
        [*COMMAND, "serve", "--store", str(tmp_path / "store"), "--host", host, "--port", str(free_port())],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
        env=os.environ | {"KG4P1000_FILES": str(tmp_path / "none")} | more,
    )  # fmt: skip
    words = " ".join(done.stderr.split())
    assert done.returncode
    assert "Traceback" not in words
    assert words.count("Warning:") == bool(told and "Warning" in told)
    assert not told or told in words


def test_a_port_that_cannot_be_is_refused(tmp_path):
    command = [*COMMAND, "serve", "--store", str(tmp_path / "store"), "--port", "99999"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, "must be 1 to 65535" in done.stderr) == (2, True)


def pairs(rows):
    return [(row["code"], row["otherCode"], row["kind"], row["reason"]) for row in rows]


def test_curl_sparqlwrapper_and_the_command_line_give_the_same_pairs(service):
    address, folder = service
    question = f"{address}/query/activity-overlaps?objective=A4&other=D2&format=csv"
    curl = subprocess.run(
        ["curl", "-sS", "--fail", question], capture_output=True, text=True, check=True
    )
    by_curl = pairs(csv.DictReader(io.StringIO(curl.stdout, newline="")))
    line = subprocess.run(
        [*COMMAND, "query", "activity-overlaps", "--objective", "A4", "--other", "D2", "--format", "csv",
         "--store", str(folder)],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    by_line = pairs(csv.DictReader(io.StringIO(line.stdout, newline="")))
    text = (ROOT / "queries" / "competency" / "activity-overlaps.rq").read_text(encoding="utf-8")
    bound = text.replace(
        "WHERE {", "WHERE { VALUES (?objective ?other) { (objective:A4 objective:D2) }", 1
    )
    client = SPARQLWrapper(address + "/sparql", returnFormat=JSON)
    client.setQuery(bound)
    found = client.query().convert()["results"]["bindings"]
    by_wrapper = pairs({name: term["value"] for name, term in row.items()} for row in found)
    assert by_curl == by_line == by_wrapper
    assert {("A4.1", "D2.1"), ("A4.2", "D2.3"), ("A4.4", "D2.5")} <= {pair[:2] for pair in by_curl}


@pytest.mark.parametrize("form", [JSON, XML, CSV, TSV])
def test_sparqlwrapper_gets_solutions_in_each_of_its_formats(service, form):
    client = SPARQLWrapper(service[0] + "/sparql", returnFormat=form)
    client.setQuery("SELECT ?n WHERE { activity:A4.2 skos:notation ?n }")
    for method in (GET, POST):
        client.setMethod(method)
        assert b"A4.2" in client.query().response.read()


@pytest.mark.parametrize("form", [TURTLE, N3, RDFXML, JSONLD])
def test_sparqlwrapper_gets_triples_in_each_of_its_formats(service, form):
    client = SPARQLWrapper(service[0] + "/sparql", returnFormat=form)
    client.setQuery(
        "CONSTRUCT { ?s skos:notation ?n } WHERE { VALUES ?s { activity:A4.2 } ?s skos:notation ?n }"
    )
    assert b"A4.2" in client.query().response.read()


def test_a_version_published_by_another_process_is_served_without_a_restart(service, tmp_path):
    import shutil

    address, folder = service
    for name in ("ontology", "shapes", "data", "queries"):
        shutil.copytree(TOY / name, tmp_path / name)
    path = tmp_path / "data" / "actors.ttl"
    path.write_text(path.read_text("utf-8").replace('"Mali"@en', '"Republic of Mali"@en'), "utf-8")
    subprocess.run(
        [*COMMAND, "build", "--store", str(folder), "--files", str(tmp_path)],
        check=True,
        capture_output=True,
        cwd=ROOT,
    )
    client = SPARQLWrapper(address + "/sparql", returnFormat=JSON)
    client.setQuery("ASK { place:MLI skos:prefLabel 'Republic of Mali'@en }")
    assert client.query().convert()["boolean"]


def processes():
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield int(path.parent.name), path.read_bytes().split(b"\0")
        except FileNotFoundError:
            pass  # it has ended meanwhile


def children(parent):
    for pid, words in processes():
        with suppress(FileNotFoundError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] == str(parent):
                yield pid, words


def test_the_service_is_started_again_when_its_process_is_killed(service):
    address, _ = service
    port = address.rpartition(":")[2].encode()
    (parent,) = [n for n, words in processes() if port in words]
    (pid,) = [n for n, words in children(parent) if b"--multiprocessing-fork" in words]
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 300
    while True:
        try:
            urllib.request.urlopen(address + "/health", timeout=60).close()
            break
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.1)


def test_health_tells_the_version(service):
    address, _ = service
    with urllib.request.urlopen(address + "/health", timeout=60) as response:
        assert json.load(response)["status"] == "ok"
