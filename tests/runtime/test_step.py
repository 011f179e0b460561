"""The private step through the real compiled graph: what it computes, accounts for, and refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from mindveil.accountant import BudgetExceeded, Composed, Gaussian, Ledger, PoissonSampled, PrivacyWarning, epsilon
from mindveil.passes.privacy import PrivacyError
from mindveil.runtime import DPSGD, PrivateStep
from mindveil.runtime.datasets import ImageData
from mindveil.runtime.example_weights import ExampleWeights
from mindveil.runtime.networks import LeNet5

LOSS = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
CLIP = 2.0
ROWS = 6


def assert_moved(before: Any, after: Any, wanted: Any) -> None:
    """The update equals the reference to float32: of the sum, and of the weights that it was subtracted from."""
    for old, new, total in zip(before, after, wanted, strict=True):
        rounding = 2e-6 * np.abs(total).max() + np.spacing(np.abs(old).max())
        np.testing.assert_allclose(old - new, total, atol=rounding, rtol=1e-5)


def without_noise(expected: float = 1.0, clip_norm: Any = CLIP) -> DPSGD:
    """Clipping alone, with a denominator of ``expected``."""
    return DPSGD(clip_norm, 0.0, sampling_rate=expected / 1000, dataset_size=1000)


def parameters_of(network: nn.Cell) -> list[np.ndarray[Any, Any]]:
    """Copies of the trained parameters."""
    return [p.asnumpy().copy() for p in network.trainable_params()]


@pytest.mark.filterwarnings("ignore:noise_multiplier is 0:mindveil.accountant.PrivacyWarning")
def test_an_update_is_the_clipped_sum_taken_one_example_at_a_time(
    digits: ImageData, example_gradients: Callable[..., Any], clipped_sum: Callable[..., Any]
) -> None:
    network, images, labels = LeNet5(), digits.train_images[:ROWS], digits.train_labels[:ROWS]
    images = images * np.linspace(0.2, 40, ROWS, dtype=np.float32)[:, None, None, None]  # norms on both sides of CLIP
    weights = np.array([1, 1, 0, 1, 1, 1], np.float32)
    examples = example_gradients(network, images, labels)
    norms = [np.sqrt(sum((g**2).sum() for g in e)) for e in examples]
    assert min(norms) < CLIP < max(norms)
    before = parameters_of(network)
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 1.0), [without_noise(expected=4.0)])
    step(images, labels, weights)
    wanted = clipped_sum(examples, weights, CLIP)
    assert_moved(before, parameters_of(network), [total / 4.0 for total in wanted])


@pytest.mark.filterwarnings("ignore:noise_multiplier is 0:mindveil.accountant.PrivacyWarning")
def test_physical_batches_add_up_to_one_logical_step(
    digits: ImageData, example_gradients: Callable[..., Any], clipped_sum: Callable[..., Any]
) -> None:
    network, images, labels = LeNet5(), digits.train_images[:ROWS], digits.train_labels[:ROWS]
    weights = np.array([1, 1, 1, 1, 1, 0], np.float32)
    wanted = clipped_sum(example_gradients(network, images, labels), weights, 0.5)
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 1.0), [without_noise(clip_norm=0.5)])
    for _ in range(2):  # the second round shows that the sums begin at zero again
        before = parameters_of(network)
        step(images[:2], labels[:2], ExampleWeights.of(weights[:2], last=False))
        step(images[2:4], labels[2:4], ExampleWeights.of(weights[2:4], last=False))
        for old, now in zip(before, parameters_of(network), strict=True):
            np.testing.assert_array_equal(old, now)
        step(images[4:], labels[4:], ExampleWeights.of(weights[4:], last=True))
        assert_moved(before, parameters_of(network), wanted)
        for parameter, old in zip(network.trainable_params(), before, strict=True):
            parameter.set_data(Tensor(old))
    assert step.steps_done == 2


@pytest.mark.filterwarnings("ignore:noise_multiplier is 0:mindveil.accountant.PrivacyWarning")
@pytest.mark.parametrize("poison", [np.nan, np.inf, 3e38])
def test_an_example_without_a_finite_gradient_adds_nothing(
    digits: ImageData, poison: float, example_gradients: Callable[..., Any], clipped_sum: Callable[..., Any]
) -> None:
    network, images, labels = LeNet5(), digits.train_images[:3].copy(), digits.train_labels[:3]
    wanted = clipped_sum(example_gradients(network, images[:2], labels[:2]), np.ones(2), 0.5)
    images[2] = poison
    before = parameters_of(network)
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 1.0), [without_noise(clip_norm=0.5)])
    step(images, labels)
    assert_moved(before, parameters_of(network), wanted)
    assert step.not_finite == 1
    parts = [ExampleWeights.of([1, 0, 1], last=False), ExampleWeights.of([0, 1, 1])]
    for weights in parts:
        step(images, labels, weights)
    step(images, labels, np.array([1, 1, 0], np.float32))  # padding is nobody
    assert step.not_finite == 3
    assert "not_finite" not in step.card().to_json()


def test_an_empty_batch_is_a_step_of_pure_noise(digits: ImageData) -> None:
    network = LeNet5()
    before = parameters_of(network)
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 1.0), [DPSGD(1.0, 1.0, 0.1, 10)])
    loss = step(np.zeros_like(digits.train_images[:4]), np.zeros(4, np.int32), np.zeros(4, np.float32))
    moved = np.concatenate([(b - a).ravel() for a, b in zip(before, parameters_of(network), strict=True)])
    assert float(loss.asnumpy()) == 0.0
    assert moved.std() == pytest.approx(1.0, rel=0.02)  # 61,470 numbers: 7 standard errors
    wanted = epsilon(Composed(PoissonSampled(0.1, Gaussian(1.0)), 1), 1e-5)
    assert step.epsilon(1e-5) == pytest.approx(wanted, rel=1e-6)


def test_what_ran_is_what_is_accounted(digits: ImageData, tmp_path: Path) -> None:
    network = LeNet5()
    batch = (digits.train_images[:4], digits.train_labels[:4])
    noise = [1.5, 1.5, 0.75]
    with Ledger.create(tmp_path / "ledger.jsonl", dataset_id="digits", dataset_size=4000) as ledger:
        policy = DPSGD(1.0, lambda step: noise[step], sampling_rate=0.01, dataset_size=4000)
        step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 0.1), [policy], ledger=ledger)
        for _ in noise:
            step(*batch)
        wanted = epsilon(
            Composed(PoissonSampled(0.01, Gaussian(1.5)), 2), 1e-5
        )  # the first two steps alone cost less than all three
        assert wanted < step.epsilon(1e-5) == pytest.approx(ledger.epsilon(1e-5))
        assert epsilon(step.events, 1e-5) == pytest.approx(ledger.epsilon(1e-5), rel=1e-3)
        assert step.card().epsilon == ledger.epsilon(1e-5)
        assert step.card().ledger_head == ledger.head


def test_the_step_that_would_overspend_does_not_run(digits: ImageData, tmp_path: Path) -> None:
    network = LeNet5()
    batch = (digits.train_images[:4], digits.train_labels[:4])
    one = epsilon(PoissonSampled(0.1, Gaussian(1.0)), 1e-5)
    where = tmp_path / "ledger.jsonl"
    with Ledger.create(where, dataset_id="d", dataset_size=40, target_epsilon=one * 1.01, target_delta=1e-5) as ledger:
        policy = DPSGD(1.0, 1.0, sampling_rate=0.1, dataset_size=40)
        step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 0.1), [policy], ledger=ledger)
        step(*batch)
        before = parameters_of(network)
        with pytest.raises(BudgetExceeded):
            step(*batch)
        for old, now in zip(before, parameters_of(network), strict=True):
            np.testing.assert_array_equal(old, now)
        assert step.steps_done == 1


def test_noise_multiplier_zero_warns_once_and_costs_everything(digits: ImageData) -> None:
    network = LeNet5()
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 0.1), [without_noise()])
    batch = (digits.train_images[:2], digits.train_labels[:2])
    with pytest.warns(PrivacyWarning, match="not private"):
        step(*batch)
    step(*batch)  # a second warning would be an error
    assert step.epsilon(1e-5) == float("inf")


def test_a_changing_clip_norm_or_noise_compiles_nothing_anew(
    digits: ImageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = LeNet5()
    policy = DPSGD(lambda step: 1.0 + step, lambda step: 2.0 - 0.1 * step, sampling_rate=0.1, dataset_size=40)
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 0.1), [policy])
    rewritten: list[str] = []
    original = step._rewrite

    def rewrite(graph: Any, kind: Any) -> Any:
        rewritten.append(kind)
        return original(graph, kind)

    monkeypatch.setattr(step, "_rewrite", rewrite)
    for _ in range(3):
        step(digits.train_images[:3], digits.train_labels[:3])
    assert rewritten == ["update"]
    assert step.card().clip_norm == 3.0
    assert step.card().noise_multiplier == pytest.approx(1.8)


def test_the_mean_loss_counts_real_rows_only(digits: ImageData) -> None:
    network = LeNet5()
    images, labels = digits.train_images[:3], digits.train_labels[:3]
    wanted = float(LOSS(network(Tensor(images[:2])), Tensor(labels[:2])).asnumpy())
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 0.1), [DPSGD(1.0, 1.0, 0.1, 40)])
    assert float(step(images, labels, np.array([1, 1, 0], np.float32)).asnumpy()) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("weights", [[1, 2, 1], [1, -1, 1], [0.5, 1, 1], [1, 1], [np.nan, 1, 1]])
def test_weights_are_zero_or_one(digits: ImageData, weights: list[float]) -> None:
    network = LeNet5()
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 0.1), [DPSGD(1.0, 1.0, 0.1, 40)])
    with pytest.raises(ValueError, match="0 or 1 for each of the 3 rows"):
        step(digits.train_images[:3], digits.train_labels[:3], np.array(weights, np.float32))


class Normalised(nn.Cell):
    """A network with batch statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Dense(4, 4)
        self.bn = nn.BatchNorm1d(4)

    def construct(self, x: Tensor) -> Tensor:
        return self.bn(self.dense(x))


