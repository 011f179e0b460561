"""A search over logits and labels reaches each loss's constant, and never more; slopes are the losses' derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn
from numpy.typing import NDArray

from mindveil.runtime import lipdp

Array = NDArray[Any]
C = 5
PRIORS = (0.1, 0.2, 0.2, 0.3, 0.2)
LOSSES: dict[str, Callable[[], Any]] = {
    "cross-entropy": lambda: lipdp.DP_TauCategoricalCrossentropy(8.0),
    "binary": lambda: lipdp.DP_TauBCE(8.0),
    "cosine": lambda: lipdp.DP_KCosineSimilarity(2.0),
    "cosine near": lambda: lipdp.DP_KCosineSimilarity(0.5),
    "absolute": lambda: lipdp.DP_MeanAbsoluteError(),
    "hinge": lambda: lipdp.DP_MulticlassHinge(),
    "hkr": lambda: lipdp.DP_MulticlassHKR(class_priors=PRIORS),
    "kr": lambda: lipdp.DP_MulticlassKR(class_priors=PRIORS),
}


class Sum(nn.Cell):
    def __init__(self, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.loss = loss

    def construct(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        losses = self.loss(logits, labels)
        return losses.sum(), losses


def compiled(loss: nn.Cell) -> Callable[..., tuple[Array, Array]]:
    gradient = ms.value_and_grad(Sum(loss), 0, None, has_aux=True)

    def run(logits: Array, labels: Array) -> tuple[Array, Array]:
        (_, losses), slope = gradient(Tensor(logits.astype(np.float32)), Tensor(labels))
        return losses.asnumpy(), slope.asnumpy().astype(np.float64)

    return run


@pytest.mark.parametrize("name", LOSSES)
def test_the_constant_is_reached_and_never_exceeded(name: str) -> None:
    loss = LOSSES[name]()
    run, rng, worst = compiled(loss), np.random.default_rng(0), 0.0
    labels = (np.arange(4 * C) % C).astype(np.int32)
    given = 100 * np.eye(C, dtype=np.float32)[labels] if "cosine" in name else labels  # targets longer than K
    for scale in (0.0, 0.01, 1.0, 100.0):
        logits = rng.normal(size=(len(labels), C)) * scale
        logits[:C] = (0.5 - np.eye(C)[labels[:C]]) * scale  # as wrong as can be
        worst = max(worst, np.linalg.norm(run(logits, given)[1], axis=1).max())
    assert 0.99 * loss.get_L(C) <= worst <= loss.get_L(C)


@pytest.mark.parametrize("name", LOSSES)
def test_the_slope_is_the_derivative(name: str) -> None:
    run, rng = compiled(LOSSES[name]()), np.random.default_rng(1)
    logits, labels = rng.normal(size=(8, C)), np.eye(C, dtype=np.float32)[rng.integers(0, C, 8)]
    slope, step = run(logits, labels)[1], 2e-3
    for k in range(C):
        away = np.zeros(C)
        away[k] = step
        difference = (run(logits + away, labels)[0] - run(logits - away, labels)[0]) / (2 * step)
        np.testing.assert_allclose(slope[:, k], difference, atol=2e-2 * np.abs(slope).max())


@pytest.mark.parametrize("name", LOSSES)
def test_labels_of_any_kind_cannot_exceed_the_constant(name: str) -> None:
    loss = LOSSES[name]()
    labels = np.full((4, C), 1e6, np.float32)
    labels[1], labels[2] = np.nan, -np.inf
    slope = compiled(loss)(np.ones((4, C)), labels)[1]
    assert np.isfinite(slope).all()
    assert np.linalg.norm(slope, axis=1).max() <= loss.get_L(C)


@pytest.mark.parametrize("priors", [None, (0.5, 0.6), (1.0, 0.0), (1.0,)])
def test_expectations_need_public_priors(priors: Any) -> None:
    with pytest.raises(ValueError, match="class_priors"):
        lipdp.DP_MulticlassHKR(class_priors=priors)


def test_a_reduction_other_than_the_mean_is_refused() -> None:
    with pytest.raises(ValueError, match="reduction is 'sum'"):
        lipdp.DP_MeanAbsoluteError(reduction="sum")
