"""What those who run the service use: metrics, running queries, limits for each client."""

import threading
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kg4p1000.curation.access import Tokens
from kg4p1000.kernel.settings import Settings
from kg4p1000.store import Readers
from kg4p1000.web import create_app

LONG = "SELECT (COUNT(*) AS ?n) WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"


@pytest.fixture
def make(store, library, tmp_path):
    """Make a service with other settings, and tokens of its own."""
    made = []

    def make(**more):
        readers = Readers(store, size=2, timeout=600, memory=512)
        made.append(readers)
        app = create_app(Settings(store=store.path, **more), store, readers, library)
        app.extensions["kg4p1000"].tokens = Tokens(tmp_path / "tokens.json")
        return app

    yield make
    for readers in made:
        readers.close()


def metrics(client):
    text = client.get("/metrics").text
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_count_queries_by_outcome(make):
    client = make().test_client()
    client.get("/sparql?query=ASK{}")
    client.get("/sparql?query=ASK{?")
    found = metrics(client)
    # The counts of the service's own description may be asked for beside.
    assert found["kg4p1000_queries_total", "ok"] >= 1
    assert found["kg4p1000_queries_total", "malformed-query"] == 1
    assert found["kg4p1000_version",] == 1
    assert found["kg4p1000_store_bytes",] > 100_000
    assert found["kg4p1000_request_seconds_count", "200", "GET", "sparql.endpoint"] == 1


def authorized(app, role):
    token = app.extensions["kg4p1000"].tokens.create("Ada", role)
    return {"Authorization": f"Bearer {token}"}


def test_running_queries_are_for_admins_alone(make):
    app = make()
    client = app.test_client()
    assert client.get("/admin/queries").status_code == 401
    assert client.get("/admin/queries", headers={"Authorization": "Bearer x"}).status_code == 401
    assert client.get("/admin/queries", headers={"Authorization": "Basic eDp5"}).status_code == 401
    steward = authorized(app, "steward")
    assert client.get("/admin/queries", headers=steward).status_code == 403
    assert client.delete("/admin/queries/x", headers=steward).status_code == 403
    assert client.get("/admin/queries", headers=authorized(app, "admin")).json == []


def test_an_admin_can_list_and_stop_a_running_query(make):
    app = make()
    outcome = []
    thread = threading.Thread(
        target=lambda: outcome.append(
            app.test_client().get("/sparql", query_string={"query": LONG})
        )
    )
    thread.start()
    admin, client = authorized(app, "admin"), app.test_client()
    until = time.monotonic() + 120
    while not (running := client.get("/admin/queries", headers=admin).json):
        assert time.monotonic() < until
    assert running[0]["query"] == LONG
    assert client.delete(f"/admin/queries/{running[0]['id']}", headers=admin).status_code == 204
    thread.join()
    assert outcome[0].status_code == 503
    assert outcome[0].json["type"].endswith("/problem/killed")
    missing = client.delete(f"/admin/queries/{running[0]['id']}", headers=admin)
    assert missing.status_code == 404


def test_a_client_that_asks_too_often_gets_429_and_when_to_come_back(make):
    client = make(client_rate=0.1, client_burst=3.0).test_client()
    far = {"REMOTE_ADDR": "192.0.2.1"}
    codes = [client.get("/sparql?query=ASK{}", environ_overrides=far).status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    response = client.get("/sparql?query=ASK{}", environ_overrides=far)
    assert int(response.headers["Retry-After"]) > 0
    assert response.json["type"].endswith("/problem/too-many-requests")
    other = client.get("/sparql?query=ASK{}", environ_overrides={"REMOTE_ADDR": "192.0.2.2"})
    assert other.status_code == 200


def test_health_answers_a_client_that_asks_too_often(make):
    client = make(client_rate=0.1, client_burst=1.0).test_client()
    far = {"REMOTE_ADDR": "192.0.2.1"}
    codes = [client.get("/health", environ_overrides=far).status_code for _ in range(3)]
    assert codes == [200, 200, 200]


def test_x_forwarded_for_counts_from_a_trusted_proxy_only(make):
    def codes(client):
        return [
            client.get(
                "/sparql?query=ASK{}",
                environ_overrides={"REMOTE_ADDR": "10.0.0.1"},
                headers={"X-Forwarded-For": f"192.0.2.{i}"},
            ).status_code
            for i in range(3)
        ]

    assert codes(make(client_rate=0.1, client_burst=1.0).test_client()) == [200, 429, 429]
    trusting = make(client_rate=0.1, client_burst=1.0, trusted_proxies="10.0.0.0/8")
    assert codes(trusting.test_client()) == [200, 200, 200]


def test_a_proxy_on_this_machine_is_believed_without_a_setting(make):
    client = make(client_rate=0.1, client_burst=1.0).test_client()

    def code(forwarded):
        return client.get("/sparql?query=ASK{}", headers={"X-Forwarded-For": forwarded}).status_code

    codes = [code(f) for f in ("192.0.2.1", "192.0.2.1", "203.0.113.9, 192.0.2.1", "192.0.2.2")]
    assert codes == [200, 429, 429, 200]
    assert [client.get("/sparql?query=ASK{}").status_code for _ in range(3)] == [200, 200, 200]


FORWARDED = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "kg.example.org"}


