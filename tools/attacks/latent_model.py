"""The latent attack's objective as an ONNX graph: coordinates in, losses and their gradient out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from mindveil.tools.attacks.ridge import Whitening
from mindveil.tools.attacks.runner import only_input
from mindveil.tools.gradients import input_gradient
from mindveil.tools.gradients.builder import Builder
from mindveil.tools.gradients.forward import current

__all__ = ["IMAGES", "LATENT", "LOSSES", "PRIOR", "TARGETS", "latent_model"]

LATENT = "inversion/latent"
TARGETS = "inversion/targets"
PRIOR = "inversion/prior"
LOSSES = "inversion/losses"
IMAGES = "inversion/images"


def latent_model(
    model: ModelProto,
    features: str,
    basis: tuple[NDArray[np.float64], NDArray[np.float64]],
    whitening: Whitening,
    shape: tuple[int, int, int],
    bound: tuple[float, float],
) -> ModelProto:
    """The model that maps coordinates z (N, K) to images, losses (N,) and the gradient of the losses.

    The image is ``clip(mean + z @ directions)``, the loss the mean squared difference of whitened features plus
    ``prior * mean(z^2)``; whitened target features and the prior's weight are inputs.

    Args:
        basis: mean (D,) and directions (K, D), each scaled to one standard deviation.
    """
    mean, directions = basis
    extended = current(model)
    image = only_input(extended)
    builder = Builder((name for node in extended.graph.node for name in node.output), prefix="latent")
    flat = builder.op("MatMul", LATENT, builder.constant(directions, np.float32))
    flat = builder.op("Add", flat, builder.constant(mean, np.float32))
    clipped = builder.op("Clip", flat, *(builder.constant(item, np.float32) for item in bound))
    builder.nodes.append(helper.make_node("Reshape", [clipped, builder.integers([-1, *shape])], [image.name]))
    before = list(builder.nodes)
    builder.nodes.clear()
    _append_loss(builder, features, len(directions), whitening)
    nodes = [*before, *extended.graph.node, *builder.nodes]
    batch = "batch"
    inputs = [
        helper.make_tensor_value_info(LATENT, TensorProto.FLOAT, [batch, len(directions)]),
        helper.make_tensor_value_info(TARGETS, TensorProto.FLOAT, [batch, whitening.alive.size]),
        helper.make_tensor_value_info(PRIOR, TensorProto.FLOAT, []),
    ]
    outputs = [helper.make_tensor_value_info(LOSSES, TensorProto.FLOAT, [batch])]
    stored = [*extended.graph.initializer, *builder.initializers]
    graph = helper.make_graph(nodes, "latent_inversion", inputs, outputs, stored)
    whole = helper.make_model(graph, opset_imports=list(extended.opset_import), ir_version=extended.ir_version)
    return input_gradient(whole, output=LOSSES, wrt=LATENT, keep=(image.name,), cotangent=False)


def _append_loss(builder: Builder, features: str, size: int, whitening: Whitening) -> None:
    """Nodes from the features to the losses; units that never vary are left out of the distance."""
    alive = whitening.alive
    flat = builder.op("Reshape", features, builder.integers([-1, whitening.scale.size]))
    if alive.size < whitening.scale.size:
        flat = builder.op("Gather", flat, builder.integers(alive.tolist()), axis=1)
    scaled = builder.op("Mul", flat, builder.constant(whitening.scale[alive], np.float32))
    shift = builder.constant(whitening.mean[alive] * whitening.scale[alive], np.float32)
    difference = builder.op("Sub", builder.op("Sub", scaled, shift), TARGETS)
    axis = builder.integers([1])
    distance = builder.op("ReduceMean", builder.op("Mul", difference, difference), axis, keepdims=0)
    norm = builder.op("ReduceSumSquare", LATENT, axis, keepdims=0)
    prior = builder.op("Mul", builder.op("Mul", norm, builder.constant(1 / size, np.float32)), PRIOR)
    builder.nodes.append(helper.make_node("Add", [distance, prior], [LOSSES]))
