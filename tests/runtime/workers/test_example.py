"""The example for several workers runs alone too, and says what it spent."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


def test_the_script_trains_within_its_budget_and_saves(run_example: Any, tmp_path: Path) -> None:
    said = re.search(
        r"worker 0 of 1: accuracy ([0-9.]+), epsilon ([0-9.]+)", run_example("workers_mnist.py", "6").stdout
    )
    assert said is not None
    assert float(said[1]) > 0.4  # 0.78 to 0.82 in eight runs; weights and noise are new in each
    assert 2.9 < float(said[2]) <= 3.0
    assert (tmp_path / "lenet5.ckpt").is_file()
