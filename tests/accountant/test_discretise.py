"""One step on a grid: masses are kept, spreading raises delta, merging lowers it, against direct integration."""

import math
from typing import Any

import numpy as np
import pytest

from mindveil.accountant.discretise import GridLoss, aligned_step, merged, spread
from mindveil.accountant.gaussian import gaussian_delta, normal_cdf
from mindveil.accountant.loss_cells import Discretisable, cells, directions, support
from mindveil.accountant.terms import Pair, Pure, SampledGaussian, SampledLaplace

TERMS: list[Discretisable] = [
    SampledGaussian("present", 0.01, 0.8),
    SampledGaussian("present", 0.9, 1.5),
    SampledGaussian("present", 1.0, 1.0),
    SampledGaussian("replaced", 0.05, 1.0),
    SampledGaussian("symmetrised", 0.05, 0.7),
    SampledLaplace(1.0, 0.9),
    SampledLaplace(0.1, 0.9),
    Pure(0.7),
]


def delta(loss: GridLoss, h: float, epsilon: float) -> float:
    return loss.infinite + float((loss.masses * np.maximum(0.0, -np.expm1(epsilon - loss.losses(h)))).sum())


def delta_by_integration(pair: Pair, rate: float, noise: float, epsilon: float, swapped: bool) -> float:
    x = np.linspace(-14 * noise - 1, 14 * noise + 1, 400_001)

    def normal(centre: float) -> Any:
        return np.exp(-0.5 * ((x - centre) / noise) ** 2) / (noise * math.sqrt(2 * math.pi))

    p = (1 - rate) * normal(0) + rate * normal(1)
    q = (1 - rate) * normal(0) + rate * normal(-1) if pair == "replaced" else normal(0)
    if swapped:
        p, q = q, p
    return float(np.maximum(p - math.exp(epsilon) * q, 0.0).sum() * (x[1] - x[0]))


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("h", [0.3, 0.01])
def test_both_distributions_keep_their_mass(term: Discretisable, swapped: bool, h: float) -> None:
    coarse = spread(term, h, 1e-2, swapped)
    assert coarse.masses.sum() + coarse.infinite == pytest.approx(1.0, abs=1e-12)
    assert coarse.infinite <= 1e-2
    upper = spread(term, h, 1e-15, swapped)
    assert upper.masses.sum() + upper.infinite == pytest.approx(1.0, abs=1e-12)
    assert (upper.masses * np.exp(-upper.losses(h))).sum() == pytest.approx(1.0, abs=1e-9)
    assert (upper.masses >= 0).all()
    lower = merged(term, h, 1e-15, swapped)
    assert lower.masses.sum() <= 1 + 1e-12
    assert (lower.masses >= 0).all()


@pytest.mark.parametrize("pair", ["present", "replaced"])
@pytest.mark.parametrize(("rate", "noise"), [(0.01, 0.8), (0.5, 2.0), (0.999, 0.6)])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("h", [0.2, 0.005])
def test_delta_of_one_step_lies_between_merged_and_spread(
    pair: Pair, rate: float, noise: float, swapped: bool, h: float
) -> None:
    term = SampledGaussian(pair, rate, noise)
    upper, lower = spread(term, h, 1e-14, swapped), merged(term, h, 1e-14, swapped)
    for epsilon in (-0.5, -0.003, 0.0, 0.004, 0.1, 1.0, 2.5):
        exact = delta_by_integration(pair, rate, noise, epsilon, swapped)
        assert delta(lower, h, epsilon) <= exact + 1e-9
        assert exact <= delta(upper, h, epsilon) + 1e-9


def test_the_symmetrised_pair_takes_the_worse_curve_on_each_side() -> None:
    rate, noise, h = 0.1, 0.9, 1e-3
    upper = spread(SampledGaussian("symmetrised", rate, noise), h, 1e-14, False)
    for epsilon in (-1.0, -0.2, 0.0, 0.2, 1.0):
        worse = delta_by_integration("present", rate, noise, epsilon, swapped=epsilon < 0)
        assert delta(upper, h, epsilon) == pytest.approx(worse, abs=1e-5)


def test_the_unsampled_pair_is_the_gaussian() -> None:
    upper = spread(SampledGaussian("present", 1.0, 1.0), 1e-3, 1e-15, False)
    for epsilon in (0.0, 1.0, 4.0):
        assert delta(upper, 1e-3, epsilon) == pytest.approx(gaussian_delta(1.0, epsilon), rel=1e-4)


@pytest.mark.parametrize("term", TERMS)
def test_the_support_leaves_out_no_more_than_the_tail(term: Discretisable) -> None:
    for swapped in (False, True)[: directions(term)]:
        low, high = support(term, 1e-6, swapped)
        thresholds = np.array([low - 1e-9, 0.0, high + 1e-9])
        outside = cells(term, thresholds, swapped).p[[0, -1]]
        assert (outside <= 1e-6 * (1 + 1e-6)).all()


@pytest.mark.parametrize("term", [Pure(0.7), SampledLaplace(1.0, 0.9), SampledLaplace(0.3, 0.9)])
def test_both_atoms_lie_on_an_aligned_grid(term: Discretisable) -> None:
    h = aligned_step(term, 0.011, False)
    assert h <= 0.011
    low, high = support(term, 0.0, False)
    masses = merged(term, h, 1e-15, False)
    on_grid = [float(masses.masses[np.abs(masses.losses(h) - atom) < 1e-9].sum()) for atom in (low, high)]
    top = cells(term, np.array([high - 1e-9, high + 1e-9]), False).p[1]
    bottom = cells(term, np.array([low - 1e-9, low + 1e-9]), False).p[1]
    assert on_grid[1] == pytest.approx(top, rel=0.02)
    assert on_grid[0] == pytest.approx(bottom, rel=0.05)


def test_a_grid_with_too_many_cells_is_refused() -> None:
    with pytest.raises(ArithmeticError, match="no tight bound"):
        spread(SampledGaussian("present", 0.01, 0.3), 1e-9, 1e-15, False)


def test_far_cells_keep_their_digits() -> None:
    mass = cells(SampledGaussian("present", 1.0, 1.0), np.array([-30.5, -0.5, 29.5]), False)
    # Loss above 29.5 means x above 30: under Q that is a mass of 4.9e-198.
    assert mass.q[-1] == pytest.approx(normal_cdf(-30.0), rel=1e-10)
