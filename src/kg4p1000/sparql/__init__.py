"""SPARQL requests before they reach the store: read, guarded, and matched with a format. No Flask here.

A query is guarded and given to a reader; an update is translated to the quads that it removes and adds,
and never given to the engine's own update. Both are read by one lexer: a word in a string, an IRI, a
comment or a prefixed name is not a keyword.
"""

from .formats import RDF_FORMATS, RESULT_FORMATS, columns_of, placed, run
from .guard import QUERY_FORMS, UPDATE_WORDS, Query, guard, refuse_foreign
from .lexer import Token, names, place, tokens
from .reading import Reading
from .update import apply_update

__all__ = [
    "QUERY_FORMS",
    "RDF_FORMATS",
    "RESULT_FORMATS",
    "UPDATE_WORDS",
    "Query",
    "Reading",
    "Token",
    "apply_update",
    "columns_of",
    "guard",
    "names",
    "place",
    "placed",
    "refuse_foreign",
    "run",
    "tokens",
]
