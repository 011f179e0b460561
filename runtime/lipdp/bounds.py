"""Sweeps the layers' rules over a model: a bound of each parameter's gradient, before any data is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindveil.runtime.lipdp.compat import original_bounds
from mindveil.runtime.lipdp.rules import Norms

if TYPE_CHECKING:
    from mindveil.runtime.lipdp.model import DP_Model

__all__ = ["compute_gradient_bounds", "example_bounds", "input_bounds"]


def compute_gradient_bounds(model: DP_Model, *, norms: Norms = "static", compat: bool = False) -> dict[str, float]:
    """Parameter name -> bound of what one example adds to the norm of the mean gradient, last layer first.

    The mean is the sum over ``dataset_metadata.batch_size``, whatever the batch holds.

    Args:
        norms: ``static``: what projections guarantee; ``current``: certified norms of the weights as they are, which
            are public after each noisy update.
        compat: the numbers of the original, for comparison alone: they are too small for convolutions and biases.

    Raises:
        ValueError: the model has no loss yet, or no bounded input.
    """
    batch = model.dataset_metadata.batch_size
    if compat:
        return original_bounds(model)
    return {name: value / batch for name, value in example_bounds(model, norms).items()}


def example_bounds(model: DP_Model, norms: Norms = "static") -> dict[str, float]:
    """Parameter name -> bound of the norm of one example's gradient of its own loss, last layer first."""
    layers = model.layers_forward_order()
    entering = input_bounds(model, norms)
    gradient: Any = model.lipschitz_constant()
    bounds: dict[str, float] = {}
    for layer, entered in zip(reversed(layers), reversed(entering), strict=True):
        if layer.has_parameters():
            bounds[layer.parameter().name] = float(layer.backpropagate_params(entered, gradient))
        gradient = layer.backpropagate_inputs(entered, gradient, norms)
    return bounds


def input_bounds(model: DP_Model, norms: Norms = "static") -> list[Any]:
    """The bound of the norm that enters each layer, forward; None before the input is bounded.

    Raises:
        ValueError: a layer comes before `DP_BoundedInput`.
    """
    from mindveil.runtime.lipdp.balls import DP_BoundedInput
    from mindveil.runtime.lipdp.shaping import DP_InputLayer

    entering: list[Any] = []
    bound: Any = None
    for layer in model.layers_forward_order():
        if bound is None and not isinstance(layer, DP_BoundedInput | DP_InputLayer):
            raise ValueError(
                f"{type(layer).__name__} comes before DP_BoundedInput, so that its input has no bound; begin with it"
            )
        entering.append(bound)
        bound = layer.propagate_inputs(bound, norms)
    return entering
