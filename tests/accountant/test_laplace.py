"""Cumulants of bounded losses against closed forms and high precision."""

import math

import mpmath
import pytest

from mindveil.accountant import Composed, Laplace, PoissonSampled, PureLoss, epsilon
from mindveil.accountant.laplace import laplace_cumulant, pure_cumulant


@pytest.mark.parametrize("scale", [0.05, 0.7, 1.0, 5.0, 100.0])
@pytest.mark.parametrize("order", [1.01, 1.5, 2.0, 7.3, 40.0])
def test_unsampled_laplace_is_mironovs_formula(scale: float, order: float) -> None:
    with mpmath.workdps(50):
        a, b = mpmath.mpf(order), mpmath.mpf(scale)
        inside = a / (2 * a - 1) * mpmath.exp((a - 1) / b) + (a - 1) / (2 * a - 1) * mpmath.exp(-a / b)
        exact = mpmath.log(inside)
        assert laplace_cumulant(1.0, scale, order) == pytest.approx(float(exact), rel=1e-9)
        assert laplace_cumulant(1.0, scale, order) >= exact * (1 - mpmath.mpf("1e-13"))


@pytest.mark.parametrize("rate", [1e-4, 0.2, 0.9])
@pytest.mark.parametrize("order", [1.2, 3.0, 12.5])
def test_sampled_laplace_agrees_with_high_precision_in_the_worse_direction(rate: float, order: float) -> None:
    with mpmath.workdps(30):
        q, b, a = mpmath.mpf(rate), mpmath.mpf("0.8"), mpmath.mpf(order)

        def away(x: mpmath.mpf) -> mpmath.mpf:
            return mpmath.exp(-abs(x - 1) / b) / (2 * b)

        def mixed(x: mpmath.mpf) -> mpmath.mpf:
            return (1 - q) * away(x) + q * mpmath.exp(-abs(x) / b) / (2 * b)

        points = [-60, -10, 0, 1, 11, 61]
        values = [
            mpmath.log(mpmath.quad(lambda x: f(x) ** a * g(x) ** (1 - a), points))  # noqa: B023
            for f, g in ((mixed, away), (away, mixed))
        ]
        assert laplace_cumulant(rate, 0.8, order) == pytest.approx(float(max(values)), rel=1e-8)


@pytest.mark.parametrize("loss", [1e-6, 0.1, 2.0, 40.0])
@pytest.mark.parametrize("order", [1.001, 2.0, 30.0])
def test_a_pure_guarantee_is_randomised_response(loss: float, order: float) -> None:
    with mpmath.workdps(50):
        e, a = mpmath.mpf(loss), mpmath.mpf(order)
        p = 1 / (1 + mpmath.exp(-e))
        exact = mpmath.log(p**a * (1 - p) ** (1 - a) + (1 - p) ** a * p ** (1 - a))
        assert pure_cumulant(loss, order) == pytest.approx(float(exact), rel=1e-10)


def test_a_divergence_never_exceeds_the_largest_loss() -> None:
    assert epsilon(Laplace(2.0), 1e-300) <= 0.5 * (1 + 1e-9)
    assert epsilon(PureLoss(0.5), 1e-300) <= 0.5 * (1 + 1e-9)


def test_replacing_a_sampled_record_is_bounded_by_amplified_pure_privacy() -> None:
    run = Composed(PoissonSampled(0.01, Laplace(1.0)), 1)
    by_hand = math.log1p(0.01 * math.expm1(2.0) / (0.99 * math.exp(-1.0) + 0.01))
    assert epsilon(run, 1e-300, neighbouring="replace_one") == pytest.approx(by_hand, rel=1e-6)
