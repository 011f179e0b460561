"""The tutorial's script, from its imports to its last line, on a few images."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mindspore as ms
import numpy as np

from mindveil.runtime.datasets import embedded_mnist, load

ROOT = Path(__file__).resolve().parents[3]


def test_the_tutorial_runs_to_its_end(
    tmp_path: Path,
    write_images: Callable[[int, int], None],
    run_example: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    write_images(96, 32)
    done = run_example("suppress_lenet5.py")
    assert "epoch: 10 step: 3, loss is" in done.stdout
    assert "SUPP Accuracy: {'Accuracy': " in done.stderr
    assert "batch_num is 1875, but the data set has 3 batches; the plan follows it" in done.stderr
    saved = ms.load_checkpoint(str(tmp_path / "trained_ckpt_file" / "checkpoint_lenet-10_3.ckpt"))
    zeros = {
        name: int((saved[f"{name}.weight"].asnumpy() == 0).sum()) for name in ("conv1", "conv2", "fc1", "fc2", "fc3")
    }
    assert zeros == {"conv1": 140, "conv2": 2280, "fc1": 45600, "fc2": 9576, "fc3": 790}


def test_the_images_that_come_with_the_library_can_be_written_for_it(tmp_path: Path) -> None:
    line = [sys.executable, str(ROOT / "examples" / "write_mnist.py"), str(tmp_path)]
    subprocess.run(line, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}, check=True)
    written, embedded = load(tmp_path, size=28), embedded_mnist(size=28)
    np.testing.assert_array_equal(written.train_images, embedded.train_images)
    np.testing.assert_array_equal(written.test_labels, embedded.test_labels)
