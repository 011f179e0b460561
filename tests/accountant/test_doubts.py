"""Warnings carry the size of the gap, and are silent when there is none."""

import warnings

import pytest

from mindveil.accountant import Composed, Gaussian, PoissonSampled, PrivacyWarning, advice, shuffling_gap, warn

RUN = Composed(PoissonSampled(1 / 234, Gaussian(1.1)), 234)


def test_an_ordinary_run_raises_no_doubts() -> None:
    assert advice(RUN, delta=1e-6, dataset_size=60_000, pipeline="poisson") == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn(RUN, delta=1e-6, dataset_size=60_000)
        assert advice(RUN, delta=1e-6, dataset_size=60_000) == ()


def test_shuffled_data_accounted_as_poisson_shows_the_three_numbers() -> None:
    (found,) = advice(RUN, delta=1e-5, dataset_size=60_000, pipeline="shuffle")
    gap = shuffling_gap(1.1, 234, 1, delta=1e-5)
    assert found.topic == "shuffled"
    assert found.gap == gap.factor > 4
    for number in (gap.poisson, gap.at_least, gap.at_most):
        assert f"{number:.4g}" in found.text


def test_a_large_delta_shows_how_many_records_it_gives_away() -> None:
    (found,) = advice(RUN, delta=1e-3, dataset_size=60_000)
    assert found.topic == "delta"
    assert found.gap == pytest.approx(60.0)
    assert "1 / 60000 records" in found.text


def test_a_guarantee_without_meaning_shows_its_epsilon() -> None:
    (found,) = advice(Composed(PoissonSampled(0.01, Gaussian(0.2)), 1000), delta=1e-6, dataset_size=60_000)
    assert found.topic == "noise"
    assert found.gap > 100
    assert "means nothing" in found.text


def test_warn_issues_the_advice_as_warnings_of_their_own_kind() -> None:
    with pytest.warns(PrivacyWarning, match="delta is 0.001"):
        warn(RUN, delta=1e-3, dataset_size=60_000)
