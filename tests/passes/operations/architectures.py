"""Draws small networks from the operations that the table knows, each with its batch and its loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Tensor, mint, nn

from .architecture_layers import Attention, Branches, First, Function, Recurrent, Residual, Scale, Twice
from .brute_force import Array, Case, cube

__all__ = ["Drawn", "draw"]

Shape = tuple[int, ...]
Made = tuple[str, nn.Cell, Shape]
#: Deep networks in float32 beside a reference of other batch and order of sums.
TOLERANCE = 2e-4
#: What the number of dimensions of one example makes it.
KINDS = {1: "vector", 2: "sequence", 3: "image", 4: "volume"}


@dataclass(frozen=True)
class Drawn:
    """A case, and the names of what it is made of."""

    case: Case
    layers: tuple[str, ...]


class Draw:
    """One network, layer by layer; the same seed makes the same."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def one(self, *options: Any) -> Any:
        """One of them."""
        return options[int(self.rng.integers(len(options)))]

    def yes(self, probability: float = 0.5) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < probability)

    # -------------------------------------------------------------------------------------------------- layers
    def activation(self, shape: Shape) -> Made:
        """Any of them, with or without a Parameter."""
        name = self.one("ReLU", "Tanh", "Sigmoid", "GELU", "LeakyReLU", "ELU", "PReLU", "SiLU")
        if name == "PReLU":
            return "PReLU", nn.PReLU(1 if self.yes() or len(shape) == 2 else shape[0]), shape
        return name, getattr(nn, name)(), shape

    def vector(self, shape: Shape) -> Made:
        """``[B, F]``."""
        out = self.one(3, 4, 6)
        name = self.one("Dense", "Linear", "LayerNorm", "BiDense", "Scale", "softmax")
        if name == "LayerNorm":
            return name, nn.LayerNorm(shape, epsilon=0.1), shape
        if name == "Scale":
            return name, Scale(shape[0]), shape
        if name == "softmax":
            return name, Function(name), shape
        if name == "Linear":
            return "mint Linear", mint.nn.Linear(shape[0], out, bias=self.yes()), (out,)
        return "Dense", nn.Dense(shape[0], out, has_bias=self.yes(), activation=self.one(None, "tanh")), (out,)

    def sequence(self, shape: Shape) -> Made:
        """``[B, T, F]``."""
        time, width = shape
        name = self.one(
            "Dense",
            "LayerNorm",
            "attention",
            "LSTMCell",
            "GRUCell",
            "RNNCell",
            "swap",
            "mean",
            "Conv1d",
            "GRU",
            "Scale",
        )
        if name == "Dense":
            out = self.one(4, 6)
            return name, nn.Dense(width, out, has_bias=self.yes()), (time, out)
        if name == "LayerNorm":
            return name, nn.LayerNorm((width,), epsilon=0.1), shape
        if name == "attention" and width % 2 == 0:
            return name, Attention(width, self.one(1, 2)), shape
        if name in ("LSTMCell", "GRUCell", "RNNCell"):
            return name, Recurrent(getattr(nn, name)(width, width), name == "LSTMCell"), (width,)
        if name == "Conv1d":
            out = self.one(2, 4)
            return name, nn.Conv1d(time, out, self.one(1, 3), has_bias=self.yes()), (out, width)
        if name == "GRU":
            return name, nn.SequentialCell(nn.GRU(width, 4, batch_first=True), First()), (time, 4)
        if name == "mean":
            return name, Function(name), (width,)
        if name == "swap":
            return name, Function(name), (width, time)
        return "Scale", Scale(width), shape

    def image(self, shape: Shape) -> Made:
        """``[B, C, H, W]``."""
        channels, height, width = shape
        small = min(height, width) < 3
        name = self.one(
            "Conv2d",
            "Conv2d",
            "depthwise",
            "transposed",
            "GroupNorm",
            "AvgPool2d",
            "MaxPool2d",
            "tokens of pixels",
            "LayerNorm",
        )
        if name == "GroupNorm":
            return name, nn.GroupNorm(self.one(1, channels), channels, eps=0.1), shape
        if name == "LayerNorm":
            return name, nn.LayerNorm((width,), -1, -1, epsilon=0.1), shape
        if name in ("AvgPool2d", "MaxPool2d") and not small:
            return name, getattr(nn, name)(2, 2), (channels, height // 2, width // 2)
        if name == "tokens of pixels" and height * width <= 16:
            return name, Function(name), (height * width, channels)
        if name == "transposed" and height * width <= 36:
            return name, nn.Conv2dTranspose(channels, 2, 2, stride=2, has_bias=self.yes()), (2, 2 * height, 2 * width)
        if name == "depthwise":
            return name, nn.Conv2d(channels, channels, 3, group=channels, has_bias=self.yes()), shape
        return self.convolution(shape)

    def convolution(self, shape: Shape) -> Made:
        """Of any stride, dilation and padding."""
        channels, height, width = shape
        out, kernel, stride = self.one(2, 4), self.one(1, 2, 3), self.one(1, 1, 2)
        dilation = self.one(1, 2) if stride == 1 and min(height, width) > 4 else 1
        options = {"stride": stride, "dilation": dilation, "has_bias": self.yes()}
        reach = dilation * (kernel - 1) + 1
        if min(height, width) >= reach and self.yes():
            sizes = ((height - reach) // stride + 1, (width - reach) // stride + 1)
            return "Conv2d valid", nn.Conv2d(channels, out, kernel, pad_mode="valid", **options), (out, *sizes)
        sizes = (-(-height // stride), -(-width // stride))
        return "Conv2d same", nn.Conv2d(channels, out, kernel, pad_mode="same", **options), (out, *sizes)

    def volume(self, shape: Shape) -> Made:
        """``[B, C, D, H, W]``."""
        out = self.one(1, 2)
        if self.yes(0.3):
            return "flatten", Function("flatten"), (int(np.prod(shape)),)
        return "Conv3d", nn.Conv3d(shape[0], out, 2, pad_mode="same", has_bias=self.yes()), (out, *shape[1:])

    # -------------------------------------------------------------------------------------------------- networks
    def layer(self, shape: Shape) -> Made:
        """One layer, plain or within a residual, used twice, or beside another."""
        made: Callable[[Shape], Made] = getattr(self, KINDS[len(shape)])
        name, cell, after = made(shape)
        if after == shape and self.yes(0.3):
            gated = self.yes(0.3)
            return f"residual {name}", Residual(cell, gated), shape
        if after == shape and self.yes(0.2):
            return f"{name} twice", Twice(cell), shape
        if len(after) in (1, 3) and self.yes(0.15):
            state = self.rng.bit_generator.state
            other = made(shape)
            if other[2][1:] == after[1:] and len(other[2]) == len(after):
                return f"{name} beside {other[0]}", Branches(cell, other[1]), (after[0] + other[2][0], *after[1:])
            self.rng.bit_generator.state = state
        return name, cell, after

    def network(self, shape: Shape, depth: int) -> tuple[list[str], list[nn.Cell], Shape]:
        """Layers and activations in turn."""
        names, cells = [], []
        for _ in range(depth):
            for name, cell, after in (self.layer(shape),):
                names.append(name)
                cells.append(cell)
                shape = after
            if self.yes(0.7):
                name, cell, shape = self.activation(shape)
                names.append(name)
                cells.append(cell)
        return names, cells, shape


def draw(seed: int) -> Drawn:
    """A network with two to five layers, a batch whose size often equals another dimension, and a loss."""
    begin = Draw(seed)
    rows = begin.one(3, 4, 5)
    kind = begin.one("vector", "sequence", "image", "image", "volume", "tokens")
    shapes: dict[str, Shape] = {"vector": (4,), "sequence": (3, 4), "image": (2, 6, 5), "volume": (2, 3, 4, 3)}
    depth, frozen, loss = int(begin.rng.integers(2, 5)), begin.yes(0.15), begin.one("cube", "cross", "squares", "cube")
    # A loss of several numbers an example that reduces none of them has no single loss to compare.
    reduction = begin.one("mean", "sum", "none") if loss == "cross" else begin.one("mean", "sum")

    def made() -> tuple[nn.Cell, list[str]]:
        again = Draw(10_000 + seed)
        names, cells, shape = again.network((3, 4) if kind == "tokens" else shapes[kind], depth)
        if kind == "tokens":
            names, cells = ["Embedding", *names], [nn.Embedding(7, 4), *cells]
        if len(shape) > 1:
            cells.append(Function("flatten"))
        cells.append(nn.Dense(int(np.prod(shape)), 3))
        if frozen:
            for parameter in cells[0].get_parameters():
                parameter.requires_grad = False
        network = nn.SequentialCell(cells)
        for parameter in network.get_parameters():  # no gradient is zero because a bias or a factor begins there
            noise = again.rng.normal(size=parameter.shape) * 0.2
            parameter.set_data(Tensor((parameter.asnumpy() + noise).astype(np.float32)))
        return network, [*names, *(["frozen first layer"] if frozen else []), f"{loss} {reduction}"]

    network, names = made()
    public = tuple(p.name for p in network.get_parameters() if not p.requires_grad)
    batch = _rows(begin, kind, (rows, *shapes.get(kind, (3,))))
    return Drawn(_case(lambda: made()[0], batch, loss, reduction, public), tuple(names))


def _rows(begin: Draw, kind: str, shape: Shape) -> Array:
    if kind == "tokens":
        return begin.rng.integers(0, 7, shape).astype(np.int32)
    sizes = np.linspace(0.4, 1.6, shape[0]).reshape(-1, *(1 for _ in shape[1:]))
    return np.asarray(begin.rng.normal(size=shape) * sizes, np.float32)


def _case(build: Callable[[], nn.Cell], batch: Array, loss: str, reduction: str, public: tuple[str, ...]) -> Case:
    rng = np.random.default_rng(len(batch))
    if loss == "cross":
        labels = rng.integers(0, 3, len(batch)).astype(np.int32)
        return Case(build, batch, labels, nn.CrossEntropyLoss(reduction=reduction), public, TOLERANCE)
    if loss == "squares":
        labels = rng.normal(size=(len(batch), 3)).astype(np.float32)
        return Case(build, batch, labels, nn.MSELoss(reduction=reduction), public, TOLERANCE)
    return Case(build, batch, None, cube, public, TOLERANCE)
