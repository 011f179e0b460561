"""Plans are the accountant's numbers in a table, fast enough to play with."""

import time

import pytest

from mindveil.accountant import Choice, Composed, budget_curve, budget_table, epsilon

CHOICES = [Choice(noise, 256, 60_000, epochs) for noise, epochs in ((0.7, 45), (1.1, 60), (1.3, 15))]


def test_a_table_holds_both_methods_numbers() -> None:
    for row in budget_table(CHOICES, delta=1e-5):
        run = Composed(row.choice.step, row.steps)
        assert row.epsilon_rdp == epsilon(run, 1e-5)
        assert row.epsilon_tight == epsilon(run, 1e-5, method="pld") < row.epsilon_rdp


def test_steps_are_rounded_up_but_whole_epochs_are_not_inflated() -> None:
    assert Choice(1.0, 256, 60_000, 60).steps == 14_063
    assert Choice(1.0, 0.07 * 1000, 1000, 7).steps == 100
    assert Choice(1.0, 100, 1000, 3).steps == 30


@pytest.mark.parametrize("choice", CHOICES)
def test_a_curve_lies_just_above_the_optimised_bound(choice: Choice) -> None:
    curve = budget_curve(choice, delta=1e-5, points=20)
    assert curve.steps[0] == 0
    assert curve.epsilons[0] == 0.0
    assert curve.steps[-1] == choice.steps
    for steps, value in zip(curve.steps[1:], curve.epsilons[1:], strict=True):
        exact = epsilon(Composed(choice.step, steps), 1e-5)
        assert exact * (1 - 1e-6) <= value <= exact * 1.005


def test_a_plan_takes_less_than_a_second_of_processor_time() -> None:
    budget_table(CHOICES[:1], delta=1e-5)  # loads SciPy
    start = time.process_time()
    budget_table(CHOICES, delta=1e-5)
    for choice in CHOICES:
        budget_curve(choice, delta=1e-5)
    assert time.process_time() - start < 1.0
