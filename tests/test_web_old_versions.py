"""A page of an old version of the graph leads to that version, wherever it leads."""

import html
import re
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from pyoxigraph import Literal, Quad
from werkzeug.exceptions import HTTPException

from everything import some
from kg4p1000.kernel.terms import iri
from kg4p1000.store import Delta, Readers
from kg4p1000.web import create_app

HTML = {"Accept": "text/html"}
#: What no version has an own answer of, or what names its version in the path.
ELSEWHERE = re.compile(r"/static/|/favicon|/dumps/.+|/versions/.+")
#: A form that asks, and the field by which it keeps the version.
FORM = re.compile(r"<form(?:(?!method=\"post\")[^>])*>.*?</form>", re.DOTALL)
KEPT = re.compile('name="version" value="1"')
PAGES = [
    "/", "/page/objective/A4", "/page/activity/A4.2", "/page/target/D2-2030", "/page/activity/", "/page/overlap/",
    "/page/tool/comet-farm", "/overlaps/", "/overlaps/?objective=A4&other=D2", "/overlaps/clusters", "/overlaps/queue",
    "/overlaps/A4.2-D2.3", "/query/", "/query/activity-overlaps", "/query/activity-overlaps?objective=A4&other=D2",
    "/query/target-distance", "/questions", "/ontology", "/ontology?lang=fr", "/ontology?q=tool", "/ontology/Activity",
    "/ontology/module/actors", "/ontology/module/actors?lang=es", "/code/status", "/code/status/proposed", "/graph/",
    "/graph/mentions", "/shapes/MentionShape", "/sparql", "/sparql?query=SELECT*{?s a k4p:Goal}", "/versions", "/dumps/",
    "/problem/", "/problem/busy", "/no-such-page", "/page/activity/Z9.9", "/releases/ontology/0.3.0", "/sparql?query=SELEKT",
    "/releases/ontology/0.3.0/actors?lang=fr", "/query/no-such-query",
]  # fmt: skip


@pytest.fixture(scope="module")
def web(own, settings, library):
    store = own()
    label = Quad(
        iri("place:MLI"), iri("skos:altLabel"), Literal("Mali", language="de"), iri("graph:actors")
    )
    with store.draft() as draft:
        draft.apply(Delta.of([label]))
        store.publish(draft, "tests", "another version", "update")
    pool = Readers(store, size=2, timeout=600, memory=512)
    yield create_app(settings, store, pool, library).test_client()
    pool.close()


def links(text):
    """The local links of a page, without the one to the published version."""
    found = re.findall(
        r'<(?:a|link)\b[^>]*?\bhref="([^"]*)"', text.partition("The published version is")[0]
    )
    found += re.findall(
        r'<(?:a|link)\b[^>]*?\bhref="([^"]*)"',
        text.partition("The published version is")[2].partition("</p>")[2],
    )
    return [
        h for h in map(html.unescape, found) if h.startswith(("/", "?")) and not ELSEWHERE.match(h)
    ]


@pytest.mark.parametrize("page", some(PAGES, 4))
def test_every_link_and_form_of_an_old_page_keeps_the_version(web, page):
    answer = web.get(f"{page}{'&' if '?' in page else '?'}version=1", headers=HTML)
    found = links(answer.text)
    assert len(found) > 8
    assert [h for h in found if parse_qs(urlsplit(h).query).get("version") != ["1"]] == []
    assert [form for form in FORM.findall(answer.text) if not KEPT.search(form)] == []


def kind(app, link):
    """What sort of page a link leads to: who answers, for which class of thing, and with which parameters."""
    parts = urlsplit(link)
    endpoint, values = app.url_map.bind("localhost").match(parts.path)
    return endpoint, values.get("kind", ""), *sorted(parse_qs(parts.query))


@pytest.mark.slow
def test_a_page_of_each_kind_that_an_old_front_page_leads_to_keeps_the_version(web):
    """A crawl from page to page; what it finds is more than the list above can foresee."""
    waiting, seen, wrong, place = ["/?version=1"], set(), [], 0
    while place < len(waiting):
        page, place = waiting[place], place + 1
        try:
            sort = kind(web.application, page)
        except HTTPException:
            wrong.append((page, "leads nowhere"))
            continue
        if sort in seen:
            continue
        seen.add(sort)
        answer = web.get(page, headers=HTML)
        if answer.status_code >= 400:
            wrong.append((page, answer.status_code))
        if answer.mimetype != "text/html":
            continue
        for link in links(answer.text):
            if parse_qs(urlsplit(link).query).get("version") != ["1"]:
                wrong.append((page, link))
            elif (goal := urljoin(page, link).partition("#")[0]) not in waiting:
                waiting.append(goal)
        wrong += [(page, form) for form in FORM.findall(answer.text) if not KEPT.search(form)]
    assert wrong == []
    assert len(seen) > 40


@pytest.mark.parametrize("page", PAGES[::5])
def test_links_of_a_page_name_no_version_that_nobody_asked_for(web, page):
    for link in links(web.get(page, headers=HTML).text):
        assert "version" not in parse_qs(urlsplit(link).query) or page.startswith(
            ("/query/", "/sparql")
        )


@pytest.mark.slow
def test_links_lead_where_the_version_has_something(web):
    found = links(web.get("/page/activity/A4.2?version=1", headers=HTML).text)
    answers = {link: web.get(link, headers=HTML) for link in sorted(set(found))[:40]}
    assert {link: a.status_code for link, a in answers.items() if a.status_code >= 400} == {}


def test_an_old_page_leads_to_the_same_page_of_now(web):
    text = web.get("/page/activity/A4.2?version=1", headers=HTML).text
    assert 'The published version is <a href="/page/activity/A4.2">2</a>.' in text


@pytest.mark.parametrize("version", ["99", "nonsense", "0"])
def test_a_version_that_is_not_there_is_not_kept(web, version):
    text = web.get(f"/page/activity/A4.2?version={version}", headers=HTML).text
    assert links(text) and not any("version=" in link for link in links(text))


def test_who_comes_with_a_time_stays_in_it(web):
    headers = {**HTML, "Accept-Datetime": "Sun, 22 Nov 2020 15:20:42 GMT"}
    found = links(web.get("/page/activity/A4.2", headers=headers).text)
    assert found and all(parse_qs(urlsplit(link).query)["version"] == ["1"] for link in found)
