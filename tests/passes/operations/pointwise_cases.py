"""Activations, arithmetic, reductions, reshapes and slices between two trained layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, mint, nn, ops

from .brute_force import Case
from .dense_cases import Lambda, rows

__all__ = ["CASES"]


class Branches(nn.Cell):
    """A dense layer, then several functions of its output side by side, then another dense layer."""

    def __init__(self, functions: list[Callable[[Tensor], Tensor]], shape: tuple[int, ...], width: int) -> None:
        super().__init__()
        self.first = nn.Dense(int(np.prod(shape)), int(np.prod(shape)))
        self.shape = shape
        self.functions = functions
        self.last = nn.Dense(width, 2)

    def construct(self, x: Tensor) -> Tensor:
        y = ops.reshape(self.first(x), (x.shape[0], *self.shape))
        parts = [ops.reshape(f(y), (x.shape[0], -1)) for f in self.functions]
        return self.last(ops.cat(parts, 1))


def branches(*functions: Callable[[Tensor], Tensor], shape: tuple[int, ...] = (4,), batch: int = 5) -> Case:
    """A case over functions of ``[B, *shape]``."""
    probe = Tensor(np.ones((2, *shape), np.float32))
    width = sum(int(np.prod(f(probe).shape[1:])) for f in functions)
    inputs = int(np.prod(shape))
    return Case(lambda: Branches(list(functions), shape, width), rows(batch, inputs))


def _positive(x: Tensor) -> Tensor:
    y = x * x + 0.5
    return ops.log(y) + ops.sqrt(y) + ops.rsqrt(y) + ops.reciprocal(y) + ops.pow(y, 1.5) + ops.log1p(y)


def _smooth(x: Tensor) -> Tensor:
    return ops.exp(-x * x) + ops.sin(x) + ops.cos(x) + ops.erf(x) + ops.atan(x) + ops.abs(x) * 0.3 + ops.square(x) * 0.1


def _compare(x: Tensor) -> Tensor:
    y = ops.where(x > 0.1, x * 2, x * 0.3) + ops.clamp(x, -0.7, 0.6) + ops.maximum(x, 0.2 * x)
    return y + ops.minimum(x, 0.5) + ops.masked_fill(x, x < -0.2, 0.1)


def _standardise(x: Tensor) -> Tensor:
    return (x - x.mean(1, keep_dims=True)) / (x.std(1, keepdims=True) + 0.1)


def _slices(x: Tensor) -> Tensor:
    return ops.cat((x[:, 1:, ::2], x[:, :-1, 1::2] * 2, x[:, -2:, :1]), 2)


def _permutes(x: Tensor) -> Tensor:
    y = ops.transpose(x, (2, 0, 1))
    y = ops.transpose(ops.reshape(ops.tanh(y), (-1, *x.shape[:2])), (1, 2, 0))
    return ops.squeeze(ops.expand_dims(y, 1), 1).swapaxes(1, 2)


def _parts(x: Tensor) -> Tensor:
    a, b, c = ops.split(x, 1, 1)
    d, e = ops.chunk(x, 2, 2)
    return ops.stack((a[:, 0], b[:, 0] * c[:, 0]), 1).sum(1) + (d * e).sum((1, 2))[:, None]


def _unstacked(x: Tensor) -> Tensor:
    a, b, c = ops.unbind(x, 1)
    return ops.stack([a * b, c], -1)


def _repeats(x: Tensor) -> Tensor:
    return ops.tile(x, (1, 2, 1)) * ops.broadcast_to(x[:, :1], (x.shape[0], 6, 4))


def _pads(x: Tensor) -> Tensor:
    return ops.pad(x, (1, 0, 2, 1)) + 0.5


def _reductions(x: Tensor) -> Tensor:
    parts = (
        x.mean(1),
        x.sum(2),
        ops.amax(x, 1),
        ops.amin(x, 2),
        ops.logsumexp(x, 2),
        ops.norm(x, dim=2),
    )
    return ops.cat(parts, 1)


def _softmaxes(x: Tensor) -> Tensor:
    return ops.cat((ops.softmax(x, 1), ops.log_softmax(x, -1), mint.nn.functional.softmax(x, 2), ops.cumsum(x, 1)), 1)


def _flips(x: Tensor) -> Tensor:
    return ops.flip(x, (1,)) * x


def _picks(x: Tensor) -> Tensor:
    index = (x[:, :1] > 0).astype(ms.int32)
    return ops.gather_elements(x, 1, index) * ops.gather(x, Tensor([2, 0, 0]), 1).sum(1, keepdims=True)


def _arguments(x: Tensor) -> Tensor:
    """Places and values of extrema along each dimension, as constants: the gradient of the values is refused."""
    most, least = ops.argmax(x, -1).astype(ms.float32), ops.argmin(x, 1).astype(ms.float32)
    high, low = ops.stop_gradient(ops.max(x, 1)[0]), ops.stop_gradient(ops.min(x, -1)[0])
    return ops.cat((x.sum(-1) * (most + 1 + low), x.sum(1) * (least + high)), 1)


def _halves(self: Any, x: Tensor) -> Any:
    low = ops.matmul(x.astype(ms.float16), self.w.astype(ms.float16)) + self.b.astype(ms.float16)
    return ops.matmul(ops.tanh(low), ops.transpose(self.v.astype(ms.float16), (1, 0))).astype(ms.float32)


def _moved(self: Any, x: Tensor) -> Any:
    """Weights that are parts, repeats and multiples of parameters, so that the gradient of each is one operation."""
    a, b = ops.unbind(self.parts, 0)
    padded, wide = ops.Pad(((1, 1), (0, 0)))(self.short), ops.broadcast_to(self.row, (4, 3))
    return ops.matmul(x, a - b * 2.0 + padded + wide + 3.0 * self.root - self.negative) + self.long.sum(0)


def _frozen() -> nn.Cell:
    network = nn.SequentialCell(nn.Dense(4, 6), nn.ReLU(), nn.Dense(6, 3))
    network[0].weight.requires_grad = False
    network[0].bias.requires_grad = False
    return network


def _mixed_precision() -> nn.Cell:
    network = nn.SequentialCell(nn.Conv2d(2, 3, 3, has_bias=True), nn.ReLU(), nn.Flatten(), nn.Dense(48, 3))
    return ms.amp.auto_mixed_precision(network, "O2")


class ReducedWeights(nn.Cell):
    """Weights that are computed from parameters: what flows back through that is a sum over examples still."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(8)
        self.v = Parameter(Tensor(rng.normal(size=(4, 3)).astype(np.float32)), name="v")
        self.g = Parameter(Tensor(rng.normal(size=(1, 3)).astype(np.float32)), name="g")
        self.u = Parameter(Tensor(rng.normal(size=(2, 4)).astype(np.float32)), name="u")
        self.t = Parameter(Tensor(rng.normal(size=(6, 3)).astype(np.float32)), name="t")
        self.basis = Tensor(rng.normal(size=(2, 3)).astype(np.float32))

    def construct(self, x: Tensor) -> Tensor:
        scaled = -self.v * self.g / 2.0
        low_rank = ops.matmul(self.u.T, self.basis)
        sliced = self.t[1:5] + self.t.sum(0, keepdims=True)
        a, b = ops.split(self.t, 4)[0], self.v.mean(0)
        return ops.matmul(x, scaled + low_rank + sliced - ops.cat((a[:2], a[2:]), 0)) + ops.broadcast_to(b, (4, 3)).sum(
            0
        )


