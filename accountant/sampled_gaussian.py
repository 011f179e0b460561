"""The cumulant of a Gaussian inside a sampler, by quadrature of an integrand that never cancels.

The cumulant of order a is K(a) = log E_Q[(P/Q)**a] = (a - 1) * (Renyi divergence of order a). Orders are real, a > 1.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mindveil.accountant.terms import Pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Derivatives", "centred_sum", "cumulant", "cumulant_derivatives"]

_REACH = 12.0  # half width of the integration window in standard deviations: exp(-72) of a peak lies outside
_STEP = 0.4  # node distance over min(1, noise) * noise; the trapezoid rule's error is then below 1e-13
_SERIES = 1e-4  # below this the two expm1 agree in all but the last digits and a series replaces them
_SQRT_2PI = float(np.sqrt(2 * np.pi))
_PESSIMISM = 1e-9  # relative; covers the quadrature's error, so that the value is an upper bound


class Window(NamedTuple):
    """Nodes of a trapezoid rule, one row a sampler, and the log of the distance that each node stands for."""

    nodes: "Floats"
    log_width: "Floats"


class Derivatives(NamedTuple):
    """The cumulant at an order, and its first and second derivative; for searching, not for stating."""

    value: float
    slope: float
    curvature: float


def cumulant(pair: Pair, rates: "Floats", noises: "Floats", order: float) -> "Floats":
    """Upper bounds, tight to 1e-9 relative, of the cumulants of many samplers at one ``order``.

    Source: Mironov, Talwar and Zhang 2019, theorems 4 and 5: for ``present`` the divergence of the two directions that
    is integrated here is the larger one. ``replaced`` is symmetric. ``symmetrised``: Zhu, Dong and Wang 2022,
    theorem 11.
    """
    result = np.empty(len(noises))
    for rows, windows in _windows(pair, noises, order):
        result[rows] = _cumulant_rows(pair, rates[rows], noises[rows], order, windows)
    return result * (1 + _PESSIMISM)


def cumulant_derivatives(pair: Pair, rate: float, noise: float, order: float) -> Derivatives:
    """The cumulant of one sampler with its derivatives in the order, to about 1e-9 of the order's own scale."""
    rates, noises = np.array([rate]), np.array([noise])
    pieces = []
    for _, windows in _windows(pair, noises, order):
        pieces = [_log_densities(pair, rates, noises, window) for window in windows]
    loss = np.concatenate([piece[0][0] for piece in pieces])
    log_weight = np.concatenate([piece[1][0] for piece in pieces])
    if pair == "symmetrised":
        return _symmetrised_derivatives(loss, log_weight, order)
    exponent = order * loss + log_weight
    peak = exponent.max()
    mass = np.exp(exponent - peak)
    total = mass.sum()
    slope = mass @ loss / total
    return Derivatives(float(peak + np.log(total)), float(slope), float(mass @ (loss - slope) ** 2 / total))


def _symmetrised_derivatives(loss: "Floats", log_weight: "Floats", order: float) -> Derivatives:
    kept = loss > 0
    loss, log_weight = loss[kept], log_weight[kept]
    up, down = order * loss + log_weight, (1 - order) * loss + log_weight
    peak = max(up.max(initial=0.0), down.max(initial=0.0), 0.0)
    grown, shrunk = np.exp(up - peak), np.exp(down - peak)
    rest = np.exp(-peak) - np.exp(loss + log_weight - peak).sum() - np.exp(log_weight - peak).sum()
    total = grown.sum() + shrunk.sum() + rest
    slope = (grown - shrunk) @ loss / total
    return Derivatives(float(peak + np.log(total)), float(slope), float((grown + shrunk) @ loss**2 / total - slope**2))


def _windows(pair: Pair, noises: "Floats", order: float) -> "list[tuple[Any, list[Window]]]":
    """Groups of rows with the windows to integrate over."""
    apart = (order > 2 * _REACH * noises) & (noises < _REACH)
    groups: list[tuple[Any, list[Window]]] = []
    for split in (False, True):
        rows = np.flatnonzero(apart == split)
        if not len(rows):
            continue
        z = noises[rows]
        reach = _REACH * z
        # With noise below the window's reach all peaks lie within noise**2 of 0 or of the order, hence two windows.
        spans = [(-reach, reach), (order - reach, order + reach)] if split else [(-reach, order + reach)]
        windows = [_even(low, high, z) for low, high in spans]
        if pair == "symmetrised":
            windows[0] = _from_the_kink(spans[0][1], z)
        groups.append((rows, windows))
    return groups


def _even(low: "Floats", high: "Floats", z: "Floats") -> Window:
    count = int(np.max((high - low) / (_STEP * z * np.minimum(1, z)))) + 2
    width = (high - low) / (count - 1)
    return Window(low[:, None] + width[:, None] * np.arange(count), np.log(width)[:, None])


