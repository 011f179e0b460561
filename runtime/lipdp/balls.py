"""Layers that put examples into a ball: inputs on the way forward, cotangents on the way back."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

from mindveil.accountant import Event
from mindveil.runtime.bound_marker import MindveilBound
from mindveil.runtime.lipdp.rules import Bound, DPLayer, Norms, Shape

__all__ = ["DP_BoundedInput", "DP_ClipGradient", "into_ball", "only", "row_norms"]

#: What the clipped norm stays below its cap by, for the rounding of norms and products in float32.
_BELOW = 1 - 1e-6
# Functions of `ops` that branch in Python cannot be compiled both in a Cell's `construct` and in its `bprop`.
_MAX, _SUM = ops.ReduceMax(keep_dims=True), ops.ReduceSum(keep_dims=True)
_ZEROS = ops.ZerosLike()


class DP_BoundedInput(DPLayer):
    """Scales every example down to a norm of ``upper_bound`` at most; every network begins with it.

    Rules: input ``min(X, upper_bound)``, cotangent ``G``. An example that is not finite becomes zero.

    Args:
        upper_bound: of the Euclidean norm of a whole example.
        enforce_clipping: False: an example beyond the bound becomes zero instead; the bound holds either way.
        input_shape: of one example, channels first; checked against the data set's where given.
    """

    def __init__(
        self,
        input_shape: tuple[int, ...] | None = None,
        *,
        upper_bound: float,
        enforce_clipping: bool = True,
        name: str | None = None,
    ) -> None:
        super().__init__()
        upper_bound = float(upper_bound)
        if not 0 < upper_bound < float("inf"):
            raise ValueError(f"upper_bound is {upper_bound}, and must be finite and positive")
        self.upper_bound = upper_bound
        self.input_shape = None if input_shape is None else tuple(input_shape)
        self.clip = _BallForward(upper_bound, enforce_clipping)

    def build(self, shape: Shape) -> Shape:
        """Raises: ValueError: the data set has another shape."""
        if self.input_shape is not None and self.input_shape != tuple(shape):
            raise ValueError(f"input_shape is {self.input_shape}, but the data set's examples are {tuple(shape)}")
        return shape

    def construct(self, x: Tensor) -> Tensor:
        """The same shape."""
        return self.clip(x)

    def propagate_inputs(self, input_bound: Bound, norms: Norms = "static") -> Bound:
        """``min(X, upper_bound)``; ``X`` is None for the first layer."""
        return self.upper_bound if input_bound is None else min(self.upper_bound, input_bound)


class DP_ClipGradient(DPLayer):
    """The identity, whose way back scales every example's cotangent down to a norm of ``clip_value`` at most.

    Rules: input ``X``, cotangent ``min(G, clip_value)``, both for single examples, so that a smaller value lowers the
    noise. A cotangent that is not finite becomes zero.

    Args:
        clip_value: the cap; None with ``dynamic``: the loss's Lipschitz constant at first.
        mode: ``fixed``, or ``dynamic`` where a callback adapts the value.
    """

    def __init__(self, clip_value: float | None, mode: str = "fixed", name: str | None = None) -> None:
        super().__init__()
        if mode not in ("fixed", "dynamic"):
            raise ValueError(f"mode is {mode!r}, and must be 'fixed' or 'dynamic'")
        if clip_value is None and mode == "fixed":
            raise ValueError("clip_value is None, and must be a number in mode 'fixed'")
        self.mode = mode
        self.waiting = clip_value is None
        self.adaptation: tuple[Event, int] | None = None  # what one adaptation releases, and its period in epochs
        self.clip = _BallBack()
        self.clip_value = Parameter(Tensor(0.0, ms.float32), name="clip_value", requires_grad=False)
        if clip_value is not None:
            self.update_clipping_value(clip_value)

    def update_clipping_value(self, new_clip_value: float) -> None:
        """Sets the cap, a value that depends on no data or was released.

        Raises:
            ValueError: it is negative or not finite.
        """
        if not 0 <= new_clip_value < float("inf"):
            raise ValueError(f"clip_value is {new_clip_value}, and must be finite and at least 0")
        self.clip_value.set_data(Tensor(float(new_clip_value), ms.float32))
        self.waiting = False

    def construct(self, x: Tensor) -> Tensor:
        """``x``."""
        return self.clip(x, self.clip_value)

    def backpropagate_inputs(self, input_bound: Bound, gradient_bound: Bound, norms: Norms = "static") -> Bound:
        """``min(G, clip_value)``.

        Raises:
            ValueError: the value was never set.
        """
        if self.waiting:
            raise ValueError("the clip value of DP_ClipGradient was never set: give one, or add its callback to fit")
        return min(gradient_bound, float(self.clip_value.asnumpy()))


def row_norms(x: Any) -> Any:
    """The norm of each example, ``[B, 1, ...]``; accurate where squares would overflow or vanish."""
    axes = tuple(range(1, x.ndim))
    largest = ops.maximum(_MAX(ops.abs(x), axes), Tensor(1e-30, x.dtype))
    return largest * ops.sqrt(_SUM(ops.square(x / largest), axes))


def into_ball(x: Any, cap: Any) -> Any:
    """Each example scaled to ``cap`` at most; one that is not finite becomes zero."""
    norms = row_norms(x)
    factor = ops.minimum(cap * _BELOW / ops.maximum(norms, Tensor(1e-30, x.dtype)), Tensor(1.0, x.dtype))
    return only(ops.less(norms, Tensor(3e38, x.dtype)), x * factor)


def only(rows: Any, x: Any) -> Any:
    """``x`` in the examples that ``rows [B, 1, ...]`` names, zero in all others, whatever they hold."""
    return ops.select(ops.broadcast_to(rows, x.shape), x, _ZEROS(x))


class _BallForward(nn.Cell):
    """Puts examples into the ball; the way back is the projection's own derivative."""

    def __init__(self, radius: float, enforce: bool) -> None:
        super().__init__()
        self.radius, self.enforce = radius, enforce
        self.states_bounds = False
        self.stated_cap = MindveilBound(1.0, 0.0)
        self.stated = MindveilBound(1.0, 0.0)

    def construct(self, x: Tensor) -> Tensor:
        cap = Tensor(self.radius, ms.float32)
        y = into_ball(x, cap)
        if not self.enforce:
            y = only(row_norms(x) <= cap, y)
        if self.states_bounds:
            y = self.stated_cap(y, x, cap)
        return y

    def bprop(self, x: Tensor, out: Tensor, dy: Tensor) -> tuple[Tensor]:
        axes = tuple(range(1, x.ndim))
        norms = row_norms(x)
        beyond = ops.broadcast_to(norms > self.radius * _BELOW, x.shape)
        direction = into_ball(x, Tensor(1e30, ms.float32)) / ops.maximum(norms, Tensor(1e-30, x.dtype))
        across = dy - direction * _SUM(direction * dy, axes)
        shrink = ops.minimum(self.radius * _BELOW / ops.maximum(norms, Tensor(1e-30, x.dtype)), Tensor(1.0, x.dtype))
        outside = across * shrink if self.enforce else _ZEROS(dy)
        dx = into_ball(ops.select(beyond, outside, dy), row_norms(dy) / _BELOW)
        if self.states_bounds:
            dx = self.stated(dx, dy)
        return (dx,)


class _BallBack(nn.Cell):
    """The identity, with cotangents put into the ball."""

    def __init__(self) -> None:
        super().__init__()
        self.states_bounds = False
        self.stated = MindveilBound(1.0, 0.0)

    def construct(self, x: Tensor, cap: Tensor) -> Tensor:
        y = x * Tensor(1.0, x.dtype)
        if self.states_bounds:
            y = self.stated(y, x)
        return y

    def bprop(self, x: Tensor, cap: Tensor, out: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        dx = into_ball(dy, cap)
        if self.states_bounds:
            dx = self.stated(dx, dy, cap)
        return dx, ops.zeros_like(cap)
