"""The service behind nginx, with the site of deploy/ but for its certificate and ports."""

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import request

from kg4p1000.kernel.settings import Settings
from kg4p1000.store import Readers
from kg4p1000.web import create_app

ROOT = Path(__file__).parent.parent
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
OPENSSL = shutil.which("openssl")
NAME = "kg.example.org"
ASK = f"/sparql?query={quote('ASK {}')}"
HUGE = quote("SELECT * WHERE { ?a ?b ?c . ?d ?e ?f }")
#: What a client may claim of itself.
LIES = {
    "X-Forwarded-For": "198.51.100.99",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.example",
}

pytestmark = pytest.mark.skipif(
    not (NGINX and OPENSSL), reason="nginx and openssl are not installed"
)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def site(folder, port, backend):
    """The site of deploy/, with its certificate and ports replaced."""
    text = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{backend}")
    for old, new in [
        ("/var/cache/nginx/kg4p1000", str(folder / "cache")),
        ("listen 443 ", f"listen 127.0.0.1:{port} "),
        (f"/etc/ssl/certs/{NAME}.pem", str(folder / "cert.pem")),
        (f"/etc/ssl/private/{NAME}.key", str(folder / "key.pem")),
    ]:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def configuration(folder, port, backend):
    """A whole configuration; for the tests, nginx takes X-Test-Client for the address of who connects."""
    temporary = " ".join(
        f"{kind}_temp_path {folder / kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
        daemon off; pid {folder / "pid"}; worker_processes 1; {"user root;" if os.geteuid() == 0 else ""}
        error_log {folder / "error.log"};
        events {{ worker_connections 64; }}
        http {{
            access_log off; {temporary}
            set_real_ip_from 127.0.0.0/8; real_ip_header X-Test-Client;
            {site(folder, port, backend)}
        }}
    """


@pytest.fixture(scope="module")
def proxy(store, library, served, tmp_path_factory):
    """A service as it is without any setting but low limits, behind nginx: port, certificate, protocols seen."""
    folder = tmp_path_factory.mktemp("nginx")
    subprocess.run(
        [OPENSSL, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={NAME}",
         "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    readers = Readers(store, size=2, timeout=600, memory=512)
    readers.warm()
    given = Settings(
        store=store.path, files=ROOT, access_log="none", client_rate=0.01, client_burst=3.0
    )
    app = create_app(given, store, readers, library)
    protocols = []
    app.before_request(lambda: protocols.append(request.environ["SERVER_PROTOCOL"]))
    server = served(app)
    _, backend = server.__enter__()
    port = free_port()
    (folder / "nginx.conf").write_text(configuration(folder, port, backend))
    nginx = subprocess.Popen([NGINX, "-c", folder / "nginx.conf", "-e", folder / "error.log"])
    try:
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
                break
            except OSError:
                log = folder / "error.log"
                assert nginx.poll() is None, log.read_text() if log.exists() else "nginx ended"
                assert time.monotonic() < until
                time.sleep(0.05)
        yield port, folder / "cert.pem", protocols
    finally:
        nginx.terminate()
        nginx.wait(timeout=30)
        server.__exit__(None, None, None)
        readers.close()


class Connection(http.client.HTTPSConnection):
    """A connection to nginx that asks for the name in the certificate."""

    def __init__(self, port, certificate):
        super().__init__(
            NAME, port, timeout=60, context=ssl.create_default_context(cafile=certificate)
        )
        self._create_connection = lambda address, *rest: socket.create_connection(
            ("127.0.0.1", port), *rest
        )


def get(proxy, path, client, **headers):
    """Status, headers and body of an answer for a client with this address."""
    connection = Connection(*proxy[:2])
    connection.request(
        "GET", path, headers={"Host": NAME, "X-Test-Client": client, **LIES, **headers}
    )
    response = connection.getresponse()
    try:
        return response.status, response.headers, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "number"),
    [
        (ASK, 1),
        (f"/sparql?query={quote('SELECT * WHERE { ?s ?p ?o } LIMIT 3000')}", 2),
        ("/query/activity-overlaps?objective=A4&other=D2&format=csv", 3),
    ],
)
def test_links_to_a_citation_are_https_without_any_setting(proxy, path, number):
    status, headers, _ = get(proxy, path, f"192.0.2.{number}")
    assert status == 200
    links = [headers.get("Content-Location", ""), *headers.get_all("Link", [])]
    assert f"https://{NAME}/" in "".join(links)
    assert "http://" not in "".join(links)
    assert "evil" not in str(headers)


def test_addresses_in_bodies_are_https_too(proxy):
    status, _, body = get(proxy, "/openapi.json", "192.0.2.20")
    assert (status, json.loads(body)["servers"]) == (200, [{"url": f"https://{NAME}"}])


def test_the_same_over_http_2(proxy):
    port, certificate, _ = proxy
    done = subprocess.run(
        ["curl", "-sS", "--http2", "--cacert", certificate, "--resolve", f"{NAME}:{port}:127.0.0.1",
         "-D-", "-o", os.devnull, "-H", "X-Test-Client: 192.0.2.30", f"https://{NAME}:{port}{ASK}"],
        check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.startswith("HTTP/2 200")
    assert f"https://{NAME}/" in done.stdout
    assert "http://" not in done.stdout


def test_an_answer_of_a_numbered_version_is_kept_and_others_are_not(proxy):
    codes = "SELECT ?code WHERE { ?goal a k4p:Goal ; skos:notation ?code } ORDER BY ?code"
    path = f"/sparql?query={quote(codes)}"
    numbered = [get(proxy, f"{path}&version=1", f"192.0.2.{n}") for n in range(110, 114)]
    assert [headers["X-Cache"] for _, headers, _ in numbered] == ["MISS", "MISS", "HIT", "HIT"]
    assert {body for _, _, body in numbered} == {numbered[0][2]}
    assert all(headers["KG-Version"] == "1" for _, headers, _ in numbered)
    table = get(proxy, f"{path}&version=1", "192.0.2.114", Accept="text/csv")
    assert table[2].split() == [b"code", *(b"%c" % c for c in b"ABCDEF")]
    plain = [get(proxy, path, f"192.0.2.{n}")[1] for n in range(115, 118)]
    assert all("X-Cache" not in headers for headers in plain)


def test_a_numbered_answer_that_is_cut_arrives_broken_and_is_not_kept(proxy):
    for number in (120, 121, 122):
        connection = Connection(*proxy[:2])
        asked = {"Host": NAME, "X-Test-Client": f"192.0.2.{number}"}
        connection.request("GET", f"/sparql?query={HUGE}&timeout=2&version=1", headers=asked)
        response = connection.getresponse()
        assert (response.status, response.headers["X-Cache"]) == (200, "MISS")
        with pytest.raises(http.client.IncompleteRead):
            response.read()
        connection.close()


@pytest.mark.parametrize("path", [ASK, "/"])
@pytest.mark.parametrize(
    ("first", "same", "other"),
    [
        ("192.0.2.{}", "192.0.2.{}", "198.51.100.{}"),
        ("2001:db8:0:{}::1", "2001:db8:0:{}:ffff::2", "2001:db8:1:{}::1"),
    ],
)
def test_each_client_has_its_own_limits_and_cannot_shed_them(proxy, path, first, same, other):
    number = 50 + len(path)
    codes = [get(proxy, path, a.format(number))[0] for a in (first, same, first, same)]
    assert codes == [200, 200, 200, 429]
    spoofed = {"X-Forwarded-For": "203.0.113.5"}
    assert get(proxy, path, first.format(number), **spoofed)[0] == 429
    assert get(proxy, path, other.format(number))[0] == 200


def test_nginx_asks_the_service_by_http_1_1(proxy):
    seen = proxy[2]
    seen.clear()
    get(proxy, "/", "192.0.2.70")
    assert seen == ["HTTP/1.1"]


def test_a_transfer_that_the_time_limit_cuts_arrives_broken(proxy):
    connection = Connection(*proxy[:2])
    connection.request(
        "GET", f"/sparql?query={HUGE}&timeout=4", headers={"Host": NAME, "X-Test-Client": "192.0.2.80"}
    )  # fmt: skip
    response = connection.getresponse()
    assert response.status == 200
    with pytest.raises(http.client.IncompleteRead) as caught:
        response.read()
    assert len(caught.value.partial) > 64 * 1024
    connection.close()


def test_a_client_of_http_1_0_which_could_not_tell_is_refused(proxy):
    port, certificate, _ = proxy
    done = subprocess.run(
        ["curl", "-sS", "-0", "--cacert", certificate, "--resolve", f"{NAME}:{port}:127.0.0.1",
         "-o", os.devnull, "-w", "%{http_code}", f"https://{NAME}:{port}/sparql?query=ASK%7B%7D"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "505"


@pytest.mark.slow
def test_a_transfer_that_is_cut_arrives_broken_over_http_2_too(proxy):
    port, certificate, _ = proxy
    done = subprocess.run(
        ["curl", "-sS", "--http2", "--cacert", certificate, "--resolve", f"{NAME}:{port}:127.0.0.1",
         "-o", os.devnull, "-H", "X-Test-Client: 192.0.2.90",
         f"https://{NAME}:{port}/sparql?query={HUGE}&timeout=4"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode in (18, 92), done.stderr
