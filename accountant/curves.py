"""The Renyi curve of a run as data: its terms sorted by the way that their cumulants are computed."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mindveil.accountant.laplace import largest_loss
from mindveil.accountant.terms import Allocated, Concentrated, Pair, Pure, SampledGaussian, SampledLaplace, Terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Curve", "Group", "chance_drawn", "curve_of", "first_guess", "representatives", "total_largest_loss"]

_ROUNDING = 1e-12
_FEW = 4  # so many samplers are searched and evaluated on the same nodes
_SEARCHED = 256  # a search for the order looks at this many representatives of different steps, the result at all
_SMALLEST_GAP = 1e-12


@dataclass(frozen=True, slots=True)
class Group:
    """Samplers of one pair: rates, noises, and how often each is used."""

    pair: Pair
    rates: "Floats"
    noises: "Floats"
    counts: "Floats"


@dataclass(frozen=True, slots=True)
class Curve:
    """The Renyi curve of a run: the cumulants of its terms, ready to be added up at any order."""

    signal: float
    groups: tuple[Group, ...]
    others: tuple[tuple[Pure | Concentrated | SampledLaplace | Allocated, int], ...]


def curve_of(terms: Terms) -> Curve:
    """Sort the terms of a run by the way their cumulants are computed."""
    pairs: dict[Pair, list[tuple[float, float, int]]] = {}
    others: list[tuple[Pure | Concentrated | SampledLaplace | Allocated, int]] = []
    signal = terms.signal
    for term, times in terms.counted.items():
        if isinstance(term, SampledGaussian) and term.rate == 1:
            signal += times * (4 if term.pair == "replaced" else 1) / term.noise**2
        elif isinstance(term, SampledGaussian):
            pairs.setdefault(term.pair, []).append((term.rate, term.noise, times))
        else:
            others.append((term, times))
    groups = []
    for pair, rows in pairs.items():
        table = np.array(rows, dtype=np.float64).T
        groups.append(Group(pair, table[0], table[1], table[2]))
    return Curve(signal, tuple(groups), tuple(others))


def chance_drawn(curve: Curve) -> float:
    """A bound of the chance that the record is in any batch, hence of delta at any epsilon and without any noise."""
    if curve.signal > 0 or curve.others:
        return math.inf
    return sum(float(group.rates @ group.counts) for group in curve.groups) * (1 + _ROUNDING)


def total_largest_loss(curve: Curve) -> float:
    """The largest privacy loss there is: epsilon at any delta; infinite as soon as there is Gaussian noise."""
    if curve.signal > 0 or curve.groups:
        return math.inf
    return sum(times * (1 + _ROUNDING) * largest_loss(term) for term, times in curve.others)


def first_guess(curve: Curve, largest: float) -> float:
    """An order minus 1 to start from: the best if all were Gaussian, kept below the sampler's phase transition."""
    rho, transition = curve.signal / 2, math.inf
    for group in curve.groups:
        if len(group.counts) == 1:
            rate, noise, times = float(group.rates[0]), float(group.noises[0]), float(group.counts[0])
            rho += times * rate**2 * math.expm1(min(noise**-2, 600.0)) / 2
            transition = min(transition, 0.5 - noise**2 * math.log(rate))
            continue
        inverse = np.minimum(group.noises**-2, 600.0)
        rho += float(group.counts @ (group.rates**2 * np.expm1(inverse))) / 2
        transition = min(transition, float(np.min(0.5 + group.noises**2 * -np.log(group.rates))))
    if not rho > 0:
        return 8.0
    gap = math.sqrt(min(math.log(largest + 1), 20.0) / rho)
    return max(min(gap, 1.25 * transition + 0.5), _SMALLEST_GAP)


def representatives(curve: Curve) -> Curve:
    """A curve of few samplers that costs about the same: each stands for its neighbours in rate and noise."""
    if all(len(group.counts) <= _FEW for group in curve.groups):
        return curve
    groups = []
    for group in curve.groups:
        if len(group.counts) <= _SEARCHED:
            groups.append(group)
            continue
        ordered = np.lexsort((group.noises, group.rates))
        starts = np.unique(np.linspace(0, len(ordered), _SEARCHED, endpoint=False).astype(int))
        counts = np.add.reduceat(group.counts[ordered], starts)
        middles = (starts + np.append(starts[1:], len(ordered))) // 2
        chosen = ordered[middles]
        groups.append(Group(group.pair, group.rates[chosen], group.noises[chosen], counts))
    return Curve(curve.signal, tuple(groups), curve.others)
