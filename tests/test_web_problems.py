import html
import json
import re
import uuid
from dataclasses import replace

import pytest
from werkzeug.exceptions import HTTPException, abort

from kg4p1000.kernel import errors
from kg4p1000.kernel.errors import KgError
from kg4p1000.web import create_app
from kg4p1000.web.responses import blocks

HTML = {"Accept": "text/html"}
ALL = errors.all_errors()
SECTIONS = ("## What happened", "## Why", "## What to do")


@pytest.fixture
def failing(settings, store, readers, library):
    """A client for an application that raises what it is told to."""
    app = create_app(settings, store, readers, library)
    raised = {}

    @app.route("/fail")
    def fail():
        raise raised["error"]

    def client(error):
        raised["error"] = error
        return app.test_client()

    return client


def made(cls, detail, **members):
    """An error with members, whatever its class asks for."""
    error = cls.__new__(cls)
    KgError.__init__(error, detail, **members)
    return error


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.slug)
def test_every_error_is_a_problem_document(failing, cls):
    response = failing(made(cls, "What to do.", line=3, report={"a": [1]})).get("/fail")
    assert response.status_code == cls.status
    assert response.content_type == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    document = json.loads(response.text)
    assert document["type"] == f"https://w3id.org/kg4p1000/problem/{cls.slug}"
    assert document["title"] == cls.title
    assert document["status"] == cls.status
    assert uuid.UUID(document["instance"].removeprefix("urn:uuid:"))
    if cls.status != 500:
        assert document["detail"] == "What to do."
        assert (document["line"], document["report"]) == (3, {"a": [1]})


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.slug)
def test_every_error_is_a_page_with_the_same_content_for_people(failing, cls):
    response = failing(made(cls, "Do <this>.")).get("/fail", headers=HTML)
    assert response.status_code == cls.status
    assert response.mimetype == "text/html"
    assert cls.title in html.unescape(response.text)
    assert f'href="/problem/{cls.slug}"' in response.text
    if cls.status != 500:
        assert "Do &lt;this&gt;." in response.text


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.slug)
def test_every_error_has_a_page_that_says_what_to_do(client, settings, cls):
    text = (settings.files / "docs" / "problems" / f"{cls.slug}.md").read_text(encoding="utf-8")
    assert text.startswith(f"# {cls.title}\n")
    assert all(section in text for section in SECTIONS)
    served = client.get(f"/problem/{cls.slug}", headers=HTML)
    assert served.status_code == 200
    assert served.text.count("<h1>") == 1
    assert "What to do" in served.text
    assert "`" not in re.sub(r"<pre.*?</pre>", "", served.text, flags=re.S)


def test_every_problem_page_belongs_to_an_error(settings):
    pages = {path.stem for path in (settings.files / "docs" / "problems").glob("*.md")}
    assert pages == {cls.slug for cls in ALL}


def test_the_list_of_problems_leads_to_each(client):
    text = client.get("/problem/").text
    assert all(f'href="/problem/{cls.slug}"' in text for cls in ALL)


def test_an_unknown_problem_is_not_found(client):
    assert client.get("/problem/none").status_code == 404


def test_a_problem_whose_page_is_missing_shows_its_title(
    tmp_path, settings, store, readers, library
):
    app = create_app(replace(settings, files=tmp_path), store, readers, library)
    assert "The query ran into the time limit" in app.test_client().get("/problem/time-limit").text


@pytest.mark.parametrize(
    ("send", "status", "slug"),
    [
        (lambda c: c.get("/nothing"), 404, "not-found"),
        (lambda c: c.get("/page/nonsense/"), 404, "not-found"),
        (lambda c: c.delete("/sparql"), 405, "not-allowed"),
        (lambda c: c.post("/ontology"), 405, "not-allowed"),
    ],
)
def test_errors_of_routing_are_problems(client, send, status, slug):
    response = send(client)
    assert response.status_code == status
    document = json.loads(response.text)
    assert document["type"].endswith(f"/problem/{slug}")


def test_a_method_that_is_not_allowed_names_those_that_are(client):
    allowed = client.delete("/sparql").headers["Allow"]
    assert set(allowed.split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_a_status_that_we_have_no_page_for_is_about_blank(failing):
    try:
        abort(414)
    except HTTPException as e:
        document = json.loads(failing(e).get("/fail").text)
    assert (document["type"], document["status"]) == ("about:blank", 414)


@pytest.mark.parametrize("headers", [{}, HTML])
@pytest.mark.parametrize("error", [RuntimeError("secret"), KgError("secret"), OSError("secret")])
def test_an_unexpected_error_tells_nothing_of_the_inside(failing, caplog, error, headers):
    response = failing(error).get("/fail", headers=headers)
    assert response.status_code == 500
    assert "secret" not in response.text
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("error", "again"),
    [(errors.ReaderLost(), True), (errors.StoreUnusable(), True), (errors.TimeLimit(), False),
     (errors.NotFound(), False), (errors.Busy(retry_after=7), True)],
)  # fmt: skip
def test_retry_after_stands_where_trying_again_makes_sense(failing, error, again):
    assert ("Retry-After" in failing(error).get("/fail").headers) is again


def test_who_is_not_known_is_asked_for_a_token(failing):
    response = failing(errors.Unauthorized()).get("/fail")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("path", ["/", "/nothing", "/sparql", "/page/activity/A4.2", "/health",
                                  "/static/style.css", "/dumps/1.nq.gz"])  # fmt: skip
def test_the_security_headers_stand_on_every_answer(client, path):
    headers = client.get(path, headers=HTML, buffered=True).headers
    assert headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self';"
        " base-uri 'none'; frame-ancestors 'none'"
    )
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Access-Control-Allow-Origin"] == "*"


def test_the_little_markdown_is_read():
    assert blocks("# A `b`\n\nC\nd\n\n- e\n- `f`\n  g\n\n```\nh\n```\n") == [
        ("h1", [("text", "A "), ("code", "b")]),
        ("p", [("text", "C d")]),
        ("li", [("text", "e")]),
        ("li", [("code", "f"), ("text", " g")]),
        ("pre", "h"),
    ]
