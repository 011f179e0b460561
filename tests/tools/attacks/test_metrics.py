"""Metrics and intervals against closed forms, scikit-image and exact binomial tails."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from skimage.metrics import structural_similarity

from mindveil.tools.attacks import Score, identified, mean_score, paired_difference, rate_score, relative_l2, ssim

from .networks import digits

Array = NDArray[Any]


def noisy(images: Array, level: float, seed: int = 0) -> Array:
    noise = np.random.default_rng(seed).normal(size=images.shape) * level
    result: Array = np.clip(images + noise, 0, 1).astype(np.float32)
    return result


def test_relative_l2_of_known_pairs() -> None:
    images = digits()[0][:5]
    np.testing.assert_allclose(relative_l2(images, images), 0)
    np.testing.assert_allclose(relative_l2(images, 0 * images), 1)
    np.testing.assert_allclose(relative_l2(images, 1.5 * images), 0.5, rtol=1e-6)


@pytest.mark.parametrize(("variant", "data_range"), [("standard", 1.0), ("range2", 2.0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_equals_scikit_image(variant: Any, data_range: float, channels: int) -> None:
    images = digits()[0][: 4 * channels].reshape(4, channels, 32, 32)
    others = noisy(images, 0.2)
    expected = [
        structural_similarity(x.astype(np.float64), y.astype(np.float64), data_range=data_range, channel_axis=0)
        for x, y in zip(images, others, strict=True)
    ]
    np.testing.assert_allclose(ssim(images, others, variant=variant), expected, rtol=1e-9)


def test_ssim_of_an_image_that_is_not_square() -> None:
    x, y = (np.random.default_rng(seed).random((1, 1, 9, 20)) for seed in (0, 1))
    expected = structural_similarity(x[0, 0], y[0, 0], data_range=1.0)
    assert ssim(x, y)[0] == pytest.approx(expected, rel=1e-9)


def test_ssim_refuses_small_images_and_unknown_variants() -> None:
    small = np.zeros((1, 1, 6, 9))
    with pytest.raises(ValueError, match="at least 7"):
        ssim(small, small)
    with pytest.raises(ValueError, match="one of standard, range2"):
        ssim(np.zeros((1, 1, 8, 8)), np.zeros((1, 1, 8, 8)), variant="wrong")  # type: ignore[arg-type]


def test_identification_finds_degraded_copies_and_ignores_brightness() -> None:
    images = digits()[0][:200]
    assert identified(images[:50], noisy(0.5 * images[:50] + 0.2, 0.1), images[50:]).all()


def test_identification_without_knowledge_is_at_chance() -> None:
    images = digits()[0][:100]
    guesses = np.random.default_rng(1).random((100, 1, 32, 32))
    hits = sum(identified(images, np.roll(guesses, shift, axis=0)).sum() for shift in range(20))
    assert stats.binomtest(int(hits), 2000, 1 / 100).pvalue > 1e-3


def test_a_constant_reconstruction_identifies_nothing() -> None:
    images = digits()[0][:20]
    assert not identified(images, np.zeros_like(images)).any()
    assert not identified(images, np.full_like(images, 0.7)).any()


def test_the_same_reconstruction_for_all_identifies_at_most_one() -> None:
    images = digits()[0][:20]
    assert identified(images, np.repeat(images[3:4], 20, axis=0)).tolist() == [index == 3 for index in range(20)]


def test_exact_copies_of_the_original_among_the_candidates_are_the_original() -> None:
    images = digits()[0][:10]
    assert identified(images, images, images[:5]).all()


@pytest.mark.parametrize(("n", "k"), list(itertools.product([1, 30, 100], [0, 1, 26, 30, 100])))
def test_rate_interval_is_that_of_the_exact_binomial_test(n: int, k: int) -> None:
    if k > n:
        k = n
    score = rate_score("rate", np.arange(n) < k)
    expected = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
    assert (score.value, score.n) == (k / n, n)
    assert (score.low, score.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_bootstrap_interval_covers_the_mean_of_repeated_samples() -> None:
    rng = np.random.default_rng(0)
    scores = [mean_score("m", rng.exponential(size=60), seed=index) for index in range(300)]
    covered = np.mean([score.low <= 1.0 <= score.high for score in scores])
    assert 0.89 <= covered <= 0.97


def test_paired_difference_is_narrower_than_two_separate_intervals() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(size=100)
    second = first + 0.1 + 0.02 * rng.normal(size=100)
    difference = paired_difference("d", second, first)
    assert difference.low > 0.09
    assert difference.high < 0.11
    assert mean_score("a", first).high > mean_score("b", second).low


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")]])
def test_numbers_that_are_not_finite_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        mean_score("l2", values)


def test_a_score_outside_its_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="outside its own interval"):
        Score("l2", 2.0, 0.0, 1.0, 5)


@pytest.mark.parametrize(
    ("originals", "reconstructions", "message"),
    [
        (np.zeros((2, 1, 8, 8)), np.zeros((3, 1, 8, 8)), "wanted: equal"),
        (np.zeros((2, 8, 8)), np.zeros((2, 8, 8)), r"\(N, C, H, W\)"),
        (np.zeros((1, 1, 8, 8)), np.full((1, 1, 8, 8), np.nan), "not finite"),
        (np.zeros((0, 1, 8, 8)), np.zeros((0, 1, 8, 8)), "at least 1"),
    ],
    ids=["counts differ", "three axes", "not a number", "empty"],
)
def test_arrays_that_are_no_pairs_of_images_are_refused(originals: Array, reconstructions: Array, message: str) -> None:
    for metric in (relative_l2, ssim, identified):
        with pytest.raises(ValueError, match=message):
            metric(originals, reconstructions)
