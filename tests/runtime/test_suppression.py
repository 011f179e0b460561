"""Suppressed weights: chosen by magnitude, and exactly zero from then on whatever the optimizer does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mindspore import Tensor, nn

from mindveil.runtime import DPSGD, PrivateStep, Suppression
from mindveil.runtime.datasets import ImageData
from mindveil.runtime.kinds import Policy
from mindveil.runtime.networks import LeNet5
from mindveil.runtime.suppress import smallest_suppressed

LOSS = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")


def weights_of(network: nn.Cell) -> dict[str, Any]:
    """Copies of the trained parameters by name."""
    return {p.name: p.asnumpy().copy() for p in network.trainable_params()}


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "weight decay"])
@pytest.mark.parametrize("private", [False, True])
def test_a_suppressed_weight_stays_zero(digits: ImageData, optimizer: str, private: bool) -> None:
    network = LeNet5()
    parameters = network.trainable_params()
    made = {
        "momentum": lambda: nn.Momentum(parameters, 0.1, 0.9),
        "adam": lambda: nn.Adam(parameters, 0.01),
        "weight decay": lambda: nn.AdamWeightDecay(parameters, 0.01, weight_decay=0.1),
    }[optimizer]()
    policy = Suppression(sparsity=0.9, steps=6, every=2, layers=("conv2.weight", "fc1.weight"))
    policies: list[Policy] = [policy, DPSGD(1.0, 1.0, 0.1, 40)] if private else [policy]
    step = PrivateStep(network, LOSS, made, policies)
    after: dict[str, Any] = {}
    gone = {name: np.zeros(mask.shape, bool) for name, mask in step.masks.items()}
    for k in range(9):
        step(digits.train_images[8 * k : 8 * k + 8], digits.train_labels[8 * k : 8 * k + 8])
        after = weights_of(network)
        for name, kept in step.masks.items():
            assert (after[name][~kept] == 0).all()
            assert not (gone[name] & kept).any()  # what is suppressed never comes back
            gone[name] = ~kept
    assert step.sparsity == pytest.approx(0.9, abs=1e-3)
    assert (after["fc2.weight"] != 0).all()
    assert ((after["fc1.weight"] == 0) == ~step.masks["fc1.weight"]).all()


def test_kept_weights_train_as_if_nothing_else_were_there(digits: ImageData) -> None:
    """With masks that keep everything the step is the ordinary one, to the last bit but for rounding."""
    batch = (digits.train_images[:8], digits.train_labels[:8])
    plain, masked = LeNet5(), LeNet5()
    for source, target in zip(plain.trainable_params(), masked.trainable_params(), strict=True):
        target.set_data(Tensor(source.asnumpy()))
    first = PrivateStep(plain, LOSS, nn.Momentum(plain.trainable_params(), 0.1, 0.9))
    second = PrivateStep(
        masked, LOSS, nn.Momentum(masked.trainable_params(), 0.1, 0.9), [Suppression(sparsity=0.0, steps=5)]
    )
    for _ in range(3):
        first(*batch)
        second(*batch)
    for name, value in weights_of(plain).items():
        np.testing.assert_allclose(weights_of(masked)[name], value, rtol=1e-5, atol=1e-7)


def test_the_sparsity_rises_with_the_schedule_and_respects_minima(digits: ImageData) -> None:
    network = LeNet5()
    policy = Suppression(sparsity=0.95, steps=8, every=2, start=2, minimum={"conv1.weight": 10})
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 0.1), [policy])
    seen = []
    for k in range(10):
        step(digits.train_images[4 * k : 4 * k + 4], digits.train_labels[4 * k : 4 * k + 4])
        seen.append(step.sparsity)
    assert seen[0] == seen[1] == 0
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(0.95, abs=2e-3)
    assert int(step.masks["conv1.weight"].sum()) == 10
    assert step.mode == "suppressed"
    card = step.card()
    assert card.epsilon is None
    assert card.sparsity == seen[-1]
    assert "mask" in card.passes


def test_the_smallest_magnitudes_go_first() -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(7, 11))
    for sparsity in (0.0, 0.3, 0.77, 0.99):
        kept = smallest_suppressed(weights, sparsity, minimum=3)
        count = min(int(77 * sparsity), 74)
        assert (~kept).sum() == count
        if count:
            assert np.abs(weights[~kept]).max() <= np.abs(weights[kept]).min()


def test_unknown_layers_are_named() -> None:
    network = LeNet5()
    with pytest.raises(ValueError, match=r"conv9\.weight cannot be suppressed; trained are conv1\.weight"):
        PrivateStep(
            network,
            LOSS,
            nn.SGD(network.trainable_params(), 0.1),
            [Suppression(sparsity=0.5, steps=5, layers=("conv9.weight",))],
        )


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, True, float("nan")])
def test_a_sparsity_is_a_share(sparsity: float) -> None:
    with pytest.raises(ValueError, match="must be in \\[0, 1\\)"):
        Suppression(sparsity=sparsity, steps=5)


@pytest.mark.filterwarnings("ignore:noise_multiplier is 0:mindveil.accountant.PrivacyWarning")
def test_suppressed_weights_take_no_part_of_the_clip_norm(
    digits: ImageData, example_gradients: Callable[..., Any], clipped_sum: Callable[..., Any]
) -> None:
    network, images, labels = LeNet5(), digits.train_images[:4], digits.train_labels[:4]
    policies: list[Policy] = [Suppression(0.9, steps=1, every=1), DPSGD(0.5, 0.0, 1.0, 4)]
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 1.0), policies)
    step(images, labels)
    masks, names = step.masks, [p.name for p in network.trainable_params()]
    kept = [masks[n] if n in masks else np.ones(1) for n in names]
    assert 0.89 < step.sparsity < 0.91
    found = [[g * k for g, k in zip(one, kept, strict=True)] for one in example_gradients(network, images, labels)]
    wanted = clipped_sum(found, np.ones(4), 0.5)
    before = [p.asnumpy().copy() for p in network.trainable_params()]
    step(images, labels)
    for old, parameter, clipped in zip(before, network.trainable_params(), wanted, strict=True):
        np.testing.assert_allclose(4 * (old - parameter.asnumpy()), clipped, atol=2e-6)
    norms = [np.sqrt(sum(float(np.square(g).sum()) for g in one)) for one in found]
    assert min(norms) > 0.5  # so that each of them was clipped
