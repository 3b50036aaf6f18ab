"""The formats in which results can be had, and how a guarded query is run into one of them."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any

from ..kernel.errors import MalformedQuery
from ..store import Readers, Result, parse_query
from .complaints import complaint
from .engine import for_engine
from .guard import Query, guard
from .prologue import moved

#: Key of a format to its media types, the one we answer with first. Sources: SPARQL 1.1 results
#: in JSON, XML, CSV and TSV; RDF 1.1 syntaxes.
RESULT_FORMATS: dict[str, tuple[str, ...]] = {
    "json": ("application/sparql-results+json", "application/json"),
    "xml": ("application/sparql-results+xml", "application/xml", "text/xml"),
    "csv": ("text/csv",),
    "tsv": ("text/tab-separated-values",),
}
RDF_FORMATS: dict[str, tuple[str, ...]] = {
    "turtle": ("text/turtle",),
    "ntriples": ("application/n-triples", "text/plain"),
    "jsonld": ("application/ld+json", "application/json"),
    "rdfxml": ("application/rdf+xml", "application/xml", "text/xml"),
}


def run(readers: Readers, query: Query, form: str, **options: Any) -> Result:
    """Run a guarded query.

    Args:
        form: a key of `RDF_FORMATS` when the query gives triples, else of `RESULT_FORMATS`.
        options: of `Readers.query`: ``bindings``, ``version``, ``timeout``.
    """
    with _placed(query):
        return readers.query(
            query.for_engine,
            default_graphs=query.default_graphs,
            named_graphs=query.named_graphs,
            form=form,
            columns=query.columns,
            **options,
        )


def columns_of(text: str, bound: AbstractSet[str] = frozenset()) -> list[str]:
    """Read a query without asking anything, and return the names of its columns; none if it is no SELECT.

    Args:
        bound: variables that will be given values, wherever they stand.

    Raises:
        KgError: why it cannot be asked; with ``line`` where that is known.
    """
    query = guard(text, bound)
    with _placed(query):
        return parse_query(query.for_engine)


@contextmanager
def _placed(query: Query) -> Iterator[None]:
    """Tell of what the engine finds wrong with a query where it stands in the text that was sent."""
    try:
        yield
    except MalformedQuery as e:
        if query.for_engine != query.text and e.members.get("line"):
            e = moved(e, for_engine(query.text, bound=query.bound), query.text)
        raise complaint(query.text, e) from None
