"""The guide for MindArmour's users names modules that can be imported and tests that exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "migration.md").read_text()
FOLDERS = {"sup": "sup_privacy", "dp": "diff_privacy"}


def source_of(name: str) -> str:
    """The source of a test file by the guide's short name."""
    folder, _, file = name.rpartition("/")
    return (ROOT / "tests" / "runtime" / FOLDERS.get(folder, "") / file).read_text()


def cited() -> list[tuple[str, str]]:
    """Test file and part of a test's name, for every citation; ``..._part...`` goes on in the file named before it."""
    found, file = [], ""
    for code in re.findall(r"`([^`\n]+)`", GUIDE):
        match = re.fullmatch(r"((?:(?:sup|dp)/)?test_\w+\.py)(?:::(\w+?)(?:\.\.\.)?)?", code)
        if match:
            file = match[1]
            found.append((file, match[2] or "test_"))
        elif re.fullmatch(r"\.\.\._\w+(\.\.\.)?", code):
            found.append((file, code.strip("._")))
    return found


def test_the_modules_of_the_import_table_exist() -> None:
    table = GUIDE[GUIDE.index("| from | here |") : GUIDE.index("`SoftmaxCrossEntropyWithLogits")]
    here = [row.split("|")[2] for row in table.splitlines() if row.count("|") == 3]
    modules = {module for cell in here for module in re.findall(r"`(mind(?:veil|spore)[\w.]+)`", cell)}
    assert len(modules) == 9
    for module in modules:
        importlib.import_module(module)


def test_every_test_that_the_guide_cites_exists() -> None:
    citations = cited()
    assert len(citations) > 50
    missing = [
        (file, part)
        for file, part in citations
        if not re.search(rf"def test_\w*{part.removeprefix('test_')}", source_of(file))
    ]
    assert missing == []


def test_every_file_that_the_guide_names_exists() -> None:
    for name in re.findall(r"`((?:examples|benchmarks)/[\w/.]+\.\w+)`", GUIDE):
        assert (ROOT / name).is_file(), name
    for name in re.findall(r"`(\w+\.py)`", GUIDE):
        assert (ROOT / "examples" / name).is_file() or (ROOT / "tests" / "runtime" / name).is_file(), name
