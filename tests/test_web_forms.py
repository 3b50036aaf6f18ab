"""A form that was filled in wrongly comes again, filled, with the error at its field; pages have an end, and one address."""

import re

import pytest

from kg4p1000.curation.access import Tokens
from kg4p1000.store import Readers
from kg4p1000.web import create_app

HTML = {"Accept": "text/html"}
PAIR = "/overlaps/A4.2-D2.3"


@pytest.mark.parametrize(
    ("address", "field", "typed", "hint"),
    [
        ("/query/tools-for-place-and-scale?property=SOC&scale=farm&region=Africa", "property", "SOC", "Did you mean soc?"),
        ("/query/tools-for-place-and-scale?property=soc&scale=farm&region=Africa", "region", "Africa", "region"),
        ("/query/activity-overlaps?objective=a4&other=D2", "objective", "a4", "Did you mean A4?"),
        ("/query/activity-overlaps?objective=A4&other=", "other", "", "needs the parameter"),
    ],
)  # fmt: skip
def test_a_wrong_value_comes_again_in_its_field_with_the_error(client, address, field, typed, hint):
    answer = client.get(address, headers=HTML)
    assert answer.status_code == 400
    inputs = dict(re.findall(r'<input id="p-([a-zA-Z]+)"[^>]*?value="([^"]*)"', answer.text))
    assert inputs[field] == typed
    for name, value in (pair.split("=") for pair in address.partition("?")[2].split("&")):
        assert inputs[name] == value
    wrong = re.findall(
        r'<input id="p-([a-zA-Z]+)"[^>]*aria-invalid="true" aria-describedby="e-', answer.text
    )
    assert wrong == [field]
    told = re.search(rf'role="alert" id="e-{field}">(.*?)</span>', answer.text, re.DOTALL)[1]
    assert hint in told


def test_programs_get_the_same_error_as_before(client):
    answer = client.get("/query/activity-overlaps?objective=a4&other=D2")
    assert (answer.status_code, answer.mimetype) == (400, "application/problem+json")
    assert client.get("/query/activity-overlaps?objectve=A4", headers=HTML).status_code == 400


@pytest.fixture(scope="module")
def web(own, settings, library):
    store = own()
    pool = Readers(store, size=2, timeout=600, memory=512)
    app = create_app(
        settings.__class__(**{**vars(settings), "store": store.path}), store, pool, library
    )
    contributor = Tokens(store.path / "tokens.json").create("Con", "contributor")
    yield app.test_client(), contributor
    app.extensions["kg4p1000"].writer.close()
    pool.close()


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"token": "nonsense"}, 401, "token"),
        ({"token": "CONTRIBUTOR"}, 403, "token"),
        ({"token": ""}, 401, "token"),
    ],
)
def test_a_decision_with_a_wrong_token_comes_again_as_it_was_typed(web, change, status, field):
    client, contributor = web
    given = {"status": "rejected", "kind": "sequence", "why": 'Not "the" <same>.', **change}
    given["token"] = given["token"].replace("CONTRIBUTOR", contributor)
    answer = client.post(f"{PAIR}/decisions", data=given, headers=HTML)
    assert answer.status_code == status
    form = re.search(r"<details open><summary>Decide</summary>.*?</form>", answer.text, re.DOTALL)[
        0
    ]
    assert 'value="Not &#34;the&#34; &lt;same&gt;."' in form
    assert '<option value="rejected" selected>' in form and "selected>accepted" not in form
    assert form.count(" selected>") == 1 + ('value="sequence"' in form)
    assert f'id="e-{field}"' in form and form.count('aria-invalid="true"') == 1
    assert contributor not in answer.text and "nonsense" not in answer.text
    program = client.post(f"{PAIR}/decisions", data=given, headers={"Accept": "application/json"})
    assert (program.status_code, program.mimetype) == (status, "application/problem+json")


# pages have an end, and one address


def test_long_lists_have_pages(client):
    found = []
    for number in range(1, 100):
        text = client.get(f"/page/annotation/?page={number}", headers=HTML).text
        names = re.findall(r'<li><a class="name" href="([^"]+)"', text)
        assert 0 < len(names) <= 200
        found += names
        if f"page={number + 1}" not in text:
            break
    total = int(
        re.search(r'<h1>.*?<span class="count">([\d,]+)</span>', text, re.DOTALL)[1].replace(
            ",", ""
        )
    )
    assert len(found) == len(set(found)) == total > 1000
    for odd in ("0", "-1", "x", "9999999999", "\u0663"):
        assert client.get(f"/page/annotation/?page={odd}", headers=HTML).status_code == 200


def test_an_overlap_has_one_page(client):
    answer = client.get("/page/overlap/A4.2-D2.3", headers=HTML)
    assert (answer.status_code, answer.headers["Location"]) == (308, PAIR)
    text = client.get(PAIR, headers=HTML).text
    assert "All statements" in text and "/data/overlap/A4.2-D2.3.ttl" in text
    old = client.get("/page/overlap/A4.2-D2.3?version=1", headers=HTML)
    assert old.headers["Location"] == f"{PAIR}?version=1"


def test_figures_of_the_front_page_lead_to_what_they_count(client):
    home = client.get("/", headers=HTML).text
    figures = re.findall(r'<dt><a href="([^"]+)">([^<]+)</a></dt><dd>([\d,]+)</dd>', home)
    assert len(figures) == 7
    for href, label, number in figures:
        page = client.get(href, headers=HTML)
        assert page.status_code == 200
        assert re.search(rf"\b{number}\b", page.text), (href, label, number)


def test_names_of_columns_are_shown_as_they_are(client):
    assert (
        '<dl class="facts as-they-are">' in client.get("/query/target-distance", headers=HTML).text
    )
    css = client.get("/static/style.css", buffered=True).text
    (rule,) = re.findall(r"[^}]*\.facts[^{]*dt[^{]*first-letter[^{]*", css)
    assert ":not(.as-they-are)" in rule and ":not(.as-it-is)" in rule


def test_the_dataset_has_a_page_and_says_who_publishes_it(client):
    page = client.get("/.well-known/void", headers=HTML)
    assert (page.status_code, page.mimetype) == (200, "text/html")
    assert "The kg4p1000 developers" in page.text and "CC BY 4.0" in page.text
    data = client.get("/.well-known/void", headers={"Accept": "text/turtle"})
    assert data.mimetype == "text/turtle"
    for name in (
        "dcterms:publisher",
        "dcterms:description",
        "dcterms:title",
        "dcat:contactPoint",
        "vcard:hasURL",
    ):
        assert name in data.text
    assert client.get("/.well-known/void").mimetype == "text/turtle"
