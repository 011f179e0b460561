"""Builds new nodes into a step graph, and lists for the bridge what a rewritten graph adds and changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from mindveil.passes.graph import Constant, Node, Shape, StepGraph, TensorType

__all__ = ["Builder", "edits"]

FLOAT = "Float32"
Array = np.ndarray[Any, Any]


class Builder:
    """Adds nodes to a graph; `graph` gives the result, and the graph it began with stays as it was.

    Every method returns the id of the node it made. Equal nodes are made once. The type that a method computes is
    compared with what MindSpore infers when the edits are applied.
    """

    def __init__(self, graph: StepGraph) -> None:
        self._base = graph
        self._added: dict[int, Node] = {}
        self._known: dict[tuple[Any, ...], int] = {}
        self._next = max(graph.nodes) + 1

    def __getitem__(self, node: int) -> Node:
        return self._added.get(node) or self._base[node]

    @property
    def graph(self) -> StepGraph:
        """The graph with all that was added."""
        return self._base.with_nodes(self._added)

    def constant(self, tag: Any, value: Any, dtype: str = "float32") -> int:
        """A constant; see `Constant` for the tags."""
        if tag == "tensor":
            value = np.asarray(value, dtype)
            type_ = TensorType(value.shape, {"float32": FLOAT, "int64": "Int64"}[dtype])
        else:
            type_ = TensorType()
        key = ("constant", tag, dtype, value.tobytes() if tag == "tensor" else repr(value), type_)
        return self._remember(key, Node(self._next, "value", type_, value=Constant(tag, value, dtype), made=True))

    def scalar(self, value: float) -> int:
        """A float32 tensor without dimensions."""
        return self.constant("tensor", np.float32(value))

    def ints(self, values: Sequence[int]) -> int:
        """A tuple of whole numbers: axes, a shape, a permutation."""
        return self.constant("ints", tuple(int(v) for v in values))

    def op(
        self, name: str, inputs: Sequence[int], type_: TensorType, attrs: Mapping[str, Constant] | None = None
    ) -> int:
        """Any operation by its primitive's name."""
        attrs = dict(attrs or {})
        key = (name, tuple(inputs), tuple(sorted((k, v.tag, repr(v.value)) for k, v in attrs.items())), type_)
        node = Node(self._next, "op", type_, name, tuple(inputs), MappingProxyType(attrs), made=True)
        return self._remember(key, node)

    def unique(
        self, name: str, inputs: Sequence[int], like: int | None, type_: TensorType, attrs: Mapping[str, Constant]
    ) -> int:
        """An operation with an effect: never shared with an equal one. Its type is that of ``like`` if given."""
        node = Node(self._next, "op", type_, name, tuple(inputs), MappingProxyType(dict(attrs)), made=True, like=like)
        return self._add(node)

    def clone(self, node: int, inputs: Sequence[int]) -> int:
        """The same primitive on other inputs of the same types."""
        old = self[node]
        if old.made:
            new = replace(old, id=self._next, inputs=tuple(inputs))
        else:
            new = replace(old, id=self._next, inputs=tuple(inputs), clone_of=node, like=node, made=True, stamp=None)
        return self._remember(("clone", node, tuple(inputs)), new)

    def stamp(self, node: int, privacy: Any) -> int:
        """A copy of the node that carries the privacy type a pass vouches for; only made operations can be stamped."""
        old = self[node]
        if not old.made:
            raise ValueError(f"only a node that a pass made can be stamped, not {old.describe()}")
        self._added[node] = replace(old, stamp=privacy)
        return node

    def mark(self, node: int, source: int, index: int) -> int:
        """Says that a node that a pass made is the per-example term of an output of ``source``; see `Node.role`."""
        if self[node].made and self[node].kind == "op":
            self._added[node] = replace(self[node], role=(source, index))
        return node

    def with_replaced(self, instead: Mapping[int, int]) -> StepGraph:
        """The graph in which every user of a key reads its value."""
        for node in list(self.graph.nodes.values()):
            for position, source in enumerate(node.inputs):
                if source in instead:
                    self.rewire(node.id, position, instead[source])
        return self.graph

    def rewire(self, node: int, position: int, source: int) -> None:
        """Makes ``node`` read ``source`` as its input number ``position``."""
        old = self[node]
        inputs = list(old.inputs)
        inputs[position] = source
        self._added[node] = replace(old, inputs=tuple(inputs))

    def extend(self, node: int, source: int) -> None:
        """Gives ``node`` one input more; only for nodes that a pass removes again."""
        old = self[node]
        self._added[node] = replace(old, inputs=(*old.inputs, source))

    # ------------------------------------------------------------------------------------------ float32 arithmetic
    def binary(self, name: str, a: int, b: int) -> int:
        """Mul, Add, RealDiv, Minimum, Maximum: broadcasting, the type of the tensors."""
        shape = np.broadcast_shapes(self[a].shape, self[b].shape)
        return self.op(name, [a, b], TensorType(tuple(shape), self[a].type.dtype))

    def unary(self, name: str, a: int, attrs: Mapping[str, Constant] | None = None) -> int:
        """Square, Sqrt and the like: shape and type kept."""
        return self.op(name, [a], self[a].type, attrs)

    def cast(self, a: int, dtype: str = FLOAT) -> int:
        """The same values in another type."""
        if self[a].type.dtype == dtype:
            return a
        ids = {"Float32": 43, "Float16": 42, "Int32": 34, "Int64": 35, "Bool": 30}
        return self.op("Cast", [a, self.constant("int", ids[dtype])], TensorType(self[a].shape, dtype))

    def reshape(self, a: int, shape: Shape) -> int:
        """The same values in C order under another shape."""
        if self[a].shape == tuple(shape):
            return a
        return self.op("Reshape", [a, self.ints(shape)], TensorType(tuple(shape), self[a].type.dtype))

    def transpose(self, a: int, order: Sequence[int]) -> int:
        """Dimensions in another order."""
        if list(order) == sorted(order):
            return a
        shape = tuple(self[a].shape[k] for k in order)
        return self.op("Transpose", [a, self.ints(order)], TensorType(shape, self[a].type.dtype))

    def total(self, a: int, axes: Sequence[int], keep: bool = False) -> int:
        """The sum over some dimensions."""
        if not axes:
            return a
        shape = self[a].shape
        axes = [k % len(shape) for k in axes]
        left = tuple((1 if k in axes else d) for k, d in enumerate(shape) if keep or k not in axes)
        if all(shape[k] == 1 for k in axes):
            return self.reshape(a, left)
        inputs = [a, self.ints(axes), self.constant("bool", keep), self.constant("bool", False)]
        return self.op("ReduceSum", inputs, TensorType(left, self[a].type.dtype))

    def matmul(self, a: int, b: int, ta: bool = False, tb: bool = False) -> int:
        """A product of matrices, one for each leading index (2-D operands: MatMul, more: BatchMatMul)."""
        sa, sb = self[a].shape, self[b].shape
        rows, columns = sa[-1 if ta else -2], sb[-2 if tb else -1]
        lead = tuple(np.broadcast_shapes(sa[:-2], sb[:-2]))
        inputs = [a, b, self.constant("bool", ta), self.constant("bool", tb)]
        name = "MatMul" if len(sa) == len(sb) == 2 else "BatchMatMul"
        return self.op(name, inputs, TensorType((*lead, rows, columns), self[a].type.dtype))

    def finite(self, a: int) -> int:
        """The values, with 0 in place of what is not finite."""
        zero = self.constant("float", 0.0)
        return self.op("NanToNum", [a, zero, zero, zero], self[a].type)

    def _remember(self, key: tuple[Any, ...], node: Node) -> int:
        if key not in self._known:
            self._known[key] = self._add(node)
        return self._known[key]

    def _add(self, node: Node) -> int:
        self._added[node.id] = node
        self._next = node.id + 1
        return node.id


