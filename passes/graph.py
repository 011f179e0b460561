"""The step graph: a compiled training step as frozen values, and nothing about how it was compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from mindveil.passes.bridge.plugin import MARKER

if TYPE_CHECKING:
    from mindveil.passes.privacy import Privacy

__all__ = ["Constant", "Node", "StepGraph", "TensorType", "read_graph"]

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TensorType:
    """What MindSpore inferred for a value: a tensor (``shape``, ``dtype``), a tuple (``elements``), or neither."""

    shape: Shape | None = None
    dtype: str | None = None
    elements: tuple[TensorType, ...] | None = None

    def describe(self) -> str:
        """For instance ``Float32[4, 10]`` or ``(Float32[4], Int32[])``."""
        if self.elements is not None:
            return f"({', '.join(e.describe() for e in self.elements)})"
        return "-" if self.shape is None else f"{self.dtype}{list(self.shape)}"


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that a pass adds, tagged with the type that the compiler must see."""

    tag: Literal["int", "ints", "bool", "str", "float", "none", "tensor"]
    value: Any
    dtype: str = "float32"

    def to_json(self) -> dict[str, Any]:
        """The form that the bridge reads."""
        if self.tag == "tensor":
            return {"tensor": self.value.ravel().tolist(), "shape": list(self.value.shape), "dtype": self.dtype}
        return {self.tag: list(self.value) if self.tag == "ints" else self.value}


@dataclass(frozen=True, slots=True)
class Node:
    """One value of the graph: an operation, a Parameter or graph input, or a constant.

    Attributes:
        op: the primitive's name; empty unless ``kind`` is ``op``.
        name: of a Parameter or graph input; for an operation, its scope.
        weight: a Parameter with a value, as opposed to a graph input.
        value: of a constant, in Python's own types.
        uniform, fill: whether a constant tensor has one value throughout, and that value.
        stamp: the privacy type that a pass vouches for; see `mindveil.passes.privacy`.
        role: (node, output) whose term of each example a pass built here; for kernels that compute it anyway.
        clone_of, like, made: how a node that a pass added is built; see `mindveil.passes.edits`.
    """

    id: int
    kind: Literal["op", "parameter", "value"]
    type: TensorType
    op: str = ""
    inputs: tuple[int, ...] = ()
    attrs: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    name: str = ""
    weight: bool = False
    trainable: bool = False
    value: Any = None
    uniform: bool = True
    fill: float | None = None
    stamp: Privacy | None = None
    role: tuple[int, int] | None = None
    clone_of: int | None = None
    like: int | None = None
    made: bool = False

    @property
    def shape(self) -> Shape:
        """The tensor's shape; ``()`` for what is no tensor."""
        return self.type.shape or ()

    @property
    def plain(self) -> Any:
        """A constant's value in Python's own types, whether the compiler or a pass made it."""
        return self.value.value if isinstance(self.value, Constant) else self.value

    def describe(self) -> str:
        """Operation, type and scope, for messages."""
        what = self.op if self.kind == "op" else f"{self.kind} {self.name or self.value!r}"
        return f"{what} -> {self.type.describe()}" + (f" in {self.name}" if self.kind == "op" and self.name else "")


@dataclass(frozen=True)
class StepGraph:
    """A training step: nodes by id, the graph inputs, the returned node."""

    nodes: Mapping[int, Node]
    parameters: tuple[int, ...]
    output: int
    subgraphs: tuple[str, ...] = ()
    original: int = 0

    def __getitem__(self, node: int) -> Node:
        return self.nodes[node]

    @property
    def data(self) -> tuple[Node, ...]:
        """The graph inputs that carry examples: inputs without a stored value."""
        return tuple(self[p] for p in self.parameters if not self[p].weight)

    @property
    def operations(self) -> tuple[Node, ...]:
        """All operations, an operation after its inputs."""
        return tuple(self[n] for n in self.order() if self[n].kind == "op")

    def inputs(self, node: int) -> tuple[Node, ...]:
        """The nodes that ``node`` reads, in order."""
        return tuple(self[i] for i in self[node].inputs)

    def users(self, node: int) -> list[tuple[int, int]]:
        """(user, position) for every operation that reads ``node``."""
        return [(n.id, k) for n in self.nodes.values() for k, i in enumerate(n.inputs) if i == node]

    def find(self, op: str) -> tuple[Node, ...]:
        """The operations called ``op``, in id order."""
        return tuple(n for n in self.nodes.values() if n.op == op)

    @property
    def marker(self) -> Node | None:
        """The step's marker, if no pass has removed it yet."""
        found = self.find(MARKER)
        return found[0] if found else None

    def order(self, node: int | None = None) -> list[int]:
        """What a node depends on, and itself, inputs before users; of the output by default."""
        done: dict[int, None] = {}
        stack = [(self.output if node is None else node, False)]
        while stack:
            node, ready = stack.pop()
            if node in done:
                continue
            if ready:
                done[node] = None
            else:
                stack.append((node, True))
                stack.extend((i, False) for i in reversed(self[node].inputs) if i not in done)
        return list(done)

    def with_nodes(self, changed: Mapping[int, Node]) -> StepGraph:
        """The graph with these nodes added or replaced."""
        return replace(self, nodes=MappingProxyType({**self.nodes, **changed}))


def read_graph(document: dict[str, Any]) -> StepGraph:
    """The graph that the bridge wrote out."""
    nodes = {n["id"]: _node(n) for n in document["nodes"]}
    return StepGraph(
        MappingProxyType(nodes),
        tuple(document["parameters"]),
        document["return"],
        tuple(document["subgraphs"]),
        original=len(nodes),
    )


def _node(n: dict[str, Any]) -> Node:
    kind, type_ = n["kind"], _type(n["abs"])
    if kind == "op":
        attrs = MappingProxyType(n["op"]["attrs"])
        return Node(n["id"], kind, type_, n["op"]["prim"], tuple(n["in"]), attrs, n["scope"])
    if kind == "parameter":
        return Node(n["id"], kind, type_, name=n["name"], weight=n["weight"], trainable=n["trainable"])
    value, uniform, fill = n["value"], True, None
    if isinstance(value, dict) and "tensor" in value:
        uniform, first = value["uniform"], value.get("fill")
        fill = float(first[0]) if first and first[0] is not None else None  # JSON has no infinity
        value = value["tensor"]
    return Node(n["id"], kind, type_, value=value, uniform=uniform, fill=fill)


def _type(a: dict[str, Any] | None) -> TensorType:
    if a is None:
        return TensorType()
    if "elements" in a:
        return TensorType(elements=tuple(_type(e) for e in a["elements"]))
    if "shape" not in a:
        return TensorType()
    return TensorType(tuple(a["shape"]), a["dtype"])
