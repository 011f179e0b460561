"""Breaks the lines of the source that ``source_lines.toml`` lists, one after another, in a copy of the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import tomllib

__all__ = ["broken_lines"]

LIST = Path(__file__).with_suffix(".toml")
KEPT = ("accountant", "passes", "runtime", "tools", "src", "tests", "examples", "pyproject.toml", "README.md")


def broken_lines(root: Path) -> Iterator[tuple[str, str]]:
    """(what was broken, the test that noticed), for every entry of the list; the second is empty where none did.

    Raises:
        RuntimeError: a line is not there once, so that the list no longer fits the source.
    """
    lines = tomllib.loads(LIST.read_text())["line"]
    for line in lines:
        count = (root / line["file"]).read_text().count(line["old"])
        if count != 1:
            raise RuntimeError(f"{line['file']} holds {line['old']!r} {count} times, and must hold it once")
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for part in KEPT:
            source = root / part
            if source.is_dir():
                shutil.copytree(source, copy / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, copy / part)
        for line in lines:
            target = copy / line["file"]
            whole = target.read_text()
            target.write_text(whole.replace(line["old"], line["new"]))
            try:
                yield f"{line['file']}: {line['what']}", _noticed(copy, line["tests"])
            finally:
                target.write_text(whole)


def _noticed(copy: Path, tests: list[str]) -> str:
    """The first test that fails; empty if none does."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(copy / "src")}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0].split("::")[-1][:90] if failed and done.returncode == 1 else ""
