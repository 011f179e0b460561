"""The cumulant of a Gaussian inside a sampler, by quadrature of an integrand that never cancels.

The cumulant of order a is K(a) = log E_Q[(P/Q)**a] = (a - 1) * (Renyi divergence of order a). Orders are real, a > 1.
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mindveil.accountant.terms import Pair

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Derivatives", "Prepared", "centred_sum", "cumulant", "derivatives", "prepare", "prepared_cumulant"]

_REACH = 12.0  # half width of the integration window in standard deviations: exp(-72) of a peak lies outside
_STEP = 0.4  # node distance over min(1, noise) * noise; the trapezoid rule's error is then below 1e-13
_MOST_NODES = 3000  # a search prepares so many nodes for all orders, and above that two windows for each order
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
        densities = [_log_densities(pair, rates[rows], noises[rows], window) for window in windows]
        result[rows] = _cumulant_rows(pair, order, densities)
    return result * (1 + _PESSIMISM)


def prepared_cumulant(prepared: "Prepared", order: "float | Floats") -> "Floats":
    """What :func:`cumulant` gives, from nodes that a search has prepared already.

    One sampler may be evaluated at a column of orders at once.
    """
    densities = [(prepared.loss, prepared.log_weight)]
    return _cumulant_rows(prepared.pair, order, densities) * (1 + _PESSIMISM)


class Prepared(NamedTuple):
    """Losses and log weights of many samplers, usable for every order up to ``highest``."""

    pair: Pair
    loss: "Floats"
    log_weight: "Floats"
    highest: float


def prepare(pair: Pair, rates: "Floats", noises: "Floats", order: float, most_nodes: int = _MOST_NODES) -> Prepared:
    """What a search around ``order`` needs of some samplers; with too many nodes it is good for ``order`` only."""
    if len(noises) == 1 and pair != "symmetrised":
        return _prepare_single(pair, float(rates[0]), float(noises[0]), order, most_nodes)
    highest = 1.5 * order + 2
    z_least = float(noises.min())
    span = (highest + 2 * _REACH * float(noises.max())) / (_STEP * z_least * min(1.0, z_least))
    if span > most_nodes:
        highest = order
    if highest == order and order > 2 * _REACH * noises.max() and noises.max() < _REACH:
        reach = _REACH * noises
        windows = [_even(-reach, reach, noises), _even(order - reach, order + reach, noises)]
    else:
        windows = [_even(-_REACH * noises, highest + _REACH * noises, noises)]
    if pair == "symmetrised":
        windows[0] = _from_the_kink(windows[0].nodes[:, -1], noises)
    parts = [_log_densities(pair, rates, noises, window) for window in windows]
    if len(parts) == 1:
        return Prepared(pair, *parts[0], highest)
    losses, weights = zip(*parts, strict=True)
    return Prepared(pair, np.concatenate(losses, axis=1), np.concatenate(weights, axis=1), highest)


def _prepare_single(pair: Pair, q: float, z: float, order: float, most_nodes: int) -> Prepared:
    """The same for one sampler, without the cost of arrays that hold one number."""
    highest, step, reach = 1.5 * order + 2, _STEP * z * min(1.0, z), _REACH * z
    if (highest + 2 * reach) / step > most_nodes:
        highest = order
    spans = [(-reach, highest + reach)]
    if highest == order and order > 2 * reach and z < _REACH:
        spans = [(-reach, reach), (order - reach, order + reach)]
    losses, weights = [], []
    for low, high in spans:
        count = int((high - low) / step) + 2
        width = (high - low) / (count - 1)
        nodes = low + width * np.arange(count)
        log_normal = (-0.5 / z**2) * (nodes * nodes) + math.log(width / (z * _SQRT_2PI))
        tilt = (2 * nodes - 1) / (2 * z * z)
        loss = _mixture_loss(q, tilt)
        if pair == "replaced":
            mirrored = _mixture_loss(q, tilt - 2 * nodes / (z * z))
            loss, log_normal = loss - mirrored, log_normal + mirrored
        losses.append(loss)
        weights.append(log_normal)
    if len(spans) > 1:
        return Prepared(pair, np.concatenate(losses)[None], np.concatenate(weights)[None], highest)
    return Prepared(pair, losses[0][None], weights[0][None], highest)


def derivatives(prepared: Prepared, counts: "Floats", order: float) -> Derivatives:
    """The sum of ``counts`` times the cumulants and of their derivatives in the order; for searching only."""
    if len(counts) == 1 and prepared.pair != "symmetrised":
        return _single_derivatives(prepared.loss[0], prepared.log_weight[0], float(counts[0]), order)
    loss, exponent = prepared.loss, order * prepared.loss + prepared.log_weight
    if prepared.pair == "symmetrised":
        return _symmetrised_derivatives(prepared, counts, order, exponent)
    peak = exponent.max(axis=1, keepdims=True)
    mass = np.exp(exponent - peak)
    total = mass.sum(axis=1)
    weighted = mass * loss
    slope = weighted.sum(axis=1) / total
    curvature = (weighted * loss).sum(axis=1) / total - slope * slope
    value = peak[:, 0] + np.log(total)
    return Derivatives(float(counts @ value), float(counts @ slope), float(counts @ np.maximum(curvature, 0.0)))


def _single_derivatives(loss: "Floats", log_weight: "Floats", times: float, order: float) -> Derivatives:
    """The most frequent case, one sampler repeated, without the cost of two-dimensional sums."""
    exponent = order * loss
    exponent += log_weight
    peak = float(np.maximum.reduce(exponent))
    exponent -= peak
    mass = np.exp(exponent, out=exponent)
    total = float(np.add.reduce(mass))
    mass_of_loss = mass * loss
    slope = float(np.add.reduce(mass_of_loss)) / total
    curvature = float(mass_of_loss @ loss) / total - slope * slope
    return Derivatives(times * (peak + math.log(total)), times * slope, times * max(curvature, 0.0))


def _symmetrised_derivatives(prepared: Prepared, counts: "Floats", order: float, up: "Floats") -> Derivatives:
    loss = np.maximum(prepared.loss, 0.0)
    down = (1 - order) * loss + prepared.log_weight
    peak = np.maximum(up.max(axis=1, keepdims=True), 0.0)
    grown, shrunk = np.exp(up - peak), np.exp(down - peak)
    halves = np.exp(loss + prepared.log_weight - peak).sum(axis=1) + np.exp(prepared.log_weight - peak).sum(axis=1)
    total = grown.sum(axis=1) + shrunk.sum(axis=1) + np.exp(-peak[:, 0]) - halves
    slope = ((grown - shrunk) * loss).sum(axis=1) / total
    curvature = ((grown + shrunk) * loss**2).sum(axis=1) / total - slope**2
    value = peak[:, 0] + np.log(total)
    return Derivatives(float(counts @ value), float(counts @ slope), float(counts @ np.maximum(curvature, 0.0)))


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
    log_slope: Floats = -np.logaddexp(0, -s)
    log_width: Floats = np.log(width * z)[:, None] + log_slope
    return Window(0.5 + z[:, None] * np.logaddexp(0, s), log_width)


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


def _mixture_loss(rate: "float | Floats", tilt: "Floats") -> "Floats":
    """Log(1 - q + q * exp(tilt)) without cancellation for tiny q and without overflow for large tilts."""
    if tilt.max() < 30.0:
        result: Floats = np.log1p(rate * np.expm1(tilt))
        return result
    near = np.log1p(rate * np.expm1(np.minimum(tilt, 30.0)))
    far = np.log(rate) + tilt + np.log1p((1 - rate) / rate * np.exp(-np.maximum(tilt, 30.0)))
    return np.where(tilt < 30.0, near, far)


def _cumulant_rows(pair: Pair, order: "float | Floats", densities: "list[tuple[Floats, Floats]]") -> "Floats":
    if pair == "symmetrised":
        return _symmetrised_rows(order, densities)
    # E_Q[(P/Q)**a] - 1, a sum of non-negative terms.
    excess = np.asarray(sum(centred_sum(loss, log_weight, order) for loss, log_weight in densities))
    small = excess < 1
    if small.all():
        return np.asarray(np.log1p(excess))
    log_moment = np.full(len(excess), -np.inf)
    for loss, log_weight in densities:
        log_moment = np.logaddexp(log_moment, _log_sum(order * loss + log_weight))
    return np.where(small, np.log1p(np.minimum(excess, 1.0)), log_moment)


def _symmetrised_rows(order: "float | Floats", densities: "list[tuple[Floats, Floats]]") -> "Floats":
    """From the sum over L > 0 of Q * (exp(a L) + exp((1-a) L) - exp(L) - 1), in which each term is positive.

    The terms are written as Q * expm1((a-1) L) * exp(L) * (1 - exp(-a L)), so nothing cancels.
    """
    log_excess = np.asarray(-np.inf)
    for loss, log_weight in densities:
        kept = np.maximum(loss, 0.0)
        terms = log_weight + kept + _log_expm1((order - 1) * kept) + _log_one_minus_exp(order * kept)
        log_excess = np.logaddexp(log_excess, _log_sum(terms))
    return np.logaddexp(0.0, log_excess)


def _log_sum(exponents: "Floats") -> "Floats":
    peak = exponents.max(axis=1)
    result: Floats = peak + np.log(np.exp(exponents - peak[:, None]).sum(axis=1))
    return result


def centred_sum(loss: "Floats", log_weight: "Floats", order: "float | Floats") -> "Floats":
    """The sum of Q * (expm1(a L) - a expm1(L)), which equals the moment minus 1 because E_Q[exp L] = 1."""
    scaled = order * loss
    weight = np.exp(log_weight)
    series = loss * loss * (1 + loss * ((order + 1) / 3 + loss * ((order * order + order + 1) / 12)))
    series *= order * (order - 1) / 2
    top = scaled.max()
    if top < 600.0:
        plain = np.expm1(scaled) - order * np.expm1(loss)
        values = weight * np.where(np.abs(scaled) < _SERIES, series, plain)
    else:
        # exp(a L) may overflow where the weight underflows; there only the joint exponent has meaning.
        low = np.minimum(scaled, 600.0)
        plain = np.expm1(low) - order * np.expm1(np.minimum(loss, 600.0))
        large = np.exp(np.minimum(scaled + log_weight, 600.0))
        values = np.where(scaled < 600.0, weight * np.where(np.abs(scaled) < _SERIES, series, plain), large)
    result: Floats = np.maximum(values, 0.0).sum(axis=1)
    return result


def _log_expm1(value: "Floats") -> "Floats":
    with np.errstate(divide="ignore", over="ignore"):
        result: Floats = np.where(value > 50, value, np.log(np.expm1(np.minimum(value, 50.0))))
    return result


def _log_one_minus_exp(value: "Floats") -> "Floats":
    with np.errstate(divide="ignore"):
        result: Floats = np.log(-np.expm1(-value))
    return result
