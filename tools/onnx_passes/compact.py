"""Stores sparse weights as gaps and values, and lets ordinary operators rebuild them when a session loads the file.

All sparse weights together become one stream of gaps (uint8) between non-zero positions and one stream of values. The
running sum of the gaps is the positions; the values are scattered there; the result is split and reshaped into the
weights, under their own names and bit for bit. Runtimes that fold constants do this once, at load.
"""

from __future__ import annotations

import numpy as np

from mindveil.tools.onnx_passes.graph import Array, Graph, Node, fresh_name

__all__ = ["GAPS", "POSITIONS", "VALUES", "compact_sparse_weights"]

GAPS = "sparse/gaps"
VALUES = "sparse/values"
POSITIONS = "sparse/positions"
LARGEST_GAP = 255
BYTES_PER_ENTRY = 5
BYTES_PER_WEIGHT = 220
"""What the nodes, names and shape of one rebuilt weight take in the file, about."""


def compact_sparse_weights(graph: Graph) -> Graph:
    """The same weights in less space; the graph itself where that would not be smaller.

    Guarantee: the rebuilt weights are bit-identical, except that a negative zero becomes zero.
    """
    chosen = [name for name, array in graph.weights.items() if _worthwhile(array)]
    if not chosen or GAPS in graph.weights:
        return graph
    flat = np.concatenate([graph.weights[name].reshape(-1) for name in chosen])
    gaps, values = _encode(flat)
    kept = {name: array for name, array in graph.weights.items() if name not in chosen}
    stream = {GAPS: gaps, VALUES: values}
    nodes, shapes = _rebuild(graph, chosen, len(flat))
    return graph.with_nodes((*nodes, *graph.nodes), {**kept, **stream, **shapes})


def _worthwhile(array: Array) -> bool:
    if array.dtype != np.float32 or array.ndim < 2:
        return False
    gaps, _ = _encode(array.reshape(-1))
    return len(gaps) * BYTES_PER_ENTRY + BYTES_PER_WEIGHT < array.nbytes


def _encode(flat: Array) -> tuple[Array, Array]:
    """Gaps and values; a distance beyond the largest gap is bridged by entries of value zero."""
    places = np.flatnonzero(flat)
    distances = np.diff(places, prepend=0)
    bridges = np.maximum(distances - 1, 0) // LARGEST_GAP
    ends = np.cumsum(bridges + 1) - 1
    gaps = np.full(int(ends[-1]) + 1 if len(ends) else 0, LARGEST_GAP, np.uint8)
    gaps[ends] = distances - bridges * LARGEST_GAP
    values = np.zeros(len(gaps), flat.dtype)
    values[ends] = flat[places]
    return gaps, values


def _rebuild(graph: Graph, chosen: list[str], total: int) -> tuple[list[Node], dict[str, Array]]:
    extra: dict[str, Array] = {
        "sparse/axis": np.array(0, np.int64),
        "sparse/size": np.array([total], np.int64),
        "sparse/sizes": np.array([graph.weights[name].size for name in chosen], np.int64),
    }
    nodes = [
        Node("Cast", (GAPS,), ("sparse/gaps_int32",), {"to": 6}),
        Node("CumSum", ("sparse/gaps_int32", "sparse/axis"), (POSITIONS,)),
        Node("ConstantOfShape", ("sparse/size",), ("sparse/zeros",)),
        Node("ScatterElements", ("sparse/zeros", POSITIONS, VALUES), ("sparse/flat",), {"axis": 0}),
    ]
    parts = [fresh_name(graph, f"{name}/flat") for name in chosen]
    nodes.append(Node("Split", ("sparse/flat", "sparse/sizes"), tuple(parts), {"axis": 0}))
    for name, part in zip(chosen, parts, strict=True):
        extra[f"{name}/shape"] = np.array(graph.weights[name].shape, np.int64)
        nodes.append(Node("Reshape", (part, f"{name}/shape"), (name,)))
    return nodes, extra
