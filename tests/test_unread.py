"""Answers that nobody reads: they count as under way, and hold no more than they may."""

import http.client
import json
import socket
import time
from contextlib import ExitStack, suppress
from urllib.parse import quote

import pytest

from kg4p1000.kernel.settings import Settings
from kg4p1000.store import Readers
from kg4p1000.web import create_app

#: About 8 MB as JSON: far more than the buffers of a connection take.
LONG = "SELECT * WHERE { ?a ?b ?c . ?d ?e ?f } LIMIT 20000"
ENDLESS = "SELECT * WHERE { ?a ?b ?c . ?d ?e ?f }"
SEVERAL = 4


@pytest.fixture
def start(store, library, served, tmp_path):
    """Starts a service with settings; gives where it answers, and its long answers."""
    with ExitStack() as stack:

        def start(silence=60, **given):
            readers = Readers(store, size=2, timeout=600, memory=512, queue=60)
            log = tmp_path / "access.log"
            app = create_app(
                Settings(store=store.path, access_log=str(log), **given), store, readers, library
            )
            stack.callback(readers.close)
            start.readers.append(readers)
            place = stack.enter_context(served(app, silence))
            return place, app.extensions["kg4p1000"].transfers

        start.readers = []
        yield start


def ask(place, text, client="192.0.2.1", version="HTTP/1.1"):
    """A connection on which a query was sent, as from a client behind a proxy of this machine."""
    connection = socket.create_connection(place, timeout=60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    connection.sendall(
        f"GET /sparql?query={quote(text)} {version}\r\nHost: x\r\nX-Forwarded-For: {client}\r\n\r\n".encode()
    )
    return connection


def status(connection):
    return int(connection.recv(12, socket.MSG_WAITALL)[9:])


def point(place, client):
    connection = http.client.HTTPConnection(*place, timeout=60)
    connection.request(
        "GET", f"/sparql?query={quote('ASK {}')}", headers={"X-Forwarded-For": client}
    )
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def within(seconds, check):
    until = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < until
        time.sleep(0.05)


def whole(connection):
    """Read an answer to its end; None if it was cut, or refused."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    if response.status == 503:
        return None
    try:
        return json.loads(response.read())["results"]["bindings"]
    except (http.client.IncompleteRead, ConnectionResetError):
        return None


def test_an_answer_counts_as_under_way_until_its_client_has_read_it(start):
    place, transfers = start(client_concurrency=SEVERAL)
    with ExitStack() as stack:
        unread = [stack.enter_context(ask(place, LONG)) for _ in range(SEVERAL)]
        assert [status(connection) for connection in unread] == [200] * SEVERAL
        within(300, lambda: len(transfers._open) == SEVERAL)  # made to their ends
        assert point(place, "192.0.2.1") == 429
        assert point(place, "192.0.2.2") == 200
        reading = unread[0]
        while len(transfers._open) == SEVERAL:
            reading.recv(1 << 20)
        assert point(place, "192.0.2.1") == 200
    within(300, lambda: transfers.size == 0)
    within(300, lambda: point(place, "192.0.2.1") == 200)


def test_the_largest_answer_of_a_client_that_does_not_read_is_let_go(start):
    place, transfers = start(client_spool=4, spool=1000)
    with ask(place, ENDLESS) as unread:
        assert status(unread) == 200
        within(300, lambda: transfers.size > 1 << 20)
        within(300, lambda: transfers.size < 1 << 20)
        with ask(place, LONG.replace("20000", "60000"), "192.0.2.2") as other:
            assert len(whole(other)) == 60000  # several times what it may leave unread
        rest = b""
        with suppress(ConnectionResetError):
            while piece := unread.recv(1 << 16):
                rest += piece
        assert not rest.endswith(b"0\r\n\r\n")
    within(300, lambda: transfers.size == 0)


@pytest.mark.slow
def test_all_clients_together_hold_no_more_than_they_may_and_fresh_ones_are_served(start):
    place, transfers = start(client_spool=1000, spool=30)
    most = 0
    with ExitStack() as stack:
        unread = [stack.enter_context(ask(place, LONG, f"192.0.2.{n}")) for n in range(20)]
        for n in range(200):
            most = max(most, transfers.size)
            assert point(place, f"198.51.100.{n}") == 200
            time.sleep(0.02)
        assert (
            most <= 75 << 20
        )  # half of what they asked for; what comes between two looks comes on top
        cut = [whole(connection) is None for connection in unread]
        assert 0 < sum(cut) < len(cut)
    within(300, lambda: transfers.size == 0)


def test_beside_forty_unread_answers_a_fresh_client_is_served(start):
    place, transfers = start()
    with ExitStack() as stack:
        unread = [stack.enter_context(ask(place, LONG, f"192.0.2.{n}")) for n in range(40)]
        for n in range(20):
            began = time.monotonic()
            assert point(place, f"198.51.100.{n}") == 200
            assert time.monotonic() - began < 50
        assert {status(connection) for connection in unread} <= {200, 503}
    within(300, lambda: transfers.size == 0)


def test_an_http_1_0_client_that_waits_for_too_much_is_told(start):
    place, transfers = start(client_spool=2)
    with ask(place, ENDLESS, version="HTTP/1.0") as connection:
        assert status(connection) == 503
    with ask(place, LONG.replace("20000", "2000"), version="HTTP/1.0") as connection:
        assert len(whole(connection)) == 2000
    within(300, lambda: transfers.size == 0)


@pytest.mark.slow
def test_the_addresses_of_one_network_of_ipv6_are_one_client(start):
    place, transfers = start(client_spool=10, spool=1000)
    with ExitStack() as stack:
        # Each is below the limit by itself, and all together are several times above it.
        for n in range(1, 13):
            stack.enter_context(ask(place, LONG, f"2001:db8::{n}"))
        within(100, lambda: transfers.size > 4 << 20)
        most, until = 0, time.monotonic() + 10
        while time.monotonic() < until:
            most = max(most, transfers.size)
            time.sleep(0.05)
        assert (
            most < 48 << 20
        )  # half of what they asked for; what comes between two looks comes on top
    within(300, lambda: transfers.size == 0)


def test_a_query_of_an_http_1_0_client_past_its_limit_is_stopped(start):
    place, transfers = start(client_spool=2)
    with ask(place, ENDLESS, version="HTTP/1.0") as connection:
        assert status(connection) == 503
        within(300, lambda: not start.readers[-1].running())  # its own limit is ten minutes
        within(20, lambda: transfers.size == 0)


@pytest.mark.slow
def test_a_client_that_reads_slowly_gets_all_of_it(start):
    place, _ = start(silence=2)
    with ask(place, LONG) as slow:
        data, until = b"", time.monotonic() + 10  # several times the time for silence
        while time.monotonic() < until:
            data += slow.recv(1 << 15)
            time.sleep(0.2)
        while not data.endswith(b"\r\n0\r\n\r\n"):
            piece = slow.recv(1 << 20)
            assert piece
            data += piece
    assert data.count(b'"type"') > 100_000


def test_an_answer_that_nobody_reads_is_held_no_longer_than_the_time_for_silence(start):
    place, transfers = start(silence=2)
    with ask(place, LONG) as unread:
        assert status(unread) == 200
        within(300, lambda: transfers.size > 1 << 20)
        within(100, lambda: transfers.size == 0)
