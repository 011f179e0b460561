"""The normal form: sensitivities by relation, and what sampling does to each event."""

import math

import pytest

from mindveil.accountant import (
    AdaptiveClipping,
    BallsInBins,
    BandedMatrix,
    ClippedTogether,
    Composed,
    Event,
    Gaussian,
    MatrixMechanism,
    NonPrivate,
    PerLayer,
    PoissonSampled,
    SampledWithoutReplacement,
    Sequence,
    ShuffledBatches,
    TreeAggregation,
)
from mindveil.accountant.checks import Relation
from mindveil.accountant.terms import Allocated, SampledGaussian, Terms, terms_of


@pytest.mark.parametrize(
    ("event", "zeroed", "added", "replaced"),
    [
        (Gaussian(2.0), 1 / 4, 1 / 4, 1.0),
        (PerLayer((1.0, 2.0)), 5 / 4, 5 / 4, 5.0),
        # A group's clipped gradient turns around at most: 2C under every relation, C if the record is alone.
        (ClippedTogether(2.0, 8), 1.0, 1.0, 1.0),
        (ClippedTogether(2.0, 1), 1 / 4, 1 / 4, 1.0),
        # The count's indicator, shifted by 1/2, moves by 1/2 when a record comes and by 1 when one is replaced.
        (AdaptiveClipping(1.0, 2.0), 1 + 1 / 16, 1 + 1 / 16, 4 + 1 / 4),
        (AdaptiveClipping(1.0, 2.0, shifted=False), 1 + 1 / 4, 1 + 1 / 4, 4 + 1 / 4),
        (ShuffledBatches(1.0, 10), 1.0, 5.0, 4.0),
        (TreeAggregation(1023, 1.0, 3), 30.0, 30.0, 120.0),
        (TreeAggregation(1024, 1.0), 11.0, 11.0, 44.0),
        (MatrixMechanism(2.0, 3, 0.5), 9 / 16, 9 / 16, 9 / 4),
        (BallsInBins(1.0, 1), 1.0, 1.0, 4.0),
    ],
)
def test_squared_sensitivity_over_noise(event: Event, zeroed: float, added: float, replaced: float) -> None:
    relations: dict[Relation, float] = {"zero_out": zeroed, "add_or_remove_one": added, "replace_one": replaced}
    for relation, signal in relations.items():
        found = terms_of(Composed(event, 2), relation)
        assert found.signal == pytest.approx(2 * signal, rel=1e-14)
        assert not found.counted


@pytest.mark.parametrize(
    ("event", "relation", "term"),
    [
        (PoissonSampled(0.1, Gaussian(2.0)), "add_or_remove_one", SampledGaussian("present", 0.1, 2.0)),
        (PoissonSampled(0.1, Gaussian(2.0)), "replace_one", SampledGaussian("replaced", 0.1, 2.0)),
        (SampledWithoutReplacement(10, 1, Gaussian(2.0)), "zero_out", SampledGaussian("present", 0.1, 2.0)),
        (SampledWithoutReplacement(10, 1, Gaussian(2.0)), "add_or_remove_one", SampledGaussian("present", 0.1, 1.0)),
        (SampledWithoutReplacement(10, 1, Gaussian(2.0)), "replace_one", SampledGaussian("symmetrised", 0.1, 1.0)),
        (PoissonSampled(0.1, PerLayer((2.0,) * 4)), "zero_out", SampledGaussian("present", 0.1, 1.0)),
        (PoissonSampled(0.1, Composed(Gaussian(2.0), 4)), "zero_out", SampledGaussian("present", 0.1, 1.0)),
        (PoissonSampled(0.1, ClippedTogether(2.0, 3)), "zero_out", SampledGaussian("present", 0.1, 1.0)),
        (BallsInBins(1.5, 7), "add_or_remove_one", Allocated(1.5, 7)),
    ],
)
def test_sampled_events_become_one_term(event: Event, relation: Relation, term: object) -> None:
    assert terms_of(Composed(event, 3), relation) == Terms(counted={term: 3})  # type: ignore[dict-item]


def test_bands_have_as_many_rounds_as_their_groups_have_turns() -> None:
    found = terms_of(Sequence([BandedMatrix(1.0, 8, 0.08, 1000), BandedMatrix(1.0, 8, 0.08, 1001)]))
    assert found.counted == {SampledGaussian("present", 0.08, 1.0): 125 + 126}


def test_a_full_batch_is_not_sampled() -> None:
    assert terms_of(SampledWithoutReplacement(5, 5, Gaussian(2.0)), "replace_one").signal == pytest.approx(1.0)
    assert terms_of(PoissonSampled(1.0, Gaussian(2.0))).signal == pytest.approx(0.25)


def test_an_empty_batch_or_no_steps_cost_nothing_even_without_noise() -> None:
    assert terms_of(SampledWithoutReplacement(5, 0, Gaussian(2.0))).empty
    assert terms_of(Composed(NonPrivate(), 0)).empty
    assert terms_of(PoissonSampled(0.1, NonPrivate())).infinite


def test_upper_bounds_that_may_be_loose_are_marked() -> None:
    found = terms_of(Sequence([Gaussian(1.0), MatrixMechanism(1.0, 2)]))
    assert (found.signal, found.loose) == (5.0, 4.0)
    assert math.isclose(terms_of(ShuffledBatches(2.0, 3), "zero_out").loose, 0.25)
