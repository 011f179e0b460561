"""Renyi accounting of a whole run, with the order optimised over the reals instead of read off a grid.

``log(a-1)`` is the search variable. The bound is quasi-convex in the order: its numerator
K(a) + (a-1)log(a-1) - a log a - log(delta) is convex and its denominator linear, so the one stationary point that is
found is the best order there is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mindveil.accountant.allocation import allocated_cumulant
from mindveil.accountant.checks import trusted
from mindveil.accountant.convert import delta_from_order, epsilon_from_order, indistinguishable
from mindveil.accountant.laplace import laplace_cumulant, pure_cumulant
from mindveil.accountant.sampled_gaussian import Derivatives, cumulant, cumulant_derivatives
from mindveil.accountant.terms import Allocated, Concentrated, Pair, Pure, SampledGaussian, SampledLaplace, Terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Curve", "Found", "curve_of", "renyi_delta", "renyi_epsilon", "total_cumulant"]

_LARGEST_ORDER = 1e8
_SMALLEST_GAP = 1e-12
_SEARCHED = 48  # a search for the order looks at this many representatives of different steps, the result at all
_CHUNK = 256  # samplers evaluated together: their nodes fill about a megabyte


@dataclass(frozen=True, slots=True)
class _Group:
    pair: Pair
    rates: "Floats"
    noises: "Floats"
    counts: "Floats"


@dataclass(frozen=True, slots=True)
class Curve:
    """The Renyi curve of a run: the cumulants of its terms, ready to be added up at any order."""

    signal: float
    groups: tuple[_Group, ...]
    others: tuple[tuple[Pure | Concentrated | SampledLaplace | Allocated, int], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A bound and the order that proves it."""

    value: float
    order: float


def curve_of(terms: Terms) -> Curve:
    """Sort the terms of a run by the way their cumulants are computed."""
    pairs: dict[Pair, list[tuple[float, float, int]]] = {}
    others: list[tuple[Pure | Concentrated | SampledLaplace | Allocated, int]] = []
    for term, times in terms.counted.items():
        if isinstance(term, SampledGaussian):
            pairs.setdefault(term.pair, []).append((term.rate, term.noise, times))
        else:
            others.append((term, times))
    groups = []
    for pair, rows in pairs.items():
        table = np.array(rows, dtype=np.float64).T
        groups.append(_Group(pair, table[0], table[1], table[2]))
    return Curve(terms.signal, tuple(groups), tuple(others))


def total_cumulant(curve: Curve, order: float) -> float:
    """An upper bound of K(``order``) of the whole run, tight to about 1e-9 relative.

    Raises:
        ArithmeticError: a cumulant came out negative or NaN.
    """
    total = curve.signal * order * (order - 1) / 2
    for group in curve.groups:
        for start in range(0, len(group.counts), _CHUNK):
            part = slice(start, start + _CHUNK)
            values = cumulant(group.pair, group.rates[part], group.noises[part], order)
            if not (values >= 0).all():
                raise ArithmeticError(f"a Renyi cumulant of order {order} came out negative or NaN; no bound is given")
            total += float(values @ group.counts[part])
    for term, times in curve.others:
        total += times * trusted("a Renyi cumulant", _other(term, order))
    return trusted("the Renyi cumulant", total)


def renyi_epsilon(curve: Curve, delta: float) -> Found:
    """The smallest epsilon that any Renyi order proves at ``delta``."""
    log_delta = math.log(delta)

    def shifted(order: float) -> tuple[float, float]:
        left = -log_delta - math.log(order)
        return (math.log(left), -(order - 1) / (order * left)) if left > 0 else (-math.inf, 0.0)

    def level(order: float, k: Derivatives) -> tuple[float, float]:
        distance = (order - 1) * k.slope - k.value
        if distance <= 0:
            return -math.inf, 0.0
        target, slope = shifted(order)
        return math.log(distance) - target, (order - 1) ** 2 * k.curvature / distance - slope

    order = _stationary_order(curve, level, min(1 / delta, _LARGEST_ORDER))
    total = total_cumulant(curve, order)
    value = epsilon_from_order(order, total, log_delta)
    if value > 0 and total / ((order - 1) * order * order) <= delta * delta:
        near = 1 + 1e-3
        if indistinguishable(near, total_cumulant(curve, near), delta):
            value = 0.0
    return Found(trusted("epsilon", max(0.0, value)), order)


