"""A privacy loss on a grid, from above or from below: both are proven, and both err by the square of the grid.

Delta is an expectation under P of a convex, decreasing function of the likelihood ratio Q/P. Spreading a piece of the
loss to both ends of its cell, with the masses of P and of Q kept, can only raise it; merging outcomes can only lower
it.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mindveil.accountant.gaussian import log_normal_cdf
from mindveil.accountant.loss_cells import Cells, Discretisable, cells, support
from mindveil.accountant.terms import SampledGaussian

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["GridLoss", "aligned_step", "merged", "spread"]

_BELOW_ATOMS = 1e-12  # grid points lie this far below atoms, so that rounding cannot put an atom into the cell below
_MOST_CELLS = 400_000


class GridLoss(NamedTuple):
    """P's masses at the losses ``offset + (first + i) * h``; ``infinite`` is P's mass at infinite loss.

    Masses that sum to less than 1 - ``infinite`` have the rest at minus infinity, where it costs nothing.
    """

    offset: float
    first: int
    masses: "Floats"
    infinite: float

    def losses(self, h: float) -> "Floats":
        """The loss of each mass."""
        result: Floats = self.offset + h * (self.first + np.arange(len(self.masses)))
        return result


def spread(term: Discretisable, h: float, tail: float, swapped: bool) -> GridLoss:
    """A loss on the grid that dominates the pair's: delta is nowhere smaller, also after composition.

    Source: Doroshenko, Ghazi, Kamath, Kumar and Manurangsi 2022 (arXiv 2207.04380); the masses come from those of the
    cells, because second differences of delta lose the digits that long compositions need.
    """
    offset, first, thresholds, mass = _cut(term, h, tail, swapped)
    p, q = mass.p[1:-1], mass.q[1:-1]
    upward = np.clip((p - np.exp(thresholds[:-1]) * q) / -math.expm1(-h), 0.0, p)
    placed = np.zeros(len(thresholds))
    placed[1:] = upward
    placed[:-1] += p - upward
    placed[0] += mass.p[0]
    return GridLoss(offset, first, placed, float(mass.p[-1]))


def merged(term: Discretisable, h: float, tail: float, swapped: bool) -> GridLoss:
    """A loss on the grid of a processed version of the pair: delta is nowhere larger, also after composition.

    Neighbouring cells are merged in such shares that the merged likelihood ratio lies exactly on the grid. What cannot
    be merged exactly is rounded down.
    """
    piled = isinstance(term, SampledGaussian) and term.pair == "present" and term.rate < 1
    offset, first, thresholds, mass = (_cut_at_pile if piled else _cut)(term, h, tail, swapped)
    p, q = mass.p[1:], mass.q[1:]
    surplus = np.maximum(p - np.exp(thresholds) * q, 0.0).tolist()
    deficit = np.maximum(np.exp(thresholds[1:]) * q[:-1] - p[:-1], 0.0).tolist()
    wide = np.maximum(p[1:] - np.exp(thresholds[:-1]) * q[1:], 0.0).tolist()
    placed, rest = _merge(p.tolist(), surplus, deficit, wide)
    if piled and swapped:
        return GridLoss(offset, first, np.array([*placed, rest]), 0.0)  # the pile lies on the next grid point
    placed[-1] += rest
    if piled:
        return GridLoss(offset, 0, np.array([mass.p[0], *placed]), 0.0)
    return GridLoss(offset, first, np.array(placed), 0.0)


def _cut_at_pile(term: Discretisable, h: float, tail: float, swapped: bool) -> "tuple[float, int, Floats, Cells]":
    if not isinstance(term, SampledGaussian):
        raise TypeError(f"{term} has no pile")
    pile = _pile(term, h)
    low, high = support(term, tail, swapped)
    count = max(2, math.ceil(((-pile - low) if swapped else (high - pile)) / h) + 1)
    _check_size(count, h)
    offset, first = (-pile, -count) if swapped else (pile, 1)
    thresholds = offset + h * np.arange(first, first + count)
    return offset, first, thresholds, cells(term, thresholds, swapped)


def _pile(term: SampledGaussian, h: float) -> float:
    """The loss of all outcomes below a cut, merged, where the cut's own loss lies exactly ``h`` above it.

    There the losses of batches without the record pile up. As one outcome they lie on the grid; cut into cells, the
    lowest of them could not be merged with anything, and rounding it down would cost a part of h in every step.
    """
    low, high = -40.0 * term.noise, 1 + 40.0 * term.noise

    def merged_loss(x: float) -> float:
        ratio = math.exp(log_normal_cdf((x - 1) / term.noise) - log_normal_cdf(x / term.noise))
        return math.log1p(term.rate * (ratio - 1))

    def loss(x: float) -> float:
        tilt = (2 * x - 1) / (2 * term.noise**2)
        return math.log1p(term.rate * math.expm1(tilt)) if tilt < 30 else math.log(term.rate) + tilt

    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if loss(middle) - merged_loss(middle) < h else (low, middle)
    return loss(low) - h


def _merge(p: list[float], surplus: list[float], deficit: list[float], wide: list[float]) -> tuple[list[float], float]:
    """P's mass at each threshold after merging from the left, and what is left of the last cell.

    Cell i lies between thresholds i and i + 1. ``surplus[i]`` is what it has above threshold i, ``deficit[i]`` what it
    lacks to reach threshold i + 1, and ``wide[i]`` what cell i + 1 has above threshold i.
    """
    placed = [0.0] * len(p)
    left = 1.0  # share of the current cell that is not placed yet
    for i in range(1, len(p)):
        lacking = left * deficit[i - 1]
        if lacking <= surplus[i]:
            taken = lacking / surplus[i] if surplus[i] > 0 else 0.0
            placed[i] += left * p[i - 1] + taken * p[i]
            left = 1.0 - taken
            continue
        rest = lacking - surplus[i]
        if i + 1 < len(p) and rest <= wide[i]:
            taken = rest / wide[i]
            placed[i] += left * p[i - 1] + p[i] + taken * p[i + 1]
            # Cell i is used up, and what was taken of cell i + 1 must not be taken twice.
            for held in (p, surplus, deficit, wide)[: 3 if i + 1 < len(deficit) else 2]:
                held[i + 1] *= 1.0 - taken
        else:
            share = surplus[i] / lacking
            placed[i] += left * share * p[i - 1] + p[i]
            placed[i - 1] += left * (1.0 - share) * p[i - 1]
        left = 0.0
    return placed, left * p[-1]


def aligned_step(term: Discretisable, h: float, swapped: bool) -> float:
    """The largest step up to ``h`` that puts both atoms of a term that has two of them on the grid."""
    if isinstance(term, SampledGaussian):
        return h
    low, high = support(term, 0.0, swapped)
    return (high - low) / max(1, math.ceil((high - low) / h))


def _cut(term: Discretisable, h: float, tail: float, swapped: bool) -> "tuple[float, int, Floats, Cells]":
    low, high = support(term, tail, swapped)
    offset = _offset(term, low, swapped)
    first, last = min(-1, math.floor((low - offset) / h) - 1), max(1, math.ceil((high - offset) / h) + 1)
    _check_size(last - first, h)
    thresholds = offset + h * np.arange(first, last + 1)
    return offset, first, thresholds, cells(term, thresholds, swapped)


def _offset(term: Discretisable, low: float, swapped: bool) -> float:
    """A loss that the grid must hit: the one that an absent record's batches pile up at, or an atom's.

    Between two grid points such a pile cannot be merged with anything, and rounding it costs up to a step each time.
    """
    if not isinstance(term, SampledGaussian):
        return low - _BELOW_ATOMS
    if term.pair != "present" or term.rate == 1:
        return 0.0
    pile = math.log1p(-term.rate)
    return -pile if swapped else pile


def _check_size(count: int, h: float) -> None:
    if count > _MOST_CELLS:
        raise ArithmeticError(f"a loss needs {count} cells of {h:g}, more than {_MOST_CELLS}; no tight bound is given")
