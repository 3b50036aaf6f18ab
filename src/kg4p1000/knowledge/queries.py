"""The query library: files with a metadata header, typed parameters, run by name.

A stored query is a plain ``.rq`` file that runs in any tool; its header stands in ``#+`` comments
(YAML). Parameters are variables that the query projects; they are bound as terms. One that says which
objectives ask it is a competency question; `questions` tells whether the graph answers it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from pyoxigraph import Literal, NamedNode

from .. import sparql
from ..kernel.errors import BadParameter, BrokenFile, KgError, NotFound
from ..kernel.files import broken, read, see_name
from ..kernel.terms import CODE, CODE_SCHEMES, ID_TYPES, PREFIXES, iri, mint, natural_key
from ..kernel.texts import did_you_mean, meant
from ..store import Readers, Result

#: Instead of the codes of objectives: a question that all of them ask.
_ACROSS = "across"
_OBJECTIVE = re.compile("[A-Z][1-9][0-9]*")
_CASE = re.compile("[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
#: How far a query is to be relied on.
_STATUSES = ("draft", "stable", "deprecated")
#: So many things of a kind are looked through for one that was meant; of no more than the second, all are named.
_LOOKED_AT, _LISTED = 2000, 12
#: Things that were found in a version of the graph, kept so that they are not looked for again.
_KEPT = 10_000
_LANGUAGES = ("en", "fr", "es")
#: The loader of libyaml, where there is one, is ten times as fast.
_Yaml = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Options of the command line and of addresses.
_TAKEN = {"config", "files", "format", "page", "sparql", "store", "timeout", "version"}
_INTEGER, _DECIMAL = iri("xsd:integer"), iri("xsd:decimal")
#: Types of values that are not codes: what to call them in a message, how they are written, and the term for one.
_VALUES: dict[str, tuple[str, str, Callable[[str], NamedNode | Literal]]] = {
    "xsd:integer": (
        "a whole number",
        "[+-]?[0-9]+",
        lambda text: Literal(str(int(text)), datatype=_INTEGER),
    ),
    "xsd:decimal": (
        "a number",
        r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)",
        lambda text: Literal(format(Decimal(text), "f"), datatype=_DECIMAL),
    ),
    "xsd:string": ("a text", "(?s:.*)", Literal),
    "iri": ("an IRI", "(?s:.*)", NamedNode),
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

    @property
    def described(self) -> str:
        """What a value is, for a message."""
        if self.type in ID_TYPES:
            return f"the code of one {self.type}"
        scheme = self.type.removeprefix("code:")
        return f"a code of the list {scheme}" if scheme != self.type else _VALUES[self.type][0]

    def term(self, value: str) -> NamedNode | Literal:
        """Return a value as a term, or raise BadParameter where it is not of the type."""
        scheme, text = self.type.removeprefix("code:"), value.strip()
        try:
            if self.type in ID_TYPES:
                return mint(self.type, text)
            _, pattern, convert = _VALUES.get(self.type, ("", "[A-Za-z0-9-]+", None))
            if re.fullmatch(pattern, text):
                return convert(text) if convert else NamedNode(f"{CODE}{scheme}/{text}")
        except ValueError:
            pass
        raise BadParameter(
            f"The parameter {self.name!r} is {value!r} and must be {self.described},"
            f" such as {self.example!r}.",
            parameter=self.name,
        )


@dataclass(frozen=True)
class StoredQuery:
    """A query of the library.

    Attributes:
        question: in English; `questions` has it by language.
        askers: codes of the objectives that ask it, or ``across``, when all of them do.
        cases: name to values of the parameters, of which the answers are known; the examples have
            no name.
        returns: column name to what it holds; the columns in the order of the file.
        empty: what an empty result means, for people.
        awaits: what the graph lacks for an answer; empty where it has one.
        recorded: whether the rows are what people record while the graph is in use, so that any number of
            rows is right, none included.
    """

    name: str
    text: str
    path: Path
    summary: str
    questions: Mapping[str, str] = field(default_factory=dict)
    askers: tuple[str, ...] = ()
    status: str = "stable"
    empty: str = "Nothing in the graph answers this."
    tags: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    cases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    returns: Mapping[str, str] = field(default_factory=dict)
    awaits: str = ""
    recorded: bool = False

    @property
    def objectives(self) -> tuple[str, ...]:
        """Codes of the objectives that ask it."""
        return tuple(code for code in self.askers if code != _ACROSS)

    @property
    def across(self) -> bool:
        """Return whether all objectives ask it."""
        return _ACROSS in self.askers

    @property
    def question(self) -> str:
        """The question in English."""
        return self.questions.get("en", "")

    @property
    def asked(self) -> bool:
        """Return whether it is a competency question."""
        return bool(self.askers)

    @property
    def nothing(self) -> str:
        """What to say of an empty result: that nothing is there, or that the data are not there yet."""
        return f"The graph has no data for this yet: {self.awaits}" if self.awaits else self.empty

    def bindings(self, values: Mapping[str, str]) -> dict[str, NamedNode | Literal]:
        """Return terms for all parameters, or raise BadParameter that names what is missing, unknown or wrong."""
        known = {p.name: p for p in self.parameters}
        for name in values:
            if name not in known:
                hint = did_you_mean(name, [*known, "format", "version"], quoted=True)
                raise BadParameter(
                    f"The query {self.name!r} has no parameter {name!r}; it takes:"
                    f" {', '.join(known) or 'none'}.{hint}",
                    parameter=name,
                )
        for parameter in self.parameters:
            if not values.get(parameter.name, "").strip():
                raise BadParameter(
                    f"The query {self.name!r} needs the parameter {parameter.name!r}:"
                    f" {parameter.described}, such as {parameter.example!r}.",
                    parameter=parameter.name,
                )
        return {name: known[name].term(value) for name, value in values.items()}


class Library:
    """The stored queries of a folder and the folders in it, by name; see `read_query` for what is refused."""

    def __init__(self, folder: Path) -> None:
        self._queries: dict[str, StoredQuery] = {}
        self._found: set[tuple[int, str]] = set()
        for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() == ".rq"):
            query = read_query(path)
            if query.name in self._queries:
                raise broken(path, f"a query with this name stands in {self[query.name].path}.")
            self._queries[query.name] = query

    def __getitem__(self, name: str) -> StoredQuery:
        try:
            return self._queries[name]
        except KeyError:
            hint = did_you_mean(name, self._queries, 3, 0.5)
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
    ) -> Result:
        """Run a stored query by name; see `bound` for what `values` must be."""
        bindings = self.bound(readers, name, values, version)
        query = sparql.guard(self[name].text, bindings.keys())
        return sparql.run(readers, query, form, bindings=bindings, version=version)

    def bound(
        self, readers: Readers, name: str, values: Mapping[str, str], version: int | None = None
    ) -> dict[str, NamedNode | Literal]:
        """Return terms for all parameters of a query; codes and elements of the plan are in the graph.

        Raises:
            BadParameter: see `StoredQuery.bindings`; or a version has no such code or element.
        """
        query = self[name]
        bindings = query.bindings(values)
        for parameter in query.parameters:
            term = bindings[parameter.name]
            if parameter.type not in _VALUES and not self._is_there(readers, term, version):
                raise BadParameter(
                    f"The parameter {parameter.name!r} is {values[parameter.name]!r} and must be"
                    f" {parameter.described} that is in the graph."
                    f" {_meant(readers, parameter, term, version)}",
                    parameter=parameter.name,
                )
        return bindings

    def _is_there(self, readers: Readers, term: Any, version: int | None) -> bool:
        key = (version or readers.store.current, term.value)
        if key not in self._found:
            found = readers.query(f"ASK {{ {term} ?property ?value }}", version=version)
            if not found.json()["boolean"]:
                return False
            if len(self._found) >= _KEPT:
                self._found.clear()
            self._found.add(key if version else (found.version, term.value))
        return True


def named_terms(text: str) -> set[str]:
    """Return the local names of terms of ours (``k4p:``) in the code of a query.

    >>> sorted(named_terms('SELECT ?x { ?x a k4p:Goal ; k4p:number 1 } # k4p:Remark'))
    ['Goal', 'number']
    """
    code = re.sub(r'#[^\n]*|"[^"\n]*"', " ", text)
    return set(re.findall(r"\bk4p:([A-Za-z][A-Za-z0-9]*)", code))


class _Header:
    """The ``#+`` lines of a query file, which knows where in the file it stands."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        numbered = [(i, t) for i, t in enumerate(text.splitlines(True), 1) if t.startswith("#+")]
        self._lines = [number for number, _ in numbered] or [1]
        self._texts = [line[2:].removeprefix(" ") for _, line in numbered]
        try:
            self.said: Any = yaml.load("".join(self._texts), Loader=_Yaml)  # noqa: S506 - a safe one
        except yaml.YAMLError as e:
            mark = getattr(e, "problem_mark", None)
            row = min(mark.line, len(self._lines) - 1) if mark else 0
            why = getattr(e, "problem", None) or "it cannot be read"
            raise self.broken(
                f"the #+ header is not YAML: {why}. Put a text with ': ', '#' or brackets in"
                " quotation marks, and close what is opened.",
                row=row,
            ) from e
        if not isinstance(self.said, dict) or "summary" not in self.said:
            raise self.broken("the #+ header needs at least a summary: add '#+ summary: …'.")
        for key in self.said:
            if key not in _KEYS:
                hint, known = did_you_mean(str(key), _KEYS, quoted=True), ", ".join(sorted(_KEYS))
                raise self.broken(f"unknown header keys {key}.{hint} Known are {known}.", key)

    def fields(self) -> dict[str, Any]:
        """Return the fields of the query, by name."""
        found = {}
        for key, (name, convert, must) in _KEYS.items():
            try:
                found[name] = convert(self.said.get(key))
            except (AttributeError, KeyError, TypeError, ValueError) as e:
                raise self.broken(
                    f"{key} of the #+ header {must} ({type(e).__name__}: {e}).", key
                ) from e
        return found

    def broken(self, detail: str, key: object = None, row: int = 0) -> BrokenFile:
        """Return the error for what a key says, or for what stands in a row of the header."""
        if key is not None:
            row = next((i for i, t in enumerate(self._texts) if t.startswith(f"{key}:")), 0)
        return broken(self.path, detail, self._lines[row])


