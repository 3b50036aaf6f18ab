import pytest
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from kg4p1000.kernel.errors import NotAcceptable
from kg4p1000.web.requests import RESULTS, TRIPLES, TRIPLES_ONLY, choose, prefers_page

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def accept(header):
    return parse_accept_header(header, MIMEAccept)


@pytest.mark.parametrize(
    ("header", "key", "media_type"),
    [
        ("", "json", "application/sparql-results+json"),
        ("*/*", "json", "application/sparql-results+json"),
        ("application/*", "json", "application/sparql-results+json"),
        ("text/*", "csv", "text/csv"),
        ("text/csv", "csv", "text/csv"),
        ("TEXT/CSV", "csv", "text/csv"),
        ("application/json", "json", "application/json"),
        ("application/xml", "xml", "application/xml"),
        ("application/sparql-results+xml;q=0.5, text/csv;q=0.9", "csv", "text/csv"),
        ("text/csv;q=0.1, */*;q=0.2", "json", "application/sparql-results+json"),
        ("application/sparql-results+json;q=0, */*", "xml", "application/sparql-results+xml"),
        ("text/csv, */*", "csv", "text/csv"),
        ("image/png, text/csv;q=0.1", "csv", "text/csv"),
        ("text/csv;charset=utf-8", "csv", "text/csv"),
        (FIREFOX, "html", "text/html"),
    ],
)
def test_results_are_negotiated_by_accept(header, key, media_type):
    assert choose(RESULTS, accept(header)) == (key, media_type)


@pytest.mark.parametrize(
    ("header", "key", "media_type"),
    [
        ("", "turtle", "text/turtle"),
        ("*/*", "turtle", "text/turtle"),
        ("text/*", "turtle", "text/turtle"),
        ("text/plain", "ntriples", "text/plain"),
        ("application/ld+json", "jsonld", "application/ld+json"),
        ('application/ld+json;profile="http://www.w3.org/ns/json-ld#compacted"', "jsonld",
         "application/ld+json"),
        ("application/rdf+xml, text/turtle;q=0.9", "rdfxml", "application/rdf+xml"),
        ("text/turtle;q=0, application/*;q=0.5", "ntriples", "application/n-triples"),
        (FIREFOX, "html", "text/html"),
    ],
)  # fmt: skip
def test_triples_are_negotiated_by_accept(header, key, media_type):
    assert choose(TRIPLES, accept(header)) == (key, media_type)


def test_a_browser_gets_no_html_where_none_is_offered():
    assert choose(TRIPLES_ONLY, accept(FIREFOX)).key == "rdfxml"


@pytest.mark.parametrize("header", ["image/png", "*/*;q=0", "text/turtle", "nonsense"])
def test_no_acceptable_format_is_refused_with_what_is_offered(header):
    with pytest.raises(NotAcceptable) as caught:
        choose(RESULTS, accept(header))
    assert "text/csv" in caught.value.detail
    assert "application/sparql-results+json" in caught.value.members["offered"]


@pytest.mark.parametrize(
    ("offers", "word", "key"),
    [
        (RESULTS, "csv", "csv"),
        (RESULTS, "JSON", "json"),
        (RESULTS, "html", "html"),
        (RESULTS, "text/tab-separated-values", "tsv"),
        (TRIPLES, "json", "jsonld"),
        (TRIPLES, "json-ld", "jsonld"),
        (TRIPLES, "xml", "rdfxml"),
        (TRIPLES, "rdf+xml", "rdfxml"),
        (TRIPLES, "rdf xml", "rdfxml"),
        (TRIPLES, "n3", "turtle"),
        (TRIPLES, "nt", "ntriples"),
    ],
)
def test_the_shortcut_beats_the_header(offers, word, key):
    assert choose(offers, accept("text/html"), word).key == key


@pytest.mark.parametrize("word", ["turtle", "pdf", "../x"])
def test_an_unknown_shortcut_is_refused(word):
    with pytest.raises(NotAcceptable):
        choose(RESULTS, accept("*/*"), word)


@pytest.mark.parametrize(
    ("header", "page"),
    [("", False), ("*/*", False), (FIREFOX, True), ("application/json", False),
     ("text/html;q=0.5, application/problem+json", False), ("text/html", True)],
)  # fmt: skip
def test_errors_are_pages_only_for_those_who_prefer_them(header, page):
    assert prefers_page(accept(header)) is page
