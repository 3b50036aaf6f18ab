"""The page of the competency questions, and what a question says that awaits data."""

import threading

import pytest

from kg4p1000.kernel.errors import Busy
from kg4p1000.knowledge.queries import Library
from kg4p1000.knowledge.questions import State, cases, examine
from kg4p1000.web import create_app
from kg4p1000.web.background import Background, examiner

HTML = {"Accept": "text/html"}
HEADER = """#+ summary: {summary}
#+ question: {{en: "Is it {name}?", fr: "Fr {name}", es: "Es {name}"}}
#+ objectives: {objectives}
#+ parameters:
#+   objective: {{type: objective, example: "A4", help: "code of an objective"}}
#+ returns: {{objective: objective, code: code}}
#+ empty: There is none.
{more}"""
ROWS = """SELECT ?objective ?code
WHERE { ?activity k4p:activityOf ?objective ; skos:notation ?code } ORDER BY ?code
"""
NONE = "SELECT ?objective ?code WHERE { ?objective k4p:hasNoSuchThing ?code } ORDER BY ?code\n"
EXPECTED = "objective,code\n" + "".join(
    f"https://w3id.org/kg4p1000/id/objective/A4,A4.{i}\n" for i in (1, 2, 3, 4)
)
AWAITS = "#+ awaits: the texts of the NDCs.\n"


@pytest.fixture
def folder(tmp_path):
    def write(name, query, more="", objectives="[A4]", expected=None):
        head = HEADER.format(summary=name, name=name, objectives=objectives, more=more)
        (tmp_path / f"{name}.rq").write_text(head + query, encoding="utf-8")
        (tmp_path / "expected").mkdir(exist_ok=True)
        if expected is not None:
            (tmp_path / "expected" / f"{name}.csv").write_text(expected, encoding="utf-8")

    write("answered", ROWS, expected=EXPECTED)
    write("differs", ROWS, expected=EXPECTED.replace("A4.4", "A4.5"))
    write("unexpected", ROWS)
    write("empty", NONE, expected=EXPECTED)
    write("awaiting", NONE, more=AWAITS, objectives="across")
    write("outdated", ROWS, more=AWAITS)
    write("recorded", ROWS, more="#+ rows: recorded\n")
    write("unrecorded", NONE, more="#+ rows: recorded\n")
    return tmp_path


@pytest.fixture
def asked(folder, settings, store, readers):
    app = create_app(settings, store, readers, Library(folder))
    app.extensions["kg4p1000"].examiner = examiner(Library(folder), readers, folder)
    app.extensions["kg4p1000"].examiner.results(store.current, patience=60)
    return app.test_client()


@pytest.mark.parametrize(
    ("name", "state", "says"),
    [
        ("answered", State.ANSWERED, ""),
        ("awaiting", State.AWAITS, ""),
        ("recorded", State.RECORDED, ""),
        ("unrecorded", State.RECORDED, ""),
        ("differs", State.DIFFERS, "lacks 1 of 4 expected rows and has 1 others"),
        ("unexpected", State.DIFFERS, "lacks 0 of 0 expected rows and has 4 others"),
        ("empty", State.EMPTY, "has no answer: There is none. If the graph cannot answer it yet"),
        ("outdated", State.OUTDATED, "has 4 rows now: remove 'awaits'"),
    ],
)
def test_a_case_has_the_state_that_its_rows_give_it(folder, readers, name, state, says):
    library = Library(folder)
    (case,) = (case for case in cases(library) if case.query.name == name)
    outcome = examine(library, readers, case, folder)
    assert outcome.state is state
    assert says in outcome.detail
    assert state.good == (outcome.detail == "")


def test_a_query_that_cannot_be_run_fails(folder, readers, monkeypatch):
    library = Library(folder)
    case = next(iter(cases(library)))
    monkeypatch.setitem(case.values, "objective", "no key")
    outcome = examine(library, readers, case, folder)
    assert outcome.state is State.FAILED
    assert "'objective' is 'no key'" in outcome.detail


def test_the_page_says_of_each_question_what_came_of_it(asked):
    text = asked.get("/questions", headers=HTML).text
    assert (
        'href="/query/answered?objective=A4">Is it answered?</a> <span class="verdict good">'
        in text
    )
    assert '<span class="verdict differs">' in text
    assert "4 rows, 4 expected: 1 missing, 1 others" in text
    assert '<span class="verdict awaits">' in text
    assert "The graph has no data for this yet: the texts of the NDCs." in text
    assert "✗ answered, though it says that it awaits data" in text
    assert text.index("Is it awaiting?") < text.index('id="A1"') < text.index("Is it answered?")
    assert "No question is recorded for this objective." in text


def test_programs_get_the_same_as_json(asked, store):
    document = asked.get("/questions").get_json(force=True)
    states = {entry["name"]: entry["state"] for entry in document["questions"]}
    assert document["version"] == store.current
    assert states["answered"] == "answered as expected"
    assert states["awaiting"] == "awaiting data"
    (answered,) = (e for e in document["questions"] if e["name"] == "answered")
    assert answered["question"]["fr"] == "Fr answered"
    assert answered["cases"][0]["rows"] == answered["cases"][0]["expected"] == 4


def test_what_is_not_known_yet_is_said_to_be_not_checked(folder, settings, store, readers):
    app = create_app(settings, store, readers, Library(folder))
    app.extensions["kg4p1000"].examiner = Background({})
    text = app.test_client().get("/questions", headers=HTML).text
    assert '<span class="verdict unknown">not checked yet</span>' in text
    assert "Look again" in text
    assert "✓" not in text


def test_a_busy_service_is_asked_again(folder, readers, store, monkeypatch):
    busy = threading.Event()
    real = readers.query

    def sometimes(*args, **kwargs):
        if not busy.is_set():
            busy.set()
            raise Busy("too many")
        return real(*args, **kwargs)

    monkeypatch.setattr(readers, "query", sometimes)
    monkeypatch.setattr("kg4p1000.web.background._PAUSE", 0.01)
    known = examiner(Library(folder), readers, folder).results(store.current, patience=60)
    assert busy.is_set()
    assert known["answered"].state is State.ANSWERED


def test_each_version_is_examined_once(folder, readers, store):
    asking = examiner(Library(folder), readers, folder)
    first = asking.results(store.current, patience=60)
    assert asking.results(store.current)["answered"] is first["answered"]


def test_a_page_of_a_query_that_awaits_data_says_what_is_missing(asked):
    text = asked.get("/query/awaiting?objective=A4", headers=HTML).text
    assert "The graph has no data for this yet: the texts of the NDCs." in text
    assert "There is none." not in text
    assert '<span lang="fr">Fr awaiting</span>' in text


def test_programs_are_told_in_a_header_what_is_missing(asked):
    response = asked.get("/query/awaiting?objective=A4")
    assert response.get_json(force=True)["results"]["bindings"] == []
    assert response.headers["KG-Awaits"].endswith("no data for this yet: the texts of the NDCs.")
    assert '</questions#awaiting>; rel="help"' in response.headers["Link"]


@pytest.mark.parametrize("name", ["answered", "empty", "outdated"])
def test_the_header_is_there_only_when_data_are_missing(asked, name):
    assert "KG-Awaits" not in asked.get(f"/query/{name}?objective=A4").headers


def test_the_page_of_an_objective_links_its_questions(asked):
    text = asked.get("/page/objective/A4", headers=HTML).text
    assert '<a href="/query/answered?objective=A4">Is it answered?</a>' in text
    assert "Is it awaiting?" not in text
    assert 'id="questions"' not in asked.get("/page/activity/A4.2", headers=HTML).text
