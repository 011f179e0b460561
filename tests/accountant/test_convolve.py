"""Convolution by Fourier transform against direct convolution without transforms."""

import math

import numpy as np
import pytest

from mindveil.accountant.convolve import best_tilt, convolve
from mindveil.accountant.discretise import GridLoss, spread
from mindveil.accountant.terms import SampledGaussian

H = 0.02


def directly(parts: list[tuple[GridLoss, int]]) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Losses and masses of the sum, by sums of products of non-negative numbers only."""
    masses, first, offset = np.array([1.0]), 0, 0.0
    for part, count in parts:
        for _ in range(count):
            masses = np.convolve(masses, part.masses)
            first, offset = first + part.first, offset + part.offset
    return offset + H * (first + np.arange(len(masses))), masses


@pytest.mark.parametrize("at", [1e-2, 1e-6, 1e-12, 1e-25])
def test_tilted_tails_agree_with_direct_convolution(at: float) -> None:
    parts = [
        (spread(SampledGaussian("present", 0.1, 1.0), H, 1e-40, False), 12),
        (spread(SampledGaussian("present", 1.0, 3.0), H, 1e-40, False), 3),
    ]
    losses, masses = directly(parts)
    theta, expected = best_tilt(parts, H, 5.0, delta=at)
    law = convolve(parts, H, theta, expected)
    upper, lower = law.epsilon(at, upper=True), law.epsilon(at, upper=False)

    def delta(epsilon: float) -> float:
        return float((masses * np.maximum(0.0, -np.expm1(epsilon - losses))).sum())

    assert delta(upper) <= at <= delta(lower) * (1 + 1e-12)
    assert upper - lower < 1e-6
    assert expected >= upper
    for epsilon in (upper, upper + 0.313):
        assert law.delta(epsilon, upper=False) <= delta(epsilon) * (1 + 1e-9)
        assert delta(epsilon) <= law.delta(epsilon, upper=True) * (1 + 1e-9)
        assert law.delta(epsilon, upper=True) <= delta(epsilon) * (1 + 1e-4)


def test_without_a_tilt_the_transform_drowns_small_deltas_and_says_so() -> None:
    parts = [(spread(SampledGaussian("present", 1.0, 20.0), H, 1e-40, False), 1000)]
    theta, expected = best_tilt(parts, H, 5.0, delta=1e-18)
    tilted, plain = convolve(parts, H, theta, expected), convolve(parts, H, 0.0, expected)
    assert tilted.epsilon(1e-18, upper=True) < plain.epsilon(1e-18, upper=True)
    assert plain.epsilon(1e-18, upper=True) == math.inf


def test_infinite_losses_add_up() -> None:
    part = GridLoss(0.0, -1, np.array([0.5, 0.0, 0.499]), 0.001)
    law = convolve([(part, 10)], 1.0, 0.0, 3.0)
    assert law.infinite == pytest.approx(1 - 0.999**10)
    assert law.epsilon(0.5 * law.infinite, upper=True) == math.inf
    assert law.delta(1e9, upper=True) >= law.infinite


def test_a_window_that_does_not_fit_is_refused() -> None:
    part = GridLoss(0.0, 0, np.array([0.5] + [0.0] * 100_000 + [0.5]), 0.0)
    with pytest.raises(ArithmeticError, match="no tight bound"):
        convolve([(part, 10_000_000)], 1e-3, 0.0, 1.0)


def test_nothing_to_convolve_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to convolve"):
        convolve([], H, 0.0, 0.0)


def test_the_error_bound_holds_wrapped_mass_and_grows_with_the_steps() -> None:
    part = spread(SampledGaussian("present", 1.0, 300.0), 1e-3, 1e-30, False)
    few, many = (convolve([(part, count)], 1e-3, 0.0, 0.0) for count in (10, 100_000))
    assert few.error.min() >= 1e-13
    assert many.error.max() > 100 * few.error.max()
    # What the transform really changes is far below the bound.
    assert abs(many.mass[0] - 1.0) < many.error.max()
