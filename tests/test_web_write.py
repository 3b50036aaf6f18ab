"""Changes over HTTP: updates, the Graph Store Protocol, undo, roles, dry runs."""

import gzip

import pyoxigraph as ox
import pytest

from kg4p1000.curation.access import Role, Tokens
from kg4p1000.curation.writer import LISTED, perform
from kg4p1000.kernel.errors import Forbidden
from kg4p1000.kernel.settings import Settings
from kg4p1000.store import Readers
from kg4p1000.web import create_app

UPDATE = {"Content-Type": "application/sparql-update"}
TURTLE = {"Content-Type": "text/turtle"}
ACTORS = "https://w3id.org/kg4p1000/graph/actors"
RENAME = """DELETE { GRAPH graph:actors { place:MLI skos:prefLabel ?old } }
INSERT { GRAPH graph:actors { place:MLI skos:prefLabel "Republic of Mali"@en } }
WHERE { GRAPH graph:actors { place:MLI skos:prefLabel ?old FILTER(LANG(?old) = "en") } }"""
BREAK = "DELETE WHERE { GRAPH graph:actors { place:MLI skos:prefLabel ?any } }"


@pytest.fixture(scope="module")
def built(toy_store):
    return toy_store()


@pytest.fixture(scope="module")
def app(built, toy_settings, toy_library):
    """One service with one writer process; tests undo what they change."""
    readers = Readers(built, size=2, timeout=600, memory=300)
    app = create_app(
        Settings(store=built.path, files=toy_settings.files, upload_size=200_000),
        built,
        readers,
        toy_library,
    )
    yield app
    app.extensions["kg4p1000"].writer.close()
    readers.close()


@pytest.fixture
def tokens(built):
    kept = Tokens(built.path / "tokens.json")
    return {
        role: {"Authorization": f"Bearer {kept.create(role.title(), role)}"}
        for role in ("contributor", "steward", "admin")
    }


@pytest.fixture
def client(app, built):
    before = built.current
    client = app.test_client()
    yield client
    store = app.extensions["kg4p1000"].store
    header = {
        "Authorization": "Bearer " + Tokens(built.path / "tokens.json").create("Undo", "admin")
    }
    for version in range(store.current, before, -1):
        client.post(f"/versions/{version}/undo", headers=header)


def ask(client, pattern):
    return client.get(
        "/sparql", query_string={"query": f"ASK {{ {pattern} }}", "format": "json"}
    ).json["boolean"]


NEW = 'place:MLI skos:prefLabel "Republic of Mali"@en'


def test_a_steward_updates_an_editable_graph_and_the_change_is_visible_at_once(
    client, tokens, built
):
    response = client.post("/update", data=RENAME, headers=UPDATE | tokens["steward"])
    assert response.status_code == 200, response.text
    assert response.json["version"] == built.current
    assert len(response.json["added"]) == len(response.json["removed"]) == 1
    assert response.json["counts"] == {"added": 1, "removed": 1}
    assert response.headers["Location"] == f"/versions/{built.current}"
    assert ask(client, NEW)
    assert built.entry().author == "Steward"


def test_of_a_large_change_the_answer_has_the_numbers_and_says_where_the_rest_is(client, tokens):
    notes = " ".join(f'place:MLI skos:altLabel "name {i}"@en .' for i in range(LISTED + 1))
    text = f"INSERT DATA {{ GRAPH graph:actors {{ {notes} }} }}"
    response = client.post("/update", data=text, headers=UPDATE | tokens["steward"])
    assert response.status_code == 200, response.text
    assert response.json["counts"] == {"added": LISTED + 1, "removed": 0}
    assert response.json["added"] is response.json["removed"] is None
    with client.get(response.json["changes"]) as log:
        assert log.text.count("/graph/actors> .\n") == LISTED + 1


def test_a_token_may_be_the_password_of_a_client_that_knows_no_other_way(client, tokens):
    token = tokens["steward"]["Authorization"].removeprefix("Bearer ")
    assert (
        client.post("/update", data=RENAME, headers=UPDATE, auth=("ada", token)).status_code == 200
    )
    assert ask(client, NEW)
    wrong = client.post("/update", data=RENAME, headers=UPDATE, auth=("ada", "nonsense"))
    assert (
        wrong.status_code == 401 and 'Basic realm="kg4p1000"' in wrong.headers["WWW-Authenticate"]
    )
    for said in ("Basic", "Basic %%%", "Basic bm9jb2xvbg==", "Basic //8="):
        assert (
            client.post(
                "/update", data=RENAME, headers={**UPDATE, "Authorization": said}
            ).status_code
            == 401
        )
        # A proxy in front may have asked for another password.
        assert (
            client.get("/sparql?query=ASK%7B%7D", headers={"Authorization": said}).status_code
            == 200
        )


