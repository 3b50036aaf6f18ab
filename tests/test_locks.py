"""What is installed is locked with hashes, and the locks fit pyproject.toml."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
LOCKS = ("core", "all", "upkeep")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
GROUPS = PROJECT["dependency-groups"]


def locked(name):
    """The requirements of a lock and their hashes, by package."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").replace("\\\n", " ")
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            said, *hashes = line.split("--hash=")
            requirement = Requirement(said.strip())
            found[canonicalize_name(requirement.name)] = requirement, [h.strip() for h in hashes]
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_is_one_version_with_hashes(name):
    assert len(locked(name)) > 20
    for requirement, hashes in locked(name).values():
        assert [s.operator for s in requirement.specifier] == ["=="], requirement
        assert not requirement.url
        assert hashes, requirement
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", h) for h in hashes), requirement


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_place_where_packages_come_from(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")
    assert not re.search(r"://|file:|^\s*-(?!-hash)|^\s*--(?!hash=)|/", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("core", [PROJECT["project"]["dependencies"], GROUPS["build"]]),
        ("all", [PROJECT["project"]["dependencies"], GROUPS["build"], *EXTRAS.values()]),
        ("upkeep", [GROUPS["upkeep"]]),
    ],
)
def test_every_dependency_is_locked_at_a_version_that_fits(name, wanted):
    lock = locked(name)
    for text in (text for some in wanted for text in some):
        asked = Requirement(text)
        found, hashes = lock[canonicalize_name(asked.name)]
        assert asked.specifier.contains(next(iter(found.specifier)).version), text
        assert hashes, text
        assert bool(found.marker) == bool(asked.marker) or name != "core", text


def test_the_build_takes_nothing_that_is_not_locked():
    assert {Requirement(text).name for text in PROJECT["build-system"]["requires"]} <= {
        Requirement(text).name for text in GROUPS["build"]
    }


def test_the_lock_of_the_core_is_part_of_the_whole():
    whole = locked("all")
    for name, (requirement, hashes) in locked("core").items():
        assert (str(requirement.specifier), hashes) == (
            str(whole[name][0].specifier), whole[name][1],
        )  # fmt: skip


def test_what_runs_here_is_what_the_lock_says():
    for name, (requirement, _) in locked("all").items():
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(version(name), prereleases=True), name


@pytest.mark.parametrize("path", ["Makefile", "deploy/Containerfile"])
def test_everything_is_installed_by_hash(path):
    text = (ROOT / path).read_text("utf-8")
    calls = re.findall(r"(?:pip install|\$\(PIP\))([^&\n]*)", text)
    calls = [call for call in calls if "--requirement" in call or re.search(r"\s\.(\s|$)", call)]
    assert len(calls) >= 2
    for call in calls:
        if "--requirement" in call:
            assert "--require-hashes" in call
        else:
            assert "--no-deps --no-build-isolation" in call


def audit():
    spec = importlib.util.spec_from_file_location("audit", ROOT / "requirements" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_database_that_does_not_answer_is_not_taken_for_a_clean_bill():
    code, text = audit().verdict([{"name": "a", "skip_reason": "Dependency not found"}])
    assert code == 2
    assert "No advisory database answered" in text


def test_an_audit_tells_what_is_known_and_what_is_not():
    report = [
        {"name": "a", "version": "1", "vulns": [{"id": "X-1", "fix_versions": ["2"]}]},
        {"name": "b", "version": "1", "vulns": []},
        {"name": "c", "skip_reason": "Dependency not found"},
    ]
    code, text = audit().verdict(report)
    assert code == 1
    assert "a 1: X-1, mended in 2" in text
    assert "2 packages asked about, 1 known vulnerabilities" in text
    assert "does not know c" in text
    assert audit().verdict(report[1:2])[0] == 0


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (json.dumps({"dependencies": [{"name": "a", "version": "1", "vulns": []}]}), 0),
        ("", 2),
    ],
)
def test_an_audit_that_fails_says_so_in_words(tmp_path, said, code):
    """By a pip-audit that finds nothing, and by one that breaks."""
    (tmp_path / "pip_audit.py").write_text(
        f"import sys\nprint({said!r})\nif not {said!r}: raise ConnectionError('no such host')\n"
    )
    done = subprocess.run(
        [sys.executable, ROOT / "requirements" / "audit.py", "some.txt"],
        capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == code
    assert "Traceback" not in done.stdout + done.stderr
    assert ("no such host" in done.stdout) == bool(code)
