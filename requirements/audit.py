"""Ask an advisory database about what the locks name, and say in words what it answered.

pip-audit passes over what the database does not know, and then finds no vulnerabilities; here that is no answer.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

_UNASKED = 2


def main(locks: list[str]) -> int:
    """Ask about all locks.

    Returns:
        0 when nothing is known, 1 when something is, 2 when no database could be asked.
    """
    packages, why = [], ""
    for lock in locks:
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", "--format=json",
             "--progress-spinner=off", "--requirement", lock],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        try:
            packages += json.loads(done.stdout)["dependencies"]
        except (ValueError, KeyError, TypeError):
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            why = f"\npip-audit gave no report on {lock}: {last[:300]}"
    code, text = verdict(packages)
    print(text + why)
    return max(code, _UNASKED) if why else code


def verdict(packages: list[dict[str, Any]]) -> tuple[int, str]:
    """Tell what a report of pip-audit means.

    Args:
        packages: its list of dependencies.

    Returns:
        The exit code, as `main` has it, and the words.
    """
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:
        return _UNASKED, (
            "No advisory database answered, so nothing is known: run 'make audit' on a machine that reaches one."
        )
    lines = [
        f"{package['name']} {package['version']}: {found['id']}"
        + (f", mended in {', '.join(found['fix_versions'])}" if found.get("fix_versions") else "")
        for package in asked
        for found in package["vulns"]
    ]
    missing = [package["name"] for package in packages if "skip_reason" in package]
    lines.append(f"{len(asked)} packages asked about, {len(lines) or 'no'} known vulnerabilities.")
    if missing:
        lines.append(f"The database does not know {', '.join(missing)}.")
    return (1 if any(package["vulns"] for package in asked) else 0), "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
