"""Activations that keep norms: sorted pairs or groups of channels, and rectification."""

from __future__ import annotations

from mindspore import Tensor, nn, ops

from mindveil.runtime.bound_marker import MindveilBound
from mindveil.runtime.lipdp.rules import DPLayer, Shape

__all__ = ["DP_GroupSort", "DP_ReLU"]


class DP_GroupSort(DPLayer):
    """Sorts groups of ``n`` features: channels of an image, or the last axis of anything else.

    A group holds features that are ``features / n`` apart; for pairs that is one of each half, which MindSpore computes
    ten times faster than neighbours. A sort is a permutation of each example's numbers, so that both norms stay.

    Args:
        n: size of a group; None sorts all features.
    """

    def __init__(self, n: int | None = None, name: str | None = None) -> None:
        super().__init__()
        if n is not None and n < 1:
            raise ValueError(f"n is {n}, and must be at least 1")
        self.n = n

    def build(self, shape: Shape) -> Shape:
        """Raises: ValueError: groups do not divide the features."""
        image = len(shape) == 3
        features = int(shape[0] if image else shape[-1])
        n = features if self.n is None else self.n
        if features % n != 0:
            raise ValueError(f"{features} features cannot be sorted in groups of {n}")
        axis = 1 if image else len(shape)
        self.sort = _SortPairs(axis) if n == 2 else _SortGroups(axis, n)
        return shape

    def construct(self, x: Tensor) -> Tensor:
        """The same shape, sorted."""
        return self.sort(x)


class DP_ReLU(DPLayer):
    """``max(x, 0)``: both norms can only fall."""

    def __init__(self, name: str | None = None) -> None:
        super().__init__()
        self.rectify = nn.ReLU()

    def construct(self, x: Tensor) -> Tensor:
        """The same shape."""
        return self.rectify(x)


class _SortPairs(nn.Cell):
    """The larger of each pair into the first half of an axis, the smaller into the second."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.states_bounds = False
        self.stated = MindveilBound(1.0, 0.0)
        self.split = ops.Split(axis, 2)

    def construct(self, x: Tensor) -> Tensor:
        first, second = self.split(x)
        y = ops.concat((ops.maximum(first, second), ops.minimum(first, second)), self.axis)
        if self.states_bounds:
            y = self.stated(y, x)
        return y

    def bprop(self, x: Tensor, out: Tensor, dy: Tensor) -> tuple[Tensor]:
        first, second = self.split(x)
        to_larger, to_smaller = self.split(dy)
        ordered = ops.greater_equal(first, second)
        dx = ops.concat(
            (ops.select(ordered, to_larger, to_smaller), ops.select(ordered, to_smaller, to_larger)), self.axis
        )
        if self.states_bounds:
            dx = self.stated(dx, dy)
        return (dx,)


class _SortGroups(nn.Cell):
    """Each group in rising order; the way back undoes the permutation."""

    def __init__(self, axis: int, n: int) -> None:
        super().__init__()
        self.axis, self.n = axis, n
        self.states_bounds = False
        self.stated = MindveilBound(1.0, 0.0)

    def construct(self, x: Tensor) -> Tensor:
        shape = x.shape
        groups = ops.reshape(x, (*shape[: self.axis], self.n, shape[self.axis] // self.n, *shape[self.axis + 1 :]))
        y = ops.reshape(ops.sort(groups, self.axis)[0], shape)
        if self.states_bounds:
            y = self.stated(y, x)
        return y

    def bprop(self, x: Tensor, out: Tensor, dy: Tensor) -> tuple[Tensor]:
        shape = x.shape
        split = (*shape[: self.axis], self.n, shape[self.axis] // self.n, *shape[self.axis + 1 :])
        order = ops.sort(ops.reshape(x, split), self.axis)[1]
        back = ops.sort(ops.cast(order, x.dtype), self.axis)[1]
        dx = ops.reshape(ops.gather_elements(ops.reshape(dy, split), self.axis, back), shape)
        if self.states_bounds:
            dx = self.stated(dx, dy)
        return (dx,)