def read_query(path: Path) -> StoredQuery:
    """Read one query file.

    Raises:
        BrokenFile: its header is missing, is not YAML, or has an unknown or missing key or a value of
            the wrong kind; or its query is not SPARQL. Has ``file`` and ``line``.
    """
    see_name(path)
    text = read(path).decode()
    header = _Header(path, text)
    query = StoredQuery(name=path.stem, text=text, path=path, **header.fields())
    for name, values in query.cases.items():
        try:
            query.bindings(values)
        except KgError as e:
            raise header.broken(f"the case {name} does not fit: {e.detail}", "cases") from e
    try:
        columns = sparql.columns_of(text)
    except KgError as e:
        line, told = e.members.get("line", 1), re.sub(r"^Line \d+, column", "column", e.detail)
        raise broken(path, f"the query cannot be run: {told}", line) from e
    if fault := _misfit(query, columns, "returns" in header.said):
        raise header.broken(*fault)
    return query


def _misfit(query: StoredQuery, columns: list[str], described: bool) -> tuple[str, str] | None:
    """Return what of a header does not fit the columns that the query gives, and the key at fault."""
    if query.parameters and sparql.guard(query.text).form == "ASK":
        return (
            "an ASK has no columns that parameters could be bound to. Write a SELECT.",
            "parameters",
        )
    for parameter in query.parameters:
        if columns and parameter.name not in columns:
            return (
                f"the parameter {parameter.name} is bound to a column, and the query has none of that name"
                f" ({', '.join(columns)}). Select ?{parameter.name}, or correct the name.",
                "parameters",
            )
    if (described or query.asked) and list(query.returns) != columns:
        return (
            f"'returns' describes {', '.join(query.returns) or 'no column'}, and the query gives"
            f" {', '.join(columns) or 'none'}. Describe each column, in the order of SELECT.",
            "returns",
        )
    return None


