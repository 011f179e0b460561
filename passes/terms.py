"""Per-example terms of a gradient: their values, their norms, and their weighted sum, as nodes of the step graph."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TypeVar

from mindveil.passes.edits import FLOAT, Builder
from mindveil.passes.graph import Constant, Node, Shape, TensorType
from mindveil.passes.operations import OPERATIONS
from mindveil.passes.operations.table import Place, RefusedError, View
from mindveil.passes.privacy import Many, PerExample, Privacy, PrivacyError, Summed

__all__ = ["Terms"]

T = TypeVar("T")

#: Where a squared norm is smaller than this part of what the triangle inequality allows, its rows cancel, and float32
#: may have lost its digits.
CANCELLED = 1e-4


class Terms:
    """Reads gradient expressions of a typed graph, and builds what clipping needs from them.

    A gradient is an expression, not a node: linear operations (a sum of several uses of a weight, a transpose, a
    concatenation) may stand between the contraction over the examples and the optimizer. Terms and norms are float32
    whatever the gradient is computed in.
    """

    def __init__(self, build: Builder, types: dict[int, Privacy], batch: int) -> None:
        self.build = build
        self.batch = batch
        self.view = View(build, types, batch)
        self._values: dict[int, int] = {}

    def values(self, node: int) -> int:
        """``[B, *shape]`` float32: the term of each example in a sum over examples.

        Raises:
            PrivacyError: no rule builds the terms of an operation in the expression.
        """
        if node not in self._values:
            self._values[node] = self._values_of(self.build[node])
        return self._values[node]

    def norm(self, node: int) -> int:
        """``[B, 1]`` float32: the squared L2 norm of each example's term.

        Raises:
            PrivacyError: no rule builds the terms, or the gradient is not float32, so that the clipped sum would be
                rounded to less than its norm was taken from.
        """
        n = self.build[node]
        if n.type.dtype != FLOAT:
            raise PrivacyError(
                f"the gradient {n.describe()} is {n.type.dtype}; keep the parameters in float32 and cast them where "
                "they are used (amp.auto_mixed_precision does so)"
            )
        return self._norm(node)

    def _norm(self, node: int) -> int:
        n = self.build[node]
        entry = OPERATIONS[n.op]
        if entry.isometric:
            return self._norm(n.inputs[0])
        if n.op == "Concat":
            return self.add([self._norm(i) for i in self.build[n.inputs[0]].inputs])
        if entry.norm is not None and node not in self._values and not self._summed_inputs(n):
            ghost = self._guarded(n, lambda: entry.norm(self, n) if entry.norm else None)
            if ghost is not None:
                return ghost
        return self.squares(self.values(node))

    def masked_norm(self, node: int, mask: int) -> int:
        """``[B, 1]`` float32: the squared norm of what a mask of zeros and ones leaves of each example's term.

        Raises:
            PrivacyError: see `norm`.
        """
        n = self.build[node]
        entry = OPERATIONS[n.op]
        if n.type.dtype == FLOAT and entry.masked is not None and not self._summed_inputs(n):
            ghost = self._guarded(n, lambda: entry.masked(self, n, mask) if entry.masked else None)
            if ghost is not None:
                return ghost
        if n.type.dtype != FLOAT:
            return self.norm(node)  # which refuses it
        lead = self.build.reshape(mask, (1, *n.shape))
        return self.squares(self.build.binary("Mul", self.values(node), lead))

    def weighted(self, node: int, weights: int) -> int:
        """The sum over examples of ``weights`` (``[B, 1]``) times the term, in float32.

        A term whose weight is 0 adds exactly 0, also where it is not finite.
        """
        n = self.build[node]
        if (n.type.elements is None and n.type.dtype != FLOAT) or self._needs_terms(n):
            self.values(node)
        if node in self._values:
            flat = self.build.finite(self.build.reshape(self._values[node], (self.batch, prod(n.shape))))
            if self.batch == 1:  # a row and a column of one weight look the same, so that a product would be ambiguous
                return self.build.reshape(self.build.binary("Mul", flat, weights), n.shape)
            row = self.build.reshape(weights, (1, self.batch))
            return self.build.reshape(self.build.matmul(row, flat), n.shape)
        if n.op == "Cast":
            return self.weighted(n.inputs[0], weights)
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
            return self._single(self.build.reshape(node, (self.batch, *before, place.inner, *after)))
        split = self.build.reshape(node, wide)
        moved = self.build.transpose(split, [k + 1, *range(k + 1), *range(k + 2, len(wide))])
        return self._single(self.build.reshape(moved, (self.batch, *before, place.outer * place.inner, *after)))

    def squares(self, node: int) -> int:
        """``[B, 1]`` float32: the sum of squares of what stands behind the first dimension."""
        size = prod(self.build[node].shape[1:])
        flat = self.build.cast(self.build.reshape(node, (self.batch, size)))
        return self.build.total(self.build.unary("Square", flat), [1], keep=True)

    def gram_norm(self, a: int, b: int | None, *, rows_first: tuple[bool, bool], mask: int | None = None) -> int:
        """``[B, 1]``: the squared norm of ``sum_t a_t b_t^T`` from the Gram matrices of a and b.

        Where the rows of an example cancel each other, float32 loses the difference, and the norm of a record could
        come out far too small. There the triangle inequality ``sum_t |a_t| |b_t|`` takes its place, which is an upper
        bound.

        Args:
            a: ``[B, ..., rows, m]`` if the first of ``rows_first``, otherwise ``[B, ..., m, rows]``; b likewise, or
                None if there are no products, only a sum of ``a_t``.
            mask: which pairs of rows meet.
        """
        gram, lengths = self._gram(a, rows_first[0])
        if b is not None:
            other, sizes = self._gram(b, rows_first[1])
            gram, lengths = self.build.binary("Mul", gram, other), self.build.binary("Mul", lengths, sizes)
        if mask is not None:
            gram = self.build.binary("Mul", gram, mask)
        squared = self._sum_all(gram)
        lead = self.build[lengths].shape
        flat = self.build.reshape(lengths, (self.batch, prod(lead[1:-1]), lead[-1]))
        longest = self._sum_all(self.build.unary("Square", self.build.total(self.build.unary("Sqrt", flat), [2])))
        digits = self.build.binary("Mul", longest, self.build.scalar(CANCELLED))
        lost = self.build.op("Less", [squared, digits], TensorType((self.batch, 1), "Bool"))
        return self.build.op("Select", [lost, longest, squared], TensorType((self.batch, 1), FLOAT))

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

    def pad(self, node: int, widths: list[tuple[int, int]]) -> int:
        """Zeros around each dimension."""
        old = self.build[node]
        if not any(map(any, widths)):
            return node
        shape = tuple(size + b + a for size, (b, a) in zip(old.shape, widths, strict=True))
        flat = self.build.ints([w for pair in reversed(widths) for w in pair])
        attrs = {"mode": Constant("str", "constant"), "paddings_contiguous": Constant("bool", True)}
        zero = self.build.constant("float", 0.0)
        return self.build.op("PadV3", [node, flat, zero], TensorType(shape, old.type.dtype), attrs)

    def tensor(self, node: int) -> int:
        """A public operand as a float32 tensor; a Python number becomes one without dimensions."""
        n = self.build[node]
        if n.type.shape is not None:
            return self.build.cast(node)
        return self.build.scalar(float(self.view.value(node)))

    # --------------------------------------------------------------------------------------------------- recursion
    def _gram(self, node: int, rows_first: bool) -> tuple[int, int]:
        """``[B, ..., rows, rows]``, and the squared lengths of the rows, ``[B, ..., rows]``."""
        axis = len(self.build[node].shape) - (1 if rows_first else 2)
        lengths = self.build.total(self.build.unary("Square", node), [axis])
        return self.build.matmul(node, node, not rows_first, rows_first), lengths

    def _sum_all(self, node: int) -> int:
        size = prod(self.build[node].shape[1:])
        return self.build.total(self.build.reshape(node, (self.batch, size)), [1], keep=True)

    def _single(self, node: int) -> int:
        """Half precision as float32; whole numbers stay."""
        return self.build.cast(node) if _is_float(self.build[node]) else node

    def _values_of(self, n: Node) -> int:
        source, index = self._source(n)
        entry = OPERATIONS.get(source.op)
        inner = self._summed_inputs(source)
        rule, linear = (entry.terms, entry.linear) if entry is not None else (None, None)
        if linear is not None and inner:
            parts = [self.values(i) for i in inner]
            return self._guarded(source, lambda: linear(self, source, parts, index))
        if rule is not None and not inner:
            return self.build.mark(self._guarded(source, lambda: rule(self, source, index)), source.id, index)
        raise PrivacyError(f"no rule gives the per-example terms of {source.describe()}")

    def _source(self, n: Node) -> tuple[Node, int]:
        """The operation that a value comes from, and which of its results it is."""
        if n.op == "TupleGetItem":
            return self.build[n.inputs[0]], int(self.view.value(n.inputs[1]))
        return n, 0

    @staticmethod
    def _guarded(source: Node, build: Callable[[], T]) -> T:
        """What a rule builds; its refusal with the operation's name."""
        try:
            return build()
        except RefusedError as why:
            raise PrivacyError(f"{source.describe()}: {why}") from why

    def _summed_inputs(self, n: Node) -> list[int]:
        """The inputs that are sums over examples, those inside a tuple input too."""
        found: list[int] = []
        for i in n.inputs:
            kind = self.view.types.get(i)
            if isinstance(kind, Summed):
                found.append(i)
            elif isinstance(kind, Many) and self.build[i].op in ("MakeTuple", "make_list"):
                members = self.build[i].inputs
                found += [m for m, k in zip(members, kind.parts, strict=True) if isinstance(k, Summed)]
        return found

    def _weighted_input(self, node: int, weights: int) -> int:
        kind = self.view.types.get(node)
        if isinstance(kind, Summed):
            return self.weighted(node, weights)
        if isinstance(kind, Many) and any(isinstance(k, Summed) for k in kind.parts):
            members = [self._weighted_input(i, weights) for i in self.build[node].inputs]
            return self.build.clone(node, members)
        return node

    def _needs_terms(self, n: Node) -> bool:
        """Whether it sums over examples and no operand of it may be weighted instead."""
        source, _ = self._source(n)
        entry = OPERATIONS[source.op]
        return entry.terms is not None and entry.scaled is None and not self._summed_inputs(source)

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
        product = self.build.binary("Mul", self.build.reshape(node, wide), factors)
        return self.build.reshape(product, shape)


def _is_float(node: Node) -> bool:
    return (node.type.dtype or "").startswith("Float")
