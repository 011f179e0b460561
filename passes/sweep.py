"""The bound sweep: how large one example's part of any value of a step graph can be, before the data is read."""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt

import numpy as np

from mindveil.passes import norms
from mindveil.passes.graph import Constant, Node
from mindveil.passes.infer import Typed, where
from mindveil.passes.norms import Norm
from mindveil.passes.operations.patches import Window, overlap
from mindveil.passes.operations.stated import STATEMENT
from mindveil.passes.operations.table import View, words
from mindveil.passes.privacy import PerExample, PrivacyError, Summed, is_free

__all__ = ["Sweep"]

UNIT = 2.0**-24
GROUPS = ("MakeTuple", "make_list")
Rule = Callable[["Sweep", Node], Norm]


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
        for i in _below(self, node):
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
        n = self.graph[node]
        read = n.inputs[1:2] if n.op == STATEMENT else n.inputs if n.op in RULES or n.op in GROUPS else ()
        endless = [i for i in read if not is_free(self.types[i]) and _infinite(self.norm(i))]
        return self._culprit(endless[0]) if endless else n

    def norm(self, node: int) -> Norm:
        """The bound of a value that holds examples, or of a sum over them."""
        if node not in self._known:
            n = self.graph[node]
            rule = RULES.get(n.op)
            self._known[node] = norms.UNKNOWN if rule is None else rule(self, n)
        return self._known[node]

    def operand(self, node: int) -> Norm:
        """The same; for what is public its own norm, the examples' parts of it alone where it has rows."""
        if not is_free(self.types[node]):
            return self.norm(node)
        n = self.graph[node]
        rows = self.batch if n.shape[:1] == (self.batch,) else 1
        if n.kind == "value":
            return norms.product(sqrt(prod(n.shape) / rows), norms.number(_largest(n)))
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
        shape = n.shape
        while n.kind == "op" and n.op in ("Load", "Depend", "Transpose"):
            n = self.graph[n.inputs[0]]
        same = n.shape == shape or (len(shape) == 2 and n.shape == shape[::-1])
        return norms.parameter(n.name) if n.kind == "parameter" and n.weight and same else norms.UNKNOWN

    def size(self, node: Node) -> float:
        """Numbers of one example, or of a sum."""
        return prod(node.shape) / (self.batch if isinstance(self.types[node.id], PerExample) else 1)

    def scalar(self, node: int) -> Norm:
        """A cap: a constant, or what a Parameter without dimensions holds."""
        n = self.graph[node]
        if n.kind == "value":
            return norms.number(_largest(n))
        while n.kind == "op" and n.op in ("Load", "Depend"):
            n = self.graph[n.inputs[0]]
        return norms.value(n.name) if n.kind == "parameter" and n.weight and n.shape == () else norms.UNKNOWN


def _infinite(bound: Norm) -> bool:
    ones = {n: 1.0 for n in bound.names("weight")}, {n: 1.0 for n in bound.names("value")}
    return bound.at(*ones) == float("inf")


def _below(sweep: Sweep, node: int) -> list[int]:
    """What a gradient depends on, inputs first: no recursion is deeper than one operation then."""
    done: dict[int, None] = {}
    stack = [(node, False)]
    while stack:
        i, ready = stack.pop()
        if i in done:
            continue
        if ready:
            done[i] = None
        elif not is_free(sweep.types[i]):
            stack.append((i, True))
            stack.extend((j, False) for j in sweep.graph[i].inputs if j not in done)
    return list(done)


def _largest(n: Node) -> float:
    if n.fill is not None:
        return abs(n.fill)
    given = n.value.value if isinstance(n.value, Constant) else n.value
    try:
        return float(np.abs(np.asarray(given, np.float64)).max())
    except (TypeError, ValueError):
        return float("inf")


def _kept(position: int = 0) -> Rule:
    """The operation moves values, or leaves each no larger."""
    return lambda sweep, node: sweep.norm(node.inputs[position])