def _from_the_kink(high: "Floats", z: "Floats") -> Window:
    """Nodes above 1/2, where L changes its sign and the symmetrised integrand has a kink that no interval may hold.

    x = 1/2 + z * log(1 + exp(s)) takes the kink to minus infinity, so that the trapezoid rule keeps its accuracy.
    """
    low, top = -14.0, (high - 0.5) / z
    count = int(np.max((top - low) / (0.5 * _STEP * np.minimum(1, z)))) + 2
    width = (top - low) / (count - 1)
    s = low + width[:, None] * np.arange(count)
    log_slope = -np.logaddexp(0, -s)
    return Window(0.5 + z[:, None] * np.logaddexp(0, s), np.log(width * z)[:, None] + log_slope)


def _log_densities(pair: Pair, rates: "Floats", noises: "Floats", window: Window) -> "tuple[Floats, Floats]":
    """Log(P/Q) at the nodes, and the log of Q's mass that each node stands for."""
    z, q, nodes = noises[:, None], rates[:, None], window.nodes
    log_normal = -0.5 * (nodes / z) ** 2 + window.log_width - np.log(z * _SQRT_2PI)
    tilt = (2 * nodes - 1) / (2 * z * z)
    loss = _mixture_loss(q, tilt)
    if pair != "replaced":
        return loss, log_normal
    mirrored = _mixture_loss(q, tilt - 2 * nodes / (z * z))
    return loss - mirrored, log_normal + mirrored


def _mixture_loss(rate: "Floats", tilt: "Floats") -> "Floats":
    """Log(1 - q + q * exp(tilt)) without cancellation for tiny q and without overflow for large tilts."""
    near = np.log1p(rate * np.expm1(np.minimum(tilt, 30.0)))
    far = np.log(rate) + tilt + np.log1p((1 - rate) / rate * np.exp(-np.maximum(tilt, 30.0)))
    return np.where(tilt < 30.0, near, far)


def _cumulant_rows(pair: Pair, rates: "Floats", noises: "Floats", order: float, windows: list[Window]) -> "Floats":
    if pair == "symmetrised":
        return _symmetrised_rows(rates, noises, order, windows)
    excess = np.zeros(len(noises))  # E_Q[(P/Q)**a] - 1, a sum of non-negative terms
    log_moment = np.full(len(noises), -np.inf)
    for window in windows:
        loss, log_weight = _log_densities(pair, rates, noises, window)
        excess += centred_sum(loss, log_weight, order)
        log_moment = np.logaddexp(log_moment, _log_sum(order * loss + log_weight))
    return np.where(excess < 1, np.log1p(excess), log_moment)


def _symmetrised_rows(rates: "Floats", noises: "Floats", order: float, windows: list[Window]) -> "Floats":
    """From the sum over L > 0 of Q * (exp(a L) + exp((1-a) L) - exp(L) - 1), in which each term is positive.

    The terms are written as Q * expm1((a-1) L) * exp(L) * (1 - exp(-a L)), so nothing cancels.
    """
    log_excess = np.full(len(noises), -np.inf)
    for window in windows:
        loss, log_weight = _log_densities("symmetrised", rates, noises, window)
        kept = np.maximum(loss, 0.0)
        terms = log_weight + kept + _log_expm1((order - 1) * kept) + _log_one_minus_exp(order * kept)
        log_excess = np.logaddexp(log_excess, _log_sum(terms))
    return np.logaddexp(0.0, log_excess)


def _log_sum(exponents: "Floats") -> "Floats":
    peak = exponents.max(axis=1)
    result: Floats = peak + np.log(np.exp(exponents - peak[:, None]).sum(axis=1))
    return result


def centred_sum(loss: "Floats", log_weight: "Floats", order: float) -> "Floats":
    """The sum of Q * (expm1(a L) - a expm1(L)), which equals the moment minus 1 because E_Q[exp L] = 1."""
    scaled = order * loss
    joint = scaled + log_weight
    with np.errstate(over="ignore", invalid="ignore"):
        weight = np.exp(log_weight)
        plain = weight * (np.expm1(scaled) - order * np.expm1(loss))
    series = weight * order * (order - 1) / 2 * loss**2 * _series(loss, order)
    # exp(a L) may overflow where the weight underflows; there only the joint exponent has meaning.
    large = np.exp(np.minimum(joint, 700.0))
    values = np.where(np.abs(scaled) < _SERIES, series, np.where(scaled < 600.0, plain, large))
    result: Floats = np.maximum(values, 0.0).sum(axis=1)
    return result


def _series(loss: "Floats", order: float) -> "Floats":
    result: Floats = 1 + (order + 1) * loss / 3 + (order * order + order + 1) * loss**2 / 12
    return result


def _log_expm1(value: "Floats") -> "Floats":
    with np.errstate(divide="ignore", over="ignore"):
        result: Floats = np.where(value > 50, value, np.log(np.expm1(np.minimum(value, 50.0))))
    return result


def _log_one_minus_exp(value: "Floats") -> "Floats":
    with np.errstate(divide="ignore"):
        result: Floats = np.log(-np.expm1(-value))
    return result
