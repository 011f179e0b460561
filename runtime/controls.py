"""The settings of a private step that change at run time: Parameters, so that a change recompiles nothing."""

from __future__ import annotations

import warnings

import numpy as np
from mindspore import Parameter, Tensor

from mindveil.accountant import PrivacyWarning
from mindveil.passes.bridge.kernels import SECRET_SLOT, seeded_slot
from mindveil.runtime.policies import DPSGD
from mindveil.runtime.schedules import value_at

__all__ = ["CONTROLS", "Controls"]

CONTROLS = ("clip_norm", "noise_multiplier", "noise_key")
_PREFIX = "mindveil."


class Controls:
    """Clip norm, noise multiplier and noise key of a step, set anew before each of its runs."""

    def __init__(self, policy: DPSGD) -> None:
        self.policy = policy
        self.slot = SECRET_SLOT
        if policy.noise_seed is not None:
            warnings.warn(
                f"noise_seed={policy.noise_seed} makes the noise reproducible: whoever knows the seed can subtract it. "
                "The card of this model will say so. Leave it out for a private run.",
                PrivacyWarning,
                stacklevel=4,
            )
            self.slot = seeded_slot(policy.noise_seed)
        values = (np.float32(1.0), np.float32(0.0), np.zeros(2, np.int64))
        self.parameters = {
            name: Parameter(Tensor(value), name=_PREFIX + name, requires_grad=False)
            for name, value in zip(CONTROLS, values, strict=True)
        }

    @property
    def names(self) -> frozenset[str]:
        """The names of the Parameters; they hold no data of anybody's."""
        return frozenset(p.name for p in self.parameters.values())

    def set(self, step: int) -> None:
        """Puts the values of ``step`` into the Parameters.

        Raises:
            ValueError: a schedule gave something that is no norm or multiplier.
        """
        clip_norm = value_at(self.policy.clip_norm, step, "clip_norm")
        if clip_norm == 0:
            raise ValueError(f"clip_norm is 0 at step {step}, and must be positive")
        self.parameters["clip_norm"].set_data(Tensor(np.float32(clip_norm)))
        self.parameters["noise_multiplier"].set_data(
            Tensor(np.float32(value_at(self.policy.noise_multiplier, step, "noise_multiplier")))
        )
        self.parameters["noise_key"].set_data(Tensor(np.array([self.slot, step], np.int64)))

    def value(self, name: str) -> float:
        """What the Parameter called ``name`` in the graph holds now."""
        found = next(p for p in self.parameters.values() if p.name == name)
        return float(found.asnumpy())
