"""Training with differential privacy through the compiled step: what an update is, what is printed, what is refused."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from mindspore import dataset as ds
from mindspore.train import Accuracy, CheckpointConfig, LossMonitor, ModelCheckpoint

from mindveil import accountant
from mindveil.accountant import (
    AdaptiveClipping,
    ClippedTogether,
    Composed,
    Gaussian,
    MismatchError,
    PoissonSampled,
    PrivacyWarning,
    Sequence,
    shuffling_gap,
)
from mindveil.passes.privacy import PrivacyError
from mindveil.runtime import PoissonBatches, ShuffledBatches
from mindveil.runtime import diff_privacy as dp
from mindveil.runtime.datasets import ImageData
from mindveil.runtime.networks import LeNet5

LOSS = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
SHUFFLED = pytest.mark.filterwarnings("ignore:the batches are not drawn by Poisson sampling")
LINE = re.compile(r"epoch: (\d+) step: (\d+), delta is (\S+), eps is (\S+) \((.*)\)")


@pytest.fixture(params=[ms.PYNATIVE_MODE, ms.GRAPH_MODE], ids=["pynative", "graph"])
def mode(request: pytest.FixtureRequest) -> Iterator[int]:
    """Both modes of MindSpore; the one that was set before comes back."""
    before = ms.get_context("mode")
    ms.set_context(mode=request.param)
    yield request.param
    ms.set_context(mode=before)


def arrays(records: int = 40) -> tuple[Any, Any]:
    """Two separable classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(records, dtype=np.int32) % 2
    return rng.normal(labels[:, None] * 4 - 2, 1, (records, 5)).astype(np.float32), labels


def dataset(batch: int = 8, records: int = 40) -> Any:
    """A MindSpore dataset of shuffled batches."""
    return ds.NumpySlicesDataset(arrays(records), ["data", "label"], shuffle=True).batch(batch, drop_remainder=True)


def model_of(trained: nn.Cell, rate: float = 0.1, **more: Any) -> dp.DPModel:
    """A model with constant noise, over an ordinary optimizer, unless told otherwise."""
    given: dict[str, Any] = {"micro_batches": 4, "norm_bound": 1.0, "network": trained, "loss_fn": LOSS} | more
    given.setdefault("noise_mech", dp.NoiseMechanismsFactory.create("Gaussian", 1.0, 1.5))
    given.setdefault("optimizer", nn.SGD(trained.trainable_params(), rate))
    return dp.DPModel(**given)


def monitor(**more: Any) -> dp.RDPMonitor:
    """A monitor that was told of `model_of` on `dataset`."""
    told = {"num_samples": 40, "batch_size": 8, "initial_noise_multiplier": 1.5, "target_delta": 1e-3} | more
    return dp.PrivacyMonitorFactory.create("rdp", noise_decay_mode=None, **told)


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
def test_a_monitor_prints_the_sound_epsilon_and_the_formula_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    model = model_of(nn.Dense(5, 2))
    model.train(2, dataset(), callbacks=[monitor(per_print_times=4), LossMonitor(100)])
    lines = [m.groups() for m in map(LINE.fullmatch, capsys.readouterr().out.splitlines()) if m]
    assert [(epoch, step) for epoch, step, *_ in lines] == [("1", "4"), ("2", "3"), ("2", "5")]
    for (_, _, delta, epsilon, beside), passes in zip(lines, (1, 2, 2), strict=True):
        wanted = accountant.epsilon(
            Composed(ClippedTogether(1.5, 2), passes), 1e-3, neighbouring="replace_one", method="pld"
        )
        assert float(delta) == 1e-3
        assert float(epsilon) == pytest.approx(wanted, rel=1e-6)
        assert "C for the sensitivity of 2 rows that are clipped as one, and it is 2C" in beside
        assert "shuffled batches for Poisson samples" in beside
    formula = float(lines[-1][4].split()[4].rstrip(";"))
    assert formula < float(lines[-1][3])
    assert accountant.epsilon(Composed(PoissonSampled(0.2, Gaussian(1.5)), 10), 1e-3) < formula


