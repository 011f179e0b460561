"""How far the privacy of shuffled batches is from what Poisson accounting says about them."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mindveil.accountant.batches import ShuffledBatches
from mindveil.accountant.checks import count, delta_value
from mindveil.accountant.events import Composed, Gaussian, PoissonSampled
from mindveil.accountant.gaussian import gaussian_epsilon
from mindveil.accountant.guarantees import epsilon

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["ShufflingGap", "shuffled_epsilon_at_least", "shuffling_gap"]


@dataclass(frozen=True, slots=True)
class ShufflingGap:
    """Epsilons of one run at one delta, for records that are zeroed out.

    Args:
        poisson: what accounting says that takes shuffled batches for Poisson samples.
        at_least: what some data set provably costs when its batches are shuffled.
        at_most: the only guarantee: noise alone, each record once an epoch.
    """

    poisson: float
    at_least: float
    at_most: float

    @property
    def factor(self) -> float:
        """By how much the Poisson number is too small, at least; 1 if it is not provably too small."""
        return max(1.0, self.at_least / self.poisson) if self.poisson > 0 else math.inf


def shuffling_gap(noise_multiplier: float, batches: int, epochs: int, *, delta: float) -> ShufflingGap:
    """The three epsilons of ``epochs`` times ``batches`` steps over shuffled data.

    >>> gap = shuffling_gap(1.1, 234, 1, delta=1e-5)
    >>> round(gap.at_least, 3), round(gap.at_most, 5)
    (2.981, 3.92125)
    """
    event, wanted = ShuffledBatches(noise_multiplier, batches), delta_value(delta)
    times = count("epochs", epochs, 1)
    poisson = Composed(PoissonSampled(1 / event.batches, Gaussian(event.noise_multiplier)), event.batches * times)
    return ShufflingGap(
        epsilon(poisson, wanted),
        shuffled_epsilon_at_least(event, times, wanted),
        gaussian_epsilon(math.sqrt(times) / event.noise_multiplier, wanted),
    )


def shuffled_epsilon_at_least(event: ShuffledBatches, epochs: int, delta: float) -> float:
    """An epsilon below which no guarantee for ``epochs`` of shuffled batches can be true.

    Every other record pulls its batch down by 1, the record pulls it up, and the attacker looks at the largest batch
    sum of each epoch, cut into intervals. That is post-processing; rounding the losses down before they are composed
    loses a little more.

    Source: Chua et al. 2024 (arXiv 2403.17673), adaptive batch linear queries.
    """
    import numpy as np
    from scipy.special import log_ndtr

    from mindveil.accountant.convolve import best_tilt, convolve
    from mindveil.accountant.discretise import GridLoss

    z = event.noise_multiplier
    t = np.linspace(-8 * z, 2 + 9 * z, 20_001)
    rest = (event.batches - 1) * log_ndtr(t / z)
    p, q = (_intervals(rest + log_ndtr((t - shift) / z)) for shift in (2.0, 1.0))
    kept = (p > 0) & (q > 0)
    loss = np.log(p[kept] / q[kept])
    h = 1e-4 * max(1.0, float(loss.max() - loss.min()) / 10)
    index = np.floor(loss / h).astype(int)
    masses = np.bincount(index - index.min(), weights=p[kept]).astype(np.float64)
    parts = [(GridLoss(0.0, int(index.min()), masses, 0.0), epochs)]
    theta, _ = best_tilt(parts, h, 5.0, delta=delta)
    centre = max(0.0, h * float((index * p[kept]).sum()) * epochs)
    return convolve(parts, h, theta, centre).epsilon(delta, upper=False)


def _intervals(log_below: "Floats") -> "Floats":
    """The masses between points, below the first and above the last, from the tail that keeps its digits."""
    import numpy as np

    below, above = np.exp(log_below), -np.expm1(log_below)
    lower, upper = np.diff(below, prepend=0.0, append=1.0), -np.diff(above, prepend=1.0, append=0.0)
    return np.where(np.append(below, 1.0) < 0.5, lower, upper)
