"""The settings of a private step that change at run time: Parameters, so that a change recompiles nothing."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from mindspore import Parameter, Tensor

from mindveil.accountant import PrivacyWarning
from mindveil.passes.bridge.kernels import SECRET_SLOT, seeded_slot
from mindveil.passes.lipschitz import SHARE
from mindveil.runtime.kinds import PrivatePolicy, generator_of
from mindveil.runtime.lipschitz import Sensitivity, shared
from mindveil.runtime.policies import DPSGD
from mindveil.runtime.schedules import Schedule, value_at

__all__ = ["CONTROLS", "Controls"]

CONTROLS = ("clip_norm", "noise_multiplier", "noise_key")
ADAPTIVE = ("count_noise", "count_bound", "count_key", "next_clip_norm")
_PREFIX = "mindveil."


class Controls:
    """Clip norm, noise multiplier, noise key and shares of the noise of a step, set anew before each of its runs.

    Args:
        trained: names of the parameters that the step trains.
        loss_scale: what every gradient is multiplied by, and so the norm that it is clipped to.
    """

    def __init__(self, policy: PrivatePolicy, trained: Sequence[str], loss_scale: float = 1.0) -> None:
        self.policy, self._scale = policy, loss_scale
        generator_of(policy)  # refuses what no device can do, before anything is compiled
        self._slots = [SECRET_SLOT, SECRET_SLOT]
        if policy.noise_seed is not None:
            warnings.warn(
                f"noise_seed={policy.noise_seed} makes the noise reproducible: whoever knows the seed can subtract it. "
                "The card of this model will say so. Leave it out for a private run.",
                PrivacyWarning,
                stacklevel=4,
            )
            self._slots = [seeded_slot(2 * policy.noise_seed), seeded_slot(2 * policy.noise_seed + 1)]
        names = CONTROLS + (ADAPTIVE if policy.adaptive else ())
        names += tuple(SHARE + name for name in trained) if shared(policy) else ()
        self.parameters = {
            name: Parameter(_first_value(name), name=_PREFIX + name, requires_grad=False) for name in names
        }
        # The count moves by 1/2 at most, and its noise is given in records, so that the bound it is scaled by is 1.
        self._put("count_bound", 1.0)
        self._put("count_noise", policy.adaptive.count_noise if policy.adaptive else 0.0)
        first = policy.clip_norm if isinstance(policy, DPSGD) else 0.0
        self._put("next_clip_norm", 0.0 if callable(first) else first)

    @property
    def names(self) -> frozenset[str]:
        """The names of the Parameters; they hold no data of anybody's."""
        return frozenset(p.name for p in self.parameters.values())

    @property
    def clip_norm(self) -> float:
        """The clip norm of the next step, where it adapts."""
        return float(self.parameters["next_clip_norm"].asnumpy())

    def resume(self, clip_norm: float) -> None:
        """Goes on with the clip norm of a checkpoint."""
        self._put("next_clip_norm", clip_norm)

    def set(self, step: int, swept: Sensitivity | None = None) -> None:
        """Puts the values of ``step`` into the Parameters.

        Args:
            swept: what one example adds, where the policy has no clip norm.

        Raises:
            ValueError: a schedule gave something that is no norm or multiplier.
        """
        clip_norm = value_at(self._bound(swept), step, "clip_norm")
        if clip_norm == 0:
            raise ValueError(f"clip_norm is 0 at step {step}, and must be positive")
        self._put("clip_norm", clip_norm * self._scale)
        self._put("noise_multiplier", value_at(self.policy.noise_multiplier, step, "noise_multiplier"))
        for name, share in (swept.shares if swept else {}).items():
            self._put(SHARE + name, share)
        for name, slot in zip(("noise_key", "count_key"), self._slots, strict=True):
            if name in self.parameters:
                self.parameters[name].set_data(Tensor(np.array([slot, step], np.int64)))

    def _bound(self, swept: Sensitivity | None) -> Schedule:
        if isinstance(self.policy, DPSGD):
            return self.clip_norm if self.policy.adaptive else self.policy.clip_norm
        if swept is None:
            raise ValueError("the step has no bound yet: it is compiled before it runs")
        return swept.norm

    @property
    def bound(self) -> float:
        """What one example's gradient is held to, as it is without a loss scale."""
        return self.value(_PREFIX + "clip_norm") / self._scale

    def value(self, name: str) -> float:
        """What the Parameter called ``name`` in the graph holds now."""
        found = next(p for p in self.parameters.values() if p.name == name)
        return float(found.asnumpy())

    def _put(self, name: str, value: float) -> None:
        if name in self.parameters:
            self.parameters[name].set_data(Tensor(np.float32(value)))


def _first_value(name: str) -> Tensor:
    return Tensor(np.zeros(2, np.int64)) if name.endswith("_key") else Tensor(np.float32(1.0))