class StackedWeights(nn.Cell):
    """Weights taken apart, put together and rounded behind a product, so that each move meets its gradient."""

    def __init__(self, half: bool) -> None:
        super().__init__()
        self.half = half
        self.pad = ops.Pad(((1, 1), (0, 0)))
        rng = np.random.default_rng(9)
        for name, shape in (("t", (2, 4, 3)), ("g", (2, 4, 3)), ("p", (2, 3)), ("q", (4, 1))):
            setattr(self, name, Parameter(Tensor(rng.normal(size=shape).astype(np.float32)), name=name))

    def construct(self, x: Tensor) -> Tensor:
        a, b = ops.unbind(self.t * self.g, 0)
        joined = ops.cat((self.p * 3.0, self.p * self.p), 0)
        weight = (a - b) * self.q + joined + self.pad(self.p * 2.0)
        if self.half:
            return ops.matmul(x.astype(ms.float16), (weight * self.q).astype(ms.float16)).astype(ms.float32)
        return ops.matmul(x, weight)


CASES: dict[str, Case] = {
    "activations": branches(
        ops.relu,
        ops.relu6,
        ops.sigmoid,
        ops.tanh,
        ops.elu,
        ops.gelu,
        ops.silu,
        ops.hardswish,
        ops.hardsigmoid,
        ops.mish,
        nn.LeakyReLU(),
        nn.LogSigmoid(),
        nn.GELU(approximate=False),
        ops.selu,
        ops.softsign,
        nn.HShrink(),
        nn.SoftShrink(),
        mint.nn.functional.relu,
        mint.nn.functional.silu,
    ),
    "arithmetic": branches(_positive, _smooth, _compare, _standardise),
    "moves": branches(_slices, _permutes, _parts, _unstacked, _repeats, _pads, _flips, shape=(3, 4)),
    "moves_batch_is_time": branches(_slices, _permutes, _parts, _repeats, shape=(3, 4), batch=3),
    "reductions": branches(_reductions, _softmaxes, _picks, shape=(3, 4)),
    "reductions_batch_is_width": branches(_reductions, _softmaxes, shape=(3, 4), batch=4),
    "arguments": branches(_arguments, shape=(3, 4)),
    "arguments_batch_is_width": branches(_arguments, shape=(3, 4), batch=4),
    "weights_of_parameters": Case(ReducedWeights, rows(5, 4)),
    "stacked_weights": Case(lambda: StackedWeights(half=False), rows(5, 4)),
    "moved_weights": Case(
        lambda: Lambda(_moved, parts=(2, 4, 3), short=(2, 3), row=(1, 3), long=(5, 3), negative=(4, 3), root=(4, 3)),
        rows(5, 4),
    ),
    "stacked_weights_in_half_precision": Case(lambda: StackedWeights(half=True), rows(5, 4), tolerance=3e-3),
    "frozen": Case(_frozen, rows(5, 4), public=("0.weight", "0.bias")),
    # Half precision keeps 11 bits: the reference rounds each product to 5e-4, the step only its operands.
    "half_precision": Case(lambda: Lambda(_halves, w=(4, 3), v=(2, 3), b=(3,)), rows(5, 4), tolerance=3e-3),
    "half_precision_rows": Case(lambda: Lambda(_halves, w=(4, 3), v=(2, 3), b=(3,)), rows(5, 3, 4), tolerance=3e-3),
    "mixed_precision": Case(_mixed_precision, rows(5, 2, 4, 4), tolerance=5e-3),
}