def test_poisson_batches_of_single_records_get_the_amplified_epsilon(capsys: pytest.CaptureFixture[str]) -> None:
    model = model_of(nn.Dense(5, 2), micro_batches=12)
    batches = PoissonBatches(arrays(), sampling_rate=0.2, physical_batch=12, steps=10)
    model.train(2, batches, callbacks=[monitor(per_print_times=100)])
    ((epoch, step, _, epsilon, beside),) = [
        m.groups() for m in map(LINE.fullmatch, capsys.readouterr().out.splitlines()) if m
    ]
    assert (epoch, step) == ("2", "5")
    event = Composed(PoissonSampled(0.2, Gaussian(1.5)), 10)
    assert float(epsilon) == pytest.approx(accountant.epsilon(event, 1e-3), rel=1e-5)
    assert "; it" not in beside  # nothing is left out
    card = model.card(1e-3)
    assert (card.sampling, card.neighbouring) == ("Poisson, rate 0.2", "add_or_remove_one")
    assert card.epsilon == pytest.approx(float(epsilon))


def test_poisson_batches_with_groups_are_refused() -> None:
    model = model_of(nn.Dense(5, 2), micro_batches=4)
    batches = PoissonBatches(arrays(), sampling_rate=0.2, physical_batch=8, steps=10)
    with pytest.raises(MismatchError, match=r"rows_together=2 .* in Poisson batches all later records move up"):
        model.train(2, batches)
    assert model.step.steps_done == 0


def test_shuffled_batches_warn_with_the_size_of_the_gap() -> None:
    model = model_of(nn.Dense(5, 2))
    gap = shuffling_gap(0.75, 40, 2, delta=1e-5)  # noise of 1.5 C over a sensitivity of 2C
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.train(2, dataset(records=320))
    texts = [str(w.message) for w in caught if issubclass(w.category, PrivacyWarning)]
    found = next(t for t in texts if t.startswith("the batches are not drawn by Poisson sampling"))
    assert f"For 2 epochs of 40 batches Poisson accounting says epsilon {gap.poisson:.4g} at delta 1e-05" in found
    assert f"where the truth lies between {gap.at_least:.4g} and {gap.at_most:.4g}" in found
    card = model.card(1e-5)
    assert card.sampling == "none: shuffled batches, 40 to a pass over the records"
    assert card.neighbouring == "replace_one"
    assert card.epsilon == pytest.approx(gap.at_most, rel=1e-6)
    assert (card.epsilon or 0) > model.step.epsilon(1e-5)


@SHUFFLED
@pytest.mark.parametrize("policy", ["rdp", "zcdp"])
def test_a_monitor_with_the_default_decay_raises_before_the_first_step(policy: str) -> None:
    network = nn.Dense(5, 2)
    before = network.weight.asnumpy().copy()
    watch = dp.PrivacyMonitorFactory.create(policy=policy, num_samples=40, batch_size=8, target_delta=1e-3)
    model = model_of(network)
    with pytest.raises(MismatchError, match="noise_decay_mode='Time' step 2 has noise multiplier"):
        model.train(1, dataset(), callbacks=[watch])
    np.testing.assert_array_equal(network.weight.asnumpy(), before)
    assert model.step.steps_done == 0


@SHUFFLED
def test_a_monitor_goes_along_with_noise_that_decays(capsys: pytest.CaptureFixture[str]) -> None:
    noise = dp.MechanismsFactory.create("AdaGaussian", 1.0, 1.5, 0.0, 0.05, "Time")
    watch = dp.PrivacyMonitorFactory.create(
        "rdp", 40, 8, 1.5, target_delta=None, target_eps=9.0, noise_decay_rate=0.05, dataset_sink_mode=True
    )
    zcdp = dp.PrivacyMonitorFactory.create("zcdp", 40, 8, 1.5, target_delta=1e-3, noise_decay_rate=0.05)
    model_of(nn.Dense(5, 2), noise_mech=noise, micro_batches=8).train(2, dataset(), callbacks=[watch, zcdp])
    lines = [m.groups() for m in map(LINE.fullmatch, capsys.readouterr().out.splitlines()) if m]
    assert [line[:2] for line in lines] == [("1", "5"), ("2", "5"), ("2", "5")]
    least = [1.5 / (1 + 0.05 * 4), 1.5 / (1 + 0.05 * 9)]
    for (_, _, delta, epsilon, beside), passes in zip(lines[:2], (1, 2), strict=True):
        event = Sequence([Gaussian(z) for z in least[:passes]])
        wanted = accountant.delta(event, 9.0, neighbouring="replace_one", method="pld")
        assert float(epsilon) == 9.0
        assert float(delta) == pytest.approx(wanted, rel=1e-4)
        assert beside.startswith("MindArmour's formula: delta is ")
    rho = sum(4 / (2 * z * z) for z in least)
    assert rho < float(lines[2][3]) <= rho + 2 * np.sqrt(rho * np.log(1e3))


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
def test_batch_normalisation_is_refused_and_group_normalisation_is_not() -> None:
    class Normalised(nn.Cell):
        def __init__(self, norm: nn.Cell) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3, has_bias=False, weight_init="normal")
            self.norm = norm
            self.flatten = nn.Flatten()
            self.fc = nn.Dense(4 * 8 * 8, 2)

        def construct(self, x: Any) -> Any:
            return self.fc(self.flatten(nn.ReLU()(self.norm(self.conv(x)))))

    rows = np.random.default_rng(0).normal(size=(8, 1, 8, 8)).astype(np.float32), np.arange(8, dtype=np.int32) % 2
    data = ds.NumpySlicesDataset(rows, ["data", "label"]).batch(8)
    with pytest.raises(PrivacyError, match=r"(?i)batch"):
        model_of(Normalised(nn.BatchNorm2d(4))).train(1, data)
    model = model_of(Normalised(nn.GroupNorm(2, 4)))
    model.train(1, data)
    assert model.step.steps_done == 1


