"""Computes a convolution at the four places of each pooling window at once, and pools over them.

``Conv(k, stride 1) -> Relu -> MaxPool(2, stride 2)`` becomes one convolution of stride 2 with kernel k + 1 and four
times the filters (the filter shifted to each place of the window), the maximum over the four, then the activation at
pooled size. The full-resolution map is never made, and few filters fill the lanes of the runtime's kernels.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from mindveil.tools.onnx_passes.graph import Array, Graph, Node, fresh_name, readers
from mindveil.tools.onnx_passes.shapes import with_shapes

__all__ = ["pool_by_phases", "poolable"]

WINDOW = (2, 2)
PHASES = 4
RISING = frozenset(("Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Selu", "Softplus", "HardSigmoid", "Clip"))
"""Activations that never fall, so that the maximum may be taken before them."""


@dataclass(frozen=True, slots=True, eq=False)
class _Match:
    """A convolution, the activation after it (if any), and the pool."""

    conv: Node
    activation: Node | None
    pool: Node


def poolable(graph: Graph, keep: Collection[str] = ()) -> tuple[str, ...]:
    """Names of the pooled values that `pool_by_phases` can compute; values in ``keep`` are never given up."""
    return tuple(match.pool.outputs[0] for match in _matches(graph, keep))


def pool_by_phases(graph: Graph, pooled: Collection[str]) -> Graph:
    """The same function, computing the named pooled values by phases.

    The pooled value keeps its name and the filter its own (it is spread at load by ordinary operators). The values
    before the pool, at full resolution, are no longer in the graph.

    Guarantee: outputs differ only by the rounding of sums in another order.
    """
    chosen = [match for match in _matches(graph) if match.pool.outputs[0] in pooled]
    graph = with_shapes(graph)
    for match in chosen:
        graph = _rewritten(graph, match)
    return replace(graph, shapes={})


def _matches(graph: Graph, keep: Collection[str] = ()) -> list[_Match]:
    made = {node.outputs[0]: node for node in graph.nodes}
    read = readers(graph)
    outputs = {item.name for item in graph.outputs} | set(keep)
    found = []
    for pool in graph.nodes:
        if not _is_plain_pool(pool):
            continue
        before = made.get(pool.inputs[0])
        activation = before if before is not None and _rises(before, graph) else None
        conv = made.get(activation.inputs[0]) if activation is not None else before
        inner = [node.outputs[0] for node in (conv, activation) if node is not None]
        if conv is None or not _is_plain_conv(conv, graph):
            continue
        if all(len(read[name]) == 1 and name not in outputs for name in inner):
            found.append(_Match(conv, activation, pool))
    return found


def _is_plain_pool(node: Node) -> bool:
    return (
        node.op == "MaxPool"
        and len(node.outputs) == 1
        and tuple(node.attribute("kernel_shape", ())) == WINDOW
        and tuple(node.attribute("strides", (1, 1))) == WINDOW
        and not any(node.attribute("pads", ()))
        and not node.attribute("ceil_mode", 0)
        and set(node.attribute("dilations", (1, 1))) == {1}
        and node.attribute("auto_pad", "NOTSET") in ("NOTSET", "VALID")
    )


def _is_plain_conv(node: Node, graph: Graph) -> bool:
    weight = graph.weights.get(node.inputs[1]) if node.op == "Conv" else None
    return (
        weight is not None
        and weight.ndim == 4
        and node.attribute("group", 1) == 1
        and set(node.attribute("strides", (1, 1))) == {1}
        and set(node.attribute("dilations", (1, 1))) == {1}
        and node.attribute("auto_pad", "NOTSET") in ("NOTSET", "VALID")
        and all(name in graph.weights for name in node.inputs[2:] if name)
    )


def _rises(node: Node, graph: Graph) -> bool:
    if node.op == "LeakyRelu":
        return bool(node.attribute("alpha", 0.01) >= 0)
    if node.op in ("Elu", "HardSigmoid"):
        return bool(node.attribute("alpha", 1.0) >= 0)
    return node.op in RISING and all(name in graph.weights for name in node.inputs[1:] if name)


def _rewritten(graph: Graph, match: _Match) -> Graph:
    conv, pool = match.conv, match.pool
    weights = dict(graph.weights)
    spread, filters = _spread_filters(replace(graph, weights=weights), conv, weights)
    inputs = [conv.inputs[0], filters]
    if conv.input(2):
        inputs.append(f"{pool.outputs[0]}/biases")
        spread.append(Node("Concat", (conv.input(2),) * PHASES, (inputs[2],), {"axis": 0}))
    count, kernel = graph.weights[conv.inputs[1]].shape[0], graph.weights[conv.inputs[1]].shape[2:]
    wide, stacked, top, highest = (f"{pool.outputs[0]}/{part}" for part in ("phases", "stacked", "top", "highest"))
    geometry = {**conv.attributes, "kernel_shape": tuple(size + 1 for size in kernel), "strides": WINDOW}
    image = [int(str(size)) for size in graph.shapes[pool.outputs[0]].shape[2:]]
    weights[f"{stacked}_shape"] = np.array([0, 1, PHASES, count * image[0] * image[1]], np.int64)
    weights[f"{highest}_shape"] = np.array([0, count, *image], np.int64)
    last = pool.outputs[0] if match.activation is None else highest
    nodes = [
        *spread,
        Node("Conv", tuple(inputs), (wide,), geometry, name=f"{conv.outputs[0]}/Conv"),
        Node("Reshape", (wide, f"{stacked}_shape"), (stacked,)),
        # A pool over the phases is the fastest way to their maximum: ReduceMax and Max of parts cost more at batch 1.
        Node("MaxPool", (stacked,), (top,), {"kernel_shape": (PHASES, 1)}),
        Node("Reshape", (top, f"{highest}_shape"), (last,)),
    ]
    if match.activation is not None:
        rest = match.activation.inputs[1:]
        nodes.append(replace(match.activation, inputs=(highest, *rest), outputs=pool.outputs))
    return _spliced(graph, match, nodes, weights)


def _spread_filters(graph: Graph, conv: Node, weights: dict[str, Array]) -> tuple[list[Node], str]:
    """Nodes that shift the filter to the four places; runtimes compute them once, at load."""
    nodes, parts = [], []
    for down in (0, 1):
        for right in (0, 1):
            pads = fresh_name(graph, f"{conv.inputs[1]}/pads_{down}{right}")
            weights[pads] = np.array([0, 0, down, right, 0, 0, 1 - down, 1 - right], np.int64)
            parts.append(f"{conv.inputs[1]}/shift_{down}{right}")
            nodes.append(Node("Pad", (conv.inputs[1], pads), (parts[-1],)))
    filters = f"{conv.inputs[1]}/phases"
    nodes.append(Node("Concat", tuple(parts), (filters,), {"axis": 0}))
    return nodes, filters


def _spliced(graph: Graph, match: _Match, nodes: list[Node], weights: dict[str, Array]) -> Graph:
    gone = {id(match.conv), id(match.activation)}
    kept: list[Node] = []
    for node in graph.nodes:
        if node is match.pool:
            kept.extend(nodes)
        elif id(node) not in gone:
            kept.append(node)
    return replace(graph, nodes=tuple(kept), weights=weights)
