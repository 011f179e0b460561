"""Layers that move numbers without changing any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mindspore import Tensor, ops

from mindveil.runtime.lipdp.rules import Bound, DPLayer, Norms, Shape, size

__all__ = ["DP_Flatten", "DP_InputLayer", "DP_Lambda", "DP_Permute", "DP_Reshape"]


class DP_Flatten(DPLayer):
    """``[B, ...]`` to ``[B, features]``."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__()

    def build(self, shape: Shape) -> Shape:
        """One axis."""
        return (size(shape),)

    def construct(self, x: Tensor) -> Tensor:
        """``[B, features]``."""
        return ops.reshape(x, (x.shape[0], -1))


class DP_Reshape(DPLayer):
    """Another shape of each example; one extent may be -1."""

    def __init__(self, target_shape: tuple[int, ...], name: str | None = None) -> None:
        super().__init__()
        self.target_shape = tuple(int(n) for n in target_shape)

    def build(self, shape: Shape) -> Shape:
        """Raises: ValueError: another number of numbers is asked for."""
        known = size(n for n in self.target_shape if n != -1)
        target = tuple(size(shape) // known if n == -1 else n for n in self.target_shape)
        if size(target) != size(shape):
            raise ValueError(f"an example of shape {tuple(shape)} cannot be reshaped to {self.target_shape}")
        self.resolved = target
        return target

    def construct(self, x: Tensor) -> Tensor:
        """``[B, *target_shape]``."""
        return ops.reshape(x, (x.shape[0], *self.resolved))


class DP_Permute(DPLayer):
    """The axes of each example in another order, counted from 1 as in Keras."""

    def __init__(self, dims: tuple[int, ...], name: str | None = None) -> None:
        super().__init__()
        if sorted(dims) != list(range(1, len(dims) + 1)):
            raise ValueError(f"dims is {dims}, and must be a permutation of 1 to {len(dims)}")
        self.dims = tuple(dims)

    def build(self, shape: Shape) -> Shape:
        """Raises: ValueError: the example has another number of axes."""
        if len(shape) != len(self.dims):
            raise ValueError(f"dims is {self.dims}, but an example has the shape {tuple(shape)}")
        return tuple(shape[d - 1] for d in self.dims)

    def construct(self, x: Tensor) -> Tensor:
        """The permuted example."""
        return ops.transpose(x, (0, *self.dims))


class DP_InputLayer(DPLayer):
    """Returns its input; bounds nothing, so that `DP_BoundedInput` must follow."""

    def __init__(self, input_shape: tuple[int, ...] | None = None, name: str | None = None) -> None:
        super().__init__()

    def construct(self, x: Tensor) -> Tensor:
        """The input."""
        return x


class DP_Lambda(DPLayer):
    """A function of the user's own, with the gains that the user states.

    The rules trust the statement: it must hold for every input, example by example. The compiled step trusts nothing
    and follows the function's own operations.

    Args:
        function: of a tensor ``[B, ...]``.
        arguments: constants handed to it by name.
        gain: bound of ``||f(x)|| / ||x||``.
        cotangent_gain: bound of the Jacobian's norm; ``gain`` by default.
        output_shape: of one example; None: as the input's.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: dict[str, Any] | None = None,
        gain: float = 1.0,
        cotangent_gain: float | None = None,
        output_shape: tuple[int, ...] | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self.function = function
        self.arguments = dict(arguments or {})
        self.gain = float(gain)
        self.cotangent_gain = self.gain if cotangent_gain is None else float(cotangent_gain)
        self.output_shape = output_shape

    def build(self, shape: Shape) -> Shape:
        """The stated shape."""
        return shape if self.output_shape is None else self.output_shape

    def construct(self, x: Tensor) -> Tensor:
        """``function(x)``."""
        return self.function(x, **self.arguments)

    def propagate_inputs(self, input_bound: Bound, norms: Norms = "static") -> Bound:
        """``gain X``."""
        return self.gain * input_bound

    def backpropagate_inputs(self, input_bound: Bound, gradient_bound: Bound, norms: Norms = "static") -> Bound:
        """``cotangent_gain G``."""
        return self.cotangent_gain * gradient_bound
