"""Collects the ONNX nodes, weights and names of a graph under construction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mindveil.tools.exporting.source import Batch, Dim, TensorType, UnsupportedModelError
from mindveil.tools.onnx_passes.graph import Array, Graph, Node, Value

__all__ = ["BATCH_AXIS", "Emitter"]

BATCH_AXIS = "batch"


class Emitter:
    """The graph so far. Values are known by their ONNX names; ``types`` holds the type of each."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[Node] = []
        self.weights: dict[str, Array] = {}
        self.types: dict[str, TensorType] = {}
        self.inputs: list[str] = []
        self._taken: dict[str, int] = {}

    def unique(self, wish: str) -> str:
        """``wish``, or ``wish_2``, ``wish_3``, ... where it is taken; the name is reserved."""
        name = wish
        while name in self._taken:
            self._taken[wish] += 1
            name = f"{wish}_{self._taken[wish]}"
        self._taken[name] = 1
        return name

    def add_input(self, wish: str, kind: TensorType) -> str:
        """A graph input."""
        name = self.unique(wish)
        self.inputs.append(name)
        self.types[name] = kind
        return name

    def add_weight(self, wish: str, array: Array) -> str:
        """An initializer."""
        name = self.unique(wish)
        self.weights[name] = array
        self.types[name] = TensorType(array.dtype.name, tuple(array.shape))
        return name

    def add_node(self, op: str, inputs: Sequence[str], outputs: Sequence[str], attributes: dict[str, Any]) -> None:
        """A node; its outputs' names must have been reserved."""
        self.nodes.append(Node(op, tuple(inputs), tuple(outputs), attributes, name=f"{outputs[0]}/{op}"))

    def rename(self, old: str, wish: str) -> str:
        """Gives a value made by a node another name, everywhere."""
        new = self.unique(wish)
        swap = {old: new}
        self.nodes = [
            replace(
                node,
                inputs=tuple(swap.get(name, name) for name in node.inputs),
                outputs=tuple(swap.get(name, name) for name in node.outputs),
                name=f"{new}/{node.op}" if old in node.outputs else node.name,
            )
            for node in self.nodes
        ]
        if old in self.types:
            self.types[new] = self.types.pop(old)
        self._taken.pop(old, None)
        return new

    def producer(self, name: str) -> Node | None:
        """The node that makes a value."""
        return next((node for node in reversed(self.nodes) if name in node.outputs), None)

    def replace_node(self, old: Node, new: Node) -> None:
        """Puts ``new`` where ``old`` was."""
        self.nodes[self.nodes.index(old)] = new

    def batch_size(self) -> str:
        """A value of shape [1] with the number of rows of the batch.

        Raises:
            UnsupportedModelError: no input has the batch as a dimension of its own.
        """
        if "batch_size" in self.types:
            return "batch_size"
        for name in self.inputs:
            shape = self.types[name].shape
            if Batch(1) in shape:
                axis = shape.index(Batch(1))
                self.unique("batch_size")
                self.types["batch_size"] = TensorType("int64", (1,))
                self.add_node("Shape", [name], ["batch_size"], {"start": axis, "end": axis + 1})
                return "batch_size"
        raise UnsupportedModelError("a shape depends on the batch size, but no input has the batch as a dimension")

    def finish(self, outputs: Sequence[str], name: str) -> Graph:
        """The finished graph, with the types of all values."""
        return Graph(
            nodes=tuple(self.nodes),
            weights=dict(self.weights),
            inputs=tuple(self._value(item) for item in self.inputs),
            outputs=tuple(self._value(item) for item in outputs),
            opset=self.opset,
            name=name,
        )

    def _value(self, name: str) -> Value:
        kind = self.types[name]
        return Value(name, kind.dtype, tuple(_dimension(size) for size in kind.shape))


def is_known(shape: Sequence[Dim]) -> bool:
    """Whether no dimension depends on the batch size."""
    return not any(isinstance(size, Batch) for size in shape)


def vector(values: Sequence[int]) -> Array:
    """A shape or axes operand."""
    return np.array(values, np.int64)


def _dimension(size: Dim) -> int | str:
    return size if isinstance(size, int) else str(size)
