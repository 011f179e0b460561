"""The law of a sum of many independent losses on a grid, tilted so that the tail in question keeps its digits.

The Fourier transform leaves rounding noise of about 1e-16 in every bin, which drowns a delta below 1e-10. So the masses
are multiplied by exp(theta * loss), normalised, and the factor is taken off again after the convolution: the noise is
then small against the masses near the epsilon sought.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mindveil.accountant.discretise import GridLoss
from mindveil.accountant.window import MOST_BINS, OUTSIDE, Tilted, narrow_window, wide_window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["TailLaw", "best_tilt", "convolve"]

_UNIT = 2.0**-53
_LOST = 1e-6  # share of delta that may be lost above a narrow window
_NEGLIGIBLE = -60.0  # log of a Fourier coefficient that is left out; the noise that it is counted as is far above it


@dataclass(frozen=True, slots=True)
class TailLaw:
    """The tail of a composed loss: sums over all bins from each one upwards, relative to exp(``log_scale``).

    Args:
        losses: increasing, in nats.
        mass: P's mass at or above each loss.
        likelihood: Q's mass at or above each loss, relative to exp(-``centre``).
        centre: the loss that exponents are taken relative to.
        log_scale: the log of the unit of ``mass`` and ``likelihood``.
        error: bound of what rounding and the window's ends change in delta at each loss, in the same unit.
        infinite: P's mass at infinite loss, in plain units.
        one_sided: the window may have added to delta without bound, so the law proves nothing from below.
    """

    losses: "Floats"
    mass: "Floats"
    likelihood: "Floats"
    centre: float
    log_scale: float
    error: "Floats"
    infinite: float
    one_sided: bool = False

    def epsilon(self, delta: float, upper: bool) -> float:
        """The epsilon at ``delta``; at least 0. The law's error moves the answer up if ``upper``, else down."""
        if self.one_sided and not upper:
            return 0.0
        left = delta - self.infinite if upper else delta
        if left <= 0:
            return math.inf
        target = math.exp(min(math.log(left) - self.log_scale, 700.0)) + self.error * (-1 if upper else 1)
        curve = self.mass - np.exp(np.minimum(self.losses - self.centre, 700.0)) * self.likelihood
        above = np.flatnonzero(curve > target)
        if not len(above):
            # Even at the lowest loss of the window delta is small enough; nothing is known below it.
            return max(0.0, float(self.losses[0])) if upper else 0.0
        index = int(above[-1]) + 1
        if index >= len(curve):
            return math.inf if upper else max(0.0, float(self.losses[-1]))
        low, high = float(self.losses[index - 1]), float(self.losses[index])
        wanted = float(target[index - 1] if upper else target[index])
        mass, likelihood = float(self.mass[index]), float(self.likelihood[index])
        if likelihood <= 0 or mass <= wanted:
            return max(0.0, high if upper else low)
        # Between two grid points no loss lies, so delta is exactly mass - exp(epsilon) * likelihood there.
        return max(0.0, min(max(self.centre + math.log((mass - wanted) / likelihood), low), high))

    def delta(self, epsilon: float, upper: bool) -> float:
        """Delta at ``epsilon``, between 0 and 1; an epsilon below the window counts as the window's lowest loss."""
        if self.one_sided and not upper:
            return 0.0
        index = int(np.searchsorted(self.losses, epsilon, side="left"))
        if upper and epsilon < float(self.losses[0]):
            return 1.0
        if index >= len(self.losses):
            return self.infinite + math.exp(min(0.0, self.log_scale)) * float(self.error[-1]) if upper else 0.0
        at = max(epsilon, float(self.losses[0]))
        value = float(self.mass[index]) - math.exp(at - self.centre) * float(self.likelihood[index])
        value += float(self.error[max(0, index - 1)]) * (1 if upper else -1)
        plain = math.exp(min(math.log(value) + self.log_scale, 0.0)) if value > 0 else 0.0
        return min(1.0, plain + self.infinite) if upper else plain

    def power(self, false_positive_rate: float) -> float:
        """The highest true positive rate that delta allows: the least of delta(e) + exp(e) * rate over the window."""
        with np.errstate(over="ignore"):
            value = self.mass - np.exp(self.losses - self.centre) * self.likelihood + self.error
            plain = np.exp(np.minimum(np.log(np.maximum(value, 1e-300)) + self.log_scale, 0.0)) + self.infinite
            return float(np.min(np.minimum(plain, 1.0) + np.exp(np.minimum(self.losses, 700.0)) * false_positive_rate))


