"""What every layer states of itself: how norms pass forward and back, and how they bound a parameter's gradient."""

from __future__ import annotations

from typing import Any, Literal

from mindspore import nn

__all__ = ["Bound", "DPLayer", "Norms", "Shape", "refuse_bias", "size"]

#: A bound of norms, or one for each of two residual branches.
Bound = Any
#: One example's shape, or one for each of two residual branches.
Shape = Any
#: ``static``: what projections guarantee of any weights. ``current``: certified norms of the weights as they are.
Norms = Literal["static", "current"]


class DPLayer(nn.Cell):
    """A layer with three rules over Euclidean norms of single examples; this one leaves every norm as it is.

    ``X`` bounds the norm of the layer's input, ``G`` that of the cotangent at its output, both for every example.
    """

    nm_coef: float = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.states_bounds = False

    def build(self, shape: Shape) -> Shape:
        """Makes the parameters for one example's shape, channels first; returns that of the output."""
        return shape

    def propagate_inputs(self, input_bound: Bound, norms: Norms = "static") -> Bound:
        """A bound of the output's norm."""
        return input_bound

    def backpropagate_inputs(self, input_bound: Bound, gradient_bound: Bound, norms: Norms = "static") -> Bound:
        """A bound of the cotangent's norm at the input."""
        return gradient_bound

    def backpropagate_params(self, input_bound: Bound, gradient_bound: Bound) -> float:
        """A bound of the norm of the parameter's gradient.

        Raises:
            ValueError: the layer has no parameter.
        """
        raise ValueError(f"{type(self).__name__} has no parameter")

    def has_parameters(self) -> bool:
        """Whether the layer has a parameter; it has one at most."""
        return False

    def parameter(self) -> Any:
        """The layer's parameter.

        Raises:
            ValueError: it has none.
        """
        raise ValueError(f"{type(self).__name__} has no parameter")

    def project(self) -> None:
        """Puts the parameter back into its feasible set; a function of released values alone."""

    def certified(self) -> dict[str, float]:
        """By parameter name, an upper bound of the norm of the parameter as it is now."""
        return {}

    def guaranteed(self) -> dict[str, float]:
        """By parameter name, an upper bound of the norm of any parameter that ``project`` returned."""
        return {}


def refuse_bias(layer: str, use_bias: bool) -> None:
    """
    Raises:
        ValueError: a bias is asked for.
    """
    if use_bias:
        raise ValueError(f"{layer} has one parameter and no bias of its own: add DP_AddBias after it")


def size(shape: Shape) -> int:
    """Numbers in one example."""
    total = 1
    for extent in shape:
        total *= int(extent)
    return total
