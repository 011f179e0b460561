"""The closed form of the unsampled Gaussian against high precision."""

import math

import mpmath
import pytest

from mindveil.accountant.gaussian import (
    gaussian_delta,
    gaussian_epsilon,
    log_normal_cdf,
    normal_cdf,
    normal_quantile,
)


def exact_delta(mu: float, epsilon: float) -> mpmath.mpf:
    with mpmath.workdps(60):
        m, e = mpmath.mpf(mu), mpmath.mpf(epsilon)
        return mpmath.ncdf(m / 2 - e / m) - mpmath.exp(e) * mpmath.ncdf(-m / 2 - e / m)


@pytest.mark.parametrize("mu", [1e-3, 0.1, 1.0, 10.0, 40.0])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0, 3.0])
def test_delta_agrees_with_high_precision(mu: float, share: float) -> None:
    epsilon = share * (mu * mu / 2 + mu)
    assert gaussian_delta(mu, epsilon) == pytest.approx(float(exact_delta(mu, epsilon)), rel=1e-9)


@pytest.mark.parametrize(
    ("noise", "steps", "at", "published"),
    [(1, 1, 1e-5, 4.377178), (20, 100, 1e-5, 1.993091), (20, 1000, 1e-12, 11.992091)],
)
def test_published_epsilons(noise: float, steps: int, at: float, published: float) -> None:
    assert gaussian_epsilon(math.sqrt(steps) / noise, at) == pytest.approx(published, abs=6e-7)


@pytest.mark.parametrize("mu", [0.01, 1.0, 30.0])
@pytest.mark.parametrize("at", [0.3, 1e-5, 1e-100, 1e-300])
def test_epsilon_is_the_least_that_delta_allows(mu: float, at: float) -> None:
    epsilon = gaussian_epsilon(mu, at)
    assert exact_delta(mu, epsilon) <= at * (1 + 1e-9)
    if epsilon > 0:
        assert exact_delta(mu, epsilon * (1 - 1e-7)) > at


def test_no_signal_is_perfectly_private() -> None:
    assert gaussian_epsilon(0.0, 1e-5) == 0.0
    assert gaussian_delta(0.0, 1.0) == 0.0
    assert gaussian_delta(0.0, -1.0) == pytest.approx(-math.expm1(-1.0))


@pytest.mark.parametrize("x", [-400.0, -38.0, -30.1, -29.9, -5.0, 0.0, 1.0, 5.0, 9.0])
def test_the_logarithm_of_the_normal_distribution(x: float) -> None:
    with mpmath.workdps(40):
        assert log_normal_cdf(x) == pytest.approx(float(mpmath.log(mpmath.ncdf(mpmath.mpf(x)))), rel=1e-13)


@pytest.mark.parametrize("p", [1e-300, 1e-12, 0.01, 0.4, 0.5, 0.99, 1 - 1e-12])
def test_quantiles_undo_the_distribution(p: float) -> None:
    assert normal_cdf(normal_quantile(p)) == pytest.approx(p, rel=1e-11)
    assert normal_quantile(0.0) == -math.inf
    assert normal_quantile(1.0) == math.inf
