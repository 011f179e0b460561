"""Steps whose gradients a sweep of the graph bounds: the bounds are the layers' rules', and no example exceeds them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from mindveil import accountant
from mindveil.accountant import Ledger
from mindveil.passes.privacy import PrivacyError
from mindveil.runtime import LipschitzDP, PoissonBatches, PrivateModel, PrivateStep, Suppression, checkpoint, lipdp
from mindveil.runtime.example_weights import ExampleWeights
from mindveil.runtime.lipdp.bounds import example_bounds

SHAPE, CLASSES, ROWS = (2, 8, 8), 10, 6
#: What one update of the ledger's test releases.
ONCE = accountant.PoissonSampled(0.5, accountant.Gaussian(3.0))
QUIET = pytest.mark.filterwarnings("ignore:noise_multiplier is 0:mindveil.accountant.PrivacyWarning")
MIXER = lipdp.MixerConfig(
    hidden_size=8, mlp_seq_dim=8, mlp_channel_dim=8, add_biases=True, skip_connections=True, clip_loss_gradient=0.5
)
NETWORKS: dict[str, Callable[[], list[Any]]] = {
    "dense": lambda: [
        lipdp.DP_Flatten(),
        lipdp.DP_QuickSpectralDense(16),
        lipdp.DP_AddBias(),
        lipdp.DP_GroupSort(2),
        lipdp.DP_QuickSpectralDense(CLASSES),
        lipdp.DP_ClipGradient(0.5),
    ],
    "convolutions": lambda: [
        lipdp.DP_QuickSpectralConv2D(4, 3, padding="same"),
        lipdp.DP_AddBias(0.3),
        lipdp.DP_GroupSort(4),
        lipdp.DP_ScaledL2NormPooling2D(2),
        lipdp.DP_SpectralConv2D(4, 3, strides=2),
        lipdp.DP_ReLU(),
        lipdp.DP_Flatten(),
        lipdp.DP_LayerCentering(),
        lipdp.DP_QuickSpectralDense(CLASSES),
    ],
    "branches": lambda: [
        lipdp.DP_Flatten(),
        *lipdp.make_residuals("1-lip-add", [lipdp.DP_QuickSpectralDense(128), lipdp.DP_GroupSort(2)]),
        *lipdp.make_residuals("add", [lipdp.DP_QuickSpectralDense(128), lipdp.DP_AddBias(0.5)]),
        lipdp.DP_QuickSpectralDense(CLASSES),
    ],
    "mixer": lambda: lipdp.mlp_mixer(SHAPE, CLASSES, 3.0, MIXER)[1:],
    "maxima": lambda: [lipdp.DP_QuickSpectralConv2D(CLASSES, 3), lipdp.DP_MaxPool2D(6), lipdp.DP_Flatten()],
    "means": lambda: [lipdp.DP_QuickSpectralConv2D(CLASSES, 3), lipdp.DP_AveragePooling2D(6), lipdp.DP_Flatten()],
    "norms": lambda: [lipdp.DP_QuickSpectralConv2D(CLASSES, 3), lipdp.DP_ScaledGlobalL2NormPooling2D()],
}
LOSSES: dict[str, Callable[[], Any]] = {
    "cross-entropy": lambda: lipdp.DP_TauCategoricalCrossentropy(8.0),
    "binary": lambda: lipdp.DP_TauBCE(2.0),
    "cosine": lambda: lipdp.DP_KCosineSimilarity(0.1),
    "hinge": lambda: lipdp.DP_MulticlassHinge(1.0),
    "absolute": lambda: lipdp.DP_MeanAbsoluteError(),
}


def model(name: str, loss: str = "cross-entropy") -> lipdp.DP_Model:
    made = lipdp.DP_Model(
        [lipdp.DP_BoundedInput(upper_bound=3.0), *NETWORKS[name]()],
        dp_parameters=lipdp.DPParameters("global", 1.0, 1e-5),
        dataset_metadata=lipdp.DatasetMetadata(SHAPE, CLASSES, 100, batch_size=10),
    )
    made.compile(loss=LOSSES[loss](), optimizer=nn.SGD(made.trainable_params(), 0.1))
    return made


def guaranteed(made: nn.Cell) -> dict[str, float]:
    found: dict[str, float] = {}
    for _, cell in made.cells_and_names():
        found |= cell.guaranteed() if isinstance(cell, lipdp.DPLayer) else {}
    return found


def step_of(made: Any, noise: float = 0.0, rate: float = 1.0, **settings: Any) -> PrivateStep:
    public = tuple(p.name for p in made.get_parameters() if not p.requires_grad)
    policy = LipschitzDP(noise, sampling_rate=0.5, dataset_size=2, public=public, **settings)
    return PrivateStep(made, made.loss, nn.SGD(made.trainable_params(), rate), [policy])


def batch(rows: int = ROWS) -> tuple[Any, Any]:
    """Images far beyond the input's bound, constant ones, and small ones."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(rows, *SHAPE)).astype(np.float32)
    images[0], images[1] = 100.0, images[1] / 1000
    return images, rng.integers(0, CLASSES, rows).astype(np.int32)


