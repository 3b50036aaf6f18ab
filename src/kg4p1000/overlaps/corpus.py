"""Activities with what they share with others, read from a graph or from a table."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyoxigraph as ox

from ..kernel.errors import BrokenFile
from ..kernel.terms import CODE, curie, natural_key, prefix_declarations
from ..kernel.texts import number
from . import readings
from .readings import Judgement

Row = Mapping[str, ox.NamedNode | ox.BlankNode | ox.Literal | ox.Triple | None]
#: What runs a SELECT query on the merge of the published graphs.
Select = Callable[[str], Iterable[Row]]

#: The code lists of the facets, in the order in which a sentence names them.
SCHEMES = ("action-kind", "deliverable", "topic", "target-group")
LANGUAGES = ("en", "fr", "es")
#: Columns of a table beside ``id``.
_COLUMNS = ("title", "description", "language", "group")


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
        """Return the key of the code list."""
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
        """Return title and description."""
        return f"{self.title}. {self.description}"


@dataclass(frozen=True)
class Code:
    """A code of a facet list, or a thing that is named; labels and notes by language."""

    iri: str
    labels: Mapping[str, str]
    broader: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Corpus:
    """Activities to compare, and what is needed to compare and to explain.

    Attributes:
        names: labels of the things that are mentioned, by IRI.
        relations: two objectives to the IRIs of what remarks say about them.
        judgements: two activities to what readers said of the pair.
    """

    activities: tuple[Activity, ...]
    codes: Mapping[str, Code] = field(default_factory=dict)
    names: Mapping[str, Code] = field(default_factory=dict)
    relations: Mapping[frozenset[str], tuple[str, ...]] = field(default_factory=dict)
    judgements: Mapping[frozenset[str], Judgement] = field(default_factory=dict)


def scheme_of(code: str) -> str:
    """Return the key of the list that a code belongs to."""
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
_RELATIONS = """SELECT DISTINCT ?relation ?from ?to WHERE {
  ?relation a k4p:ObjectiveRelation ; k4p:relationKind ?kind ;
    k4p:relatesFrom/skos:notation ?from ; k4p:relatesTo/skos:notation ?to .
  FILTER(isIRI(?relation))
} ORDER BY ?relation"""


def read(select: Select) -> Corpus:
    """Return the activities of a graph, in the order of their notations."""

    def ask(query: str) -> list[dict[str, str]]:
        return [_plain(row) for row in select(prefix_declarations() + query)]

    facets: dict[str, set[Facet]] = defaultdict(set)
    for row in ask(_FACETS):
        rank, confidence = number(row["rank"]), number(row["confidence"])
        confidence = 1.0 if confidence is None else min(max(0.0, confidence), 1.0)
        facet = Facet(row["code"], max(1, int(rank or 1)), confidence)
        if facet.scheme in SCHEMES:
            facets[row["activity"]].add(facet)
    relations: dict[frozenset[str], tuple[str, ...]] = defaultdict(tuple)
    for row in ask(_RELATIONS):
        relations[frozenset((row["from"], row["to"]))] += (row["relation"],)
    mentioned = ask(_MENTIONS)
    mentions, refused = _by_activity(mentioned, "thing"), _by_activity(ask(_REFUSED), "code")
    versions: dict[str, list[Activity]] = defaultdict(list)
    for row in ask(_ACTIVITIES):
        iri = row["activity"]
        if curie(iri) != f"activity:{row['id']}":
            continue  # a further notation, or one that no address can have
        if row["text"] and row["text@"] != row["title@"]:
            continue
        activity = Activity(
            id=row["id"],
            title=row["title"],
            description=row["text"],
            language=row["title@"] or "en",
            group=row["group"],
            facets=tuple(sorted(facets[iri], key=lambda f: (f.scheme, f.rank, f.code))),
            mentions=frozenset(mentions[iri]),
            refused=frozenset(refused[iri]),
        )
        versions[iri].append(activity)
    # English where there is English; one version of an activity that has several.
    chosen = [
        min(v, key=lambda a: (a.language != "en", a.language, a.text)) for v in versions.values()
    ]
    return Corpus(
        activities=tuple(sorted(chosen, key=lambda a: natural_key(a.id))),
        codes=_codes(ask(_CODES), "code"),
        names=_codes(mentioned, "thing"),
        relations=dict(relations),
        judgements=readings.read(lambda query: map(_plain, select(query))),
    )


def _plain(row: Row) -> dict[str, str]:
    """Return the values of a row as text, each with its language under its name and ``@``."""
    plain = {}
    for name, term in row.items():
        plain[name] = term.value if isinstance(term, ox.NamedNode | ox.Literal) else ""
        plain[f"{name}@"] = (term.language or "") if isinstance(term, ox.Literal) else ""
    return plain


def _by_activity(rows: list[dict[str, str]], column: str) -> dict[str, set[str]]:
    values: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        values[row["activity"]].add(row[column])
    return values


def _codes(rows: list[dict[str, str]], column: str) -> dict[str, Code]:
    codes: dict[str, Code] = {}
    for row in sorted(rows, key=lambda r: (r[column], r["label"], r.get("note", ""))):
        code = codes.setdefault(row[column], Code(row[column], {}, "", {}))
        language = row["label@"] or "en"
        codes[code.iri] = Code(
            code.iri,
            {**code.labels, language: row["label"]},
            row.get("broader", ""),
            {**code.notes, language: row.get("note", "")},
        )
    return codes


def read_table(path: Path) -> tuple[Activity, ...]:
    """Return the activities of a CSV file with the columns ``id``, ``title`` and ``description``.

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
    activities: dict[str, Activity] = {}
    for line, row in enumerate(rows, 2):
        cells = {name: (row.get(name) or "").strip() for name in ("id", *_COLUMNS)}
        key, language = cells.pop("id"), cells.pop("language") or "en"
        wrong = ""
        if language not in LANGUAGES:
            wrong = (
                f"the language {language!r} is not known; those that are: {', '.join(LANGUAGES)}."
            )
        elif not key:
            wrong = "the id is empty."
        elif key in activities:
            wrong = f"the id {key!r} comes twice."
        if wrong:
            raise BrokenFile(f"{path}, line {line}: {wrong}", file=str(path), line=line)
        activities[key] = Activity(key, language=language, **cells)
    return tuple(activities.values())
