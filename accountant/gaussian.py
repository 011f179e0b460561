"""The exact privacy of Gaussian noise that nothing samples: one closed form for any number of different steps."""

import math

from mindveil.accountant.checks import trusted

__all__ = ["gaussian_delta", "gaussian_epsilon", "log_normal_cdf", "normal_cdf", "normal_quantile"]


def gaussian_delta(mu: float, epsilon: float) -> float:
    """Delta of a Gaussian whose sensitivity is ``mu`` standard deviations, at any real ``epsilon``.

    Source: Balle and Wang 2018, theorem 8.
    """
    return math.exp(min(0.0, _log_delta(mu, epsilon))) if mu > 0 else max(0.0, -math.expm1(epsilon))


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The smallest epsilon of a Gaussian whose sensitivity is ``mu`` standard deviations, rounded up by 1e-12."""
    log_delta = math.log(delta)
    if mu == 0 or _log_delta(mu, 0.0) <= log_delta:
        return 0.0
    low, high = 0.0, mu * mu / 2 + mu * math.sqrt(-2 * log_delta) + mu
    while _log_delta(mu, high) > log_delta:
        low, high = high, 2 * high + 1
    for _ in range(100):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if _log_delta(mu, middle) > log_delta:
            low = middle
        else:
            high = middle
    return trusted("epsilon", high * (1 + 1e-12))


def normal_cdf(x: float) -> float:
    """The standard normal distribution function, with full relative precision in the lower tail."""
    return 0.5 * math.erfc(-x / math.sqrt(2))


def log_normal_cdf(x: float) -> float:
    """Log of the standard normal distribution function, also where the function itself underflows."""
    if x > 0:
        return math.log1p(-normal_cdf(-x))
    if x > -30:
        return math.log(normal_cdf(x))
    # The continued fraction of the Mills ratio converges at once this far out.
    fraction = -x
    for level in range(12, 0, -1):
        fraction = -x + level / fraction
    return -0.5 * x * x - 0.5 * math.log(2 * math.pi) - math.log(fraction)


def normal_quantile(p: float) -> float:
    """The x with normal_cdf(x) = ``p``; infinite at 0 and 1."""
    if p <= 0 or p >= 1:
        return -math.inf if p <= 0 else math.inf
    if p > 0.5:
        return -normal_quantile(1 - p)
    low, high = -40.0, 0.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if normal_cdf(middle) < p else (low, middle)
    return (low + high) / 2


def _log_delta(mu: float, epsilon: float) -> float:
    first = log_normal_cdf(mu / 2 - epsilon / mu)
    ratio = epsilon + log_normal_cdf(-mu / 2 - epsilon / mu) - first
    # The ratio of the two terms is below 1 in exact arithmetic; at the rounding error there is nothing to subtract.
    return first + (math.log(-math.expm1(ratio)) if ratio < 0 else -math.inf)
