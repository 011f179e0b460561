"""A small network with every layer of the usual kind."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, helper, numpy_helper


def small_network(seed: int = 0) -> ModelProto:
    """Images (batch, 1, 12, 12) through a convolution, Relu, pooling, ``hidden`` (12 units) and ``logits`` (5)."""
    rng = np.random.default_rng(seed)
    shapes = {"conv.weight": (4, 1, 3, 3), "fc1.weight": (12, 100), "fc1.bias": (12,), "fc2.weight": (5, 12)}
    make = helper.make_node
    nodes = [
        make("Conv", ["input", "conv.weight"], ["conv.sum"], kernel_shape=[3, 3]),
        make("Relu", ["conv.sum"], ["conv"]),
        make("MaxPool", ["conv"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        make("Flatten", ["pool"], ["flat"]),
        make("Gemm", ["flat", "fc1.weight", "fc1.bias"], ["hidden.sum"], transB=1),
        make("Relu", ["hidden.sum"], ["hidden"]),
        make("Gemm", ["hidden", "fc2.weight"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("input", 1, ["batch", 1, 12, 12])],
        [helper.make_tensor_value_info("logits", 1, ["batch", 5])],
        [numpy_helper.from_array(rng.normal(size=s).astype(np.float32), n) for n, s in shapes.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
