"""Balls in bins: brute-force integration over the batches, the published bracket, and soundness of interpolation."""

import math

import numpy as np
import pytest

from mindveil.accountant import BallsInBins, Composed, Gaussian, PoissonSampled, epsilon
from mindveil.accountant.allocation import allocated_cumulant


def by_brute_force(noise: float, order: float) -> float:
    """The larger cumulant of both directions for two batches, on a two-dimensional grid."""
    x = np.linspace(-14 * noise - order, 14 * noise + order + 1, 2001)
    log_weight = -0.5 * (x / noise) ** 2 - math.log(noise * math.sqrt(2 * math.pi)) + math.log(x[1] - x[0])
    loss = (2 * x - 1) / (2 * noise**2)
    mean = np.logaddexp(loss[:, None], loss[None, :]) - math.log(2)
    weight = log_weight[:, None] + log_weight[None, :]
    values = []
    for power in (order, 1 - order):
        exponents = power * mean + weight
        values.append(exponents.max() + math.log(np.exp(exponents - exponents.max()).sum()))
    return float(max(values))


@pytest.mark.parametrize("noise", [0.4, 1.0, 2.0])
@pytest.mark.parametrize("order", [2.0, 3.0, 8.0, 20.0])
def test_two_batches_agree_with_brute_force(noise: float, order: float) -> None:
    ours, exact = allocated_cumulant(noise, 2, order), by_brute_force(noise, order)
    assert 0 <= ours - exact <= 1e-9 * exact + 2e-11


@pytest.mark.parametrize("order", [1.2, 2.5, 5.7, 40.3])
def test_between_table_entries_the_cumulant_is_bounded_from_above(order: float) -> None:
    assert allocated_cumulant(1.0, 2, order) >= by_brute_force(1.0, order)
    assert allocated_cumulant(1.0, 2, order) <= order * (order - 1) / 2


def test_the_bound_lies_above_the_published_lower_end_and_below_no_amplification() -> None:
    # Random allocation brackets one epoch at [0.26592, 0.27870]; a Renyi bound lies above, but far below 3.92.
    assert 0.26592 < epsilon(BallsInBins(1.1, 234), 1e-5) < 0.9
    assert 2.30 < epsilon(Composed(BallsInBins(1.1, 234), 60), 1e-5) < 2.7


def test_it_costs_about_what_poisson_sampling_costs() -> None:
    for noise, batches, epochs in ((1.1, 234, 60), (0.7, 100, 5), (3.0, 20, 10)):
        balls = epsilon(Composed(BallsInBins(noise, batches), epochs), 1e-5)
        poisson = epsilon(Composed(PoissonSampled(1 / batches, Gaussian(noise)), batches * epochs), 1e-5)
        assert balls == pytest.approx(poisson, rel=0.1)


def test_one_bin_and_replacement_have_no_amplification() -> None:
    assert epsilon(BallsInBins(1.1, 1), 1e-5) == pytest.approx(epsilon(Gaussian(1.1), 1e-5), rel=1e-9)
    replaced = epsilon(BallsInBins(1.1, 234), 1e-5, neighbouring="replace_one")
    assert replaced == pytest.approx(epsilon(Gaussian(1.1), 1e-5, neighbouring="replace_one"), rel=1e-9)