@pytest.mark.parametrize(
    ("remote", "headers", "public", "server"),
    [
        ("127.0.0.1", FORWARDED, "", "https://kg.example.org"),
        ("10.0.0.1", FORWARDED, "", "https://kg.example.org"),
        ("192.0.2.1", FORWARDED, "", "http://own.example"),
        ("127.0.0.1", FORWARDED, "https://public.example/kg/", "https://public.example/kg"),
        ("127.0.0.1", {"X-Forwarded-Proto": "https"}, "", "https://own.example"),
        ("127.0.0.1", {"X-Forwarded-Proto": "gopher"}, "", "http://own.example"),
        ("127.0.0.1", {"X-Forwarded-Host": "a/b\"<script>"}, "", "http://own.example"),
        ("127.0.0.1", FORWARDED | {"X-Forwarded-Host": "kg.example.org:443"}, "", "https://kg.example.org"),
    ],
)  # fmt: skip
def test_links_follow_what_trusted_proxies_say_unless_the_address_is_set(
    make, remote, headers, public, server
):
    client = make(trusted_proxies="10.0.0.0/8", public_url=public).test_client()
    response = client.get(
        "/openapi.json",
        headers={"Host": "own.example", **headers},
        environ_overrides={"REMOTE_ADDR": remote},
    )
    assert response.json["servers"] == [{"url": server}]
    assert "script" not in str(response.headers)


def test_a_proxy_that_is_not_trusted_is_told_of_once(make, caplog):
    client = make().test_client()
    for address in ("127.0.0.1", "192.0.2.7", "192.0.2.7", "192.0.2.8"):
        client.get(
            "/health",
            environ_overrides={"REMOTE_ADDR": address},
            headers={"X-Forwarded-For": "198.51.100.1"},
        )
    (told,) = [r.getMessage() for r in caplog.records if "X-Forwarded-For" in r.getMessage()]
    assert 'trusted_proxies = "192.0.2.7"' in told
    assert "198.51.100.1" not in told


def test_a_place_of_a_client_is_free_again_after_its_answer(make):
    client = make(client_concurrency=1).test_client()
    far = {"REMOTE_ADDR": "192.0.2.1"}
    for _ in range(3):
        response = client.get("/sparql?query=ASK{}", environ_overrides=far)
        assert response.status_code == 200
        response.close()


def test_a_longer_limit_needs_a_token(make):
    """The limit that holds is the one asked for: a query that meets it says which it was."""
    app = make(query_timeout=0.3, token_timeout=1.0)
    app.extensions["kg4p1000"].readers.timeout = 0.3
    client, token = app.test_client(), authorized(app, "contributor")

    def ask(seconds, headers=None):
        response = client.get(
            "/sparql",
            query_string={"query": LONG, "timeout": seconds},
            headers={"Accept": "application/json", **(headers or {})},
        )
        return (
            response.status_code,
            response.json["type"].rpartition("/")[2],
            response.json.get("limit_seconds"),
        )

    assert ask(0.2) == (503, "time-limit", 0.2)
    assert ask(0.9) == (401, "unauthorized", 0.3)
    assert ask(0.9, {"Authorization": "Bearer nonsense"})[:2] == (401, "unauthorized")
    assert ask(0.9, token) == (503, "time-limit", 0.9)
    assert ask(5, token) == (400, "bad-parameter", 1.0)
