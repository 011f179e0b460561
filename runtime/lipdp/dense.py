"""Dense layers whose weight is projected after every update: spectral norm, or Frobenius norm, at most 1."""

from __future__ import annotations

from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, ops

from mindveil.runtime.lipdp.rules import Bound, DPLayer, Norms, Shape, refuse_bias
from mindveil.runtime.spectral import frobenius_project, orthonormal, spectral_bound, spectral_project

__all__ = ["DP_QuickFrobeniusDense", "DP_QuickSpectralDense", "DP_SpectralDense"]


class DP_QuickSpectralDense(DPLayer):
    """``x W^T`` over the last axis, with all singular values of W at most 1 and drawn towards 1.

    Rules: input ``s X``, cotangent ``s G``, parameter ``X G``, where s = 1 or the certified norm of W. The last one is
    ``||sum_t g_t x_t^T||_F <= ||X||_F ||G||_F``, equal for a single row.

    Args:
        units: features of the output.
        use_bias: must be False.
        kernel_initializer: ``orthogonal`` or ``identity``.
        nm_coef: the layer's share of noise under ``per-layer``.
    """

    def __init__(
        self,
        units: int,
        use_bias: bool = False,
        kernel_initializer: str = "orthogonal",
        nm_coef: float = 1.0,
        name: str | None = None,
    ) -> None:
        super().__init__()
        refuse_bias(type(self).__name__, use_bias)
        self.units = units
        self.kernel_initializer = kernel_initializer
        self.nm_coef = nm_coef
        self.matmul = ops.MatMul(transpose_b=True)

    def build(self, shape: Shape) -> Shape:
        """Makes the weight ``[units, features]``."""
        first = orthonormal(self.units, int(shape[-1]), self.kernel_initializer)
        self.weight = Parameter(Tensor(first), name="weight")
        self.project()
        return (*shape[:-1], self.units)

    def construct(self, x: Tensor) -> Tensor:
        """``[B, ..., features]`` to ``[B, ..., units]``."""
        shape = x.shape
        if len(shape) == 2:
            return self.matmul(x, self.weight)
        return ops.reshape(self.matmul(ops.reshape(x, (-1, shape[-1])), self.weight), (*shape[:-1], self.units))

    def propagate_inputs(self, input_bound: Bound, norms: Norms = "static") -> Bound:
        """``s X``."""
        return self._norm(norms) * input_bound

    def backpropagate_inputs(self, input_bound: Bound, gradient_bound: Bound, norms: Norms = "static") -> Bound:
        """``s G``."""
        return self._norm(norms) * gradient_bound

    def backpropagate_params(self, input_bound: Bound, gradient_bound: Bound) -> float:
        """``X G``."""
        return float(input_bound * gradient_bound)

    def has_parameters(self) -> bool:
        """True."""
        return True

    def parameter(self) -> Any:
        """The weight ``[units, features]``."""
        return self.weight

    def project(self) -> None:
        """Spectral norm at most 1."""
        self.weight.set_data(Tensor(spectral_project(self.weight.asnumpy())))

    def certified(self) -> dict[str, float]:
        """The spectral norm."""
        return {self.weight.name: spectral_bound(self.weight.asnumpy())}

    def guaranteed(self) -> dict[str, float]:
        """1."""
        return {self.weight.name: 1.0}

    def _norm(self, norms: Norms) -> float:
        return (self.certified() if norms == "current" else self.guaranteed())[self.weight.name]


class DP_SpectralDense(DP_QuickSpectralDense):
    """The same layer: projected, where the original differentiates through its re-parametrisation without a bound."""


class DP_QuickFrobeniusDense(DP_QuickSpectralDense):
    """``x W^T`` with a Frobenius norm of 1; the rules are the spectral layer's, as ``||W||_2 <= ||W||_F``."""

    def project(self) -> None:
        """Frobenius norm 1."""
        self.weight.set_data(Tensor(frobenius_project(np.asarray(self.weight.asnumpy()))))
