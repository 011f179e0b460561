"""Finds units that have the same value whatever the input is: a filter of zeros, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mindveil.tools.onnx_passes.graph import Array, Graph, Node, Value
from mindveil.tools.onnx_passes.layout import Contraction, Layout
from mindveil.tools.onnx_passes.session import run
from mindveil.tools.onnx_passes.tracking import ELEMENTWISE

__all__ = ["FloatArray", "constant_units", "foldable", "row_sums"]

FloatArray: TypeAlias = NDArray[np.float64]
"""One number for each position along a value's lanes; NaN where the value depends on the input."""

KEEPS_CONSTANTS = frozenset(
    ("MaxPool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean", "ReduceMax", "ReduceMin", "Transpose")
)


def constant_units(found: Layout) -> dict[str, FloatArray]:
    """For each value with lanes: its constants, NaN elsewhere. One sweep from inputs to outputs is a fixpoint."""
    constants: dict[str, FloatArray] = {}
    contractions = {id(item.node): item for item in found.contractions}
    for node in found.graph.nodes:
        if not node.outputs or node.outputs[0] not in found.lanes:
            continue
        item = contractions.get(id(node))
        made = _followed(found, node, constants) if item is None else _contracted(found, item, constants)
        constants[node.outputs[0]] = made
    return constants


def foldable(item: Contraction, constants: FloatArray) -> NDArray[np.bool_]:
    """Which positions of a contraction's input may move into its bias.

    Zero always may. Another constant only where no padding makes the edges see zeros instead of it, and every output
    position reads the whole kernel.
    """
    known = ~np.isnan(constants)
    plain = item.node.op == "Gemm" or (item.node.op == "Conv" and not any(item.node.attribute("pads", ())))
    same_pads = item.node.attribute("auto_pad", "NOTSET") in ("NOTSET", "VALID")
    return np.asarray(known & ((constants == 0) | (plain and same_pads)))


def row_sums(weight: Array, item: Contraction) -> FloatArray:
    """The weight with its kernel summed out: (outputs, inputs) in float64."""
    moved = np.moveaxis(weight, (item.out_axis, item.in_axis), (0, 1))
    return np.asarray(moved.reshape(moved.shape[0], moved.shape[1], -1).sum(axis=2, dtype=np.float64))


def _contracted(found: Layout, item: Contraction, constants: Mapping[str, FloatArray]) -> FloatArray:
    weight = found.graph.weights[item.weight]
    count = weight.shape[item.out_axis]
    incoming = constants.get(item.node.inputs[0])
    if incoming is None or len(incoming) != weight.shape[item.in_axis]:
        incoming = np.full(weight.shape[item.in_axis], np.nan)
    fixed = foldable(item, incoming)
    moved = np.moveaxis(weight, (item.out_axis, item.in_axis), (0, 1))
    used = (moved.reshape(count, moved.shape[1], -1) != 0).any(axis=2)
    is_constant = ~(used & ~fixed).any(axis=1)
    bias = found.graph.weights[item.bias].astype(np.float64) if item.bias else np.zeros(count)
    total = bias + row_sums(weight, item) @ np.where(fixed, incoming, 0.0)
    return np.where(is_constant, total, np.nan)


def _followed(found: Layout, node: Node, constants: Mapping[str, FloatArray]) -> FloatArray:
    lanes = found.lanes[node.outputs[0]]
    unknown = np.full(len(lanes.units), np.nan)
    incoming = [constants.get(name) for name in found.computed(node)]
    if any(item is None for item in incoming):
        return unknown
    known = [item for item in incoming if item is not None]
    if node.op not in ("Conv", "BatchNormalization") and all(np.isnan(item).all() for item in known):
        return unknown
    if node.op == "Conv":
        return _depthwise(found, node, known[0])
    if node.op == "BatchNormalization":
        scale, shift = (found.graph.weights[name].astype(np.float64) for name in node.inputs[1:3])
        return np.where(scale == 0, shift, _evaluate(found, node, known))
    if node.op in ELEMENTWISE:
        return _evaluate(found, node, known)
    if node.op == "Concat" and len(lanes.units) == sum(len(item) for item in known) and len(known) > 1:
        return np.concatenate(known)
    if node.op in ("Flatten", "Reshape"):
        return np.repeat(known[0], len(lanes.units) // len(known[0]))
    if len(known) == 1 and _keeps_constants(node):
        return known[0]
    return np.where(known[0] == 0, 0.0, np.nan) if len(known) == 1 else unknown


def _depthwise(found: Layout, node: Node, incoming: FloatArray) -> FloatArray:
    """A filter of zeros gives the bias; so does a zero; another constant does not where padding adds zeros to it."""
    weight = found.graph.weights[node.inputs[1]]
    total = weight.reshape(len(weight), -1).sum(axis=1, dtype=np.float64)
    used = (weight.reshape(len(weight), -1) != 0).any(axis=1)
    bias = found.graph.weights[node.input(2)].astype(np.float64) if node.input(2) else np.zeros(len(weight))
    fixed = (incoming == 0) | (~np.isnan(incoming) & (not any(node.attribute("pads", ()))))
    return np.where(~used, bias, np.where(fixed, bias + total * np.nan_to_num(incoming), np.nan))


def _keeps_constants(node: Node) -> bool:
    """Whether a window or mean over equal numbers gives the same number."""
    if node.op == "AveragePool":
        return not any(node.attribute("pads", ())) or not node.attribute("count_include_pad", 0)
    return node.op in KEEPS_CONSTANTS


def _evaluate(found: Layout, node: Node, incoming: list[FloatArray]) -> FloatArray:
    """Runs the node itself on the constants, laid along the unit axis."""
    lanes = found.lanes[node.outputs[0]]
    inputs, values = {}, []
    for name, constant in zip(found.computed(node), incoming, strict=True):
        own = found.lanes[name]
        shape = [1] * len(found.shape(name))
        shape[own.axis] = len(constant)
        inputs[name] = np.nan_to_num(constant, nan=0.0).astype(np.float32).reshape(shape)
        values.append(Value(name, "float32", tuple(shape)))
    alone = Graph(
        nodes=(replace(node),),
        weights={name: found.graph.weights[name] for name in node.inputs if name in found.graph.weights},
        inputs=tuple({value.name: value for value in values}.values()),
        outputs=(Value(node.outputs[0], "float32", ()),),
        opset=found.graph.opset,
    )
    result = run(alone, inputs, outputs=[node.outputs[0]])[node.outputs[0]]
    if result.size != len(lanes.units):
        return np.full(len(lanes.units), np.nan)
    unknown = np.any([np.isnan(item) for item in incoming], axis=0)
    return np.where(unknown, np.nan, result.reshape(-1).astype(np.float64))
