"""The pages of the overlaps, and decisions over HTTP."""

import csv
import re
import time

import pytest

from kg4p1000.curation.access import Tokens
from kg4p1000.kernel.errors import TimeLimit
from kg4p1000.kernel.settings import Settings
from kg4p1000.store import Delta, Readers
from kg4p1000.web import create_app

PAIR = "/overlaps/A4.2-D2.3"


def text(response):
    assert response.status_code == 200, response.data[:300]
    return response.get_data(as_text=True)


def test_the_matrix_has_every_objective_and_leads_to_its_pairs(client):
    page = text(client.get("/overlaps/"))
    assert page.count('<th scope="col"><abbr') == 24
    assert page.count('<th scope="row"><abbr') == 24
    assert 'href="/overlaps/?objective=A4&amp;other=D2#pairs"' in page
    assert "strongly interrelated" in page


def test_matrix_and_query_tell_the_same_identical_and_similar_targets(client):
    def rows(name):
        return list(csv.DictReader(text(client.get(f"/query/{name}?format=csv")).splitlines()))

    same, near = {}, {}
    for row in rows("identical-targets"):
        ends = row["code"], row["otherCode"]
        if equal := "true" in (row["sameText"], row["sameFigure"]):
            same.setdefault(ends, set()).add(row["horizon"])
        if equal or row["indicator"]:
            near.setdefault(ends, set()).add(row["horizon"])
    assert ("A4", "D2") in same
    told = {(r["code"], r["otherCode"]): r for r in rows("objective-overlap-matrix")}
    for ends, row in told.items():
        counts = int(row["identicalTargets"]), int(row["similarTargets"])
        assert counts == (len(same.get(ends, ())), len(near.get(ends, ()))), ends
    assert set(near) <= set(told)
    cells = re.findall(
        r'title="(\w+) and (\w+): [^"]*identical target', text(client.get("/overlaps/"))
    )
    assert {tuple(sorted(ends)) for ends in cells} == set(same)


def test_filters_leave_what_fits(client):
    page = text(client.get("/overlaps/?objective=D2&other=A4&kind=overlaps&confidence=0.9"))
    pairs = re.findall(r'href="/overlaps/([A-F][\d.]+-[A-F][\d.]+)"', page)
    assert "A4.2-D2.3" in pairs
    assert all({pair[:2], pair.split("-")[1][:2]} == {"A4", "D2"} for pair in pairs)
    assert "No stored pair fits" in text(
        client.get("/overlaps/?objective=A1&other=A1&status=merged")
    )


@pytest.mark.parametrize(
    ("asked", "there"),
    [("objective=ZZ", "A1, A2"), ("other=A9", "A1, A2"), ("status=foo", "proposed, accepted"),
     ("kind=bar", "duplicates, overlaps")],
)  # fmt: skip
def test_a_filter_for_what_there_is_not_is_refused_with_what_there_is(client, asked, there):
    told = client.get(f"/overlaps/?{asked}")
    assert told.status_code == 400
    assert there in told.get_data(as_text=True)


@pytest.mark.parametrize(
    "how", [{"headers": {"Accept": "text/csv"}}, {"query_string": "format=csv"}]
)
def test_the_pairs_that_fit_can_be_had_as_a_table(client, how):
    text(client.get("/overlaps/", headers={"Accept": "text/html"}))
    whole = client.get("/overlaps/", **how)
    assert whole.content_type.startswith("text/csv")
    rows = list(csv.DictReader(whole.get_data(as_text=True).splitlines()))
    assert len(rows) > 100
    assert list(rows[0]) == ["a", "b", "score", "kind", "confidence", "status", "reason"]
    some = client.get("/overlaps/?objective=A4&other=D2", headers={"Accept": "text/csv"})
    found = list(csv.DictReader(some.get_data(as_text=True).splitlines()))
    assert found == [r for r in rows if {r["a"][:2], r["b"][:2]} == {"A4", "D2"}]
    assert client.get("/overlaps/", headers={"Accept": "image/png"}).status_code == 406


def test_a_pair_in_the_other_order_leads_to_the_one_that_is_named(client):
    told = client.get("/overlaps/D2.3-A4.2?version=1")
    assert (told.status_code, told.headers["Location"]) == (308, f"{PAIR}?version=1")


@pytest.mark.parametrize("wrong", ["2", "-1", "much", "nan"])
def test_a_confidence_that_is_none_is_refused(client, wrong):
    assert client.get(f"/overlaps/?confidence={wrong}").status_code == 400


PAIRS = r'href="/overlaps/([A-F][\d.]+-[A-F][\d.]+)"'


