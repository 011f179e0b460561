"""The Renyi cost of an epoch in which each record falls into one batch at random.

P: one of ``batches`` normal outputs, chosen uniformly, is shifted by 1; Q: none is. Orders between table entries are
interpolated linearly, which is an upper bound because the cumulant is convex in the order.

Source: the pair, also for batches that depend on earlier answers: Chua et al. 2024 (arXiv 2412.16802).
"""

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mindveil.accountant.checks import trusted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["allocated_cumulant"]

_HIGHEST = 160
_MOST_NODES = 2_000_000  # above this the order is left without amplification
_PESSIMISM = 1e-11  # absolute; covers the quadrature's error


def allocated_cumulant(noise: float, batches: int, order: float) -> float:
    """An upper bound of the larger of both directions' cumulants; never above the one without amplification."""
    alone = order * (order - 1) / 2 / noise**2
    orders, values = _table(noise, batches)
    if order > orders[-1]:
        return alone
    amplified = float(np.interp(order, orders, values))
    return min(alone, trusted("a Renyi cumulant", amplified))


@lru_cache(maxsize=64)
def _table(noise: float, batches: int) -> "tuple[Floats, Floats]":
    whole = _orders()
    present = _present_against_absent(noise, batches)
    values = [max(present[order], _absent_against_present(noise, batches, order)) + _PESSIMISM for order in whole]
    return np.array([1.0, *whole]), np.array([0.0, *values])


def _orders() -> list[int]:
    orders, order = list(range(2, 33)), 32.0
    while (order := order * 1.08) < _HIGHEST:
        orders.append(int(order))
    return orders


def _present_against_absent(noise: float, batches: int) -> "Floats":
    """Cumulants of P against Q at the integer orders 0 to 160.

    E_Q[(mean of exp((2 x_t - 1) / (2 noise^2)))^a] is a! / batches^a times the coefficient of y^a in
    (sum over k of y^k exp(k (k-1) / (2 noise^2)) / k!)^batches: all terms positive, here in logs.
    """
    k = np.arange(_HIGHEST + 1.0)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(k[1:]))])
    base = k * (k - 1) / (2 * noise**2) - log_factorial
    power, exponent = None, batches
    while exponent:
        if exponent & 1:
            power = base if power is None else _product(power, base)
        exponent >>= 1
        if exponent:
            base = _product(base, base)
    coefficients: Floats = base if power is None else power
    result: Floats = coefficients + log_factorial - k * math.log(batches)
    return result


def _product(left: "Floats", right: "Floats") -> "Floats":
    """Logs of the coefficients of a product of two power series, from the logs of theirs."""
    result = np.empty_like(left)
    for degree in range(len(left)):
        terms = left[: degree + 1] + right[degree::-1]
        peak = terms.max()
        result[degree] = peak + math.log(float(np.exp(terms - peak).sum()))
    return result


def _absent_against_present(noise: float, batches: int, order: float) -> float:
    """The cumulant of Q against P: log E_Q[S^-m], m = order - 1, S the mean of independent lognormals of mean 1.

    S^-m = integral of s^(m-1) exp(-s S) ds / Gamma(m), and exp(-s S) factors over the batches.
    """
    m = order - 1
    width = 0.2 * min(1.0, noise)
    lean = m / batches / noise  # where all batches together make S small enough to dominate, in standard deviations
    xi = width * np.arange(-int((12 + lean) / width), int(12 / width) + 1)
    v = np.arange(-45.0 / m, math.log(m) + (m / batches + 1) / noise**2 + 15, min(0.25, 0.35 / math.sqrt(m)))
    if len(xi) * len(v) > _MOST_NODES:
        return math.inf
    log_weight = -0.5 * xi**2 + math.log(width / math.sqrt(2 * math.pi))
    argument = -np.exp(v)[:, None] / batches * np.exp(np.minimum(xi / noise - 0.5 / noise**2, 600.0))
    change = np.expm1(argument) @ np.exp(log_weight)
    exponents = argument + log_weight
    peaks = exponents.max(axis=1)
    log_factor = peaks + np.log(np.exp(exponents - peaks[:, None]).sum(axis=1))
    exponents = m * v + batches * np.where(change > -0.5, np.log1p(np.maximum(change, -0.5)), log_factor)
    peak = float(exponents.max())
    return peak + math.log((v[1] - v[0]) * float(np.exp(exponents - peak).sum())) - math.lgamma(m)