def _stated(sweep: Sweep, node: Node) -> Norm:
    gain, offset = float(node.attrs["gain"]), float(node.attrs["offset"])
    bound = norms.product(sweep.operand(node.inputs[1]), gain)
    bound = bound if offset == 0 else norms.total(bound, norms.number(offset))
    for cap in node.inputs[2:]:
        bound = norms.at_most(bound, sweep.scalar(cap))
    return norms.product(bound, 1 + sweep.size(node) * UNIT)


def _product(sweep: Sweep, node: Node) -> Norm:
    """``||x W|| <= ||W|| ||x||``, and for two values that hold examples the product of their norms."""
    sides, rounding = [], 1.0
    for i in node.inputs[:2]:
        held = not is_free(sweep.types[i])
        sides.append(sweep.norm(i) if held else sweep.matrix(i))
        if not held:
            shape = sweep.graph[i].shape
            rounding += max(shape[-2:]) * UNIT * sqrt(min(shape[-2:]))
    if any(not is_free(sweep.types[i]) for i in node.inputs[4:]):
        return norms.UNKNOWN
    if len(sides) == 2 and not any(is_free(sweep.types[i]) for i in node.inputs[:2]):
        rounding += prod(sweep.graph[node.inputs[0]].shape) / sweep.batch * UNIT
    return norms.product(*sides, rounding)


def _convolution(sweep: Sweep, node: Node) -> Norm:
    """Cutting into windows multiplies a norm by the root of the windows over one value at most."""
    x, filters = node.inputs[:2]
    if is_free(sweep.types[x]) or not is_free(sweep.types[filters]):
        return norms.UNKNOWN
    shape = sweep.graph[filters].shape
    forward = node.op == "Conv2D"
    seen, given = (x, node.id) if forward else (node.id, x)
    rounding = 1 + prod(shape) / min(shape[0], prod(shape[1:])) * UNIT * sqrt(min(shape[0], prod(shape[1:])))
    return norms.product(
        sweep.norm(x), sweep.matrix(filters), sqrt(_windows(sweep, node, seen, given, shape[2:])), rounding
    )


def _filter(sweep: Sweep, node: Node) -> Norm:
    given, seen = node.inputs[:2]
    positions = prod(sweep.graph[given].shape[2:])
    windows = _windows(sweep, node, seen, given, node.shape[2:])
    return norms.product(sweep.norm(seen), sweep.norm(given), sqrt(windows), 1 + positions * UNIT)


def _windows(sweep: Sweep, node: Node, seen: int, given: int, kernel: tuple[int, ...]) -> int:
    outside = sweep.graph[given].shape[2:]
    window = Window.of(node.attrs, sweep.graph[seen].shape[2:], outside, kernel)
    return overlap(kernel, window.stride, window.dilation, outside)


def _sum(sweep: Sweep, node: Node) -> Norm:
    """A sum over P numbers of an example grows its norm by the root of P at most."""
    source = sweep.graph[node.inputs[0]]
    together = sweep.size(source) / sweep.size(node)
    mean = "Mean" in node.op and not isinstance(sweep.types[node.id], Summed)
    if "Mean" in node.op and not mean:
        return norms.UNKNOWN
    return norms.product(sweep.norm(source.id), 1 / sqrt(together) if mean else sqrt(together), 1 + together * UNIT)


def _added(sweep: Sweep, node: Node) -> Norm:
    """The triangle inequality; what is repeated along other dimensions counts as often."""
    inputs = sweep.graph[node.inputs[0]].inputs if node.op == "AddN" else node.inputs[:2]
    if node.op in ("AddExt", "SubExt") and _largest(sweep.graph[node.inputs[2]]) != 1:
        return norms.UNKNOWN
    parts = [norms.product(sweep.operand(i), _repeats(sweep, node, i)) for i in inputs]
    return norms.product(norms.total(*parts), 1 + UNIT * len(parts))


