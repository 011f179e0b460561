"""The noise that a user asks for, as a frozen value: bound, multiplier, decay, seed."""

from __future__ import annotations

from dataclasses import dataclass

from mindveil.accountant.checks import between, count, positive, real
from mindveil.accountant.schedules import DECAYS
from mindveil.runtime.diff_privacy.errors import known
from mindveil.runtime.schedules import Schedule

__all__ = ["Noise"]


@dataclass(frozen=True, slots=True)
class Noise:
    """Gaussian noise with a standard deviation of ``norm_bound`` times a multiplier that may decay.

    Attributes:
        norm_bound: L2 bound that the gradients are clipped to.
        initial_noise_multiplier: multiplier of the first step.
        mean: of the noise.
        decay_policy: ``Time``, ``Step`` or ``Exp``; None for noise that stays as it is.
        noise_decay_rate: of the decay, strictly between 0 and 1.
        seed: 0 for noise that nobody can repeat.

    Raises:
        TypeError, ValueError: a number is of the wrong type or out of range.
        UnknownNameError: there is no such decay.
    """

    norm_bound: float
    initial_noise_multiplier: float
    mean: float = 0.0
    decay_policy: str | None = None
    noise_decay_rate: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        positive("norm_bound", self.norm_bound)
        positive("initial_noise_multiplier", self.initial_noise_multiplier)
        count("seed", self.seed)
        if real("mean", self.mean) < 0:
            raise ValueError(f"mean is {self.mean}, and must be at least 0")
        if self.decay_policy is not None:
            object.__setattr__(self, "decay_policy", known("decay_policy", self.decay_policy, DECAYS))
            if not 0 < between("noise_decay_rate", self.noise_decay_rate, 0, 1) < 1:
                raise ValueError(f"noise_decay_rate is {self.noise_decay_rate}, and must be strictly between 0 and 1")

    def multiplier(self, step: int) -> float:
        """The multiplier of a step, 0 for the first.

        >>> Noise(1.0, 1.5, decay_policy="Time", noise_decay_rate=0.5).multiplier(2)
        0.75
        """
        if self.decay_policy is None:
            return float(self.initial_noise_multiplier)
        return DECAYS[self.decay_policy](self.initial_noise_multiplier, self.noise_decay_rate, step)

    def schedule(self, clip_norm: float) -> Schedule:
        """The noise multiplier of a training step that clips to ``clip_norm``, which may be another bound than ours."""
        factor = self.norm_bound / clip_norm
        if self.decay_policy is None:
            return self.initial_noise_multiplier * factor
        return lambda step: self.multiplier(step) * factor