def test_an_update_may_come_by_gzip(client, tokens):
    headers = {**UPDATE, **tokens["steward"], "Content-Encoding": "gzip"}
    assert (
        client.post("/update", data=gzip.compress(RENAME.encode()), headers=headers).status_code
        == 200
    )
    assert ask(client, NEW)
    huge = gzip.compress(RENAME.encode() + b" " * 200_000)
    assert client.post("/update", data=huge, headers=headers).status_code == 413


def test_a_byte_order_mark_before_an_update_or_a_graph_is_no_part_of_it(client, tokens):
    steward = tokens["steward"]
    for text, sent in ((RENAME, {"headers": {**UPDATE, **steward}}), (None, {"headers": steward})):
        data = (
            f"\ufeff{text}".encode() if text else {"update": "\ufeff" + RENAME, "dry-run": "true"}
        )
        assert client.post("/update", data=data, **sent).status_code == 200
    turtle = '\ufeff<http://example.org/s> <http://www.w3.org/2000/01/rdf-schema#comment> "x"@en .'.encode()
    answer = client.post(
        f"/graph-store?graph={ACTORS}&dry-run=true", data=turtle, headers={**TURTLE, **steward}
    )
    assert answer.status_code == 200, answer.text


def test_a_load_in_silence_changes_nothing(client, tokens, built):
    before = built.current
    answer = client.post(
        "/update",
        data="LOAD SILENT <http://127.0.0.1:9/x>",
        headers={**UPDATE, **tokens["steward"]},
    )
    assert answer.status_code == 200
    assert built.current == before


def test_an_update_may_come_as_a_form(client, tokens):
    response = client.post("/update", data={"update": RENAME}, headers=tokens["steward"])
    assert response.status_code == 200
    assert ask(client, NEW)


def test_a_message_stands_in_the_change_log(client, tokens, built):
    client.post("/update?message=official+name", data=RENAME, headers=UPDATE | tokens["steward"])
    assert built.entry().message == "official name"


def test_what_an_update_is_told_may_stand_in_the_form_too(client, tokens, built):
    before = built.current
    told = {"update": RENAME, "dry-run": "true"}
    tried = client.post("/update", data=told, headers=tokens["steward"])
    assert (tried.json["version"], len(tried.json["added"]), built.current) == (None, 1, before)
    client.post(
        "/update", data={"update": RENAME, "message": "in the body"}, headers=tokens["steward"]
    )
    assert built.entry().message == "in the body"
    undo = f"/versions/{built.current}/undo"
    tried = client.post(undo, data={"dry-run": "true"}, headers=tokens["steward"])
    assert (tried.json["version"], built.current) == (None, before + 1)
    both = client.post(f"{undo}?dry-run=false", data={"dry-run": "true"}, headers=tokens["steward"])
    assert (both.status_code, both.json["parameter"]) == (400, "dry-run")
    other = client.post(undo, json={"dry-run": True}, headers=tokens["steward"])
    assert (other.status_code, built.current) == (415, before + 1)


def test_nobody_writes_without_a_token_or_with_a_role_too_low(client, tokens, built):
    before = built.current
    assert client.post("/update", data=RENAME, headers=UPDATE).status_code == 401
    wrong = {"Authorization": "Bearer wrong"}
    assert client.post("/update", data=RENAME, headers=UPDATE | wrong).status_code == 401
    low = client.post("/update", data=RENAME, headers=UPDATE | tokens["contributor"])
    assert low.status_code == 403
    assert built.current == before


@pytest.mark.parametrize("graph", ["graph:plan-2020", "graph:ontology", "<http://example.org/new>"])
def test_a_steward_may_not_write_to_a_graph_that_is_not_editable(client, tokens, built, graph):
    before = built.current
    text = f'INSERT DATA {{ GRAPH {graph} {{ <http://example.org/s> skos:note "x" }} }}'
    response = client.post("/update", data=text, headers=UPDATE | tokens["steward"])
    assert response.status_code == 403
    assert response.json["type"].endswith("/problem/forbidden")
    assert built.current == before


