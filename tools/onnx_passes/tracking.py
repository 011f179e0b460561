"""Follows units through a graph, operator by operator; what no rule covers is pinned, and so never removed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from mindveil.tools.onnx_passes.graph import Graph, Node
from mindveil.tools.onnx_passes.layout import Contraction, Layout
from mindveil.tools.onnx_passes.shapes import with_shapes
from mindveil.tools.onnx_passes.units import Lanes

__all__ = ["ELEMENTWISE", "find_layout"]

UNARY = frozenset(
    (
        *(
            "Relu",
            "LeakyRelu",
            "Sigmoid",
            "Tanh",
            "Clip",
            "Elu",
            "Selu",
            "Celu",
            "Softplus",
            "Softsign",
            "Gelu",
            "Mish",
        ),
        *("HardSwish", "HardSigmoid", "Shrink", "ThresholdedRelu", "Erf", "Sqrt", "Exp", "Log", "Abs", "Neg"),
        *("Reciprocal", "Sign", "Floor", "Ceil", "Round", "Identity", "Dropout", "Cast"),
    )
)
BROADCASTING = frozenset(("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "PRelu"))
ELEMENTWISE = UNARY | BROADCASTING | {"BatchNormalization"}
POOLS = frozenset(("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"))
REDUCTIONS = frozenset(("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum"))

Rule: TypeAlias = Callable[[Layout, Node], "Lanes | None"]


def find_layout(graph: Graph) -> Layout:
    """The units of every value; what no rule covers is pinned, and so never removed."""
    found = Layout(with_shapes(graph))
    found.weight_readers.update(name for node in graph.nodes for name in node.inputs if name in graph.weights)
    found.weight_readers.update(item.name for item in graph.outputs if item.name in graph.weights)
    for node in found.graph.nodes:
        rule = RULES.get(node.op)
        lanes = rule(found, node) if rule and len([name for name in node.outputs if name]) == 1 else None
        if lanes is None:
            for name in found.computed(node):
                _pin(found, name)
        else:
            found.lanes[node.outputs[0]] = lanes
    for item in graph.outputs:
        _pin(found, item.name)
    return found


def _pin(found: Layout, name: str) -> None:
    if name in found.lanes:
        found.units.pin(found.lanes[name].units)


def _source(found: Layout, node: Node, axis: int) -> Lanes:
    """Lanes of a node's first input along ``axis``; an untracked value gets units that stay."""
    name = node.inputs[0]
    lanes = found.lanes.get(name)
    if lanes is not None and lanes.axis == axis:
        return lanes
    if lanes is not None:
        found.units.pin(lanes.units)
    size = found.shape(name)[axis]
    units = found.units.make(size if isinstance(size, int) else 1)
    found.units.pin(units)
    return Lanes(axis, units)


def _contract(found: Layout, node: Node, axis: int, in_axis: int, out_axis: int) -> Lanes | None:
    if not found.private(node.inputs[1]):
        return None
    count = found.graph.weights[node.inputs[1]].shape[out_axis]
    bias = node.input(2)
    if bias and (bias not in found.graph.weights or found.shape(bias) != (count,)):
        return None
    makes = Lanes(axis, found.units.make(count))
    found.contractions.append(Contraction(node, in_axis, out_axis, _source(found, node, axis), makes))
    return makes


def _conv(found: Layout, node: Node) -> Lanes | None:
    weight = found.graph.weights.get(node.inputs[1])
    if weight is None:
        return None
    groups = node.attribute("group", 1)
    if groups == 1:
        return _contract(found, node, 1, 1, 0)
    return _depthwise(found, node) if groups == len(weight) and weight.shape[1] == 1 else None


def _depthwise(found: Layout, node: Node) -> Lanes | None:
    """One filter for each channel: the unit goes on, and its filter and bias go with it."""
    lanes = found.lanes.get(node.inputs[0])
    own = [name for name in node.inputs[1:] if name]
    if lanes is None or lanes.axis != 1 or not all(found.private(name) for name in own):
        return None
    found.slices.extend((node, position, 0, lanes) for position in range(1, len(node.inputs)) if node.inputs[position])
    found.depthwise.append((node, lanes))
    return lanes


def _conv_transpose(found: Layout, node: Node) -> Lanes | None:
    if node.attribute("group", 1) != 1 or node.inputs[1] not in found.graph.weights:
        return None
    return _contract(found, node, 1, 0, 1)


def _gemm(found: Layout, node: Node) -> Lanes | None:
    plain = node.attribute("alpha", 1.0) == 1 and node.attribute("beta", 1.0) == 1 and not node.attribute("transA", 0)
    if not plain or node.inputs[1] not in found.graph.weights:
        return None
    return _contract(found, node, 1, 1, 0) if node.attribute("transB", 0) else _contract(found, node, 1, 0, 1)


