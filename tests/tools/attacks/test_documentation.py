"""docs/attacks.md: its code runs, and its tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import onnx
import pytest

from mindveil.tools.attacks import ATTACKS, SCORES
from mindveil.tools.gradients import RULES

from .networks import digits, lenet5, linear_classifier

PAGE = (Path(__file__).parents[3] / "docs" / "attacks.md").read_text()


def test_the_code_on_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = lenet5()
    for node in model.graph.node:  # the exporter's name for what follows fc1
        for field in (node.input, node.output):
            for index, name in enumerate(field):
                field[index] = "fc1_relu" if name == "fc1" else name
    onnx.save(model, "model.onnx")
    onnx.save(linear_classifier(), "evaluator.onnx")
    images, labels = digits()
    names: dict[str, Any] = {
        "images": images[:4],
        "labels": labels[:4],
        "public_images": images[1000:1300],
        "public_labels": labels[1000:1300],
        "print": lambda *_, **__: None,
    }
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "docs/attacks.md", "exec"), names)
    assert set(names["results"]) == set(ATTACKS)


def test_the_table_of_operators_is_the_table_of_rules() -> None:
    listed = re.findall(r"^\| [^|]+ \| `rules/\w+\.py` \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert sorted(name for row in listed for name in row.split(", ")) == sorted(RULES)


def test_every_attack_and_score_is_explained() -> None:
    for name in (*ATTACKS, *SCORES):
        assert f"`{name}`" in PAGE
