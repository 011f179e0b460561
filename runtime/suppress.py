"""Chooses which weights to suppress, and keeps the masks as Parameters that travel with a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor
from numpy.typing import NDArray

from mindveil.runtime.policies import GivenMasks, MaskPolicy, Suppression

__all__ = ["Masks", "all_kept", "smallest_suppressed"]

PREFIX = "mask."


class Masks:
    """The masks of a training step, one Parameter of zeros and ones for each suppressed parameter."""

    def __init__(self, policy: MaskPolicy, parameters: Iterable[Parameter]) -> None:
        self.policy = policy
        trained = {p.name: p for p in parameters}
        names = _masked(policy, trained)
        self.weights = {n: trained[n] for n in names}
        if isinstance(policy, GivenMasks):
            self.masks = {n: _checked(policy.masks[n], trained[n]) for n in names}
        else:
            self.masks = {n: all_kept(trained[n]) for n in names}

    @property
    def saved(self) -> tuple[Parameter, ...]:
        """Everything here that belongs into a checkpoint."""
        return (*self.masks.values(), *(self.policy.saved if isinstance(self.policy, GivenMasks) else ()))

    def kept(self) -> dict[str, NDArray[np.bool_]]:
        """True = kept, by parameter name."""
        return {n: m.asnumpy() > 0 for n, m in self.masks.items()}

    def sparsity(self) -> float:
        """Share of suppressed weights among all weights that have a mask."""
        kept = self.kept()
        return 1.0 - sum(int(k.sum()) for k in kept.values()) / sum(k.size for k in kept.values())

    def update(self, step: int) -> bool:
        """Suppresses what the policy asks for after ``step``; whether anything changed. Given masks are not touched.

        The choice reads the weights alone, so that it is post-processing of them.
        """
        if isinstance(self.policy, GivenMasks) or not self.policy.due(step):
            return False
        for name, weight in self.weights.items():
            values = weight.asnumpy()
            kept = smallest_suppressed(values, self.policy.target(step), self.policy.minimum.get(name, 0))
            kept &= self.masks[name].asnumpy() > 0
            self.masks[name].set_data(Tensor(kept.astype(np.float32)))
            # The step masks the weight after every update; at once, so that no reader sees the old value in between.
            weight.set_data(Tensor(np.where(kept, values, np.float32(0)).astype(values.dtype)))
        return True


def all_kept(parameter: Parameter) -> Parameter:
    """A mask that keeps the whole of a parameter, under the name that masks have in checkpoints."""
    return Parameter(
        Tensor(np.ones(parameter.shape, np.float32)), name=PREFIX + str(parameter.name), requires_grad=False
    )


def smallest_suppressed(weights: NDArray[Any], sparsity: float, minimum: int) -> NDArray[np.bool_]:
    """A mask, True = kept, that suppresses the given share of the smallest magnitudes.

    Args:
        sparsity: share of zeros; the count is rounded down.
        minimum: how many weights stay at least; without effect when the sparsity leaves more anyway.

    >>> smallest_suppressed(np.array([0.1, -3.0, 0.2, 2.0]), 0.5, minimum=0)
    array([False,  True, False,  True])
    """
    count = min(int(weights.size * sparsity), weights.size - min(minimum, weights.size))
    kept = np.ones(weights.size, bool)
    if count > 0:
        kept[np.argpartition(np.abs(weights).ravel(), count - 1)[:count]] = False
    return kept.reshape(weights.shape)


def _masked(policy: MaskPolicy, trained: dict[str, Parameter]) -> tuple[str, ...]:
    """The names of the parameters that get a mask.

    Raises:
        ValueError: there are none, or one of them is not trained.
    """
    if isinstance(policy, Suppression):
        names = policy.layers if policy.layers is not None else tuple(n for n, p in trained.items() if p.ndim >= 2)
        wanted = (*names, *policy.minimum)
    else:
        names = wanted = tuple(policy.masks)
    missing = [n for n in wanted if n not in trained]
    if missing or not names:
        raise ValueError(
            f"{', '.join(missing) or 'no parameter'} cannot be suppressed; trained are {', '.join(trained)}"
        )
    return names


def _checked(mask: Parameter, weight: Parameter) -> Parameter:
    if tuple(mask.shape) != tuple(weight.shape) or mask.requires_grad:
        raise ValueError(
            f"the mask of {weight.name} has shape {tuple(mask.shape)} and requires_grad={mask.requires_grad}; it must "
            f"have shape {tuple(weight.shape)} and not be trained"
        )
    return mask
