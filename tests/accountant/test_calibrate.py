"""Calibration returns the private side, and within 0.1 % of the best."""

import pytest

from mindveil.accountant import (
    Composed,
    Event,
    Gaussian,
    Laplace,
    PoissonSampled,
    SampledWithoutReplacement,
    calibrate_noise,
    epsilon,
    noise_multiplier,
    sampling_rate_within,
    steps_within,
)
from mindveil.accountant.guarantees import Method

MNIST = 256 / 60_000


def training(rate: float, noise: float, steps: int) -> Event:
    return Composed(PoissonSampled(rate, Gaussian(noise)), steps)


@pytest.mark.parametrize(
    ("target", "rate", "steps", "method", "published"),
    [
        (3.0, MNIST, 14_062, "rdp", 1.013991),
        (3.0, MNIST, 14_062, "pld", 0.968416),
        (1.0, 1.0, 1, "rdp", 4.045130),
        (1.0, 1.0, 1, "pld", 3.730632),
    ],
)
def test_published_multipliers(target: float, rate: float, steps: int, method: Method, published: float) -> None:
    found = noise_multiplier(target_epsilon=target, delta=1e-5, sampling_rate=rate, steps=steps, method=method)
    # Never below the published optimum by more than its digits, and at most 0.1 % above it.
    assert published * (1 - 2e-6) <= found <= published * 1.001
    assert epsilon(training(rate, found, steps), 1e-5, method=method) <= target


@pytest.mark.parametrize("target", [0.05, 0.5, 2.0, 20.0])
@pytest.mark.parametrize(("rate", "steps"), [(1e-5, 1_000_000), (MNIST, 2_340), (0.1, 1), (1.0, 100)])
def test_the_multiplier_is_private_and_a_thousandth_less_is_not(target: float, rate: float, steps: int) -> None:
    found = noise_multiplier(target_epsilon=target, delta=1e-6, sampling_rate=rate, steps=steps)
    assert epsilon(training(rate, found, steps), 1e-6) <= target < epsilon(training(rate, found * 0.999, steps), 1e-6)


def test_other_events_and_relations_calibrate_too() -> None:
    def run(noise: float) -> Event:
        return Composed(SampledWithoutReplacement(1000, 20, Gaussian(noise)), 100)

    found = calibrate_noise(run, target_epsilon=2.0, delta=1e-5, neighbouring="replace_one")
    assert found.epsilon == epsilon(run(found.value), 1e-5, neighbouring="replace_one") <= 2.0
    assert found.epsilon_beyond == epsilon(run(found.beyond), 1e-5, neighbouring="replace_one") > 2.0
    assert found.beyond < found.value <= found.beyond * 1.001
    scale = calibrate_noise(lambda noise: Composed(Laplace(noise), 10), target_epsilon=1.0, delta=1e-5, method="pld")
    assert scale.epsilon <= 1.0 < scale.epsilon_beyond


@pytest.mark.parametrize("method", ["rdp", "pld"])
def test_one_more_step_than_allowed_misses_the_target(method: Method) -> None:
    allowed = steps_within(target_epsilon=1.5, delta=1e-5, sampling_rate=MNIST, noise_multiplier=1.1, method=method)
    assert epsilon(training(MNIST, 1.1, allowed), 1e-5, method=method) <= 1.5
    assert epsilon(training(MNIST, 1.1, allowed + 1), 1e-5, method=method) > 1.5


def test_no_step_fits_when_the_first_costs_too_much() -> None:
    assert steps_within(target_epsilon=0.1, delta=1e-5, sampling_rate=1.0, noise_multiplier=1.0) == 0
    assert steps_within(target_epsilon=0.0, delta=1e-5, sampling_rate=1.0, noise_multiplier=1.0) == 0


@pytest.mark.parametrize("steps", [1, 1_000])
def test_the_rate_is_private_and_a_thousandth_more_is_not(steps: int) -> None:
    found = sampling_rate_within(target_epsilon=1.0, delta=1e-5, noise_multiplier=1.1, steps=steps)
    assert epsilon(training(found, 1.1, steps), 1e-5) <= 1.0 < epsilon(training(found * 1.001, 1.1, steps), 1e-5)


def test_every_rate_is_allowed_when_the_noise_is_enough() -> None:
    assert sampling_rate_within(target_epsilon=1.0, delta=1e-5, noise_multiplier=100.0, steps=10) == 1.0
