"""Measures the shape of every value by running the graph at two batch sizes."""

from __future__ import annotations

from dataclasses import replace

from mindveil.tools.onnx_passes.graph import Graph, Value
from mindveil.tools.onnx_passes.session import random_inputs, run

__all__ = ["with_shapes"]

BATCHES = (2, 3)
SYMBOL = "batch"


def with_shapes(graph: Graph) -> Graph:
    """The same graph with ``shapes`` filled in for every computed value.

    A dimension that grows with the batch is ``batch`` or ``k*batch``; one that grows in another way is None.
    """
    names = [name for node in graph.nodes for name in node.outputs if name]
    first, second = (run(graph, random_inputs(graph, rows), outputs=names, optimise=False) for rows in BATCHES)
    shapes = {}
    for name in names:
        one, two = first[name], second[name]
        if one.ndim == two.ndim:
            dims = tuple(_dimension(a, b) for a, b in zip(one.shape, two.shape, strict=True))
            shapes[name] = Value(name, one.dtype.name, dims)
    return replace(graph, shapes=shapes)


def _dimension(one: int, two: int) -> int | str | None:
    if one == two:
        return one
    factor = one // BATCHES[0]
    if factor * BATCHES[0] == one and factor * BATCHES[1] == two:
        return SYMBOL if factor == 1 else f"{factor}*{SYMBOL}"
    return None
