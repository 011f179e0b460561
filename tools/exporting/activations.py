"""Recognises activations that MindSpore spells out in arithmetic, and writes each as one ONNX operator."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from mindveil.tools.onnx_passes.constants import drop_unused
from mindveil.tools.onnx_passes.graph import Graph, Node, fresh_name, producers, readers

__all__ = ["name_activations"]

CLOSE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """An activation of ``source`` that ends in ``last``."""

    source: str
    last: Node
    op: str
    attributes: Mapping[str, float | str]
    suffix: str


_Matcher: TypeAlias = Callable[["_View", Node], "_Found | None"]


def name_activations(graph: Graph) -> Graph:
    """The same function with one node for each exact GELU and leaky ReLU.

    The value is called after what it activates (``fc1_gelu``, ``conv1_leakyrelu``), and so are the values whose names
    built on the old one.
    """
    outputs = {item.name for item in graph.outputs}
    while (match := _first_match(graph)) is not None:
        new = Node(match.op, (match.source,), match.last.outputs, dict(match.attributes))
        graph = drop_unused(graph.with_nodes(new if node is match.last else node for node in graph.nodes))
        if match.last.outputs[0] not in outputs:
            graph = _renamed(graph, match.last.outputs[0], fresh_name(graph, f"{match.source}_{match.suffix}"))
    return graph


def _first_match(graph: Graph) -> _Found | None:
    view = _View(graph)
    matches = (matcher(view, node) for node in graph.nodes for matcher in MATCHERS)
    return next((match for match in matches if match is not None), None)


class _View:
    """Look-ups that the patterns need."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.made = producers(graph)
        self.read = readers(graph)

    def maker(self, name: str, op: str) -> Node | None:
        """The node that makes a value, if it is an ``op``."""
        node = self.made.get(name)
        return node if node is not None and node.op == op else None

    def scalar(self, name: str) -> float | None:
        """The number of a weight that holds one."""
        array = self.graph.weights.get(name)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None

    def split(self, node: Node) -> tuple[str, float] | None:
        """A binary node's computed operand and its scalar one."""
        for value, other in (node.inputs, node.inputs[::-1]):
            number = self.scalar(other)
            if number is not None and value not in self.graph.weights:
                return value, number
        return None


def _gelu(view: _View, node: Node) -> _Found | None:
    """``x * (erf(x / sqrt 2) + 1) * 0.5``."""
    outer = view.split(node) if node.op == "Mul" else None
    product = view.maker(outer[0], "Mul") if outer and math.isclose(outer[1], 0.5, rel_tol=CLOSE) else None
    if product is None:
        return None
    for source, factor in (product.inputs, product.inputs[::-1]):
        shifted = view.maker(factor, "Add")
        parts = view.split(shifted) if shifted else None
        erf = view.maker(parts[0], "Erf") if parts and parts[1] == 1 else None
        scaled = view.maker(erf.inputs[0], "Div") if erf else None
        inner = view.split(scaled) if scaled else None
        if inner and scaled and scaled.inputs[0] == source and math.isclose(inner[1], math.sqrt(2), rel_tol=CLOSE):
            return _Found(source, node, "Gelu", {"approximate": "none"}, "gelu")
    return None


def _leaky_relu(view: _View, node: Node) -> _Found | None:
    """``max(slope * x, x)`` with a slope between 0 and 1."""
    if node.op != "Max" or len(node.inputs) != 2:
        return None
    for scaled, source in (node.inputs, node.inputs[::-1]):
        product = view.maker(scaled, "Mul")
        parts = view.split(product) if product else None
        if parts and parts[0] == source and 0 < parts[1] < 1:
            return _Found(source, node, "LeakyRelu", {"alpha": float(np.float32(parts[1]))}, "leakyrelu")
    return None


MATCHERS: tuple[_Matcher, ...] = (_gelu, _leaky_relu)


def _renamed(graph: Graph, old: str, new: str) -> Graph:
    """``old`` becomes ``new``, also at the front of longer names."""
    outputs = {item.name for item in graph.outputs}
    swap = {
        name: new + name[len(old) :]
        for node in graph.nodes
        for name in node.outputs
        if name == old or (name.startswith(f"{old}_") and name not in outputs)
    }
    nodes = (
        replace(
            node,
            inputs=tuple(swap.get(name, name) for name in node.inputs),
            outputs=tuple(swap.get(name, name) for name in node.outputs),
        )
        for node in graph.nodes
    )
    return graph.with_nodes(nodes)
