"""The bound sweep: how large one example's part of any value of a step graph can be, before the data is read."""

from __future__ import annotations

from math import prod, sqrt

from mindveil.passes import norms
from mindveil.passes.graph import Node
from mindveil.passes.infer import Typed, where
from mindveil.passes.norms import Norm
from mindveil.passes.operations.stated import STATEMENT
from mindveil.passes.operations.table import RefusedError, View
from mindveil.passes.privacy import PerExample, PrivacyError, is_free
from mindveil.passes.sweep_rules import GROUPS, RULES, largest

__all__ = ["Sweep"]


class Sweep:
    """Bounds of Euclidean norms, of one example's part of a value, or of its term of a sum over examples.

    Each operation has a rule; the way forward and the way back are parts of one graph and are swept alike. Statements
    (`mindveil.runtime.bound_marker`) give the bounds of what only its author can prove, such as a sort. Where no rule
    holds the bound is infinite. All bounds include what float32 adds.

    Source: Béthune et al. 2024, "DP-SGD without clipping: the Lipschitz neural network way", for the three kinds of
    bounds; the rounding of products: Higham 2002, section 3.5.
    """

    def __init__(self, typed: Typed) -> None:
        self.graph, self.types, self.batch = typed.graph, typed.types, typed.batch
        self.view = View(typed.graph, typed.types, typed.batch)
        self._known: dict[int, Norm] = {}

    def gradient(self, name: str, node: int) -> Norm:
        """The bound of one example's gradient.

        Raises:
            PrivacyError: there is none; the message names the first operation without one.
        """
        for i in self.graph.order(node):  # no recursion is deeper than one operation then
            if not is_free(self.types[i]):
                self.norm(i)
        bound = self.norm(node)
        if _infinite(bound):
            first = self._culprit(node)
            raise PrivacyError(
                f"no bound is known for the gradient of {name}: {first.describe()} has no rule, or its input has no "
                f"bound{where(first.id)}; begin with a bounded input, and use layers and losses that state bounds"
            )
        return bound

    def _culprit(self, node: int) -> Node:
        """Where an infinite bound comes from; a statement takes it from what it names, not from what it is about."""
        while True:
            n = self.graph[node]
            read = n.inputs[1:2] if n.op == STATEMENT else n.inputs if n.op in RULES or n.op in GROUPS else ()
            endless = [i for i in read if not is_free(self.types[i]) and _infinite(self.norm(i))]
            if not endless:
                return n
            node = endless[0]

    def norm(self, node: int) -> Norm:
        """The bound of a value that holds examples, or of a sum over them."""
        if node not in self._known:
            self._known[node] = self._ruled(self.graph[node])
        return self._known[node]

    def _ruled(self, n: Node) -> Norm:
        rule = RULES.get(n.op)
        try:
            return norms.UNKNOWN if rule is None else rule(self, n)
        except RefusedError:  # the rule cannot be decided, for instance because the padding is not known
            return norms.UNKNOWN

    def operand(self, node: int) -> Norm:
        """The same; for what is public its own norm, the examples' parts of it alone where it has rows."""
        if not is_free(self.types[node]):
            return self.norm(node)
        n = self.graph[node]
        rows = self.batch if n.shape[:1] == (self.batch,) else 1
        if n.kind == "value":
            return norms.product(sqrt(prod(n.shape) / rows), norms.number(largest(n)))
        source = self.source(node)
        if source is None:
            return norms.UNKNOWN
        rank = min(source.shape[0], prod(source.shape[1:])) if len(source.shape) > 1 else 1
        return norms.product(norms.parameter(source.name), sqrt(rank))

    def source(self, node: int) -> Node | None:
        """The Parameter that a public value is, whatever its shape; None for one that is computed."""
        n = self.graph[node]
        while n.kind == "op" and n.op in ("Load", "Depend", "Reshape", "ExpandDims", "Squeeze"):
            n = self.graph[n.inputs[0]]
        return n if n.kind == "parameter" and n.weight and n.shape else None

    def matrix(self, node: int) -> Norm:
        """The spectral norm of a public matrix or filter: of a Parameter as it is, or transposed."""
        n = self.graph[node]
        # Rows that are made of other numbers have another norm, so that more dimensions may not change places.
        through = ("Load", "Depend", "Transpose") if len(n.shape) == 2 else ("Load", "Depend")
        while n.kind == "op" and n.op in through:
            n = self.graph[n.inputs[0]]
        return norms.parameter(n.name) if n.kind == "parameter" and n.weight else norms.UNKNOWN

    def size(self, node: Node) -> float:
        """Numbers of one example, or of a sum."""
        return prod(node.shape) / (self.batch if isinstance(self.types[node.id], PerExample) else 1)

    def scalar(self, node: int) -> Norm:
        """A cap: a constant, or what a Parameter without dimensions holds."""
        n = self.graph[node]
        if n.kind == "value":
            return norms.number(largest(n))
        while n.kind == "op" and n.op in ("Load", "Depend"):
            n = self.graph[n.inputs[0]]
        return norms.value(n.name) if n.kind == "parameter" and n.weight and n.shape == () else norms.UNKNOWN


def _infinite(bound: Norm) -> bool:
    ones = {n: 1.0 for n in bound.names("weight")}, {n: 1.0 for n in bound.names("value")}
    return bound.at(*ones) == float("inf")
