"""Privacy when the noise is chosen during the run, from what the run has released so far.

Ordinary composition needs the parameters of every step to be public from the start. If they depend on the data, a
filter is needed: a budget in one quantity, fixed beforehand, that no step may take below zero. Which order of Renyi
divergence that quantity has cannot be chosen afterwards, and a tight (PLD) number must not be quoted for such a run.
"""

import math
from dataclasses import dataclass, field

from mindveil.accountant.checks import Relation, count, delta_value, positive, real, relation
from mindveil.accountant.convert import epsilon_from_order
from mindveil.accountant.errors import BudgetExceeded
from mindveil.accountant.events import Event
from mindveil.accountant.gaussian import gaussian_epsilon
from mindveil.accountant.terms import terms_of

__all__ = ["GaussianFilter", "RenyiFilter", "order_for"]


@dataclass(frozen=True, slots=True)
class RenyiFilter:
    """A budget for steps of any kind, in Renyi divergence of one order fixed beforehand.

    Whatever the steps were, and however they were chosen from earlier results, everything released together is
    (``target_epsilon``, ``delta``)-private as long as :meth:`spend` did not raise.

    >>> from mindveil.accountant import Gaussian, PoissonSampled
    >>> start = RenyiFilter(order=8.0, target_epsilon=2.0, delta=1e-5)
    >>> later = start.spend(PoissonSampled(0.004, Gaussian(1.1)), steps=1000)
    >>> later.epsilon <= 2.0
    True

    Source: Feldman and Zrnic 2021, "Individual privacy accounting via a Renyi filter" (arXiv 2008.11193), theorem 3.1:
    the sum of the divergences of one order filters fully adaptive composition.
    """

    order: float
    target_epsilon: float
    delta: float
    neighbouring: Relation = "add_or_remove_one"
    spent: float = field(default=0.0, kw_only=True)
    """The cumulants of ``order`` added up so far."""

    def __post_init__(self) -> None:
        if real("order", self.order) <= 1:
            raise ValueError(f"order is {self.order}, and must be above 1; order_for() finds a good one for a plan")
        positive("target_epsilon", self.target_epsilon)
        delta_value(self.delta)
        relation(self.neighbouring)
        if math.isnan(self.spent) or self.spent < 0:
            raise ValueError(f"spent is {self.spent}, and must be at least 0")

    @property
    def epsilon(self) -> float:
        """What the spent part alone would cost at ``delta``."""
        if self.spent == 0:
            return 0.0
        return max(0.0, epsilon_from_order(self.order, self.spent, math.log(self.delta)))

    def spend(self, event: Event, steps: int = 1) -> "RenyiFilter":
        """The filter after ``steps`` times ``event``; ask before the first of them runs.

        Raises:
            BudgetExceeded: they do not fit; nothing may be released.
        """
        from mindveil.accountant.rdp import curve_of, total_cumulant  # loads NumPy

        terms = terms_of(event, self.neighbouring)
        cost = math.inf if terms.infinite else total_cumulant(curve_of(terms), self.order)
        times = count("steps", steps)
        total = self.spent + (times * cost if times else 0.0)
        if max(0.0, epsilon_from_order(self.order, total, math.log(self.delta))) > self.target_epsilon and total > 0:
            raise BudgetExceeded(
                f"{times} x {event} does not fit: order {self.order} would prove an epsilon above "
                f"{self.target_epsilon} at delta {self.delta}; spend less, or stop"
            )
        return RenyiFilter(self.order, self.target_epsilon, self.delta, self.neighbouring, spent=total)


@dataclass(frozen=True, slots=True)
class GaussianFilter:
    """A budget for unsampled Gaussian steps whose noise is chosen during the run; it loses nothing.

    Source: Smith and Thakurta 2022 (arXiv 2210.17520); Koskela, Tobaben and Honkela 2022 (arXiv 2209.15596): stopping
    before the sum of (sensitivity / noise)**2 exceeds mu**2 leaves the run mu-Gaussian-private.
    """

    target_epsilon: float
    delta: float
    neighbouring: Relation = "add_or_remove_one"
    spent: float = field(default=0.0, kw_only=True)
    """The sum of (sensitivity / noise)**2 so far."""

    def __post_init__(self) -> None:
        positive("target_epsilon", self.target_epsilon)
        delta_value(self.delta)
        relation(self.neighbouring)
        if math.isnan(self.spent) or self.spent < 0:
            raise ValueError(f"spent is {self.spent}, and must be at least 0")

    @property
    def epsilon(self) -> float:
        """What the spent part alone would cost at ``delta``."""
        return gaussian_epsilon(math.sqrt(self.spent), self.delta)

    def spend(self, event: Event, steps: int = 1) -> "GaussianFilter":
        """The filter after ``steps`` times ``event``, which must be unsampled and Gaussian.

        Raises:
            BudgetExceeded: they do not fit; nothing may be released.
            ValueError: the event is sampled or not Gaussian.
        """
        terms = terms_of(event, self.neighbouring)
        if terms.counted:
            raise ValueError(f"event is {event}, and must be unsampled Gaussian noise; use RenyiFilter for the rest")
        total = self.spent + (count("steps", steps) * terms.signal if steps else 0.0)
        if terms.infinite or gaussian_epsilon(math.sqrt(total), self.delta) > self.target_epsilon:
            raise BudgetExceeded(
                f"{steps} x {event} does not fit into epsilon {self.target_epsilon} at delta {self.delta}; stop here"
            )
        return GaussianFilter(self.target_epsilon, self.delta, self.neighbouring, spent=total)


def order_for(planned: Event, *, delta: float, neighbouring: Relation = "add_or_remove_one") -> float:
    """The order to fix for a filter: the best one for the run as planned; it loses nothing if the run goes so."""
    from mindveil.accountant.rdp import curve_of, renyi_epsilon  # loads NumPy

    terms = terms_of(planned, relation(neighbouring))
    if terms.infinite or terms.empty:
        raise ValueError(f"planned is {planned}, and must cost something finite")
    return renyi_epsilon(curve_of(terms), delta_value(delta)).order
