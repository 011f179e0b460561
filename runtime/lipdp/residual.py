"""Residual branches as layers of a list: split, layers on the second branch, merge."""

from __future__ import annotations

from typing import Any

from mindspore import Tensor

from mindveil.runtime.lipdp.rules import Bound, DPLayer, Norms, Shape

__all__ = ["DP_MergeResidual", "DP_SplitResidual", "DP_WrappedResidual", "make_residuals"]

_POLICIES = ("add", "1-lip-add")


class DP_SplitResidual(DPLayer):
    """``x`` to ``(x, x)``: input ``(X, X)``, cotangent ``G1 + G2``."""

    def build(self, shape: Shape) -> Shape:
        """Two of it."""
        return (shape, shape)

    def construct(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both branches."""
        return x, x

    def propagate_inputs(self, input_bound: Bound, norms: Norms = "static") -> Bound:
        """``(X, X)``."""
        return input_bound, input_bound

    def backpropagate_inputs(self, input_bound: Bound, gradient_bound: Bound, norms: Norms = "static") -> Bound:
        """``G1 + G2``."""
        first, second = gradient_bound
        return first + second


class DP_WrappedResidual(DPLayer):
    """Applies ``block`` to the second branch, with the block's own rules, projection and norms."""

    def __init__(self, block: DPLayer, name: str | None = None) -> None:
        super().__init__()
        self.block = block
        self.nm_coef = block.nm_coef

    def build(self, shape: Shape) -> Shape:
        """The block's, for the second branch."""
        first, second = shape
        return first, self.block.build(second)

    def construct(self, x: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """The first branch as it was, the second after the block."""
        return x[0], self.block(x[1])

    def propagate_inputs(self, input_bound: Bound, norms: Norms = "static") -> Bound:
        """``(X1, block(X2))``."""
        first, second = input_bound
        return first, self.block.propagate_inputs(second, norms)

    def backpropagate_inputs(self, input_bound: Bound, gradient_bound: Bound, norms: Norms = "static") -> Bound:
        """``(G1, block(G2))``."""
        first, second = gradient_bound
        return first, self.block.backpropagate_inputs(input_bound[1], second, norms)

    def backpropagate_params(self, input_bound: Bound, gradient_bound: Bound) -> float:
        """The block's, of the second branch."""
        return self.block.backpropagate_params(input_bound[1], gradient_bound[1])

    def has_parameters(self) -> bool:
        """Whether the block has one."""
        return self.block.has_parameters()

    def parameter(self) -> Any:
        """The block's."""
        return self.block.parameter()


class DP_MergeResidual(DPLayer):
    """The sum of both branches (``add``), or half of it (``1-lip-add``)."""

    def __init__(self, merge_policy: str, name: str | None = None) -> None:
        super().__init__()
        if merge_policy not in _POLICIES:
            raise ValueError(f"merge_policy is {merge_policy!r}, and must be one of {', '.join(_POLICIES)}")
        self.merge_policy = merge_policy
        self.factor = 1.0 if merge_policy == "add" else 0.5

    def build(self, shape: Shape) -> Shape:
        """Raises: ValueError: the branches have different shapes."""
        first, second = shape
        if tuple(first) != tuple(second):
            raise ValueError(f"the branches have the shapes {tuple(first)} and {tuple(second)}, and must have the same")
        return first

    def construct(self, x: tuple[Tensor, Tensor]) -> Tensor:
        """One tensor."""
        total = x[0] + x[1]
        return total if self.factor == 1.0 else total * self.factor

    def propagate_inputs(self, input_bound: Bound, norms: Norms = "static") -> Bound:
        """``X1 + X2``, or half of it."""
        first, second = input_bound
        return self.factor * (first + second)

    def backpropagate_inputs(self, input_bound: Bound, gradient_bound: Bound, norms: Norms = "static") -> Bound:
        """``(G, G)``, or half of each."""
        return self.factor * gradient_bound, self.factor * gradient_bound


def make_residuals(merge_policy: str, wrapped_layers: list[DPLayer]) -> list[DPLayer]:
    """The layers of one residual block around ``wrapped_layers``."""
    return [
        DP_SplitResidual(),
        *(DP_WrappedResidual(layer) for layer in wrapped_layers),
        DP_MergeResidual(merge_policy),
    ]
