"""Training with differential privacy through the compiled step: what an update is, and what moves between updates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from mindspore import dataset as ds
from mindspore.train import Accuracy, CheckpointConfig, ModelCheckpoint

from mindveil import accountant
from mindveil.accountant import (
    AdaptiveClipping,
    ClippedTogether,
    Composed,
    Gaussian,
    PoissonSampled,
    PrivacyWarning,
    Sequence,
)
from mindveil.runtime import ShuffledBatches, checkpoint
from mindveil.runtime import diff_privacy as dp
from mindveil.runtime.datasets import ImageData
from mindveil.runtime.networks import LeNet5

from .small import LOSS, SHUFFLED, arrays, dataset, model_of, monitor


@pytest.fixture(params=[ms.PYNATIVE_MODE, ms.GRAPH_MODE], ids=["pynative", "graph"])
def mode(request: pytest.FixtureRequest) -> Iterator[int]:
    """Both modes of MindSpore; the one that was set before comes back."""
    before = ms.get_context("mode")
    ms.set_context(mode=request.param)
    yield request.param
    ms.set_context(mode=before)


def group_gradients(network: nn.Cell, images: Any, labels: Any, groups: int) -> list[list[Any]]:
    """The gradient of each group's mean loss, each from a compiled gradient of its rows alone."""

    def forward(x: Tensor, y: Tensor) -> Tensor:
        return LOSS(network(x), y)

    gradient = ms.jit(ms.value_and_grad(forward, None, network.trainable_params()))
    parts = zip(np.split(images, groups), np.split(labels, groups), strict=True)
    return [[g.asnumpy().astype(np.float64) for g in gradient(Tensor(x), Tensor(y))[1]] for x, y in parts]


def clipped_mean(groups: list[list[Any]], bound: float) -> list[Any]:
    """The mean over groups of their clipped gradients, in float64."""
    norms = [np.sqrt(sum((g**2).sum() for g in group)) for group in groups]
    assert min(norms) < bound < max(norms)
    factors = [min(1.0, bound / n) / len(groups) for n in norms]
    return [sum(f * group[k] for f, group in zip(factors, groups, strict=True)) for k in range(len(groups[0]))]


