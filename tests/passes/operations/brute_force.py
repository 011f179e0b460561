"""A compiled private step without noise beside the same update computed one example at a time with NumPy."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from mindveil.accountant import PrivacyWarning
from mindveil.runtime.losses import LossFn
from mindveil.runtime.policies import DPSGD
from mindveil.runtime.step import PrivateStep

__all__ = ["Case", "Comparison", "compare", "cube", "example_gradients", "private_step"]

Array = NDArray[Any]


def cube(outputs: Tensor, labels: Tensor) -> Tensor:
    """One loss an example that no normalisation makes constant; every element of the output has a weight of its own."""
    flat = outputs.astype(ms.float32).reshape((outputs.shape[0], -1))
    return (flat * flat * flat * 0.3 + flat * labels).sum(1)


@dataclass(frozen=True)
class Case:
    """A network, its batch and its loss.

    Attributes:
        build: makes the network; MindSpore's seed is set before.
        rows: the examples, ``[B, ...]``.
        labels: ``[B, ...]``; drawn for `cube` if None.
        public: untrained Parameters that are declared to hold no data.
        tolerance: largest relative error; anything looser than 1e-5 says why where the case stands.
    """

    build: Callable[[], nn.Cell]
    rows: Array
    labels: Array | None = None
    loss: LossFn = cube
    public: tuple[str, ...] = ()
    tolerance: float = 1e-5

    @property
    def targets(self) -> Array:
        """The labels, or for `cube` one weight an example."""
        if self.labels is not None:
            return self.labels
        return np.random.default_rng(5).normal(size=(len(self.rows), 1)).astype(np.float32)


@dataclass(frozen=True)
class Comparison:
    """What a case came to: the relative error of each parameter's update, and how many examples were clipped."""

    errors: dict[str, float]
    clipped: int
    rows: int

    @property
    def worst(self) -> float:
        """The largest relative error."""
        return max(self.errors.values())


def example_gradients(case: Case, network: nn.Cell) -> list[list[Array]]:
    """The gradients of each example by itself, in float64, from MindSpore's own differentiation at batch 1."""

    def forward(row: Tensor, label: Tensor) -> Tensor:
        # The user's own loss on a batch of one, with its own reduction: the oracle shares nothing with the step.
        return case.loss(network(row), label).sum()

    gradient = ms.grad(forward, None, network.trainable_params())
    pairs = [(case.rows[i : i + 1], case.targets[i : i + 1]) for i in range(len(case.rows))]
    return [[g.asnumpy().astype(np.float64) for g in gradient(Tensor(x), Tensor(y))] for x, y in pairs]


def private_step(case: Case, network: nn.Cell, *, clip_norm: float = 1.0, scale: float = 1.0) -> PrivateStep:
    """A step that clips, adds no noise, divides by 2 and moves the parameters by ``scale`` times the result."""
    policy = DPSGD(clip_norm, 0.0, 0.5, 4, public=case.public)
    optimizer = nn.SGD(network.trainable_params(), learning_rate=scale)
    return PrivateStep(network, case.loss, optimizer, [policy])


def compare(case: Case) -> Comparison:
    """Runs one step and the reference; the clip norm is chosen between the examples' norms."""
    ms.set_seed(1)
    network = case.build().set_train()
    parameters = network.trainable_params()
    each = example_gradients(case, network)
    norms = np.sqrt([sum(float((g**2).sum()) for g in gradients) for gradients in each])
    clip_norm = float(np.sort(norms)[len(norms) // 2] * 0.9 + np.sort(norms)[len(norms) // 2 - 1] * 0.1)
    factors = np.minimum(clip_norm / np.maximum(norms, 1e-30), 1)
    wanted = [sum(c * g for c, g in zip(factors, column, strict=True)) / 2 for column in zip(*each, strict=True)]
    largest = max(float(np.abs(w).max()) for w in wanted)
    # Parameters are float32: a step much larger than they are keeps the rounding of the subtraction out of the result.
    scale = 64 / largest
    before = [p.asnumpy().astype(np.float64) for p in parameters]
    step = private_step(case, network, clip_norm=clip_norm, scale=scale)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrivacyWarning)
        step(case.rows, case.targets)
    got = [(b - p.asnumpy()) / scale for b, p in zip(before, parameters, strict=True)]
    # A gradient that is zero but for rounding (a key's bias under softmax) is held to the size of the others.
    sizes = [max(float(np.abs(w).max()), 1e-2 * largest) for w in wanted]
    errors = {p.name: float(np.abs(g - w).max()) / s for p, g, w, s in zip(parameters, got, wanted, sizes, strict=True)}
    return Comparison(errors, int((factors < 1).sum()), len(norms))
