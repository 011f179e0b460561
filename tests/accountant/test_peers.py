"""dp-accounting and Opacus over a grid: we agree where they are right, and closed forms say who errs elsewhere."""

import math
import warnings

import pytest

from mindveil.accountant import Composed, Event, Gaussian, Laplace, PoissonSampled, epsilon, epsilon_bounds
from mindveil.accountant.gaussian import gaussian_epsilon
from mindveil.accountant.pld import tight_bounds
from mindveil.accountant.terms import SampledGaussian, Terms

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    dp = pytest.importorskip("dp_accounting")
    from dp_accounting.pld import PLDAccountant
    from dp_accounting.rdp import RdpAccountant

GRID = [
    (256 / 60_000, 1.1, 14_062),
    (0.01, 4.0, 10_000),
    (0.04, 1.5, 2_250),
    (0.1, 3.0, 512),
    (0.5, 2.0, 20),
    (1e-3, 0.7, 100),
]


def training(rate: float, noise: float, steps: int) -> Event:
    return Composed(PoissonSampled(rate, Gaussian(noise)), steps)


def theirs(kind: type, rate: float, noise: float, steps: int, at: float) -> float:
    accountant = kind()
    accountant.compose(dp.PoissonSampledDpEvent(rate, dp.GaussianDpEvent(noise)), steps)
    return float(accountant.get_epsilon(at))


@pytest.mark.parametrize(("rate", "noise", "steps"), GRID)
@pytest.mark.parametrize("at", [1e-3, 1e-5, 1e-8])
def test_our_renyi_bound_is_at_most_dp_accountings(rate: float, noise: float, steps: int, at: float) -> None:
    ours, peer = epsilon(training(rate, noise, steps), at), theirs(RdpAccountant, rate, noise, steps, at)
    # They read the order off a grid and leave out signs, so theirs may be larger, usually by a few percent.
    assert 0.93 * peer <= ours <= peer * (1 + 1e-6)


@pytest.mark.parametrize(("rate", "noise", "steps"), GRID[2:])
@pytest.mark.parametrize("at", [1e-3, 1e-6])
def test_dp_accountings_tight_value_lies_inside_our_bounds(rate: float, noise: float, steps: int, at: float) -> None:
    lower, upper = epsilon_bounds(training(rate, noise, steps), at)
    peer = theirs(PLDAccountant, rate, noise, steps, at)
    assert lower <= peer * (1 + 1e-6)
    # Theirs is an upper bound too, on a grid of 1e-4.
    assert upper <= peer * (1 + 3e-4)
    assert peer <= upper * (1 + 1e-3)


def test_laplace_agrees_with_dp_accounting() -> None:
    accountant = PLDAccountant()
    accountant.compose(dp.LaplaceDpEvent(2.0), 8)
    lower, upper = epsilon_bounds(Composed(Laplace(2.0), 8), 1e-5)
    assert lower <= accountant.get_epsilon(1e-5) * (1 + 1e-4)
    assert accountant.get_epsilon(1e-5) <= upper * (1 + 1e-3)


def test_sampled_laplace_agrees_with_dp_accounting() -> None:
    accountant = PLDAccountant()
    accountant.compose(dp.PoissonSampledDpEvent(0.05, dp.LaplaceDpEvent(1.0)), 50)
    lower, upper = epsilon_bounds(Composed(PoissonSampled(0.05, Laplace(1.0)), 50), 1e-5)
    peer = accountant.get_epsilon(1e-5)
    assert lower * (1 - 1e-4) <= peer <= upper * (1 + 1e-3)
    assert upper <= peer * (1 + 1e-3)


@pytest.mark.parametrize("noise", [20.0, 50.0])
def test_we_are_right_at_delta_1e_12_where_floating_point_drowns_untilted_transforms(noise: float) -> None:
    steps, at = 1000, 1e-12
    exact = gaussian_epsilon(math.sqrt(steps) / noise, at)
    lower, upper = tight_bounds(Terms(counted={SampledGaussian("present", 1.0, noise): steps}), at)
    assert lower <= exact <= upper <= exact * 1.0005


def test_we_are_right_at_a_multiplier_of_50_where_a_fixed_grid_is_too_coarse() -> None:
    lower, upper = epsilon_bounds(training(1e-3, 50.0, 10_000), 1e-5)
    peer = theirs(PLDAccountant, 1e-3, 50.0, 10_000, 1e-5)
    assert upper <= lower * 1.001
    assert peer > 1.5 * upper


def test_we_are_right_where_dp_accounting_under_reports() -> None:
    lower, upper = epsilon_bounds(training(1e-4, 0.3, 1000), 1e-12)
    assert 22.04 < lower <= upper < 22.06


def test_opacus_agrees_within_its_error() -> None:
    pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from opacus.accountants import PRVAccountant, RDPAccountant  # type: ignore[import-untyped, unused-ignore]

        for rate, noise, steps in GRID[:4]:
            for kind, method, error in ((RDPAccountant, "rdp", 0.01), (PRVAccountant, "pld", 0.02)):
                accountant = kind()
                accountant.history = [(noise, rate, steps)]
                ours = epsilon(training(rate, noise, steps), 1e-6, method=method)  # type: ignore[arg-type]
                peer = accountant.get_epsilon(delta=1e-6)
                assert peer - error * max(1.0, peer) <= ours <= peer * (1 + 1e-4)
