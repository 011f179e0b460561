"""Rules at work together: branches that meet again, residual blocks, attention, recurrence by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from mindveil.tools.gradients import input_gradient

Array = NDArray[Any]
make = helper.make_node


def network(nodes: list[NodeProto], constants: dict[str, Array], shape: tuple[int, ...]) -> ModelProto:
    """A graph in double precision from ``x`` (batch, ...) to ``y``."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["batch", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: ModelProto, feed: dict[str, Array]) -> list[Array]:
    return [np.asarray(value) for value in list(ReferenceEvaluator(model).run(None, feed))]


def assert_gradient(model: ModelProto, x: Array, *, step: float = 1e-6, tolerance: float = 1e-7) -> None:
    """The gradient graph against central differences along each axis of ``x``."""
    value = run(model, {"x": x})[0]
    cotangent = np.random.default_rng(9).normal(size=value.shape)
    expected = np.empty(x.size)
    for index in range(x.size):
        shift = np.zeros(x.size)
        shift[index] = step
        up, down = (run(model, {"x": x + sign * shift.reshape(x.shape)})[0] for sign in (1, -1))
        expected[index] = ((up - down) * cotangent).sum() / (2 * step)
    found = run(input_gradient(model), {"x": x, "cotangent": cotangent})[1]
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found.reshape(-1), expected, atol=tolerance * scale, rtol=0)


def test_a_residual_block_with_normalisation_and_pooling() -> None:
    rng = np.random.default_rng(0)
    constants = {
        "w1": rng.normal(size=(3, 2, 3, 3)),
        "w2": rng.normal(size=(2, 3, 1, 1)),
        "scale": rng.normal(size=3),
        "shift": rng.normal(size=3),
        "mean": rng.normal(size=3),
        "variance": rng.uniform(0.5, 1.5, size=3),
        "head": rng.normal(size=(4, 3)),
    }
    nodes = [
        make("Conv", ["x", "w1"], ["a"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        make("BatchNormalization", ["a", "scale", "shift", "mean", "variance"], ["b"]),
        make("Relu", ["b"], ["c"]),
        make("Conv", ["c", "w2"], ["d"], kernel_shape=[1, 1]),
        make("Add", ["d", "x"], ["e"]),
        make("GlobalAveragePool", ["e"], ["mean_pool"]),
        make("MaxPool", ["e"], ["max_pool"], kernel_shape=[4, 4], strides=[4, 4]),
        make("Concat", ["mean_pool", "max_pool"], ["both"], axis=1),
        make("Flatten", ["both"], ["flat"]),
        make("MatMul", ["flat", "head"], ["logits"]),
        make("LogSoftmax", ["logits"], ["y"]),
    ]
    assert_gradient(network(nodes, constants, (2, 4, 4)), rng.normal(size=(2, 2, 4, 4)))


def test_a_block_of_attention() -> None:
    rng = np.random.default_rng(1)
    constants: dict[str, Array] = {
        "query": rng.normal(size=(4, 4)),
        "key": rng.normal(size=(4, 4)),
        "content": rng.normal(size=(4, 4)),
        "scale": rng.normal(size=4),
        "root": np.array(2.0),
        "heads": np.array([0, 0, 2, 2], np.int64),
        "merged": np.array([0, 0, 4], np.int64),
    }
    nodes = [make("LayerNormalization", ["x", "scale"], ["normal"])]
    for name in ("query", "key", "content"):
        nodes.append(make("MatMul", ["normal", name], [f"{name}.flat"]))
        nodes.append(make("Reshape", [f"{name}.flat", "heads"], [f"{name}.heads"]))
        order = [0, 2, 3, 1] if name == "key" else [0, 2, 1, 3]
        nodes.append(make("Transpose", [f"{name}.heads"], [f"{name}.turned"], perm=order))
    nodes += [
        make("MatMul", ["query.turned", "key.turned"], ["products"]),
        make("Div", ["products", "root"], ["scores"]),
        make("Softmax", ["scores"], ["weights"]),
        make("MatMul", ["weights", "content.turned"], ["mixed"]),
        make("Transpose", ["mixed"], ["back"], perm=[0, 2, 1, 3]),
        make("Reshape", ["back", "merged"], ["joined"]),
        make("Add", ["joined", "x"], ["y"]),
    ]
    assert_gradient(network(nodes, constants, (3, 4)), rng.normal(size=(2, 3, 4)))


def test_a_value_that_is_read_many_times_collects_every_gradient() -> None:
    nodes = [
        make("Tanh", ["x"], ["a"]),
        make("Mul", ["a", "a"], ["b"]),
        make("Mul", ["b", "a"], ["c"]),
        make("Add", ["c", "a"], ["d"]),
        make("Split", ["d"], ["left", "right"], axis=1, num_outputs=2),
        make("Mul", ["left", "right"], ["e"]),
        make("Sum", ["e", "left", "right", "left"], ["y"]),
    ]
    assert_gradient(network(nodes, {}, (4,)), np.random.default_rng(2).normal(size=(3, 4)))


_LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "Tanh": ("Tanh", {}),
    "Softplus": ("Softplus", {}),
    "Sigmoid": ("Sigmoid", {}),
    "Softmax": ("Softmax", {}),
    "Transpose": ("Transpose", {"perm": [0, 2, 1]}),
    "Mish": ("Mish", {}),
}


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    layers=st.lists(st.sampled_from([*_LAYERS, "skip", "product", "weight"]), min_size=1, max_size=8),
    seed=st.integers(0, 2**31),
)
def test_any_chain_of_smooth_layers_with_skips(layers: list[str], seed: int) -> None:
    rng = np.random.default_rng(seed)
    constants = {"weight": rng.normal(size=(3, 3))}
    names = ["x"]
    nodes = []
    for index, layer in enumerate(layers):
        previous, output = names[-1], f"v{index}"
        other = names[int(rng.integers(len(names)))]
        if layer == "skip":
            nodes.append(make("Add", [previous, other], [output]))
        elif layer == "product":
            nodes.append(make("Mul", [previous, other], [output]))
        elif layer == "weight":
            nodes.append(make("MatMul", [previous, "weight"], [output]))
        else:
            operator, attributes = _LAYERS[layer]
            nodes.append(make(operator, [previous], [output], **attributes))
        names.append(output)
    nodes.append(make("Identity", [names[-1]], ["y"]))
    assert_gradient(network(nodes, constants, (3, 3)), 0.5 * rng.normal(size=(1, 3, 3)), tolerance=1e-6)


@pytest.mark.parametrize("rows", [1, 3])
def test_a_batch_axis_that_reshape_makes_anonymous(rows: int) -> None:
    """After Reshape to (-1, n) inference no longer knows that the first axis is the batch; broadcasting must cope."""
    constants: dict[str, Array] = {"shape": np.array([-1, 4], np.int64), "bias": np.arange(4.0)}
    nodes = [
        make("Reshape", ["x", "shape"], ["flat"]),
        make("Add", ["flat", "bias"], ["shifted"]),
        make("Tanh", ["flat"], ["bent"]),
        make("Mul", ["shifted", "bent"], ["y"]),
    ]
    assert_gradient(network(nodes, constants, (2, 2)), np.random.default_rng(3).normal(size=(rows, 2, 2)))
