"""What was found about pairs: which activities overlap with a thing's, and how objectives relate."""

from __future__ import annotations

from dataclasses import dataclass

from pyoxigraph import Literal, NamedNode

from ..terms import natural_key
from ..texts import number
from .names import NAMING, Name, from_rows, unnamed
from .services import Row, Services

# For an objective, also what was found about its activities. The other end may be any element.
_FINDINGS = """SELECT ?thing ?one ?other ?finding ?kind ?confidence ?status ?reason WHERE {
  { ?finding k4p:between ?thing BIND(?thing AS ?one) }
  UNION { ?one k4p:activityOf ?thing . ?finding k4p:between ?one . ?finding a k4p:Overlap }
  ?finding k4p:between ?other FILTER(?other != ?one)
  OPTIONAL { { ?finding k4p:overlapKind ?kind } UNION { ?finding k4p:relationKind ?kind } }
  OPTIONAL { ?finding k4p:confidence ?confidence }
  OPTIONAL { ?finding k4p:status ?status }
  OPTIONAL { ?finding k4p:reason ?reason FILTER(LANGMATCHES(LANG(?reason), "en")) }
}"""
_NAMES = f"""SELECT ?thing ?other ?property ?name WHERE {{
  {{ SELECT DISTINCT ?thing ?other WHERE {{
      {{ ?finding k4p:between ?thing .
         ?finding k4p:between|k4p:overlapKind|k4p:relationKind|k4p:status ?other }}
      UNION
      {{ ?one k4p:activityOf ?thing . ?finding k4p:between ?one .
         ?finding k4p:between|k4p:overlapKind|k4p:status ?other }} }} }}
  VALUES ?property {{ {NAMING} }}
  ?other ?property ?name
}}"""


@dataclass(frozen=True)
class Finding:
    """One finding, seen from the thing of the page.

    Attributes:
        one: the thing itself, or one of its activities.
        confidence: from 0 to 1, as the graph has it; empty when nobody said.
    """

    iri: str
    one: Name
    other: Name
    kind: Name | None
    confidence: str
    status: Name | None
    reason: str


def findings(services: Services, subject: NamedNode, version: int) -> list[Finding]:
    """The findings about a thing, those that are surest first; those without a name are left out."""
    rows = services.select(_FINDINGS, version, thing=subject)
    if not rows:
        return []
    names = from_rows(services.select(_NAMES, version, thing=subject))

    def name(row: Row, column: str) -> Name | None:
        term = row[column]
        if not isinstance(term, NamedNode):
            return None
        return names.get(term.value) or unnamed(term.value)

    found: dict[str, Finding] = {}
    for row in rows:
        one, other, finding = name(row, "one"), name(row, "other"), row["finding"]
        if not (one and other and isinstance(finding, NamedNode)):
            continue  # a node without a name has no page
        confidence, reason = row["confidence"], row["reason"]
        found[finding.value + one.iri] = Finding(
            iri=finding.value,
            one=one,
            other=other,
            kind=name(row, "kind"),
            confidence=confidence.value if isinstance(confidence, Literal) else "",
            status=name(row, "status"),
            reason=reason.value if isinstance(reason, Literal) else "",
        )
    return sorted(
        found.values(), key=lambda f: (-(number(f.confidence) or 0), natural_key(f.one.text))
    )
