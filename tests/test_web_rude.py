"""Rude clients: silent ones, slow ones, and very many at once. Others are answered meanwhile, and nothing is left."""

import http.client
import os
import select
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import pytest

from kg4p1000.curation.access import Tokens
from kg4p1000.kernel.settings import Settings
from kg4p1000.store import Readers
from kg4p1000.store.lanes import Occupancy
from kg4p1000.web import create_app, requests

FREE = Occupancy(0, 0, 0)
#: Far more than the buffers of a connection take.
LARGE = "SELECT * WHERE { ?a ?b ?c . ?d ?e ?f } LIMIT 60000"


@pytest.fixture
def service(store, library, served):
    """Where a service of few readers answers, and its readers."""
    readers = Readers(store, size=2, timeout=600, memory=512, queue=8)
    readers.warm()
    app = create_app(Settings(store=store.path, access_log="none"), store, readers, library)
    with served(app) as place:
        yield place, readers, app
    readers.close()


def point(place, text="ASK {}", timeout=30):
    """The status of a small query."""
    connection = http.client.HTTPConnection(*place, timeout=timeout)
    connection.request("GET", f"/sparql?query={quote(text)}")
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def test_silent_connections_keep_nobody_waiting(service):
    place = service[0]
    with ExitStack() as stack:
        for _ in range(40):
            stack.enter_context(socket.create_connection(place, timeout=30))
        assert [point(place, f"ASK {{}} #{n}") for n in range(10)] == [200] * 10


def test_slow_headers_and_slow_bodies_keep_nobody_waiting_and_are_answered_at_last(service):
    place = service[0]
    body = b"ASK {}"
    whole = (
        b"POST /sparql HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Type: application/sparql-query\r\nContent-Length: %d\r\n\r\n" % len(body)
    ) + body
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(place, timeout=30)) for _ in range(20)]
        sent = [0] * len(slow)
        for step in range(4):
            for n, connection in enumerate(slow):
                # Half of them get as far as the body, the others no further than the headers.
                upto = (40 if n % 2 else len(whole) - 4) + step
                connection.sendall(whole[sent[n] : upto])
                sent[n] = upto
            assert point(place, f"ASK {{}} #{step}") == 200
        for n, connection in enumerate(slow):
            connection.sendall(whole[sent[n] :])
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            assert answer.startswith(b"HTTP/1.1 200")


def test_a_client_that_reads_slowly_holds_no_reader_and_gets_all(service):
    place, readers, _ = service
    with socket.create_connection(place, timeout=60) as connection:
        request = f"GET /sparql?query={quote(LARGE)}&format=csv HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        connection.sendall(request.encode())
        data = connection.recv(1000)
        until = time.monotonic() + 30
        while readers.running() or readers.lanes.occupancy != FREE:
            assert time.monotonic() < until, "the query still runs though nobody reads"
            time.sleep(0.05)
        assert point(place) == 200
        pieces = [data]
        while piece := connection.recv(1 << 20):
            pieces.append(piece)
    answer = b"".join(pieces)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(b"0\r\n\r\n")
    assert answer.count(b"\r\n") > 60_000


def test_a_long_answer_is_sent_on_and_not_kept_in_memory(service):
    place = service[0]
    connection = http.client.HTTPConnection(*place, timeout=60)
    connection.request("GET", f"/sparql?query={quote(LARGE.replace('60000', '150000'))}")
    response = connection.getresponse()
    before = most = resident()
    size = 0
    while piece := response.read(1 << 20):
        size += len(piece)
        most = max(most, resident())
    connection.close()
    assert size > 60_000_000
    assert (most - before) * 1000 < size / 3


def sent(place, data):
    """The answer to some bytes after which nothing more is sent."""
    with socket.create_connection(place, timeout=60) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


QUERY = b"POST /sparql HTTP/1.1\r\nHost: x\r\nContent-Type: application/sparql-query\r\n"


def test_a_body_that_is_cut_is_no_request(service):
    place = service[0]
    answer = sent(place, QUERY + b"Content-Length: 10\r\n\r\nASK{}")
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"The body has ended after 5 of 10 bytes." in answer


def test_a_change_that_might_be_cut_unseen_is_refused(service, tmp_path):
    place = service[0]
    tokens = service[2].extensions["kg4p1000"].tokens = Tokens(tmp_path / "tokens.json")
    token = tokens.create("Ada", "admin").encode()
    head = b"Host: x\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n" % token
    for request in (
        b"POST /update HTTP/1.1\r\nContent-Type: application/sparql-update\r\n",
        b"PUT /graph-store?graph=graph:notes HTTP/1.1\r\nContent-Type: text/turtle\r\n",
    ):
        answer = sent(place, request + head + b"\r\n5\r\n<s> <\r\n")
        assert answer.startswith(b"HTTP/1.1 411")
        assert b"Content-Length" in answer.partition(b"\r\n\r\n")[2]


def test_bodies_that_never_come_hold_up_no_others(service):
    place = service[0]
    with ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(place, timeout=60)) for _ in range(40)]
        for connection in slow:
            connection.sendall(QUERY + b"Content-Length: 10\r\n\r\nASK")
        assert [point(place, f"ASK {{}} #{n}") for n in range(5)] == [200] * 5
        answered, _, _ = select.select(slow, [], [], 60)
        assert {connection.recv(12) for connection in answered} == {b"HTTP/1.1 503"}
    until = time.monotonic() + 60
    while requests._uploads._value < requests.UPLOADS:
        assert time.monotonic() < until, "a body is still waited for"
        time.sleep(0.05)
    with socket.create_connection(place, timeout=60) as fresh:
        fresh.sendall(QUERY + b"Content-Length: 5\r\n\r\nASK{}")
        assert fresh.recv(12) == b"HTTP/1.1 200"


def processes_below(pid):
    """How many processes this one has started that still run."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        found += int(fields[1]) == pid and fields[0] != "Z"
    return found


def open_files():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def resident():
    """Kilobytes of memory of this process."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


@pytest.mark.slow
def test_two_hundred_clients_get_honest_answers_and_leave_nothing_behind(service):
    place, readers, _ = service
    assert point(place) == 200
    outcomes, broken = Counter(), []

    def client(number, until):
        turn = 0
        while time.monotonic() < until:
            turn += 1
            # New queries, repeated ones, and some that take a while.
            text = (
                "ASK {{}} #{0}-{1}",
                "ASK {{}}",
                "SELECT (COUNT(*) AS ?n) {{ ?s ?p ?o }} #{0}{1}",
            )[turn % 3]
            try:
                outcomes[point(place, text.format(number, turn), timeout=60)] += 1
            except (OSError, http.client.HTTPException) as e:
                broken.append(e)

    def crowd(seconds):
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=client, args=(n, until)) for n in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    crowd(1)  # so that what is kept for good is there
    memory, files, processes = resident(), open_files(), processes_below(os.getpid())
    crowd(4)
    assert not broken
    assert set(outcomes) <= {200, 429, 503}
    assert outcomes[200] > 200
    until = time.monotonic() + 60
    while readers.running() or readers.lanes.occupancy != FREE:
        assert time.monotonic() < until, "a place is still taken though nobody asks"
        time.sleep(0.05)
    # Readers that were started for others' places; those that nobody needs end once they are open.
    while processes_below(os.getpid()) > processes + 2:
        assert time.monotonic() < until, "processes are left though nobody asks"
        time.sleep(0.05)
    assert open_files() <= files + 10
    assert resident() - memory < 50_000
    assert point(place) == 200
