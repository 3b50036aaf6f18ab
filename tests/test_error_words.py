"""What is wrong with an update, a body or a file is told in our words, with its place or with what is missing."""

import base64
import re

import pytest
from pyoxigraph import NamedNode

from kg4p1000.curation.build import parse_file
from kg4p1000.curation.writer import _sent
from kg4p1000.kernel.errors import BrokenFile, KgError, MalformedQuery, MalformedRequest
from kg4p1000.reasoning import Shapes
from kg4p1000.sparql import apply_update, columns_of
from kg4p1000.store import Draft

#: Words of the parsers that help nobody.
THEIRS = re.compile(
    r"expected one of|LoadDocumentCallback|\['A' \.\.=|LANGDIR|expected ENCODE_FOR_URI|called `|Some\(|<unreported>|Parser error|"
    r"code point|has not been|LATERAL|expected (?:OPTIONAL|DISTINCT|UNDEF|IRI parsing)"
)
SELF = "<http://e.x/s> <http://e.x/p>"
WHERE = "INSERT { GRAPH graph:notes { ?s ?p ?o } } WHERE { %s }"
DATA = "INSERT DATA { GRAPH graph:notes { %s } }"

UPDATES = {
    DATA % ":x :p 1": "prefix :",
    DATA % "foo:x k4p:p 1": "prefix foo:",
    DATA % "<a b> <http://e.x/p> 1": "",
    DATA % SELF: "literal",
    DATA % f'{SELF} "x': "never closed",
    DATA % f'{SELF} "x"@en_GB': "",
    DATA % rf'{SELF} "x\q"': "escape",
    DATA % f'{SELF} "1"^^integer': "datatype",
    DATA % f"{SELF} 'x'@en--zzz": "--ltr",
    DATA % "<http://e.x/s> <http://[bad> 1": "sign '['",
    DATA.removesuffix("}") % f"{SELF} 1": "found the end",
    WHERE % "?s ?p": "found '}'",
    WHERE % "?s ?p ?o FILTER(?x = )": "cannot go on",
    WHERE % "?s foo:bar ?o": "prefix 'foo:'",
    WHERE % "?s ?p ?o FILTER(LANGUAGE(?o) = 'en')": "no function 'LANGUAGE'",
    WHERE % "?s ?p ?o FILTER(FLOR(?o) = 1)": "did you mean FLOOR",
    WHERE % "?s ?p ?o FILTR(?o = 1)": "no word 'FILTR'; did you mean FILTER?",
    WHERE % "?s ?p ?o BNID(1 AS ?x)": "did you mean BIND?",
    WHERE % "?s ?p ?o VALUE (?o) { (1) }": "did you mean VALUES?",
    WHERE % "SELECT ?s ?x { ?s ?p ?o } GROUP BY ?s": "GROUP BY",
    WHERE % "SELECT ?s (COUNT(*)) { ?s ?p ?o } GROUP BY ?s": "needs a name",
    WHERE % "?s ?p ?o BIND(1 AS ?o)": "has one already",
    WHERE % "{ SELECT * { ?s ?p ?o } LIMIT 5 ORDER BY ?s }": "ORDER is out of place",
    WHERE % "{ SELECT ?s { ?s ?p ?o } HAVING (COUNT(*) > 1) GROUP BY ?s }": "GROUP is out of place",
    WHERE % "{ SELECT ?s { ?s ?p ?o } LIMIT 1 LIMIT 2 }": "LIMIT is out of place",
    WHERE % "VALUES (?s ?p) { (1) }": "cannot go on",
    WHERE % "?s ?p ?o FILTER(<http://e.x/f>(?o))": "There is no function",
    WHERE % "?s ?p ?o OPTIONAL ?s ?q ?r": "expected '{'",
    WHERE % "?s ?p ?o AND ?s ?q ?r": "write &&",
    WHERE % "?s ?p ?o FILTER(?o == 1)": "not '=='",
    WHERE % "?s ?p “x”": "straight quotes",
    WHERE % "_:a ?p ?o . { _:a ?q ?s }": "another group",
    WHERE % "?s <http://e.x/{x}> ?p": "not closed",
    WHERE % "?s <http://e.x:port/> ?o": "no valid IRI",
    WHERE % "?s ?p ?o FILTER(REGEX(?o))": "cannot go on",
    WHERE % "?s ?p 'x'@en--zzz": "cannot go on",
    "PREFIX x: <http://e.x/>\n" + WHERE % "?s x:p ?o ; y:q 1": "prefix 'y:'",
    "UPDATE graph:notes": "INSERT",
    "COPY graph:notes": "expected TO",
    "PREFIX x <http://e.x/> CLEAR ALL": "ends with ':'",
    "LOAD <http://e.x/f.ttl>": "fetches nothing",
}
BODIES = {
    "text/turtle": {
        f"{SELF} .": "object is missing", f"{SELF} foo:q .": "prefix foo:", f'{SELF} "x .': "too early",
        f"{SELF} 1": "too early", "@prefix x <http://e.x/> .": "ends with ':'", "<a b> <http://e.x/p> 1 .": "sign ' '",
        f'{SELF} "x"@en_GB .': "@en-GB", f"{SELF} (1 2 .": "object", "<http://e.x/s> 'x' 1 .": "predicate",
        rf"{SELF} 'x\q' .": "escape", "@prefix : <http://e.x/>\n:a :p 1 .": "full stop", ":a :p 1 .": "prefix :",
        f"{{ {SELF} 1 }}": "TriG", f"{SELF} 'x'@en--foo .": "--ltr",
    },
    "application/n-triples": {
        f"{SELF} .": "object", "<s> <http://e.x/p> 1 .": "http://", f'{SELF} "x"': "full stop", f"{SELF} 'x' .": "double quotes",
        "x": "subject", f'{SELF} "x"^^xsd:int .': "datatype",
    },
    "application/rdf+xml": {
        "<a/>": "namespace", "<rdf:RDF/>": "prefix rdf:", "not xml": "not well-formed",
        "<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><r:Description r:about='http://e.x/s'>": "not closed",
        "<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><r:Description r:about='a b'/></r:RDF>": "sign ' '",
        "<r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'><r:Description r:ID='1x'/></r:RDF>": "begins with a letter",
    },
    "application/ld+json": {
        '{"@context": "http://schema.org/", "@id": "http://e.x/s", "name": "x"}': "Put the context itself into",
        '{"@context": [{"@import": "http://e.x/c"}]}': "Put the context itself into", "{": "no JSON", "not json": "no JSON",
        '{"@context": {"p": 5}, "@id": "http://e.x/s"}': "@context", '{"@id": 5}': "@id", "[]": "0 statements",
        '{"@context": {"@version": 2.0}}': "1.1", '{"@id":"http://e.x/s","http://e.x/p":{"@value":{"a":1}}}': "@value",
    },
}  # fmt: skip


