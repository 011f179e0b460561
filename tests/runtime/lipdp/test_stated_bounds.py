"""Layers of several operations, and losses, state their bounds in the graph of a training step, and only there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindveil.runtime import lipdp
from mindveil.runtime.bound_marker import marking

SHAPE = (2, 4, 4)
STATING: dict[str, Callable[[], Any]] = {
    "bounded": lambda: lipdp.DP_BoundedInput(upper_bound=1.0),
    "pairs": lambda: lipdp.DP_GroupSort(2),
    "norms": lambda: lipdp.DP_ScaledL2NormPooling2D(2),
    "centered": lambda: lipdp.DP_LayerCentering(),
    "clipped": lambda: lipdp.DP_ClipGradient(1.0),
}


class Gradient(nn.Cell):
    def __init__(self, layer: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.layer = layer
        self.gradient = ms.grad(self.forward, 0)

    def construct(self, x: Tensor) -> Any:
        return self.gradient(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).sum()


@pytest.mark.parametrize("name", STATING)
def test_a_statement_is_in_the_training_graph_alone(name: str) -> None:
    layer, x = STATING[name](), Tensor(np.ones((2, *SHAPE), np.float32))
    layer.build(SHAPE)
    with marking(layer), pytest.raises(RuntimeError, match="Unsupported op \\[MindveilBound\\]"):
        Gradient(layer).compile(x)
    assert np.isfinite(Gradient(layer)(x).asnumpy()).all()
    assert layer(x).shape[0] == 2
