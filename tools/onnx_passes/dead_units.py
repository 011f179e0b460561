"""Removes channels and features that nothing reads or whose value never changes, exactly.

A unit goes when every layer that reads it has only zero weights for it, or reads a constant that fits into its bias.
Units tied by residual additions go together or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from mindveil.tools.onnx_passes.constant_units import FloatArray, constant_units, foldable, row_sums
from mindveil.tools.onnx_passes.graph import Array, Graph, Node, fresh_name
from mindveil.tools.onnx_passes.layout import Contraction, Layout
from mindveil.tools.onnx_passes.tracking import find_layout
from mindveil.tools.onnx_passes.units import IntArray, Lanes

__all__ = ["remove_dead_units"]


def remove_dead_units(graph: Graph, *, multiple: int = 1) -> Graph:
    """The same function with fewer units; values keep their names.

    Args:
        multiple: the number of channels a convolution makes is rounded up to this multiple by keeping dead ones:
            kernels work in blocks of channels, and an odd number can be slower than a larger even one.

    Guarantee: outputs differ from the input graph's only by the rounding of sums in another order.
    """
    folded = _fold_constants(find_layout(graph))
    found = find_layout(folded)
    kept = _with_fill(found, _live(found), multiple)
    return _cut(found, kept)


def _fold_constants(found: Layout) -> Graph:
    """Moves constant inputs of each contraction into its bias and sets the weights on them to zero."""
    constants = constant_units(found)
    weights = dict(found.graph.weights)
    changed: dict[int, Node] = {}
    for item in found.contractions:
        incoming = constants.get(item.node.inputs[0])
        if incoming is None or len(incoming) != weights[item.weight].shape[item.in_axis]:
            continue
        fixed = foldable(item, incoming)
        if not fixed.any():
            continue
        added = row_sums(weights[item.weight], item) @ np.where(fixed, incoming, 0.0)
        if added.any():
            changed[id(item.node)] = _with_bias(found, item, added, weights)
        selector = [slice(None)] * weights[item.weight].ndim
        selector[item.in_axis] = fixed  # type: ignore[call-overload]
        weight = weights[item.weight].copy()
        weight[tuple(selector)] = 0
        weights[item.weight] = weight
    return found.graph.with_nodes((changed.get(id(node), node) for node in found.graph.nodes), weights)


def _with_bias(found: Layout, item: Contraction, added: FloatArray, weights: dict[str, Array]) -> Node:
    """Adds to the bias, which keeps its name unless other layers share it or there was none."""
    dtype = weights[item.weight].dtype
    before = weights[item.bias].astype(np.float64) if item.bias else np.zeros(len(added))
    name = item.bias
    if not name or not found.private(name):
        name = fresh_name(replace(found.graph, weights=weights), f"{item.weight.removesuffix('.weight')}.bias")
    weights[name] = (before + added).astype(dtype)
    return replace(item.node, inputs=(*item.node.inputs[:2], name))


def _live(found: Layout) -> set[int]:
    """Units that must stay: the pinned ones, and all that a live unit reads with a weight other than zero."""
    live = found.units.pinned()
    usage = [
        (_usage(found, item), found.units.roots(item.reads.units), found.units.roots(item.makes.units))
        for item in found.contractions
    ]
    grown = True
    while grown:
        before = len(live)
        for used, reads, makes in usage:
            rows = np.isin(makes, list(live))
            live.update(reads[used[rows].any(axis=0)].tolist())
        grown = len(live) > before
    return live


def _usage(found: Layout, item: Contraction) -> Array:
    weight = found.graph.weights[item.weight]
    moved = np.moveaxis(weight, (item.out_axis, item.in_axis), (0, 1))
    return np.asarray((moved.reshape(moved.shape[0], moved.shape[1], -1) != 0).any(axis=2))


def _with_fill(found: Layout, live: set[int], multiple: int) -> set[int]:
    """Keeps some dead units too: one where a layer would be left with none, and up to the multiple in convolutions."""
    kept = set(live)
    for item in found.contractions:
        roots = list(dict.fromkeys(found.units.roots(item.makes.units).tolist()))
        dead = [root for root in roots if root not in kept]
        alive = len(roots) - len(dead)
        wanted = max(alive, 1)
        if item.node.op in ("Conv", "ConvTranspose"):
            wanted = -(-wanted // multiple) * multiple
        kept.update(dead[: max(wanted - alive, 0)])
    return kept


@dataclass(frozen=True, slots=True)
class _Cutter:
    """Cuts weights of a graph under construction."""

    found: Layout
    kept: frozenset[int]
    weights: dict[str, Array]

    def keep(self, lanes: Lanes) -> IntArray:
        roots = self.found.units.roots(lanes.units)
        return np.flatnonzero(np.isin(roots, list(self.kept)))

    def take(self, name: str, axis: int, lanes: Lanes) -> None:
        self.weights[name] = np.ascontiguousarray(np.take(self.weights[name], self.keep(lanes), axis))


def _cut(found: Layout, kept: Iterable[int]) -> Graph:
    cutter = _Cutter(found, frozenset(kept), dict(found.graph.weights))
    changed: dict[int, Node] = {}
    for item in found.contractions:
        cutter.take(item.weight, item.in_axis, item.reads)
        cutter.take(item.weight, item.out_axis, item.makes)
        if item.bias:
            changed[id(item.node)] = _own_bias(cutter, item)
    for node, position, axis, lanes in found.slices:
        cutter.take(node.inputs[position], axis, lanes)
    for node, lanes in found.depthwise:
        changed[id(node)] = replace(node, attributes={**node.attributes, "group": len(cutter.keep(lanes))})
    for node, lanes in found.reshapes:
        changed[id(node)] = _own_shape(cutter, node, lanes)
    nodes = [changed.get(id(node), node) for node in found.graph.nodes]
    return found.graph.with_nodes(nodes, _read_only_by(nodes, cutter.weights, found.graph))


def _own_bias(cutter: _Cutter, item: Contraction) -> Node:
    """The bias may serve other layers too, so a shared one is copied before it is cut."""
    if cutter.found.private(item.bias):
        cutter.take(item.bias, 0, item.makes)
        return item.node
    name = fresh_name(replace(cutter.found.graph, weights=cutter.weights), item.bias)
    cutter.weights[name] = cutter.weights[item.bias]
    cutter.take(name, 0, item.makes)
    return replace(item.node, inputs=(*item.node.inputs[:2], name))


def _own_shape(cutter: _Cutter, node: Node, lanes: Lanes) -> Node:
    """A reshape that spells out the number of units spells out the new one."""
    shape = cutter.found.graph.weights[node.inputs[1]]
    if shape[lanes.axis] <= 0 or shape[lanes.axis] == len(cutter.keep(lanes)):
        return node
    adapted = shape.copy()
    adapted[lanes.axis] = len(cutter.keep(lanes))
    name = node.inputs[1]
    if not cutter.found.private(name):
        name = fresh_name(replace(cutter.found.graph, weights=cutter.weights), name)
    cutter.weights[name] = adapted
    return replace(node, inputs=(node.inputs[0], name))


def _read_only_by(nodes: list[Node], weights: Mapping[str, Array], graph: Graph) -> dict[str, Array]:
    """The weights that some node or output still reads."""
    needed = {name for node in nodes for name in node.inputs} | {item.name for item in graph.outputs}
    return {name: array for name, array in weights.items() if name in needed}