def best_tilt(
    parts: list[tuple[GridLoss, int]], h: float, guess: float, *, delta: float | None = None, epsilon: float = 0.0
) -> tuple[float, float]:
    """The tilt that proves the smallest epsilon at ``delta``, or delta at ``epsilon``, by moments; and that epsilon.

    It is the Renyi bound of the truncated loss, whose rare enormous values no longer limit the order.
    """
    losses = [(part.losses(h), _log(part.masses), count) for part, count in parts]
    low, high = math.log(1e-12), 25.0
    at = min(max(math.log(guess), low), high)
    theta, value = math.exp(at), math.inf
    for _ in range(40):
        theta = math.exp(at)
        value, slope, curvature = _moments(losses, theta)
        if delta is None:
            gap, steep = slope - epsilon - math.log1p(1 / theta), theta * curvature + 1 / (1 + theta)
        else:
            gap = theta * slope - value + math.log1p(theta) + math.log(delta)
            steep = theta * (theta * curvature + 1 / (1 + theta))
        low, high = (low, at) if gap > 0 else (at, high)
        step = -gap / steep
        if abs(step) < 1e-2 or high - low < 1e-2:
            break
        at = at + step if abs(step) < 3 and low < at + step < high else (low + high) / 2
    slack = theta * math.log(theta) - (theta + 1) * math.log1p(theta)
    return theta, epsilon if delta is None else (value + slack - math.log(delta)) / theta


def _moments(losses: "list[tuple[Floats, Floats, int]]", theta: float) -> tuple[float, float, float]:
    """Log of E[exp(theta * loss)] of the sum, and its first two derivatives."""
    value = slope = curvature = 0.0
    for loss, log_masses, count in losses:
        exponents = theta * loss + log_masses
        peak = float(exponents.max())
        masses = np.exp(exponents - peak)
        total = float(masses.sum())
        mean = float(masses @ loss) / total
        value += count * (peak + math.log(total))
        slope += count * mean
        curvature += count * max(0.0, float(masses @ loss**2) / total - mean * mean)
    return value, slope, curvature


def convolve(
    parts: list[tuple[GridLoss, int]], h: float, theta: float, centre: float, delta: float | None = None
) -> TailLaw:
    """The tail law of the sum of all parts, each taken so many times.

    Args:
        theta: tilt, at least 0; the one of :func:`best_tilt` puts the window where epsilon is.
        centre: the loss near which the tail is asked for; the window holds it in any case.
        delta: only an upper bound of the epsilon at this delta is wanted, at most ``centre``: a smaller window will do.

    Raises:
        ArithmeticError: the window needs too many bins, or digits were lost.
    """
    if not parts:
        raise ValueError("parts is empty, so there is nothing to convolve")
    tilted = [_tilt(part, h, theta, count) for part, count in parts]
    offset = sum(part.offset * count for part, count in parts)
    log_scale = sum(part.times * part.log_sum for part in tilted) - theta * centre
    infinite = max(0.0, -math.expm1(sum(count * math.log1p(-part.infinite) for part, count in parts)))
    at, lost = (centre - offset) / h, 0.0
    if delta is None:
        low, high = wide_window(tilted, h)
        low, high = min(low, math.floor(0.5 * centre / h - offset / h)), max(high, math.ceil(at))
    else:
        log_lost = math.log(_LOST * delta)
        low, high = narrow_window(tilted, h, theta, at, log_scale, log_lost)
        lost = math.exp(min(log_lost - log_scale, 700.0))
    size = _good_size(high - low + 1)
    composed, noise = _composed(tilted, low, size)
    law = _tail(composed, offset + h * (low + np.arange(size)), theta, centre, log_scale, noise)
    error = law.error + (lost if delta is not None else OUTSIDE * np.exp(-theta * (law.losses - centre)))
    return replace(law, error=error, infinite=infinite, one_sided=delta is not None)


