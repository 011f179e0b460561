"""The mechanisms of both generations of the API: noise, and the rule that moves the clip norm.

Given to a `DPModel` or to an optimizer they say what the compiled step does; the noise of training is drawn there, by
its own kernel. Called with gradients they draw noise by MindSpore's generator, to look at.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

from mindveil.accountant.checks import count, positive, real
from mindveil.runtime.diff_privacy.errors import known
from mindveil.runtime.diff_privacy.noise import Noise
from mindveil.runtime.policies import AdaptiveClipNorm

__all__ = [
    "AdaClippingWithGaussianRandom",
    "AdaGaussianRandom",
    "GaussianRandom",
    "Mechanism",
    "NoiseAdaGaussianRandom",
    "NoiseGaussianRandom",
]

#: A clip norm stays above this, so that the linear rule cannot turn gradients around.
LEAST_NORM = 1e-6
CLIP_RULES = ("Linear", "Geometric")


class Mechanism(Protocol):
    """Anything with noise to describe."""

    @property
    def noise(self) -> Noise: ...


class GaussianRandom(nn.Cell):
    """Gaussian noise of constant size, first generation.

    Args:
        norm_bound: clip norm of the gradients.
        initial_noise_multiplier: standard deviation of the noise over ``norm_bound``.
        mean: of the noise. Training wants 0: another mean moves every gradient and protects nobody.
        seed: 0 for noise that nobody can repeat; another number is for tests.
    """

    def __init__(
        self, norm_bound: float = 0.5, initial_noise_multiplier: float = 1.5, mean: float = 0.0, seed: int = 0
    ) -> None:
        super().__init__(auto_prefix=False)
        self.noise = Noise(norm_bound, initial_noise_multiplier, mean, seed=seed)
        self.draw = _Draw(self.noise)

    def construct(self, gradients: Any) -> Any:
        """Noise of the shape of a gradient, or of each of a tuple of gradients."""
        return self.draw(gradients)


class NoiseGaussianRandom(nn.Cell):
    """Gaussian noise of constant size, second generation; see `GaussianRandom`. ``decay_policy`` must be None."""

    def __init__(
        self,
        norm_bound: float = 1.0,
        initial_noise_multiplier: float = 1.0,
        seed: int = 0,
        decay_policy: None = None,
    ) -> None:
        super().__init__(auto_prefix=False)
        if decay_policy is not None:
            raise ValueError(f"decay_policy is {decay_policy!r}, and must be None: Gaussian noise is constant")
        self.noise = Noise(norm_bound, initial_noise_multiplier, seed=seed)
        self.draw = _Draw(self.noise)

    def construct(self, gradients: Any) -> Any:
        """Noise of the shape of a gradient, or of each of a tuple of gradients."""
        return self.draw(gradients)


class AdaGaussianRandom(nn.Cell):
    """Gaussian noise that decays from step to step, first generation.

    Args:
        norm_bound, mean, seed: see `GaussianRandom`.
        initial_noise_multiplier: standard deviation of the first step's noise over ``norm_bound``, z.
        noise_decay_rate: r, strictly between 0 and 1.
        decay_policy: noise of step t: ``Time`` z / (1 + r t), ``Step`` z (1 - r)^t, ``Exp`` z exp(-r t).
    """

    def __init__(
        self,
        norm_bound: float = 1.0,
        initial_noise_multiplier: float = 1.5,
        mean: float = 0.0,
        noise_decay_rate: float = 6e-4,
        decay_policy: str = "Time",
        seed: int = 0,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.noise = _decaying(norm_bound, initial_noise_multiplier, mean, decay_policy, noise_decay_rate, seed)
        self.draw = _Draw(self.noise)

    def construct(self, gradients: Any) -> Any:
        """Noise of the shape of a gradient, or of each of a tuple; each call is one step, after which it decays."""
        return self.draw(gradients)


class NoiseAdaGaussianRandom(nn.Cell):
    """Gaussian noise that decays from step to step, second generation; see `AdaGaussianRandom`."""

    def __init__(
        self,
        norm_bound: float = 1.0,
        initial_noise_multiplier: float = 1.0,
        seed: int = 0,
        noise_decay_rate: float = 6e-6,
        decay_policy: str = "Exp",
    ) -> None:
        super().__init__(auto_prefix=False)
        self.noise = _decaying(norm_bound, initial_noise_multiplier, 0.0, decay_policy, noise_decay_rate, seed)
        self.draw = _Draw(self.noise)

    def construct(self, gradients: Any) -> Any:
        """Noise of the shape of a gradient, or of each of a tuple; each call is one step, after which it decays."""
        return self.draw(gradients)


class AdaClippingWithGaussianRandom(nn.Cell):
    """Moves the clip norm so that a given share of the gradients stays unclipped, by a noisy count of them.

    Args:
        decay_policy: with b the noisy share, ``Linear`` C - learning_rate (b - target), ``Geometric``
            C exp(-learning_rate (b - target)).
        learning_rate: of the rule, above 0.
        target_unclipped_quantile: the share that should stay unclipped, in [0, 1].
        fraction_stddev: standard deviation of the noise on the share, above 0. The count that is released costs
            privacy, and the accounting includes it: a small number here can dominate the whole epsilon.
        seed: of the noise of a call; within a training step the count's noise has the seed of the other noise.

    Raises:
        TypeError, ValueError: a number is of the wrong type or out of range, or there is no such rule.
    """

    def __init__(
        self,
        decay_policy: str = "Linear",
        learning_rate: float = 0.001,
        target_unclipped_quantile: float = 0.9,
        fraction_stddev: float = 0.01,
        seed: int = 0,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.decay_policy = known("decay_policy", decay_policy, CLIP_RULES)
        self.learning_rate = positive("learning_rate", learning_rate)
        self.target_unclipped_quantile = real("target_unclipped_quantile", target_unclipped_quantile)
        if not 0 <= self.target_unclipped_quantile <= 1:
            raise ValueError(f"target_unclipped_quantile is {target_unclipped_quantile}, and must be in [0, 1]")
        self.fraction_stddev = positive("fraction_stddev", fraction_stddev)
        self.normal = ops.StandardNormal(count("seed", seed))

    def construct(self, empirical_fraction: Any, norm_bound: Any) -> Any:
        """The next clip norm, a scalar above 0, from the share of unclipped gradients and the present norm."""
        noisy = empirical_fraction + self.normal((1,))[0] * self.fraction_stddev
        move = self.learning_rate * (noisy - self.target_unclipped_quantile)
        following = norm_bound - move if self.decay_policy == "Linear" else norm_bound * ops.exp(-move)
        return ops.maximum(ops.reshape(following, ()), LEAST_NORM)

    def rule(self, groups: float) -> AdaptiveClipNorm:
        """The rule as a part of a training step that clips ``groups`` gradients."""
        return AdaptiveClipNorm(
            self.target_unclipped_quantile,
            self.learning_rate,
            self.fraction_stddev * groups,
            "linear" if self.decay_policy == "Linear" else "geometric",
        )


class _Draw(nn.Cell):
    """Draws noise for one step at each call, and keeps the multiplier as a Parameter that decays afterwards."""

    def __init__(self, noise: Noise) -> None:
        super().__init__(auto_prefix=False)
        self.first = float(noise.initial_noise_multiplier)
        self.bound, self.mean, self.rate = float(noise.norm_bound), float(noise.mean), float(noise.noise_decay_rate)
        self.decay = noise.decay_policy
        self.keep = float(np.exp(-self.rate)) if self.decay == "Exp" else 1.0 - self.rate
        self.noise_multiplier = Parameter(Tensor(np.float32(self.first)), name="noise_multiplier", requires_grad=False)
        self.normal = ops.StandardNormal(noise.seed)

    def construct(self, gradients: Any) -> Any:
        stddev = self.noise_multiplier * self.bound
        if isinstance(gradients, (tuple, list)):
            drawn: Any = ()
            for gradient in gradients:
                drawn = (*drawn, self.normal(gradient.shape) * stddev + self.mean)
        else:
            drawn = self.normal(gradients.shape) * stddev + self.mean
        if self.decay == "Time":
            ops.assign(self.noise_multiplier, self.first / (self.first / self.noise_multiplier + self.rate))
        elif self.decay is not None:
            ops.assign(self.noise_multiplier, self.noise_multiplier * self.keep)
        return drawn


def _decaying(bound: float, multiplier: float, mean: float, decay: str, rate: float, seed: int) -> Noise:
    if decay is None:
        raise ValueError("decay_policy is None, and must be Time, Step or Exp; constant noise is Gaussian")
    return Noise(bound, multiplier, mean, decay, rate, seed)