@pytest.mark.parametrize("text", UPDATES)
def test_what_is_wrong_with_an_update_is_told_in_our_words(text):
    with pytest.raises(KgError) as error:
        apply_update(text, Draft())
    told = error.value.detail
    assert UPDATES[text] in told
    assert not THEIRS.search(told)
    assert re.match(r"Line \d+, column \d+: ", told)


@pytest.mark.parametrize(
    ("media_type", "body"), [(kind, body) for kind, bodies in BODIES.items() for body in bodies]
)
def test_what_is_wrong_with_a_body_is_told_in_our_words(media_type, body):
    request = {
        "data": base64.b64encode(body.encode()).decode(),
        "media_type": media_type,
        "graph": "http://e.x/g",
    }
    with pytest.raises(MalformedRequest) as error:
        _sent(request, NamedNode("http://e.x/g"))
    told = error.value.detail
    assert BODIES[media_type][body] in told
    assert not THEIRS.search(told)


@pytest.mark.parametrize("read", [parse_file, lambda path: Shapes.from_files([path])])
@pytest.mark.parametrize("text", BODIES["text/turtle"])
def test_what_is_wrong_with_a_file_is_told_in_our_words(tmp_path, text, read):
    path = tmp_path / "some.ttl"
    path.write_text(text)
    with pytest.raises(BrokenFile) as error:
        read(path)
    told = error.value.detail
    assert BODIES["text/turtle"][text] in told
    assert not THEIRS.search(told)
    assert re.search(r"some\.ttl, line \d+, column \d+", told)


