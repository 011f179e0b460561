"""The tutorials' scripts of differential privacy, from their imports to their last lines, on a few images."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np

from mindveil.runtime.datasets import embedded_mnist

ROOT = Path(__file__).resolve().parents[3]


def write_images(folder: Path) -> None:
    """512 images to train on and 256 to test with, as idx files."""
    data = embedded_mnist(size=28)
    for part, prefix, images, labels in (
        ("train", "train", data.train_images[:512], data.train_labels[:512]),
        ("test", "t10k", data.test_images[:256], data.test_labels[:256]),
    ):
        (folder / part).mkdir(parents=True)
        pixels = np.rint(images[:, 0] * 255).astype(np.uint8)
        header = struct.pack(">IIII", 2051, *pixels.shape)
        (folder / part / f"{prefix}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
        header = struct.pack(">II", 2049, len(labels))
        (folder / part / f"{prefix}-labels-idx1-ubyte").write_bytes(header + labels.astype(np.uint8).tobytes())


def test_the_tutorial_runs_to_its_end(tmp_path: Path) -> None:
    write_images(tmp_path / "MNIST_unzip")
    script = (ROOT / "examples" / "dp_lenet5.py").read_text()
    for old, new in (('"num_samples": 4000', '"num_samples": 512'), ("_lenet-10_15.ckpt", "_lenet-10_2.ckpt")):
        assert old in script
        script = script.replace(old, new)
    (tmp_path / "dp_lenet5.py").write_text(script)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "dp_lenet5.py")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "epoch: 10 step: 2, loss is" in done.stdout
    assert re.search(
        r"epoch: 10 step: 2, delta is 0\.001, eps is \d{4}\.\d+ \(MindArmour's formula: eps is", done.stdout
    )
    assert "publishing 0.512 records" not in done.stderr
    assert "Accuracy: {'Accuracy': " in done.stderr
