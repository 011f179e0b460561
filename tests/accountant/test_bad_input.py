"""Nonsense is refused with an error that says what was got and what was wanted; nothing is ever guessed."""

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mindveil.accountant import (
    AdaptiveClipping,
    BallsInBins,
    BandedMatrix,
    Choice,
    ClippedTogether,
    Composed,
    Declared,
    Event,
    Gaussian,
    GaussianFilter,
    Laplace,
    MatrixMechanism,
    NonPrivate,
    NoOp,
    PerLayer,
    PoissonSampled,
    PureLoss,
    RenyiFilter,
    SampledWithoutReplacement,
    Sequence,
    ShuffledBatches,
    TreeAggregation,
    ZeroConcentrated,
    budget_curve,
    decayed_noise,
    delta,
    epsilon,
    epsilon_bounds,
    event_from_json,
    noise_multiplier,
    order_for,
    privacy_profile,
    sampling_rate_within,
    schedule,
    shuffling_gap,
    steps_within,
    zcdp,
)

GOOD = PoissonSampled(0.01, Gaussian(1.0))
TREE = TreeAggregation(10, 1.0)

NOISE = [0, 0.0, -1.0, math.nan, math.inf, -math.inf]
NOT_A_NUMBER = ["1", None, True, np.True_, 1j, [1.0], Gaussian(1.0)]

VALUES: list[tuple[str, Callable[[Any], object], list[Any]]] = [
    ("noise_multiplier", lambda x: Gaussian(x), NOISE),
    ("noise_multiplier", lambda x: Laplace(x), NOISE),
    ("noise_multiplier", lambda x: AdaptiveClipping(x, 1.0), NOISE),
    ("count_noise", lambda x: AdaptiveClipping(1.0, x), NOISE),
    ("noise_multipliers", lambda x: PerLayer((1.0, x)), NOISE),
    ("noise_multiplier", lambda x: ClippedTogether(x, 4), NOISE),
    ("noise_multiplier", lambda x: ShuffledBatches(x, 4), NOISE),
    ("noise_multiplier", lambda x: BallsInBins(x, 4), NOISE),
    ("noise_multiplier", lambda x: TreeAggregation(4, x), NOISE),
    ("noise_multiplier", lambda x: MatrixMechanism(x, 4), NOISE),
    ("max_column_norm", lambda x: MatrixMechanism(1.0, 4, x), NOISE),
    ("noise_multiplier", lambda x: BandedMatrix(x, 4, 0.1, 4), NOISE),
    ("group_rate", lambda x: BandedMatrix(1.0, 4, x, 4), [-0.1, 1.1, math.nan]),
    ("rate", lambda x: PoissonSampled(x, Gaussian(1.0)), [-0.1, 1.0000001, 2, math.nan, math.inf]),
    ("epsilon", lambda x: PureLoss(x), [-0.1, math.nan, math.inf]),
    ("rho", lambda x: ZeroConcentrated(x), [-0.1, math.nan]),
    ("delta", lambda x: epsilon(GOOD, x), [0, 0.0, 1, 1.0, 2.0, -1.0, -1e-9, math.nan, math.inf]),
    ("delta", lambda x: epsilon(GOOD, x, method="pld"), [0.0, 1.0, math.nan]),
    ("delta", lambda x: epsilon_bounds(GOOD, x), [0.0, 1.0, math.nan]),
    ("epsilon", lambda x: delta(GOOD, x), [-0.1, math.nan, math.inf]),
    ("false_positive_rate", lambda x: privacy_profile(Gaussian(1.0)).trade_off(x), [-0.1, 1.1, math.nan]),
    ("epsilon", lambda x: privacy_profile(Gaussian(1.0)).delta(x), [math.nan, math.inf]),
    ("order", lambda x: RenyiFilter(x, 1.0, 1e-5), [1.0, 0.5, -2.0, math.nan, math.inf]),
    ("target_epsilon", lambda x: RenyiFilter(2.0, x, 1e-5), [0.0, -1.0, math.nan]),
    ("target_epsilon", lambda x: GaussianFilter(x, 1e-5), [0.0, -1.0, math.nan]),
    ("target_epsilon", lambda x: calibrated(target_epsilon=x), [0.0, -1.0, math.nan, math.inf]),
    ("delta", lambda x: calibrated(delta=x), [0.0, 1.0, math.nan]),
    ("sampling_rate", lambda x: calibrated(sampling_rate=x), [-0.1, 1.5, math.nan]),
    ("decay_rate", lambda x: decayed(decay_rate=x), [-0.1, 2.0, math.nan]),
    ("delta", lambda x: shuffling_gap(1.0, 10, 1, delta=x), [0.0, 1.0]),
    ("noise_multiplier", lambda x: Choice(x, 10, 100, 1), NOISE),
    ("epochs", lambda x: Choice(1.0, 10, 100, x), [0.0, -1.0, math.nan]),
    ("batch_size", lambda x: Declared(100, x, 1.0, "poisson"), [0.0, -1.0, 101.0, math.nan]),
]

