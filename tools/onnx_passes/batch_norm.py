"""Folds batch normalisation into the convolution or dense layer before it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from mindveil.tools.onnx_passes.constants import drop_unused
from mindveil.tools.onnx_passes.graph import Array, Graph, Node, fresh_name, readers

__all__ = ["fold_batch_norm"]

OUT_AXIS = {"Conv": 0, "ConvTranspose": 1}
DEFAULT_EPSILON = 1e-5


def fold_batch_norm(graph: Graph, keep: Collection[str] = ()) -> Graph:
    """Scales the weights of a layer by what its batch normalisation would do; the sum keeps the later value's name.

    A layer is left alone if something else reads its output or its weight, or if its own value is in ``keep``. Zeros
    stay zeros.
    """
    by_output = {node.outputs[0]: node for node in graph.nodes}
    read = readers(graph)
    weights = dict(graph.weights)
    gone: set[int] = set()
    changed: dict[int, Node] = {}
    outputs = {item.name for item in graph.outputs} | set(keep)
    for norm in graph.nodes:
        if norm.op != "BatchNormalization" or not all(name in weights for name in norm.inputs[1:]):
            continue
        layer = by_output.get(norm.inputs[0])
        if layer is None or len(read[norm.inputs[0]]) != 1 or norm.inputs[0] in outputs:
            continue
        if not _can_fold(layer, weights) or len(read[layer.inputs[1]]) != 1:
            continue
        changed[id(norm)] = _folded(graph, layer, norm, weights)
        gone.add(id(layer))
    nodes = [changed.get(id(node), node) for node in graph.nodes if id(node) not in gone]
    return drop_unused(graph.with_nodes(nodes, weights)) if changed else graph


def _can_fold(layer: Node, weights: dict[str, Array]) -> bool:
    if layer.op not in (*OUT_AXIS, "Gemm") or layer.inputs[1] not in weights:
        return False
    if layer.op == "ConvTranspose" and layer.attribute("group", 1) != 1:
        return False
    if layer.op == "Gemm" and (layer.attribute("alpha", 1.0) != 1 or layer.attribute("beta", 1.0) != 1):
        return False
    return not layer.input(2) or layer.input(2) in weights


def _folded(graph: Graph, layer: Node, norm: Node, weights: dict[str, Array]) -> Node:
    scale, shift, mean, variance = (weights[name].astype(np.float64) for name in norm.inputs[1:5])
    factor = scale / np.sqrt(variance + norm.attribute("epsilon", DEFAULT_EPSILON))
    weight = weights[layer.inputs[1]]
    axis = OUT_AXIS.get(layer.op, 0 if layer.attribute("transB", 0) else 1)
    shape = [1] * weight.ndim
    shape[axis] = len(factor)
    bias = weights[layer.input(2)].astype(np.float64) if layer.input(2) else np.zeros(len(factor))
    name = fresh_name(replace(graph, weights=weights), f"{layer.inputs[1].removesuffix('.weight')}.bias")
    weights[layer.inputs[1]] = (weight * factor.reshape(shape)).astype(weight.dtype)
    weights[name] = (shift + (bias - mean) * factor).astype(weight.dtype)
    return replace(layer, inputs=(*layer.inputs[:2], name), outputs=norm.outputs)
