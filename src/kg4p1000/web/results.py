"""What is shown and said of results: a page of a table or of Turtle, deprecated terms, and hints where nothing was found.

The whole result passes through, so that the count is exact, but only what is shown is kept.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import pyoxigraph as ox

from .. import release, sparql
from ..kernel.errors import BadParameter, KgError
from ..kernel.terms import BASE, ID, PREFIXES, TERMS, short, turtle_prefixes
from ..kernel.texts import counted, meant
from ..store import Result
from .background import once_per_version
from .rendering import LANGUAGES, Cell, Sheet, cell
from .services import services

#: Rows of a page, and bytes of Turtle.
SHOWN_ROWS = 50
SHOWN_BYTES = 20_000

HEADER = "KG-Hint"
#: Terms and texts of a query that are looked at, and seconds for each of our queries.
_LOOKED_AT, _SECONDS = 20, 2.0
#: Bytes of the longest result that may say nothing: prefixes take some.
_SMALL = 10_000
_SPACE = re.compile(r".*[/#]")
_THERE = """SELECT DISTINCT ?term WHERE {{ VALUES ?term {{ {values} }} FILTER(
  EXISTS {{ ?term ?p ?o }} || EXISTS {{ ?s ?term ?o }} || EXISTS {{ ?s ?p ?term }} || EXISTS {{ GRAPH ?term {{ ?s ?p ?o }} }}
  || EXISTS {{ GRAPH ?g {{ ?term ?p ?o }} }} || EXISTS {{ GRAPH ?g {{ ?s ?p ?term }} }}) }}"""
_NAMED = """SELECT DISTINCT ?term WHERE {{
  VALUES ?space {{ {values} }} ?term a ?class FILTER(STRSTARTS(STR(?term), ?space)) }} LIMIT 20000"""
_TEXTS = "SELECT DISTINCT ?text WHERE {{ VALUES ?text {{ {values} }} ?s ?p ?text }}"
_CODES = """SELECT DISTINCT ?code WHERE {{
  VALUES ?text {{ {values} }} ?s skos:notation ?code
  FILTER(LCASE(STR(?code)) = LCASE(?text)) FILTER NOT EXISTS {{ ?o ?p ?text }} }}"""


@dataclass(frozen=True)
class Table(Sheet):
    """Some rows of a result, the items of a page."""

    items: Sequence[list[Cell | None]]
    variables: list[str]

    @property
    def says_nothing(self) -> bool:
        """Return whether it has no row, or a single one in which all that was counted is 0."""
        cells = [c.text for c in self.items[0] if c] if self.total == 1 else []
        return not self.total or (bool(cells) and all(text == "0" for text in cells))

    def without(self, hidden: Container[str]) -> Table:
        """Return the table without some columns."""
        kept = [i for i, name in enumerate(self.variables) if name not in hidden]
        rows = [[row[i] for i in kept] for row in self.items]
        return replace(self, items=rows, variables=[self.variables[i] for i in kept])


def page_number(args: Mapping[str, str]) -> int:
    """Return the page of a result that a request asks for.

    Raises:
        BadParameter: it is no number from 1 on.
    """
    asked = args.get("page", "").strip() or "1"
    if not (asked.isascii() and asked.isdecimal() and len(asked) < 10 and int(asked)):
        raise BadParameter(
            f"page is {asked[:100]!r} and must be a number from 1 on.", parameter="page"
        )
    return int(asked)


def table(result: Result, number: int = 1) -> Table:
    """Read a page of a result that was asked for as TSV, where each line is a row.

    Raises:
        BadParameter: there is no such page.
    """
    first, lines, waiting = (number - 1) * SHOWN_ROWS + 1, 0, b""  # the head is line 0
    kept: list[bytes] = []
    for chunk in result.chunks():
        *whole, waiting = (waiting + chunk).split(b"\n")
        kept += whole[max(0, first - lines) : max(0, first + SHOWN_ROWS - lines)]
        lines += len(whole)
    rows = [row.decode().split("\t")[: len(result.variables)] for row in kept]
    cells = [[_parse(c) for c in row] for row in rows]
    found = Table(cells, lines - 1, number, SHOWN_ROWS, result.variables)
    if number > found.last:
        raise BadParameter(
            f"page is {number} and must be a number from 1 to {found.last}: the result has"
            f" {counted(found.total, 'row')}, {SHOWN_ROWS} a page.",
            parameter="page",
        )
    return found


def _parse(text: str) -> Cell | None:
    """Return a term in the Turtle form that TSV results have (SPARQL 1.1 CSV and TSV, section 4.1)."""
    if not text:
        return None
    try:
        quads = ox.parse(f"<x:s> <x:p> {text} .", format=ox.RdfFormat.TURTLE)
        return cell(next(iter(quads)).object)
    except (SyntaxError, StopIteration):
        return Cell(text)


def turtle(result: Result) -> dict[str, Any]:
    """Read a result that was asked for as Turtle.

    Returns:
        ``text``: its first lines without unused prefixes, and how many bytes are ``shown`` and in ``total``.
    """
    kept, total = bytearray(), 0
    for chunk in result.chunks():
        if total < SHOWN_BYTES:
            kept += chunk
        total += len(chunk)
    whole = total <= SHOWN_BYTES
    data = kept if whole else kept[: kept.rfind(b"\n", 0, SHOWN_BYTES) + 1]
    body = re.sub(r"^@prefix .*\n", "", data.decode(), flags=re.M)
    text = f"{turtle_prefixes(body)}\n{body}".strip()
    return {"text": text, "shown": len(data), "total": total}


def shown(result: Result, hidden: Container[str] = (), number: int = 1) -> dict[str, Any]:
    """Return a result for a page, asked for as TSV, JSON (booleans) or Turtle (triples).

    Args:
        hidden: columns that the page need not show, such as parameters that stand in its form.
        number: of the page, where it is a table.

    Returns:
        One of ``table``, ``boolean`` and ``turtle``, ``is_empty``: whether that says nothing, and ``version``.
    """
    content: dict[str, Any]
    match result.kind:
        case "boolean":
            answer = result.json()["boolean"]
            content = {"boolean": answer, "is_empty": not answer}
        case "triples":
            text = turtle(result)
            content = {"turtle": text, "is_empty": not text["text"]}
        case _:
            whole = table(result, number)
            content = {"table": whole.without(hidden), "is_empty": whole.says_nothing}
    return {"version": result.version, **content}


# deprecated terms; see `kg4p1000.release`


def advice(query: sparql.Query, version: int) -> list[str]:
    """Return a sentence for each deprecated term that a query uses; none when the service is too busy."""
    try:
        return release.advice(query.terms, _deprecated(version))
    except KgError:
        return []


@once_per_version
def _deprecated(version: int) -> dict[str, str]:
    return release.deprecated_in(services().readers, version)


# what a query that found nothing may have meant


def rowless(body: bytes, form: str) -> bool:
    """Return whether a whole result of SELECT has no row.

    Args:
        form: ``csv``, ``tsv``, ``json`` or ``xml``.
    """
    if form in ("csv", "tsv"):
        return body.count(b"\n") == 1
    return next(iter(_parsed(body, form)), None) is None


def _parsed(body: bytes, form: str) -> ox.QuerySolutions | ox.QueryBoolean:
    known = ox.QueryResultsFormat.from_media_type(sparql.RESULT_FORMATS[form][0])
    assert known
    return ox.parse_query_results(body, format=known)


def found_nothing(body: bytes, asked: str, form: str) -> bool:
    """Return whether a whole result has no row, only counts of 0, no triple, or is a plain no.

    Args:
        asked: SELECT, ASK, CONSTRUCT or DESCRIBE.
        form: ``csv``, ``tsv``, ``json`` or ``xml``, or of triples.
    """
    if len(body) > _SMALL:
        return False
    if asked in ("CONSTRUCT", "DESCRIBE"):
        known = ox.RdfFormat.from_media_type(sparql.RDF_FORMATS[form][0])
        return next(ox.parse(body, format=known), None) is None
    if form == "csv":
        _, *rows = body.decode().replace("\r\n", "\n").rstrip("\n").split("\n")
        return not rows or (len(rows) == 1 and not rows[0].strip("0,") and "0" in rows[0])
    found = _parsed(body, form)
    if isinstance(found, ox.QueryBoolean):
        return not found
    rows = [*islice(found, 2)]
    counts = [str(term.value) for term in rows[0] if isinstance(term, ox.Literal)] if rows else []
    return not rows or (
        len(rows) == 1 and bool(counts) and len(counts) == len(rows[0]) and {*counts} == {"0"}
    )


def hints(text: str, version: int) -> list[str]:
    """Sentences about what a query without rows may have meant; none where there is nothing to say, or no time.

    Args:
        text: of a query that is valid.
    """
    names, texts = _named_in(text)
    known: dict[str, set[str]] = {}
    try:
        there = _select(_THERE, version, (f"<{name}>" for name in names))
        found = [_missing(name, version, known) for name in names if name not in there]
        tagged = (f"{text}@{language}" for text in texts for language in LANGUAGES)
        labels, codes = _select(_TEXTS, version, tagged), _select(_CODES, version, texts)
    except KgError:
        return []
    found += (f"Labels have a language: the graph has {label}." for label in sorted(labels))
    return found + [
        f"No text of the graph is that code in these capitals; did you mean {code}?"
        for code in sorted(codes)
    ]


def header(sentences: Iterable[str]) -> str:
    """Sentences for a header, which takes no other letters than ASCII's."""
    return " ".join(sentences).encode("ascii", "backslashreplace").decode()[:2000]


