"""Per-layer, automatic and adaptive clipping, each against one example at a time in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mindspore import nn

from mindveil.accountant import AdaptiveClipping, Composed, PoissonSampled, epsilon
from mindveil.passes.clipping import Automatic, PerLayer
from mindveil.runtime import DPSGD, PrivateStep
from mindveil.runtime.datasets import ImageData
from mindveil.runtime.networks import LeNet5
from mindveil.runtime.policies import AdaptiveClipNorm

LOSS = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
ROWS = 5
QUIET = pytest.mark.filterwarnings("ignore:noise_multiplier is 0:mindveil.accountant.PrivacyWarning")


def setting(digits: ImageData) -> tuple[nn.Cell, Any, Any]:
    """A network and examples with gradients of very different norms."""
    scale = np.geomspace(0.3, 30, ROWS).astype(np.float32)[:, None, None, None]
    return LeNet5(), digits.train_images[:ROWS] * scale, digits.train_labels[:ROWS]


def update(network: nn.Cell, policy: DPSGD, images: Any, labels: Any) -> list[Any]:
    """What one step subtracts from the parameters at learning rate 1."""
    before = [p.asnumpy().copy() for p in network.trainable_params()]
    PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 1.0), [policy])(images, labels)
    return [a - p.asnumpy() for a, p in zip(before, network.trainable_params(), strict=True)]


def assert_close(got: list[Any], wanted: list[Any]) -> None:
    """Equal to float32 of the sums and of the weights they were taken from."""
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=3e-6 * np.abs(b).max() + 3e-8, rtol=1e-5)


@QUIET
@pytest.mark.parametrize("uneven", [False, True])
def test_per_layer_bounds_hold_each_parameter(
    digits: ImageData, example_gradients: Callable[..., Any], uneven: bool
) -> None:
    network, images, labels = setting(digits)
    names = [p.name for p in network.trainable_params()]
    norms = {n: 1.0 + k for k, n in enumerate(names)} if uneven else dict.fromkeys(names, 1.0)
    total = np.sqrt(sum(n**2 for n in norms.values()))
    examples = example_gradients(network, images, labels)
    wanted = [
        sum(e[k] * min(1, 0.8 * norms[name] / total / np.linalg.norm(e[k])) for e in examples)
        for k, name in enumerate(names)
    ]
    policy = DPSGD(0.8, 0.0, 0.001, 1000, clipping=PerLayer(norms if uneven else None))
    assert_close(update(network, policy, images, labels), wanted)


@QUIET
def test_automatic_clipping_normalises(digits: ImageData, example_gradients: Callable[..., Any]) -> None:
    network, images, labels = setting(digits)
    examples = example_gradients(network, images, labels)
    norms = [np.sqrt(sum((g**2).sum() for g in e)) for e in examples]
    wanted = [
        sum(e[k] * 0.5 / (n + 0.1) for e, n in zip(examples, norms, strict=True)) for k in range(len(examples[0]))
    ]
    policy = DPSGD(0.5, 0.0, 0.001, 1000, clipping=Automatic(stability=0.1))
    assert_close(update(network, policy, images, labels), wanted)


@pytest.mark.parametrize("rule", ["geometric", "linear"])
def test_the_clip_norm_follows_the_noisy_share_of_unclipped_examples(
    digits: ImageData, example_gradients: Callable[..., Any], rule: Any
) -> None:
    network, images, labels = setting(digits)
    norms = [np.sqrt(sum((g**2).sum() for g in e)) for e in example_gradients(network, images, labels)]
    bound = float(np.median(norms)) * 1.0001
    below = sum(n <= bound for n in norms)
    assert 0 < below < ROWS
    adaptive = AdaptiveClipNorm(target_quantile=0.3, learning_rate=0.5, count_noise=1e-4, rule=rule)
    policy = DPSGD(bound, 1.0, sampling_rate=ROWS / 100, dataset_size=100, adaptive=adaptive)
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 1e-6), [policy])
    step(images, labels)
    share = below / ROWS
    move = 0.5 * (share - 0.3)
    assert step.clip_norm == pytest.approx(bound * np.exp(-move) if rule == "geometric" else bound - move, rel=1e-3)
    event = PoissonSampled(ROWS / 100, AdaptiveClipping(1.0, 1e-4))
    assert epsilon(step.events, 1e-5) == pytest.approx(epsilon(Composed(event, 1), 1e-5), rel=1e-3)
    used = step.clip_norm
    step(images, labels)
    assert step.card().clip_norm == pytest.approx(used)


def test_the_count_is_noisy(digits: ImageData) -> None:
    network, images, labels = setting(digits)
    adaptive = AdaptiveClipNorm(target_quantile=0.5, learning_rate=0.1, count_noise=40.0)
    policy = DPSGD(1.0, 1.0, sampling_rate=0.4, dataset_size=100, adaptive=adaptive)
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 1e-6), [policy])
    norms = [1.0]
    for _ in range(200):
        step(images, labels, np.zeros(ROWS, np.float32))
        assert step.clip_norm is not None
        norms.append(step.clip_norm)
    moves = np.diff(np.log(norms))  # an empty batch has count 0: each move is 0.1 times noise of 40 / 40
    assert 0.065 < moves.std() < 0.135  # seven standard errors of 0.1
    assert abs(moves.mean()) < 0.05


def budget(adaptive: AdaptiveClipNorm | None) -> float:
    """The noise for five epochs within epsilon 3."""
    policy = DPSGD.for_budget(
        epsilon=3.0, delta=1e-5, dataset_size=6000, batch_size=256, epochs=5, clip_norm=1.0, adaptive=adaptive
    )
    assert isinstance(policy.noise_multiplier, float)
    return policy.noise_multiplier


def test_a_budget_pays_for_the_count_too() -> None:
    paid = budget(AdaptiveClipNorm(count_noise=4.0))
    assert paid > budget(None)
    event = PoissonSampled(256 / 6000, AdaptiveClipping(paid, 4.0))
    assert 2.99 < epsilon(Composed(event, int(np.ceil(5 * 6000 / 256))), 1e-5) <= 3.0
    with pytest.raises(ValueError, match=r"count_noise is 0\.1"):
        budget(AdaptiveClipNorm(count_noise=0.1))