@QUIET
@pytest.mark.parametrize(
    ("name", "loss"), [*((n, "cross-entropy") for n in NETWORKS), *(("dense", k) for k in LOSSES if k[0] != "c")]
)
def test_the_sweep_of_the_graph_finds_the_bounds_of_the_rules(name: str, loss: str) -> None:
    made = model(name, loss)
    step = step_of(made, norms=lambda: guaranteed(made))
    step.prepare(*batch())
    total = np.sqrt(sum(b**2 for b in example_bounds(made).values()))
    step(*batch())
    swept = step.card().clip_norm
    assert swept is not None
    assert total < swept < total * (1 + 3e-4)  # what float32 adds


@QUIET
@pytest.mark.parametrize("name", NETWORKS)
def test_no_example_moves_the_sum_by_more_than_the_bound_and_sums_are_those_of_one_at_a_time(name: str) -> None:
    made = model(name)
    images, labels = batch()
    moved = []
    parts = [np.eye(ROWS, dtype=np.float32)[k] for k in range(ROWS)]
    start = [p.asnumpy().copy() for p in made.trainable_params()]
    step = step_of(made)
    for weights in [*parts, np.ones(ROWS, np.float32)]:
        for p, value in zip(made.trainable_params(), start, strict=True):
            p.set_data(Tensor(value))
        step(images, labels, weights)
        moved.append(
            np.concatenate([(a - p.asnumpy()).ravel() for a, p in zip(start, made.trainable_params(), strict=True)])
        )
    bound = step.card().clip_norm
    assert bound is not None
    largest = max(np.linalg.norm(m.astype(np.float64)) for m in moved[:-1])
    assert 0.02 * bound < largest <= bound
    np.testing.assert_allclose(moved[-1], sum(moved[:-1]), atol=3e-6 * max(1.0, float(np.abs(start[0]).max()) * 10))


def test_a_step_is_noised_accounted_and_explained_like_a_clipped_one() -> None:
    made = model("dense")
    step = step_of(made, noise=2.0, norms=lambda: guaranteed(made))
    before = made.trainable_params()[0].asnumpy().copy()
    step(*batch(), np.zeros(ROWS, np.float32))  # nobody is in the batch: what moves is noise
    moved = (made.trainable_params()[0].asnumpy() - before).ravel()
    bound = step.card().clip_norm
    assert bound is not None
    assert moved.std() == pytest.approx(2.0 * bound, rel=0.08)  # 1 / sqrt(2 * 2048) is 1.6 %
    once = accountant.PoissonSampled(0.5, accountant.Gaussian(2.0))
    assert step.events == accountant.Sequence([accountant.Composed(once, 1)])
    table = step.explain()
    assert "passes: bound (" in table
    assert "MindveilBound" not in table
    assert step.card(1e-5).passes[:2] == ("bound", "noise")