def _named_in(text: str) -> tuple[list[str], list[str]]:
    """Return the IRIs that a query names, and its strings without language and data type."""
    spaces, names, texts = dict(PREFIXES), dict[str, None](), dict[str, None]()
    tokens = [*sparql.tokens(text)]
    for i, token in enumerate(tokens):
        before, after = tokens[i - 1] if i else None, tokens[i + 1 : i + 2]
        if token.kind == "name":
            prefix, _, local = token.text.partition(":")
            if before and before.word == "PREFIX":
                spaces[prefix] = after[0].text[1:-1]
            elif prefix in spaces and local and "\\" not in local:
                names[spaces[prefix] + local] = None
        elif token.kind == "iri" and "\\" not in token.text and ":" in token.text:
            declares = before and (
                before.word == "BASE" or (i > 1 and tokens[i - 2].word == "PREFIX")
            )
            if not declares and token.text[1:-1] != BASE:
                names[token.text[1:-1]] = None
        elif token.kind == "string" and len(token.text) <= 200:
            typed = after and (after[0].kind == "lang" or after[0].text.startswith("^"))
            texts.update({} if typed else {token.text: None})
    standard = tuple(
        PREFIXES[p] for p in ("xsd", "rdf", "owl")
    )  # words of the languages themselves
    kept = [name for name in names if not name.startswith(standard)]
    return kept[:_LOOKED_AT], list(texts)[:_LOOKED_AT]


