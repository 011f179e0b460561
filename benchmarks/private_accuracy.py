"""Test accuracy on MNIST at an honest epsilon: per-example clipping, Poisson sampling, settings fixed in advance.

``python benchmarks/private_accuracy.py --data FOLDER`` trains on all 60,000 images for each epsilon and seed and prints
what the last step reached. The settings were chosen with ``--held-out``, which trains on the first 50,000 images and
tests on the other 10,000 of the training set; that search is not part of the epsilon.

The network has LeNet's size: two convolutions, tanh (Papernot et al. 2020, "Tempered sigmoid activations"), two dense
layers, 26,010 parameters.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindveil.accountant import epsilon
from mindveil.runtime import DPSGD, PoissonBatches, PrivateStep
from mindveil.runtime.datasets import load

DELTA = 1e-5


@dataclass(frozen=True)
class Settings:
    """What was chosen on the held-out part for one epsilon."""

    batch: int
    epochs: float
    clip_norm: float
    learning_rate: float
    momentum: float = 0.9


SETTINGS = {
    1.0: Settings(batch=2048, epochs=10, clip_norm=0.1, learning_rate=4.0),
    3.0: Settings(batch=2048, epochs=16, clip_norm=0.1, learning_rate=8.0),
    8.0: Settings(batch=2048, epochs=30, clip_norm=0.1, learning_rate=4.0),
}
TARGETS = {1.0: 95.0, 3.0: 97.0, 8.0: 98.0}


class Network(nn.Cell):
    """Convolutions 16 x 8 x 8 / 2 and 32 x 4 x 4 / 2, each with tanh and a 2 x 2 maximum at stride 1; dense 32, 10."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 8, 2, pad_mode="pad", padding=2, has_bias=True)
        self.conv2 = nn.Conv2d(16, 32, 4, 2, pad_mode="valid", has_bias=True)
        self.dense1, self.dense2 = nn.Dense(512, 32), nn.Dense(32, 10)
        self.tanh, self.pool = nn.Tanh(), nn.MaxPool2d(2, 1)

    def construct(self, x):
        """Logits of images ``(B, 1, 28, 28)``."""
        x = self.pool(self.tanh(self.conv1(x)))
        x = self.pool(self.tanh(self.conv2(x)))
        return self.dense2(self.tanh(self.dense1(x.reshape((x.shape[0], 512)))))


def accuracy(network: nn.Cell, images, labels) -> float:
    """Share of right answers."""
    right = 0
    for k in range(0, len(labels), 2000):
        logits = network(Tensor(images[k : k + 2000])).asnumpy()
        right += int((logits.argmax(1) == labels[k : k + 2000]).sum())
    return right / len(labels)


def train(train_data, test_data, target: float, settings: Settings, seed: int) -> dict[str, float]:
    """One run: what it reached, and what it spent by the events of the graphs that ran."""
    ms.set_seed(seed)
    np.random.seed(seed)
    images, labels = train_data
    rate = settings.batch / len(labels)
    policy = DPSGD.for_budget(
        epsilon=target,
        delta=DELTA,
        dataset_size=len(labels),
        batch_size=settings.batch,
        epochs=settings.epochs,
        clip_norm=settings.clip_norm,
        method="pld",
    )
    steps = ceil(settings.epochs / rate)
    physical = settings.batch + ceil(6 * sqrt(settings.batch))
    batches = PoissonBatches((images, labels), sampling_rate=rate, physical_batch=physical, steps=steps)
    network = Network()
    optimizer = nn.SGD(network.trainable_params(), settings.learning_rate, settings.momentum)
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    step = PrivateStep(network, loss, optimizer, [policy])
    start = time.perf_counter()
    for batch in batches:
        step(*batch)
    seconds = time.perf_counter() - start
    return {
        "epsilon": epsilon(step.events, DELTA, method="pld"),
        "renyi": step.epsilon(DELTA),
        "noise": float(policy.noise_multiplier),
        "steps": steps,
        "accuracy": 100 * accuracy(network.set_train(False), *test_data),
        "seconds": seconds,
    }


def data(folder: str, held_out: bool):
    """Training and test parts: images ``(n, 1, 28, 28)`` with mean 0 and deviation 1, labels."""
    found = load(folder, size=28)
    images, labels = (found.train_images - 0.1307) / 0.3081, found.train_labels.astype(np.int32)
    if held_out:
        return (images[:50_000], labels[:50_000]), (images[50_000:], labels[50_000:])
    return (images, labels), ((found.test_images - 0.1307) / 0.3081, found.test_labels.astype(np.int32))


def main() -> None:
    """Reads the options, trains, prints a line a run and a summary for each epsilon."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="folder with the four idx files of MNIST")
    parser.add_argument("--epsilons", nargs="+", type=float, default=list(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--held-out", action="store_true", help="test on the last 10,000 training images")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--clip-norm", type=float)
    parser.add_argument("--learning-rate", type=float)
    options = parser.parse_args()
    print("python benchmarks/private_accuracy.py", *[a if "/" not in a else Path(a).name for a in sys.argv[1:]])
    print(f"MindSpore {ms.__version__}, Python {platform.python_version()}, {platform.machine()}", flush=True)
    parts = data(options.data, options.held_out)
    for target in options.epsilons:
        changed = {
            k: v for k in ("batch", "epochs", "clip_norm", "learning_rate") if (v := getattr(options, k)) is not None
        }
        settings = Settings(**{**{k: getattr(SETTINGS[target], k) for k in Settings.__dataclass_fields__}, **changed})
        print(f"epsilon {target:g}: {settings}")
        reached = []
        for seed in options.seeds:
            run = train(*parts, target, settings, seed)
            reached.append(run["accuracy"])
            print(
                f"  seed {seed}: {run['accuracy']:.2f} %; {run['steps']:.0f} steps,"
                f" noise multiplier {run['noise']:.4f}, epsilon {run['epsilon']:.3f} at delta {DELTA:g}"
                f" (Renyi accounting: {run['renyi']:.3f}); {run['seconds']:.0f} s",
                flush=True,
            )
        mean, wanted = float(np.mean(reached)), TARGETS.get(target)
        print(f"  mean {mean:.2f} %, from {min(reached):.2f} to {max(reached):.2f} %", end="")
        if wanted is not None and not options.held_out:
            print(f"; wanted >= {wanted:g} %: {'met' if mean >= wanted else 'NOT MET'}", end="")
        print(flush=True)


main()
