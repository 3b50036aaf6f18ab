"""SPARQL requests before they reach the store: read, guarded, and matched with a format. No Flask here.

A query is guarded and given to a reader; of an update the engine evaluates what stands in WHERE. Both are read by one
lexer: a word in a string, an IRI, a comment or a prefixed name is not a keyword.
"""

from .formats import RDF_FORMATS, RESULT_FORMATS, columns_of, run
from .guard import Query, guard, refuse_foreign
from .lexer import Token, names, place, tokens
from .reading import Reading
from .update import apply_update

__all__ = [
    "RDF_FORMATS", "RESULT_FORMATS", "Query", "Reading", "Token", "apply_update", "columns_of", "guard", "names",
    "place", "refuse_foreign", "run", "tokens",
]  # fmt: skip
