"""MindSpore's losses with every reduction, as Cells and as functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from mindspore import Tensor, nn, ops

from .brute_force import Array, Case
from .dense_cases import rows

__all__ = ["CASES"]

CLASSES = np.array([0, 2, 1, 1, 0], np.int32)
ONE_HOT = np.eye(3, dtype=np.float32)[CLASSES]
TARGETS = np.random.default_rng(2).normal(size=(5, 3)).astype(np.float32)
SHARES = np.random.default_rng(2).uniform(size=(5, 3)).astype(np.float32)
TOKENS = np.array([[0, 2], [1, 1], [2, 0], [0, 0], [1, 2]], np.int32)


def _network(*more: nn.Cell) -> nn.Cell:
    return nn.SequentialCell(nn.Dense(4, 5), nn.Tanh(), nn.Dense(5, 3), *more)


def _case(loss: Any, labels: Array, *more: nn.Cell) -> Case:
    return Case(lambda: _network(*more), rows(5, 4), labels, loss)


def _mean_cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    return ops.cross_entropy(outputs, labels)


def _sum_cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    return ops.cross_entropy(outputs, labels, reduction="sum")


def _mean_square(outputs: Tensor, labels: Tensor) -> Tensor:
    return ((outputs - labels) ** 2).mean()


def _sum_of_sines(outputs: Tensor, labels: Tensor) -> Tensor:
    return (ops.sin(outputs) * labels).sum()


class OwnMean(nn.Cell):
    """A user's loss Cell that has no option to leave the mean out."""

    def construct(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return ops.abs(outputs - labels).mean()


CASES: dict[str, Case] = {
    "softmax_sparse_mean": _case(nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean"), CLASSES),
    "softmax_sparse_none": _case(nn.SoftmaxCrossEntropyWithLogits(sparse=True), CLASSES),
    "softmax_dense_sum": _case(nn.SoftmaxCrossEntropyWithLogits(reduction="sum"), ONE_HOT),
    "cross_entropy_mean": _case(nn.CrossEntropyLoss(), CLASSES),
    "cross_entropy_options": _case(
        nn.CrossEntropyLoss(Tensor([0.5, 1.0, 2.0]), ignore_index=1, reduction="sum", label_smoothing=0.1), CLASSES
    ),
    "cross_entropy_dense": _case(nn.CrossEntropyLoss(), ONE_HOT),
    "cross_entropy_tokens": Case(
        lambda: nn.SequentialCell(nn.Dense(4, 6), nn.Unflatten(1, (3, 2))), rows(5, 4), TOKENS, nn.CrossEntropyLoss()
    ),
    "nll_mean": _case(nn.NLLLoss(), CLASSES, nn.LogSoftmax(1)),
    "mse_mean": _case(nn.MSELoss(), TARGETS),
    "mse_sum": _case(nn.MSELoss("sum"), TARGETS),
    "l1_mean": _case(nn.L1Loss(), TARGETS),
    "huber_mean": _case(nn.HuberLoss(), TARGETS),
    "smooth_l1_sum": _case(nn.SmoothL1Loss(reduction="sum"), TARGETS),
    "bce_mean": _case(nn.BCELoss(reduction="mean"), SHARES, nn.Sigmoid()),
    "bce_with_logits_mean": _case(nn.BCEWithLogitsLoss(), SHARES),
    "function_cross_entropy_mean": _case(_mean_cross_entropy, CLASSES),
    "function_cross_entropy_sum": _case(_sum_cross_entropy, CLASSES),
    "function_mean_square": _case(_mean_square, TARGETS),
    "function_sum": _case(_sum_of_sines, TARGETS),
    "own_cell_mean": _case(OwnMean(), TARGETS),
}
