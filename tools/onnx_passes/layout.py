"""Where the units of every value lie, and which weights read and make them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from mindveil.tools.onnx_passes.graph import Graph, Node
from mindveil.tools.onnx_passes.units import Lanes, Units

__all__ = ["Contraction", "Layout"]


@dataclass(frozen=True, slots=True, eq=False)
class Contraction:
    """A node that sums over units of one value, by weights, into units of another.

    ``in_axis`` and ``out_axis`` are the axes of the weight.
    """

    node: Node
    in_axis: int
    out_axis: int
    reads: Lanes
    makes: Lanes

    @property
    def weight(self) -> str:
        """Name of the weight."""
        return self.node.inputs[1]

    @property
    def bias(self) -> str:
        """Name of the bias, or the empty string."""
        return self.node.input(2)


@dataclass(slots=True)
class Layout:
    """The units of a graph. ``slices`` lists weights cut along with a value: (node, input position, axis, lanes)."""

    graph: Graph
    units: Units = field(default_factory=Units)
    lanes: dict[str, Lanes] = field(default_factory=dict)
    contractions: list[Contraction] = field(default_factory=list)
    slices: list[tuple[Node, int, int, Lanes]] = field(default_factory=list)
    reshapes: list[tuple[Node, Lanes]] = field(default_factory=list)
    depthwise: list[tuple[Node, Lanes]] = field(default_factory=list)
    weight_readers: Counter[str] = field(default_factory=Counter)

    def shape(self, name: str) -> tuple[int | str | None, ...]:
        """Shape of any value."""
        if name in self.graph.weights:
            return tuple(self.graph.weights[name].shape)
        if name in self.graph.shapes:
            return self.graph.shapes[name].shape
        return next((item.shape for item in self.graph.inputs if item.name == name), ())

    def private(self, name: str) -> bool:
        """Whether a weight has only one reader, so that it may be cut for that one."""
        return name in self.graph.weights and self.weight_readers[name] == 1

    def computed(self, node: Node) -> list[str]:
        """The inputs of a node that are no weights."""
        return [name for name in node.inputs if name and name not in self.graph.weights]