def test_an_admin_may_write_to_any_graph_but_that_of_the_inferences(client, tokens):
    text = "INSERT DATA { GRAPH <http://example.org/new> { <http://example.org/s> skos:note 'x' } }"
    response = client.post("/update", data=text, headers=UPDATE | tokens["admin"])
    assert response.status_code == 200, response.text
    assert ask(client, "GRAPH <http://example.org/new> { ?s skos:note 'x' }")
    inferred = text.replace("<http://example.org/new>", "graph:inferred")
    assert (
        client.post("/update", data=inferred, headers=UPDATE | tokens["admin"]).status_code == 403
    )


@pytest.mark.parametrize("graph", ["urn:x:y", "file:///etc/passwd", "ftp://example.org/g"])
def test_no_graph_is_made_that_could_not_be_read(client, tokens, graph):
    text = f"INSERT DATA {{ GRAPH <{graph}> {{ <http://example.org/s> skos:note 'x' }} }}"
    sent = client.post("/update", data=text, headers=UPDATE | tokens["admin"])
    put, read = (
        call("/graph-store", query_string={"graph": graph}, headers=headers, data=body)
        for call, headers, body in (
            (client.put, TURTLE | tokens["admin"], TRIPLE),
            (client.get, {}, None),
        )
    )
    asked = client.get("/sparql", query_string={"query": "ASK {}", "default-graph-uri": graph})
    assert [r.status_code for r in (sent, put, read, asked)] == [403] * 4
    assert all(graph in r.json["detail"] for r in (sent, put, read, asked))


@pytest.mark.parametrize("text", ["DROP ALL", "CLEAR NAMED", "CLEAR SILENT ALL"])
def test_an_admin_may_clear_all_and_the_rules_clear_what_followed(
    toy_store, tmp_path, toy_settings, text
):
    store = toy_store(tmp_path / "store")
    change = {"kind": "update", "text": text, "author": "t"}
    with pytest.raises(Forbidden):
        perform(store, toy_settings.files, {**change, "role": int(Role.STEWARD)})
    done = perform(store, toy_settings.files, {**change, "role": int(Role.ADMIN)})
    assert done["inferred"] > 500
    assert list(store.quads()) == []


def literal(size):
    return f'place:MLI skos:altLabel "{"x" * size}"@en'


