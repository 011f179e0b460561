"""The documents speak of files and folders that exist, and of all of them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from mindveil import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOP = ("accountant", "passes", "runtime", "tools", "tests", "docs", "src", "benchmarks", "examples")
DOCUMENTS = ("README.md", "docs/architecture.md", "docs/development.md", "docs/words.md")


def test_the_architecture_names_every_package(root: Path) -> None:
    text = (root / "docs" / "architecture.md").read_text()
    folders = {
        path.parent.relative_to(root).as_posix() for top in TOP[:4] for path in (root / top).rglob("__init__.py")
    }
    assert {folder for folder in folders if f"| `{folder}/` |" not in text} == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_a_document_names_exists(document: str, root: Path) -> None:
    text = (root / document).read_text()
    named = {path for path in re.findall(r"`([\w./]+)`", text) if path.split("/")[0] in TOP and "/" in path}
    assert {path for path in named if not (root / path).exists()} == set()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_to_another_document_leads_somewhere(document: str, root: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", (root / document).read_text())
    local = {link for link in links if "://" not in link}
    assert {link for link in local if not ((root / document).parent / link).exists()} == set()


def test_the_version_is_the_same_everywhere(root: Path) -> None:
    settings = tomllib.loads((root / "pyproject.toml").read_text())
    assert settings["project"]["version"] == __version__
    assert re.search(rf"^## {re.escape(__version__)}\b", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