def _repeats(sweep: Sweep, node: Node, i: int) -> float:
    shape = sweep.graph[i].shape
    rows = sweep.batch if not is_free(sweep.types[i]) or shape[:1] == (sweep.batch,) else 1
    return sqrt(max(1.0, sweep.size(node) / (prod(shape) / rows)))


def _scaled(sweep: Sweep, node: Node) -> Norm:
    """A multiple; element by element, and broadcast, the product of the norms is a bound too."""
    first, second = node.inputs[:2]
    if not is_free(sweep.types[second]):
        if node.op.startswith(("Div", "Real")):
            return norms.UNKNOWN
        if is_free(sweep.types[first]):
            first, second = second, first
        else:
            return norms.product(sweep.norm(first), sweep.norm(second), 1 + UNIT)
    factor = sweep.graph[second]
    if factor.kind != "value":
        return norms.UNKNOWN
    if node.op.startswith(("Div", "Real")):
        if factor.fill is None and prod(factor.shape) > 1:
            return norms.UNKNOWN
        least = _largest(factor)
        return norms.product(sweep.norm(first), 1 / least if least else float("inf"), 1 + UNIT)
    return norms.product(sweep.norm(first), _largest(factor), _repeats(sweep, node, first), 1 + UNIT)


def _beside(sweep: Sweep, node: Node) -> Norm:
    inputs = sweep.graph[node.inputs[0]].inputs if node.op in ("Concat", "Stack") else node.inputs
    return norms.root(*(norms.product(sweep.operand(i), _repeats_in(sweep, node, i)) for i in inputs))


def _repeats_in(sweep: Sweep, node: Node, i: int) -> float:
    return 1.0 if node.op in ("Concat", "Stack") else _repeats(sweep, node, i)


def _chosen(sweep: Sweep, node: Node) -> Norm:
    """Each number comes from one of two values."""
    return norms.root(*(norms.product(sweep.operand(i), _repeats(sweep, node, i)) for i in node.inputs[1:3]))


def _wider(sweep: Sweep, node: Node) -> Norm:
    source = sweep.graph[node.inputs[0]]
    return norms.product(sweep.norm(source.id), sqrt(max(1.0, sweep.size(node) / sweep.size(source))))


def _item(sweep: Sweep, node: Node) -> Norm:
    """One of several: no larger than all of them together, or that one where they are known."""
    group = sweep.graph[node.inputs[0]]
    if group.op in GROUPS:
        return sweep.norm(group.inputs[int(sweep.view.value(node.inputs[1]))])
    return sweep.norm(group.id)


RULES: dict[str, Rule] = {
    STATEMENT: _stated,
    **{name: _product for name in words("MatMul MatMulExt BatchMatMul BatchMatMulExt")},
    **{name: _convolution for name in words("Conv2D Conv2DBackpropInput")},
    "Conv2DBackpropFilter": _filter,
    **{name: _sum for name in words("ReduceSum SumExt BiasAddGrad ReduceMean MeanExt")},
    **{name: _added for name in words("Add AddN Sub AddExt SubExt BiasAdd")},
    **{name: _scaled for name in words("Mul Muls Div Divs RealDiv")},
    **{name: _beside for name in words("Concat Stack Maximum Minimum")},
    "Select": _chosen,
    **{name: _wider for name in words("BroadcastTo Tile")},
    "TupleGetItem": _item,
    **{
        name: _kept()
        for name in words(
            """Reshape Flatten ExpandDims Squeeze Transpose Cast Depend Load Neg ReLU ReluGrad ReLU6 ReLU6Grad Abs Tanh
            Sin StopGradient Identity StridedSlice StridedSliceGrad Slice SliceGrad Split SplitWithSize Unstack
            ReverseV2"""
        )
    },
    "TanhGrad": _kept(1),
}
