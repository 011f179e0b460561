"""The tutorials' scripts of differential privacy, from their imports to their last lines, on a few images."""

from __future__ import annotations

import re
from collections.abc import Callable
from subprocess import CompletedProcess


def test_the_tutorial_runs_to_its_end(
    write_images: Callable[[int, int], None], run_example: Callable[..., CompletedProcess[str]]
) -> None:
    write_images(512, 256)
    changes = {'"num_samples": 4000': '"num_samples": 512', "_lenet-10_15.ckpt": "_lenet-10_2.ckpt"}
    done = run_example("dp_lenet5.py", instead=changes)
    assert "epoch: 10 step: 2, loss is" in done.stdout
    assert re.search(
        r"epoch: 10 step: 2, delta is 0\.001, eps is \d{4}\.\d+ \(MindArmour's formula: eps is", done.stdout
    )
    assert "publishing 0.512 records" not in done.stderr
    assert "Accuracy: {'Accuracy': " in done.stderr
