"""Renyi accounting of whole runs: published values, the order, composition, and the refusal to guess."""

import math

import numpy as np
import pytest

from mindveil.accountant import (
    Composed,
    Event,
    Gaussian,
    Laplace,
    PoissonSampled,
    SampledWithoutReplacement,
    Sequence,
    ZeroConcentrated,
    decayed_noise,
    delta,
    epsilon,
)
from mindveil.accountant import rdp as module
from mindveil.accountant.checks import Relation
from mindveil.accountant.convert import epsilon_from_order
from mindveil.accountant.rdp import Curve, cumulants, curve_of, renyi_delta, renyi_epsilon, total_cumulant
from mindveil.accountant.terms import terms_of

MNIST = 256 / 60_000


def training(rate: float, noise: float, steps: int) -> Event:
    return Composed(PoissonSampled(rate, Gaussian(noise)), steps)


def curve(event: Event, neighbouring: Relation = "add_or_remove_one") -> Curve:
    return curve_of(terms_of(event, neighbouring))


@pytest.mark.parametrize(
    ("rate", "noise", "steps", "at", "published"),
    [
        (MNIST, 1.1, 14_062, 1e-5, 2.596542),
        (MNIST, 1.3, 3_515, 1e-5, 0.954353),
        (MNIST, 0.7, 10_546, 1e-5, 6.316952),
        (MNIST, 1.0, 2_340, 1e-5, 1.351568),
        (0.01, 4.0, 10_000, 1e-5, 1.035383),
        (0.04, 1.5, 2_250, 1e-5, 7.328355),
        (0.1, 3.0, 512, 1e-6, 4.050942),
        (0.01, 1.0, 10_000, 1e-5, 6.712267),
        (1.0, 1.0, 1, 1e-5, 4.728387),
    ],
)
def test_published_values_with_the_order_optimised(
    rate: float, noise: float, steps: int, at: float, published: float
) -> None:
    # The published values have six or seven digits and were found with a search of their own.
    assert epsilon(training(rate, noise, steps), at) == pytest.approx(published, rel=2e-6)


def test_published_schedules() -> None:
    time = decayed_noise(noise_multiplier=1.5, decay="Time", decay_rate=6e-4, sampling_rate=MNIST, steps=234)
    step = decayed_noise(noise_multiplier=1.5, decay="Step", decay_rate=6e-4, sampling_rate=MNIST, steps=2340)
    assert epsilon(time, 1e-5) == pytest.approx(0.455360, rel=1e-5)
    assert epsilon(step, 1e-5) == pytest.approx(13.96256, rel=1e-5)


def test_batches_of_fixed_size_cost_what_the_symmetrised_pair_costs() -> None:
    run = Composed(SampledWithoutReplacement(60_000, 256, Gaussian(2.2)), 14_062)
    assert epsilon(run, 1e-5, neighbouring="replace_one") == pytest.approx(3.326, abs=1e-3)
    coarse = Composed(SampledWithoutReplacement(10, 5, Gaussian(10.0)), 100)
    assert epsilon(coarse, 1e-5, neighbouring="replace_one") == pytest.approx(4.97, abs=5e-3)


@pytest.mark.parametrize("noise", [0.05, 0.3, 1.0, 30.0])
@pytest.mark.parametrize("rate", [1e-7, 1e-3, 0.3, 1.0])
@pytest.mark.parametrize("steps", [1, 10_000_000])
def test_no_order_of_a_dense_grid_beats_the_one_that_was_found(rate: float, noise: float, steps: int) -> None:
    whole = curve(training(rate, noise, steps))
    found = renyi_epsilon(whole, 1e-6)
    orders = 1 + np.exp(np.linspace(-9, 13, 120))
    grid = min(epsilon_from_order(float(a), total_cumulant(whole, float(a)), math.log(1e-6)) for a in orders)
    assert found.value <= max(0.0, grid) * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize(
    "event", [PoissonSampled(0.01, Gaussian(1.1)), Gaussian(0.8), Laplace(2.0), ZeroConcentrated(0.1)]
)
@pytest.mark.parametrize("steps", [0, 1, 7])
def test_composing_at_once_equals_composing_one_by_one(event: Event, steps: int) -> None:
    at_once = total_cumulant(curve(Composed(event, steps)), 3.5)
    one_by_one = sum(total_cumulant(curve(event), 3.5) for _ in range(steps))
    assert at_once == pytest.approx(one_by_one, rel=1e-12)
    assert total_cumulant(curve(Sequence([event] * steps)), 3.5) == pytest.approx(at_once, rel=1e-12)


def test_the_order_table_of_one_sampler_equals_order_by_order() -> None:
    orders = np.exp(np.linspace(-5, 7, 20)) + 1.0
    for event, relation in (
        (PoissonSampled(0.004, Gaussian(1.1)), "add_or_remove_one"),
        (PoissonSampled(0.004, Gaussian(0.2)), "replace_one"),
        (SampledWithoutReplacement(1000, 4, Gaussian(0.3)), "replace_one"),
    ):
        whole = curve(event, relation)  # type: ignore[arg-type]
        one_by_one = [total_cumulant(whole, float(order)) for order in orders]
        np.testing.assert_allclose(cumulants(whole, orders), one_by_one, rtol=2e-9)


def test_a_thousand_different_steps_cost_the_sum_of_their_costs() -> None:
    noises = np.linspace(0.9, 2.0, 1000)
    whole = curve(Sequence([PoissonSampled(0.01, Gaussian(float(noise))) for noise in noises]))
    alone = sum(total_cumulant(curve(PoissonSampled(0.01, Gaussian(float(noise)))), 7.3) for noise in noises)
    assert total_cumulant(whole, 7.3) == pytest.approx(alone, rel=1e-12)
    found = renyi_epsilon(whole, 1e-5)
    near = [
        epsilon_from_order(a, total_cumulant(whole, a), math.log(1e-5))
        for a in (found.order * 0.99, found.order * 1.01)
    ]
    assert found.value <= min(near)


def test_epsilon_and_delta_are_each_others_inverse() -> None:
    run = training(0.01, 1.0, 1000)
    for at in (1e-3, 1e-6, 1e-12, 1e-200):
        assert delta(run, epsilon(run, at)) == pytest.approx(at, rel=1e-3)


def test_delta_by_hand_at_one_order() -> None:
    found = renyi_delta(curve(Gaussian(1.0)), 3.0)
    by_hand = min(
        math.exp((a - 1) * (a / 2 - 3 + math.log1p(-1 / a)) - math.log(a)) for a in np.linspace(1.5, 8, 20_000)
    )
    assert found.value == pytest.approx(by_hand, rel=1e-6)


def test_tiny_total_variation_makes_epsilon_zero() -> None:
    assert epsilon(training(1e-6, 1.0, 1_000_000), 1e-3) == 0.0
    assert epsilon(training(1e-6, 1.0, 1_000_000), 1e-6) > 0.0


def test_a_cumulant_that_lost_its_digits_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    for broken in (-1e-12, math.nan):
        with monkeypatch.context() as patch:
            patch.setattr(module, "prepared_cumulant", lambda *_: np.array([broken]))  # noqa: B023
            with pytest.raises(ArithmeticError, match="negative or NaN"):
                epsilon(PoissonSampled(0.1, Gaussian(1.0)), 1e-5)


def test_zcdp_claims_no_amplification_by_sampling() -> None:
    run = Composed(PoissonSampled(0.01, Gaussian(1.1)), 100)
    assert epsilon(run, 1e-5, method="zcdp") == pytest.approx(epsilon(Composed(Gaussian(1.1), 100), 1e-5), rel=1e-9)
