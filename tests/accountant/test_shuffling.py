"""Shuffled batches: the published gaps, and a simulation that the lower bound must survive."""

import math

import numpy as np
import pytest

from mindveil.accountant import Composed, Gaussian, ShuffledBatches, epsilon, shuffling_gap


@pytest.mark.parametrize(
    ("noise", "epochs", "at_least", "at_most"),
    [(0.7, 1, 6.62, 6.652), (1.0, 1, 3.76, 4.377178), (1.1, 1, 2.98078, 3.92125), (1.1, 60, 10.8, 54.05)],
)
def test_published_gaps(noise: float, epochs: int, at_least: float, at_most: float) -> None:
    gap = shuffling_gap(noise, 234, epochs, delta=1e-5)
    assert gap.at_least == pytest.approx(at_least, rel=1e-2)
    assert gap.at_most == pytest.approx(at_most, rel=1e-3)
    assert gap.poisson < gap.at_least <= gap.at_most
    assert gap.factor == gap.at_least / gap.poisson


def test_little_noise_leaves_no_provable_gap_in_the_renyi_number() -> None:
    gap = shuffling_gap(0.3, 100, 1, delta=1e-5)
    assert gap.at_least <= gap.at_most
    assert gap.factor == 1.0


def test_an_attack_on_the_largest_batch_sum_reaches_the_lower_bound() -> None:
    noise, batches, at = 1.0, 10, 0.05
    gap = shuffling_gap(noise, batches, 1, delta=at)
    rng = np.random.default_rng(7)
    sums = noise * rng.standard_normal((400_000, batches))
    with_it, without = sums.copy(), sums.copy()
    with_it[:, 0] += 2  # the record's own +1 in place of nothing, and one other record fewer that pulls down
    without[:, 0] += 1
    p, q = with_it.max(axis=1), without.max(axis=1)
    thresholds = np.linspace(0, 6, 200)
    reached = max((p > t).mean() - math.exp(gap.at_least) * (q > t).mean() for t in thresholds)
    assert reached == pytest.approx(at, abs=4e-3)


def test_the_guarantee_is_noise_alone_once_an_epoch() -> None:
    for epochs in (1, 7):
        shuffled = Composed(ShuffledBatches(2.0, 50), epochs)
        alone = Composed(Gaussian(2.0), epochs)
        assert epsilon(shuffled, 1e-5, neighbouring="zero_out") == epsilon(alone, 1e-5)
        assert epsilon(shuffled, 1e-5, neighbouring="replace_one") == epsilon(alone, 1e-5, neighbouring="replace_one")
        # An inserted record pushes another one out of its batch, so adding costs more than zeroing.
        assert epsilon(shuffled, 1e-5) > epsilon(shuffled, 1e-5, neighbouring="replace_one")
