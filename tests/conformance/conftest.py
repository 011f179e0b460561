"""Runs each house rule once for every file it is about, so that a failure names the file."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("accountant", "passes", "runtime", "tools")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for argument, folders in (("package_file", FOLDERS), ("test_file", ("tests",)), ("file", (*FOLDERS, "tests"))):
        if argument in metafunc.fixturenames:
            files = sorted(path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))
            metafunc.parametrize(argument, [ROOT / file for file in files], ids=map(str, files))


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the repository."""
    return ROOT
