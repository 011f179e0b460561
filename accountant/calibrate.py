"""The noise, sampling rate or number of steps that a privacy target allows; what is returned meets the target."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mindveil.accountant.checks import Relation, between, count, delta_value, epsilon_value, positive, real
from mindveil.accountant.events import Composed, Event, Gaussian, PoissonSampled
from mindveil.accountant.guarantees import Method, epsilon

__all__ = ["Calibration", "calibrate_noise", "noise_multiplier", "sampling_rate_within", "steps_within"]

_SMALLEST_NOISE, _LARGEST_NOISE = 1e-3, 1e9
_TOLERANCE = 2e-4  # relative distance of the returned value from one that is known to miss the target
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Calibration:
    """A value that meets the target, and how near to the edge it is.

    Args:
        value: meets the target.
        epsilon: what ``value`` costs, at most the target.
        beyond: the nearest value tried that misses the target.
        epsilon_beyond: what ``beyond`` costs, above the target.
    """

    value: float
    epsilon: float
    beyond: float
    epsilon_beyond: float


def noise_multiplier(
    *,
    target_epsilon: float,
    delta: float,
    sampling_rate: float,
    steps: int,
    neighbouring: Relation = "add_or_remove_one",
    method: Method = "rdp",
) -> float:
    """The smallest noise multiplier, within 0.1 %, with which Poisson-sampled training meets the target.

    The returned multiplier is itself evaluated, and costs at most ``target_epsilon``.

    Raises:
        ValueError: the target asks for practically no noise, or for more than 1e9.

    >>> noise_multiplier(target_epsilon=3.0, delta=1e-5, sampling_rate=256 / 60_000, steps=14_062)
    1.014
    """
    rate = between("sampling_rate", sampling_rate, 0, 1)
    times = count("steps", steps)

    def event(noise: float) -> Event:
        return Composed(PoissonSampled(rate, Gaussian(noise)), times)

    found = calibrate_noise(event, target_epsilon=target_epsilon, delta=delta, neighbouring=neighbouring, method=method)
    return found.value


def calibrate_noise(
    event: Callable[[float], Event],
    *,
    target_epsilon: float,
    delta: float,
    neighbouring: Relation = "add_or_remove_one",
    method: Method = "rdp",
) -> Calibration:
    """The smallest noise multiplier for which ``event(noise_multiplier)`` meets the target.

    ``event`` must cost less for more noise, which the search relies on for tightness and never for safety.
    """
    target, wanted = positive("target_epsilon", target_epsilon), delta_value(delta)

    def cost(noise: float) -> float:
        return epsilon(event(noise), wanted, neighbouring=neighbouring, method=method)

    private, spent = _first_private(cost, target)
    missing, excess = _first_missing(cost, target, private)
    return _narrow(cost, target, (private, spent), (missing, excess))


def steps_within(
    *,
    target_epsilon: float,
    delta: float,
    sampling_rate: float,
    noise_multiplier: float,
    neighbouring: Relation = "add_or_remove_one",
    method: Method = "rdp",
) -> int:
    """The largest number of Poisson-sampled steps that costs at most ``target_epsilon``; 0 if not even one fits.

    Raises:
        ValueError: more than 1e9 steps would fit.

    >>> steps_within(target_epsilon=2.6, delta=1e-5, sampling_rate=256 / 60_000, noise_multiplier=1.1)
    14096
    """
    target, wanted = epsilon_value(target_epsilon, "target_epsilon"), delta_value(delta)
    step = PoissonSampled(sampling_rate, Gaussian(noise_multiplier))

    def fits(steps: int) -> bool:
        return epsilon(Composed(step, steps), wanted, neighbouring=neighbouring, method=method) <= target

    low, high = 0, 1
    while fits(high):
        low, high = high, high * 4
        if high > 10**10:
            raise ValueError(f"more than {low} steps cost at most {target}; the target is no limit at this noise")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def sampling_rate_within(
    *,
    target_epsilon: float,
    delta: float,
    noise_multiplier: float,
    steps: int,
    neighbouring: Relation = "add_or_remove_one",
    method: Method = "rdp",
) -> float:
    """The largest sampling rate, within 0.1 %, that costs at most ``target_epsilon``; 1.0 if any rate does."""
    target, wanted = positive("target_epsilon", target_epsilon), delta_value(delta)
    noise, times = Gaussian(noise_multiplier), count("steps", steps)

    def cost(inverse: float) -> float:
        event = Composed(PoissonSampled(1 / inverse, noise), times)
        return epsilon(event, wanted, neighbouring=neighbouring, method=method)

    everything = cost(1.0)
    if everything <= target:
        return 1.0
    private = 4.0
    while cost(private) > target:
        private *= 4
    found = _narrow(cost, target, (private, cost(private)), (private / 4, cost(private / 4)))
    rate = _shorten(1 / found.value, up=False)
    return rate if cost(1 / rate) <= target else 1 / found.value


def _first_private(cost: Callable[[float], float], target: float) -> tuple[float, float]:
    noise = 1.0
    while (spent := cost(noise)) > target:
        noise *= 2
        if noise > _LARGEST_NOISE:
            raise ValueError(f"target_epsilon is {target}, which not even a noise multiplier of {noise / 2:g} reaches")
    return noise, spent


def _first_missing(cost: Callable[[float], float], target: float, private: float) -> tuple[float, float]:
    noise = private / 2
    while (excess := cost(noise)) <= target:
        noise /= 2
        if noise < _SMALLEST_NOISE:
            raise ValueError(
                f"target_epsilon is {target}, which a noise multiplier of {noise * 2:g} already meets at this delta; "
                "a target that needs no noise protects nobody, so lower the delta or the target"
            )
    return noise, excess


def _narrow(
    cost: Callable[[float], float], target: float, private: tuple[float, float], missing: tuple[float, float]
) -> Calibration:
    """Close in on the edge between ``private`` (at or below the target) and ``missing`` (above), in logarithms."""
    while private[0] / missing[0] - 1 > _TOLERANCE:
        middle = _guess(target, private, missing)
        spent = cost(middle)
        if spent <= target:
            private = (middle, spent)
        else:
            missing = (middle, spent)
    short = _shorten(private[0], up=True)
    spent = cost(short)
    if spent <= target:
        private = (short, spent)
    return Calibration(*private, *missing)


def _guess(target: float, private: tuple[float, float], missing: tuple[float, float]) -> float:
    """Where a power law through both ends would meet the target, aimed a little past it so that both ends move."""
    ratio = math.log(private[0] / missing[0])
    share = 0.5
    if private[1] > 0 and math.isfinite(missing[1]):
        share = math.log(missing[1] / target) / math.log(missing[1] / private[1])
        nudge = 0.4 * _TOLERANCE / ratio
        share += nudge if share > 0.5 else -nudge
        # A power law is poor far away: never trust it to within less than a tenth of the interval while that is long.
        edge = 0.1 if ratio > 0.05 else nudge
        share = min(max(share, edge), 1 - edge)
    return missing[0] * math.exp(share * ratio)


def _shorten(value: float, up: bool) -> float:
    """``value`` rounded to a few significant digits in the private direction."""
    scale = 10.0 ** (_DIGITS - 1 - math.floor(math.log10(real("value", value))))
    return (math.ceil(value * scale) if up else math.floor(value * scale)) / scale
