"""One function of a tensor for each operation that export translates, with the shape of one row of its input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mindspore
from mindspore import nn, ops

__all__ = ["FUNCTIONS", "IMAGE", "ApplyEach", "Case"]

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
        results = ()
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


@applied(3, 4)
def reshape_minus_one(x: Any) -> Any:
    return x.reshape(-1, 6)


@applied(*IMAGE)
def view(x: Any) -> Any:
    return x.view(x.shape[0], -1)


@applied(*IMAGE)
def transpose(x: Any) -> Any:
    return x.transpose(0, 2, 3, 1)


@applied(*IMAGE)
def swapaxes(x: Any) -> Any:
    return x.swapaxes(1, 2)


@applied(6)
def expand_squeeze(x: Any) -> Any:
    return ops.squeeze(ops.expand_dims(x, 1) * 2, 1)


@applied(6)
def concat(x: Any) -> Any:
    return ops.concat((x, x * 2), 1)


@applied(6)
def stack(x: Any) -> Any:
    return ops.stack((x, x * 2), 1)


@applied(3, 4)
def unstack(x: Any) -> Any:
    return ops.unstack(x, 1)[1]


@applied(6)
def chunk(x: Any) -> Any:
    return ops.chunk(x, 3, 1)[2]


@applied(6)
def slice(x: Any) -> Any:
    return x[:, 1:3]


@applied(5, 6)
def slice_steps(x: Any) -> Any:
    return x[:, ::2, 1:-1]


@applied(5, 6)
def slice_pick(x: Any) -> Any:
    return x[:, -1] + x[:, 0]


@applied(5, 6)
def slice_ellipsis(x: Any) -> Any:
    return x[..., 2:]


@applied(6)
def slice_none(x: Any) -> Any:
    return x[:, None] * 2


@applied(6)
def flip(x: Any) -> Any:
    return ops.flip(x, (1,))


@applied(*IMAGE)
def pad_zeros(x: Any) -> Any:
    return ops.pad(x, (1, 2, 0, 1))


@applied(6)
def pad_value(x: Any) -> Any:
    return ops.pad(x, (1, 2), value=3.0)


@applied(*IMAGE)
def pad_reflect(x: Any) -> Any:
    return ops.pad(x, (1, 2, 2, 1), mode="reflect")


@applied(*IMAGE)
def pad_replicate(x: Any) -> Any:
    return ops.pad(x, (1, 2, 2, 1), mode="replicate")


@applied(6)
def tile(x: Any) -> Any:
    return ops.tile(x, (1, 3))


@applied(6)
def repeat(x: Any) -> Any:
    return ops.repeat_interleave(x, 2, 1)


@applied(6)
def meshed_zeros(x: Any) -> Any:
    return x + ops.zeros(x.shape, mindspore.float32)


@applied(6)
def gather(x: Any) -> Any:
    return ops.gather(x, mindspore.Tensor([0, 2, 1], mindspore.int32), 1)


@applied(6)
def gather_elements(x: Any) -> Any:
    return ops.gather_elements(x, 1, ops.argmax(x, 1).expand_dims(1))


@applied(5, ids=11)
def one_hot(x: Any) -> Any:
    return ops.one_hot(x, 11, 1.0, 0.0)


@applied(6)
def top_k(x: Any) -> Any:
    return ops.topk(x, 3)[0]


@applied(*IMAGE)
def upsample(x: Any) -> Any:
    return ops.interpolate(x, size=(18, 16), mode="nearest")


@applied(6)
def softplus(x: Any) -> Any:
    return ops.softplus(x)


@applied(6)
def square(x: Any) -> Any:
    return ops.square(x)


@applied(3, 6)
def max_value(x: Any) -> Any:
    return ops.max(x, 1)[0]


@applied(4)
def split(x: Any) -> Any:
    one, two = ops.split(x, 2, 1)
    return one * two


@applied(*IMAGE)
def resize_bilinear(x: Any) -> Any:
    return ops.interpolate(x, size=(18, 16), mode="bilinear", align_corners=False)


@applied(*IMAGE)
def resize_bilinear_corners(x: Any) -> Any:
    return ops.interpolate(x, size=(5, 4), mode="bilinear", align_corners=True)


@applied(*IMAGE)
def pixel_shuffle(x: Any) -> Any:
    return ops.pixel_shuffle(x, 2)


@applied(3, 6)
def log_sum_exp(x: Any) -> Any:
    return ops.logsumexp(x, 1)


@applied(3, 6)
def cosine_similarity(x: Any) -> Any:
    return ops.cosine_similarity(x, x * 2 + 1, 1)


@applied(3, 6)
def standard_deviation(x: Any) -> Any:
    return x.std(1) + ops.std(x, 1, keepdims=False)


@applied(6)
def threshold(x: Any) -> Any:
    return ops.threshold(x, 0.1, 20.0)


@applied(*IMAGE)
def triangle(x: Any) -> Any:
    return ops.tril(x) + ops.triu(x, 1)


@applied(6)
def sort(x: Any) -> Any:
    return ops.sort(x, 1)[0]


@applied(*IMAGE)
def channel_shuffle(x: Any) -> Any:
    return ops.channel_shuffle(x, 2)
