"""A fixed loss scale: the gradient that half precision loses is kept, and clip norm and noise mean what they say."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindveil.runtime import DPSGD, LipschitzDP, PrivateStep
from mindveil.runtime.datasets import ImageData
from mindveil.runtime.example_weights import ExampleWeights
from mindveil.runtime.networks import LeNet5
from mindveil.runtime.policies import AdaptiveClipNorm

LOSS = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
EACH = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="none")


def tiny(outputs: Tensor, labels: Tensor) -> Tensor:
    """A loss so small that its gradient in the logits is below 2^-25, which half precision rounds to zero."""
    return EACH(outputs, labels) * 1e-8


def parameters_of(network: nn.Cell) -> list[Any]:
    return [p.asnumpy().copy() for p in network.trainable_params()]


@pytest.mark.parametrize(
    ("scale", "policy"),
    [
        (-1.0, DPSGD(1.0, 1.0, 0.1, 40)),
        (float("inf"), DPSGD(1.0, 1.0, 0.1, 40)),
        (float("nan"), DPSGD(1.0, 1.0, 0.1, 40)),
        (1024.0, DPSGD(1.0, 1.0, 0.1, 40, adaptive=AdaptiveClipNorm())),
        (1024.0, LipschitzDP(1.0, 0.1, 40)),
    ],
)
def test_a_loss_scale_that_does_not_fit_is_refused(scale: float, policy: DPSGD | LipschitzDP) -> None:
    network = nn.Dense(3, 2)
    optimizer = nn.SGD(network.trainable_params(), 0.1)
    optimizer.loss_scale = scale
    with pytest.raises(ValueError, match=f"loss_scale={scale}"):
        PrivateStep(network, LOSS, optimizer, [policy])


@pytest.mark.filterwarnings("ignore:noise_:mindveil.accountant.PrivacyWarning")
@pytest.mark.parametrize("policies", [[DPSGD(0.5, 1.0, 0.1, 40, noise_seed=3)], []])
def test_in_single_precision_a_loss_scale_changes_nothing(digits: ImageData, policies: list[DPSGD]) -> None:
    moved = []
    for scale in (1.0, 1024.0):
        network = LeNet5()
        for p in network.get_parameters():
            p.set_data(Tensor(np.random.default_rng(1).normal(0, 0.1, p.shape).astype(np.float32)))
        before = parameters_of(network)
        optimizer = nn.Momentum(network.trainable_params(), 1.0, 0.9, loss_scale=scale)
        step = PrivateStep(network, LOSS, optimizer, policies)
        if policies:
            step(digits.train_images[:4], digits.train_labels[:4], ExampleWeights.of([1, 1, 1, 0], last=False))
        step(digits.train_images[4:8], digits.train_labels[4:8])
        assert step.card().clip_norm == (pytest.approx(0.5) if policies else None)
        moved.append([b - a for a, b in zip(before, parameters_of(network), strict=True)])
    for plain, scaled in zip(*moved, strict=True):
        assert np.abs(plain).max() > 1e-3
        np.testing.assert_allclose(scaled, plain, rtol=1e-4, atol=1e-5 * np.abs(plain).max())


@pytest.mark.filterwarnings("ignore:noise_multiplier is 0:mindveil.accountant.PrivacyWarning")
def test_small_gradients_survive_half_precision_under_a_loss_scale(digits: ImageData) -> None:
    def moved(scale: float) -> float:
        network = ms.amp.auto_mixed_precision(nn.SequentialCell(nn.Flatten(), nn.Dense(1024, 10)), "O2")
        before = parameters_of(network)
        optimizer = nn.SGD(network.trainable_params(), 1.0, loss_scale=scale)
        step = PrivateStep(network, tiny, optimizer, [DPSGD(1.0, 0.0, 0.5, 8)])
        step(digits.train_images[:4], digits.train_labels[:4])
        return max(float(np.abs(a - b).max()) for a, b in zip(before, parameters_of(network), strict=True))

    assert moved(1.0) == 0.0
    assert moved(2.0**20) > 0
