"""Tokens, roles and how often a client may ask."""

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg4p1000.curation.access import Account, Role, Tokens
from kg4p1000.kernel.errors import BadParameter, BadSettings, NotFound, TooManyRequests
from kg4p1000.kernel.settings import Settings
from kg4p1000.web.transfers import Clients, address_outside, client_address, doubts, networks


@pytest.fixture
def tokens(tmp_path):
    return Tokens(tmp_path / "tokens.json")


def test_a_token_stands_for_its_account(tokens):
    token = tokens.create("Ada", "steward")
    assert tokens.account(token) == Account("Ada", Role.STEWARD)


@pytest.mark.parametrize("wrong", ["", "x", "Bearer", "0" * 43])
def test_a_wrong_token_stands_for_nobody(tokens, wrong):
    tokens.create("Ada", "admin")
    assert tokens.account(wrong) is None


def test_the_file_holds_no_token_and_is_its_owners_alone(tokens, tmp_path):
    token = tokens.create("Ada", "admin")
    path = tmp_path / "tokens.json"
    assert token not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_token_made_or_revoked_by_another_process_counts_at_once(tokens, tmp_path):
    other = Tokens(tmp_path / "tokens.json")
    assert tokens.account("x") is None
    token = other.create("Ada", "admin")
    assert tokens.account(token) == Account("Ada", Role.ADMIN)
    other.revoke(other.all()[0].id)
    assert tokens.account(token) is None


def test_an_expired_token_stands_for_nobody(tokens, tmp_path):
    token = tokens.create("Ada", "admin", days=1)
    path = tmp_path / "tokens.json"
    rows = json.loads(path.read_text())
    rows[0]["expires"] = "2020-01-01T00:00:00+00:00"
    path.write_text(json.dumps(rows))
    assert Tokens(path).account(token) is None


@pytest.mark.parametrize(
    ("name", "role", "days"),
    [
        ("Ada", "king", None),
        ("Ada", "reader", None),
        ("", "admin", None),
        ("A\nB", "admin", None),
        ("A", "admin", -1),
    ],
)
def test_a_token_that_makes_no_sense_is_not_made(tokens, name, role, days):
    with pytest.raises(BadParameter):
        tokens.create(name, role, days)
    assert tokens.all() == ()


def test_an_unknown_token_cannot_be_revoked(tokens):
    with pytest.raises(NotFound):
        tokens.revoke("nobody")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_client_may_burst_then_asks_at_the_rate():
    clock = Clock()
    clients = Clients(rate=2, burst=3, concurrent=99, clock=clock)
    for _ in range(3):
        clients.enter("192.0.2.1")
    with pytest.raises(TooManyRequests) as caught:
        clients.enter("192.0.2.1")
    assert caught.value.members["retry_after"] >= 1
    clients.enter("192.0.2.2")
    clock.now += 0.5
    clients.enter("192.0.2.1")


def test_a_client_has_so_many_requests_under_way():
    clients = Clients(rate=100, burst=100, concurrent=2)
    clients.enter("192.0.2.1")
    clients.enter("192.0.2.1")
    with pytest.raises(TooManyRequests):
        clients.enter("192.0.2.1")
    clients.leave("192.0.2.1")
    clients.enter("192.0.2.1")


def test_requests_of_this_machine_are_not_counted():
    clients = Clients(rate=1, burst=1, concurrent=1)
    for _ in range(5):
        for address in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"):
            clients.enter(address)
            clients.leave(address)


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        ("2001:db8::1", "2001:db8::ffff:0:0:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("fe80::1%eth0", "fe80::2", True),
    ],
)
def test_of_ipv6_the_64_counts_as_one_client(first, second, one):
    clients = Clients(rate=0.1, burst=9, concurrent=1)
    clients.enter(first)
    if one:
        with pytest.raises(TooManyRequests):
            clients.enter(second)
        clients.leave(first)
    clients.enter(second)


