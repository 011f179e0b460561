"""Random programs over shapes where the batch equals every other dimension: refused, or right to the last example.

The judge knows nothing of types: a program mixes examples if the loss of one changes with the input of another.
"""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn, ops

from mindveil.accountant import PrivacyWarning
from mindveil.passes.privacy import PrivacyError

from .brute_force import Array, Case, cube, private_step
from .dense_cases import rows

BATCH = 4
#: As many programs are compiled; `outcome` takes other seeds for a longer run.
SEEDS = 12


class Move(nn.Cell):
    """Another order of the dimensions, then another shape."""

    def __init__(self, order: tuple[int, ...], shape: tuple[int, ...]) -> None:
        super().__init__()
        self.order, self.shape = order, shape

    def construct(self, x: Tensor) -> Tensor:
        return ops.reshape(ops.transpose(x, self.order), self.shape)


class Pair(nn.Cell):
    """The tensor combined with itself in another order of its dimensions."""

    def __init__(self, how: str, order: tuple[int, ...]) -> None:
        super().__init__()
        self.how, self.order = how, order

    def construct(self, x: Tensor) -> Tensor:
        y = ops.transpose(x, self.order)
        if self.how == "add":
            return x + 0.5 * y
        if self.how == "times":
            return x * y
        if self.how == "matmul":
            return ops.matmul(x, y)
        return ops.bmm(x, y)


class Along(nn.Cell):
    """Something done along one dimension."""

    def __init__(self, how: str, axis: int) -> None:
        super().__init__()
        self.how, self.axis = how, axis

    def construct(self, x: Tensor) -> Tensor:
        if self.how == "softmax":
            return ops.softmax(x, self.axis)
        if self.how == "cumsum":
            return ops.cumsum(x, self.axis)
        if self.how == "flip":
            return ops.flip(x, (self.axis,)) * x
        if self.how == "mean":
            return x - x.mean(self.axis, keep_dims=True)
        if self.how == "most":
            return x - ops.amax(x, self.axis, keepdims=True)
        a, b = ops.chunk(x, 2, self.axis)
        return ops.cat((b, a * a), self.axis)


SHAPES = ((4, 4, 4), (4, 2, 8), (2, 4, 8), (8, 4, 2), (2, 8, 4), (16, 2, 2), (4, 16, 1))


def program(rng: np.random.Generator) -> list[nn.Cell]:
    """Up to three operations on ``[4, 16]``, between two reshapes."""
    layers: list[nn.Cell] = [Move((0, 1), SHAPES[rng.integers(len(SHAPES))])]
    for _ in range(rng.integers(1, 4)):
        order = tuple(int(k) for k in rng.permutation(3))
        choice = rng.integers(5)
        if choice == 0:
            layers.append(Move(order, SHAPES[rng.integers(len(SHAPES))]))
        elif choice == 1:
            layers.append(Pair(("add", "times", "matmul", "bmm")[rng.integers(4)], order))
        else:
            how = ("softmax", "cumsum", "flip", "mean", "most", "swap")[rng.integers(6)]
            layers.append(Along(how, int(rng.integers(3))))
    back = tuple(int(k) for k in (rng.permutation(3) if rng.random() < 0.5 else np.arange(3)))
    return [*layers, Move(back, (BATCH, -1))]


def losses(network: nn.Cell, x: Array, y: Array) -> Array:
    """The loss of every row."""
    values: Array = cube(network(Tensor(x)), Tensor(y)).asnumpy()
    return values


def mixes(network: nn.Cell, x: Array, y: Array) -> bool:
    """Whether the loss of one row changes with another row's input."""
    plain = losses(network, x, y)
    for row in range(BATCH):
        moved = x.copy()
        moved[row] += 0.25
        others = np.arange(BATCH) != row
        if np.abs(losses(network, moved, y) - plain)[others].max() > 1e-5 * np.abs(plain).max():
            return True
    return False


def clipped_sum(network: nn.Cell, x: Array, y: Array, clip_norm: float) -> list[Array]:
    """Half the sum of the clipped gradients of the rows' losses, in float64."""
    parameters = network.trainable_params()

    def of_row(chosen: Tensor) -> Tensor:
        return (cube(network(Tensor(x)), Tensor(y)) * chosen).sum()

    gradient = ms.grad(of_row, None, parameters)
    each = [[g.asnumpy().astype(np.float64) for g in gradient(Tensor(r))] for r in np.eye(BATCH, dtype=np.float32)]
    norms = [np.sqrt(sum((g**2).sum() for g in gradients)) for gradients in each]
    factors = [min(1.0, clip_norm / max(n, 1e-30)) for n in norms]
    return [np.tensordot(factors, np.stack(column), 1) / 2 for column in zip(*each, strict=True)]


def outcome(seed: int) -> str:
    """``refused``, ``right``, or what is wrong with the program of this seed."""
    rng, x = np.random.default_rng(seed), rows(BATCH, 16, seed=seed)
    y = rng.normal(size=(BATCH, 1)).astype(np.float32)
    ms.set_seed(1)
    network: Any = nn.SequentialCell(nn.Dense(16, 16), *program(rng))
    try:
        mixed = mixes(network, x, y)
    except (ValueError, RuntimeError):
        return "impossible"
    wanted = clipped_sum(network, x, y, 1.0)
    before = [p.asnumpy().astype(np.float64) for p in network.trainable_params()]
    step = private_step(Case(lambda: network, x, y), network)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrivacyWarning)
        try:
            step(x, y)
        except PrivacyError:
            return "refused" if mixed else "refused without need"
    if mixed:
        return "mixes examples, but was accepted"
    got = [b - p.asnumpy() for b, p in zip(before, network.trainable_params(), strict=True)]
    size = max(float(np.abs(w).max()) for w in wanted)
    error = max(float(np.abs(a - b).max()) for a, b in zip(got, wanted, strict=True)) / size
    return "right" if error < 1e-4 else f"wrong by {error:.0e}"


def test_a_random_program_is_refused_or_right() -> None:
    found = {seed: outcome(seed) for seed in range(SEEDS)}
    counts = Counter(found.values())
    bad = {seed: result for seed, result in found.items() if result.startswith(("mixes", "wrong"))}
    assert bad == {}
    assert counts["right"] >= 2
    assert counts["refused"] >= 2
