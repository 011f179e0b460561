"""Tight bounds: closed forms, published values, brackets, and what must hold whatever the parameters."""

import math

import numpy as np
import pytest

from mindveil.accountant import (
    AdaptiveClipping,
    BallsInBins,
    BandedMatrix,
    Composed,
    Event,
    Gaussian,
    Laplace,
    PerLayer,
    PoissonSampled,
    PureLoss,
    SampledWithoutReplacement,
    Sequence,
    ZeroConcentrated,
    decayed_noise,
    delta,
    epsilon,
    epsilon_bounds,
)
from mindveil.accountant.checks import Relation
from mindveil.accountant.gaussian import gaussian_delta, gaussian_epsilon
from mindveil.accountant.pld import tight_bounds, tight_delta, tight_epsilon
from mindveil.accountant.terms import SampledGaussian, Terms, terms_of

MNIST = 256 / 60_000


def training(rate: float, noise: float, steps: int) -> Event:
    return Composed(PoissonSampled(rate, Gaussian(noise)), steps)


@pytest.mark.parametrize(
    ("rate", "noise", "steps", "at", "tight"),
    [
        (MNIST, 1.1, 14_062, 1e-5, 2.3815971),
        (MNIST, 1.3, 3_515, 1e-5, 0.86441),
        (MNIST, 0.7, 10_546, 1e-5, 5.63941),
        (MNIST, 1.0, 2_340, 1e-5, 1.09896),
        (0.01, 4.0, 10_000, 1e-5, 0.946867),
        (0.04, 1.5, 2_250, 1e-5, 6.76878),
        (0.1, 3.0, 512, 1e-6, 3.76968),
        (0.01, 1.0, 10_000, 1e-5, 6.18771),
        (1e-4, 0.3, 1_000, 1e-12, 22.0494),
    ],
)
def test_published_values_lie_inside_narrow_bounds(
    rate: float, noise: float, steps: int, at: float, tight: float
) -> None:
    lower, upper = epsilon_bounds(training(rate, noise, steps), at)
    rounding = 2e-6 * tight  # of the published digits
    assert lower - rounding <= tight <= upper + rounding
    assert upper - lower < 6e-4 * tight


@pytest.mark.parametrize(("noise", "steps"), [(0.3, 1), (2.0, 1000), (20.0, 1), (20.0, 1000), (50.0, 100)])
@pytest.mark.parametrize("at", [1e-3, 1e-5, 1e-12])
def test_bounds_hold_the_closed_form_of_the_unsampled_gaussian(noise: float, steps: int, at: float) -> None:
    mu = math.sqrt(steps) / noise
    exact = gaussian_epsilon(mu, at)
    # The convolution itself is asked, step by step, and not the closed form that epsilon_bounds would use.
    terms = Terms(counted={SampledGaussian("present", 1.0, noise): steps})
    lower, upper = tight_bounds(terms, at)
    assert lower <= exact <= upper
    assert upper <= exact * (1 + 4e-4) + 1e-12
    assert lower >= exact * (1 - 2e-3) - 1e-12


@pytest.mark.parametrize("epsilon_asked", [0.0, 0.5, 3.0, 12.0])
def test_delta_is_just_above_the_closed_form(epsilon_asked: float) -> None:
    terms = Terms(counted={SampledGaussian("present", 1.0, 10.0): 100})
    exact = gaussian_delta(1.0, epsilon_asked)
    assert exact <= tight_delta(terms, epsilon_asked) <= exact * 1.01


def test_randomised_response_is_exact() -> None:
    steps, loss, at = 40, 0.1, 1e-5
    heads = np.arange(steps + 1)
    log_ways = np.array([math.lgamma(steps + 1) - math.lgamma(k + 1) - math.lgamma(steps - k + 1) for k in heads])
    p = 1 / (1 + math.exp(-loss))
    masses = np.exp(log_ways + heads * math.log(p) + (steps - heads) * math.log(1 - p))
    losses = loss * (2 * heads - steps)

    def exact_delta(e: float) -> float:
        return float((masses * np.maximum(0.0, -np.expm1(e - losses))).sum())

    lower, upper = epsilon_bounds(Composed(PureLoss(loss), steps), at)
    assert exact_delta(lower) >= at >= exact_delta(upper)
    assert upper - lower < 1e-6


def test_laplace_once_is_its_textbook_curve() -> None:
    for at in (1e-2, 0.2):
        # delta(e) = 1 - exp((e - 1/b) / 2) for one release with scale b.
        exact = 1 / 1.5 + 2 * math.log1p(-at)
        lower, upper = epsilon_bounds(Laplace(1.5), at)
        assert lower <= exact + 1e-12
        assert exact <= upper <= exact * 1.001


