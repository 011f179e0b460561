"""Chooses which weights to suppress, and keeps the masks as Parameters that travel with a checkpoint."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor
from numpy.typing import NDArray

from mindveil.runtime.policies import Suppression

__all__ = ["Masks", "smallest_suppressed"]

PREFIX = "mask."


class Masks:
    """The masks of a training step, one Parameter of zeros and ones for each suppressed parameter."""

    def __init__(self, policy: Suppression, parameters: Iterable[Parameter]) -> None:
        self.policy = policy
        trained = {p.name: p for p in parameters}
        names = policy.layers if policy.layers is not None else tuple(n for n, p in trained.items() if p.ndim >= 2)
        missing = [n for n in (*names, *policy.minimum) if n not in trained]
        if missing or not names:
            raise ValueError(
                f"{', '.join(missing) or 'no parameter'} cannot be suppressed; trained are {', '.join(trained)}"
            )
        self.weights = {n: trained[n] for n in names}
        self.masks = {
            n: Parameter(Tensor(np.ones(trained[n].shape, np.float32)), name=PREFIX + n, requires_grad=False)
            for n in names
        }

    def kept(self) -> dict[str, NDArray[np.bool_]]:
        """True = kept, by parameter name."""
        return {n: m.asnumpy() > 0 for n, m in self.masks.items()}

    def sparsity(self) -> float:
        """Share of suppressed weights among all weights that have a mask."""
        kept = self.kept()
        return 1.0 - sum(int(k.sum()) for k in kept.values()) / sum(k.size for k in kept.values())

    def update(self, step: int) -> bool:
        """Suppresses what the policy asks for after ``step``; whether anything changed.

        The choice reads the weights alone, so that it is post-processing of them.
        """
        if not self.policy.due(step):
            return False
        for name, weight in self.weights.items():
            values = weight.asnumpy()
            kept = smallest_suppressed(values, self.policy.target(step), self.policy.minimum.get(name, 0))
            kept &= self.masks[name].asnumpy() > 0
            self.masks[name].set_data(Tensor(kept.astype(np.float32)))
            # The step masks the weight after every update; at once, so that no reader sees the old value in between.
            weight.set_data(Tensor(np.where(kept, values, np.float32(0)).astype(values.dtype)))
        return True


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
