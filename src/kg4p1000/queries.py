"""The query library: files with a metadata header, typed parameters, run by name.

A stored query is a plain ``.rq`` file that runs in any tool; its header stands in ``#+`` comments
(YAML). Parameters are variables that the query projects; they are bound as terms.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from pyoxigraph import Literal, NamedNode

from . import sparql
from .errors import BadParameter, BrokenFile, NotFound
from .store import Readers, Result
from .terms import CODE, CODE_SCHEMES, ID_TYPES, PREFIXES, mint

_KEYS = {"summary", "question", "tags", "parameters", "returns", "status", "empty"}
_XSD = PREFIXES["xsd"]
#: Options of the command line and of addresses.
_TAKEN = {"config", "files", "format", "sparql", "store", "timeout", "version"}
#: Types of values that are not codes, and what to call them in a message.
_VALUE_TYPES = {
    "xsd:integer": "a whole number",
    "xsd:decimal": "a number",
    "xsd:string": "a text",
    "iri": "an IRI",
}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a stored query.

    Attributes:
        type: ``xsd:string``, ``xsd:integer``, ``xsd:decimal``, ``iri``, a kind of thing
            (``objective``: the value is a key such as A4) or ``code:<scheme>``.
        example: a value that gives rows.
    """

    name: str
    type: str
    example: str
    help: str = ""

    def term(self, value: str) -> NamedNode | Literal:
        """The value as a term.

        Raises:
            BadParameter: it is not of the type.
        """
        try:
            return _convert(self.type, value.strip())
        except ValueError:
            raise BadParameter(
                f"The parameter {self.name!r} is {value!r} and must be {_describe(self.type)},"
                f" such as {self.example!r}.",
                parameter=self.name,
            ) from None


@dataclass(frozen=True)
class StoredQuery:
    """A query of the library.

    Attributes:
        returns: column name to what it holds; the columns in the order of the file.
        empty: what an empty result means, for people.
    """

    name: str
    text: str
    path: Path
    summary: str
    question: str = ""
    status: str = "stable"
    empty: str = "Nothing in the graph answers this."
    tags: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    returns: Mapping[str, str] = field(default_factory=dict)

    def bindings(self, values: Mapping[str, str]) -> dict[str, NamedNode | Literal]:
        """Terms for all parameters.

        Raises:
            BadParameter: one is missing, unknown or of the wrong type; the message names it.
        """
        known = {p.name: p for p in self.parameters}
        for name in values:
            if name not in known:
                close = difflib.get_close_matches(name, known, 1)
                hint = f" Did you mean {close[0]!r}?" if close else ""
                takes = ", ".join(known) or "none"
                raise BadParameter(
                    f"The query {self.name!r} has no parameter {name!r}; it takes: {takes}.{hint}",
                    parameter=name,
                )
        for parameter in self.parameters:
            if not values.get(parameter.name, "").strip():
                raise BadParameter(
                    f"The query {self.name!r} needs the parameter {parameter.name!r}:"
                    f" {_describe(parameter.type)}, such as {parameter.example!r}.",
                    parameter=parameter.name,
                )
        return {name: known[name].term(value) for name, value in values.items()}


class Library:
    """The stored queries of a folder and the folders in it, by name.

    Raises:
        BrokenFile: a header is missing or wrong; says which file and what.
    """

    def __init__(self, folder: Path) -> None:
        self._queries: dict[str, StoredQuery] = {}
        for path in sorted(folder.rglob("*.rq")):
            query = read_query(path)
            if query.name in self._queries:
                raise BrokenFile(
                    f"{path}: a query with this name stands in {self[query.name].path}."
                )
            self._queries[query.name] = query

    def __getitem__(self, name: str) -> StoredQuery:
        try:
            return self._queries[name]
        except KeyError:
            close = difflib.get_close_matches(name, self._queries, 3, 0.5)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            raise NotFound(
                f"There is no stored query {name!r}.{hint} /query/ lists them."
            ) from None

    def __iter__(self) -> Iterator[StoredQuery]:
        return iter(sorted(self._queries.values(), key=lambda q: q.name))

    def __len__(self) -> int:
        return len(self._queries)

    def run(
        self,
        readers: Readers,
        name: str,
        values: Mapping[str, str],
        form: str = "json",
        version: int | None = None,
        gone: Callable[[], bool] = lambda: False,
    ) -> Result:
        """Run a stored query by name; see `StoredQuery.bindings` for what `values` must be."""
        query = self[name]
        bindings = query.bindings(values)
        return sparql.run(
            readers, sparql.guard(query.text), form, bindings=bindings, version=version, gone=gone
        )