def _refuse(wrong: Iterable[object], why: str) -> None:
    for value in wrong:
        raise ValueError(why.format(value))


def _parameters(given: Any) -> tuple[Parameter, ...]:
    said = given or {}
    taken = (n for n in said if n in _TAKEN or not re.fullmatch("[A-Za-z][A-Za-z0-9]*", n))
    _refuse(taken, "no parameter can be called {!r}")
    known = {*ID_TYPES, *_VALUES, *(f"code:{scheme}" for scheme in CODE_SCHEMES)}
    _refuse((p["type"] for p in said.values() if p["type"] not in known), "unknown type {!r}")
    return tuple(
        Parameter(name, p["type"], str(p["example"]), str(p.get("help", "")))
        for name, p in said.items()
    )


def _texts(given: Any) -> dict[str, str]:
    return {str(name): str(told) for name, told in (given or {}).items()}


def _questions(given: Any) -> dict[str, str]:
    texts = _texts({"en": given} if isinstance(given, str) else given)
    _refuse(sorted(set(texts) - set(_LANGUAGES)), "unknown language {}")
    return texts


def _objectives(given: Any) -> tuple[str, ...]:
    codes = (given,) if given == _ACROSS else tuple(given or ())
    wrong = (code for code in codes if code != _ACROSS and not _OBJECTIVE.fullmatch(code))
    _refuse(wrong, "{!r} is no code of an objective")
    return codes


