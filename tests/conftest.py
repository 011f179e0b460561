"""What all tests share: MindSpore's mode stays, and example scripts run in folders with images of their own."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from mindveil.runtime.datasets import embedded_mnist

ROOT = Path(__file__).resolve().parents[1]

Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(autouse=True)
def _mode_stays() -> Iterator[None]:
    """Every test begins in MindSpore's default mode; tests that never load MindSpore do not wait for it here."""
    yield
    mindspore = sys.modules.get("mindspore")
    if mindspore is not None:
        mindspore.set_context(mode=mindspore.PYNATIVE_MODE)


@pytest.fixture
def write_images(tmp_path: Path) -> Callable[[int, int], None]:
    """A function of how many images to write into ``MNIST_unzip``, to train on and to test with."""

    def write(train: int, test: int) -> None:
        data = embedded_mnist(size=28)
        for part, prefix, images, labels in (
            ("train", "train", data.train_images[:train], data.train_labels[:train]),
            ("test", "t10k", data.test_images[:test], data.test_labels[:test]),
        ):
            folder = tmp_path / "MNIST_unzip" / part
            folder.mkdir(parents=True)
            pixels = np.rint(images[:, 0] * 255).astype(np.uint8)
            header = struct.pack(">IIII", 2051, *pixels.shape)
            (folder / f"{prefix}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
            header = struct.pack(">II", 2049, len(labels))
            (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(header + labels.astype(np.uint8).tobytes())

    return write


@pytest.fixture
def run_example(tmp_path: Path) -> Script:
    """A function that runs a script of ``examples/`` to its end, some of its text replaced, and gives its output."""

    def run(name: str, *arguments: str, instead: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        text = (ROOT / "examples" / name).read_text()
        for old, new in (instead or {}).items():
            assert old in text, f"{name} does not hold {old!r}"
            text = text.replace(old, new)
        (tmp_path / name).write_text(text)
        done = subprocess.run(
            [sys.executable, str(tmp_path / name), *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run
