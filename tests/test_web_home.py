import gzip
from collections import deque
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import pyoxigraph as ox
import pytest

from kg4p1000.web.home import EXAMPLE

HTML = {"Accept": "text/html"}
IRI = "https://w3id.org/kg4p1000/"


class Links(HTMLParser):
    """The addresses that a page leads to or loads, and the ids in it."""

    def __init__(self, text):
        super().__init__()
        self.found, self.ids, self.loaded = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if "id" in values:
            assert values["id"] not in self.ids, f"id {values['id']} stands twice"
            self.ids.add(values["id"])
        if tag in ("a", "link") and values.get("href"):
            self.found.append(values["href"])
        if tag == "link" and values.get("rel") in ("stylesheet", "icon"):
            self.loaded.append(values["href"])
        if tag in ("script", "img", "iframe", "style"):
            self.loaded.append(values.get("src", tag))
        assert "style" not in values, "the policy forbids styles in the page"
        assert not any(name.startswith("on") for name in values)


def test_the_front_page_has_the_figures_of_the_plan(client):
    text = client.get("/").text
    for number, label in [(6, "goals"), (24, "objectives"), (163, "activities"),
                          (72, "baselines and targets")]:  # fmt: skip
        assert f"{label}</a></dt><dd>{number}</dd>" in text


def test_the_front_page_leads_to_all_goals_and_objectives(client):
    links = Links(client.get("/").text).found
    assert sum(link.startswith("/page/goal/") and link != "/page/goal/" for link in links) == 6
    assert sum(link.startswith("/page/objective/") for link in links) == 24 + 1


def test_the_example_of_the_front_page_has_an_answer(client):
    result = client.get("/sparql", query_string={"query": EXAMPLE}).get_json(force=True)
    assert len(result["results"]["bindings"]) == 10


@pytest.mark.slow
def test_every_link_within_two_steps_of_the_front_page_answers(client):
    waiting, seen = deque([("/", 0)]), {"/"}
    pages = 0
    while waiting:
        path, depth = waiting.popleft()
        response = client.get(path, headers=HTML, buffered=True, follow_redirects=True)
        assert response.status_code == 200, f"{path}: {response.status_code}"
        pages += 1
        if response.mimetype != "text/html" or depth == 2:
            continue
        links = Links(response.text)
        for link in links.found:
            target = urlsplit(urljoin(path, link))
            if target.netloc or target.scheme not in ("", "http", "https"):
                continue
            if link.startswith("#"):
                assert target.fragment in links.ids, f"{path}: {link}"
                continue
            address = target._replace(fragment="").geturl()
            if address not in seen and len(seen) < 300:
                seen.add(address)
                waiting.append((address, depth + 1))
    assert pages > 150


@pytest.mark.parametrize("path", ["/", "/sparql", "/query/", "/ontology", "/graph/", "/dumps/",
                                  "/page/objective/A4", "/ontology/Activity", "/nothing"])  # fmt: skip
def test_a_page_loads_nothing_from_elsewhere_and_no_script(client, path):
    links = Links(client.get(path, headers=HTML).text)
    assert set(links.loaded) <= {"/static/style.css", "/favicon.svg"}


@pytest.mark.parametrize("path", ["/", "/sparql", "/page/objective/A4", "/query/"])
def test_a_page_can_be_used_without_a_mouse(client, path):
    text = client.get(path, headers=HTML).text
    assert '<html lang="en">' in text
    assert '<a class="skip" href="#main"' in text
    assert text.count("<h1") == 1
    assert 'name="viewport"' in text


def test_every_field_has_a_label(client):
    for path in ("/", "/sparql", "/query/activity-overlaps"):
        text = client.get(path, headers=HTML).text
        for part in text.split("<label")[1:]:
            name = part.split('for="')[1].split('"')[0]
            assert f'id="{name}"' in text


def test_health_tells_the_version(client):
    response = client.get("/health")
    assert response.status_code == 200
    assert (response.json["status"], response.json["version"]) == ("ok", 1)


@pytest.mark.parametrize("path", ["/robots.txt", "/favicon.svg", "/static/style.css"])
def test_the_small_files_are_there(client, path):
    assert client.get(path, buffered=True).status_code == 200


# dumps


def test_a_dump_holds_the_published_quads(client, store):
    response = client.get("/dumps/1.nq.gz")
    assert response.mimetype == "application/gzip"
    loaded = set(ox.parse(gzip.decompress(response.data), format=ox.RdfFormat.N_QUADS))
    register = ox.NamedNode(IRI + "graph/graphs")
    published = {
        quad.subject for quad in store.quads()
        if quad.graph_name == register and quad.predicate.value == IRI + "ontology/inDumps"
        and quad.object == ox.Literal(True)
    }  # fmt: skip
    assert loaded == {quad for quad in store.quads() if quad.graph_name in published}
    assert len(loaded) > 10_000


@pytest.mark.slow
def test_a_dump_is_the_same_bytes_each_time(client):
    assert client.get("/dumps/1.nq.gz").data == client.get("/dumps/1.nq.gz").data


@pytest.mark.slow
def test_a_part_of_a_dump_can_be_asked_for(client):
    whole = client.get("/dumps/1.nq.gz")
    assert whole.headers["Accept-Ranges"] == "bytes"
    size, tag = len(whole.data), whole.headers["ETag"]

    def part(asked, **headers):
        return client.get("/dumps/1.nq.gz", headers={"Range": asked, **headers}, buffered=True)

    for asked, wanted in (
        ("bytes=0-99", whole.data[:100]),
        ("bytes=1000-", whole.data[1000:]),
        ("bytes=-7", whole.data[-7:]),
    ):
        answer = part(asked)
        assert (answer.status_code, answer.data) == (206, wanted)
        assert answer.headers["Content-Range"].endswith(f"/{size}")
        assert int(answer.headers["Content-Length"]) == len(wanted)
    assert part(f"bytes={size}-").status_code == 416
    assert part("bytes=0-9", **{"If-Range": tag}).status_code == 206
    assert part("bytes=0-9", **{"If-Range": '"other"'}).data == whole.data
    assert client.get("/dumps/1.nq.gz", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize("path", ["/dumps/2.nq.gz", "/dumps/0.nq.gz", "/dumps/x.nq.gz", "/dumps/1"])
def test_a_dump_that_is_not_there_is_not_found(client, path):
    assert client.get(path).status_code == 404


def test_the_latest_dump_leads_to_the_published_version(client):
    response = client.get("/dumps/latest.nq.gz")
    assert (response.status_code, response.location) == (302, "/dumps/1.nq.gz")


def test_the_list_of_dumps_has_version_date_and_change(client):
    text = client.get("/dumps/").text
    assert 'href="/dumps/1.nq.gz"' in text
    assert "Built for the tests" in text
