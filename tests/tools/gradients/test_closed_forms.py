"""Gradients whose value is known in closed form, ties and kinks above all."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from mindveil.tools.gradients import input_gradient

Array = NDArray[Any]


def model(nodes: list[NodeProto], shape: tuple[int, ...], constants: dict[str, Array] | None = None) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", 1, ["batch", *shape])],
        [helper.make_tensor_value_info("y", 1, None)],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def gradient(proto: ModelProto, x: Array, cotangent: Array | None = None) -> Array:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(input_gradient(proto).SerializeToString(), options)
    feed = {"x": x.astype(np.float32)}
    if cotangent is not None:
        feed["cotangent"] = cotangent.astype(np.float32)
    result: Array = session.run(["x_gradient"], feed)[0]
    return result


def test_max_pool_gives_a_tie_to_the_first_maximum_in_row_major_order() -> None:
    proto = model([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])], (1, 2, 4))
    x = np.array([[[[1.0, 1.0, 0.0, 3.0], [1.0, 1.0, 3.0, 3.0]]]])
    assert gradient(proto, x).tolist() == [[[[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]]]]


def test_a_window_over_a_whole_line_gives_a_tie_to_its_first_element() -> None:
    proto = model([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 1])], (1, 3, 4))
    x = np.array([[[[1.0, 5.0, 2.0, 0.0], [1.0, 5.0, 4.0, 0.0], [1.0, 6.0, 4.0, -1.0]]]])
    expected = [[[[1.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]]]]
    assert gradient(proto, x).tolist() == expected


def test_overlapping_windows_that_share_a_maximum_add_up() -> None:
    proto = model([helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[1, 2], strides=[1, 1])], (1, 1, 4))
    x = np.array([[[[0.0, 5.0, 1.0, 1.0]]]])
    assert gradient(proto, x, np.array([[[[1.0, 10.0, 100.0]]]])).tolist() == [[[[0.0, 11.0, 100.0, 0.0]]]]


@pytest.mark.parametrize("pooled", [False, True])
def test_pooling_after_relu_has_the_gradient_of_the_graph_as_written(pooled: bool) -> None:
    """The rewrite to Relu after pooling must be exact, for ties at zero and where the Relu is read elsewhere too."""
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[1, 2], strides=[1, 2]),
        helper.make_node("Identity", ["p"], ["y"]) if pooled else helper.make_node("Concat", ["p", "r"], ["y"], axis=3),
    ]
    x = np.array([[[[-1.0, 0.0, 2.0, 2.0, -3.0, 4.0]]]])
    expected = np.array([[[[0.0, 0.0, 1.0, 0.0, 0.0, 1.0]]]])
    if not pooled:
        expected = expected + (x > 0)
    assert gradient(model(nodes, (1, 1, 6)), x).tolist() == expected.tolist()


def test_reduce_max_over_two_axes_gives_a_tie_to_the_first_maximum() -> None:
    constants = {"axes": np.array([1, 3], np.int64)}
    proto = model([helper.make_node("ReduceMax", ["x", "axes"], ["y"], keepdims=0)], (2, 2, 2), constants)
    x = np.array([[[[1.0, 7.0], [2.0, 2.0]], [[7.0, 7.0], [2.0, 9.0]]]])
    assert gradient(proto, x).tolist() == [[[[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]]


def test_the_gradient_of_a_product_exists_where_elements_are_zero() -> None:
    proto = model([helper.make_node("ReduceProd", ["x", "axes"], ["y"])], (3,), {"axes": np.array([1], np.int64)})
    x = np.array([[2.0, 3.0, 4.0], [2.0, 0.0, 4.0], [0.0, 0.0, 4.0]])
    assert gradient(proto, x).tolist() == [[12.0, 8.0, 6.0], [0.0, 8.0, 0.0], [0.0, 0.0, 0.0]]


def test_maximum_of_two_equal_values_goes_to_the_first() -> None:
    proto = model([helper.make_node("Max", ["x", "c"], ["y"])], (3,), {"c": np.array([1.0, 2.0, 3.0], np.float32)})
    assert gradient(proto, np.array([[2.0, 2.0, 2.0]])).tolist() == [[1.0, 1.0, 0.0]]


@pytest.mark.parametrize(
    ("operator", "at_zero"), [("Relu", 0.0), ("Abs", 0.0), ("LeakyRelu", 0.01), ("Elu", 1.0), ("Sign", 0.0)]
)
def test_value_at_a_kink(operator: str, at_zero: float) -> None:
    found = gradient(model([helper.make_node(operator, ["x"], ["y"])], (1,)), np.zeros((1, 1)))
    assert found.item() == pytest.approx(at_zero, rel=1e-7)


def test_saturated_activations_stay_finite() -> None:
    x = np.array([[-200.0, -90.0, 90.0, 200.0]])
    for operator in ("Elu", "Selu", "Celu", "Sigmoid", "Tanh", "Softplus", "Gelu", "Softmax", "LogSoftmax"):
        found = gradient(model([helper.make_node(operator, ["x"], ["y"])], (4,)), x, np.array([[1.0, 2.0, 3.0, 5.0]]))
        assert np.isfinite(found).all(), operator


def test_softmax_gradient_is_its_jacobian() -> None:
    x = np.array([[0.3, -1.0, 2.0]])
    y = np.exp(x[0]) / np.exp(x[0]).sum()
    jacobian = np.diag(y) - np.outer(y, y)
    for row in range(3):
        found = gradient(model([helper.make_node("Softmax", ["x"], ["y"])], (3,)), x, np.eye(3)[row : row + 1])
        np.testing.assert_allclose(found[0], jacobian[row], atol=1e-7)


def test_layer_normalization_gradient_is_orthogonal_to_ones_and_to_the_value() -> None:
    rng = np.random.default_rng(0)
    x, cotangent = rng.normal(size=(4, 16)), rng.normal(size=(4, 16))
    ones = {"scale": np.ones(16, np.float32)}
    proto = model([helper.make_node("LayerNormalization", ["x", "scale"], ["y"], epsilon=0.0)], (16,), ones)
    found = gradient(proto, x, cotangent)
    np.testing.assert_allclose(found.sum(1), 0, atol=2e-6)
    np.testing.assert_allclose((found * x).sum(1), 0, atol=1e-5)


def test_linear_network_has_the_product_of_its_matrices() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(5, 4)).astype(np.float32), rng.normal(size=(4, 3)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["h"]),
        helper.make_node("Gemm", ["h", "second"], ["y"]),
    ]
    cotangent = rng.normal(size=(7, 3))
    found = gradient(model(nodes, (5,), {"first": first, "second": second}), rng.normal(size=(7, 5)), cotangent)
    np.testing.assert_allclose(found, cotangent @ (first @ second).T, rtol=2e-5)
