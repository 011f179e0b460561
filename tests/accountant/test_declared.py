"""A declaration that differs from what ran raises, and names every difference."""

import pytest

from mindveil.accountant import (
    BallsInBins,
    Composed,
    Declared,
    Event,
    Gaussian,
    MismatchError,
    NonPrivate,
    NoOp,
    PoissonSampled,
    SampledWithoutReplacement,
    Sequence,
    ShuffledBatches,
    check_declared,
)

DECLARED = Declared(dataset_size=60_000, batch_size=256, noise_multiplier=1.1, sampling="poisson", steps=100)
RAN = Composed(PoissonSampled(256 / 60_000, Gaussian(1.1)), 100)


def test_the_run_that_was_declared_passes() -> None:
    check_declared(DECLARED, RAN, pipeline="poisson")
    with pytest.raises(MismatchError):
        check_declared(DECLARED, Sequence([RAN, NonPrivate()]))
    check_declared(DECLARED, Sequence([RAN, NoOp(), Composed(NonPrivate(), 0)]))


@pytest.mark.parametrize(
    ("ran", "words"),
    [
        (Composed(PoissonSampled(256 / 60_000, Gaussian(1.0)), 100), r"noise_multiplier: declared 1\.1, but 1 ran"),
        (Composed(PoissonSampled(128 / 60_000, Gaussian(1.1)), 100), r"sampling rate: declared 256/60000 = 0\.0042"),
        (Composed(PoissonSampled(256 / 60_000, Gaussian(1.1)), 99), "steps: declared 100, but 99 ran"),
        (Composed(Gaussian(1.1), 100), "sampling: declared poisson, but the graph ran Gaussian"),
        (Composed(PoissonSampled(256 / 60_000, NonPrivate()), 100), r"noise: declared 1\.1, but NonPrivate ran"),
        (
            Composed(SampledWithoutReplacement(50_000, 256, Gaussian(1.1)), 100),
            "dataset_size: declared 60000, but 50000",
        ),
        (ShuffledBatches(1.1, 100), r"graph ran ShuffledBatches \(shuffle\)"),
        (NoOp(), "steps: declared 100, but 0 ran"),
        (Sequence([RAN, PoissonSampled(0.5, Gaussian(1.1))]), "but 0.5 ran"),
    ],
)
def test_each_difference_raises(ran: Event, words: str) -> None:
    with pytest.raises(MismatchError, match=words):
        check_declared(DECLARED, ran)


def test_a_pipeline_that_says_otherwise_raises() -> None:
    with pytest.raises(MismatchError, match="declared poisson, but the data pipeline does shuffle"):
        check_declared(DECLARED, RAN, pipeline="shuffle")


def test_all_differences_are_named_at_once() -> None:
    with pytest.raises(MismatchError, match=r"pipeline.*sampling rate.*noise_multiplier.*steps"):
        check_declared(DECLARED, PoissonSampled(0.1, Gaussian(3.0)), pipeline="shuffle")


def test_a_schedule_leaves_the_noise_open() -> None:
    fixed = Declared(dataset_size=1000, batch_size=10, noise_multiplier=1.0, sampling="poisson")
    declared = Declared(dataset_size=1000, batch_size=10, noise_multiplier=None, sampling="poisson")
    ran = Sequence([PoissonSampled(0.01, Gaussian(noise)) for noise in (1.0, 2.0)])
    check_declared(declared, ran)
    with pytest.raises(MismatchError, match="noise_multiplier"):
        check_declared(fixed, ran)


def test_balls_in_bins_are_counted_by_their_batches() -> None:
    declared = Declared(dataset_size=1000, batch_size=10, noise_multiplier=1.5, sampling="balls_in_bins", steps=300)
    check_declared(declared, Composed(BallsInBins(1.5, 100), 3))
    with pytest.raises(MismatchError, match="steps: declared 300, but 200 ran"):
        check_declared(declared, Composed(BallsInBins(1.5, 100), 2))