@QUIET
def test_the_bound_follows_the_weights_from_step_to_step() -> None:
    made = model("dense")
    step = step_of(made, rate=1e-6)
    step(*batch())
    first = step.card().clip_norm
    last = made.trainable_params()[-1]
    last.set_data(Tensor(last.asnumpy() / 4))
    step(*batch())
    second = step.card().clip_norm
    assert first is not None
    assert second is not None
    assert second < 0.9 * first


@QUIET
def test_physical_batches_make_the_update_of_one() -> None:
    images, labels = batch()
    moved = []
    for parts in ([slice(0, ROWS)], [slice(0, 3), slice(3, ROWS)]):
        made = model("convolutions")
        for k, p in enumerate(made.trainable_params()):
            p.set_data(Tensor(np.random.default_rng(k).normal(scale=0.1, size=p.shape).astype(np.float32)))
        before = made.trainable_params()[0].asnumpy().copy()
        step = step_of(made)
        for part in parts:
            weights = ExampleWeights.of(np.ones(len(images[part]), np.float32), last=part == parts[-1])
            step(images[part], labels[part], weights)
        assert step.steps_done == 1
        moved.append(made.trainable_params()[0].asnumpy() - before)
    np.testing.assert_allclose(moved[0], moved[1], atol=1e-5)


def test_ledger_and_checkpoint_are_those_of_any_private_step(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "l.jsonl", dataset_id="d", dataset_size=2, target_epsilon=8.0, target_delta=1e-5)
    made = model("dense")
    policy = LipschitzDP(3.0, sampling_rate=0.5, dataset_size=2, public=("layers.6.clip_value",))
    step = PrivateStep(made, made.loss, nn.SGD(made.trainable_params(), 1e-3), [policy], ledger=ledger)
    while accountant.epsilon(accountant.Sequence([step.events, ONCE]), 1e-5) <= 8.0:
        step(*batch())
    with pytest.raises(accountant.BudgetExceeded):
        step(*batch())
    assert step.steps_done > 0
    assert step.epsilon(1e-5) <= 8.0
    checkpoint.save(tmp_path / "saved.ckpt", step)
    again = model("dense")
    other = PrivateStep(again, again.loss, nn.SGD(again.trainable_params(), 1e-3), [policy], ledger=ledger)
    checkpoint.restore(tmp_path / "saved.ckpt", other)
    assert other.steps_done == step.steps_done
    for a, b in zip(made.trainable_params(), again.trainable_params(), strict=True):
        np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())


def test_a_model_trains_by_it_with_masks() -> None:
    made = model("dense")
    policy = LipschitzDP(1.0, 0.25, 24, public=("layers.6.clip_value",))
    masks = Suppression(sparsity=0.5, steps=4, every=1)
    trained = PrivateModel(made, made.loss, nn.SGD(made.trainable_params(), 1e-3), policies=[policy, masks])
    images, labels = batch(24)
    trained.train(1, PoissonBatches((images, labels), sampling_rate=0.25, physical_batch=24, steps=4))
    assert trained.step.steps_done == 4
    assert trained.step.sparsity == pytest.approx(0.5, abs=0.01)
    card = trained.step.card(1e-5)
    assert card.mode == "private"
    assert card.masked
    assert (made.trainable_params()[0].asnumpy() == 0).mean() == pytest.approx(0.5, abs=0.01)


