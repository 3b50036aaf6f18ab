"""Tokens, roles and how often a client may ask."""

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg4p1000.access import Account, Clients, Role, Tokens, client_address, networks
from kg4p1000.errors import BadParameter, NotFound, TooManyRequests


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
        clients.enter("127.0.0.1")


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
    ],
)
def test_only_what_trusted_proxies_say_of_a_client_counts(remote, forwarded, client):
    assert client_address(remote, forwarded, PROXY) == client
