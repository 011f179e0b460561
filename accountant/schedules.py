"""Runs whose noise changes from step to step by a public plan."""

import math
from collections.abc import Callable
from itertools import groupby

from mindveil.accountant.checks import between, count, one_of, positive
from mindveil.accountant.events import Composed, Event, Gaussian, PoissonSampled, Sequence

__all__ = ["DECAYS", "decayed_noise", "schedule"]

DECAYS: dict[str, Callable[[float, float, int], float]] = {
    "Time": lambda first, rate, step: first / (1 + rate * step),
    "Step": lambda first, rate, step: first * (1 - rate) ** step,
    "Exp": lambda first, rate, step: first * math.exp(-rate * step),
}
"""The decays of adaptive Gaussian noise by their MindArmour names; step 0 has the first noise."""


def schedule(event_at: Callable[[int], Event], steps: int) -> Sequence:
    """The run of ``event_at(0)``, ``event_at(1)``, ... for ``steps`` steps, equal neighbours merged.

    ``event_at`` may depend on the step and on anything public, never on the data: see :class:`RenyiFilter` for that.

    >>> schedule(lambda step: Gaussian(1.0 if step < 3 else 2.0), 5)  # doctest: +NORMALIZE_WHITESPACE
    Sequence(events=(Composed(event=Gaussian(noise_multiplier=1.0), steps=3),
                     Composed(event=Gaussian(noise_multiplier=2.0), steps=2)))
    """
    events = (event_at(step) for step in range(count("steps", steps)))
    return Sequence([Composed(event, sum(1 for _ in same)) for event, same in groupby(events)])


def decayed_noise(
    *, noise_multiplier: float, decay: str, decay_rate: float, sampling_rate: float, steps: int
) -> Sequence:
    """Poisson-sampled training whose noise decays from ``noise_multiplier`` at step 0 by one of :data:`DECAYS`.

    Decaying noise is expensive: at a rate of 6e-4 the noise of step 2340 is a quarter of the first, and epsilon 20
    times that of constant noise.
    """
    first, rate = positive("noise_multiplier", noise_multiplier), between("decay_rate", decay_rate, 0, 1)
    formula = DECAYS[one_of("decay", decay, tuple(DECAYS))]
    if decay == "Step" and rate == 1:
        raise ValueError("decay_rate is 1, and must be below 1: the second step would have no noise")
    sampled = between("sampling_rate", sampling_rate, 0, 1)
    return schedule(lambda step: PoissonSampled(sampled, Gaussian(formula(first, rate, step))), steps)
