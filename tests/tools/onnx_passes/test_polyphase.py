"""Pooling by phases: exact where it applies, left alone elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mindveil.tools.onnx_passes.check import same_numbers
from mindveil.tools.onnx_passes.constants import fold_constants
from mindveil.tools.onnx_passes.graph import Graph
from mindveil.tools.onnx_passes.polyphase import pool_by_phases, poolable

from .models import graph, lenet, node, randn

NUMBERS: dict[str, Any] = {"a0": randn(2, 5), "low": np.float32(0).reshape(()), "high": np.float32(1).reshape(())}


def pooled(
    size: tuple[int, int],
    activation: str = "Relu a",
    *,
    kernel: tuple[int, int] = (3, 3),
    conv: dict[str, Any] | None = None,
    pool: dict[str, Any] | None = None,
    inputs: str = "x a_weight a0",
    output: tuple[int, ...] = (),
) -> Graph:
    op, *arguments = activation.split()
    nodes = [
        node("Conv", inputs, "a", kernel_shape=kernel, **(conv or {})),
        node(op, " ".join(arguments), "b"),
        node("MaxPool", "b", "logits", **{"kernel_shape": (2, 2), "strides": (2, 2), **(pool or {})}),
    ]
    weights = {**NUMBERS, "a_weight": randn(1, 5, 2, *kernel)}
    used = {name for item in nodes for name in item.inputs}
    return graph(
        nodes, {name: array for name, array in weights.items() if name in used}, (2, *size), output or (5, 1, 1)
    )


@pytest.mark.parametrize("size", [(8, 8), (9, 8), (7, 10)])
@pytest.mark.parametrize("activation", ["Relu a", "Sigmoid a", "Tanh a", "Clip a low high", "Elu a", "Identity a"])
@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1), (0, 2, 1, 0)])
def test_phases_compute_the_same(size: tuple[int, int], activation: str, pads: tuple[int, ...]) -> None:
    before = pooled(size, activation, conv={"pads": pads}, output=(5, *(None, None)))  # type: ignore[arg-type]
    if activation.startswith("Identity"):
        assert poolable(before) == ()
        return
    assert poolable(before) == ("logits",)
    after = pool_by_phases(before, ["logits"])
    assert "a" not in {name for item in after.nodes for name in item.outputs}
    assert same_numbers(before, after) < 1e-6


@pytest.mark.parametrize("kernel", [(1, 1), (5, 5), (2, 4)])
def test_any_kernel_size(kernel: tuple[int, int]) -> None:
    before = pooled((10, 10), kernel=kernel, inputs="x a_weight", output=(5, *(None, None)))  # type: ignore[arg-type]
    after = pool_by_phases(before, ["logits"])
    assert len(after.nodes) > len(before.nodes)
    assert same_numbers(before, after) < 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "Gelu a"},
        {"conv": {"strides": (2, 2)}},
        {"conv": {"dilations": (2, 2)}},
        {"pool": {"kernel_shape": (3, 3)}},
        {"pool": {"strides": (1, 1)}},
        {"pool": {"pads": (1, 1, 1, 1)}},
        {"pool": {"ceil_mode": 1}},
    ],
)
def test_other_layers_are_left_alone(options: dict[str, Any]) -> None:
    before = pooled((12, 12), **options)
    assert poolable(before) == ()
    assert [item.op for item in pool_by_phases(before, ["logits"]).nodes] == [item.op for item in before.nodes]


def test_a_value_that_must_stay_is_not_given_up() -> None:
    before = lenet()
    assert poolable(before) == ("conv1_relu_maxpool", "conv2_relu_maxpool")
    assert poolable(before, keep=["conv1_relu"]) == ("conv2_relu_maxpool",)
    assert poolable(before, keep=["conv1", "conv2"]) == ()


def test_the_filter_keeps_its_name_and_numbers() -> None:
    before = lenet()
    after = pool_by_phases(before, ["conv1_relu_maxpool"])
    np.testing.assert_array_equal(after.weights["conv1.weight"], before.weights["conv1.weight"])
    names = {name for item in after.nodes for name in item.outputs}
    assert {"conv1_relu_maxpool", "conv2_relu", "fc1_relu", "logits"} <= names
    assert fold_constants(after).weights["conv1.weight"].shape == (24, 1, 6, 6)
