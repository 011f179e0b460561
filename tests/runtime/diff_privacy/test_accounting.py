"""What can be stated for a run, what MindArmour's formula says of it, and the comparison of both with what was told."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from mindveil import accountant
from mindveil.accountant import (
    AdaptiveClipping,
    ClippedTogether,
    Composed,
    Gaussian,
    MismatchError,
    NonPrivate,
    PoissonSampled,
    Sequence,
)
from mindveil.runtime.diff_privacy import RDPMonitor, ZCDPMonitor
from mindveil.runtime.diff_privacy.compare import check_ran, check_told
from mindveil.runtime.diff_privacy.feeding import Feeding
from mindveil.runtime.diff_privacy.formula import ORDERS, Told, renyi_delta, renyi_epsilon
from mindveil.runtime.diff_privacy.statement import releases, statement_of
from mindveil.runtime.policies import DPSGD

SHUFFLED = Feeding(4, 40, 0.1, False, 10)
POISSON = Feeding(4, 40, 0.1, True, 0)
TOLD = Told.of(40, 4, 1.5, None, 6e-4)


def step(noise: float, together: int = 1) -> PoissonSampled:
    """One step as the training step releases it."""
    return PoissonSampled(0.1, ClippedTogether(noise, together) if together > 1 else Gaussian(noise))


def gaussian_delta(signal: float, epsilon: float) -> float:
    """The exact delta of one Gaussian of a sensitivity of ``signal`` standard deviations (Balle and Wang 2018)."""
    return float(norm.cdf(signal / 2 - epsilon / signal) - math.exp(epsilon) * norm.cdf(-signal / 2 - epsilon / signal))


@pytest.mark.parametrize("together", [1, 4])
@pytest.mark.parametrize(("steps", "uses"), [(1, 1), (10, 1), (11, 2), (30, 3)])
def test_a_record_of_shuffled_batches_is_hidden_by_the_noise_alone_once_a_pass(
    together: int, steps: int, uses: int
) -> None:
    statement = statement_of(Composed(step(1.5, together), steps), SHUFFLED)
    assert statement.neighbouring == "replace_one"
    epsilon = statement.epsilon(1e-5, "rdp")
    assert gaussian_delta(2 / 1.5 * math.sqrt(uses), epsilon) == pytest.approx(1e-5, rel=1e-6)
    assert statement.delta(epsilon, "rdp") == pytest.approx(1e-5, rel=1e-6)


def test_a_pass_costs_what_its_least_noise_costs() -> None:
    run = Sequence([step(3.0), Composed(step(1.0), 2), Composed(step(2.0), 17)])
    statement = statement_of(run, SHUFFLED)
    signal = math.sqrt(4 / 1.0**2 + 4 / 2.0**2)
    assert gaussian_delta(signal, statement.epsilon(1e-5, "rdp")) == pytest.approx(1e-5, rel=1e-6)


def test_each_call_of_train_shuffles_anew() -> None:
    run = Composed(step(1.5), 12)  # stopped after 6 steps of 10, then 6 more: a record may have come twice
    whole, twice = statement_of(run, SHUFFLED.begun(0)), statement_of(run, SHUFFLED.begun(0).begun(6))
    assert whole.event == twice.event == Sequence([Composed(Gaussian(1.5), 2)])
    thrice = statement_of(run, SHUFFLED.begun(0).begun(4).begun(8))
    assert thrice.event == Sequence([Composed(Gaussian(1.5), 3)])


def test_poisson_batches_are_amplified_and_groups_cost_twice_the_sensitivity() -> None:
    run = Composed(step(2.0, 4), 50)
    statement = statement_of(run, POISSON)
    wanted = accountant.epsilon(Composed(PoissonSampled(0.1, Gaussian(1.0)), 50), 1e-5)
    assert statement.epsilon(1e-5, "rdp") == pytest.approx(wanted, rel=1e-9)
    assert statement.neighbouring == "add_or_remove_one"


def test_zero_concentrated_privacy_is_not_amplified() -> None:
    run = Composed(step(1.5), 20)
    rho = 20 / (2 * 1.5**2)
    assert statement_of(run, POISSON).epsilon(1e-5, "zcdp") <= rho + 2 * math.sqrt(rho * math.log(1e5))
    twice = 2 * 4 / (2 * 1.5**2)  # two passes, one record replaced
    spent = statement_of(run, SHUFFLED).epsilon(1e-5, "zcdp")
    assert twice < spent <= twice + 2 * math.sqrt(twice * math.log(1e5))


def test_a_step_without_noise_has_no_epsilon() -> None:
    run = Sequence([Composed(step(1.5), 12), Composed(NonPrivate(), 1)])
    for feeding in (SHUFFLED, POISSON):
        assert statement_of(run, feeding).epsilon(1e-5, "rdp") == math.inf


def test_releases_come_one_by_one_in_order() -> None:
    counted = PoissonSampled(0.1, AdaptiveClipping(1.0, 2.0))
    run = Composed(Sequence([Composed(step(2.0), 2), counted]), 2)
    assert list(releases(run)) == [step(2.0), step(2.0), counted] * 2
    with pytest.raises(ValueError, match=r"Laplace.* is no release of a training step"):
        list(releases(accountant.Laplace(1.0)))


# N 60000, B 256, 2340 steps without decay at delta 1e-5, as MindArmour prints them (which counts a step more a print,
# and adds where it should subtract at fractional orders).
@pytest.mark.parametrize(("noise", "printed"), [(0.5, 13.80), (0.7, 4.60), (1.0, 1.716), (1.1, 1.574)])
def test_the_formula_is_mindarmours_but_for_its_numerical_faults(noise: float, printed: float) -> None:
    told = Told.of(60_000, 256, noise, None, 6e-4)
    assert printed * 0.985 < renyi_epsilon(told.event(2340), 1e-5, ORDERS) <= printed
    delta = renyi_delta(told.event(2340), printed, ORDERS)
    assert delta <= 1e-5
    assert renyi_delta(told.event(2340), printed / 2, ORDERS) > 1e-5


def test_the_formula_equals_its_sum_at_a_whole_order() -> None:
    rate, z, order, steps = 256 / 60_000, 1.1, 20, 100
    terms = [
        math.comb(order, k) * (1 - rate) ** (order - k) * rate**k * math.exp((k * k - k) / (2 * z * z))
        for k in range(order + 1)
    ]
    rdp = steps * math.log(sum(terms)) / (order - 1)
    told = Told.of(60_000, 256, z, None, 6e-4)
    assert renyi_epsilon(told.event(steps), 1e-5, [order]) == pytest.approx(
        rdp - math.log(1e-5) / (order - 1), rel=1e-7
    )


def test_the_formula_of_zero_concentrated_privacy_follows_the_decay() -> None:
    told = Told.of(60_000, 256, 1.5, "Step", 0.01)
    rho = sum(1 / (2 * (1.5 * 0.99**t) ** 2) for t in range(30))
    assert told.zcdp_epsilon(30, 1e-5) == pytest.approx(rho + 2 * math.sqrt(rho * math.log(1e5)))


@pytest.mark.parametrize("mode", ["Time", "Step", "Exp"])
def test_a_decay_that_the_noise_does_not_have_raises(mode: str) -> None:
    policy = DPSGD(1.0, 1.5, 0.1, 40)
    with pytest.raises(
        MismatchError, match=f"noise_decay_mode: with 1.5 at first and noise_decay_mode='{mode}' step 2"
    ):
        check_told(Told.of(40, 4, 1.5, mode, 6e-4), policy, SHUFFLED)
    check_told(TOLD, policy, SHUFFLED)
    decaying = DPSGD(1.0, lambda step: Told.of(40, 4, 1.5, mode, 6e-4).noise.multiplier(step), 0.1, 40)
    check_told(Told.of(40, 4, 1.5, mode, 6e-4), decaying, SHUFFLED)
    with pytest.raises(MismatchError, match="noise_decay_mode=None step 2"):
        check_told(TOLD, decaying, SHUFFLED)


@pytest.mark.parametrize(
    ("told", "feeding", "message"),
    [
        ((40, 5, 1.5), SHUFFLED, "batch_size=5 was told, but the batches have 4 rows"),
        ((60_000, 4, 1.5), SHUFFLED, "num_samples=60000 was told, but the dataset has 10 batches"),
        ((40, 4, 1.0), SHUFFLED, "initial_noise_multiplier: with 1 at first"),
        ((41, 4, 1.5), POISSON, "but Poisson batches of 4 of 40 records come"),
        ((80, 8, 1.5), POISSON, "num_samples=80 and batch_size=8 were told"),
    ],
)
def test_another_run_than_was_told_raises(told: Any, feeding: Feeding, message: str) -> None:
    records, batch, noise = told
    with pytest.raises(MismatchError, match=message):
        check_told(Told.of(records, batch, noise, None, 6e-4), DPSGD(1.0, 1.5, 0.1, 40), feeding)


def test_records_that_fill_no_whole_batch_are_no_difference() -> None:
    for records in (40, 41, 43):
        check_told(Told.of(records, 4, 1.5, None, 6e-4), DPSGD(1.0, 1.5, 0.1, 40), SHUFFLED)
    with pytest.raises(MismatchError, match="num_samples=45 was told"):
        check_told(Told.of(45, 4, 1.5, None, 6e-4), DPSGD(1.0, 1.5, 0.1, 40), SHUFFLED)


def test_what_ran_is_compared_step_by_step() -> None:
    ran = Sequence([Composed(step(1.5), 5), step(1.4)])
    assert check_ran(TOLD, Composed(step(1.5), 5), 0) == 5
    with pytest.raises(MismatchError, match=r"step 6 ran with noise multiplier 1\.4, but 1\.5 was told"):
        check_ran(TOLD, ran, 5)
    assert check_ran(TOLD, ran, 6) == 6
    for inner in (
        ClippedTogether(1.5, 4),
        AdaptiveClipping(1.5, 3.0),
        Sequence([ClippedTogether(1.5, 4), Gaussian(3.0)]),
    ):
        assert check_ran(TOLD, PoissonSampled(0.1, inner), 0) == 1


def test_the_most_epochs_that_a_budget_allows_are_suggested() -> None:
    monitor = RDPMonitor(60_000, 256, 1.1, max_eps=2.0, target_delta=1e-5, noise_decay_mode=None)
    epochs = monitor.max_epoch_suggest()
    event = PoissonSampled(256 / 60_000, Gaussian(1.1))
    assert accountant.epsilon(Composed(event, epochs * 235), 1e-5) <= 2.0
    assert accountant.epsilon(Composed(event, (epochs + 1) * 235), 1e-5) > 2.0
    assert RDPMonitor(1000, 256, 0.3, max_eps=0.5, target_delta=1e-5, noise_decay_mode=None).max_epoch_suggest() == 0
    decaying = RDPMonitor(2560, 256, 3.0, max_eps=4.0, target_delta=1e-5, noise_decay_mode="Exp", noise_decay_rate=0.01)
    constant = RDPMonitor(2560, 256, 3.0, max_eps=4.0, target_delta=1e-5, noise_decay_mode=None)
    assert 0 < decaying.max_epoch_suggest() < constant.max_epoch_suggest()
    by_delta = RDPMonitor(2560, 256, 2.0, target_delta=None, target_eps=1.0, max_delta=1e-5, noise_decay_mode=None)
    found = by_delta.max_epoch_suggest()
    event = PoissonSampled(0.1, Gaussian(2.0))
    assert (
        accountant.delta(Composed(event, found * 10), 1.0)
        <= 1e-5
        < accountant.delta(Composed(event, found * 10 + 10), 1.0)
    )
    zcdp = ZCDPMonitor(2560, 256, 5.0, max_eps=6.0, target_delta=1e-5, noise_decay_mode=None)
    found = zcdp.max_epoch_suggest()
    assert zcdp.meter.told.zcdp_epsilon(10 * found, 1e-5) <= 6.0 < zcdp.meter.told.zcdp_epsilon(10 * found + 10, 1e-5)


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"target_eps": 1.0}, ValueError, "give exactly one, the other None"),
        ({"target_delta": None}, ValueError, "target_delta is None and target_eps is None"),
        ({"target_delta": 2.0}, ValueError, r"delta is 2\.0, and must be strictly between 0 and 1"),
        ({"orders": [0.5, 2]}, ValueError, r"orders is \[0\.5, 2\], and must hold finite numbers above 1"),
        ({"orders": []}, ValueError, r"orders is \[\]"),
        ({"noise_decay_mode": "Root"}, ValueError, "'Root', and must be one of Time, Step, Exp"),
        ({"noise_decay_rate": 1.0}, ValueError, r"noise_decay_rate is 1\.0"),
        ({"per_print_times": 0}, ValueError, "per_print_times is 0"),
        ({"max_eps": -1.0}, ValueError, r"max_eps is -1\.0"),
        ({"batch_size": 50_000}, ValueError, "batch_size is 50000, and must be below num_samples, 40000"),
        ({"num_samples": 0}, ValueError, "num_samples is 0"),
        ({"batch": 3}, TypeError, "batch"),
    ],
)
def test_a_monitors_arguments_are_checked(more: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments = {"num_samples": 40_000, "batch_size": 4, "target_delta": 1e-5} | more
    with pytest.raises(error, match=message):
        RDPMonitor(**arguments)


def test_a_delta_that_publishes_records_warns() -> None:
    with pytest.warns(accountant.PrivacyWarning, match="publishing 60 records in the clear would satisfy it"):
        RDPMonitor(60_000, 256)
    monitor = RDPMonitor(60_000, 256, target_delta=1e-5, max_eps=None, orders=np.array([2.0, 3.0]))
    assert monitor.orders == (2.0, 3.0)
    with pytest.raises(ValueError, match="max_eps is None"):
        monitor.max_epoch_suggest()
