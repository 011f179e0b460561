"""Filters for noise that depends on the data: one order, fixed beforehand, never exceeded."""

import random

import pytest

from mindveil.accountant import (
    BudgetExceeded,
    Composed,
    Gaussian,
    GaussianFilter,
    NonPrivate,
    NoOp,
    PoissonSampled,
    RenyiFilter,
    Sequence,
    epsilon,
    order_for,
)

STEP = PoissonSampled(0.01, Gaussian(1.0))


def test_going_as_planned_loses_nothing() -> None:
    plan = Composed(STEP, 1000)
    target = epsilon(plan, 1e-5)
    spent = RenyiFilter(order_for(plan, delta=1e-5), target * (1 + 1e-9), 1e-5).spend(STEP, steps=1000)
    assert spent.epsilon == pytest.approx(target, rel=1e-9)
    with pytest.raises(BudgetExceeded):
        spent.spend(STEP)


def test_whatever_is_spent_stays_within_the_target() -> None:
    rng = random.Random(3)
    state = RenyiFilter(8.0, 2.0, 1e-5)
    events = []
    while True:
        event = PoissonSampled(0.01, Gaussian(rng.uniform(0.6, 2.0)))
        try:
            state = state.spend(event, steps=20)
        except BudgetExceeded:
            break
        events.append(Composed(event, 20))
    assert len(events) > 3
    assert epsilon(Sequence(events), 1e-5) <= state.epsilon <= 2.0


def test_spending_leaves_the_old_filter_as_it_was() -> None:
    start = RenyiFilter(8.0, 2.0, 1e-5)
    later = start.spend(STEP)
    assert start.spent == 0.0 < later.spent
    assert start.epsilon == 0.0
    assert start.spend(NoOp(), steps=5) == start
    assert start.spend(STEP, steps=0) == start


def test_a_wrong_order_only_stops_earlier() -> None:
    good, bad = (sum(1 for _ in _steps(RenyiFilter(order, 4.0, 1e-5))) for order in (6.0, 4.2))
    assert good > bad > 0


def _steps(state: RenyiFilter) -> list[RenyiFilter]:
    states: list[RenyiFilter] = []
    while len(states) < 1000:
        try:
            state = state.spend(STEP, steps=10)
        except BudgetExceeded:
            break
        states.append(state)
    return states


def test_gaussian_steps_lose_nothing_to_their_filter() -> None:
    state, events = GaussianFilter(2.0, 1e-5), []
    for noise in (10.0, 20.0, 5.0, 8.0):
        state = state.spend(Gaussian(noise), steps=2)
        events.append(Composed(Gaussian(noise), 2))
    assert state.epsilon == pytest.approx(epsilon(Sequence(events), 1e-5, method="pld"), rel=1e-9)
    with pytest.raises(BudgetExceeded):
        state.spend(Gaussian(0.5))
    with pytest.raises(ValueError, match="must be unsampled Gaussian"):
        state.spend(STEP)


def test_a_release_without_noise_never_fits() -> None:
    with pytest.raises(BudgetExceeded):
        RenyiFilter(8.0, 100.0, 1e-5).spend(NonPrivate())
    with pytest.raises(BudgetExceeded):
        GaussianFilter(100.0, 1e-5).spend(NonPrivate())
