"""How much of two neighbouring outputs falls into each interval of the privacy loss log(P/Q).

A pair is cut at thresholds e_0 < ... < e_n into n + 2 intervals: below e_0, [e_0, e_1), ..., and from e_n on.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mindveil.accountant.gaussian import normal_quantile
from mindveil.accountant.terms import Pure, SampledGaussian, SampledLaplace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Cells", "Discretisable", "cells", "directions", "support"]

Discretisable = SampledGaussian | SampledLaplace | Pure


class Cells(NamedTuple):
    """The masses of P and of Q in the n + 2 intervals between n + 1 thresholds."""

    p: "Floats"
    q: "Floats"


def directions(term: Discretisable) -> int:
    """1 if exchanging P and Q changes nothing, else 2."""
    if isinstance(term, Pure) or term.rate == 1:
        return 1
    return 1 if isinstance(term, SampledGaussian) and term.pair != "present" else 2


def cells(term: Discretisable, thresholds: "Floats", swapped: bool) -> Cells:
    """The masses between ``thresholds`` of the loss of a pair, or of the pair with P and Q exchanged.

    ``thresholds`` must contain 0 exactly, for a symmetrised pair has an atom there.
    """
    if isinstance(term, SampledGaussian) and term.pair == "symmetrised":
        return _symmetrised(term, thresholds)
    if not swapped:
        return _forward(term, thresholds)
    mirrored = _forward(term, -thresholds[::-1])
    return Cells(mirrored.q[::-1], mirrored.p[::-1])


def support(term: Discretisable, tail: float, swapped: bool) -> tuple[float, float]:
    """An interval of losses outside of which P has at most ``tail`` on either side."""
    if isinstance(term, SampledGaussian) and term.pair == "symmetrised":
        forward, backward = (support(SampledGaussian("present", term.rate, term.noise), tail, s) for s in (False, True))
        return min(backward[0], -1e-12), max(forward[1], 1e-12)
    match term:
        case Pure():
            return -term.epsilon, term.epsilon
        case SampledLaplace():
            ends = [float(_mixed(term.rate, sign / term.noise)) for sign in (-1.0, 1.0)]
            return (-ends[1], -ends[0]) if swapped else (ends[0], ends[1])
        case _:
            reach = -term.noise * normal_quantile(tail / 2)
            lifted = 1 - term.noise * normal_quantile(min(0.5, tail / (2 * term.rate)))
            if swapped:
                return -_gaussian_loss(term, reach), -_gaussian_loss(term, -reach)
            low = -reach - (1 if term.pair == "replaced" else 0)
            return _gaussian_loss(term, low), _gaussian_loss(term, max(reach, lifted))


def _forward(term: Discretisable, thresholds: "Floats") -> Cells:
    match term:
        case Pure():
            return _atoms(thresholds, term.epsilon)
        case SampledLaplace():
            base = _laplace(_unmixed(term.rate, thresholds), term.noise)
            return Cells((1 - term.rate) * base.q + term.rate * base.p, base.q)
        case _:
            return _gaussian(term, thresholds)


def _gaussian(term: SampledGaussian, thresholds: "Floats") -> Cells:
    q, z = term.rate, term.noise
    if term.pair == "replaced":
        grown = np.expm1(thresholds)
        corner = q * math.exp(-0.5 / z**2)
        root = np.sqrt(((1 - q) * grown) ** 2 + 4 * corner**2 * np.exp(thresholds))
        # x is odd in the loss; the positive root loses digits for negative losses, so those are mirrored.
        scale = np.exp(np.maximum(-thresholds, 0.0)) / (2 * corner)
        half = z * z * np.log(((1 - q) * np.abs(grown) + root) * scale)
        x = np.where(grown < 0, -half, half)
    else:
        x = z * z * _unmixed(q, thresholds) + 0.5
    present, absent = _normal_cells(x, 1.0, z), _normal_cells(x, 0.0, z)
    mixed = (1 - q) * absent + q * present
    if term.pair == "replaced":
        return Cells(mixed, (1 - q) * absent + q * _normal_cells(x, -1.0, z))
    return Cells(mixed, absent)


def _symmetrised(term: SampledGaussian, thresholds: "Floats") -> Cells:
    """The pair whose delta is that of P against Q at epsilon >= 0 and of Q against P below.

    Source: Zhu, Dong and Wang 2022, theorem 11. The atom at loss 0 is what the two halves leave.
    """
    present = SampledGaussian("present", term.rate, term.noise)
    forward, backward = cells(present, thresholds, False), cells(present, thresholds, True)
    zero = int(np.searchsorted(thresholds, 0.0)) + 1  # the interval that begins at 0
    p = np.concatenate([backward.p[:zero], forward.p[zero:]])
    q = np.concatenate([backward.q[:zero], forward.q[zero:]])
    atom = (1 - term.rate) * _normal_cells(np.array([-0.5, 0.5]), 0.0, term.noise)[1]
    p[zero] += atom
    q[zero] += atom
    return Cells(p, q)


def _laplace(base: "Floats", scale: float) -> Cells:
    """Intervals of the loss of Laplace noise around 0 against around 1: two atoms and a continuous part between."""
    inner = np.clip(base, -1 / scale, 1 / scale)
    p_cut = np.exp(-(1 / scale - inner) / 2)  # twice P's mass beyond the point whose loss is the threshold
    q_cut = np.exp(-(1 / scale + inner) / 2)
    p = np.concatenate([[0.0], np.diff(p_cut) / 2, [0.0]])
    q = np.concatenate([[0.0], -np.diff(q_cut) / 2, [0.0]])
    p[0] += (p_cut[0] - math.exp(-1 / scale)) / 2
    q[0] += (1 - q_cut[0]) / 2
    p[-1] += (1 - p_cut[-1]) / 2
    q[-1] += (q_cut[-1] - math.exp(-1 / scale)) / 2
    low, high = np.searchsorted(base, [-1 / scale, 1 / scale], side="right")
    p[low] += 0.5 * math.exp(-1 / scale)
    q[low] += 0.5
    p[high] += 0.5
    q[high] += 0.5 * math.exp(-1 / scale)
    return Cells(np.maximum(p, 0.0), np.maximum(q, 0.0))  # the outer cells are differences of rounded exponentials


def _atoms(thresholds: "Floats", epsilon: float) -> Cells:
    p, q = np.zeros(len(thresholds) + 1), np.zeros(len(thresholds) + 1)
    low, high = np.searchsorted(thresholds, [-epsilon, epsilon], side="right")
    likely = 1 / (1 + math.exp(-epsilon))
    p[high] += likely
    q[high] += 1 - likely
    p[low] += 1 - likely
    q[low] += likely
    return Cells(p, q)


def _normal_cells(x: "Floats", centre: float, z: float) -> "Floats":
    """Normal mass below x_0, between neighbours, and above x_n, each from the tail that keeps its digits."""
    from scipy.special import ndtr

    u = np.concatenate([[-np.inf], (x - centre) / z, [np.inf]])
    tail = ndtr(-np.abs(u))  # the smaller one of the masses below and above
    change = np.diff(tail)
    result: Floats = np.where(u[:-1] > 0, -change, change)
    turn = int(np.searchsorted(u, 0.0, side="right"))  # the one interval that holds 0 inside
    result[turn - 1] = 1.0 - tail[turn - 1] - tail[turn]
    return np.maximum(result, 0.0)


def _unmixed(rate: float, loss: "Floats") -> "Floats":
    """The loss inside the sampler at which the sampled event has ``loss``; minus infinity if it never has."""
    if rate == 1:
        return loss
    with np.errstate(divide="ignore", invalid="ignore"):
        inside = np.expm1(loss) + rate
        return np.where(inside > 0, np.log(np.maximum(inside, 0.0) / rate), -np.inf)


def _mixed(rate: float, base: float) -> float:
    if base > 30:
        return float(np.logaddexp(math.log(rate) + base, math.log1p(-rate) if rate < 1 else -math.inf))
    return math.log1p(rate * math.expm1(base))


def _gaussian_loss(term: SampledGaussian, x: float) -> float:
    loss = _mixed(term.rate, (2 * x - 1) / (2 * term.noise**2))
    return loss - _mixed(term.rate, (-2 * x - 1) / (2 * term.noise**2)) if term.pair == "replaced" else loss
