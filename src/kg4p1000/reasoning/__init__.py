"""Validation: shapes and data to one `Report` whose messages a steward can act on.

SHACL Core is judged by the package ``shacl``; each SPARQL constraint is one set query over all
its focus nodes, run by whoever holds the data. pySHACL on an rdflib graph is the reference and
the fallback. What a finding says comes from the shapes graph, never from an engine.

A change is judged by the focus nodes that it may concern and by what their judgement looks at, both
read off the shapes (`impact`); that gives what judging everything would give of them.

Sets no limits: whoever feeds it data that strangers sent runs it in a process that can be ended.

Blank nodes keep no name in the engines, so they go in as ``urn:kg4p1000:blank:…`` and come out
as blank nodes. ``sh:nodeKind sh:IRI`` therefore lets one pass; add ``sh:pattern "^https?://"``.
"""

from .constraints import check_pre_binding
from .engines import Engine, Stated, validate, validate_change
from .report import SEVERITIES, Finding, Report, Term
from .shapes import Shapes

__all__ = [
    "SEVERITIES", "Engine", "Finding", "Report", "Shapes", "Stated", "Term", "check_pre_binding",
    "validate", "validate_change",
]  # fmt: skip
