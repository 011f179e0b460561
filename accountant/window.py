"""Which losses of a tilted sum a Fourier transform has to hold, by Chernoff's bound on what lies outside.

A law for all questions needs both tails. An upper bound of one epsilon needs neither: what a window wraps around can
only add to a delta, so only the mass lost above the window must be bounded, and there the tilt's factor makes it small.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["MOST_BINS", "OUTSIDE", "Tilted", "narrow_window", "wide_window"]

OUTSIDE = 1e-13  # tilted mass allowed outside of a wide window on either side
MOST_BINS = 1 << 23
_STRENGTHS = (0.05, 0.5, 2.0, 5.0, 8.0)  # rates of Chernoff's bound in inverse standard deviations
_RATES = (0.5, 1.7, 4.0)
_FOLDED = 1e-5  # tilted mass that a narrow window may fold onto the losses asked for: it costs accuracy, never safety
_DEPTH = 3.0  # standard deviations below the expected epsilon at which a narrow window ends


class Tilted(NamedTuple):
    """Masses multiplied by exp(theta * loss) and divided by their sum, from grid index ``first``; so many ``times``."""

    first: int
    masses: "Floats"
    log_sum: float
    times: int


def wide_window(tilted: list[Tilted], h: float) -> tuple[int, int]:
    """Grid indices outside of which the tilted sum has at most ``OUTSIDE`` on either side."""
    _, deviation = _mean_and_deviation(tilted)
    low, high = -math.inf, math.inf
    logs = [_log(part.masses) for part in tilted]
    for strength in _STRENGTHS:
        rate = strength / deviation
        for sign in (-1.0, 1.0):
            bound = (_sum_of_log_moments(tilted, logs, sign * rate) - math.log(OUTSIDE)) / rate
            low, high = (low, min(high, bound)) if sign > 0 else (max(low, -bound), high)
    if not (math.isfinite(low) and math.isfinite(high)) or high - low > MOST_BINS:
        raise ArithmeticError(f"the composed loss spans more than {MOST_BINS} bins of {h:g}; no tight bound is given")
    return math.floor(low) - 1, math.ceil(high) + 1


def narrow_window(
    tilted: list[Tilted], h: float, theta: float, centre: float, log_scale: float, log_lost: float
) -> tuple[int, int]:
    """First and last grid index that an upper bound of an epsilon near ``centre`` needs, counted like the parts' own.

    Above them lies an untilted mass of at most exp(``log_lost``). About as much is folded onto the epsilon from below.

    Args:
        centre: in grid steps, without the parts' offsets.
        log_scale: the log of the untilted mass that a tilted mass of 1 at ``centre`` stands for.
        log_lost: the log of a mass that does not matter.
    """
    _, deviation = _mean_and_deviation(tilted)
    logs = [_log(part.masses) for part in tilted]
    slope = theta * h  # a tilted mass m at index i stands for m * exp(log_scale - slope * (i - centre))
    high = centre + max(log_scale - log_lost, 0.0) / slope
    above, below = math.inf, -math.inf  # outside of these lies a tilted mass of at most _FOLDED
    for strength in _RATES:
        rate = strength / deviation
        up, down = (_sum_of_log_moments(tilted, logs, sign * rate) for sign in (1.0, -1.0))
        high = min(high, (log_scale + slope * centre + up - log_lost) / (rate + slope))
        above = min(above, (up - math.log(_FOLDED)) / rate)
        below = max(below, (math.log(_FOLDED) - down) / rate)
    low = centre - min(0.5 * abs(centre), _DEPTH * deviation)
    high = max(high, centre)
    length = max(high - low, above - centre + deviation)
    if below < low:
        # What is folded up from below gets the tilt's factor once more, or none is left below.
        folded, whole = max(length, -log_lost / slope), max(length, high - below)
        low, length = (below, whole) if whole < folded else (low, folded)
    if not math.isfinite(length) or length > MOST_BINS:
        raise ArithmeticError(f"the composed loss spans more than {MOST_BINS} bins of {h:g}; no tight bound is given")
    return math.floor(low) - 1, math.ceil(low + length) + 1


def _mean_and_deviation(tilted: list[Tilted]) -> tuple[float, float]:
    """Of the sum, in grid steps; a deviation of at least 1."""
    mean = variance = 0.0
    for first, masses, _, times in tilted:
        index = first + np.arange(len(masses))
        here = float(masses @ index)
        mean += times * here
        variance += times * float(masses @ (index - here) ** 2)
    return mean, math.sqrt(max(variance, 1.0))


def _log(masses: "Floats") -> "Floats":
    with np.errstate(divide="ignore"):
        result: Floats = np.log(masses)
    return result


def _sum_of_log_moments(tilted: list[Tilted], logs: "list[Floats]", rate: float) -> float:
    """Log of E[exp(rate * index)] of the sum."""
    return sum(part.times * _log_moment(part.first, log, rate) for part, log in zip(tilted, logs, strict=True))


def _log_moment(first: int, log_masses: "Floats", rate: float) -> float:
    exponents = rate * (first + np.arange(len(log_masses))) + log_masses
    peak = float(exponents.max())
    return peak + math.log(float(np.exp(exponents - peak).sum()))
