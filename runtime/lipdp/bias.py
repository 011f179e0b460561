"""A bias within a ball, added after a layer."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, ops

from mindveil.runtime.lipdp.rules import Bound, DPLayer, Norms, Shape, size

__all__ = ["DP_AddBias"]


class DP_AddBias(DPLayer):
    """Adds ``b`` to each position: to the channels of an image, or to the last axis of anything else.

    ``b`` is projected onto the ball of radius ``norm_max`` after every update. Rules, with P positions: input
    ``X + sqrt(P) ||b||``, cotangent ``G``, parameter ``sqrt(P) G`` (a sum over P positions, by Cauchy and Schwarz).

    Args:
        norm_max: bound of the Euclidean norm of the bias.
        nm_coef: the layer's share of noise under ``per-layer``.
    """

    def __init__(self, norm_max: float = 1.0, nm_coef: float = 1.0, name: str | None = None) -> None:
        super().__init__()
        if not norm_max >= 0:
            raise ValueError(f"norm_max is {norm_max}, and must be at least 0")
        self.norm_max = float(norm_max)
        self.nm_coef = nm_coef

    def build(self, shape: Shape) -> Shape:
        """Makes the bias, zero at first."""
        image = len(shape) == 3
        channels = int(shape[0] if image else shape[-1])
        self.positions = size(shape) // channels
        self.broadcast = (1, channels, 1, 1) if image else (1,) * len(shape) + (channels,)
        self.bias = Parameter(Tensor(np.zeros(channels, np.float32)), name="bias")
        return shape

    def construct(self, x: Tensor) -> Tensor:
        """``x + b``."""
        return x + ops.reshape(self.bias, self.broadcast)

    def propagate_inputs(self, input_bound: Bound, norms: Norms = "static") -> Bound:
        """``X + sqrt(P) ||b||``."""
        norm = (self.certified() if norms == "current" else self.guaranteed())[self.bias.name]
        return input_bound + sqrt(self.positions) * norm

    def backpropagate_params(self, input_bound: Bound, gradient_bound: Bound) -> float:
        """``sqrt(P) G``."""
        return float(sqrt(self.positions) * gradient_bound)

    def has_parameters(self) -> bool:
        """True."""
        return True

    def parameter(self) -> Any:
        """The bias."""
        return self.bias

    def project(self) -> None:
        """Norm at most ``norm_max``, after rounding too."""
        given = self.bias.asnumpy().astype(np.float64)
        norm = float(np.linalg.norm(given))
        if not np.isfinite(norm):
            raise ArithmeticError(f"{self.bias.name} is not finite")
        if norm > self.norm_max:
            self.bias.set_data(Tensor((given * (self.norm_max / (norm * (1 + 2.0**-22)))).astype(np.float32)))

    def certified(self) -> dict[str, float]:
        """The norm of the bias, with the rounding of its computation."""
        return {self.bias.name: float(np.linalg.norm(self.bias.asnumpy().astype(np.float64))) * (1 + 1e-12)}

    def guaranteed(self) -> dict[str, float]:
        """``norm_max``."""
        return {self.bias.name: self.norm_max}