def _composed(tilted: list[Tilted], low: int, size: int) -> "tuple[Floats, float]":
    """The sum's tilted masses from grid index ``low`` on, and a bound of the error of each."""
    alive = np.arange(size // 2 + 1)  # the coefficients that are not negligible yet: their size only shrinks
    real, imaginary = np.zeros(len(alive)), np.zeros(len(alive))
    shift, rounding = 0, 4 * math.log2(size)
    for first, masses, _, count in tilted:
        atom = int(masses.argmax())
        shift += count * (first + atom)
        change = _transform_of_change(masses, atom, size)[alive]
        with np.errstate(divide="ignore"):
            grown = change.real * (2 + change.real) + change.imag**2
            real += count * np.maximum(0.5 * np.log1p(np.maximum(grown, -1.0)), -1e290)
        kept = real > _NEGLIGIBLE
        alive, real, change = alive[kept], real[kept], change[kept]
        imaginary = imaginary[kept] + count * np.arctan2(change.imag, 1 + change.real)
        rounding += count * 2 * (1 - float(masses[atom])) * math.log2(size)
    transform = np.zeros(size // 2 + 1, dtype=np.complex128)
    transform[alive] = np.exp(real) * (np.cos(imaginary) + 1j * np.sin(imaginary))
    composed = np.roll(np.fft.irfft(transform, size), (shift - low) % size)
    mean = float(np.exp(real).sum()) / len(transform)
    return composed, 4 * _UNIT * (rounding * mean + float(composed.max())) + 2 * math.exp(_NEGLIGIBLE)


def _tail(composed: "Floats", losses: "Floats", theta: float, centre: float, log_scale: float, noise: float) -> TailLaw:
    # Far below the centre the factors overflow, and nothing is asked for.
    kept = int(np.searchsorted(losses, centre - 600.0 / (theta + 1)))
    losses, composed = losses[kept:], np.maximum(composed[kept:], 0.0)
    weight = np.exp(-theta * (losses - centre))
    weighted = composed * weight
    mass = np.cumsum(weighted[::-1])[::-1]
    likelihood = np.cumsum((weighted * np.exp(centre - losses))[::-1])[::-1]
    if not (np.isfinite(mass[0]) and np.isfinite(likelihood[0])):
        raise ArithmeticError("the tail of the composed loss overflowed; no tight bound is given")
    return TailLaw(losses, mass, likelihood, centre, log_scale, noise * np.cumsum(weight[::-1])[::-1], 0.0)


def _tilt(part: GridLoss, h: float, theta: float, count: int) -> Tilted:
    exponents = theta * part.losses(h) + _log(part.masses)
    peak = float(exponents.max())
    masses = np.exp(exponents - peak)
    total = float(masses.sum())
    return Tilted(part.first, masses / total, peak + math.log(total), count)


def _log(masses: "Floats") -> "Floats":
    with np.errstate(divide="ignore"):
        result: Floats = np.log(masses)
    return result


def _transform_of_change(masses: "Floats", atom: int, size: int) -> "NDArray[np.complex128]":
    """The Fourier transform, minus 1, of the masses around their largest one.

    With the sum of the others subtracted from the atom no digits cancel: the logarithm of the transform, which is
    multiplied by the number of steps, then has an error relative to the mass outside of the atom, not to 1.
    """
    folded = np.zeros(size)
    rest = masses.copy()
    rest[atom] = 0.0
    for start in range(0, len(rest), size):
        piece = rest[start : start + size]
        at = (start - atom) % size
        head = min(len(piece), size - at)
        folded[at : at + head] += piece[:head]
        folded[: len(piece) - head] += piece[head:]
    folded[0] -= rest.sum()
    result: NDArray[np.complex128] = np.fft.rfft(folded)
    return result


def _good_size(least: int) -> int:
    """The smallest even size from ``least`` on that has no prime factor above 5: transforms of those are fast."""
    if least > MOST_BINS:
        raise ArithmeticError(f"the composed loss spans more than {MOST_BINS} bins; no tight bound is given")
    best = 1 << max(1, (least - 1).bit_length())
    fives = 1
    while fives < best:
        odd = fives
        while odd < best:
            best = min(best, odd << max(1, (-(-least // odd) - 1).bit_length()))
            odd *= 3
        fives *= 5
    return best
