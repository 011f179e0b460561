"""The README's commands exist, and say what is wrong when they cannot start."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*words: str, root: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", "--no-print-directory", *words], cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def test_the_commands_that_the_readme_names_exist(root: Path) -> None:
    named = set(re.findall(r"\bmake (\w+)", (root / "README.md").read_text()))
    assert {"demo", "test"} <= named
    for target in named:
        assert make("--dry-run", target, root=root).returncode == 0


def test_continuous_integration_runs_the_readmes_test_command(root: Path) -> None:
    script = (root / ".ci" / "run").read_text()
    assert re.search(r"^make test\b", script, re.MULTILINE)
    assert os.access(root / ".ci" / "run", os.X_OK)


def test_a_missing_interpreter_is_said_to_be_missing_and_nothing_is_made(root: Path, tmp_path: Path) -> None:
    venv = tmp_path / "environment"
    done = make("interpreter", "PYTHON=/no/such/python", f"VENV={venv}", root=root)
    assert done.returncode != 0
    assert "needs Python 3.10, 3.11 or 3.12" in done.stderr
    assert "/no/such/python" in done.stderr
    assert not venv.exists()


def test_an_interpreter_of_another_version_is_not_taken(root: Path, tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")  # what the version check of an interpreter that does not fit comes to
    old.chmod(0o755)
    done = make("interpreter", f"PYTHON={old}", f"VENV={tmp_path / 'environment'}", root=root)
    assert done.returncode != 0
    assert str(old) in done.stderr
