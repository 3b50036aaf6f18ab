"""The documentation: its examples run, its links lead somewhere, its commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from everything import for_each

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def blocks(language):
    for page in PAGES:
        for i, code in enumerate(
            re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
        ):
            yield pytest.param(code, id=f"{page.relative_to(ROOT)}-{i}")


@pytest.mark.parametrize("code", list(blocks("python")))
def test_a_python_example_runs_against_the_service(code, address):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code.replace("http://localhost:8000", address)],
        capture_output=True, text=True, check=True, timeout=600,
    )  # fmt: skip
    assert len(done.stdout) > 20


def of_readme(language):
    text = (ROOT / "README.md").read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_commands_of_the_readme_run_as_they_stand_there(own, tmp_path):
    """After `make build`, in a folder where it has made what the Makefile says: nothing else is installed or set."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert re.search(r"^VENV := \.venv$", makefile, re.M)
    assert re.search(r"^STORE \?= \$\(VENV\)/store$", makefile, re.M)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    own(tmp_path / ".venv" / "store")
    lines = [line for code in of_readme("sh") for line in code.splitlines() if line.strip()]
    commands = [line for line in lines if not line.startswith("make ")]
    assert len(commands) >= 1
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "COLUMNS": "200"}
    for command in commands:
        done = subprocess.run(
            command, shell=True, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stderr)
        assert "A4.2" in done.stdout
    targets = re.findall(r"^([a-z-]+):.*##", makefile, flags=re.M)
    assert {line.split()[1] for line in lines if line.startswith("make ")} <= set(targets)


@pytest.mark.parametrize("code", of_readme("python"))
def test_the_python_of_the_readme_needs_nothing_but_python(code, address):
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code.replace("http://localhost:8000", address)],
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 20


@pytest.mark.parametrize("code", list(blocks("sh")))
def test_a_curl_example_gets_its_answer(code, address, tmp_path):
    (tmp_path / "my-query.rq").write_text("ASK {}")
    commands = code.replace("\\\n", " ").splitlines()
    for command in commands:
        if command.startswith("curl") and "localhost" in command:
            command = command.replace("http://localhost:8000", address).replace(
                "curl", "curl -sS --fail", 1
            )
            done = subprocess.run(
                command, shell=True, capture_output=True, check=False, cwd=tmp_path, timeout=600
            )
            assert done.returncode == 0, (command, done.stderr)
            assert done.stdout


@for_each("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_link_to_a_file_leads_to_it(page):
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


@for_each("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_or_target_that_a_page_names_exists(page):
    text = page.read_text("utf-8")
    targets = re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), flags=re.M)
    for name in re.findall(r"`make ([a-z-]+)`", text):
        assert name in targets
    for name in re.findall(r"`((?:docs|tests|data|ontology|shapes|queries)/[\w./-]+\.\w+)`", text):
        assert (ROOT / name).exists(), name


def test_the_readme_tells_the_numbers_of_the_files():
    text = (ROOT / "README.md").read_text("utf-8")
    constraints = sum(
        f.read_text("utf-8").count("sh:name ") for f in (ROOT / "shapes").glob("*.ttl")
    )
    rules = int(re.search(r"\| (\d+) rules", text).group(1))
    questions = int(re.search(r"\| (\d+) stored questions", text).group(1))
    assert rules <= constraints <= rules + 5
    assert questions == len(list((ROOT / "queries").rglob("*.rq")))
