"""A release of the ontology: what changed since the last one, what that does to its users, and the next number.

Works from files alone. Each release leaves a record, ``ontology/releases/<version>.nt.gz``: the terms as
they were. The difference between the newest record and the files decides by how much the version
moves; what would break data or leave users without advice is refused. A withdrawn term stays, marked
``owl:deprecated``, and ``dcterms:isReplacedBy`` is the rule by which `migrate` rewrites data.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import NamedNode, Quad, Triple

from .. import sparql
from ..curation.build import parse_file, read, sources
from ..kernel.errors import BrokenFile, NotFound
from ..kernel.terms import BASE, CODE, iri, natural_key, short, turtle
from ..knowledge.queries import Library
from ..store import Readers
from ..store.changes import write_durably
from .difference import (
    STEPS,
    Change,
    Statements,
    Step,
    compare,
    replacements,
    statements_of,
)

#: Where the records are, from the folder of the knowledge.
RECORDS = Path("ontology", "releases")
_NUMBER_FILE = Path("ontology", "kg4p1000.ttl")
_CHANGELOG = Path("ontology", "CHANGELOG.md")
_RELEASES = BASE + "releases/ontology/"


@dataclass(frozen=True)
class Use:
    """A file that uses a term whose meaning changed or that is withdrawn, and how often."""

    term: str
    file: str
    count: int


@dataclass(frozen=True)
class Report:
    """What a release would be.

    Attributes:
        base: the last release; empty before the first one.
        refusals: why it cannot be made, each with what to do; none when it can.
        warnings: what users will notice.
    """

    base: str
    version: str
    step: Step
    changes: tuple[Change, ...]
    uses: tuple[Use, ...]
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]

    def of(self, kind: str) -> list[Change]:
        """Return the changes of a kind."""
        return [change for change in self.changes if change.kind == kind]

    def to_markdown(self) -> str:
        """Write the difference report."""
        since = f"since {self.base}" if self.base else "the first release"
        counts = ", ".join(f"{len(self.of(kind))} {kind}" for kind in STEPS if self.of(kind))
        step = self.step.name.lower()
        out = [f"# Ontology {self.version}: what changed {since}", ""]
        out += [f"Terms: {counts or 'nothing'}. The step is {step}.", ""]
        sections: dict[str, list[str]] = {}
        for kind in reversed(STEPS):
            lines = sections[kind.capitalize()] = []
            for change in self.of(kind):
                use = f": use `{short(change.replacement)}`" if change.replacement else ""
                lines += [f"- `{short(change.term)}`{use}", *(f"    - `{s}`" for s in change.lines)]
        sections["Who uses what changed its meaning or is withdrawn"] = [
            f"- `{short(use.term)}`: {use.file}, {use.count} times" for use in self.uses
        ]
        sections["Warnings"] = [f"- {line}" for line in self.warnings]
        sections["Refused"] = [f"- {line}" for line in self.refusals]
        for title, lines in sections.items():
            if lines:
                out += [f"## {title}", "", *lines, ""]
        return "\n".join(out)


# The making of a release


def plan(folder: Path, faults: Iterable[str] = ()) -> Report:
    """Compare the files of the knowledge with the last release.

    Args:
        faults: what is known to be wrong with the ontology; each refuses the release.

    Raises:
        BrokenFile: a file does not parse, or the number of the version cannot be found.
    """
    base = (releases(folder) or [""])[-1]
    before = statements_of(load(folder, base)) if base else {}
    after = statements_of(stated(folder))
    changes = compare(before, after)
    step = max((STEPS[change.kind] for change in changes), default=Step.NONE)
    number = stated_version(folder)
    version = next_version(base, step) if base else number
    replaced = replacements(after)
    hurt = {c.term for c in changes if STEPS[c.kind] is Step.MAJOR} | replaced.keys()
    uses = tuple(_uses(folder, hurt))
    refusals = [
        *faults,
        *(line for change in changes for line in _without_advice(change, after, version)),
        *(line for old in replaced.items() for line in _not_migrated(folder, after, old, uses)),
    ]
    if number not in (base, version):
        asked, moved = "are none", f"Write {version} there"
        if step:
            asked = f"ask for {version} ({step.name.lower()})"
            moved += f", or {base} and let the release move it"
        refusals.append(
            f"{folder / _NUMBER_FILE} says {number}, and the changes since {base} {asked}. {moved}."
        )
    warnings = (
        f"{use.file} uses {short(use.term)}, which is deprecated"
        + (f"; use {short(replaced[use.term])}." if replaced[use.term] else ".")
        for use in uses
        if use.file.startswith("queries/") and use.term in replaced
    )
    return Report(base, version, step, tuple(changes), uses, tuple(refusals), tuple(warnings))


def publish(folder: Path, date: str, faults: Iterable[str] = ()) -> Report:
    """Make the release that `plan` tells: number, record, report and changelog; nothing if it is refused.

    Args:
        date: of the release, as 2026-11-22.
        faults: as `plan` takes them.
    """
    report = plan(folder, faults)
    if report.refusals or (report.base and report.step is Step.NONE):
        return report
    path, old = folder / _NUMBER_FILE, stated_version(folder)
    text = path.read_text(encoding="utf-8").replace(old, report.version)
    text = re.sub(r'(dcterms:modified ")[^"]*', rf"\g<1>{date}", text)
    text = re.sub(rf"(owl:priorVersion <{_RELEASES})[^>]*", rf"\g<1>{report.base or old}", text)
    write_durably(path, text.encode())
    for module in path.parent.glob("*.ttl"):  # each has a version IRI of its own
        text = module.read_text(encoding="utf-8")
        moved = text.replace(f"{_RELEASES}{report.base}/", f"{_RELEASES}{report.version}/")
        if moved != text:
            write_durably(module, moved.encode())
    (folder / RECORDS).mkdir(exist_ok=True)
    write_durably(_record_path(folder, report.version), record(stated(folder)))
    write_durably(folder / RECORDS / f"{report.version}.md", report.to_markdown().encode())
    _write_changelog(folder / _CHANGELOG, report, date)
    return report


def _without_advice(change: Change, after: Mapping[str, Statements], version: str) -> Iterator[str]:
    """Yield why a change of a term may not be released without a word to its users."""
    term = short(change.term)
    if change.kind == "removed":
        yield (
            f"{term} is gone. Put it back with 'owl:deprecated true' and dcterms:isReplacedBy; terms are"
            " withdrawn, never deleted."
        )
    elif change.grave and not any(
        p == iri("skos:changeNote").value and o.startswith(f'"{version}:')
        for p, o in after[change.term]
    ):
        what = "means something else" if change.kind == "meaning" else "is deprecated"
        yield (
            f'{term} {what} ({"; ".join(change.grave)}). Say why in skos:changeNote "{version}: …"@en,'
            " or take it back."
        )


def _not_migrated(
    folder: Path, after: Mapping[str, Statements], replaced: tuple[str, str], uses: Iterable[Use]
) -> Iterator[str]:
    """Yield why data that use a deprecated term cannot stay as they are."""
    old, new = replaced
    types = [{o for p, o in after.get(term, ()) if p == iri("rdf:type").value} for term in replaced]
    if new and new not in after:
        yield f"{short(old)} is replaced by {short(new)}, which is no term. Correct dcterms:isReplacedBy."
    elif new and types[0].isdisjoint(types[1]):
        yield (
            f"{short(old)} is replaced by {short(new)}, which is of another kind, so that data"
            " cannot be migrated. Name a term of the same kind."
        )
    for use in uses:
        if use.term == old and not use.file.startswith("queries/"):
            repair = "run 'kg4p1000 release --migrate'"
            if not new:
                repair = "say dcterms:isReplacedBy, or rewrite them by hand"
            elif not use.file.startswith("data/"):
                repair = f"write {short(new)} there"
            yield f"{folder / use.file} uses {short(old)}, which is deprecated: {repair}."


def _uses(folder: Path, terms: Set[str]) -> Iterator[Use]:
    """Yield where data, shapes and stored queries use some terms."""
    counted: Counter[tuple[str, str]] = Counter()
    for source in sources(folder) if terms else ():
        if source.path.parent.name != "ontology":
            file = str(source.path.relative_to(folder))
            names = (n for t in parse_file(source.path) for n in (t.predicate, t.object))
            counted.update((n.value, file) for n in names if isinstance(n, NamedNode))
    if terms and (folder / "queries").is_dir():
        for query in Library(folder / "queries"):
            file = str(query.path.relative_to(folder))
            counted.update((name, file) for name in sparql.names(query.text))
    for (term, file), count in sorted(counted.items()):
        if term in terms:
            yield Use(term, file, count)


def stated_version(folder: Path) -> str:
    """Return the version that the ontology says it has; it stands in one file.

    Raises:
        BrokenFile: that file says none, or something that is no version.
    """
    path = folder / _NUMBER_FILE
    found = [t.object for t in parse_file(path) if t.predicate == iri("owl:versionInfo")]
    value = found[0].value if len(found) == 1 and isinstance(found[0], ox.Literal) else ""
    if not re.fullmatch(r"\d+\.\d+\.\d+", value):
        raise BrokenFile(
            f'{path}: owl:versionInfo must be there once, like "1.4.0".', file=str(path)
        )
    return value


def next_version(base: str, step: Step) -> str:
    """Return the version one step on. Before 1.0.0, what breaks moves the middle number.

    >>> next_version("1.4.2", Step.MINOR), next_version("0.4.2", Step.MAJOR)
    ('1.5.0', '0.5.0')
    """
    if step is Step.NONE:
        return base
    numbers = [int(number) for number in base.split(".")]
    place = 3 - step if numbers[0] else max(1, 3 - step)
    return ".".join(map(str, [*numbers[:place], numbers[place] + 1, 0, 0][:3]))


def _write_changelog(path: Path, report: Report, date: str) -> None:
    """Give the newest entries the number, and add which terms are new, changed and deprecated."""
    text = path.read_text(encoding="utf-8")
    heading = f"## {report.version}"
    if "## Unreleased" in text:
        text = text.replace("## Unreleased", f"{heading} ({date})", 1)
    elif heading not in text:
        text = text.replace("\n## ", f"\n{heading} ({date})\n\n## ", 1)
    entries, following, older = text.partition(heading)[2].partition("\n## ")
    before = text.partition(heading)[0] + heading + entries
    lines = "\n".join(f"- {kind}: {_listed(report.of(kind))}" for kind in STEPS if report.of(kind))
    terms = f"Terms (difference in `{(RECORDS / report.version).as_posix()}.md`):\n\n{lines}"
    path.write_text(f"{before.rstrip()}\n\n{terms}\n{following}{older}", encoding="utf-8")


def _listed(changes: list[Change]) -> str:
    """Write terms by name, codes by list and number."""
    codes = Counter(c.term[len(CODE) :].split("/")[0] for c in changes if c.term.startswith(CODE))
    names = [f"`{short(c.term)}`" for c in changes if not c.term.startswith(CODE)]
    return ", ".join([*names, *(f"{n} of `{scheme}`" for scheme, n in sorted(codes.items()))]) + "."


# The records of past releases: the ontology and its code lists as they were


def releases(folder: Path) -> list[str]:
    """Return the versions of which there is a record, oldest first."""
    names = (path.name.removesuffix(".nt.gz") for path in (folder / RECORDS).glob("*.nt.gz"))
    return sorted(names, key=natural_key)


def load(folder: Path, version: str) -> list[Triple]:
    """Return the ontology and the code lists as they were released.

    Raises:
        NotFound: there is no record of that version.
        BrokenFile: the record is damaged.
    """
    path = _record_path(folder, version)
    if version not in releases(folder):
        raise NotFound(
            f"There is no release {version!r} of the ontology; there are"
            f" {', '.join(releases(folder)) or 'none yet'}."
        )
    try:
        data = gzip.decompress(path.read_bytes())
        return [q.triple for q in ox.parse(data, format=ox.RdfFormat.N_TRIPLES)]
    except (OSError, EOFError, SyntaxError) as e:
        raise BrokenFile(
            f"{path} is damaged ({e}); take it from the release again.", file=str(path)
        ) from e


def record(triples: Iterable[Triple]) -> bytes:
    """Write triples as they are recorded: sorted, without time or file name, the same bytes for the same."""
    lines = sorted(f"{triple} .\n" for triple in set(triples))
    return gzip.compress("".join(lines).encode(), mtime=0)


def _record_path(folder: Path, version: str) -> Path:
    return folder / RECORDS / f"{version}.nt.gz"


def stated(folder: Path) -> list[Triple]:
    """Return the ontology and the code lists as the files have them, blank nodes named the same each time."""
    said = (quad for source in sources(folder, "ontology") for quad in read(source))
    dataset = ox.Dataset(Quad(*quad.triple) for quad in said)
    dataset.canonicalize(ox.CanonicalizationAlgorithm.RDFC_1_0)
    return [q.triple for q in dataset]


# What users of deprecated terms get


def migrate(folder: Path) -> list[Path]:
    """Rewrite the files of ``data/`` so that they use the replacements of deprecated terms.

    A property is replaced where it is the predicate, a class or code where it is the object. Statements
    that stewards made in a store are migrated after ``kg4p1000 dump --to-files``.

    Returns:
        The files that changed.
    """
    replaced = replacements(statements_of(stated(folder)))
    rules = {NamedNode(old): NamedNode(new) for old, new in replaced.items() if new}
    changed: list[Path] = []
    for source in sources(folder, "data"):
        triples = parse_file(source.path)
        migrated = [
            Triple(t.subject, rules.get(t.predicate, t.predicate), rules.get(t.object, t.object))
            for t in triples
        ]
        if set(migrated) != set(triples):
            write_durably(source.path, turtle(migrated))
            changed.append(source.path)
    return changed


_DEPRECATED_TERMS = """SELECT ?old ?new WHERE {
  GRAPH ?graph { ?old owl:deprecated true OPTIONAL { ?old dcterms:isReplacedBy ?new } }
  FILTER(?graph IN (graph:ontology, graph:codes))
}"""


def deprecated_in(readers: Readers, version: int | None = None) -> dict[str, str]:
    """Return the deprecated terms of a version of the graph, and what replaces each; empty where nothing does."""
    rows = readers.query(_DEPRECATED_TERMS, version=version).json()["results"]["bindings"]
    return {row["old"]["value"]: row.get("new", {}).get("value", "") for row in rows}


def advice(terms: Set[str], deprecated: Mapping[str, str]) -> list[str]:
    """Say of each deprecated term that a query names which one it is, and what to use instead.

    Args:
        terms: see `sparql.Query`.
    """
    return [
        f"{short(old)} is deprecated;"
        f" {f'use {short(deprecated[old])}' if deprecated[old] else 'nothing replaces it'}."
        for old in sorted(deprecated.keys() & terms)
    ]