def edits(before: StepGraph, after: StepGraph) -> dict[str, Any]:
    """What the bridge must do to turn ``before`` into ``after``: new nodes in order, then changed edges."""
    live = [after[n] for n in after.order()]

    def ref(n: int) -> dict[str, Any]:
        node = after[n]
        if not node.made:
            return {"n": n}
        if node.kind == "value":
            return dict(node.value.to_json())
        return {"new": str(n)}

    nodes = [_made(n, ref) for n in live if n.made and n.kind == "op"]
    edges = []
    for n in live:
        if n.made:
            continue
        for k, (old, new) in enumerate(zip(before[n.id].inputs, n.inputs, strict=True)):
            if old != new:
                edges.append([{"n": n.id}, k + 1, ref(new)])
    return {"nodes": nodes, "edges": edges}


def _made(n: Node, ref: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"id": str(n.id), "in": [ref(i) for i in n.inputs]}
    if n.clone_of is not None:
        made["clone"] = n.clone_of
    else:
        made["op"] = n.op
        made["attrs"] = {k: v.to_json() for k, v in n.attrs.items()}
    if n.like is not None:
        made["like"] = ref(n.like)
    else:
        made["type"] = _type(n.type)
        if n.op in ("Custom", "MakeTuple", "TupleGetItem"):  # no inference by name: an own kernel checks its arguments
            made["declared_only"] = True
    return made


def _type(t: TensorType) -> dict[str, Any]:
    if t.elements is not None:
        return {"elements": [_type(e) for e in t.elements]}
    return {"shape": list(t.shape or ()), "dtype": t.dtype}
