"""What a release would be and do, and the making of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyoxigraph as ox
from pyoxigraph import NamedNode

from .. import sparql
from ..build import parse_file, sources
from ..errors import BrokenFile
from ..queries import Library
from ..store.changes import write_durably
from ..terms import BASE, CODE, PREFIXES
from .difference import STEPS, Change, Said, Step, compare, deprecated, final, said_of, short
from .records import RECORDS, load, newest, record, record_path, stated

_RELEASES = BASE + "releases/ontology/"
_NUMBER_FILE = Path("ontology", "kg4p1000.ttl")
_CHANGELOG = Path("ontology", "CHANGELOG.md")
_TYPE = PREFIXES["rdf"] + "type"
_CHANGE_NOTE = PREFIXES["skos"] + "changeNote"


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
        base, version: the last release, empty before the first one, and the next.
        refusals: why it cannot be made, each with what to do; none when it can.
        warnings: what users will notice.
    """

    base: str
    version: str
    step: Step
    changes: tuple[Change, ...] = ()
    uses: tuple[Use, ...] = ()
    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def of(self, kind: str) -> list[Change]:
        """The changes of a kind."""
        return [change for change in self.changes if change.kind == kind]

    def to_markdown(self) -> str:
        """The difference report."""
        since = f"since {self.base}" if self.base else "the first release"
        out = [f"# Ontology {self.version}: what changed {since}", ""]
        counts = Counter(change.kind for change in self.changes)
        told = ", ".join(f"{counts[kind]} {kind}" for kind in STEPS if counts[kind]) or "nothing"
        out += [f"Terms: {told}. The step is {self.step.name.lower()}.", ""]
        for kind in reversed(STEPS):
            if changes := self.of(kind):
                out += [f"## {kind.capitalize()}", ""]
                for change in changes:
                    use = f": use `{short(change.replacement)}`" if change.replacement else ""
                    out.append(f"- `{short(change.term)}`{use}")
                    out += [f"    - `{line}`" for line in change.lines]
                out.append("")
        if self.uses:
            out += ["## Who uses what changed its meaning or is withdrawn", ""]
            out += [f"- `{short(u.term)}`: {u.file}, {u.count} times" for u in self.uses] + [""]
        for title, lines in (("Warnings", self.warnings), ("Refused", self.refusals)):
            if lines:
                out += [f"## {title}", "", *(f"- {line}" for line in lines), ""]
        return "\n".join(out)


def plan(folder: Path, faults: Iterable[str] = ()) -> Report:
    """Compare the files of the knowledge with the last release.

    Args:
        faults: what is known to be wrong with the ontology; each refuses the release.

    Raises:
        BrokenFile: a file does not parse, or the number of the version cannot be found.
    """
    base = newest(folder)
    before = said_of(load(folder, base)) if base else {}
    after = said_of(stated(folder))
    changes = compare(before, after)
    step = max((STEPS[change.kind] for change in changes), default=Step.NONE)
    number = stated_version(folder)
    version = next_version(base, step) if base else number
    hurt = {c.term for c in changes if STEPS[c.kind] is Step.MAJOR} | set(deprecated(after))
    uses = tuple(_uses(folder, hurt))
    refusals = [*faults, *_refusals(folder, before, after, changes, uses, version)]
    if number not in (base, version):
        moved = f"Write {version} there"
        if step:
            moved += f", or {base} and let the release move it"
        asked = f"ask for {version} ({step.name.lower()})" if step else "are none"
        refusals.append(
            f"{folder / _NUMBER_FILE} says {number}, and the changes since {base} {asked}. {moved}."
        )
    return Report(
        base, version, step, tuple(changes), uses, tuple(refusals), tuple(_warnings(after, uses))
    )


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
    write_durably(record_path(folder, report.version), record(stated(folder)))
    write_durably(folder / RECORDS / f"{report.version}.md", report.to_markdown().encode())
    _write_changelog(folder / _CHANGELOG, report, date)
    return report


# What a release does to its users


def _refusals(
    folder: Path,
    before: Mapping[str, Said],
    after: Mapping[str, Said],
    changes: list[Change],
    uses: tuple[Use, ...],
    version: str,
) -> Iterator[str]:
    for change in changes:
        if change.kind == "removed":
            yield (
                f"{short(change.term)} is gone. Put it back with 'owl:deprecated true' and"
                " dcterms:isReplacedBy; terms are withdrawn, never deleted."
            )
        if change.kind in ("meaning", "deprecated") and not _has_note(after[change.term], version):
            yield (
                f"{short(change.term)} {'means something else' if change.kind == 'meaning' else 'is deprecated'}"
                f" ({'; '.join(change.grave)}). Say why in skos:changeNote \"{version}: …\"@en, or take it"
                " back."
            )  # fmt: skip
    for old in deprecated(after):
        new = final(after, old)
        if new and new not in after:
            yield f"{short(old)} is replaced by {short(new)}, which is no term. Correct dcterms:isReplacedBy."
        elif new and _kinds(after[new]).isdisjoint(_kinds(after[old])):
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


