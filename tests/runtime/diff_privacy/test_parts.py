"""Mechanisms, factories and optimizers: names, order and defaults of both generations, and what they draw."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
from mindspore import Tensor, nn

from mindveil.runtime import diff_privacy as dp
from mindveil.runtime.diff_privacy.errors import UnknownNameError
from mindveil.runtime.diff_privacy.noise import Noise

LOOSE: Any = dp  # so that wrong types can be handed in
SIGNATURES: dict[Any, dict[str, Any]] = {
    dp.GaussianRandom: {"norm_bound": 0.5, "initial_noise_multiplier": 1.5, "mean": 0.0, "seed": 0},
    dp.AdaGaussianRandom: {
        "norm_bound": 1.0, "initial_noise_multiplier": 1.5, "mean": 0.0, "noise_decay_rate": 0.0006,
        "decay_policy": "Time", "seed": 0,
    },
    dp.NoiseGaussianRandom: {"norm_bound": 1.0, "initial_noise_multiplier": 1.0, "seed": 0, "decay_policy": None},
    dp.NoiseAdaGaussianRandom: {
        "norm_bound": 1.0, "initial_noise_multiplier": 1.0, "seed": 0, "noise_decay_rate": 6e-6, "decay_policy": "Exp",
    },
    dp.AdaClippingWithGaussianRandom: {
        "decay_policy": "Linear", "learning_rate": 0.001, "target_unclipped_quantile": 0.9, "fraction_stddev": 0.01,
        "seed": 0,
    },
    dp.DPOptimizerClassFactory: {"micro_batches": 2},
    dp.RDPMonitor: {
        "num_samples": inspect.Parameter.empty, "batch_size": inspect.Parameter.empty, "initial_noise_multiplier": 1.5,
        "max_eps": 10.0, "target_delta": 1e-3, "max_delta": None, "target_eps": None, "orders": None,
        "noise_decay_mode": "Time", "noise_decay_rate": 6e-4, "per_print_times": 50, "dataset_sink_mode": False,
    },
    dp.ZCDPMonitor: {
        "num_samples": inspect.Parameter.empty, "batch_size": inspect.Parameter.empty, "initial_noise_multiplier": 1.5,
        "max_eps": 10.0, "target_delta": 1e-3, "noise_decay_mode": "Time", "noise_decay_rate": 6e-4,
        "per_print_times": 50, "dataset_sink_mode": False,
    },
}  # fmt: skip


@pytest.mark.parametrize("made", SIGNATURES, ids=lambda c: c.__name__)
def test_parameters_have_the_documented_names_order_and_defaults(made: Any) -> None:
    parameters = list(inspect.signature(made.__init__).parameters.values())[1:]
    assert [(p.name, p.default) for p in parameters] == list(SIGNATURES[made].items())


def test_a_mechanism_draws_noise_of_the_shape_and_size_that_it_was_asked_for() -> None:
    size = 40_000
    gradient = Tensor(np.zeros((4, size // 4), np.float32))
    for mechanism, stddev, mean in (
        (dp.GaussianRandom(2.0, 1.5, 0.25), 3.0, 0.25),
        (dp.NoiseGaussianRandom(0.5, 2.0), 1.0, 0.0),
        (dp.AdaGaussianRandom(1.0, 2.0), 2.0, 0.0),
    ):
        drawn = mechanism(gradient).asnumpy()
        assert drawn.shape == gradient.shape
        assert drawn.std() == pytest.approx(stddev, rel=7 / math.sqrt(2 * size))
        assert drawn.mean() == pytest.approx(mean, abs=7 * stddev / math.sqrt(size))
        assert not np.array_equal(drawn, mechanism(gradient).asnumpy())


@pytest.mark.parametrize(
    ("decay", "factor"), [("Time", 1 / (1 + 3 * 0.5)), ("Step", (1 - 0.5) ** 3), ("Exp", math.exp(-3 * 0.5))]
)
def test_noise_decays_once_a_call_however_many_gradients_it_covers(decay: str, factor: float) -> None:
    mechanism = dp.NoiseAdaGaussianRandom(1.0, 2.0, noise_decay_rate=0.5, decay_policy=decay)
    gradients = tuple(Tensor(np.zeros(shape, np.float32)) for shape in ((3,), (2, 2), (20_000,)))
    for _ in range(3):
        assert [d.shape for d in mechanism(gradients)] == [g.shape for g in gradients]
    assert float(mechanism.draw.noise_multiplier.asnumpy()) == pytest.approx(2.0 * factor, rel=1e-6)
    assert mechanism.noise.multiplier(3) == pytest.approx(2.0 * factor)
    assert mechanism.noise.multiplier(0) == 2.0
    assert mechanism(gradients)[2].asnumpy().std() == pytest.approx(2.0 * factor, rel=0.035)


def test_the_clip_rule_moves_towards_the_quantile_and_stays_above_zero() -> None:
    linear = dp.ClipMechanismsFactory().create("Gaussian", "Linear", 0.5, 0.9, 1e-9)
    geometric = dp.ClipMechanismsFactory.create(
        "Gaussian", decay_policy="Geometric", learning_rate=0.5, fraction_stddev=1e-9
    )
    share, norm = Tensor(np.float32(0.3)), Tensor(np.float32(2.0))
    assert float(linear(share, norm).asnumpy()) == pytest.approx(2.0 - 0.5 * (0.3 - 0.9))
    assert float(geometric(share, norm).asnumpy()) == pytest.approx(2.0 * math.exp(-0.5 * (0.3 - 0.9)))
    assert linear(share, norm).shape == ()
    assert 0 < float(linear(Tensor(np.float32(1.0)), Tensor(np.float32(0.01))).asnumpy()) < 1e-5
    noisy = dp.AdaClippingWithGaussianRandom(learning_rate=1.0, fraction_stddev=0.2)
    moves = [float(noisy(Tensor(np.float32(0.9)), norm).asnumpy()) for _ in range(200)]
    assert 0.13 < np.std(moves) < 0.28


def test_factories_make_the_mechanisms_of_their_generation() -> None:
    assert isinstance(dp.MechanismsFactory().create("Gaussian", norm_bound=1.0), dp.GaussianRandom)
    assert isinstance(dp.MechanismsFactory.create("AdaGaussian", 1.0, 1.5), dp.AdaGaussianRandom)
    assert isinstance(dp.NoiseMechanismsFactory().create("Gaussian", decay_policy=None), dp.NoiseGaussianRandom)
    ada = dp.NoiseMechanismsFactory.create("AdaGaussian", initial_noise_multiplier=2.0)
    assert isinstance(ada, dp.NoiseAdaGaussianRandom)
    assert ada.noise == Noise(1.0, 2.0, 0.0, "Exp", 6e-6)
    assert dp.MechanismsFactory.create("Gaussian").noise == Noise(0.5, 1.5)


@pytest.mark.parametrize("create", [dp.MechanismsFactory.create, dp.NoiseMechanismsFactory.create])
def test_an_unknown_mechanism_is_a_name_error(create: Any) -> None:
    with pytest.raises(NameError, match="is 'Laplace', and must be one of Gaussian, AdaGaussian"):
        create("Laplace")
    with pytest.raises(TypeError, match="bound"):
        create("Gaussian", bound=1.0)
    with pytest.raises(NameError, match="'AdaGaussian', and must be one of Gaussian"):
        dp.ClipMechanismsFactory.create("AdaGaussian")
    assert issubclass(UnknownNameError, ValueError)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LOOSE.GaussianRandom(0.0), ValueError, r"norm_bound is 0\.0, and must be above 0"),
        (lambda: LOOSE.GaussianRandom("1"), TypeError, "norm_bound is '1'"),
        (lambda: LOOSE.GaussianRandom(1.0, -1.5), ValueError, "initial_noise_multiplier is -1.5"),
        (lambda: LOOSE.GaussianRandom(1.0, float("nan")), ValueError, "initial_noise_multiplier is nan"),
        (lambda: LOOSE.GaussianRandom(mean=-0.1), ValueError, r"mean is -0\.1, and must be at least 0"),
        (lambda: LOOSE.GaussianRandom(seed=-1), ValueError, "seed is -1"),
        (lambda: LOOSE.GaussianRandom(seed=1.5), TypeError, r"seed is 1\.5"),
        (lambda: LOOSE.NoiseGaussianRandom(decay_policy="Exp"), ValueError, "decay_policy is 'Exp', and must be None"),
        (lambda: LOOSE.NoiseMechanismsFactory.create("Gaussian", decay_policy="Exp"), ValueError, "must be None"),
        (lambda: LOOSE.AdaGaussianRandom(noise_decay_rate=1.0), ValueError, "noise_decay_rate is 1.0"),
        (lambda: LOOSE.AdaGaussianRandom(noise_decay_rate=0.0), ValueError, "noise_decay_rate is 0.0"),
        (lambda: LOOSE.AdaGaussianRandom(decay_policy="Root"), NameError, "'Root', and must be one of Time, Step, Exp"),
        (lambda: LOOSE.AdaGaussianRandom(decay_policy=None), ValueError, "decay_policy is None"),
        (lambda: LOOSE.AdaClippingWithGaussianRandom("Root"), ValueError, "'Root', and must be one of Linear"),
        (lambda: LOOSE.AdaClippingWithGaussianRandom(learning_rate=0.0), ValueError, "learning_rate is 0"),
        (lambda: LOOSE.AdaClippingWithGaussianRandom(target_unclipped_quantile=5.0), ValueError, "quantile is 5"),
        (lambda: LOOSE.AdaClippingWithGaussianRandom(fraction_stddev=-0.01), ValueError, "fraction_stddev is -0.01"),
        (lambda: LOOSE.DPOptimizerClassFactory(0), ValueError, "micro_batches is 0"),
        (lambda: LOOSE.DPOptimizerClassFactory(2.0), TypeError, r"micro_batches is 2\.0"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_named(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("policy", ["SGD", "Momentum", "Adam", "adam"])
def test_an_optimizer_class_takes_the_optimizers_own_arguments(policy: str) -> None:
    network = nn.Dense(3, 2)
    factory = dp.DPOptimizerClassFactory(micro_batches=4)
    factory.set_mechanisms("Gaussian", norm_bound=1.0, initial_noise_multiplier=1.5)
    made = factory.create(policy)
    arguments = {"params": network.trainable_params(), "learning_rate": 0.25}
    optimizer = made(**arguments, **({"momentum": 0.9} if policy == "Momentum" else {}))
    assert isinstance(optimizer.optimizer, {"sgd": nn.SGD, "momentum": nn.Momentum, "adam": nn.Adam}[policy.lower()])
    assert float(optimizer.learning_rate.asnumpy()) == 0.25
    assert optimizer.mech.noise == Noise(1.0, 1.5)
    assert made.__name__.lower() == f"dp{policy.lower()}"
    assert [p.name for p in network.trainable_params()] == ["weight", "bias"]
    with pytest.raises(ValueError, match="updates inside DPModel only"):
        optimizer(())


def test_an_optimizer_factory_says_what_is_wrong() -> None:
    factory = dp.DPOptimizerClassFactory()
    with pytest.raises(ValueError, match="call set_mechanisms first"):
        factory.create("SGD")
    with pytest.raises(NameError, match="'RMSProp', and must be one of SGD, Momentum, Adam"):
        factory.create("RMSProp")
    with pytest.raises(NameError, match="'Laplace', and must be one of Gaussian, AdaGaussian"):
        factory.set_mechanisms("Laplace")
    with pytest.raises(TypeError, match="bound"):
        factory.set_mechanisms("Gaussian", bound=1.0)
    factory.set_mechanisms("Gaussian", 2.0, decay_policy=None)
    with pytest.raises(TypeError, match="create got learning_rate; give the optimizer's arguments to the class"):
        factory.create("SGD", learning_rate=0.1)
    assert factory.create("SGD")(nn.Dense(2, 2).trainable_params()).mech.noise == Noise(2.0, 1.0)
    factory.set_mechanisms("AdaGaussian", noise_decay_rate=0.1)
    assert factory.create("SGD")(nn.Dense(2, 2).trainable_params()).mech.noise.decay_policy == "Time"
