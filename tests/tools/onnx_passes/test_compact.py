"""Compact storage gives back every bit, and is used only where it saves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

from mindveil.tools.onnx_passes.compact import GAPS, VALUES, compact_sparse_weights
from mindveil.tools.onnx_passes.constants import fold_constants
from mindveil.tools.onnx_passes.graph import Array, Graph
from mindveil.tools.onnx_passes.measure import size_of
from mindveil.tools.onnx_passes.protobuf import to_model
from mindveil.tools.onnx_passes.session import make_session, random_inputs

from .models import graph, lenet, node, randn


def one_weight(weight: Array) -> Graph:
    return graph([node("MatMul", "x w", "logits")], {"w": weight}, (weight.shape[0],), (weight.shape[1],))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), density=st.sampled_from([0.0005, 0.004, 0.05, 0.3]))
def test_every_bit_comes_back(seed: int, density: float) -> None:
    weight = randn(seed, 60, 100, density=density)
    compact = compact_sparse_weights(one_weight(weight))
    assert VALUES in compact.weights
    rebuilt = fold_constants(compact)
    assert rebuilt.weights["w"].tobytes() == weight.tobytes()


@pytest.mark.parametrize("place", [0, 1, 254, 255, 256, 510, 511, 5999])
def test_a_single_number_anywhere_comes_back(place: int) -> None:
    weight = np.zeros((60, 100), np.float32)
    weight.reshape(-1)[place] = 3.5
    rebuilt = fold_constants(compact_sparse_weights(one_weight(weight)))
    np.testing.assert_array_equal(rebuilt.weights["w"], weight)


def test_a_weight_of_zeros_comes_back() -> None:
    rebuilt = fold_constants(compact_sparse_weights(one_weight(np.zeros((60, 100), np.float32))))
    np.testing.assert_array_equal(rebuilt.weights["w"], np.zeros((60, 100), np.float32))


def test_dense_and_tiny_weights_are_left_alone() -> None:
    for weight in (randn(1, 60, 100), randn(1, 4, 5, density=0.1)):
        before = one_weight(weight)
        assert compact_sparse_weights(before) is before


def test_numbers_that_are_not_finite_come_back() -> None:
    weight = np.zeros((60, 100), np.float32)
    weight[3, 4], weight[50, 6], weight[9, 9] = np.nan, np.inf, -np.inf
    rebuilt = fold_constants(compact_sparse_weights(one_weight(weight)))
    np.testing.assert_array_equal(rebuilt.weights["w"], weight)


def test_lenet_takes_a_thirteenth() -> None:
    before = lenet()
    after = compact_sparse_weights(before)
    assert size_of(after).bytes < size_of(before).bytes / 13
    assert len(after.weights[GAPS]) == len(after.weights[VALUES])


def test_the_runtime_rebuilds_the_weights_at_load(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    data = to_model(compact_sparse_weights(lenet())).SerializeToString()
    onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    left = {item.op_type for item in onnx.load(tmp_path / "optimised.onnx").graph.node}
    assert left == {"Conv", "Relu", "MaxPool", "Flatten", "Gemm"}


def test_another_runtime_computes_the_same() -> None:
    compact = compact_sparse_weights(lenet())
    feed = random_inputs(compact, 2)
    expected = make_session(to_model(lenet()).SerializeToString()).run(None, feed)[0]
    got = list(ReferenceEvaluator(to_model(compact)).run(None, feed))
    np.testing.assert_allclose(np.asarray(got[0]), expected, atol=1e-4)
