"""Whole steps with fused kernels beside the plain graph that stands where no kernel can be built."""

from __future__ import annotations

import warnings
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from mindveil.accountant import PrivacyWarning
from mindveil.passes import filters as filters_module
from mindveil.passes import fuse as module
from mindveil.passes import lower as lower_module
from mindveil.passes.graph import Node, StepGraph, TensorType
from mindveil.runtime import DPSGD, PrivateStep

ROWS = 6


class Mixer(nn.Cell):
    """Every chain that is fused, and every operation that is lowered."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, has_bias=True)
        self.norm = nn.LayerNorm((9,))
        self.tokens = nn.Dense(9, 9)
        self.strided = nn.Conv2d(4, 5, 3, 2, pad_mode="pad", padding=1, has_bias=False)
        self.wide = nn.SequentialCell(
            nn.Conv2d(5, 16, 1),
            nn.GroupNorm(4, 16),
            nn.Conv2d(16, 17, 3, pad_mode="pad", padding=1),
            nn.MaxPool2d(2, 2),
        )
        self.last = nn.Dense(17 * 2 * 2, 3)

    def construct(self, x: Any) -> Any:
        """Logits ``(B, 3)`` of images ``(B, 1, 7, 9)``."""
        x = self.wide(self.strided(self.conv(self.norm(self.tokens(x)))))
        return self.last(x.reshape((x.shape[0], -1)))


def updated(images: Any, labels: Any, noise: float = 0.0) -> tuple[list[Any], StepGraph]:
    """The update of one step with known noise from fixed weights, and the graph that ran."""
    ms.set_seed(4)
    network = Mixer()
    generator = np.random.default_rng(2)
    for p in network.get_parameters():
        p.set_data(Tensor(generator.normal(0, 0.2, p.shape).astype(np.float32)))
    before = [p.asnumpy().copy() for p in network.get_parameters()]
    policy = DPSGD(0.7, noise, sampling_rate=ROWS / 600, dataset_size=600, noise_seed=7)
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrivacyWarning)
        step = PrivateStep(network, loss, nn.SGD(network.trainable_params(), 1.0), [policy])
        step(images, labels)
    update = [a - p.asnumpy() for a, p in zip(before, network.get_parameters(), strict=True)]
    return update, step._last_graph().fast


def kernels(graph: StepGraph) -> set[str]:
    """The kernels for rows that stand in a graph."""
    names = [n.attrs["func_name"].value.split(":")[-1] for n in graph.operations if n.op == "Custom"]
    return {n for n in names if n != "mindveil_noise"}


ROW_KERNELS = {"squares", "sums", "scaled", "finite", "weighted"}
LOWERED = {"group_norm", "group_norm_grad", "layer_norm", "layer_norm_grad", "max_pool_grad", "convolve"}


@pytest.mark.parametrize(
    ("bad", "budget", "filters"),
    [
        (False, filters_module.BUDGET, {"filter_terms"}),
        (True, filters_module.BUDGET, {"filter_terms"}),
        (False, 0, {"filter_squares", "filter_weighted"}),
        (True, 4 * ROWS * 400, {"filter_terms", "filter_squares", "filter_weighted"}),
    ],
)
def test_fused_and_plain_steps_are_equal(
    monkeypatch: pytest.MonkeyPatch, bad: bool, budget: int, filters: set[str]
) -> None:
    monkeypatch.setattr(filters_module, "BUDGET", budget)
    images = np.random.default_rng(1).normal(size=(ROWS, 1, 7, 9)).astype(np.float32)
    labels = np.arange(ROWS, dtype=np.int32) % 3
    if bad:
        images[2, 0, 3, 3] = np.nan
    fused, graph = updated(images, labels)
    for user in (module, filters_module, lower_module):
        monkeypatch.setattr(user, "available", lambda library: False)
    plain, stock = updated(images, labels)
    assert kernels(graph) == {f"mindveil_{k}" for k in ROW_KERNELS | LOWERED | filters | {"noise_within"}}
    assert not kernels(stock)
    for a, b in zip(fused, plain, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)
        assert np.abs(b).max() > 1e-4


def test_fused_and_plain_steps_add_the_same_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    images = np.random.default_rng(1).normal(size=(ROWS, 1, 7, 9)).astype(np.float32)
    labels = np.arange(ROWS, dtype=np.int32) % 3
    fused, _ = updated(images, labels, noise=1.0)
    quiet, _ = updated(images, labels)
    with monkeypatch.context() as patched:
        patched.setattr(module._Fusion, "_own", lambda *_: False)
        beside, graph = updated(images, labels, noise=1.0)
    assert "mindveil_noise_times" in kernels(graph)
    monkeypatch.setattr(module, "available", lambda library: False)
    plain, _ = updated(images, labels, noise=1.0)
    for a, b, c, d in zip(fused, plain, quiet, beside, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
        np.testing.assert_array_equal(a, d)
        assert np.abs(a - c).max() > 0.01


@pytest.mark.parametrize("readers", [1, 2])
def test_noise_is_written_into_a_sum_only_where_nothing_else_reads_it(readers: int) -> None:
    float32 = TensorType((2, 3), "Float32")
    nodes = {
        0: Node(0, "parameter", float32, name="x"),
        1: Node(1, "op", float32, "Mul", (0, 0), made=True),
        2: Node(2, "op", TensorType((6,), "Float32"), "Reshape", (1,), made=True),
        3: Node(3, "op", TensorType((6,), "Float32"), "Custom", (2,), made=True),
        4: Node(4, "op", float32, "Add", (3, 1 if readers == 2 else 3), made=True),
    }
    graph = StepGraph(nodes, (0,), 4)
    fusion = module._Fusion.__new__(module._Fusion)
    fusion._graph, fusion._live = graph, set(graph.order())
    assert fusion._own(2, 3) is (readers == 1)
    assert not fusion._own(0, 1)  # a Parameter's own memory
