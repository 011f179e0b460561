"""Per-example terms of a gradient: their values, their norms, and their weighted sum, as nodes of the step graph."""

from __future__ import annotations

from math import prod

from mindveil.passes.edits import Builder
from mindveil.passes.graph import Node, Shape, TensorType
from mindveil.passes.operations import OPERATIONS
from mindveil.passes.operations.table import Place, View
from mindveil.passes.privacy import Many, PerExample, Privacy, PrivacyError, Summed

__all__ = ["Terms"]

#: Linear operations that keep every term's norm: they only move values.
_ISOMETRIC = ("Reshape", "Flatten", "Squeeze", "ExpandDims", "Transpose")


class Terms:
    """Reads gradient expressions of a typed graph, and builds what clipping needs from them.

    A gradient is an expression, not a node: linear operations (a sum of several uses of a weight, a transpose, a
    concatenation) may stand between the contraction over the examples and the optimizer.
    """

    def __init__(self, build: Builder, types: dict[int, Privacy], batch: int) -> None:
        self.build = build
        self.batch = batch
        self.view = View(build, types, batch)
        self._values: dict[int, int] = {}

    def values(self, node: int) -> int:
        """``[B, *shape]``: the term of each example in a sum over examples.

        Raises:
            PrivacyError: no rule builds the terms of an operation in the expression.
        """
        if node not in self._values:
            self._values[node] = self._values_of(self.build[node])
        return self._values[node]

    def norm(self, node: int) -> int:
        """``[B, 1]`` float32: the squared L2 norm of each example's term."""
        n = self.build[node]
        entry = OPERATIONS[n.op]
        if n.op in _ISOMETRIC:
            return self.norm(n.inputs[0])
        if n.op == "Concat":
            parts = [self.norm(i) for i in self.build[n.inputs[0]].inputs]
            return self.add(parts)
        if entry.norm is not None and node not in self._values:
            ghost = entry.norm(self, n)
            if ghost is not None:
                return ghost
        return self.squares(self.values(node))

    def weighted(self, node: int, weights: int) -> int:
        """The sum over examples of ``weights`` (``[B, 1]``) times the term.

        A term whose weight is 0 adds exactly 0, also where it is not finite.
        """
        n = self.build[node]
        if node in self._values:
            flat = self.build.finite(self.build.reshape(self._values[node], (self.batch, prod(n.shape))))
            row = self.build.reshape(weights, (1, self.batch))
            return self.build.reshape(self.build.matmul(row, self.build.cast(flat)), n.shape)
        if n.op == "TupleGetItem":
            return self.build.clone(node, [self.weighted(n.inputs[0], weights), n.inputs[1]])
        entry = OPERATIONS[n.op]
        if entry.scaled is not None and not self._summed_inputs(n):
            return self.build.clone(node, self._weighted_operands(n, entry.scaled(self.view, n), weights))
        return self.build.clone(node, [self._weighted_input(i, weights) for i in n.inputs])

    # ----------------------------------------------------------------------------- pieces that the rules are made of
    def front(self, node: int, place: Place) -> int:
        """The examples moved to the front: ``[B, ..., outer*inner, ...]``, one dimension more than before."""
        shape, k = self.build[node].shape, place.axis
        before, after = shape[:k], shape[k + 1 :]
        wide = (*before, place.outer, self.batch, place.inner, *after)
        if place.outer == 1 and prod(before) == 1:
            return self.build.reshape(node, (self.batch, *before, place.inner, *after))
        split = self.build.reshape(node, wide)
        moved = self.build.transpose(split, [k + 1, *range(k + 1), *range(k + 2, len(wide))])
        return self.build.reshape(moved, (self.batch, *before, place.outer * place.inner, *after))

    def squares(self, node: int) -> int:
        """``[B, 1]`` float32: the sum of squares of what stands behind the first dimension."""
        size = prod(self.build[node].shape[1:])
        flat = self.build.cast(self.build.reshape(node, (self.batch, size)))
        return self.build.total(self.build.unary("Square", flat), [1], keep=True)

    def sum_all(self, node: int) -> int:
        """``[B, 1]`` float32: the sum of what stands behind the first dimension."""
        size = prod(self.build[node].shape[1:])
        return self.build.total(self.build.cast(self.build.reshape(node, (self.batch, size))), [1], keep=True)

    def add(self, parts: list[int]) -> int:
        """The sum of tensors of one shape."""
        total = parts[0]
        for part in parts[1:]:
            total = self.build.binary("Add", total, part)
        return total

    def concat(self, parts: list[int], axis: int) -> int:
        """The parts joined along a dimension."""
        first = self.build[parts[0]]
        shape = list(first.shape)
        shape[axis] = sum(self.build[p].shape[axis] for p in parts)
        group = self.build.op("MakeTuple", parts, TensorType(elements=tuple(self.build[p].type for p in parts)))
        return self.build.op(
            "Concat", [group, self.build.constant("int", axis)], TensorType(tuple(shape), first.type.dtype)
        )

    def tensor(self, node: int) -> int:
        """A public operand as a tensor; a Python number becomes a float32 scalar."""
        n = self.build[node]
        if n.type.shape is not None:
            return node
        return self.build.scalar(float(self.view.value(node)))

    # --------------------------------------------------------------------------------------------------- recursion
    def _values_of(self, n: Node) -> int:
        index, source = 0, n
        if n.op == "TupleGetItem":
            index, source = int(self.view.value(n.inputs[1])), self.build[n.inputs[0]]
        entry = OPERATIONS.get(source.op)
        inner = self._summed_inputs(source)
        if entry is not None and entry.linear is not None and inner:
            return entry.linear(self, source, [self.values(i) for i in inner])
        if entry is not None and entry.terms is not None and not inner:
            return entry.terms(self, source, index)
        raise PrivacyError(f"no rule gives the per-example terms of {source.describe()}")

    def _summed_inputs(self, n: Node) -> list[int]:
        """The inputs that are sums over examples, those inside a tuple input too."""
        found: list[int] = []
        for i in n.inputs:
            kind = self.view.types.get(i)
            if isinstance(kind, Summed):
                found.append(i)
            elif isinstance(kind, Many):
                members = self.build[i].inputs
                found += [m for m, k in zip(members, kind.parts, strict=False) if isinstance(k, Summed)]
        return found

    def _weighted_input(self, node: int, weights: int) -> int:
        kind = self.view.types.get(node)
        if isinstance(kind, Summed):
            return self.weighted(node, weights)
        if isinstance(kind, Many) and any(isinstance(k, Summed) for k in kind.parts):
            members = [self._weighted_input(i, weights) for i in self.build[node].inputs]
            return self.build.clone(node, members)
        return node

    def _weighted_operands(self, n: Node, position: int, weights: int) -> list[int]:
        operands = list(n.inputs)
        for k, i in enumerate(n.inputs):
            if not isinstance(self.view.types.get(i), PerExample) or not _is_float(self.build[i]):
                continue
            operands[k] = self.build.finite(self._times(i, weights) if k == position else i)
        return operands

    def _times(self, node: int, weights: int) -> int:
        """The tensor with every example's part multiplied by its weight."""
        place, shape = self.view.place(node), self.build[node].shape
        before, after = shape[: place.axis], shape[place.axis + 1 :]
        wide: Shape = (*before, place.outer, self.batch, place.inner, *after)
        if place.outer == place.inner == 1:
            wide = shape
            factors = self.build.reshape(weights, (self.batch, *(1 for _ in after)))
        else:
            factors = self.build.reshape(weights, (self.batch, *(1 for _ in (0, *after))))
        product = self.build.binary("Mul", self.build.reshape(node, wide), self.build_like(factors, node))
        return self.build.reshape(product, shape)

    def build_like(self, node: int, like: int) -> int:
        """The tensor in the number format of another (mixed precision)."""
        return self.build.cast(node, self.build[like].type.dtype or "Float32")


def _is_float(node: Node) -> bool:
    return (node.type.dtype or "").startswith("Float")