def make(**more: Any) -> Callable[[], dp.DPModel]:
    """Makes a model of a small network with other arguments."""
    return lambda: model_of(nn.Dense(5, 2), **more)


def brought(micro_batches: int = 4) -> Any:
    """An optimizer that brings its noise along."""
    factory = dp.DPOptimizerClassFactory(micro_batches)
    factory.set_mechanisms("Gaussian")
    return factory.create("SGD")(nn.Dense(5, 2).trainable_params())


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (make(noise_mech=None), ValueError, "neither the optimizer nor the model has a noise mechanism"),
        (make(optimizer=brought()), ValueError, "both the optimizer and the model has a noise mechanism"),
        (make(optimizer=brought(2), noise_mech=None), ValueError, "is 4 for the model and 2 for its optimizer"),
        (make(noise_mech="Gaussian"), TypeError, "noise_mech is 'Gaussian', and must be made by"),
        (make(noise_mech=dp.GaussianRandom(1.0, 1.5, 0.5)), ValueError, r"the noise has mean 0\.5"),
        (make(clip_mech="Gaussian"), TypeError, "clip_mech is 'Gaussian', and must be made by ClipMechanismsFactory"),
        (
            make(clip_mech=dp.AdaClippingWithGaussianRandom(), noise_mech=dp.AdaGaussianRandom()),
            ValueError,
            "clip_mech needs noise that does not decay",
        ),
        (make(micro_batches=None), TypeError, "micro_batches is None"),
        (make(micro_batches=0), ValueError, "micro_batches is 0"),
        (make(norm_bound=-1.0), ValueError, r"norm_bound is -1\.0, and must be above 0"),
        (make(norm_bound=2.0, norm_clip=1.0), TypeError, "norm_clip and norm_bound are two names of one argument"),
        (make(mech=dp.GaussianRandom()), TypeError, "mech and noise_mech are two names of one argument"),
        (make(network=None), TypeError, "network is None"),
        (make(optimizer=None), TypeError, "optimizer is None"),
        (make(norm=1.0), TypeError, "DPModel got the unknown keyword norm; it knows"),
        (make(amp_level="O2"), ValueError, "amp_level is 'O2'"),
    ],
)
def test_wrong_arguments_are_named(wrong: Callable[[], dp.DPModel], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong()


def test_batches_that_cannot_be_divided_and_sinking_are_refused() -> None:
    with pytest.raises(ValueError, match="micro_batches is 4, and must divide the 10 rows of a batch"):
        model_of(nn.Dense(5, 2)).train(1, dataset(batch=10))
    with pytest.raises(ValueError, match="the budget is checked before every step"):
        model_of(nn.Dense(5, 2)).train(
            1, PoissonBatches(arrays(), sampling_rate=0.2, physical_batch=4, steps=1), None, True
        )
    with pytest.raises(ValueError, match="has not been trained"):
        model_of(nn.Dense(5, 2)).card(1e-5)


def test_a_monitor_of_an_ordinary_model_says_that_it_has_nothing_to_read() -> None:
    network = nn.Dense(5, 2)
    plain = ms.train.Model(network, LOSS, nn.SGD(network.trainable_params(), 0.1))
    with pytest.raises(MismatchError, match=r"hand it to DPModel\.train"):
        plain.train(1, dataset(), callbacks=[monitor()], dataset_sink_mode=False)


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