def _matmul(found: Layout, node: Node) -> Lanes | None:
    weight = found.graph.weights.get(node.inputs[1])
    if weight is None or weight.ndim != 2:
        return None
    return _contract(found, node, len(found.shape(node.inputs[0])) - 1, 0, 1)


def _elementwise(found: Layout, node: Node) -> Lanes | None:
    """One unit in, the same unit out; values that meet are united, and weights along the axis are cut with them."""
    rank = len(found.shape(node.outputs[0]))
    tracked = [(name, found.lanes.get(name)) for name in found.computed(node)]
    if not tracked or any(lanes is None for _, lanes in tracked):
        return None
    lanes = [_from_the_right(found, name, item, rank) for name, item in tracked if item is not None]
    longest = max(lanes, key=lambda item: len(item.units))
    if any(item.axis != longest.axis or len(item.units) != len(longest.units) for item in lanes):
        return None
    cuts = []
    for position, name in enumerate(node.inputs):
        if name not in found.graph.weights:
            continue
        shape = found.shape(name)
        axis = longest.axis - (rank - len(shape))
        if axis >= 0 and shape[axis] != 1:
            if not found.private(name):
                return None
            cuts.append((node, position, axis, longest))
    for item in lanes:
        found.units.unite(longest.units, item.units)
    found.slices.extend(cuts)
    return longest


def _from_the_right(found: Layout, name: str, lanes: Lanes, rank: int) -> Lanes:
    return replace(lanes, axis=lanes.axis + rank - len(found.shape(name)))


def _batch_norm(found: Layout, node: Node) -> Lanes | None:
    lanes = found.lanes.get(node.inputs[0])
    if lanes is None or lanes.axis != 1 or not all(found.private(name) for name in node.inputs[1:5]):
        return None
    found.slices.extend((node, position, 0, lanes) for position in range(1, 5))
    return lanes


def _pool(found: Layout, node: Node) -> Lanes | None:
    lanes = found.lanes.get(node.inputs[0])
    return lanes if lanes is not None and lanes.axis == 1 else None


def _reduce(found: Layout, node: Node) -> Lanes | None:
    lanes = found.lanes.get(node.inputs[0])
    if lanes is None or node.input(1) not in found.graph.weights:
        return None
    rank = len(found.shape(node.inputs[0]))
    axes = {int(axis) % rank for axis in found.graph.weights[node.inputs[1]].reshape(-1)}
    if lanes.axis in axes or not axes:
        return None
    gone = 0 if node.attribute("keepdims", 1) else sum(axis < lanes.axis for axis in axes)
    return replace(lanes, axis=lanes.axis - gone)


def _flatten(found: Layout, node: Node) -> Lanes | None:
    return _flattened(found, node) if node.attribute("axis", 1) == 1 else None


def _flattened(found: Layout, node: Node) -> Lanes | None:
    lanes, shape = found.lanes.get(node.inputs[0]), found.shape(node.inputs[0])
    if lanes is None or lanes.axis != 1 or not all(isinstance(size, int) for size in shape[1:]):
        return None
    inner = int(np.prod([size for size in shape[2:] if isinstance(size, int)]))
    return Lanes(1, np.repeat(lanes.units, inner))


def _reshape(found: Layout, node: Node) -> Lanes | None:
    """Flattening behind the batch, or a change of the axes before the last; the target shape is adapted later."""
    if node.inputs[1] not in found.graph.weights:
        return None
    lanes = found.lanes.get(node.inputs[0])
    before, after = found.shape(node.inputs[0]), found.shape(node.outputs[0])
    if lanes is None or not before or not after:
        return None
    made = None
    if len(after) == 2 and after[0] == before[0] and lanes.axis == 1:
        made = _flattened(found, node)
    elif lanes.axis == len(before) - 1 and before[-1] == after[-1]:
        made = replace(lanes, axis=len(after) - 1)
    if made is not None:
        found.reshapes.append((node, made))
    return made


def _transpose(found: Layout, node: Node) -> Lanes | None:
    lanes, order = found.lanes.get(node.inputs[0]), node.attribute("perm", None)
    return None if lanes is None or order is None else replace(lanes, axis=order.index(lanes.axis))


def _concat(found: Layout, node: Node) -> Lanes | None:
    lanes = [found.lanes.get(name) for name in node.inputs]
    known = [item for item in lanes if item is not None]
    if len(known) != len(lanes) or len({item.axis for item in known}) != 1:
        return None
    rank = len(found.shape(node.outputs[0]))
    if node.attribute("axis", 0) % rank == known[0].axis:
        return replace(known[0], units=np.concatenate([item.units for item in known]))
    for item in known[1:]:
        found.units.unite(known[0].units, item.units)
    return known[0]


RULES: dict[str, Rule] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_norm,
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Concat": _concat,
    **{op: _elementwise for op in UNARY | BROADCASTING},
    **{op: _pool for op in POOLS},
    **{op: _reduce for op in REDUCTIONS},
}
