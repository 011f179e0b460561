"""What-if plans: epsilon over steps for several choices of noise and batch, as plain numbers for a table or a plot."""

import math
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

from mindveil.accountant.checks import Relation, between, count, delta_value, positive, relation
from mindveil.accountant.events import Composed, Event, Gaussian, PoissonSampled
from mindveil.accountant.guarantees import epsilon

__all__ = ["BudgetCurve", "BudgetRow", "Choice", "budget_curve", "budget_table"]


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to train: Poisson batches of ``batch_size`` expected records, noise, and how long."""

    noise_multiplier: float
    batch_size: float
    dataset_size: int
    epochs: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise_multiplier", positive("noise_multiplier", self.noise_multiplier))
        object.__setattr__(self, "dataset_size", count("dataset_size", self.dataset_size, 1))
        object.__setattr__(self, "batch_size", between("batch_size", self.batch_size, 0, self.dataset_size))
        object.__setattr__(self, "epochs", positive("epochs", self.epochs))
        positive("batch_size", self.batch_size)

    @property
    def sampling_rate(self) -> float:
        """The probability with which a record enters a batch."""
        return self.batch_size / self.dataset_size

    @property
    def steps(self) -> int:
        """Updates in ``epochs``, rounded up: a begun step is a spent step."""
        return math.ceil(self.epochs * self.dataset_size / self.batch_size * (1 - 1e-12))

    @property
    def step(self) -> Event:
        """The event of one update."""
        return PoissonSampled(self.sampling_rate, Gaussian(self.noise_multiplier))


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """A line of the table: the choice and its epsilon by both methods."""

    choice: Choice
    steps: int
    epsilon_rdp: float
    epsilon_tight: float


@dataclass(frozen=True, slots=True)
class BudgetCurve:
    """Epsilon over steps for one choice, by the Renyi bound; every point is an upper bound."""

    choice: Choice
    steps: tuple[int, ...]
    epsilons: tuple[float, ...]


def budget_table(
    choices: SequenceOf[Choice], *, delta: float, neighbouring: Relation = "add_or_remove_one"
) -> tuple[BudgetRow, ...]:
    """One row a choice, in the order given.

    >>> row = budget_table([Choice(1.1, 256, 60_000, epochs=60)], delta=1e-5)[0]
    >>> row.steps, round(row.epsilon_rdp, 3), round(row.epsilon_tight, 3)
    (14063, 2.597, 2.382)
    """
    wanted, rel = delta_value(delta), relation(neighbouring)
    rows = []
    for choice in choices:
        run = Composed(choice.step, choice.steps)
        by_order = epsilon(run, wanted, neighbouring=rel)
        rows.append(BudgetRow(choice, choice.steps, by_order, epsilon(run, wanted, neighbouring=rel, method="pld")))
    return tuple(rows)


def budget_curve(
    choice: Choice, *, delta: float, points: int = 200, neighbouring: Relation = "add_or_remove_one"
) -> BudgetCurve:
    """Epsilon after 0 to ``choice.steps`` steps, evenly spaced.

    The divergences of a table of orders serve all points, since they grow linearly with the steps; a point lies less
    than half a percent above the bound with the order optimised.
    """
    import numpy as np

    from mindveil.accountant.rdp import cumulants, curve_of, renyi_epsilon
    from mindveil.accountant.terms import terms_of

    log_delta = math.log(delta_value(delta))
    steps = np.unique(np.linspace(0, choice.steps, count("points", points, 2)).round().astype(int))
    curve = curve_of(terms_of(choice.step, relation(neighbouring)))
    whole = curve_of(terms_of(Composed(choice.step, max(1, choice.steps)), relation(neighbouring)))
    lowest = renyi_epsilon(whole, math.exp(log_delta)).order
    highest = max(2 * lowest, renyi_epsilon(curve, math.exp(log_delta)).order)
    orders = np.exp(np.linspace(math.log(0.8 * (lowest - 1)), math.log(1.2 * (highest - 1)), 160)) + 1.0
    slack = (orders - 1) * np.log1p(-1 / orders) - np.log(orders) - log_delta
    bounds = (steps[:, None] * cumulants(curve, orders) + slack) / (orders - 1)
    if np.isnan(bounds).any():
        raise ArithmeticError("a point of the curve came out as NaN; no curve is given")
    values = np.where(steps == 0, 0.0, np.maximum(bounds.min(axis=1), 0.0))
    return BudgetCurve(choice, tuple(steps.tolist()), tuple(values.tolist()))