def _missing(name: str, version: int, seen: dict[str, set[str]]) -> str:
    """Return that a name is nowhere, and what may have been meant; the names of a space are asked once, and kept in `seen`."""
    space = match[0] if (match := _SPACE.match(name)) else name
    if space not in seen:
        seen[space] = _known(space, version)
    words = [one.removeprefix(space) for one in seen[space] if one.startswith(space)]
    close = meant(name.removeprefix(space), words)
    return f"There is no {short(name)} in the graph{f'; did you mean {short(space + close[0])}?' if close else '.'}"


def _known(space: str, version: int) -> set[str]:
    known = _select(_NAMED, version, [f'"{space}"'])
    if space in (TERMS, *PREFIXES.values()) and not space.startswith(ID):
        counted = services().census.results(version, patience=0)
        known |= {*counted.get("classes", ()), *counted.get("properties", ())}
    return known


def _select(query: str, version: int, values: Iterable[str]) -> set[str]:
    """Return the terms of a column, of some values if any: an IRI as it is, a literal as SPARQL writes it."""
    if not (written := " ".join(values)):
        return set()
    rows = services().select(query.format(values=written), version, timeout=_SECONDS)
    terms = (term for row in rows for term in row.values())
    return {term.value if isinstance(term, ox.NamedNode) else str(term) for term in terms}
