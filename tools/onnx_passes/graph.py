"""The form in which passes see an ONNX model: nodes, weights as arrays, and who produces and reads each value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from numpy.typing import NDArray

__all__ = ["Array", "Attribute", "Graph", "Node", "Value", "fresh_name", "producers", "readers"]

Array: TypeAlias = NDArray[Any]
Attribute: TypeAlias = Any
"""int, float, str, array, or a tuple of ints, floats or strings."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operator call; an absent optional input is the empty string."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    name: str = ""
    domain: str = ""

    def attribute(self, name: str, default: Attribute) -> Attribute:
        """The attribute's value, or ``default`` where the node does not have it."""
        return self.attributes.get(name, default)

    def input(self, position: int) -> str:
        """Name of the input at ``position``; empty where the node has none there."""
        return self.inputs[position] if position < len(self.inputs) else ""


@dataclass(frozen=True, slots=True)
class Value:
    """An input or output of the graph; a dimension is a size, a symbol such as ``batch``, or None (unknown)."""

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """An ONNX model without its metadata. Nodes are in an order in which every value is made before it is read."""

    nodes: tuple[Node, ...]
    weights: Mapping[str, Array]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    opset: int
    name: str = "mindveil"
    shapes: Mapping[str, Value] = field(default_factory=dict)

    def with_nodes(self, nodes: Iterable[Node], weights: Mapping[str, Array] | None = None) -> Graph:
        """The same inputs and outputs with other nodes (and weights); recorded shapes are dropped."""
        return replace(self, nodes=tuple(nodes), weights=self.weights if weights is None else weights, shapes={})


def producers(graph: Graph) -> dict[str, Node]:
    """The node behind each computed value."""
    return {output: node for node in graph.nodes for output in node.outputs if output}


def readers(graph: Graph) -> dict[str, list[tuple[Node, int]]]:
    """The nodes that read each value, with the position among their inputs."""
    found: dict[str, list[tuple[Node, int]]] = {}
    for node in graph.nodes:
        for position, name in enumerate(node.inputs):
            if name:
                found.setdefault(name, []).append((node, position))
    return found


def fresh_name(graph: Graph, wish: str) -> str:
    """``wish``, or ``wish`` with the smallest number that makes it a new name."""
    taken = {name for node in graph.nodes for name in node.outputs} | set(graph.weights)
    taken |= {value.name for value in graph.inputs}
    if wish not in taken:
        return wish
    return next(f"{wish}_{number}" for number in range(2, len(taken) + 3) if f"{wish}_{number}" not in taken)
