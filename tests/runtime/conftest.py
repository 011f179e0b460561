"""What the tests of the training step share: a small network, real images, and the one-example-at-a-time reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from numpy.typing import NDArray

import mindveil.runtime  # noqa: F401  prepares the process before MindSpore is imported
from mindveil.runtime.datasets import ImageData, embedded_mnist

Gradients = list[NDArray[np.float64]]


@pytest.fixture(scope="session")
def digits() -> ImageData:
    """The embedded MNIST images."""
    return embedded_mnist()


@pytest.fixture
def example_gradients() -> Callable[..., list[Gradients]]:
    """A function that gives each example's gradient by itself, from a plain compiled gradient of one row."""

    def gradients(network: nn.Cell, images: NDArray[Any], labels: NDArray[Any]) -> list[Gradients]:
        loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")

        def forward(x: Tensor, y: Tensor) -> Tensor:
            return loss(network(x), y)

        gradient = ms.jit(ms.value_and_grad(forward, None, network.trainable_params()))
        return [
            [g.asnumpy().astype(np.float64) for g in gradient(Tensor(images[i : i + 1]), Tensor(labels[i : i + 1]))[1]]
            for i in range(len(images))
        ]

    return gradients


def norm(gradients: Gradients) -> float:
    """The L2 norm over all parameters."""
    return float(np.sqrt(sum((g**2).sum() for g in gradients)))


@pytest.fixture
def clipped_sum() -> Callable[..., Gradients]:
    """A function that clips gradients in float64 and adds them up with their weights."""

    def total(examples: list[Gradients], weights: NDArray[Any], clip_norm: float) -> Gradients:
        factors = [w * min(1.0, clip_norm / norm(g)) for g, w in zip(examples, weights, strict=True)]
        parts = [[f * g[k] for f, g in zip(factors, examples, strict=True)] for k in range(len(examples[0]))]
        return [np.sum(part, axis=0) for part in parts]

    return total
