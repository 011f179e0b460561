"""What the tests of Lipschitz layers share: one layer, compiled forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from numpy.typing import NDArray

import mindveil.runtime  # noqa: F401  prepares the process before MindSpore is imported

Array = NDArray[Any]


@pytest.fixture(autouse=True)
def graph_mode() -> None:
    """Compiled execution, and the same draws each time."""
    ms.set_context(mode=ms.GRAPH_MODE)
    ms.set_seed(0)


class Product(nn.Cell):
    """The inner product of a layer's output and a constant, whose gradient is the cotangent; and the output."""

    def __init__(self, layer: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.layer = layer

    def construct(self, x: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        y = self.layer(x)
        return (y * dy).sum(), y


class Gradient(nn.Cell):
    """Its gradient: a Cell, which reads weights anew at each call, as a bare function would not."""

    def __init__(self, layer: nn.Cell, weights: list[Any]) -> None:
        super().__init__(auto_prefix=False)
        self.gradient = ms.value_and_grad(Product(layer), 0, weights or None, has_aux=True)

    def construct(self, x: Tensor, dy: Tensor) -> Any:
        return self.gradient(x, dy)


@dataclass(frozen=True)
class Probe:
    """One layer: its output, and its cotangents at input and parameter, for batches of one shape."""

    gradient: Callable[..., Any]
    weights: list[Any]
    outside: tuple[int, ...]

    def __call__(self, x: Array, dy: Array | None = None) -> tuple[Array, Array, Array]:
        """Output, cotangent at the input, and the parameter's gradient (of size 0 without one)."""
        dy = np.zeros((len(x), *self.outside)) if dy is None else dy
        (_, y), found = self.gradient(Tensor(x.astype(np.float32)), Tensor(dy.astype(np.float32)))
        if not self.weights:
            return y.asnumpy(), found.asnumpy(), np.zeros(0)
        return y.asnumpy(), found[0].asnumpy(), found[1][0].asnumpy()


@pytest.fixture
def probe() -> Callable[[Any, tuple[int, ...]], Probe]:
    """A function that compiles a layer for one example's shape."""

    def make(layer: Any, shape: tuple[int, ...]) -> Probe:
        outside = layer.build(shape)
        weights = list(layer.trainable_params())
        return Probe(Gradient(layer, weights), weights, outside)

    return make
