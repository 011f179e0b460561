"""What MindArmour's formulas say of a run: Poisson samples, a sensitivity of one clip norm whatever the groups.

For comparison, and for planning before a run; what a run costs is read off the events that ran.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mindveil import accountant
from mindveil.accountant import Composed, Event, Gaussian, PoissonSampled, decayed_noise
from mindveil.accountant.checks import between, count, positive
from mindveil.accountant.rdp import curve_of, total_cumulant
from mindveil.accountant.terms import terms_of
from mindveil.runtime.diff_privacy.noise import Noise

__all__ = ["ORDERS", "Told", "renyi_delta", "renyi_epsilon"]

ORDERS = (1.005, 1.01, 1.02, 1.08, 1.2, 2.0, 5.0, 10.0, 20.0, 40.0, 80.0)


@dataclass(frozen=True, slots=True)
class Told:
    """A run as a monitor was told of it.

    Raises:
        TypeError, ValueError: a number is of the wrong type or out of range.
        UnknownNameError: there is no such decay.
    """

    num_samples: int
    batch_size: int
    noise: Noise

    def __post_init__(self) -> None:
        count("num_samples", self.num_samples, 1)
        count("batch_size", self.batch_size, 1)
        if self.batch_size >= self.num_samples:
            raise ValueError(f"batch_size is {self.batch_size}, and must be below num_samples, {self.num_samples}")

    @classmethod
    def of(
        cls,
        num_samples: int,
        batch_size: int,
        initial_noise_multiplier: float,
        noise_decay_mode: str | None,
        noise_decay_rate: float,
    ) -> Told:
        """From a monitor's arguments."""
        positive("initial_noise_multiplier", initial_noise_multiplier)
        between("noise_decay_rate", noise_decay_rate, 0, 1)
        # The first generation's name for noise that stays as it is.
        mode = None if noise_decay_mode == "no_decay" else noise_decay_mode
        return cls(num_samples, batch_size, Noise(1.0, initial_noise_multiplier, 0.0, mode, noise_decay_rate))

    @property
    def rate(self) -> float:
        """Share of the records in a batch."""
        return self.batch_size / self.num_samples

    @property
    def steps_per_epoch(self) -> int:
        """Steps that a pass over all records takes."""
        return -(-self.num_samples // self.batch_size)

    def event(self, steps: int) -> Event:
        """So many steps, as Poisson sampling of records that are clipped one by one."""
        first, decay = float(self.noise.initial_noise_multiplier), self.noise.decay_policy
        if decay is None:
            return Composed(PoissonSampled(self.rate, Gaussian(first)), steps)
        return decayed_noise(
            noise_multiplier=first,
            decay=decay,
            decay_rate=self.noise.noise_decay_rate,
            sampling_rate=self.rate,
            steps=steps,
        )

    def zcdp_epsilon(self, steps: int, delta: float) -> float:
        """``rho + 2 sqrt(rho ln(1/delta))`` with ``rho = sum_t 1 / (2 z_t^2)``.

        Source: Bun and Steinke 2016, proposition 1.3.
        """
        rho = accountant.zcdp(self.event(steps)) if steps else 0.0
        return rho + 2 * math.sqrt(rho * math.log(1 / delta))


def renyi_epsilon(event: Event, delta: float, orders: Sequence[float]) -> float:
    """The least epsilon over a few Renyi orders by the conversion ``rdp - ln(delta) / (order - 1)``.

    Source: Mironov 2017, proposition 3.
    """
    curve = curve_of(terms_of(event))
    return min((total_cumulant(curve, order) - math.log(delta)) / (order - 1) for order in orders)


def renyi_delta(event: Event, epsilon: float, orders: Sequence[float]) -> float:
    """The least delta over a few Renyi orders by the same conversion."""
    curve = curve_of(terms_of(event))
    exponents = [total_cumulant(curve, order) - epsilon * (order - 1) for order in orders]
    return math.exp(min(0.0, *exponents))