CONSTRAINT = """
@prefix sh: <http://www.w3.org/ns/shacl#> . @prefix e: <http://e.x/> .
e:Shape a sh:NodeShape ; sh:targetClass e:C ; sh:sparql e:Rule .
e:Rule sh:message "wrong" ; sh:select "%s" .
"""


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT $this { $this a }", "expected"),
        ("SELECT $this { $this foo:bar ?x }", "prefix 'foo:'"),
        ("SELECT $this { $this ?p ?x FILTER(FLOR(?x) = 1) }", "FLOOR"),
        ("SELECT $this { $this ?p ?x BIND(BNODE(STR(?x)) AS ?b) }", "BNODE()"),
        ("SELECT $this { $this ?p ?x FILTER(?x > 9223372036854775808) }", "64 bits"),
    ],
)
def test_a_query_in_a_shape_is_read_as_any_other(tmp_path, query, told):
    path = tmp_path / "shapes.ttl"
    path.write_text(CONSTRAINT % query)
    with pytest.raises(BrokenFile) as error:
        list(Shapes.from_files([path]).queries)
    assert told in error.value.detail
    assert not THEIRS.search(error.value.detail)


def test_a_query_in_a_shape_is_written_so_that_it_is_answered_rightly(tmp_path):
    path = tmp_path / "shapes.ttl"
    path.write_text(CONSTRAINT % "SELECT $this { $this (<http://e.x/p>|<http://e.x/p>) ?x }")
    (query,) = Shapes.from_files([path]).queries
    assert "UNION" in query.text


def test_names_with_dots_are_names_in_all_parts_of_updates():
    draft, prefix = Draft(), "PREFIX ec: <http://e.x/> "
    for text in (
        "INSERT DATA { GRAPH ec:g.1.2 { ec:1.1.1.353 ec:p.1.2 ec:a.b.c.d } }",
        "WITH ec:g.1.2 DELETE { ?x ec:p.1.2 ?y } INSERT { ?x ec:t.u.v ?y }"
        " WHERE { VALUES ?x { ec:1.1.1.353 } ?x ec:p.1.2|ec:z.1.2 ?y }",
        "INSERT { GRAPH ec:h.1.2 { ?x ec:t.u.v ?y } } USING ec:g.1.2"
        " WHERE { ?x ec:t.u.v/ec:none.1.2* ?y FILTER(?x IN (ec:1.1.1.353, ec:2.2.2)) }",
    ):
        apply_update(prefix + text, draft)
    statement = "<http://e.x/1.1.1.353> <http://e.x/t.u.v> <http://e.x/a.b.c.d>"
    assert sorted(map(str, draft.quads())) == [
        f"{statement} <http://e.x/{graph}.1.2>" for graph in "gh"
    ]


@pytest.mark.parametrize(
    ("prefix", "hint"),
    [("schema", ""), ("dbo", ""), ("activty", "did you mean activity:"), ("sksos", "did you mean skos:")],
)  # fmt: skip
def test_a_prefix_that_is_not_declared_leads_to_one_that_is_near_or_to_none(prefix, hint):
    with pytest.raises(MalformedQuery) as raised:
        columns_of(f"SELECT * {{ ?s {prefix}:name ?o }}")
    assert f"the prefix '{prefix}:' is not declared" in raised.value.detail
    assert hint in raised.value.detail
    assert hint or "did you mean" not in raised.value.detail
