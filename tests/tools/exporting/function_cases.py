"""One function of a tensor for each operation that export translates, with the shape of one row of its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mindspore
from mindspore import nn, ops

__all__ = ["FUNCTIONS", "IMAGE", "ApplyEach", "Case", "applied"]

IMAGE = (4, 9, 8)


@dataclass(frozen=True, slots=True)
class Case:
    """A network and the shape of one row; ``ids`` bounds inputs that are whole numbers."""

    make: Callable[[], Any]
    shape: tuple[int, ...]
    ids: int = 0


class Apply(nn.Cell):
    """A network that is one function."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self.function = function

    def construct(self, x: Any) -> Any:
        return self.function(x)


class ApplyEach(nn.Cell):
    """A network that returns the results of several functions."""

    def __init__(self, functions: list[Callable[[Any], Any]]) -> None:
        super().__init__()
        self.each = nn.CellList([Apply(function) for function in functions])

    def construct(self, x: Any) -> Any:
        results = ()  # type: tuple[Any, ...]  # the compiler knows no annotated assignment
        for cell in self.each:
            results = (*results, cell(x))
        return results


FUNCTIONS: dict[tuple[tuple[int, ...], int], list[Callable[[Any], Any]]] = {}
"""Functions by the shape and the bound of whole numbers of their input: one compilation serves all of a shape."""


def applied(*shape: int, ids: int = 0) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    def register(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        FUNCTIONS.setdefault((shape, ids), []).append(function)
        return function

    return register


@applied(3, 4)
def bidense_free_matmul(x: Any) -> Any:
    return ops.matmul(x, x.transpose(0, 2, 1))


@applied(4, 4)
def bmm(x: Any) -> Any:
    return ops.bmm(x, ops.tanh(x))


@applied(6)
def l2_normalize(x: Any) -> Any:
    return ops.L2Normalize(axis=1)(x)


@applied(*IMAGE)
def mean_over_image(x: Any) -> Any:
    return x.mean((2, 3))


@applied(6)
def scalars(x: Any) -> Any:
    return (2 * x + 1) / 3 - 0.5


@applied(6)
def reverse_scalars(x: Any) -> Any:
    return 1 - 2 / (x * x + 1)


@applied(6)
def power(x: Any) -> Any:
    return x**2 + (x * x + 1) ** 0.5


@applied(6)
def roots(x: Any) -> Any:
    return ops.sqrt(x * x + 1) + ops.rsqrt(x * x + 1) + ops.reciprocal(x * x + 1)


@applied(6)
def exponentials(x: Any) -> Any:
    return ops.exp(x) + ops.log(x * x + 1) + ops.log1p(x * x) + ops.expm1(x)


@applied(6)
def erf(x: Any) -> Any:
    return ops.erf(x) + ops.erfc(x) * 2


@applied(6)
def waves(x: Any) -> Any:
    return ops.sin(x) + ops.cos(x) * ops.atan(x)


@applied(6)
def signs(x: Any) -> Any:
    return ops.abs(x) - ops.neg(x) + ops.sign(x) + ops.floor(x) + ops.ceil(x) + ops.round(x)


@applied(6)
def extremes(x: Any) -> Any:
    return ops.maximum(x, 0.1) + ops.minimum(x, x * 0.5)


@applied(6)
def clamp(x: Any) -> Any:
    return ops.clamp(x, -0.5, 0.7)


@applied(6)
def clamp_low(x: Any) -> Any:
    return ops.clamp(x, min=-0.5)


@applied(6)
def comparisons(x: Any) -> Any:
    return ops.cast(x > 0, mindspore.float32) + ops.cast(ops.less_equal(x, 0.5), mindspore.float32)


@applied(6)
def equalities(x: Any) -> Any:
    return ops.cast(ops.not_equal(ops.floor(x), 0), mindspore.float32)


@applied(6)
def logic(x: Any) -> Any:
    return ops.where(ops.logical_and(x > 0, ops.logical_not(x > 1)), x, -x)


@applied(6)
def masked_fill(x: Any) -> Any:
    return ops.masked_fill(x, x > 0.5, -1.0)


@applied(6)
def addn(x: Any) -> Any:
    return ops.addn((x, x * 2, x * 3))


@applied(6)
def floor_divide(x: Any) -> Any:
    return ops.floor_divide(x, 0.3)


@applied(6)
def like(x: Any) -> Any:
    return ops.zeros_like(x) + ops.ones_like(x) * x


@applied(*IMAGE)
def broadcasting(x: Any) -> Any:
    return x * x.mean((2, 3), keep_dims=True) + x[:, :1]


@applied(3, 6)
def sum_axis(x: Any) -> Any:
    return x.sum(1)


@applied(3, 6)
def mean_keep(x: Any) -> Any:
    return x.mean(-1, keep_dims=True)


@applied(3, 6)
def max_axis(x: Any) -> Any:
    return ops.amax(x, 1)


@applied(3, 6)
def min_axis(x: Any) -> Any:
    return ops.amin(x, (1, 2))


@applied(3, 6)
def prod(x: Any) -> Any:
    return ops.prod(x, 1)


@applied(3, 6)
def variance(x: Any) -> Any:
    return ops.var(x, 1)


@applied(6)
def argmax(x: Any) -> Any:
    return ops.argmax(x, 1)


@applied(6)
def cumsum(x: Any) -> Any:
    return ops.cumsum(x, 1)


@applied(6)
def norm(x: Any) -> Any:
    return ops.norm(x, dim=1)
