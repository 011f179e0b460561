"""Writes the MNIST images that come with this library as idx files, so that the examples need no download.

``python examples/write_mnist.py [folder]``; the folder is ``MNIST_unzip`` unless another is named, and gets the
sub-folders ``train`` and ``test``. The pixels are MNIST's own, 28 x 28.
"""

import struct
import sys
from pathlib import Path

import numpy as np

from mindveil.runtime.datasets import embedded_mnist

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "MNIST_unzip")
data = embedded_mnist(size=28)
for part, prefix, images, labels in (
    ("train", "train", data.train_images, data.train_labels),
    ("test", "t10k", data.test_images, data.test_labels),
):
    target = folder / part
    target.mkdir(parents=True, exist_ok=True)
    pixels = np.rint(images[:, 0] * 255).astype(np.uint8)
    header = struct.pack(">IIII", 2051, *pixels.shape)
    (target / f"{prefix}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
    header = struct.pack(">II", 2049, len(labels))
    (target / f"{prefix}-labels-idx1-ubyte").write_bytes(header + labels.astype(np.uint8).tobytes())