class Exchanged(nn.Cell):
    """A convolution by a kernel whose first two dimensions change places, which changes its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.bounded = lipdp.DP_BoundedInput(upper_bound=1.0)
        self.kernel = ms.Parameter(Tensor(np.ones((2, 2, 2, 2), np.float32)), name="kernel")
        self.convolve = ops.Conv2D(out_channel=2, kernel_size=2)
        self.last = nn.Dense(2 * 49, 3)

    def construct(self, x: Tensor) -> Tensor:
        y = self.convolve(self.bounded(x), ops.transpose(self.kernel, (1, 0, 2, 3)))
        return self.last(y.reshape((y.shape[0], -1)))


def test_a_kernel_with_exchanged_dimensions_has_no_known_norm() -> None:
    made = Exchanged()
    loss = lipdp.DP_TauCategoricalCrossentropy(1.0)
    step = PrivateStep(made, loss, nn.SGD(made.trainable_params(), 0.1), [LipschitzDP(1.0, 0.5, 2)])
    with pytest.raises(PrivacyError, match=r"no bound is known for the gradient of last\.weight: Conv2D"):
        step(np.ones((2, *SHAPE), np.float32), np.zeros(2, np.int32))


class Half(nn.Cell):
    """A layer in half precision, whose rounding no bound counts."""

    def __init__(self) -> None:
        super().__init__()
        self.first = lipdp.DP_BoundedInput(upper_bound=1.0)
        self.dense = nn.Dense(4, 3).to_float(ms.float16)

    def construct(self, x: Tensor) -> Tensor:
        return self.dense(self.first(x)).astype(ms.float32)


class Free(nn.Cell):
    """Layers without a bounded input, or without a rule."""

    def __init__(self, bounded: bool) -> None:
        super().__init__()
        self.first = lipdp.DP_BoundedInput(upper_bound=1.0) if bounded else nn.Identity()
        self.dense = nn.Dense(4, 3)
        self.bend = nn.GELU() if bounded else nn.ReLU()

    def construct(self, x: Tensor) -> Tensor:
        return self.bend(self.dense(self.first(x)))


@pytest.mark.parametrize(
    ("network", "loss", "named"),
    [
        (lambda: Free(bounded=False), lipdp.DP_TauCategoricalCrossentropy(1.0), "parameter 'images'"),
        (lambda: Free(bounded=True), lipdp.DP_TauCategoricalCrossentropy(1.0), "GeLUGrad"),
        (Half, lipdp.DP_TauCategoricalCrossentropy(1.0), "Cast"),
        (lambda: model("branches"), nn.SoftmaxCrossEntropyWithLogits(sparse=True), "SoftmaxCrossEntropyWithLogits"),
    ],
    ids=["input", "activation", "half precision", "loss"],
)
def test_what_has_no_bound_is_refused_by_name(network: Callable[[], nn.Cell], loss: nn.Cell, named: str) -> None:
    made = network()
    shape = SHAPE if isinstance(made, lipdp.DP_Model) else (4,)
    policy = LipschitzDP(1.0, 0.5, 2)
    step = PrivateStep(made, loss, nn.SGD(made.trainable_params(), 0.1), [policy])
    before = [p.asnumpy().copy() for p in made.trainable_params()]
    with pytest.raises(PrivacyError, match=f"no bound is known for the gradient of .*: {named}.* has no rule"):
        step(np.ones((2, *shape), np.float32), np.zeros(2, np.int32))
    for a, p in zip(before, made.trainable_params(), strict=True):
        np.testing.assert_array_equal(a, p.asnumpy())


def test_norms_that_are_missing_or_no_norms_are_refused() -> None:
    for norms in ({}, {"layers.2.weight": -1.0}):
        step = step_of(model("dense"), noise=1.0, norms=lambda norms=norms: norms)
        with pytest.raises(ValueError, match="norms must be at least 0 and known for every weight"):
            step(*batch())


@pytest.mark.parametrize(("values", "message"), [((-1.0, 0.5), "noise_multiplier"), ((1.0, 0.0), "sampling_rate")])
def test_wrong_settings_are_refused(values: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LipschitzDP(*values, dataset_size=10)
