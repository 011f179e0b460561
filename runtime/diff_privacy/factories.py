"""Makes mechanisms by name, for both generations of the API."""

from __future__ import annotations

import inspect
from typing import Any

from mindveil.runtime.diff_privacy.errors import known
from mindveil.runtime.diff_privacy.mechanisms import (
    AdaClippingWithGaussianRandom,
    AdaGaussianRandom,
    GaussianRandom,
    Mechanism,
    NoiseAdaGaussianRandom,
    NoiseGaussianRandom,
)

__all__ = ["ClipMechanismsFactory", "MechanismsFactory", "NoiseMechanismsFactory", "mechanism_of"]

FIRST: dict[str, Any] = {"Gaussian": GaussianRandom, "AdaGaussian": AdaGaussianRandom}
SECOND: dict[str, Any] = {"Gaussian": NoiseGaussianRandom, "AdaGaussian": NoiseAdaGaussianRandom}
CLIPS = ("Gaussian",)


class MechanismsFactory:
    """Noise mechanisms of the first generation; the method is called on the class or on an instance."""

    @staticmethod
    def create(policy: str, *args: Any, **kwargs: Any) -> GaussianRandom | AdaGaussianRandom:
        """``Gaussian`` or ``AdaGaussian`` noise; the further arguments are those of the class.

        Raises:
            NameError: there is no such mechanism.
            TypeError: the mechanism does not know a keyword.
        """
        made: GaussianRandom | AdaGaussianRandom = FIRST[known("policy", policy, FIRST)](*args, **kwargs)
        return made


class NoiseMechanismsFactory:
    """Noise mechanisms of the second generation; the method is called on the class or on an instance."""

    @staticmethod
    def create(
        mech_name: str = "Gaussian",
        norm_bound: float = 1.0,
        initial_noise_multiplier: float = 1.0,
        seed: int = 0,
        noise_decay_rate: float = 6e-6,
        decay_policy: str | None = None,
    ) -> NoiseGaussianRandom | NoiseAdaGaussianRandom:
        """``Gaussian`` or ``AdaGaussian`` noise; without a ``decay_policy`` the second decays by ``Exp``.

        Raises:
            NameError: there is no such mechanism or decay.
        """
        if known("mech_name", mech_name, SECOND) == "Gaussian":
            if decay_policy is not None:
                raise ValueError(f"decay_policy is {decay_policy!r}, and must be None: Gaussian noise is constant")
            return NoiseGaussianRandom(norm_bound, initial_noise_multiplier, seed)
        decay = decay_policy or "Exp"
        return NoiseAdaGaussianRandom(norm_bound, initial_noise_multiplier, seed, noise_decay_rate, decay)


class ClipMechanismsFactory:
    """Rules that move the clip norm; the method is called on the class or on an instance."""

    @staticmethod
    def create(
        mech_name: str = "Gaussian",
        decay_policy: str = "Linear",
        learning_rate: float = 0.001,
        target_unclipped_quantile: float = 0.9,
        fraction_stddev: float = 0.01,
        seed: int = 0,
    ) -> AdaClippingWithGaussianRandom:
        """Adaptive clipping whose count has ``Gaussian`` noise; see `AdaClippingWithGaussianRandom`.

        Raises:
            NameError: there is no such mechanism.
        """
        known("mech_name", mech_name, CLIPS)
        return AdaClippingWithGaussianRandom(
            decay_policy, learning_rate, target_unclipped_quantile, fraction_stddev, seed
        )


def mechanism_of(policy: str, args: tuple[Any, ...], keywords: dict[str, Any]) -> Mechanism:
    """A noise mechanism of whichever generation knows the keywords; the first where both do.

    Raises:
        NameError: there is no such mechanism.
        TypeError: no generation knows all of the keywords.
    """
    name = known("policy", policy, FIRST)
    if keywords.keys() <= inspect.signature(FIRST[name]).parameters.keys():
        return MechanismsFactory.create(name, *args, **keywords)
    return NoiseMechanismsFactory.create(name, *args, **keywords)