@SHUFFLED
@pytest.mark.parametrize("groups", [3, 6])
def test_an_update_is_the_mean_of_the_groups_clipped_gradients(digits: ImageData, mode: int, groups: int) -> None:
    network, rows = LeNet5(), 12
    scale = np.geomspace(0.3, 30, rows).astype(np.float32)[:, None, None, None]
    images, labels = digits.train_images[:rows] * scale, digits.train_labels[:rows]
    separate = group_gradients(network, images, labels, groups)
    bound = float(np.median([np.sqrt(sum((g**2).sum() for g in group)) for group in separate])) * 1.01
    wanted = clipped_mean(separate, bound)
    before = [p.asnumpy().copy() for p in network.trainable_params()]
    noise = dp.NoiseMechanismsFactory.create("Gaussian", bound, 1e-7)
    model = model_of(network, 1.0, micro_batches=groups, norm_bound=bound, noise_mech=noise)
    model.train(1, ds.NumpySlicesDataset((images, labels), ["data", "label"], shuffle=False).batch(rows))
    for old, parameter, mean in zip(before, network.trainable_params(), wanted, strict=True):
        moved = old - parameter.asnumpy()
        np.testing.assert_allclose(moved, mean, atol=4e-6 * np.abs(mean).max() + 1e-6 * bound, rtol=1e-5)
    event = ClippedTogether(model.step.card(1e-5).noise_multiplier or 0, rows // groups)
    assert model.step.events == Sequence([Composed(PoissonSampled(1.0, event), 1)])


@SHUFFLED
@pytest.mark.parametrize(("decay", "last"), [(None, 1.5), ("Time", 1.5 / 1.9), ("Step", 1.5 * 0.9**9)])
def test_the_noise_is_that_of_the_mechanism_over_the_number_of_groups(decay: str | None, last: float) -> None:
    network, bound = nn.Dense(400, 200), 0.5
    name = "Gaussian" if decay is None else "AdaGaussian"
    noise = dp.NoiseMechanismsFactory.create(name, bound, 1.5, noise_decay_rate=0.1, decay_policy=decay)
    model = model_of(network, 1.0, norm_bound=bound, noise_mech=noise)
    rows = np.zeros((80, 400), np.float32), np.zeros(80, np.int32)  # no gradient but the bias's
    spreads: list[float] = []

    class Spread(ms.train.Callback):
        before = network.weight.asnumpy().copy()

        def on_train_step_end(self, run_context: Any) -> None:
            spreads.append(float((network.weight.asnumpy() - self.before).std()))
            self.before = network.weight.asnumpy().copy()

    model.train(1, ds.NumpySlicesDataset(rows, ["data", "label"], shuffle=False).batch(8), callbacks=Spread())
    assert spreads[0] == pytest.approx(1.5 * bound / 4, rel=0.018)  # 80,000 numbers: 7 standard errors
    assert spreads[-1] == pytest.approx(last * bound / 4, rel=0.018)


@SHUFFLED
def test_the_optimizers_noise_and_the_models_give_the_same_step() -> None:
    events = []
    for brought in (False, True):
        network = nn.Dense(5, 2)
        factory = dp.DPOptimizerClassFactory(micro_batches=4)
        factory.set_mechanisms("Gaussian", norm_bound=1.0, initial_noise_multiplier=1.5)
        made = factory.create("Momentum")(params=network.trainable_params(), learning_rate=0.1, momentum=0.9)
        ordinary = nn.Momentum(network.trainable_params(), 0.1, 0.9)
        first = {"norm_clip": 1.0, "network": network, "loss_fn": LOSS, "metrics": {"accuracy": Accuracy()}}
        if brought:
            model = dp.DPModel(micro_batches=4, mech=None, optimizer=made, **first)
        else:
            mech = dp.MechanismsFactory().create("Gaussian", norm_bound=1.0, initial_noise_multiplier=1.5)
            model = dp.DPModel(micro_batches=4, mech=mech, optimizer=ordinary, **first)
        model.train(2, dataset(), dataset_sink_mode=False)
        assert 0.0 <= model.eval(dataset(), dataset_sink_mode=False)["accuracy"] <= 1.0
        events.append(model.step.events)
    assert events[0] == events[1] == Sequence([Composed(PoissonSampled(0.2, ClippedTogether(1.5, 2)), 10)])


@SHUFFLED
@pytest.mark.parametrize("rule", ["Linear", "Geometric"])
def test_an_adaptive_clip_norm_moves_by_the_share_of_unclipped_groups(rule: str) -> None:
    clip = dp.ClipMechanismsFactory().create("Gaussian", rule, 0.2, 0.9, 1e-6)
    data, labels = arrays()
    model = model_of(nn.Dense(5, 2), norm_bound=1e-3, clip_mech=clip, noise_mech=dp.NoiseGaussianRandom(1e-3, 1.5))
    model.train(1, ds.NumpySlicesDataset((data[:8], labels[:8]), ["data", "label"]).batch(8))
    assert model.step.clip_norm is not None  # no group stays below so small a bound: the share is 0
    wanted = 1e-3 + 0.2 * 0.9 if rule == "Linear" else 1e-3 * np.exp(0.2 * 0.9)
    assert model.step.clip_norm == pytest.approx(wanted, rel=1e-4)
    released = accountant.PoissonSampled(1.0, Sequence([ClippedTogether(1.5, 2), Gaussian(float(np.float32(4e-6)))]))
    assert accountant.zcdp(model.step.events) == pytest.approx(accountant.zcdp(released), rel=1e-5)
    single = model_of(nn.Dense(5, 2), micro_batches=8, clip_mech=clip)
    single.train(1, ds.NumpySlicesDataset((data[:8], labels[:8]), ["data", "label"]).batch(8))
    alone = accountant.PoissonSampled(1.0, AdaptiveClipping(1.5, float(np.float32(8e-6))))
    assert accountant.zcdp(single.step.events) == pytest.approx(accountant.zcdp(alone), rel=1e-5)


@SHUFFLED
def test_a_noise_seed_warns_and_is_on_the_card() -> None:
    weights = []
    for _ in range(2):
        network = nn.Dense(5, 2, weight_init="zeros", bias_init="zeros")
        model = model_of(network, noise_mech=dp.NoiseGaussianRandom(1.0, 1.5, seed=7))
        with pytest.warns(PrivacyWarning, match="noise_seed=7 makes the noise reproducible"):
            model.train(1, ShuffledBatches(arrays(), batch_size=8, epochs=1, seed=0))
        assert model.card(1e-5).noise_reproducible
        weights.append(network.weight.asnumpy())
    np.testing.assert_array_equal(weights[0], weights[1])
    network = nn.Dense(5, 2, weight_init="zeros", bias_init="zeros")
    model = model_of(network, noise_mech=dp.NoiseGaussianRandom(1.0, 1.5))
    model.train(1, ShuffledBatches(arrays(), batch_size=8, epochs=1, seed=0))
    assert not model.card(1e-5).noise_reproducible
    assert not np.array_equal(network.weight.asnumpy(), weights[0])


@SHUFFLED
def test_two_bounds_make_one_multiplier_that_is_accounted() -> None:
    model = model_of(nn.Dense(5, 2), noise_mech=dp.GaussianRandom())  # its bound is 0.5, the model's 1.0
    with pytest.warns(PrivacyWarning, match=r"norm_bound 0\.5, but gradients are clipped to 1: .* in effect is 0\.75"):
        model.train(1, dataset())
    assert model.step.events == Sequence([Composed(PoissonSampled(0.2, ClippedTogether(0.75, 2)), 5)])


@SHUFFLED
def test_a_generator_of_whole_batches_is_a_dataset_too() -> None:
    def whole_batches(size: int, number: int) -> Iterator[tuple[Any, Any]]:
        data, labels = arrays(size * number)
        for k in range(number):
            yield data[k * size : (k + 1) * size], labels[k * size : (k + 1) * size]

    model = model_of(nn.Dense(5, 2))
    model.train(1, ds.GeneratorDataset(whole_batches(8, 5), ["data", "label"]), dataset_sink_mode=False)
    assert model.step.steps_done == 5
    assert model.feeding is not None
    assert (model.feeding.batch_size, model.feeding.pass_steps) == (8, 5)


@SHUFFLED
def test_a_second_call_goes_on_and_other_batches_are_refused(tmp_path: Path) -> None:
    model = model_of(nn.Dense(5, 2))
    config = CheckpointConfig(save_checkpoint_steps=5, keep_checkpoint_max=5)
    saver = ModelCheckpoint(prefix="net", directory=str(tmp_path), config=config)
    model.train(1, dataset(), callbacks=[monitor(), saver])
    model.train(1, dataset(), callbacks=[monitor()])
    assert model.step.steps_done == 10
    assert model.feeding is not None
    assert model.feeding.starts == (0, 5)
    saved = ms.load_checkpoint(str(tmp_path / "net-1_5.ckpt"))
    assert {"weight", "bias"} <= saved.keys()
    assert not [name for name in saved if "mindveil" in name]  # no noise key in a checkpoint
    with pytest.raises(ValueError, match="the batches differ from those of the first call"):
        model.train(1, dataset(batch=4))


@SHUFFLED
def test_a_linear_rule_that_would_make_the_bound_negative_ends_training() -> None:
    clip = dp.ClipMechanismsFactory.create("Gaussian", "Linear", 1.0, 0.1, 1e-6)
    network = nn.Dense(5, 2)
    model = model_of(network, norm_bound=0.5, clip_mech=clip, noise_mech=dp.NoiseGaussianRandom(0.5, 1.5))
    data = np.zeros((16, 5), np.float32), np.zeros(16, np.int32)
    network.bias.set_data(Tensor(np.array([40.0, -40.0], np.float32)))  # no loss, so that every group stays below
    with pytest.raises(ValueError, match=r"clip_norm is -0\.[34]\d* at step 1, and must be finite and not negative"):
        model.train(1, ds.NumpySlicesDataset(data, ["data", "label"]).batch(8))
    assert model.step.steps_done == 1


@SHUFFLED
def test_a_resumed_run_counts_what_was_spent_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = model_of(nn.Dense(5, 2))
    first.train(1, dataset())
    checkpoint.save(tmp_path / "run.ckpt", first.step)
    network = nn.Dense(5, 2)
    second = model_of(network)
    second.build(dataset())
    checkpoint.restore(tmp_path / "run.ckpt", second.step)
    np.testing.assert_array_equal(network.weight.asnumpy(), first.step.network.weight.asnumpy())
    second.train(1, dataset(), callbacks=[monitor(per_print_times=5)])
    assert second.step.steps_done == 10
    wanted = accountant.epsilon(Composed(ClippedTogether(1.5, 2), 2), 1e-3, neighbouring="replace_one", method="pld")
    assert second.card(1e-3).epsilon == pytest.approx(wanted, rel=1e-6)
    assert f"eps is {second.card(1e-3).epsilon} " in capsys.readouterr().out