@pytest.mark.parametrize(
    ("run", "relation", "low", "high"),
    [
        (Composed(SampledWithoutReplacement(60_000, 256, Gaussian(2.2)), 14_062), "replace_one", 2.3816, 3.0685),
        (Composed(SampledWithoutReplacement(10_000, 100, Gaussian(1.0)), 1_000), "replace_one", 13.361, 14.821),
        (training(0.01, 1.0, 1_000), "replace_one", 2.84344, 2.84344),
        (Composed(Gaussian(10.0), 10), "replace_one", 2.594383, 2.594383),
        (BandedMatrix(1.0, bands=8, group_rate=0.08, steps=1000), "add_or_remove_one", 6.228375, 6.228375),
        (Composed(PoissonSampled(MNIST, AdaptiveClipping(1.1, 12.8)), 14_062), "add_or_remove_one", 2.38535, 2.38535),
        (
            Composed(PoissonSampled(MNIST, AdaptiveClipping(1.5, 0.32, shifted=False)), 2_340),
            "zero_out",
            50.199,
            50.199,
        ),
        (Composed(PoissonSampled(MNIST, PerLayer((2.0,) * 4)), 2_340), "add_or_remove_one", 1.09896, 1.09896),
        (
            decayed_noise(noise_multiplier=1.5, decay="Time", decay_rate=6e-4, sampling_rate=MNIST, steps=234),
            "add_or_remove_one",
            0.193368,
            0.193368,
        ),
    ],
)
def test_published_brackets_of_other_events(run: Event, relation: Relation, low: float, high: float) -> None:
    lower, upper = epsilon_bounds(run, 1e-5, neighbouring=relation)
    assert lower == pytest.approx(low, rel=2e-3)
    assert upper == pytest.approx(high, rel=2e-3)
    assert lower <= low * (1 + 1e-5)
    assert upper >= high * (1 - 1e-5)


@pytest.mark.parametrize("at", [1e-2, 1e-5, 1e-9, 1e-12])
@pytest.mark.parametrize(
    ("rate", "noise", "steps"),
    [
        (1e-6, 1.3, 100_000),
        (1e-4, 20.0, 1_000),
        (1e-3, 50.0, 10_000),
        (0.5, 1.3, 100),
        (0.9, 2.0, 3),
        (1e-4, 0.3, 1_000),
    ],
)
def test_bounds_never_cross_and_never_pass_the_renyi_bound(rate: float, noise: float, steps: int, at: float) -> None:
    run = training(rate, noise, steps)
    lower, upper = epsilon_bounds(run, at)
    assert 0 <= lower <= upper <= epsilon(run, at)
    if upper > 1e-3:
        assert lower >= 0.98 * upper


def test_a_finer_grid_lowers_the_upper_bound_towards_the_lower_one() -> None:
    terms = terms_of(training(0.02, 1.0, 300))
    lower, _ = tight_bounds(terms, 1e-6, accuracy=1e-5)
    coarse, fine = (tight_epsilon(terms, 1e-6, accuracy=accuracy) for accuracy in (1e-3, 1e-4))
    assert coarse > fine > lower
    # The error falls with the square of the step, that is, with the accuracy asked for.
    assert (fine - lower) < 0.25 * (coarse - lower)


def test_both_directions_count() -> None:
    # With most records in the batch, adding one is easier to notice than removing one at epsilon below 0 only; the
    # answer must be the larger of the two laws for every relation of one record's presence.
    run = training(0.9, 1.0, 2)
    assert epsilon_bounds(run, 1e-3) == epsilon_bounds(run, 1e-3, neighbouring="zero_out")
    assert epsilon(run, 1e-3, method="pld") > epsilon(training(0.5, 1.0, 2), 1e-3, method="pld")


@pytest.mark.parametrize("event", [ZeroConcentrated(0.01), BallsInBins(1.0, 100)])
def test_events_without_a_pair_fall_back_to_the_renyi_bound(event: Event) -> None:
    mixed = Sequence([event, training(0.01, 1.0, 10)])
    lower, upper = epsilon_bounds(mixed, 1e-5)
    assert upper == epsilon(mixed, 1e-5)
    assert lower == epsilon_bounds(training(0.01, 1.0, 10), 1e-5)[0]


def test_enormous_losses_fall_back_to_the_renyi_bound() -> None:
    run = training(0.1, 0.05, 2340)
    assert epsilon(run, 1e-5, method="pld") == epsilon(run, 1e-5) > 1e4


def test_a_long_schedule_costs_between_constant_runs() -> None:
    run = decayed_noise(noise_multiplier=1.5, decay="Exp", decay_rate=3e-3, sampling_rate=0.01, steps=120)
    lower, upper = epsilon_bounds(run, 1e-5)
    assert epsilon_bounds(training(0.01, 1.5, 120), 1e-5)[1] < lower < upper
    assert upper < epsilon_bounds(training(0.01, 1.0, 120), 1e-5)[0]
    assert upper < 1.01 * lower


def test_delta_of_the_run_agrees_with_its_epsilon() -> None:
    run = training(MNIST, 1.1, 14_062)
    assert delta(run, epsilon(run, 1e-5, method="pld"), method="pld") == pytest.approx(1e-5, rel=2e-3)
