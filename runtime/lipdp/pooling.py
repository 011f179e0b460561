"""Pooling: Euclidean norms, maxima and means of windows that do not overlap, or of the whole image."""

from __future__ import annotations

from math import sqrt

from mindspore import Tensor, nn, ops

from mindveil.runtime.bound_marker import MindveilBound
from mindveil.runtime.lipdp.convolution import pair
from mindveil.runtime.lipdp.rules import Bound, DPLayer, Norms, Shape

__all__ = [
    "DP_AveragePooling2D",
    "DP_MaxPool2D",
    "DP_ScaledAveragePooling2D",
    "DP_ScaledGlobalL2NormPooling2D",
    "DP_ScaledL2NormPooling1D",
    "DP_ScaledL2NormPooling2D",
]

#: Below it the norm of a window counts as this: float32 squares keep their digits above, and 0 is never a divisor.
_FLOOR = 1e-12
_MAX, _SUM = ops.ReduceMax(keep_dims=True), ops.ReduceSum(keep_dims=True)
Window = int | tuple[int, int]


class _Pooling(DPLayer):
    """Windows of ``pool_size``, each beside the last; rows and columns that fill no window are left out."""

    def __init__(self, pool_size: Window = 2, strides: Window | None = None, padding: str = "valid") -> None:
        super().__init__()
        self.pool_size = pair(pool_size)
        if strides is not None and pair(strides) != self.pool_size:
            raise ValueError(
                f"strides is {strides} and pool_size {pool_size}: windows that overlap are not 1-Lipschitz"
            )
        if padding not in ("valid", "same"):
            raise ValueError(f"padding is {padding!r}, and must be 'valid' or 'same'")
        self.padding = padding

    def build(self, shape: Shape) -> Shape:
        """Raises: ValueError: the input is no image, or ``same`` would need padding."""
        if len(shape) != 3:
            raise ValueError(f"pooling takes images [C, H, W], got {tuple(shape)}")
        (height, width), (kh, kw) = shape[1:], self.pool_size
        if self.padding == "same" and (height % kh or width % kw):
            raise ValueError(f"padding 'same' needs windows {self.pool_size} that divide the image {tuple(shape)}")
        if height < kh or width < kw:
            raise ValueError(f"a window {self.pool_size} does not fit into {tuple(shape)}")
        self.pool = self._cell()
        return (shape[0], height // kh, width // kw)

    def _cell(self) -> nn.Cell:
        raise TypeError("a pooling layer names the operation of its windows")

    def construct(self, x: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, C, H // kh, W // kw]``."""
        return self.pool(x)


class DP_ScaledL2NormPooling2D(_Pooling):
    """The Euclidean norm of each window: an image keeps its norm, and the way back is a unit vector per window."""

    def __init__(
        self, pool_size: Window = 2, strides: Window | None = None, padding: str = "valid", name: str | None = None
    ) -> None:
        super().__init__(pool_size, strides, padding)

    def _cell(self) -> nn.Cell:
        return _Windows(self.pool_size, "norm", 1.0)


class DP_MaxPool2D(_Pooling):
    """The maximum of each window; where several are equal, the cotangent is shared among them."""

    def __init__(
        self, pool_size: Window = 2, strides: Window | None = None, padding: str = "valid", name: str | None = None
    ) -> None:
        super().__init__(pool_size, strides, padding)

    def _cell(self) -> nn.Cell:
        return _Windows(self.pool_size, "maximum", 1.0)


class DP_AveragePooling2D(_Pooling):
    """The mean of each window: both norms are divided by the root of the window's size at least."""

    scaled = False

    def __init__(
        self, pool_size: Window = 2, strides: Window | None = None, padding: str = "valid", name: str | None = None
    ) -> None:
        super().__init__(pool_size, strides, padding)
        root = sqrt(self.pool_size[0] * self.pool_size[1])
        self.gain = 1.0 if self.scaled else 1 / root

    def _cell(self) -> nn.Cell:
        return _Windows(self.pool_size, "mean", self.gain)

    def propagate_inputs(self, input_bound: Bound, norms: Norms = "static") -> Bound:
        """``X / sqrt(kh kw)``, or ``X`` for the scaled layer."""
        return self.gain * input_bound

    def backpropagate_inputs(self, input_bound: Bound, gradient_bound: Bound, norms: Norms = "static") -> Bound:
        """``G / sqrt(kh kw)``, or ``G`` for the scaled layer."""
        return self.gain * gradient_bound


class DP_ScaledAveragePooling2D(DP_AveragePooling2D):
    """The mean of each window times the root of its size: 1-Lipschitz, and tight."""

    scaled = True


class DP_ScaledGlobalL2NormPooling2D(DPLayer):
    """The Euclidean norm of each channel over the whole image: ``[B, C, H, W]`` to ``[B, C]``."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__()

    def build(self, shape: Shape) -> Shape:
        """One number a channel."""
        if len(shape) != 3:
            raise ValueError(f"global pooling takes images [C, H, W], got {tuple(shape)}")
        self.pool = _Windows((int(shape[1]), int(shape[2])), "norm", 1.0)
        return (shape[0],)

    def construct(self, x: Tensor) -> Tensor:
        """``[B, C]``."""
        return ops.reshape(self.pool(x), (x.shape[0], x.shape[1]))


class DP_ScaledL2NormPooling1D(DPLayer):
    """The Euclidean norm along one axis, which disappears.

    Args:
        axis: counted with the batch in front, which it must not be.
        eps: the original adds it under the root, so that its output may exceed the input's norm; here the output is the
            norm itself, and ``eps`` is the least divisor of the way back.
    """

    def __init__(self, axis: int = -1, eps: float = 1e-6, name: str | None = None) -> None:
        super().__init__()
        if axis == 0 or not eps > 0:
            raise ValueError(f"axis is {axis} and eps {eps}: the batch has no norm, and eps must be positive")
        self.axis, self.eps = axis, float(eps)

    def build(self, shape: Shape) -> Shape:
        """Without the axis."""
        axis = self.axis % (len(shape) + 1)
        if axis == 0:
            raise ValueError(f"axis {self.axis} of an example {tuple(shape)} is the batch")
        self.pool = _Axis(axis, self.eps)
        return tuple(n for k, n in enumerate(shape, 1) if k != axis)

    def construct(self, x: Tensor) -> Tensor:
        """The norms."""
        return self.pool(x)


class _Windows(nn.Cell):
    """What happens to windows of an image, and its way back; ``gain`` is what both norms grow by at most."""

    def __init__(self, window: tuple[int, int], kind: str, gain: float) -> None:
        super().__init__()
        self.kh, self.kw = window
        self.kind = kind
        self.factor = gain / sqrt(window[0] * window[1]) if kind == "mean" else 1.0
        self.states_bounds = False
        self.stated = MindveilBound(gain, 0.0)

    def windows(self, x: Tensor) -> Tensor:
        """``[B, C, H', kh, W', kw]``."""
        batch, channels, height, width = x.shape
        rows, columns = height // self.kh, width // self.kw
        if rows * self.kh != height or columns * self.kw != width:
            x = x[:, :, : rows * self.kh, : columns * self.kw]
        return ops.reshape(x, (batch, channels, rows, self.kh, columns, self.kw))

    def reduce(self, windows: Tensor) -> Tensor:
        """One number a window, with its axes kept."""
        if self.kind == "norm":
            return ops.sqrt(_SUM(ops.square(windows), (3, 5)))
        if self.kind == "maximum":
            return _MAX(windows, (3, 5))
        return _SUM(windows, (3, 5)) * self.factor

    def construct(self, x: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        y = ops.reshape(self.reduce(self.windows(x)), (batch, channels, height // self.kh, width // self.kw))
        if self.states_bounds:
            y = self.stated(y, x)
        return y

    def bprop(self, x: Tensor, out: Tensor, dy: Tensor) -> tuple[Tensor]:
        batch, channels, height, width = x.shape
        rows, columns = height // self.kh, width // self.kw
        windows = self.windows(x)
        wide = ops.reshape(dy, (batch, channels, rows, 1, columns, 1))
        pooled = ops.reshape(out, (batch, channels, rows, 1, columns, 1))
        if self.kind == "norm":
            dx = windows * (wide / ops.maximum(pooled, Tensor(_FLOOR, dy.dtype)))
        elif self.kind == "maximum":
            chosen = ops.cast(ops.equal(windows, pooled), dy.dtype)
            count = _SUM(chosen, (3, 5))
            dx = chosen * (wide / ops.maximum(count, Tensor(1.0, dy.dtype)))
        else:
            dx = ops.ones_like(windows) * (wide * self.factor)
        dx = ops.reshape(dx, (batch, channels, rows * self.kh, columns * self.kw))
        if rows * self.kh != height or columns * self.kw != width:
            dx = ops.pad(dx, (0, width - columns * self.kw, 0, height - rows * self.kh))
        if self.states_bounds:
            dx = self.stated(dx, dy)
        return (dx,)


class _Axis(nn.Cell):
    """The norm along one axis."""

    def __init__(self, axis: int, floor: float) -> None:
        super().__init__()
        self.axis, self.floor = axis, floor
        self.states_bounds = False
        self.stated = MindveilBound(1.0, 0.0)

    def construct(self, x: Tensor) -> Tensor:
        y = ops.sqrt(ops.sum(ops.square(x), self.axis))
        if self.states_bounds:
            y = self.stated(y, x)
        return y

    def bprop(self, x: Tensor, out: Tensor, dy: Tensor) -> tuple[Tensor]:
        dx = x * ops.expand_dims(dy / ops.maximum(out, Tensor(self.floor, dy.dtype)), self.axis)
        if self.states_bounds:
            dx = self.stated(dx, dy)
        return (dx,)
