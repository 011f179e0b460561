"""Renyi accounting of a whole run, with the order optimised over the reals instead of read off a grid.

``log(a-1)`` is the search variable. The bound is quasi-convex in the order: its numerator
K(a) + (a-1)log(a-1) - a log a - log(delta) is convex and its denominator linear, so the one stationary point that is
found is the best order there is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mindveil.accountant.allocation import allocated_cumulant
from mindveil.accountant.checks import trusted
from mindveil.accountant.convert import delta_from_order, epsilon_from_order, indistinguishable
from mindveil.accountant.curves import Curve, chance_drawn, curve_of, first_guess, representatives, total_largest_loss
from mindveil.accountant.laplace import laplace_cumulant, pure_cumulant
from mindveil.accountant.sampled_gaussian import (
    Derivatives,
    Prepared,
    cumulant,
    derivatives,
    prepare,
    prepared_cumulant,
)
from mindveil.accountant.terms import Allocated, Concentrated, Pure, SampledLaplace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Curve", "Found", "cumulants", "curve_of", "renyi_delta", "renyi_epsilon", "total_cumulant"]

_LARGEST_ORDER = 1e8
_SMALLEST_GAP = 1e-12
# Newton's step in log(order - 1) after which the order is settled: about its square is left, with two points its cube,
# and epsilon is flat in the order there.
_SETTLED, _NEAR = 1e-4, 4e-3
_SMALLEST_BRACKET = 1e-6
_ROUNDING = 1e-12
_SHARED_NODES = 600
_CHUNK = 256  # samplers evaluated together: their nodes fill about a megabyte


@dataclass(frozen=True, slots=True)
class Found:
    """A bound and the order that proves it."""

    value: float
    order: float


def total_cumulant(curve: Curve, order: float) -> float:
    """An upper bound of K(``order``) of the whole run, tight to about 1e-9 relative.

    Raises:
        ArithmeticError: a cumulant came out negative or NaN.
    """
    value = curve.signal * order * (order - 1) / 2
    for group in curve.groups:
        for start in range(0, len(group.counts), _CHUNK):
            part = slice(start, start + _CHUNK)
            values = cumulant(group.pair, group.rates[part], group.noises[part], order)
            value += float(_checked(values, group.counts[part], order))
    return _with_others(curve, order, value)


def cumulants(curve: Curve, orders: "Floats") -> "Floats":
    """:func:`total_cumulant` at many increasing orders; for one repeated sampler all of them share their nodes."""
    if curve.others or not all(len(group.counts) == 1 for group in curve.groups):
        return np.array([total_cumulant(curve, float(order)) for order in orders])
    total = curve.signal * orders * (orders - 1) / 2
    for group in curve.groups:
        start = 0
        while start < len(orders):
            first = float(orders[start])
            wanted = max(20.0, 2 * first)
            prepared = prepare(group.pair, group.rates, group.noises, wanted, _SHARED_NODES)
            stop = int(np.searchsorted(orders, prepared.highest, side="right"))
            if prepared.highest <= wanted:  # the nodes are good for one order only
                prepared, stop = prepare(group.pair, group.rates, group.noises, first, _SHARED_NODES), start + 1
            part = prepared_cumulant(prepared, orders[start:stop, None])
            total[start:stop] += _checked(part[:, None], group.counts, float(orders[start]))
            start = stop
    return total


def renyi_epsilon(curve: Curve, delta: float) -> Found:
    """The smallest epsilon that any Renyi order proves at ``delta``."""
    log_delta = math.log(delta)
    if chance_drawn(curve) <= delta:
        return Found(0.0, 2.0)
    most = total_largest_loss(curve)

    def shifted(order: float) -> tuple[float, float]:
        left = -log_delta - math.log(order)
        return (math.log(left), -(order - 1) / (order * left)) if left > 0 else (-math.inf, 0.0)

    def level(order: float, k: Derivatives) -> tuple[float, float]:
        distance = (order - 1) * k.slope - k.value
        if distance <= 0:
            return -math.inf, 0.0
        target, slope = shifted(order)
        return math.log(distance) - target, (order - 1) ** 2 * k.curvature / distance - slope

    order, total = _best_order(curve, level, min(1 / delta, _LARGEST_ORDER))
    value = epsilon_from_order(order, total, log_delta)
    if 0 < value < 1:  # a larger epsilon is never due to the order alone, and most runs save the evaluation
        near = 1 + 1e-3
        if indistinguishable(near, total_cumulant(curve, near), delta):
            value = 0.0
    return Found(trusted("epsilon", min(max(0.0, value), most)), order)


def renyi_delta(curve: Curve, epsilon: float) -> Found:
    """The smallest delta that any Renyi order proves at ``epsilon``."""

    def level(order: float, k: Derivatives) -> tuple[float, float]:
        reached = k.slope + math.log1p(-1 / order)
        rise = (order - 1) * (k.curvature + 1 / (order * (order - 1)))
        if epsilon <= 0:
            return reached - epsilon, rise
        # The logarithm, because past the sampler's transition the slope grows exponentially.
        return (math.log(reached / epsilon), rise / reached) if reached > 0 else (-math.inf, 0.0)

    order, total = _best_order(curve, level, _LARGEST_ORDER, cubic=False)
    value = math.exp(delta_from_order(order, total, epsilon))
    near = 1 + 1e-3
    value = min(value, math.sqrt(-math.expm1(-total_cumulant(curve, near) / (near - 1))) * (1 + _ROUNDING))
    return Found(trusted("delta", min(value, chance_drawn(curve))), order)


def _other(term: Pure | Concentrated | SampledLaplace | Allocated, order: float) -> float:
    match term:
        case Pure():
            return pure_cumulant(term.epsilon, order)
        case Concentrated():
            return (order - 1) * (term.offset + term.rho * order)
        case SampledLaplace():
            return laplace_cumulant(term.rate, term.noise, order)
        case Allocated():
            return allocated_cumulant(term.noise, term.batches, order)


def _best_order(
    curve: Curve, level: Callable[[float, Derivatives], tuple[float, float]], largest: float, cubic: bool = True
) -> tuple[float, float]:
    """The order at which an increasing function of the order is zero, and the run's cumulant there.

    By Newton's method inside a shrinking bracket.

    A search that stops early is safe: every order gives a valid bound, the wrong one only a looser bound.
    """
    search = _Search(curve)
    low, high = math.log(_SMALLEST_GAP), math.log(max(largest - 1, 2 * _SMALLEST_GAP))
    guess = min(max(math.log(first_guess(search.curve, largest)), low), high)
    before: tuple[float, float, float] | None = None
    for _ in range(60):
        order = 1 + math.exp(guess)
        gap, slope = level(order, search.derivatives(order))
        low, high = (low, guess) if gap > 0 else (guess, high)
        step, here, settled = math.inf, None, False
        if slope > 0 and math.isfinite(gap):
            here = (guess, gap, slope)
            step, settled = _next_step(before if cubic else None, here)
        following = guess + step
        before, guess = here, following if low < following < high else (low + high) / 2
        if settled or high - low < _SMALLEST_BRACKET:
            break
    order = 1 + math.exp(guess)
    return order, search.total(order) if search.curve is curve else total_cumulant(curve, order)


def _next_step(before: tuple[float, float, float] | None, here: tuple[float, float, float]) -> tuple[float, bool]:
    """From ``here``, a point with value and slope, to the zero; and whether the zero is then found.

    Newton's step, or, once two points are near each other and agree with it, where the cubic through both puts the zero
    of the inverse function: that converges faster, but far from the zero it may be off by anything.
    """
    x1, g1, s1 = here
    newton = -g1 / s1
    if before is not None and abs(x1 - before[0]) < 1 and before[1] != g1:
        x0, g0, s0 = before
        chord, t = (x1 - x0) / (g1 - g0), -g1 / (g1 - g0)
        first, second = 1 / s0 - chord, 1 / s1 - chord
        step = -g1 * (chord + (1 + t) * ((1 + t) * second + t * first))
        if abs(step - newton) < 0.5 * abs(newton):
            # Steps that hardly shrink are small because the function is steep, not because the zero is near.
            return step, abs(newton) < min(_NEAR, 0.3 * abs(x1 - x0))
    return newton, abs(newton) < _SETTLED


class _Search:
    """The cumulants of a curve's representatives, with what the orders have in common computed once."""

    def __init__(self, curve: Curve) -> None:
        self.curve = representatives(curve)
        self._prepared: list[Prepared | None] = [None] * len(self.curve.groups)

    def derivatives(self, order: float) -> Derivatives:
        signal = self.curve.signal
        value, slope, curvature = signal * order * (order - 1) / 2, signal * (order - 0.5), signal
        for index, group in enumerate(self.curve.groups):
            part = derivatives(self._nodes(index, order), group.counts, order)
            value, slope, curvature = value + part.value, slope + part.slope, curvature + part.curvature
        for term, times in self.curve.others:
            part = _other_derivatives(term, order)
            value += times * part.value
            slope += times * part.slope
            curvature += times * part.curvature
        return Derivatives(value, slope, curvature)

    def total(self, order: float) -> float:
        """What :func:`total_cumulant` gives for the representatives."""
        value = self.curve.signal * order * (order - 1) / 2
        for index, group in enumerate(self.curve.groups):
            values = prepared_cumulant(self._nodes(index, order), order)
            value += float(_checked(values, group.counts, order))
        return _with_others(self.curve, order, value)

    def _nodes(self, index: int, order: float) -> Prepared:
        prepared, group = self._prepared[index], self.curve.groups[index]
        if prepared is None or not 0.4 * prepared.highest <= order <= prepared.highest:
            prepared = self._prepared[index] = prepare(group.pair, group.rates, group.noises, order)
        return prepared


def _checked(values: "Floats", counts: "Floats", order: float) -> Any:
    if not (values >= 0).all():
        raise ArithmeticError(f"a Renyi cumulant of order {order} came out negative or NaN; no bound is given")
    return values @ counts


def _with_others(curve: Curve, order: float, value: float) -> float:
    for term, times in curve.others:
        value += times * trusted("a Renyi cumulant", _other(term, order))
    return trusted("the Renyi cumulant", value)


def _other_derivatives(term: Pure | Concentrated | SampledLaplace | Allocated, order: float) -> Derivatives:
    step = 1e-3 * (order - 1)
    below, here, above = (_other(term, order + shift) for shift in (-step, 0.0, step))
    return Derivatives(here, (above - below) / (2 * step), max(0.0, (above - 2 * here + below) / step**2))