COUNTS: list[tuple[str, Callable[[Any], object]]] = [
    ("steps", lambda x: Composed(Gaussian(1.0), x)),
    ("steps", lambda x: calibrated(steps=x)),
    ("steps", lambda x: schedule(lambda _: Gaussian(1.0), x)),
    ("leaves", lambda x: TreeAggregation(x, 1.0)),
    ("epochs", lambda x: TreeAggregation(1, 1.0, x)),
    ("bands", lambda x: BandedMatrix(1.0, x, 0.1, 1)),
    ("participations", lambda x: MatrixMechanism(1.0, x)),
    ("group_size", lambda x: ClippedTogether(1.0, x)),
    ("batches", lambda x: ShuffledBatches(1.0, x)),
    ("batches", lambda x: BallsInBins(1.0, x)),
    ("dataset_size", lambda x: SampledWithoutReplacement(x, 1, Gaussian(1.0))),
    ("batch_size", lambda x: SampledWithoutReplacement(10, x, Gaussian(1.0))),
    ("epochs", lambda x: shuffling_gap(1.0, 10, x, delta=1e-5)),
    ("points", lambda x: budget_curve(Choice(1.0, 10, 100, 1), delta=1e-5, points=x)),
]


def decayed(**changed: Any) -> Event:
    options: dict[str, Any] = {
        "noise_multiplier": 1.0,
        "decay": "Exp",
        "decay_rate": 0.1,
        "sampling_rate": 0.1,
        "steps": 2,
    }
    return decayed_noise(**{**options, **changed})


def calibrated(**changed: Any) -> float:
    options: dict[str, Any] = {"target_epsilon": 1.0, "delta": 1e-5, "sampling_rate": 0.01, "steps": 10, **changed}
    return noise_multiplier(**options)


def shown(value: Any) -> str:
    return re.escape(f"{float(value)}" if isinstance(value, (int, float)) else repr(value))


@pytest.mark.parametrize(("name", "call", "values"), VALUES)
def test_numbers_out_of_range_are_refused(name: str, call: Callable[[Any], object], values: list[Any]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=rf"{name} is {shown(value)}, and must be "):
            call(value)


@pytest.mark.parametrize(("name", "call", "values"), VALUES)
def test_what_is_no_number_is_refused(name: str, call: Callable[[Any], object], values: list[Any]) -> None:
    assert values
    for value in NOT_A_NUMBER:
        with pytest.raises(TypeError, match=rf"{name} is .* \({type(value).__name__}\), and must be a real number"):
            call(value)


@pytest.mark.parametrize(("name", "call"), COUNTS)
def test_counts_must_be_integers_of_at_least_0(name: str, call: Callable[[Any], object]) -> None:
    for value in (2.5, 2.0, "2", None, True, False, np.True_, math.nan):
        with pytest.raises(TypeError, match=rf"{name} is .*and must be an integer"):
            call(value)
    for value in (-1, -10):
        with pytest.raises(ValueError, match=rf"{name} is {value}, and must be at least"):
            call(value)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: Composed(x, 1),
        lambda x: PoissonSampled(0.1, x),
        lambda x: SampledWithoutReplacement(10, 1, x),
        lambda x: Sequence([x]),
        lambda x: epsilon(x, 1e-5),
        lambda x: delta(x, 1.0),
        lambda x: epsilon_bounds(x, 1e-5),
        lambda x: privacy_profile(x),
    ],
)
@pytest.mark.parametrize("value", [1.0, None, "Gaussian", Gaussian, [Gaussian(1.0)], math.nan])
def test_what_is_no_event_is_refused(call: Callable[[Any], object], value: Any) -> None:
    with pytest.raises(TypeError, match=r"must be an event of mindveil\.accountant"):
        call(value)


@pytest.mark.parametrize("value", ["ab", 3, None])
def test_a_sequence_needs_several_events(value: Any) -> None:
    with pytest.raises(TypeError, match="list or tuple of events"):
        Sequence(value)


