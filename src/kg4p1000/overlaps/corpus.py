"""Activities with what they share with others, read from a graph or from a table."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyoxigraph as ox

from ..errors import BrokenFile
from ..terms import CODE, ID, curie, natural_key, prefix_declarations
from ..texts import number

Row = Mapping[str, ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple | None]
#: What runs a SELECT query on the merge of the published graphs.
Select = Callable[[str], Iterable[Row]]

#: The code lists of the facets, in the order in which a sentence names them.
SCHEMES = ("action-kind", "deliverable", "topic", "target-group")
LANGUAGES = ("en", "fr", "es")


@dataclass(frozen=True)
class Facet:
    """A code that an activity was annotated with.

    Attributes:
        code: IRI of the code.
        rank: 1 for the primary value of its list.
        confidence: how sure the annotation is, from 0 to 1.
        guessed: by the detector from the text, where there is no annotation.
    """

    code: str
    rank: int = 1
    confidence: float = 1.0
    guessed: bool = False

    @property
    def scheme(self) -> str:
        """Key of the code list."""
        return scheme_of(self.code)


@dataclass(frozen=True)
class Activity:
    """What is compared.

    Attributes:
        id: notation in the plan, or the identifier of the table.
        group: activities of one group are not compared; empty: compared with all.
        mentions: IRIs of the tools, organisations and so on that its text names.
        refused: codes of annotations that a person rejected; they are not guessed again.
    """

    id: str
    title: str
    description: str = ""
    language: str = "en"
    group: str = ""
    facets: tuple[Facet, ...] = ()
    mentions: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """Title and description."""
        return f"{self.title}. {self.description}"


@dataclass(frozen=True)
class Code:
    """A code of a facet list, or a thing that is named; labels and notes by language."""

    iri: str
    labels: Mapping[str, str]
    broader: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Relation:
    """What a remark says about two objectives."""

    iri: str
    ends: frozenset[str]
    kind: str
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Corpus:
    """Activities to compare, and what is needed to compare and to explain.

    Attributes:
        names: labels of the things that are mentioned, by IRI.
        parallel: texts that the graph has in English and in another language, as
            (language, text, English text).
    """

    activities: tuple[Activity, ...]
    codes: Mapping[str, Code] = field(default_factory=dict)
    names: Mapping[str, Code] = field(default_factory=dict)
    relations: tuple[Relation, ...] = ()
    parallel: tuple[tuple[str, str, str], ...] = ()

    def position(self) -> dict[str, int]:
        """Where each activity stands, by its id."""
        return {activity.id: i for i, activity in enumerate(self.activities)}


def scheme_of(code: str) -> str:
    """Key of the list that a code belongs to."""
    return code.removeprefix(CODE).split("/")[0]


_ACTIVITIES = """SELECT ?activity ?id ?title ?text ?group WHERE {
  ?activity a k4p:Activity ; skos:notation ?id ; skos:prefLabel ?title .
  OPTIONAL { ?activity dcterms:description ?text }
  OPTIONAL { ?activity k4p:activityOf/skos:notation ?group }
}"""
# Both properties of rank and of code are named with what they specialise, for graphs without inferences.
_FACETS = """SELECT ?activity ?code ?rank ?confidence WHERE {
  ?annotation a k4p:FacetAnnotation ; k4p:annotationOf|k4p:primaryAnnotationOf ?activity ;
    k4p:givesActionKind|k4p:givesDeliverable|k4p:givesTopic|k4p:givesTargetGroup ?code .
  FILTER(isIRI(?code))
  OPTIONAL { ?annotation k4p:rank ?rank }
  OPTIONAL { ?annotation k4p:confidence ?confidence }
}"""
_REFUSED = """SELECT ?activity ?code WHERE {
  ?annotation k4p:rejectedAnnotationOf ?activity ;
    k4p:givesActionKind|k4p:givesDeliverable|k4p:givesTopic|k4p:givesTargetGroup ?code .
}"""
_MENTIONS = """SELECT ?activity ?thing ?label WHERE {
  ?mention k4p:mentionIn ?activity ; k4p:mentionOf ?thing .
  ?activity a k4p:Activity .
  ?thing skos:prefLabel ?label FILTER(isIRI(?thing))
}"""
_CODES = """SELECT ?code ?label ?broader ?note WHERE {
  ?code skos:inScheme ?scheme ; skos:prefLabel ?label
  FILTER(?scheme IN (code:action-kind, code:deliverable, code:topic, code:target-group))
  OPTIONAL { ?code skos:broader ?broader FILTER(isIRI(?broader)) }
  OPTIONAL { ?code skos:definition ?note FILTER(LANG(?note) = LANG(?label)) }
}"""
_RELATIONS = """SELECT ?relation ?from ?to ?kind ?remark WHERE {
  ?relation a k4p:ObjectiveRelation ; k4p:relationKind ?kind ;
    k4p:relatesFrom/skos:notation ?from ; k4p:relatesTo/skos:notation ?to .
  FILTER(isIRI(?relation))
  OPTIONAL { ?relation k4p:statedBy ?remark }
}"""
_PARALLEL = """SELECT ?text ?english WHERE {
  VALUES ?p { skos:prefLabel rdfs:label skos:definition skos:scopeNote }
  ?thing ?p ?english , ?text FILTER(LANG(?english) = "en" && LANG(?text) IN ("fr", "es"))
}"""


def read(select: Select) -> Corpus:
    """The activities of a graph, in the order of their notations."""

    def ask(query: str) -> list[dict[str, str]]:
        return [
            {name: _text(term) for name, term in row.items()}
            | {f"{name}@": _language(term) for name, term in row.items()}
            for row in select(prefix_declarations() + query)
        ]

    facets: dict[str, set[Facet]] = {}
    for row in ask(_FACETS):
        rank, sure = number(row["rank"]), number(row["confidence"])
        sure = 1.0 if sure is None else min(max(0.0, sure), 1.0)
        made = Facet(row["code"], max(1, int(rank or 1)), sure)
        if made.scheme in SCHEMES:
            facets.setdefault(row["activity"], set()).add(made)
    refused: dict[str, set[str]] = {}
    for row in ask(_REFUSED):
        refused.setdefault(row["activity"], set()).add(row["code"])
    mentions: dict[str, set[str]] = {}
    named = ask(_MENTIONS)
    for row in named:
        mentions.setdefault(row["activity"], set()).add(row["thing"])
    versions: dict[str, list[Activity]] = {}
    for row in ask(_ACTIVITIES):
        iri = row["activity"]
        if curie(iri) != f"activity:{row['id']}":
            continue  # a further notation, or one that no address can have
        if row["text"] and row["text@"] != row["title@"]:
            continue
        made_of = Activity(
            id=row["id"],
            title=row["title"],
            description=row["text"],
            language=row["title@"] or "en",
            group=row["group"],
            facets=tuple(sorted(facets.get(iri, ()), key=lambda f: (f.scheme, f.rank, f.code))),
            mentions=frozenset(mentions.get(iri, ())),
            refused=frozenset(refused.get(iri, ())),
        )
        versions.setdefault(iri, []).append(made_of)
    # English where there is English; one version of an activity that has several.
    chosen = [
        min(v, key=lambda a: (a.language != "en", a.language, a.text)) for v in versions.values()
    ]
    return Corpus(
        activities=tuple(sorted(chosen, key=lambda a: natural_key(a.id))),
        codes=_codes(ask(_CODES), "code"),
        names=_codes(named, "thing"),
        relations=_relations(ask(_RELATIONS)),
        parallel=tuple(sorted((r["text@"], r["text"], r["english"]) for r in ask(_PARALLEL))),
    )


def _codes(rows: list[dict[str, str]], column: str) -> dict[str, Code]:
    labels: dict[str, dict[str, str]] = {}
    notes: dict[str, dict[str, str]] = {}
    broader: dict[str, str] = {}
    for row in sorted(rows, key=lambda r: (r["label"], r.get("note", ""))):
        language = row["label@"] or "en"
        labels.setdefault(row[column], {})[language] = row["label"]
        notes.setdefault(row[column], {})[language] = row.get("note", "")
        broader[row[column]] = row.get("broader", "")
    return {
        iri: Code(iri, found, broader[iri], notes[iri]) for iri, found in sorted(labels.items())
    }


def _relations(rows: list[dict[str, str]]) -> tuple[Relation, ...]:
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        found.setdefault(row["relation"], []).append(row)
    return tuple(
        Relation(
            iri,
            frozenset((same[0]["from"], same[0]["to"])),
            same[0]["kind"].rsplit("/", 1)[-1],
            tuple(sorted({row["remark"] for row in same} - {""})),
        )
        for iri, same in sorted(found.items())
    )


def read_table(path: Path) -> tuple[Activity, ...]:
    """Activities of a CSV file with the columns ``id``, ``title`` and ``description``.

    The columns ``group`` (rows of one group are not compared) and ``language`` (en, fr or es) may
    stand there too.

    Raises:
        BrokenFile: there is no row, a column or an id is missing, an id comes twice, or a language is
            not one of `LANGUAGES`.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), set(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise BrokenFile(f"{path} cannot be read as CSV in UTF-8: {e}.", file=str(path)) from e
    if missing := {"id", "title", "description"} - columns:
        raise BrokenFile(
            f"{path} needs the columns id, title and description; it lacks"
            f" {', '.join(sorted(missing))}.",
            file=str(path),
        )
    if not rows:
        raise BrokenFile(f"{path} has no rows below its header.", file=str(path))
    found: dict[str, Activity] = {}
    for line, row in enumerate(rows, 2):
        language = (row.get("language") or "en").strip()
        if language not in LANGUAGES:
            raise BrokenFile(
                f"{path}, line {line}: the language {language!r} is not known; those that are:"
                f" {', '.join(LANGUAGES)}.",
                file=str(path),
                line=line,
            )
        key = (row["id"] or "").strip()
        if not key or key in found:
            what = f"the id {key!r} comes twice" if key else "the id is empty"
            raise BrokenFile(f"{path}, line {line}: {what}.", file=str(path), line=line)
        found[key] = Activity(
            key,
            (row["title"] or "").strip(),
            (row["description"] or "").strip(),
            language,
            (row.get("group") or "").strip(),
        )
    return tuple(found.values())


def thing(activity: Activity) -> ox.NamedNode:
    """The IRI of an activity of the plan."""
    return ox.NamedNode(f"{ID}activity/{activity.id}")


def _text(term: object) -> str:
    return term.value if isinstance(term, ox.NamedNode | ox.Literal) else ""


def _language(term: object) -> str:
    return (term.language or "") if isinstance(term, ox.Literal) else ""
