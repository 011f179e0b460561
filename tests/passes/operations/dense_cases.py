"""Dense layers, products of matrices, parameters that are broadcast, parameters used several times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from mindspore import Parameter, Tensor, mint, nn, ops

from .brute_force import Array, Case

__all__ = ["CASES", "Lambda", "rows"]


def rows(*shape: int, seed: int = 0) -> Array:
    """Normal numbers; each example has another size, so that some are clipped and some are not."""
    rng = np.random.default_rng(seed + sum(shape))
    sizes = np.linspace(0.4, 1.6, shape[0]).reshape(-1, *(1 for _ in shape[1:]))
    return (rng.normal(size=shape) * sizes).astype(np.float32)


class Lambda(nn.Cell):
    """A network made of a named function of (its parameters and layers, x), whose source MindSpore reads."""

    def __init__(
        self, function: Callable[..., Any], layers: dict[str, nn.Cell] | None = None, **weights: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.function = function
        for name, layer in (layers or {}).items():
            setattr(self, name, layer)
        for k, (name, shape) in enumerate(weights.items()):
            value = np.random.default_rng(100 + k).normal(size=shape).astype(np.float32)
            setattr(self, name, Parameter(Tensor(value), name=name))

    def construct(self, x: Tensor) -> Any:
        return self.function(self, x)


def _matmul(self: Any, x: Tensor) -> Any:
    return ops.matmul(x, self.w)


def _operator(self: Any, x: Tensor) -> Any:
    return (x @ self.w) @ self.v


def _bmm(self: Any, x: Tensor) -> Any:
    return ops.bmm(x, ops.transpose(x, (0, 2, 1))) @ self.w


def _bias_2d(self: Any, x: Tensor) -> Any:
    return ops.bias_add(ops.matmul(x, self.w), self.b)


def _broadcasts(self: Any, x: Tensor) -> Any:
    y = x + self.last
    y = y * self.full
    y = y + self.keep
    y = y * self.one
    return y - self.scalar


def _divide(self: Any, x: Tensor) -> Any:
    return x / (1 + self.w * self.w)


def _shared(self: Any, x: Tensor) -> Any:
    return self.a(ops.relu(self.a(x)))


def _siamese(self: Any, x: Tensor) -> Any:
    left, right = self.a(x[:, 0]), self.a(x[:, 1])
    return left * right


def _residual(self: Any, x: Tensor) -> Any:
    y = x + self.a(x)
    return ops.cat((y, self.b(y), x), 1)


def _mint_linear(self: Any, x: Tensor) -> Any:
    return mint.nn.functional.linear(self.a(x), self.w, self.b)


def _mint_products(self: Any, x: Tensor) -> Any:
    return mint.matmul(mint.nn.functional.relu(mint.matmul(x, self.w)), self.v) * self.b


def _bidense(self: Any, x: Tensor) -> Any:
    return self.a(x, self.b(x))


def _tied_transposed(self: Any, x: Tensor) -> Any:
    return ops.matmul(ops.tanh(ops.matmul(x, self.w)), self.w.T)


CASES: dict[str, Case] = {
    "dense_2d": Case(lambda: nn.SequentialCell(nn.Dense(4, 6), nn.ReLU(), nn.Dense(6, 3)), rows(5, 4)),
    "dense_2d_batch_is_width": Case(lambda: nn.SequentialCell(nn.Dense(4, 4), nn.Tanh(), nn.Dense(4, 4)), rows(4, 4)),
    "dense_3d": Case(lambda: nn.SequentialCell(nn.Dense(4, 6), nn.Tanh(), nn.Dense(6, 3)), rows(5, 3, 4)),
    "dense_3d_batch_is_time": Case(lambda: nn.SequentialCell(nn.Dense(4, 3), nn.Tanh(), nn.Dense(3, 3)), rows(3, 3, 4)),
    "dense_4d": Case(lambda: nn.Dense(4, 3), rows(5, 2, 3, 4)),
    "dense_activation": Case(lambda: nn.Dense(4, 3, activation="sigmoid"), rows(5, 3, 4)),
    "dense_ghost": Case(lambda: nn.Dense(16, 12), rows(5, 3, 16)),
    "matmul_2d": Case(lambda: Lambda(_operator, w=(4, 3), v=(3, 2)), rows(5, 4)),
    "matmul_3d": Case(lambda: Lambda(_matmul, w=(4, 3)), rows(5, 3, 4)),
    "matmul_batched_weight": Case(lambda: Lambda(_matmul, w=(2, 4, 3)), rows(5, 2, 3, 4)),
    "matmul_batched_weight_batch_is_head": Case(lambda: Lambda(_matmul, w=(2, 4, 3)), rows(2, 2, 3, 4)),
    "matmul_vector": Case(lambda: Lambda(_matmul, w=(4,)), rows(5, 3, 4)),
    "bmm": Case(lambda: Lambda(_bmm, w=(3, 2)), rows(5, 3, 4)),
    "bias_add": Case(lambda: Lambda(_bias_2d, w=(4, 3), b=(3,)), rows(5, 4)),
    "broadcast": Case(
        lambda: Lambda(_broadcasts, last=(4,), full=(2, 3, 4), keep=(1, 2, 1, 1), one=(1,), scalar=()), rows(5, 2, 3, 4)
    ),
    "divide": Case(lambda: Lambda(_divide, w=(4,)), rows(5, 3, 4)),
    "shared": Case(lambda: Lambda(_shared, {"a": nn.Dense(4, 4)}), rows(5, 4)),
    "siamese": Case(lambda: Lambda(_siamese, {"a": nn.Dense(4, 3)}), rows(5, 2, 4)),
    "residual_and_concat": Case(lambda: Lambda(_residual, {"a": nn.Dense(4, 4), "b": nn.Dense(4, 2)}), rows(5, 4)),
    "mint_linear": Case(lambda: Lambda(_mint_linear, {"a": mint.nn.Linear(4, 3)}, w=(2, 3), b=(2,)), rows(5, 3, 4)),
    "mint_products": Case(lambda: Lambda(_mint_products, w=(4, 3), v=(3, 2), b=(2,)), rows(5, 4)),
    "bidense": Case(lambda: Lambda(_bidense, {"a": nn.BiDense(4, 3, 2), "b": nn.Dense(4, 3)}), rows(5, 4)),
    "tied_transposed": Case(lambda: Lambda(_tied_transposed, w=(4, 3)), rows(5, 4)),
}
