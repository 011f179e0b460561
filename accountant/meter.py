"""A running total of what was spent, cheap enough to be read before every step."""

import math
from typing import TYPE_CHECKING

import numpy as np

from mindveil.accountant.checks import Relation, count, delta_value, trusted
from mindveil.accountant.events import Composed, Event, Sequence
from mindveil.accountant.rdp import curve_of, renyi_epsilon, total_cumulant
from mindveil.accountant.terms import terms_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Meter"]

COARSE_ORDERS: "Floats" = 1 + np.exp(np.linspace(math.log(5e-3), math.log(2e3), 48))


class Meter:
    """The Renyi curve of everything added so far, at a fixed table of orders, and the events run-length compressed."""

    def __init__(self, neighbouring: Relation = "add_or_remove_one") -> None:
        self._relation = neighbouring
        self._orders = COARSE_ORDERS
        self._total = np.zeros(len(self._orders))
        self._costs: dict[Event, Floats] = {}
        self._runs: list[tuple[Event, int]] = []

    @property
    def spent(self) -> Sequence:
        """Everything added, equal neighbours merged."""
        return Sequence([Composed(event, times) for event, times in self._runs])

    def add(self, event: Event, times: int) -> None:
        """Count ``event`` another ``times``."""
        self._total = self._total + count("times", times) * self._cost(event)
        if self._runs and self._runs[-1][0] == event:
            self._runs[-1] = (event, self._runs[-1][1] + times)
        elif times:
            self._runs.append((event, times))

    def epsilon(self, delta: float) -> float:
        """An upper bound of the epsilon spent, off the table of orders."""
        return self._convert(self._total, delta)

    def exceeds(self, event: Event, times: int, target_epsilon: float, delta: float) -> bool:
        """Whether the epsilon of everything added and ``event`` together lies above the target.

        The table of orders decides while it says no; else the order is optimised, and if that says no, the table is
        refined around the order found, so that the next steps are cheap again.
        """
        if self._convert(self._total + times * self._cost(event), delta) <= target_epsilon:
            return False
        terms = terms_of(Sequence([self.spent, Composed(event, times)]), self._relation)
        if terms.infinite:
            return True
        found = renyi_epsilon(curve_of(terms), delta)
        if found.value > target_epsilon:
            return True
        self._refine(found.order)
        return False

    def _refine(self, order: float) -> None:
        gap = order - 1
        near = 1 + gap * np.array([0.94, 0.97, 1.0, 1.03])
        self._orders = np.unique(np.concatenate([COARSE_ORDERS, near]))
        self._costs.clear()
        self._total = self._curve(self.spent)

    def _cost(self, event: Event) -> "Floats":
        found = self._costs.get(event)
        if found is None:
            if len(self._costs) > 100_000:
                self._costs.clear()
            found = self._costs[event] = self._curve(event)
        return found

    def _curve(self, event: Event) -> "Floats":
        terms = terms_of(event, self._relation)
        if terms.infinite:
            return np.full(len(self._orders), np.inf)
        curve = curve_of(terms)
        return np.array([total_cumulant(curve, float(order)) for order in self._orders])

    def _convert(self, total: "Floats", delta: float) -> float:
        if not total.any():
            return 0.0
        orders = self._orders
        slack = (orders - 1) * np.log1p(-1 / orders) - np.log(orders)
        values = (total + slack - math.log(delta_value(delta))) / (orders - 1)
        return trusted("epsilon", max(0.0, float(values.min())))
