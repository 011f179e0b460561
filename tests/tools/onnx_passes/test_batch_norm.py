"""Batch normalisation folds into the layer before it, where nothing else depends on that layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mindveil.tools.onnx_passes.batch_norm import fold_batch_norm
from mindveil.tools.onnx_passes.check import same_numbers
from mindveil.tools.onnx_passes.graph import Array, Graph

from .models import graph, node, randn

STATISTICS = "n.scale n.shift n.mean n.variance"


def statistics(channels: int) -> dict[str, Array]:
    parts = {name: randn(seed, channels) for seed, name in enumerate(STATISTICS.split(), start=5)}
    return {**parts, "n.variance": np.abs(parts["n.variance"]) + 0.5}


def normalised(layer: str, inputs: str, weights: dict[str, Array], shape: tuple[int, ...], **attributes: Any) -> Graph:
    nodes = [
        node(layer, inputs, "a", **attributes),
        node("BatchNormalization", f"a {STATISTICS}", "n", epsilon=1e-3),
        node("Relu", "n", "logits"),
    ]
    return graph(nodes, {**weights, **statistics(4)}, shape, (4, *([None] * (len(shape) - 1))))  # type: ignore[arg-type]


CONV = {"kernel_shape": (3, 3)}
CASES = {
    "conv": normalised("Conv", "x w", {"w": randn(1, 4, 2, 3, 3)}, (2, 8, 8), **CONV),
    "conv_bias": normalised("Conv", "x w b", {"w": randn(1, 4, 2, 3, 3), "b": randn(2, 4)}, (2, 8, 8), **CONV),
    "depthwise": normalised("Conv", "x w", {"w": randn(1, 4, 1, 3, 3)}, (4, 8, 8), group=4, **CONV),
    "transposed": normalised("ConvTranspose", "x w", {"w": randn(1, 2, 4, 3, 3)}, (2, 8, 8), **CONV),
    "gemm_transposed": normalised("Gemm", "x w b", {"w": randn(1, 4, 6), "b": randn(2, 4)}, (6,), transB=1),
    "gemm": normalised("Gemm", "x w", {"w": randn(1, 6, 4)}, (6,)),
}


@pytest.mark.parametrize("name", CASES)
def test_layer_takes_the_normalisation_in(name: str) -> None:
    before = CASES[name]
    after = fold_batch_norm(before)
    assert [item.op for item in after.nodes] == [before.nodes[0].op, "Relu"]
    assert after.nodes[0].outputs == ("n",)
    assert same_numbers(before, after) < 1e-6


def test_zeros_stay_zeros() -> None:
    weight = randn(1, 4, 2, 3, 3, density=0.1)
    after = fold_batch_norm(normalised("Conv", "x w", {"w": weight}, (2, 8, 8), **CONV))
    np.testing.assert_array_equal(after.weights["w"] == 0, weight == 0)


def test_a_value_that_must_stay_stays() -> None:
    assert fold_batch_norm(CASES["conv"], keep=["a"]) is CASES["conv"]


def test_a_layer_that_others_read_is_left_alone() -> None:
    nodes = [
        node("Conv", "x w", "a", **CONV),
        node("BatchNormalization", f"a {STATISTICS}", "n"),
        node("Add", "a n", "logits"),
    ]
    before = graph(nodes, {"w": randn(1, 4, 2, 3, 3), **statistics(4)}, (2, 8, 8), (4, 6, 6))
    assert fold_batch_norm(before) is before
