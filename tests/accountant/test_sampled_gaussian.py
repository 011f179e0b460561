"""The sampled Gaussian's cumulant against 40-digit arithmetic that shares nothing with it."""

import mpmath
import numpy as np
import pytest

from mindveil.accountant.sampled_gaussian import cumulant, derivatives, prepare, prepared_cumulant
from mindveil.accountant.terms import Pair

RATES = [1e-7, 1e-4, 256 / 60_000, 0.1, 0.5, 0.999]
NOISES = [0.01, 0.05, 0.3, 0.7, 1.1, 3.0, 20.0, 1000.0]


def by_binomial_sum(rate: float, noise: float, order: int) -> mpmath.mpf:
    """Closed form at integer orders (Mironov, Talwar and Zhang 2019, section 3.3), minus its first two terms."""
    with mpmath.workdps(60):
        q, z = mpmath.mpf(rate), mpmath.mpf(noise)
        terms = (
            mpmath.binomial(order, k) * (1 - q) ** (order - k) * q**k * mpmath.expm1(k * (k - 1) / (2 * z * z))
            for k in range(2, order + 1)
        )
        return mpmath.log1p(mpmath.fsum(terms))


def by_quadrature(pair: Pair, rate: float, noise: float, order: float) -> mpmath.mpf:
    """The definition, integrated adaptively; feasible for moderate parameters only."""
    with mpmath.workdps(30):
        q, z, a = mpmath.mpf(rate), mpmath.mpf(noise), mpmath.mpf(order)

        def normal(x: mpmath.mpf, centre: int) -> mpmath.mpf:
            return mpmath.exp(-(((x - centre) / z) ** 2) / 2) / (z * mpmath.sqrt(2 * mpmath.pi))

        def present(x: mpmath.mpf) -> mpmath.mpf:
            return (1 - q) * normal(x, 0) + q * normal(x, 1)

        def absent(x: mpmath.mpf) -> mpmath.mpf:
            return (1 - q) * normal(x, 0) + q * normal(x, -1) if pair == "replaced" else normal(x, 0)

        points = [-14 * z, -4 * z, mpmath.mpf(0), mpmath.mpf("0.5"), a / 2 + 1, a + 1, a + 14 * z + 1]
        if pair != "symmetrised":
            return mpmath.log(mpmath.quad(lambda x: present(x) ** a * absent(x) ** (1 - a), points))
        above = [p for p in points if p >= 0.5]
        # Zhu, Dong and Wang (2022, theorem 11): remove above loss 0, add below it, an atom at 0 for the rest.
        up = mpmath.quad(lambda x: present(x) ** a * absent(x) ** (1 - a), above)
        down = mpmath.quad(lambda x: absent(x) ** a * present(x) ** (1 - a), above)
        atom = 1 - mpmath.quad(present, above) - mpmath.quad(absent, above)
        return mpmath.log(up + down + atom)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("noise", NOISES)
def test_integer_orders_agree_with_the_closed_form_and_never_fall_below_it(rate: float, noise: float) -> None:
    for order in (2, 3, 8, 31, 64, 200):
        exact = by_binomial_sum(rate, noise, order)
        ours = cumulant("present", np.array([rate]), np.array([noise]), float(order))[0]
        assert 0 <= ours / exact - 1 < 2e-9, (rate, noise, order)


@pytest.mark.parametrize("pair", ["present", "replaced", "symmetrised"])
@pytest.mark.parametrize(
    ("rate", "noise", "order"), [(0.01, 1.1, 1.25), (0.2, 0.6, 3.7), (0.5, 2.0, 12.5), (0.9, 1.0, 1.01)]
)
def test_fractional_orders_agree_with_the_definition(pair: Pair, rate: float, noise: float, order: float) -> None:
    exact = by_quadrature(pair, rate, noise, order)
    ours = cumulant(pair, np.array([rate]), np.array([noise]), order)[0]
    assert 0 <= ours / exact - 1 < 2e-9


def test_published_divergences_of_one_step() -> None:
    published = {1.5: 1.74797845e-5, 8.0: 9.83410618e-5, 20.0: 2.52037121, 64.0: 20.9027408}
    for order, divergence in published.items():
        value = cumulant("present", np.array([256 / 60_000]), np.array([1.1]), order)[0] / (order - 1)
        assert value == pytest.approx(divergence, rel=5e-9)


@pytest.mark.parametrize("pair", ["present", "replaced", "symmetrised"])
@pytest.mark.parametrize("noise", [0.05, 0.3, 1.0, 30.0])
def test_rows_of_different_noise_do_not_disturb_each_other(pair: Pair, noise: float) -> None:
    rates, noises = np.array([0.02, 0.02, 0.3]), np.array([noise, 2 * noise, 5.0])
    together = cumulant(pair, rates, noises, 6.5)
    alone = [cumulant(pair, rates[i : i + 1], noises[i : i + 1], 6.5)[0] for i in range(3)]
    np.testing.assert_allclose(together, alone, rtol=1e-10)


@pytest.mark.parametrize("pair", ["present", "replaced", "symmetrised"])
@pytest.mark.parametrize("noise", [0.1, 1.1, 20.0])
def test_prepared_nodes_give_the_same_cumulant_and_its_derivatives(pair: Pair, noise: float) -> None:
    rates, noises, order, step = np.array([0.05]), np.array([noise]), 4.5, 1e-4
    prepared = prepare(pair, rates, noises, order)
    here, below, above = (cumulant(pair, rates, noises, order + s)[0] for s in (0.0, -step, step))
    assert prepared_cumulant(prepared, order)[0] == pytest.approx(here, rel=1e-9)
    found = derivatives(prepared, np.array([3.0]), order)
    assert found.value == pytest.approx(3 * here, rel=1e-7)
    assert found.slope == pytest.approx(3 * (above - below) / (2 * step), rel=1e-4)
    assert found.curvature == pytest.approx(3 * (above - 2 * here + below) / step**2, rel=0.05)
