"""Every kind of page in a real browser: readable on a phone, by keyboard, without scripts, by everybody."""

import html
import os
import re
import shutil
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest

playwright = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium here; install it or set CHROMIUM")
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
#: Milliseconds that a page may take on a busy machine.
PATIENCE = 120_000
#: Pages of one kind (the same route, and things of the same type) that are looked at.
OF_A_KIND = 1


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as p:
        # Without its sandbox, because tests may run as root.
        found = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def pages(app):
    """Addresses of pages, some of each kind, found by following links from the home page."""
    client, routes = app.test_client(), app.url_map.bind("127.0.0.1")
    found, seen, waiting, kinds = [], {"/"}, ["/"], {}
    while waiting:
        path = waiting.pop(0)
        page = client.get(path, headers={"Accept": "text/html"}, follow_redirects=True)
        assert page.status_code == 200, path
        if page.mimetype != "text/html":
            page.close()  # a download
            continue
        found.append(path)
        for link in re.findall(r'<a\s[^>]*?href="([^"]*)"', page.text):
            target = urlsplit(urldefrag(urljoin(path, html.unescape(link))).url)
            if target.netloc or target.scheme:
                continue
            whole = target.path + ("?" + target.query if target.query else "")
            endpoint, _ = routes.match(target.path)
            kind = (endpoint, target.path.startswith("/page/") and target.path.split("/")[2])
            if whole in seen or kinds.get(kind, 0) >= OF_A_KIND:
                continue
            kinds[kind] = kinds.get(kind, 0) + 1
            seen.add(whole)
            waiting.append(whole)
    return found


@pytest.mark.slow
def test_the_main_pages_are_found_by_following_links(pages):
    paths = {urlsplit(path).path for path in pages}
    assert {"/", "/sparql", "/query/", "/ontology", "/versions", "/graph/"} <= paths
    assert 25 < len(pages) < 150


@pytest.mark.slow
def test_no_page_scrolls_sideways_on_a_phone(browser, address, pages):
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    wide = []
    for path in pages:
        page.goto(address + path)
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > PHONE["width"]:
            wide.append((path, width))
    context.close()
    assert wide == []


@pytest.mark.slow
def test_no_page_asks_anybody_else_or_breaks_its_own_policy(browser, address, pages):
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    others, faults = [], []
    page.on("request", lambda r: others.append(r.url) if not r.url.startswith(address) else None)
    page.on("console", lambda m: faults.append((page.url, m.text)) if m.type == "error" else None)
    for path in pages:
        page.goto(address + path)
    context.close()
    assert others == []
    assert faults == []


@pytest.mark.slow
def test_an_accessibility_checker_finds_no_fault_on_any_page(browser, address, pages):
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    faults = []
    for path in pages:
        page.goto(address + path)
        for fault in axe.Axe().run(page).response["violations"]:
            nodes = [node["html"][:120] for node in fault["nodes"][:3]]
            faults.append((path, fault["id"], nodes))
    context.close()
    assert faults == []


@pytest.mark.slow
def test_the_checker_would_find_a_picture_without_a_text(browser):
    page = browser.new_page()
    page.set_content("<html lang=en><title>t</title><main><h1>h</h1><img src='data:,'></main>")
    found = {fault["id"] for fault in axe.Axe().run(page).response["violations"]}
    page.close()
    assert "image-alt" in found


def test_a_query_is_asked_by_keyboard_alone(browser, address):
    page = browser.new_page(viewport=DESK)
    page.goto(address + "/sparql")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "query":
            break
    page.keyboard.press("Control+A")
    page.keyboard.type("SELECT ?o WHERE { activity:A4.2 skos:notation ?o }")
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.type") == "submit":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("table")
    assert "A4.2" in page.inner_text("table")
    page.close()
