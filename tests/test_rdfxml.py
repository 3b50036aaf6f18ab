"""RDF/XML that would unfold to very much more than it is is refused before it does."""

import base64
import io
import resource
import time

import pyoxigraph as ox
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg4p1000.curation.access import Role
from kg4p1000.curation.writer import perform
from kg4p1000.kernel.errors import TooLarge
from kg4p1000.store import parsing, statements

FORM = ox.RdfFormat.RDF_XML
DEEP = '<rdf:value rdf:parseType="Resource">'


def document(entities, text, opened=""):
    return (
        f'<?xml version="1.0"?>\n<!DOCTYPE rdf:RDF [{entities}]>\n'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="http://example.org/a">{opened}<rdf:value>{text}</rdf:value>'
    ).encode()


def whole(entities, text, depth=0):
    closed = b"</rdf:value>" * depth + b"</rdf:Description></rdf:RDF>"
    return document(entities, text, DEEP * depth) + closed


def entity(name, text):
    return f'<!ENTITY {name} "{text}">'


def values(data):
    return [
        q.object.value
        for q in statements(io.BytesIO(data), FORM, "http://x/")
        if isinstance(q.object, ox.Literal)
    ]


def test_entities_as_ontologies_have_them_are_read():
    names = entity("owl", "http://www.w3.org/2002/07/owl#") + entity("thing", "&owl;Thing")
    assert values(whole(names, "&thing; &amp; &#65;")) == [
        "http://www.w3.org/2002/07/owl#Thing & A"
    ]
    assert len(values(whole(names, "&owl;" * 100_000))[0]) == 3_000_000


laughs = entity("l0", "lol") + "".join(entity(f"l{n + 1}", f"&l{n};" * 10) for n in range(11))
REFUSED = {
    "entities in one another": (laughs, "&l11;"),
    "a long entity": (entity("a", "A" * 100_000), "&a;" * 500),
    "very many references": (entity("a", "A" * 9000), "&a;" * 5000),
    "an entity in a comment, which the engine reads": (f"<!-- {entity('a', 'A' * 9000)} -->", "&a;" * 5000),
    "an entity twice": (entity("a", "A") + entity("a", "B"), "&a;"),
    "references far behind": (entity("a", "A" * 9000), "B" * 3_000_000 + "&a;" * 5000),
    "a reference at every border": (entity("a", "A" * 9000), ("&a;" + "B" * 250) * 10_000),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_unfold_to_very_much_is_refused_before_it_does(name):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TooLarge, match=r"RDF/XML|entity"):
        values(whole(*REFUSED[name]))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


#: What takes the engine a minute and more, each behind something that looks like an end and is none.
SLOW = {
    "deep": "<rdf:Description><rdf:value>" * 100_000,
    "behind comments": "<rdf:Description><rdf:value><!-- </a></a> -->" * 100_000,
    "behind CDATA": "<rdf:Description><rdf:value><![CDATA[</a></a>]]>" * 80_000,
    "behind instructions": "<rdf:Description><rdf:value><?x </a></a> ?>" * 80_000,
    "behind attributes": "<rdf:Description rdf:label='/>/>/>'><rdf:value>" * 80_000,
    "attributes": f"<rdf:Description {' '.join(f'rdf:x{n}=' + chr(34) * 2 for n in range(60_000))}/>",
}


@pytest.mark.parametrize("name", SLOW)
def test_what_takes_more_than_linear_time_is_refused_at_once(name):
    began = time.process_time()
    with pytest.raises(TooLarge, match="deep in one another, or one with more than"):
        values(document("", "", SLOW[name]))
    assert time.process_time() - began < 20


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 100, 1 << 20])
def test_elements_that_end_are_counted_no_more(piece):
    parts = (
        "<rdf:value rdf:parseType='Literal'><b a='>'>x</b><br/><!-- <c> --><?y <d> ?></rdf:value>"
        '<rdf:li rdf:resource="http://x/&amp;/"/><rdf:value><![CDATA[<e><f>]]></rdf:value>\n'
    )
    data = document("", "", parts * 500) + b"</rdf:Description></rdf:RDF>"
    assert len(values(data)) == 1001
    screened = parsing.Screened(Pieces(data, piece))
    while screened.read(100):
        pass
    assert screened._depth == 0
    deep = whole("", "x", depth=parsing._DEEPEST - 10)
    assert len(values(deep)) == 1


@given(
    st.lists(st.tuples(st.integers(0, 5), st.text("ab", max_size=6)), max_size=6),
    st.lists(st.integers(0, 7), max_size=50),
    st.integers(1, 200),
)
def test_what_is_counted_is_what_the_engine_unfolds(inner, used, piece):
    """However the file comes in pieces, and never less than the engine makes of it."""
    declared = ""
    for n, (other, text) in enumerate(inner):
        refers = f"&e{other};" if other < n else ""
        declared += entity(f"e{n}", text + refers)
    used = [n for n in used if n < len(inner)]
    data = whole(declared, "".join(f"&e{n};" for n in used))
    unfolded = values(data)
    read = parsing.Screened(Pieces(data, piece))
    while read.read(100):
        pass
    assert read._unfolded >= len("".join(unfolded))


class Pieces(io.BytesIO):
    def __init__(self, data, piece):
        super().__init__(data)
        self.piece = piece

    def read(self, size=-1):
        return super().read(min(size, self.piece))


def test_a_body_of_the_graph_store_is_refused_likewise(own, settings):
    change = {
        "kind": "post", "graph": "https://w3id.org/kg4p1000/graph/notes", "author": "t",
        "media_type": "application/rdf+xml", "role": int(Role.STEWARD),
        "data": base64.b64encode(whole(*REFUSED["entities in one another"])).decode(),
    }  # fmt: skip
    store = own()
    with pytest.raises(TooLarge, match="unfolds to more than"):
        perform(store, settings.files, change)
    assert store.current == 1
