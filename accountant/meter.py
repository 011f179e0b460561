"""A running total of what was spent, cheap enough to be read before every step."""

import math
from typing import TYPE_CHECKING

import numpy as np

from mindveil.accountant.checks import Relation, count, delta_value, trusted
from mindveil.accountant.events import Composed, Event, Sequence
from mindveil.accountant.rdp import cumulants, curve_of, renyi_epsilon, total_cumulant
from mindveil.accountant.terms import terms_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Meter"]

_COARSE: "Floats" = np.exp(np.linspace(math.log(2e-2), math.log(500), 14)) + 1.0
_AROUND: "Floats" = np.array([0.3, 0.5, 0.75, 0.9, 0.95, 1.0, 1.05, 1.12, 1.35])
_REMEMBERED = 10_000  # costs of different events kept
_EXACT = 2_000  # with more different events than this the order is optimised only every so often
_PATIENCE = 1.02  # growth of epsilon after which the best order may have moved by enough to matter


class Meter:
    """The Renyi curve of everything added so far, at a small table of orders, and the events run-length compressed.

    With ``order`` the table is that order alone and never changes: a filter, for noise that depends on the data.
    """

    def __init__(self, neighbouring: Relation = "add_or_remove_one", order: float | None = None) -> None:
        self._relation: Relation = neighbouring
        self._fixed = order is not None
        self._use(_COARSE if order is None else np.array([order]))
        self._total = np.zeros(len(self._orders))
        self._aimed = self._fixed
        self._costs: dict[Event, Floats] = {}
        self._runs: list[tuple[Event, int]] = []
        self._asked_at = 0.0

    @property
    def spent(self) -> Sequence:
        """Everything added, equal neighbours merged."""
        return Sequence([Composed(event, times) for event, times in self._runs])

    def add(self, event: Event, times: int) -> None:
        """Count ``event`` another ``times``."""
        if not count("times", times):
            return
        self._total = self._total + times * self._cost(event)
        if self._runs and self._runs[-1][0] == event:
            self._runs[-1] = (event, self._runs[-1][1] + times)
        else:
            self._runs.append((event, times))

    def epsilon(self, delta: float) -> float:
        """An upper bound of the epsilon spent, from the table of orders, which is refined when it has become coarse."""
        wanted = delta_value(delta)
        if not self._total.any():
            return 0.0
        value = self._convert(self._total, wanted)
        if not self._fixed and value > _PATIENCE * self._asked_at and self._affordable:
            self._refine(self.spent, wanted)
            value = min(value, self._convert(self._total, wanted))
            self._asked_at = value
        return value

    def exceeds(self, event: Event, times: int, target_epsilon: float, delta: float) -> bool:
        """Whether the epsilon of everything added and ``event`` together lies above the target.

        The table of orders decides while it says no; else the order is optimised, and if that says no, the table is
        refined around the order found, so that the next steps are cheap again.
        """
        if not self._aimed:
            self._aim(event, target_epsilon, delta)
        if self._convert(self._total + times * self._cost(event), delta) <= target_epsilon:
            return False
        if self._fixed:
            return True
        return self._refine(Sequence([self.spent, Composed(event, times)]), delta) > target_epsilon

    @property
    def _affordable(self) -> bool:
        return len(self._runs) <= _EXACT

    def _aim(self, event: Event, target_epsilon: float, delta: float) -> None:
        """Choose the table for the end of the run, supposing that it goes on as it begins."""
        self._aimed = True
        steps, found = 1, self._refine(event, delta)
        while 0 < found < target_epsilon and steps < 10**9:
            steps *= 4
            found = self._refine(Composed(event, steps), delta)

    def _refine(self, event: Event, delta: float) -> float:
        """The epsilon of ``event`` at its best order, around which the table is laid from now on."""
        terms = terms_of(event, self._relation)
        if terms.infinite:
            return math.inf
        found = renyi_epsilon(curve_of(terms), delta)
        self._use(1 + (found.order - 1) * _AROUND)
        self._costs.clear()
        self._total = self._curve(self.spent) if self._runs else np.zeros(len(self._orders))
        return found.value

    def _use(self, orders: "Floats") -> None:
        self._orders = orders
        self._slack = (orders - 1) * np.log1p(-1 / orders) - np.log(orders)

    def _cost(self, event: Event) -> "Floats":
        found = self._costs.get(event)
        if found is None:
            if len(self._costs) >= _REMEMBERED:
                self._costs.clear()
            found = self._costs[event] = self._curve(event)
        return found

    def _curve(self, event: Event) -> "Floats":
        terms = terms_of(event, self._relation)
        if terms.infinite:
            return np.full(len(self._orders), np.inf)
        curve = curve_of(terms)
        if self._fixed:
            return np.array([total_cumulant(curve, float(self._orders[0]))])
        return cumulants(curve, self._orders)

    def _convert(self, total: "Floats", delta: float) -> float:
        if not total.any():
            return 0.0
        values = (total + self._slack - math.log(delta_value(delta))) / (self._orders - 1)
        return trusted("epsilon", max(0.0, _minimum(values)))


def _minimum(values: "Floats") -> float:
    """The least value, where NaN is an error and not something to skip."""
    if np.isnan(values).any():
        raise ArithmeticError("the running total holds NaN, so nothing can be said about what was spent")
    return float(values.min())