def _cases(given: Any) -> dict[str, dict[str, str]]:
    cases = {str(name): _texts(values) for name, values in (given or {}).items()}
    wrong = (name for name in cases if not _CASE.fullmatch(name))
    _refuse(wrong, "no case can be called {!r}, since files are named after it")
    return cases


def _line(given: Any) -> str:
    text = str(given or "")
    if not text.isascii() or not text.isprintable():
        raise ValueError(text)
    return text


def _status(given: Any) -> str:
    if given not in (None, *_STATUSES):
        close = meant(str(given), _STATUSES)
        raise ValueError(f"{given!r} is none{f'; did you mean {close[0]!r}?' if close else ''}")
    return given or "stable"


def _recorded(given: Any) -> bool:
    if given not in (None, "recorded"):
        raise ValueError(given)
    return given is not None


_ONE_LINE = "must be one line of ASCII, as it goes out as a header too"
#: Keys of a header: the field of the query, what makes it of the value, and what the value must be.
_KEYS: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "summary": ("summary", str, "must be a text"),
    "parameters": ("parameters", _parameters, "must be parameters as name: {type, example}"),
    "objectives": ("askers", _objectives, "must be a list of codes like [A4], or across"),
    "question": ("questions", _questions, "must be a text, or texts as en, fr and es"),
    "status": ("status", _status, f"must be {', '.join(_STATUSES)}"),
    "empty": ("empty", lambda given: _line(given) or StoredQuery.empty, _ONE_LINE),
    "rows": ("recorded", _recorded, "can only be 'recorded'"),
    "tags": ("tags", lambda given: tuple(map(str, given or ())), "must be tags as a list"),
    "cases": ("cases", _cases, "must be cases as name: {parameter: value}"),
    "returns": ("returns", _texts, "must be returns as name: text"),
    "awaits": ("awaits", _line, _ONE_LINE),
}


def _meant(readers: Readers, parameter: Parameter, term: Any, version: int | None) -> str:
    """Return what may have been meant by a value that names nothing."""
    space, slash, key = term.value.rpartition("/")
    pattern = f"?thing a <{PREFIXES['k4p']}{parameter.type.title().replace('-', '')}>"
    if parameter.type.startswith("code:"):
        pattern = f"?thing <{PREFIXES['skos']}inScheme> <{space}>"
    asked = f"SELECT DISTINCT ?thing WHERE {{ {pattern} }} ORDER BY ?thing LIMIT {_LOOKED_AT}"
    rows = readers.query(asked, version=version).json()["results"]["bindings"]
    known = [row["thing"]["value"].removeprefix(space + slash) for row in rows]
    if hint := did_you_mean(key, known, 3, 0.5):
        return hint.lstrip()
    if 0 < len(known) <= _LISTED:
        return f"There is {', '.join(sorted(known, key=natural_key))}."
    return f"Give one such as {parameter.example!r}."