@pytest.mark.parametrize(
    "event",
    [TREE, Laplace(1.0), BallsInBins(1.0, 3), GOOD, PureLoss(1.0), MatrixMechanism(1.0, 2), ZeroConcentrated(1.0)],
)
def test_no_amplification_is_claimed_where_none_is_proven(event: Any) -> None:
    with pytest.raises(ValueError, match="no amplification by sampling is proven"):
        epsilon(SampledWithoutReplacement(10, 1, event), 1e-5)
    with pytest.raises(ValueError, match="no amplification by sampling is proven"):
        epsilon(PoissonSampled(0.1, Sequence([event])), 1e-5)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    prv: Any = "prv"
    swap: Any = "swap"
    nothing: Any = None
    with pytest.raises(ValueError, match="method is 'prv', and must be one of rdp, pld, zcdp"):
        epsilon(GOOD, 1e-5, method=prv)
    with pytest.raises(ValueError, match="neighbouring is 'swap', and must be one of add_or_remove_one, replace_one"):
        epsilon(GOOD, 1e-5, neighbouring=swap)
    with pytest.raises(TypeError, match="neighbouring is None"):
        delta(GOOD, 1.0, neighbouring=nothing)
    with pytest.raises(ValueError, match="decay is 'Cosine', and must be one of Time, Step, Exp"):
        decayed_noise(noise_multiplier=1.0, decay="Cosine", decay_rate=0.1, sampling_rate=0.1, steps=2)
    with pytest.raises(ValueError, match="must be one of poisson, without_replacement, shuffle"):
        Declared(100, 10, 1.0, "random")


def test_batches_larger_than_the_data_are_refused() -> None:
    with pytest.raises(ValueError, match="batch_size is 11, and must be at most dataset_size, 10"):
        SampledWithoutReplacement(10, 11, Gaussian(1.0))


def test_targets_out_of_reach_are_refused() -> None:
    with pytest.raises(ValueError, match="needs no noise protects nobody"):
        noise_multiplier(target_epsilon=1.0, delta=1e-3, sampling_rate=1e-6, steps=1)
    with pytest.raises(ValueError, match="is no limit"):
        steps_within(target_epsilon=50.0, delta=1e-3, sampling_rate=1e-7, noise_multiplier=50.0)
    with pytest.raises(ValueError, match="must cost something finite"):
        order_for(NoOp(), delta=1e-5)
    with pytest.raises(ValueError, match="no rho"):
        zcdp(NonPrivate())
    with pytest.raises(ValueError, match="second step would have no noise"):
        decayed_noise(noise_multiplier=1.0, decay="Step", decay_rate=1.0, sampling_rate=0.1, steps=2)


def test_integers_and_numpy_numbers_are_numbers() -> None:
    short: Any = np.float32(1.0)
    one: Any = np.int64(1)
    assert Gaussian(1) == Gaussian(1.0) == Gaussian(short) == Gaussian(one)
    assert Composed(Gaussian(1), 3 * one) == Composed(Gaussian(1.0), 3)
    assert type(Gaussian(short).noise_multiplier) is float
    two = PoissonSampled(0.01, Composed(Gaussian(2), 4))
    assert epsilon(two, 1e-5) == epsilon(PoissonSampled(0.01, Gaussian(1.0)), 1e-5)


@pytest.mark.parametrize(
    "written",
    [
        None,
        [],
        {},
        {"kind": "Gauss"},
        {"kind": "Gaussian"},
        {"kind": "Gaussian", "noise_multiplier": "0x1p+0", "extra": 1},
        {"kind": "Gaussian", "noise_multiplier": "nan"},
        {"kind": "Gaussian", "noise_multiplier": "-0x1p+0"},
        {"kind": "Gaussian", "noise_multiplier": True},
        {"kind": "Gaussian", "noise_multiplier": {"kind": "NoOp"}},
        {"kind": "Composed", "event": {"kind": "NoOp"}, "steps": -1000},
        {"kind": "Composed", "event": {"kind": "NoOp"}, "steps": "0x1p+1"},
        {"kind": "Sequence", "events": {"kind": "NoOp"}},
    ],
)
def test_nonsense_json_is_refused(written: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        event_from_json(written)


def test_calibrating_a_rate_refuses_nonsense_too() -> None:
    with pytest.raises(ValueError, match="target_epsilon is -1"):
        sampling_rate_within(target_epsilon=-1.0, delta=1e-5, noise_multiplier=1.0, steps=10)
    half: Any = 1.5
    with pytest.raises(TypeError, match=r"steps is 1\.5"):
        sampling_rate_within(target_epsilon=1.0, delta=1e-5, noise_multiplier=1.0, steps=half)