def _kinds(said: Said) -> set[str]:
    return {o for p, o in said if p == _TYPE}


def _has_note(said: Said, version: str) -> bool:
    return any(p == _CHANGE_NOTE and o.startswith(f'"{version}:') for p, o in said)


def _warnings(after: Mapping[str, Said], uses: tuple[Use, ...]) -> Iterator[str]:
    for use in uses:
        if use.file.startswith("queries/") and use.term in deprecated(after):
            new = final(after, use.term)
            yield f"{use.file} uses {short(use.term)}, which is deprecated" + (
                f"; use {short(new)}." if new else "."
            )


def _uses(folder: Path, terms: set[str]) -> Iterator[Use]:
    """Where data, shapes and stored queries use some terms."""
    if not terms:
        return
    counted: Counter[tuple[str, str]] = Counter()
    for source in sources(folder):
        if source.path.parent.name != "ontology":
            for triple in parse_file(source.path):
                for node in (triple.predicate, triple.object):
                    if isinstance(node, NamedNode) and node.value in terms:
                        counted[node.value, str(source.path.relative_to(folder))] += 1
    if (folder / "queries").is_dir():
        for query in Library(folder / "queries"):
            for name in sparql.names(query.text):
                if name in terms:
                    counted[name, str(query.path.relative_to(folder))] += 1
    for (term, file), count in sorted(counted.items()):
        yield Use(term, file, count)


# The number


def stated_version(folder: Path) -> str:
    """The version that the ontology says it has; it stands in one file.

    Raises:
        BrokenFile: that file says none, or something that is no version.
    """
    path = folder / _NUMBER_FILE
    found = [
        t.object for t in parse_file(path) if t.predicate.value == PREFIXES["owl"] + "versionInfo"
    ]
    value = found[0].value if len(found) == 1 and isinstance(found[0], ox.Literal) else ""
    if not re.fullmatch(r"\d+\.\d+\.\d+", value):
        raise BrokenFile(
            f'{path}: owl:versionInfo must be there once, like "1.4.0".', file=str(path)
        )
    return value


def next_version(base: str, step: Step) -> str:
    """The version one step on. Before 1.0.0, what breaks moves the middle number.

    >>> next_version("1.4.2", Step.MINOR), next_version("0.4.2", Step.MAJOR)
    ('1.5.0', '0.5.0')
    """
    major, minor, patch = map(int, base.split("."))
    match step:
        case Step.NONE:
            return base
        case Step.PATCH:
            return f"{major}.{minor}.{patch + 1}"
        case Step.MAJOR if major:
            return f"{major + 1}.0.0"
    return f"{major}.{minor + 1}.0"


def _write_changelog(path: Path, report: Report, date: str) -> None:
    """Give the newest entries the number, and add which terms are new, changed and deprecated."""
    text = path.read_text(encoding="utf-8")
    heading = f"## {report.version}"
    if "## Unreleased" in text:
        text = text.replace("## Unreleased", f"{heading} ({date})", 1)
    elif heading not in text:
        text = text.replace("\n## ", f"\n{heading} ({date})\n\n## ", 1)
    start = text.index(heading)
    end = text.find("\n## ", start + 1)
    end = len(text) if end < 0 else end
    lines = [f"- {kind}: {_listed(report.of(kind))}" for kind in STEPS if report.of(kind)]
    told = f"Terms (difference in `{(RECORDS / report.version).as_posix()}.md`):\n\n" + "\n".join(
        lines
    )
    path.write_text(f"{text[:end].rstrip()}\n\n{told}\n{text[end:]}", encoding="utf-8")


def _listed(changes: list[Change]) -> str:
    """Terms by name, codes by list and number."""
    codes = Counter(c.term[len(CODE) :].split("/")[0] for c in changes if c.term.startswith(CODE))
    names = [f"`{short(c.term)}`" for c in changes if not c.term.startswith(CODE)]
    return ", ".join([*names, *(f"{n} of `{scheme}`" for scheme, n in sorted(codes.items()))]) + "."
