"""The cumulants of mechanisms whose privacy loss is bounded: Laplace noise, sampled or not, and pure guarantees."""

import math
from typing import TYPE_CHECKING

import numpy as np

from mindveil.accountant.sampled_gaussian import centred_sum
from mindveil.accountant.terms import Pure, SampledLaplace, Term

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["laplace_cumulant", "laplace_outcomes", "largest_loss", "pure_cumulant"]


def laplace_cumulant(rate: float, scale: float, order: float) -> float:
    """The larger of both directions' cumulants for Laplace noise of ``scale`` at sensitivity 1, sampled at ``rate``.

    Source: Mironov 2017, proposition 6, for the unsampled one; here by exact atoms and Gauss quadrature of the rest.
    """
    base, log_weight = laplace_outcomes(scale, order)
    if rate < 1:
        loss = np.where(base < 30, np.log1p(rate * np.expm1(np.minimum(base, 30.0))), np.log(rate) + base)
        loss = np.where(base < 30, loss, np.logaddexp(math.log1p(-rate), loss))
    else:
        loss = base
    excess = [_log_excess(loss, log_weight, power) for power in (order, 1 - order)]
    pure = (order - 1) * float(loss.max())  # the divergence never exceeds the largest loss
    return min(max(excess) * (1 + 1e-12), pure if rate == 1 else math.inf)


def laplace_outcomes(scale: float, order: float = 1.0) -> "tuple[Floats, Floats]":
    """Losses log(P/Q) of centres one unit apart, and the log of Q's mass of each: two atoms, quadrature between."""
    panels = 1 + int(min(order, 1e5) / scale / 10)
    nodes, weights = np.polynomial.legendre.leggauss(24)  # type: ignore[no-untyped-call]
    edges = np.linspace(0, 1, panels + 1)
    x = (edges[:-1, None] + (nodes + 1) / 2 / panels).ravel()
    middle = np.log(np.tile(weights, panels) / (4 * panels * scale)) - (1 - x) / scale
    loss = np.concatenate([[1 / scale, -1 / scale], (1 - 2 * x) / scale])
    return loss, np.concatenate([[math.log(0.5) - 1 / scale, math.log(0.5)], middle])


def _log_excess(loss: "Floats", log_weight: "Floats", power: float) -> float:
    exponent = power * loss + log_weight
    peak = float(exponent.max())
    log_moment = peak + math.log(float(np.exp(exponent - peak).sum()))
    if log_moment > 0.5:
        return log_moment
    return float(np.log1p(centred_sum(loss[None], log_weight[None], power)[0]))


def largest_loss(term: Term) -> float:
    """The largest privacy loss of a term in either direction; infinite if it has none."""
    match term:
        case Pure():
            return term.epsilon
        case SampledLaplace():
            q, near = term.rate, 1 / term.noise
            forward = math.log1p(q * math.expm1(near)) if near < 700 else near
            return near if q == 1 else max(forward, -math.log1p(q * math.expm1(-near)))
        case _:
            return math.inf


def pure_cumulant(epsilon: float, order: float) -> float:
    """The cumulant of randomised response, the worst of all (``epsilon``, 0)-private mechanisms.

    Source: Kairouz, Oh and Viswanath 2015, theorem 3.4: every such mechanism is a processed randomised response.
    """
    gap, whole = (order - 1) * epsilon, order * epsilon
    if gap == 0:
        return 0.0
    log_expm1 = gap + math.log(-math.expm1(-gap))
    log_excess = log_expm1 + math.log(-math.expm1(-whole)) - math.log1p(math.exp(-epsilon))
    return float(np.logaddexp(0.0, log_excess))