def renyi_delta(curve: Curve, epsilon: float) -> Found:
    """The smallest delta that any Renyi order proves at ``epsilon``."""

    def level(order: float, k: Derivatives) -> tuple[float, float]:
        gap = k.slope - epsilon + math.log1p(-1 / order)
        return gap, (order - 1) * (k.curvature + 1 / (order * (order - 1)))

    order = _stationary_order(curve, level, _LARGEST_ORDER)
    total = total_cumulant(curve, order)
    value = math.exp(delta_from_order(order, total, epsilon))
    near = 1 + 1e-3
    value = min(value, math.sqrt(-math.expm1(-total_cumulant(curve, near) / (near - 1))))
    return Found(trusted("delta", value), order)


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


def _stationary_order(
    curve: Curve, level: Callable[[float, Derivatives], tuple[float, float]], largest: float
) -> float:
    """The order at which an increasing function of the order is zero, by Newton's method inside a shrinking bracket.

    A search that stops early is safe: every order gives a valid bound, the wrong one only a looser bound.
    """
    few = _representatives(curve)
    low, high = math.log(_SMALLEST_GAP), math.log(max(largest - 1, 2 * _SMALLEST_GAP))
    guess = min(max(math.log(_first_guess(few, largest)), low), high)
    for _ in range(60):
        order = 1 + math.exp(guess)
        gap, slope = level(order, _total_derivatives(few, order))
        if gap > 0:
            high = guess
        else:
            low = guess
        step = -gap / slope if slope > 0 and math.isfinite(gap) else math.inf
        if abs(step) < 1e-4 or high - low < 1e-4:
            break
        following = guess + step
        guess = following if low < following < high else (low + high) / 2
    return 1 + math.exp(guess)


def _first_guess(curve: Curve, largest: float) -> float:
    """An order minus 1 to start from: the best if all were Gaussian, kept below the sampler's phase transition."""
    rho, transition = curve.signal / 2, math.inf
    for group in curve.groups:
        inverse = np.minimum(group.noises**-2, 600.0)
        rho += float(group.counts @ (group.rates**2 * np.expm1(inverse))) / 2
        transition = min(transition, float(np.min(0.5 + group.noises**2 * -np.log(group.rates))))
    if not rho > 0:
        return 8.0
    gap = math.sqrt(min(math.log(largest + 1), 20.0) / rho)
    return max(min(gap, 1.5 * transition + 1), _SMALLEST_GAP)


def _representatives(curve: Curve) -> Curve:
    groups = []
    for group in curve.groups:
        if len(group.counts) <= _SEARCHED:
            groups.append(group)
            continue
        ordered = np.lexsort((group.noises, group.rates))
        starts = np.unique(np.linspace(0, len(ordered) - 1, _SEARCHED).astype(int))
        counts = np.add.reduceat(group.counts[ordered], starts)
        chosen = ordered[starts]
        groups.append(_Group(group.pair, group.rates[chosen], group.noises[chosen], counts))
    return Curve(curve.signal, tuple(groups), curve.others)


def _total_derivatives(curve: Curve, order: float) -> Derivatives:
    value = curve.signal * order * (order - 1) / 2
    slope, curvature = curve.signal * (order - 0.5), curve.signal
    for group in curve.groups:
        for rate, noise, times in zip(group.rates, group.noises, group.counts, strict=True):
            part = cumulant_derivatives(group.pair, float(rate), float(noise), order)
            value += times * part.value
            slope += times * part.slope
            curvature += times * part.curvature
    for term, times in curve.others:
        step = 1e-3 * (order - 1)
        below, here, above = (_other(term, order + shift) for shift in (-step, 0.0, step))
        value += times * here
        slope += times * (above - below) / (2 * step)
        curvature += times * max(0.0, (above - 2 * here + below) / step**2)
    return Derivatives(value, slope, curvature)
