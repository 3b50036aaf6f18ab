"""A release of the ontology: what changed since the last one, what that does to its users, and the next number.

Works from files alone. Each release leaves a record, ``ontology/releases/<version>.nt.gz``: the terms as
they were. The difference between the newest record and the files decides by how much the version
moves; what would break data or leave users without advice is refused. A withdrawn term stays, marked
``owl:deprecated``, and ``dcterms:isReplacedBy`` is the rule by which `migrate` rewrites data.
"""

from __future__ import annotations

from .advice import advice, deprecated_in
from .difference import STEPS, Change, Step, compare, deprecated, final, said_of
from .migration import migrate
from .planning import Report, Use, next_version, plan, publish, stated_version
from .records import RECORDS, load, newest, record, releases, stated

__all__ = [
    "RECORDS",
    "STEPS",
    "Change",
    "Report",
    "Step",
    "Use",
    "advice",
    "compare",
    "deprecated",
    "deprecated_in",
    "final",
    "load",
    "migrate",
    "newest",
    "next_version",
    "plan",
    "publish",
    "record",
    "releases",
    "said_of",
    "stated",
    "stated_version",
]
