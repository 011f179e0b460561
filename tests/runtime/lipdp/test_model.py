"""Models: their bounds hold for whole networks, their noise and price are what they say, weights stay feasible."""

from __future__ import annotations

import logging
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from numpy.typing import NDArray

from mindveil import accountant
from mindveil.accountant import BudgetExceeded, Ledger, MismatchError
from mindveil.runtime import PoissonBatches, lipdp

Array = NDArray[Any]
SHAPE, CLASSES, RECORDS, BATCH = (2, 6, 6), 4, 64, 8


def metadata(batch: int = BATCH, records: int = RECORDS) -> lipdp.DatasetMetadata:
    return lipdp.DatasetMetadata(SHAPE, CLASSES, records, batch_size=batch, nb_steps_per_epochs=2)


def convolutional(cap: float | None = None) -> list[lipdp.DPLayer]:
    layers: list[lipdp.DPLayer] = [
        lipdp.DP_BoundedInput(upper_bound=3.0),
        lipdp.DP_QuickSpectralConv2D(4, 3, padding="same"),
        lipdp.DP_AddBias(0.2),
        lipdp.DP_GroupSort(2),
        lipdp.DP_ScaledL2NormPooling2D(2, 2),
        lipdp.DP_Flatten(),
        *lipdp.make_residuals("1-lip-add", [lipdp.DP_QuickSpectralDense(36), lipdp.DP_GroupSort(2)]),
        lipdp.DP_QuickSpectralDense(CLASSES),
    ]
    return layers if cap is None else [*layers, lipdp.DP_ClipGradient(cap)]


def model(
    layers: list[lipdp.DPLayer] | None = None,
    strategy: str = "global",
    noise: float = 1.0,
    rate: float = 0.1,
    ledger: Ledger | None = None,
    **settings: Any,
) -> lipdp.DP_Model:
    made = lipdp.DP_Model(
        layers or convolutional(),
        dp_parameters=lipdp.DPParameters(strategy, noise, 1e-5),
        dataset_metadata=metadata(),
        **settings,
    )
    made.compile(
        loss=lipdp.DP_TauCategoricalCrossentropy(5.0),
        optimizer=nn.SGD(made.trainable_params(), rate),
        ledger=ledger,
    )
    return made


def batch(rows: int = BATCH, seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, *SHAPE)).astype(np.float32), rng.integers(0, CLASSES, rows).astype(np.int32)


def worst_batch() -> tuple[Array, Array]:
    """Images that make convolutions' gradients large: constant ones, far beyond the input's bound; and random ones."""
    images, labels = batch()
    images[:4] = 100.0
    images[4:6, 0] = -50.0
    return images, labels


@pytest.mark.parametrize("cap", [None, 0.2])
def test_no_example_exceeds_the_bounds_of_a_whole_network(cap: float | None) -> None:
    made = model(convolutional(cap), rate=5.0)
    for _ in range(2):  # at first weights, and after a noisy update and its projection
        ratios, norms, bounds = made.signal_to_noise_elementwise(worst_batch())
        assert list(ratios) == [p.name for p in made.trainable_params()]
        assert all((ratio <= 1 + 1e-5).all() for ratio in ratios.values())
        last = made.layers_forward_order()[-1 if cap is None else -2].parameter().name
        assert ratios[last].max() > 0.1  # of the worst case: images here are no search
        assert norms[last] == pytest.approx(ratios[last] * bounds[last])
        made.train_step(batch())


def test_the_originals_bounds_are_exceeded_by_a_constant_image() -> None:
    layers = [lipdp.DP_BoundedInput(upper_bound=3.0), lipdp.DP_QuickSpectralConv2D(CLASSES, 3, padding="same")]
    made = model([*layers, lipdp.DP_Lambda(lambda x: x[:, :, 2, 2], output_shape=(CLASSES,))])
    ours, theirs = lipdp.compute_gradient_bounds(made), lipdp.compute_gradient_bounds(made, compat=True)
    name = made.trainable_params()[0].name
    # X = 3, L = sqrt 2, a 3x3 kernel on 6x6: their coefficient times 3, and the root of 9 windows.
    assert ours[name] == pytest.approx(3 * 3 * 2**0.5 / BATCH)
    assert theirs[name] == pytest.approx(6 / (3 * 6 - 2) * 3 * 3 * 2**0.5 / BATCH)


