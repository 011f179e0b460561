"""What the whole profile rules out: closed forms for the Gaussian, published values for training, duality."""

import itertools
import math

import numpy as np
import pytest

from mindveil.accountant import (
    BallsInBins,
    Composed,
    Gaussian,
    NonPrivate,
    NoOp,
    PoissonSampled,
    PureLoss,
    delta,
    privacy_profile,
)
from mindveil.accountant.attack_bounds import PrivacyProfile
from mindveil.accountant.convolve import convolve
from mindveil.accountant.discretise import merged
from mindveil.accountant.gaussian import gaussian_delta, normal_cdf, normal_quantile
from mindveil.accountant.pld import Question, upper_law
from mindveil.accountant.terms import SampledGaussian, Terms

MNIST = Composed(PoissonSampled(256 / 60_000, Gaussian(1.1)), 14_062)


def convolved(mu: float) -> PrivacyProfile:
    """The Gaussian's profile by convolution, not by its closed form."""
    terms = Terms(counted={SampledGaussian("present", 1.0, 10 / mu): 100})
    laws = tuple(upper_law(terms, False, Question(None, e, 3.0, 1e-5), 1e-6).law for e in (0.0, 2.0, 5.0))
    return PrivacyProfile(None, (laws,), None, False)


def test_published_attack_bounds() -> None:
    profile = privacy_profile(MNIST)
    assert profile.advantage() == pytest.approx(0.224478, rel=2e-4)
    assert profile.true_positive_rate(0.01) == pytest.approx(0.040208, rel=2e-4)
    remove, add = (min(law.power(0.01) for law in way) for way in profile.laws)
    assert remove == pytest.approx(0.040208, rel=2e-4)
    assert add == pytest.approx(0.038907, rel=2e-4)


def test_the_advantage_lies_just_above_a_proven_lower_bound() -> None:
    terms = SampledGaussian("present", 256 / 60_000, 1.1)
    lower = convolve([(merged(terms, 2e-4, 1e-12, False), 14_062)], 2e-4, 0.5, 0.0).delta(0.0, upper=False)
    upper = privacy_profile(MNIST).advantage()
    assert lower <= upper <= lower * 1.001


@pytest.mark.parametrize("mu", [0.3, 1.0, 2.5])
def test_the_gaussian_profile_is_its_closed_form(mu: float) -> None:
    exact = privacy_profile(Gaussian(1 / mu))
    for profile in (exact, convolved(mu)):
        assert profile.advantage() == pytest.approx(2 * normal_cdf(mu / 2) - 1, rel=1e-3)
        for rate in (1e-3, 0.01, 0.3, 0.9):
            by_hand = normal_cdf(normal_quantile(rate) + mu)
            assert by_hand * (1 - 1e-12) <= profile.true_positive_rate(rate) <= by_hand * 1.002
            assert profile.trade_off(rate) == pytest.approx(1 - by_hand, abs=2e-3 * by_hand)
        for asked in (-3.0, -1.0, 0.0, 1.0, 4.0):
            assert profile.delta(asked) >= gaussian_delta(mu, asked) * (1 - 1e-12)


def test_the_trade_off_curve_of_a_pure_guarantee() -> None:
    profile = privacy_profile(PureLoss(1.0))
    for alpha in (0.0, 0.1, 0.2, 0.5, 1.0):
        exact = max(0.0, 1 - math.e * alpha, math.exp(-1.0) * (1 - alpha))
        assert profile.trade_off(alpha) == pytest.approx(exact, abs=1e-3)
        assert profile.trade_off(alpha) <= exact + 1e-12


def test_the_profile_is_the_tight_delta_and_falls() -> None:
    profile = privacy_profile(MNIST)
    values = [profile.delta(e) for e in np.linspace(-4, 12, 60)]
    assert all(more >= less for more, less in itertools.pairwise(values))
    for asked in (0.0, 1.0, 3.0, 6.0):
        assert profile.delta(asked) == pytest.approx(delta(MNIST, asked, method="pld"), rel=3e-3)


def test_a_record_that_is_hidden_completely_or_not_at_all() -> None:
    nothing, everything = privacy_profile(NoOp()), privacy_profile(NonPrivate())
    assert (nothing.advantage(), nothing.true_positive_rate(0.25), nothing.trade_off(0.25)) == pytest.approx(
        (0, 0.25, 0.75)
    )
    assert (everything.advantage(), everything.true_positive_rate(0.0), everything.trade_off(0.0)) == (1.0, 1.0, 0.0)


def test_events_without_a_pair_are_bounded_by_their_renyi_curve() -> None:
    profile = privacy_profile(BallsInBins(1.1, 234))
    whole = privacy_profile(Gaussian(1.1))
    assert profile.laws == ()
    assert 0 < profile.advantage() < whole.advantage()
    assert 0.01 < profile.true_positive_rate(0.01) < whole.true_positive_rate(0.01)
