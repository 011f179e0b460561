"""Normalisation inside an example, parametric activations, look-ups."""

from __future__ import annotations

from typing import Any

import numpy as np
from mindspore import Tensor, mint, nn, ops

from .brute_force import Array, Case
from .dense_cases import Lambda, rows

__all__ = ["CASES", "ids"]


def ids(*shape: int, below: int = 7, repeat: bool = True) -> Array:
    """Whole numbers; an id that stands twice in an example is what a sum of squares would get wrong."""
    drawn = np.random.default_rng(sum(shape)).integers(0, below, shape).astype(np.int32)
    if repeat and len(shape) > 1:
        drawn[:, 1] = drawn[:, 0]
    return drawn


def _perturbed(network: nn.Cell) -> nn.Cell:
    """Parameters that start as zeros and ones get values of their own, so that no gradient is a special case."""
    rng = np.random.default_rng(3)
    for p in network.trainable_params():
        p.set_data(Tensor(p.asnumpy() + 0.3 * rng.normal(size=p.shape).astype(np.float32)))
    return network


def _frozen_statistics() -> nn.Cell:
    norm = nn.BatchNorm2d(3, use_batch_statistics=False, eps=0.1)
    rng = np.random.default_rng(4)
    norm.moving_mean.set_data(Tensor(rng.normal(size=3).astype(np.float32)))
    norm.moving_variance.set_data(Tensor(rng.uniform(0.5, 2, size=3).astype(np.float32)))
    return _perturbed(nn.SequentialCell(nn.Conv2d(2, 3, 3), norm, nn.ReLU(), nn.Conv2d(3, 2, 3)))


def _bag(self: Any, i: Tensor) -> Any:
    return self.head(ops.tanh(self.table(i)).mean(1))


def _tied(self: Any, i: Tensor) -> Any:
    return ops.matmul(ops.tanh(self.table(i)), self.table.embedding_table.T)


def _positions(self: Any, i: Tensor) -> Any:
    places = ops.arange(0, i.shape[1], 1)
    return ops.tanh(self.table(i) + self.place(places)) + self.rest[: i.shape[1]]


def _class_token(self: Any, x: Tensor) -> Any:
    token = ops.broadcast_to(self.token, (x.shape[0], 1, x.shape[2]))
    return self.a(ops.cat((token, x), 1))


def _norm_over_two(self: Any, x: Tensor) -> Any:
    return self.b(ops.tanh(self.a(x)))


CASES: dict[str, Case] = {
    "layer_norm": Case(
        lambda: _perturbed(
            nn.SequentialCell(nn.Dense(4, 6), nn.LayerNorm((6,), epsilon=0.1), nn.Tanh(), nn.Dense(6, 3))
        ),
        rows(5, 3, 4),
    ),
    "layer_norm_2d_batch_is_width": Case(
        lambda: _perturbed(nn.SequentialCell(nn.LayerNorm((4,)), nn.Dense(4, 4))), rows(4, 4)
    ),
    "layer_norm_two_axes": Case(
        lambda: _perturbed(Lambda(_norm_over_two, {"a": nn.LayerNorm((3, 4), 2, 2), "b": nn.LayerNorm((4,), -1, -1)})),
        rows(5, 2, 3, 4),
    ),
    "group_norm": Case(
        lambda: _perturbed(
            nn.SequentialCell(nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4, eps=0.1), nn.ReLU(), nn.Conv2d(4, 2, 3))
        ),
        rows(5, 2, 4, 4),
    ),
    "group_norm_batch_is_channels": Case(lambda: _perturbed(nn.GroupNorm(4, 4)), rows(4, 4, 3, 3)),
    "mint_group_norm": Case(lambda: _perturbed(mint.nn.GroupNorm(2, 4)), rows(5, 4, 3, 3)),
    "batch_norm_frozen": Case(_frozen_statistics, rows(5, 2, 4, 4), public=("1.moving_mean", "1.moving_variance")),
    "prelu": Case(
        lambda: _perturbed(nn.SequentialCell(nn.Conv2d(2, 3, 3), nn.PReLU(3), nn.Conv2d(3, 2, 3), nn.PReLU(1))),
        rows(5, 2, 4, 4),
    ),
    "prelu_2d": Case(lambda: _perturbed(nn.SequentialCell(nn.Dense(4, 3), nn.PReLU(3))), rows(5, 4)),
    "mint_prelu": Case(lambda: _perturbed(mint.nn.PReLU(4)), rows(5, 4, 3)),
    "embedding": Case(lambda: Lambda(_bag, {"table": nn.Embedding(7, 4), "head": nn.Dense(4, 3)}), ids(5, 4)),
    "embedding_batch_is_time": Case(lambda: nn.Embedding(4, 4), ids(4, 4, below=4)),
    "embedding_small_table": Case(lambda: nn.Embedding(3, 2), ids(5, 9, below=3)),
    "embedding_one_id": Case(lambda: nn.SequentialCell(nn.Embedding(7, 4), nn.Dense(4, 2)), ids(6)),
    "embedding_padding": Case(lambda: nn.Embedding(7, 4, padding_idx=0), ids(5, 4, below=3)),
    "embedding_one_hot": Case(lambda: nn.Embedding(7, 4, use_one_hot=True), ids(5, 4)),
    "embedding_tied": Case(lambda: Lambda(_tied, {"table": nn.Embedding(7, 4)}), ids(5, 3)),
    "embedding_positions": Case(
        lambda: Lambda(_positions, {"table": nn.Embedding(7, 4), "place": nn.Embedding(5, 4)}, rest=(6, 4)), ids(5, 3)
    ),
    "class_token": Case(lambda: Lambda(_class_token, {"a": nn.Dense(4, 3)}, token=(1, 1, 4)), rows(5, 3, 4)),
}