class Centred(nn.Cell):
    """A network that subtracts the mean of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Dense(4, 4)

    def construct(self, x: Tensor) -> Tensor:
        y = self.dense(x)
        return y - y.mean(0)


class Unknown(nn.Cell):
    """A network with an operation that no rule covers."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Dense(4, 4)

    def construct(self, x: Tensor) -> Tensor:
        return ops.lgamma(self.dense(x))


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (Normalised, "bn: BatchNorm in training mode.*GroupNorm or nn.LayerNorm"),
        (Centred, "dense"),
        (Unknown, "gamma.*no rule"),
    ],
)
def test_what_the_passes_cannot_follow_is_refused(network: type[nn.Cell], reason: str) -> None:
    cell = network()
    before = parameters_of(cell)
    step = PrivateStep(cell, LOSS, nn.SGD(cell.trainable_params(), 0.1), [DPSGD(1.0, 1.0, 0.1, 40)])
    with pytest.raises(PrivacyError, match=f"(?s){reason}"):
        step(np.ones((4, 4), np.float32), np.zeros(4, np.int32))
    for old, now in zip(before, parameters_of(cell), strict=True):
        np.testing.assert_array_equal(old, now)


def test_the_card_says_when_a_guarantee_means_little(digits: ImageData) -> None:
    network = LeNet5()
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 0.1), [DPSGD(1.0, 0.1, 0.1, 40)])
    step(digits.train_images[:4], digits.train_labels[:4])
    doubts = " ".join(step.card(delta=0.1).warnings)
    assert "at least 1 / 40 records" in doubts
    assert "means nothing" in doubts


@pytest.mark.filterwarnings("ignore:noise_multiplier is 0:mindveil.accountant.PrivacyWarning")
def test_the_graph_itself_holds_weights_between_0_and_1(digits: ImageData) -> None:
    """The step refuses other weights before; what reaches the graph in another way can still not exceed the bound."""
    moved = []
    for weights in ([1.0, 1.0, 0.0], [7.0, 1.0, -3.0]):
        network = LeNet5()
        for p in network.get_parameters():
            p.set_data(Tensor(np.random.default_rng(1).normal(0, 0.1, p.shape).astype(np.float32)))
        step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 1.0), [without_noise(clip_norm=0.5)])
        guard, controls = step._guard("update"), step._controls
        assert controls is not None
        controls.set(0)
        batch = Tensor(digits.train_images[:3]), Tensor(digits.train_labels[:3]), Tensor(np.array(weights, np.float32))
        guard.prepare(*batch)
        guard.run(*batch)
        moved.append(parameters_of(network))
    for wanted, found in zip(*moved, strict=True):
        np.testing.assert_array_equal(found, wanted)
