"""Small windows for upper bounds: what falls outside is lost from below or counted, and never makes a delta smaller."""

import math

import numpy as np
import pytest

from mindveil.accountant import Composed, Gaussian, Laplace, PoissonSampled, epsilon_bounds
from mindveil.accountant.convolve import best_tilt, convolve
from mindveil.accountant.discretise import spread
from mindveil.accountant.gaussian import gaussian_delta
from mindveil.accountant.pld import both_directions, tight_epsilon
from mindveil.accountant.rdp import curve_of, renyi_epsilon
from mindveil.accountant.terms import SampledGaussian, terms_of


@pytest.mark.parametrize("rate", [1e-5, 1e-3, 0.05, 0.6])
@pytest.mark.parametrize("noise", [0.8, 2.0])
@pytest.mark.parametrize("steps", [3, 4000])
@pytest.mark.parametrize("delta", [1e-2, 1e-5, 1e-11])
def test_a_narrow_window_never_proves_less_than_a_wide_one_allows(
    rate: float, noise: float, steps: int, delta: float
) -> None:
    h = 4e-3 * math.sqrt(rate) / noise**2
    parts = [(spread(SampledGaussian("present", rate, noise), h, 1e-6 * delta / steps, False), steps)]
    theta, expected = best_tilt(parts, h, 5.0, delta=delta)
    narrow, wide = convolve(parts, h, theta, expected, delta), convolve(parts, h, theta, expected)
    assert narrow.one_sided
    assert narrow.epsilon(delta, False) == 0 == narrow.delta(expected, False)
    # The wide law's lower answer counts its own error away: the narrow upper one may never fall below it.
    lower, upper = wide.epsilon(delta, False), wide.epsilon(delta, True)
    assert narrow.epsilon(delta, True) >= lower
    if upper > float(narrow.losses[0]) > 0:
        assert narrow.epsilon(delta, True) == pytest.approx(upper, rel=2e-4, abs=1e-9)
    for at in np.linspace(max(0.0, float(narrow.losses[0])), float(narrow.losses[-1]), 7):
        assert narrow.delta(float(at), True) >= wide.delta(float(at), False)


@pytest.mark.parametrize("steps", [1, 50, 3000])
@pytest.mark.parametrize("delta", [1e-3, 1e-8, 1e-14])
def test_a_narrow_window_stays_above_the_closed_form(steps: int, delta: float) -> None:
    noise, h = 25.0, 2e-4
    parts = [(spread(SampledGaussian("present", 1.0, noise), h, 1e-7 * delta / steps, False), steps)]
    theta, expected = best_tilt(parts, h, 5.0, delta=delta)
    answer = convolve(parts, h, theta, expected, delta).epsilon(delta, True)
    assert gaussian_delta(math.sqrt(steps) / noise, answer) <= delta


@pytest.mark.parametrize(
    "run",
    [
        Composed(PoissonSampled(0.3, Gaussian(1.0)), 4),
        Composed(PoissonSampled(1e-3, Gaussian(50.0)), 10_000),
        Composed(PoissonSampled(0.5, Laplace(2.0)), 10),
        Composed(PoissonSampled(0.9, Gaussian(0.8)), 1),
    ],
)
@pytest.mark.parametrize("delta", [0.05, 1e-4, 1e-9])
def test_the_hasty_look_at_the_second_direction_hides_nothing(run: Composed, delta: float) -> None:
    terms = terms_of(run)
    finest = tight_epsilon(terms, delta, 1e-5)
    lower, upper = epsilon_bounds(run, delta)
    assert both_directions(terms) == (False, True)
    assert lower <= finest <= upper * (1 + 1e-4) + 1e-12
    assert upper <= renyi_epsilon(curve_of(terms), delta).value


def test_an_epsilon_far_below_the_moments_is_found_below_the_narrow_window() -> None:
    run = Composed(PoissonSampled(0.01, Gaussian(3.0)), 60)
    lower, upper = epsilon_bounds(run, 0.01)
    assert lower <= upper <= max(1.01 * lower, lower + 1e-4)