def read_query(path: Path) -> StoredQuery:
    """Read one query file.

    Raises:
        BrokenFile: its header is missing, is not YAML, or has an unknown or missing key.
    """
    text = path.read_text(encoding="utf-8")
    header = "".join(
        line[2:].removeprefix(" ") for line in text.splitlines(True) if line.startswith("#+")
    )
    try:
        meta: Any = yaml.safe_load(header)
    except yaml.YAMLError as e:
        raise BrokenFile(f"{path}: the #+ header is not YAML: {e}", file=str(path)) from e
    if not isinstance(meta, dict) or "summary" not in meta:
        raise BrokenFile(f"{path}: the #+ header needs at least a summary.", file=str(path))
    if unknown := set(meta) - _KEYS:
        raise BrokenFile(
            f"{path}: unknown header keys {', '.join(sorted(unknown))}; known are"
            f" {', '.join(sorted(_KEYS))}.",
            file=str(path),
        )
    try:
        parameters = tuple(
            Parameter(_free(name), _known(p["type"]), str(p["example"]), str(p.get("help", "")))
            for name, p in (meta.get("parameters") or {}).items()
        )
        returns = {str(name): str(told) for name, told in (meta.get("returns") or {}).items()}
        tags = tuple(str(tag) for tag in meta.get("tags") or ())
    except (AttributeError, KeyError, TypeError, ValueError) as e:
        raise BrokenFile(
            f"{path}: the #+ header needs parameters as name: {{type, example}}, returns as"
            f" name: text, and tags as a list ({type(e).__name__}: {e}).",
            file=str(path),
        ) from e
    return StoredQuery(
        name=path.stem,
        text=text,
        path=path,
        summary=str(meta["summary"]),
        question=str(meta.get("question", "")),
        status=str(meta.get("status", "stable")),
        empty=str(meta.get("empty", StoredQuery.empty)),
        tags=tags,
        parameters=parameters,
        returns=returns,
    )


def _free(name: str) -> str:
    """The name of a parameter, if HTTP and the command line leave it free."""
    if name in _TAKEN or not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", name):
        raise ValueError(f"no parameter can be called {name!r}")
    return name


def _known(kind: str) -> str:
    """The type of a parameter, if it is one that `Parameter.term` can make."""
    schemes = {f"code:{scheme}" for scheme in CODE_SCHEMES}
    if kind not in {*ID_TYPES, *schemes, *_VALUE_TYPES}:
        raise ValueError(f"unknown type {kind!r}")
    return kind


def _convert(kind: str, value: str) -> NamedNode | Literal:
    if kind in ID_TYPES:
        return mint(kind, value)
    if kind.startswith("code:") and kind[5:] in CODE_SCHEMES:
        if not re.fullmatch(r"[A-Za-z0-9-]+", value):
            raise ValueError(value)
        return NamedNode(f"{CODE}{kind[5:]}/{value}")
    match kind:
        case "xsd:integer":
            if not re.fullmatch(r"[+-]?[0-9]+", value):
                raise ValueError(value)
            return Literal(str(int(value)), datatype=NamedNode(_XSD + "integer"))
        case "xsd:decimal":
            if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)", value):
                raise ValueError(value)
            return Literal(format(Decimal(value), "f"), datatype=NamedNode(_XSD + "decimal"))
        case "xsd:string":
            return Literal(value)
        case "iri":
            return NamedNode(value)
    raise ValueError(f"unknown parameter type {kind}")


def _describe(kind: str) -> str:
    if kind in ID_TYPES:
        return f"the code of one {kind}"
    if kind.startswith("code:"):
        return f"a code of the list {kind[5:]}"
    return _VALUE_TYPES[kind]
