"""Statements of bounds are in the graph of a step that asks for them, and nowhere else."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn, ops

import mindveil.runtime  # noqa: F401  prepares the process before MindSpore is imported
from mindveil.runtime.bound_marker import MindveilBound, marking


class Halve(nn.Cell):
    """Half its input, with statements on the way forward and back."""

    def __init__(self) -> None:
        super().__init__()
        self.states_bounds = False
        self.stated = MindveilBound(0.5, 0.0)

    def construct(self, x: Tensor, cap: Tensor) -> Tensor:
        y = x * 0.5
        if self.states_bounds:
            y = self.stated(y, x, cap)
        return y

    def bprop(self, x: Tensor, cap: Tensor, out: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        dx = dy * 0.5
        if self.states_bounds:
            dx = self.stated(dx, dy)
        return dx, ops.zeros_like(cap)


class Net(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.halve = Halve()
        self.cap = Parameter(Tensor(2.0, ms.float32), name="cap", requires_grad=False)
        self.w = Parameter(Tensor(np.ones(3), ms.float32), name="w")

    def construct(self, x: Tensor) -> Tensor:
        return self.halve(x * self.w, self.cap).sum()


class Step(nn.Cell):
    def __init__(self, network: Net) -> None:
        super().__init__(auto_prefix=False)
        self.gradient = ms.value_and_grad(network, None, [network.w])

    def construct(self, x: Tensor) -> Any:
        return self.gradient(x)


@pytest.fixture(autouse=True)
def graph_mode() -> None:
    ms.set_context(mode=ms.GRAPH_MODE)


def test_a_graph_with_statements_has_no_kernel_to_run_by_and_others_run_before_and_after() -> None:
    network, x = Net(), Tensor(np.ones((2, 3)), ms.float32)
    assert float(Step(network)(x)[0]) == 3.0
    with marking(network), pytest.raises(RuntimeError, match="Unsupported op \\[MindveilBound\\]"):
        Step(network).compile_and_run(x)
    assert float(Step(network)(x)[1][0].asnumpy()[0]) == 1.0
    assert float(network(x)) == 3.0


@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_a_statement_that_is_no_bound_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="must be a number that is not negative"):
        MindveilBound(value, 0.0)
