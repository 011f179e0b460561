"""The rules of the bound sweep: what each operation makes of the norms of its inputs, float32's part included."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, prod, sqrt
from typing import Protocol

import numpy as np

from mindveil.passes import norms
from mindveil.passes.graph import Node, StepGraph
from mindveil.passes.norms import Norm
from mindveil.passes.operations.patches import Window, overlap
from mindveil.passes.operations.stated import STATEMENT
from mindveil.passes.operations.table import View, words
from mindveil.passes.privacy import Privacy, Summed, is_free

__all__ = ["GROUPS", "RULES", "largest"]

UNIT = 2.0**-24
GROUPS = ("MakeTuple", "make_list")


class Sweep(Protocol):
    """What a rule may ask: `mindveil.passes.sweep.Sweep`."""

    graph: StepGraph
    types: dict[int, Privacy]
    batch: int
    view: View

    def norm(self, node: int) -> Norm: ...

    def operand(self, node: int) -> Norm: ...

    def matrix(self, node: int) -> Norm: ...

    def scalar(self, node: int) -> Norm: ...

    def size(self, node: Node) -> float: ...


Rule = Callable[[Sweep, Node], Norm]


def largest(n: Node) -> float:
    """The largest absolute value in a constant; infinite where it is not known."""
    if n.fill is not None:
        return abs(n.fill)
    try:
        found = float(np.abs(np.asarray(n.plain, np.float64)).max())
    except (TypeError, ValueError):
        return float("inf")
    return found if isfinite(found) else float("inf")


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
        # A stack of matrices could meet the same rows several times.
        flat = len(sweep.graph[i].shape) == 2
        sides.append(sweep.norm(i) if held else sweep.matrix(i) if flat else norms.UNKNOWN)
        if not held:
            shape = sweep.graph[i].shape
            rounding += max(shape[-2:]) * UNIT * sqrt(min(shape[-2:]))
    if not any(is_free(sweep.types[i]) for i in node.inputs[:2]):
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
    if node.op in ("AddExt", "SubExt") and largest(sweep.graph[node.inputs[2]]) != 1:
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
        least = largest(factor)
        return norms.product(sweep.norm(first), 1 / least if least else float("inf"), 1 + UNIT)
    return norms.product(sweep.norm(first), largest(factor), _repeats(sweep, node, first), 1 + UNIT)


def _joined(sweep: Sweep, node: Node) -> Norm:
    """Values side by side."""
    return norms.root(*(sweep.operand(i) for i in sweep.graph[node.inputs[0]].inputs))


def _chosen(sweep: Sweep, node: Node) -> Norm:
    """Each number comes from one of two values, the last two inputs."""
    return norms.root(*(norms.product(sweep.operand(i), _repeats(sweep, node, i)) for i in node.inputs[-2:]))


def _cast(sweep: Sweep, node: Node) -> Norm:
    """Float32 as it is; half precision rounds by more than the bounds count, and may overflow."""
    same = {node.type.dtype, sweep.graph[node.inputs[0]].type.dtype} == {"Float32"}
    return sweep.norm(node.inputs[0]) if same else norms.UNKNOWN


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
    **{name: _joined for name in words("Concat Stack")},
    **{name: _chosen for name in words("Maximum Minimum Select")},
    "Cast": _cast,
    **{name: _wider for name in words("BroadcastTo Tile")},
    "TupleGetItem": _item,
    **{
        name: _kept()
        for name in words(
            """Reshape Flatten ExpandDims Squeeze Transpose Depend Load Neg ReLU ReluGrad ReLU6 ReLU6Grad Abs Tanh
            Sin StopGradient Identity StridedSlice StridedSliceGrad Slice SliceGrad Split SplitWithSize Unstack
            ReverseV2"""
        )
    },
    "TanhGrad": _kept(1),
}