def test_bounds_are_in_backward_order_divided_by_the_batch_and_tighter_for_current_weights() -> None:
    made = model()
    bounds = lipdp.compute_gradient_bounds(made)
    assert list(bounds) == [p.name for p in reversed(made.trainable_params())]
    last = next(iter(bounds))
    # input 3 + 0.2 * 6 (a bias at 36 positions), halves of a residual sum of two such branches
    assert bounds[last] == pytest.approx((3 + 0.2 * 6) * 2**0.5 / BATCH)
    current = lipdp.compute_gradient_bounds(made, norms="current")
    assert all(current[name] <= bounds[name] * (1 + 1e-6) for name in bounds)
    assert current[last] < bounds[last] * 0.9


def test_a_clip_value_lowers_the_bounds_and_the_originals_not() -> None:
    clipped, plain = model(convolutional(0.2)), model()
    ratio = 0.2 / 2**0.5
    for (_, ours), (_, free) in zip(
        lipdp.compute_gradient_bounds(clipped).items(), lipdp.compute_gradient_bounds(plain).items(), strict=True
    ):
        assert ours == pytest.approx(free * ratio)
    theirs = next(iter(lipdp.compute_gradient_bounds(clipped, compat=True).values()))
    assert theirs == pytest.approx((3 + 0.2) * 2**0.5 / BATCH)


@pytest.mark.parametrize("strategy", ["local", "", "Global"])
def test_an_unknown_strategy_is_a_type_error(strategy: str) -> None:
    with pytest.raises(TypeError, match="must be one of global, per-layer, optimal"):
        model(strategy=strategy)


@pytest.mark.parametrize(
    ("noisify", "expected"), [(lipdp.local_noisify, (2, 4)), (lipdp.global_noisify, (20**0.5,) * 2)]
)
def test_noise_has_the_stated_deviation(noisify: Any, expected: tuple[float, float]) -> None:
    made = model(noise=2.0, layers=[lipdp.DP_BoundedInput(upper_bound=1.0), lipdp.DP_Flatten(), *dense_pair()])
    variables = made.trainable_params()
    bounds = {variables[0].name: 1.0, variables[1].name: 2.0}
    zeros = [Tensor(np.ones((300, 400), np.float32)) for _ in variables]
    for noised, std in zip(noisify(made, bounds, variables, zeros), expected, strict=True):
        values = noised.asnumpy() - 1
        assert values.std() == pytest.approx(std, rel=0.02)  # 1 / sqrt(2 * 120,000) is 0.2 %
        assert abs(values.mean()) < 0.02 * std
    with pytest.raises(ValueError, match="no bound is known for the gradient of"):
        noisify(made, {variables[0].name: 1.0}, variables, zeros)


def dense_pair() -> list[lipdp.DPLayer]:
    return [lipdp.DP_QuickSpectralDense(8), lipdp.DP_QuickSpectralDense(CLASSES)]


