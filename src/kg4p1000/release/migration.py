"""Data that use deprecated terms, rewritten to use what replaces them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pyoxigraph import NamedNode, Triple

from ..build import parse_file, sources
from ..store.changes import write_durably
from ..terms import turtle
from .difference import deprecated, final, said_of
from .records import stated


def migrate(folder: Path) -> list[Path]:
    """Rewrite the files of ``data/`` so that they use the replacements of deprecated terms.

    A property is replaced where it is the predicate, a class or code where it is the object. Statements
    that stewards made in a store are migrated after ``kg4p1000 dump --to-files``.

    Returns:
        The files that changed.
    """
    after = said_of(stated(folder))
    rules = {old: new for old in deprecated(after) if (new := final(after, old))}
    changed: list[Path] = []
    for source in sources(folder):
        if source.path.parent.name != "data":
            continue
        triples = parse_file(source.path)
        migrated = [_rewritten(triple, rules) for triple in triples]
        if set(migrated) != set(triples):
            write_durably(source.path, turtle(migrated))
            changed.append(source.path)
    return changed


def _rewritten(triple: Triple, rules: Mapping[str, str]) -> Triple:
    predicate, object_ = triple.predicate, triple.object
    if predicate.value in rules:
        predicate = NamedNode(rules[predicate.value])
    if isinstance(object_, NamedNode) and object_.value in rules:
        object_ = NamedNode(rules[object_.value])
    return Triple(triple.subject, predicate, object_)
