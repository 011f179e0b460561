"""The policies that can shape a step, told apart."""

from __future__ import annotations

from collections.abc import Sequence

from mindveil.passes.bridge.plugin import device_target
from mindveil.passes.noise import Generator
from mindveil.runtime.lipschitz import LipschitzDP
from mindveil.runtime.policies import DPSGD, GivenMasks, MaskPolicy, Suppression

__all__ = ["Policy", "PrivatePolicy", "by_kind", "generator_of"]

PrivatePolicy = DPSGD | LipschitzDP
Policy = PrivatePolicy | Suppression | GivenMasks


def by_kind(policies: Sequence[Policy]) -> tuple[PrivatePolicy | None, MaskPolicy | None]:
    """The policy for gradients and the one for masks.

    Raises:
        TypeError: something else is among them.
        ValueError: there are two of a kind.
    """
    private = [p for p in policies if isinstance(p, PrivatePolicy)]
    masked = [p for p in policies if isinstance(p, MaskPolicy)]
    if len(private) + len(masked) != len(policies):
        raise TypeError(
            f"policies must be DPSGD, LipschitzDP or Suppression, got {[type(p).__name__ for p in policies]}"
        )
    if len(private) > 1 or len(masked) > 1:
        raise ValueError("at most one private policy and one Suppression policy can shape a step")
    return next(iter(private), None), next(iter(masked), None)


def generator_of(policy: PrivatePolicy) -> Generator:
    """Where the noise of a policy comes from on the present device: the keyed kernel runs on CPU.

    Raises:
        ValueError: the kernel is asked for where it cannot run, or a seed where the device draws.
    """
    target = device_target()
    found = policy.noise_generator or ("kernel" if target == "CPU" else "device")
    if found == "kernel" and target != "CPU":
        raise ValueError(f"noise_generator='kernel' runs on CPU, and the device is {target}; use 'device'")
    if found == "device" and policy.noise_seed is not None:
        raise ValueError("noise_seed is for noise_generator='kernel': the device's generator is never repeated")
    return found