NESTED = b"""<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "%b">%b]>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://example.org/">
<rdf:Description rdf:about="http://example.org/s"><e:p>%b</e:p></rdf:Description></rdf:RDF>""" % (
    b"x" * 1000,
    b"".join(b'<!ENTITY %c "%b">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(4)),
    b"&e;",
)


@pytest.mark.parametrize(
    ("address", "kind", "body"),
    [
        ("/update", UPDATE, f"INSERT DATA {{ GRAPH graph:actors {{ {literal(5_000_000)} }} }}"),
        (f"/graph-store?graph={ACTORS}", TURTLE, f"<x:s> <x:p> '{'x' * 5_000_000}' ."),
        (f"/graph-store?graph={ACTORS}", TURTLE, f"<x:s> <x:p> '{'x' * 17_000_000}' ."),
        (f"/graph-store?graph={ACTORS}", {"Content-Type": "application/rdf+xml"}, NESTED),
    ],
    ids=["update", "turtle", "more than the parser takes", "nested entities"],
)
def test_a_statement_that_the_log_could_not_give_back_is_refused(
    built, toy_settings, toy_library, tokens, address, kind, body
):
    readers = Readers(built, size=1, timeout=600, memory=300)
    roomy = Settings(store=built.path, files=toy_settings.files, upload_size=20_000_000)
    app = create_app(roomy, built, readers, toy_library)
    before = built.current
    refused = app.test_client().post(address, data=body, headers=kind | tokens["steward"])
    assert (refused.status_code, built.current) == (413, before), refused.text
    assert refused.json["type"].endswith("/too-large")
    app.extensions["kg4p1000"].writer.close()
    readers.close()


def test_changes_that_find_too_many_waiting_are_told_to_come_again(app, client, tokens):
    writer = app.extensions["kg4p1000"].writer
    taken = 0
    while writer._places.acquire(blocking=False):
        taken += 1
    refused = client.post("/update", data=RENAME, headers=UPDATE | tokens["steward"])
    for _ in range(taken):
        writer._places.release()
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert (
        client.post("/update", data=RENAME, headers=UPDATE | tokens["steward"]).status_code == 200
    )


def test_an_update_that_is_nested_too_deeply_is_told_so(client, tokens, built):
    deep = (
        "INSERT { GRAPH graph:actors { ?s ?p ?o } } WHERE " + "{" * 5000 + "?s ?p ?o" + "}" * 5000
    )
    refused = client.post("/update", data=deep, headers=UPDATE | tokens["steward"])
    assert (refused.status_code, refused.json["type"][-9:]) == (400, "/too-deep")
    assert (
        client.post("/update", data=RENAME, headers=UPDATE | tokens["steward"]).status_code == 200
    )


def test_a_change_that_breaks_a_shape_is_refused_with_the_report_and_changes_nothing(
    client, tokens, built
):
    before = built.current
    response = client.post("/update", data=BREAK, headers=UPDATE | tokens["steward"])
    assert response.status_code == 422
    assert response.json["type"].endswith("/problem/shapes-violated")
    (finding, *_) = response.json["report"]["findings"]
    assert finding["focus"]["value"].endswith("/place/MLI")
    assert built.current == before


def test_a_name_that_is_nowhere_is_told_with_the_one_that_may_have_been_meant(client, tokens):
    slip = "INSERT DATA { GRAPH graph:mrv { tool:comet-farm k4p:maintainedBy organisation:ffao } }"
    for address in ("/update", "/update?dry-run=true"):
        told = client.post(address, data=slip, headers=UPDATE | tokens["steward"]).json["report"]
        meant = {f["meant"] for f in told["findings"] if f.get("meant")}
        assert meant == {"https://w3id.org/kg4p1000/id/organisation/fao"}


def test_a_dry_run_ends_as_the_change_would_and_changes_nothing(client, tokens, built):
    before = built.current
    for text, status in ((RENAME, 200), (BREAK, 422)):
        response = client.post(
            "/update?dry-run=true", data=text, headers=UPDATE | tokens["steward"]
        )
        assert response.status_code == status
        assert response.json["report"]["conforms"] is (status == 200)
        if status == 200:
            assert response.json["version"] is None
            assert response.json["removed"]
    assert built.current == before


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("INSERT DATA { GRAPH graph:actors { <http://example.org/s> ", 400),
        ("LOAD <http://127.0.0.1:9/x>", 403),
        (
            "INSERT { GRAPH graph:actors { ?s ?p ?o } } WHERE { SERVICE <http://127.0.0.1:9/> { ?s ?p ?o } }",
            403,
        ),
        ("INSERT DATA { <http://example.org/s> skos:note 'x' }", 403),
        ("SELECT * WHERE { ?s ?p ?o }", 400),
    ],
)
def test_a_bad_update_is_refused_and_changes_nothing(client, tokens, built, text, status):
    before = built.current
    response = client.post("/update", data=text, headers=UPDATE | tokens["admin"])
    assert response.status_code == status, response.text
    assert built.current == before


def test_an_update_is_not_taken_by_get_nor_in_another_type(client, tokens):
    assert client.get("/update", headers=tokens["admin"]).status_code == 405
    wrong = client.post(
        "/update", data=RENAME, headers={"Content-Type": "text/plain"} | tokens["admin"]
    )
    assert wrong.status_code == 415
    huge = client.post("/update", data="#" * 300_000, headers=UPDATE | tokens["admin"])
    assert huge.status_code == 413


def test_undo_takes_a_change_back_and_undo_of_undo_makes_it_again(client, tokens, built):
    done = client.post("/update", data=RENAME, headers=UPDATE | tokens["steward"]).json["version"]
    undone = client.post(f"/versions/{done}/undo", headers=tokens["steward"])
    assert undone.status_code == 200, undone.text
    assert not ask(client, NEW)
    again = client.post(f"/versions/{undone.json['version']}/undo", headers=tokens["steward"])
    assert again.status_code == 200
    assert ask(client, NEW)


def test_undo_of_what_was_changed_again_is_a_conflict(client, tokens, built):
    first = client.post("/update", data=RENAME, headers=UPDATE | tokens["steward"]).json["version"]
    second = RENAME.replace('"Republic of Mali"', '"Mali, again"')
    client.post("/update", data=second, headers=UPDATE | tokens["steward"])
    before = built.current
    response = client.post(f"/versions/{first}/undo", headers=tokens["steward"])
    assert response.status_code == 409
    assert response.json["conflicts"]
    assert built.current == before


