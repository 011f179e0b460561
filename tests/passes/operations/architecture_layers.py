"""Layers of random networks that MindSpore does not bring: residuals, branches, unrolled cells, functions."""

from __future__ import annotations

import numpy as np
from mindspore import Parameter, Tensor, nn, ops

__all__ = ["Attention", "Branches", "First", "Function", "Recurrent", "Residual", "Scale", "Twice"]


class Residual(nn.Cell):
    """``x + f(x)``, or ``(x + f(x)) f(x)``."""

    def __init__(self, inner: nn.Cell, gated: bool) -> None:
        super().__init__()
        self.inner, self.gated = inner, gated

    def construct(self, x: Tensor) -> Tensor:
        y = self.inner(x)
        return (x + y) * y if self.gated else x + y


class Twice(nn.Cell):
    """One layer used two times, whose gradients add up."""

    def __init__(self, inner: nn.Cell) -> None:
        super().__init__()
        self.inner = inner

    def construct(self, x: Tensor) -> Tensor:
        return self.inner(ops.tanh(self.inner(x)))


class Branches(nn.Cell):
    """Two layers beside each other, joined along the axis after the examples."""

    def __init__(self, left: nn.Cell, right: nn.Cell) -> None:
        super().__init__()
        self.left, self.right = left, right

    def construct(self, x: Tensor) -> Tensor:
        return ops.cat((self.left(x), self.right(x)), 1)


class Attention(nn.Cell):
    """Self-attention of a sequence."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.inner = nn.MultiheadAttention(width, heads, batch_first=True)

    def construct(self, x: Tensor) -> Tensor:
        return self.inner(x, x, x)[0]


class Recurrent(nn.Cell):
    """A cell unrolled over a sequence."""

    def __init__(self, cell: nn.Cell, pair: bool) -> None:
        super().__init__()
        self.cell, self.pair = cell, pair

    def construct(self, x: Tensor) -> Tensor:
        state = (x[:, 0], x[:, 0] * 0.5) if self.pair else x[:, 0] * 0.5
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return state[0] if self.pair else state


class Scale(nn.Cell):
    """A Parameter that is broadcast over all but the last axis, as a factor and as a summand."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.factor = Parameter(Tensor(np.ones(width, np.float32)), name="factor")
        self.shift = Parameter(Tensor(np.zeros((1, width), np.float32)), name="shift")

    def construct(self, x: Tensor) -> Tensor:
        return x * self.factor + self.shift


class Function(nn.Cell):
    """Something without Parameters."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def construct(self, x: Tensor) -> Tensor:
        if self.name == "tokens of pixels":
            return ops.transpose(ops.reshape(x, (x.shape[0], x.shape[1], -1)), (0, 2, 1))
        if self.name == "swap":
            return ops.transpose(x, (0, 2, 1))
        if self.name == "mean":
            return x.mean(1)
        if self.name == "softmax":
            return ops.softmax(x, -1)
        return ops.reshape(x, (x.shape[0], -1))


class First(nn.Cell):
    """The first of a layer's results."""

    def construct(self, x: tuple[Tensor, Tensor]) -> Tensor:
        return x[0]