def test_an_update_adds_noise_of_the_stated_size_and_divides_by_a_constant() -> None:
    layers = [lipdp.DP_BoundedInput(upper_bound=1.0), lipdp.DP_Flatten(), lipdp.DP_QuickFrobeniusDense(CLASSES)]
    made = model(layers, noise=3.0, rate=1.0)
    weight = made.trainable_params()[0]
    moved = []
    object.__setattr__(layers[-1], "project", lambda: None)  # what the optimizer left is what counts here
    for _ in range(30):
        before = weight.asnumpy().copy()
        made.step(np.zeros((BATCH // 2, *SHAPE), np.float32), np.zeros(BATCH // 2, np.int32))  # no gradient at all
        moved.append(weight.asnumpy() - before)
    assert np.std(moved) == pytest.approx(3 * 2**0.5 / BATCH, rel=0.06)  # 1 / sqrt(2 * 30 * 288) is 0.8 %


def test_training_keeps_every_weight_feasible_inside_branches_too_and_counts_every_update() -> None:
    made = model(rate=20.0)
    for _ in range(3):
        assert np.isfinite(made.train_step(batch())["loss"])
    blocks = [cell for _, cell in made.cells_and_names() if isinstance(cell, lipdp.DPLayer) and cell.guaranteed()]
    assert len(blocks) == 4
    for block in blocks:
        assert all(block.certified()[n] <= limit * (1 + 1e-6) for n, limit in block.guaranteed().items())
    once = accountant.PoissonSampled(BATCH / RECORDS, accountant.Gaussian(1.0))
    assert made.step.events == accountant.Sequence([accountant.Composed(once, 3)])


def test_weights_set_by_hand_are_projected_before_they_are_used() -> None:
    made = model()
    weight = made.trainable_params()[-1]
    weight.set_data(Tensor(10 * weight.asnumpy()))
    ratios = made.signal_to_noise_elementwise(worst_batch())[0]
    assert all((ratio <= 1 + 1e-5).all() for ratio in ratios.values())


def test_physical_batches_are_summed_and_noised_once() -> None:
    made = model(
        noise=0.0, rate=1.0, layers=[lipdp.DP_BoundedInput(upper_bound=1.0), lipdp.DP_Flatten(), *dense_pair()]
    )
    x, y = batch(RECORDS)
    batches = list(PoissonBatches((x, y), sampling_rate=0.5, physical_batch=16, steps=1, seed=3))
    assert len(batches) > 1
    for given in batches[:-1]:
        made.step(*given)
    assert made.step.steps_done == 0
    with pytest.warns(accountant.PrivacyWarning, match="not private"):
        made.step(*batches[-1])
    assert made.step.steps_done == 1
    assert isinstance(made.step.events.events[0].event, accountant.NonPrivate)  # type: ignore[union-attr]


def test_fit_draws_poisson_batches_logs_the_price_and_evaluates() -> None:
    made = model(convolutional(0.2), norms="current")
    entries: list[dict[str, Any]] = []
    x, y = batch(RECORDS)
    history = made.fit((x, y), epochs=2, validation_data=(x, y), callbacks=[lipdp.DP_Accountant(log_fn=entries.append)])
    assert set(history) == {"loss", "val_loss", "val_accuracy"}
    assert [entry["epoch"] for entry in entries] == [1, 2]
    assert entries[1]["epsilon"] == pytest.approx(lipdp.get_eps_delta(made, 2)[0], rel=0.02)
    assert entries[1]["clipping_value"] == pytest.approx(0.2)
    batches = PoissonBatches((x, y), sampling_rate=0.5, physical_batch=16, steps=1, seed=3)
    with pytest.raises(MismatchError, match=r"accounts for a rate of 0\.125"):
        made.fit(batches)


def test_mindspores_own_model_trains_it() -> None:
    made = model()
    entries: list[dict[str, Any]] = []
    data = ms.dataset.NumpySlicesDataset(batch(), shuffle=False).batch(BATCH)
    ms.train.Model(made.step).train(1, data, callbacks=[lipdp.DP_Accountant(entries.append)], dataset_sink_mode=False)
    assert made.step.steps_done == 1
    assert entries[0]["epsilon"] > 0


def test_a_ledger_stops_training_before_the_budget_is_overspent(tmp_path: Any) -> None:
    ledger = Ledger.create(
        tmp_path / "ledger.jsonl", dataset_id="d", dataset_size=RECORDS, target_epsilon=2.0, target_delta=1e-5
    )
    made = model(ledger=ledger)
    with pytest.raises(BudgetExceeded):
        made.fit(batch(RECORDS), epochs=50)
    before = made.trainable_params()[0].asnumpy().copy()
    with pytest.raises(BudgetExceeded):
        made.train_step(batch())
    np.testing.assert_array_equal(made.trainable_params()[0].asnumpy(), before)
    assert ledger.epsilon(1e-5) <= 2.0


def test_debug_logs_bounds_and_norms(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "mindveil.lipdp"):
        model(debug=True).train_step(batch())
    assert sum("not released" in record.message for record in caplog.records) == 4


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        (lambda: [lipdp.DP_Flatten(), lipdp.DP_QuickSpectralDense(CLASSES)], ValueError, "before DP_BoundedInput"),
        (lambda: [lipdp.DP_BoundedInput(upper_bound=1.0), nn.ReLU()], TypeError, "got ReLU"),
        (lambda: [lipdp.DP_ReLU()] * 2, ValueError, "used twice"),
        (lambda: [lipdp.DP_BoundedInput((1, 2), upper_bound=1.0)], ValueError, "examples are"),
    ],
)
def test_a_model_without_bounds_is_refused(layers: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lipdp.compute_gradient_bounds(model(layers()))


def test_wandb_is_not_needed_and_an_unknown_log_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(lipdp.DP_Accountant().log_fn)
    lipdp.DP_Accountant().log_fn({"epsilon": 1.0})
    with pytest.raises(ValueError, match="log_fn is 'nowhere'"):
        lipdp.DP_Accountant("nowhere")