def test_a_graph_is_read_by_everybody(client):
    response = client.get(
        "/graph-store", query_string={"graph": ACTORS}, headers={"Accept": "text/turtle"}
    )
    assert response.status_code == 200
    assert len(list(ox.parse(response.data, format=ox.RdfFormat.TURTLE))) > 40
    whole = client.get("/graph-store?default", headers={"Accept": "application/n-triples"})
    assert whole.status_code == 200
    assert client.get("/graph-store?graph=http://example.org/none").status_code == 404
    assert client.get("/graph-store").status_code == 400
    assert client.get("/graph-store?graph=file:///etc/passwd").status_code == 403


TRIPLE = b"<http://example.org/s> <http://example.org/p> <http://example.org/o> ."
NOTE = "http://example.org/graph"


def size(client, graph):
    response = client.get(
        "/graph-store", query_string={"graph": graph}, headers={"Accept": "application/n-triples"}
    )
    return response.data.count(b"\n") if response.status_code == 200 else 0


def test_put_replaces_post_adds_and_delete_removes_a_graph(client, tokens):
    send = {"query_string": {"graph": NOTE}, "headers": TURTLE | tokens["admin"]}
    other = TRIPLE.replace(b"/o>", b"/o2>")
    made = client.put("/graph-store", data=TRIPLE, **send)
    assert (made.status_code, made.json["made_graph"]) == (201, True)
    assert (
        client.get(made.headers["Location"], headers={"Accept": "text/turtle"}).status_code == 200
    )
    assert client.post("/graph-store", data=other, **send).status_code == 200
    assert size(client, NOTE) == 2
    assert client.put("/graph-store", data=other, **send).status_code == 200
    assert size(client, NOTE) == 1
    assert (
        client.delete(
            "/graph-store", query_string={"graph": NOTE}, headers=tokens["admin"]
        ).status_code
        == 200
    )
    assert size(client, NOTE) == 0
    assert (
        client.delete(
            "/graph-store", query_string={"graph": NOTE}, headers=tokens["admin"]
        ).status_code
        == 404
    )


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"<http://example.org/s> ", "text/turtle", 400),
        (b"{", "application/ld+json", 400),
        (b'{"@context": "http://127.0.0.1:9/c"}', "application/ld+json", 400),
        (b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x/>', "application/rdf+xml", 400),
        (b"a,b", "text/csv", 415),
        (b"#" * 300_000, "text/turtle", 413),
    ],
)
def test_a_bad_body_is_refused_and_changes_nothing(client, tokens, built, body, kind, status):
    before = built.current
    response = client.put(
        "/graph-store",
        query_string={"graph": NOTE},
        data=body,
        headers={"Content-Type": kind} | tokens["admin"],
    )
    assert response.status_code == status, response.text
    assert built.current == before


def test_the_default_graph_is_not_written_to(client, tokens):
    response = client.put("/graph-store?default", data=TRIPLE, headers=TURTLE | tokens["admin"])
    assert response.status_code == 403


def test_a_runaway_update_is_stopped_and_the_next_one_made(client, tokens, app, built):
    writer = app.extensions["kg4p1000"].writer
    writer.timeout, kept = 1.5, writer.timeout
    before = built.current
    text = "INSERT { GRAPH graph:actors { ?a ?b ?c } } WHERE { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i . ?j ?k ?l }"
    try:
        response = client.post("/update", data=text, headers=UPDATE | tokens["steward"])
    finally:
        writer.timeout = kept
    assert response.status_code == 503
    assert response.json["limit_seconds"] == 1.5
    assert built.current == before
    assert (
        client.post("/update", data=RENAME, headers=UPDATE | tokens["steward"]).status_code == 200
    )


def test_a_killed_writer_is_told_of_and_replaced(client, tokens, app, built):
    client.post("/update?dry-run=true", data=RENAME, headers=UPDATE | tokens["steward"])
    process = app.extensions["kg4p1000"].writer._worker.process
    process.kill()
    process.wait()
    assert (
        client.post("/update", data=RENAME, headers=UPDATE | tokens["steward"]).status_code == 200
    )
    assert ask(client, NEW)
