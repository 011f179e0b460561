"""Small graphs, built by hand, that passes are tested on."""

from __future__ import annotations

from typing import Any

import numpy as np

from mindveil.tools.onnx_passes.graph import Array, Graph, Node, Value

__all__ = ["graph", "lenet", "masked_mlp", "node", "randn", "residual"]

OPSET = 20


def randn(seed: int, *shape: int, density: float = 1.0) -> Array:
    """Normal numbers, of which a share ``density`` is not zero."""
    rng = np.random.default_rng(seed)
    kept = rng.random(shape) < density
    return np.where(kept, rng.normal(size=shape), 0.0).astype(np.float32)


def graph(nodes: list[Node], weights: dict[str, Array], shape: tuple[int, ...], output: tuple[int, ...]) -> Graph:
    """A graph from ``x`` (batch, *shape) to ``logits`` (batch, *output)."""
    return Graph(
        nodes=tuple(nodes),
        weights=weights,
        inputs=(Value("x", "float32", ("batch", *shape)),),
        outputs=(Value("logits", "float32", ("batch", *output)),),
        opset=OPSET,
    )


def node(op: str, inputs: str, output: str, **attributes: Any) -> Node:
    """``inputs`` are separated by spaces."""
    return Node(op, tuple(inputs.split()), (output,), attributes)


def lenet(density: float = 0.05, seed: int = 0) -> Graph:
    """LeNet5's layers with sparse random weights and biases everywhere."""
    weights = {
        "conv1.weight": randn(seed, 6, 1, 5, 5, density=density * 2),
        "conv2.weight": randn(seed + 1, 16, 6, 5, 5, density=density),
        "fc1.weight": randn(seed + 2, 120, 400, density=density),
        "fc1.bias": randn(seed + 3, 120),
        "fc2.weight": randn(seed + 4, 84, 120, density=density),
        "fc2.bias": randn(seed + 5, 84),
        "fc3.weight": randn(seed + 6, 10, 84, density=density),
        "fc3.bias": randn(seed + 7, 10),
    }
    nodes = [
        node("Conv", "x conv1.weight", "conv1", kernel_shape=(5, 5)),
        node("Relu", "conv1", "conv1_relu"),
        node("MaxPool", "conv1_relu", "conv1_relu_maxpool", kernel_shape=(2, 2), strides=(2, 2)),
        node("Conv", "conv1_relu_maxpool conv2.weight", "conv2", kernel_shape=(5, 5)),
        node("Relu", "conv2", "conv2_relu"),
        node("MaxPool", "conv2_relu", "conv2_relu_maxpool", kernel_shape=(2, 2), strides=(2, 2)),
        node("Flatten", "conv2_relu_maxpool", "flat", axis=1),
        node("Gemm", "flat fc1.weight fc1.bias", "fc1", transB=1),
        node("Relu", "fc1", "fc1_relu"),
        node("Gemm", "fc1_relu fc2.weight fc2.bias", "fc2", transB=1),
        node("Relu", "fc2", "fc2_relu"),
        node("Gemm", "fc2_relu fc3.weight fc3.bias", "logits", transB=1),
    ]
    return graph(nodes, weights, (1, 32, 32), (10,))


def masked_mlp() -> Graph:
    """Two layers, the first with its mask still in the graph."""
    weights = {
        "fc1.weight": randn(1, 30, 20),
        "fc1.mask": (randn(2, 30, 20, density=0.1) != 0).astype(np.float32),
        "fc1.bias": randn(3, 30),
        "fc2.weight": randn(4, 5, 30, density=0.3),
    }
    nodes = [
        node("Mul", "fc1.weight fc1.mask", "masked"),
        node("Gemm", "x masked fc1.bias", "fc1", transB=1),
        node("Relu", "fc1", "fc1_relu"),
        node("Gemm", "fc1_relu fc2.weight", "logits", transB=1),
    ]
    return graph(nodes, weights, (20,), (5,))


def residual(dead_main: tuple[int, ...], dead_branch: tuple[int, ...]) -> Graph:
    """A padded residual block with batch normalisation; the named channels have zero filters and no shift."""
    weights = {
        "conv1.weight": randn(1, 6, 2, 3, 3),
        "conv2.weight": randn(2, 6, 6, 3, 3),
        "norm.scale": randn(3, 6),
        "norm.shift": randn(4, 6),
        "norm.mean": randn(5, 6),
        "norm.variance": np.abs(randn(6, 6)) + 1,
        "conv3.weight": randn(7, 3, 6, 3, 3),
        "conv3.bias": randn(8, 3),
        "image": np.array([2, 3], np.int64),
    }
    for channel in dead_main:
        weights["conv1.weight"][channel] = 0
    for channel in dead_branch:
        for name in ("norm.scale", "norm.shift"):
            weights[name][channel] = 0
    pads = {"kernel_shape": (3, 3), "pads": (1, 1, 1, 1)}
    nodes = [
        node("Conv", "x conv1.weight", "conv1", **pads),
        node("Relu", "conv1", "conv1_relu"),
        node("Conv", "conv1_relu conv2.weight", "conv2", **pads),
        node("BatchNormalization", "conv2 norm.scale norm.shift norm.mean norm.variance", "norm"),
        node("Add", "norm conv1_relu", "add"),
        node("Relu", "add", "add_relu"),
        node("Conv", "add_relu conv3.weight conv3.bias", "conv3", **pads),
        node("ReduceMean", "conv3 image", "logits", keepdims=0),
    ]
    return graph(nodes, weights, (2, 8, 8), (3,))