@given(st.lists(st.tuples(st.floats(0, 5), st.sampled_from("ab")), max_size=60))
def test_no_pattern_of_requests_beats_the_bucket(steps):
    clock = Clock()
    clients = Clients(rate=1, burst=5, concurrent=10_000, clock=clock)
    allowed = 0
    for wait, client in steps:
        clock.now += wait
        try:
            clients.enter(f"192.0.2.{ord(client)}")
            allowed += client == "a"
        except TooManyRequests:
            pass
    assert allowed <= 5 + clock.now + 1e-6


PROXY = networks("10.0.0.0/8, 2001:db8::/32")


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("192.0.2.9", "", "192.0.2.9"),
        ("192.0.2.9", "198.51.100.1", "192.0.2.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "spoofed, 198.51.100.1", "198.51.100.1"),
        ("2001:db8::1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        # From this machine it counts, too, as far as proxies wrote it that are known.
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("::1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "127.0.0.1, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "203.0.113.1, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1, 127.0.0.1", "198.51.100.1"),
        # What is no address counts from nobody, nor what stands before it.
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, <script>", "10.0.0.1"),
        ("127.0.0.1", "198.51.100.1, unknown", "127.0.0.1"),
        ("127.0.0.1", "fe80::1%<script>", "fe80::1"),
        ("127.0.0.1", " , ", "127.0.0.1"),
        ("nobody", "198.51.100.1", "nobody"),
    ],
)
def test_only_what_trusted_proxies_say_of_a_client_counts(remote, forwarded, client):
    assert client_address(remote, forwarded, PROXY) == client


@pytest.mark.parametrize(
    ("remote", "scheme", "host", "outside"),
    [
        ("127.0.0.1", "https", "kg.example.org", ("https", "kg.example.org")),
        ("10.0.0.1", "HTTPS", "kg.example.org:8443", ("https", "kg.example.org:8443")),
        ("::1", "http", "[2001:db8::1]:8443", ("http", "[2001:db8::1]:8443")),
        ("10.0.0.1", "http, https", "evil.example, kg.example.org", ("https", "kg.example.org")),
        ("192.0.2.9", "https", "kg.example.org", ("", "")),
        ("nobody", "https", "kg.example.org", ("", "")),
        ("127.0.0.1", "", "", ("", "")),
        ("127.0.0.1", "javascript", "kg.example.org/x", ("", "")),
        ("127.0.0.1", "https://", "user@kg.example.org", ("", "")),
        ("127.0.0.1", "ws", "<script>", ("", "")),
        ("127.0.0.1", "https\r\nX: y", "a b", ("", "")),
        ("127.0.0.1", "https,", "kg.example.org\n", ("", "kg.example.org")),
    ],
)
def test_only_proxies_that_are_trusted_say_by_which_address_we_are_known(
    remote, scheme, host, outside
):
    assert address_outside(remote, scheme, host, PROXY) == outside


@pytest.mark.parametrize("text", ["proxy.example.org", "10.0.0.0/99", "10.0.0.1/8", "10.0.0.1; x"])
def test_a_trusted_proxy_that_is_no_address_is_refused_in_words(text):
    with pytest.raises(BadSettings, match="trusted_proxies has"):
        networks(f"192.0.2.1, {text}")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, ""),
        ({"host": "localhost"}, ""),
        ({"host": "::1"}, ""),
        ({"public_url": "https://kg.example.org"}, ""),
        ({"host": "0.0.0.0"}, "public_url is not set"),
        ({"host": "192.0.2.1", "trusted_proxies": "192.0.2.2"}, "public_url is not set"),
        ({"host": "192.0.2.1", "public_url": "http://192.0.2.1:8000"}, ""),
        ({"host": "192.0.2.1", "public_url": "https://kg.example.org"}, "no proxy there is trusted"),
        ({"host": "0.0.0.0", "public_url": "https://kg.example.org"}, ""),
        ({"host": "192.0.2.1", "public_url": "https://kg.example.org", "trusted_proxies": "192.0.2.2"}, ""),
    ],
)  # fmt: skip
def test_what_cannot_be_right_is_told_and_nothing_else(given, words):
    told = doubts(Settings(**given))
    assert (words in told[0]) if words else not told
    assert len(told) == bool(words)