@pytest.mark.parametrize("path", ["/overlaps/", "/overlaps/queue", "/overlaps/?status=proposed"])
def test_following_the_pages_shows_each_pair_once(client, path):
    seen, page = [], text(client.get(path))
    whole = int(re.search(r"1 to 25 of ([\d,]+)", page)[1].replace(",", ""))
    while True:
        here = re.findall(PAIRS, page)
        assert 1 <= len(here) <= 25
        seen += here
        following = re.search(r'rel="next" href="([^"]+)"', page)
        if not following:
            break
        path = following[1].replace("&amp;", "&").split("#")[0]
        page = text(client.get(path))
    assert len(seen) == len(set(seen)) == whole > 100


def test_the_first_page_has_the_best_and_the_links_keep_the_filters(client):
    page = text(client.get("/overlaps/?kind=overlaps&confidence=0.3"))
    sure = [float(x) for x in re.findall(r"confidence ([\d.]+)", page)]
    assert sure == sorted(sure, reverse=True)
    assert re.findall(PAIRS, text(client.get("/overlaps/")))[0] == "B4.3-E1.3"
    assert 'href="/overlaps/?kind=overlaps&amp;confidence=0.3&amp;page=2#pairs"' in page


@pytest.mark.parametrize("wrong", ["0", "-1", "two", "99999", "²", "9" * 5000])
def test_a_page_that_is_not_there_is_refused_with_how_many_there_are(client, wrong):
    told = client.get("/overlaps/", query_string={"page": wrong})
    assert told.status_code == 400
    assert "must be a number from 1 to" in told.get_data(as_text=True)


def test_a_pair_shows_both_texts_what_they_share_and_that_nobody_has_decided(client):
    page = text(client.get(PAIR))
    for words in (
        "Launch a poll to identify expectations", "poll of expectations", "survey and consult",
        "launch a poll", "Nobody has decided yet", "/data/overlap/A4.2-D2.3.ttl", "detection of overlaps",
    ):  # fmt: skip
        assert words in page, words


@pytest.mark.parametrize("pair", ["A4.2-D9.9", "nothing", "A4.2", "A4.2-", "é-D2.1", "A4.1-A4.2"])
def test_a_pair_that_is_not_stored_is_not_found(client, pair):
    assert client.get(f"/overlaps/{pair}").status_code == 404


def test_work_packages_and_the_queue_list_what_the_graph_has(client):
    assert text(client.get("/overlaps/clusters")).count('<section class="cluster">') > 5
    queue = text(client.get("/overlaps/queue"))
    sure = [float(x) for x in re.findall(r"confidence ([\d.]+)", queue)]
    assert 0.5 < sure[0] < 0.8
    assert abs(sure[0] - 2 / 3) <= abs(sure[-1] - 2 / 3)


@pytest.fixture
def deciding(toy, toy_store, toy_library, tmp_path):
    """A service over a store of its own, and the headers of a steward and of a contributor."""
    store = toy_store(tmp_path / "store")
    readers = Readers(store, size=2, timeout=600, memory=512)
    app = create_app(Settings(store=store.path, files=toy), store, readers, toy_library)
    kept = Tokens(store.path / "tokens.json")
    tokens = {role: kept.create(f"{role} Kim", role) for role in ("steward", "contributor")}
    yield app.test_client(), store, tokens
    app.extensions["kg4p1000"].writer.close()
    readers.close()


def test_a_steward_decides_by_json_and_the_page_tells_it(deciding):
    client, store, tokens = deciding
    header = {"Authorization": f"Bearer {tokens['steward']}"}
    done = client.post(
        f"{PAIR}/decisions", json={"status": "rejected", "why": "Other regions."}, headers=header
    )
    assert done.status_code == 200, done.data
    assert done.json["version"] and done.json["overlaps_follow"]
    page = text(client.get(PAIR))
    assert "Other regions." in page and "steward Kim" in page
    assert "A4.2-D2.3" not in text(client.get("/overlaps/queue"))
    # The rest of the ranking is brought up to date beside it.
    decided, until = done.json["version"], time.monotonic() + 120
    while store.current == decided and time.monotonic() < until:
        time.sleep(0.5)
    assert store.entry(decided + 1).source == "overlaps"
    assert "Other regions." in text(client.get(PAIR))


@pytest.mark.parametrize("where", ["address", "json", "form"])
def test_a_decision_can_be_tried_without_being_made(deciding, where):
    client, store, tokens = deciding
    header = {"Authorization": f"Bearer {tokens['steward']}"}
    given, before = {"status": "rejected", "why": "Other regions."}, store.current
    if where == "address":
        done = client.post(f"{PAIR}/decisions?dry-run=true", json=given, headers=header)
    elif where == "json":
        done = client.post(f"{PAIR}/decisions", json=given | {"dry-run": "true"}, headers=header)
    else:
        form = given | {"token": tokens["steward"], "dry-run": "true"}
        done = client.post(f"{PAIR}/decisions", data=form)
    assert done.status_code == 200, done.data
    assert done.json["version"] is None and done.json["counts"]["added"]
    assert store.current == before
    slip = client.post(f"{PAIR}/decisions?dryrun=true", json=given, headers=header)
    assert slip.status_code == 400 and "dry-run" in slip.json["detail"]
    assert store.current == before


def test_overlaps_follow_a_change_that_was_stopped_too(deciding):
    client, store, _ = deciding
    with store.draft() as draft:  # as a change that was made, and whose maker was stopped then
        going = frozenset(q for q in draft.quads() if "/overlap/A4.2-" in str(q.subject))
        draft.apply(Delta(removed=going))
        store.publish(draft, "t", "", "update")
    before = store.current
    writer = client.application.extensions["kg4p1000"].writer
    limit, writer.timeout = writer.timeout, 0.001
    with pytest.raises(TimeLimit):
        writer.change(kind="undo", version=before, author="t", role=3)
    writer.timeout = limit
    until = time.monotonic() + 120
    while store.current == before and time.monotonic() < until:
        time.sleep(0.5)
    assert store.entry(before + 1).source == "overlaps"
    assert going <= set(store.quads())


def test_a_form_without_scripts_takes_the_token_as_a_field(deciding):
    client, _, tokens = deciding
    form = {"status": "accepted", "kind": "overlaps", "why": "Yes.", "token": tokens["steward"]}
    done = client.post(f"{PAIR}/decisions", data=form)
    assert (done.status_code, done.headers["Location"]) == (303, PAIR)
    done = client.post("/overlaps/D2.3-A4.2/decisions", data=form | {"why": "Still."})
    assert (done.status_code, done.headers["Location"]) == (303, PAIR)
    assert "accepted" in text(client.get(PAIR))


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"json": {"status": "accepted", "why": "x"}}, 401),
        ({"data": {"status": "accepted", "why": "x", "token": "wrong"}}, 401),
        ({"data": {"status": "accepted", "why": "x", "token": "contributor"}}, 403),
        ({"data": {"status": "perhaps", "why": "x", "token": "steward"}}, 400),
        ({"data": {"status": "accepted", "why": " ", "token": "steward"}}, 400),
        ({"json": ["accepted"]}, 401),
        ({"json": ["accepted"], "headers": {"Authorization": "Bearer steward"}}, 400),
        (
            {
                "data": b"{",
                "content_type": "application/json",
                "headers": {"Authorization": "Bearer steward"},
            },
            400,
        ),
    ],
)
def test_what_is_no_decision_of_a_steward_is_refused(deciding, given, status):
    client, store, tokens = deciding
    before = store.current
    if isinstance(given.get("data"), dict) and given["data"].get("token") in tokens:
        given = {"data": {**given["data"], "token": tokens[given["data"]["token"]]}}
    if "headers" in given:
        given = {**given, "headers": {"Authorization": f"Bearer {tokens['steward']}"}}
    assert client.post(f"{PAIR}/decisions", **given).status_code == status
    assert store.current == before


@pytest.mark.parametrize(
    ("pair", "status"),
    [("A4.1", 400), ("A4.1-", 400), ("A4.1-D2.1%20x", 400), ("é-D2.1", 400), ("A4.1-A4.2", 400), ("A4.1-D9.9", 404)],
)  # fmt: skip
def test_a_decision_on_what_is_no_pair_is_refused(deciding, pair, status):
    client, store, tokens = deciding
    header = {"Authorization": f"Bearer {tokens['steward']}"}
    before = store.current
    given = {"status": "rejected", "why": "No."}
    told = client.post(f"/overlaps/{pair}/decisions", json=given, headers=header)
    assert told.status_code == status, told.text
    assert store.current == before


def test_a_pair_that_is_not_stored_is_decided_over_http_in_one_version(deciding):
    client, store, tokens = deciding
    header = {"Authorization": f"Bearer {tokens['steward']}"}
    assert client.get("/overlaps/A1.1-D2.5").status_code == 404
    before = store.current
    given = {"status": "rejected", "why": "Nothing in common."}
    done = client.post("/overlaps/D2.5-A1.1/decisions", json=given, headers=header)
    assert done.status_code == 200, done.text
    assert done.json["version"] == before + 1
    assert "Nothing in common." in text(client.get("/overlaps/A1.1-D2.5"))
